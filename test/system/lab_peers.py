# SPDX-License-Identifier: BSD-3-Clause
"""Programs of either implementation on hosts of the lab, and what can be
measured of a session between two of them."""
import dataclasses
import socket
import threading
import time

import lab_watch
from lab_world import l

import faults_lib as fl

TOKEN = r'^([A-Za-z0-9_-]{100,})$'
BULK = 1 << 18
PING = b'0123456789abcdef'


class Timed(l.Process):
    """A program whose lines have times."""

    def __init__(self, *args, **kwargs):
        self.times = []
        super().__init__(*args, **kwargs)

    def _gather(self, name, pipe):
        with pipe:
            for line in pipe:
                now = time.monotonic()
                with self._changed:
                    text = line.decode('utf-8', 'replace').rstrip('\n')
                    self.times.append((now, text))
                    self.lines[name].append(text)
                    self._changed.notify_all()

    def when(self, text):
        """When it first said exactly this; None if not yet."""
        with self._changed:
            return next((t for t, line in self.times if line == text), None)


class Side:
    """One implementation's programs on one host."""

    def __init__(self, world, kind, ns, programs, tag, env=None):
        self.world = world
        self.ns = ns
        self.programs = programs
        self.is_go = kind == 'go'
        self.env = world.lab.env(f'{tag}-{kind}', world.relay, **(env or {}))

    def start(self, program, *args, **kwargs):
        p = Timed(self.world.lab,
                  [*self.ns.prefix(), self.programs[program], '-v',
                   *map(str, args)], self.env, **kwargs)
        return p

    def share(self, target):
        p = self.start('derphole', 'share', target, '--print-token-only')
        token = p.wait_line(TOKEN, stream='out', timeout=30).group(1)
        p.wait_line('^waiting-for-claim$', timeout=30)
        return p, token

    def open(self, token):
        return self.start('derphole', 'open', token)

    def tokens(self, tag):
        """Files of a server token and of a client token of it."""
        paths = []
        for verb, args in (('server', []), ('client', ['--token-file', None,
                                                       '--days', '7'])):
            args = [paths[0] if a is None else a for a in args]
            out = l.subprocess.run(
                [self.programs['derptun'], 'token', verb, *args], check=True,
                env=self.env, stdout=l.subprocess.PIPE, text=True).stdout
            path = self.world.lab.path(f'{tag}-{verb}')
            path.write_text(out, encoding='ascii')
            paths.append(str(path))
        return paths

    def serve(self, server_token, target):
        p = self.start('derptun', 'serve', '--token-file', server_token,
                       '--tcp', target)
        p.wait_line('open --token DT', timeout=30, stream='err')
        return p

    def tunnel(self, client_token):
        return self.start('derptun', 'open', '--token-file', client_token,
                          '--listen', '127.0.0.1:0')


def programs(build, kind, peers):
    if kind == 'go':
        return peers
    return {name: f'{build}/{name}'
            for name in ('derphole', 'derptun', 'derptunctl')}


@dataclasses.dataclass
class Seen:
    """One session.  Times are milliseconds after the claim."""
    outcome: str           # direct, half or relay: what carried the bulk
    first: float           # first byte back
    direct: float | None   # QUIC over UDP has arrived at both hosts
    told: float | None     # both sides have said that they are direct
    gap: float             # longest pause between two answers
    machine: float         # the same of the bare service: this machine's own
    stolen: float          # from the processors by the host, until first
    raw: bool
    note: str


class Pings:
    """Ping-pong through a tunnel until told to stop."""

    def __init__(self, ns, address):
        with ns:
            self.conn = l.connect(address, 30)
        self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.conn.settimeout(30)
        self.conn.sendall(b'E' + PING)
        l.read_exactly(self.conn, len(PING))
        self.first = time.monotonic()
        self.gap = self.worst = 0.0
        self.count = 0
        self.error = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        last = self.first
        try:
            while not self._over.is_set():
                self.conn.sendall(PING)
                if l.read_exactly(self.conn, len(PING)) != PING:
                    raise AssertionError('echo differs')
                now = time.monotonic()
                self.gap = max(self.gap, now - last)
                self.count += 1
                self._over.wait(0.01)
                last = time.monotonic()
        except (OSError, AssertionError) as e:
            self.error = e

    def take_gap(self):
        """The longest pause since this was last asked, seconds."""
        self.worst = max(self.worst, self.gap)
        gap, self.gap = self.gap, 0.0
        return gap

    def stop(self):
        self._over.set()
        self._thread.join(35)
        self.worst = max(self.worst, self.gap)
        self.conn.close()
        if self._thread.is_alive() or self.error is not None:
            raise AssertionError(f'ping-pong broke after {self.count}: '
                                 f'{self.error}')


def bulk(ns, address, counters):
    """Which way BULK bytes each way go: direct, half, relay."""
    before = [c.read() for c in counters]
    with ns:
        l.exchange(address, BULK, BULK, timeout=60)
    after = [c.read() for c in counters]
    rise = [{k: a[k] - b[k] for k in a} for a, b in zip(after, before)]
    ways = [r[f'udp_{way}'] > BULK * 0.9 for r in rise for way in ('in', 'out')]
    relayed = max(r[f'relay_{way}'] for r in rise for way in ('in', 'out'))
    if all(ways) and relayed < BULK / 2:
        return 'direct', rise
    return ('half' if any(ways) else 'relay'), rise


def session(offer, use, wait, direct_expected):
    """share on one side, open on the other.  Waits for a direct path if one is
    expected, else pings for `wait` seconds."""
    watchers = [lab_watch.Watcher(s.ns) for s in (offer, use)]
    counters = [lab_watch.Counters(s.ns) for s in (offer, use)]
    with offer.ns:
        service = fl.Service()
    started = []
    # What this machine is late by itself, all the while.
    bare = Pings(offer.ns, service.address)
    try:
        sharer, token = offer.share(service.address)
        started.append(sharer)
        stolen = l.stolen()
        opener = use.open(token)
        started.append(opener)
        address = opener.wait_line(r'^listening on (\S+)$',
                                   timeout=60).group(1)
        pings = Pings(use.ns, address)
        stolen = l.stolen() - stolen
        claim = sharer.when('claimed') or pings.first
        times = wait_direct(watchers, wait, direct_expected)
        told = _told((sharer, opener), 2 if times and direct_expected else 0)
        outcome, rise = bulk(use.ns, address, counters)
        pings.stop()
        for p in started:
            if not p.alive():
                raise AssertionError(f'{p.name()} ended: {p.said()}')

        def after(t):
            return None if t is None else (t - claim) * 1000

        return Seen(outcome, after(pings.first), after(times), after(told),
                    pings.gap * 1000, bare.gap * 1000, stolen * 1000, any(
                        'v2-data-plane=raw-direct' in p.lines['err']
                        for p in started), str(rise))
    except AssertionError as e:
        said = '\n'.join(f'{p.name()}: {p.said()[-1500:]}' for p in started)
        raise AssertionError(f'{e}\n{said}') from e
    finally:
        for p in reversed(started):
            p.stop()
        bare.stop()
        service.close()
        for x in watchers:
            x.stop()
        for c in counters:
            c.ns.nft('delete table inet watch')


def wait_direct(watchers, wait, expected):
    """When QUIC over UDP has arrived at both hosts; None if not in time."""
    deadline = time.monotonic() + wait
    if not expected:
        time.sleep(wait)
    times = [x.wait('quic', 'in', max(0, deadline - time.monotonic()))
             for x in watchers]
    return None if None in times else max(times)


def _told(processes, wait):
    """When both have said that they are direct."""
    deadline = time.monotonic() + wait
    while True:
        times = [p.when('connected-direct') for p in processes]
        if None not in times:
            return max(times)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)
