#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Dependencies point one way, and each library is used where it belongs.
TAP: one line per folder."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Folder -> project folders it may include besides itself.
MAY = {
    'lib': [],
    'proto': ['lib'],
    'daemon': ['lib', 'proto'],
    'helpers/worker': ['lib', 'proto'],
    'helpers/gate': ['lib', 'proto', 'helpers/worker'],
    'helpers/portmap': ['lib', 'proto', 'helpers/worker'],
    'helpers/session': ['lib', 'proto', 'helpers/worker'],
    'helpers/relay': ['lib', 'proto'],
    'client': ['lib', 'proto'],
}
# Header pattern -> places that may include it.
LIBRARY = {
    r'event2?/': ['lib/loop'],
    r'openssl/': ['proto/tls'],
    r'(ngtcp2|gnutls|nghttp3)/': ['proto/quic'],
    r'jansson\.h': ['proto', 'daemon', 'client', 'helpers/gate',
                    'helpers/relay', 'helpers/session/session_main'],
    r'sodium': ['lib/secret', 'lib/keymap', 'proto'],
    r'archive(_entry)?\.h': ['client/archive_'],
    r'miniupnpc/': ['helpers/portmap'],
    r'(seccomp\.h|linux/landlock)': ['lib/sandbox'],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def folder_of(name):
    return max((f for f in MAY if name.startswith(f + '/')),
               key=len, default=None)


def faults(path):
    name = str(path.relative_to(ROOT))
    here = folder_of(name)
    text = path.read_text(encoding='utf-8')
    for m in INCLUDE.finditer(text):
        where = f'{name}:{text.count(chr(10), 0, m.start()) + 1}'
        target = m.group(2)
        if m.group(1) == '"':
            there = folder_of(target)
            if not (ROOT / target).is_file():
                yield f'{where}: {target} is not written from the root'
            elif there != here and there not in MAY[here]:
                yield f'{where}: {here} may not include {target}'
            continue
        for pattern, places in LIBRARY.items():
            if re.match(pattern, target) and \
                    not any(name.startswith(p) for p in places):
                yield f'{where}: <{target}> does not belong here'


def main():
    failed = False
    for n, folder in enumerate(MAY, 1):
        bad = [f for p in sorted((ROOT / folder).rglob('*.[ch]'))
               if folder_of(str(p.relative_to(ROOT))) == folder
               for f in faults(p)]
        print(f'{"not ok" if bad else "ok"} {n} - includes of {folder}')
        for line in bad:
            print('#', line)
        failed |= bool(bad)
    print(f'1..{len(MAY)}')
    return 1 if failed else 0


sys.exit(main())
