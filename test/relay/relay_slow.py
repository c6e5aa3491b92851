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
    slack = 1
    # A process that is stalled makes one late, never early.
    for _ in range(3):
        starts = [(time.monotonic(), Client(relay)) for _ in range(4)]
        clients = [(c, start) for start, c in starts]
        seen = times(clients, 2)
        for first, second in seen:
            true(first >= period and second >= 2 * period, (first, second))
        for c, _ in clients:
            c.ping()
            c.close()
        if all(
            first < period * 13 / 12 + slack
            and abs(second - 2 * first) < slack
            for first, second in seen
        ):
            return
        print("# late:", seen)
    raise AssertionError(seen)


def main():
    period = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    relay = Relay(sys.argv[1], True, "--keepalive", str(period))
    try:
        return tap.run(relay, period)
    finally:
        relay.stop()


if __name__ == "__main__":
    sys.exit(main())
