#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tokens that cannot be used: what is said, and that nobody is contacted.

usage: faults_token.py BUILD_FOLDER [ROW-PATTERN]
"""
import base64
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib

import faults_lib as f
from faults_lib import l, pair, together

ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-./:'
URL64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
SHARE, SEND, LISTEN, ATTACH = 2, 0x88, 0x81, 4


def unpad(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


def session_token(port, expires=3600, caps=SHARE):
    host = l.HOST.encode()
    raw = struct.pack('>B16sqH32s32s32sI', 6, b'\1' * 16,
                      int(time.time()) + expires, 900, b'\2' * 32, b'\3' * 32,
                      b'\4' * 32, caps)
    raw += bytes([len(host)]) + host + struct.pack('>HH', port, 3478)
    return unpad(raw + struct.pack('>I', zlib.crc32(raw)))


def encode41(raw):
    out = ''
    for i in range(0, len(raw), 2):
        pair_ = raw[i:i + 2]
        v = int.from_bytes(pair_, 'big')
        for _ in range(len(pair_) + 1):
            out += ALPHABET[v % 41]
            v //= 41
    return out


def decode41(text):
    out = b''
    for i in range(0, len(text), 3):
        part = text[i:i + 3]
        v = sum(ALPHABET.index(c) * 41 ** n for n, c in enumerate(part))
        out += v.to_bytes(len(part) - 1, 'big')
    return out


def client_raw(path):
    with open(path, encoding='ascii') as file:
        return decode41(file.read().strip()[3:])


class Watch:
    """A relay's port that must stay untouched, and a side without daemon."""

    def __init__(self, lab):
        self.lab = lab
        self.port = lab.port()
        self.sock = socket.create_server((l.HOST, self.port))
        self.sock.setblocking(False)
        named = l.Relay('nobody', None, self.port, '/nonexistent')
        self.env = lab.env('t', named)
        del self.env['SSL_CERT_FILE']
        self.server, self.client = f.tokens(lab, self.env)

    def refuse(self, status, reason, *args, stdin=b''):
        """The command ends at once, with one line that says the reason."""
        start = time.monotonic()
        got, out, err = f.run(self.lab, self.env, *args, timeout=10,
                              stdin=stdin)
        what = ' '.join(str(a)[:40] for a in args)
        f.expect((got, out), (status, ''), f'{what}: {err!r}')
        if err.count('\n') != 1 or not re.search(reason, err):
            raise AssertionError(f'{what}: not one line with {reason!r}: '
                                 f'{err!r}')
        if time.monotonic() - start > 8:
            raise AssertionError(f'{what}: took long')

    def untouched(self):
        try:
            self.sock.accept()
            raise AssertionError('somebody connected to the relay')
        except BlockingIOError:
            pass
        f.expect(l.daemons_of(self.env), [], 'daemons')
        left = os.listdir(self.env['XDG_RUNTIME_DIR'])
        f.expect(left, [], 'files in the runtime folder')
        self.sock.close()


def replaced(text, at, alphabet):
    """One character changed, in its highest bit or digit."""
    i = alphabet.index(text[at])
    return text[:at] + alphabet[(i + len(alphabet) // 2) % len(alphabet)] + \
        text[at + 1:]


def session_tokens(lab, _relay):
    w = Watch(lab)
    good = session_token(w.port)

    def refuse(token, reason):
        w.refuse(1, reason, 'derphole', 'open', token)

    regions = {'version': 0, 'session_id': 1, 'expires': 17, 'region': 25,
               'derp_public': 27, 'quic_public': 59, 'bearer': 91,
               'capabilities': 123, 'host_len': 127, 'host': 128,
               'derp_port': 137, 'stun_port': 139, 'crc': 141}
    for name, offset in regions.items():
        refuse(replaced(good, (offset * 8 + 5) // 6, URL64),
               'version' if name == 'version' else
               'token (checksum mismatch|invalid length)')
    for n in (1, 2, 3, 60, 100, len(good) - 4, len(good) - 2, len(good) - 1):
        refuse(good[:n], 'token|base64')
    refuse(good + 'AAAA', 'invalid length')
    refuse(good[:80] + '!' + good[81:], 'base64')
    refuse(good[:80] + ' ' + good[80:] + ' ', 'token|base64')
    refuse('x' * 5000, 'token|base64')
    refuse('é' * 90, 'base64')
    refuse(session_token(w.port, 0), 'token expired')
    refuse(session_token(w.port, -1), 'token expired')
    refuse(session_token(w.port, -10**12), 'token expired')
    for caps, hint in ((SEND, 'receive'), (LISTEN, 'pipe or send'),
                       (ATTACH, 'ssh accept'), (0, 'unknown session')):
        refuse(session_token(w.port, caps=caps), 'unknown session.*' + hint
               if hint != 'unknown session' else hint)
    for path in (w.server, w.client):
        with open(path, encoding='ascii') as file:
            refuse(file.read().strip(), 'this is a')
    w.untouched()


def client_tokens(lab, _relay):
    w = Watch(lab)
    with open(w.client, encoding='ascii') as file:
        good = file.read().strip()
    raw = client_raw(w.client)
    f.expect(encode41(raw), good[3:], 'base-41')

    def refuse(token, reason, every=False):
        path = lab.path('bad')
        path.write_bytes(token.encode() + b'\n')
        w.refuse(2, reason, 'derptun', 'connect', '--stdio', '--token-file',
                 path)
        if every:
            w.refuse(2, reason, 'derptun', 'open', '--token', token)
            w.refuse(2, reason, 'derptun', 'open', '--token-stdin',
                     stdin=token.encode() + b'\n')

    def altered(at, value):
        return good[:3] + encode41(raw[:at] + value + raw[at + len(value):])

    bad = 'invalid derptun token'
    for at, value in ((0, b'\1'), (0, b'\3'), (1, b'\0'), (1, b'\2'),
                      (2, bytes(16)), (18, bytes(16)), (34, bytes(16)),
                      (58, bytes(32)), (90, bytes(32)), (122, bytes(32)),
                      (186, b'\0'), (186, b'\xff'), (186, b'\x0b'),
                      (187, b'_'), (196, b'\0\0'), (198, b'\0\0')):
        refuse(altered(at, value), bad)
    for n in (4, 5, 100, len(good) - 3, len(good) - 1):
        refuse(good[:n], bad)
    for text in (good + '0', good + '000', good.lower(), 'DT3' + good[3:],
                 'DT1' + good[3:], good[:50] + 'a' + good[51:],
                 good[:50] + '~' + good[51:], good[:3] + ':::' + good[6:]):
        refuse(text, bad)
    now = int(time.time())
    for when in (0, -1, now, now - 1):
        refuse(altered(50, struct.pack('>q', when)), 'derptun token expired',
               every=when == now)
    refuse(session_token(w.port), 'this is a', every=True)
    with open(w.server, encoding='ascii') as file:
        refuse(file.read().strip(), 'server tokens are for derptun serve',
               every=True)
    w.untouched()


def server_tokens(lab, _relay):
    w = Watch(lab)
    with open(w.server, encoding='ascii') as file:
        good = file.read().strip()
    prefix, body = good[:5], good[5:]
    value = json.loads(base64.urlsafe_b64decode(body + '=' * (-len(body) % 4)))

    def refuse(token, reason):
        path = lab.path('bad')
        path.write_bytes(token.encode())
        w.refuse(1, reason, 'derptun', 'serve', '--tcp', '127.0.0.1:9',
                 '--token-file', path)

    def altered(**more):
        out = {**value, **more}
        return prefix + unpad(json.dumps(out, separators=(',', ':')).encode())

    bad = 'invalid derptun token'
    for more in ({'version': 1}, {'version': 3}, {'session_id': [0] * 16},
                 {'signing_secret': [0] * 32}, {'derp_private': 'privkey:00'},
                 {'derp_private': 'privkey:' + '0' * 64},
                 {'quic_private': value['quic_private'][:40]},
                 {'derp_route': {}}, {'derp_route': None},
                 {'session_id': 'text'}, {'expires_unix': 'soon'}):
        refuse(altered(**more), bad + '|JSON|json')
    flipped = base64.b64decode(value['quic_private'])
    flipped = flipped[:40] + bytes([flipped[40] ^ 1]) + flipped[41:]
    refuse(altered(quic_private=base64.b64encode(flipped).decode()), bad)
    refuse(altered(expires_unix=int(time.time())), 'derptun token expired')
    for text in (good[:-7], good[:100], 'dts1_' + body, 'dts9_' + body,
                 prefix, prefix + '!!!!', prefix + unpad(b'{"version":2')):
        refuse(text, 'token|base64|JSON')
    refuse(session_token(w.port), 'this is a')
    with open(w.client, encoding='ascii') as file:
        refuse(file.read().strip(), 'this is a')
    w.untouched()


def short_lived(lab, _relay):
    """Minted by the tool for some seconds, used too late."""
    w = Watch(lab)
    end = int(time.time()) + 5
    when = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(end))
    status, server, err = f.run(lab, w.env, 'derptun', 'token', 'server',
                                '--expires', when)
    f.expect((status, err), (0, ''), 'token server')
    path = lab.path('short')
    path.write_text(server, encoding='ascii')
    status, client, err = f.run(lab, w.env, 'derptun', 'token', 'client',
                                '--token-file', path, '--expires', when)
    f.expect((status, err), (0, ''), 'token client')
    time.sleep(max(end + 1 - time.time(), 0))
    w.refuse(2, 'derptun token expired', 'derptun', 'open', '--token',
             client.strip())
    w.refuse(1, 'derptun token expired', 'derptun', 'serve', '--tcp',
             '127.0.0.1:9', '--token-file', path)
    w.untouched()


def forged_fields(lab, relay):
    """A client cannot see that these are wrong: the server must."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        raw = client_raw(client)
        _, other = a.tokens()
        other_raw = client_raw(other)
        bad = {'session_id': (2, 16), 'client_id': (18, 16),
               'token_id': (34, 16), 'bearer': (122, 32), 'proof': (154, 32)}
        altered = {name: raw[:at] + other_raw[at:at + n] + raw[at + n:]
                   for name, (at, n) in bad.items()}
        later = struct.pack('>q', struct.unpack('>q', raw[50:58])[0] + 86400)
        altered['expires'] = raw[:50] + later + raw[58:]
        altered['quic_public'] = raw[:90] + other_raw[90:122] + raw[122:]
        altered['other server'] = other_raw

        def one(name, token):
            path = lab.path(f'forged-{name}')
            path.write_text('DT2' + encode41(token), encoding='ascii')
            p = b.cli('derptun', 'connect', '--stdio', '--token-file', path,
                      '-v', stdin=subprocess.PIPE)
            with contextlib.suppress(BrokenPipeError):  # refused that fast
                p.proc.stdin.write(b'H')
                p.proc.stdin.close()
            if name == 'other server':
                p.wait_line('no answer: nobody is at the relay', 15)
                p.stop()
                return f'{name}: {p.lines["err"][-1]}'
            silent = name in ('session_id', 'client_id', 'bearer')
            if silent:
                p.wait_line('no answer: the server is at the relay and does '
                            'not know this token', 15)
            status = f.wait_exit(p, 40 if silent else 5)
            if status not in ((13,) if silent else (1, 10)):
                raise AssertionError(f'{name}: {status} {p.said()}')
            if not p.lines['err']:
                raise AssertionError(f'{name}: no reason')
            return f'{name}: {status} {p.lines["err"][-1]}'
        notes = together(*[lambda i=i: one(*i) for i in altered.items()])
        f.expect(service.accepted, 0, 'connections that came through')
        f.must_live(offer)
        a.wait_endpoint('waiting')
        use, address = b.tunnel(client)
        l.exchange(address, f.MIB, f.MIB)
        f.leave(use, offer)
        service.close()
    return '\n'.join(notes)


def nobody_there(lab, relay):
    """Without its server a token is waited for, and that is told."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        p = b.cli('derptun', 'connect', '--stdio', '--token-file', client,
                  stdin=subprocess.PIPE)
        use = b.cli('derptun', 'open', '--token-file', client)
        for waiting in (p, use):
            waiting.wait_line('no answer: nobody is at the relay', 15)
        p.stop()
        offer = a.serve(server, service.address)
        address = f.listening(use)
        l.exchange(address, f.MIB, f.MIB)
        f.leave(use, offer)
        service.close()


ROWS = [
    ('8: session tokens', session_tokens),
    ('8: client tokens', client_tokens),
    ('8: server tokens', server_tokens),
    ('8: tokens of some seconds', short_lived),
    ('8: altered fields that only the server can judge', forged_fields),
    ('8: a server that does not run', nobody_there),
]

if __name__ == '__main__':
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(f.main(ROWS, sys.argv))
