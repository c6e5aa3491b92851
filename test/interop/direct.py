#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Direct paths between our programs and the Go tools, row by row.

usage: direct.py BUILD_FOLDER [CELL-PATTERN]

A cell is {share-open, serve-open} x {C-Go, Go-C} x {raw, manager, off at ...}
in the network lab, both hosts behind port-restricted boxes: the first of a pair
offers the service, the second connects.  Raw direct is on at both; or turned
off at one of them, so that the manager's path must do.  Which was used is read
off the Go side's words and the packets of both hosts.  Go-Go is the reference.
"""
import os
import pathlib
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))

import lab_boxes as b  # noqa: E402
import lab_peers as p  # noqa: E402
import lab_watch  # noqa: E402
import lab_world as w  # noqa: E402
from lab_world import l  # noqa: E402
import faults_lib as fl  # noqa: E402

MIB = 1 << 20
BULK = 8 * MIB
# The second probe of a Go manager comes after 7 s, if the first was too early.
WAIT = 20
# A Go server keeps the slot of a client that left without a word; and what asks
# meanwhile is queued there.
PATIENCE = 15
TRIES = 3
OFF = {'DERPHOLE_V2_RAW_DIRECT': '0'}


class Session:
    """Offerer, user, and what their hosts see."""

    def __init__(self, offer, use):
        self.offer, self.use = offer, use
        with offer.ns:
            self.service = fl.Service()
        self.counters = [lab_watch.Counters(s.ns) for s in (offer, use)]

    def close(self):
        self.service.close()
        for c in self.counters:
            c.ns.nft('delete table inet watch')

    def carry(self, opener, watchers, raw):
        """Goes direct, and carries bytes both ways there; returns a note."""
        address = opener.wait_line(r'^listening on (\S+)$',
                                   timeout=45).group(1)
        start = time.monotonic()
        pings = p.Pings(self.use.ns, address)
        try:
            if p.wait_direct(watchers, WAIT, True) is None:
                raise AssertionError(
                    f'not direct within {WAIT} s; seen: '
                    f'{[dict(x.count) for x in watchers]}')
            taken = time.monotonic() - start
            time.sleep(0.3)
            outcome, rise = p.bulk(self.use.ns, address, self.counters)
        finally:
            pings.stop()
        if outcome != 'direct':
            raise AssertionError(f'bytes went {outcome}: {rise}')
        with self.use.ns:
            l.exchange(address, BULK, BULK)
            l.many(address, 10, MIB)
        return f'{"raw" if raw else "manager"}, direct after {taken:.1f} s'


def go_says(side, process, raw):
    """The Go side's own word for the path."""
    if side.is_go:
        want = f'v2-data-plane={"raw-direct" if raw else "manager"}'
        if want not in process.lines['err']:
            raise AssertionError(f'no {want}: {process.said()}')
        if process.when('connected-direct') is None:
            raise AssertionError(f'no connected-direct: {process.said()}')


def alive(*processes):
    for x in processes:
        if not x.alive():
            raise AssertionError(f'{x.name()} ended: {x.said()}')


def share_open(session, raw, started):
    watchers = [lab_watch.Watcher(s.ns) for s in (session.offer, session.use)]
    try:
        sharer, token = session.offer.share(session.service.address)
        started.append(sharer)
        opener = session.use.open(token)
        started.append(opener)
        note = session.carry(opener, watchers, raw)
    finally:
        for x in watchers:
            x.stop()
    alive(sharer, opener)
    go_says(session.offer, sharer, raw)
    go_says(session.use, opener, raw)
    status = opener.stop()
    try:
        ended = sharer.proc.wait(5)
        note += f'; ended {status}, {ended}'
    except l.subprocess.TimeoutExpired:
        note += f'; ended {status}, sharer waits on'
        ended = sharer.stop()
    if ended != 0:
        raise AssertionError(f'sharer ended {ended}: {sharer.said()}')
    return note


def client(session, token, raw, started):
    """One client from start to direct; leaves it running."""
    watchers = [lab_watch.Watcher(s.ns) for s in (session.offer, session.use)]
    opener = session.use.tunnel(token)
    started.append(opener)
    try:
        note = session.carry(opener, watchers, raw)
    except AssertionError:
        opener.stop(signal.SIGKILL)
        raise
    finally:
        for x in watchers:
            x.stop()
    alive(opener)
    go_says(session.use, opener, raw)
    return opener, note


def serve_open(session, raw, started):
    tokens = session.offer.tokens('direct')
    server = session.offer.serve(tokens[0], session.service.address)
    started.append(server)
    opener, note = client(session, tokens[1], raw, started)
    go_says(session.offer, server, raw)
    opener.stop()
    start = time.monotonic()
    for n in range(TRIES):
        try:
            opener, second = client(session, tokens[1], raw, started)
            break
        except AssertionError as e:
            if (session.offer.is_go and session.use.is_go and
                    not server.alive()):
                return f'{note}; theirs: the server ended'
            alive(server)
            if not session.offer.is_go:
                raise
            if n == TRIES - 1:
                if session.use.is_go:
                    return f'{note}; theirs: slot still taken'
                raise AssertionError(f'second client: {e}') from e
            time.sleep(PATIENCE)
    alive(server, opener)
    return (f'{note}; second client ({second}) '
            f'{time.monotonic() - start:.1f} s after the first left')


SHAPES = {'share-open': share_open, 'serve-open': serve_open}
HOW = {None: 'raw', 0: 'manager, raw off at the first',
       1: 'manager, raw off at the second'}
PAIRS = (('C', 'Go'), ('Go', 'C'), ('Go', 'Go'))


def run_cell(world, build, peers, shape, names, off):
    homes = b.pair(world, 'port', 'port')
    sides = []
    for n, (name, h) in enumerate(zip(names, homes)):
        kind = 'go' if name == 'Go' else 'c'
        sides.append(p.Side(world, kind, h.host, p.programs(
            build, kind, peers), f'{world.cells}-{n}', OFF if off == n else {}))
    world.cells += 1
    session = Session(*sides)
    started = []
    try:
        return SHAPES[shape](session, off is None, started)
    except AssertionError as e:
        raise AssertionError('\n'.join(
            [str(e), *(f'{x.name()}: {x.said()[-1500:]}' for x in started)])) \
            from e
    finally:
        for x in reversed(started):
            x.stop()
        session.close()
        b.remove(*homes)


def main():
    build = os.path.abspath(sys.argv[1])
    pattern = re.compile(sys.argv[2] if len(sys.argv) > 2 else '')
    tap = l.Tap()
    try:
        peers = l.find_peers()
        w.enter()
    except l.Skip as e:
        tap.skip('all cells', e)
        return tap.done()
    with w.World(build) as world:
        world.cells = 0
        for shape in SHAPES:
            for names in PAIRS:
                for off in (None, 0, 1):
                    title = f'{shape} {names[0]}-{names[1]} {HOW[off]}'
                    if pattern.search(title):
                        tap.run(title, run_cell, world, build, peers, shape,
                                names, off)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
