#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Manual pages and tables agree: every RPC method and parameter is in
derptund-rpc(7), every exit code in each command's page, every IPC message in
PROTOCOL.ipc.md, and nothing else is."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read(name):
    path = ROOT / name
    return path.read_text(encoding='utf-8') if path.is_file() else ''


def main():
    bad = []
    table = read('proto/rpc/rpc_methods.def')
    page = read('man/derptund-rpc.7')
    methods = set(re.findall(r'RPC_METHOD\("([a-z.]+)"', table))
    shown = set(re.findall(r'^\.It Ic ([a-z]+\.[a-z]+)', page, re.MULTILINE))
    bad += [f'derptund-rpc(7) and the table differ: {m}'
            for m in sorted(methods ^ shown)]
    for ident, name in re.findall(r'RPC_PARAM\((\w+), "(\w+)"', table):
        if not re.search(rf'\b{name}\b', page):
            bad.append(f'derptund-rpc(7): no parameter {name} of {ident}')
    codes = re.findall(r'RPC_EXIT\((\d+), \w+,\s*"([^"]+)"',
                       read('proto/rpc/rpc_exit.def'))
    for name in ('derphole.1', 'derptun.1', 'derptunctl.1'):
        text = read(f'man/{name}')
        shown = set(re.findall(r'^\.It (\d+)$', text, re.MULTILINE))
        missing = {c for c, _ in codes} ^ shown
        bad += [f'{name}: exit code {c}' for c in sorted(missing)]
    messages = set(re.findall(r'^IPC_MSG\((\d+), \w+,',
                              read('proto/ipc/ipc_messages.def'),
                              re.MULTILINE))
    shown = set(re.findall(r'^\| (\d+) \| [A-Z_]+ \|', read('proto/PROTOCOL.ipc.md'),
                           re.MULTILINE))
    bad += [f'PROTOCOL.ipc.md and the table differ: {m}'
            for m in sorted(messages ^ shown)]
    print(f'{"not ok" if bad else "ok"} 1 - documents agree with the tables')
    for line in bad:
        print('#', line)
    print('1..1')
    return 1 if bad else 0


sys.exit(main())
