#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every header compiles alone, with the flags of the build.

usage: headers.py BUILD_FOLDER"""
import json
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def flags(build):
    commands = json.loads((build / 'compile_commands.json').read_text())
    words = set()
    for c in commands:
        words |= {w for w in shlex.split(c['command'])
                  if w.startswith(('-I', '-isystem', '-D'))}
    return sorted(words)


def main():
    build = pathlib.Path(sys.argv[1])
    headers = [p for f in ('lib', 'proto', 'daemon', 'helpers', 'client')
               for p in sorted((ROOT / f).rglob('*.h'))]
    common = ['cc', '-std=c11', '-Wall', '-Wextra', '-Werror', '-x', 'c',
              '-fsyntax-only', f'-I{ROOT}',
              *[w for w in flags(build) if not w.startswith('-I.')], '-']
    bad = []
    for h in headers:
        # The extra declaration keeps -Wpedantic quiet on macro-only headers.
        text = f'#include "{h.relative_to(ROOT)}"\nint headers_py;\n'
        done = subprocess.run(common, input=text, text=True, cwd=build,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            bad.append(f'{h.relative_to(ROOT)}: {done.stderr[:300]}')
    good = headers and not bad
    print(f'{"ok" if good else "not ok"} 1 - '
          f'{len(headers)} headers compile alone')
    for line in bad:
        print('#', line.replace('\n', '\n# '))
    print('1..1')
    return 0 if good else 1


sys.exit(main())
