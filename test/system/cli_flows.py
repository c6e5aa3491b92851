#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""share, open, serve and derptunctl against a daemon that is told what to say.

Usage: cli_flows.py derphole derptun derptunctl
"""
import json
import os
import signal
import socket
import sys
import time

from cli_lib import (
    Daemon,
    Programs,
    contains,
    done,
    equal,
    finish,
    ok,
    read_line,
    run_tests,
    session_token,
)

GONE = "tunnel lost: derptund is gone\n"

# name and reason of `ended`, exit code
ENDS = [
    ("OK", "the peer closed the session", 0),
    ("PEER_REJECTED", "session already claimed", 10),
    ("TUNNEL_LOST", "tunnel lost", 11),
    ("WORKER_LOST", "worker process ended", 11),
    ("PEER_GONE", "peer is gone", 11),
    ("RELAY_UNREACHABLE", "connect custom DERP h:1: refused", 12),
    ("CERT_UNTRUSTED", "certificate is not trusted", 12),
    ("CERT_PIN", "certificate does not match the pin", 12),
    ("HTTP_STATUS", "unexpected HTTP status", 12),
    ("NOT_RELAY", "not a DERP relay", 12),
    ("RESOLVE", "name does not resolve", 12),
    ("TIMEOUT", "timed out", 13),
    ("EPIPE", "Broken pipe", 14),
    ("STREAM_RESET", "stream was reset", 15),
    ("PEER_ABORTED", "peer aborted the session", 15),
    ("INTERNAL", "internal error", 1),
    ("SOMETHING_NEW", "of a newer daemon", 1),
]


def begin_share(p, d, *words, env=None):
    child = p.start(
        "derphole", "share", *words, env={**d.env, **(env or {})}
    )
    c = d.accept()
    params, fds = c.request("endpoint.share")
    return child, c, params, fds


def test_share(p, d):
    ca = p.write("ca.pem", "the CA file")
    child, c, params, fds = begin_share(
        p,
        d,
        "127.0.0.1:3000",
        "--force-relay",
        "--derp-pin",
        "sha256-raw:" + "ab" * 32,
        env={
            "DERPHOLE_DERP_SERVER": "https://relay.example",
            "SSL_CERT_FILE": ca,
            "DERPTUND_DERP_MAP": "https://maps.example/map",
        },
    )
    equal(
        params,
        {
            "target": "127.0.0.1:3000",
            "force_relay": True,
            "relay": {
                "server": "https://relay.example",
                "pin": "sha256-raw:" + "ab" * 32,
                "map_url": "https://maps.example/map",
                "ca_fd": 0,
            },
        },
        "share: its parameters",
    )
    equal(os.read(fds[0], 100), b"the CA file", "share: the CA file rides")
    os.close(fds[0])
    c.answer({"endpoint": 1, "token": "TOKEN"})
    equal(read_line(child.stderr), "TOKEN", "share: the token on stderr")
    c.event("waiting", endpoint=1)
    c.event("claimed", endpoint=1, session=2)
    c.event("ended", endpoint=1, session=2, code=0, name="OK", reason="")
    c.event("waiting", endpoint=1)
    c.event("ended", endpoint=1, code=0, name="OK", reason="done")
    equal(finish(child), (0, "", ""), "share: ends with its endpoint only")
    c.close()


def test_share_verbose(p, d):
    child, c, _, _ = begin_share(p, d, "a:1", "--print-token-only", "-v")
    c.answer({"endpoint": 1, "token": "TOKEN"})
    equal(read_line(child.stdout), "TOKEN", "--print-token-only: stdout")
    for name in ("waiting", "claimed", "relay", "direct", "relay", "waiting"):
        c.event(name, endpoint=1)
    c.event("ended", endpoint=1, code=0, name="OK", reason="")
    equal(
        finish(child),
        (
            0,
            "",
            "waiting-for-claim\nclaimed\nconnected-relay\nconnected-direct\n"
            "direct-fallback-relay\n",
        ),
        "share -v: status words",
    )
    c.close()


def test_open_paths(p, d):
    child, c, _, _ = begin_open(p, d, session_token(), "-v")
    c.answer({"session": 1})
    c.event("claimed", session=1)
    c.event("relay", session=1)
    c.event("path", session=1, kind="raw", address="203.0.113.1:5", reason="x")
    c.event("direct", session=1, address="203.0.113.1:5")
    c.event("path", session=1, kind="direct", address="10.0.0.1:6", reason="x")
    c.event("path", session=1, kind="relay", reason="silent")
    c.event("relay", session=1)
    c.event("path", session=1, kind="direct", address="[fd7a:115c:a1e0::1]:6",
            reason="x")
    c.event("direct", session=1, address="[fd7a:115c:a1e0::1]:6")
    c.event("ended", session=1, code=0, name="OK", reason="")
    equal(
        finish(child)[2],
        "probing-direct\nconnected-relay\nv2-data-plane=raw-direct\n"
        "connected-direct\ntransport-direct-path=203.0.113.1:5\n"
        "transport-direct-path-class=public\n"
        "transport-direct-path=10.0.0.1:6\n"
        "transport-direct-path-class=private\ndirect-fallback-relay\n"
        "connected-direct\ntransport-direct-path=[fd7a:115c:a1e0::1]:6\n"
        "transport-direct-path-class=tailscale\n",
        "open -v: paths",
    )
    c.close()


def test_dial(p, d):
    backend = socket.create_server(("127.0.0.1", 0))
    port = backend.getsockname()[1]
    for target in (f"127.0.0.1:{port}", f"localhost:{port}"):
        child, c, _, _ = begin_share(p, d, target)
        c.answer({"endpoint": 1, "token": "T"})
        answer, fds = c.dial()
        equal(answer.get("result"), {}, f"dial {target.split(':', 1)[0]}")
        near = socket.socket(fileno=fds[0])
        far = backend.accept()[0]
        near.sendall(b"ping")
        equal(far.recv(10), b"ping", "the descriptor is that connection")
        near.close()
        far.close()
        child.send_signal(signal.SIGKILL)
        child.communicate()
        c.close()
    backend.close()
    child, c, _, _ = begin_share(p, d, f"127.0.0.1:{port}")
    c.answer({"endpoint": 1, "token": "T"})
    answer, fds = c.dial()
    equal(
        answer.get("error", {}).get("data"),
        {"name": "ECONNREFUSED"},
        "dial: refused",
    )
    equal(fds, [], "dial: nothing rides with an error")
    child.send_signal(signal.SIGINT)
    c.request("endpoint.stop")
    c.event("ended", endpoint=1, code=0, name="OK", reason="")
    equal(finish(child)[0], 0, "the share lives on and stops in order")
    c.close()


def test_share_signals(p, d):
    for signo in (signal.SIGINT, signal.SIGTERM):
        child, c, _, _ = begin_share(p, d, "a:1")
        c.answer({"endpoint": 7, "token": "T"})
        read_line(child.stderr)
        child.send_signal(signo)
        equal(c.request("endpoint.stop")[0], {"endpoint": 7}, "asks to stop")
        c.answer({})
        c.event("ended", endpoint=7, code=-1, name="CLOSED", reason="stop")
        equal(finish(child), (0, "", ""), f"share: signal {signo}")
        c.close()
        child, c, _, _ = begin_share(p, d, "a:1")
        c.answer({"endpoint": 7, "token": "T"})
        read_line(child.stderr)
        child.send_signal(signo)
        c.request("endpoint.stop")
        child.send_signal(signo)
        equal(finish(child)[0], 128 + signo, f"a second signal {signo}")
        c.close()
    child, c, _, _ = begin_share(p, d, "a:1")
    child.send_signal(signal.SIGINT)
    equal(finish(child), (0, "", ""), "share: a signal before the token")
    c.close()


def test_refusals(p, d):
    for code, name, message, want in [
        (-32004, None, "derptun token expired", 1),
        (-32000, "RELAY_UNREACHABLE", "no relay answers", 12),
        (-32001, None, "this user may not do that", 1),
        (-32003, None, "too many sessions", 1),
        (-32000, "TIMEOUT", "timed out", 13),
    ]:
        child, c, _, _ = begin_share(p, d, "a:1")
        c.refuse(code, message, name)
        equal(finish(child), (want, "", message + "\n"), f"share: {message}")
        c.close()


def begin_open(p, d, *words):
    child = p.start("derphole", "open", *words, env=d.env)
    c = d.accept()
    params, fds = c.request("session.open")
    return child, c, params, fds


def open_ready(child, c):
    """Past `ready`: the listening socket and the address that was printed."""
    c.event("ready", session=5)
    params, fds = c.request("session.listen")
    equal(params, {"session": 5}, "open: hands its socket over")
    c.answer({})
    line = read_line(child.stderr)
    contains(line, "listening on ", "open: says where")
    return socket.socket(fileno=fds[0]), line[len("listening on ") :]


def test_open(p, d):
    token = session_token()
    child, c, params, _ = begin_open(p, d, f"npx -y x@latest open '{token}'")
    equal(
        params,
        {"token": token, "force_relay": False, "relay": {}},
        "open: its parameters, from a pasted line",
    )
    c.answer({"session": 5})
    for state in ("waiting", "connected"):
        relay = {"state": state, "host": "h", "port": 1, "reason": "refused"}
        c.event("relay-state", session=5, **relay)
    s, address = open_ready(child, c)
    equal("%s:%d" % s.getsockname(), address, "open: that very socket")
    near = socket.create_connection(s.getsockname(), 5)
    far = s.accept()[0]
    near.sendall(b"x")
    equal(far.recv(1), b"x", "open: connections come")
    near.close()
    far.close()
    c.event("reconnecting", session=5, delay_ms=1500, reason="peer is gone")
    equal(
        read_line(child.stderr),
        "reconnecting: peer is gone (retry in 2 s)",
        "open: says that it reconnects",
    )
    c.event("ready", session=5)
    equal(read_line(child.stderr), "reconnected", "open: and that it did")
    c.event("ended", session=5, code=-1, name="TUNNEL_LOST", reason="bye")
    equal(finish(child), (11, "", "bye\n"), "open: ends; one listening line")
    s.close()
    c.close()


def test_open_address(p, d):
    token = session_token()
    taken = socket.create_server(("127.0.0.1", 0))
    at = "127.0.0.1:%d" % taken.getsockname()[1]
    equal(
        p.run("derphole", "open", token, at, env=d.env),
        (1, "", f"listen tcp {at}: bind: address already in use\n"),
        "a taken port, told before a daemon is asked",
    )
    taken.close()
    equal(
        p.run("derphole", "open", token, "8080", env=d.env)[0],
        1,
        "no address at all",
    )
    child, c, _, _ = begin_open(p, d, token, at)
    c.answer({"session": 5})
    refused = False
    try:
        socket.create_connection(taken_address(at), 5)
    except ConnectionRefusedError:
        refused = True
    ok(refused, "bound, but not listening before `ready`")
    s, printed = open_ready(child, c)
    equal(printed, at, "the port that was asked for")
    s.close()
    child.send_signal(signal.SIGTERM)
    equal(c.request("session.stop")[0], {"session": 5}, "SIGTERM: stops")
    c.event("ended", session=5, code=0, name="OK", reason="")
    equal(finish(child)[0], 0, "SIGTERM: 0")
    c.close()
    child, c, _, _ = begin_open(p, d, token, ":0")
    c.answer({"session": 5})
    s, printed = open_ready(child, c)
    port = int(printed.rsplit(":", 1)[1])
    socket.create_connection(("127.0.0.1", port), 5).close()
    ok(printed.startswith(("[::]:", "0.0.0.0:")), "all addresses")
    s.close()
    child.kill()
    child.communicate()
    c.close()


def taken_address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def test_ends(p, d):
    token = session_token()
    for name, reason, code in ENDS:
        child, c, _, _ = begin_open(p, d, token)
        c.answer({"session": 5})
        c.event("ended", session=5, code=-1, name=name, reason=reason)
        text = reason + "\n" if code else ""
        equal(finish(child), (code, "", text), f"ended {name}")
        c.close()
    child, c, _, _ = begin_open(p, d, token)
    c.answer({"session": 5})
    reason = "evil \x1b[31m\nforged line"
    c.event("ended", session=5, code=-1, name="PEER_ABORTED", reason=reason)
    _, _, err = finish(child)
    ok("\x1b" not in err and err.count("\n") == 1, "reasons are escaped")
    c.close()


def test_daemon_gone(p, d):
    token = session_token()
    child, c, _, _ = begin_open(p, d, token)
    c.close()
    equal(finish(child), (11, "", GONE), "gone before it answers")
    child, c, _, _ = begin_open(p, d, token)
    c.answer({"session": 5})
    s, _ = open_ready(child, c)
    c.close()
    equal(finish(child), (11, "", GONE), "gone while listening")
    s.close()
    child, c, _, _ = begin_open(p, d, token)
    c.sock.sendall(b"this is no JSON\n")
    equal(finish(child), (11, "", GONE), "a daemon that speaks nonsense")
    c.close()
    child = p.start("derphole", "open", token, env=d.env)
    c = d.accept()
    c.sock.shutdown(socket.SHUT_RDWR)
    equal(finish(child)[0], 11, "gone before it is asked")
    c.close()


def test_serve(p, d):
    server = p.run("derptun", "token", "server")[1].strip()
    path = p.write("server.dts", server + "\n")
    words = ("derptun", "serve", "--tcp", "127.0.0.1:22")
    child = p.start(*words, "--token-file", path, env=d.env)
    c = d.accept()
    params, _ = c.request("endpoint.serve")
    equal(
        params,
        {
            "token": server,
            "target": "127.0.0.1:22",
            "force_relay": False,
            "relay": {},
        },
        "serve: its parameters",
    )
    c.answer({"endpoint": 3, "client_token": "DT1X"})
    equal(
        (read_line(child.stderr), read_line(child.stderr)),
        (
            "On the other machine, run:",
            "  npx -y derptun@latest open --token DT1X",
        ),
        "serve: what to run on the other machine",
    )
    relay = {"endpoint": 3, "host": "h", "port": 443}
    for state, reason in [
        ("connecting", ""),
        ("waiting", "refused"),
        ("connecting", "refused"),
        ("waiting", "refused"),
        ("waiting", "relay h:443: timed out"),
        ("connected", ""),
        ("connected", ""),
    ]:
        c.event("relay-state", state=state, reason=reason, **relay)
    equal(
        [read_line(child.stderr) for _ in range(3)],
        [
            "relay h:443: refused",
            "relay h:443: timed out",
            "relay h:443: connected",
        ],
        "serve: relay problems once per change",
    )
    for state, reason in [
        ("lost", "signal 9"),
        ("lost", "signal 9"),
        ("lost", "exit status 1"),
        ("running", ""),
        ("running", ""),
    ]:
        c.event("gate-state", endpoint=3, state=state, reason=reason)
    equal(
        [read_line(child.stderr) for _ in range(3)],
        [
            "cannot be reached, starting a gate: signal 9",
            "cannot be reached, starting a gate: exit status 1",
            "can be reached again",
        ],
        "serve: what becomes of its gate, once per change",
    )
    child.send_signal(signal.SIGINT)
    equal(c.request("endpoint.stop")[0], {"endpoint": 3}, "serve: stops")
    c.event("ended", endpoint=3, code=0, name="OK", reason="")
    equal(finish(child), (0, "", ""), "serve: 0 on a signal")
    c.close()
    env = {**d.env, "DERPHOLE_DERP_SERVER": "https://relay.example"}
    child = p.start(*words, "--token-file", path, env=env)
    c = d.accept()
    params, _ = c.request("endpoint.serve")
    equal(params["relay"], {}, "serve: a token has its own relay")
    child.kill()
    child.communicate()
    c.close()
    child = p.start(*words, env=env)
    c = d.accept()
    params, _ = c.request("endpoint.serve")
    ok("token" not in params, "serve: no source, no token")
    equal(
        params["relay"],
        {"server": "https://relay.example"},
        "serve: a fresh token takes the relay of the environment",
    )
    child.kill()
    child.communicate()
    c.close()


def test_tunnel_ends(p, d):
    child = p.start("derptun", "serve", "--tcp", "a:1", "-v", env=d.env)
    c = d.accept()
    c.request("endpoint.serve")
    c.answer({"endpoint": 3, "client_token": "DT1X"})
    for session in (7, 8):
        for name in ("waiting", "claimed", "relay", "ready"):
            c.event(name, endpoint=3, session=session)
        c.event("ended", endpoint=3, session=session, code=0, name="OK", reason="")
    c.event("ended", endpoint=3, code=0, name="OK", reason="")
    words = "claimed\nprobing-direct\nconnected-relay\nstream-complete\n"
    equal(
        finish(child)[2].split("DT1X\n", 1)[-1],
        "waiting-for-claim\n" + 2 * words,
        "serve -v: each tunnel ends",
    )
    c.close()


def test_json(p, d):
    child, c, _, _ = begin_share(p, d, "a:1", "--json")
    c.answer({"endpoint": 1, "token": "TOKEN"})
    c.event("waiting", endpoint=1)
    c.event("ended", endpoint=1, code=-1, name="TIMEOUT", reason="late")
    code, out, err = finish(child)
    lines = [json.loads(line) for line in out.splitlines()]
    equal(
        [line["event"] for line in lines],
        ["token", "waiting", "ended"],
        "--json: one object per line",
    )
    equal(lines[0]["token"], "TOKEN", "--json: the token")
    equal((code, err), (13, "late\n"), "--json: only errors on stderr")
    c.close()
    child = p.start("derphole", "open", session_token(), "--json", env=d.env)
    c = d.accept()
    c.request("session.open")
    c.answer({"session": 5})
    c.event("ready", session=5)
    _, fds = c.request("session.listen")
    equal(json.loads(read_line(child.stdout))["event"], "ready", "events")
    line = json.loads(read_line(child.stdout))
    equal(line["event"], "listening", "--json: listening")
    contains(line["address"], "127.0.0.1:", "--json: its address")
    os.close(fds[0])
    child.kill()
    child.communicate()
    c.close()


def ctl(p, d, method, result, *words):
    child = p.start("derptunctl", *words, env=d.env)
    c = d.accept()
    params, _ = c.request(method)
    c.answer(result)
    outcome = finish(child)
    c.close()
    return params, outcome


def test_ctl(p, d):
    status = {
        "version": "1",
        "pid": 5,
        "workers": [{"pid": 6, "role": "gate", "endpoint": 2}],
        "relays": [],
    }
    _, (code, out, err) = ctl(p, d, "daemon.status", status, "status")
    equal((code, err), (0, ""), "status")
    contains(out, "version: 1\n", "status: fields")
    contains(out, "\nworkers\nPID", "status: workers")
    _, (code, out, _) = ctl(p, d, "daemon.status", status, "status", "--json")
    equal(json.loads(out), status, "status --json: the result itself")
    sessions = {
        "sessions": [
            {
                "id": 3,
                "kind": "share",
                "peer": "\x1b[2J",
                "relay": {"host": "h", "port": 1, "state": "connected"},
            }
        ]
    }
    _, (code, out, _) = ctl(p, d, "session.list", sessions, "list")
    lines = out.splitlines()
    equal((code, len(lines)), (0, 2), "list: a title and a row")
    ok(lines[0].startswith("ID  KIND"), "list: columns")
    contains(lines[1], "h:1 connected", "list: the relay in words")
    ok("\x1b" not in out, "list: names are escaped")
    _, (code, out, _) = ctl(
        p, d, "endpoint.list", {"endpoints": []}, "list", "endpoints"
    )
    equal((code, len(out.splitlines())), (0, 1), "list endpoints")
    show = {"session": {"id": 3}, "worker": {"bytes_in": 7}}
    params, (code, out, _) = ctl(p, d, "session.show", show, "show", "3")
    equal((params, code, out), ({"session": 3}, 0, "id: 3\nbytes_in: 7\n"), "show")
    for words, method, want in [
        (("session", "3"), "session.stop", {"session": 3}),
        (("endpoint", "4"), "endpoint.stop", {"endpoint": 4}),
        (("daemon",), "daemon.stop", {}),
    ]:
        params, outcome = ctl(p, d, method, {}, "stop", *words)
        equal((params, outcome), (want, (0, "", "")), f"stop {words}")
    why = {
        "session": 3,
        "path": "relay",
        "reason": "at first",
        "cause": "symmetric-nat",
        "conclusion": "our NAT \x1b[2J",
        "since_ms": 65000,
        "switches": 2,
        "native": True,
        "payload": 1200,
        "raw": "no-punch",
        "stun": {"asked": 3, "answered": 2, "symmetric": True},
        "own": ["192.168.1.5:1"],
        "peer": [
            {
                "addr": "198.51.100.2:3",
                "state": "silent",
                "probes": 4,
                "acks": 0,
                "rtt_us": 0,
                "reflexive": False,
                "error": "",
            }
        ],
        "sockets": [
            {"use": "ipv4", "port": 9, "error": ""},
            {"use": "ipv6", "port": 0, "error": "EAFNOSUPPORT"},
        ],
        "interfaces": ["192.168.1.5"],
        "gateway": "192.168.1.1",
    }
    params, (code, out, _) = ctl(p, d, "session.why", why, "why", "3")
    equal((params, code), ({"session": 3}, 0), "why")
    for part in (
        "session 3: relay for 65 s, 2 switches",
        "UDP sockets: ipv4=9 ipv6=EAFNOSUPPORT\n",
        "STUN: 2 of 3 servers answered, each saw another port",
        "198.51.100.2:3  silent",
        "why not direct: our NAT ",
    ):
        contains(out, part, "why: the story")
    ok("\x1b" not in out, "why: texts are escaped")
    _, (code, out, _) = ctl(p, d, "session.why", why, "why", "3", "--json")
    equal(json.loads(out), why, "why --json: the result itself")
    silent = {"session": 3, "path": "none", "cause": "unknown", "conclusion": "c"}
    _, (code, out, _) = ctl(p, d, "session.why", silent, "why", "3")
    equal(out, "session 3: none\nwhy not direct: c\n", "why: a silent worker")
    methods = {"methods": [{"name": "x", "class": "read", "description": "y"}]}
    _, (code, out, _) = ctl(p, d, "rpc.discover", methods, "methods")
    contains(out, "read", "methods")
    child = p.start("derptunctl", "show", "9", env=d.env)
    c = d.accept()
    c.request("session.show")
    c.refuse(-32002, "no such session")
    equal(finish(child), (1, "", "no such session\n"), "show: not found")
    c.close()


def test_ctl_events(p, d):
    child = p.start("derptunctl", "events", "3", env=d.env)
    c = d.accept()
    equal(c.request("session.subscribe")[0], {"session": 3}, "subscribe")
    c.answer({"subscribed": True})
    c.event("relay", session=3)
    equal(read_line(child.stdout), "event=relay session=3", "an event")
    child.send_signal(signal.SIGINT)
    equal(finish(child)[0], 0, "events: 0 on a signal")
    c.close()
    child = p.start("derptunctl", "events", env=d.env)
    c = d.accept()
    c.request("session.subscribe")
    c.answer({"subscribed": True})
    c.close()
    equal(
        finish(child), (11, "", "derptund is gone\n"), "events: daemon gone"
    )


def test_no_daemon(p, d):
    missing = p.path("missing.sock")
    for words in (["derptunctl", "status"], ["derphole", "share", "a:1"]):
        equal(
            p.run(*words, "--socket", missing),
            (
                1,
                "",
                f"cannot reach derptund at {missing}: "
                "No such file or directory\n",
            ),
            f"{words[0]}: no such socket",
        )
    child = p.start("derptunctl", "status", "--socket", d.path)
    c = d.accept()
    equal(c.request("daemon.status")[0], {}, "--socket without the variable")
    child.kill()
    child.communicate()
    c.close()
    child = p.start("derphole", "share", "a:1", env=d.env)
    raw = d.sock.accept()[0]
    raw.sendall(b'{"jsonrpc":"2.0","method":"hello","params":{"protocol":9}}\n')
    code, _, err = finish(child)
    equal(code, 1, "a daemon of another protocol")
    contains(err, "unsupported version", "its message")
    raw.close()
    child = p.start("derphole", "share", "a:1", env=d.env)
    raw = d.sock.accept()[0]
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    equal(finish(child), (0, "", ""), "a signal while waiting for the hello")
    raw.close()


def main():
    p = Programs(sys.argv[1:])
    d = Daemon(p)
    try:
        run_tests((
            test_share,
            test_share_verbose,
            test_dial,
            test_share_signals,
            test_refusals,
            test_open,
            test_open_address,
            test_ends,
            test_daemon_gone,
            test_serve,
            test_json,
            test_open_paths,
            test_tunnel_ends,
            test_ctl,
            test_ctl_events,
            test_no_daemon,
        ), p, d)
    finally:
        d.close()
        p.clean()
    done()


main()
