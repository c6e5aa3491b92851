#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The words of listen, pipe, send, receive and ssh: what is asked of the
daemon, what is printed where, where bytes land, exit codes.  The test plays
daemon and worker.

Usage: cli_transfer.py derphole derptun derptunctl
"""
import base64
import json
import os
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time

from cli_lib import (
    Daemon,
    Programs,
    contains,
    done,
    equal,
    finish,
    interrupt,
    ok,
    read_line,
    run_tests,
    session_token,
)

TOKEN = "TOKEN-" + "x" * 40
PIPE_CODE = session_token(0x81)
SEND_CODE = session_token(0x88)
SSH_CODE = session_token(4)
KEY = (
    "ssh-ed25519 "
    + base64.b64encode(
        struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32)
        + b"\7" * 32
    ).decode()
)


def header_of(params):
    text = params["header"]
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    (length,) = struct.unpack(">I", raw[9:13])
    ok(raw[:9] == b"DERPHOLE1" and len(raw) == 13 + length, "a whole header")
    return json.loads(raw[13:])


class Job:
    """One command, past its request."""

    def __init__(self, p, d, *words, method="endpoint.transfer", **kw):
        self.child = p.start("derphole", *words, env=d.env, **kw)
        self.c = d.accept()
        self.params, self.fds = self.c.request(method)
        self.member = method.split(".")[0]
        minted = {"token": TOKEN} if self.member == "endpoint" else {}
        self.c.answer({self.member: 4, **minted})

    def put(self, method, **params):
        """A question to the command; its answer is the next to be read."""
        self.c.last += 1
        self.c.send({"id": self.c.last, "method": method,
                     "params": {"session": 5, **params}})

    def ask(self, method, **params):
        """The same; returns the answer and descriptors."""
        self.put(method, **params)
        return self.c.read()

    def open(self, kind, name="", size=0, blocks=False, **more):
        return self.ask("transfer.open", kind=kind, name=name, size=size,
                        blocks=blocks, verify="", **more)

    def save(self, body):
        return self.ask("transfer.save", bytes=body + 100, body=body)

    def progress(self, moved, total, written=0, final=False):
        self.c.event("progress", **{self.member: 4}, moved=moved, total=total,
                     peer_written=written, peer_elapsed_ms=500, final=final,
                     stalled=False)

    def end(self, code=0, name="OK", reason=""):
        self.c.event("ended", **{self.member: 4}, code=code, name=name,
                     reason=reason)
        for fd in self.fds:  # or our copies keep its pipes from ending
            os.close(fd)
        self.fds = []
        out = finish(self.child)
        self.c.close()
        return out


def test_listen(p, d):
    j = Job(p, d, "listen", "--force-relay")
    equal(j.params["direction"], "receive", "listen receives")
    equal((j.params["structured"], j.params["blocks"], len(j.fds)),
          (False, False, 1), "bare bytes into a pipe")
    equal(j.params["force_relay"], True, "its flag")
    equal(read_line(j.child.stderr), TOKEN, "the token is on stderr")
    os.write(j.fds[0], b"some bytes")
    os.close(j.fds.pop())
    answer, _ = j.save(10)
    ok("result" in answer, "written is saved")
    equal(j.end(), (0, "some bytes", ""), "and nothing else is printed")

    out = p.path("listen.out")
    with open(out, "wb") as f:
        f.write(b"before")
        f.flush()
        j = Job(p, d, "listen", stdout=f)
    ok(j.params["positioned"] and j.params["blocks"], "a file has positions")
    equal(j.params["offset"], 6, "and its own stays behind what is there")
    os.pwrite(j.fds[0], b"abc", 6)
    ok("result" in j.save(3)[0], "it is saved")
    equal(j.end()[0], 0, "and done")
    with open(out, "rb") as f:
        equal(f.read(), b"beforeabc", "the file")

    j = Job(p, d, "listen", "--print-token-only")
    equal(read_line(j.child.stdout), TOKEN, "the token on stdout")
    os.close(j.fds.pop())
    j.save(0)
    equal(j.end(), (0, "", ""), "no bytes are fine")


def test_pipe(p, d):
    src = p.write("pipe.in", "0123456789")
    with open(src, "rb", buffering=0) as f:
        f.seek(4)
        j = Job(p, d, "pipe", PIPE_CODE, "-P", "3", stdin=f,
                method="session.transfer")
        equal((j.params["token"], j.params["direction"]), (PIPE_CODE, "send"),
              "pipe sends")
        equal((j.params["size"], j.params["offset"], j.params["streams"]),
              (6, 4, 3), "a file from where it stands")
        equal(j.params["blocks"], False, "its bytes have no header")
        equal(os.pread(j.fds[0], 99, 4), b"456789", "the worker can read it")
        j.progress(6, 6, 6, True)
        equal(j.end(), (0, "", ""), "silent")
        equal(f.tell(), 10, "the file stands behind what was sent")
    for code, name, want in ((-1022, "PEER_ABORTED", 15),
                             (-1021, "PEER_REJECTED", 10),
                             (-1023, "PEER_GONE", 11),
                             (-1016, "TIMEOUT", 13), (-28, "ENOSPC", 14)):
        j = Job(p, d, "pipe", PIPE_CODE, method="session.transfer")
        equal(j.end(code, name, "why \x1b[0m"), (want, "", "why \\x1b[0m\n"),
              f"{name}: the reason, harmless, and its exit code")


def test_send(p, d):
    src = p.write("photo.jpg", "x" * 1500)
    j = Job(p, d, "send", src)
    equal(header_of(j.params),
          {"version": 1, "kind": "file", "name": "photo.jpg", "size": 1500},
          "of a file")
    ok(j.params["blocks"] and j.params["positioned"], "by offset")
    j.progress(1500, 1500, 1500, True)
    equal(j.end(), (0, "", 'Sending 1.5KiB file named "photo.jpg"\n'
                    "On the other machine, run:\n"
                    f"npx -y derphole@latest receive {TOKEN}\n"),
          "words for a file, no bar without a terminal")
    j = Job(p, d, "send", src, "--show-progress")
    j.c.event("ready", endpoint=4, session=5)
    j.progress(1500, 1500, 1500, True)
    contains(j.end()[2], "100%|####################| 1.5KiB/1.5KiB [",
             "a bar when asked")
    j = Job(p, d, "send", "hello world")
    equal(header_of(j.params), {"version": 1, "kind": "text"}, "of a text")
    equal(os.pread(j.fds[0], 99, 0), b"hello world", "the text itself")
    equal(j.end()[2], "On the other machine, run:\n"
          f"npx -y derphole@latest receive {TOKEN}\n"
          "Sending text message (11B)\n", "words for a text")
    j = Job(p, d, "send", "y" * 5000)
    equal(os.pread(j.fds[0], 9999, 0), b"y" * 5000, "longer than any name")
    j.end()
    os.makedirs(p.path("dir", "sub"))
    p.write("dir/sub/f", "12345")
    j = Job(p, d, "send", p.path("dir") + "/")
    h = header_of(j.params)
    equal((h["kind"], h["name"], base64.b64decode(h["metadata"])),
          ("directory_tar", "dir",
           b'{"file_count":1,"uncompressed_bytes":5}'), "of a directory")
    data = b""
    os.set_blocking(j.fds[0], True)
    while chunk := os.read(j.fds[0], 65536):
        data += chunk
    equal(len(data), h["size"], "as long as it says")
    j.progress(len(data), len(data), len(data), True)
    equal(j.end()[2], "On the other machine, run:\n"
          f"npx -y derphole@latest receive {TOKEN}\n"
          f'Sending directory ({len(data) / 1024:.1f}KiB tar) named "dir"\n',
          "words for a directory")
    j = Job(p, d, "send", "--to", PIPE_CODE, src, method="session.transfer")
    equal(j.params["token"], PIPE_CODE, "to who waits")
    equal(j.end()[2], "", "without words")
    os.symlink("f", p.path("dir", "sub", "link"))
    code, out, err = p.run("derphole", "send", p.path("dir"))
    equal((code, out), (1, ""), "a link is not sent")
    contains(err, "link", "and says so")


def begin_receive(p, d, *words, cwd):
    return Job(p, d, "receive", SEND_CODE, *words, method="session.transfer",
               cwd=cwd)


def test_receive_file(p, d):
    here = p.path("here")
    os.mkdir(here)
    j = begin_receive(p, d, cwd=here)
    equal((j.params["direction"], j.params["structured"], j.params["blocks"],
           j.fds), ("receive", True, True, []), "receive says what it takes")
    answer, fds = j.open("file", "f.bin", 5, True)
    ok(answer["result"]["positioned"], "a file takes offsets")
    ok(answer["result"]["sparse"], "and is new")
    os.pwrite(fds[0], b"12345", 0)
    os.close(fds[0])
    equal(os.listdir(here), [], "nothing is there before it is whole")
    ok("result" in j.save(5)[0], "it is saved")
    equal(os.listdir(here), ["f.bin"], "and there")
    equal(j.end(), (0, "", 'Receiving file (5B) into: "f.bin"\n'), "words")
    j = begin_receive(p, d, cwd=here)
    answer, fds = j.open("file", "f.bin", 5, True)
    equal((answer["error"]["data"]["name"], fds), ("EEXIST", []),
          "what is there stays")
    reason = answer["error"]["message"]
    equal(j.end(-17, "EEXIST", reason), (14, "", reason + "\n"),
          "said once, with an exit code")
    j = begin_receive(p, d, "-o", "new/deep/name", cwd=here)
    _, fds = j.open("file", "f.bin", 3, True)
    os.pwrite(fds[0], b"abc", 0)
    os.close(fds[0])
    j.save(3)
    contains(j.end()[2], 'into: "name"', "-o names it")
    with open(os.path.join(here, "new/deep/name"), "rb") as f:
        equal(f.read(), b"abc", "below folders that were made")
    j = begin_receive(p, d, "-o", here, cwd="/")
    _, fds = j.open("file", "g", 3, True)
    os.write(fds[0], b"ab")
    os.close(fds[0])
    contains(json.dumps(j.save(2)[0]), "TRUNCATED", "too short is not saved")
    equal(j.end(-1001, "TRUNCATED", "x")[0], 1, "and fails")
    equal(sorted(os.listdir(here)), ["f.bin", "new"], "and leaves nothing")


def test_receive_rest(p, d):
    here = p.path("rest")
    os.mkdir(here)
    j = begin_receive(p, d, cwd=here)
    _, fds = j.open("text")
    os.write(fds[0], b"no newline")
    os.close(fds[0])
    ok("result" in j.save(10)[0], "a text is saved")
    equal(j.end(), (0, "no newline", ""), "a text goes to stdout as it is")
    tar = subprocess.run(["tar", "c", "-C", p.path("dir"), "--format=ustar",
                          "--exclude=link", "sub"], stdout=subprocess.PIPE,
                         check=True).stdout
    j = begin_receive(p, d, cwd=here)
    _, fds = j.open("directory", "tree", len(tar))
    os.set_blocking(fds[0], True)
    os.write(fds[0], tar)
    os.close(fds[0])
    ok("result" in j.save(len(tar))[0], "a directory is saved")
    err = j.end()[2]
    contains(err, f'Receiving directory ({len(tar) / 1024:.1f}KiB) into: '
             '"tree"/\n', "words for a directory")
    ok(err.endswith("\n1 files, 5B (uncompressed)\n"),
       "and what was in it, when nothing was announced")
    equal(os.listdir(os.path.join(here, "tree")), ["sub"], "it is there")
    for name, files, rest in (("said", 1, ""), (
            "lied", 7, "arrived: 1 files, 5B (uncompressed)\n")):
        j = begin_receive(p, d, cwd=here)
        _, fds = j.open("directory", name, len(tar), files=files, contents=5)
        equal([read_line(j.child.stderr) for _ in range(2)],
              [f'Receiving directory ({len(tar) / 1024:.1f}KiB) into: '
               f'"{name}"/', f"{files} files, 5B (uncompressed)"],
              "what is announced is said before it comes")
        os.set_blocking(fds[0], True)
        os.write(fds[0], tar)
        os.close(fds[0])
        j.save(len(tar))
        equal(j.end()[2], rest, "what came, when that is something else")
        shutil.rmtree(os.path.join(here, name))
    j = begin_receive(p, d, "-o", "other", cwd=here)
    _, fds = j.open("directory", "x", 10240)
    # Asked first: else it may see what comes before that, and give up.
    j.put("transfer.save", bytes=700, body=600)
    os.write(fds[0], b"no tar" * 100)
    os.close(fds[0])
    ok("error" in j.c.read()[0], "no tar is refused")
    j.end(-1020, "PEER_PROTOCOL", "x")
    equal(os.listdir(here), ["tree"], "and leaves nothing")
    j = begin_receive(p, d, "-o", "/dev/null", cwd=here)
    equal(j.params["blocks"], False, "a device takes no offsets")
    answer, fds = j.open("file", "f", 3)
    equal(answer["result"]["positioned"], False, "nor does it say so")
    os.write(fds[0], b"abc")
    os.close(fds[0])
    j.save(3)
    equal(j.end()[0], 0, "but bytes")
    j = Job(p, d, "receive", cwd=here)
    equal(read_line(j.child.stderr), TOKEN, "without a code it waits")
    equal(j.end()[0], 0, "and ends")


def test_signals(p, d):
    for signo in (signal.SIGINT, signal.SIGTERM):
        j = Job(p, d, "listen")
        read_line(j.child.stderr)
        interrupt(j.child, signo)
        params, _ = j.c.request("endpoint.stop")
        equal(params, {"endpoint": 4}, "a signal stops it")
        j.c.answer()
        equal(j.end(-125, "ECANCELED"), (128 + signo, "",
                                         "context canceled\n"), "and says so")
    j = Job(p, d, "listen")
    read_line(j.child.stderr)
    interrupt(j.child)
    j.c.request("endpoint.stop")
    j.c.answer()
    equal(j.end(), (0, "", ""), "one that comes too late changes nothing")
    here = p.path("left")
    os.mkdir(here)
    j = begin_receive(p, d, cwd=here)
    _, fds = j.open("file", "f", 3, True)
    j.c.close()
    code, _, err = finish(j.child)
    equal(code, 11, "a daemon that is gone")
    contains(err, "transfer lost", "is told")
    equal(os.listdir(here), [], "nothing is left")
    os.close(fds[0])


def test_late_signals(p, d):
    here = p.path("late")
    os.mkdir(here)
    for again in (False, True):
        j = begin_receive(p, d, "-o", "f", cwd=here)
        _, fds = j.open("file", "f", 3, True)
        os.write(fds[0], b"abc")
        os.close(fds[0])
        ok("result" in j.save(3)[0], "a file is saved")
        interrupt(j.child)
        j.c.request("session.stop")
        if again:
            interrupt(j.child)
        else:
            j.c.close()
        code, _, err = finish(j.child)
        equal((code, "canceled" in err), (0, False),
              "then it is there, whatever comes")
    with open(os.path.join(here, "f"), "rb") as f:
        equal(f.read(), b"abc", "complete")
    os.unlink(os.path.join(here, "f"))
    tar = subprocess.run(["tar", "c", "-C", p.path("dir"), "--format=ustar",
                          "--exclude=link", "sub"], stdout=subprocess.PIPE,
                         check=True).stdout
    j = begin_receive(p, d, cwd=here)
    _, fds = j.open("directory", "tree", len(tar))
    j.c.send({"id": 99, "method": "transfer.save",
              "params": {"session": 5, "bytes": 1, "body": len(tar)}})
    time.sleep(0.2)
    interrupt(j.child)
    j.c.request("session.stop")
    j.c.answer()
    os.set_blocking(fds[0], True)
    os.write(fds[0], tar)
    os.close(fds[0])
    time.sleep(0.3)
    code, _, err = j.end(-125, "ECANCELED")
    equal((code, "context canceled" in err), (130, True),
          "a folder on its way is interrupted")
    equal(os.listdir(here), [], "and does not appear after that")


def test_usage(p, _):
    for words, code, text in (
        (["pipe"], 2, "'pipe' requires 1 argument(s), got 0"),
        (["pipe", "-P", "17", PIPE_CODE], 2, "parallel must be 1-16 or auto"),
        (["pipe", SEND_CODE], 1,
         "unknown session: this token is for derphole receive"),
        (["pipe", session_token(1)], 1, "external v2 transfer unsupported"),
        (["receive", PIPE_CODE], 1,
         "this code expects `derphole send`, not `derphole receive`"),
        (["receive", session_token(2)], 1, "unsupported send code"),
        (["receive", session_token(8)], 1, "unknown session"),
        (["receive", session_token(0x88, 1)], 1, "token expired"),
        (["recieve", ""], 1, "receive code is required"),
        (["rx", "a", "b"], 2, "'receive' requires 0-1 argument(s), got 2"),
        (["tx", "--qr", "a text"], 1, "--qr only supports file sends"),
        (["send", "--direct-tcp-port", "70000", "x"], 1,
         "direct TCP port 70000 must be zero or within [1,65535]"),
        (["ssh", "foo"], 2, "unknown ssh command: foo"),
        (["ssh", "accept", PIPE_CODE], 1, "unknown session"),
        (["ssh", "accept"], 2, "USAGE:"),
        (["ssh"], 0, "USAGE:"),
    ):
        got, out, err = p.run("derphole", *words)
        equal((got, out), (code, ""), f"{words[0]}: exit code {code}")
        contains(err, text, "and says why")


def peer_header(kind):
    text = json.dumps({"version": 1, "kind": kind}, separators=(",", ":"))
    return b"DERPHOLE1" + struct.pack(">I", len(text)) + text.encode()


def read_fd(fd, n):
    os.set_blocking(fd, True)
    data = b""
    while len(data) < n and (chunk := os.read(fd, n - len(data))):
        data += chunk
    return data


def invite(p, d, home, key):
    """What an invitation does with a key: exit code, stderr."""
    j = Job(p, d, "ssh", "invite", method="endpoint.share",
            stdout=subprocess.DEVNULL)
    ok(j.params["attach"], "an invitation")
    _, fds = j.c.dial()
    hello = peer_header("ssh_invite")
    equal(read_fd(fds[0], len(hello)), hello, "says what it is")
    os.write(fds[0], b"\1" + peer_header("ssh_accept") + key)
    os.close(fds[0])
    if not key.startswith(b"ssh-"):
        j.c.request("endpoint.stop")
        j.c.answer()
    code, _, err = j.end()
    return code, err.replace(home, "HOME")


def test_ssh_invite(p, d):
    home = p.path("home")
    os.mkdir(home, 0o700)
    p.env["HOME"] = home
    path = os.path.join(home, ".ssh", "authorized_keys")
    words = f"On the other machine, run:\nderphole ssh accept {TOKEN}\n"
    key = (KEY + " me@here").encode()
    equal(invite(p, d, home, key),
          (0, words + "Appended SSH public key to HOME/.ssh/"
           "authorized_keys\n"), "a key is appended")
    with open(path, "rb") as f:
        equal(f.read(), key + b"\n", "as one line")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "for its owner alone")
    equal(invite(p, d, home, key)[0], 0, "once more")
    with open(path, "rb") as f:
        equal(f.read(), key + b"\n", "is not there twice")
    code, err = invite(p, d, home, b'command="id" ' + key)
    equal(code, 1, "options are refused")
    contains(err, "invalid public key", "and told")


def test_ssh_accept(p, d):
    home = p.path("home")
    with open(os.path.join(home, ".ssh", "id.pub"), "w",
              encoding="utf-8") as f:
        f.write(KEY + " me@here\n")
    told = "Sending public key type='ssh-ed25519' keyid='me@here'\n"
    question = 'Really send public key "me@here"? [y/N] '
    equal(p.run("derphole", "ssh", "accept", SSH_CODE, stdin=b"n\n"),
          (1, "", told + question + "aborted\n"), "no is no")
    code, _, err = p.run("derphole", "ssh", "accept", SSH_CODE)
    equal(code, 1, "no answer is no answer")
    contains(err, "confirmation required; rerun with --yes", "and told")
    j = Job(p, d, "ssh", "accept", SSH_CODE, "-y", method="session.connect")
    want = peer_header("ssh_accept") + (KEY + " me@here").encode()
    equal(read_fd(j.fds[0], 1), b"\1", "opens the stream")
    ok(not select.select([j.fds[0]], [], [], 0.3)[0],
       "and waits for the greeting: who has the key may be gone at once")
    os.write(j.fds[0], peer_header("ssh_invite"))
    equal(read_fd(j.fds[0], len(want) + 1), want, "sends its key and ends")
    os.close(j.fds.pop())
    j.c.request("session.stop")
    j.c.answer()
    equal(j.end(), (0, "", told + "Public key sent.\n"),
          "done when the other side is")
    # An inviter of v0.18.2 that is gone before it has ended its side.
    j = Job(p, d, "ssh", "accept", SSH_CODE, "-y", method="session.connect")
    os.write(j.fds[0], peer_header("ssh_invite"))
    equal(read_fd(j.fds[0], len(want) + 2), b"\1" + want, "its key")
    equal(j.end(-1053, "TUNNEL_LOST", "x"),
          (0, "", told + "Public key sent.\n"), "is sent all the same")
    j = Job(p, d, "ssh", "accept", SSH_CODE, "-y", method="session.connect")
    os.write(j.fds[0], peer_header("ssh_invite"))
    equal(read_fd(j.fds[0], len(want) + 2), b"\1" + want, "its key")
    start = time.monotonic()
    j.c.event("peer-gone", session=4)
    j.c.request("session.stop")
    ok(time.monotonic() - start < 4, "whose relay says that it is gone")
    j.c.answer()
    equal(j.end(), (0, "", told + "Public key sent.\n"), "has the key")
    # One that is gone before it said anything.
    j = Job(p, d, "ssh", "accept", SSH_CODE, "-y", method="session.connect")
    equal(read_fd(j.fds[0], 1), b"\1", "opens the stream")
    equal(j.end(-1053, "TUNNEL_LOST", "why"), (11, "", told + "why\n"),
          "has no key")


def main():
    p = Programs(sys.argv[1:])
    d = Daemon(p)
    p.env["DERPTUND_SOCKET"] = d.path
    try:
        run_tests((
            test_listen,
            test_pipe,
            test_send,
            test_receive_file,
            test_receive_rest,
            test_signals,
            test_late_signals,
            test_usage,
            test_ssh_invite,
            test_ssh_accept,
        ), p, d)
    finally:
        d.close()
        p.clean()
    done()


if __name__ == "__main__":
    main()
