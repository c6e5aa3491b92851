#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Relays that restart, are away, or are no relays.

usage: faults_relay.py BUILD_FOLDER [ROW-PATTERN]
"""
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import faults_lib as f
from faults_lib import l, pair, together

RELAY_LIMIT = 15  # seconds until a one-shot command gives its relay up
FORCE = '--force-relay'


def restart(lab, relay, down):
    """kill -9, and the same relay again after so many seconds."""
    relay.process.stop(signal.SIGKILL)
    time.sleep(down)
    again = lab.our_relay(port=relay.port)
    f.expect(again.ca_file, relay.ca_file, 'certificate')
    relay.process = again.process


def restarted(lab, relay, down):
    """The tunnels must survive: what a relay loses is packet loss."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offers = [a.serve(server, service.address, FORCE)]
        uses = [b.tunnel(client, FORCE)]
        offer, token = a.share(service.address, FORCE)
        offers.append(offer)
        uses.append(b.open(token, FORCE))
        traffic = [f.Traffic(address) for _, address in uses]
        pids = [*a.children(), *b.children()]
        time.sleep(0.7)
        restart(lab, relay, down)
        start = time.monotonic()
        before = [t.rounds for t in traffic]

        def flows():
            if any(t.error is None and t.rounds < n + 1
                   for t, n in zip(traffic, before)):
                raise AssertionError('no exchange ended')
        l.until(flows, 20, 'traffic after the restart')
        taken = time.monotonic() - start
        rounds = [t.end() for t in traffic]
        f.must_live(*offers, *[p for p, _ in uses])
        for p, _ in uses:
            if any('reconnecting' in t for t in p.lines['err']):
                raise AssertionError(f'the tunnel was lost: {p.said()}')
        f.expect([*a.children(), *b.children()], pids, 'workers')
        f.leave(*[p for p, _ in uses], offers[0])
        f.expect(f.wait_exit(offers[1], 15), 0, 'sharer')
        service.close()
    return f'flows {taken:.1f} s after the restart; exchanges {rounds}'


def goes_on(lab, relay):
    """No timer is waited for once the relay is back."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address, FORCE)
        use, address = b.tunnel(client, FORCE)
        notes = []
        excess = []
        for down in (1, 1, 1, 1, 3):
            pinger = f.Pinger(lab, address, service.address)
            time.sleep(1)
            start = time.monotonic()
            restart(lab, relay, down)
            away_ms = (time.monotonic() - start) * 1000
            time.sleep(1)
            count, _, pause, _, own = pinger.end()
            excess.append(pause - own - away_ms)
            notes.append(f'{count} pings, longest {pause:.0f} ms, away '
                         f'{away_ms:.0f} ms (machine: {own:.0f} ms)')
        # One may meet a process that is stalled; a timer is waited for always.
        if sorted(excess)[3] > 500 * pinger.slack or \
                max(excess) > 3000 * pinger.slack:
            raise f.Suffered('\n'.join(notes))
        f.must_live(offer, use)
        f.leave(use, offer)
        service.close()
    return '\n'.join(notes)


def down_long(lab, relay):
    """20 s without relay: the tunnel is lost and comes back by itself."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address, FORCE)
        use, address = b.tunnel(client, FORCE)
        shared, token = a.share(service.address, FORCE)
        opener, opened = b.open(token, FORCE)
        l.exchange(address, f.MIB, f.MIB)
        restart(lab, relay, 20)
        taken = together(lambda: f.until_works(address, 45, 'derptun open'),
                         lambda: f.until_works(opened, 45, 'derphole open'))
        f.must_live(offer, use, shared, opener)
        f.expect_in('reconnect', use.said(), 'what open says')
        if 'relay' not in offer.said():
            raise AssertionError(f'serve says nothing: {offer.said()}')
        f.leave(use, opener, offer)
        f.expect(f.wait_exit(shared, 15), 0, 'sharer')
        service.close()
    return f'works {taken[0]:.1f} and {taken[1]:.1f} s after the return'


def claimers(d):
    """connect and open, which claim a server that does not run."""
    _, client = d.tokens()
    programs = [d.cli('derptun', 'connect', '--stdio', '--token-file',
                      client, '-v', stdin=subprocess.PIPE),
                d.cli('derptun', 'open', '--token-file', client, '-v')]

    def claimed():
        states = [s['state'] for s in d.sessions()]
        f.expect(states, ['claiming'] * 2, 'states')
    l.until(claimed, 10, 'claims')
    return programs


def away_while_claiming(lab, relay):
    """That the relay is away says nothing of who is claimed."""
    with pair(lab, relay) as (_, b):
        waiting = claimers(b)
        restart(lab, relay, 4)
        for p in waiting:
            p.wait_line('no answer: nobody is at the relay', 15)
            if 'does not know this token' in p.said():
                raise AssertionError(f'the server is blamed: {p.said()}')
            p.stop()


def away_for_good(lab, relay):
    """One connection is not held for ever by that."""
    with pair(lab, relay) as (_, b):
        connect, use = claimers(b)
        relay.process.stop(signal.SIGKILL)
        f.expect(f.wait_exit(connect, 45), 12, 'connect')
        f.expect_in('Connection refused', connect.said(), 'connect')
        f.must_live(use)
        if 'does not know this token' in connect.said() + use.said():
            raise AssertionError(f'the server is blamed: {use.said()}')
        use.stop()


# What claims a token of a relay that cannot be used --------------------------

class Claims:
    """Tokens that name a port of HOST, and the commands that claim them."""

    host = l.HOST

    def __init__(self, lab, relay, port=None):
        self.lab = lab
        self.port = port or lab.port()
        named = l.Relay('named', None, self.port, relay.ca_file)
        named.url = f'https://{self.host}:{self.port}'
        self.d = f.Daemon(lab, f'c{self.port}', named)
        self.where = f'{self.host}:{self.port}'
        self.server, self.client = self.d.tokens()
        self.share, self.token = self.d.share('127.0.0.1:9')

    def each(self, *flags, want=(), limit=RELAY_LIMIT):
        """Every one-shot command must end with 12, host and reason."""
        def one(*args):
            start = time.monotonic()
            status, out, err = self.d.run(*args, *flags, timeout=limit + 5)
            taken = time.monotonic() - start
            what = ' '.join(str(a)[:12] for a in args[:2])
            f.expect((status, out), (12, ''), f'{what}: {err!r}')
            f.expect_in(self.where, err, what)
            if not any(w in err.replace(self.where, '') for w in want):
                raise AssertionError(f'{what}: no {want} in {err!r}')
            if taken > limit:
                raise AssertionError(f'{what}: took {taken:.1f} s')
            return f'{taken:.1f} s: {err.strip().splitlines()[-1]}'
        notes = together(
            lambda: one('derphole', 'open', self.token),
            lambda: one('derptun', 'open', '--token-file', self.client),
            lambda: one('derptun', 'connect', '--stdio', '--token-file',
                        self.client))
        return notes[0]

    def end(self):
        f.must_live(self.share)
        f.leave(self.share)
        self.d.wait_idle()
        f.expect(self.d.process.stop(), 0, 'daemon')


def unreachable(lab, relay):
    """Nothing listens there."""
    c = Claims(lab, relay)
    note = c.each(want=['refused'])
    c.end()
    return note


def nameless(lab, relay):
    """A name that nobody resolves."""
    class Named(Claims):
        host = 'relay.invalid'
    c = Named(lab, relay)
    c.d.idle_fds += 1  # the resolver keeps its socket
    note = c.each(want=['name does not resolve'])
    c.end()
    return note


def mapless(lab, relay):
    """Who names a DERP map gets no other's relays."""
    d = f.Daemon(lab, 'mapless')
    url = f'http://{l.HOST}:{lab.port()}/map'
    status, out, err = d.run('derphole', 'share', '127.0.0.1:9',
                             '--print-token-only', '--derp-map', url)
    f.expect((status, out), (12, ''), err)
    f.expect_in(f'{url}: ', err, 'share')
    d.wait_idle()
    f.expect(d.process.stop(), 0, 'daemon')
    return err.strip()


def silent(lab, relay):
    """Somebody listens and never says a word."""
    c = Claims(lab, relay)
    with socket.create_server((l.HOST, c.port)):
        note = c.each(want=['timed out', 'deadline', 'time'])
        c.end()
    return note


class Hanging(l.Acceptor):
    """In front of a relay: the first connections are accepted, and that is
    all."""

    def __init__(self, port, relay, hang):
        self.hang = hang
        self.relay = relay
        self.kept = []
        super().__init__(socket.create_server((l.HOST, port)))

    def _one(self, conn):
        self.kept.append(conn)
        if len(self.kept) <= self.hang:
            return
        other = socket.create_connection((l.HOST, self.relay.port))
        self.kept.append(other)
        threading.Thread(target=self._copy, args=(other, conn),
                         daemon=True).start()
        self._copy(conn, other)

    @staticmethod
    def _copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        super().close()
        for sock in self.kept:
            sock.close()


def hanging(lab, relay):
    """The first connection of each side hangs: another one is tried before
    anything is given up."""
    port = lab.port()
    front = Hanging(port, relay, 1)
    named = l.Relay('front', None, port, relay.ca_file)
    with pair(lab, named) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        start = time.monotonic()
        offer = a.serve(server, service.address)
        notes = [f'serve after {time.monotonic() - start:.1f} s']
        front.hang = len(front.kept) + 1
        start = time.monotonic()
        use, address = b.tunnel(client)
        taken = time.monotonic() - start
        notes.append(f'open after {taken:.1f} s')
        if taken > 8:
            raise AssertionError(notes)
        l.exchange(address, f.MIB, f.MIB)
        f.leave(use, offer)
        service.close()
    front.close()
    return ', '.join(notes)


def later(lab, relay):
    """serve and share wait for their relay, as long as it takes."""
    relay.process.stop(signal.SIGKILL)
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        shared, token = a.share(service.address)
        for p in (offer, shared):
            p.wait_line(f'{l.HOST}:{relay.port}.*refused', timeout=10)
        time.sleep(4)
        f.must_live(offer, shared)
        restart(lab, relay, 0)
        start = time.monotonic()
        for n in range(2):
            a.wait_endpoint('waiting', which=n)
        taken = time.monotonic() - start
        use, address = b.tunnel(client)
        l.exchange(address, f.MIB, f.MIB)
        opener, opened = b.open(token)
        l.exchange(opened, f.MIB, f.MIB)
        f.leave(use, opener, offer)
        f.expect(f.wait_exit(shared, 15), 0, 'sharer')
        service.close()
    return f'waiting {taken:.1f} s after the relay came'


def distrusted(lab, relay):
    """Another authority, and another pin."""
    other = lab.path('other.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
                    '-subj', '/CN=other', '-keyout', '/dev/null', '-out',
                    str(other)], check=True, stderr=subprocess.DEVNULL)
    c = Claims(lab, relay, relay.port)
    note = [c.each('--derp-pin', 'sha256-raw:' + '00' * 32, want=['pin'])]
    c.d.env['SSL_CERT_FILE'] = str(other)
    note.append(c.each(want=['certificate']))
    c.end()
    return '\n'.join(note)


class Impostor(l.Acceptor):
    """A TLS server with the relay's certificate that answers as told."""

    def __init__(self, relay, port, answer):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(
            relay.ca_file, str(relay.ca_file).replace('.pem', '.key'))
        self.answer = answer
        super().__init__(socket.create_server((l.HOST, port)))

    def _one(self, conn):
        try:
            conn.settimeout(20)
            with self.context.wrap_socket(conn, server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(self.answer)
                tls.recv(65536)
        except OSError:
            pass


IMPOSTORS = {
    '403': (b'HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n',
            ['403']),
    '200': (b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
            ['200', 'not a', 'no relay', 'upgrade']),
    'garbage': (bytes(range(1, 256)) * 400, ['not a', 'HTTP', 'malformed']),
    'junk after the upgrade': (
        b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\n'
        b'Connection: Upgrade\r\n\r\n' + b'\xff' * 4000,
        ['not a', 'DERP', 'relay']),
    'endless header': (b'HTTP/1.1 101 Switching\r\nX: ' + b'y' * 500000,
                       ['long', 'not a', 'HTTP', 'limit']),
}


def impostors(lab, relay):
    def one(answer, want):
        c = Claims(lab, relay)
        server = Impostor(relay, c.port, answer)
        try:
            note = c.each(want=want)
            c.end()
        finally:
            server.close()
        return note
    # Makers of tokens share a counter: one after the other.
    notes = [f'{name}: {one(*row)}' for name, row in IMPOSTORS.items()]
    return '\n'.join(notes)


ROWS = [
    ('6: relay killed, back after 1 s',
     lambda lab, relay: restarted(lab, relay, 1)),
    ('6: relay killed, back after 5 s',
     lambda lab, relay: restarted(lab, relay, 5)),
    ('6: relay killed, and how soon it goes on', goes_on),
    ('6: relay away for 20 s', down_long),
    ('6: a claim waits while the relay is away', away_while_claiming),
    ('6: a claim waits, and the relay stays away', away_for_good),
    ('7: no relay there', unreachable),
    ('7: a name nobody resolves', nameless),
    ('7: no DERP map there', mapless),
    ('7: a relay that says nothing', silent),
    ('7: a connection that hangs', hanging),
    ('7: relay comes later', later),
    ('7: certificate and pin', distrusted),
    ('7: servers that are no relays', impostors),
]

if __name__ == '__main__':
    sys.exit(f.main(ROWS, sys.argv))
