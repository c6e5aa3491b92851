# SPDX-License-Identifier: BSD-3-Clause
"""A peer of transfers that has real QUIC: what is said, and what its streams
carry, is up to the test; the program quic_puppet speaks QUIC for it, and the
packets pass the relay."""
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import time

import transfer_wire as w
from faults_lib import l

try:
    from nacl.signing import SigningKey
except ImportError as e:
    SigningKey = None
    MISSING = str(e)

WARM_UP = (1 << 64) - 1


def new_key():
    """(seed, public key) of a peer."""
    if SigningKey is None:
        raise l.Skip(MISSING)
    seed = os.urandom(32)
    return seed, bytes(SigningKey(seed).verify_key)


class Quic:
    """The liar's end of QUIC, whose packets pass the relay, as long as somebody
    waits here."""

    def __init__(self, lab, liar, seed, role, peer_derp, peer_key):
        self.liar, self.peer = liar, peer_derp
        self.pair, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said = ''
        self.heard = []
        program = pathlib.Path(lab.build, 'test', 'system', 'quic_puppet')
        # pylint: disable-next=consider-using-with
        self.proc = subprocess.Popen(
            [program.resolve(), role, seed.hex(), peer_key.hex(),
             str(theirs.fileno())],
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
                self._take(self.liar.client.packet(0.005)[1])

    def _take(self, data):
        if data[:1] != b'{':
            self.pair.send(data)
            return
        with contextlib.suppress(ValueError):
            self.heard.append(json.loads(data))

    def last(self, kind):
        """What was heard last of a kind; None."""
        return next((m[kind] for m in reversed(self.heard)
                     if m.get('type') == kind), None)

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()

    def until(self, text, seconds=10):
        """Until the puppet has said it; the match."""
        end = time.monotonic() + seconds
        while (found := re.search(text, self.said)) is None:
            if time.monotonic() > end:
                raise AssertionError(f'no {text}: {self.said}')
            self.turn()
        return found

    def run(self, process, seconds):
        """Until our program ends; for how long that took."""
        start = time.monotonic()
        while process.proc.poll() is None:
            if time.monotonic() > start + seconds:
                process.proc.kill()
                raise AssertionError(
                    f'no end within {seconds} s: {process.said()}')
            self.turn()
        process.last_words()
        return time.monotonic() - start

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.pair.close()


def claimant(lab, relay, text, **offer):
    """The sender for a `receive` that shows a token, and thereby always asks
    for one stream."""
    seed, key = new_key()
    token = w.Token(text)
    liar = w.Liar(relay, token)
    liar.quic = key
    liar.claim(**offer)
    answer = liar.hear('v2_accept')
    if answer is None or answer[1].get('accepted') is not True:
        raise AssertionError(f'not accepted: {answer}')
    quic = Quic(lab, liar, seed, 'client', token.derp, token.quic)
    quic.tell('dial')
    return quic


def issuer(lab, relay, like, receive, streams, **offer):
    """The sender for a `receive` that is given a token, on the route of another
    one: it takes as many streams as the sender likes.  (quic, process)"""
    seed, key = new_key()
    liar, text = w.issuer(relay, like, key)
    process = receive(text)
    claim = liar.hear('v2_claim')
    if claim is None:
        raise AssertionError(f'no claim: {process.said()}')
    liar.accept(claim[0], parallel_initial=streams, parallel_cap=streams,
                **offer)
    return Quic(lab, liar, seed, 'server', claim[0],
                bytes(claim[1]['quic_public'])), process


def frame(sequence, data=b'', length=None):
    """A stripe with its number, a block with its offset."""
    return struct.pack('>QI', sequence % (1 << 64),
                       len(data) if length is None else length) + data


def write(n, *parts):
    return f'write {n} ' + b''.join(parts).hex()


def streams_of(*parts, ended=True):
    """Commands: a stream for the bytes of each."""
    for n, data in enumerate(parts):
        yield from (f'open {n} 0', write(n, data))
        if ended:
            yield f'fin {n}'
