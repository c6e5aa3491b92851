# SPDX-License-Identifier: BSD-3-Clause
"""Load for long tests: connections that must live, bytes that must be right;
and what daemons tell of their paths."""
import hashlib
import socket
import struct
import threading
import time

from lab_world import l

import faults_lib as fl

BLOCK = 1 << 16


def block(seed, n, body={}):
    """The n-th BLOCK bytes of an endless stream; no two alike."""
    if seed not in body:
        body[seed] = hashlib.shake_128(struct.pack('>Q', seed)).digest(
            BLOCK - 8)
    return struct.pack('>Q', n) + body[seed]


class Source(fl.Service):
    """One more verb: G, u64 seed, u64 blocks (0: endless)."""

    def _verb(self, conn, verb):
        if verb != b'G':
            super()._verb(conn, verb)
            return
        seed, count = struct.unpack('>QQ', l.read_exactly(conn, 16))
        n = 0
        while count == 0 or n < count:
            conn.sendall(block(seed, n))
            n += 1


class Download:
    """One connection; every block is compared.  With count = 0 until stop()."""

    def __init__(self, ns, address, seed, count=0):
        self.seed = seed
        self.count = count
        self.blocks = 0
        self.error = None
        self.over = threading.Event()
        with ns:
            self.conn = l.connect(address, 60)
        self.conn.sendall(b'G' + struct.pack('>QQ', seed, count))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        view = memoryview(bytearray(BLOCK))
        try:
            while not self.over.is_set():
                got = 0
                while got < BLOCK:
                    n = self.conn.recv_into(view[got:])
                    if n == 0:
                        raise AssertionError('closed')
                    got += n
                if view != block(self.seed, self.blocks):
                    raise AssertionError('bytes differ')
                self.blocks += 1
                if self.blocks == self.count:
                    break
        except (OSError, AssertionError) as e:
            self.error = e

    def finished(self, timeout):
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def bytes(self):
        return self.blocks * BLOCK

    def check(self):
        if self.error is not None:
            raise AssertionError(f'download of seed {self.seed} after '
                                 f'{self.blocks} blocks: {self.error}')

    def stop(self):
        self.over.set()
        self._thread.join(65)
        self.conn.close()
        self.check()
        if self._thread.is_alive():
            raise AssertionError('download hangs')


class Transfers:
    """Exchanges by digest, each over a connection of its own."""

    def __init__(self, ns, address, size):
        self.ns, self.address, self.size = ns, address, size
        self.rounds = 0
        self.error = None
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self.over.is_set():
                with self.ns:
                    l.exchange(self.address, self.size, self.size,
                               seed=self.rounds, timeout=60)
                self.rounds += 1
        except (OSError, AssertionError) as e:
            self.error = e

    def bytes(self):
        return 2 * self.rounds * self.size

    def check(self):
        if self.error is not None:
            raise AssertionError(f'exchange {self.rounds}: {self.error}')

    def stop(self):
        self.over.set()
        self._thread.join(65)
        self.check()
        if self._thread.is_alive():
            raise AssertionError('exchange hangs')


class Paths:
    """Path events of a daemon: which way packets go, and how often that
    changed."""

    def __init__(self, daemon):
        self.rpc = fl.Rpc(daemon.socket, timeout=None)
        self.rpc.call('session.subscribe')
        self.rows = []  # (time, kind, reason)
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while (message := self.rpc.line()) is not None:
            params = message.get('params', {})
            if params.get('event') == 'path':
                with self._changed:
                    self.rows.append((time.monotonic(), params['kind'],
                                      params.get('reason', '')))
                    self._changed.notify_all()

    def now(self):
        with self._changed:
            return self.rows[-1][1] if self.rows else 'none'

    def switches(self):
        """Changes between the relay and a direct path."""
        with self._changed:
            kinds = [k == 'relay' for _, k, _ in self.rows]
        return sum(a != b for a, b in zip(kinds, kinds[1:]))

    def wait(self, direct, timeout, after=0.0):
        """When it became so, at or after a time; None if not in time."""
        with self._changed:
            def done():
                return self.rows and (self.rows[-1][1] != 'relay') == direct
            if not self._changed.wait_for(done, timeout):
                return None
            # The begin of the present state.
            start = self.rows[-1][0]
            for t, kind, _ in reversed(self.rows):
                if (kind != 'relay') != direct:
                    break
                start = t
            return max(start, after)

    def close(self):
        try:
            self.rpc.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.rpc.close()
