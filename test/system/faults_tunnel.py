#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What happens to tunnels when their parts are refused, killed or stopped.

usage: faults_tunnel.py BUILD_FOLDER [ROW-PATTERN]
"""
import operator
import os
import signal
import socket
import sys
import threading
import time

import faults_lib as f
from faults_lib import l, pair, together

REFUSALS = 1000


def refused_once(address):
    """A connection to a tunnel without a backend: it must be closed."""
    with l.connect(address, 10) as conn:
        try:
            got = conn.recv(1)
        except ConnectionResetError:
            got = b''
        f.expect(got, b'', 'bytes from a refused backend')


def refuse_many(address, count):
    def some():
        for _ in range(count // 10):
            refused_once(address)
    together(*[some] * 10)


def refused(a, b, port, offer, use, address):
    """1,000 refusals, then a backend."""
    refused_once(address)
    a.log_has(r'dial failed .*ECONNREFUSED')
    before = [*a.all_fds(), *b.all_fds()]
    start = time.monotonic()
    refuse_many(address, REFUSALS)
    taken = time.monotonic() - start

    def no_more():
        # Fewer are none lost: the first count may have met one on its way.
        now = [*a.all_fds(), *b.all_fds()]
        if len(now) != len(before) or any(map(operator.gt, now, before)):
            raise AssertionError(f'descriptors of daemons and workers: {now}, '
                                 f'before {before}')
    l.until(no_more, 8, 'after the refusals')
    told = a.rpc('session.show', {'session': only_session(a)[0]})['worker']
    # A derptun connection is a stream of its own in each of many ways.
    if max(told['streams_refused'], told['streams_total']) < REFUSALS + 1:
        raise AssertionError(f'not all reached the other side: {told}')
    f.must_live(offer, use)
    service = f.Service(port=port)
    l.exchange(address, f.MIB, f.MIB)
    service.close()
    f.leave(use)
    return f'{REFUSALS} refusals in {taken:.1f} s'


def refused_share(lab, relay):
    with pair(lab, relay) as (a, b):
        port = lab.port()
        offer, token = a.share(f'127.0.0.1:{port}', '-v')
        use, address = b.open(token)
        note = refused(a, b, port, offer, use, address)
        offer.wait_line('backend-dial-failed err=ECONNREFUSED', timeout=2)
        f.expect(f.wait_exit(offer, 15), 0, 'sharer')
    return note


def refused_derptun(lab, relay):
    with pair(lab, relay) as (a, b):
        port = lab.port()
        server, client = a.tokens()
        offer = a.serve(server, f'127.0.0.1:{port}')
        use, address = b.tunnel(client)
        note = refused(a, b, port, offer, use, address)
        f.leave(offer)
    return note


def only_session(d, endpoint=None):
    """(id, pid of its worker) of a daemon's one session, of an endpoint."""
    ids = [s['id'] for s in d.sessions()
           if endpoint is None or s.get('endpoint') == endpoint]
    f.expect(len(ids), 1, 'sessions')
    return ids[0], d.workers('session')[ids[0]]


class Bystander:
    """A tunnel of the same two daemons to which nothing is done."""

    def __init__(self, lab, a, b):
        self.a, self.b = a, b
        self.service = f.Service()
        server, client = a.tokens()
        self.offer = a.serve(server, self.service.address)
        self.use, address = b.tunnel(client)
        self.ids = {a.sessions()[0]['id'], b.sessions()[0]['id']}
        self.pids = {*a.children(), *b.children()}
        self.pinger = f.Pinger(lab, address, self.service.address)

    def check(self, pause_ms=250):
        f.must_live(self.offer, self.use)
        note = self.pinger.check(pause_ms=pause_ms)
        left = {*self.a.children(), *self.b.children()}
        if not self.pids <= left:
            raise AssertionError('workers of the other tunnel changed')
        f.leave(self.use, self.offer)
        self.service.close()
        return note


def killed_worker(lab, relay, side, kind):
    """kill -9 of the session worker on the side that offers or uses."""
    with pair(lab, relay) as (a, b):
        other = Bystander(lab, a, b)
        known = other.pids
        service = f.Service()
        if kind == 'share':
            offer, token = a.share(service.address)
            use, address = b.open(token)
        else:
            server, client = a.tokens()
            offer = a.serve(server, service.address)
            use, address = b.tunnel(client)
        l.exchange(address, f.MIB, f.MIB)
        d = a if side == 'offer' else b
        pid = next(p for p in d.workers('session').values() if p not in known)
        os.kill(pid, signal.SIGKILL)
        d.log_has(r'(ended|claiming again).*(signal 9|killed|SIGKILL)')
        if side == 'offer':
            states = [e['state'] for e in a.endpoints()]
            if not {'waiting', 'active'} >= set(states):
                raise AssertionError(f'endpoint is {states}')
        taken = f.until_works(address)
        if not any('reconnecting: ' in t for t in use.lines['err']):
            raise AssertionError(f'open did not tell: {use.said()}')
        l.exchange(address, f.MIB, f.MIB)
        f.must_live(offer, use)
        note = other.check()
        f.leave(use)
        if kind == 'share':
            f.expect(f.wait_exit(offer, 15), 0, 'sharer')
        else:
            f.leave(offer)
        service.close()
    return f'works again after {taken:.1f} s; {note}'


def killed_gate(lab, relay):
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        use, address = b.tunnel(client)
        pinger = f.Pinger(lab, address, service.address)
        gate = next(iter(a.workers('gate').values()))
        os.kill(gate, signal.SIGKILL)
        a.log_has('gate ended, starting another: .*(signal 9|killed|SIGKILL)')

        def anew():
            now = list(a.workers('gate').values())
            f.expect((len(now), gate in now), (1, False), 'gates')
        l.until(anew, 5, 'new gate')
        offer.wait_line('cannot be reached, starting a gate: .*signal 9', timeout=5)
        offer.wait_line('can be reached again', timeout=5)
        # The new gate knows that the slot is taken.
        second = b.cli('derptun', 'open', '--token-file', client)
        second.wait_line('session already claimed', timeout=15)
        f.must_live(offer, use)
        note = pinger.check(pause_ms=250)
        f.leave(use)
        address = f.listening(second, timeout=20)
        l.exchange(address, f.MIB, f.MIB)
        f.leave(second, offer)
        service.close()
    return note


def all_gone(pids):
    """Within a second, each of three times, or the machine is blamed."""
    start = time.monotonic()

    def check():
        table = l.processes()
        left = [table[p][1] for p in pids if p in table and
                not l.has_ended(p)]
        f.expect(left, [], 'workers left')
    l.until(check, 5, 'after the daemon was killed')
    took = time.monotonic() - start
    if took > 1:
        raise f.Suffered(f'workers left after {took:.1f} s')


def killed_daemon(lab, relay):
    """Daemons started on demand, as people have them."""
    env_a, env_b = lab.env('da', relay), lab.env('db', relay)
    service = f.Service()

    def begin():
        offer = lab.start([lab.our('derphole'), 'share', service.address,
                           '--print-token-only'], env_a)
        token = offer.wait_line(r'^([A-Za-z0-9_-]{100,})$', stream='out',
                                timeout=15).group(1)
        use = lab.start([lab.our('derphole'), 'open', token], env_b)
        l.exchange(f.listening(use), f.MIB, f.MIB)
        return offer, use

    processes = begin()
    table = l.processes()
    pids = set()
    for env in (env_a, env_b):
        daemons = l.daemons_of(env)
        f.expect(len(daemons), 1, 'daemons of a side')
        pids |= l.family(daemons[0], table) - set(daemons)
    if len(pids) < 3:
        raise AssertionError(f'workers: {pids}')
    l.kill_daemons(env_a)
    l.kill_daemons(env_b)
    all_gone(pids)
    for p in processes:
        f.expect(f.wait_exit(p, 5), 11, p.name())
        f.expect_in('tunnel lost', p.said(), p.name())
    stale = [env['XDG_RUNTIME_DIR'] + '/derptund/control.sock'
             for env in (env_a, env_b)]
    for path in stale:
        if not os.path.exists(path):
            raise AssertionError(f'{path} is not the socket')
    offer, use = begin()
    f.leave(use)
    f.expect(f.wait_exit(offer, 15), 0, 'sharer')
    # Nobody needs them: they leave.
    l.until(lambda: f.expect([p for e in (env_a, env_b)
                              for p in l.daemons_of(e)], [], 'daemons'),
            10, 'idle exit')


def killed_system_daemon(lab, relay):
    """kill -9 and a start on the same path."""
    a = f.Daemon(lab, 'a', relay)
    service = f.Service()
    offer, _ = a.share(service.address)
    kids = a.children()
    a.process.stop(signal.SIGKILL)
    all_gone(kids)
    f.expect(f.wait_exit(offer, 5), 11, 'sharer')
    f.expect_in('tunnel lost', offer.said(), 'sharer')
    a.start()
    offer, _ = a.share(service.address)
    f.leave(offer)
    a.wait_idle()
    f.expect(a.process.stop(), 0, 'daemon')


def killed_with_stopped(lab, relay):
    """kill -9 while no worker can notice: they go as well."""
    a, b = f.Daemon(lab, 'a', relay), f.Daemon(lab, 'b', relay)
    service = f.Service()
    offer, token = a.share(service.address)
    use, address = b.open(token)
    l.exchange(address, f.MIB, f.MIB)
    table = l.processes()
    kids = {p for d in (a, b) for p in l.family(d.pid, table)} - {a.pid, b.pid}
    if len(kids) < 3:
        raise AssertionError(f'workers: {kids}')
    for pid in kids:
        os.kill(pid, signal.SIGSTOP)
    for d in (a, b):
        d.process.stop(signal.SIGKILL)
    all_gone(kids)
    for p in (offer, use):
        f.expect(f.wait_exit(p, 5), 11, p.name())
    service.close()
    return f'{len(kids)} workers'


def terminated(lab, relay):
    """SIGTERM of a daemon in use: an end in order, with a reason."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        offer, token = a.share(service.address)
        use, address = b.open(token)
        traffic = f.Traffic(address, timeout=5)
        time.sleep(0.3)
        start = time.monotonic()
        f.expect(b.process.stop(signal.SIGTERM), 0, 'daemon')
        taken = time.monotonic() - start
        if taken > 4:
            raise AssertionError(f'took {taken:.1f} s')
        status = f.wait_exit(use, 8)
        f.expect((status, bool(use.lines['err'])), (11, True), use.said())
        try:
            traffic.end()
        except AssertionError:
            pass  # as it must be
        b.start()
        # Lost, not closed: the sharer waits for the next opener.
        f.must_live(offer)
        a.wait_endpoint('waiting')
        use2, address = b.open(token)
        l.exchange(address, f.MIB, f.MIB)
        f.leave(use2)
        f.expect(f.wait_exit(offer, 15), 0, 'sharer')
        service.close()
    return f'{taken:.1f} s; {use.lines["err"][-1]}'


def starved(lab, relay):
    """A daemon without descriptors waits for better times, and does not
    spin meanwhile."""
    with pair(lab, relay, prefix=['prlimit', '--nofile=48:48']) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        use, address = b.tunnel(client)
        pinger = f.Pinger(lab, address, service.address)
        crowd = []
        for _ in range(60):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.connect(str(a.socket))
            crowd.append(s)
        l.until(lambda: f.expect(f.fds_of(a.pid) >= 48 * 3 / 4, True,
                                 'few descriptors left'), 10, 'a crowd')
        before = l.processes()[a.pid][2]
        time.sleep(1.5)
        spent = l.processes()[a.pid][2] - before
        if spent > 0.7:
            raise AssertionError(f'{spent:.2f} s of CPU in 1.5 s')
        # Connections of callers leave room for those of tunnels.
        for n in range(5):
            l.exchange(address, 1000, 1000, timeout=5)
        note = pinger.check(pause_ms=250)
        for s in crowd:
            s.close()
        f.until_works(address, 10)
        f.must_live(offer, use)
        f.leave(use, offer)
        service.close()
    return f'{spent:.2f} s of CPU in 1.5 s; {note}'


def stopped(lab, relay):
    """SIGSTOP for 3 s under traffic: workers, then daemons, of both sides."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        use, address = b.tunnel(client)
        traffic = f.Traffic(address)
        rounds = []
        for pid in (only_session(a)[1], b.pid, only_session(b)[1], a.pid):
            time.sleep(0.4)
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(3)
            finally:
                os.kill(pid, signal.SIGCONT)
            rounds.append(traffic.rounds)
        time.sleep(0.5)
        rounds.append(traffic.end())
        f.must_live(offer, use)
        if any('reconnecting' in t for t in use.lines['err']):
            raise AssertionError(f'the tunnel was lost: {use.said()}')
        f.leave(use, offer)
        service.close()
    return f'exchanges of 2 x 4 MiB after each stop: {rounds}'


def stdio_killed(lab, relay):
    """connect --stdio and the other end dies mid-stream."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        reasons = []
        for pid_of in (lambda: only_session(a)[1], lambda: a.pid):
            p = b.cli('derptun', 'connect', '--stdio', '--token-file', client,
                      stdin=-1)
            p.proc.stdin.write(b'F')
            p.proc.stdin.flush()
            start = time.monotonic()
            l.until(lambda: f.expect(service.accepted > len(reasons), True,
                                     'accepted'), 15, 'backend')
            time.sleep(0.5)
            os.kill(pid_of(), signal.SIGKILL)
            f.expect(f.wait_exit(p, 30), 11, 'connect, server killed')
            if not p.lines['err']:
                raise AssertionError('connect gave no reason')
            reasons.append(f'{time.monotonic() - start:.1f} s: '
                           f'{p.lines["err"][-1]}')
            p.proc.stdin.close()
        f.expect(f.wait_exit(offer, 5), 11, 'serve without its daemon')
        a.start()
        service.close()
    return '; '.join(reasons)


def stdio_refused(lab, relay):
    with pair(lab, relay) as (a, b):
        server, client = a.tokens()
        offer = a.serve(server, f'127.0.0.1:{lab.port()}')
        status, out, err = b.run('derptun', 'connect', '--stdio',
                                 '--token-file', client, stdin=b'x' * 100)
        f.expect((status, out), (15, ''), 'connect, backend refused')
        if 'refused' not in err and 'backend' not in err:
            raise AssertionError(f'no reason: {err!r}')
        f.must_live(offer)
        f.leave(offer)
    return err.strip()


def ends_first(address, service):
    """The service's end of file comes first; ours carries on."""
    with l.connect(address, 20) as conn:
        conn.sendall(b'S')
        got = b''
        while data := conn.recv(4096):
            got += data
        f.expect(got, b'BYE', 'before the end of file')
        conn.sendall(b'y' * 300000)
    l.until(lambda: f.expect(service.totals[-1:], [300000], 'total'), 10,
            'what followed the end of file')
    service.totals.clear()


def greets(address):
    """Nothing is sent before the greeting came."""
    with l.connect(address, 10) as conn:
        f.expect(l.read_exactly(conn, len(l.Service.BANNER)),
                 l.Service.BANNER, 'greeting')


def aborts(address, service):
    """A client that resets takes nothing with it."""
    for _ in range(20):
        conn = l.connect(address, 10)
        conn.sendall(b'F')
        conn.recv(1000)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        b'\1\0\0\0\0\0\0\0')
        conn.close()
    l.until(lambda: f.expect(service.busy(), 0, 'connections'), 10,
            'connections whose client reset')


class Counting(f.Service):
    """Knows how many connections are open."""

    def __init__(self, **kwargs):
        self.threads = []
        super().__init__(**kwargs)

    def _one(self, conn):
        self.threads.append(threading.current_thread())
        super()._one(conn)

    def busy(self):
        return sum(t.is_alive() for t in self.threads)


def half_close(lab, relay, kind):
    with pair(lab, relay) as (a, b):
        service, banner = Counting(), f.Service(banner=True)

        def through(target):
            if kind == 'share':
                offer, token = a.share(target)
                use, address = b.open(token)
                return offer, use, address
            server, client = a.tokens()
            offer = a.serve(server, target)
            use, address = b.tunnel(client)
            return offer, use, address

        offer, use, address = through(service.address)
        for _ in range(5):
            f.expect(l.half_close(address), b'TOTAL 100000', 'half-close')
            ends_first(address, service)
        aborts(address, service)
        greeter, greeted, port = through(banner.address)
        for _ in range(5):
            greets(port)
        f.must_live(offer, use, greeter, greeted)
        f.leave(use, greeted)
        if kind == 'share':
            for p in (offer, greeter):
                f.expect(f.wait_exit(p, 15), 0, 'sharer')
        else:
            f.leave(offer, greeter)


ROWS = [
    ('1: backend refused 1,000 times, share', refused_share),
    ('1: backend refused 1,000 times, derptun', refused_derptun),
    *[(f'2: session worker killed, {kind}, side that {side}s',
       lambda lab, relay, s=side, k=kind: killed_worker(lab, relay, s, k))
      for kind in ('share', 'derptun') for side in ('offer', 'use')],
    ('3: gate killed', killed_gate),
    ('4: daemons on demand killed', killed_daemon),
    ('4: daemon killed, same socket again', killed_system_daemon),
    ('4: daemons killed, workers stopped', killed_with_stopped),
    ('4: daemon terminated in use', terminated),
    ('4: daemon without descriptors', starved),
    ('5: workers and daemons stopped for 3 s', stopped),
    ('13: connect --stdio, server killed', stdio_killed),
    ('13: connect --stdio, backend refused', stdio_refused),
    ('14: half-close, resets, server first, share',
     lambda lab, relay: half_close(lab, relay, 'share')),
    ('14: half-close, resets, server first, derptun',
     lambda lab, relay: half_close(lab, relay, 'derptun')),
]

if __name__ == '__main__':
    sys.exit(f.main(ROWS, sys.argv))
