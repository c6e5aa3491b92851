#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Are the boxes of lab_boxes.py what their rows say?  Measured with bare
sockets from inside and outside, in the manner of RFC 5780.

usage: lab_classify.py BUILD_FOLDER [KIND...]
"""
import socket
import sys

import lab_boxes as b
import lab_world as w
from lab_world import l

# Two outside hosts with two ports each.
OUTSIDE = ('203.0.113.101', '203.0.113.102')
PORTS = (7001, 7002)
# For silence, and for what must come: TCP sends a lost SYN again for 7 s.
WAIT = 0.25
PATIENCE = 8


def udp(ns, host, port=0):
    with ns:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((host, port))
        return s


def heard(sock, is_due=False):
    """(payload, source) or None."""
    sock.settimeout(PATIENCE if is_due else WAIT)
    try:
        return sock.recvfrom(100)
    except (TimeoutError, ConnectionError):
        return None


def drain(sock):
    sock.setblocking(False)
    try:
        while True:
            sock.recv(100)
    except OSError:
        pass


class Outside:
    def __init__(self, world):
        self.ns = world.public('outside', OUTSIDE[0])
        self.ns.ip(f'addr add {OUTSIDE[1]}/24 dev eth0')
        self.socks = {(h, p): udp(self.ns, h, p)
                      for h in OUTSIDE for p in PORTS}

    def see(self, inner, where):
        """The address that a datagram of an inner socket arrives from."""
        drain(self.socks[where])
        inner.sendto(b'out', where)
        got = heard(self.socks[where], True)
        return got and got[1]

    def reaches(self, where, outer, inner, is_due):
        """Does a datagram from one of our sockets come in?"""
        drain(inner)
        self.socks[where].sendto(b'in', outer)
        return heard(inner, is_due) is not None


def classify(out, host, wanted):
    """(mapping, filtering, keeps ports, survives an early packet); with
    patience for what the filtering that is wanted lets in."""
    first, second, other = ((OUTSIDE[0], PORTS[0]), (OUTSIDE[0], PORTS[1]),
                            (OUTSIDE[1], PORTS[0]))
    inner = udp(host, '0.0.0.0')
    outer = out.see(inner, first)
    if outer is None:
        return None, None, False, False
    if not out.reaches(first, outer, inner, True):
        raise AssertionError('no answer comes back')
    if out.reaches(other, outer, inner, wanted == 'EIF'):
        filtering = 'EIF'
    else:
        filtering = 'ADF' if out.reaches(second, outer, inner,
                                         wanted == 'ADF') else 'APDF'
    # Filtering was asked before anything was sent to these.
    inner2 = udp(host, '0.0.0.0')
    outers = [out.see(inner2, where) for where in (first, second, other)]
    mapping = 'EIM' if len(set(outers)) == 1 else 'EDM'
    keeps = outers[0][1] == inner2.getsockname()[1]
    # The other side's packet comes before ours: is the mapping still the same?
    inner3 = udp(host, '0.0.0.0')
    outer3 = out.see(inner3, first)
    out.socks[other].sendto(b'early', outer3)
    heard(inner3)
    early = out.see(inner3, other) == outer3
    return mapping, filtering, keeps, early


# The last: does a mapping survive an early packet of the other side?
KEEPS = {'open': True, 'dual': True, 'fullcone': True, 'addr': True,
         'port': True, 'portopen': True, 'mtu1280': True}
LATE = ('portopen', 'sym')


def solo(world, out, kind):
    home = b.home(world, kind, 'a', 1)
    try:
        if kind == 'v6only':
            return v6only(world, home)
        got = classify(out, home.host, b.KINDS[kind][1])
        want = (*b.KINDS[kind][:2], KEEPS.get(kind, False),
                kind not in LATE and kind != 'blocked')
        if got != want:
            raise AssertionError(f'{got}, not {want}')
        if kind == 'mtu1280':
            narrow(out, home.host)
        with home.host:  # the relay is in reach, UDP or not
            l.wait_for_port(w.RELAY, 443, PATIENCE)
        return f'{got[0]}, {got[1]}, {b.KINDS[kind][2]}'
    finally:
        b.remove(home)


def v6only(world, home):
    with home.host:
        for host, good in ((w.RELAY6, True), (w.RELAY, False)):
            try:
                socket.create_connection((host, 443), PATIENCE).close()
                if not good:
                    raise AssertionError(f'{host} is in reach')
            except OSError as e:
                if good:
                    raise AssertionError(f'{host}: {e}') from e
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.sendto(b'\0\1\0\0\x21\x12\xa4\x42' + bytes(12),
                     (w.RELAY6, 3478))
            if heard(s, True) is None:
                raise AssertionError('no STUN over IPv6')
    return f'{world.relay.name} relay and STUN over IPv6'


def narrow(out, host):
    """1252 bytes pass, 1253 vanish without a word, both ways."""
    where = (OUTSIDE[0], PORTS[0])
    inner = udp(host, '0.0.0.0')
    outer = out.see(inner, where)
    for s in (inner, out.socks[where]):  # as QUIC: probe, never fragment
        s.setsockopt(socket.IPPROTO_IP, 10, 3)
    for size, passes in ((1252, True), (1253, False)):
        drain(out.socks[where])
        inner.sendto(bytes(size), where)
        up = heard(out.socks[where], passes) is not None
        drain(inner)
        out.socks[where].sendto(bytes(size), outer)
        down = heard(inner, passes) is not None
        if (up, down) != (passes, passes):
            raise AssertionError(f'{size} bytes: out {up}, in {down}')


def shared(world, out, kind):
    """Whether each host is reached: by its own address, by the outer one."""
    a, c = b.pair(world, kind, kind)
    try:
        one, two = udp(a.host, '0.0.0.0'), udp(c.host, '0.0.0.0')
        where = (OUTSIDE[0], PORTS[0])
        outer1, outer2 = out.see(one, where), out.see(two, where)
        if outer1[0] != outer2[0]:
            raise AssertionError(f'not one box: {outer1} {outer2}')
        with c.host:
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            probe.connect((w.RELAY, 9))
            local2 = (probe.getsockname()[0], two.getsockname()[1])
            probe.close()
        one.sendto(b'x', local2)
        near = heard(two, kind == 'lan') is not None
        one.sendto(b'x', outer2)
        got = heard(two, kind == 'hairpin')
        far = got is not None
        if far and got[1] != outer1:
            raise AssertionError(f'hairpin shows {got[1]}, not {outer1}')
        if far:
            two.sendto(b'y', got[1])
            if heard(one, True) is None:
                raise AssertionError('no way back through the hairpin')
        want = (kind == 'lan', kind == 'hairpin')
        if (near, far) != want:
            raise AssertionError(f'{near, far}, not {want}')
        return b.SHARED[kind]
    finally:
        b.remove(a, c)


def rebinding(world, out):
    """A flushed box gives the same socket another port."""
    home = b.home(world, 'port', 'a', 1)
    try:
        inner = udp(home.host, '0.0.0.0')
        where = (OUTSIDE[0], PORTS[0])
        seen = {out.see(inner, where)}
        for seed in (1, 2, 3):
            b.rebind(home.boxes[0], '203.0.113.10', seed)
            seen.add(out.see(inner, where))
        if None in seen or len(seen) != 4:
            raise AssertionError(f'seen as {seen}')
        return f'{len(seen)} ports'
    finally:
        b.remove(home)


def main():
    tap = l.Tap()
    try:
        w.enter()
    except l.Skip as e:
        tap.skip('all boxes', e)
        return tap.done()
    wanted = sys.argv[2:] or [*b.KINDS, *b.SHARED, 'rebinding']
    with w.World(sys.argv[1]) as world:
        out = Outside(world)
        for kind in wanted:
            if kind in b.KINDS:
                tap.run(f'box {kind}', solo, world, out, kind)
            elif kind in b.SHARED:
                tap.run(f'boxes {kind}', shared, world, out, kind)
            else:
                tap.run('rebinding', rebinding, world, out)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
