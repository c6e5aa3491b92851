# SPDX-License-Identifier: BSD-3-Clause
"""Transfers with the programs of either implementation: starting them, what to
send, and comparing what arrived."""
import hashlib
import json
import os
import pathlib
import stat
import subprocess

import lab as l

MIB = 1 << 20
CHUNK = 4 * MIB
# What leaves on its own network may take: the Go side gathers candidates for up
# to 5 s, twice.
PATIENCE = 30
TOKEN = r'^([A-Za-z0-9_-]{100,})$'
MODE = 0o7777
_COUNTERS = '''
table inet xfer
delete table inet xfer
table inet xfer {{
	counter relay {{}}
	counter direct {{}}
	chain output {{
		type filter hook output priority filter
		tcp dport {port} counter name relay
		tcp sport {port} counter name relay
		udp dport != 3478 udp sport != 3478 counter name direct
	}}
}}
'''


class Ways:
    """Bytes that leave over the relay's port, and over UDP, in this
    namespace."""

    def __init__(self, port):
        subprocess.run(['nft', '-f', '-'], input=_COUNTERS.format(port=port),
                       text=True, check=True)

    @staticmethod
    def read():
        done = subprocess.run(['nft', '-j', 'list', 'counters'], check=True,
                              text=True, stdout=subprocess.PIPE)
        rows = [r['counter'] for r in json.loads(done.stdout)['nftables']
                if 'counter' in r]
        return {r['name']: r['bytes'] for r in rows if r['table'] == 'xfer'}

    @staticmethod
    def close():
        subprocess.run(['nft', 'delete', 'table', 'inet', 'xfer'], check=True)


class Party:
    """One implementation on one side, with a home of its own."""

    def __init__(self, lab, name, derphole, env, flags=()):
        self.lab = lab
        self.name = name
        self.derphole = derphole
        self.env = env
        self.flags = list(flags)
        self.is_go = name == 'Go'
        self.home = pathlib.Path(env['HOME'])

    def start(self, *args, prefix=(), **kwargs):
        kwargs.setdefault('cwd', self.home)
        return self.lab.start([*prefix, self.derphole, *args, *self.flags],
                              self.env, **kwargs)

    def listen(self, stdout):
        p = self.start('listen', stdout=stdout)
        return p, p.wait_line(TOKEN, PATIENCE).group(1)

    def pipe(self, token, stdin):
        return self.start('pipe', token, stdin=stdin)

    def send(self, *what, stdin=subprocess.DEVNULL, options=(), **kwargs):
        p = self.start('send', *what, *options, stdin=stdin, **kwargs)
        return p, p.wait_line(r'receive (\S{100,})$', PATIENCE).group(1)

    def receive(self, token, *options, **kwargs):
        return self.start('receive', token, *options, **kwargs)

    def invite(self, *options):
        p = self.start('ssh', 'invite', *options)
        return p, p.wait_line(r'ssh accept (\S{100,})$', PATIENCE).group(1)

    def accept(self, token, *options, **kwargs):
        return self.start('ssh', 'accept', token, *options, **kwargs)


def ended(process, timeout, want=0):
    """Waits for a program's end; its status has to be the wanted one."""
    try:
        status = process.proc.wait(timeout)
    except subprocess.TimeoutExpired:
        process.proc.kill()
        raise AssertionError(f'{process.name()} did not end within {timeout} s'
                             f'; it said: {process.said()}') from None
    process.last_words()
    if want is not None and status != want:
        raise AssertionError(f'{process.name()} ended with {status}, not '
                             f'{want}: {process.said()}')
    return status


def both_ended(sender, receiver, timeout, want=(0, 0)):
    try:
        ended(receiver, timeout, want[1])
        ended(sender, PATIENCE, want[0])
    except AssertionError as e:
        raise AssertionError(f'{e}\nsender: {sender.said()}\nreceiver: '
                             f'{receiver.said()}') from e


def make_file(path, size, seed=1):
    """A file of bytes that any loss, doubling or swap changes; its digest."""
    digest = hashlib.sha256()
    with open(path, 'wb') as f:
        for n, at in enumerate(range(0, size, CHUNK)):
            part = l._pattern(seed * 1000003 + n, min(CHUNK, size - at))
            digest.update(part)
            f.write(part)
    return digest.hexdigest()


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as f:
        while part := f.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def make_tree(top, size):
    """A folder with a file of the size, and what else folders have."""
    rows = [('a file', size, 0o644), ('run', 10, 0o755), ('empty', 0, 0o600),
            ('sub/deeper/\u00e9\u4e2d', 3, 0o644), ('sub/' + 'n' * 120, 5, 0o640),
            ('sub/' + 'd' * 90 + '/' + 'f' * 90, 7, 0o644)]
    rows += [(f'many/{n}', n, 0o644) for n in range(60)]
    for n, (name, length, mode) in enumerate(rows):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_file(path, length, n + 2)
        path.chmod(mode)
        os.utime(path, ns=(1, (1600000000 + n) * 10**9 + 700000000))
    (top / 'no files').mkdir()
    (top / 'no files').chmod(0o750)
    os.utime(top / 'no files', (1500000000, 1500000000))


def rounded(ns):
    """Tar of either side rounds to whole seconds."""
    return (ns + 500000000) // 10**9


def describe(top, with_times):
    """{path: (kind, mode, contents, time)} of everything below a folder."""
    out = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = pathlib.Path(folder, name)
            st = path.lstat()
            is_file = stat.S_ISREG(st.st_mode)
            out[str(path.relative_to(top))] = (
                stat.S_IFMT(st.st_mode), st.st_mode & MODE,
                digest_of(path) if is_file else None,
                rounded(st.st_mtime_ns) if with_times and is_file else None)
    return out


def compare_trees(want, got, with_times):
    a, b = describe(want, with_times), describe(got, with_times)
    if a.keys() != b.keys():
        raise AssertionError(f'missing {sorted(a.keys() - b.keys())[:5]}, '
                             f'extra {sorted(b.keys() - a.keys())[:5]}')
    for name, row in a.items():
        if b[name] != row:
            raise AssertionError(f'{name}: {b[name]}, not {row}')


def leftovers(folder, expected=()):
    """Nothing but what is expected, hidden names included."""
    got = set(os.listdir(folder)) - set(expected)
    if got:
        raise AssertionError(f'left in {folder}: {sorted(got)}')
