#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the daemon says of direct paths: session.why, path events, changes.

usage: why.py BUILD_FOLDER
"""
import json
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lab_boxes as b  # noqa: E402
import lab_peers as p  # noqa: E402
import lab_world as w  # noqa: E402
from lab_world import l  # noqa: E402

import faults_lib as fl  # noqa: E402

# From a cut to the relay, from healing to direct; see switches.
FALLBACK_S = 8
RETURN_S = 16
# Of which the link is down or unusable for one second.
ROAM_S = 5


class Pair:
    """A share and its opener, each with a daemon of its own."""

    def __init__(self, world, build, kinds, offer=(), use=()):
        self.homes = b.pair(world, *kinds)
        programs = p.programs(build, 'c', {})
        self.sides = [p.Side(world, 'c', h.host, programs,
                             f'why{world.pairs}{i}')
                      for i, h in enumerate(self.homes)]
        world.pairs += 1
        self.words = (offer, use)
        self.started = []

    def __enter__(self):
        offer, use = self.sides
        with offer.ns:
            self.service = fl.Service()
        sharer = offer.start('derphole', 'share', self.service.address,
                             '--print-token-only', *self.words[0])
        self.started.append(sharer)
        token = sharer.wait_line(p.TOKEN, stream='out').group(1)
        sharer.wait_line('^waiting-for-claim$')
        self.rpc = fl.Rpc(os.path.join(offer.env['XDG_RUNTIME_DIR'],
                                       'derptund/control.sock'))
        self.rpc.call('session.subscribe')
        self.events = []
        opener = use.start('derphole', 'open', token, *self.words[1])
        self.started.append(opener)
        self.address = opener.wait_line(r'^listening on (\S+)$').group(1)
        return self

    def __exit__(self, *exc):
        for q in reversed(self.started):
            q.stop()
        self.rpc.close()
        self.service.close()
        b.remove(*self.homes)

    def ctl(self, i, *words):
        side = self.sides[i]
        out = subprocess.run(
            [*side.ns.prefix(), side.programs['derptunctl'], *words],
            env=side.env, check=True, stdout=subprocess.PIPE, text=True,
            timeout=15).stdout
        return json.loads(out) if '--json' in words else out

    def session(self, i):
        return self.ctl(i, 'list', '--json')['sessions'][0]

    def why(self, i):
        return self.ctl(i, 'why', str(self.session(i)['id']), '--json')

    def until(self, i, seconds, **want):
        """The first answer with these members."""
        end = time.monotonic() + seconds
        while True:
            said = self.why(i)
            if all(said.get(k) == v for k, v in want.items()):
                return said
            if time.monotonic() > end:
                raise AssertionError(f'never {want}: {said}')
            time.sleep(0.2)

    def heard(self, count, names=('relay', 'path', 'direct')):
        """The first events of these names, as the first daemon tells."""
        while True:
            found = [n for n in self.events if n in names]
            if len(found) >= count:
                return found[:count]
            message = self.rpc.line()
            true(message is not None, 'events ended', self.events)
            self.events.append(message.get('params', {}).get('event'))


def true(good, *what):
    if not good:
        raise AssertionError(f'not so: {what}')


def wan(home):
    """The public address of a home behind one box."""
    out = subprocess.run(['ip', '-n', home.boxes[0].name, '-json', '-4', 'addr'],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return [a['local'] for i in json.loads(out) for a in i['addr_info']
            if a['local'].startswith('203.')][0]


def cut(ns, on):
    if on:
        ns.nft('table inet cut { chain i { type filter hook input priority 0;'
               'meta l4proto udp drop; }; chain o { type filter hook output '
               'priority 0; meta l4proto udp drop; }; }')
    else:
        ns.nft('delete table inet cut')


def direct(world, build):
    with Pair(world, build, ('port', 'port')) as pair:
        publics = [wan(h) for h in pair.homes]
        for i in (0, 1):
            said = pair.until(i, 5, path='direct')
            other = publics[1 - i]
            true(said['address'].startswith(other + ':'), said)
            true(said['cause'] == 'direct', said)
            true(said['native'] and not said['forced_relay'], said)
            true(said['stun']['answered'] > 0, said)
            true(not said['stun']['symmetric'], said)
            chosen = [c for c in said['peer'] if c['state'] == 'selected']
            true(len(chosen) == 1 and chosen[0]['acks'] > 0, said)
            true(chosen[0]['addr'] == said['address'], said)
            true(any(a.startswith(publics[i] + ':') for a in said['own']),
                 said)
            true(said['gateway'] and said['interfaces'], said)
            true({s['use'] for s in said['sockets']} >= {'ipv4'}, said)
            listed = pair.session(i)
            true((listed['path'], listed['address']) ==
                 ('direct', said['address']), listed)
            text = pair.ctl(i, 'why', str(listed['id']))
            true('packets go directly' in text and said['address'] in text,
                 text)
        names = pair.heard(3)
        true(names == ['relay', 'path', 'direct'], names)
        lost(pair)
        moved(pair)


def lost(pair):
    ns = pair.homes[1].host
    cut(ns, True)
    said = pair.until(0, FALLBACK_S, path='relay')
    true(said['cause'] in ('direct-lost', 'probing'), said)
    true(said['switches'] >= 1 and said['reason'], said)
    cut(ns, False)
    pair.until(0, RETURN_S, path='direct')
    coarse = pair.heard(4, ('relay', 'direct'))
    true(coarse == ['relay', 'direct'] * 2, coarse)


def moved(pair):
    """The opener's machine gets another address; its worker is told."""
    ns = pair.homes[1].host
    before = pair.why(1)['interfaces']
    ns.ip('addr add 192.168.77.7/24 dev eth0')
    pair.until(1, 5, interfaces=before + ['192.168.77.7'])
    end = time.monotonic() + 5
    while not any(a.startswith('192.168.77.7:') for a in pair.why(1)['own']):
        true(time.monotonic() < end, pair.why(1)['own'])
        time.sleep(0.2)
    pair.until(0, RETURN_S, path='direct')


def blocked(world, build):
    with Pair(world, build, ('open', 'blocked')) as pair:
        said = pair.until(1, 8, cause='udp-blocked')
        true(said['path'] == 'relay' and said['stun']['answered'] == 0, said)
        text = pair.ctl(1, 'why', str(said['session']))
        true('why not direct: UDP seems to be blocked' in text, text)


def infeasible(world, build):
    with Pair(world, build, ('port', 'sym')) as pair:
        for i in (0, 1):
            said = pair.until(i, 12, cause='unanswered')
            tried = [c for c in said['peer'] if c['probes'] > 0]
            true(tried and not any(c['acks'] for c in tried), said)


def forced(world, build):
    with Pair(world, build, ('open', 'open'),
              offer=('--force-relay',)) as pair:
        said = pair.until(0, 5, path='relay')
        true((said['cause'], said['forced_relay']) == ('forced', True), said)
        true(said['sockets'] == [], said)
        pair.until(1, 12, cause='no-candidates')


def roams(world, build):
    """Only the relay, and the machine's link and address change under it."""
    with Pair(world, build, ('open', 'open'), offer=('--force-relay',),
              use=('--force-relay',)) as pair:
        ns = pair.homes[1].host
        gaps = []
        for lines in (('link set eth0 down',),
                      ('addr del 203.0.113.20/24 dev eth0',
                       'addr add 203.0.113.77/24 dev eth0')):
            pings = p.Pings(ns, pair.address)
            ns.ip(*lines)
            time.sleep(1)
            ns.ip('link set eth0 up')
            ns.default_route(w.GATEWAY, 'eth0')
            count = pings.count
            end = time.monotonic() + 10
            while pings.count < count + 20 and time.monotonic() < end:
                time.sleep(0.1)
            pings.stop()
            gaps.append(round(pings.gap, 2))
        true(max(gaps) < ROAM_S, f'pauses of {gaps} s')
        return f'pauses of {gaps} s'


def main():
    build = os.path.abspath(sys.argv[1])
    tap = l.Tap()
    try:
        w.enter()
    except l.Skip as e:
        tap.skip('why', e)
        return tap.done()
    with w.World(build) as world:
        world.pairs = 0
        for title, row in (('direct, lost, moved', direct),
                           ('UDP blocked', blocked),
                           ('NATs that do not match', infeasible),
                           ('forced relay', forced),
                           ('another address on the relay', roams)):
            tap.run(title, row, world, build)
    return tap.done()


sys.exit(main())
