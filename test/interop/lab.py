# SPDX-License-Identifier: BSD-3-Clause
"""A network of one machine for tests with real programs.

The test moves into a network namespace of its own that holds nothing but a
loopback interface with one more address, so that no packet can leave and
nothing is left behind, even when the test is killed: every process started here
dies with it.
"""
import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import go_tools

# The address relay and peers use: the sibling tools refuse loopback candidates.
HOST = '10.99.0.1'
GO_VERSION = 'v0.18.2'
# For what a program said just before it ended to be read.
LAST_WORDS_S = 1
DERPER = 'tailscale.com/cmd/derper@v1.96.5'

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_TICK = os.sysconf('SC_CLK_TCK')


class Skip(Exception):
    """A test cannot run here; the text says why."""


def enter_namespace():
    """Move this process into a fresh network namespace with HOST on lo."""
    if os.geteuid() != 0:
        raise Skip('needs root for a network namespace')
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        raise Skip('cannot make a network namespace')
    for args in (['link', 'set', 'lo', 'up'],
                 ['addr', 'add', f'{HOST}/32', 'dev', 'lo']):
        subprocess.run(['ip', *args], check=True)


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def find_peers():
    """Paths of the Go programs: {'derphole': ..., 'derptun': ...}."""
    found = {}
    places = [os.environ.get('DERPTUND_PEERS'),
              *os.environ.get('PATH', '').split(':')]
    for name in ('derphole', 'derptun'):
        for place in filter(None, places):
            path = pathlib.Path(place) / name
            if not os.access(path, os.X_OK):
                continue
            out = subprocess.run([str(path), 'version'], check=False,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True)
            if out.stdout.strip() == GO_VERSION:
                found[name] = str(path)
                break
    if len(found) != 2:
        raise Skip(f'no Go derphole and derptun {GO_VERSION} on PATH or in '
                   '$DERPTUND_PEERS')
    return found


def find_derper():
    """Path of the stock derper; installed from its module when Go is there.
    To be called before enter_namespace()."""
    places = [os.environ.get('DERPTUND_PEERS'), str(go_tools.cache() / 'bin'),
              *os.environ.get('PATH', '').split(':')]
    for place in filter(None, places):
        path = os.path.join(place, 'derper')
        if os.access(path, os.X_OK):
            return path
    try:
        return go_tools.install(DERPER)
    except go_tools.NoGo as e:
        raise Skip(f'no derper: {e}') from e


class Process:
    """A program under test; its two outputs are gathered by threads."""

    def __init__(self, lab, args, env, **kwargs):
        self.args = args
        self.lines = {'out': [], 'err': []}
        self._changed = threading.Condition()
        self.proc = subprocess.Popen(
            args, env=env, preexec_fn=_die_with_parent,
            stdin=kwargs.pop('stdin', subprocess.DEVNULL),
            stdout=kwargs.pop('stdout', subprocess.PIPE),
            stderr=kwargs.pop('stderr', subprocess.PIPE), **kwargs)
        lab.processes.append(self)
        self._gatherers = [
            threading.Thread(target=self._gather, args=row, daemon=True)
            for row in (('out', self.proc.stdout), ('err', self.proc.stderr))
            if row[1] is not None]
        for t in self._gatherers:
            t.start()

    def _gather(self, name, pipe):
        with pipe:
            for line in pipe:
                with self._changed:
                    self.lines[name].append(line.decode('utf-8', 'replace')
                                            .rstrip('\n'))
                    self._changed.notify_all()

    def wait_line(self, pattern, timeout=30, stream='err', skip=0):
        """The match of the first line (after skip matches); raises when the
        program ends or the time is up first."""
        deadline = time.monotonic() + timeout
        regex = re.compile(pattern)
        with self._changed:
            while True:
                hits = [m for m in map(regex.search, self.lines[stream]) if m]
                if len(hits) > skip:
                    return hits[skip]
                left = deadline - time.monotonic()
                if left <= 0:
                    status = self.proc.poll()
                    why = f'ended with {status}' if status is not None \
                        else f'within {timeout} s'
                    raise AssertionError(f'no "{pattern}" from {self.name()} '
                                         f'({why}); it said: {self.said()}')
                if self.proc.poll() is not None:
                    deadline = min(deadline, time.monotonic() + LAST_WORDS_S)
                    if not any(t.is_alive() for t in self._gatherers):
                        deadline = 0
                self._changed.wait(min(left, 0.2))

    def name(self):
        return ' '.join(os.path.basename(a) if '/' in a else a[:24]
                        for a in self.args[:3])

    def said(self):
        return ' | '.join((self.lines['out'] + self.lines['err'])[-12:])

    def last_words(self):
        """After its end: wait for what it said.  Not for long, as a daemon
        that it started may have its stderr."""
        for t in self._gatherers:
            t.join(LAST_WORDS_S)

    def alive(self):
        return self.proc.poll() is None

    def stop(self, sig=signal.SIGINT, timeout=10):
        """Signal it and wait; returns the exit status."""
        if self.alive():
            self.proc.send_signal(sig)
        try:
            return self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            return self.proc.wait(timeout)


class Relay:
    """A running relay: what its users need to know."""

    def __init__(self, name, process, port, ca_file):
        self.name = name
        self.process = process
        self.port = port
        self.ca_file = ca_file
        self.url = f'https://{HOST}:{port}'


class Lab:
    """Folder, processes and environment of one test run."""

    def __init__(self, build, verbose=False):
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='derptund-lab-'))
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.verbose = verbose
        self._ports = 20000

    def close(self):
        for p in reversed(self.processes):
            if p.alive():
                p.proc.terminate()
        for p in reversed(self.processes):
            try:
                p.proc.wait(3)
            except subprocess.TimeoutExpired:
                p.proc.kill()
                p.proc.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def port(self):
        """A port nobody uses: the namespace is ours alone."""
        self._ports += 1
        return self._ports

    def path(self, name):
        return self.folder / name

    def env(self, side, relay=None, **more):
        """Environment of one side: a home, a runtime folder (hence a daemon)
        and a relay of its own."""
        home = self.folder / f'side-{side}'
        home.mkdir(exist_ok=True, mode=0o700)
        env = {'PATH': os.environ['PATH'], 'HOME': str(home),
               'XDG_RUNTIME_DIR': str(home), 'SSL_CERT_DIR': '/nonexistent',
               'LANG': 'C.UTF-8'}
        env.update({k: v for k, v in os.environ.items()
                    if k.endswith('SAN_OPTIONS')})
        if relay is not None:
            env['DERPHOLE_DERP_SERVER'] = relay.url
            env['SSL_CERT_FILE'] = str(relay.ca_file)
        env.update(more)
        return env

    def start(self, args, env, **kwargs):
        return Process(self, [str(a) for a in args], env, **kwargs)

    def our(self, name):
        return str(self.build / name)

    def our_relay(self, name='ours', port=None, extra=()):
        state = self.path(f'relay-{name}')
        port = port or self.port()
        p = self.start([self.our('derptun-relay'), '--listen',
                        f'{HOST}:{port}', '--stun', f'{HOST}:3478',
                        '--hostname', HOST, '--state-dir', state, *extra],
                       self.env('relay'))
        m = p.wait_line(r'^SSL_CERT_FILE=(.*)$', stream='out', timeout=10)
        return Relay('our relay', p, port, m.group(1))

    def derper(self, binary, port=None):
        state = self.path('derper')
        state.mkdir(exist_ok=True)
        port = port or self.port()
        p = self.start([binary, '-c', state / 'derper.json', '-a',
                        f'{HOST}:{port}', '-hostname', HOST, '-certdir', state,
                        '-certmode', 'manual', '-http-port', '-1', '-stun=true',
                        '-stun-port', '3478'], self.env('relay'))
        wait_for_port(HOST, port)
        return Relay('derper', p, port, state / f'{HOST}.crt')


def kill_daemons(env):
    """kill -9 of a side's daemon, as if its machine had lost power."""
    for pid in daemons_of(env):
        os.kill(pid, signal.SIGKILL)


def is_sanitized(pid):
    with open(f'/proc/{pid}/maps', encoding='utf-8') as f:
        return 'asan' in f.read()


def has_ended(pid):
    """A zombie that nobody reaps yet has ended too."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
            return f.read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except OSError:
        return True


def processes():
    """{pid: (parent, command, CPU seconds)} of all processes."""
    out = {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/stat', encoding='utf-8') as f:
                text = f.read()
        except OSError:
            continue
        name = text[text.index('(') + 1:text.rindex(')')]
        field = text[text.rindex(')') + 2:].split()
        out[int(entry)] = (int(field[1]), name,
                           (int(field[11]) + int(field[12])) / _TICK)
    return out


def stolen():
    """Seconds that a hypervisor took from this machine's processors, all
    together, since it started (proc(5), steal), in steps of 10 ms."""
    with open('/proc/stat', encoding='ascii') as f:
        return int(f.readline().split()[8]) / _TICK


def family(root, table):
    """root and all its descendants."""
    found = {root}
    grew = True
    while grew:
        more = {p for p, row in table.items() if row[0] in found} - found
        found |= more
        grew = bool(more)
    return found


def daemons_of(env):
    """The on-demand daemon of a side, found by its runtime folder.  A worker
    looks like its daemon until it executes its program."""
    found = []
    table = processes()
    for pid, (parent, name, _) in table.items():
        if not name.startswith('derptund') or \
                table.get(parent, (0, ''))[1].startswith('derptund'):
            continue
        try:
            with open(f'/proc/{pid}/environ', 'rb') as f:
                text = f.read()
        except OSError:
            continue
        if f'XDG_RUNTIME_DIR={env["XDG_RUNTIME_DIR"]}'.encode() in \
                text.split(b'\0'):
            found.append(pid)
    return found


def wait_for_handler(pid, signo, timeout=15):
    """Until a process that was just started catches a signal."""
    def check():
        with open(f'/proc/{pid}/status', encoding='utf-8') as f:
            mask = re.search(r'^SigCgt:\s+(\S+)$', f.read(), re.M).group(1)
        if not int(mask, 16) >> (signo - 1) & 1:
            raise AssertionError('it does not')
    until(check, timeout, f'a handler of signal {signo}')


def wait_for_port(host, port, timeout=15):
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise AssertionError(f'nothing listens on {host}:{port}') \
                    from None
            time.sleep(0.05)


def _pattern(seed, length):
    """length bytes that any loss, doubling or swap changes."""
    block = hashlib.shake_128(struct.pack('>Q', seed)).digest(1 << 16)
    out = bytearray()
    n = 0
    while len(out) < length:
        out += struct.pack('>Q', n) + block[8:]
        n += 1
    return bytes(out[:length])


class Acceptor:
    """Gives each connection of a listening socket to _one(), in a thread."""

    def __init__(self, sock):
        self.sock = sock
        self.accepted = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(conn,),
                             daemon=True).start()

    def _one(self, conn):
        raise NotImplementedError

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Service(Acceptor):
    """A TCP service for tests.  The client's first byte chooses:

    X  exchange: u64 up, u64 down, u64 seed, then `up` bytes; the answer is the
       SHA-256 of those and `down` bytes made of the seed
    H  half-close: everything until end of file, then "TOTAL n"
    B  nothing: the banner was sent before the first byte
    """
    BANNER = b'BANNER 1.0\r\n'

    def __init__(self, host='127.0.0.1', banner=False):
        self.banner = banner
        super().__init__(self._bind(host))
        self.address = '%s:%d' % self.sock.getsockname()

    def _bind(self, host):
        return socket.create_server((host, 0), backlog=512)

    def _one(self, conn):
        try:
            with conn:
                if self.banner:
                    conn.sendall(self.BANNER)
                verb = conn.recv(1)
                if verb == b'X':
                    self._exchange(conn)
                elif verb == b'H':
                    total = 0
                    while data := conn.recv(65536):
                        total += len(data)
                    conn.sendall(b'TOTAL %d' % total)
                else:
                    self._verb(conn, verb)
        except OSError:
            pass

    def _verb(self, conn, verb):
        """Verbs of services built on this one."""

    @staticmethod
    def _exchange(conn):
        up, down, seed = struct.unpack('>QQQ', read_exactly(conn, 24))
        digest = hashlib.sha256()
        left = up
        while left > 0:
            data = conn.recv(min(left, 1 << 18))
            if not data:
                return
            digest.update(data)
            left -= len(data)
        conn.sendall(digest.digest())
        conn.sendall(_pattern(seed, down))


def read_exactly(conn, n):
    out = bytearray()
    while len(out) < n:
        data = conn.recv(min(n - len(out), 1 << 18))
        if not data:
            raise AssertionError(f'closed after {len(out)} of {n} bytes')
        out += data
    return bytes(out)


def connect(address, timeout=30):
    host, port = address.rsplit(':', 1)
    return socket.create_connection((host.strip('[]'), int(port)), timeout)


def exchange(address, up, down, seed=1, timeout=120):
    """Through a tunnel to Service: both directions checked by digest."""
    with connect(address, timeout) as conn:
        data = _pattern(seed + 1000, up)
        sender = threading.Thread(
            target=_send_quietly,
            args=(conn, b'X' + struct.pack('>QQQ', up, down, seed) + data),
            daemon=True)
        sender.start()
        digest = read_exactly(conn, 32)
        got = read_exactly(conn, down)
        sender.join(timeout)
    if digest != hashlib.sha256(data).digest():
        raise AssertionError('what the service received differs')
    if got != _pattern(seed, down):
        raise AssertionError('what the service sent differs')


def _send_quietly(conn, data):
    try:
        conn.sendall(data)
    except OSError:
        pass


def half_close(address, length=100000, timeout=30):
    """Returns what comes back after our end of file."""
    with connect(address, timeout) as conn:
        conn.sendall(b'H' + b'x' * length)
        conn.shutdown(socket.SHUT_WR)
        out = b''
        while data := conn.recv(4096):
            out += data
        return out


def many(address, count=50, size=262144):
    """count connections at once, each exchanging size bytes both ways."""
    errors = []

    def one(n):
        try:
            exchange(address, size, size, seed=n)
        except (AssertionError, OSError) as e:
            errors.append(f'connection {n}: {e}')

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise AssertionError(f'{len(errors)} of {count} failed: {errors[0]}')


def until(check, timeout, what):
    """Call check() until it does not raise; the last error otherwise."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return check()
        except (AssertionError, OSError) as e:
            if time.monotonic() > deadline:
                raise AssertionError(f'{what}: still failing after {timeout} s:'
                                     f' {e}') from e
            time.sleep(0.25)


class Tap:
    """Numbered rows; run() turns exceptions into failures."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def row(self, good, title, detail=''):
        self.count += 1
        self.failed += not good
        print(f'{"ok" if good else "not ok"} {self.count} - {title}',
              flush=True)
        for line in str(detail).splitlines():
            print(f'# {line}', flush=True)

    def skip(self, title, reason):
        self.count += 1
        print(f'ok {self.count} - {title} # SKIP {reason}', flush=True)

    def run(self, title, test, *args):
        start = time.monotonic()
        try:
            detail = test(*args)
        except Skip as e:
            self.skip(title, e)
            return False
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            self.row(False, title, f'{type(e).__name__}: {e}')
            return False
        self.row(True, f'{title} ({time.monotonic() - start:.1f} s)',
                 detail or '')
        return True

    def done(self):
        print(f'1..{self.count}')
        return 1 if self.failed else 0
