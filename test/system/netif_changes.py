#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Addresses, links and routes come and go in a namespace; netif tells.

usage: netif_changes.py NETIF_WATCH"""
import os
import queue
import subprocess
import sys
import threading
import time

NS = f'netif-{os.getpid()}'
# netif settles for 200 ms; the rest is for a loaded machine.
WAIT = 15


class Tap:
    def __init__(self):
        self.n = 0
        self.bad = 0

    def ok(self, good, text):
        self.n += 1
        self.bad += not good
        print(f'{"ok" if good else "not ok"} {self.n} - {text}', flush=True)


def ip(*words):
    subprocess.run(['ip', '-n', NS, *words], check=True)


def link(name):
    """An interface that is down; its other end is up and has nothing."""
    ip('link', 'add', name, 'type', 'veth', 'peer', f'{name}x')
    ip('link', 'set', f'{name}x', 'up')


class Watch:
    def __init__(self, program):
        self.process = subprocess.Popen(
            ['ip', 'netns', 'exec', NS, program], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            at, gateway, addrs = line.split()
            self.lines.put((int(at), gateway[8:],
                            [a for a in addrs[6:].split(',') if a]))

    def until(self, want, seconds=WAIT):
        """The first line that wants is true for, else the last one."""
        end = time.monotonic() + seconds
        last = (0, '-', ['nothing'])
        while True:
            try:
                last = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                return last, False
            if want(last):
                return last, True

    def quiet(self, seconds):
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self):
        self.process.stdin.close()
        return self.process.wait(10)


def run(tap, watch):
    def check(text, gateway, addrs):
        line, good = watch.until(
            lambda v: v[1] == gateway and v[2] == addrs)
        tap.ok(good, f'{text}: {line[1]} {line[2]}')
        return line[0]

    check('nothing but loopback', 'none', [])
    link('net0')
    ip('addr', 'add', '192.168.7.2/24', 'dev', 'net0')
    tap.ok(watch.quiet(0.6) is None, 'a link that is down tells nothing')
    ip('link', 'set', 'net0', 'up')
    check('link up', 'none', ['192.168.7.2'])
    ip('route', 'add', 'default', 'via', '192.168.7.1')
    check('a way out', '192.168.7.1', ['192.168.7.2'])
    link('net1')
    ip('link', 'set', 'net1', 'up')
    ip('addr', 'add', '169.254.3.3/16', 'dev', 'net1')
    ip('addr', 'add', '10.5.0.1/24', 'dev', 'net1')
    ip('addr', 'add', 'fd00::7/64', 'dev', 'net1', 'nodad')
    check('more interfaces, the way out first, link-local last',
          '192.168.7.1', ['192.168.7.2', '10.5.0.1', 'fd00::7',
                          '169.254.3.3'])
    ip('route', 'replace', 'default', 'via', '10.5.0.9')
    check('the way out moves', '10.5.0.9',
          ['10.5.0.1', '192.168.7.2', 'fd00::7', '169.254.3.3'])
    ip('addr', 'add', 'fd00::8/64', 'dev', 'net1', 'nodad',
       'preferred_lft', '0')
    tap.ok(watch.quiet(0.6) is None, 'a deprecated address tells nothing')
    ip('link', 'set', 'net1', 'down')
    check('interface down', 'none', ['192.168.7.2'])
    ip('link', 'set', 'net0x', 'down')
    check('no carrier', 'none', [])
    ip('link', 'set', 'net0x', 'up')
    check('carrier again', 'none', ['192.168.7.2'])
    # A burst is one change or two, not twenty.
    for i in range(20):
        ip('addr', 'add', f'192.168.8.{i + 1}/32', 'dev', 'net0')
    count = 1
    line, _ = watch.until(lambda v: True)
    while len(line[2]) < 21 and count < 100:
        line, good = watch.until(lambda v: True)
        count += 1
        if not good:
            break
    tap.ok(len(line[2]) == 21 and count <= 10,
           f'a burst settles: {len(line[2])} addresses in {count} lines')
    # An interface that flaps for 8 s: the first changes, then one in 3 s, and
    # in the end what is so.
    time.sleep(10)
    end = time.monotonic() + 8
    while time.monotonic() < end:
        for state in ('down', 'up'):
            ip('link', 'set', 'net0x', state)
            time.sleep(0.25)
    ip('addr', 'add', '192.168.9.9/32', 'dev', 'net0')
    count, last = 0, None
    while (line := watch.quiet(8)) is not None:
        count, last = count + 1, line
    tap.ok(4 <= count <= 10, f'flapping: {count} lines')
    tap.ok(last is not None and '192.168.9.9' in last[2],
           'the last change is among them')
    ip('link', 'del', 'net0')
    check('interface gone', 'none', [])
    tap.ok(watch.quiet(0.5) is None, 'then quiet')
    tap.ok(watch.close() == 0, 'ends')


def main():
    if os.geteuid() != 0:
        print('1..0 # SKIP needs root')
        return 0
    tap = Tap()
    subprocess.run(['ip', 'netns', 'add', NS], check=True)
    try:
        ip('link', 'set', 'lo', 'up')
        run(tap, Watch(sys.argv[1]))
    finally:
        subprocess.run(['ip', 'netns', 'del', NS], check=True)
    print(f'1..{tap.n}')
    return tap.bad > 0


sys.exit(main())
