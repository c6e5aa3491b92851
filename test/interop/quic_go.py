#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our QUIC against quic-go over loopback UDP, both roles.

usage: quic_go.py QUIC_UDP GO_SOURCE_DIR

TAP on stdout.  Without go, or without its modules, everything is skipped.
"""

import json
import subprocess
import sys

from nacl.signing import SigningKey

import go_tools

STREAMS = 4
BYTES = 16 << 20
TIMEOUT = 150
# What quic-go calls CRYPTO_ERROR: 0x100 and the TLS alert.
CRYPTO_ERROR = 0x100
BAD_CERTIFICATE = 42
CERTIFICATE_REQUIRED = 116
NO_PROTOCOL = 120

count = 0
failed = 0


def ok(good, name, detail=None):
    global count, failed
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    if not good:
        failed += 1
        print(f"# {detail}", flush=True)
    return good


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def build_go(source):
    """Builds the Go side outside of the tree; returns its path."""
    try:
        return go_tools.build(source)
    except go_tools.NoGo as e:
        skip_all(str(e))


class Side:
    """One program of a pair, in either language."""

    def __init__(self, argv):
        self.proc = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.lines = []

    def address(self):
        line = json.loads(self.proc.stdout.readline())
        return line["addr"]

    def finish(self):
        try:
            out, _ = self.proc.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            out, _ = self.proc.communicate()
        self.lines += [json.loads(x) for x in out.splitlines() if x]
        return self.lines


class Pair:
    def __init__(self, c_prog, go_prog, c_is_server):
        self.c_prog, self.go_prog = c_prog, go_prog
        self.c_is_server = c_is_server
        self.c_key, self.go_key = SigningKey.generate(), SigningKey.generate()

    def c_argv(self, role, *more):
        return [self.c_prog, role, "--seed", bytes(self.c_key).hex(),
                "--pin", bytes(self.go_key.verify_key).hex(), *more]

    def go_argv(self, role, *more):
        return [self.go_prog, "quic-" + role,
                "-seed", bytes(self.go_key).hex(),
                "-pin", bytes(self.c_key.verify_key).hex(), *more]

    def run(self, c_more=(), go_more=()):
        if self.c_is_server:
            server = Side(self.c_argv("server", *c_more))
            client = Side(self.go_argv("client", "-addr", server.address(),
                                       *go_more))
            c, go = server, client
        else:
            server = Side(self.go_argv("server", *go_more))
            client = Side(self.c_argv("client", "--peer", server.address(),
                                      *c_more))
            c, go = client, server
        client.finish()
        if not client.lines or "streams" not in json.dumps(client.lines):
            server.proc.terminate() if self.waits(server) else None
        server.finish()
        return c.lines, go.lines

    def waits(self, server):
        """A Go server whose client was refused waits for another one."""
        try:
            server.proc.wait(timeout=3)
        except subprocess.TimeoutExpired:
            return True
        return False


def transfer(pair, name, c_more=()):
    size = ["--streams", str(STREAMS), "--bytes", str(BYTES), *c_more]
    go_size = ["-streams", str(STREAMS), "-bytes", str(BYTES)]
    c, go = pair.run(size, go_size)
    c_res = next((x for x in c if "streams" in x), None)
    go_res = next((x for x in go if "streams" in x), None)
    if not ok(c_res and go_res and c_res["ok"] and go_res["ok"],
              f"{name}: both ends finish", (c, go)):
        return
    by_id = {s["id"]: s for s in go_res["streams"]}
    good = len(c_res["streams"]) == STREAMS
    for s in c_res["streams"]:
        o = by_id.get(s["id"])
        good = (good and o is not None
                and s["sent"] == s["received"] == BYTES
                and s["sent_sha256"] == o["received_sha256"]
                and s["received_sha256"] == o["sent_sha256"])
    ok(good, f"{name}: {STREAMS} streams of {BYTES >> 20} MiB each way are "
       "the same at both ends", (c_res, go_res))
    mbps = 2 * STREAMS * BYTES * 8 / c_res["seconds"] / 1e6
    print(f"# {name}: {mbps:.0f} Mb/s, both ways together")
    last = (c if pair.c_is_server else go)[-1]
    ok(last.get("kind") == "application" and last.get("code") == 0,
       f"{name}: closed with code 0", last)


def refused(pair, name, alert, c_more=(), go_more=()):
    """One end refuses with @alert; the other must hear it."""
    c, go = pair.run(c_more, go_more)
    got = c[-1] if c else {}
    ok(got.get("kind") == "tls" and got.get("code") == alert,
       f"{name}: our end says alert {alert}", (c, go))
    told = go[-1] if go else {}
    if pair.c_is_server or told:
        ok(told.get("kind") == "transport"
           and told.get("code") == CRYPTO_ERROR + alert,
           f"{name}: the Go end says {CRYPTO_ERROR + alert:#x}", told)


def main():
    c_prog, source = sys.argv[1:3]
    go_prog = build_go(source)
    for c_is_server in (False, True):
        role = "server" if c_is_server else "client"
        pair = Pair(c_prog, go_prog, c_is_server)
        transfer(pair, f"we are {role}")
        transfer(pair, f"we are {role}, CUBIC", ["--cubic"])

        pair = Pair(c_prog, go_prog, c_is_server)
        wrong = bytes(SigningKey.generate().verify_key).hex()
        refused(pair, f"{role} pins another key", BAD_CERTIFICATE,
                c_more=["--pin", wrong])
        refused(pair, f"peer of {role} pins another key", BAD_CERTIFICATE,
                go_more=["-pin", wrong])
        refused(pair, f"{role} and another protocol", NO_PROTOCOL,
                go_more=["-alpn", "other/1"])
        if c_is_server:
            refused(pair, "no client certificate", CERTIFICATE_REQUIRED,
                    go_more=["-no-cert"])
        else:
            refused(pair, "no client certificate", CERTIFICATE_REQUIRED,
                    c_more=["--no-cert"])
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
