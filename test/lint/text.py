#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rules on the text of the tree: banned functions, licence lines, left-over
markers, absolute paths of some machine."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BANNED = re.compile(
    r'\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|alloca|setjmp|'
    r'longjmp|system|popen|rand|srand|inet_ntoa|gethostbyname|strncpy)\s*\(')
MARKER = re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b')
ELSEWHERE = re.compile(
    r'(?<![\w.])/(work|root|home/\w+)/|'
    r'\b(deb|proxy|registry|sum|snapshot)\.[a-z]+\.(org|net|com)\b')
SOURCE = ('.c', '.h', '.py', '.sh', '.def')


def tracked():
    done = subprocess.run(
        ['git', '-C', str(ROOT), 'ls-files', '-z', '-c', '-o',
         '--exclude-standard'], stdout=subprocess.PIPE, check=False)
    if done.returncode == 0:
        return [ROOT / n for n in done.stdout.decode().split('\0') if n]
    return [p for p in ROOT.rglob('*')
            if p.is_file() and 'build' not in p.relative_to(ROOT).parts[0]]


def faults(path):
    name = str(path.relative_to(ROOT))
    if name.startswith(('test/fuzz/corpus/', 'test/vectors/')):
        return
    try:
        text = path.read_text(encoding='utf-8')
    except UnicodeDecodeError:
        yield 'text', f'{name}: not UTF-8'
        return
    for n, line in enumerate(text.splitlines(), 1):
        if name.endswith(('.c', '.h')) and BANNED.search(line) and \
                not name.startswith('test/'):
            yield 'banned functions', f'{name}:{n}: {line.strip()}'
        if MARKER.search(line):
            yield 'left-over markers', f'{name}:{n}: {line.strip()}'
        if ELSEWHERE.search(line) and name != 'test/lint/text.py':
            yield 'names of some machine', f'{name}:{n}: {line.strip()}'
    if name.endswith(SOURCE) and 'SPDX-License-Identifier' not in text[:200]:
        yield 'licence lines', f'{name}: no SPDX line'


def main():
    rules = ['text', 'banned functions', 'left-over markers',
             'names of some machine', 'licence lines']
    found = {rule: [] for rule in rules}
    for path in tracked():
        if path.is_file():
            for rule, fault in faults(path):
                found[rule].append(fault)
    for n, rule in enumerate(rules, 1):
        print(f'{"not ok" if found[rule] else "ok"} {n} - {rule}')
        for fault in found[rule]:
            print('#', fault)
    print(f'1..{len(rules)}')
    return 1 if any(found.values()) else 0


sys.exit(main())
