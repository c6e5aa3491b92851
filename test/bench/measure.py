# SPDX-License-Identifier: BSD-3-Clause
"""What lanes measure with: bytes, CPU of processes, the machine's yardstick."""
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))
import lab as l  # noqa: E402

GIB = 1 << 30
CHUNK = 1 << 20


class Meter:
    """CPU seconds of process families between start and stop."""

    def __init__(self, roots):
        self.roots = roots
        self.before = self._sum()

    def _sum(self):
        table = l.processes()
        # Sets: a daemon started on demand is its client's child too.
        pids = {name: {p for r in roots if r in table
                       for p in l.family(r, table)}
                for name, roots in self.roots.items()}
        return {name: sum(table[p][2] for p in them)
                for name, them in pids.items()}

    def stop(self):
        after = self._sum()
        return {name: after[name] - self.before[name] for name in after}


class Source:
    """Sends as many bytes as the client's first 8 bytes ask for, from a process
    of its own so that it takes no time of the meter's."""

    def __init__(self):
        sock = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.address = '%s:%d' % sock.getsockname()
        self.pid = os.fork()
        if self.pid == 0:
            l._die_with_parent()
            self._serve(sock)
        sock.close()

    @staticmethod
    def _serve(sock):
        block = memoryview(bytes(CHUNK))

        def one(conn):
            with conn:
                left = int.from_bytes(l.read_exactly(conn, 8), 'big')
                while left > 0:
                    n = min(left, CHUNK)
                    conn.sendall(block[:n])
                    left -= n

        while True:
            conn, _ = sock.accept()
            threading.Thread(target=one, args=(conn,), daemon=True).start()


class Echo:
    """Gives every connection its first byte back, from a process of its own."""

    def __init__(self, lab):
        self.process = lab.start([lab.build / 'test/bench/stopwatch', 'service'],
                                 {'PATH': os.environ['PATH']})
        self.address = self.process.wait_line(r'^\S+$', stream='out').group(0)


def wait_said(path, line, timeout=20):
    """Until a file has the line."""
    deadline = time.monotonic() + timeout
    while line not in path.read_text(encoding='utf-8').splitlines():
        if time.monotonic() > deadline:
            raise AssertionError(f'no "{line}" in {path.read_text()}')
        time.sleep(0.01)


def stopwatch(lab, until, args, env, prefix=(), **kwargs):
    """Milliseconds from the start of a command; see stopwatch.c for until."""
    done = subprocess.run(
        [*map(str, prefix), str(lab.build / 'test/bench/stopwatch'), until,
         *map(str, args)], env=env, stderr=subprocess.PIPE, text=True,
        check=False, **kwargs)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return float(done.stderr)


def drain(address, count, errors):
    """Fetch count bytes from a Source."""
    buf = bytearray(CHUNK)
    left = count
    try:
        with l.connect(address, 120) as conn:
            conn.sendall(count.to_bytes(8, 'big'))
            while left > 0:
                n = conn.recv_into(buf)
                if n == 0:
                    raise AssertionError(f'{left} bytes missing')
                left -= n
    except (OSError, AssertionError) as e:
        errors.append(str(e))


def fetch(address, streams, total):
    """Seconds for total bytes over parallel connections, in child processes."""
    start = time.monotonic()
    children = []
    for _ in range(streams):
        pid = os.fork()
        if pid == 0:
            errors = []
            drain(address, total // streams, errors)
            os._exit(1 if errors else 0)
        children.append(pid)
    bad = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
    if bad:
        raise AssertionError(f'{bad} of {streams} streams failed')
    return time.monotonic() - start


def yardstick(build, total, *where):
    """Gb/s and CPU seconds per GiB of TLS 1.3 over one connection: loopback, or
    from another namespace (its file, an address in it)."""
    done = subprocess.run([str(build / 'test/bench/yardstick'), str(total),
                           *where], check=True, stdout=subprocess.PIPE,
                          text=True)
    return json.loads(done.stdout)


def spread(values):
    """Half the distance between the quartiles, in per cent of the median."""
    if len(values) < 4:
        low, high = min(values), max(values)
    else:
        q = statistics.quantiles(values, n=4)
        low, high = q[0], q[2]
    middle = statistics.median(values)
    return 100 * (high - low) / 2 / middle if middle else 0.0


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def percent(v):
    return f'{v:5.1f}' if v is not None else f'{"-":>5}'


def private_dirty(pid):
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
        for line in f:
            if line.startswith('Private_Dirty:'):
                return int(line.split()[1])
    return 0
