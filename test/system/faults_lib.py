# SPDX-License-Identifier: BSD-3-Clause
"""Daemons, programs and services for the fault tests.

Every side has a daemon of its own that the test starts and outlives, so that
what a fault leaves behind (processes, descriptors, memory) can be counted.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))

import lab as l  # noqa: E402  pylint: disable=wrong-import-position

KIB = 1 << 10
MIB = 1 << 20
# A tunnel is claimed anew within: idle timeout (10 s), back-off, one claim.
RECONNECT = 30
# What ended has left nothing behind after this: links linger for 1 s, workers
# have 1 s to end.
SETTLE = 8
# Of a row whose pings suffer, and rounds of them to judge by.
TRIES = 3
ENOUGH = 20


class Service(l.Service):
    """More verbs, and a port that may be chosen:

    E  echo
    S  the service ends first: "BYE", end of file, then it counts what comes
    F  flood: zeros until the other side is gone
    """

    def __init__(self, port=0, banner=False):
        self.totals = []
        self.port = port
        super().__init__(banner=banner)

    def _bind(self, host):
        return socket.create_server((host, self.port), backlog=512)

    def _verb(self, conn, verb):
        if verb == b'E':
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := conn.recv(65536):
                conn.sendall(data)
        elif verb == b'S':
            conn.sendall(b'BYE')
            conn.shutdown(socket.SHUT_WR)
            total = 0
            while data := conn.recv(65536):
                total += len(data)
            self.totals.append(total)
        elif verb == b'F':
            while True:
                conn.sendall(bytes(65536))


def sealed(path):
    """Memory with the content of a file, as `relay.ca_fd` wants it."""
    fd = os.memfd_create('ca', os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, pathlib.Path(path).read_bytes())
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK |
                fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return fd


class Rpc:
    """A control connection, raw enough to misbehave on."""

    def __init__(self, path, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.data = b''
        self.last = 0

    def line(self):
        """The next message; None at the end."""
        while b'\n' not in self.data:
            try:
                more = self.sock.recv(65536)
            except ConnectionError:
                return None
            if not more:
                return None
            self.data += more
        line, self.data = self.data.split(b'\n', 1)
        return json.loads(line)

    def send(self, method, params=None, fds=(), **more):
        self.last += 1
        message = {'jsonrpc': '2.0', 'id': self.last, 'method': method, **more}
        if params is not None:
            message['params'] = params
        if fds:
            message.setdefault('fds', len(fds))
        data = json.dumps(message).encode() + b'\n'
        if fds:
            socket.send_fds(self.sock, [data], list(fds))
        else:
            self.sock.sendall(data)
        return self.last

    def answer(self, ident):
        while (message := self.line()) is not None:
            if message.get('id') == ident and 'method' not in message:
                return message
        raise AssertionError('the daemon closed instead of answering')

    def call(self, method, params=None, fds=()):
        message = self.answer(self.send(method, params, fds))
        if 'error' in message:
            raise AssertionError(f'{method}: {message["error"]}')
        return message['result']

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def fds_of(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def rss_of(pid):
    """Heap and stack, bytes; 0 of what a sanitizer holds."""
    if l.is_sanitized(pid):
        return 0
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
        return sum(int(line.split()[1]) * KIB for line in f
                   if line.startswith('Anonymous:'))


class Daemon:
    """A derptund that the test started, and the programs that use it."""

    def __init__(self, lab, name, relay=None, args=('-v',), prefix=()):
        self.lab = lab
        self.name = name
        self.socket = lab.path(f'{name}.sock')
        self.env = lab.env(name, relay, DERPTUND_SOCKET=str(self.socket))
        self.args = args
        self.prefix = prefix
        self.start()

    def start(self):
        self.process = self.lab.start(
            [*self.prefix, self.lab.our('derptund'), *self.args, '--socket', self.socket],
            self.env)
        self.process.wait_line(r'started uid=', timeout=10)
        self.pid = self.process.proc.pid
        self.idle_fds = self.fds()

    def rpc(self, method, params=None):
        with Rpc(self.socket) as rpc:
            return rpc.call(method, params)

    def workers(self, role=None):
        """{object's id: pid} of the living workers."""
        return {w.get('session', w.get('endpoint')): w['pid']
                for w in self.rpc('daemon.status')['workers']
                if role in (None, w['role'])}

    def children(self):
        """Workers; not the spare, which comes and goes by itself, nor one
        that is just being born."""
        return sorted(self.workers().values())

    def fds(self):
        """How many descriptors it has, but for those of its spares: two of a
        worker's, one of a relay connection."""
        with Rpc(self.socket) as rpc:
            while True:
                before = self.spawned()
                status = rpc.call('daemon.status')
                count = fds_of(self.pid)
                if before == self.spawned():
                    break
        spares = before - {w['pid'] for w in status['workers']}
        relays = [r for r in status['relays'] if r['state'] == 'spare']
        return count - 1 - 2 * len(spares) - len(relays)

    def spawned(self):
        return l.family(self.pid, l.processes()) - {self.pid}

    def all_fds(self):
        """Those of the daemon and of its workers."""
        return [self.fds(), *map(fds_of, self.children())]

    def endpoints(self):
        return self.rpc('endpoint.list')['endpoints']

    def sessions(self):
        return self.rpc('session.list')['sessions']

    def said(self):
        return self.process.lines['err']

    def log_has(self, text, timeout=5):
        self.process.wait_line(text, timeout)

    def wait_endpoint(self, state, timeout=15, which=0):
        def check():
            got = self.endpoints()[which]['state']
            if got != state:
                raise AssertionError(f'endpoint is {got}')
        l.until(check, timeout, f'{self.name}: no endpoint {state}')

    def wait_idle(self, timeout=SETTLE):
        """No session, no worker, no descriptor more than after the start."""
        def check():
            if kids := self.children():
                table = l.processes()
                raise AssertionError(
                    f'workers left: {[(p, table.get(p)) for p in kids]}')
            more = self.fds() - self.idle_fds
            if more != 0:
                raise AssertionError(f'{more} descriptors more than before: '
                                     f'{list_fds(self.pid)}')
        if not self.process.alive():
            raise AssertionError(f'{self.name} died: {self.process.said()}')
        l.until(check, timeout, f'{self.name} is not idle')

    # The programs -----------------------------------------------------------

    def run(self, program, *args, relay=None, timeout=30, stdin=b''):
        """Run to the end: (status, stdout, stderr)."""
        env = self.env if relay is None else \
            self.lab.env(self.name, relay, DERPTUND_SOCKET=str(self.socket))
        return run(self.lab, env, program, *args, timeout=timeout,
                   stdin=stdin)

    def cli(self, program, *args, **kwargs):
        return self.lab.start([self.lab.our(program), *args], self.env,
                              **kwargs)

    def share(self, target, *flags):
        p = self.cli('derphole', 'share', target, '--print-token-only', *flags)
        return p, p.wait_line(r'^([A-Za-z0-9_-]{100,})$', stream='out',
                              timeout=20).group(1)

    def open(self, token, *flags, bind=()):
        p = self.cli('derphole', 'open', token, *bind, *flags)
        return p, listening(p)

    def tokens(self):
        return tokens(self.lab, self.env)

    def serve(self, server_token, target, *flags):
        p = self.cli('derptun', 'serve', '--token-file', server_token, '--tcp',
                     target, *flags)
        p.wait_line(r'open --token DT', timeout=20)
        return p

    def tunnel(self, client_token, *flags):
        p = self.cli('derptun', 'open', '--token-file', client_token, *flags)
        return p, listening(p)


def list_fds(pid):
    out = []
    for fd in os.listdir(f'/proc/{pid}/fd'):
        with contextlib.suppress(OSError):
            out.append(os.readlink(f'/proc/{pid}/fd/{fd}'))
    return ' '.join(sorted(out))


def listening(p, timeout=45):
    return p.wait_line(r'^listening on (\S+)$', timeout=timeout).group(1)


def run(lab, env, program, *args, timeout=30, stdin=b'', **kwargs):
    """Run to the end: (status, stdout, stderr)."""
    try:
        done = subprocess.run([lab.our(program), *map(str, args)], env=env,
                              input=stdin, timeout=timeout, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **kwargs)
    except subprocess.TimeoutExpired as e:
        raise AssertionError(
            f'{program} {args[0]} did not end in {timeout} s: '
            f'{(e.stderr or b"")[-300:]}') from e
    return (done.returncode, done.stdout.decode('utf-8', 'replace'),
            done.stderr.decode('utf-8', 'replace'))


def tokens(lab, env, days='7'):
    """Files of a fresh server token and of a client token of it."""
    tokens.count += 1
    paths = []
    for verb, args in (('server', []), ('client', ['--token-file', None,
                                                   '--days', days])):
        args = [paths[0] if a is None else a for a in args]
        status, out, err = run(lab, env, 'derptun', 'token', verb, *args)
        if status != 0:
            raise AssertionError(f'token {verb}: {status} {err}')
        path = lab.path(f'token-{tokens.count}-{verb}')
        path.write_text(out, encoding='ascii')
        paths.append(str(path))
    return paths


tokens.count = 0


def expect(got, want, what):
    if got != want:
        raise AssertionError(f'{what}: {got!r}, not {want!r}')


def expect_in(part, text, what):
    if part not in text:
        raise AssertionError(f'{what}: no {part!r} in {text!r}')


def must_live(*processes):
    for p in processes:
        if not p.alive():
            raise AssertionError(f'{p.name()} ended with '
                                 f'{p.proc.returncode}: {p.said()}')


def wait_exit(p, timeout):
    try:
        status = p.proc.wait(timeout)
        p.last_words()
        return status
    except subprocess.TimeoutExpired:
        raise AssertionError(f'{p.name()} still runs after {timeout} s: '
                             f'{p.said()}') from None


def leave(*processes, status=0):
    """Interrupt programs; each must end as the manual says."""
    for p in processes:
        got = p.stop()
        if got != status:
            raise AssertionError(f'{p.name()} ended with {got}: {p.said()}')


def until_works(address, timeout=RECONNECT, what='tunnel'):
    """How long until an exchange goes through; the port never closes."""
    start = time.monotonic()

    def once():
        try:
            l.exchange(address, 1000, 1000, timeout=3)
        except ConnectionRefusedError as e:
            raise RuntimeError(f'{what}: port closed') from e
    try:
        l.until(once, timeout, what)
    except RuntimeError as e:
        raise AssertionError(str(e)) from e
    return time.monotonic() - start


class Raw:
    """The relay as test/relay/derp.py wants it."""

    def __init__(self, relay):
        self.address = (l.HOST, relay.port)
        self.context = ssl.create_default_context(cafile=str(relay.ca_file))

    def connect(self, _rcvbuf=None):
        sock = socket.create_connection(self.address, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(sock, server_hostname=l.HOST)


class Suffered(AssertionError):
    """Something came late.  A worker that the machine stalls is late, too, and
    no clock beside it sees that; what is our fault comes each time."""


class Again(Exception):
    """A row that suffered is to be tried again."""


class Pinger:
    """Ping-pong through an address from a process of its own, a second one on
    the bare service and one on each processor that only sleeps: these know how
    late this machine is itself."""

    def __init__(self, lab, address, bare):
        self.pings = [lab.start([sys.executable, __file__, a], dict(os.environ),
                                stdin=subprocess.PIPE)
                      for a in (address, bare,
                                *map(str, sorted(os.sched_getaffinity(0))[:8]))]
        for p in self.pings:
            p.wait_line('^begun$', stream='out', timeout=15)
        self.start = time.monotonic()
        # Sanitizers slow everything but the bare service.
        self.slack = 10 if b'__asan_init' in pathlib.Path(
            lab.our('derptund')).read_bytes() else 1

    def end(self):
        """(count, p99, longest pause, the machine's p99 and pause), ms."""
        out = []
        time.sleep(max(0, self.start + 0.7 - time.monotonic()))
        for p in self.pings:
            p.proc.stdin.close()
            m = p.wait_line(r'^count=(\d+) p99=(\S+) max=(\S+) error=(.*)$',
                            stream='out', timeout=40)
            p.proc.wait(10)
            if m.group(4):
                raise AssertionError(f'ping-pong broke: {m.group(4)} after '
                                     f'{m.group(1)} rounds')
            out += [int(m.group(1)), float(m.group(2)), float(m.group(3))]
        return out[0], out[1], out[2], out[4], max(out[5::3])

    def check(self, pause_ms=None, p99_ms=None):
        """End it; no pause longer than pause_ms beyond the machine's own."""
        count, p99, pause, own_p99, own_pause = self.end()
        note = (f'{count} pings, p99 {p99:.1f} ms, longest {pause:.0f} ms '
                f'(machine: {own_p99:.1f}, {own_pause:.0f} ms)')
        slack = self.slack
        if (pause_ms and pause > pause_ms * slack + own_pause) or \
                (p99_ms and p99 > p99_ms * slack + own_p99):
            raise Suffered(f'ping-pong suffered: {note}')
        return note


def ping(address):
    with l.connect(address, 20) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn.sendall(b'E')

        def once():
            data = os.urandom(64)
            conn.sendall(data)
            if l.read_exactly(conn, 64) != data:
                raise AssertionError('echo differs')

        measure(once)


def watch_clock(cpu):
    os.sched_setaffinity(0, {cpu})
    measure(lambda: time.sleep(0.001))


def measure(once):
    """Until end of file on stdin: once() each 2 ms, its times on stdout."""
    times = []
    error = ''
    stop = threading.Event()

    def watch():
        sys.stdin.read()
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        # Enough to judge, however late they are.
        while not stop.is_set() or len(times) < ENOUGH:
            start = time.monotonic()
            once()
            times.append((time.monotonic() - start) * 1000)
            if len(times) == 1:
                print('begun', flush=True)
            time.sleep(0.002)
    except (AssertionError, OSError) as e:
        error = f'{type(e).__name__} {e}'
    times.sort()
    p99 = times[len(times) * 99 // 100] if times else 0
    print(f'count={len(times)} p99={p99:.3f} max={max(times, default=0):.3f} '
          f'error={error}', flush=True)


class Traffic:
    """Exchanges checked by digest, one after the other, until told to end."""

    def __init__(self, address, size=4 * MIB, timeout=60):
        self.address = address
        self.size = size
        self.timeout = timeout
        self.rounds = 0
        self.error = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._over.is_set():
                l.exchange(self.address, self.size, self.size,
                           seed=self.rounds, timeout=self.timeout)
                self.rounds += 1
        except (AssertionError, OSError) as e:
            self.error = e

    def end(self):
        self._over.set()
        self._thread.join(self.timeout + 10)
        if self.error is not None:
            raise AssertionError(f'after {self.rounds} exchanges: '
                                 f'{self.error}')
        if self._thread.is_alive():
            raise AssertionError('traffic hangs')
        return self.rounds


def together(*jobs):
    """Run functions at once; the first failure is the row's."""
    results = [None] * len(jobs)
    errors = []

    def one(n, job):
        try:
            results[n] = job()
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            errors.append(e)

    threads = [threading.Thread(target=one, args=(n, job), daemon=True)
               for n, job in enumerate(jobs)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(170)
    if errors:
        raise AssertionError('; '.join(str(e) for e in errors[:3]))
    return results


@contextlib.contextmanager
def pair(lab, relay, **kwargs):
    """Two daemons; afterwards both must be idle and end in order."""
    a, b = Daemon(lab, 'a', relay, **kwargs), Daemon(lab, 'b', relay, **kwargs)
    yield a, b
    for d in (a, b):
        d.wait_idle()
    for d in (a, b):
        expect(d.process.stop(), 0, f'status of daemon {d.name}')


def caught(test, last):
    """Mistakes of the test itself fail its row, not the program."""
    def run_it(lab, relay):
        try:
            return test(lab, relay)
        except Suffered as e:
            if last:
                raise
            raise Again(str(e)) from e
        except (LookupError, ValueError, TypeError) as e:
            raise AssertionError(traceback.format_exc(limit=-3)) from e
    return run_it


def main(rows, argv):
    """rows: [(title, function of lab and relay)].  argv: BUILD [PATTERN]."""
    tap = l.Tap()
    try:
        l.enter_namespace()
    except l.Skip as e:
        tap.skip('all rows', e)
        return tap.done()
    for title, test in rows:
        if len(argv) > 2 and not l.re.search(argv[2], title):
            continue
        for n in range(TRIES):
            try:
                run_row(tap, argv[1], title, caught(test, n == TRIES - 1))
                break
            except Again as e:
                for line in str(e).splitlines():
                    print(f'# {title}, try {n + 1}: {line}', flush=True)
    return tap.done()


def run_row(tap, build, title, test):
    """In a lab of its own."""
    with l.Lab(build) as lab:
        relay = lab.our_relay()
        if not tap.run(title, test, lab, relay):
            for p in lab.processes:
                print(f'# {p.name()}: {p.said()[-1200:]}')


if __name__ == '__main__':
    if sys.argv[1].isdigit():
        watch_clock(int(sys.argv[1]))
    else:
        ping(sys.argv[1])
