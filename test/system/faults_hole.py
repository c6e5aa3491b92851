#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors that nobody can close: their file system does not answer.

usage: faults_hole.py BUILD_FOLDER [ROW-PATTERN]
       faults_hole.py hold UID SOCKET WAY PATH

A user with a file system of his own (fuse_hole.py) gives the daemon its files
in every way there is; nobody else may notice.  Whoever holds such a file cannot
end before the file system does, so those are processes of their own.
"""
import ctypes
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time

import faults_lib as f
from faults_lib import l

CLONE_NEWNS = 0x20000
PR_SET_PDEATHSIG = 1
LINGER = 1000  # seconds, far more than the test has
PROMPT = 8     # seconds, for what takes milliseconds
MAX_THREADS = 4  # daemon/closer.h, CLOSER_MAX_THREADS
FIRST_UID = 12345
BUSY = -32003


# The holder ------------------------------------------------------------------

def say(**what):
    print(json.dumps(what), flush=True)


def rpc_to(path):
    rpc = f.Rpc(path)
    rpc.line()
    return rpc


def raw(rpc, data, fds):
    socket.send_fds(rpc.sock, [data], fds)


def many(rpc, fd):
    for count in (4, 5, 253):
        other = rpc_to(rpc.path)
        raw(other, b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\n',
            [fd] * count)
        try:
            other.line()
        except OSError:
            pass


def queued(rpc, fd):
    for _ in range(3):
        try:
            raw(rpc, b' ', [fd] * 3)
        except OSError:
            break


def gone(rpc, fd):
    for data in (b'{"half', b'{"jsonrpc":"2.0","id":1,"method":"x"}\n', b' '):
        other = rpc_to(rpc.path)
        raw(other, data, [fd])
        other.close()


def backlog(rpc, fd):
    """More connections than a user may have, and each brings one."""
    rpc.more = []
    for _ in range(40):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(rpc.path)
            socket.send_fds(sock, [b' '], [fd])
        except OSError:
            pass
        rpc.more.append(sock)


def transfer(rpc, fd):
    return rpc.call('endpoint.transfer', {
        'direction': 'send', 'positioned': True, 'size': 8192, 'relay':
        {'server': os.environ['DERPHOLE_DERP_SERVER'], 'ca_fd': 0}},
        [f.sealed(os.environ['SSL_CERT_FILE']), fd])


def dialled(rpc, fd):
    """Answers every `dial` with the file."""
    got = rpc.call('endpoint.share', {'target': 'h:1', 'relay': {
        'server': os.environ['DERPHOLE_DERP_SERVER'], 'ca_fd': 0}},
        [f.sealed(os.environ['SSL_CERT_FILE'])])
    say(token=got['token'])
    while (message := rpc.line()) is not None:
        if message.get('method') == 'dial':
            raw(rpc, json.dumps({'jsonrpc': '2.0', 'id': message['id'],
                                 'result': {}, 'fds': 1}).encode() + b'\n',
                [fd])
            say(dialled=True)


def kept(rpc, fd):
    say(token=transfer(rpc, fd)['token'])


def dropped(rpc, fd):
    transfer(rpc, fd)
    rpc.close()


def request(method, **params):
    return lambda rpc, fd: say(
        answer=rpc.answer(rpc.send(method, params, [fd])))


WAYS = {
    'nothing at all': lambda rpc, fd: say(
        answer=rpc.answer(rpc.send('daemon.status'))),
    'an unknown method': request('no.such'),
    'a method that takes none': request('daemon.status'),
    'too many': many,
    'no line': lambda rpc, fd: raw(rpc, b'junk\n', [fd]),
    'lines not come yet': queued,
    'connections left': gone,
    'connections refused': backlog,
    'a notification': lambda rpc, fd: raw(
        rpc, b'{"jsonrpc":"2.0","method":"x","fds":1}\n', [fd]),
    'an answer to nothing': lambda rpc, fd: raw(
        rpc, b'{"jsonrpc":"2.0","id":7,"result":{},"fds":1}\n', [fd]),
    'a bad token': request('session.connect', token='DT1bad'),
    'a CA file': request('endpoint.share', target='h:1', relay={'ca_fd': 0}),
    'a listener': request('session.listen', session=1),
    'a source that waits': kept,
    'a source given up': dropped,
    'a dialled connection': dialled,
}


def lingering():
    """A TCP socket: close() waits for a peer that does not read."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        conn = socket.create_connection(server.getsockname())
        peer = server.accept()[0]
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack('ii', 1, LINGER))
    conn.setblocking(False)
    try:
        while conn.send(bytes(65536)):
            pass
    except BlockingIOError:
        pass
    return conn.detach(), peer


def leave_last(path, way, fd):
    """The daemon will have the last copy; or it will be in a connection that
    the daemon gives up after the first of several reads."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    sock.sendall(b'junk\n' + bytes(40000 if way == 'unread' else 0))
    sock.sendmsg([b' '], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                           struct.pack('i', fd))],
                 socket.MSG_OOB if way == 'urgent' else 0)
    os.close(fd)
    return sock


def hold(uid, path, way, name):
    os.setresgid(0, 0, 0)
    os.setresuid(uid, uid, uid)
    # Becoming another user undid it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if way in ('unread', 'read', 'urgent'):
        if name == 'linger':
            fd, keep = lingering()
        else:
            fd, keep = os.open(name, os.O_RDWR), os.open(name, os.O_RDWR)
        sock = leave_last(path, way, fd)
        if name != 'linger':
            # With a cache for writing, releasing it waits, too.
            os.pwrite(keep, b'dirty', 0)
        keep = keep, sock
    else:
        fd = keep = os.open(name, os.O_RDWR)
        rpc = rpc_to(path)
        rpc.path = path
        WAYS[way](rpc, fd)
    say(done=True)
    time.sleep(3600)
    return keep  # until then


# The test --------------------------------------------------------------------

class Hole:
    """A mounted file system that does not answer."""

    def __init__(self, lab, *words):
        self.folder = lab.path('hole')
        self.folder.mkdir(exist_ok=True)
        self.lab = lab
        self.process = lab.start(
            [sys.executable, pathlib.Path(__file__).with_name('fuse_hole.py'),
             self.folder, *words], dict(os.environ))
        self.process.wait_line('^mounted$', stream='out', timeout=10)

    def end(self):
        """All that waited for it fails now."""
        self.process.proc.kill()
        self.process.proc.wait(10)
        subprocess.run(['umount', '-l', str(self.folder)], check=False)


class Held:
    """Somebody who holds a file, and gave it to the daemon."""

    def __init__(self, lab, d, uid, way, name):
        self.process = lab.start(
            [sys.executable, __file__, 'hold', uid, d.socket, way, name],
            {**d.env, 'PYTHONDONTWRITEBYTECODE': '1'})

    def said(self, key, timeout=15):
        m = self.process.wait_line(rf'^(.*"{key}": .*)$', stream='out',
                                   timeout=timeout)
        return json.loads(m.group(1))[key]


def system_daemon(lab, relay):
    return f.Daemon(lab, 'a', relay, args=('-v', '--system'))


def waits_of(d):
    """Where in the kernel its threads are."""
    return [(task / 'wchan').read_text(encoding='ascii')
            for task in pathlib.Path(f'/proc/{d.pid}/task').iterdir()]


def threads_of(d):
    return len(os.listdir(f'/proc/{d.pid}/task'))


def check_status(d, what):
    start = time.monotonic()
    try:
        with f.Rpc(d.socket, timeout=PROMPT) as rpc:
            rpc.call('daemon.status')
    except (OSError, AssertionError) as e:
        raise AssertionError(f'{what}: the daemon does not answer: {e}') from e
    took = time.monotonic() - start
    if took > PROMPT:
        raise AssertionError(f'{what}: an answer took {took:.1f} s')


def all_ways(lab, relay):
    """While files are held in every way, all others are served."""
    a, b = system_daemon(lab, relay), f.Daemon(lab, 'b', relay)
    service = f.Service()
    offer, token = a.share(service.address)
    use, address = b.open(token)
    hole = Hole(lab)
    try:
        for n, (way, _) in enumerate(WAYS.items()):
            name = hole.folder / 'FLUSH.GETATTR.LSEEK.READ'
            held = Held(lab, a, FIRST_UID + n, way, name)
            if way == 'a dialled connection':
                caller, local = b.open(held.said('token'))
                with l.connect(local):
                    held.said('dialled')
                caller.stop()
            else:
                held.said('done')
            check_status(a, way)
            l.exchange(address, f.KIB, f.KIB)
        started = time.monotonic()
        more, another = a.share(service.address)
        opened, where = b.open(another)
        l.exchange(where, f.MIB, f.MIB)
        took = time.monotonic() - started
        count = threads_of(a)
        l.until(lambda: must_be_born(a), PROMPT, 'worker')
    finally:
        hole.end()
    f.leave(opened, more, use, offer)
    wait_alone(a)
    service.close()
    f.expect(a.process.stop(), 0, 'daemon a')
    f.expect(b.process.stop(), 0, 'daemon b')
    return f'{len(WAYS)} ways, {count} threads; a tunnel took {took:.1f} s'


def must_be_born(d):
    """No worker waits for others' files on its way to exec."""
    table = l.processes()
    names = [table[p][1] for p in l.family(d.pid, table) if p != d.pid]
    if 'derptund' in names:
        raise AssertionError(f'a worker never got to its program: {names}')


def refusal(lab, d, uid, name, way='an unknown method'):
    """What the daemon answers to one more descriptor."""
    return Held(lab, d, uid, way, name).said('answer')


def fair(lab, relay):
    """A user whose files hang is refused, until they do not any more."""
    a = system_daemon(lab, relay)
    hole = Hole(lab)
    plain = lab.path('plain')
    plain.write_bytes(b'x')
    plain.chmod(0o666)
    try:
        name = hole.folder / 'FLUSH'
        for _ in range(MAX_THREADS):
            answer = refusal(lab, a, FIRST_UID, name)
            f.expect(answer['error']['code'], -32601, 'with room')

        def refused():
            answer = refusal(lab, a, FIRST_UID, plain)
            f.expect(answer['error']['code'], BUSY, 'without room')
            return answer['error']['message']
        text = l.until(refused, 10, 'a user whose files hang')
        f.expect_in('does not answer', text, 'the reason')
        answer = refusal(lab, a, FIRST_UID, plain, 'nothing at all')
        f.expect('result' in answer, True, 'what needs no descriptor')
        answer = refusal(lab, a, FIRST_UID + 1, plain)
        f.expect(answer['error']['code'], -32601, 'another user')
        check_status(a, 'afterwards')
        f.expect(threads_of(a) - 1 >= MAX_THREADS, True, 'threads')
    finally:
        hole.end()

    def served():
        answer = refusal(lab, a, FIRST_UID, plain)
        f.expect(answer['error']['code'], -32601, 'the file system ended')
    l.until(served, 10, 'the user again')
    f.expect(a.process.stop(), 0, 'daemon')


def last_ones(lab, relay):
    """What waits when the last copy goes: TCP sockets that linger, and files
    with something to write, even in sockets."""
    a = system_daemon(lab, relay)
    hole = Hole(lab, 'writeback')
    held = []
    try:
        for n, (count, way, name) in enumerate((
                # Being stopped ends the wait of the one before.
                (1, 'urgent', 'linger'),
                (1, 'read', hole.folder / 'WRITE.0'),
                (2, 'unread', hole.folder / 'WRITE.1'),
                (3, 'read', 'linger'),
                (3, 'unread', 'linger'))):
            # It finds all of it at once.
            a.process.proc.send_signal(signal.SIGSTOP)
            held.append(Held(lab, a, FIRST_UID + n, way, name))
            held[-1].said('done')
            a.process.proc.send_signal(signal.SIGCONT)
            check_status(a, f'{way} {name}')
            must_hang(a, count)
            check_status(a, f'{way} {name}, that hangs')
    finally:
        hole.end()
    for h in held:
        h.process.proc.kill()
    wait_alone(a)
    f.expect(a.process.stop(), 0, 'daemon')


def must_hang(d, count):
    """The test tests something."""
    def check():
        busy = [w for w in waits_of(d) if 'epoll' not in w and
                'futex' not in w]
        f.expect(len(busy) >= count, True, f'{count} in {busy}')
    l.until(check, 3, 'descriptors hang')


def wait_alone(d):
    def alone():
        f.expect(threads_of(d), 1, 'threads of the daemon')
    l.until(alone, 10, 'all is closed')


def stop(lab, relay):
    """It ends as far as the kernel lets it, and keeps nobody waiting."""
    a, b = system_daemon(lab, relay), f.Daemon(lab, 'b', relay)
    hole = Hole(lab)
    try:
        Held(lab, a, FIRST_UID, 'an unknown method',
             hole.folder / 'FLUSH').said('done')
        source = Held(lab, a, FIRST_UID + 1, 'a source that waits',
                      hole.folder / 'READ.FLUSH')
        sink = b.cli('derphole', 'receive', source.said('token'), '-o',
                     lab.path('got'))

        # Its worker waits for the source, and no signal will end that.
        b.log_has('fell silent', 30)
        check_status(a, 'a worker that waits')
        started = time.monotonic()
        a.process.proc.terminate()

        def ended():
            f.expect(l.has_ended(a.pid), True, 'the daemon has ended')
        l.until(ended, 10, 'the daemon')
        took = time.monotonic() - started
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(a.socket))
                raise AssertionError('its socket is still there')
            except (FileNotFoundError, ConnectionRefusedError):
                pass
        a.start()  # another one is not in its way
        check_status(a, 'the next daemon')
    finally:
        hole.end()
    sink.stop()
    for p in lab.processes:
        if p.proc.args[0].endswith('derptund') and p is not a.process and \
                p is not b.process:
            f.expect(f.wait_exit(p, 10), 0, 'status of the stuck one')
    f.expect(a.process.stop(), 0, 'daemon a')
    f.expect(b.process.stop(), 0, 'daemon b')
    return f'{took:.1f} s until the main thread had ended'


ROWS = [
    ('18: every way to give a descriptor', all_ways),
    ('18: one user is refused, not all', fair),
    ('18: last copies', last_ones),
    ('18: the end', stop),
]


def main(argv):
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if os.geteuid() != 0:
            raise l.Skip('needs root to mount')
        try:
            os.close(os.open('/dev/fuse', os.O_RDWR))
        except OSError as e:
            raise l.Skip(f'/dev/fuse: {e.strerror}') from e
        if libc.unshare(CLONE_NEWNS) != 0:
            raise l.Skip('cannot make a mount namespace')
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)
    except l.Skip as e:
        tap = l.Tap()
        tap.skip('all rows', e)
        return tap.done()
    return f.main(ROWS, argv)


if __name__ == '__main__':
    if sys.argv[1] == 'hold':
        hold(int(sys.argv[2]), *sys.argv[3:])
    else:
        sys.exit(main(sys.argv))
