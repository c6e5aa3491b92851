# SPDX-License-Identifier: BSD-3-Clause
"""The wire of transfers, for a peer that misbehaves: tokens, envelopes, headers
and archives, as they should be or not."""
import base64
import hashlib
import hmac
import io
import json
import os
import pathlib
import socket
import struct
import sys
import tarfile
import time
import zlib

import faults_lib as f
from faults_lib import l

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'relay'))
try:
    import derp
except ImportError as e:  # libsodium's bindings
    derp = None
    MISSING = str(e)

PROTOCOL = 'derphole-transfer-v2'
# Of all members: what is signed has them in this order.
_ORDER = ('protocol', 'accepted', 'phase', 'raw_direct', 'bytes_received',
          'transfer_elapsed_ms', 'sequence',
          'quic_public', 'candidates', 'relay_capable', 'reason',
          'bytes_transferred', 'parallel_mode', 'parallel_initial',
          'parallel_cap', 'manager_connections', 'transfer_mode',
          'block_header', 'block_size', 'block_chunk_size', 'block_capable')
_BODY = struct.Struct('>B16sqH32s32s32sI')


class Token:
    """Of a session, taken apart and put together again."""

    def __init__(self, text):
        data = base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
        (self.version, self.session, self.expiry, self.region, self.derp,
         self.quic, self.secret, self.caps) = _BODY.unpack_from(data)
        self.route = data[_BODY.size:-4]

    def text(self):
        data = _BODY.pack(self.version, self.session, self.expiry, self.region,
                          self.derp, self.quic, self.secret, self.caps) + \
            self.route
        data += struct.pack('>I', zlib.crc32(data))
        return base64.urlsafe_b64encode(data).decode().rstrip('=')

    def seal(self, kind, body):
        """An envelope with its right MAC."""
        member = {kind: {k: body[k] for k in sorted(body, key=_ORDER.index)}}
        text = canonical({'type': kind, **member})
        key = hmac.digest(self.secret, b'derphole-control-envelope-v1' +
                          self.session, 'sha256')
        mac = base64.urlsafe_b64encode(
            hmac.digest(key, b'envelope' + text, 'sha256')).decode().rstrip('=')
        return canonical({'type': kind, 'mac': mac, **member})


def canonical(value):
    """As Go writes it."""
    text = json.dumps(value, separators=(',', ':'), ensure_ascii=False)
    for char in '<>&\u2028\u2029\x7f':
        if char != '\x7f':
            text = text.replace(char, f'\\u{ord(char):04x}')
    return text.encode()


class Liar:
    """A peer at the relay that knows a token."""

    def __init__(self, relay, token):
        if derp is None:
            raise l.Skip(MISSING)
        self.client = derp.Client(f.Raw(relay))
        self.token = token
        self.peer = token.derp
        self.quic = os.urandom(32)

    def close(self):
        self.client.close()

    def say(self, kind, body, to=None):
        self.client.send(to or self.peer, self.token.seal(kind, body))

    def raw(self, data):
        self.client.send(self.peer, data)

    def claim(self, **more):
        self.say('v2_claim', {
            'protocol': PROTOCOL, 'quic_public': list(self.quic),
            'relay_capable': False, 'parallel_mode': 'fixed',
            'parallel_initial': 1, 'parallel_cap': 1, **more})

    def accept(self, to, accepted=True, **more):
        self.say('v2_accept', {
            'protocol': PROTOCOL, 'accepted': accepted, 'relay_capable': False,
            'parallel_mode': 'fixed', 'parallel_initial': 1, 'parallel_cap': 1,
            'manager_connections': 1, **more}, to)

    def hear(self, kind, timeout=10):
        """(key, body) of the next envelope of a kind; None when none comes."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                source, data = self.client.packet(left)
            except (TimeoutError, socket.timeout, derp.Closed):
                return None
            if data[:1] != b'{':
                continue
            try:
                value = json.loads(data)
            except ValueError:
                continue
            if value.get('type') == kind:
                return source, value[kind]
        return None


def issuer(relay, like, quic=None):
    """A token of our own, on the route of another one, and its peer."""
    token = Token(like)
    liar = Liar(relay, token)
    liar.quic = quic or liar.quic
    token.derp = liar.client.key.public
    token.quic = liar.quic
    token.session, token.secret = os.urandom(16), os.urandom(32)
    return liar, token.text()


def header(kind, name=None, size=None, **more):
    value = {'version': 1, 'kind': kind}
    for key, item in (('name', name), ('size', size), *more.items()):
        if item is not None:
            value[key] = item
    return framed(canonical(value))


def framed(text, length=None):
    return b'DERPHOLE1' + struct.pack(
        '>I', len(text) if length is None else length) + text


def blocks_offer(name, size, chunk):
    """What a claim or its answer says of a file that comes in blocks."""
    return {'transfer_mode': 'blocks-v1', 'block_size': size,
            'block_chunk_size': chunk, 'block_header':
            base64.b64encode(header('file', name, size)).decode()}


def verify(token):
    text = hashlib.sha256(b'derphole-verify:' + token.encode()).hexdigest()
    return '-'.join(text[n:n + 4].upper() for n in (0, 4, 8))


class Tar:
    """An archive in the making."""

    def __init__(self, form=tarfile.USTAR_FORMAT):
        self.data = io.BytesIO()
        self.form = form

    def add(self, name, body=b'', kind=tarfile.REGTYPE, mode=0o644, link='',
            size=None, **pax):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.linkname = kind, mode, link
        info.size = len(body) if size is None else size
        info.mtime = 1600000000
        info.pax_headers = pax
        self.data.write(info.tobuf(tarfile.PAX_FORMAT if pax else self.form))
        self.data.write(body + bytes(-len(body) % 512))
        return self

    def end(self, blocks=2, more=b''):
        return self.data.getvalue() + bytes(512 * blocks) + more
