# SPDX-License-Identifier: BSD-3-Clause
"""STUN binding requests, good and bad."""

import os
import socket
import struct
import zlib


def request(software=b"tailnode", crc_xor=0, tail=b"", order="normal"):
    tx = os.urandom(12)
    attrs = b""
    if software:
        attrs = struct.pack(">HH", 0x8022, len(software)) + software
    size = len(attrs) + 8
    head = struct.pack(">HHI", 1, size, 0x2112A442) + tx
    crc = (zlib.crc32(head + attrs) ^ 0x5354554E ^ crc_xor) & 0xFFFFFFFF
    mark = struct.pack(">HHI", 0x8028, 4, crc)
    if order == "fingerprint-first":
        crc = zlib.crc32(head) ^ 0x5354554E
        mark = struct.pack(">HHI", 0x8028, 4, crc)
        return tx, head + mark + attrs
    return tx, head + attrs + mark + tail


def ask(relay, data, host=None, wait=5):
    family = socket.AF_INET6 if ":" in (host or relay.host) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(wait)
        s.connect((host or relay.host, relay.stun_port))
        s.send(data)
        try:
            return s.recv(2048), s.getsockname()[1]
        except TimeoutError:
            return None, 0


def check_v4(reply, port, tx):
    want = struct.pack(">HHI", 0x0101, 12, 0x2112A442) + tx
    want += struct.pack(">HHBBH", 0x20, 8, 0, 1, port ^ 0x2112)
    want += bytes(a ^ b for a, b in zip(b"\x7f\0\0\x01", b"\x21\x12\xa4\x42"))
    if reply != want:
        raise AssertionError(f"{reply!r}, want {want!r}")
