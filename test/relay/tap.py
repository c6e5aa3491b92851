# SPDX-License-Identifier: BSD-3-Clause
"""Test Anything Protocol for functions: title = first line of the docstring.

Functions are registered with @test("stable-id") and run in order, each with the
suite's relay.  Failures print the traceback as a diagnostic.
"""

import importlib.util
import sys
import traceback

TESTS = []


def test(name):
    def register(function):
        TESTS.append((name, function))
        return function

    return register


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def true(value, what=""):
    if not value:
        raise AssertionError(what or "not true")


def need_nacl():
    """Skip the whole program where the bindings are missing."""
    if importlib.util.find_spec("nacl") is None:
        print("1..0 # SKIP python3-nacl is not installed")
        sys.exit(0)


def run(*args):
    """Returns the exit status."""
    print(f"1..{len(TESTS)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(TESTS, 1):
        title = f"{name}: {function.__doc__.splitlines()[0]}"
        try:
            function(*args)
            print(f"ok {number} - {title}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {title}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            sys.stdout.flush()
    return 1 if failed else 0


def run_with(relay):
    """The same with a relay, which is stopped in the end."""
    try:
        status = run(relay)
    finally:
        code, err = relay.stop()
    if code != 0:
        print(f"# relay ended with {code}: {err}")
        status = 1
    return status
