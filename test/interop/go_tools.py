# SPDX-License-Identifier: BSD-3-Clause
"""Go programs for the interop tests, built into a cache outside of the tree."""
import os
import pathlib
import shutil
import subprocess


class NoGo(Exception):
    """There is no Go, or its modules cannot be had; the text says why."""


def cache():
    base = os.environ.get('XDG_CACHE_HOME') or \
        os.path.join(os.path.expanduser('~'), '.cache')
    return pathlib.Path(base) / 'derptund-go'


def _run(args, cwd=None, **more):
    go = shutil.which('go')
    if go is None:
        raise NoGo('go is not installed')
    base = cache()
    env = dict(os.environ, GOPATH=str(base), GOMODCACHE=str(base / 'mod'),
               GOCACHE=str(base / 'build'), GOTOOLCHAIN='local', **more)
    try:
        base.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([go, *args], cwd=cwd, env=env, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise NoGo(f'go {args[0]}: {e}') from e
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or ['?']
        raise NoGo(f'go {args[0]}: {lines[-1]}')


def build(source):
    """Our own Go program; returns its path."""
    out = cache() / 'interop'
    _run(['build', '-buildvcs=false', '-o', str(out), '.'], cwd=source,
         GOFLAGS='-mod=readonly')
    return str(out)


def install(module):
    """A program of a module, PATH@VERSION; returns its path."""
    folder = cache() / 'bin'
    _run(['install', module], GOBIN=str(folder), GOFLAGS='')
    return str(folder / module.split('@')[0].rsplit('/', 1)[-1])
