#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What summary.py makes of logs, good and damaged ones."""
import json
import pathlib
import subprocess
import sys
import tempfile

SUMMARY = pathlib.Path(__file__).with_name('summary.py')
GOOD = json.dumps({'name': 'p:unit / a', 'result': 'OK',
                   'stdout': 'ok 1 - x\nok 2 - y # SKIP no root\n1..2\n'})
BAD = json.dumps({'name': 'p:unit / b', 'result': 'ERROR',
                  'stdout': 'ok 1 - x\nnot ok 2 - y\n# want 3\n1..2\n'})
SKIPPED = json.dumps({'name': 'p:unit / d', 'result': 'SKIP',
                      'stdout': '1..0 # SKIP no network\n'})
MENDED = BAD.replace('ERROR', 'OK').replace('not ok', 'ok')
DEAD = json.dumps({'name': 'p:unit / c', 'result': 'TIMEOUT', 'stdout': ''})

# name, the logs, the last line, what else is told, the exit status
ROWS = [
    ('one good log', {'gcc.json': GOOD},
     '1 passed, 0 failed, 1 skipped', 'skipped: gcc/a: - y # SKIP no root', 0),
    ('a row that failed', {'gcc.json': f'{GOOD}\n{BAD}\n'},
     '2 passed, 1 failed, 1 skipped', 'failed: gcc/b: - y', 1),
    ('a test without rows', {'gcc.json': DEAD},
     '0 passed, 1 failed, 0 skipped', 'failed: gcc/c: TIMEOUT', 1),
    ('failures stand last, with what was said of them',
     {'gcc.json': f'{BAD}\n{GOOD}\n'},
     '2 passed, 1 failed, 1 skipped',
     '# SKIP no root\nfailed: gcc/b: - y\n    # want 3\n2 passed', 1),
    ('of a long story the beginning and the end',
     {'fuzz.tap': 'not ok 1 - x\n' + ''.join(f'# {i}.\n' for i in range(99))},
     '0 passed, 1 failed, 0 skipped',
     '# 0.\n    # 1.\n    # 2.\n    # 3.\n    ...\n    # 79.\n', 1),
    ('skips with one reason are told of together',
     {'fuzz.tap': 'ok 1 - x # SKIP z\nok 2 - y # SKIP z\nok 3 - y\n'},
     '1 passed, 0 failed, 2 skipped', 'skipped: fuzz: 2 tests # SKIP z\n', 0),
    ('a test that ran nothing says why', {'gcc.json': f'{SKIPPED}\n{GOOD}'},
     '1 passed, 0 failed, 2 skipped',
     'skipped: gcc/d: all of it # SKIP no network\n', 0),
    ('TAP', {'fuzz.tap': 'ok 1 - x\nnot ok 2 - y\n'},
     '1 passed, 1 failed, 0 skipped', 'failed: fuzz: - y', 1),
    ('no log', {}, '0 passed, 0 failed, 0 skipped', '', 1),
    ('a log of zeros', {'asan.json': '\0' * 4096, 'gcc.json': GOOD},
     '1 passed, 1 failed, 1 skipped', 'failed: asan.json: not a log', 1),
    ('a log that is cut', {'asan.json': f'{GOOD}\n{GOOD[:40]}'},
     '1 passed, 1 failed, 1 skipped', 'failed: asan.json: not a log', 1),
    ('many bad lines are one failure', {'asan.json': '\0\n[]\n{}\n7\n"x"\n'},
     '0 passed, 1 failed, 0 skipped', '(5 bad lines)', 1),
    ('what went well the second time, alone',
     {'gcc.json': f'{GOOD}\n{BAD}', 'gcc.again.json': MENDED},
     '3 passed, 0 failed, 1 skipped', 'failed at first: gcc/b: - y\n', 0),
    ('what failed again', {'gcc.json': DEAD, 'gcc.again.json': DEAD},
     '0 passed, 1 failed, 0 skipped',
     'failed at first: gcc/c: TIMEOUT\nfailed: gcc/c: TIMEOUT\n', 1),
    ('what was not run again still fails',
     {'gcc.json': f'{BAD}\n{DEAD}', 'gcc.again.json': MENDED},
     '2 passed, 1 failed, 0 skipped', 'failed: gcc/c: TIMEOUT\n', 1),
    ('a second run of nothing', {'gcc.json': BAD, 'gcc.again.json': ''},
     '1 passed, 1 failed, 0 skipped', 'failed: gcc/b: - y\n', 1),
    ('octets that are no text', {'asan.json': b'\xff\xfe\n' + GOOD.encode()},
     '1 passed, 1 failed, 1 skipped', 'failed: asan.json: not a log', 1),
]


def summary(logs, *option):
    """Returns the exit status and what was printed of a folder, or of the one
    log with an option."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in logs.items():
            data = text if isinstance(text, bytes) else text.encode()
            pathlib.Path(folder, name).write_bytes(data)
        what = pathlib.Path(folder, *logs) if option else folder
        done = subprocess.run([sys.executable, SUMMARY, *option, what],
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def main():
    failed = 0
    for n, (title, logs, last, told, status) in enumerate(ROWS, 1):
        code, out = summary(logs)
        good = (code == status and out.splitlines()[-1:] == [last] and
                told in out)
        failed += not good
        print(f'{"ok" if good else "not ok"} {n} - {title}')
        if not good:
            print(f'# status {code}')
            for line in out.splitlines():
                print('#', line)
    code, out = summary({'gcc.json': '\n'.join([GOOD, BAD, SKIPPED, DEAD, '']),
                         }, '--failed')
    good = code == 0 and out == 'b c\n'
    failed += not good
    print(f'{"ok" if good else "not ok"} {len(ROWS) + 1} - failed tests by name')
    print(f'1..{len(ROWS) + 1}')
    return 1 if failed else 0


sys.exit(main())
