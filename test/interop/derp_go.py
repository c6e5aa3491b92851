#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tailscale's own DERP client and STUN library against our relay, on loopback.

usage: derp_go.py BUILD_FOLDER GO_SOURCE_DIR

TAP on stdout.  Without go, or without its modules, everything is skipped.
"""
import json
import subprocess
import sys
import tempfile

import go_tools

PACKETS = 2000
SIZES = (1, 1200, 65536)

count = 0
failed = 0


def ok(good, name, detail=''):
    global count, failed
    count += 1
    failed += not good
    print(f'{"ok" if good else "not ok"} {count} - {name}', flush=True)
    for line in str(detail).splitlines():
        print(f'# {line}', flush=True)


def run(program, *args):
    """The JSON a subcommand printed; its complaint otherwise."""
    done = subprocess.run([program, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120,
                          check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {'ok': False, 'why': (done.stderr or done.stdout)[-400:]}
    return json.loads(lines[-1])


def read_banner(proc):
    """What the relay says of itself: {word: rest of line}."""
    facts = {}
    while 'stun' not in facts:
        line = proc.stdout.readline()
        if not line:
            return None
        line = line.strip()
        for mark in (': ', '=', ' on '):
            word, found, rest = line.partition(mark)
            if found and ' ' not in word:
                facts[word] = rest
                break
    return facts


def relay_rows(program, facts, trust):
    url = facts['DERPHOLE_DERP_SERVER'] + '/derp'
    for size in SIZES:
        # The relay drops what a slow reader leaves above 512 KiB.
        count, window = (200, 4) if size > 10000 else (PACKETS, 16)
        got = run(program, 'derp-client', '-url', url, *trust, '-count',
                  str(count), '-size', str(size), '-window', str(window))
        ok(got.get('ok') is True, f'packets of {size} bytes between two keys, '
           'ping, peer gone', got)
    wrong = run(program, 'derp-client', '-url', url)
    ok(wrong.get('ok') is not True,
       'a client that does not trust the certificate does not connect')


def main():
    build, source = sys.argv[1:3]
    try:
        program = go_tools.build(source)
    except go_tools.NoGo as e:
        print(f'1..0 # SKIP {e}')
        return 0
    with tempfile.TemporaryDirectory() as state:
        proc = subprocess.Popen(
            [f'{build}/derptun-relay', '--listen', '127.0.0.1:0', '--stun',
             '127.0.0.1:0', '--state-dir', f'{state}/relay'],
            stdout=subprocess.PIPE, text=True)
        try:
            facts = read_banner(proc)
            if facts is None:
                ok(False, 'our relay starts')
            else:
                relay_rows(program, facts, ['-ca', facts['SSL_CERT_FILE']])
                pin = facts['pin'].partition(':')[2]
                got = run(program, 'derp-client', '-url',
                          facts['DERPHOLE_DERP_SERVER'] + '/derp', '-pin', pin,
                          '-count', '10')
                ok(got.get('ok') is True, 'the printed pin is accepted', got)
                got = run(program, 'stun', '-addr', facts['stun'])
                ok(got.get('ok') is True and got['mapped'] == got['local'],
                   'STUN tells the address it sees', got)
        finally:
            proc.terminate()
            proc.wait(10)
    print(f'1..{count}')
    return 1 if failed else 0


sys.exit(main())
