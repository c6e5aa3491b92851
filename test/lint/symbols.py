#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Everything extern in foo.c is called foo_*: checked with nm on the objects of
a build.  A file foo_bar.c may also export foo_*.

usage: symbols.py BUILD_FOLDER"""
import pathlib
import subprocess
import sys

# Names that belong to a module by another rule.
ALLOWED = {'main', 'LLVMFuzzerTestOneInput'}


def stem(build, obj):
    """The source's own name: objects outside their folder carry its path."""
    name = obj.name.removesuffix('.c.o')
    for folder in ('daemon_', 'helpers_gate_', 'helpers_session_',
                   'helpers_portmap_', 'helpers_relay_', 'helpers_worker_',
                   'client_'):
        if name.startswith(folder) and \
                obj.parent.parent.resolve() == build.resolve():
            return name.removeprefix(folder)
    return name


def main():
    build = pathlib.Path(sys.argv[1])
    objects = [o for o in sorted(build.rglob('*.c.o'))
               if not str(o.relative_to(build)).startswith('test/')]
    bad = []
    for obj in objects:
        name = stem(build, obj)
        prefixes = {name}
        while '_' in name:
            name = name.rsplit('_', 1)[0]
            prefixes.add(name)
        done = subprocess.run(
            ['nm', '-g', '--defined-only', str(obj)],
            stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            symbol = line.split()[-1]
            if symbol.startswith(('__asan', '__odr', '_')) or \
                    symbol in ALLOWED:
                continue
            if not any(symbol == p or symbol.startswith(p + '_')
                       for p in prefixes):
                bad.append(f'{obj.name}: {symbol}')
    good = objects and not bad
    print(f'{"ok" if good else "not ok"} 1 - symbols of '
          f'{len(objects)} objects carry their module\'s name')
    for line in bad:
        print('#', line)
    print('1..1')
    return 0 if good else 1


sys.exit(main())
