# SPDX-License-Identifier: BSD-3-Clause
"""Homes: a host and what stands between it and the public segment.

Words of RFC 4787: EIM/EDM, endpoint-independent or -dependent mapping;
EIF/ADF/APDF, endpoint-independent, address or address-and-port dependent
filtering.  lab_classify.py measures that each box is what its row says.

Linux keeps a source's port for all destinations (EIM) and lets in only replies
(APDF).  Full cone and address-restricted boxes learn the inner host of each
port in a map, and DNAT what may come in.  A symmetric box draws a port for each
connection; a carrier's hashes it, so that no port is preserved.
"""
import socket
import struct

import lab_world as w

NETLINK_NETFILTER = 12
CT_DELETE = 0x102  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
NLM_F_REQUEST, NLM_F_ACK = 1, 4

# nftables texts ------------------------------------------------------------
# As home routers do: what nobody asked for is dropped before it is a
# connection to the kernel.  With an open input chain an early packet of the
# peer would occupy the mapping, and Linux would choose another port.
CLOSED_INPUT = '''
	chain input {
		type filter hook input priority filter; policy accept
		iifname "wan" ct state new,invalid drop
	}
'''
# {learn}: what a packet on its way out teaches; {admit}: what may come in.
BOX = '''
table ip box {{
	map inner {{
		type inet_service : ipv4_addr
		flags dynamic,timeout
		timeout 1h
		size 65535
	}}
	set contacts {{
		type ipv4_addr . inet_service
		flags dynamic,timeout
		timeout 1h
		size 65535
	}}
	chain forward {{
		type filter hook forward priority filter; policy drop
		{deny}
		oifname "wan" tcp flags syn tcp option maxseg size set rt mtu
		iifname "wan" tcp flags syn tcp option maxseg size set {mss}
		{learn}
		ct state established,related accept
		iifname "lan*" oifname "wan" accept
		ct status dnat accept
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept
		{admit}
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept
		{hairpin}
		{source}
	}}
{input}
}}
'''
LEARN = '''iifname "lan*" meta l4proto udp \\
			update @inner { udp sport : ip saddr }'''
CONTACT = ' update @contacts { ip daddr . udp sport }'
EIF = '''iifname "wan" meta l4proto udp \\
			dnat to udp dport map @inner'''
ADF = '''iifname "wan" ip saddr . udp dport @contacts \\
			dnat to udp dport map @inner'''
KEEP_PORT = 'oifname "wan" masquerade'
RANDOM_PORT = 'oifname "wan" masquerade fully-random'
# Nothing of the inner port is left, for each host and port one outer port.
HASHED_PORT = '''oifname "wan" meta l4proto udp snat ip to {wan} : \\
			jhash ip saddr . udp sport mod 20000 seed {seed} \\
			offset 40000
		oifname "wan" masquerade'''
# A home behind the same box is reached by the box's outer address, and sees the
# sender's outer address.
HAIRPIN_IN = '''iifname "lan*" ip daddr {wan} meta l4proto udp \\
			dnat to udp dport map @inner'''
HAIRPIN_OUT = 'oifname "lan*" ct status dnat snat ip to {wan}'
NO_UDP = 'meta l4proto udp drop'

# kind: (mapping, filtering, what stands there)
KINDS = {
    'open': ('EIM', 'EIF', 'no NAT, public IPv4'),
    'dual': ('EIM', 'EIF', 'no NAT, public IPv4 and IPv6'),
    'fullcone': ('EIM', 'EIF', 'full cone'),
    'addr': ('EIM', 'ADF', 'address-restricted'),
    'port': ('EIM', 'APDF', 'port-restricted, as home routers are'),
    'portopen': ('EIM', 'APDF', 'port-restricted, open input chain'),
    'sym': ('EDM', 'APDF', 'symmetric, random ports'),
    'cgnat': ('EIM', 'APDF', 'home box behind a carrier box'),
    'mtu1280': ('EIM', 'APDF', 'port-restricted, MTU 1280, no ICMP'),
    'blocked': (None, None, 'port-restricted, UDP dropped'),
    'v6only': (None, None, 'public IPv6 only'),
}
# Two homes with something in common; pairs of one kind only.
SHARED = {
    'lan': 'both in one LAN behind a port-restricted box',
    'hairpin': 'two LANs of one box that hairpins',
    'nohairpin': 'two LANs of one box that does not',
}


def _rules(kind, wan, seed=1):
    parts = {'deny': '', 'learn': '', 'admit': '', 'hairpin': '',
             'source': KEEP_PORT, 'input': CLOSED_INPUT,
             'mss': 1240 if kind == 'mtu1280' else 1460}
    if kind == 'fullcone':
        parts.update(learn=LEARN, admit=EIF)
    elif kind == 'addr':
        parts.update(learn=LEARN + CONTACT, admit=ADF)
    elif kind == 'portopen':
        parts.update(input='')
    elif kind == 'sym':
        parts.update(source=RANDOM_PORT)
    elif kind in ('carrier', 'rebind'):
        parts.update(source=HASHED_PORT.format(wan=wan, seed=seed))
    elif kind == 'blocked':
        parts.update(deny=NO_UDP)
    elif kind == 'hairpin':
        parts.update(learn=LEARN, admit=HAIRPIN_IN.format(wan=wan),
                     hairpin=HAIRPIN_OUT.format(wan=wan))
    return BOX.format(**parts)


class Home:
    """One host, .host, and the boxes between it and the public segment."""

    def __init__(self, host, boxes=(), others=()):
        self.host = host
        self.boxes = list(boxes)  # nearest first
        self.others = list(others)

    def namespaces(self):
        return [self.host, *self.boxes, *self.others]


def _box(name, forward=True):
    ns = w.Netns(name)
    with ns:
        ns.sysctl('ipv4/ip_forward', int(forward))
    return ns


def _lan(box, dev, host, address, router, cable=w.link):
    """A host's cable to its box."""
    cable(host, 'eth0', box, dev)
    box.ip(f'addr add {router}/24 dev {dev}')
    host.ip(f'addr add {address}/24 dev eth0')
    host.default_route(router, 'eth0')


def _behind(world, name, kind, n, cable):
    """One home box on the public segment."""
    wan = f'203.0.113.{10 * n}'
    box = _box(f'{name}-box')
    host = w.Netns(name)
    others = []
    if kind == 'mtu1280':
        others = [_narrow(world, name, box, wan, n)]
    else:
        world.plug(box, 'wan', wan)
    _lan(box, 'lan0', host, f'192.168.1.{10 * n}', '192.168.1.1', cable)
    box.nft(_rules(kind, wan))
    return Home(host, [box], others)


def _narrow(world, name, box, wan, n):
    """A provider's router whose link to the home carries 1280 bytes and who
    tells nobody: larger packets vanish."""
    isp = _box(f'{name}-isp')
    world.plug(isp, 'wan', f'203.0.113.{10 * n + 1}')
    w.link(isp, 'lan0', box, 'wan', 1280)
    isp.ip('addr add 100.127.0.1/30 dev lan0',
           f'route add {wan}/32 dev lan0')
    box.ip(f'addr add {wan}/32 dev wan',
           'route add 100.127.0.1/32 dev wan',
           'route add default via 100.127.0.1 dev wan')
    with isp:
        isp.sysctl('ipv4/conf/wan/proxy_arp', 1)
        isp.sysctl('ipv4/conf/lan0/proxy_arp', 1)
    isp.ip('ntable change name arp_cache dev wan proxy_delay 0')
    isp.nft('table ip isp { chain output { type filter hook output '
            'priority filter; icmp type destination-unreachable drop; }; }')
    return isp


def _cgnat(world, name, n, cable):
    carrier, box = _box(f'{name}-cgn'), _box(f'{name}-box')
    host = w.Netns(name)
    wan = f'203.0.113.{10 * n}'
    world.plug(carrier, 'wan', wan)
    w.link(carrier, 'lan0', box, 'wan')
    carrier.ip(f'addr add 100.64.{n}.1/24 dev lan0')
    box.ip(f'addr add 100.64.{n}.2/24 dev wan')
    box.default_route(f'100.64.{n}.1', 'wan')
    _lan(box, 'lan0', host, f'192.168.1.{10 * n}', '192.168.1.1', cable)
    carrier.nft(_rules('carrier', wan))
    box.nft(_rules('port', f'100.64.{n}.2'))
    return Home(host, [box, carrier])


def home(world, kind, name, n, cable=w.link):
    """Home number n (1 or 2) of a kind, its host's namespace called name; cable
    is the host's to what is next."""
    v4, v6 = f'203.0.113.{10 * n}', f'2001:db8:113::{10 * n}'
    world.forget_neighbours()
    if kind in ('open', 'dual', 'v6only'):
        return Home(world.public(name, v4 if kind != 'v6only' else None,
                                 v6 if kind != 'open' else None, cable))
    if kind == 'cgnat':
        return _cgnat(world, name, n, cable)
    return _behind(world, name, kind, n, cable)


def _shared(world, kind):
    wan = '203.0.113.10'
    box = _box('ab-box')
    world.plug(box, 'wan', wan)
    hosts = [w.Netns('a'), w.Netns('b')]
    if kind == 'lan':
        box.ip('link add lan0 type bridge forward_delay 0', 'link set lan0 up',
               'addr add 192.168.1.1/24 dev lan0')
        for n, host in enumerate(hosts, 1):
            w.link(box, f'port{n}', host, 'eth0')
            box.ip(f'link set port{n} master lan0')
            host.ip(f'addr add 192.168.1.{10 * n}/24 dev eth0')
            host.default_route('192.168.1.1', 'eth0')
    else:
        for n, host in enumerate(hosts, 1):
            _lan(box, f'lan{n}', host, f'192.168.{n}.10', f'192.168.{n}.1')
    box.nft(_rules(kind, wan))
    return Home(hosts[0], [box]), Home(hosts[1], [])


def pair(world, kind_a, kind_b):
    """Two homes, with hosts a and b."""
    if kind_a in SHARED:
        if kind_a != kind_b:
            raise ValueError(f'{kind_a} pairs with itself only')
        world.forget_neighbours()
        return _shared(world, kind_a)
    return home(world, kind_a, 'a', 1), home(world, kind_b, 'b', 2)


def remove(*homes):
    for h in homes:
        for ns in h.namespaces():
            ns.delete()


def all_pairs():
    kinds = list(KINDS)
    return [(a, b) for i, a in enumerate(kinds) for b in kinds[i:]] + \
        [(k, k) for k in SHARED]


def forget_flows(box):
    """Flush the box's connection tracking table (ctnetlink: delete, no
    tuple)."""
    with box, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                            NETLINK_NETFILTER) as s:
        s.sendto(struct.pack('=IHHIIBBH', 20, CT_DELETE, NLM_F_REQUEST |
                             NLM_F_ACK, 1, 0, socket.AF_INET, 0, 0), (0, 0))
        error = struct.unpack_from('=i', s.recv(4096), 16)[0]
        if error != 0:
            raise OSError(-error, 'conntrack flush')


def rebind(box, wan, seed):
    """As if a NAT box had lost its table: every flow gets another port.  TCP
    goes on, its ports are kept."""
    box.nft('flush ruleset\n' + _rules('rebind', wan, seed))
    forget_flows(box)
