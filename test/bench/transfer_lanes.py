# SPDX-License-Identifier: BSD-3-Clause
"""Lanes of transfers: files and pipes, directly between two hosts of the lab
(veth, MTU 1500) or through a forced relay on one host; and how long the first
byte and a short text take, between two hosts.

Files are in memory (a tmpfs that goes with the mount namespace), so that no disk
is measured.  The rate is that of moving: from the first MiB on the wire to the
end of the receiving program.  What comes before is told beside it.
"""
import os
import pathlib
import resource
import select
import statistics
import subprocess
import sys
import threading
import time

import measure as m
from direct_lanes import SERVER, bare_tls
from measure import l

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
import lab_watch  # noqa: E402
import lab_world as w  # noqa: E402
import xfer as x  # noqa: E402

CLIENT = '203.0.113.20'
NAMES = ('ours', 'Go')
MEMORY = pathlib.Path('/run/memory')
# What Go moves, of the bytes that ours moves, through the relay: 110 s else.
RELAYED_GO_SHARE = 8
# With theirs at one end.
MIXED_SHARE = 8
# What the reference needs, to take the path that a mixed pair takes.
MANAGED = {'DERPHOLE_V2_RAW_DIRECT': '0'}
DEFAULT_BYTES = 2 * m.GIB
WARM_BYTES = 4 * m.CHUNK
# Of a target, free before it is asked for: 0.1 s of the fastest.
AHEAD = 64 << 20
# On the wire, before the clock starts: more than any negotiation takes.
MOVING = 1 << 20
TEXT = 1024
POLL_S = 0.002
LIMIT_S = 200
_TICK = os.sysconf('SC_CLK_TCK')


class Side(x.Party):
    """A party on a host of its own."""

    def __init__(self, lab, name, derphole, env, flags, ns):
        super().__init__(lab, name, derphole, env, flags)
        self.ns = ns

    def start(self, *args, prefix=(), **kwargs):
        return super().start(*args, prefix=[*self.where(), *prefix], **kwargs)

    def where(self):
        return self.ns.prefix() if self.ns else ()

    def timed(self, until, *args, **kwargs):
        """Milliseconds that a command takes."""
        return m.stopwatch(self.lab, until,
                           [self.derphole, *args, *self.flags], self.env,
                           prefix=self.where(), cwd=self.home, **kwargs)


class Wire:
    """Bytes that a device has sent, in the namespace that this was made in."""

    def __init__(self, device):
        self.name = device.encode() + b':'
        self.fd = os.open('/proc/thread-self/net/dev', os.O_RDONLY)

    def sent(self):
        for line in os.pread(self.fd, 1 << 16, 0).splitlines():
            if line.lstrip().startswith(self.name):
                return int(line.split(b':')[1].split()[8])
        raise AssertionError(f'no device {self.name}')

    def close(self):
        os.close(self.fd)


def when_ended(process, timeout=LIMIT_S):
    """Waits for a program's end: when, to the millisecond.  Popen.wait() would
    sleep up to 50 ms too long."""
    fd = os.pidfd_open(process.proc.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(timeout * 1000):
            raise AssertionError(f'{process.name()} did not end within '
                                 f'{timeout} s: {process.said()}')
        now = time.monotonic()
    finally:
        os.close(fd)
    x.ended(process, 1)
    return now


def spent(pid):
    """CPU seconds of a process, and of its children that have ended."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
            field = f.read().rsplit(')', 1)[1].split()
    except OSError:
        return 0.0, 0.0
    own, children = (int(field[n]) + int(field[n + 1]) for n in (11, 13))
    return own / _TICK, children / _TICK


class Spent:
    """CPU seconds since it was made, by kind of process: programs are counted
    when they have ended, workers that have ended by their daemon."""

    def __init__(self, sides, relay):
        self.sides = sides
        self.relay = relay
        self.before = self._read()

    def _read(self):
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = {'programs': usage.ru_utime + usage.ru_stime}
        table = l.processes()
        for role, side in zip(('sender', 'receiver'), self.sides):
            roots = [] if side.is_go else l.daemons_of(side.env)
            pids = {p for r in roots if r in table for p in l.family(r, table)}
            times = {p: spent(p) for p in pids}
            out[f"{role}'s daemon"] = sum(times[r][0] for r in roots)
            out[f"{role}'s workers"] = sum(map(sum, times.values())) - \
                out[f"{role}'s daemon"]
        if self.relay:
            out['relay'] = sum(spent(self.relay.process.proc.pid))
        return out

    def stop(self):
        after = self._read()
        return {k: after[k] - self.before[k] for k in after}


class Ballast:
    """Memory that is given up at the pace at which a target takes some.  What
    is free for a while a virtual machine gives back to its host, and it costs
    five times as much when it has to be found again."""

    def __init__(self, size):
        self.size = size
        self.path = MEMORY / f'ballast-{size}'
        if not self.path.exists():
            x.make_file(self.path, size)
        self._rest = used() - size
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._yield()
        self._thread.start()

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(POLL_S):
            self._yield()

    def _yield(self):
        now = self.path.stat().st_size
        taken = used() - self._rest - now
        want = max(0, self.size - taken - AHEAD)
        if want < now:
            os.truncate(self.path, want)

    def replace(self, target):
        """What was taken is the next one."""
        target.rename(self.path)


def used():
    """Bytes of the file system in memory."""
    fs = os.statvfs(MEMORY)
    return (fs.f_blocks - fs.f_bfree) * fs.f_frsize


class Place:
    """Where both implementations run: their relays, hosts and flags."""

    def __init__(self, lanes, where):
        self.where = where
        self.world = self.lab = None
        self.relays = {}
        self.hosts = [None, None]
        self.device = 'eth0'
        self.flags = [] if where == 'direct' else ['--force-relay']
        self.lanes = lanes

    def __enter__(self):
        build = os.path.abspath(self.lanes.args.build)
        if self.where == 'relay':
            self.lab = l.Lab(build)
            self.relays = {'ours': self.lab.our_relay(),
                           'Go': self.lab.derper(self.lanes.bench.derper)}
            self.device = 'lo'
        else:
            self.world = w.World(build)
            self.lab = self.world.lab
            self.relays = dict.fromkeys(NAMES, self.world.relay)
            self.hosts = [self.world.public('a', SERVER),
                          self.world.public('b', CLIENT)]
        return self

    def __exit__(self, *exc):
        (self.world or self.lab).close()

    def pair(self, name):
        """(sender, receiver) of an implementation."""
        derphole = self.lanes.bench.programs(self.lab, name)['derphole']
        return [Side(self.lab, 'Go' if name == 'Go' else 'C', derphole,
                     self.lab.env(f'x{n}{name}', self.relays[name]),
                     self.flags, ns) for n, ns in enumerate(self.hosts)]

    def wire(self):
        if self.hosts[0] is None:
            return Wire(self.device)
        with self.hosts[0]:
            return Wire(self.device)

    def yardstick(self, total):
        """(Gb/s, CPU-s/GiB) of TLS over TCP, the same way."""
        if self.where == 'direct':
            return bare_tls(self, self.hosts, 1, total)
        row = m.yardstick(self.lab.build, total)
        return row['gbps'], row['cpu_per_gib']


def send(sender, receiver, source, target):
    """A file.  (sender's, receiver's program, when the second started)."""
    first, token = sender.send(source, options=['--hide-progress'])
    start = time.monotonic()
    return first, receiver.receive(token, '--hide-progress',
                                   cwd=target.parent), start


def pipe(sender, receiver, source, target):
    """Standard input and output are files."""
    with open(target, 'wb') as out:
        second, token = receiver.listen(out)
    with open(source, 'rb') as data:
        start = time.monotonic()
        return sender.pipe(token, data), second, start


SHAPES = {'send': send, 'pipe': pipe}


def no_leak(call):
    """Calls; the descriptors that this process has open must be as many
    afterwards, as later runs would be slower for more."""
    before = os.listdir('/proc/self/fd')
    result = call()
    l.until(lambda: _same_fds(before), 5, 'descriptors')
    return result


def _same_fds(before):
    after = os.listdir('/proc/self/fd')
    if len(after) > len(before):
        raise AssertionError(f'{len(after) - len(before)} left open')


class TransferLanes:
    """run(lane): send-direct, send-relay, send-mixed, pipe-direct, pipe-relay,
    pipe-mixed, pipe-first[-direct|-relay], text[-direct|-relay]."""

    def __init__(self, bench):
        self.bench = bench
        self.args = bench.args
        self.bytes = bench.args.bytes or DEFAULT_BYTES

    def run(self, lane):
        shape, _, where = lane.rpartition('-')
        if where == 'mixed':
            self.in_memory(lambda: self.mixed(shape))
            return
        if where not in ('direct', 'relay'):
            shape, where = lane, None
        if shape in SHAPES:
            self.throughput(shape, where or 'direct')
            return
        for each in [where] if where else ['relay', 'direct']:
            self.latency(shape, each)

    # Throughput

    def throughput(self, shape, where):
        def measure():
            with Place(self, where) as place:
                self.rounds(shape, place)

        self.in_memory(measure)

    def in_memory(self, measure):
        # Two sources, a target, and a ballast before it has given way to that.
        MEMORY.mkdir(exist_ok=True)
        w.run('mount', '-t', 'tmpfs', '-o',
              f'size={4 * self.bytes + 4 * WARM_BYTES}', 'tmpfs', MEMORY)
        try:
            measure()
        finally:
            w.run('umount', MEMORY)

    def mixed(self, shape):
        """Ours at one end, theirs at the other; the reference is theirs at
        both on the same path, with neither raw sockets nor bulk packets."""
        total = self.bytes // MIXED_SHARE
        source = MEMORY / f'from-{total}'
        x.make_file(source, total)
        with Place(self, 'direct') as place:
            ours, theirs, same = (place.pair(n) for n in ('ours', 'Go', 'Go'))
            for side in same:
                side.env = {**side.env, **MANAGED}
            pairs = {'ours to Go': (ours[0], theirs[1]),
                     'Go to ours': (theirs[0], ours[1]), 'Go': same}
            got = {n: [] for n in pairs}
            for n in range(-1, self.args.rounds):
                for name, pair in pairs.items():
                    row = self.one(SHAPES[shape], place, pair, source, total)
                    if n >= 0:
                        got[name].append(row)
        self.bench.raw[f'{shape}, mixed'] = {'runs': got, 'bytes': total}

        def value(name, read):
            rows = [read(r) for r in got[name]]
            return {'value': statistics.median(rows), 'spread': m.spread(rows)}

        for name in ('ours to Go', 'Go to ours'):
            mine, go = (value(n, lambda r: r['gbps']) for n in (name, 'Go'))
            self.bench.row(f'{shape}, direct, {name}', 'Gb/s', mine, go,
                           '>= Go', mine['value'] >= go['value'])
            mine, go = (value(n, self.ends) for n in (name, 'Go'))
            self.bench.row(f'{shape}, direct, {name}, CPU', 'CPU-s/GiB', mine,
                           go, '<= Go', mine['value'] <= go['value'])

    @staticmethod
    def ends(row):
        """CPU-s/GiB of both ends."""
        return sum(v for k, v in row['cpu_per_gib'].items() if k != 'relay')

    def rounds(self, shape, place):
        total = dict.fromkeys(NAMES, self.bytes)
        if place.where == 'relay':
            total['Go'] //= RELAYED_GO_SHARE
        sources = {}
        for size in {*total.values(), WARM_BYTES}:
            sources[size] = MEMORY / f'from-{size}'
            x.make_file(sources[size], size)
        got = {n: [] for n in NAMES}
        sticks = []
        pairs = {n: place.pair(n) for n in NAMES}
        for name in NAMES:
            # Starts daemons, which keep what they inherit.
            self.one(SHAPES[shape], place, pairs[name], sources[WARM_BYTES],
                     WARM_BYTES)
        for _ in range(self.args.rounds):
            sticks.append(place.yardstick(m.GIB))
            for name in NAMES:
                got[name].append(no_leak(lambda n=name: self.one(
                    SHAPES[shape], place, pairs[n], sources[total[n]],
                    total[n])))
        self.tell(f'{shape}, {place.where}', got, sticks, total)

    @staticmethod
    def one(start, place, pair, source, size):
        """One transfer, compared: rates and CPU."""
        sender, receiver = pair
        folder = MEMORY / 'to'
        folder.mkdir()
        target = folder / source.name
        ways = None
        if place.where == 'direct':
            ways = lab_watch.Counters(place.hosts[0])
            before = ways.read()
        relay = place.relays[receiver.name if receiver.is_go else 'ours']
        ballast = Ballast(size)
        wire = place.wire()
        base = wire.sent()
        spending = Spent(pair, None if ways else relay)
        with ballast:
            first, second, begun = start(sender, receiver, source, target)
            while wire.sent() < base + min(MOVING, size):
                if not second.alive() or time.monotonic() > begun + LIMIT_S:
                    raise AssertionError(f'nothing moved: {second.said()}')
                time.sleep(POLL_S)
            moving = time.monotonic()
            arrived = when_ended(second)
            over = max(arrived, when_ended(first))
        wire.close()
        cpu = spending.stop()
        subprocess.run(['cmp', source, target], check=True)
        if ways:
            rise = {k: v - before[k] for k, v in ways.read().items()}
            ways.ns.nft('delete table inet watch')
            if size > WARM_BYTES and rise['udp_out'] < size * 0.9:
                raise AssertionError(f'not direct: {rise}')
        ballast.replace(target)
        folder.rmdir()
        gib = size / m.GIB
        return {'gbps': size * 8 / (arrived - moving) / 1e9,
                'before s': moving - begun, 'whole s': over - begun,
                'cpu_per_gib': {k: v / gib for k, v in cpu.items()}}

    def tell(self, lane, got, sticks, total):
        def value(read):
            rows = {n: [read(r) for r in got[n]] for n in NAMES}
            return [{'value': statistics.median(v), 'spread': m.spread(v)}
                    for v in (rows[n] for n in NAMES)]

        self.bench.raw[lane] = {'runs': got, 'yardstick': sticks,
                                'bytes': total}
        stick, stick_cpu = map(statistics.median, zip(*sticks))
        ours, theirs = value(lambda r: r['gbps'])
        beside = {'TLS Gb/s': stick}
        for n in NAMES:
            beside[f'{n} GiB'] = total[n] / m.GIB
            for k in ('before s', 'whole s'):
                beside[f'{n} {k}'] = statistics.median(r[k] for r in got[n])
        self.bench.row(lane, 'Gb/s', ours, theirs, '>= 3x Go',
                       ours['value'] >= 3 * theirs['value'],
                       of_yardstick=ours['value'] / stick,
                       go_of_yardstick=theirs['value'] / stick,
                       yardstick_gbps=stick, beside=beside)
        ours, theirs = value(self.ends)
        kinds = {k: statistics.median(r['cpu_per_gib'][k]
                                      for r in got['ours'])
                 for k in got['ours'][0]['cpu_per_gib']}
        self.bench.row(f'{lane}, CPU of both ends', 'CPU-s/GiB', ours, theirs,
                       '<= 1/3 of Go', ours['value'] <= theirs['value'] / 3,
                       beside={**kinds, 'TLS': stick_cpu})
        if 'relay' in kinds:
            ours, theirs = value(lambda r: r['cpu_per_gib']['relay'])
            self.bench.row(f'{lane}, CPU of the relay', 'CPU-s/GiB', ours,
                           theirs, '<= derper',
                           ours['value'] <= theirs['value'])

    # Latency

    def latency(self, shape, where):
        measure = {'pipe-first': self.first_byte, 'text': self.text}[shape]
        times = {n: [] for n in NAMES}
        cold = {}
        with Place(self, 'direct') as place:
            place.flags = ['--force-relay'] if where == 'relay' else []
            pairs = {n: place.pair(n) for n in NAMES}
            for n in NAMES:
                cold[n] = measure(*pairs[n])
            for _ in range(self.args.runs):
                for n in NAMES:
                    times[n].append(no_leak(lambda p=pairs[n]: measure(*p)))
        title = {'pipe-first': 'first byte, pipe', 'text': '1 KiB text'}[shape]
        lane = f'{title}, {"relay only" if where == "relay" else "any way"}'
        self.bench.raw[f'{lane} ms'] = {'warm': times, 'cold': cold}
        share, goal = (0.5, '1/2') if where == 'relay' else (0.1, '1/10')
        middle = {n: statistics.median(v) for n, v in times.items()}
        value = {k: {'value': m.quantile(v, 0.99), 'spread': m.spread(v)}
                 for k, v in times.items()}
        beside = {f'{n} cold': cold[n] for n in NAMES}
        self.bench.row(f'{lane}, median', 'ms',
                       {'value': middle['ours'],
                        'spread': m.spread(times['ours'])},
                       {'value': middle['Go'],
                        'spread': m.spread(times['Go'])},
                       f'<= {goal} of Go',
                       middle['ours'] <= share * middle['Go'], beside=beside)
        self.bench.row(f'{lane}, p99', 'ms', value['ours'], value['Go'],
                       f'<= {goal} of Go',
                       value['ours']['value'] <= share * value['Go']['value'],
                       ours_median=middle['ours'], go_median=middle['Go'],
                       runs=self.args.runs)

    @staticmethod
    def first_byte(sender, receiver):
        """printf x | pipe, until it comes out of a listener that waits."""
        out, stdout = os.pipe()
        source, stdin = os.pipe()
        try:
            second, token = receiver.listen(stdout)
            os.close(stdout)
            os.write(stdin, b'x')
            os.close(stdin)
            # So that what the listener still does is not measured.
            time.sleep(0.1)
            took = sender.timed(f'fd={out}', 'pipe', token, stdin=source,
                                pass_fds=[out])
            x.ended(second, LIMIT_S)
        finally:
            os.close(out)
            os.close(source)
        return took

    @staticmethod
    def text(sender, receiver):
        """send TEXT waits; receive, until it has printed it and ended."""
        text = ('0123456789abcde\n' * (TEXT // 16)).encode()
        source, stdin = os.pipe()
        os.write(stdin, text)
        os.close(stdin)
        out, stdout = os.pipe()
        try:
            first, token = sender.send(stdin=source)
            time.sleep(0.1)
            took = receiver.timed('exit', 'receive', token, stdout=stdout,
                                  stdin=subprocess.DEVNULL)
            os.close(stdout)
            got = os.read(out, len(text) + 1)
            x.ended(first, LIMIT_S)
        finally:
            os.close(out)
            os.close(source)
        if got != text:
            raise AssertionError(f'{len(got)} bytes')
        return took
