# SPDX-License-Identifier: BSD-3-Clause
"""A home for the port mapping tests: a host, a router, the outside.

    host 10.77.0.2 -- lan 10.77.0.1 router 11.77.0.1 wan -- 11.77.0.2 outside
"""
import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))

import lab_world as w  # noqa: E402  pylint: disable=wrong-import-position
from lab_world import l  # noqa: E402  pylint: disable=wrong-import-position

ROUTER, HOST, PUBLIC, OUTSIDE = '10.77.0.1', '10.77.0.2', '11.77.0.1', \
    '11.77.0.2'
PCP, NATPMP, UPNP = '1', '2', '3'
# A loaded machine takes longer than the protocols do.
WAIT = 15
TRIES = 3

# A home router: masquerades, lets nothing in but what miniupnpd adds.
RULES = '''
table inet filter {
	chain forward {
		type filter hook forward priority filter; policy drop
		ct state established,related accept
		iifname "lan" accept
		jump miniupnpd
	}
	chain input {
		type filter hook input priority filter; policy accept
		iifname "wan" ct state new,invalid drop
	}
	chain miniupnpd {
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept
		iifname "wan" jump prerouting_miniupnpd
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept
		oifname "wan" masquerade
		oifname "wan" jump postrouting_miniupnpd
	}
	chain prerouting_miniupnpd {
	}
	chain postrouting_miniupnpd {
	}
}
'''
CONFIG = '''ext_ifname=wan
listening_ip=lan
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
http_port=5000
secure_mode=yes
system_uptime=no
notify_interval=60
uuid=5c3b8a70-0c3b-4a53-9c56-0a7f5a1d7c11
serial=1
model_number=1
allow 1024-65535 10.77.0.0/24 1024-65535
'''


class Home:
    """The three namespaces.  One for all rows; routers come and go in it."""

    def __init__(self):
        self.host = w.Netns('host')
        self.router = w.Netns('router')
        self.outside = w.Netns('outside')
        w.link(self.host, 'eth0', self.router, 'lan')
        w.link(self.outside, 'eth0', self.router, 'wan')
        self.host.ip(f'addr add {HOST}/24 dev eth0')
        self.router.ip(f'addr add {ROUTER}/24 dev lan',
                       f'addr add {PUBLIC}/24 dev wan')
        self.outside.ip(f'addr add {OUTSIDE}/24 dev eth0')
        self.host.default_route(ROUTER, 'eth0')
        with self.router:
            w.Netns.sysctl('ipv4/ip_forward', 1)

    def rules(self):
        """What the router forwards to whom, UDP: {external: 'ip:port'}."""
        text = subprocess.run(
            [*self.router.prefix(), 'nft', '-n', 'list', 'chain', 'inet',
             'filter', 'prerouting_miniupnpd'], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, check=False).stdout
        return {int(m[1]): m[2] for m in re.finditer(
            r'dport (\d+) dnat ip to (\S+)', text)}


class Miniupnpd:
    """The real thing.  more: lines of its configuration; args: options."""

    def __init__(self, home, folder, more='', args=()):
        self.home = home
        self.path = pathlib.Path(folder) / 'miniupnpd.conf'
        self.path.write_text(CONFIG + more, encoding='ascii')
        self.more = more
        self.args = args
        home.router.nft('flush ruleset\n' + RULES)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.home.router.prefix(), '/usr/sbin/miniupnpd', '-d', '-f',
             str(self.path), '-P', str(self.path) + '.pid', *self.args],
            stdout=subprocess.DEVNULL,
            stderr=open(str(self.path) + '.log', 'ab'))
        # Its sockets come one by one: that of NAT-PMP, where it is wanted.
        l.until(self._listens, WAIT, 'miniupnpd')

    def _listens(self):
        if self.process.poll() is not None:
            raise l.Skip('miniupnpd does not run here: ' + self.log()[-300:])
        text = subprocess.run(
            [*self.home.router.prefix(), 'ss', '-Hlun'],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        port = 5351 if 'enable_natpmp=yes' in self.more else 1900
        assert f':{port} ' in text, 'no socket yet'

    def log(self):
        return pathlib.Path(str(self.path) + '.log').read_text(
            encoding='utf-8', errors='replace')

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.process.wait(WAIT)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)


class Fallback(AssertionError):
    """Mapped by another protocol.  A router that is held up for a second does
    that, too: the row is tried again."""


class Watch:
    """portmap_watch, with what it says."""

    def __init__(self, home, program, folder):
        self.home = home
        self.process = subprocess.Popen(
            [*home.host.prefix(), program, folder], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.logged = []
        for stream, put in ((self.process.stdout, self.lines.put),
                            (self.process.stderr, self.logged.append)):
            threading.Thread(target=self._read, args=(stream, put),
                             daemon=True).start()

    @staticmethod
    def _read(stream, put):
        for line in stream:
            put(line.strip())

    def say(self, *lines):
        self.process.stdin.write('\n'.join(lines) + '\n')
        self.process.stdin.flush()

    def line(self, pattern, timeout=WAIT):
        """The next line, which must match."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f'no "{pattern}" in {timeout} s; it logged '
                                 + ' / '.join(self.logged[-6:])) from None
        m = re.fullmatch(pattern, line)
        assert m, f'"{line}" is not "{pattern}"'
        return m

    def mapped(self, port, protocol, timeout=WAIT):
        """External port of a mapping that appears.  port: may be a pattern,
        protocol: one, or all that will do."""
        m = self.line(rf'mapped {port} {re.escape(PUBLIC)}:(\d+) (\d)',
                      timeout)
        if m[2] not in protocol:
            raise Fallback(f'protocol {m[2]}, not {protocol}')
        return int(m[1])

    def status(self, skip=False):
        """The counts; skip: what was said before the answer."""
        self.say('status')
        text = self.line(r'.*')[0]
        while skip and not text.startswith('status '):
            text = self.line(r'.*')[0]
        assert text.startswith('status '), f'"{text}" is no status'
        return {k: int(v) for k, v in re.findall(r'(\w+)=(-?\d+)', text)}

    def quiet(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError(f'unexpected "{line}"')

    def stop(self):
        """Orderly; returns how long it took, in seconds."""
        self.say('stop')
        seconds = int(self.line(r'stopped (\d+)')[1]) / 1000
        # 1 s, and what a busy machine adds.
        assert seconds < 4, f'ending took {seconds} s'
        assert self.process.wait(WAIT) == 0, 'watch failed'
        return seconds

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Local:
    """The UDP socket that is to be reached."""

    def __init__(self, home):
        self.home = home
        with home.host:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind(('', 0))
        self.sock.settimeout(2)
        self.port = self.sock.getsockname()[1]

    def is_reached(self, external):
        """A packet of somebody who was never spoken to."""
        word = os.urandom(8)
        with self.home.outside:
            out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with out:
            out.sendto(word, (PUBLIC, external))
            try:
                while True:
                    if self.sock.recvfrom(100)[0] == word:
                        return True
            except TimeoutError:
                return False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()


def gone_in(home, external, seconds=WAIT):
    def check():
        assert external not in home.rules(), 'the mapping is still there'
    l.until(check, seconds, 'removal')


def all_gone(home, seconds=WAIT):
    """Also what a router is only just removing."""
    def check():
        assert not home.rules(), f'left: {home.rules()}'
    l.until(check, seconds, 'removal of all')


def seconds_since(start):
    return time.monotonic() - start


def run_row(tap, home, argv, title, test):
    """One row of a test: a folder and a watch of its own."""
    def once():
        with tempfile.TemporaryDirectory() as folder, \
                Watch(home, argv[1], argv[2]) as watch:
            try:
                return test(home, watch, folder)
            except AssertionError:
                for line in watch.logged[-20:]:
                    print('#', line)
                raise

    def row():
        for n in range(TRIES - 1):
            try:
                return once()
            except Fallback as e:
                print(f'# {title}, try {n + 1}: {e}')
        return once()
    tap.run(title, row)


def main(argv, rows):
    """The rows of a test, in the lab; its exit status."""
    tap = l.Tap()
    try:
        if not os.access('/usr/sbin/miniupnpd', os.X_OK):
            raise l.Skip('no miniupnpd')
        w.enter()
    except l.Skip as e:
        tap.skip('all rows', e)
        return tap.done()
    home = Home()
    for title, test in rows:
        if len(argv) < 4 or re.search(argv[3], title):
            run_row(tap, home, argv, title, test)
    return tap.done()
