# SPDX-License-Identifier: BSD-3-Clause
"""A raw DERP client and a relay process, for tests: sockets, TLS, frames."""

import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import time

from nacl.bindings import crypto_box, crypto_box_open, crypto_scalarmult_base

SERVER_KEY, CLIENT_INFO, SERVER_INFO, SEND, RECV = 1, 2, 3, 4, 5
KEEP_ALIVE, PREFERRED, GONE, FORWARD = 6, 7, 8, 10
WATCH, CLOSE_PEER, PING, PONG = 16, 17, 18, 19
MAGIC = b"DERP\xf0\x9f\x94\x91"
DISCO = b"TS\xf0\x9f\x92\xac"


def frame(kind, payload=b""):
    return struct.pack(">BI", kind, len(payload)) + payload


def disco(tag=b""):
    """A packet that a relay takes for path discovery."""
    return DISCO + bytes(56) + tag


class Key:
    def __init__(self, private=None):
        self.private = private or os.urandom(32)
        self.public = crypto_scalarmult_base(self.private)


class Closed(Exception):
    """The relay closed the connection."""


class Relay:
    """One derptun-relay on ephemeral loopback ports."""

    def __init__(self, exe, plain, *args, env=None, listen="127.0.0.1:0"):
        cmd = [exe, "--listen", listen, "--stun", listen, *args]
        if plain:
            cmd.append("--plain-http")
        self.plain = plain
        self.lines = []
        self.process = subprocess.Popen(
            cmd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self.read_banner()

    def read_banner(self):
        self.info = {}
        for raw in self.process.stdout:
            line = raw.decode().rstrip("\n")
            self.lines.append(line)
            for sep in (": ", "=", " on "):
                if sep in line:
                    name, value = line.split(sep, 1)
                    self.info[name] = value
                    break
            if line.startswith("stun: "):
                break
        if "listening" not in self.info:
            raise RuntimeError(self.process.stderr.read().decode())
        host, port = self.info["listening"].rsplit(":", 1)
        self.port = int(port)
        self.host = "::1" if host == "[::]" else host.strip("[]")
        self.stun_port = int(self.info["stun"].rsplit(":", 1)[1])

    def context(self):
        ctx = ssl.create_default_context(cafile=self.info["SSL_CERT_FILE"])
        ctx.minimum_version = ssl.TLSVersion.TLSv1_2
        return ctx

    def connect(self, rcvbuf=None, tls=True):
        sock = socket.socket(
            socket.AF_INET6 if ":" in self.host else socket.AF_INET
        )
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(15)
        sock.connect((self.host, self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.plain or not tls:
            return sock
        return self.context().wrap_socket(sock, server_hostname=self.host)

    def http(self, request):
        """Send raw bytes, return status, lower-case fields, body."""
        sock = self.connect()
        sock.sendall(request)
        data = b""
        while True:
            try:
                got = sock.recv(65536)
            except (ConnectionError, ssl.SSLError):
                break
            if not got:
                break
            data += got
        sock.close()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        return int(lines[0].split()[1]), fields, body

    def get(self, path, method="GET", extra=""):
        text = f"{method} {path} HTTP/1.1\r\nHost: relay\r\n{extra}\r\n"
        return self.http(text.encode("latin-1"))

    def counters(self):
        status, _, body = self.get("/debug/vars")
        assert status == 200, status
        return json.loads(body)

    def derp(self, name):
        return self.counters()["derp"][name]

    def dropped(self, reason, kind="other"):
        return self.counters()["derp_packets_dropped"][reason][kind]

    def wait_for(self, name, value, seconds=5.0):
        """Poll one counter until it has a value."""
        end = time.monotonic() + seconds
        while True:
            now = self.derp(name)
            if now == value or time.monotonic() > end:
                return now
            time.sleep(0.02)

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, sig=signal.SIGTERM):
        """Returns exit status and what it logged."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            _, err = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, err = self.process.communicate()
        return self.process.returncode, err.decode()


class Client:
    """A connection that speaks DERP, or can be made to speak it badly."""

    def __init__(self, relay, key=None, rcvbuf=None, start=True, fast=False):
        self.key = key or Key()
        self.relay = relay
        self.buf = b""
        self.sock = relay.connect(rcvbuf)
        self.server = None
        self.server_info = None
        if start:
            self.upgrade(fast)
            self.login()

    def upgrade_request(self, value="DERP", host="relay", extra="", fast=False):
        text = f"GET /derp HTTP/1.1\r\nHost: {host}\r\n"
        text += f"Connection: Upgrade\r\n{extra}"
        if fast:
            text += "Derp-Fast-Start: 1\r\n"
        if value is not None:
            text += f"Upgrade: {value}\r\n"
        return (text + "\r\n").encode()

    def upgrade(self, fast=False, **kw):
        self.sock.sendall(self.upgrade_request(fast=fast, **kw))
        if not fast:
            self.read_head()
        self.read_server_key()

    def read_head(self):
        while b"\r\n\r\n" not in self.buf:
            self.fill()
        head, _, self.buf = self.buf.partition(b"\r\n\r\n")
        self.head = head.decode()
        if not self.head.startswith("HTTP/1.1 101 "):
            raise AssertionError(self.head)

    def read_server_key(self):
        kind, payload = self.read()
        assert kind == SERVER_KEY and payload[:8] == MAGIC, (kind, payload)
        assert len(payload) == 40
        self.server = payload[8:]

    def client_info(self, text=b'{"version":2,"CanAckPings":true}', nonce=None):
        nonce = nonce or os.urandom(24)
        box = crypto_box(text, nonce, self.server, self.key.private)
        return frame(CLIENT_INFO, self.key.public + nonce + box)

    def read_server_info(self):
        kind, payload = self.read()
        assert kind == SERVER_INFO, kind
        self.server_info = crypto_box_open(
            payload[24:], payload[:24], self.server, self.key.private
        )

    def login(self, **kw):
        self.sock.sendall(self.client_info(**kw))
        self.read_server_info()

    def fill(self):
        try:
            data = self.sock.recv(262144)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        if not data:
            raise Closed
        self.buf += data

    def read(self, timeout=None):
        """The next frame; TimeoutError when there is none in time."""
        self.sock.settimeout(timeout or 15)
        while True:
            if len(self.buf) >= 5:
                kind, size = struct.unpack(">BI", self.buf[:5])
                if len(self.buf) >= 5 + size:
                    payload = self.buf[5 : 5 + size]
                    self.buf = self.buf[5 + size :]
                    return kind, payload
            self.fill()

    def try_read(self, timeout=0.3):
        """The next frame, or None."""
        try:
            return self.read(timeout)
        except TimeoutError:
            return None

    def read_kind(self, kind, timeout=15):
        """The next frame of one kind, others skipped."""
        end = time.monotonic() + timeout
        while True:
            got, payload = self.read(max(0.01, end - time.monotonic()))
            if got == kind:
                return payload

    def packet(self, timeout=15):
        payload = self.read_kind(RECV, timeout)
        return payload[:32], payload[32:]

    def write(self, data):
        self.sock.settimeout(15)
        self.sock.sendall(data)

    def send(self, dst, data):
        self.write(frame(SEND, dst + data))

    def ping(self, data=b"12345678", timeout=15):
        """A round trip: all that was sent before has been dealt with."""
        self.write(frame(PING, data))
        assert self.read_kind(PONG, timeout) == data[:8]

    def is_closed(self, timeout=8.0):
        """Does the relay close within this time?  Less than 10 s: then it
        closes whoever has not logged in."""
        end = time.monotonic() + timeout
        try:
            while True:
                self.read(max(0.01, end - time.monotonic()))
        except Closed:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

