# SPDX-License-Identifier: BSD-3-Clause
"""KeepAlive of derptun-relay, with its default period: takes over two minutes.

usage: relay_slow.py RELAY [SECONDS]
"""

import sys
import time

import tap
from tap import equal, test, true

tap.need_nacl()
from derp import KEEP_ALIVE, Client, Relay  # noqa: E402


def times(clients, count):
    """When each client got its KeepAlives, in seconds after its login."""
    seen = [[] for _ in clients]
    for n in range(count):
        for i, (c, start) in enumerate(clients):
            kind, payload = c.read(200)
            equal((kind, payload), (KEEP_ALIVE, b""))
            seen[i].append(time.monotonic() - start)
    return seen


@test("keepalive")
def t_keepalive(relay, period):
    """idle connections get KeepAlives, each at its own steady pace"""
    clients = [(Client(relay), time.monotonic()) for _ in range(4)]
    seen = times(clients, 2)
    slack = 1
    for first, second in seen:
        true(period - slack < first < period * 13 / 12 + slack, first)
        true(abs(second - 2 * first) < slack, (first, second))
    for c, _ in clients:
        c.ping()
        c.close()


def main():
    period = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    relay = Relay(sys.argv[1], True, "--keepalive", str(period))
    try:
        return tap.run(relay, period)
    finally:
        relay.stop()


if __name__ == "__main__":
    sys.exit(main())
