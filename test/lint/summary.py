#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up test results: every TAP line of every log counts as one test.

usage: summary.py FOLDER    (with *.json of meson and *.tap files)
       summary.py --failed LOG    (prints the names of its failed tests)

Prints the skips of each log by their reason, then each failure with what its
test said of it, then the closing line: who reads only the end misses no failure.
A log with lines that cannot be read (a disk was full, a machine stopped) counts
as one failure; the lines that can be read count as ever.
A test that stands in X.again.json counts as it went there; what failed of it in
X.json is told.
Exit status 0 when something passed and nothing failed.
"""
import json
import pathlib
import re
import sys

TAP = re.compile(r'^(not )?ok\b\s*\d*\s*(.*)$')
NO_PLAN = re.compile(r'^1\.\.0\s*#\s*skip\b\s*(.*)$',
                     re.IGNORECASE | re.MULTILINE)
SKIP = re.compile(r'#\s*skip\b\s*(.*)$', re.IGNORECASE)
HEAD, TAIL = 4, 20  # lines of a test about its failure that are shown
AGAIN = '.again'
GOOD = ('OK', 'EXPECTEDFAIL')


def entries(path):
    """The tests of a log of meson, by name, and how many lines are bad."""
    found, bad = [], 0
    text = path.read_text(encoding='utf-8', errors='replace')
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            entry['name'] = entry['name'].split(' / ')[-1]
            entry['result']
        except (ValueError, KeyError, TypeError, AttributeError):
            bad += 1
            continue
        found.append(entry)
    return found, bad


class Summary:
    def __init__(self):
        self.passed = 0
        self.skips = {}  # (label, reason) to titles
        self.failures = []  # each with its remarks
        self.unsteady = []  # of tests that were run again

    def skip(self, label, title, reason):
        self.skips.setdefault((label, reason), []).append(title)

    def fail(self, text, remarks=()):
        self.failures.append([text, *remarks])

    def tap(self, text, label):
        """Count the TAP lines of text; returns how many there were."""
        lines = 0
        remarks = None  # the last failure, as long as it is spoken of
        for line in text.splitlines():
            m = TAP.match(line)
            if m is None:
                if remarks is not None and line.startswith('#'):
                    remarks.append(line)
                continue
            lines += 1
            remarks = None
            skip = SKIP.search(m.group(2))
            if skip is not None:
                self.skip(label, m.group(2)[:skip.start()].strip(),
                          skip.group(1))
            elif m.group(1):
                self.fail(f'{label}: {m.group(2)}')
                remarks = self.failures[-1]
            else:
                self.passed += 1
        return lines

    def meson_entry(self, entry, label):
        result = entry['result']
        before = len(self.failures)
        lines = self.tap(entry.get('stdout') or '', label)
        if result in GOOD:
            if lines == 0:
                self.passed += 1
        elif result == 'SKIP':
            if lines == 0:
                reason = NO_PLAN.search(entry.get('stdout') or '')
                self.skip(label, 'all of it',
                          reason[1] if reason else 'not said')
        elif len(self.failures) == before:
            self.fail(f'{label}: {result}',
                      (entry.get('stderr') or '').splitlines())

    def meson_log(self, path):
        """Count the tests of one log of meson."""
        label = path.stem.removesuffix(AGAIN)
        again = path.with_name(f'{label}{AGAIN}.json')
        later = set()
        if again != path and again.exists():
            later = {entry['name'] for entry in entries(again)[0]}
        found, bad = entries(path)
        first = Summary()
        for entry in found:
            s = first if entry['name'] in later else self
            s.meson_entry(entry, f'{label}/{entry["name"]}')
        self.unsteady += first.failures
        if bad > 0:
            self.fail(f'{path.name}: not a log of meson ({bad} bad lines)')

    def tell(self):
        for (label, reason), titles in self.skips.items():
            what = titles[0] if len(titles) == 1 else f'{len(titles)} tests'
            print(f'skipped: {label}: {what} # SKIP {reason}')
        tell_each('failed at first', self.unsteady)
        tell_each('failed', self.failures)
        print(f'{self.passed} passed, {len(self.failures)} failed, '
              f'{sum(map(len, self.skips.values()))} skipped')


def tell_each(what, failures):
    for text, *remarks in failures:
        print(f'{what}: {text}')
        if len(remarks) > HEAD + TAIL:
            remarks[HEAD:-TAIL] = ['...']
        for line in remarks:
            print(f'    {line}')


def failed(path):
    """The names of the tests of a log that failed."""
    return [entry['name'] for entry in entries(path)[0]
            if entry['result'] not in (*GOOD, 'SKIP')]


def main():
    if sys.argv[1] == '--failed':
        print(*failed(pathlib.Path(sys.argv[2])))
        return 0
    folder = pathlib.Path(sys.argv[1])
    s = Summary()
    for path in sorted(folder.glob('*.json')):
        s.meson_log(path)
    for path in sorted(folder.glob('*.tap')):
        s.tap(path.read_text(encoding='utf-8', errors='replace'), path.stem)
    s.tell()
    return 0 if not s.failures and s.passed > 0 else 1


sys.exit(main())
