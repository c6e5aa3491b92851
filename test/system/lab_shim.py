#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""lab_shim as a cable of the lab; and whether it keeps its word, as a test.

usage: lab_shim.py BUILD_FOLDER
"""
import ctypes
import fcntl
import json
import socket
import struct
import subprocess
import sys
import threading
import time

import lab_world as w
from lab_world import l

SO_RCVBUFFORCE = 33
SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, STSO, SGSO: a frame on such a cable is a packet.
OFFLOADS = (0x17, 0x1f, 0x24)


def no_offload(ns, dev):
    with ns, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(
                struct.pack('=II', command, 0), 8)
            fcntl.ioctl(s, SIOCETHTOOL,
                        struct.pack('16sP16x', dev.encode(),
                                    ctypes.addressof(value)))


class Shim:
    """A cable with a shim in it: give its cable() where w.link() is wanted.
    Up is from the first end to the second."""

    def __init__(self, world, name, seed=1):
        self.world = world
        self.seed = seed
        self.ns = w.Netns(name, v4=False)
        self.process = None

    def cable(self, a, a_name, b, b_name, mtu=1500):
        w.link(a, a_name, self.ns, 'end-a', mtu)
        w.link(self.ns, 'end-b', b, b_name, mtu)
        no_offload(a, a_name)
        no_offload(b, b_name)
        self.process = self.world.lab.start(
            [*self.ns.prefix(), self.world.lab.our('test/system/lab_shim'),
             'end-a', 'end-b', self.seed], self.world.lab.env('shim'),
            stdin=subprocess.PIPE)
        self.process.wait_line('^ready$', stream='out', timeout=10)

    def _ask(self, line):
        said = len(self.process.lines['out'])
        self.process.proc.stdin.write(line.encode() + b'\n')
        self.process.proc.stdin.flush()
        return self.process.wait_line('.', stream='out', timeout=10,
                                      skip=said).string

    def set(self, way='both', what='all', **rules):
        """way: up, down, both; what: udp, other, all."""
        for key, value in rules.items():
            if self._ask(f'set {way} {what} {key} {int(value)}') != 'ok':
                raise ValueError(f'{way} {what} {key} {value}')

    def heal(self):
        self.set(delay_us=0, jitter_us=0, loss_ppm=0, dup_ppm=0,
                 reorder_ppm=0, rate_bps=0, blackhole=0)

    def stats(self):
        return json.loads(self._ask('stats'))


# The test -------------------------------------------------------------------

def numbers(ends, count, pause=0.0, want=None):
    """Send 0 .. count - 1 up; what arrives, in order.  It ends when nothing
    more comes: for long, unless as many as wanted were there."""
    up, down = ends
    got = []
    sent = threading.Event()

    def listen():
        down.settimeout(0.5)
        silent = 0
        while silent < (1 if len(got) == want else 6):
            try:
                got.append(int.from_bytes(down.recv(2000)[:4], 'big'))
                silent = 0
            except TimeoutError:
                silent += sent.is_set()

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        for n in range(count):
            up.send(n.to_bytes(4, 'big') + bytes(100))
            time.sleep(pause)
    finally:
        sent.set()
        reader.join()
    return got


def near(got, want, share=0.25):
    if not want * (1 - share) <= got <= want * (1 + share):
        raise AssertionError(f'{got}, not about {want}')
    return f'{got}'


def transparent(shim, ends, _):
    got = numbers(ends, 2000, 0.0001, 2000)
    if got != list(range(2000)):
        raise AssertionError(f'{len(got)} of 2000')


def lossy(shim, ends, _):
    shim.set('up', 'udp', loss_ppm=100000)
    first = numbers(ends, 3000, 0.0001)
    return f'{near(3000 - len(first), 300)} of 3000 lost'


def doubling(shim, ends, _):
    shim.set('up', 'udp', dup_ppm=100000)
    got = numbers(ends, 3000, 0.0001)
    if set(got) != set(range(3000)):
        raise AssertionError('something is missing')
    return f'{near(len(got) - 3000, 300)} of 3000 doubled'


def reordering(shim, ends, _):
    shim.set('up', 'udp', reorder_ppm=50000)
    got = numbers(ends, 3000, 0.0001, 3000)
    late = sum(a > b for a, b in zip(got, got[1:]))
    if sorted(got) != list(range(3000)) or late < 50:
        raise AssertionError(f'{len(got)} came, {late} late')
    return f'{late} places out of order'


def slow(shim, ends, _):
    """Delay one way: the answer comes after it."""
    shim.set('up', 'udp', delay_us=50000)
    up, down = ends
    down.settimeout(10)
    taken = []
    for _ in range(20):
        start = time.monotonic()
        up.send(b'0000')
        down.recv(100)
        taken.append(time.monotonic() - start)
    # Others may be using the machine, most of the time.
    if min(taken) < 0.05 or min(taken) >= 0.09:
        raise AssertionError(f'{[round(t * 1000, 1) for t in taken]} ms')
    return f'{min(taken) * 1000:.1f} to {max(taken) * 1000:.1f} ms'


def black(shim, ends, stream):
    """UDP vanishes, TCP does not."""
    shim.set('both', 'udp', blackhole=1)
    if numbers(ends, 10):
        raise AssertionError('something came through')
    stream(1 << 20)
    shim.set('both', 'udp', blackhole=0)
    transparent(shim, ends, stream)


def narrow(shim, ends, stream):
    shim.set('up', 'all', rate_bps=20e6)
    rates = [stream(5 << 20)]
    # A pause of anybody only makes it slower.
    while max(rates) < 15 and len(rates) < 3:
        rates.append(stream(5 << 20))
    text = f'{", ".join(f"{r:.1f}" for r in rates)} Mb/s of 20'
    if not 15 <= max(rates) <= 25:
        raise AssertionError(text)
    return text


def fast(shim, ends, stream):
    """By its own CPU time: others may be using the machine."""
    total = 512 << 20
    pid = shim.process.proc.pid
    before = l.processes()[pid][2]
    rate = stream(total)
    able = total * 8 / (l.processes()[pid][2] - before) / 1e6
    text = (f'{rate:.0f} Mb/s in frames of 1514, {able:.0f} if it had a core; '
            f'{shim.stats()}')
    sanitized = b'__asan_init' in open(
        shim.world.lab.our('test/system/lab_shim'), 'rb').read()
    if able < (500 if not sanitized else 50):
        raise AssertionError(text)
    return text


def streamer(a, c):
    """stream(n): Mb/s of n bytes over TCP from a to c."""
    with c:
        listener = socket.create_server(('10.0.0.2', 0))

    def stream(total):
        def sink():
            conn = listener.accept()[0]
            buf = bytearray(1 << 20)
            left = total
            while left > 0:
                left -= conn.recv_into(buf)
            conn.sendall(b'.')
            conn.close()

        t = threading.Thread(target=sink, daemon=True)
        t.start()
        with a:
            conn = socket.create_connection(listener.getsockname(), 5)
        start = time.monotonic()
        with conn:
            for _ in range(total >> 18):
                conn.sendall(bytes(1 << 18))
            conn.recv(1)
        return total * 8 / (time.monotonic() - start) / 1e6
    return stream


def main():
    tap = l.Tap()
    try:
        w.enter()
    except l.Skip as e:
        tap.skip('the shim', e)
        return tap.done()
    with w.World(sys.argv[1]) as world:
        a, c = w.Netns('one'), w.Netns('two')
        shim = Shim(world, 'shim')
        shim.cable(a, 'eth0', c, 'eth0')
        a.ip('addr add 10.0.0.1/24 dev eth0')
        c.ip('addr add 10.0.0.2/24 dev eth0')
        ends = []
        for ns, host in ((a, '10.0.0.1'), (c, '10.0.0.2')):
            with ns:
                ends.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                # All that is sent, however late its reader.
                ends[-1].setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
                ends[-1].bind((host, 0))
        ends[0].connect(ends[1].getsockname())
        stream = streamer(a, c)
        for test in (transparent, lossy, doubling, reordering, slow, black,
                     narrow, fast):
            tap.run(f'shim {test.__name__}', test, shim, ends, stream)
            shim.heal()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
