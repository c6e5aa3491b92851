#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`derptun connect --stdio`: every kind of stdin and stdout, half-close,
back-pressure, ends, and that the user's descriptors stay as they were.  The
test plays the worker on the descriptors the client passes.

Usage: cli_stdio.py derphole derptun derptunctl
"""
import json
import os
import pty
import select
import signal
import socket
import stat
import sys
import termios
import time
import tty

from cli_lib import (
    LIMIT,
    Daemon,
    Programs,
    contains,
    done,
    equal,
    finish,
    is_nonblocking,
    ok,
    run_tests,
)

# More than all buffers on the way together.
BIG = 4 << 20


class Tunnel:
    """One `connect`, past its request."""

    def __init__(self, p, d, token, *words, **kw):
        self.child = p.start(
            "derptun", "connect", "--stdio", *token, *words, env=d.env, **kw
        )
        self.c = d.accept()
        self.params, fds = self.c.request("session.connect")
        self.stdin, self.stdout = fds[:2]
        self.more = fds[2:]
        self.c.answer({"session": 4})

    def read_all(self):
        """What a worker would read, to the end."""
        data = b""
        while select.select([self.stdin], [], [], LIMIT)[0]:
            chunk = os.read(self.stdin, 65536)
            if not chunk:
                return data
            data += chunk
        return None

    def write(self, data):
        """As a worker: waits when nothing fits."""
        while data:
            if not select.select([], [self.stdout], [], LIMIT)[1]:
                return False
            data = data[os.write(self.stdout, data[:65536]) :]
        return True

    def close_stdout(self):
        os.close(self.stdout)
        self.stdout = -1

    def close_fds(self):
        for fd in (self.stdin, self.stdout):
            if fd >= 0:
                os.close(fd)
        self.stdin = self.stdout = -1

    def end(self, name="OK", reason="done"):
        """The worker is gone, and the session is over."""
        self.close_fds()
        self.c.event("stream-end", session=4)
        self.c.event("ended", session=4, code=-1, name=name, reason=reason)

    def finish(self):
        result = finish(self.child)
        self.c.close()
        return result


def test_pipes(p, d, token):
    in_r, in_w = os.pipe()
    out_r, out_w = os.pipe()
    t = Tunnel(p, d, token, stdin=in_r, stdout=out_w)
    equal(t.params["token"], token[1], "connect: its token")
    ok(is_nonblocking(t.stdin), "the worker's stdin does not block")
    ok(is_nonblocking(t.stdout), "the worker's stdout does not block")
    ok(
        not is_nonblocking(in_r) and not is_nonblocking(out_w),
        "the user's do",
    )
    ok(stat.S_ISFIFO(os.fstat(t.stdin).st_mode), "a pipe is passed itself")
    os.close(out_w)
    os.write(in_w, b"request")
    os.close(in_w)
    equal(t.read_all(), b"request", "stdin to its end")
    t.write(b"answer after the end of stdin")
    t.close_stdout()
    equal(
        os.read(out_r, 100) + os.read(out_r, 100),
        b"answer after the end of stdin",
        "stdout, and its end before the session's",
    )
    t.end()
    equal(t.finish()[0::2], (0, ""), "a clean end")
    ok(not is_nonblocking(in_r), "the user's stdin still blocks")
    os.close(in_r)
    os.close(out_r)


def test_file_in(p, d, token):
    path = p.write("input", "x" * BIG)
    with open(path, "rb") as f:
        f.seek(BIG - 200000)
        t = Tunnel(p, d, token, stdin=f)
        data = t.read_all()
        equal(len(data or b""), 200000, "a file from its offset to its end")
        ok(not is_nonblocking(f.fileno()), "the file is as it was")
        t.end()
        equal(t.finish(), (0, "", ""), "a clean end")


def test_null_in(p, d, token):
    t = Tunnel(p, d, token)
    equal(t.read_all(), b"", "/dev/null ends at once")
    t.write(b"pure")
    t.end()
    equal(t.finish(), (0, "pure", ""), "stdout is the peer's bytes only")


def test_file_out(p, d, token):
    path = p.write("output", "kept\n")
    with open(path, "ab") as f:
        t = Tunnel(p, d, token, stdout=f)
        t.write(b"y" * BIG)
        t.end()
        equal(t.finish()[0], 0, "a file")
    with open(path, "rb") as f:
        equal(f.read(), b"kept\n" + b"y" * BIG, "appended, all of it")


def test_sockets(p, d, token):
    user, child_end = socket.socketpair()
    t = Tunnel(p, d, token, stdin=child_end, stdout=child_end)
    user.sendall(b"request")
    user.shutdown(socket.SHUT_WR)
    equal(t.read_all(), b"request", "a socket as stdin, half-closed")
    ok(not is_nonblocking(child_end.fileno()), "the socket still blocks")
    t.write(b"answer")
    t.close_stdout()
    user.settimeout(LIMIT)
    equal(user.recv(100), b"answer", "the same socket as stdout")
    equal(user.recv(100), b"", "and half-closed the other way")
    t.end()
    equal(t.finish()[0], 0, "a clean end")
    user.close()
    child_end.close()


def fill(fd):
    """Writes until nothing fits for a while; returns how much went."""
    sent = 0
    while select.select([], [fd], [], 0.3)[1] and sent < 16 * BIG:
        sent += os.write(fd, b"z" * 65536)
    return sent


def read_to_end(read):
    total = 0
    while True:
        chunk = read(65536)
        if not chunk:
            return total
        total += len(chunk)


def test_slow_reader(p, d, token):
    """A reader that sleeps stops the worker, and loses nothing."""
    user, child_end = socket.socketpair()
    out_r, out_w = os.pipe()
    for name, stdout, read in (
        ("socket", child_end, user.recv),
        ("pipe", out_w, lambda n: os.read(out_r, n)),
    ):
        t = Tunnel(p, d, token, stdout=stdout)
        if name == "socket":
            child_end.close()
        else:
            os.close(out_w)
        sent = fill(t.stdout)
        ok(0 < sent < BIG, f"{name}: a sleeping reader stops the worker")
        t.end()
        if name == "socket":
            time.sleep(1)
            ok(t.child.poll() is None, "it stays until all is written")
        equal(read_to_end(read), sent, f"{name}: every byte comes")
        equal(t.finish()[0], 0, f"{name}: a clean end")
    user.close()
    os.close(out_r)


def test_slow_worker(p, d, token):
    """A worker that does not read stops the user."""
    user, child_end = socket.socketpair()
    t = Tunnel(p, d, token, stdin=child_end)
    child_end.close()
    sent = fill(user.fileno())
    ok(0 < sent < BIG, "a worker that sleeps stops the user")
    user.close()
    equal(len(t.read_all() or b""), sent, "every byte comes")
    t.end()
    equal(t.finish()[0], 0, "a clean end")


def test_reader_gone(p, d, token):
    user, child_end = socket.socketpair()
    t = Tunnel(p, d, token, stdout=child_end)
    child_end.close()
    user.close()
    t.write(b"x" * 1000)
    equal(
        t.c.request("session.stop")[0], {"session": 4}, "it stops its session"
    )
    t.end("CLOSED", "stopped")
    code, _, err = t.finish()
    equal(code, 14, "a reader that is gone")
    contains(err, "write stdout: ", "says so")
    with open("/dev/full", "wb") as full:
        t = Tunnel(p, d, token, stdout=full)
        t.write(b"x" * 1000)
        t.c.request("session.stop")
        t.end("CLOSED", "stopped")
        equal(t.finish()[0], 14, "a full disk")


def test_stdin_broken(p, d, token):
    fd = os.open(p.dir, os.O_RDONLY)
    child = p.start("derptun", "connect", "--stdio", *token, env=d.env,
                    stdin=fd)
    os.close(fd)
    c = d.accept()
    for fd in c.request("session.connect")[1]:
        os.close(fd)
    code, _, err = finish(child)
    c.close()
    equal(code, 14, "a directory as stdin")
    contains(err, "read stdin: ", "says so")


def test_terminal(p, d, token):
    master, slave = pty.openpty()
    tty.setraw(slave)
    before = termios.tcgetattr(slave)
    t = Tunnel(p, d, token, stdin=slave, stdout=slave)
    os.write(master, b"typed")
    ok(select.select([t.stdin], [], [], LIMIT)[0], "a terminal is passed")
    equal(os.read(t.stdin, 100), b"typed", "what is typed comes")
    t.write(b"shown")
    equal(os.read(master, 100), b"shown", "what comes is shown")
    ok(not is_nonblocking(slave), "the terminal still blocks")
    equal(termios.tcgetattr(slave), before, "and has its settings")
    t.end()
    equal(t.finish()[0], 0, "a clean end")
    os.close(master)
    os.close(slave)


def test_token_stdin(p, d, token):
    in_r, in_w = os.pipe()
    os.write(in_w, token[1].encode() + b"\npayload\nmore")
    os.close(in_w)
    t = Tunnel(p, d, ["--token-stdin"], stdin=in_r)
    os.close(in_r)
    equal(t.params["token"], token[1], "the first line is the token")
    equal(t.read_all(), b"payload\nmore", "the rest is payload")
    t.end()
    equal(t.finish(), (0, "", ""), "a clean end")


def test_ends(p, d, token):
    for name, reason, code in [
        ("STREAM_RESET", "stream was reset", 15),
        ("BACKEND_REFUSED", "backend refused the connection", 15),
        ("PEER_GONE", "peer is gone", 11),
        ("PEER_REJECTED", "session already claimed", 10),
        ("EPIPE", "Broken pipe", 14),
    ]:
        t = Tunnel(p, d, token)
        t.write(b"begun")
        t.end(name, reason)
        equal(t.finish(), (code, "begun", reason + "\n"), f"ended {name}")
    t = Tunnel(p, d, token)
    t.c.close()
    t.close_fds()
    equal(
        t.finish(),
        (11, "", "tunnel lost: derptund is gone\n"),
        "the daemon is gone",
    )
    for signo in (signal.SIGINT, signal.SIGTERM):
        t = Tunnel(p, d, token)
        t.c.event("relay", session=4)
        time.sleep(0.2)
        t.child.send_signal(signo)
        equal(t.c.request("session.stop")[0], {"session": 4}, "asks to stop")
        t.end("CLOSED", "stopped")
        equal(t.finish(), (0, "", ""), f"signal {signo}")


def test_words(p, d, token):
    t = Tunnel(p, d, token, "-v", "--force-relay")
    ok(t.params["force_relay"], "--force-relay")
    for name in ("claimed", "relay", "direct"):
        t.c.event(name, session=4)
    t.end()
    equal(
        t.finish(),
        (
            0,
            "",
            "probing-direct\nconnected-relay\nconnected-direct\n"
            "stream-complete\n",
        ),
        "connect -v",
    )
    t = Tunnel(p, d, token, "--json")
    t.c.event("relay", session=4)
    t.write(b"pure")
    t.end()
    code, out, err = t.finish()
    events = [json.loads(line)["event"] for line in err.splitlines()]
    equal((code, out), (0, "pure"), "connect --json: stdout stays pure")
    equal(events, ["relay", "stream-end", "ended"], "events on stderr")


def test_ca_file(p, d, token):
    ca = p.write("ca.pem", "CA")
    env = {**d.env, "SSL_CERT_FILE": ca}
    child = p.start("derptun", "connect", "--stdio", *token, env=env)
    c = d.accept()
    params, fds = c.request("session.connect")
    equal(params["relay"], {"ca_fd": 2}, "the CA file is the third")
    equal(os.read(fds[2], 10), b"CA", "it rides along")
    for fd in fds:
        os.close(fd)
    child.kill()
    child.communicate()
    c.close()


def main():
    p = Programs(sys.argv[1:])
    d = Daemon(p)
    server = p.run("derptun", "token", "server")[1].strip()
    client = p.run("derptun", "token", "client", "--token", server)[1].strip()
    token = ["--token", client]
    try:
        run_tests((
            test_pipes,
            test_file_in,
            test_null_in,
            test_file_out,
            test_sockets,
            test_slow_reader,
            test_slow_worker,
            test_reader_gone,
            test_stdin_broken,
            test_terminal,
            test_token_stdin,
            test_ends,
            test_words,
            test_ca_file,
        ), p, d, token)
    finally:
        d.close()
        p.clean()
    done()


main()
