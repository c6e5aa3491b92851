#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gateways that lie, flood, drip or say nothing: the worker lives, asks no
stranger, and serves the next honest gateway.

usage: portmap_hostile.py PORTMAP_WATCH FOLDER_OF_THE_WORKERS [PATTERN]"""
import re
import socket
import sys
import time

import portmap_gateway as g
import portmap_lab as p
from portmap_lab import l

# What the worker may use; it is 4 MiB of libraries and pages of its own.
MAX_RSS_KIB = 16384


def rss_kib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read())[1])


def cpu_ticks(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def endure(watch, gateway, seconds, quiet=True):
    """Want a port of this gateway for a while; nothing may come of it, the
    worker stays the same and small, and no packet goes past the gateway."""
    watch.say(f'gateway {p.ROUTER}', 'want 30000')
    l.until(lambda: _assert(watch.status(not quiet)['worker'] > 0), p.WAIT,
            'worker')
    pid = watch.status(not quiet)['worker']
    if quiet:
        watch.quiet(seconds)
    else:
        time.sleep(seconds)
    assert watch.status(not quiet)['worker'] == pid, 'it is another worker'
    if not l.is_sanitized(pid):
        assert rss_kib(pid) < MAX_RSS_KIB, f'{rss_kib(pid)} KiB'
    assert cpu_ticks(pid) < 100 or l.is_sanitized(pid), \
        f'{cpu_ticks(pid)} ticks of CPU'
    assert gateway.beyond() == 0, f'{gateway.beyond()} packets to strangers'
    return pid


def _assert(good):
    assert good


def then_serves(home, watch, folder):
    """The same worker, now with a real router: the next probe finds it.  A
    pause has begun, so another port is wanted of a new worker."""
    watch.say('unwant 30000', 'gateway none')
    with p.Miniupnpd(home, folder, 'enable_natpmp=yes\nenable_upnp=yes\n'), \
            p.Local(home) as s:
        watch.say(f'gateway {p.ROUTER}', f'want {s.port}')
        watch.mapped(s.port, p.PCP)
        watch.stop()
        p.all_gone(home)


def silence(home, watch, _folder):
    """Nothing answers: one attempt, then pauses that grow."""
    with g.Gateway(home, udp=g.nobody) as gateway:
        endure(watch, gateway, 6)
        one = dict(gateway.count)
        for n in range(20):
            watch.say(f'want {31000 + n}')
        time.sleep(9)
        two = dict(gateway.count)
        # Three rounds of PCP and NAT-PMP; three of SSDP with two questions to
        # the gateway and two to the group.
        assert one['udp'] == 6 and one['ssdp'] <= 12, f'first: {one}'
        assert two['udp'] <= 12 and two['ssdp'] <= 24, f'then: {two}'
        watch.stop()
        return f'{one} then {two}'


def nonsense(home, watch, folder):
    with g.Gateway(home, udp=g.noise, ssdp=g.noise,
                   http=lambda t, c: b'\0' * 5000) as gateway:
        endure(watch, gateway, 4)
    then_serves(home, watch, folder)


def forgery(home, watch, folder):
    """Answers to what was not asked, and to somebody else."""
    def forge(data, _peer):
        if data[:2] != b'\2\1':
            return []
        other = bytearray(data)
        other[24] ^= 1  # the nonce
        wrong_port = bytearray(data)
        wrong_port[40] ^= 1
        return [g.pcp_map(bytes(other)), g.pcp_map(bytes(wrong_port)),
                g.pcp_map(data, external=0), g.pcp_map(data, life=0),
                g.pcp_map(data)[:-1], g.pcp_map(data)[:-4],
                # NAT-PMP's mapping without having asked
                b'\0\x81\0\0\0\0\0\1' + data[40:42] + b'\x10\0\0\0\x1c\x20']
    with g.Gateway(home, udp=forge) as gateway:
        endure(watch, gateway, 4)
    then_serves(home, watch, folder)


def strangers(home, watch, folder):
    """Another host of the network answers the search."""
    told = []

    def from_elsewhere(_data, peer):
        with home.router:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('10.77.0.9', 1900))
            told.append(peer)
            s.sendto(g.search_answer('http://10.77.0.9:5000/root.xml'), peer)
            s.sendto(g.search_answer(), peer)
        return []
    home.router.ip('addr add 10.77.0.9/24 dev lan')
    try:
        with g.Gateway(home, ssdp=from_elsewhere,
                       http=lambda t, c: g.page(g.description())) as gateway:
            endure(watch, gateway, 4)
            assert told, 'no search was answered'
            assert gateway.count['http'] == 0, 'a stranger was believed'
    finally:
        home.router.ip('addr del 10.77.0.9/24 dev lan')
    then_serves(home, watch, folder)


def honest(home, watch, _folder):
    """That the other rows fail for what they name: the same gateway, playing
    by the rules, one that knows neither leases nor the port asked for."""
    mapped = []

    def http(text, _conn):
        if text.startswith('GET'):
            return g.page(g.description('ctl', f'<URLBase>http://{p.ROUTER}'
                                        ':5000/x/</URLBase>'))
        assert text.startswith('POST /x/ctl '), text
        if 'GetExternalIPAddress' in text:
            return g.soap('<u:XResponse><NewExternalIPAddress>11.77.0.1'
                          '</NewExternalIPAddress></u:XResponse>')
        if '#AddPortMapping' in text:
            if '<NewLeaseDuration>0<' not in text:
                return g.fault(725)
            if '<NewExternalPort>30000<' in text:
                return g.fault(718)
            mapped.append(re.search(r'<NewExternalPort>(\d+)<', text)[1])
            return g.soap('<u:AddPortMappingResponse/>')
        if '#DeletePortMapping' in text:
            mapped.remove(re.search(r'<NewExternalPort>(\d+)<', text)[1])
            return g.soap('<u:DeletePortMappingResponse/>')
        return g.fault(401)
    with g.Gateway(home, ssdp=lambda d, a: [g.search_answer()],
                   http=http):
        watch.say(f'gateway {p.ROUTER}', 'want 30000')
        external = watch.mapped(30000, p.UPNP)
        assert mapped == [str(external)] and external >= 1024, mapped
        watch.stop()
        assert not mapped, f'left: {mapped}'


def elsewhere(location=g.LOCATION, http=None):
    """Whatever leads to a third party is not followed."""
    def test(home, watch, folder):
        seen = []
        with home.outside:
            third = socket.create_server((p.OUTSIDE, 5000))
            third.settimeout(0.1)
        with third, g.Gateway(
                home, ssdp=lambda d, a: [g.search_answer(location)],
                http=http or (lambda t, c: None)) as gateway:
            endure(watch, gateway, 5)
            try:
                seen.append(third.accept())
            except TimeoutError:
                pass
            assert not seen, 'the third party was called'
            assert gateway.count['ssdp'] > 0, 'no search'
            assert gateway.count['http'] < 20, gateway.count
            assert (gateway.count['http'] > 0) == (location == g.LOCATION), \
                gateway.count
        then_serves(home, watch, folder)
    return test


THIRD = f'http://{p.OUTSIDE}:5000'
REDIRECT = g.page('', '302 Found', f'Location: {THIRD}/root.xml\r\n')


def flood(text, conn):
    """XML without an end."""
    conn.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    piece = b'<device><serviceList><service>' * 100
    for _ in range(100000):
        conn.sendall(f'{len(piece):x}\r\n'.encode() + piece + b'\r\n')


def drip(text, conn):
    conn.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
    for _ in range(100):
        conn.sendall(b'<')
        time.sleep(0.1)


def deep(text, conn):
    return g.page('<a>' * 20000)


def values(text, conn):
    """A good description, and an answer full of values."""
    if text.startswith('GET'):
        return g.page(g.description())
    return g.soap('<u:XResponse>' + '<NewX>1</NewX>' * 4000 +
                  '<NewExternalIPAddress>' + '9' * 20000 +
                  '</NewExternalIPAddress></u:XResponse>')


def unusable(text, conn):
    if text.startswith('GET'):
        return g.page(g.description())
    return g.soap('<u:XResponse><NewExternalIPAddress>0.0.0.0'
                  '</NewExternalIPAddress></u:XResponse>')


def refusing(text, conn):
    """Every action fails; AddPortMapping for reasons that ask for another
    attempt."""
    if text.startswith('GET'):
        return g.page(g.description())
    if 'GetExternalIPAddress' in text:
        return g.soap('<u:XResponse><NewExternalIPAddress>11.77.0.1'
                      '</NewExternalIPAddress></u:XResponse>')
    return g.fault(718)


def adds(gateway):
    return sum('#AddPortMapping' in t for t in gateway.requests)


def refusal(home, watch, folder):
    with g.Gateway(home, ssdp=lambda d, a: [g.search_answer()],
                   http=refusing) as gateway:
        endure(watch, gateway, 4)
        l.until(lambda: _assert(adds(gateway) >= 6), 15, 'attempts')
        watch.quiet(2)
        assert adds(gateway) == 6, f'{adds(gateway)} attempts'
    then_serves(home, watch, folder)


def web(http, needs_http=True):
    def test(home, watch, folder):
        with g.Gateway(home, ssdp=lambda d, a: [g.search_answer()],
                       http=http) as gateway:
            endure(watch, gateway, 6)
            assert gateway.count['http'] > 0 or not needs_http, \
                'it was not even asked'
        then_serves(home, watch, folder)
    return test


def restless(home, watch, folder):
    """Every answer tells of a restart and of another port and address."""
    state = {'n': 0}

    def answer(data, _peer):
        state['n'] += 1
        n = state['n']
        return [g.pcp_map(data, external=40000 + n, life=9,
                          epoch=n * 7919 % 100000)] \
            if data[:2] == b'\2\1' else []
    with g.Gateway(home, udp=answer) as gateway:
        endure(watch, gateway, 12, quiet=False)
        assert gateway.count['udp'] < 12, gateway.count
        watch.say('unwant 30000')
    then_serves(home, watch, folder)


def datagram_flood(home, watch, folder):
    """As many datagrams as the gateway can send."""
    state = {'peer': None, 'stop': False}

    def remember(_data, peer):
        state['peer'] = peer
        return []
    with g.Gateway(home, udp=remember) as gateway:
        watch.say(f'gateway {p.ROUTER}', 'want 30000')
        l.until(lambda: _assert(state['peer']), p.WAIT, 'a request')
        pid = watch.status()['worker']
        sock = gateway.sockets[0]
        end = time.monotonic() + 3
        sent = 0
        while time.monotonic() < end:
            for _ in range(100):
                sock.sendto(b'\2\x81\0\0' + bytes(56), state['peer'])
                sent += 1
        watch.quiet(0.1)
        assert watch.status()['worker'] == pid, 'it died'
        stop = watch.status  # it still obeys
        assert stop()['running'] == 1
    then_serves(home, watch, folder)
    return f'{sent} datagrams'


ROWS = [
    ('an honest gateway of our own', honest),
    ('silence costs one attempt at a time', silence),
    ('nonsense on every port', nonsense),
    ('forged answers', forgery),
    ('a stranger answers the search', strangers),
    ('a location elsewhere', elsewhere(f'{THIRD}/root.xml')),
    ('a redirect elsewhere', elsewhere(http=lambda t, c: REDIRECT)),
    ('a control URL elsewhere', elsewhere(
        http=lambda t, c: g.page(g.description(f'{THIRD}/ctl')))),
    ('a base elsewhere', elsewhere(http=lambda t, c: g.page(g.description(
        'ctl', f'<URLBase>{THIRD}/</URLBase>')) if t.startswith('GET')
        else REDIRECT)),
    ('endless XML', web(flood)),
    ('a byte at a time', web(drip)),
    ('deeply nested XML', web(deep)),
    ('answers full of values', web(values)),
    ('no public address', web(unusable)),
    ('connections that say nothing', web(lambda t, c: time.sleep(4))),
    ('every mapping refused', refusal),
    ('a gateway that restarts with every answer', restless),
    ('a flood of datagrams', datagram_flood),
]


if __name__ == '__main__':
    sys.exit(p.main(sys.argv, ROWS))
