#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs every fuzz target of a -Dfuzz=true build for some seconds each, two at a
time, starting from its corpus.  TAP on standard output; a crashing input is
kept beside the build.

usage: run.py BUILD_FOLDER SECONDS
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent


def fuzz(binary, seconds):
    name = binary.name.removeprefix('fuzz_')
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [str(binary.resolve()), f'-max_total_time={seconds}',
             '-timeout=10', '-rss_limit_mb=2048', '-max_len=70000',
             '-print_final_stats=1',
             f'-artifact_prefix={binary.parent.resolve()}/crash-{name}-',
             scratch, str(ROOT / 'corpus' / name)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=seconds + 120)
    text = done.stdout.decode('utf-8', 'replace')
    runs = [l.split()[-1] for l in text.splitlines()
            if 'number_of_executed_units' in l]
    return name, done.returncode, runs[0] if runs else '0', text


def main():
    folder = pathlib.Path(sys.argv[1]) / 'test' / 'fuzz'
    seconds = int(sys.argv[2])
    targets = sorted(p for p in folder.glob('fuzz_*')
                     if p.is_file() and os.access(p, os.X_OK))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda t: fuzz(t, seconds), targets)
        for n, (name, code, runs, text) in enumerate(results, 1):
            good = code == 0 and int(runs) > 0
            print(f'{"ok" if good else "not ok"} {n} - '
                  f'fuzz {name}: {runs} inputs in {seconds} s')
            if not good:
                failed += 1
                for line in text.splitlines()[-40:]:
                    print(f'# {line}')
            sys.stdout.flush()
    print(f'1..{len(targets)}')
    return 1 if failed or not targets else 0


sys.exit(main())
