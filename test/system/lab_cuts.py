# SPDX-License-Identifier: BSD-3-Clause
"""Ways a direct path dies, and what heals it."""
import time

import lab_boxes as b

# From healing to direct again: probes that were silent rest for up to 6 s, and
# so does STUN, which has to tell of a new mapping.
RETURN_S = 15


def rebind(field):
    """The other's box forgets its flows and what was cut there."""
    field.rebindings += 1
    b.rebind(field.homes[1].boxes[0], '203.0.113.20', field.rebindings)


class Cut:
    """cuts: does the path need to fall back?  Else it may go on."""
    cuts = True

    def __init__(self, field, random):
        self.field, self.random = field, random

    def cut(self):
        raise NotImplementedError

    def heal(self):
        """Undo it."""


class Blackhole(Cut):
    """Both ways, at a host's cable."""

    def cut(self):
        self.field.shim.set('both', 'udp', blackhole=1)

    def heal(self):
        self.field.shim.set('both', 'udp', blackhole=0)


class OneWay(Cut):
    """One way only: the other hears everything and is not heard."""

    def cut(self):
        self.field.shim.set(self.random.choice(('up', 'down')), 'udp',
                            blackhole=1)

    def heal(self):
        self.field.shim.set('both', 'udp', blackhole=0)


class Dropped(Cut):
    """By the rules of the other's box."""

    def cut(self):
        self.field.homes[1].boxes[0].nft(
            'table ip cut { chain forward { type filter hook forward '
            'priority -10; meta l4proto udp drop; }; }')

    def heal(self):
        self.field.homes[1].boxes[0].nft('delete table ip cut')


class Rebound(Cut):
    """The other's box forgets its flows and chooses other ports, which STUN has
    to tell."""
    cuts = False

    def cut(self):
        rebind(self.field)


class Restarted(Dropped):
    """The other's box is gone, for STUN as well, and returns with no flows."""

    def heal(self):
        rebind(self.field)


class Unplugged(Cut):
    """The other's host loses its link and its routes, for a moment: its relay
    connection stalls too."""
    cuts = False

    def cut(self):
        host = self.field.homes[1].host
        host.ip('link set eth0 down')
        time.sleep(self.random.uniform(0.2, 1.5))
        host.ip('link set eth0 up')
        host.default_route('192.168.1.1', 'eth0')


class RelayRestart(Cut):
    """Direct goes on without it."""
    cuts = False

    def cut(self):
        self.field.world.restart_relay()


ALL = (Blackhole, OneWay, Dropped, Rebound, Restarted, Unplugged,
       RelayRestart)
