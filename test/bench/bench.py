#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures ours beside the Go tools, alternating in one run, on one machine.

usage: bench.py BUILD_FOLDER [--lanes LANE,...] [--runs N] [--rounds N]
                [--bytes N] [--json FILE]

Lanes: first-byte relay-1 relay-4 memory (relayed, all on one host), direct-1
direct-4 (direct, between two hosts), lo-1 lo-4 (direct, on one host), switch
(from the claim to the direct path), send-direct send-relay pipe-direct
pipe-relay (transfers), send-mixed pipe-mixed (Go at one end), pipe-first text
(how long a byte, a short text take; with -relay or -direct behind it only
that).

Everything runs in network namespaces of its own (root).  CPU is what the
kernel accounted to every process of both ends and to the relay.  The yardstick
is TLS 1.3 (AES-128-GCM) over one loopback TCP connection, measured between the
rounds: compare figures of different machines or days only through it.

A goal that is not met is a MISS in the table and in the JSON; the exit status
says only whether the measuring worked.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from direct_lanes import DirectLanes, w  # noqa: E402
from measure import (CHUNK, GIB, Echo, Meter, Source, fetch, l,  # noqa: E402
                     percent, private_dirty, quantile, spread, stopwatch,
                     wait_said, yardstick)
from transfer_lanes import TransferLanes  # noqa: E402


class Pair:
    """One share/open pair of an implementation through a relay."""

    def __init__(self, lab, name, programs, relay, service, tag):
        self.lab = lab
        self.name = name
        self.relay = relay
        self.programs = programs
        self.env_a = lab.env(f'{tag}a', relay)
        self.env_b = lab.env(f'{tag}b', relay)
        self.service = service
        # To a file: a reader of our own would run while the clock does.
        words = lab.path(f'{tag}.words')
        with open(words, 'wb') as stderr:
            self.sharer = lab.start(
                [programs['derphole'], '-v', 'share', service.address,
                 '--print-token-only', '--force-relay'], self.env_a,
                stderr=stderr)
        self.token = self.sharer.wait_line(
            r'^([A-Za-z0-9_-]{100,})$', stream='out', timeout=20).group(1)
        # Ours prints the token before it has reached the relay, Go's after.
        wait_said(words, 'waiting-for-claim')
        self.opener = None

    def _open(self):
        return [self.programs['derphole'], 'open', self.token, '--force-relay']

    def first_byte(self):
        """ms until a byte came back; the opener has ended then."""
        return stopwatch(self.lab, 'echo', self._open(), self.env_b,
                         stdin=subprocess.DEVNULL)

    def open(self):
        self.opener = self.lab.start(self._open(), self.env_b)
        self.address = self.opener.wait_line(
            r'^listening on (\S+)$', timeout=45).group(1)

    def roots(self):
        return {
            'sharer': [self.sharer.proc.pid, *l.daemons_of(self.env_a)],
            'opener': [self.opener.proc.pid, *l.daemons_of(self.env_b)],
            'relay': [self.relay.process.proc.pid],
        }

    def close(self):
        if self.opener is not None:
            self.opener.stop()
        self.sharer.stop()


class Bench:
    def __init__(self, args, peers, derper):
        self.args = args
        self.peers = peers
        self.derper = derper
        self.bytes = args.bytes or GIB
        self.rows = []
        self.raw = {}

    def programs(self, lab, name):
        return self.peers if name == 'Go' else {
            'derphole': lab.our('derphole'), 'derptun': lab.our('derptun')}

    def row(self, lane, unit, ours, theirs, goal, hit, **more):
        self.rows.append({
            'lane': lane, 'unit': unit, 'ours': ours['value'],
            'ours_spread_percent': ours.get('spread'),
            'go': theirs['value'] if theirs else None,
            'go_spread_percent': theirs.get('spread') if theirs else None,
            'ratio': ours['value'] / theirs['value']
            if theirs and theirs['value'] else None,
            'goal': goal, 'verdict': 'HIT' if hit else 'MISS', **more})

    def first_byte(self):
        times = {'ours': [], 'Go': []}
        undisturbed = {'ours': [], 'Go': []}
        cold = {}
        with l.Lab(self.args.build) as lab:
            relay = lab.our_relay()
            echo = Echo(lab)
            # The first runs start what the others find running.
            for n in range(-1, self.args.runs):
                for name, took in times.items():
                    pair = Pair(lab, name, self.programs(lab, name), relay,
                                echo, f'f{name}')
                    stolen = l.stolen()
                    ms = pair.first_byte()
                    stolen = l.stolen() - stolen
                    pair.close()
                    if n < 0:
                        cold[name] = ms
                        continue
                    took.append(ms)
                    if stolen == 0:
                        undisturbed[name].append(ms)
        self.raw['first-byte ms'] = {
            'warm': times, 'undisturbed': undisturbed, 'cold': cold}
        value = {k: {'value': quantile(v, 0.99), 'spread': spread(v)}
                 for k, v in times.items()}
        self.row('first byte, share/open, p99', 'ms', value['ours'],
                 value['Go'], 'p99 <= 0.5 of Go',
                 value['ours']['value'] <= 0.5 * value['Go']['value'],
                 ours_median=statistics.median(times['ours']),
                 go_median=statistics.median(times['Go']),
                 runs=self.args.runs,
                 beside={
                     **{f'{k} cold': v for k, v in cold.items()},
                     **{f'{k} undisturbed ({len(v)} runs)': quantile(v, 0.99)
                        for k, v in undisturbed.items() if v}})

    def throughput(self, streams):
        lane = f'relayed TCP, {streams} stream{"s" * (streams > 1)}'
        got = {'ours': [], 'Go': []}
        cpu = {'ours': [], 'Go': []}
        sticks = []
        with l.Lab(self.args.build) as lab:
            relays = {'ours': lab.our_relay(), 'Go': lab.derper(self.derper)}
            source = Source()
            total = {'ours': self.bytes, 'Go': self.bytes // 8}
            for n in range(self.args.rounds):
                sticks.append(yardstick(lab.build, GIB))
                for name in got:
                    pair = Pair(lab, name, self.programs(lab, name),
                                relays[name], source, f't{name}{n}')
                    pair.open()
                    fetch(pair.address, streams, 4 * CHUNK)  # warm up
                    meter = Meter(pair.roots())
                    seconds = fetch(pair.address, streams, total[name])
                    used = meter.stop()
                    pair.close()
                    got[name].append(total[name] * 8 / seconds / 1e9)
                    cpu[name].append({k: v / (total[name] / GIB)
                                      for k, v in used.items()})
        self.raw[lane] = {'gbps': got, 'cpu_per_gib': cpu, 'yardstick': sticks}
        value = {k: {'value': statistics.median(v), 'spread': spread(v)}
                 for k, v in got.items()}
        stick = statistics.median(s['gbps'] for s in sticks)
        self.row(lane, 'Gb/s', value['ours'], value['Go'], '>= 8x Go',
                 value['ours']['value'] >= 8 * value['Go']['value'],
                 of_yardstick=value['ours']['value'] / stick,
                 go_of_yardstick=value['Go']['value'] / stick,
                 yardstick_gbps=stick)
        ends = {k: {'value': statistics.median(
            c['sharer'] + c['opener'] for c in v)} for k, v in cpu.items()}
        self.row(f'{lane}, CPU of both ends', 'CPU-s/GiB', ends['ours'],
                 ends['Go'], '<= 1/8 of Go',
                 ends['ours']['value'] <= ends['Go']['value'] / 8)
        relay = {k: {'value': statistics.median(c['relay'] for c in v)}
                 for k, v in cpu.items()}
        self.row(f'{lane}, CPU of the relay', 'CPU-s/GiB', relay['ours'],
                 relay['Go'], '<= derper',
                 relay['ours']['value'] <= relay['Go']['value'])

    def memory(self):
        with l.Lab(self.args.build) as lab:
            relay = lab.our_relay()
            echo = Echo(lab)
            pair = Pair(lab, 'ours', self.programs(lab, 'ours'), relay, echo,
                        'm')
            pair.open()
            time.sleep(2)
            table = l.processes()
            dirty = {}
            for root in l.daemons_of(pair.env_a) + l.daemons_of(pair.env_b):
                for pid in l.family(root, table):
                    name = table[pid][1]
                    dirty.setdefault(name, []).append(private_dirty(pid))
            pair.close()
        self.raw['private dirty KiB'] = dirty
        for name, limit in (('derptund', 4), ('derptun-gate', 1),
                            ('derptun-session', 2)):
            values = dirty.get(name) or dirty.get(name[:15])
            if not values:
                raise AssertionError(f'no process {name}: {dirty}')
            value = max(values) / 1024
            self.row(f'Private_Dirty of {name}, idle', 'MiB', {'value': value},
                     None, f'<= {limit} MiB', value <= limit)

    def run(self):
        for lane in self.args.lanes.split(','):
            print(f'measuring {lane} ...', file=sys.stderr, flush=True)
            if lane == 'first-byte':
                self.first_byte()
            elif lane.split('-')[0] in ('direct', 'lo', 'switch'):
                DirectLanes(self).run(lane)
            elif lane.split('-')[0] in ('send', 'pipe', 'text'):
                TransferLanes(self).run(lane)
            elif lane == 'memory':
                self.memory()
            else:
                self.throughput(int(lane.split('-')[1]))

    def table(self):
        print(f'{"lane":44} {"ours":>9} {"+-%":>5} {"Go":>9} {"+-%":>5} '
              f'{"ratio":>7}  {"unit":10} {"goal":18} verdict')
        for r in self.rows:
            go = f'{r["go"]:9.2f}' if r['go'] is not None else f'{"-":>9}'
            ratio = f'{r["ratio"]:7.2f}' if r['ratio'] else f'{"-":>7}'
            print(f'{r["lane"]:44} {r["ours"]:9.2f} '
                  f'{percent(r["ours_spread_percent"])} {go} '
                  f'{percent(r["go_spread_percent"])} {ratio}  '
                  f'{r["unit"]:10} {r["goal"]:18} {r["verdict"]}')
        for r in self.rows:
            if 'of_yardstick' in r:
                print(f'{r["lane"]}: ours {r["of_yardstick"]:.3f}, '
                      f'Go {r["go_of_yardstick"]:.3f} of the yardstick '
                      f'({r["yardstick_gbps"]:.1f} Gb/s)')
            if 'beside' in r:
                print(f'{r["lane"]}: ' + ', '.join(
                    f'{k} {v:.2f}' for k, v in r['beside'].items()))
            if 'ours_median' in r:
                print(f'{r["lane"]}: medians {r["ours_median"]:.1f} and '
                      f'{r["go_median"]:.1f} ms, {r["runs"]} runs each')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--lanes', default='first-byte,relay-1,relay-4,memory')
    parser.add_argument('--runs', type=int, default=200)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--bytes', type=int,
                        help='1 GiB, of transfers 2')
    parser.add_argument('--json')
    args = parser.parse_args()
    try:
        peers, derper = l.find_peers(), l.find_derper()
        w.enter()
        w.ip(f'addr add {l.HOST}/32 dev lo')
    except l.Skip as e:
        print(f'cannot measure: {e}', file=sys.stderr)
        return 77
    bench = Bench(args, peers, derper)
    bench.run()
    bench.table()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({
            'date': time.strftime('%Y-%m-%d'), 'kernel': platform.release(),
            'cores': os.cpu_count(), 'rows': bench.rows, 'raw': bench.raw},
            indent=1) + '\n', encoding='utf-8')
    return 0


sys.exit(main())
