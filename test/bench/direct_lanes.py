# SPDX-License-Identifier: BSD-3-Clause
"""Lanes of direct paths: ours and Go's tunnels beside ssh -L, TLS over TCP and
bare TCP, between two hosts of the lab (veth, MTU 1500) or on one host (lo)."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import measure as m
from measure import l

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
import lab_boxes as b  # noqa: E402
import lab_peers as p  # noqa: E402
import lab_watch  # noqa: E402
import lab_world as w  # noqa: E402

# What a tunnel of theirs gets, of the bytes that ours gets: it is slower.
GO_SHARE = 4
SERVER = '203.0.113.10'
WAIT_S = 15


class Tunnel:
    """derptun serve on a, derptun open on b."""

    def __init__(self, lanes, kind, hosts, source):
        programs = p.programs(str(lanes.world.lab.build), kind,
                              lanes.bench.peers)
        self.kind = kind
        self.hosts = hosts
        self.sides = [p.Side(lanes.world, kind, ns, programs, f'bench{n}')
                      for n, ns in enumerate(hosts)]
        tokens = self.sides[0].tokens(f'bench-{kind}')
        self.counters = lab_watch.Counters(hosts[0])
        self.server = self.sides[0].serve(tokens[0], source.address)
        self.client = self.sides[1].tunnel(tokens[1])
        self.address = self.client.wait_line(r'^listening on (\S+)$',
                                             timeout=45).group(1)

    def ready(self):
        """Until bytes go directly."""
        deadline = time.monotonic() + WAIT_S
        while True:
            before = self.counters.read()
            with self.hosts[1]:
                m.fetch(self.address, 1, 4 * m.CHUNK)
            after = self.counters.read()
            if after['udp_out'] - before['udp_out'] > 4 * m.CHUNK * 0.9:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f'{self.kind} is not direct: '
                                     f'{self.client.said()}')
            time.sleep(0.2)

    def roots(self):
        return {'both': [x.proc.pid for x in (self.server, self.client)] +
                [pid for s in self.sides if not s.is_go
                 for pid in l.daemons_of(s.env)]}

    def close(self):
        self.client.stop()
        self.server.stop()
        self.counters.ns.nft('delete table inet watch')


class Ssh:
    """ssh -L from b to a real sshd on a."""
    kind = 'ssh -L'

    def __init__(self, lanes, hosts, source):
        lab = lanes.world.lab
        folder = lab.path('sshd')
        folder.mkdir(exist_ok=True, mode=0o700)
        os.makedirs('/run/sshd', exist_ok=True)
        for name in ('host', 'user'):
            if not (folder / name).exists():
                subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '',
                                '-f', str(folder / name)], check=True)
        shutil.copy(folder / 'user.pub', folder / 'authorized')
        port = lab.port()
        config = folder / 'config'
        config.write_text('\n'.join([
            f'Port {port}', f'HostKey {folder}/host',
            f'AuthorizedKeysFile {folder}/authorized', 'StrictModes no',
            'UsePAM no', 'PidFile none', 'PermitRootLogin prohibit-password',
        ]) + '\n', encoding='ascii')
        env = {'PATH': os.environ['PATH']}
        self.server = lab.start([*hosts[0].prefix(), '/usr/sbin/sshd', '-D',
                                 '-e', '-f', config], env)
        with hosts[1]:
            l.wait_for_port(SERVER, port)
        self.hosts = hosts
        self.address = f'127.0.0.1:{lab.port()}'
        self.client = lab.start(
            [*hosts[1].prefix(), 'ssh', '-F', 'none', '-N', '-i',
             folder / 'user', '-o', 'StrictHostKeyChecking=no', '-o',
             'UserKnownHostsFile=/dev/null', '-o', 'IdentitiesOnly=yes', '-p',
             port, '-L', f'{self.address}:{source.address}',
             f'root@{SERVER}'], env)

    def ready(self):
        with self.hosts[1]:
            l.until(lambda: m.fetch(self.address, 1, 4 * m.CHUNK), 10, 'ssh')

    def roots(self):
        return {'both': [self.server.proc.pid, self.client.proc.pid]}

    def close(self):
        self.client.stop()
        self.server.stop()


def bare_tls(lanes, hosts, streams, total):
    """(Gb/s, CPU-s/GiB); streams at once."""
    with hosts[1]:
        children = [subprocess.Popen(
            [str(lanes.world.lab.build / 'test/bench/yardstick'),
             str(total // streams), hosts[0].path, SERVER], text=True,
            stdout=subprocess.PIPE) for _ in range(streams)]
        rows = [json.loads(c.communicate(timeout=300)[0]) for c in children]
    return (sum(r['gbps'] for r in rows),
            statistics.mean(r['cpu_per_gib'] for r in rows))


def bare_tcp(lanes, hosts, streams, total):
    """iperf3, from a to b."""
    server = lanes.world.lab.start([*hosts[0].prefix(), 'iperf3', '-s', '-1'],
                                   {'PATH': os.environ['PATH']})
    time.sleep(0.3)
    done = subprocess.run(
        [*hosts[1].prefix(), 'iperf3', '-c', SERVER, '-R', '-J', '-n',
         str(total), '-P', str(streams)], stdout=subprocess.PIPE, check=True,
        text=True)
    server.stop()
    end = json.loads(done.stdout)['end']
    got = end['sum_received']
    cpu = end['cpu_utilization_percent']
    seconds = (cpu['host_total'] + cpu['remote_total']) / 100 * got['seconds']
    return (got['bits_per_second'] / 1e9,
            seconds / (got['bytes'] / m.GIB))


class DirectLanes:
    def __init__(self, bench):
        self.bench = bench
        self.args = bench.args
        self.world = None

    def run(self, lane):
        with w.World(os.path.abspath(self.args.build)) as self.world:
            if lane == 'switch':
                self.switch()
            else:
                where, streams = lane.split('-')
                self.throughput(where, int(streams))

    def one(self, name, hosts, source, streams):
        """(Gb/s, CPU-s/GiB) of one contender, once."""
        total = self.bench.bytes
        if name == 'TLS':
            return bare_tls(self, hosts, streams, total)
        if name == 'TCP':
            return bare_tcp(self, hosts, streams, 2 * total)
        if name == 'Go':
            total //= GO_SHARE
        tunnel = Ssh(self, hosts, source) if name == 'ssh' else \
            Tunnel(self, 'go' if name == 'Go' else 'c', hosts, source)
        try:
            tunnel.ready()
            meter = m.Meter(tunnel.roots())
            with hosts[1]:
                seconds = m.fetch(tunnel.address, streams, total)
            used = meter.stop()['both']
        finally:
            tunnel.close()
        return total * 8 / seconds / 1e9, used / (total / m.GIB)

    def throughput(self, where, streams):
        a = self.world.public('a', SERVER)
        hosts = (a, a) if where == 'lo' else \
            (a, self.world.public('b', '203.0.113.20'))
        with a:
            source = m.Source()
        names = ['ours', 'Go', 'TLS']
        for name, program in (('ssh', 'ssh'), ('TCP', 'iperf3')):
            if shutil.which(program) is not None:
                names.append(name)
            else:
                print(f'left out: {program} is not installed', file=sys.stderr)
        rate = {n: [] for n in names}
        cpu = {n: [] for n in names}
        for _ in range(self.args.rounds):
            for name in names:
                gbps, used = self.one(name, hosts, source, streams)
                rate[name].append(gbps)
                cpu[name].append(used)
        lane = (f'direct TCP {"on lo" if where == "lo" else "between hosts"}, '
                f'{streams} stream{"s" * (streams > 1)}')
        self.bench.raw[lane] = {'gbps': rate, 'cpu_per_gib': cpu}
        self.rows(lane, rate, cpu)

    def rows(self, lane, rate, cpu):
        def value(table, name):
            return {'value': statistics.median(table[name]),
                    'spread': m.spread(table[name])}

        ours, theirs = value(rate, 'ours'), value(rate, 'Go')
        self.bench.row(lane, 'Gb/s', ours, theirs, '>= 4x Go',
                       ours['value'] >= 4 * theirs['value'],
                       beside={f'{n} Gb/s': statistics.median(v)
                               for n, v in rate.items()})
        ours, theirs = value(cpu, 'ours'), value(cpu, 'Go')
        self.bench.row(f'{lane}, CPU', 'CPU-s/GiB', ours, theirs, '<= 1/4 of Go',
                       ours['value'] <= theirs['value'] / 4,
                       beside={f'{n} s/GiB': statistics.median(v)
                               for n, v in cpu.items()})
        # Of the same round: the machine's moods cancel out.
        of_tls = {n: [x / t for x, t in zip(rate[n], rate['TLS'])]
                  for n in ('ours', 'Go')}
        ours = value(of_tls, 'ours')
        self.bench.row(f'{lane}, of TLS', 'x TLS', ours, value(of_tls, 'Go'),
                       '>= 0.6 of TLS', ours['value'] >= 0.6)

    def switch(self):
        homes = b.pair(self.world, 'lan', 'lan')
        times = {'ours': [], 'Go': []}
        for n in range(self.args.runs):
            for name, kind in (('ours', 'c'), ('Go', 'go')):
                programs = p.programs(str(self.world.lab.build), kind,
                                      self.bench.peers)
                sides = [p.Side(self.world, kind, h.host, programs,
                                f'switch{i}') for i, h in enumerate(homes)]
                seen = p.session(*sides, WAIT_S, True)
                if seen.direct is None:
                    raise AssertionError(f'{name} run {n}: {seen.outcome}')
                times[name].append(seen.direct)
        self.bench.raw['claim to direct ms'] = times
        value = {k: {'value': m.quantile(v, 0.99), 'spread': m.spread(v)}
                 for k, v in times.items()}
        self.bench.row('claim to direct on a LAN, p99', 'ms', value['ours'],
                       value['Go'], '<= 100 ms', value['ours']['value'] <= 100,
                       ours_median=statistics.median(times['ours']),
                       go_median=statistics.median(times['Go']),
                       runs=self.args.runs)
