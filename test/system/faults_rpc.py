#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The control socket in bad hands: nothing may grow, leak or stop.

usage: faults_rpc.py BUILD_FOLDER [ROW-PATTERN]
"""
import json
import os
import socket
import sys
import time

import faults_lib as f
from faults_lib import l

MAX_LINE = 65536
MAX_CONNECTIONS = 64  # daemon/ctl.h
GROWTH = f.MIB // 2


class Abused:
    """A daemon with a tunnel in use; afterwards it is as it was."""

    def __init__(self, lab, relay):
        self.a, self.b = f.Daemon(lab, 'a', relay), f.Daemon(lab, 'b', relay)
        self.service = f.Service()
        server, client = self.a.tokens()
        self.offer = self.a.serve(server, self.service.address)
        self.use, self.address = self.b.tunnel(client)
        l.exchange(self.address, f.MIB, f.MIB)
        self.a.rpc('daemon.status')
        time.sleep(0.2)
        self.fds = self.a.fds()
        self.rss = f.rss_of(self.a.pid)
        self.pinger = f.Pinger(lab, self.address, self.service.address)

    def end(self, pause_ms=250):
        note = self.pinger.check(pause_ms=pause_ms)

        def same():
            f.expect(self.a.fds(), self.fds, 'descriptors')
        l.until(same, 5, 'descriptors of the daemon')
        grown = f.rss_of(self.a.pid) - self.rss
        if grown > GROWTH:
            raise AssertionError(f'the daemon grew by {grown >> 10} KiB')
        f.must_live(self.offer, self.use)
        f.leave(self.use, self.offer)
        self.service.close()
        for d in (self.a, self.b):
            d.wait_idle()
            f.expect(d.process.stop(), 0, 'daemon')
        return f'grew {grown >> 10} KiB; {note}'

    def connect(self, timeout=10):
        rpc = f.Rpc(self.a.socket, timeout)
        f.expect(rpc.line()['method'], 'hello', 'first line')
        return rpc


def answer_or_close(rpc):
    """The error's code, or None when the connection was closed."""
    while (message := rpc.line()) is not None:
        if 'error' in message:
            return message['error']['code']
        if 'result' in message:
            return 0
    return None


def is_closed(rpc):
    while rpc.line() is not None:
        pass


def lines(lab, relay):
    """Lines that are no requests."""
    d = Abused(lab, relay)

    def one(data, want, closes):
        with d.connect() as rpc:
            try:
                rpc.sock.sendall(data)
            except ConnectionError:
                pass  # closed before all was read
            got = answer_or_close(rpc)
            if got not in want:
                raise AssertionError(f'{data[:60]!r}: {got}, not {want}')
            if closes:
                is_closed(rpc)
            else:
                f.expect(answer_or_close(
                    sent(rpc, b'{"jsonrpc":"2.0","id":1,'
                              b'"method":"daemon.status"}\n')), 0,
                    f'after {data[:60]!r}')

    def sent(rpc, data):
        rpc.sock.sendall(data)
        return rpc

    request = {'jsonrpc': '2.0', 'id': 1, 'method': 'daemon.status'}
    one(b'x' * 70000 + b'\n', (-32600, None), True)
    one(b'x' * 2000000, (-32600, None), True)
    one(b'{"jsonrpc":"2.0","id":1,"method":"' + b'y' * 70000, (-32600, None),
        True)
    fits = json.dumps({**request, 'pad': ''}).encode()
    fits = fits[:-2] + b'z' * (MAX_LINE - 1 - len(fits)) + b'"}\n'
    one(fits, (0, -32600, -32602), False)
    for bad in (b'\n', b'{\n', b'nothing\n', b'"a"\n', b'[]\n', b'5\n',
                b'\0\n', b'\xff\xfe\n', b'{"jsonrpc":"2.0"}{}\n',
                b'{"jsonrpc":"1.0","id":1,"method":"daemon.status"}\n',
                b'{"id":1,"method":"daemon.status"}\n',
                b'{"jsonrpc":"2.0","id":{},"method":"daemon.status"}\n',
                b'{"jsonrpc":"2.0","id":1,"method":7}\n',
                b'[{"jsonrpc":"2.0","id":1,"method":"daemon.status"}]\n',
                b'[' * 60000 + b'\n', b'{"a":' * 12000 + b'\n',
                b'{"jsonrpc":"2.0","id":1,"method":"daemon.status","params":'
                + b'[' * 20000 + b']' * 20000 + b'}\n',
                b'{"jsonrpc":"2.0","id":1,"method":"daemon.status",'
                b'"fds":99}\n',
                b'{"jsonrpc":"2.0","id":1,"method":"session.show",'
                b'"params":[1]}\n',
                b'{"jsonrpc":"2.0","id":1,"method":"daemon.status",'
                b'"fds":-1}\n',
                b'{"jsonrpc":"2.0","id":1,"method":"daemon.status",'
                b'"fds":"1"}\n'):
        one(bad, (-32700, -32600, None), True)
    one(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status","fds":3}\n',
        (-32600, None), True)
    for name, params in (
            ('no.such', {}), ('', {}), ('x' * 60000, {}),
            ('session.show', {}), ('session.show', {'session': 'one'}),
            ('session.show', {'session': -1}),
            ('session.show', {'session': 1 << 62}),
            ('session.show', {'session': 1.5}),
            ('session.stop', {'session': 99999}),
            ('endpoint.stop', {'endpoint': None}),
            ('endpoint.share', {'target': 5}), ('endpoint.share', {}),
            ('endpoint.share', {'target': 'h' * 5000}),
            ('endpoint.share', {'target': 'h:1', 'relay': 'text'}),
            ('endpoint.share', {'target': 'h:1', 'relay': {'pin': 'x'}}),
            ('endpoint.share', {'target': 'h:1',
                                'relay': {'server': 'http://x'}}),
            ('endpoint.share', {'target': 'h:1', 'relay': {'ca_fd': 0}}),
            ('endpoint.share', {'target': 'h:1', 'relay': {'ca_fd': -7}}),
            ('endpoint.share', {'target': 'h:1', 'relay': {'map': '{'}}),
            ('endpoint.serve', {'target': 'h:1', 'token': 'dts1_x'}),
            ('session.open', {'token': 'x' * 60000}),
            ('session.open', {'token': 'x', 'extra': 1}),
            ('session.open', {'token': 'DT2' + '0' * 300}),
            ('session.listen', {'session': 1}),
            ('session.connect', {'token': 'x'}),
            ('session.subscribe', {'session': 'all'})):
        line = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': name,
                           'params': params}).encode() + b'\n'
        one(line, (-32600, -32601, -32602, -32002, -32004, -32000), False)
    return d.end()


def descriptors(lab, relay):
    """Descriptors that come with bad requests are closed."""
    d = Abused(lab, relay)
    reader, writer = os.pipe()

    def send(data, count):
        with d.connect() as rpc:
            if not data.endswith(b'\n'):
                rpc.sock.settimeout(0.2)  # no answer will come
            try:
                socket.send_fds(rpc.sock, [data], [writer] * count)
                answer_or_close(rpc)
            except OSError:
                pass

    def text(fds, method='daemon.status', **params):
        return json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': method,
                           'params': params, 'fds': fds}).encode() + b'\n'

    for count in (1, 2, 4, 5, 16, 64, 253):
        send(text(count), count)
        send(text(0), count)
        send(text(1), count)
        send(b'junk\n', count)
        send(b'{"half', count)
    for _ in range(50):
        send(text(1, 'no.such'), 1)
        send(text(4, 'session.stop', session=77), 4)
        send(text(1, 'session.listen', session=77), 1)
        send(text(1, 'session.listen', session=1), 1)
        send(text(2, 'session.connect', token='DT1bad'), 2)
        send(text(3, 'session.open', token='bad', relay={'ca_fd': 0}), 3)
        send(text(1, 'endpoint.share', target='h:1', relay={'ca_fd': 0}), 1)
        send(text(1, 'endpoint.share', target='h:1', relay={'ca_fd': 3}), 1)
    # Without a line that names them, in several messages.
    with d.connect() as rpc:
        for _ in range(100):
            try:
                socket.send_fds(rpc.sock, [b' '], [writer] * 4)
            except OSError:
                break
    os.close(writer)
    os.set_blocking(reader, False)

    def eof():
        try:
            f.expect(os.read(reader, 1), b'', 'bytes of the pipe')
        except BlockingIOError:
            raise AssertionError('a copy of the pipe is still open') from None
    l.until(eof, 5, 'descriptors of bad requests')
    os.close(reader)
    return d.end()


def rapid(lab, relay):
    """10,000 requests as fast as they go, answered all and in order."""
    d = Abused(lab, relay)
    line = (b'{"jsonrpc":"2.0","id":%d,"method":"session.list"}\n')
    with d.connect() as rpc:
        start = time.monotonic()
        for base in range(0, 10000, 100):
            rpc.sock.sendall(b''.join(line % n
                                      for n in range(base, base + 100)))
            for n in range(base, base + 100):
                f.expect(rpc.line()['id'], n, 'answer')
        taken = time.monotonic() - start
    # And one that never reads: it is dropped, not fed.
    with d.connect(timeout=5) as rpc:
        try:
            for _ in range(2000):
                rpc.sock.sendall(b'{"jsonrpc":"2.0","id":1,'
                                 b'"method":"rpc.discover"}\n' * 20)
        except (ConnectionError, TimeoutError):
            pass
        d.a.rpc('daemon.status')
    return f'{10000 / taken:.0f} requests/s; {d.end(pause_ms=500)}'


def connect(sock, path):
    """The queue of a listener may be full for a moment."""
    for _ in range(1000):
        try:
            sock.connect(str(path))
            return
        except BlockingIOError:
            time.sleep(0.01)
    raise AssertionError('nobody accepts')


def come(d):
    """200 at once; how many were served."""
    all_ = []
    for n in range(200):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(5)
        connect(s, d.a.socket)
        if n % 2:
            try:
                s.sendall(b'{"jsonrpc":"2.0","id":1,"met')
            except ConnectionError:
                pass
        all_.append(s)
    served = 0
    for s in all_:
        try:
            served += b'hello' in s.recv(4096)
        except ConnectionError:
            pass
    if not 16 <= served <= MAX_CONNECTIONS:
        raise AssertionError(f'{served} of 200 connections were taken')
    l.exchange(d.address, f.MIB, f.MIB)
    for s in all_:
        s.close()
    l.until(lambda: f.expect(d.a.rpc('daemon.status')['endpoints'], 1,
                             'endpoints'), 5, 'afterwards')
    return served


def stopped(lab, relay):
    """What somebody else stops says so; whoever serves goes on."""
    service = f.Service()
    with f.pair(lab, relay) as (a, b):
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        use, address = b.tunnel(client)
        l.exchange(address, f.MIB, f.MIB)
        a.run('derptunctl', 'stop', 'session', str(a.sessions()[0]['id']))
        taken = f.until_works(address, what='a stopped session')
        for d, kind, p in ((b, 'session', use), (a, 'endpoint', offer)):
            what = d.sessions() if kind == 'session' else d.endpoints()
            f.expect(d.run('derptunctl', 'stop', kind, str(what[0]['id'])),
                     (0, '', ''), f'stop {kind}')
            f.expect(f.wait_exit(p, 10), 1, p.name())
            f.expect_in('stopped by another program', p.said(), p.name())
    service.close()
    return f'works again after {taken:.1f} s'


def crowd(lab, relay):
    """200 connections, some silent, some with half a line; several times, as
    the first time leaves room in the heap."""
    d = Abused(lab, relay)
    come(d)
    d.rss = f.rss_of(d.a.pid)
    served = [come(d) for _ in range(4)]
    return f'{served} taken; {d.end()}'


ROWS = [
    ('9: lines that are no requests', lines),
    ('9: descriptors with bad requests', descriptors),
    ('9: 10,000 requests', rapid),
    ('9: 200 connections', crowd),
    ('9: stopped by another program', stopped),
]

if __name__ == '__main__':
    sys.exit(f.main(ROWS, sys.argv))
