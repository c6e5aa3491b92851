#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A file system that does not answer: FUSE without libfuse.

usage: fuse_hole.py FOLDER [writeback]

Mounts itself on FOLDER, says "mounted" and serves until it is killed: then the
kernel fails every call that still waits.  Run it in a mount namespace of the
test's own, and let nobody who is to outlive it close one of its files.

Its files are named for the requests that are never answered, joined by dots:
"FLUSH", "FLUSH.GETATTR.READ", "WRITE"; anything else is a file that works.
"""
import ctypes
import os
import struct
import sys

OPS = {'LOOKUP': 1, 'FORGET': 2, 'GETATTR': 3, 'SETATTR': 4, 'OPEN': 14,
       'READ': 15, 'WRITE': 16, 'RELEASE': 18, 'FSYNC': 20, 'FLUSH': 25,
       'INIT': 26, 'INTERRUPT': 36, 'BATCH_FORGET': 42, 'FALLOCATE': 43,
       'LSEEK': 46, 'STATX': 52}
NAMES = {number: name for name, number in OPS.items()}
SILENT = ('FORGET', 'BATCH_FORGET', 'INTERRUPT')
SIZE = 8192
ROOT = 1
WRITEBACK_CACHE = 1 << 16
ENOSYS = 38
LIBC = ctypes.CDLL(None, use_errno=True)


def attributes(node):
    mode = 0o40777 if node == ROOT else 0o100666
    return struct.pack('<6Q10I', node, SIZE, 16, 0, 0, 0, 0, 0, 0, mode, 1,
                       0, 0, 0, 4096, 0)


class Hole:
    def __init__(self, fd, flags):
        self.fd = fd
        self.flags = flags
        self.nodes = {}  # name: number
        self.holes = {}  # number: what is not answered

    def lookup(self, body):
        name = body.split(b'\0', 1)[0].decode()
        node = self.nodes.setdefault(name, len(self.nodes) + ROOT + 1)
        self.holes[node] = name.split('.')
        # The name may be kept, the attributes not.
        return struct.pack('<4Q2I', node, 0, 3600, 0, 0, 0) + attributes(node)

    def answer(self, op, node, body):
        """The body of the answer, or None for "no such call"."""
        if op == 'INIT':
            return struct.pack('<4I2H2I2HI7I', 7, 31, 65536,
                               struct.unpack_from('<I', body, 12)[0]
                               & self.flags, 16, 12, 65536, 1, 0, 0, 0,
                               *[0] * 7)
        if op == 'LOOKUP':
            return self.lookup(body)
        if op in ('GETATTR', 'SETATTR'):
            return struct.pack('<Q2I', 0, 0, 0) + attributes(node)
        if op == 'OPEN':
            return struct.pack('<Q2I', node, 0, 0)
        if op == 'READ':
            return b'x' * min(struct.unpack_from('<I', body, 16)[0], SIZE)
        if op == 'WRITE':
            return struct.pack('<2I', struct.unpack_from('<I', body, 16)[0], 0)
        if op in ('FLUSH', 'RELEASE', 'FSYNC'):
            return b''
        return None

    def serve(self):
        while True:
            data = os.read(self.fd, 1 << 18)
            _, number, unique, node = struct.unpack_from('<IIQQ', data)
            op = NAMES.get(number)
            if op in SILENT or op in self.holes.get(node, ()):
                continue
            out = self.answer(op, node, data[40:])
            head = struct.pack('<IiQ', 16 + len(out or b''),
                               -ENOSYS if out is None else 0, unique)
            os.write(self.fd, head + (out or b''))


def main(folder, *words):
    fd = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
    data = f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'
    if LIBC.mount(b'hole', folder.encode(), b'fuse', 0, data.encode()) != 0:
        sys.exit(f'mount: {os.strerror(ctypes.get_errno())}')
    print('mounted', flush=True)
    Hole(fd, WRITEBACK_CACHE if 'writeback' in words else 0).serve()


if __name__ == '__main__':
    main(*sys.argv[1:])
