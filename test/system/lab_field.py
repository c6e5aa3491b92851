# SPDX-License-Identifier: BSD-3-Clause
"""Two homes with daemons and a tunnel between them, for tests that do things to
its path."""
import time

import faults_lib as fl
import lab_boxes as b
import lab_load
import lab_peers as p
import lab_shim
import lab_watch


class Field:
    """Two homes, daemons and a tunnel between them."""

    def __init__(self, world, kinds=('port', 'port'), rate=None, seed=1):
        self.world = world
        self.rebindings = 0
        self.shim = lab_shim.Shim(world, 'shim', seed)
        self.homes = (b.home(world, kinds[0], 'a', 1, self.shim.cable),
                      b.home(world, kinds[1], 'b', 2))
        if rate:
            self.shim.set('both', 'all', rate_bps=rate * 1e6)
        self._daemons(p.programs(world.lab.build, 'c', {}))
        self._tunnel()

    def _daemons(self, programs):
        self.daemons, sides = [], []
        for name, home in zip('ab', self.homes):
            d = fl.Daemon(self.world.lab, name, self.world.relay,
                          prefix=home.host.prefix())
            self.daemons.append(d)
            sides.append(p.Side(self.world, 'c', home.host, programs, name,
                                {'DERPTUND_SOCKET': str(d.socket)}))
        self.offer, self.use = sides

    def _tunnel(self):
        self.paths = [lab_load.Paths(d) for d in self.daemons]
        with self.offer.ns:
            self.service = lab_load.Source()
        self.sharer, token = self.offer.share(self.service.address)
        self.counters = [lab_watch.Counters(h.host) for h in self.homes]
        self.opener = self.use.open(token)
        self.address = self.opener.wait_line(
            r'^listening on (\S+)$', timeout=30).group(1)

    def wait(self, direct, timeout):
        """Both ends; when the later of them was there, or None."""
        deadline = time.monotonic() + timeout
        times = [x.wait(direct, max(0, deadline - time.monotonic()))
                 for x in self.paths]
        return None if None in times else max(times)

    def need(self, direct, timeout, what):
        at = self.wait(direct, timeout)
        if at is None:
            raise AssertionError(
                f'{what}: {"direct" if direct else "relay"} not reached in '
                f'{timeout} s; paths are {[x.now() for x in self.paths]}; '
                f'{self.why()}')
        return at

    def why(self):
        out = []
        for d in self.daemons:
            try:
                out.append(d.rpc('session.why',
                                 {'session': d.sessions()[0]['id']}))
            except (AssertionError, OSError, LookupError) as e:
                out.append(str(e))
        return out

    def end(self):
        """In order: everybody leaves as the manual says."""
        fl.leave(self.opener)
        self.sharer.stop()
        self.service.close()
        for x in self.paths:
            x.close()
        for d in self.daemons:
            fl.expect(d.process.stop(), 0, f'status of daemon {d.name}')
        b.remove(*self.homes)
        self.shim.process.stop()
        self.shim.ns.delete()
