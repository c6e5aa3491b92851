#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What derphole, derptun and derptunctl do without a daemon: help, usage
errors, credentials.  Texts and exit codes are those of peer v0.18.2.

Usage: cli_offline.py derphole derptun derptunctl
"""
import json
import os
import sys
import time

from cli_lib import (
    Programs,
    contains,
    done,
    equal,
    ok,
    session_token,
)

ONE_SOURCE = (
    "exactly one of --token, --token-file, or --token-stdin is required"
)
ONE_AT_MOST = (
    "at most one of --token, --token-file, or --token-stdin may be set"
)
ONE_LEVEL = "only one of --verbose, --quiet, or --silent may be set"
BAD_TIMEOUT = "timeout must be a positive duration"

# Command line, exit code, first line on stderr, is help shown after it?
USAGE = [
    ("derphole", 0, None, True),
    ("derphole -h", 0, None, True),
    ("derphole --help", 0, None, True),
    ("derphole help", 0, None, True),
    ("derphole help share", 0, None, True),
    ("derphole help share x y", 0, None, True),
    ("derphole help nope", 2, "unknown command: nope", False),
    ("derphole --help share", 2, "unknown flag: --help", True),
    ("derphole -help", 2, "unknown flag: -help", True),
    ("derphole -- share x", 2, "unknown flag: --", True),
    ("derphole nope", 2, "unknown command: nope", False),
    ("derphole --nope", 2, "unknown flag: --nope", True),
    ("derphole -v -q version", 2, ONE_LEVEL, False),
    ("derphole share -v -s x", 2, ONE_LEVEL, False),
    ("derphole share --help", 0, None, True),
    ("derphole share a b --nope -h", 0, None, True),
    ("derphole share", 2, "'share' requires 1 argument(s), got 0", True),
    ("derphole share -nope a", 2, "unknown flag: --nope", True),
    ("derphole share a -- b", 2, None, True),
    ("derphole open", 2, "'open' requires 1-2 argument(s), got 0", True),
    ("derphole open t -P 17", 2, "parallel must be 1-16 or auto", True),
    ("derphole open t -P x", 2, "parallel must be 1-16 or auto", True),
    ("derphole open t -P4", 2, "unknown flag: --P4", True),
    ("derphole netcheck -h", 0, None, True),
    ("derphole help netcheck", 0, None, True),
    ("derphole netcheck x", 2, None, True),
    ("derphole netcheck --nope", 2, "unknown flag: --nope", True),
    ("derphole netcheck --json --timeout nope", 2, BAD_TIMEOUT, True),
    ("derphole netcheck --timeout=", 2, BAD_TIMEOUT, True),
    ("derphole netcheck --timeout", 2, BAD_TIMEOUT, True),
    ("derphole netcheck --timeout 0s", 2, BAD_TIMEOUT, True),
    ("derphole netcheck --timeout=-5s", 2, BAD_TIMEOUT, True),
    ("derphole netcheck --timeout 5", 2, BAD_TIMEOUT, True),
    (
        "derphole netcheck --stun [::1]:3478",
        2,
        'invalid STUN server "[::1]:3478": use HOST:PORT',
        True,
    ),
    (
        "derphole netcheck" + " --stun a:1" * 9,
        2,
        "more than 8 times: --stun",
        True,
    ),
    ("derptun netcheck --timeout nope", 2, BAD_TIMEOUT, True),
    ("derptun", 0, None, True),
    ("derptun help", 0, None, True),
    ("derptun help serve", 2, "unknown command: help", False),
    ("derptun --help-llm", 2, "unknown flag: --help-llm", True),
    ("derptun token", 2, None, True),
    ("derptun token --help", 0, None, True),
    ("derptun token nope", 2, None, True),
    ("derptun token server x", 2, None, True),
    ("derptun token server --token x", 2, "unknown flag: --token", True),
    ("derptun token client", 2, ONE_SOURCE, True),
    ("derptun serve", 2, None, True),
    ("derptun serve --tcp", 2, None, True),
    ("derptun serve --tcp a:1 --token a --token-stdin", 2, ONE_AT_MOST, True),
    ("derptun open", 2, ONE_SOURCE, True),
    ("derptun open x", 2, None, True),
    ("derptun open --token a --token-stdin", 2, ONE_SOURCE, True),
    ("derptun connect --token x", 2, None, True),
    ("derptun connect --stdio", 2, ONE_SOURCE, True),
    ("derptunctl show x", 2, "show takes the id of a session", True),
    ("derptunctl why 0", 2, "why takes the id of a session", True),
    ("derptunctl list x", 2, "list takes sessions or endpoints", True),
    (
        "derptunctl stop session",
        2,
        "stop takes daemon, session ID or endpoint ID",
        True,
    ),
]


def test_usage(p):
    for line, code, message, has_help in USAGE:
        got, out, err = p.run(*line.split())
        lines = err.splitlines()
        equal(got, code, f"{line}: exit code")
        equal(out, "", f"{line}: stdout is empty")
        if message is not None:
            equal(lines[:1], [message], f"{line}: message")
        equal("USAGE:" in lines, has_help, f"{line}: help or none")
    _, _, err = p.run("derphole", "nope")
    contains(err, "Run 'derphole --help' for usage\n", "unknown command")
    _, _, err = p.run("derphole", "--help-llm")
    contains(err, "# derphole CLI Reference", "help as Markdown")


def test_version(p):
    for name in ("derphole", "derptun", "derptunctl"):
        for words in ([], ["-v"], ["--help"], ["x", "--nope"]):
            code, out, err = p.run(name, "version", *words)
            ok(
                code == 0 and err == "" and out[0] == "v" and "\n" == out[-1],
                f"{name} version {words}",
            )


def test_token_errors(p):
    """derphole says 1 for bad tokens, derptun 2; one line, nothing more."""
    now = int(time.time())
    good = session_token()
    rows = [
        ("token expired", session_token(expires=now - 1)),
        ("token checksum mismatch", good[:-3] + "AAA"),
        ("token invalid length", good[:-4]),
        ("token unsupported version", session_token(version=4)),
        ("illegal base64 data at input byte 2", "ab!d"),
        (
            "unknown session: this token is for derphole receive",
            session_token(0x88),
        ),
        (
            "unknown session: this token is for derphole pipe or send",
            session_token(0x81),
        ),
        (
            "unknown session: this token is for derphole ssh accept",
            session_token(4),
        ),
        (
            "token unsupported version: this is a derptun server token",
            "dts1_abc",
        ),
    ]
    for message, token in rows:
        equal(
            p.run("derphole", "open", token),
            (1, "", message + "\n"),
            f"derphole open: {message}",
        )
    server = p.run("derptun", "token", "server")[1].strip()
    client = p.run("derptun", "token", "client", "--token", server)[1].strip()
    rows = [
        (
            "server tokens are for derptun serve; use a client token or copy "
            "the command printed by derptun serve",
            server,
        ),
        ("invalid derptun token: this is a session token", good),
        ("invalid derptun token", client[:-1]),
        ("invalid derptun token", client[:10] + client[10:].lower()),
        ("invalid derptun token", "x"),
    ]
    for message, token in rows:
        for words in (["open"], ["connect", "--stdio"]):
            equal(
                p.run("derptun", *words, "--token", token),
                (2, "", message + "\n"),
                f"derptun {words[0]}: {message[:30]}",
            )
    equal(
        p.run("derptun", "serve", "--tcp", "a:1", "--token", client),
        (1, "", "invalid derptun token: this is a derptun client token\n"),
        "derptun serve with a client token",
    )
    equal(
        p.run("derptun", "serve", "--tcp", "a:1", "--token", "x"),
        (1, "", "invalid derptun token\n"),
        "derptun serve with no token at all",
    )
    end = int(time.time()) + 4
    short = p.run("derptun", "token", "server", "--expires", iso(end))[
        1
    ].strip()
    time.sleep(max(end + 1 - time.time(), 0))
    equal(
        p.run("derptun", "serve", "--tcp", "a:1", "--token", short),
        (1, "", "derptun token expired\n"),
        "an expired server token",
    )


def iso(unix):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))


def first(err):
    return err.splitlines()[0] if err else ""


def test_token_files(p):
    server = p.run("derptun", "token", "server")[1].strip()
    ok(server.startswith("dts1_"), "a server token")
    path = p.write("server.dts", f"\n  {server} \n\n")
    code, out, err = p.run("derptun", "token", "client", "--token-file", path)
    ok(code == 0 and err == "" and out.startswith("DT1"), "from a file")
    equal(len(out), 283, "a client token and its newline")
    code, out, err = p.run(
        "derptun",
        "token",
        "client",
        "--token-stdin",
        stdin=(server + "\nrest\n").encode(),
    )
    ok(code == 0 and err == "" and len(out) == 283, "from stdin")
    pasted = f"derptun serve --tcp x --token={server}"
    code, out, err = p.run("derptun", "token", "client", "--token", pasted)
    ok(code == 0 and len(out) == 283, "from a pasted line")
    big = p.write("big", "x" * 20000)
    empty = p.write("empty", " \n")
    missing = p.path("missing")
    for where, message in [
        (empty, "--token-file is empty"),
        (big, "--token-file is too long"),
        ("/dev/zero", "--token-file is too long"),
        (
            missing,
            f"read --token-file: open {missing}: no such file or directory",
        ),
        (p.dir, f"read --token-file: read {p.dir}: is a directory"),
    ]:
        code, out, err = p.run(
            "derptun", "token", "client", "--token-file", where
        )
        equal((code, out, first(err)), (2, "", message), message[:40])
    code, out, err = p.run("derptun", "token", "client", "--token-stdin")
    equal((code, first(err)), (2, "--token-stdin is empty"), "empty stdin")
    code, _, err = p.run(
        "derptun", "token", "client", "--token-stdin", stdin=b"x" * 20000
    )
    equal((code, first(err)), (2, "--token-stdin is too long"), "long stdin")


def test_expiry(p):
    day = 86400
    now = int(time.time())

    def server(*words):
        return p.run("derptun", "token", "server", "--json", *words)

    for words, want in [
        ([], now + 180 * day),
        (["--days", "0"], now + 180 * day),
        (["--days=5"], now + 5 * day),
        (["--expires", "2099-01-01"], 4070908800),
        (["--expires", "2099-01-01T00:00:00+01:00"], 4070905200),
        (["--expires", "2099-01-01", "--days", "-3"], 4070908800),
    ]:
        code, out, _ = server(*words)
        at = int(out.split('"expires_unix": ')[1].split("\n")[0].rstrip(","))
        ok(code == 0 and abs(at - want) <= 5, f"token server {words}")
    for words, code, message in [
        (["--days", "-1"], 1, "days must be at least 1"),
        (["--expires", "2020-01-01"], 1, "expiry must be in the future"),
        (
            ["--expires", "x"],
            2,
            'invalid --expires value "x"; use RFC3339 or YYYY-MM-DD',
        ),
        (
            ["--days", "x"],
            2,
            'invalid int value "x": strconv.ParseInt: parsing "x": '
            "invalid syntax",
        ),
    ]:
        got, out, err = server(*words)
        equal((got, out, first(err)), (code, "", message), message[:40])
        equal("USAGE:" in err, code == 2, "help or none")
    token = p.run("derptun", "token", "server", "--days", "5")[1].strip()
    for words in (["--days", "90"], ["--expires", "2099-01-01"]):
        equal(
            p.run("derptun", "token", "client", "--token", token, *words),
            (1, "", "client expiry exceeds server expiry\n"),
            "90 days under a server of 5",
        )
    code, out, _ = p.run(
        "derptun", "token", "client", "--token", token, "--json"
    )
    ends = json.loads(out)["expires_unix"] - time.time()
    ok(code == 0 and 4.9 < ends / 86400 < 5.1, "what is left of it, unasked")
    code, out, _ = p.run(
        "derptun", "token", "client", "--token", token, "--days", "4"
    )
    ok(code == 0 and out.startswith("DT1"), "4 days under a server of 5")


def test_relay_settings(p):
    """Found wrong before a daemon is looked for: there is none to find."""
    server = {"DERPHOLE_DERP_SERVER": "https://relay.example:8443/derp"}
    code, out, _ = p.run("derptun", "token", "server", env=server)
    ok(code == 0 and out.startswith("dts2_"), "a route makes dts2_")
    token = out.strip()
    code, out, _ = p.run("derptun", "token", "client", "--token", token)
    ok(code == 0 and out.startswith("DT2"), "and its clients DT2")
    bad = {"DERPHOLE_DERP_SERVER": "http://x"}
    message = "invalid DERPHOLE_DERP_SERVER: scheme must be https\n"
    for words in (
        ["derptun", "token", "server"],
        ["derptun", "serve", "--tcp", "a:1"],
        ["derphole", "share", "a:1"],
    ):
        equal(p.run(*words, env=bad), (1, "", message), " ".join(words))
    code, _, err = p.run("derphole", "share", "a:1", "--derp-pin", "x")
    equal(code, 2, "a bad pin")
    contains(err, "--derp-pin must be sha256-raw:", "its message")
    path = p.write("map", "[]")
    code, _, err = p.run("derphole", "share", "a:1", "--derp-map", path)
    equal((code, err), (1, f"--derp-map: {path}: not a JSON object\n"), "map")
    path = p.write("map", '{"a":"' + "x" * 49152 + '"}')
    code, _, err = p.run("derphole", "share", "a:1", "--derp-map", path)
    equal(
        (code, err), (1, f"--derp-map: {path}: larger than 48 KiB\n"), "large"
    )
    code, _, err = p.run(
        "derphole", "share", "a:1", env={"SSL_CERT_FILE": p.path("missing")}
    )
    equal(code, 1, "a missing CA file")
    contains(err, "SSL_CERT_FILE: ", "its message")
    for target in ("3000", "a", "a:0", "a:70000", "a:b:1"):
        equal(
            p.run("derphole", "share", target),
            (2, "", f'invalid target "{target}": use HOST:PORT\n'),
            f"target {target}",
        )


def test_output(p):
    """A full disk is not success."""
    with open("/dev/full", "wb") as full:
        for words in (["version"], ["token", "server"]):
            child = p.start("derptun", *words, stdout=full)
            _, err = child.communicate(timeout=10)
            equal(child.returncode, 14, f"{words} on a full disk")
            contains(err.decode(), "write stdout: ", "its message")
    r, w = os.pipe()
    os.close(r)
    child = p.start("derptun", "version", stdout=w)
    os.close(w)
    child.communicate(timeout=10)
    equal(child.returncode, 14, "a reader that is gone")


def main():
    p = Programs(sys.argv[1:])
    try:
        test_usage(p)
        test_version(p)
        test_token_errors(p)
        test_token_files(p)
        test_expiry(p)
        test_relay_settings(p)
        test_output(p)
    finally:
        p.clean()
    done()


main()
