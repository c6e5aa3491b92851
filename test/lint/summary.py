#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up test results: every TAP line of every log counts as one test.

usage: summary.py FOLDER    (with *.json of meson and *.tap files)

Prints each failure and each skip with its reason, then the closing line.  A log
with lines that cannot be read (a disk was full, a machine stopped) counts as one
failure; the lines that can be read count as ever.
Exit status 0 when something passed and nothing failed.
"""
import json
import pathlib
import re
import sys

TAP = re.compile(r'^(not )?ok\b\s*\d*\s*(.*)$')
SKIP = re.compile(r'#\s*skip\b\s*(.*)$', re.IGNORECASE)


def tap(text, label, count):
    """Count the TAP lines of text; returns how many there were."""
    lines = 0
    for line in text.splitlines():
        m = TAP.match(line)
        if m is None:
            continue
        lines += 1
        skip = SKIP.search(m.group(2))
        if skip is not None:
            count['skipped'] += 1
            print(f'skipped: {label}: {m.group(2)}')
        elif m.group(1):
            count['failed'] += 1
            print(f'failed: {label}: {m.group(2)}')
        else:
            count['passed'] += 1
    return lines


def meson_entry(entry, label, count):
    result = entry['result']
    before = count['failed']
    lines = tap(entry.get('stdout') or '', label, count)
    if result in ('OK', 'EXPECTEDFAIL'):
        if lines == 0:
            count['passed'] += 1
    elif result == 'SKIP':
        if lines == 0:
            count['skipped'] += 1
            print(f'skipped: {label}')
    elif count['failed'] == before:
        count['failed'] += 1
        print(f'failed: {label}: {result}')


def meson_log(path, count):
    """Count the tests of one log of meson."""
    bad = 0
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
            name = entry['name'].split(' / ')[-1]
            entry['result']
        except (ValueError, KeyError, TypeError, AttributeError):
            bad += 1
            continue
        meson_entry(entry, f'{path.stem}/{name}', count)
    if bad > 0:
        count['failed'] += 1
        print(f'failed: {path.name}: not a log of meson ({bad} bad lines)')


def main():
    folder = pathlib.Path(sys.argv[1])
    count = {'passed': 0, 'failed': 0, 'skipped': 0}
    for path in sorted(folder.glob('*.json')):
        meson_log(path, count)
    for path in sorted(folder.glob('*.tap')):
        tap(path.read_text(encoding='utf-8', errors='replace'), path.stem, count)
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**count))
    return 0 if count['failed'] == 0 and count['passed'] > 0 else 1


sys.exit(main())
