#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transfers between our own programs that a signal ends, at either side.

usage: transfers_killed.py BUILD_FOLDER [ROW-PATTERN]
"""
import os
import signal
import subprocess
import sys
import time

import faults_lib as fl
import transfers_lib as t
import xfer as x
from transfers_lib import INTERRUPTED, REMOTE_IO, SOON, TIME, TIMED_OUT

# A peer that died without a word: silence ends it after 13 s; without a
# limit of ours QUIC would, after 30.
DEAD = 25
# Less, and more, than what makes its absence sure.
AWAY = 4
HELD = 13


def interrupted(how, at_sender):
    def test(p):
        with t.held(p, how) as (sender, receiver):
            (sender if at_sender else receiver).proc.send_signal(signal.SIGINT)
            want = (INTERRUPTED, REMOTE_IO) if at_sender \
                else (REMOTE_IO, INTERRUPTED)
            note = t.both_within(sender, receiver, SOON, want)
            other = receiver if at_sender else sender
            fl.expect_in('cancel', t.said(other), 'the reason at the other')
        x.leftovers(p.target)
        return note
    return test


def interrupted_early(p):
    """Before anybody came, and again."""
    p.make('f', 10)
    for args in (('send', p.source / 'f'), ('listen',), ('receive',)):
        q = p.a.start(*args)
        q.wait_line(x.TOKEN if args[0] != 'send' else 'receive ', TIME)
        fl.expect(q.stop(signal.SIGINT, 5), INTERRUPTED, f'{args[0]}')


def killed(who, what, how, flags=()):
    """kill -9: the other side is told, or notices, and nothing is left."""
    def test(lab, relay):
        a, b = (fl.Daemon(lab, n, relay) for n in 'ab')
        p = t.Pair(lab, relay, a, b)
        p.a.flags += flags
        p.b.flags += flags
        with t.held(p, how) as (sender, receiver):
            victim = sender if who == 'sender' else receiver
            other = receiver if who == 'sender' else sender
            daemon = p.daemons[who != 'sender']
            if what == 'command':
                os.kill(victim.proc.pid, signal.SIGKILL)
            elif what == 'daemon':
                os.kill(daemon.pid, signal.SIGKILL)
            else:
                os.kill(next(iter(daemon.workers('session').values())),
                        signal.SIGKILL)
            start = time.monotonic()
            status = x.ended(other, DEAD, None)
            taken = time.monotonic() - start
            if status == 0:
                raise AssertionError(f'success: {t.said(other)}')
            if what != 'command':
                status2 = x.ended(victim, SOON, None)
                if status2 in (0, -9):
                    raise AssertionError(f'victim: {status2} {t.said(victim)}')
        x.leftovers(p.target)
        if what != 'daemon':
            daemon.wait_idle()
        p.daemons[who == 'sender'].wait_idle()
        return f'status {status} after {taken:.1f} s'
    return test


def stopped(p):
    """derptunctl stop: no success, nowhere"""
    sender, _ = p.send('text')
    (waiting,) = p.daemons[0].endpoints()
    p.daemons[0].rpc('endpoint.stop', {'endpoint': waiting['id']})
    x.ended(sender, SOON, t.FAILED)
    for n, (key, method) in enumerate((('endpoint', 'endpoint.stop'),
                                       ('id', 'session.stop'))):
        with t.held(p, 'file') as (sender, receiver):
            (session,) = p.daemons[n].sessions()
            p.daemons[n].rpc(method, {method.split('.')[0]: session[key]})
            want = [t.FAILED, REMOTE_IO]
            x.both_ended(sender, receiver, TIME,
                         want if n == 0 else want[::-1])
        x.leftovers(p.target)


def claimants(p):
    """A token of each kind: ({title: its issuer}, {title: its claimant})."""
    p.make('f', 10)
    key = p.source / 'key'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key],
                   check=True)
    sender, code = p.send(p.source / 'f')
    listener, token = p.a.listen(subprocess.PIPE)
    inviter, invitation = p.a.invite()
    return ((sender, listener, inviter), {
        'receive': lambda: p.receive(code),
        'pipe': lambda: p.b.pipe(token, subprocess.DEVNULL),
        'ssh accept': lambda: p.b.accept(invitation, '--yes', '-F',
                                         f'{key}.pub')})


def gone_before(what):
    """Nobody is left who made the token: told, and not waited for."""
    def test(lab, relay):
        a, b = (fl.Daemon(lab, n, relay) for n in 'ab')
        p = t.Pair(lab, relay, a, b)
        issuers, starts = claimants(p)
        if what == 'command':
            for q in issuers:
                os.kill(q.proc.pid, signal.SIGKILL)
            a.wait_idle()
        else:
            os.kill(a.pid, signal.SIGKILL)
        begun = time.monotonic()
        waiting = {title: start() for title, start in starts.items()}
        for title, q in waiting.items():
            x.ended(q, DEAD, TIMED_OUT)
            fl.expect_in('nobody waits at the other end of this token',
                         t.said(q), title)
            fl.expect_in('no answer: nobody is at the relay', t.said(q), title)
        taken = time.monotonic() - begun
        if taken > DEAD:
            raise AssertionError(f'took {taken:.1f} s')
        x.leftovers(p.target)
        b.wait_idle()
        return f'{taken:.1f} s'
    return test


def away(leaves):
    """The issuer's machine is held up, and loses its relay meanwhile or not:
    it is waited for."""
    def test(p):
        p.make('f', 10)
        sender, code = p.send(p.source / 'f')
        a = p.daemons[0]
        os.kill(a.pid, signal.SIGSTOP)
        try:
            if leaves:
                subprocess.run(['ss', '-K', 'sport', '=', f':{p.port}'],
                               check=True, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
            receiver = p.receive(code)
            if leaves:
                receiver.wait_line('no answer: nobody is at the relay', TIME)
            time.sleep(AWAY if leaves else HELD)
            fl.must_live(receiver)
            if not leaves and 'no answer' in t.said(receiver):
                raise AssertionError(t.said(receiver))
        finally:
            os.kill(a.pid, signal.SIGCONT)
        x.both_ended(sender, receiver, TIME)
    return test


def main():
    os.umask(0o022)
    rows = t.rows(interrupted_early, stopped)
    rows += [(f'kill -9 of the {what} that made a token, then it is used',
              gone_before(what)) for what in ('command', 'daemon')]
    rows += [('an issuer that is away for a moment', t.row(away(True))),
             ('an issuer that is held up', t.row(away(False)))]
    rows += [(f'Ctrl-C at the {"sender" if at else "receiver"}, {how}',
              t.row(interrupted(how, at)))
             for how in ('pipe', 'file', 'fifo') for at in (True, False)]
    rows += [(f'kill -9 of the {what} at the {who}, {how}',
              killed(who, what, how))
             for what in ('command', 'daemon', 'worker')
             for who in ('sender', 'receiver') for how in ('file', 'fifo')]
    # Nobody hears of a peer that died there but by its silence.
    rows += [(f'kill -9 of the {what} at the {who}, relay only',
              killed(who, what, 'fifo', ('--force-relay',)))
             for what in ('daemon', 'worker') for who in ('sender', 'receiver')]
    return fl.main(rows, sys.argv)


if __name__ == '__main__':
    sys.exit(main())
