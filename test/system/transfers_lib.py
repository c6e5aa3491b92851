# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of transfers between our own programs share: a pair of parties
with folders, and transfers that are held in the middle."""
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time

import faults_lib as fl
import xfer as x
from faults_lib import l

MIB = 1 << 20
TIME = 30
# What Ctrl-C and errors of one side take to show at the other.
SOON = 4
INTERRUPTED = 128 + signal.SIGINT
FAILED, USAGE, REJECTED, TIMED_OUT, LOCAL_IO, REMOTE_IO = 1, 2, 10, 13, 14, 15
_CLONE_NEWNS = 0x00020000
_LIBC = ctypes.CDLL(None, use_errno=True)


class Pair:
    """Two parties with daemons of their own, and folders."""

    def __init__(self, lab, relay, a, b):
        self.lab = lab
        self.port = relay.port
        x.Ways(relay.port)
        self.daemons = (a, b)
        self.a, self.b = (x.Party(lab, 'C', lab.our('derphole'), d.env)
                          for d in (a, b))
        self.source, self.target = lab.path('from'), lab.path('to')
        for folder in (self.source, self.target):
            folder.mkdir()

    def make(self, name, size, seed=1):
        return x.make_file(self.source / name, size, seed)

    def send(self, *what, **kwargs):
        return self.a.send(*what, **kwargs)

    def receive(self, token, *options, **kwargs):
        kwargs.setdefault('cwd', self.target)
        return self.b.receive(token, *options, **kwargs)

    def file(self, name, *options, want=(0, 0)):
        """Send a file there; returns the two programs."""
        sender, token = self.send(self.source / name)
        receiver = self.receive(token, *options)
        x.both_ended(sender, receiver, TIME, want)
        return sender, receiver


def row(test):
    """Every row leaves both daemons idle."""
    def run(lab, relay):
        with fl.pair(lab, relay) as (a, b):
            return test(Pair(lab, relay, a, b))
    return run


def rows(*tests):
    """(title, row) of each, for faults_lib.main()."""
    return [(t.__doc__.split('\n')[0].rstrip('.:'), row(t)) for t in tests]


def own_mounts():
    """From here on, what this process mounts nobody else sees."""
    if os.geteuid() == 0 and _LIBC.unshare(_CLONE_NEWNS) == 0:
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)


def said(process):
    return '\n'.join(process.lines['out'] + process.lines['err'])


def check(path, digest):
    if not path.is_file() or x.digest_of(path) != digest:
        raise AssertionError(f'{path.name} differs or is not there')


def check_mode(path, mode):
    got = path.stat().st_mode & x.MODE
    if got != mode:
        raise AssertionError(f'{path.name}: mode {got:o}, not {mode:o}')


@contextlib.contextmanager
def mounted(path, *options, kind='tmpfs'):
    subprocess.run(['mount', '-t', kind, '-o', ','.join(options), kind, path],
                   check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', path], check=True)


def copy_slowly(source, sink, rate, most=None):
    """Bytes per second, in steps of 50 ms; returns what was read."""
    out = bytearray()
    while data := os.read(source, rate // 20):
        out += data
        if sink is not None:
            os.write(sink, data)
        time.sleep(0.05)
        if most is not None and len(out) >= most:
            break
    return bytes(out)


def drain(fd):
    while os.read(fd, 1 << 20):
        pass


def grown(before):
    if sum(x.Ways.read().values()) < before + 5 * MIB:
        raise AssertionError('nothing moves')


@contextlib.contextmanager
def held(p, how, size=2048 * MIB):
    """A transfer in the middle of it: (sender, receiver).  The receiver of a
    pipe or fifo waits for its reader."""
    with open(p.source / 'f', 'wb') as f:
        f.truncate(size)
    if how == 'pipe':
        r, w = os.pipe()
        receiver, token = p.b.listen(w)
        os.close(w)
        with open(p.source / 'f', 'rb') as data:
            sender = p.a.pipe(token, data)
            os.read(r, 1000)
            time.sleep(0.3)
            yield sender, receiver
        os.close(r)
        return
    if how == 'file':
        sender, token = p.send(p.source / 'f')
        receiver = p.receive(token)
        before = sum(x.Ways.read().values())
        l.until(lambda: grown(before), TIME, 'no bytes')
        fl.must_live(sender, receiver)
        yield sender, receiver
        return
    os.mkfifo(p.source / 'out')
    r = os.open(p.source / 'out', os.O_RDONLY | os.O_NONBLOCK)
    sender, token = p.send(p.source / 'f')
    receiver = p.receive(token, '-o', p.source / 'out')
    select.select([r], [], [], TIME)
    time.sleep(0.3)
    fl.must_live(sender, receiver)
    yield sender, receiver
    os.close(r)


def both_within(sender, receiver, seconds, want):
    start = time.monotonic()
    x.both_ended(sender, receiver, seconds, want)
    taken = time.monotonic() - start
    if taken > seconds:
        raise AssertionError(f'took {taken:.1f} s')
    return f'{taken:.2f} s'
