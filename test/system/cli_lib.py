# SPDX-License-Identifier: BSD-3-Clause
"""TAP, tokens, child processes, and a daemon that says what a test wants."""
import array
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

LIMIT = 10  # seconds until a test gives up waiting
PROTOCOL = 1

count = 0
failed = 0


def ok(good, name):
    global count, failed
    count += 1
    failed += 0 if good else 1
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    return good


def equal(got, want, name):
    if not ok(got == want, name):
        print(f"# got  {got!r}\n# want {want!r}", flush=True)


def contains(text, part, name):
    if not ok(part in text, name):
        print(f"# {part!r} is not in {text!r}", flush=True)


def done():
    print(f"1..{count}")
    sys.exit(1 if failed else 0)


def run_tests(tests, *args):
    """Each with the same arguments; one that breaks off is a failure."""
    for test in tests:
        try:
            test(*args)
        except (OSError, ValueError, IndexError,
                subprocess.SubprocessError) as e:
            ok(False, f"{test.__name__}: {e!r}")


def session_token(capabilities=2, expires=None, version=5):
    """A session token; 2 is `share`."""
    raw = struct.pack(
        ">B16sqH32s32s32sI",
        version,
        b"\1" * 16,
        int(time.time()) + 3600 if expires is None else expires,
        1,
        b"\2" * 32,
        b"\3" * 32,
        b"\4" * 32,
        capabilities,
    )
    raw += struct.pack(">I", zlib.crc32(raw))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Programs:
    """The built programs and a private environment for them."""

    def __init__(self, argv):
        self.paths = {os.path.basename(p): os.path.abspath(p) for p in argv}
        self.dir = tempfile.mkdtemp(prefix="cli-")
        self.run_dir = os.path.join(self.dir, "run")
        os.mkdir(self.run_dir, 0o700)
        keep = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
        self.env = {k: v for k, v in os.environ.items() if k in keep}
        self.env["XDG_RUNTIME_DIR"] = self.run_dir
        self.env["TZ"] = "UTC0"

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def start(self, *words, env=None, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        argv = [self.paths.get(words[0], words[0]), *words[1:]]
        # pylint: disable-next=consider-using-with
        return subprocess.Popen(argv, env={**self.env, **(env or {})}, **kw)

    def run(self, *words, env=None, stdin=b""):
        """Returns exit code, stdout, stderr."""
        p = self.start(*words, env=env, stdin=subprocess.PIPE)
        try:
            out, err = p.communicate(stdin, LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            return "timeout", out.decode(), err.decode()
        return p.returncode, out.decode(), err.decode()

    def clean(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def finish(p):
    """Waits for a program; returns exit code, stdout, stderr."""
    try:
        out, err = p.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        return "timeout", (out or b"").decode(), (err or b"").decode()
    return p.returncode, (out or b"").decode(), (err or b"").decode()


def read_line(f):
    """One line of a pipe, within the limit."""
    line = b""
    end = time.monotonic() + LIMIT
    while not line.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([f], [], [], left)[0]:
            break
        c = os.read(f.fileno(), 1)
        if not c:
            break
        line += c
    return line.decode().rstrip("\n")


def own_netns():
    return os.stat("/proc/self/ns/net").st_ino


def is_nonblocking(fd):
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)


class Connection:
    """What a client said, and what it is told."""

    def __init__(self, sock, netns=None, system=False):
        self.sock = sock
        self.sock.settimeout(LIMIT)
        self.data = b""
        self.fds = []
        self.last = 1000
        self.notify(
            "hello",
            {
                "protocol": PROTOCOL,
                "version": "test",
                "pid": os.getpid(),
                "uid": os.geteuid(),
                "netns": own_netns() if netns is None else netns,
                "system": system,
            },
        )

    def send(self, message):
        line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
        self.sock.sendall(line.encode())

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def event(self, event, **members):
        self.notify("event", {"event": event, **members})

    def read(self):
        """One message and its descriptors; None at the end."""
        while b"\n" not in self.data:
            ints = array.array("i")
            try:
                data, anc, _, _ = self.sock.recvmsg(
                    65536, socket.CMSG_SPACE(16 * ints.itemsize)
                )
            except ConnectionResetError:
                return None, []
            for _, _, rights in anc:
                ints.frombytes(rights)
            self.fds += list(ints)
            if not data:
                return None, []
            self.data += data
        line, self.data = self.data.split(b"\n", 1)
        message = json.loads(line)
        n = message.get("fds", 0)
        mine, self.fds = self.fds[:n], self.fds[n:]
        return message, mine

    def request(self, method):
        """The next request, which must be this one: params and fds."""
        message, fds = self.read()
        got = message and message.get("method")
        if got != method:
            ok(False, f"client asks {method}, not {got}")
            return {}, fds
        self.id = message["id"]
        return message["params"], fds

    def answer(self, result=None):
        self.send({"id": self.id, "result": result or {}})

    def refuse(self, code, message, name=None):
        error = {"code": code, "message": message}
        if name:
            error["data"] = {"name": name}
        self.send({"id": self.id, "error": error})

    def dial(self):
        """Asks for a connection; returns the answer and its descriptors."""
        self.last += 1
        self.send(
            {
                "id": self.last,
                "method": "dial",
                "params": {"endpoint": 1, "session": 2, "connection": 3},
            }
        )
        return self.read()

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)


class Daemon:
    """Listens where the programs look."""

    def __init__(self, programs, name="daemon.sock"):
        self.path = programs.path(name)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(self.path)
        self.sock.listen(8)
        self.sock.settimeout(LIMIT)
        self.env = {"DERPTUND_SOCKET": self.path}

    def accept(self, **kw):
        return Connection(self.sock.accept()[0], **kw)

    def close(self):
        self.sock.close()
        os.unlink(self.path)


def interrupt(p, signo=signal.SIGINT):
    p.send_signal(signo)
