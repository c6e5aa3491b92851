#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Secrets stay where they belong; users, and places programs lie in.

usage: faults_guard.py BUILD_FOLDER [ROW-PATTERN]
"""
import base64
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import faults_lib as f
from faults_lib import l

NOBODY = 65534
# From exec to the worker's first lines, under a sanitizer on a busy machine.
STARTED_S = 5
PROGRAMS = ('derptund', 'derptun-gate', 'derptun-session', 'derptun-portmap',
            'derphole', 'derptun', 'derptunctl', 'derptun-relay')


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def secrets_of(server, client, share):
    """Every spelling of what must not be seen."""
    text = read(server).strip()
    body = text[5:]
    value = json.loads(base64.urlsafe_b64decode(body + b'=' * (-len(body) % 4)))
    out = {'server token': text, 'client token': read(client).strip(),
           'share token': share.encode()}
    raw = base64.urlsafe_b64decode(share + '=' * (-len(share) % 4))
    binary = {'signing secret': bytes(value['signing_secret']),
              'quic key': base64.b64decode(value['quic_private'])[:32],
              'derp key': bytes.fromhex(value['derp_private'][8:]),
              'share bearer': raw[91:123]}
    for name, secret in binary.items():
        out[name + ' raw'] = secret
        out[name + ' hex'] = secret.hex().encode()
        out[name + ' base64'] = base64.b64encode(secret)[:40]
        out[name + ' base64url'] = base64.urlsafe_b64encode(secret)[:40]
    # A part is as bad as the whole.
    for name in ('server token', 'client token', 'share token'):
        out[name + ' tail'] = out[name][-40:]
    return out


def search(where, data, secrets):
    for name, secret in secrets.items():
        if secret in data:
            raise AssertionError(f'{name} in {where}')


def private_tree(path, uid):
    """Nobody else may enter the folder or open what is in it."""
    found = 0
    for base, folders, files in os.walk(path):
        for name in ['.', *folders, *files]:
            st = os.lstat(os.path.join(base, name))
            mode = stat.S_IMODE(st.st_mode)
            allowed = 0o700 if stat.S_ISDIR(st.st_mode) else 0o600
            found += 1
            if mode & ~allowed or st.st_uid not in uid:
                raise AssertionError(f'{base}/{name}: {mode:o} of '
                                     f'{st.st_uid}')
    return found


def on_demand(lab, relay, flags=('-v',), user=None, programs=None):
    """share, serve and their openers with daemons started on demand."""
    prefix = [] if user is None else \
        ['setpriv', '--reuid', str(user), '--regid', str(user),
         '--clear-groups', '--']
    where = programs or lab.build
    sides = {}
    for side in ('a', 'b'):
        sides[side] = env = lab.env(f'd{side}', relay)
        if user is not None:
            os.chown(env['HOME'], user, user)

    def start(side, name, *args):
        return lab.start([*prefix, str(where / name), *flags, *args],
                         sides[side])

    server, client = f.tokens(lab, lab.env('mint', relay))
    for path in (server, client):
        os.chmod(path, 0o644)
    service = f.Service()
    shared = start('a', 'derphole', 'share', service.address,
                   '--print-token-only')
    token = shared.wait_line(r'^([A-Za-z0-9_-]{100,})$', stream='out',
                             timeout=20).group(1)
    offer = start('a', 'derptun', 'serve', '--token-file', server, '--tcp',
                  service.address)
    offer.wait_line(r'open --token DT', timeout=20)
    uses = [start('b', 'derphole', 'open', token),
            start('b', 'derptun', 'open', '--token-file', client)]
    for p in uses:
        l.exchange(f.listening(p), f.MIB, f.MIB)
    return sides, (shared, offer, *uses), (server, client, token)


def end(sides, processes):
    shared, offer, *uses = processes
    f.leave(*uses, offer)
    f.expect(f.wait_exit(shared, 15), 0, 'sharer')
    l.until(lambda: f.expect([p for e in sides.values()
                              for p in l.daemons_of(e)], [], 'daemons'),
            12, 'idle exit')


def guarded(pid, is_worker, secrets):
    """What /proc tells of a process."""
    for file in ('cmdline', 'environ'):
        search(file, read(f'/proc/{pid}/{file}'), secrets)
    if is_worker and not l.is_sanitized(pid):
        f.expect(read(f'/proc/{pid}/environ').rstrip(b'\0'), b'',
                 'environment')
    limits = read(f'/proc/{pid}/limits').decode()
    m = re.search(r'Max core file size +(\S+) +(\S+)', limits)
    f.expect(m.groups(), ('0', '0'), 'core limit')
    status = read(f'/proc/{pid}/status').decode()
    for field, want in (('Uid', [str(NOBODY)] * 4), ('CapEff', ['0' * 16]),
                        ('NoNewPrivs', ['1'])):
        m = re.search(rf'^{field}:\s+(.*)$', status, re.M)
        f.expect(m.group(1).split(), want, field)
    # Not dumpable: its files in /proc belong to root.
    f.expect(os.stat(f'/proc/{pid}/environ').st_uid, 0, 'its owner')


def secrecy(lab, relay):
    sides, processes, tokens = on_demand(lab, relay)
    secrets = secrets_of(*tokens)
    table = l.processes()
    seen = 0
    for side, env in sides.items():
        daemons = l.daemons_of(env)
        f.expect(len(daemons), 1, f'daemons of {side}')
        for pid in l.family(daemons[0], table):
            # A spare that started this moment is its daemon's image until
            # it executes its program, which then says first thing, before
            # any secret, that it may not be looked at.
            l.until(lambda pid=pid, is_worker=pid != daemons[0]:
                    guarded(pid, is_worker, secrets),
                    STARTED_S, f'/proc/PID of {table[pid][1]}')
            seen += 1
    if seen < 2 + 2 + 2 + 2:
        raise AssertionError(f'only {seen} processes seen')
    logs = 0
    for side, env in sides.items():
        folder = env['XDG_RUNTIME_DIR']
        private_tree(folder, {0, NOBODY})
        for base, _, files in os.walk(folder):
            for name in files:
                path = os.path.join(base, name)
                if stat.S_ISREG(os.stat(path).st_mode):
                    search(path, read(path), secrets)
                    logs += 1
    # Beside what they were asked to print: the token of share on stdout, the
    # command of serve with a token of its own.
    for p in processes:
        search(f'stderr of {p.name()}', '\n'.join(p.lines['err']).encode(),
               secrets)
    state = os.path.dirname(str(relay.ca_file))
    for name in os.listdir(state):
        mode = stat.S_IMODE(os.stat(os.path.join(state, name)).st_mode)
        if name.endswith('.key') and mode & 0o77:
            raise AssertionError(f'{name} of the relay: {mode:o}')
    end(sides, processes)
    return f'{seen} processes, {logs} files, {len(secrets)} secrets'


def unreadable_place(lab, relay):
    """Programs in a folder only root may enter, a daemon that is nobody."""
    place = lab.path('private')
    place.mkdir(mode=0o700)
    for name in PROGRAMS:
        shutil.copy(lab.our(name), place / name)
    os.chmod(place, 0o700)
    # No second way in: the build tree is not looked at from here.
    sides, processes, _ = on_demand(lab, relay, programs=place)
    for env in sides.values():
        for pid in l.daemons_of(env):
            f.expect(os.stat(f'/proc/{pid}').st_uid in (0, NOBODY), True,
                     'user')
            f.expect(os.path.dirname(os.readlink(f'/proc/{pid}/exe')),
                     str(place), 'program')
    # A worker that starts later starts as well.
    shared, offer, opener, tunnel = processes
    pids = [p for e in sides.values() for d in l.daemons_of(e)
            for p in l.family(d, l.processes()) if p != d]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    address = f.listening(tunnel)
    taken = f.until_works(address, 40)
    f.until_works(f.listening(opener), 40)
    f.must_live(shared, offer, opener, tunnel)
    end(sides, processes)
    return f'all workers killed, works again after {taken:.1f} s'


def world_readable_copy(lab):
    place = lab.path('programs')
    place.mkdir(mode=0o755)
    os.chmod(place, 0o755)
    for name in PROGRAMS:
        shutil.copy(lab.our(name), place / name)
        os.chmod(place / name, 0o755)
    return place


def no_root(lab, relay):
    """Another user, with daemons of his own."""
    place = world_readable_copy(lab)
    os.chmod(relay.ca_file, 0o644)
    os.chmod(os.path.dirname(str(relay.ca_file)), 0o755)
    sides, processes, _ = on_demand(lab, relay, user=NOBODY, programs=place)
    for env in sides.values():
        daemons = l.daemons_of(env)
        f.expect(len(daemons), 1, 'daemons')
        f.expect(private_tree(env['XDG_RUNTIME_DIR'], {NOBODY}) > 3, True,
                 'files of the runtime folder')
        for pid in l.family(daemons[0], l.processes()):
            status = read(f'/proc/{pid}/status').decode()
            f.expect(re.search(r'^Uid:\s+(.*)$', status, re.M).group(1)
                     .split(), [str(NOBODY)] * 4, 'uid')
    end(sides, processes)


def no_runtime_folder(lab, relay):
    """Without XDG_RUNTIME_DIR: a folder below TMPDIR that must be ours."""
    place = world_readable_copy(lab)
    tmp = lab.path('tmp')
    tmp.mkdir()
    os.chmod(tmp, 0o1777)
    env = lab.env('n', relay, TMPDIR=str(tmp))
    del env['XDG_RUNTIME_DIR']
    os.chown(env['HOME'], NOBODY, NOBODY)
    ours = tmp / f'derptund-{NOBODY}'
    command = ['setpriv', '--reuid', str(NOBODY), '--regid', str(NOBODY),
               '--clear-groups', '--', str(place / 'derphole'), 'share',
               '127.0.0.1:9', '--print-token-only']

    def refused(make):
        make()
        done = subprocess.run(command, env=env, timeout=15, check=False,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        f.expect((done.returncode, done.stdout), (1, b''), done.stderr)
        f.expect_in(b'not a private directory', done.stderr, 'refusal')
        if ours.is_symlink():
            ours.unlink()
        else:
            shutil.rmtree(ours)

    def of_root():
        ours.mkdir(mode=0o700)

    def open_to_all():
        ours.mkdir(mode=0o700)
        os.chown(ours, NOBODY, NOBODY)
        os.chmod(ours, 0o755)

    def link():
        place_ = lab.path('elsewhere')
        place_.mkdir(mode=0o700)
        os.chown(place_, NOBODY, NOBODY)
        ours.symlink_to(place_)

    for make in (of_root, open_to_all, link):
        refused(make)
    p = lab.start(command, env)
    p.wait_line(r'^([A-Za-z0-9_-]{100,})$', stream='out', timeout=20)
    private_tree(ours, {NOBODY})
    f.leave(p)
    l.until(lambda: f.expect([name for _, name, _ in l.processes().values()
                              if name == 'derptund' and not others()], [],
                             'daemons'), 12, 'idle exit')


def others():
    """Daemons of other tests on this machine are not ours to count."""
    mine = os.stat('/proc/self/ns/net').st_ino
    for pid, (_, name, _) in l.processes().items():
        try:
            if name == 'derptund' and \
                    os.stat(f'/proc/{pid}/ns/net').st_ino == mine:
                return False
        except OSError:
            pass
    return True


def foreign_user(lab, relay):
    """A daemon for one user refuses another at the door, or his wishes."""
    a = f.Daemon(lab, 'a', relay)
    offer, _ = a.share('127.0.0.1:9')
    done = subprocess.run(
        ['setpriv', '--reuid', '12345', '--regid', '12345', '--clear-groups',
         '--', sys.executable, '-c', 'import socket,sys;'
         's=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1])',
         str(a.socket)], stderr=subprocess.PIPE, check=False, timeout=10)
    f.expect_in(b'PermissionError', done.stderr, 'connect of another user')
    time.sleep(0.1)
    f.leave(offer)
    a.wait_idle()
    f.expect(a.process.stop(), 0, 'daemon')


ROWS = [
    ('15: secrets and modes', secrecy),
    ('16: programs where only root may go', unreadable_place),
    ('17: a user who is not root', no_root),
    ('17: without a runtime folder', no_runtime_folder),
    ('17: the socket of another user', foreign_user),
]

if __name__ == '__main__':
    sys.exit(f.main(ROWS, sys.argv))
