#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Size ratchet: functions of at most 80 lines and complexity 15, files of at
most 600 lines, headers of at most 200; of tests, which hold code in headers,
only that each C file has at most 600 lines.  sizes.txt lists the exceptions with
their present size; an exception may shrink, never grow, and must go when it is
no longer needed."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES, MAX_COMPLEXITY, MAX_FILE, MAX_HEADER = 80, 15, 600, 200
FOLDERS = ['lib', 'proto', 'daemon', 'helpers', 'client']


def measured():
    """Yield (what, size, limit)."""
    files = [p for f in FOLDERS for p in sorted((ROOT / f).rglob('*.[ch]'))]
    for p in files:
        name = p.relative_to(ROOT)
        lines = len(p.read_text(encoding='utf-8').splitlines())
        yield f'{name}', lines, MAX_HEADER if p.suffix == '.h' else MAX_FILE
    for p in sorted((ROOT / 'test').rglob('*.[ch]')):
        lines = len(p.read_text(encoding='utf-8').splitlines())
        yield f'{p.relative_to(ROOT)}', lines, MAX_FILE
    sources = [str(p) for p in files if p.suffix == '.c']
    done = subprocess.run(['pmccabe', *sources], stdout=subprocess.PIPE,
                          text=True, check=True)
    for line in done.stdout.splitlines():
        f = line.split('\t')
        name = pathlib.Path(f[5].split('(')[0]).relative_to(ROOT)
        function = f'{name}:{f[5].split(": ")[-1]}'
        yield f'{function} complexity', int(f[1]), MAX_COMPLEXITY
        yield f'{function} lines', int(f[4]), MAX_LINES


def main():
    known = {}
    for line in (ROOT / 'test/lint/sizes.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            what, size = line.rsplit(' ', 1)
            known[what] = int(size)
    bad = []
    for what, size, limit in measured():
        allowed = known.pop(what, limit)
        if size > allowed:
            bad.append(f'{what}: {size}, allowed {allowed}')
        elif allowed > limit >= size:
            bad.append(f'{what}: {size}, its exception can go')
        elif allowed > limit and size < allowed:
            bad.append(f'{what}: shrunk to {size}, lower its exception')
    bad += [f'{what}: exception for nothing' for what in known]
    print(f'{"not ok" if bad else "ok"} 1 - sizes')
    for line in bad:
        print('#', line)
    print('1..1')
    return 1 if bad else 0


sys.exit(main())
