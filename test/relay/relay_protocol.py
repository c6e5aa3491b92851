# SPDX-License-Identifier: BSD-3-Clause
"""HTTP, handshake and frames of derptun-relay.

usage: relay_protocol.py RELAY tls|plain
"""

import json
import os
import struct
import sys
import tempfile
import time

import tap
from tap import equal, test, true

tap.need_nacl()
from derp import (  # noqa: E402
    CLIENT_INFO,
    CLOSE_PEER,
    FORWARD,
    GONE,
    MAGIC,
    PING,
    PONG,
    PREFERRED,
    RECV,
    SEND,
    SERVER_INFO,
    SERVER_KEY,
    WATCH,
    Client,
    Closed,
    Key,
    Relay,
    disco,
    frame,
)

# Keys and frames of a known exchange with the reference implementation.
CLIENT = Key(b"\x00" + bytes(range(0x02, 0x20)) + b"\x60")
SERVER = Key(bytes(range(0x40, 0x60)))
NONCE = bytes(range(0xA0, 0xB8))
CLIENT_BOX = bytes.fromhex(
    "d091f5904fb1485a2783bbf0aafa397aceed23792e9bd5c9928be7033904d23f"
    "f1f1c05bf0ff70315d0f0ac5dd60b4fe"
)
CLIENT_PUBLIC = bytes.fromhex(
    "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
)
SERVER_PUBLIC = bytes.fromhex(
    "79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a"
)


@test("vectors")
def t_vectors(relay):
    """known keys and nonce give the known bytes"""
    equal(CLIENT.public, CLIENT_PUBLIC, "client key")
    with Client(relay, CLIENT, start=False) as c:
        c.sock.sendall(c.upgrade_request(fast=True))
        equal(
            raw(c, 45),
            bytes.fromhex("0100000028") + MAGIC + SERVER_PUBLIC,
            "ServerKey",
        )
        c.server = SERVER_PUBLIC
        info = c.client_info(nonce=NONCE)
        equal(
            info,
            bytes.fromhex("0200000068") + CLIENT_PUBLIC + NONCE + CLIENT_BOX,
            "ClientInfo",
        )
        c.write(info)
        equal(raw(c, 5), bytes.fromhex("0300000035"), "ServerInfo header")
        raw(c, 53)
        # To itself: what is sent comes back under its own key.
        c.write(bytes.fromhex("0400000022") + CLIENT_PUBLIC + b"hi")
        equal(
            raw(c, 39),
            bytes.fromhex("0500000022") + CLIENT_PUBLIC + b"hi",
            "RecvPacket",
        )
        c.send(SERVER_PUBLIC, disco())
        equal(
            raw(c, 38),
            bytes.fromhex("0800000021") + SERVER_PUBLIC + b"\x01",
            "PeerGone",
        )


def raw(c, n):
    while len(c.buf) < n:
        c.fill()
    out, c.buf = c.buf[:n], c.buf[n:]
    return out


@test("upgrade")
def t_upgrade(relay):
    """101 with its four fields, and ServerKey in the same read"""
    with Client(relay, start=False) as c:
        c.sock.sendall(c.upgrade_request())
        c.fill()
        head, _, rest = c.buf.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        equal(lines[0], "HTTP/1.1 101 Switching Protocols")
        fields = dict(line.split(": ") for line in lines[1:])
        equal(
            fields,
            {
                "Upgrade": "DERP",
                "Connection": "Upgrade",
                "Derp-Version": "2",
                "Derp-Public-Key": SERVER_PUBLIC.hex(),
            },
        )
        equal(rest, frame(SERVER_KEY, MAGIC + SERVER_PUBLIC))


def fast_start(relay, peer):
    """Request, ClientInfo and a packet for @peer as one string of bytes."""
    c = Client(relay, start=False)
    c.server = SERVER_PUBLIC
    request = c.upgrade_request(fast=True) + c.client_info()
    return c, request + frame(SEND, peer.key.public + b"early")


def check_fast_start(c, peer):
    c.fill()
    equal(c.buf[0], SERVER_KEY, "first byte")
    c.read_server_key()
    c.read_server_info()
    equal(peer.packet(), (c.key.public, b"early"))


@test("fast-start")
def t_fast_start(relay):
    """request, ClientInfo and packet in one segment"""
    with Client(relay) as peer:
        c, data = fast_start(relay, peer)
        c.write(data)
        check_fast_start(c, peer)
        c.close()


@test("fast-start-drip")
def t_fast_start_drip(relay):
    """the same, a byte at a time"""
    with Client(relay) as peer:
        c, data = fast_start(relay, peer)
        for i in range(len(data)):
            c.write(data[i : i + 1])
        check_fast_start(c, peer)
        c.close()


@test("upgrade-case")
def t_upgrade_case(relay):
    """Upgrade in any case; another or none is 426"""
    for value in ("Derp", "DERP", "derp"):
        with Client(relay, start=False) as c:
            c.upgrade(value=value)
            c.login()
    for extra in ("Upgrade: foo\r\n", ""):
        status, fields, body = relay.get("/derp", extra=extra)
        equal((status, body), (426, b"DERP requires connection upgrade\n"))
        equal(fields["connection"], "close")


@test("empty-host")
def t_empty_host(relay):
    """an empty Host field is accepted, a missing one is not"""
    with Client(relay, start=False) as c:
        c.upgrade(host="")
        c.login()
    status, _, _ = relay.http(b"GET /derp HTTP/1.1\r\nUpgrade: DERP\r\n\r\n")
    equal(status, 400)


@test("websocket-plain")
def t_websocket_plain(relay):
    """Upgrade: websocket without a subprotocol is plain DERP"""
    with Client(relay, start=False) as c:
        c.upgrade(value="websocket")
        c.login()
        true("\r\nUpgrade: DERP" in c.head, c.head)


@test("websocket-refused")
def t_websocket_refused(relay):
    """WebSocket with subprotocol derp is refused in words"""
    status, _, body = relay.get(
        "/derp",
        extra="Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Protocol: derp\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    )
    equal(status, 501)
    true(b"WebSocket" in body, body)


@test("probe")
def t_probe(relay):
    """GET and HEAD of the probe paths, other methods not"""
    for path in ("/derp/probe", "/derp/latency-check"):
        for method in ("GET", "HEAD"):
            status, fields, body = relay.get(path, method)
            equal((status, body), (200, b""))
            equal(fields["access-control-allow-origin"], "*")
        status, _, body = relay.get(path, "POST")
        equal((status, body), (405, b"bogus probe method\n"))


@test("generate-204")
def t_generate_204(relay):
    """a good challenge is echoed, others are not"""
    key = "x-tailscale-response"
    for challenge, echoed in (
        ("a" * 64, True),
        ("ts_10.0.0.1:80", True),
        ("a" * 65, False),
        ("a b", False),
        ("a\x00b", False),
        (None, False),
    ):
        extra = ""
        if challenge is not None:
            extra = f"X-Tailscale-Challenge: {challenge}\r\n"
        if challenge is not None and "\x00" in challenge:
            # Either a 400 or a 204 without echo is fine for a NUL.
            status, fields, _ = relay.get("/generate_204", extra=extra)
            true(status in (204, 400), status)
            true(key not in fields)
            continue
        status, fields, body = relay.get("/generate_204", extra=extra)
        equal((status, body), (204, b""))
        equal(fields.get(key), f"response {challenge}" if echoed else None)
        true("no-store" in fields["cache-control"])


@test("pages")
def t_pages(relay):
    """robots.txt, home page, unknown path, counters"""
    status, _, body = relay.get("/robots.txt")
    equal((status, body), (200, b"User-agent: *\nDisallow: /\n"))
    status, fields, body = relay.get("/")
    equal((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
    equal(int(fields["content-length"]), len(body))
    equal(fields["x-content-type-options"], "nosniff")
    equal(relay.get("/", "HEAD")[2], b"")
    equal(relay.get("/nothing")[0], 404)
    equal(relay.get("/derp/")[0], 404)
    true(relay.counters()["derp"]["accepts"] > 0)


@test("bad-requests")
def t_bad_requests(relay):
    """heads that are malformed, too long, or of another version"""
    equal(relay.http(b"garbage\r\n\r\n")[0], 400)
    equal(relay.http(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n")[0], 505)
    long = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17000 + b"\r\n\r\n"
    equal(relay.http(long)[0], 431)
    many = b"".join(b"A%d: 1\r\n" % i for i in range(100))
    equal(relay.http(b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")[0], 431)


def after_upgrade(relay):
    c = Client(relay, start=False)
    c.upgrade()
    return c


@test("client-info-hostile")
def t_client_info_hostile(relay):
    """bad lengths, types, boxes and keys close the connection"""
    low_order = b"\x01" + bytes(31)
    good_len = 32 + 24 + 16 + 2
    for data in (
        frame(CLIENT_INFO, os.urandom(55)),
        struct.pack(">BI", CLIENT_INFO, 262145),
        frame(SEND, os.urandom(40)),
        struct.pack(">BI", SERVER_KEY, 40),
        frame(CLIENT_INFO, os.urandom(good_len)),
        frame(CLIENT_INFO, os.urandom(262144)),
        frame(CLIENT_INFO, bytes(32) + os.urandom(good_len - 32)),
        frame(CLIENT_INFO, low_order + os.urandom(good_len - 32)),
    ):
        c = after_upgrade(relay)
        try:
            c.write(data)
        except (ConnectionError, OSError):
            pass
        true(c.is_closed(), data[:5].hex())
        c.close()
    with Client(relay) as c:
        c.ping()


@test("client-info-json")
def t_client_info_json(relay):
    """which JSON texts are let in"""
    good = (
        b"{}",
        b"null",
        b'{"CanAckPings":true,"version":2}',
        b'{"VERSION":2,"canackpings":true,"isProber":true,"AppName":"x"}',
        b'{"version":1,"version":2}',
        b'{"unknown":[1,{"a":null}],"version":-1}',
        b'{"meshKey":"' + b"ab" * 32 + b'"}',
        b' {"version":2} \n',
    )
    bad = (
        b"",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'{"version":2}x',
        b'{"version":"2"}',
        b'{"version":2.0}',
        b'{"version":1e1}',
        b'{"CanAckPings":1}',
        b'{"meshKey":""}',
        b'{"meshKey":"abcd"}',
        b'{"meshKey":"' + b"zz" * 32 + b'"}',
    )
    for text in good:
        with after_upgrade(relay) as c:
            c.login(text=text)
    for text in bad:
        with after_upgrade(relay) as c:
            c.write(c.client_info(text=text))
            true(c.is_closed(), text)


@test("server-info")
def t_server_info(relay):
    """ServerInfo tells the version and never a rate limit"""
    with Client(relay) as c:
        equal(json.loads(c.server_info), {"version": 2})


@test("handshake-deadline")
def t_handshake_deadline(relay):
    """nothing, no ClientInfo or a slow one: closed after 10 s"""
    start = time.monotonic()
    silent = Client(relay, start=False)
    waiting = after_upgrade(relay)
    dripping = after_upgrade(relay)
    dripping.write(struct.pack(">BI", CLIENT_INFO, 1000))
    before = relay.derp("handshake_timeouts")
    while time.monotonic() - start < 8:
        dripping.write(b"x")
        time.sleep(0.5)
    for c in (silent, waiting, dripping):
        try:
            true(c.try_read(0.05) is None)
        except Closed:
            true(time.monotonic() - start > 9.5, "too early")
    for c in (silent, waiting, dripping):
        true(c.is_closed(10), "still open")
        c.close()
    took = time.monotonic() - start
    true(9.5 < took < 18, took)
    equal(relay.derp("handshake_timeouts") - before, 3)


@test("send-sizes")
def t_send_sizes(relay):
    """SendPacket: 31 and 65569 close, 32 and 65568 are delivered"""
    with Client(relay) as to:
        for size in (31, 65569):
            with Client(relay) as c:
                try:
                    c.write(frame(SEND, (to.key.public + bytes(size))[:size]))
                except (ConnectionError, OSError):
                    pass
                true(c.is_closed(), size)
        with Client(relay) as c:
            big = os.urandom(65536)
            c.send(to.key.public, b"")
            c.send(to.key.public, big)
            equal(to.packet(), (c.key.public, b""))
            equal(to.packet(), (c.key.public, big))


@test("unknown-frames")
def t_unknown_frames(relay):
    """unknown and server-only types are skipped at any size"""
    with Client(relay) as c:
        before = relay.derp("unknown_frames")
        for size in (0, 1, 100000, 1048576):
            c.write(frame(0x7F, bytes(size)))
        kinds = (SERVER_KEY, CLIENT_INFO, SERVER_INFO, RECV, 6, GONE, 9, PONG)
        for kind in kinds + (0x14, 0x15):
            c.write(frame(kind, bytes(100)))
        c.ping()
        equal(relay.derp("unknown_frames") - before, 14)
    with Client(relay) as c:
        c.write(struct.pack(">BI", 0x7F, 1048577))
        true(c.is_closed(), "1 MiB and 1")


@test("ping-sizes")
def t_ping_sizes(relay):
    """Ping: 7 and 1001 close, 8 and 1000 are answered with 8 bytes"""
    for size in (7, 1001):
        with Client(relay) as c:
            c.write(frame(PING, bytes(size)))
            true(c.is_closed(), size)
    with Client(relay) as c:
        for size in (8, 1000):
            data = os.urandom(size)
            c.write(frame(PING, data))
            equal(c.read(), (PONG, data[:8]))


@test("ping-flood")
def t_ping_flood(relay):
    """pings while one pong is queued are swallowed"""
    with Client(relay) as c:
        c.write(frame(PING, b"12345678") * 50)
        count = 1
        c.read()
        while c.try_read(0.3) is not None:
            count += 1
        true(1 <= count <= 5, f"{count} pongs")


@test("ping-behind")
def t_ping_behind(relay):
    """a ping that comes with a frame the relay answers itself is answered too"""
    nobody = Key().public
    with Client(relay) as c:
        for _ in range(3):
            c.ping()
            c.write(frame(SEND, nobody + disco()) + frame(PING, b"12345678"))
            equal(c.read(), (GONE, nobody + b"\x01"))
            equal(c.read(), (PONG, b"12345678"))


@test("note-preferred")
def t_note_preferred(relay):
    """NotePreferred: 0 and 2 bytes close, 1 moves the gauge once"""
    name = "gauge_current_home_connections"
    for size in (0, 2):
        with Client(relay) as c:
            c.write(frame(PREFERRED, bytes(size)))
            true(c.is_closed(), size)
    with Client(relay) as c:
        for value, want in ((b"\x01", 1), (b"\x07", 1), (b"\x00", 0), (b"\x01", 1)):
            c.write(frame(PREFERRED, value))
            c.ping()
            equal(relay.derp(name), want, value)
    equal(relay.wait_for(name, 0), 0)
    equal(relay.derp("home_moves_in"), 0, "notes while connecting")


@test("mesh-frames")
def t_mesh_frames(relay):
    """WatchConns, ClosePeer and ForwardPacket from a client close it"""
    with Client(relay) as victim:
        for data in (
            frame(WATCH),
            frame(CLOSE_PEER, victim.key.public),
            frame(FORWARD, bytes(64) + b"x"),
        ):
            with Client(relay) as c:
                c.write(data)
                true(c.is_closed(), data[:5].hex())
        victim.ping()


@test("not-ideal")
def t_not_ideal(relay):
    """Ideal-Node marks the connection in a gauge"""
    name = "gauge_current_notideal_connections"
    with Client(relay, start=False) as c:
        c.upgrade(extra="Ideal-Node: 1a\r\n")
        c.login()
        equal(relay.derp(name), 1)
    equal(relay.wait_for(name, 0), 0)


@test("half-close")
def t_half_close(relay):
    """a peer that sends no more is gone"""
    with Client(relay) as c:
        key = c.key
    with Client(relay) as other:
        other.send(key.public, b"x")
        other.ping()
    try:
        c.read(0.1)
        raise AssertionError("closed socket reads")
    except (Closed, OSError, ValueError):
        pass


def main():
    exe, mode = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "relay.key")
        with open(path, "w") as f:
            json.dump({"PrivateKey": "privkey:" + SERVER.private.hex()}, f)
        os.chmod(path, 0o600)
        relay = Relay(exe, mode == "plain", "--key-file", path)
        return tap.run_with(relay)


if __name__ == "__main__":
    sys.exit(main())
