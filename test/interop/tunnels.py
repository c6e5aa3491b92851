#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP tunnels between our programs and the Go tools, row by row.

usage: tunnels.py BUILD_FOLDER [CELL-PATTERN]

A cell is {share-open, serve-open, serve-ssh} x {C-C, C-Go, Go-C} x {our relay,
derper}: the first of a pair offers the service, the second connects.  Then
Go-Go through our relay, and --force-relay on one side only.  Every row is TAP;
cells whose programs are missing are skipped with the reason.
"""
import os
import re
import signal
import subprocess
import sys
import time

import lab as l

MIB = 1 << 20
BULK = 100 * MIB
# Our client reconnects within this after the server is back (seconds).
RECONNECT = 15
# A Go server is asked again only so often: every claim of a client that gave up
# is queued there and may be accepted when nobody stands behind it any more.
GO_PATIENCE = 15
GO_TRIES = 3


class Side:
    """One implementation's programs, and how this side is called."""

    def __init__(self, lab, name, derphole, derptun, force_relay):
        self.lab = lab
        self.name = name
        self.derphole = derphole
        self.derptun = derptun
        self.flags = ['--force-relay'] if force_relay else []
        self.is_go = name == 'Go'

    def vanish(self, process, env):
        """This side is gone without a word."""
        if not self.is_go:
            l.kill_daemons(env)
        process.stop(signal.SIGKILL)

    def share(self, relay, target, tag):
        p = self.lab.start([self.derphole, 'share', target,
                            '--print-token-only', *self.flags],
                           self.lab.env(f'{tag}-a', relay))
        token = p.wait_line(r'^([A-Za-z0-9_-]{100,})$', stream='out',
                            timeout=20).group(1)
        return p, token

    def open(self, relay, token, tag):
        p = self.lab.start([self.derphole, 'open', token, *self.flags],
                           self.lab.env(f'{tag}-b', relay))
        return p, listening(p)

    def tokens(self, relay, tag):
        env = self.lab.env(f'{tag}-a', relay)
        paths = []
        for verb, args in (('server', []),
                           ('client', ['--token-file', None, '--days', '7'])):
            args = [paths[0] if a is None else a for a in args]
            done = subprocess.run([self.derptun, 'token', verb, *args],
                                  env=env, stdout=subprocess.PIPE, text=True,
                                  check=True)
            path = self.lab.path(f'{tag}-{self.name}-{verb}')
            path.write_text(done.stdout, encoding='ascii')
            paths.append(str(path))
        return paths

    def serve(self, relay, server_token, target, tag):
        p = self.lab.start([self.derptun, 'serve', '--token-file',
                            server_token, '--tcp', target, *self.flags],
                           self.lab.env(f'{tag}-a', relay))
        p.wait_line(r'open --token DT', timeout=20)
        return p

    def tunnel(self, relay, client_token, tag, port=0):
        p = self.lab.start([self.derptun, 'open', '--token-file', client_token,
                            '--listen', f'127.0.0.1:{port}', *self.flags],
                           self.lab.env(f'{tag}-b', relay))
        return p, listening(p)


def listening(p):
    return p.wait_line(r'^listening on (\S+)$', timeout=45).group(1)


def bulk(address):
    start = time.monotonic()
    l.exchange(address, BULK, BULK)
    taken = time.monotonic() - start
    return f'{2 * BULK * 8 / taken / 1e9:.2f} Gb/s'


def traffic(address, ours_only):
    """What every tunnel must carry; returns notes for the row."""
    notes = [f'100 MiB each way {bulk(address)}']
    l.many(address, 50)
    notes.append('50 connections at once')
    if ours_only:
        got = l.half_close(address)
        if got != b'TOTAL 100000':
            raise AssertionError(f'half-close: {got!r}')
        notes.append('half-close')
    return '; '.join(notes)


def must_live(*processes):
    for p in processes:
        if not p.alive():
            raise AssertionError(f'{p.name()} ended: {p.said()}')


def share_open(lab, offer, use, relay, tag):
    service = l.Service()
    sharer, token = offer.share(relay, service.address, tag)
    opener, address = use.open(relay, token, tag)
    ours = not offer.is_go and not use.is_go
    notes = [traffic(address, ours)]
    must_live(sharer, opener)
    if not offer.is_go:
        # Lost, not closed: the share goes back to waiting and serves a second
        # opener under the same token.
        use.vanish(opener, lab.env(f'{tag}-b', relay))
        second, address = again_open(use, relay, token, tag + '2')
        l.exchange(address, MIB, MIB)
        must_live(sharer)
        notes.append('second opener after the first was killed')
        opener = second
    status = opener.stop()
    if use.is_go and not offer.is_go:
        # Theirs says nothing when it leaves over a relay: to us it is lost, and
        # the share goes on waiting.
        time.sleep(2)
        must_live(sharer)
        ended = sharer.stop()
    else:
        ended = sharer.proc.wait(40)
    if ended != 0:
        raise AssertionError(f'sharer ended {ended}: {sharer.said()}')
    notes.append(f'clean end, opener {status}, sharer {ended}')
    service.close()
    return '; '.join(notes)


def again_open(use, relay, token, tag):
    """The slot of a killed opener is free within 15 s; claimers that exit when
    it is taken are started again."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return use.open(relay, token, tag)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def again_tunnel(use, relay, token, tag, timeout):
    deadline = time.monotonic() + timeout
    while True:
        try:
            p, address = use.tunnel(relay, token, tag)
            l.exchange(address, 1000, 1000, timeout=10)
            return p, address
        except (AssertionError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def restart(offer, use, relay, tokens, service, state):
    """Server stopped and started: the client comes back by itself (ours), or a
    new one does (Go's never exits and never reconnects)."""
    server, client, address, tag = state
    offer.vanish(server, offer.lab.env(f'{tag}-a', relay))
    time.sleep(0.5)
    server = offer.serve(relay, tokens[0], service.address, tag + 'r')
    start = time.monotonic()
    if use.is_go:
        client.stop(signal.SIGKILL)
        client, address = again_tunnel(use, relay, tokens[1], tag + 'r', 30)
        note = 'server restart, new client'
    else:
        # The old connection's death is noticed after its idle timeout (10 s);
        # then one claim.
        l.until(lambda: l.exchange(address, 1000, 1000, timeout=5),
                10 + RECONNECT, 'reconnect')
        note = f'server restart, reconnected in {time.monotonic() - start:.1f} s'
    l.exchange(address, MIB, MIB)
    return server, client, note


def second_client(offer, use, relay, tokens, state):
    """The first client leaves, another comes.  Returns server, client, address
    and what to note."""
    server, client, service, tag = state
    start = time.monotonic()
    if not offer.is_go:
        use.vanish(client, offer.lab.env(f'{tag}-b', relay))
        client, address = again_tunnel(use, relay, tokens[1], tag + '2', 25)
        must_live(server)
        return server, client, address, \
            f'second client after kill -9 in {time.monotonic() - start:.1f} s'
    client.stop()
    for n in range(GO_TRIES):
        if n > 0 or use.is_go:
            time.sleep(GO_PATIENCE)
        try:
            client, address = use.tunnel(relay, tokens[1], f'{tag}2{n}')
            l.exchange(address, MIB, MIB)
        except AssertionError:
            client.stop(signal.SIGKILL)
            continue
        must_live(server)
        return server, client, address, \
            f'theirs: second client in {time.monotonic() - start:.1f} s'
    if not use.is_go:
        raise AssertionError('a Go server kept the slot of our client')
    server.stop(signal.SIGKILL)
    server = offer.serve(relay, tokens[0], service.address, tag + 'n')
    client, address = use.tunnel(relay, tokens[1], tag + 'n')
    return server, client, address, \
        f'theirs: slot still taken {time.monotonic() - start:.0f} s later'


def serve_open(lab, offer, use, relay, tag):
    service = l.Service()
    banner = l.Service(banner=True)
    tokens = offer.tokens(relay, tag)
    server = offer.serve(relay, tokens[0], service.address, tag)
    client, address = use.tunnel(relay, tokens[1], tag)
    notes = [traffic(address, not offer.is_go and not use.is_go)]
    must_live(server, client)
    server, client, address, note = second_client(
        offer, use, relay, tokens, (server, client, service, tag))
    notes.append(note)
    server, client, note = restart(offer, use, relay, tokens, service,
                                   (server, client, address, tag))
    notes.append(note)
    must_live(server)
    client.stop()
    server.stop()
    server = offer.serve(relay, tokens[0], banner.address, tag + 'b')
    client, address = again_tunnel_banner(use, relay, tokens[1], tag + 'b', 25)
    notes.append('server speaks first')
    client.stop()
    if server.stop() != 0:
        raise AssertionError(f'server: {server.said()}')
    service.close()
    banner.close()
    return '; '.join(notes)


def again_tunnel_banner(use, relay, token, tag, timeout):
    deadline = time.monotonic() + timeout
    while True:
        try:
            p, address = use.tunnel(relay, token, tag)
            with l.connect(address, 10) as conn:
                got = l.read_exactly(conn, len(l.Service.BANNER))
            if got != l.Service.BANNER:
                raise AssertionError(f'banner {got!r}')
            return p, address
        except (AssertionError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


class Sshd:
    """A real sshd with keys of its own, on loopback in the namespace."""

    def __init__(self, lab):
        folder = lab.path('sshd')
        folder.mkdir(exist_ok=True, mode=0o700)
        self.key = folder / 'user'
        for name in ('host', 'user'):
            if not (folder / name).exists():
                subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '',
                                '-f', str(folder / name)], check=True)
        (folder / 'authorized').write_text(
            (folder / 'user.pub').read_text(encoding='ascii'),
            encoding='ascii')
        self.port = lab.port()
        config = folder / 'config'
        config.write_text('\n'.join([
            f'Port {self.port}', 'ListenAddress 127.0.0.1',
            f'HostKey {folder}/host', f'AuthorizedKeysFile {folder}/authorized',
            'StrictModes no', 'UsePAM no', 'PasswordAuthentication no',
            'PermitRootLogin prohibit-password', 'PidFile none',
            'MaxStartups 100']) + '\n', encoding='ascii')
        os.makedirs('/run/sshd', exist_ok=True)
        self.process = lab.start(['/usr/sbin/sshd', '-D', '-e', '-f', config],
                                 {'PATH': os.environ['PATH']})
        l.wait_for_port('127.0.0.1', self.port)

    def ssh(self, proxy, env, command, data=b'', timeout=120):
        return subprocess.run(
            ['ssh', '-F', 'none', '-i', str(self.key), '-o',
             'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
             '-o', 'LogLevel=ERROR', '-o', 'IdentitiesOnly=yes', '-o',
             'ConnectTimeout=60', '-o', f'ProxyCommand={proxy}', 'root@server',
             command], input=data, env=env, timeout=timeout, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def serve_ssh(lab, offer, use, relay, tag):
    sshd = Sshd(lab)
    tokens = offer.tokens(relay, tag)
    server = offer.serve(relay, tokens[0], f'127.0.0.1:{sshd.port}', tag)
    proxy = ' '.join([use.derptun, 'connect', '--stdio', '--token-file',
                      tokens[1], *use.flags])
    env = lab.env(f'{tag}-b', relay)
    data = l._pattern(7, BULK)
    start = time.monotonic()
    done = sshd.ssh(proxy, env, 'sha256sum', data)
    want = l.hashlib.sha256(data).hexdigest()
    if done.returncode != 0 or done.stdout.split()[:1] != [want.encode()]:
        raise AssertionError(f'upload: {done.returncode} {done.stdout[:80]} '
                             f'{done.stderr[-300:]}')
    path = lab.path(f'{tag}-data')
    path.write_bytes(data)
    for n in range(GO_TRIES):
        if offer.is_go and (n > 0 or use.is_go):
            time.sleep(GO_PATIENCE)
        done = sshd.ssh(proxy, env, f'cat {path}')
        if done.returncode == 0:
            break
    whose = ''
    if done.returncode != 0 and offer.is_go and use.is_go:
        whose = 'theirs: slot still taken, server started anew; '
        server.stop(signal.SIGKILL)
        server = offer.serve(relay, tokens[0], f'127.0.0.1:{sshd.port}', tag)
        done = sshd.ssh(proxy, env, f'cat {path}')
    if done.returncode != 0 or done.stdout != data:
        raise AssertionError(f'download: {done.returncode} '
                             f'{len(done.stdout)} bytes {done.stderr[-300:]}')
    taken = time.monotonic() - start
    must_live(server)
    path.unlink()
    server.stop()
    sshd.process.stop(signal.SIGTERM)
    return f'{whose}100 MiB each way over ssh in {taken:.1f} s, two clients'


def one_sided(lab, offer, use, relay, tag):
    """--force-relay on one side only."""
    service = l.Service()
    sharer, token = offer.share(relay, service.address, tag)
    opener, address = use.open(relay, token, tag)
    l.exchange(address, MIB, MIB)
    time.sleep(6)  # a Go side would give up after 5 s
    l.exchange(address, MIB, MIB)
    must_live(sharer, opener)
    opener.stop()
    tokens = offer.tokens(relay, tag)
    server = offer.serve(relay, tokens[0], service.address, tag + 's')
    client, address = use.tunnel(relay, tokens[1], tag + 's')
    l.exchange(address, MIB, MIB)
    time.sleep(6)
    l.exchange(address, MIB, MIB)
    must_live(server, client)
    client.stop()
    server.stop()
    service.close()
    return 'share and serve, alive after 6 s'


SHAPES = {'share-open': share_open, 'serve-open': serve_open,
          'serve-ssh': serve_ssh}


def main():
    build = sys.argv[1]
    pattern = re.compile(sys.argv[2] if len(sys.argv) > 2 else '')
    tap = l.Tap()
    missing = {}
    peers = derper = None
    try:
        peers = l.find_peers()
    except l.Skip as e:
        missing['Go'] = e
    try:
        derper = l.find_derper()
    except l.Skip as e:
        missing['derper'] = e
    try:
        l.enter_namespace()
    except l.Skip as e:
        tap.skip('all tunnels', e)
        return tap.done()

    def cell(title, relay_name, names, test, force=(True, True)):
        if not pattern.search(title):
            return
        for name in (*names, relay_name):
            if name in missing:
                tap.skip(title, missing[name])
                return
        with l.Lab(build) as lab:
            sides = []
            for name, flag in zip(names, force):
                where = peers if name == 'Go' else {
                    'derphole': lab.our('derphole'),
                    'derptun': lab.our('derptun')}
                sides.append(Side(lab, name, where['derphole'],
                                  where['derptun'], flag))
            relay = lab.derper(derper) if relay_name == 'derper' \
                else lab.our_relay()
            tag = 'x'
            if not tap.run(title, test, lab, *sides, relay, tag):
                for p in lab.processes:
                    print(f'# {p.name()}: {p.said()[-1500:]}')

    for shape, test in SHAPES.items():
        for pair in (('C', 'C'), ('C', 'Go'), ('Go', 'C')):
            for relay in ('ours', 'derper'):
                cell(f'{shape} {pair[0]}-{pair[1]} {relay}', relay, pair, test)
    for shape, test in SHAPES.items():
        cell(f'{shape} Go-Go ours', 'ours', ('Go', 'Go'), test)
    for pair in (('C', 'C'), ('C', 'Go'), ('Go', 'C')):
        for force in ((True, False), (False, True)):
            which = 'first' if force[0] else 'second'
            cell(f'force-relay on the {which} side only {pair[0]}-{pair[1]}',
                 'ours', pair, one_sided, force)
    return tap.done()


sys.exit(main())
