# SPDX-License-Identifier: BSD-3-Clause
"""derptun-relay as a process: command line, files, sockets, signals, limits.

usage: relay_process.py RELAY
"""

import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import tap
from tap import equal, test, true

tap.need_nacl()
import stun  # noqa: E402
from derp import Client, Closed, Relay  # noqa: E402

def run(exe, *args, env=None):
    done = subprocess.run(
        [exe, *args],
        capture_output=True,
        timeout=20,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Temp:
    """A directory that the relay can use after it dropped root."""

    def __enter__(self):
        self.path = tempfile.mkdtemp()
        os.chmod(self.path, 0o777)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


@test("usage")
def t_usage(exe):
    """bad command lines: one line and status 2"""
    for args in (
        (),
        ("--bogus",),
        ("--listen",),
        ("--listen", "nonsense"),
        ("--listen", "127.0.0.1:99999"),
        ("--listen", "127.0.0.1:0", "extra"),
        ("--listen", "127.0.0.1:0", "--tls-cert", "x"),
        ("--listen", "127.0.0.1:0", "--tls-key", "x"),
        ("--listen", "127.0.0.1:0", "--stun", "x"),
        ("--listen", "127.0.0.1:0", "--max-clients", "0"),
        ("--listen", "127.0.0.1:0", "--max-clients", "x"),
        ("--listen", "127.0.0.1:0", "--queue-packets", "70000"),
        ("--listen", "127.0.0.1:0", "--keepalive", "-1"),
        ("--listen", "127.0.0.1:0", "--hostname", ""),
        (
            "--listen",
            "127.0.0.1:0",
            "--plain-http",
            "--tls-cert",
            "x",
            "--tls-key",
            "x",
        ),
    ):
        code, out, err = run(exe, *args)
        equal((code, out), (2, ""), args)
        equal(err.count("\n"), 1, err)
        true(err.startswith("derptun-relay: "), err)


@test("help")
def t_help(exe):
    """--help and --version print and succeed"""
    code, out, err = run(exe, "--help")
    equal((code, err), (0, ""))
    true("--queue-packets" in out)
    code, out, err = run(exe, "--version")
    equal((code, err), (0, ""))
    true(out.startswith("derptun-relay "), out)


@test("bad-files")
def t_bad_files(exe):
    """unusable files: named with the reason, status 1"""
    listen = ("--listen", "127.0.0.1:0")
    with Temp() as d:
        junk = os.path.join(d, "junk.pem")
        with open(junk, "w") as f:
            f.write("not a certificate\n")
        for args, name, reason in (
            (("--tls-cert", "/nope", "--tls-key", junk), "/nope", "No such"),
            (("--tls-cert", junk, "--tls-key", "/nope"), "/nope", "No such"),
            (("--tls-cert", junk, "--tls-key", junk), junk, "malformed"),
            (("--key-file", junk), junk, "malformed"),
            (("--state-dir", junk), junk, "Not a directory"),
            (("--state-dir", d + "/a/b"), d + "/a/b", "No such"),
            (("--print", d + "/a/b"), d + "/a/b", "No such"),
            (("--hostname", "a/b"), "a/b", "malformed"),
        ):
            code, out, err = run(exe, *listen, *args)
            equal((code, out), (1, ""), args)
            true(name in err and reason in err, err)


@test("address-in-use")
def t_address_in_use(exe):
    """a taken address is said and ends with status 1"""
    with socket.create_server(("127.0.0.1", 0)) as s:
        code, _, err = run(exe, "--listen", "127.0.0.1:%d" % s.getsockname()[1])
    equal(code, 1)
    true("--listen" in err and "in use" in err, err)


@test("banner")
def t_banner(exe):
    """the printed lines fit together and the certificate can be trusted"""
    relay = Relay(exe, False)
    try:
        info = relay.info
        node = json.loads(info["derp-map"])["Regions"]["900"]["Nodes"][0]
        equal(node["HostName"], "127.0.0.1")
        equal(node["DERPPort"], relay.port)
        equal(node["STUNPort"], relay.stun_port)
        equal(node["CertName"], info["pin"])
        url = f"https://127.0.0.1:{relay.port}"
        equal(info["DERPHOLE_DERP_SERVER"], url)
        path = info["SSL_CERT_FILE"]
        equal(os.stat(path).st_mode & 0o777, 0o644)
        true(os.stat(os.path.dirname(path)).st_mode & 0o777 in (0o700, 0o711))
        with open(path) as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        digest = hashlib.sha256(der).hexdigest()
        equal(info["pin"], "sha256-raw:" + digest)
        with relay.connect() as sock:
            equal(sock.getpeercert(True), der)
            true(sock.version() in ("TLSv1.3", "TLSv1.2"))
    finally:
        code, _ = relay.stop()
    equal(code, 0)
    end = time.monotonic() + 3
    while os.path.exists(os.path.dirname(path)) and time.monotonic() < end:
        time.sleep(0.02)
    true(not os.path.exists(os.path.dirname(path)), "directory left behind")


@test("kill")
def t_kill(exe):
    """SIGKILL leaves no files behind either"""
    relay = Relay(exe, False)
    directory = os.path.dirname(relay.info["SSL_CERT_FILE"])
    true(os.path.isdir(directory))
    relay.stop(signal.SIGKILL)
    end = time.monotonic() + 3
    while os.path.exists(directory) and time.monotonic() < end:
        time.sleep(0.02)
    true(not os.path.exists(directory), "directory left behind")


@test("state-dir")
def t_state_dir(exe):
    """key and certificate survive a restart; another name gets its own"""
    with Temp() as d:
        state = os.path.join(d, "state")
        seen = []
        for name in ("localhost", "localhost", "other.example"):
            relay = Relay(
                exe, False, "--state-dir", state, "--hostname", name
            )
            try:
                info = relay.info
                equal(
                    os.path.dirname(info["SSL_CERT_FILE"]),
                    os.path.realpath(state),
                )
                true(name in info["DERPHOLE_DERP_SERVER"], info)
                relay.host, host = "127.0.0.1", relay.host
                ctx = relay.context()
                with socket.create_connection((host, relay.port)) as raw:
                    with ctx.wrap_socket(raw, server_hostname=name) as sock:
                        sock.sendall(
                            b"GET /derp HTTP/1.1\r\nHost: x\r\n"
                            b"Upgrade: DERP\r\n\r\n"
                        )
                        head = sock.recv(4096).decode("latin-1")
                key = head.split("Derp-Public-Key: ")[1][:64]
                seen.append((info["pin"], key))
            finally:
                equal(relay.stop()[0], 0)
        equal(seen[0], seen[1])
        true(seen[0][0] != seen[2][0], "same certificate")
        equal(seen[0][1], seen[2][1], "DERP key")
        for entry in os.scandir(state):
            mode = entry.stat().st_mode & 0o777
            equal(mode, 0o600 if entry.name.endswith("key") else 0o644)


@test("given-certificate")
def t_given_certificate(exe):
    """an operator's certificate is presented as it is"""
    with Temp() as d:
        state = os.path.join(d, "state")
        relay = Relay(exe, False, "--state-dir", state)
        relay.stop()
        cert = os.path.join(state, "cert-127.0.0.1.pem")
        key = os.path.join(state, "cert-127.0.0.1.key")
        given = Relay(exe, False, "--tls-cert", cert, "--tls-key", key)
        try:
            equal(given.info["pin"], relay.info["pin"])
            true("SSL_CERT_FILE" not in given.info)
            given.info["SSL_CERT_FILE"] = cert
            with Client(given) as c:
                c.ping()
        finally:
            equal(given.stop()[0], 0)


@test("print-file")
def t_print_file(exe):
    """--print writes the lines to a file"""
    with Temp() as d:
        path = os.path.join(d, "out")
        p = subprocess.Popen(
            [exe, "--listen", "127.0.0.1:0", "--plain-http", "--print", path],
            stdout=subprocess.PIPE,
        )
        try:
            end = time.monotonic() + 10
            text = ""
            while not text and time.monotonic() < end:
                time.sleep(0.02)
                if os.path.exists(path):
                    with open(path) as f:
                        text = f.read()
            true(text.startswith("listening on 127.0.0.1:"), text)
        finally:
            p.terminate()
            out, _ = p.communicate(timeout=10)
        equal((p.returncode, out), (0, b""))


@test("signals")
def t_signals(exe):
    """SIGUSR1 logs counters; SIGINT and SIGTERM end with status 0"""
    for sig in (signal.SIGTERM, signal.SIGINT):
        relay = Relay(exe, True)
        with Client(relay) as c:
            c.ping()
            relay.process.send_signal(signal.SIGUSR1)
            c.ping()
            code, err = relay.stop(sig)
            true(c.is_closed(), "client was not closed")
        equal(code, 0, err)
        true("got_ping=" in err, err)


@test("notify")
def t_notify(exe):
    """the service manager hears READY=1 and STOPPING=1"""
    with Temp() as d:
        path = os.path.join(d, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            os.chmod(path, 0o777)
            s.settimeout(5)
            relay = Relay(exe, True, env={"NOTIFY_SOCKET": path})
            equal(s.recv(100), b"READY=1")
            equal(relay.stop()[0], 0)
            equal(s.recv(100), b"STOPPING=1")


@test("socket-activation")
def t_socket_activation(exe):
    """inherited stream and datagram sockets are served"""
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    script = f"exec 3<&{tcp.fileno()} 4<&{udp.fileno()}; "
    script += 'LISTEN_FDS=2 LISTEN_PID=$$ exec "$0" --plain-http'
    relay = Relay.__new__(Relay)
    relay.plain = True
    relay.lines = []
    relay.process = subprocess.Popen(
        ["/bin/bash", "-c", script, exe],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(tcp.fileno(), udp.fileno()),
    )
    try:
        relay.read_banner()
        equal(relay.port, tcp.getsockname()[1])
        equal(relay.stun_port, udp.getsockname()[1])
        with Client(relay) as c:
            c.ping()
        tx, data = stun.request()
        reply, port = stun.ask(relay, data)
        stun.check_v4(reply, port, tx)
    finally:
        tcp.close()
        udp.close()
        equal(relay.stop()[0], 0)


@test("dual-stack")
def t_dual_stack(exe):
    """:PORT serves both families; v4 STUN clients get a v4 address"""
    relay = Relay(exe, True, listen=":0")
    try:
        tx, data = stun.request()
        reply, port = stun.ask(relay, data, "127.0.0.1")
        check = stun.check_v4
        check(reply, port, tx)
        reply, port = stun.ask(relay, data, "::1")
        equal((len(reply), reply[25]), (44, 2))
        for host in ("127.0.0.1", "::1"):
            relay.host = host
            with Client(relay) as c:
                c.ping()
            # Loopback is recognised in its v4-mapped form too.
            true(relay.counters()["derp"]["accepts"] > 0)
    finally:
        equal(relay.stop()[0], 0)


@test("max-clients")
def t_max_clients(exe):
    """connections over the limit are closed, later ones are served"""
    relay = Relay(exe, True, "--max-clients", "2")
    try:
        with Client(relay) as a, Client(relay):
            try:
                third = Client(relay)
                raise AssertionError("a third client")
            except (Closed, OSError):
                pass
            a.ping()
        end = time.monotonic() + 5
        while True:
            try:
                third = Client(relay)
                break
            except (Closed, OSError):
                true(time.monotonic() < end, "no room after two left")
        third.ping()
        third.close()
    finally:
        equal(relay.stop()[0], 0)


@test("file-limit")
def t_file_limit(exe):
    """a low limit of open files means fewer clients, said in the log"""
    script = 'ulimit -n 70; exec "$0" "$@"'
    done = subprocess.Popen(
        ["/bin/sh", "-c", script, exe, "--listen", "127.0.0.1:0", "--plain-http"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    true(done.stdout.readline().startswith(b"listening"))
    done.terminate()
    _, err = done.communicate(timeout=10)
    equal(done.returncode, 0)
    true(b"only 6 clients" in err, err)


@test("stranger-flood")
def t_stranger_flood(exe):
    """with too many silent connections the oldest is dropped"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = min(hard, 4096)
    if want < 1300:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), hard))
    relay = Relay(exe, True)
    socks = []
    try:
        for _ in range(1030):
            socks.append(relay.connect())
        with Client(relay) as c:
            c.ping()
            true(relay.derp("handshakes_evicted") >= 6)
        socks[0].settimeout(2)
        equal(socks[0].recv(1), b"", "the oldest")
    finally:
        for s in socks:
            s.close()
        equal(relay.stop()[0], 0)


def cycle(relay, i):
    """One connection, ended in one of several ways."""
    c = Client(relay, start=False)
    kind = i % 5
    if kind == 1:
        c.sock.sendall(b"GET /derp HT")
    elif kind == 2:
        c.upgrade()
    elif kind >= 3:
        c.upgrade(fast=True)
        c.login()
        c.send(c.key.public, bytes(1000))
        if kind == 4:
            c.packet()
            raw = c.sock
            raw.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
    c.close()


def settled_fds(relay):
    """Open descriptors once they have not changed for half a second."""
    seen = []
    while len(seen) < 10 or len(set(seen[-10:])) > 1:
        true(len(seen) < 200, "descriptors do not settle")
        seen.append(relay.fds())
        time.sleep(0.05)
    return seen[-1]


@test("churn")
def t_churn(exe):
    """500 connections of all fates leave nothing behind"""
    for plain in (True, False):
        relay = Relay(exe, plain)
        try:
            cycle(relay, 4)
            fds = settled_fds(relay)
            for i in range(500):
                cycle(relay, i)
            # The one that asks is counted.
            for name, want in (
                ("gauge_current_connections", 1),
                ("gauge_current_handshakes", 1),
                ("gauge_clients_total", 0),
                ("gauge_current_dup_client_keys", 0),
                ("gauge_peer_gone_watches", 0),
                ("gauge_current_home_connections", 0),
            ):
                equal(relay.wait_for(name, want), want, name)
            equal(settled_fds(relay), fds, "descriptors")
        finally:
            equal(relay.stop()[0], 0)


if __name__ == "__main__":
    sys.exit(tap.run(sys.argv[1]))
