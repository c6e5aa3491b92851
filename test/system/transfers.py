#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transfers between our own programs: pipes, files and folders as users have
them, and what happens when something is in the way.

usage: transfers.py BUILD_FOLDER [ROW-PATTERN]
"""
import contextlib
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import faults_lib as fl
import transfers_lib as t
import xfer as x
from faults_lib import l
from transfers_lib import (FAILED, INTERRUPTED, LOCAL_IO, MIB, REJECTED,
                           REMOTE_IO, SOON, TIME)

KIB = 1 << 10
# Heap and stack of one process, more than before a transfer.
FLAT = 24 * MIB
SMALL_FILES = 3000


# What works ------------------------------------------------------------------

def tar_pipe(p):
    """tar c | pipe, listen | tar x."""
    count = int(os.environ.get('TRANSFERS_SMALL_FILES', SMALL_FILES))
    for n in range(count):
        path = p.source / str(n % 50) / str(n)
        if n < 50:
            path.parent.mkdir()
        path.write_bytes(b'%d' % n)
    unpack = subprocess.Popen(['tar', 'x', '-C', p.target],
                              stdin=subprocess.PIPE)
    receiver, token = p.b.listen(unpack.stdin)
    unpack.stdin.close()
    with subprocess.Popen(['tar', 'c', '-C', p.source, '.'],
                          stdout=subprocess.PIPE) as pack:
        sender = p.a.pipe(token, pack.stdout)
        pack.stdout.close()
        x.both_ended(sender, receiver, 10 * TIME)
    fl.expect(unpack.wait(TIME), 0, 'tar')
    x.compare_trees(p.source, p.target, False)
    return f'{count} files'


class Memory:
    """The most that any process of ours holds, while something runs."""

    def __init__(self, p, *programs):
        self.most = {}
        self._over = threading.Event()
        self._args = p.daemons, programs
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        daemons, programs = self._args
        while not self._over.wait(0.2):
            table = l.processes()
            pids = {q.proc.pid for q in programs}
            for d in daemons:
                pids |= l.family(d.pid, table)
            for pid in pids:
                try:
                    rss = fl.rss_of(pid)
                except (OSError, ValueError):
                    continue
                first, most = self.most.get(pid, (rss, rss))
                self.most[pid] = first, max(most, rss)

    def end(self):
        self._over.set()
        self._thread.join()
        most = max((m for _, m in self.most.values()), default=0)
        if most > FLAT:
            raise AssertionError(f'a process held {most / MIB:.1f} MiB')
        return f'most memory of a process {most / MIB:.1f} MiB'


def slow_reader(p):
    """Nothing is lost and nobody gives up, longer than 10 s behind a pipe."""
    size = 13 * MIB
    p.make('data', size)
    r, w = os.pipe()
    receiver, token = p.b.listen(w)
    os.close(w)
    with open(p.source / 'data', 'rb') as data:
        with subprocess.Popen(['cat'], stdin=data,
                              stdout=subprocess.PIPE) as cat:
            sender = p.a.pipe(token, cat.stdout)
            cat.stdout.close()
            memory = Memory(p, sender, receiver)
            got = t.copy_slowly(r, None, 1000000)
            x.both_ended(sender, receiver, TIME)
    os.close(r)
    if got != (p.source / 'data').read_bytes():
        raise AssertionError(f'{len(got)} of {size} bytes, or others')
    return memory.end()


def slow_writer(p):
    """A source that says something now and then."""
    def first():
        fl.expect((p.target / 'data').stat().st_size >= 2, True, 'they came')

    r, w = os.pipe()
    with open(p.target / 'data', 'wb') as out:
        receiver, token = p.b.listen(out)
        sender = p.a.pipe(token, r)
        os.close(r)
        for n in range(12):
            os.write(w, b'%d\n' % n)
            time.sleep(1)
            if n == 2:
                l.until(first, TIME, 'the first bytes')
        os.close(w)
        x.both_ended(sender, receiver, TIME)
    fl.expect((p.target / 'data').read_text(),
              ''.join(f'{n}\n' for n in range(12)), 'data')


def silent_writer(p):
    """Nothing at all for longer than any idle timeout."""
    r, w = os.pipe()
    with open(p.target / 'data', 'wb') as out:
        receiver, token = p.b.listen(out)
        sender = p.a.pipe(token, r)
        os.close(r)
        time.sleep(35)
        fl.must_live(sender, receiver)
        os.write(w, b'late')
        os.close(w)
        x.both_ended(sender, receiver, TIME)
    fl.expect((p.target / 'data').read_text(), 'late', 'data')


def appending(p):
    """listen >> file, and the rest of a file that somebody has begun."""
    (p.target / 'log').write_text('before ')
    (p.source / 'data').write_text('skipped text')
    with open(p.target / 'log', 'ab') as out:
        receiver, token = p.b.listen(out)
        fd = os.open(p.source / 'data', os.O_RDONLY)
        os.lseek(fd, 8, os.SEEK_SET)
        sender = p.a.pipe(token, fd)
        x.both_ended(sender, receiver, TIME)
        fl.expect(os.lseek(fd, 0, os.SEEK_CUR), 12, "the reader's offset")
        os.close(fd)
    fl.expect((p.target / 'log').read_text(), 'before text', 'log')


def offsets(p):
    """listen 1<> file: written where the offset is, and ends there."""
    (p.target / 'data').write_text('0123456789abcdef')
    (p.source / 'data').write_text('XYZ')
    fd = os.open(p.target / 'data', os.O_WRONLY)
    os.lseek(fd, 4, os.SEEK_SET)
    receiver, token = p.b.listen(fd)
    with open(p.source / 'data', 'rb') as data:
        sender = p.a.pipe(token, data)
        x.both_ended(sender, receiver, TIME)
    fl.expect(os.lseek(fd, 0, os.SEEK_CUR), 7, "the writer's offset")
    os.close(fd)
    fl.expect((p.target / 'data').read_text(), '0123XYZ', 'data')


def file_targets(p):
    """Where a file goes."""
    digest = p.make('f.bin', 300000)
    p.file('f.bin')
    t.check(p.target / 'f.bin', digest)
    t.check_mode(p.target / 'f.bin', 0o644)
    (p.target / 'folder').mkdir()
    p.file('f.bin', '-o', 'folder')
    t.check(p.target / 'folder' / 'f.bin', digest)
    p.file('f.bin', '-o', 'new/parents/name')
    t.check(p.target / 'new' / 'parents' / 'name', digest)
    (p.target / 'old').write_text('old')
    (p.target / 'old').chmod(0o600)
    p.file('f.bin', '-o', 'old')
    t.check(p.target / 'old', digest)
    t.check_mode(p.target / 'old', 0o600)
    (p.target / 'link').symlink_to('folder/linked')
    (p.target / 'folder' / 'linked').write_text('old')
    p.file('f.bin', '-o', 'link')
    t.check(p.target / 'folder' / 'linked', digest)
    if not (p.target / 'link').is_symlink():
        raise AssertionError('the link was replaced')
    x.leftovers(p.target, {'f.bin', 'folder', 'new', 'old', 'link'})
    x.leftovers(p.target / 'folder', {'f.bin', 'linked'})


def existing(p):
    """A name of the peer's replaces nothing, whatever it is."""
    p.make('f.bin', 100000)
    target = p.target / 'f.bin'
    target.write_text('mine')
    sender, receiver = p.file('f.bin', want=(REMOTE_IO, LOCAL_IO))
    fl.expect(target.read_text(), 'mine', 'the file that was there')
    if 'exists' not in t.said(receiver).lower():
        raise AssertionError(f'no reason: {t.said(receiver)}')
    if 'exists' not in t.said(sender).lower():
        raise AssertionError(f'no reason at the sender: {t.said(sender)}')
    target.unlink()
    target.symlink_to('../outside')
    p.file('f.bin', want=(REMOTE_IO, LOCAL_IO))
    if (p.target.parent / 'outside').exists():
        raise AssertionError('written through a link')
    target.unlink()
    target.mkdir()
    p.file('f.bin', want=(REMOTE_IO, LOCAL_IO))
    x.leftovers(p.target, {'f.bin'})
    x.leftovers(target)


def empty(p):
    """Nothing, in every way."""
    digest = p.make('f', 0)
    p.file('f')
    t.check(p.target / 'f', digest)
    (p.source / 'd').mkdir()
    sender, token = p.send(p.source / 'd')
    x.both_ended(sender, p.receive(token), TIME)
    x.leftovers(p.target / 'd')
    sender, token = p.send(stdin=subprocess.DEVNULL)
    with open(p.target / 'text', 'wb') as out:
        x.both_ended(sender, p.receive(token, stdout=out), TIME)
    fl.expect((p.target / 'text').stat().st_size, 0, 'text')
    with open(p.target / 'text', 'wb') as out:
        receiver, token = p.b.listen(out)
        sender = p.a.pipe(token, subprocess.DEVNULL)
        x.both_ended(sender, receiver, TIME)


def texts(p):
    """Unchanged, with no newline added; longer than a file name may be."""
    for text in ('x', 'no newline', 'a\nb\n', '\u00e9\u4e2d', 'n' * 256,
                 'long ' * 20000, 'a/b/c' * 1000):
        sender, token = p.send(text)
        with open(p.target / 'text', 'wb') as out:
            x.both_ended(sender, p.receive(token, stdout=out), TIME)
        fl.expect((p.target / 'text').read_bytes(), text.encode(), 'text')
    x.leftovers(p.target, {'text'})


def folders(p):
    """Modes and times, below an unreadable one too; kinds left out."""
    top = p.source / 'tree'
    x.make_tree(top, 3 * MIB)
    (top / 'closed').mkdir()
    (top / 'closed' / 'file').write_text('x')
    (top / 'closed').chmod(0o555)
    os.utime(top / 'closed', (1400000000, 1400000000))
    sender, token = p.send(top)
    receiver = p.receive(token)
    x.both_ended(sender, receiver, TIME)
    x.compare_trees(top, p.target / 'tree', True)
    for name in ('closed', 'no files'):
        a, b = ((base / name).stat().st_mtime for base in (
            top, p.target / 'tree'))
        fl.expect(int(b), int(a), f'time of {name}')
    said_first = receiver.lines['err'][:2]
    fl.expect_in('Receiving directory', said_first[0], 'summary')
    if not re.fullmatch(r'\d+ files, \S+ \(uncompressed\)', said_first[1]):
        raise AssertionError(f'not announced: {said_first}')
    fl.expect(len(receiver.lines['err']), 2, 'lines')
    sender, token = p.send(top)
    x.both_ended(sender, p.receive(token, '-o', 'elsewhere'), TIME)
    x.compare_trees(top, p.target / 'elsewhere', True)
    sender, token = p.send(top)
    x.both_ended(sender, p.receive(token), TIME, (REMOTE_IO, LOCAL_IO))
    x.leftovers(p.target, {'tree', 'elsewhere'})


def folder_oddities(p):
    """What a folder may hold besides files."""
    top = p.source / 'tree'
    top.mkdir()
    (top / 'file').write_text('x')
    os.mkfifo(top / 'fifo')
    sender, token = p.send(top)
    x.both_ended(sender, p.receive(token), TIME)
    fl.expect_in('fifo', t.said(sender), 'what was left out')
    x.leftovers(p.target / 'tree', {'file'})
    (top / 'link').symlink_to('file')
    sender = p.a.start('send', top)
    x.ended(sender, TIME, FAILED)
    fl.expect_in('link', t.said(sender), 'what is refused')
    # By its real name, whatever was typed.
    (top / 'link').unlink()
    shutil.rmtree(p.target / 'tree')
    sender, token = p.send('.', cwd=top)
    x.both_ended(sender, p.receive(token), TIME)
    x.leftovers(p.target, {'tree'})


def folder_changes(p):
    """A folder that is another one by the time it is sent."""
    top = p.source / 'tree'
    later = top / 'later'  # than the pipe between packer and worker is long
    later.mkdir(parents=True)
    x.make_file(top / 'big', 3 * MIB)
    for n in range(3):
        (later / f'{n}').write_text('12345')
    for change, want in ((lambda: (later / 'new').write_text('x' * 5000),
                          '5 files, 3.0MiB'),
                         ((later / '0').unlink, '4 files, 3.0MiB'),
                         (lambda: (later / '1').write_text('x' * 2 * MIB),
                          '4 files, 5.0MiB')):
        sender, token = p.send(top)
        change()
        receiver = p.receive(token)
        x.both_ended(sender, receiver, TIME)
        x.compare_trees(top, p.target / 'tree', True)
        for q in (sender, receiver):
            fl.expect_in(f'{want} (uncompressed)', q.lines['err'][-1], 'word')
        shutil.rmtree(p.target / 'tree')


def strange_names(p):
    """No name of a file reaches the terminal as it is."""
    name = 'a\x1b[31mb\nc\u202ed'
    digest = p.make(name, 10)
    sender, receiver = p.file(name)
    for text in (t.said(sender), t.said(receiver)):
        if '\x1b' in text or '\u202e' in text:
            raise AssertionError(f'escapes came through: {text!r}')
    got = os.listdir(p.target)
    if len(got) != 1 or re.search('[\x00-\x1f\u202e]', got[0]):
        raise AssertionError(f'arrived as {got}')
    t.check(p.target / got[0], digest)
    (p.target / got[0]).unlink()
    name = 'n' * 255
    digest = p.make(name, 10)
    p.file(name)
    t.check(p.target / name, digest)


def holes(p):
    """A file of 5 GiB that is mostly holes stays one."""
    path = p.source / 'sparse'
    is_slow = l.is_sanitized(p.daemons[0].pid)
    size = (90 * MIB if is_slow else 5 * KIB * MIB) + 12345
    parts = {0: b'first', 40 * MIB - 3: b'middle', size - 70 * KIB: b'last'}
    with open(path, 'wb') as f:
        for offset, data in parts.items():
            f.seek(offset)
            f.write(data)
        f.truncate(size)
    sender, token = p.send(path)
    receiver = p.receive(token)
    x.both_ended(sender, receiver, 4 * TIME)
    got = p.target / 'sparse'
    fl.expect(got.stat().st_size, size, 'size')
    for offset, data in parts.items():
        with open(got, 'rb') as f:
            f.seek(max(0, offset - 4096))
            want = bytes(min(offset, 4096)) + data
            fl.expect(f.read(len(want) + 4096),
                      (want + bytes(4096))[:size - max(0, offset - 4096)],
                      f'bytes at {offset}')
    if got.stat().st_blocks * 512 > 2 * MIB:
        raise AssertionError(f'{got.stat().st_blocks // 2} KiB on disk')
    # The whole of it, without the holes being read twice.
    subprocess.run(['cmp', path, got], check=True)
    got.unlink()
    # All zeros, and zeros at the end.
    for name, data in (('zeros', bytes(700 * KIB)),
                       ('tail', b'x' * 70 * KIB + bytes(500 * KIB))):
        (p.source / name).write_bytes(data)
        p.file(name)
        fl.expect((p.target / name).read_bytes(), data, name)
    return f'{size} bytes'


# What is in the way ----------------------------------------------------------

def full_disk(p):
    """Known before anything is sent, or found out in the middle."""
    p.make('f', 3 * MIB)
    with t.mounted(p.target, 'size=1m'):
        _, receiver = p.file('f', want=(REMOTE_IO, LOCAL_IO))
        fl.expect_in('space', t.said(receiver), 'reason')
        x.leftovers(p.target)
    (p.source / 'd').mkdir()
    for n in range(30):
        x.make_file(p.source / 'd' / str(n), 100000)
    with t.mounted(p.target, 'size=1m'):
        sender, token = p.send(p.source / 'd')
        receiver = p.receive(token)
        x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))
        fl.expect_in('space', t.said(receiver), 'reason')
        fl.expect_in('space', t.said(sender), 'reason at the sender')
        x.leftovers(p.target)
    with t.mounted(p.target, 'size=1m'):
        with open(p.target / 'out', 'wb') as out, \
                open(p.source / 'f', 'rb') as data:
            receiver, token = p.b.listen(out)
            sender = p.a.pipe(token, data)
            x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))
            fl.expect_in('space', t.said(sender), 'reason at the sender')
    with open('/dev/full', 'wb') as out, open(p.source / 'f', 'rb') as data:
        receiver, token = p.b.listen(out)
        sender = p.a.pipe(token, data)
        x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))


def no_quota(p):
    """More than the user may have."""
    if shutil.which('strace') is None:
        raise l.Skip('strace is not installed')
    inject = ('strace', '-f', '-qq', '-o', '/dev/null', '-e',
              'trace=fallocate', '-e', 'inject=fallocate:error=EDQUOT',
              # Leaks cannot be looked for by two tracers.
              '-E', 'ASAN_OPTIONS=detect_leaks=0')
    p.make('f', 3 * MIB)
    sender, token = p.send(p.source / 'f')
    receiver = p.receive(token, prefix=inject)
    x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))
    for q in (sender, receiver):
        fl.expect_in('quota', t.said(q).lower(), 'reason')
    x.leftovers(p.target)


def read_only(p):
    """A target that cannot be written to."""
    p.make('f', 100000)
    with t.mounted(p.target, 'ro'):
        _, receiver = p.file('f', want=(REMOTE_IO, LOCAL_IO))
        fl.expect_in('ead-only', t.said(receiver), 'reason')
    (p.target / 'file').write_text('mine')
    p.file('f', '-o', 'file/below', want=(REMOTE_IO, LOCAL_IO))
    p.file('f', '-o', 'nothing/', want=(REMOTE_IO, LOCAL_IO))
    x.leftovers(p.target, {'file'})


def source_changes(p):
    """A file that is cut, or grows, while it is sent."""
    path = p.source / 'f'
    p.make('f', 30 * MIB)
    r, w = os.pipe()
    # Held up at the receiver, so that the rest has not been read.
    sender, token = p.send(path)
    receiver = p.receive(token, '-o', f'/dev/fd/{w}', pass_fds=[w])
    os.close(w)
    os.read(r, 1000)
    os.truncate(path, 10 * MIB)
    copy = threading.Thread(target=t.drain, args=(r,))
    copy.start()
    x.both_ended(sender, receiver, TIME, (LOCAL_IO, REMOTE_IO))
    copy.join()
    os.close(r)


def being_read(path):
    """Some process has read a part of the file."""
    for fd in pathlib.Path('/proc').glob('[0-9]*/fd/*'):
        with contextlib.suppress(OSError):
            info = fd.parents[1] / 'fdinfo' / fd.name
            if fd.samefile(path) and not re.search(r'pos:\s*0$',
                                                   info.read_text(), re.M):
                return
    raise AssertionError(f'nobody reads {path}')


def folder_shrinks(p):
    """A file of a folder that is cut while it is sent: no zeros in its place."""
    top = p.source / 'tree'
    top.mkdir()
    x.make_file(top / 'big', 30 * MIB)
    sender, token = p.send(top)
    # Once the packer reads, the length stands in the archive; the pipe it
    # writes to is shorter than what stays of the file.
    l.until(lambda: being_read(top / 'big'), TIME, 'the packer')
    os.truncate(top / 'big', 10 * MIB)
    receiver = p.receive(token)
    x.both_ended(sender, receiver, TIME, (LOCAL_IO, REMOTE_IO))
    fl.expect_in('big', t.said(sender), 'which file')
    x.leftovers(p.target)


def vanished(p):
    """A source that is gone before anybody came."""
    p.make('f', 3 * MIB)
    sender, token = p.send(p.source / 'f')
    (p.source / 'f').unlink()  # it is open: what was announced is sent
    x.both_ended(sender, p.receive(token), TIME)
    fl.expect((p.target / 'f').stat().st_size, 3 * MIB, 'size')
    (p.target / 'f').unlink()
    p.make('f', 3 * MIB)
    sender, token = p.send(p.source / 'f')
    os.truncate(p.source / 'f', 0)
    x.both_ended(sender, p.receive(token), TIME, (LOCAL_IO, REMOTE_IO))
    x.leftovers(p.target)


def odd_sources(p):
    """What is no file is sent as what comes out of it, or refused."""
    os.mkfifo(p.source / 'fifo')

    def write():
        with open(p.source / 'fifo', 'wb') as f:
            f.write(b'x' * 300000)

    thread = threading.Thread(target=write)
    thread.start()
    sender, token = p.send(p.source / 'fifo')
    x.both_ended(sender, p.receive(token), TIME)
    thread.join()
    fl.expect((p.target / 'fifo').read_bytes(), b'x' * 300000, 'fifo')
    if os.geteuid() != 0:
        (p.source / 'secret').write_text('x')
        (p.source / 'secret').chmod(0)
        sender = p.a.start('send', p.source / 'secret')
        x.ended(sender, TIME, LOCAL_IO)


def broken_pipe(p):
    """listen | head."""
    p.make('f', 20 * MIB)
    with subprocess.Popen(['head', '-c', '10'], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as head:
        receiver, token = p.b.listen(head.stdin)
        head.stdin.close()
        with open(p.source / 'f', 'rb') as data:
            sender = p.a.pipe(token, data)
            x.both_ended(sender, receiver, TIME, (REMOTE_IO, LOCAL_IO))


def second_claimant(p):
    """One token, one transfer."""
    with t.held(p, 'fifo') as (sender, receiver):
        token = re.search(r'receive (\S{100,})', t.said(sender)).group(1)
        other = p.receive(token, '-o', 'second')
        x.ended(other, TIME, REJECTED)
        fl.must_live(sender, receiver)
        receiver.proc.send_signal(signal.SIGINT)
        x.both_ended(sender, receiver, SOON, (REMOTE_IO, INTERRUPTED))
    x.leftovers(p.target)


def wrong_kinds(p):
    """A token where it does not belong, and a used one."""
    p.make('f', 10)
    sender, token = p.send(p.source / 'f')
    q = p.b.pipe(token, subprocess.DEVNULL)
    x.ended(q, TIME, None)
    if q.proc.returncode == 0:
        raise AssertionError('pipe to a send token')
    listener, token2 = p.a.listen(subprocess.DEVNULL)
    q = p.receive(token2)
    x.ended(q, TIME, None)
    fl.expect_in('this code expects `derphole send`', t.said(q), 'hint')
    listener.stop()
    fl.must_live(sender)
    x.both_ended(sender, p.receive(token), TIME)
    (p.target / 'f').unlink()
    q = p.receive(token)
    status = x.ended(q, 70, None)
    if status == 0:
        raise AssertionError('a token was used twice')
    x.leftovers(p.target)


def on_terminal(p, *args, **kwargs):
    """A program with stderr on a terminal: what it drew."""
    master, slave = pty.openpty()
    q = subprocess.Popen([p.derphole, *map(str, args)], env=p.env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=slave, start_new_session=True,
                         preexec_fn=take_terminal, **kwargs)
    os.close(slave)
    text = b''
    deadline = time.monotonic() + TIME
    while time.monotonic() < deadline:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        text += data
    os.close(master)
    return q.wait(TIME), text.decode()


def take_terminal():
    import fcntl
    import termios
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)


def progress(p):
    """Drawn on a terminal only, unless told not to; 100 % at the end."""
    p.make('f', 30 * MIB)
    sender, token = p.send(p.source / 'f')
    status, text = on_terminal(p.b, 'receive', token, cwd=p.target)
    fl.expect(status, 0, 'receive')
    x.ended(sender, TIME)
    fl.expect_in('100%|####################| 30.0MiB/30.0MiB [', text, 'bar')
    if '%|' in t.said(sender):
        raise AssertionError(f'a bar without a terminal: {t.said(sender)}')
    (p.target / 'f').unlink()
    sender, token = p.send(p.source / 'f')
    status, text = on_terminal(p.b, 'receive', token, '--hide-progress',
                               cwd=p.target)
    fl.expect(status, 0, 'receive')
    x.ended(sender, TIME)
    if '%|' in text:
        raise AssertionError(f'a hidden bar: {text}')
    fl.expect_in('Receiving file (30.0MiB) into: "f"', text, 'summary')


PIPE_BYTES = 64 * KIB


def progress_events(lines):
    events = [json.loads(t) for t in lines if t.startswith('{')]
    return [e for e in events if e.get('event') == 'progress']


def check_progress(events, size, is_sender):
    """Numbers that grow, never beyond the size, and end there."""
    fl.expect([e['final'] for e in events[:-1]], [False] * (len(events) - 1),
              'final, before the last')
    last = events[-1]
    fl.expect((last['final'], last['moved'], last['total']), (True, size, size),
              'the last')
    if is_sender:
        fl.expect(last['peer_written'], size, 'what the peer has')
    seen = {'moved': 0, 'peer_written': 0, 'peer_elapsed_ms': 0}
    for e in events:
        fl.expect(e['total'], size, 'total')
        for name, before in seen.items():
            if e[name] < before:
                raise AssertionError(f'{name} went back: {events}')
            seen[name] = e[name]
        if e['moved'] > size or e['peer_written'] > (
                e['moved'] if is_sender else size):
            raise AssertionError(f'more than there is: {e}')


def json_progress(p):
    """Progress for programs: bytes that the receiver has written."""
    size = 9 * MIB
    p.make('f', size)
    watchers = [fl.Rpc(d.socket) for d in p.daemons]
    for w in watchers:
        w.call('session.subscribe')
    r, w = os.pipe()
    sender = p.a.start('send', '--json', p.source / 'f')
    token = sender.wait_line('"token": ?"([^"]+)"', TIME, 'out').group(1)
    receiver = p.receive(token, '--json', '-o', f'/dev/fd/{w}', pass_fds=[w])
    os.close(w)
    got = 0
    while got < MIB:
        got += len(os.read(r, MIB - got))

    def reported():
        here = progress_events(receiver.lines['err'])
        there = progress_events(sender.lines['out'])
        fl.expect(bool(here and there), True, 'progress on both sides')
        moved = here[-1]['moved']
        if not got <= moved <= got + PIPE_BYTES:
            raise AssertionError(f'written: {moved}, but {got} were read')
        fl.expect(there[-1]['peer_written'], moved, 'written, at the sender')
        if there[-1]['moved'] <= moved:
            raise AssertionError(f'the sender is not ahead: {there[-1]}')

    time.sleep(2)  # the pipe is full; reports come twice a second
    l.until(reported, TIME, 'reports')
    thread = threading.Thread(target=t.drain, args=(r,))
    thread.start()
    x.both_ended(sender, receiver, TIME)
    thread.join()
    os.close(r)
    check_progress(progress_events(sender.lines['out']), size, True)
    check_progress(progress_events(receiver.lines['err']), size, False)
    for watcher, is_sender in zip(watchers, (True, False)):
        watcher.sock.settimeout(1)
        events = []
        with contextlib.suppress(TimeoutError):
            while (message := watcher.line()) is not None:
                events.append(message.get('params', {}))
        check_progress([e for e in events if e.get('event') == 'progress'],
                       size, is_sender)
        watcher.close()


def ssh_keys(p):
    """Invite and accept: asked, refused, twice."""
    key = p.source / 'id_ed25519'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'me',
                    '-f', key], check=True)
    pub = pathlib.Path(f'{key}.pub').read_text()
    keys = p.a.home / '.ssh' / 'authorized_keys'
    keys.parent.mkdir()
    keys.write_text('# no newline at the end')
    for answer, status in ((b'n\n', FAILED), (b'', FAILED), (b'YES\n', 0),
                           (b'y\n', 0)):
        inviter, token = p.a.invite()
        r, w = os.pipe()
        os.write(w, answer)
        os.close(w)
        q = p.b.accept(token, '-F', f'{key}.pub', stdin=r)
        os.close(r)
        x.ended(q, TIME, status)
        if status == 0:
            x.ended(inviter, TIME)
            fl.expect_in('authorized_keys', t.said(inviter), 'path')
        else:
            fl.expect(inviter.stop(), INTERRUPTED, 'inviter')
    fl.expect(keys.read_text(), f'# no newline at the end\n{pub}', 'keys')
    # Not a key.
    (p.source / 'bad.pub').write_text(f'command="x" {pub}')
    inviter, token = p.a.invite()
    q = p.b.accept(token, '--yes', '-F', p.source / 'bad.pub')
    x.ended(q, TIME, None)
    if q.proc.returncode == 0:
        raise AssertionError('a key with options')
    inviter.stop()


def main():
    os.umask(0o022)
    t.own_mounts()
    return fl.main(t.rows(
        tar_pipe, slow_reader, slow_writer, silent_writer, appending, offsets,
        file_targets, existing, empty, texts, folders, folder_oddities,
        folder_changes, strange_names, holes, full_disk, no_quota, read_only,
        source_changes, folder_shrinks, vanished, odd_sources, broken_pipe,
        second_claimant, wrong_kinds, progress, json_progress, ssh_keys),
        sys.argv)


if __name__ == '__main__':
    sys.exit(main())
