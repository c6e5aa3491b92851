#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transfers between our programs and the Go tool, row by row.

usage: transfers.py BUILD_FOLDER [--huge] [CELL-PATTERN]

A cell is {pipe, pipe-file, text, file, directory, ssh, absent} x {C-C, C-Go,
Go-C} x {relay, direct} x {our relay, derper}: the first of a pair sends, the
second receives (ssh: the first sends its key; absent: the first dies before it
is asked).  A row is a cell and a size: 0, 1, 100 KiB, 64 MiB + 1.  Which way the
bytes went is counted.  Then Go-Go through our relay as the reference, and with
--huge 3 GiB in each direction over direct paths.  Cells whose programs are
missing are skipped with the reason.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import lab as l
import xfer as x

MIB = 1 << 20
SIZES = (0, 1, 100 << 10, 64 * MIB + 1)
HUGE = 3 << 30
NAMES = {0: '0', 1: '1', 100 << 10: '100 KiB', 64 * MIB + 1: '64 MiB + 1',
         HUGE: '3 GiB'}
# One transfer on a busy machine; of the largest size.
TIME = 30
BULK_TIME = 120
HUGE_TIME = 900
# Who waits for somebody that is gone is told within this, and ends so.
DEAD = 25
TIMED_OUT = 13
# A Go accepter leaves when it has written, delivered or not: the Go inviter
# rarely gets the key either.  From the second time on it is held at its exit.
TRIES = 6
HOLD = ('strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=exit_group', '-e',
        'inject=exit_group:delay_enter=2000000')
# Longer texts are no argument but stdin: theirs takes them for names.
ARGUMENT = {'Go': 200, 'C': 120000}
# More than control messages and probes.
ENOUGH = 16 * MIB


class Cell:
    """One pair of parties on one relay."""

    def __init__(self, lab, relay, sender, receiver, direct):
        self.lab = lab
        self.sender, self.receiver = sender, receiver
        self.direct = direct
        self.ways = x.Ways(relay.port)
        self.count = 0

    def close(self):
        self.ways.close()

    def folder(self):
        """Two empty folders: to send from, to receive in."""
        self.count += 1
        top = self.lab.path(f'row-{self.count}')
        for name in ('from', 'to'):
            (top / name).mkdir(parents=True)
        return top / 'from', top / 'to'

    def check_way(self, before, size):
        rise = {k: v - before[k] for k, v in self.ways.read().items()}
        if not self.direct and rise['direct'] > 0:
            raise AssertionError(f'--force-relay, but UDP: {rise}')
        if self.direct and size >= ENOUGH and rise['direct'] < size * 0.9:
            raise AssertionError(f'not direct: {rise}')
        return ', '.join(f'{k} {v}' for k, v in rise.items() if v)


def check_file(path, digest, size):
    if not path.exists():
        raise AssertionError(f'{path.name} did not arrive')
    got = path.stat().st_size
    if got != size or x.digest_of(path) != digest:
        raise AssertionError(f'{path.name} differs: {got} of {size} bytes')


def pipe(cell, size, timeout):
    """cat | pipe -> listen | cat: neither end is a file."""
    source, target = cell.folder()
    digest = x.make_file(source / 'data', size)
    with open(target / 'data', 'wb') as out:
        tail = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=out)
        receiver, token = cell.receiver.listen(tail.stdin)
        tail.stdin.close()
        with subprocess.Popen(['cat', source / 'data'],
                              stdout=subprocess.PIPE) as head:
            sender = cell.sender.pipe(token, head.stdout)
            head.stdout.close()
            x.both_ended(sender, receiver, timeout)
        if tail.wait(5) != 0:
            raise AssertionError('cat')
    check_file(target / 'data', digest, size)


def pipe_file(cell, size, timeout):
    """pipe < file -> listen > file: both ends may use offsets."""
    source, target = cell.folder()
    digest = x.make_file(source / 'data', size)
    with open(source / 'data', 'rb') as data, \
            open(target / 'data', 'wb') as out:
        receiver, token = cell.receiver.listen(out)
        sender = cell.sender.pipe(token, data)
        x.both_ended(sender, receiver, timeout)
    check_file(target / 'data', digest, size)


def text(cell, size, timeout):
    source, target = cell.folder()
    data = (source / 'data')
    data.write_bytes((b'0123456789abcdef\n' * (size // 17 + 1))[:size])
    digest = x.digest_of(data)
    if 0 < size <= ARGUMENT[cell.sender.name]:
        sender, token = cell.sender.send(data.read_text(encoding='ascii'))
    else:
        with open(data, 'rb') as stdin:
            sender, token = cell.sender.send(stdin=stdin)
    with open(target / 'data', 'wb') as out:
        receiver = cell.receiver.receive(token, stdout=out, cwd=target)
        x.both_ended(sender, receiver, timeout)
    check_file(target / 'data', digest, size)
    x.leftovers(target, {'data'})


def file(cell, size, timeout):
    source, target = cell.folder()
    digest = x.make_file(source / 'a name.bin', size)
    sender, token = cell.sender.send(source / 'a name.bin')
    receiver = cell.receiver.receive(token, cwd=target)
    x.both_ended(sender, receiver, timeout)
    check_file(target / 'a name.bin', digest, size)
    mode = (target / 'a name.bin').stat().st_mode & x.MODE
    if mode != 0o644:
        raise AssertionError(f'mode {mode:o}')
    x.leftovers(target, {'a name.bin'})


def directory(cell, size, timeout):
    source, target = cell.folder()
    x.make_tree(source / 'tree', size)
    sender, token = cell.sender.send(source / 'tree')
    receiver = cell.receiver.receive(token, cwd=target)
    x.both_ended(sender, receiver, timeout)
    x.compare_trees(source / 'tree', target / 'tree',
                    not cell.receiver.is_go)
    x.leftovers(target, {'tree'})


def ssh(cell, _size, timeout):
    """The sender's key goes into the receiver's file."""
    source, _ = cell.folder()
    key = source / 'id_ed25519'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C',
                    'me@there', '-f', key], check=True)
    keys = cell.receiver.home / '.ssh' / 'authorized_keys'
    if keys.parent.exists():
        shutil.rmtree(keys.parent)
    for attempt in range(TRIES):
        inviter, token = cell.receiver.invite()
        held = HOLD if attempt > 0 and shutil.which('strace') else ()
        accepter = cell.sender.accept(token, '--yes', '-F', f'{key}.pub',
                                      prefix=held)
        try:
            x.both_ended(accepter, inviter, timeout)
            break
        except AssertionError:
            if not cell.sender.is_go or attempt == TRIES - 1:
                raise
            inviter.stop()
    want = pathlib.Path(f'{key}.pub').read_text(encoding='ascii')
    if keys.read_text(encoding='ascii') != want:
        raise AssertionError(f'authorized_keys: {keys.read_text()!r}')
    for path, mode in ((keys, 0o600), (keys.parent, 0o700)):
        got = path.stat().st_mode & x.MODE
        if got != mode:
            raise AssertionError(f'{path.name}: mode {got:o}')
    x.leftovers(keys.parent, {keys.name})
    return f'attempt {attempt + 1}' if attempt > 0 else None


def absent(cell, _size, _timeout):
    """The sender is killed before anybody comes: the relay tells ours."""
    source, target = cell.folder()
    x.make_file(source / 'f', 10)
    sender, token = cell.sender.send(source / 'f')
    sender.stop(signal.SIGKILL)
    start = time.monotonic()
    receiver = cell.receiver.receive(token, cwd=target)
    x.ended(receiver, DEAD, TIMED_OUT)
    taken = time.monotonic() - start
    if 'nobody waits at the other end of this token' not in receiver.said():
        raise AssertionError(receiver.said())
    x.leftovers(target)
    return f'{taken:.1f} s'


SHAPES = {'pipe': pipe, 'pipe-file': pipe_file, 'text': text, 'file': file,
          'directory': directory, 'ssh': ssh, 'absent': absent}
# One row instead of one for each size.
SINGLE = {'ssh', 'absent'}


class Run:
    """All cells of one call."""

    def __init__(self, build, pattern):
        self.build = build
        self.pattern = pattern
        self.tap = l.Tap()
        self.missing = {}
        self.peers = self._find(l.find_peers, 'Go')
        self.derper = self._find(l.find_derper, 'derper')

    def _find(self, find, name):
        try:
            return find()
        except l.Skip as e:
            self.missing[name] = e
            return None

    def party(self, lab, relay, name, tag, direct):
        derphole = self.peers['derphole'] if name == 'Go' \
            else lab.our('derphole')
        return x.Party(lab, name, derphole, lab.env(tag, relay),
                       [] if direct else ['--force-relay'])

    def cell(self, shape, names, direct, relay_name, sizes, timeout=None):
        title = f'{shape} {names[0]}-{names[1]} ' \
            f'{"direct" if direct else "relay"} {relay_name}'
        titles = {size: title if shape in SINGLE else f'{title} {NAMES[size]}'
                  for size in sizes}
        titles = {s: t for s, t in titles.items() if self.pattern.search(t)}
        for name in (*names, relay_name):
            if name in self.missing:
                for t in titles.values():
                    self.tap.skip(t, self.missing[name])
                return
        if not titles:
            return
        with l.Lab(self.build) as lab:
            relay = lab.derper(self.derper) if relay_name == 'derper' \
                else lab.our_relay()
            cell = Cell(lab, relay,
                        self.party(lab, relay, names[0], 'a', direct),
                        self.party(lab, relay, names[1], 'b', direct), direct)
            try:
                for size, t in titles.items():
                    self.row(cell, shape, names, size, t, timeout)
            finally:
                cell.close()

    def row(self, cell, shape, names, size, title, timeout):
        def test():
            before = cell.ways.read()
            start = time.monotonic()
            said = SHAPES[shape](cell, size, timeout or (
                BULK_TIME if size > MIB else TIME))
            taken = time.monotonic() - start
            note = ', '.join(filter(None, (cell.check_way(before, size),
                                           said)))
            return f'{note}; {size / taken / MIB:.0f} MiB/s' \
                if size > MIB else note

        running = len(cell.lab.processes)
        if not self.tap.run(title, test):
            for p in cell.lab.processes[running:]:
                print(f'# {p.name()}: {p.said()[-1500:]}')
                p.stop()
        shutil.rmtree(cell.lab.path(f'row-{cell.count}'), ignore_errors=True)


def main():
    args = [a for a in sys.argv[1:] if a != '--huge']
    huge = '--huge' in sys.argv
    run = Run(args[0], re.compile(args[1] if len(args) > 1 else ''))
    os.umask(0o022)
    try:
        l.enter_namespace()
    except l.Skip as e:
        run.tap.skip('all transfers', e)
        return run.tap.done()
    pairs = (('C', 'C'), ('C', 'Go'), ('Go', 'C'))
    if huge:
        for names in pairs:
            for shape in ('file', 'pipe-file'):
                run.cell(shape, names, True, 'ours', (HUGE,), HUGE_TIME)
        return run.tap.done()
    for shape in SHAPES:
        sizes = (1,) if shape in SINGLE else SIZES
        for names in pairs:
            if shape == 'absent' and names[1] == 'Go':
                continue  # waits for ever
            for direct in (False,) if shape == 'absent' else (False, True):
                for relay in ('ours', 'derper'):
                    run.cell(shape, names, direct, relay, sizes)
        if shape != 'absent':
            run.cell(shape, ('Go', 'Go'), False, 'ours', sizes)
    return run.tap.done()


if __name__ == '__main__':
    sys.exit(main())
