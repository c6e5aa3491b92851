#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Claimers that vanish, come second, or forge.

usage: faults_claim.py BUILD_FOLDER [ROW-PATTERN]
"""
import base64
import contextlib
import json
import pathlib
import random
import signal
import sys
import threading
import time

import faults_lib as f
from faults_lib import l, pair, together

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'relay'))
try:
    import derp
except ImportError as e:  # libsodium's bindings
    derp = None
    MISSING = str(e)

BACK = 15      # seconds until a listener waits again
LATE = 22      # ... on a machine that is held up
GOODBYE = 6    # seconds until it knows of a goodbye; idle times are 9 s
SOON = 20      # seconds until another one has the slot of a dead one: 2 as
#                a rule, a lost handshake is begun anew after 10
DELAYS = (0.0, 0.02, 0.05, 0.1, 0.3, 0.5, 1)
JUNK = 10000
MAX_P99_MS = 50
MAX_GROWTH = f.MIB


# 11: vanish ------------------------------------------------------------------

def vanish(lab, relay, tag, args, delay, sig):
    """Start an opener with a daemon of its own, end both after a while."""
    env = lab.env(tag, relay)
    p = lab.start(args, env)
    time.sleep(delay)
    if sig == signal.SIGKILL:
        # Stopped first: else its daemon would see it leave, in order.
        p.proc.send_signal(signal.SIGSTOP)
        for _ in range(10):  # one may just be starting
            l.kill_daemons(env)
            time.sleep(0.02)
        p.stop(sig)
    else:
        p.stop(sig)


def vanishing(lab, relay, kind, sig):
    with pair(lab, relay) as (a, b):
        service = f.Service()
        offers = []
        for _ in DELAYS:
            if kind == 'share':
                p, token = a.share(service.address)
                args = [lab.our('derphole'), 'open', token]
            else:
                server, client = a.tokens()
                p = a.serve(server, service.address)
                args = [lab.our('derptun'), 'open', '--token-file', client]
            offers.append((p, args))
        ids = sorted(e['id'] for e in a.endpoints())
        together(*[lambda n=n: vanish(lab, relay, f'v{n}', offers[n][1],
                                      DELAYS[n], sig)
                   for n in range(len(DELAYS))])
        gone = time.monotonic()
        waits = [None] * len(ids)
        while None in waits:
            states = {e['id']: e['state'] for e in a.endpoints()}
            for n, ident in enumerate(ids):
                if waits[n] is None and (states.get(ident) in (None,
                                                               'waiting')):
                    waits[n] = time.monotonic() - gone
            if time.monotonic() > gone + LATE:
                raise AssertionError(f'after {LATE} s: {states}')
            time.sleep(0.2)
        if max(waits) > BACK:
            raise f.Suffered(f'waiting again after {max(waits):.1f} s')
        # A share whose opener says goodbye after it was there has ended.
        left = {e['id'] for e in a.endpoints()}
        over = {n for n, ident in enumerate(ids) if ident not in left}
        for n in over:
            if kind != 'share' or sig != signal.SIGINT or \
                    f.wait_exit(offers[n][0], 15) != 0:
                raise AssertionError(f'{DELAYS[n]} s: listener ended: '
                                     f'{offers[n][0].said()}')

        def again(n):
            p = lab.start(offers[n][1], b.env)
            l.exchange(f.listening(p, 20), f.MIB, f.MIB)
            f.leave(p)
        together(*[lambda n=n: again(n) for n in range(len(offers))
                   if n not in over])
        for n, (p, _) in enumerate(offers):
            if n in over:
                continue
            if kind == 'share':
                f.expect(f.wait_exit(p, 15), 0, 'sharer')
            else:
                f.leave(p)
        service.close()
    return 'waiting again after ' + \
        ', '.join(f'{DELAYS[n]}: {w:.1f} s' for n, w in enumerate(waits)) + \
        (f'; {len(over)} shares ended in order' if over else '')


def comes(conn):
    """Much comes from the other side."""
    conn.sendall(b'F')
    for _ in range(100):
        conn.recv(65536)


def goes(conn):
    """Much goes there, and goes on."""
    def pour():
        with contextlib.suppress(OSError):
            while True:
                conn.sendall(bytes(65536))
    conn.sendall(b'S')
    conn.recv(3)
    threading.Thread(target=pour, daemon=True).start()
    time.sleep(0.3)


def goodbyes(lab, relay, flow, *flags):
    """An opener that is interrupted while much flows says goodbye, and nothing
    of that is lost: nobody waits for idle times."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address, *flags)
        taken = []
        for _ in range(8):
            use, address = b.tunnel(client, *flags)
            with l.connect(address, 20) as conn:
                flow(conn)
                start = time.monotonic()
                f.leave(use)
            a.wait_endpoint('waiting', GOODBYE)
            taken.append(time.monotonic() - start)
        f.leave(offer)
        service.close()
    return 'waiting again after ' + ', '.join(f'{t:.1f} s' for t in taken)


def taken_over(lab, relay, kind):
    """Another opener comes at once: the slot of a dead one is not kept until
    its idle time is over."""
    with pair(lab, relay) as (a, b):
        service = f.Service()
        taken = []
        for delay in (0.03, 0.05, 0.08, 0.15, 1):
            if kind == 'share':
                offer, token = a.share(service.address)
                args = [lab.our('derphole'), 'open', token]
            else:
                server, client = a.tokens()
                offer = a.serve(server, service.address)
                args = [lab.our('derptun'), 'open', '--token-file', client]
            vanish(lab, relay, f'o{delay}', args, delay, signal.SIGKILL)
            taken.append(f'{delay}: {open_soon(lab, b, args):.1f} s')
            if kind == 'share':
                f.expect(f.wait_exit(offer, 15), 0, 'sharer')
            else:
                f.leave(offer)
        service.close()
    return ', '.join(taken)


def open_soon(lab, d, args):
    start = time.monotonic()
    p = lab.start(args, d.env)
    l.exchange(f.listening(p, SOON), 1000, 1000, timeout=SOON)
    f.leave(p)
    return time.monotonic() - start


# 12: second ------------------------------------------------------------------

def second_share(lab, relay):
    with pair(lab, relay) as (a, b):
        c = f.Daemon(lab, 'c', relay)
        service = f.Service()
        offer, token = a.share(service.address)
        use, address = b.open(token)
        pinger = f.Pinger(lab, address, service.address)
        for d in (c, b, c):
            start = time.monotonic()
            status, out, err = d.run('derphole', 'open', token)
            f.expect((status, out), (10, ''), f'second: {err!r}')
            f.expect_in('session already claimed', err, 'second')
        taken = time.monotonic() - start
        f.must_live(offer, use)
        note = pinger.check(pause_ms=100)
        f.leave(use)
        f.expect(f.wait_exit(offer, 15), 0, 'sharer')
        service.close()
        c.wait_idle()
    return f'rejected in {taken:.1f} s; {note}'


def second_derptun(lab, relay):
    with pair(lab, relay) as (a, b):
        c = f.Daemon(lab, 'c', relay)
        service = f.Service()
        server, client = a.tokens()
        offer = a.serve(server, service.address)
        use, address = b.tunnel(client)
        pinger = f.Pinger(lab, address, service.address)
        waiting = c.cli('derptun', 'open', '--token-file', client)
        start = time.monotonic()
        status, out, err = c.run('derptun', 'connect', '--stdio',
                                 '--token-file', client, timeout=25)
        taken = time.monotonic() - start
        f.expect((status, out), (10, ''), f'second connect: {err!r}')
        f.expect_in('session already claimed', err, 'second connect')
        if not 12 < taken < 20:
            raise AssertionError(f'retried for {taken:.1f} s, not for 15')
        f.must_live(offer, use, waiting)
        f.expect_in('session already claimed', waiting.said(), 'second open')
        note = pinger.check(pause_ms=100)
        f.leave(use)
        start = time.monotonic()
        address = f.listening(waiting, timeout=35)
        then = time.monotonic() - start
        l.exchange(address, f.MIB, f.MIB)
        f.leave(waiting, offer)
        service.close()
        c.wait_idle()
    return f'retried {taken:.1f} s; the patient one came {then:.1f} s after ' \
           f'the first left; {note}'


# 10: forge -------------------------------------------------------------------

def derp_private(server):
    with open(server, encoding='ascii') as file:
        body = file.read().strip()[5:]
    value = json.loads(base64.urlsafe_b64decode(body + '=='))
    return bytes.fromhex(value['derp_private'].removeprefix('privkey:'))


def record(raw, b, server, client):
    """A true claim, caught under the server's own key before it serves."""
    with derp.Client(raw, derp.Key(derp_private(server))) as catcher:
        p = b.cli('derptun', 'open', '--token-file', client)
        source, claim = catcher.packet()
        p.stop(signal.SIGKILL)
    if not claim.startswith(b'{'):
        raise AssertionError(f'not a claim: {claim[:60]!r}')
    return source, claim, catcher.key.public


def forgeries(claim, rng):
    """Endless: mutations, lies with true form, junk, and the claim itself."""
    value = json.loads(claim)
    n = 0
    while True:
        n += 1
        kind = n % 8
        if kind == 0:
            yield claim
        elif kind == 1:  # one octet changed
            at = rng.randrange(len(claim))
            yield claim[:at] + bytes([claim[at] ^ 1 << rng.randrange(8)]) + \
                claim[at + 1:]
        elif kind == 2:  # another MAC
            yield json.dumps({**value, 'mac': '%064x' % rng.getrandbits(256)},
                             separators=(',', ':')).encode()
        elif kind == 3:  # cut
            yield claim[:rng.randrange(1, len(claim))]
        elif kind == 4:
            yield rng.randbytes(rng.randrange(1, 1400))
        elif kind == 5:  # like a QUIC Initial
            yield b'\xc3\0\0\0\1\x08' + rng.randbytes(1190)
        elif kind == 6:
            yield b'{' * rng.randrange(1, 8000)
        else:
            yield b'{"type":"claim","claim":{"candidates":[' + \
                b'"10.0.0.1:1",' * 1000 + b'""]}}'


def soon(d, client):
    p = d.cli('derptun', 'open', '--token-file', client)
    return p, f.listening(p, SOON)


def forge(lab, relay):
    if derp is None:
        raise l.Skip(MISSING)
    raw = f.Raw(relay)
    rng = random.Random(10)
    with pair(lab, relay) as (a, b):
        service = f.Service()
        server, client = a.tokens()
        _, claim, target = record(raw, b, server, client)
        offer = a.serve(server, service.address)
        use, address = soon(b, client)
        l.exchange(address, f.MIB, f.MIB)
        makers = forgeries(claim, rng)
        senders = [derp.Client(raw) for _ in range(8)]

        def send(count, pause):
            for n in range(count):
                senders[n % len(senders)].send(target, next(makers))
                if pause and n % 100 == 99:
                    time.sleep(pause)
        send(1000, 0.01)  # what is allocated once
        pids = [a.pid, *a.children()]
        rss = [f.rss_of(p) for p in pids]
        pinger = f.Pinger(lab, address, service.address)
        start = time.monotonic()
        send(JUNK, 0.02)
        # And from as many names as a flood can have.
        for _ in range(60):
            with derp.Client(raw) as one:
                for _ in range(8):
                    one.send(target, next(makers))
        taken = time.monotonic() - start
        f.must_live(offer, use)
        note = pinger.check(p99_ms=MAX_P99_MS)
        f.expect([a.pid, *a.children()], pids, 'daemon, gate, session')
        grown = sum(f.rss_of(p) for p in pids) - sum(rss)
        if grown > MAX_GROWTH:
            raise AssertionError(f'grew by {grown >> 10} KiB: '
                                 f'{[f.rss_of(p) >> 10 for p in pids]}')
        for s in senders:
            s.close()
        l.exchange(address, f.MIB, f.MIB)
        f.leave(use)
        a.wait_endpoint('waiting')
        # The slot is free: the replayed claim must not take it for long.
        with derp.Client(raw) as one:
            one.send(target, claim)
            time.sleep(0.5)
        use, address = soon(b, client)
        l.exchange(address, f.MIB, f.MIB)
        f.leave(use, offer)
        service.close()
    return f'{taken:.1f} s, grew {grown >> 10} KiB; {note}'


ROWS = [
    ('10: forged, replayed and junk packets', forge),
    *[(f'11: opener vanishes, {kind}, {name}',
       lambda lab, relay, k=kind, s=sig: vanishing(lab, relay, k, s))
      for kind in ('share', 'derptun')
      for name, sig in (('killed', signal.SIGKILL),
                        ('interrupted', signal.SIGINT))],
    *[(f'11: opener interrupted while much {flow.__name__}, {name}',
       lambda lab, relay, w=flow, s=flags: goodbyes(lab, relay, w, *s))
      for flow in (comes, goes)
      for name, flags in (('relay', ('--force-relay',)), ('direct', ()))],
    *[(f'11: another opener at once, {kind}',
       lambda lab, relay, k=kind: taken_over(lab, relay, k))
      for kind in ('share', 'derptun')],
    ('12: second claimer, share', second_share),
    ('12: second claimer, derptun', second_derptun),
]

if __name__ == '__main__':
    sys.exit(f.main(ROWS, sys.argv))
