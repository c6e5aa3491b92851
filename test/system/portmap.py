#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Port mapping against miniupnpd on a router of namespaces: each protocol makes
a mapping that lets a stranger's packet in, keeps it, and takes it away.

usage: portmap.py PORTMAP_WATCH FOLDER_OF_THE_WORKERS [PATTERN]"""
import os
import signal
import sys
import time

import portmap_lab as p
from portmap_lab import l

ALL = 'enable_natpmp=yes\nenable_upnp=yes\n'
UPNP_ONLY = 'enable_natpmp=no\nenable_upnp=yes\n'
# PCP's answers of this router live for 10 s; renewal is due after 5.
SHORT = ALL + 'min_lifetime=2\nmax_lifetime=10\n'


def round_trip(home, watch, protocol):
    """Two mappings, of which one is withdrawn early.  Returns the detail."""
    with p.Local(home) as one, p.Local(home) as two:
        watch.say(f'gateway {p.ROUTER}')
        start = time.monotonic()
        watch.say(f'want {one.port}')
        external = watch.mapped(one.port, protocol)
        took = p.seconds_since(start)
        assert home.rules().get(external) == f'{p.HOST}:{one.port}', \
            f'{external} is not in {home.rules()}'
        assert one.is_reached(external), 'a stranger does not get in'
        watch.say(f'want {two.port}')
        other = watch.mapped(two.port, protocol)
        assert two.is_reached(other), 'nor at the second port'
        assert watch.status()['mapped'] == 2, 'the status says otherwise'
        watch.say(f'unwant {one.port}')
        p.gone_in(home, external)
        assert not one.is_reached(external), 'it is still open'
        assert two.is_reached(other), 'the other one is closed too'
        end = watch.stop()
        p.all_gone(home)
        return f'mapped after {took * 1000:.0f} ms, ' \
            f'ended in {end * 1000:.0f} ms'


def pcp(home, watch, folder):
    with p.Miniupnpd(home, folder, ALL) as daemon:
        detail = round_trip(home, watch, p.PCP)
        assert 'PCP MAP: added' in daemon.log(), 'it was not PCP'
        return detail


def natpmp(home, watch, folder):
    """A router that does not answer PCP."""
    with p.Miniupnpd(home, folder, ALL) as daemon:
        home.router.nft('add rule inet filter input udp dport 5351 '
                        '@th,64,8 2 drop')
        detail = round_trip(home, watch, p.NATPMP)
        assert 'PCP MAP' not in daemon.log(), 'it was PCP'
        return detail


def upnp(home, watch, folder):
    with p.Miniupnpd(home, folder, UPNP_ONLY) as daemon:
        detail = round_trip(home, watch, p.UPNP)
        assert '#AddAnyPortMapping' in daemon.log(), 'not as IGD 2 has it'
        return detail


def upnp_version_1(home, watch, folder):
    with p.Miniupnpd(home, folder,
                     UPNP_ONLY + 'force_igd_desc_v1=yes\n') as daemon:
        detail = round_trip(home, watch, p.UPNP)
        assert '#AddPortMapping' in daemon.log(), 'not as IGD 1 has it'
        return detail


def upnp_silent_5351(home, watch, folder):
    """No ICMP says that there is no PCP."""
    with p.Miniupnpd(home, folder, UPNP_ONLY):
        home.router.nft('add rule inet filter input udp dport 5351 drop')
        return round_trip(home, watch, p.UPNP)


def renewal(home, watch, folder):
    with p.Miniupnpd(home, folder, SHORT) as daemon, p.Local(home) as s:
        watch.say(f'gateway {p.ROUTER}', f'want {s.port}')
        external = watch.mapped(s.port, p.PCP)
        watch.quiet(15)  # half as much again as it lives
        assert external in home.rules(), 'the mapping has expired'
        assert s.is_reached(external), 'a stranger does not get in'
        asked = daemon.log().count('PCP request received')
        assert 3 <= asked <= 5, f'{asked} requests in 15 s'
        watch.stop()
        p.all_gone(home)


def restart(home, watch, folder):
    """The router forgets everything, twice; its epoch tells."""
    with p.Miniupnpd(home, folder, SHORT) as daemon, \
            p.Local(home) as one, p.Local(home) as two:
        watch.say(f'gateway {p.ROUTER}', f'want {one.port}',
                  f'want {two.port}')
        externals = sorted(watch.mapped(r'\d+', p.PCP) for _ in range(2))
        for _ in range(2):
            daemon.stop(signal.SIGKILL)
            home.router.nft('flush ruleset\n' + p.RULES)
            daemon.start()

            def back():
                assert sorted(home.rules()) == externals, home.rules()
            l.until(back, 30, 'mappings after a restart')
        watch.quiet(0.1)
        watch.stop()
        p.all_gone(home)


def lost_gateway(home, watch, folder):
    with p.Miniupnpd(home, folder, ALL), p.Local(home) as s:
        watch.say(f'gateway {p.ROUTER}', f'want {s.port}')
        external = watch.mapped(s.port, p.PCP)
        watch.say(f'gateway {p.ROUTER}')
        watch.quiet(0.5)
        watch.say('gateway none')
        watch.line(f'gone {s.port}')
        p.gone_in(home, external)
        watch.say('gateway 192.0.2.1')  # not private: not asked
        watch.quiet(0.5)
        assert watch.status()['running'] == 0, 'a worker for nothing'
        watch.say(f'gateway {p.ROUTER}')
        watch.mapped(s.port, p.PCP)
        watch.say(f'unwant {s.port}', f'want {s.port}')
        watch.mapped(s.port, p.PCP)
        watch.stop()
        p.all_gone(home)


def moved_host(home, watch, folder):
    """Our own address changes: the mappings must lead to the new one."""
    with p.Miniupnpd(home, folder, ALL), p.Local(home) as s:
        watch.say(f'gateway {p.ROUTER}', f'want {s.port}')
        watch.mapped(s.port, p.PCP)
        try:
            home.host.ip('addr flush dev eth0',
                         'addr add 10.77.0.3/24 dev eth0')
            home.host.default_route(p.ROUTER, 'eth0')
            watch.say(f'gateway {p.ROUTER}')
            watch.line(f'gone {s.port}')
            external = watch.mapped(s.port, p.PCP)
            assert s.is_reached(external), 'a stranger does not get in'
            assert home.rules()[external] == f'10.77.0.3:{s.port}', \
                home.rules()
            watch.stop()
        finally:
            home.host.ip('addr flush dev eth0',
                         f'addr add {p.HOST}/24 dev eth0')
            home.host.default_route(p.ROUTER, 'eth0')


def killed_worker(home, watch, folder):
    with p.Miniupnpd(home, folder, ALL), p.Local(home) as s:
        watch.say(f'gateway {p.ROUTER}', f'want {s.port}')
        external = watch.mapped(s.port, p.PCP)
        os.kill(watch.status()['worker'], signal.SIGKILL)
        watch.line(f'gone {s.port}')
        assert watch.mapped(s.port, p.PCP) == external, 'another port'
        assert s.is_reached(external), 'a stranger does not get in'
        watch.stop()
        p.all_gone(home)


def on_demand(home, watch, folder):
    with p.Miniupnpd(home, folder, ALL), p.Local(home) as s:
        watch.say(f'gateway {p.ROUTER}')
        assert watch.status()['worker'] == 0, 'a worker that nobody wants'
        watch.say(f'want {s.port}')
        watch.mapped(s.port, p.PCP)
        watch.say(f'unwant {s.port}')
        assert watch.status()['running'] == 1, 'it does not linger'

        def ended():
            assert watch.status()['worker'] == 0, 'it stays'
        l.until(ended, p.WAIT, 'end of the worker')
        watch.say(f'want {s.port}')
        watch.mapped(s.port, p.PCP)
        watch.stop()


def many(home, watch, folder):
    """miniupnpd needs the more time the more mappings it has."""
    with p.Miniupnpd(home, folder, ALL):
        ports = range(20000, 20024)
        watch.say(f'gateway {p.ROUTER}', *(f'want {n}' for n in ports))
        start = time.monotonic()
        for _ in ports:
            watch.mapped(r'\d+', p.PCP)
        took = p.seconds_since(start)
        assert len(home.rules()) == len(ports), len(home.rules())
        end = watch.stop()

        def none():  # asked in time, done in the router's own
            p.all_gone(home)
        l.until(none, 30, 'removal of all')
        return f'{len(ports)} mapped after {took:.2f} s, gone after {end} s'


ROWS = [
    ('PCP', pcp),
    ('NAT-PMP', natpmp),
    ('UPnP, version 2', upnp),
    ('UPnP, version 1', upnp_version_1),
    ('UPnP, and silence on port 5351', upnp_silent_5351),
    ('a short lease is renewed', renewal),
    ('a router that restarts', restart),
    ('a gateway that is lost', lost_gateway),
    ('a host with another address', moved_host),
    ('a worker that is killed', killed_worker),
    ('a worker only on demand', on_demand),
    ('many ports', many),
]


if __name__ == '__main__':
    sys.exit(p.main(sys.argv, ROWS))
