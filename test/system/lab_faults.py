#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Direct paths in bad company: strangers' datagrams, lies, bad cables, other
addresses.  The session goes on, with every byte.

usage: lab_faults.py BUILD_FOLDER [ROW-PATTERN]
"""
import os
import pathlib
import re
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import faults_lib as fl  # noqa: E402
import lab_load  # noqa: E402
import lab_peers as p  # noqa: E402
import lab_watch  # noqa: E402
import lab_world as w  # noqa: E402
from lab_field import Field  # noqa: E402
from lab_world import l  # noqa: E402

MIB = 1 << 20
STRANGER = '203.0.113.200'
# What an address that never answered may get in 10 s: manager's probes, and
# punches of a raw negotiation (25 ms apart for 1.2 s), both directions of it.
UNVERIFIED = 70


def ends(field):
    """The two addresses of the direct path, as QUIC sees them now: (a, b)."""
    watchers = [lab_watch.Watcher(h.host) for h in field.homes]
    with field.use.ns:
        l.exchange(field.address, 1000, 1000)
    time.sleep(0.2)
    for x in watchers:
        x.stop()
    try:
        return watchers[1].peers.pop(), watchers[0].peers.pop()
    except KeyError:
        raise AssertionError('no QUIC over UDP is seen') from None


def is_direct(field, size=4 * MIB):
    before = [c.read() for c in field.counters]
    with field.use.ns:
        l.exchange(field.address, size, size, timeout=120)
    for c, old in zip(field.counters, before):
        new = c.read()
        if new['udp_out'] - old['udp_out'] < size * 0.8:
            raise AssertionError(
                f'{size} bytes: {new["udp_out"] - old["udp_out"]} direct, '
                f'{new["relay_out"] - old["relay_out"]} relayed; '
                f'{field.why()}')


def steady(field, test):
    """The path must not move while test() runs."""
    count = [x.switches() for x in field.paths]
    note = test()
    fl.expect([x.switches() for x in field.paths], count, 'switches')
    return note


# Bad cables -----------------------------------------------------------------

def impaired(field, limit_s, **rules):
    field.shim.set('both', 'udp', **rules)
    start = time.monotonic()
    with field.use.ns:
        l.exchange(field.address, 2 * MIB, 2 * MIB, timeout=120)
    taken = time.monotonic() - start
    field.shim.heal()
    if taken > limit_s:
        raise AssertionError(f'2 MiB each way took {taken:.1f} s')
    field.need(True, 15, 'good cable again')
    is_direct(field)
    return f'2 MiB each way in {taken:.1f} s'


def loss5(field):
    return impaired(field, 20, loss_ppm=50000, delay_us=5000)


def loss20(field):
    return impaired(field, 60, loss_ppm=200000, delay_us=5000)


def far(field):
    return impaired(field, 20, delay_us=150000)


def disorder(field):
    return impaired(field, 20, reorder_ppm=50000, delay_us=5000,
                    jitter_us=2000)


def doubled(field):
    return impaired(field, 20, dup_ppm=100000)


# Other addresses ------------------------------------------------------------

def roaming(field):
    """b's host gets another address: the old one is gone."""
    host = field.homes[1].host
    pings = p.Pings(field.use.ns, field.address)
    job = lab_load.Download(field.use.ns, field.address, 7)
    start = time.monotonic()
    host.ip('addr del 192.168.1.20/24 dev eth0',
            'addr add 192.168.1.77/24 dev eth0')
    host.default_route('192.168.1.1', 'eth0')
    time.sleep(3)
    blocks = job.blocks
    field.need(True, 25, 'roamed')
    time.sleep(1)
    taken = time.monotonic() - start
    pings.stop()

    def moves():
        job.check()
        fl.expect(job.blocks > blocks, True, 'blocks come')
    l.until(moves, 25, 'the download')
    job.stop()
    is_direct(field)
    return (f'direct again within {taken:.1f} s, longest pause '
            f'{pings.gap:.1f} s')


# Strangers ------------------------------------------------------------------

def flood(field):
    """10^5 junk datagrams a second at the session's socket."""
    target = ends(field)[1]
    stranger = field.world.public('stranger', STRANGER)
    try:
        with stranger:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(target)
        disco = lab_watch.DISCO + b'\1' + os.urandom(48)
        stun = b'\1\1\0\x0c' + lab_watch.STUN_COOKIE + os.urandom(24)
        junk = [disco, stun, lab_watch.PUNCH, b'\x40' + os.urandom(1199),
                b'\xc0\0\0\0\1' + os.urandom(1195), b'{"type":"control"}',
                os.urandom(33), b'']
        worker = list(field.daemons[1].workers('session').values())[0]
        heap = fl.rss_of(worker)
        end = time.monotonic() + 5
        pid = os.fork()
        if pid == 0:
            l._die_with_parent()
            sent = 0
            while time.monotonic() < end:
                for _ in range(100):
                    for x in junk:
                        try:
                            s.send(x)
                        except OSError:
                            pass
                        sent += 1
            os._exit(min(255, sent // 5 // 1000))
        with field.use.ns:
            l.exchange(field.address, 4 * MIB, 4 * MIB, timeout=60)
        rate = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        s.close()
        grown = fl.rss_of(worker) - heap
        if grown > 8 * MIB:
            raise AssertionError(f'the worker grew by {grown} bytes')
        field.need(True, 15, 'after the flood')
        is_direct(field)
        return f'{rate} 000 datagrams/s, the worker grew by {grown >> 10} KiB'
    finally:
        stranger.delete()


def captured_probes(field):
    """Payloads of probes and acks that pass, captured on the way."""
    watcher = Capture(field.homes[1].host)
    # The peer of a silent path is probed.
    field.shim.set('both', 'udp', blackhole=1)
    field.need(False, 8, 'blackhole')
    field.shim.heal()
    field.need(True, 15, 'healed')
    watcher.stop()
    return watcher.probes


class Capture(lab_watch.Watcher):
    def __init__(self, ns):
        self.probes = []
        super().__init__(ns)

    def _note(self, packet, out):
        source, destination, payload = lab_watch.parse(packet)
        if lab_watch.classify(payload) in ('probe', 'ack'):
            self.probes.append((payload, source, destination, out))
        super()._note(packet, out)


def replay(field):
    """Genuine probes and acks again, from a stranger: it may be answered, a
    little, but nothing else goes there."""
    packets = captured_probes(field)
    if not packets:
        raise AssertionError('no probe was seen')
    target = ends(field)[1]
    stranger = field.world.public('stranger', STRANGER)
    try:
        with stranger:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sent = 0
        for _ in range(200):
            for payload, *_ in packets[:10]:
                s.sendto(payload, target)
                sent += 1
            time.sleep(0.01)
        with field.use.ns:
            l.exchange(field.address, 4 * MIB, 4 * MIB)
        s.settimeout(0.3)
        got = {}
        try:
            while True:
                kind = lab_watch.classify(s.recv(65536))
                got[kind] = got.get(kind, 0) + 1
        except TimeoutError:
            pass
        if got.get('quic') or got.get('other') or sum(got.values()) > sent:
            raise AssertionError(f'the stranger got {got} for {sent}')
        fl.expect(ends(field)[1], target, 'address of the path')
        return f'{sent} replayed, answers {got}'
    finally:
        stranger.delete()


def icmp_lies(field):
    """Port, host and administratively unreachable, fragmentation needed to 68
    bytes: for the path's own addresses, from a stranger."""
    a, c = ends(field)
    stranger = field.world.public('stranger', STRANGER)
    try:
        def lie():
            with stranger:
                s = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                                  socket.IPPROTO_ICMP)
            quoted = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 1228, 1, 0, 64, 17,
                                 0, socket.inet_aton(c[0]),
                                 socket.inet_aton(a[0])) + \
                struct.pack('>HHHH', c[1], a[1], 1208, 0)
            for _ in range(50):
                for code, mtu in ((3, 0), (1, 0), (13, 0), (4, 68)):
                    body = struct.pack('>BBHHH', 3, code, 0, 0, mtu) + quoted
                    s.sendto(body[:2] + checksum(body) + body[4:], (c[0], 0))
                time.sleep(0.02)
            with field.use.ns:
                l.exchange(field.address, 4 * MIB, 4 * MIB)
            s.close()
        steady(field, lie)
        is_direct(field)
        return '200 of them'
    finally:
        stranger.delete()


def checksum(data):
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack('>H', ~total & 0xffff)


# Before the session ----------------------------------------------------------

def third_party(world):
    """b believes to own the stranger's address: a probes it, a little."""
    stranger = world.public('stranger', STRANGER)
    watcher = lab_watch.Watcher(stranger)

    class Liar(Field):
        def _daemons(self, programs):
            self.homes[1].host.ip(f'addr add {STRANGER}/32 dev lo')
            super()._daemons(programs)

    try:
        field = Liar(world)
        field.need(True, 10, 'start')
        is_direct(field)
        time.sleep(8)
        watcher.stop()
        field.end()
        count = {k: n for (k, way), n in watcher.count.items() if way == 'in'}
        if set(count) - {'probe', 'punch'} or sum(count.values()) > UNVERIFIED:
            raise AssertionError(f'the stranger got {count}')
        return f'the stranger got {count}'
    finally:
        stranger.delete()


# (title, function of the field, kinds of the homes)
HOME = ('port', 'port')
OPEN = ('open', 'open')
ROWS = [
    ('5 % loss', loss5, HOME), ('20 % loss', loss20, HOME),
    ('300 ms round trip', far, HOME), ('order and jitter', disorder, HOME),
    ('doubled datagrams', doubled, HOME), ('roaming', roaming, HOME),
    ('junk flood', flood, OPEN), ('replayed probes', replay, OPEN),
    ('ICMP lies', icmp_lies, OPEN),
]


def on_field(world, test, kinds):
    field = Field(world, kinds)
    field.need(True, 10, 'start')
    note = test(field)
    field.end()
    return note


def main():
    pattern = re.compile(sys.argv[2] if len(sys.argv) > 2 else '')
    tap = l.Tap()
    try:
        w.enter()
    except l.Skip as e:
        tap.skip('all rows', e)
        return tap.done()

    def row(title, test, *args):
        if not pattern.search(title):
            return
        with w.World(os.path.abspath(sys.argv[1])) as world:
            if not tap.run(title, test, world, *args):
                for x in world.lab.processes:
                    print(f'# {x.name()}: {x.said()[-1200:]}')

    for title, test, kinds in ROWS:
        row(title, on_field, test, kinds)
    row('candidates of a third party', third_party)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
