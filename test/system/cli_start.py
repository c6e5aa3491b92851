#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which daemon a program uses, and how it starts the user's own.  Copies of the
programs lie beside a script that plays derptund on the descriptor it is given.

Usage: cli_start.py derphole derptun derptunctl
"""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import sys
import time

from cli_lib import (
    Programs,
    contains,
    done,
    equal,
    finish,
    ok,
    own_netns,
    read_line,
    run_tests,
)

SYSTEM_SOCKET = "/run/derptund/control.sock"

# Writes down how it was started, then answers every endpoint.share.
SCRIPT = """#!/usr/bin/python3
import json, os, signal, socket, sys
here = os.path.dirname(os.path.abspath(__file__))
mode = open(os.path.join(here, "mode")).read()
fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1]
with open(os.path.join(here, "starts"), "a") as f:
    f.write(json.dumps({
        "argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid(),
        "sid": os.getsid(0), "cwd": os.getcwd(),
        "fds": fds, "stdin": os.readlink("/proc/self/fd/0"),
    }) + "\\n")
if mode == "dies":
    sys.stderr.write("first line\\nno workers here\\n")
    sys.exit(78)
if mode == "silent":
    sys.exit(3)
netns = os.stat("/proc/self/ns/net").st_ino
listener = socket.socket(fileno=3)
signal.alarm(20)
connections = []
while True:
    c = listener.accept()[0]
    connections.append(c)
    c.sendall((json.dumps({"jsonrpc": "2.0", "method": "hello", "params": {
        "protocol": 1, "version": "s", "pid": os.getpid(), "uid": 0,
        "netns": netns, "system": False}}) + "\\n").encode())
    c.settimeout(10)
    try:
        r = json.loads(c.recv(65536))
    except (OSError, ValueError):
        continue
    token = "TOKEN-%d" % os.getpid()
    c.sendall((json.dumps({"jsonrpc": "2.0", "id": r["id"],
        "result": {"endpoint": 1, "token": token}}) + "\\n").encode())
"""


def set_mode(p, mode):
    p.write("bin/mode", mode)
    if os.path.exists(p.path("bin/starts")):
        os.unlink(p.path("bin/starts"))


def starts(p):
    path = p.path("bin/starts")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def stop(p):
    """Ends the scripts that were started."""
    for s in starts(p):
        try:
            os.kill(s["pid"], signal.SIGKILL)
        except ProcessLookupError:
            pass


def own_dir(p):
    return os.path.join(p.run_dir, "derptund")


def forget(p):
    stop(p)
    shutil.rmtree(own_dir(p), ignore_errors=True)


def share(p, **kw):
    """Starts `share`; returns the program and its first line."""
    child = p.start("derphole", "share", "a:1", **kw)
    return child, read_line(child.stderr)


def kill(child):
    child.kill()
    child.communicate()


def test_start(p):
    set_mode(p, "serves")
    env = {
        "SSL_CERT_FILE": "/dev/null",
        "HTTPS_PROXY": "http://proxy.example",
        "DERPHOLE_DERP_SERVER": "https://relay.example",
        "MY_SECRET": "x",
    }
    child, line = share(p, env=env)
    s = starts(p)[0]
    equal(line, f"TOKEN-{s['pid']}", "a daemon is started and asked")
    equal(s["argv"], ["--idle-exit", "5"], "it leaves when idle")
    equal(s["env"].get("LISTEN_FDS"), "1", "LISTEN_FDS")
    equal(s["env"].get("LISTEN_PID"), str(s["pid"]), "LISTEN_PID")
    equal(
        [v for v in env if v in s["env"]], [], "nobody's settings stick to it"
    )
    equal(s["sid"], s["pid"], "a session of its own")
    equal((s["cwd"], s["stdin"]), ("/", "/dev/null"), "it holds no place")
    equal(s["fds"], [0, 1, 2, 3], "it holds no descriptors")
    st = os.stat(own_dir(p))
    equal(stat.S_IMODE(st.st_mode), 0o700, "a private directory")
    log = os.path.join(own_dir(p), "derptund.log")
    equal(stat.S_IMODE(os.stat(log).st_mode), 0o600, "a private log")
    second, line = share(p)
    equal(line, f"TOKEN-{s['pid']}", "the next program finds it")
    kill(child)
    kill(second)
    os.kill(s["pid"], signal.SIGKILL)
    third, line = share(p)
    equal(len(starts(p)), 2, "a stale socket is replaced")
    equal(line, f"TOKEN-{starts(p)[1]['pid']}", "by a new daemon")
    kill(third)
    forget(p)


def test_race(p):
    set_mode(p, "serves")
    children = [p.start("derphole", "share", "a:1") for _ in range(6)]
    lines = {read_line(c.stderr) for c in children}
    equal(len(starts(p)), 1, "six programs at once start one daemon")
    equal(len(lines), 1, "and all use it")
    for c in children:
        kill(c)
    forget(p)


def test_failures(p):
    set_mode(p, "dies")
    equal(
        p.run("derphole", "share", "a:1"),
        (1, "", "derptund did not start: no workers here\n"),
        "its last words are told",
    )
    set_mode(p, "silent")
    equal(
        p.run("derphole", "share", "a:1"),
        (1, "", "derptund did not start: exit status 3\n"),
        "or its exit status",
    )
    set_mode(p, "dies")
    # A daemon of many may not wait for one of their terminals.
    equal(
        p.run("derphole", "-v", "share", "a:1"),
        (1, "", "derptund did not start: no workers here\n"),
        "-v: our stderr is not the daemon's",
    )
    forget(p)
    os.mkdir(own_dir(p), 0o755)
    equal(
        p.run("derphole", "share", "a:1"),
        (
            1,
            "",
            f"cannot start derptund: {own_dir(p)}: "
            "not a private directory of this user\n",
        ),
        "a directory others can enter",
    )
    os.rmdir(own_dir(p))
    os.symlink(p.dir, own_dir(p))
    equal(p.run("derphole", "share", "a:1")[0], 1, "a link for a directory")
    os.unlink(own_dir(p))


def wait_for_open(pid, path):
    """Until a process has a file open."""
    folder = f"/proc/{pid}/fd"
    for _ in range(200):
        with contextlib.suppress(OSError):
            if path in [os.readlink(f"{folder}/{n}")
                        for n in os.listdir(folder)]:
                return
        time.sleep(0.05)
    raise AssertionError(f"{path} is not opened")


def test_signal(p):
    """A signal while somebody else holds the lock."""
    set_mode(p, "serves")
    child, _ = share(p)
    lock = os.open(os.path.join(own_dir(p), "lock"), os.O_RDWR)
    kill(child)
    stop(p)
    fcntl.flock(lock, fcntl.LOCK_EX)
    child = p.start("derphole", "share", "a:1")
    wait_for_open(child.pid, os.path.join(own_dir(p), "lock"))
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    equal(finish(child), (0, "", ""), "a signal while waiting for a lock")
    os.close(lock)
    forget(p)


def test_no_start(p):
    set_mode(p, "serves")
    equal(
        p.run("derptunctl", "status"),
        (1, "", "no daemon is running\n"),
        "derptunctl starts none",
    )
    equal(starts(p), [], "none at all")


def test_without_runtime_dir(p):
    set_mode(p, "serves")
    tmp = p.path("tmp")
    os.mkdir(tmp)
    child, line = share(p, env={"XDG_RUNTIME_DIR": "", "TMPDIR": tmp})
    contains(line, "TOKEN-", "without XDG_RUNTIME_DIR")
    path = os.path.join(tmp, f"derptund-{os.geteuid()}")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o700, "a private directory")
    kill(child)
    stop(p)


def test_other_netns(p):
    """A daemon of another namespace is left alone."""
    set_mode(p, "serves")
    os.mkdir(own_dir(p), 0o700)
    other = socket.socket(socket.AF_UNIX)
    other.bind(os.path.join(own_dir(p), "control.sock"))
    other.listen(4)
    child = p.start("derphole", "share", "a:1")
    hello = {"protocol": 1, "netns": 1}
    other.settimeout(10)
    c = other.accept()[0]
    line = {"jsonrpc": "2.0", "method": "hello", "params": hello}
    c.sendall(json.dumps(line).encode() + b"\n")
    contains(read_line(child.stderr), "TOKEN-", "it gets one of its own")
    path = os.path.join(own_dir(p), f"ns-{own_netns()}", "control.sock")
    ok(os.path.exists(path), "in a directory of this namespace")
    equal(c.recv(100), b"", "the other one was asked nothing")
    kill(child)
    c.close()
    other.close()
    forget(p)


def main():
    if os.path.exists(SYSTEM_SOCKET):
        print("1..0 # SKIP this machine's daemon would be used")
        sys.exit(0)
    p = Programs(sys.argv[1:])
    os.mkdir(p.path("bin"))
    for name, path in p.paths.items():
        p.paths[name] = shutil.copy(path, p.path("bin", name))
    os.chmod(p.write("bin/derptund", SCRIPT), 0o755)
    try:
        run_tests((
            test_start,
            test_race,
            test_failures,
            test_signal,
            test_no_start,
            test_without_runtime_dir,
            test_other_netns,
        ), p)
    finally:
        stop(p)
        p.clean()
    done()


main()
