#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transfers whose user has bad luck: outputs that fail, signals at the wrong
moment, files that are none.

usage: transfers_mishaps.py BUILD_FOLDER [ROW-PATTERN]
"""
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import sys
import threading
import time

import faults_lib as fl
import transfers_lib as t
import xfer as x
from faults_lib import l
from transfers_lib import INTERRUPTED, LOCAL_IO, MIB, REMOTE_IO, SOON, TIME

HUNG_UP = 128 + signal.SIGHUP
# Answers asked for at once; those that progress of 16 s would take the place of.
STEP = 25
MARGIN = 100


def socket_gone(p):
    """An output that is a socket, whose reader leaves."""
    p.make('f', 20 * MIB)
    ours, theirs = socket.socketpair()
    receiver, token = p.b.listen(theirs)
    theirs.close()
    with open(p.source / 'f', 'rb') as data:
        sender = p.a.pipe(token, data)
        ours.recv(10)
        ours.close()
        return t.both_within(sender, receiver, SOON, (REMOTE_IO, LOCAL_IO))


def token_in_file(p):
    """--print-token-only into a file on a full disk."""
    p.make('f', 3 * MIB)
    with t.mounted(p.target, 'size=1m'):
        listen_to_file(p, 'space')


def not_empty(path):
    if path.stat().st_size == 0:
        raise AssertionError('empty')


def listen_to_file(p, reason, **kwargs):
    """Token and bytes into a file that does not take them all."""
    path = p.target / 'out'
    with open(path, 'wb') as out:
        receiver = p.b.start('listen', '--print-token-only', stdout=out,
                             **kwargs)
    l.until(lambda: not_empty(path), TIME, 'no token')
    with open(p.source / 'f', 'rb') as data:
        sender = p.a.pipe(path.read_text().strip(), data)
        x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))
    fl.expect_in(reason, t.said(sender), 'reason at the sender')


def file_limit(p):
    """ulimit -f: told on both ends, and nobody dies of it."""
    p.make('f', 3 * MIB)
    (p.source / 'd').mkdir()
    x.make_file(p.source / 'd' / 'f', 3 * MIB)
    limit = ('prlimit', f'--fsize={MIB}')
    for what in ('f', 'd'):
        sender, token = p.send(p.source / what)
        receiver = p.receive(token, prefix=limit)
        x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))
        fl.expect_in('too large', t.said(sender), 'reason at the sender')
    x.leftovers(p.target)
    listen_to_file(p, 'too large', prefix=limit)


def held_daemon(p):
    """A daemon that is held up for a while: what it missed breaks nothing."""
    p.make('f', 12 * MIB)
    r, w = os.pipe()
    receiver, token = p.b.listen(w)
    os.close(w)
    with open(p.source / 'f', 'rb') as data:
        sender = p.a.pipe(token, data)
        copy = threading.Thread(target=t.copy_slowly, args=(r, None, MIB))
        copy.start()
        time.sleep(1)
        for d in p.daemons:
            os.kill(d.pid, signal.SIGSTOP)
        time.sleep(8)
        for d in p.daemons:
            os.kill(d.pid, signal.SIGCONT)
        x.both_ended(sender, receiver, TIME)
    copy.join()
    os.close(r)


def last_progress(lines):
    """Of JSON texts; the last one has to be the final one."""
    rows = [m for m in map(json.loads, lines) if m.get('event') == 'progress']
    fl.expect([m['final'] for m in rows].count(True), 1, 'final progress')
    fl.expect(rows[-1]['final'], True, 'the last progress')
    return rows[-1]


def held_command(p):
    """Commands that are stopped for a while: the numbers are right in the end."""
    size = 8 * MIB
    p.make('f', size)
    r, w = os.pipe()
    receiver, token = p.b.listen(w)
    os.close(w)
    with open(p.source / 'f', 'rb') as data:
        sender = p.a.start('pipe', token, '--json', stdin=data)
    copy = threading.Thread(target=t.copy_slowly, args=(r, None, MIB))
    copy.start()
    time.sleep(1)
    for q in (sender, receiver):
        q.proc.send_signal(signal.SIGSTOP)
    time.sleep(9)  # it ends meanwhile, but for what they have to say
    fl.must_live(sender, receiver)
    for q in (sender, receiver):
        q.proc.send_signal(signal.SIGCONT)
    x.both_ended(sender, receiver, TIME)
    copy.join()
    os.close(r)
    last = last_progress(sender.lines['out'])
    fl.expect((last['moved'], last['peer_written'], last['total']),
              (size, size, size), 'numbers')


def is_dropped(sock):
    poll = select.poll()
    poll.register(sock, select.POLLHUP)
    return bool(poll.poll(20))


def fill(rpc, most):
    """Requests whose answers wait, until it is too much; how many."""
    line = b'{"jsonrpc":"2.0","id":"filler","method":"x"}\n'
    count = 0
    while count < most and not is_dropped(rpc.sock):
        rpc.sock.sendall(line * min(STEP, most - count))
        count += STEP
    return count


def filled(p):
    with fl.Rpc(p.daemons[0].socket) as rpc:
        return fill(rpc, 100 * 1000)


def lagging_caller(p):
    """Progress that nobody reads does not end a caller that lags behind."""
    size = 16 * MIB
    p.make('f', size)
    # A daemon that is held up takes more before it drops somebody.
    most = min(filled(p) for _ in range(3))
    r, w = os.pipe()
    receiver, token = p.b.listen(w)
    os.close(w)
    copy = threading.Thread(target=t.copy_slowly, args=(r, None, MIB))
    copy.start()
    ca = fl.sealed(p.a.env['SSL_CERT_FILE'])
    with open(p.source / 'f', 'rb') as data, \
            fl.Rpc(p.daemons[0].socket) as rpc:
        rpc.call('session.transfer',
                 {'token': token, 'direction': 'send', 'positioned': True,
                  'size': size, 'relay': {'ca_fd': 0}},
                 (ca, data.fileno()))
        os.close(ca)
        fill(rpc, most - MARGIN)
        x.ended(receiver, TIME)
        got = []
        while not got or got[-1].get('event') != 'ended':
            message = rpc.line()
            if message is None:
                raise AssertionError(f'dropped: {got[-3:]}')
            if message.get('method') == 'event':
                got.append(message['params'])
    copy.join()
    os.close(r)
    fl.expect(got[-1]['code'], 0, 'how it ended')
    last = last_progress(map(json.dumps, got))
    fl.expect((last['moved'], last['peer_written'], last['total']),
              (size, size, size), 'numbers')
    return f'{most} answers fill a queue'


def interrupted_start(lab, relay):
    """Ctrl-C while the daemon starts is no success."""
    home, run = lab.path('home'), lab.path('run')
    home.mkdir()
    run.mkdir(0o700)
    shutil.copy(lab.our('derphole'), home)
    (home / 'derptund').write_text('#!/bin/sh\nexec sleep 10\n')
    (home / 'derptund').chmod(0o755)
    env = lab.env('x', relay)
    env.pop('DERPTUND_SOCKET', None)
    env['XDG_RUNTIME_DIR'] = str(run)
    (home / 'text').write_text('x')
    for args in (('send', home / 'text'), ('listen',), ('receive',),
                 ('ssh', 'invite')):
        q = lab.start([home / 'derphole', *args], env, cwd=home)
        l.wait_for_handler(q.proc.pid, signal.SIGINT)
        time.sleep(0.7)
        fl.must_live(q)
        q.proc.send_signal(signal.SIGINT)
        fl.expect(q.proc.wait(5), INTERRUPTED, f'{args[0]}')


def folder_held(p):
    """In the middle of it: (sender, receiver)."""
    top = p.source / 'tree'
    top.mkdir(exist_ok=True)
    for n in range(20):
        with open(top / str(n), 'wb') as f:
            f.truncate(20 * MIB)
    sender, token = p.send(top)
    receiver = p.receive(token)
    before = sum(x.Ways.read().values())
    l.until(lambda: t.grown(before), TIME, 'no bytes')
    fl.must_live(sender, receiver)
    return sender, receiver


def hung_up(p):
    """The terminal of a receiver goes away: nothing is left."""
    sender, receiver = folder_held(p)
    receiver.proc.send_signal(signal.SIGHUP)
    note = t.both_within(sender, receiver, SOON, (REMOTE_IO, HUNG_UP))
    x.leftovers(p.target)
    return note


def impatient(p):
    """Ctrl-C twice: nothing is left."""
    sender, receiver = folder_held(p)
    receiver.proc.send_signal(signal.SIGINT)
    time.sleep(0.02)
    receiver.proc.send_signal(signal.SIGINT)
    note = t.both_within(sender, receiver, SOON, (REMOTE_IO, INTERRUPTED))
    x.leftovers(p.target)
    return note


def hidden(p):
    return {n for n in os.listdir(p.target) if n.startswith('.derphole-')}


def left_behind(p):
    """kill -9 of a folder's receiver: the next one removes what it left"""
    sender, receiver = folder_held(p)
    receiver.proc.kill()
    x.ended(sender, SOON, REMOTE_IO)
    dead = hidden(p)
    fl.expect(len(dead), 1, 'left behind')
    similar = p.target / '.derphole-0123.part'
    similar.mkdir()
    sender, receiver = folder_held(p)
    alive = hidden(p) - {similar.name}
    fl.expect(len(alive), 1, 'what is under way')
    fl.expect(alive & dead, set(), 'what the dead left')
    p.make('f', 10)
    p.file('f')
    x.leftovers(p.target, {'f', similar.name, *alive})
    receiver.proc.kill()
    x.ended(sender, SOON, REMOTE_IO)
    p.make('g', 10)
    p.file('g')
    x.leftovers(p.target, {'f', 'g', similar.name})


def made_up(p):
    """A file that tells no size, as those in /proc."""
    sender, token = p.send('/proc/version')
    x.both_ended(sender, p.receive(token), TIME)
    fl.expect((p.target / 'version').read_text(),
              pathlib.Path('/proc/version').read_text(), 'version')


def shared_folder(p):
    """What comes into a folder with a group of its own inherits that."""
    p.target.chmod(0o2775)
    (p.source / 'd' / 'sub').mkdir(parents=True)
    (p.source / 'd' / 'sub' / 'f').write_text('x')
    sender, token = p.send(p.source / 'd')
    x.both_ended(sender, p.receive(token), TIME)
    for name in ('d', 'd/sub'):
        t.check_mode(p.target / name, 0o2755)


def main():
    os.umask(0o022)
    rows = t.rows(socket_gone, token_in_file, hung_up, impatient, left_behind,
                  made_up, shared_folder, file_limit, held_daemon, held_command,
                  lagging_caller)
    rows.append((interrupted_start.__doc__.rstrip('.'), interrupted_start))
    t.own_mounts()
    return fl.main(rows, sys.argv)


if __name__ == '__main__':
    sys.exit(main())
