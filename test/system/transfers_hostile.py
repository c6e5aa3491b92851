#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Peers of transfers that lie, with the token in their hands.

usage: transfers_hostile.py BUILD_FOLDER [ROW-PATTERN]

What is in the stream comes from our own `pipe`, which sends whatever it is
given, to a `receive` that shows a token.  What is said besides comes from a
peer made of Python.  Each time: an error with a reason, soon; the target is
untouched; nothing of the peer's reaches the terminal as it is; nobody hangs.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import faults_lib as fl
from faults_lib import l

import transfer_wire as w
import xfer as x

SOON = 6
TIME = 30
GROWTH = 16 * fl.MIB
FLOOD = 20000
ESCAPES = '\x1b[31m\x07\r\n\u202e\u009b2J'
HEADER_MAX = 1 << 20


def stage(lab, relay, program):
    """A daemon, a party and an empty target inside of a folder that must not
    change either."""
    d = fl.Daemon(lab, 'victim', relay)
    party = x.Party(lab, 'C', lab.our(program), d.env, ['--force-relay'])
    target = lab.path('outside') / 'target'
    target.mkdir(parents=True)
    return d, party, target


def untouched(target, expected=()):
    x.leftovers(target, expected)
    x.leftovers(target.parent, {target.name})


def clean(text):
    """Nothing that a terminal obeys."""
    if re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]', text):
        raise AssertionError(f'escapes came through: {text!r}')


def said(p):
    return '\n'.join(p.lines['out'] + p.lines['err'])


# What is in the stream -------------------------------------------------------

def text_rows():
    good = w.header('file', 'f', 5)
    yield 'no header at all', b'x' * 100000, 'magic'
    yield 'half a header', good[:20], ''
    yield 'nothing', b'', ''
    yield 'a header without end', w.framed(b'{"version":1', 1000), ''
    yield 'longest header', w.framed(b'{' + b' ' * (HEADER_MAX - 1)), ''
    yield 'a longer one', w.framed(b'{}', HEADER_MAX + 1), 'too large'
    yield 'no JSON', w.framed(b'nonsense'), ''
    yield 'deep JSON', w.framed(b'[' * 100000), ''
    yield 'unknown kind', w.header('virus', 'f', 5) + b'12345', 'kind'
    yield 'an invitation', w.header('ssh_invite'), 'kind'
    yield 'kind with escapes', w.header(ESCAPES, 'f', 5) + b'12345', 'kind'
    for name in ('', '.', '..', '/', 'a/..', '../..', None):
        yield f'name {name}', w.header('file', name, 5) + b'12345', 'name'
    yield 'name with NUL', w.header('file', 'a\0b', 5) + b'12345', ''
    yield 'name too long', w.header('file', 'n' * 256, 5) + b'12345', ''
    yield 'name of 100 KiB', w.header('file', 'n' * 102400, 5) + b'12345', ''
    yield 'wrong verification', \
        w.header('file', 'f', 5, verify='0000-0000-0000') + b'12345', 'verif'
    yield 'verification with escapes', \
        w.header('file', 'f', 5, verify=ESCAPES) + b'12345', 'verif'
    yield 'one byte short', w.header('file', 'f', 6) + b'12345', 'incomplete'
    yield 'far too short', w.header('file', 'f', 9000000) + b'x' * 100000, \
        'incomplete'
    yield 'one byte long', w.header('file', 'f', 4) + b'12345', 'more than'
    yield 'far too long', w.header('file', 'f', 4) + b'x' * 5000000, 'more than'
    yield 'negative size', w.header('file', 'f', -1) + b'12345', ''
    yield 'size of 4 EiB', w.header('file', 'f', 1 << 62) + b'12345', ''
    yield 'size of 2^63', w.header('file', 'f', 1 << 63) + b'12345', ''
    yield 'size no number', w.header('file', 'f', '5') + b'12345', ''


def tar_rows():
    def tar(data, size=None):
        return w.header('directory_tar', 'd', len(data)
                        if size is None else size) + data

    def one(*args, **kwargs):
        return tar(w.Tar().add('ok', b'fine').add(*args, **kwargs).end())

    yield 'no archive', tar(b'x' * 100000), ''
    yield 'an empty stream', tar(b''), ''
    yield 'up and out', one('../x', b'x'), 'x'
    yield 'up in the middle', one('a/../../x', b'x'), 'x'
    yield 'absolute', one('/tmp/derphole-evil', b'x'), 'evil'
    yield 'a link', one('link', kind=tarfile.SYMTYPE, link='/etc'), 'link'
    yield 'through a link', tar(
        w.Tar().add('s', kind=tarfile.SYMTYPE, link='..').add('s/x', b'x')
        .end()), 's'
    yield 'a hard link', one('h', kind=tarfile.LNKTYPE, link='/etc/passwd'), 'h'
    yield 'hard link to the first', one('h', kind=tarfile.LNKTYPE, link='ok'), \
        'h'
    yield 'a device', one('null', kind=tarfile.CHRTYPE), 'null'
    yield 'a disk', one('sda', kind=tarfile.BLKTYPE), 'sda'
    yield 'a pipe', one('fifo', kind=tarfile.FIFOTYPE), 'fifo'
    yield 'the same name twice', one('ok', b'other'), 'ok'
    yield 'a file as folder', one('ok/below', b'x'), 'ok'
    yield 'name with escapes and up', one(f'../{ESCAPES}'), ''
    yield 'path record with up', one('x', b'x', path='../../x'), ''
    yield 'path record absolute', one('x', b'x', path='/etc/x'), ''
    yield 'deep', one('d/' * 300 + 'x', b'x', path='d/' * 300 + 'x'), ''
    yield 'huge file', tar(w.Tar().add('big', size=(1 << 33) - 1)
                           .data.getvalue()), ''
    yield 'cut in a file', tar(w.Tar().add('f', b'x' * 5000)
                               .data.getvalue()[:3000]), ''
    yield 'no end', tar(w.Tar().add('f', b'x').data.getvalue()), ''
    yield 'one zero block', tar(w.Tar().add('f', b'x').end(1)), ''
    yield 'goes on behind the end', tar(w.Tar().add('f', b'x')
                                        .end(2, b'more' * 1000)), ''
    yield 'another archive behind it', \
        tar(w.Tar().add('f', b'x').end() + w.Tar().add('g', b'x').end()), ''
    yield 'endless zeros', tar(w.Tar().add('f', b'x').end(20000)), ''
    yield 'checksum', tar(w.Tar().add('f', b'x').end().replace(b'0000644',
                                                              b'0000755', 1)), \
        ''
    for name in ('..', '.', '/', None):
        yield f'folder named {name}', \
            w.header('directory_tar', name, 1024) + bytes(1024), 'name'


def streams(rows):
    """All rows of one kind, each in a transfer of its own."""
    def test(lab, relay):
        d, party, target = stage(lab, relay, 'derphole')
        return each(rows(), target, d, lambda data, reason: stream(
            lab, party, target, data, reason))
    return test


def each(rows, target, d, one):
    """one(*row) for every row, less its title; all that is wrong at the
    end."""
    faults = []
    n = 0
    for title, *row in rows:
        n += 1
        try:
            one(*row)
        except AssertionError as e:
            faults.append(f'{title}: {str(e)[:400]}')
            shutil.rmtree(target)
            target.mkdir()
    d.wait_idle()
    if faults:
        raise AssertionError('\n'.join(faults))
    return f'{n} lies'


def stream(lab, party, target, data, reason, want_error=True):
    path = lab.path('stream')
    path.write_bytes(data)
    receiver = party.start('receive', cwd=target)
    token = receiver.wait_line(x.TOKEN, TIME).group(1)
    with open(path, 'rb') as f, \
            subprocess.Popen(['cat'], stdin=f, stdout=subprocess.PIPE) as cat:
        sender = party.pipe(token, cat.stdout)
        cat.stdout.close()
        status = x.ended(receiver, SOON, None)
        other = x.ended(sender, SOON, None)
    clean(said(receiver))
    clean(said(sender))
    if not want_error:
        return
    if status not in (1, 14, 15) or other == 0:
        raise AssertionError(f'receiver {status}, sender {other}: '
                             f'{said(receiver)[180:]}')
    text = said(receiver).replace(token, '')
    if reason not in text or not text.strip():
        raise AssertionError(f'no {reason!r} in {text!r}')
    untouched(target)


def harmless(lab, relay):
    """What looks bad and is not: taken, without its teeth."""
    d, party, target = stage(lab, relay, 'derphole')
    stream(lab, party, target,
           w.header('file', '../../etc/' + ESCAPES + 'x', 5) + b'12345', '',
           False)
    (got,) = os.listdir(target)
    clean(got)
    (target / got).unlink()
    untouched(target)
    tar = w.Tar().add('suid', b'x', mode=0o6755).add('..foo', b'x') \
        .add('a\nb' + ESCAPES[:4], b'x').end()
    stream(lab, party, target, w.header('directory_tar', 'd', len(tar)) + tar,
           '', False)
    fl.expect((target / 'd' / 'suid').stat().st_mode & 0o7777, 0o755, 'mode')
    for name in os.listdir(target / 'd'):
        clean(name)
    fl.expect(len(os.listdir(target / 'd')), 3, 'files')
    # A text may hold anything: it is for stdout, as it is.
    d.wait_idle()


# What is said besides --------------------------------------------------------

class Sender:
    """Our `send` of a file, with a liar as its receiver."""

    def __init__(self, lab, relay, size=100000):
        self.daemon, self.party, self.target = stage(lab, relay, 'derphole')
        x.make_file(lab.path('file'), size)
        self.size = size
        self.process, self.token = self.party.send(lab.path('file'))
        self.liar = w.Liar(relay, w.Token(self.token))

    def end(self, want, reason, within=SOON):
        status = x.ended(self.process, within, None)
        text = said(self.process)
        clean(text)
        if status not in want or reason not in text:
            raise AssertionError(f'{status}: {text[250:]}')
        self.liar.close()
        self.daemon.wait_idle()
        return f'{status}: {self.process.lines["err"][-1][:100]}'


def claimed(s, **more):
    s.liar.claim(**more)
    answer = s.liar.hear('v2_accept')
    if answer is None or answer[1]['accepted'] is not True:
        raise AssertionError(f'not accepted: {answer}')
    return answer[1]


def complete(bytes_received):
    def test(lab, relay):
        s = Sender(lab, relay)
        claimed(s)
        s.liar.say('v2_complete', {
            'protocol': w.PROTOCOL, 'bytes_received':
            s.size if bytes_received is None else bytes_received})
        return s.end((1, 15), '')
    return test


def abort(lab, relay):
    s = Sender(lab, relay)
    claimed(s)
    s.liar.say('abort', {'reason': ESCAPES * 500, 'bytes_transferred': 0})
    return s.end((15,), 'aborted')


def endless_progress(lab, relay):
    """Nobody comes but reports: the sender lives within its memory, and what
    they say counts for nothing."""
    s = Sender(lab, relay)
    claimed(s)
    pids = [s.daemon.pid, *s.daemon.children()]
    before = sum(map(fl.rss_of, pids))
    for n in range(FLOOD):
        s.liar.say('progress', {'bytes_received': (1 << 62) + n,
                                'transfer_elapsed_ms': n, 'sequence': n + 1})
        if n % 200 == 199:
            time.sleep(0.02)
        if n == FLOOD // 2:
            fl.must_live(s.process)
    grown = sum(map(fl.rss_of, filter(alive, pids))) - before
    if grown > GROWTH:
        raise AssertionError(f'grew by {grown >> 10} KiB')
    s.liar.say('abort', {'reason': 'enough', 'bytes_transferred': 0})
    return f'grew {grown >> 10} KiB; ' + s.end((1, 11, 13, 15), '', 70)


def alive(pid):
    return os.path.exists(f'/proc/{pid}/maps')


def malformed():
    """Authentic claims that are wrong, one after the other, and the answer:
    accepted or not, or None at all."""
    key = list(os.urandom(32))
    return [
        ({'protocol': 'derphole-transfer-v3'}, False),
        ({'quic_public': key[:31]}, None), ({'quic_public': key + [0]}, None),
        ({'quic_public': [0] * 32}, False),
        ({'quic_public': [256] * 32}, None),
        ({'quic_public': [-1] * 32}, None), ({'quic_public': 'x'}, None),
        ({'candidates': ['nonsense'] * 3}, True),
        ({'candidates': ['1.2.3.4:5'] * 33}, True),
        ({'candidates': ['x' * 200]}, True), ({'candidates': {'a': 1}}, None),
        ({'parallel_initial': -1}, True),
        ({'parallel_initial': 1 << 40}, True),
        ({'parallel_mode': ESCAPES}, True), ({'transfer_mode': ESCAPES}, True),
    ]


def bad_claims(lab, relay):
    """They change nothing, or end it with a reason: never a hang, never a
    crash; and who comes next with a good one is served or told."""
    ends = {}
    for n, (more, want) in enumerate(malformed()):
        with l.Lab(lab.build) as inner:
            s = Sender(inner, relay)
            s.liar.claim(**more)
            # Refused (abort or accept: false), ignored, or taken all the same.
            answer = s.liar.hear('v2_accept', 0.5 if want is None else 10)
            ends[n] = answer[1].get('accepted') if answer else None
            fl.expect(ends[n], want, f'answer to {n}')
            if s.process.alive():
                receiver = s.party.receive(s.token, cwd=s.target)
                if answer is not None and answer[1].get('accepted'):
                    status = x.ended(receiver, SOON, None)
                    fl.expect(status, 10, f'second after {more}')
                    s.process.stop(signal.SIGINT)
                else:
                    x.both_ended(s.process, receiver, TIME)
            clean(said(s.process))
            s.liar.close()
            s.daemon.wait_idle(15)
    return 'accepted: ' + ' '.join(f'{n}:{e}' for n, e in ends.items())


def junk(lab, relay):
    """Unauthentic and unreadable: ignored; then a good receiver comes."""
    s = Sender(lab, relay)
    good = s.liar.token.seal('v2_claim', {
        'protocol': w.PROTOCOL, 'quic_public': list(s.liar.quic),
        'relay_capable': False})
    forged = w.Token(s.token)
    forged.secret = os.urandom(32)
    forger = w.Liar(relay, forged)
    forger.claim()
    for kind in ('abort', 'v2_complete', 'progress', 'v2_accept', 'control',
                 'v2_data_plane_ready', 'decision'):
        forger.say(kind, {'protocol': w.PROTOCOL, 'reason': 'x'})
    for data in (good[:-1], b'{' * 16000, b'[]', b'{}', b'{"type":"v2_claim"}',
                 good.replace(b'false', b'true '), b'x' * 20000, b'\xc0' * 1200,
                 b'derphole-punch'):
        s.liar.raw(data)
    time.sleep(0.5)
    fl.must_live(s.process)
    receiver = s.party.receive(s.token, cwd=s.target)
    x.both_ended(s.process, receiver, TIME)
    forger.close()
    s.liar.close()
    untouched(s.target, {'file'})
    s.daemon.wait_idle()


def silent(lab, relay):
    """A claim and nothing after it."""
    s = Sender(lab, relay)
    start = time.monotonic()
    claimed(s)
    note = s.end((11, 13), '', 70)
    return f'{note} after {time.monotonic() - start:.0f} s'


def block_claims():
    def row(name='f', size=5, kind='file', head=None, **more):
        return {'transfer_mode': 'blocks-v1', 'block_size': size,
                'block_chunk_size': 262144, 'block_header':
                w.base64.b64encode(w.header(kind, name, head or size)).decode(),
                **more}
    return [row('..'), row('.'), row(''), row(kind='text'),
            row(kind='directory_tar'), row(head=6), row(size=-1),
            row(size=1 << 62), row(block_chunk_size=1),
            row(block_chunk_size=(1 << 31) - 1), row(block_chunk_size=-5),
            row(block_header='!!!'), row(block_header='QUJD'),
            row('n' * 300), row(size=1 << 40, block_chunk_size=1024)]


def bad_blocks(lab, relay):
    """Senders that announce a file by their claim."""
    d, party, target = stage(lab, relay, 'derphole')
    for n, more in enumerate(block_claims()):
        receiver = party.start('receive', cwd=target)
        token = receiver.wait_line(x.TOKEN, TIME).group(1)
        liar = w.Liar(relay, w.Token(token))
        liar.claim(**more)
        readable = more['block_header'] != '!!!'
        answer = liar.hear('v2_accept', 5 if readable else 0.5)
        if answer is None or answer[1].get('accepted'):
            # Taken as a stream, perhaps: nothing may have been made for it.
            fl.expect(receiver.stop(signal.SIGINT), 130, f'{n}')
            if answer is None and readable:
                raise AssertionError(f'{n}: no answer; {said(receiver)[180:]}')
        else:
            if not answer[1].get('reason'):
                raise AssertionError(f'{n}: no reason')
            if x.ended(receiver, SOON, None) == 0:
                raise AssertionError(f'{n}: success')
        clean(said(receiver))
        liar.close()
        untouched(target)
    d.wait_idle()
    return f'{n + 1} claims'


def accepts():
    block = w.blocks_offer('f', 5, 262144)
    return [
        {'accepted': False, 'reason': ESCAPES * 300}, {'accepted': False},
        {'protocol': 'x'}, {'parallel_initial': -7},
        {'manager_connections': 1 << 30}, {'manager_connections': -1},
        {'transfer_mode': 'direct-tcp-files-v1'}, {'transfer_mode': ESCAPES},
        {**block, 'block_size': -1}, {**block, 'block_size': 6},
        {**block, 'block_chunk_size': 3}, {**block, 'block_header': 'QUJD'},
        {'candidates': ['x'] * 100},
    ]


def bad_accepts(lab, relay):
    """Issuers that answer with nonsense, and then with nothing."""
    d, party, target = stage(lab, relay, 'derphole')
    sender, like = party.send('text')
    sender.stop(signal.SIGINT)
    slow = []
    for n, more in enumerate(accepts()):
        liar, token = w.issuer(relay, like)
        receiver = party.receive(token, cwd=target)
        claim = liar.hear('v2_claim')
        if claim is None:
            raise AssertionError(f'{n}: no claim; {said(receiver)}')
        liar.accept(claim[0], **more)
        slow.append((n, liar, receiver))
    for n, liar, receiver in slow:
        status = x.ended(receiver, 80, None)
        text = said(receiver)
        clean(text)
        if status == 0 or not text.strip():
            raise AssertionError(f'{n}: {status} {text}')
        liar.close()
    untouched(target)
    d.wait_idle()
    return f'{n + 1} answers'


def early_complete(lab, relay):
    """The receiver of `pipe` has everything before anything was sent."""
    d, party, target = stage(lab, relay, 'derphole')
    listener, like = party.listen(subprocess.DEVNULL)
    listener.stop(signal.SIGINT)
    liar, token = w.issuer(relay, like)
    r, wr = os.pipe()
    sender = party.pipe(token, r)
    os.close(r)
    claim = liar.hear('v2_claim')
    liar.accept(claim[0])
    time.sleep(0.2)
    liar.say('v2_complete', {'protocol': w.PROTOCOL, 'bytes_received': 0},
             claim[0])
    status = x.ended(sender, SOON, None)
    os.close(wr)
    if status == 0:
        raise AssertionError(f'success: {said(sender)}')
    liar.close()
    untouched(target)
    d.wait_idle()
    return f'{status}: {said(sender)[:100]}'


def replay(lab, relay):
    """What was said in an earlier transfer says nothing in another."""
    s = Sender(lab, relay)
    claimed(s)
    old = w.Token(s.token)
    s.liar.say('abort', {'reason': 'first', 'bytes_transferred': 0})
    s.end((15,), 'first')
    with l.Lab(lab.build) as inner:
        t = Sender(inner, relay)
        for kind, body in (('abort', {'reason': 'replayed'}),
                           ('v2_complete', {'protocol': w.PROTOCOL,
                                            'bytes_received': t.size})):
            t.liar.raw(old.seal(kind, body))
        time.sleep(0.3)
        receiver = t.party.receive(t.token, cwd=t.target)
        x.both_ended(t.process, receiver, TIME)
        untouched(t.target, {'file'})
        t.liar.close()
        t.daemon.wait_idle()


ROWS = [
    ('streams that are no transfer', streams(text_rows)),
    ('archives that are traps', streams(tar_rows)),
    ('what looks bad and is not', harmless),
    ('complete before anything was sent', complete(None)),
    ('complete, negative', complete(-1)),
    ('complete, too much', complete(1 << 60)),
    ('pipe: complete before anything was sent', early_complete),
    ('an abort that draws on the terminal', abort),
    ('endless progress', endless_progress),
    ('claims that are wrong', bad_claims),
    ('junk and forgeries', junk),
    ('a claim and then nothing', silent),
    ('claims of blocks that are wrong', bad_blocks),
    ('answers that are wrong', bad_accepts),
    ('replayed words', replay),
]

if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(fl.main(ROWS, sys.argv))
