# SPDX-License-Identifier: BSD-3-Clause
"""A lying sender of transfers that has real QUIC: the claim is made in Python,
the streams come from the program quic_liar, and their packets are carried
between it and the relay."""
import base64
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import threading

from faults_lib import l

import transfer_wire as w

try:
    from nacl.signing import SigningKey
except ImportError:  # transfer_wire skips for the same reason
    SigningKey = None

STRIPE_WARM_UP = (1 << 64) - 1


def block(offset, data, length=None):
    return struct.pack('>QI', offset % (1 << 64), len(data)
                       if length is None else length) + data


stripe = block


class Sender(w.Liar):
    """Of a file: claimant, for a waiting `receive`, or issuer."""

    def __init__(self, lab, relay, token):
        super().__init__(relay, w.Token(token))
        self.lab = lab
        self.seed = os.urandom(32)
        self.quic = SigningKey(self.seed).verify_key.encode()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((l.HOST, 0))
        self.pin = self.token.quic
        self.role = 'client'
        self.process = None
        self.address = None
        self.heard = []
        self._over = threading.Event()
        self._thread = None

    def offer(self, streams, **more):
        """Claim; returns the answer."""
        self.claim(parallel_initial=streams, parallel_cap=streams, **more)
        answer = self.hear('v2_accept')
        if answer is None or answer[1].get('accepted') is not True:
            raise AssertionError(f'not accepted: {answer}')
        return answer[1]

    def issue(self):
        """A token of our own on the route of the one that was given."""
        self.token.derp = self.client.key.public
        self.token.quic = self.quic
        self.token.session, self.token.secret = os.urandom(16), os.urandom(32)
        self.role = 'server'
        return self.token.text()

    def serve(self, streams, **more):
        """Accept the claim of a `receive` that has our token."""
        claim = self.hear('v2_claim')
        if claim is None:
            raise AssertionError('no claim')
        self.peer = claim[0]
        self.pin = bytes(claim[1]['quic_public'])
        self.accept(self.peer, parallel_initial=streams, parallel_cap=streams,
                    **more)

    def send(self, *streams, cut=()):
        """Bytes of each stream; those in @cut have no end."""
        words = []
        for n, data in enumerate(streams):
            path = self.lab.path(f'lie-{n}')
            path.write_bytes(data)
            words.append(f'{"cut:" if n in cut else ""}{path}')
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()
        host, port = self.sock.getsockname()
        program = pathlib.Path(self.lab.build) / 'test' / 'system' / 'quic_liar'
        self.process = subprocess.Popen(
            [program, self.role, f'{host}:{port}', self.seed.hex(),
             self.pin.hex(), *words], stdout=subprocess.PIPE, text=True)

    def _carry(self):
        """Packets, both ways.  One thread: a TLS connection is no toy for
        two."""
        try:
            while not self._over.is_set():
                sources = [self.sock] + (
                    [self.client.sock] if self.address else [])
                ready, _, _ = select.select(sources, [], [], 0.1)
                if self.sock in ready:
                    data, self.address = self.sock.recvfrom(2048)
                    if len(data) > 1:  # else a server's hello
                        self.client.send(self.peer, data)
                if self.client.sock in ready or self.client.buf:
                    self._take()
        except (OSError, w.derp.Closed):
            pass

    def _take(self):
        while not self._over.is_set():
            try:
                _, data = self.client.packet(0.01)
            except (TimeoutError, socket.timeout):
                return
            try:
                self.heard.append(json.loads(data))
            except ValueError:
                self.sock.sendto(data, self.address)

    def last(self, kind):
        """What was heard last of a kind; None."""
        return next((m[kind] for m in reversed(self.heard)
                     if m.get('type') == kind), None)

    def close(self):
        said = None
        if self.process is not None:
            try:
                said = self.process.communicate(timeout=5)[0]
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.sock.close()
        super().close()
        return said


def blocks_offer(name, size, chunk):
    return {'transfer_mode': 'blocks-v1', 'block_size': size,
            'block_chunk_size': chunk, 'block_header':
            base64.b64encode(w.header('file', name, size)).decode()}
