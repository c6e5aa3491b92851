# SPDX-License-Identifier: BSD-3-Clause
"""What a host really sends and hears: independent of what programs say."""
import ctypes
import json
import select
import socket
import struct
import subprocess
import threading
import time

ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
PACKET_OUTGOING = 4
STUN_COOKIE = b'\x21\x12\xa4\x42'
DISCO = b'\0derphole-disco1'
PUNCH = b'derphole-punch'
ROUTE_CHECK = b'derphole-raw-direct-route-check-v1'
# STUN, DNS, port mapping, discovery of devices: no path of a session.
SERVICE_PORTS = (53, 1900, 3478, 5351, 5353, 19302)

COUNTERS = '''
table inet watch {{
	counter udp_out {{}}
	counter udp_in {{}}
	counter relay_out {{}}
	counter relay_in {{}}
	chain output {{
		type filter hook output priority filter
		udp dport != {{ {ports} }} counter name udp_out
		tcp dport 443 counter name relay_out
	}}
	chain input {{
		type filter hook input priority filter
		udp sport != {{ {ports} }} counter name udp_in
		tcp sport 443 counter name relay_in
	}}
}}
'''.format(ports=', '.join(map(str, SERVICE_PORTS)))


def _filter():
    """Classic BPF for packets without link header: UDP over IPv4 and IPv6."""
    rows = [(0x30, 0, 0, 0), (0x54, 0, 0, 0xf0),       # version
            (0x15, 0, 2, 0x40), (0x30, 0, 0, 9),       # IPv4: protocol
            (0x15, 3, 4, 17),
            (0x15, 0, 3, 0x60), (0x30, 0, 0, 6),       # IPv6: next header
            (0x15, 0, 1, 17), (0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)]
    code = b''.join(struct.pack('=HBBI', *row) for row in rows)
    buffer = ctypes.create_string_buffer(code, len(code))
    return buffer, struct.pack('HL', len(rows), ctypes.addressof(buffer))


def classify(payload):
    """The kind of a datagram of a session, by transport's own rules."""
    if len(payload) >= 20 and payload[0] < 0x40 and \
            payload[4:8] == STUN_COOKIE:
        return 'stun'
    if len(payload) == 65 and payload.startswith(DISCO):
        return 'probe' if payload[16] == 1 else 'ack'
    if payload == PUNCH:
        return 'punch'
    if payload == ROUTE_CHECK:
        return 'route-check'
    return 'quic' if payload and payload[0] & 0x40 else 'other'


def parse(packet):
    """(source, destination, payload) of a UDP packet without link header."""
    if packet[0] >> 4 == 4:
        at = (packet[0] & 15) * 4
        ends = [socket.inet_ntop(socket.AF_INET, packet[i:i + 4])
                for i in (12, 16)]
    else:
        at = 40
        ends = [socket.inet_ntop(socket.AF_INET6, packet[i:i + 16])
                for i in (8, 24)]
    sport, dport = struct.unpack_from('>HH', packet, at)
    return (ends[0], sport), (ends[1], dport), packet[at + 8:]


class Watcher:
    """UDP of one host from now on.  first[kind, 'in'|'out'] is when it was
    first seen, count how often, peers where QUIC went."""

    def __init__(self, ns):
        self.first = {}
        self.count = {}
        self.peers = set()
        self._changed = threading.Condition()
        self._over = False
        with ns:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            buffer, program = _filter()
            self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            del buffer
            self.sock.bind(('eth0', ETH_P_ALL))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over:
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            try:
                packet, where = self.sock.recvfrom(65536)
                self._note(packet, where[2] == PACKET_OUTGOING)
            except (IndexError, struct.error):
                pass  # a fragment
            except OSError:
                time.sleep(0.05)  # the link is down

    def _note(self, packet, out):
        source, destination, payload = parse(packet)
        if (destination if out else source)[1] in SERVICE_PORTS:
            return
        kind = classify(payload), 'out' if out else 'in'
        with self._changed:
            self.count[kind] = self.count.get(kind, 0) + 1
            if kind[0] == 'quic':
                self.peers.add(destination if out else source)
            if kind not in self.first:
                self.first[kind] = time.monotonic()
                self._changed.notify_all()

    def wait(self, kind, way, timeout):
        with self._changed:
            self._changed.wait_for(lambda: (kind, way) in self.first, timeout)
            return self.first.get((kind, way))

    def stop(self):
        self._over = True
        self._thread.join()
        self.sock.close()


class Counters:
    """Bytes of a host: direct UDP and to and from the relay."""

    def __init__(self, ns):
        self.ns = ns
        ns.nft(COUNTERS)

    def read(self):
        done = subprocess.run([*self.ns.prefix(), 'nft', '-j', 'list',
                               'counters'], check=True, text=True,
                              stdout=subprocess.PIPE)
        return {row['counter']['name']: row['counter']['bytes']
                for row in json.loads(done.stdout)['nftables']
                if 'counter' in row}
