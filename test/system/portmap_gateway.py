# SPDX-License-Identifier: BSD-3-Clause
"""A gateway that behaves as a test tells it to, in the router's namespace.

udp: function of (data, peer) for port 5351, answers a list of datagrams.
ssdp: likewise for port 1900.
http: function of (request text, connection), answers or does what it likes.
What was asked is counted."""
import os
import socket
import struct
import threading

import portmap_lab as p

LOCATION = f'http://{p.ROUTER}:5000/root.xml'
SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:1'


def search_answer(location=LOCATION):
    return ('HTTP/1.1 200 OK\r\n'
            'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n'
            f'LOCATION: {location}\r\n\r\n').encode()


def page(text, status='200 OK', more=''):
    data = text.encode()
    return (f'HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{more}\r\n'
            ).encode() + data


def description(control='/ctl', base='', service=SERVICE):
    return ('<?xml version="1.0"?><root>' + base + '<device><deviceType>'
            'urn:schemas-upnp-org:device:InternetGatewayDevice:1'
            '</deviceType><deviceList><device><serviceList><service>'
            f'<serviceType>{service}</serviceType><controlURL>{control}'
            '</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL>'
            '</service></serviceList></device></deviceList></device></root>')


def soap(text):
    return page('<?xml version="1.0"?><s:Envelope xmlns:s='
                '"http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' + text
                + '</s:Body></s:Envelope>')


def fault(code):
    return page('<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>'
                f'{code}</errorCode></UPnPError></detail></s:Fault></s:Body>'
                '</s:Envelope>', '500 Internal Server Error')


def pcp_map(request, external=41000, life=7200, epoch=1000, result=0):
    """A PCP answer to a MAP request."""
    return bytes([2, 0x81, 0, result]) + struct.pack('>II', life, epoch) + \
        bytes(12) + request[24:42] + struct.pack('>H', external) + \
        bytes(10) + b'\xff\xff' + socket.inet_aton(p.PUBLIC)


def nobody(_data, _peer):
    return []


class Gateway:
    def __init__(self, home, udp=None, ssdp=nobody, http=None):
        """udp None: the port is closed."""
        self.count = {'udp': 0, 'ssdp': 0, 'http': 0}
        self.requests = []
        self.udp, self.ssdp, self.http = udp, ssdp, http
        self.closing = False
        home.router.nft('flush ruleset\n' + p.RULES)
        # Whatever the host sends past the gateway is counted.
        home.router.nft('add counter inet filter beyond\n'
                        'add rule inet filter forward iifname "lan" '
                        'counter name beyond')
        home.router.nft('insert rule inet filter forward iifname "lan" '
                        'counter name beyond drop')
        self.home = home
        self.sockets = []
        self.threads = []
        with home.router:
            if udp:
                self._start(self._datagrams, 'udp',
                            self._bound(socket.SOCK_DGRAM, 5351))
            s = self._bound(socket.SOCK_DGRAM, 1900)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         socket.inet_aton('239.255.255.250') +
                         socket.inet_aton(p.ROUTER))
            self._start(self._datagrams, 'ssdp', s)
            if http:
                s = self._bound(socket.SOCK_STREAM, 5000)
                s.listen()
                self._start(self._connections, s)

    def _bound(self, kind, port):
        s = socket.socket(socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('0.0.0.0' if port == 1900 else p.ROUTER, port))
        self.sockets.append(s)
        return s

    def _start(self, target, *args):
        self.threads.append(
            threading.Thread(target=target, args=args, daemon=True))
        self.threads[-1].start()

    def _datagrams(self, name, sock):
        sock.settimeout(0.2)
        while not self.closing:
            try:
                data, peer = sock.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            self.count[name] += 1
            for answer in (self.udp if name == 'udp' else self.ssdp)(
                    data, peer):
                sock.sendto(answer, peer)

    def _connections(self, sock):
        sock.settimeout(0.2)
        while not self.closing:
            try:
                conn = sock.accept()[0]
            except TimeoutError:
                continue
            except OSError:
                return
            self.count['http'] += 1
            threading.Thread(target=self._serve, args=(conn,),
                             daemon=True).start()

    def _serve(self, conn):
        with conn:
            conn.settimeout(5)
            try:
                text = conn.recv(8192).decode()
                self.requests.append(text)
                answer = self.http(text, conn)
                if answer:
                    conn.sendall(answer)
            except OSError:
                pass

    def beyond(self):
        """Packets of the host to anybody behind the gateway."""
        text = p.w.subprocess.run(
            [*self.home.router.prefix(), 'nft', 'list', 'counter', 'inet',
             'filter', 'beyond'], stdout=p.w.subprocess.PIPE, text=True,
            check=True).stdout
        return int(text.split('packets ')[1].split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.closing = True
        # A thread that still waits at its socket keeps the port.
        for t in self.threads:
            t.join(5)
        for s in self.sockets:
            s.close()


def noise(_data, _peer):
    """Bytes of every length, some of which look like something."""
    heads = (b'', b'\0\x80', b'\0\x81\0\0', b'\2\x81\0\0', b'\2\x80',
             b'HTTP/1.1 200 OK\r\n')
    return [h + os.urandom(n) for h in heads for n in (0, 1, 8, 12, 36, 56)]
