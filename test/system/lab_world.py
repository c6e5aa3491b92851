# SPDX-License-Identifier: BSD-3-Clause
"""A small internet of network namespaces, for tests with real programs.

enter() moves the test into name spaces of its own: processes, mounts, network.
Everything made afterwards (named network namespaces, links, rules, programs)
belongs to them and goes with them, also when the test is killed.

World is the public segment: a switch with the relay and STUN servers on it.
lab_boxes.py puts homes with NAT boxes of many kinds behind it.
"""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'relay'))

import lab as l  # noqa: E402  pylint: disable=wrong-import-position

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000

# Documentation networks: neither private nor routed anywhere, so that the
# programs take them for public.
RELAY = '203.0.113.1'
RELAY6 = '2001:db8:113::1'
RELAY_NAME = 'relay.lab.test'
# STUN servers of their own: two addresses, so that a symmetric NAT shows.
STUNS = ('203.0.113.2', '203.0.113.3')
GATEWAY = '203.0.113.254'
GATEWAY6 = '2001:db8:113::fe'
# Names that netcheck asks.
STUN_NAMES = ('stun.l.google.com', 'stun1.l.google.com', 'stun2.l.google.com',
              'stun.cloudflare.com')
STUN_PORTS = (3478, 19302)


def _check(result, what):
    if result != 0:
        raise l.Skip(f'{what}: {os.strerror(ctypes.get_errno())}')


def _reap(child):
    """What the first process of a namespace is for."""
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


def enter():
    """To be called once, early, with one thread.  The caller continues in a
    process that cannot outlive the one that it was started as."""
    if os.geteuid() != 0:
        raise l.Skip('needs root for network namespaces')
    _check(_LIBC.unshare(_CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWPID),
           'no namespaces')
    sys.stdout.flush()
    child = os.fork()
    if child > 0:
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sig, lambda *_: os.kill(child, signal.SIGKILL))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    l._die_with_parent()
    child = os.fork()
    if child > 0:
        _reap(child)
    l._die_with_parent()
    for args in (['--make-rprivate', '/'], ['-t', 'proc', 'proc', '/proc'],
                 ['-t', 'tmpfs', 'tmpfs', '/run']):
        subprocess.run(['mount', *args], check=True)
    os.mkdir('/run/netns')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    _write_hosts()


def _write_hosts():
    rows = ['127.0.0.1 localhost', f'{RELAY} {RELAY_NAME}',
            f'{RELAY6} {RELAY_NAME}']
    rows += [f'{STUNS[n % 2]} {name}' for n, name in enumerate(STUN_NAMES)]
    path = pathlib.Path('/run/hosts')
    path.write_text('\n'.join(rows) + '\n', encoding='ascii')
    subprocess.run(['mount', '--bind', str(path), '/etc/hosts'], check=True)


def run(*args):
    subprocess.run([str(a) for a in args], check=True)


def ip(*lines, ns=None):
    """Several ip commands at once; each a string."""
    where = ['-n', ns] if ns else []
    subprocess.run(['ip', *where, '-batch', '-'], input='\n'.join(lines),
                   text=True, check=True)


class Netns:
    """A named network namespace.  `with ns:` moves this thread into it;
    threads started and sockets made there stay in it."""
    _local = threading.local()

    def __init__(self, name, v4=True, v6=False):
        self.name = name
        self.path = f'/run/netns/{name}'
        self.port = None  # (namespace, device) of the switch it is plugged in
        run('ip', 'netns', 'add', name)
        self.ip('link set lo up')
        with self:
            self.sysctl('ipv4/ip_forward', 0)
            for which in ('all', 'default'):
                self.sysctl(f'ipv6/conf/{which}/disable_ipv6', int(not v6))
                self.sysctl(f'ipv6/conf/{which}/accept_dad', 0)
                self.sysctl(f'ipv6/conf/{which}/accept_ra', 0)
            with contextlib.suppress(FileNotFoundError):
                # A switch is no router: nftables is for what is routed.
                self.sysctl('bridge/bridge-nf-call-iptables', 0)
        self.v4, self.v6 = v4, v6

    @staticmethod
    def sysctl(name, value):
        """Inside `with`."""
        with open(f'/proc/sys/net/{name}', 'w', encoding='ascii') as f:
            f.write(str(value))

    def __enter__(self):
        stack = self._local.__dict__.setdefault('stack', [])
        stack.append(os.open('/proc/thread-self/ns/net', os.O_RDONLY))
        self._set(os.open(self.path, os.O_RDONLY))
        return self

    def __exit__(self, *exc):
        self._set(self._local.stack.pop())

    @staticmethod
    def _set(fd):
        try:
            if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), 'setns')
        finally:
            os.close(fd)

    def prefix(self):
        """What to put before a command that is to run in it."""
        return ['nsenter', f'--net={self.path}']

    def nft(self, text):
        subprocess.run([*self.prefix(), 'nft', '-f', '-'], input=text,
                       text=True, check=True)

    def ip(self, *lines):
        ip(*lines, ns=self.name)

    def default_route(self, via, dev, v6=None):
        if via:
            self.ip(f'route replace default via {via} dev {dev}')
        if v6:
            self.ip(f'route replace default via {v6} dev {dev}')

    def delete(self):
        # The kernel clears namespaces in its own time; names on the public
        # switch must be free at once.
        if self.port:
            ip(f'link del {self.port[1]}', ns=self.port[0])
        subprocess.run(['ip', 'netns', 'del', self.name], check=False)


def link(a, a_name, b, b_name, mtu=1500):
    """A cable: a veth pair between two namespaces, up."""
    ip(f'link add {a_name} netns {a.name} mtu {mtu} type veth '
       f'peer name {b_name} netns {b.name} mtu {mtu}')
    a.ip(f'link set {a_name} up')
    b.ip(f'link set {b_name} up')


class StunServer:
    """Binding responses on given sockets, from a process of its own."""

    def __init__(self, sockets):
        pid = os.fork()
        if pid == 0:
            l._die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for s in sockets:
                threading.Thread(target=self._serve, args=(s,)).start()
            threading.Event().wait()
        for s in sockets:
            s.close()

    @staticmethod
    def _serve(sock):
        while True:
            data, addr = sock.recvfrom(2048)
            if len(data) < 20 or data[:2] != b'\0\1' or \
                    data[4:8] != b'\x21\x12\xa4\x42':
                continue
            packed = socket.inet_aton(addr[0])
            xored = bytes(a ^ b for a, b in zip(packed, data[4:8]))
            port = (addr[1] ^ 0x2112).to_bytes(2, 'big')
            body = b'\0\x20\0\x08\0\1' + port + xored
            sock.sendto(b'\1\1' + len(body).to_bytes(2, 'big') + data[4:20] +
                        body, addr)


class World:
    """The public segment with its servers.  Close it by leaving `with`."""

    def __init__(self, build, relay='ours', derper=None):
        self.lab = l.Lab(build)
        self._hosts = []
        self.core = Netns('core', v6=True)
        self.core.ip('link add pub type bridge forward_delay 0',
                     'link set pub up', f'addr add {GATEWAY}/24 dev pub',
                     f'addr add {GATEWAY6}/64 dev pub')
        self.relay_ns = self.public('relay', RELAY, RELAY6)
        stun = self.public('stun', STUNS[0])
        stun.ip(f'addr add {STUNS[1]}/24 dev eth0')
        with stun:
            sockets = []
            for host in STUNS:
                for port in STUN_PORTS:
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    s.bind((host, port))
                    sockets.append(s)
        StunServer(sockets)
        self._derper = derper
        self.relay = self.start_relay(relay)

    def public(self, name, v4=None, v6=None, cable=link):
        """A host right on the public segment."""
        ns = Netns(name, v4=v4 is not None, v6=v6 is not None)
        self.plug(ns, 'eth0', v4, v6, cable)
        self._hosts.append(ns)
        return ns

    def forget_neighbours(self):
        """Addresses of homes move from one test to the next."""
        self._hosts = [h for h in self._hosts if os.path.exists(h.path)]
        for h in self._hosts:
            h.ip('neigh flush all')

    def plug(self, ns, dev, v4=None, v6=None, cable=link):
        """A cable from a namespace to the public segment."""
        port = f'p-{ns.name}'[:15]
        cable(ns, dev, self.core, port)
        self.core.ip(f'link set {port} master pub')
        ns.port = (self.core.name, port)
        if v4:
            ns.ip(f'addr add {v4}/24 dev {dev}')
        if v6:
            ns.ip(f'addr add {v6}/64 dev {dev}')
        ns.default_route(v4 and GATEWAY, dev, v6 and GATEWAY6)

    def start_relay(self, kind='ours'):
        env = self.lab.env('relay')
        state = self.lab.path(f'relay-{kind}')
        if kind == 'ours':
            # [::] is both families; the state keeps key and certificate.
            p = self.lab.start(
                [*self.relay_ns.prefix(), self.lab.our('derptun-relay'),
                 '--listen', '[::]:443', '--stun', '[::]:3478', '--hostname',
                 RELAY_NAME, '--state-dir', state], env)
            ca = p.wait_line(r'^SSL_CERT_FILE=(.*)$', stream='out',
                             timeout=20).group(1)
        else:
            state.mkdir(exist_ok=True)
            ca = state / f'{RELAY_NAME}.crt'
            if not ca.exists():
                _certificate(state, RELAY_NAME)
            p = self.lab.start(
                [*self.relay_ns.prefix(), self._derper, '-c',
                 state / 'derper.json', '-a', ':443', '-hostname', RELAY_NAME,
                 '-certdir', state, '-certmode', 'manual', '-http-port', '-1',
                 '-stun=true', '-stun-port', '3478'], env)
        with self.relay_ns:
            l.wait_for_port(RELAY, 443)
        relay = l.Relay(kind, p, 443, ca)
        relay.url = f'https://{RELAY_NAME}:443'
        return relay

    def restart_relay(self):
        self.relay.process.stop(signal.SIGTERM)
        relay = self.start_relay(self.relay.name)
        self.relay.process = relay.process

    def close(self):
        self.lab.close()
        run('ip', '-all', 'netns', 'del')

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def _certificate(folder, name):
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '7', '-subj',
         f'/CN={name}', '-addext', f'subjectAltName=DNS:{name}', '-keyout',
         str(folder / f'{name}.key'), '-out', str(folder / f'{name}.crt')],
        check=True, stderr=subprocess.DEVNULL)
