#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Peers with a valid token and a correct handshake that lie in their streams.

usage: transfers_lies.py BUILD_FOLDER [ROW-PATTERN]
"""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import transfer_quic as q
import transfer_wire as w
import transfers_hostile as h

import faults_lib as fl
import xfer as x
from faults_lib import l

SOON = 6
# A receiver that has all of it waits so long for its sender to leave.
LINGER = 5
TIME = 30
# Silence ends it after 13 s; without a limit of ours QUIC would, after 30.
DEAD = 25


@contextlib.contextmanager
def receiving(lab, relay, streams=2, connections=1, **kwargs):
    """Our `receive`, with a liar as its sender: (quic, process, liar)."""
    d, party, target = h.stage(lab, relay, 'derphole')
    like, text = party.send('text')
    like.stop(signal.SIGINT)
    quic, process = q.issuer(
        lab, relay, text,
        lambda token: party.receive(token, cwd=target, **kwargs), streams,
        manager_connections=connections)
    try:
        for n in range(connections):
            quic.until(f'ready {n}')
        yield quic, process, quic.liar
        text = h.said(process)
        h.clean(text)
        if 'worker' in text.lower():
            raise AssertionError(f'the worker is lost: {text}')
    finally:
        quic.close()
        quic.liar.close()
    h.untouched(target)
    d.wait_idle()


def lie(lab, relay, commands, want, within=SOON, after=(), **more):
    """What is in @after comes a bit later, one by one."""
    with receiving(lab, relay, **more) as (quic, process, _):
        quic.tell(*commands)
        for command in after:
            quic.pause(0.2)
            quic.tell(command)
        taken = quic.run(process, within)
        status, text = process.proc.returncode, h.said(process)
        if status not in (1, 11, 14, 15) or not re.search(want, text):
            raise AssertionError(f'{status}: {text}')
    return f'{status} after {taken:.1f} s: {text.splitlines()[-1][:90]}'


HEAD = w.header('file', 'f', 1000)
OPEN = ('open 0 0', 'open 1 0')
WARM = tuple(q.write(n, q.frame(q.WARM_UP)) for n in (0, 1))


def half_gone(lab, relay):
    """One of two connections ends, with bytes ahead of their turn."""
    return lie(lab, relay,
               ('open 0 0', 'open 1 1', q.write(1, q.frame(1, bytes(500)))), '',
               after=('close 1 1', q.write(0, q.frame(0, HEAD + bytes(500)))),
               connections=2)


def rows():
    body = HEAD + bytes(1000)
    yield 'a chunk that is too long', [q.write(0, q.frame(0, length=262145))], \
        'too long'
    yield 'a chunk twice', [q.write(0, q.frame(0, HEAD), q.frame(0, b'x'))], \
        'duplicate'
    yield 'a chunk twice, ahead', [q.write(0, q.frame(3, b'x')),
                                   q.write(1, q.frame(3, b'x'))], 'duplicate'
    yield 'a frame that ends in the middle', \
        [q.write(0, q.frame(0, body)[:-7]), 'fin 0', 'fin 1'], 'EOF'
    yield 'the end before the beginning', ['fin 0', 'fin 1'], 'EOF'
    yield 'too many bytes', [q.write(0, q.frame(0, body + b'x')), 'fin 0',
                             'fin 1'], 'more than'
    yield 'a reset in the middle', \
        [q.write(0, q.frame(0, body[:-1])), 'reset 0 1'], 'aborted'
    yield 'a reset of what is ahead', \
        [q.write(1, q.frame(1, bytes(9))), 'reset 1 1',
         q.write(0, q.frame(0, body))], 'aborted'
    yield 'a close, as if all was well', \
        [q.write(0, q.frame(0, body[:-1])), 'close 0 0'], 'disconnected'
    yield 'a close at once', ['close 0 0'], 'disconnected'
    yield 'a size of all there is', [
        q.write(0, q.frame(0, w.header('file', 'f', (1 << 63) - 1)))], ''


def row(name, commands, want):
    def test(lab, relay):
        return lie(lab, relay, (*OPEN, *WARM, *commands), want)
    return name, test


def many_streams(lab, relay):
    """Thousands of streams, one-way and not: refused, and nothing grows."""
    with receiving(lab, relay) as (quic, process, liar):
        quic.tell(*(f'open {n} 0' for n in range(2000)),
                  *(f'bidi {n} 0' for n in range(2000, 2100)))
        for _ in range(50):
            quic.turn()
        fl.must_live(process)
        # The first two are those of the transfer.
        quic.tell(q.write(5, b'x' * 100), 'reset 6 1', 'fin 7', *WARM,
                  'close 0 1')
        quic.run(process, SOON)
        liar.say('abort', {'reason': '', 'bytes_transferred': 0}, quic.peer)


def silence(*commands):
    """A sender that dies without a word."""
    def test(lab, relay):
        with receiving(lab, relay) as (quic, process, _):
            quic.tell(*OPEN, *WARM, *commands)
            quic.pause(0.3)
            start = time.monotonic()
            x.ended(process, DEAD, 11)
            return f'{time.monotonic() - start:.1f} s'
    return test


def endless_text(lab, relay):
    """Nobody wants it; memory does not grow."""
    with receiving(lab, relay, 1, stdout=subprocess.DEVNULL) as (
            quic, process, liar):
        quic.tell('open 0 0', q.write(0, w.header('text')),
                  f'zeros 0 {1 << 40}')
        quic.pause(1)
        before = sum(map(fl.rss_of, l.family(os.getpid(), l.processes())))
        quic.pause(4)
        after = sum(map(fl.rss_of, l.family(os.getpid(), l.processes())))
        fl.must_live(process)
        if after > before + h.GROWTH:
            raise AssertionError(f'{before} became {after} bytes')
        liar.say('abort', {'reason': 'enough', 'bytes_transferred': 0},
                 quic.peer)
        quic.run(process, SOON)
        return f'{(after - before) / fl.MIB:.1f} MiB more'


def sending(commands, want, within=SOON, silent=False):
    """Our `send`, with a liar as its receiver."""
    def test(lab, relay):
        sender = h.Sender(lab, relay, 4 << 20)
        seed, sender.liar.quic = q.new_key()
        h.claimed(sender, parallel_initial=2, parallel_cap=2)
        token = w.Token(sender.token)
        quic = q.Quic(lab, sender.liar, seed, 'client', token.derp, token.quic)
        try:
            quic.tell('dial')
            quic.until('ready 0')
            quic.tell(*commands)
            quic.pause(0.3)
            start = time.monotonic()
            if silent:
                x.ended(sender.process, within, None)
            else:
                quic.run(sender.process, within)
            note = f'{time.monotonic() - start:.1f} s, '
        finally:
            quic.close()
        return note + sender.end(want, '')
    return test


# Files that come in blocks, and stripes of a whole ---------------------------

CHUNK = 1024
STRIPE_MAX = 262144
BODY = bytes(n * 7 % 251 for n in range(2 * CHUNK + 452))


def good_block(n):
    return q.frame(n * CHUNK, BODY[n * CHUNK:(n + 1) * CHUNK])


def block_rows():
    """(title, streams, how many are agreed on, reason); that is None where
    nothing is wrong."""
    a, b, c = map(good_block, range(3))
    size = len(BODY)
    yield 'as it should be', (a + b + c,), 0, None
    yield 'backwards on two streams', (c + a, b), 0, None
    yield 'a middle block too short', (
        a + q.frame(CHUNK, BODY[CHUNK:2 * CHUNK - 1]) + c,), 0, 'want 1024'
    yield 'a block too long', (
        q.frame(0, BODY[:CHUNK + 1]) + b + c,), 0, 'unexpected EOF'
    yield 'a block of 4 GiB', (q.frame(0, BODY, (1 << 32) - 1),), 0, \
        'unexpected EOF'
    yield 'the last block too short', (
        a + b + q.frame(2 * CHUNK, BODY[2 * CHUNK:-1]),), 0, 'want 452'
    yield 'the last block too long', (
        a + b + q.frame(2 * CHUNK, BODY[2 * CHUNK:] + b'x'),), 0, 'exceeds'
    yield 'an empty block', (a + q.frame(CHUNK, b'') + b + c,), 0, 'empty'
    yield 'overlapping', (
        a + q.frame(CHUNK // 2, BODY[:CHUNK]) + b + c,), 0, 'misaligned'
    yield 'beyond the end', (a + b + c + q.frame(3 * CHUNK, b'x'),), 0, \
        'exceeds'
    yield 'far beyond the end', (q.frame(1 << 50, BODY[:CHUNK]),), 0, 'exceeds'
    yield 'before the beginning', (q.frame(-CHUNK, BODY[:CHUNK]),), 0, \
        'negative'
    yield 'offset of 2^63 - 1024', (
        q.frame((1 << 63) - CHUNK, BODY[:CHUNK]),), 0, 'exceeds'
    yield 'twice', (a + b + a + c,), 0, 'duplicate'
    yield 'twice, on two streams', (a + b, a + c), 0, 'duplicate'
    yield 'a stream too many', (a + b, c), 1, 'received 2048'
    yield 'one is missing', (a + c,), 0, f'received 1476 of {size}'
    yield 'all are missing', (b'', b''), 0, f'received 0 of {size}'
    yield 'the end is missing', (a + b,), 0, f'received 2048 of {size}'
    yield 'cut in a head', (a + b + c[:7],), 0, 'unexpected EOF'
    yield 'cut behind a head', (a + b + c[:12],), 0, 'unexpected EOF'
    yield 'cut in a block', (a + b + c[:-1],), 0, 'unexpected EOF'
    yield 'more behind all', (a + b + c + b'x',), 0, 'unexpected EOF'


def stripe_rows():
    head = w.header('file', 'f', 6)
    warm = q.frame(q.WARM_UP, b'')
    s = [q.frame(n, part) for n, part in enumerate((head, b'abc', b'def'))]
    yield 'as it should be', (warm + s[0] + s[2], warm + s[1]), 0, None
    yield 'one is missing', (warm + s[0], warm + s[2]), 0, 'missing'
    yield 'twice', (warm + s[0] + s[1] + s[1] + s[2], warm), 0, 'duplicate'
    yield 'twice, on two streams', (warm + s[0] + s[1], warm + s[1] + s[2]), \
        0, 'duplicate'
    yield 'too long', (warm + q.frame(0, head, STRIPE_MAX + 1), warm), 0, \
        'too long'
    yield 'cut behind a head', (warm + s[0] + s[1][:12], warm), 0, \
        'unexpected EOF'
    yield 'more than its size', (
        warm + s[0] + s[1] + s[2] + q.frame(3, b'g'), warm), 0, 'more than'
    yield 'less than its size', (warm + s[0] + s[1], warm), 0, 'incomplete'


def senders(rows_of, offer, body):
    """All rows of one kind, each from a sender of its own."""
    def test(lab, relay):
        d, party, target = h.stage(lab, relay, 'derphole')
        other, like = party.send('text')
        other.stop(signal.SIGINT)

        def one(streams, agreed, reason):
            if agreed == 1 or len(streams) == 1:
                process = party.start('receive', cwd=target)
                quic = q.claimant(
                    lab, relay, process.wait_line(x.TOKEN, TIME).group(1),
                    **offer)
            else:
                quic, process = q.issuer(
                    lab, relay, like,
                    lambda token: party.receive(token, cwd=target),
                    agreed or len(streams), **offer)
            send(quic, process, target, streams, body, reason)
            h.untouched(target)
        return h.each(rows_of(), target, d, one)
    return test


def send(quic, process, target, streams, body, reason):
    """All of the streams, to their ends: what becomes of it on both sides."""
    try:
        quic.until('ready 0')
        quic.tell(*q.streams_of(*streams))
        # This sender stays.
        quic.run(process, SOON + (LINGER if reason is None else 0))
        closed = quic.until('closed 0 (.*)\n', 5).group(1).split()[:3]
    finally:
        quic.close()
        quic.liar.close()
    status, text = process.proc.returncode, h.said(process)
    h.clean(text)
    if 'worker' in text.lower() or 'refused' in quic.said:
        raise AssertionError(f'{quic.said} {text}')
    if reason is None:
        fl.expect((status, closed), (0, ['peer', '1', '0']), text)
        fl.expect((target / 'f').read_bytes(), body, 'the file')
        fl.expect(quic.last('v2_complete')['bytes_received'],
                  len(w.header('file', 'f', len(body))) + len(body), 'complete')
        (target / 'f').unlink()
    else:
        if status not in (1, 15) or reason not in text:
            raise AssertionError(f'{status}, no {reason!r}: {text[180:]}')
        fl.expect(closed, ['peer', '1', '1'], 'connection')
        fl.expect_in(reason, str(quic.last('abort')), 'what the sender hears')
        if quic.last('v2_complete') is not None:
            raise AssertionError('it was told that all is there')


def too_late(lab, relay):
    """Ctrl-C while a sender that knows of the end does not leave"""
    d, party, target = h.stage(lab, relay, 'derphole')
    other, like = party.send('text')
    other.stop(signal.SIGINT)
    quic, process = q.issuer(
        lab, relay, like, lambda token: party.receive(token, cwd=target), 1,
        **w.blocks_offer('f', len(BODY), CHUNK))
    try:
        quic.until('ready 0')
        quic.tell(*q.streams_of(b''.join(map(good_block, range(3)))))
        end = time.monotonic() + SOON
        while quic.last('v2_complete') is None and time.monotonic() < end:
            quic.turn()
        fl.must_live(process)
        process.proc.send_signal(signal.SIGINT)
        taken = quic.run(process, SOON)
        closed = quic.until('closed 0 (.*)\n', 5).group(1).split()[:3]
    finally:
        quic.close()
        quic.liar.close()
    text = h.said(process)
    fl.expect((process.proc.returncode, closed), (0, ['peer', '1', '0']), text)
    fl.expect((target / 'f').read_bytes(), BODY, 'the file')
    if 'canceled' in text or quic.last('abort') is not None:
        raise AssertionError(f'{text} {quic.last("abort")}')
    (target / 'f').unlink()
    h.untouched(target)
    d.wait_idle()
    return f'{taken:.1f} s'


def hold(lab, relay, stage, *streams):
    """Memory of a receiver whose sender stops in the middle of it."""
    d, party, target, like = stage
    quic, process = q.issuer(
        lab, relay, like, lambda token: party.receive(token, cwd=target),
        len(streams))
    try:
        quic.until('ready 0')
        quic.tell(*q.streams_of(*streams, ended=False))
        quic.pause(1)
        (pid,) = l.until(lambda: one(d.workers('session')), TIME, 'no session')
        size = 0 if l.is_sanitized(pid) else size_of(pid)
        fl.must_live(process)
        if 'refused' in quic.said or 'closed' in quic.said:
            raise AssertionError(quic.said)
        process.proc.send_signal(signal.SIGINT)
        quic.run(process, 10)
        fl.expect(process.proc.returncode, 130, 'receive')
    finally:
        quic.close()
        quic.liar.close()
    h.untouched(target)
    d.wait_idle()
    return size


def held_stripes(lab, relay):
    """Stripes that are announced and do not come take no memory."""
    d, party, target = h.stage(lab, relay, 'derphole')
    other, like = party.send('text')
    other.stop(signal.SIGINT)
    warm = q.frame(q.WARM_UP, b'')
    before, after = (
        hold(lab, relay, (d, party, target, like), *streams) for streams in (
            [warm] * 16,
            [warm + q.frame(n + 1, b'x', STRIPE_MAX) for n in range(16)]))
    if after - before > 16 * STRIPE_MAX // 2:
        raise AssertionError(f'{(after - before) >> 10} KiB for 16 octets')
    return f'{(after - before) >> 10} KiB more'


def one(workers):
    if len(workers) != 1:
        raise AssertionError(f'{workers}')
    return tuple(workers.values())


def size_of(pid):
    """Address space that can be written to, of one process."""
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return next(int(line.split()[1]) << 10 for line in f
                    if line.startswith('VmData'))


ROWS = [('one of two connections ends', half_gone),
        *(row(*r) for r in rows()),
        ('thousands of streams', many_streams),
        ('silence in the middle', silence(q.write(0, q.frame(0, HEAD + b'x')))),
        ('silence after the last byte',
         silence(q.write(0, q.frame(0, HEAD + bytes(1000))), 'fin 0')),
        ('a text without end', endless_text),
        ('blocks that lie', senders(
            block_rows, w.blocks_offer('f', len(BODY), CHUNK), BODY)),
        ('stripes that lie', senders(stripe_rows, {}, b'abcdef')),
        ('stripes that are announced only', held_stripes),
        ('Ctrl-C when all is there', too_late),
        ('a receiver that gives up', sending(('close 0 1',), (11, 15))),
        ('a receiver that leaves as if all was well',
         sending(('close 0 0',), (11,))),
        ('a receiver with streams of its own', sending(
            (*(f'open {n} 0' for n in range(100)),
             *(f'bidi {n} 0' for n in range(100, 200)),
             q.write(100, b'x' * 999), 'close 0 1'), (11, 15))),
        ('a receiver that falls silent', sending((), (11,), DEAD, True))]

if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(fl.main(ROWS, sys.argv))
