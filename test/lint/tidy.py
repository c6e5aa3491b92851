#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""clang-tidy over every source of ours in a build's compile commands, two at a
time.  TAP on standard output.

usage: tidy.py BUILD_FOLDER
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys


def tidy(build, source):
    done = subprocess.run(
        ['clang-tidy', '--quiet', '-p', build, source],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        check=False)
    return source, done.returncode, done.stdout


def main():
    build = sys.argv[1]
    root = pathlib.Path(__file__).resolve().parents[2]
    commands = json.loads(
        (pathlib.Path(build) / 'compile_commands.json').read_text())
    sources = sorted({
        os.path.realpath(os.path.join(c['directory'], c['file']))
        for c in commands})
    sources = [s for s in sources
               if not os.path.relpath(s, root).startswith(('test', '..'))]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda s: tidy(build, s), sources)
        for n, (source, code, text) in enumerate(results, 1):
            name = os.path.relpath(source, root)
            print(f'{"ok" if code == 0 else "not ok"} {n} - tidy {name}')
            if code != 0:
                failed += 1
                for line in text.splitlines():
                    print(f'# {line}')
            sys.stdout.flush()
    print(f'1..{len(sources)}')
    return 1 if failed or not sources else 0


sys.exit(main())
