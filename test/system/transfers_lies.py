#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Peers with a valid token and a correct handshake that lie in their streams.

usage: transfers_lies.py BUILD_FOLDER QUIC_PUPPET [ROW-PATTERN]
"""
import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import transfers as t  # before interop's of that name
import transfer_wire as w
import transfers_hostile as h

import faults_lib as fl
import xfer as x
from faults_lib import l

PUPPET = None
WARM_UP = (1 << 64) - 1
SOON = 6
DEAD = 15


def key_of(seed):
    try:
        from nacl.signing import SigningKey
    except ImportError as e:
        raise l.Skip(str(e)) from e
    return bytes(SigningKey(seed).verify_key)


class Quic:
    """The liar's end of QUIC, whose packets pass the relay."""

    def __init__(self, liar, seed, role, peer_derp, peer_key):
        self.liar, self.peer = liar, peer_derp
        self.pair, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said = ''
        # pylint: disable-next=consider-using-with
        self.proc = subprocess.Popen(
            [PUPPET, role, seed.hex(), peer_key.hex(), str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        theirs.close()
        os.set_blocking(self.proc.stdout.fileno(), False)

    def tell(self, *commands):
        self.proc.stdin.write(''.join(f'{c}\n' for c in commands).encode())
        self.proc.stdin.flush()

    def turn(self, seconds=0.02):
        sock = self.liar.client.sock
        out = self.proc.stdout.fileno()
        ready = select.select([sock, self.pair, out], [], [],
                              0 if sock.pending() else seconds)[0]
        if out in ready:
            self.said += (os.read(out, 65536) or b'').decode()
        while select.select([self.pair], [], [], 0)[0]:
            packet = self.pair.recv(2048)
            if not packet:
                break
            self.liar.client.send(self.peer, packet)
        with contextlib.suppress(TimeoutError, socket.timeout, w.derp.Closed):
            while True:
                _, data = self.liar.client.packet(0.005)
                if data[:1] != b'{':
                    self.pair.send(data)

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()

    def until(self, text, seconds=10):
        end = time.monotonic() + seconds
        while not re.search(text, self.said):
            if time.monotonic() > end:
                raise AssertionError(f'no {text}: {self.said}')
            self.turn()

    def run(self, process, seconds):
        """Until our program ends; for how long that took."""
        start = time.monotonic()
        while process.proc.poll() is None:
            if time.monotonic() > start + seconds:
                raise AssertionError(
                    f'no end within {seconds} s: {process.said()}')
            self.turn()
        return time.monotonic() - start

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.pair.close()


def frame(sequence, data=b'', length=None):
    return struct.pack('>QI', sequence,
                       len(data) if length is None else length) + data


def write(n, *parts):
    return f'write {n} ' + b''.join(parts).hex()


@contextlib.contextmanager
def receiving(lab, relay, streams=2, connections=1, **kwargs):
    """Our `receive`, with a liar as its sender: (quic, process, liar)."""
    d, party, target = h.stage(lab, relay, 'derphole')
    like, text = party.send('text')
    like.stop(signal.SIGINT)
    seed = os.urandom(32)
    token = w.Token(text)
    liar = w.Liar(relay, token)
    token.derp = liar.client.key.public
    token.quic = liar.quic = key_of(seed)
    token.session, token.secret = os.urandom(16), os.urandom(32)
    process = party.receive(token.text(), cwd=target, **kwargs)
    claim = liar.hear('v2_claim')
    if claim is None:
        raise AssertionError(f'no claim: {process.said()}')
    liar.accept(claim[0], parallel_initial=streams, parallel_cap=streams,
                manager_connections=connections)
    quic = Quic(liar, seed, 'server', claim[0],
                bytes(claim[1]['quic_public']))
    try:
        for n in range(connections):
            quic.until(f'ready {n}')
        yield quic, process, liar
        text = h.said(process)
        h.clean(text)
        if 'worker' in text.lower():
            raise AssertionError(f'the worker is lost: {text}')
    finally:
        quic.close()
        liar.close()
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
        process.last_words()
        status, text = process.proc.returncode, h.said(process)
        if status not in (1, 11, 14, 15) or not re.search(want, text):
            raise AssertionError(f'{status}: {text}')
    return f'{status} after {taken:.1f} s: {text.splitlines()[-1][:90]}'


HEAD = w.header('file', 'f', 1000)
OPEN = ('open 0 0', 'open 1 0')
WARM = tuple(write(n, frame(WARM_UP)) for n in (0, 1))


def half_gone(lab, relay):
    """One of two connections ends, with bytes ahead of their turn."""
    return lie(lab, relay,
               ('open 0 0', 'open 1 1', write(1, frame(1, bytes(500)))), '',
               after=('close 1 1', write(0, frame(0, HEAD + bytes(500)))),
               connections=2)


def rows():
    body = HEAD + bytes(1000)
    yield 'a chunk that is too long', [write(0, frame(0, length=262145))], \
        'too long'
    yield 'a chunk twice', [write(0, frame(0, HEAD), frame(0, b'x'))], \
        'duplicate'
    yield 'a chunk twice, ahead', [write(0, frame(3, b'x')),
                                   write(1, frame(3, b'x'))], 'duplicate'
    yield 'a frame that ends in the middle', \
        [write(0, frame(0, body)[:-7]), 'fin 0', 'fin 1'], 'EOF'
    yield 'a gap at the end', \
        [write(0, frame(0, HEAD)), write(1, frame(2, bytes(1000))), 'fin 0',
         'fin 1'], ''
    yield 'the end before the beginning', ['fin 0', 'fin 1'], 'EOF'
    yield 'too few bytes', [write(0, frame(0, body[:-1])), 'fin 0', 'fin 1'], \
        'incomplete'
    yield 'too many bytes', [write(0, frame(0, body + b'x')), 'fin 0',
                             'fin 1'], 'more than'
    yield 'a reset in the middle', [write(0, frame(0, body[:-1])), 'reset 0 1'],\
        'aborted'
    yield 'a reset of what is ahead', [write(1, frame(1, bytes(9))),
                                       'reset 1 1', write(0, frame(0, body))],\
        'aborted'
    yield 'a close, as if all was well', \
        [write(0, frame(0, body[:-1])), 'close 0 0'], 'disconnected'
    yield 'a close at once', ['close 0 0'], 'disconnected'
    yield 'a size of all there is', [
        write(0, frame(0, w.header('file', 'f', (1 << 63) - 1)))], ''


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
        quic.tell(write(5, b'x' * 100), 'reset 6 1', 'fin 7', *WARM,
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
        quic.tell('open 0 0', write(0, w.header('text')), f'zeros 0 {1 << 40}')
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
        seed = os.urandom(32)
        sender.liar.quic = key_of(seed)
        h.claimed(sender, parallel_initial=2, parallel_cap=2)
        token = w.Token(sender.token)
        quic = Quic(sender.liar, seed, 'client', token.derp, token.quic)
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
            sender.process.last_words()
        finally:
            quic.close()
        return note + sender.end(want, '')
    return test


ROWS = [('one of two connections ends', half_gone),
        *(row(*r) for r in rows()),
        ('thousands of streams', many_streams),
        ('silence in the middle', silence(write(0, frame(0, HEAD + b'x')))),
        ('silence after the last byte',
         silence(write(0, frame(0, HEAD + bytes(1000))), 'fin 0')),
        ('a text without end', endless_text),
        ('a receiver that gives up', sending(('close 0 1',), (11, 15))),
        ('a receiver that leaves as if all was well',
         sending(('close 0 0',), (11,))),
        ('a receiver with streams of its own', sending(
            (*(f'open {n} 0' for n in range(100)),
             *(f'bidi {n} 0' for n in range(100, 200)), write(100, b'x' * 999),
             'close 0 1'), (11, 15))),
        ('a receiver that falls silent', sending((), (11,), DEAD, True))]

if __name__ == '__main__':
    os.umask(0o022)
    PUPPET = os.path.abspath(sys.argv.pop(2))
    sys.exit(fl.main(ROWS, sys.argv))
