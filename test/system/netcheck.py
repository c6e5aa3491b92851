#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""netcheck of derphole and derptun behind boxes of the network lab: verdicts,
times and exit codes; and the whole report against the Go programs'.

Usage: netcheck.py BUILD_FOLDER [PATTERN]
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import lab_boxes as b
import lab_world as w
from lab_world import l

MORE = '203.0.113.4'  # a second relay of ours
NOBODY = '203.0.113.9'
FRIENDLY, LIMITED, RELAY_ONLY = ('direct-friendly', 'direct-limited',
                                 'relay-only-likely')
STABLE, CHANGES, NO_MAPPING = ('stable across STUN servers',
                               'changes by STUN destination', 'unavailable')
# Box: verdict, mapping in words, are ports kept?
BOXES = {
    'open': (FRIENDLY, STABLE, True),
    'dual': (FRIENDLY, STABLE, True),
    'fullcone': (FRIENDLY, STABLE, True),
    'port': (FRIENDLY, STABLE, True),
    'cgnat': (LIMITED, STABLE, False),
    'sym': (LIMITED, CHANGES, False),
    'blocked': (RELAY_ONLY, NO_MAPPING, False),
    'v6only': (RELAY_ONLY, NO_MAPPING, False),
}
ROWS = 7  # four servers from one port, three more questions from fresh ones
BLOCKED_TIMEOUT, TIMEOUT, PATIENCE = 2, 30, 60
SLACK = 8  # for a loaded machine; far below TIMEOUT


def equal(got, want, what):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


def true(good, what):
    if not good:
        raise AssertionError(what)


class Host:
    """A host of the lab, where programs are run."""

    def __init__(self, world, kind):
        self.world = world
        self.home = b.home(world, kind, 'a', 1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        b.remove(self.home)

    def start(self, program, *words, stdout=subprocess.PIPE):
        # pylint: disable-next=consider-using-with
        return subprocess.Popen(
            [*self.home.host.prefix(), program, 'netcheck', *words],
            env=self.world.lab.env('a'), stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, text=True)

    def run(self, program, *words):
        """Exit code, stdout, stderr, seconds."""
        start = time.monotonic()
        p = self.start(program, *words)
        try:
            out, err = p.communicate(timeout=PATIENCE)
        finally:
            p.kill()
        return p.returncode, out, err, time.monotonic() - start

    def report(self, program, *words):
        """The JSON report and the seconds it took."""
        code, out, err, took = self.run(program, '--json', *words)
        equal((code, err), (0, ''), f'{program}: exit code and stderr')
        equal(out, go_text(json.loads(out)), 'layout')
        return json.loads(out), took


    def answers(self, program, is_up, *words):
        """report(), again if an answer did not come within 1.4 s: the machine
        may be busy."""
        for _ in range(3):
            report, took = self.report(program, *words)
            if not is_up or not [row for row in report['stun']['servers']
                                 if 'error' in row]:
                break
        return report, took


def go_text(value):
    """As encoding/json of Go prints it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    for c in '<>&':
        text = text.replace(c, f'\\u{ord(c):04x}')
    return text + '\n'


def without_ports(value):
    """Ports of this machine and its boxes differ from run to run; nothing else
    does.  The order of keys counts."""
    if isinstance(value, dict):
        return [(k, v if k == 'server' else without_ports(v))
                for k, v in value.items()]
    if isinstance(value, list):
        return [without_ports(v) for v in value]
    if isinstance(value, str):
        return re.sub(r'(?<=\d\.)(\d+):\d+', r'\1:PORT', value)
    return value


def check_rows(report, is_up):
    rows = report['stun']['servers']
    equal(len(rows), ROWS, 'rows')
    ports = {row['local_endpoint'] for row in rows[:4]}
    equal(len(ports), 1, 'one local port asks all servers')
    equal(len({row['local_endpoint'] for row in rows}), 4, 'local ports')
    for row, name in zip(rows, [*w.STUN_NAMES, *[w.STUN_NAMES[0]] * 3]):
        equal(row['server'].split(':')[0], name, 'server')
        equal('mapped_endpoint' in row, is_up, f'{name} has answered')
        equal('error' in row, not is_up, f'{name} has an error')


def wait_for(kind):
    return f'{BLOCKED_TIMEOUT if kind == "blocked" else TIMEOUT}s'


def check_box(world, kind):
    """Both programs, JSON and text."""
    verdict, mapping, is_kept = BOXES[kind]
    is_up = verdict != RELAY_ONLY
    with Host(world, kind) as host:
        report, took = host.answers(world.lab.our('derphole'), is_up,
                                    '--timeout', wait_for(kind))
        again, _ = host.answers(world.lab.our('derptun'), is_up,
                                f'-timeout={wait_for(kind)}')
        code, out, err, _ = host.run(world.lab.our('derptun'), '--timeout',
                                     wait_for(kind))
    equal(without_ports(again), without_ports(report), 'derptun')
    equal((code, out), (0, ''), 'text: exit code and stdout')
    true(err.startswith(f'Network check: {verdict}\n\nUDP:\n') and
         f'\n  Mapping: {mapping}\n' in err, err)
    equal(report['verdict'], verdict, 'verdict')
    equal((report['udp']['outbound'], report['udp']['stun']), (is_up, is_up),
          'answers')
    equal((report['udp']['mapping_stable'], report['udp']['port_preserving']),
          (mapping == STABLE, is_kept), 'mapping')
    check_rows(report, is_up)
    if kind == 'blocked':
        true(BLOCKED_TIMEOUT <= took < BLOCKED_TIMEOUT + SLACK,
             f'took {took:.1f} s of {BLOCKED_TIMEOUT}')
    else:
        true(took < SLACK, f'took {took:.1f} s: waits for nothing')
    return f'{verdict}, {took:.2f} s'


def compare_box(world, kind, go):
    """Apart from ports, JSON and text are those of the Go programs."""
    with Host(world, kind) as host:
        for name in ('derphole', 'derptun'):
            words = ['--timeout', wait_for(kind)]
            is_up = BOXES[kind][0] != RELAY_ONLY
            ours, quick = host.answers(world.lab.our(name), is_up, *words)
            theirs, slow = host.answers(go[name], is_up, *words)
            equal(without_ports(ours), without_ports(theirs), name)
            ours = host.run(world.lab.our(name), *words)
            theirs = host.run(go[name], *words)
            equal(without_ports(list(ours[:3])), without_ports(
                list(theirs[:3])), f'{name}, text')
    return f'{ours[2].splitlines()[0]}, {quick:.2f} s, Go {slow:.2f} s'


def own_servers(world):
    """--stun: two relays of ours, and nobody else is asked."""
    servers = [f'{w.RELAY}:3478', f'{MORE}:3478']
    words = [word for s in servers for word in ('--stun', s)]
    with Host(world, 'port') as host:
        report, _ = host.report(world.lab.our('derphole'), *words)
        one, _ = host.report(world.lab.our('derphole'), '--stun', servers[1])
    equal([row['server'] for row in report['stun']['servers']],
          servers + servers[:1] * 3, 'servers')
    equal(report['verdict'], FRIENDLY, 'verdict')
    equal([row['server'] for row in one['stun']['servers']], servers[1:] * 4,
          'one server')


def dead_server(world):
    """The first of three is dead: the others tell, in good time."""
    servers = [f'{NOBODY}:3478', *[f'{host}:3478' for host in w.STUNS]]
    words = [word for s in servers for word in ('--stun', s)]
    with Host(world, 'port') as host:
        report, took = host.report(world.lab.our('derphole'), '--timeout',
                                   f'{TIMEOUT}s', *words)
    rows = report['stun']['servers']
    equal(rows[0].get('error'), 'context deadline exceeded', 'the dead one')
    equal([r for r in rows[1:] if 'error' in r], [], 'errors of the others')
    equal(report['verdict'], FRIENDLY, 'verdict')
    true(took < SLACK, f'took {took:.1f} s')
    return f'{took:.2f} s'


def losses(world):
    """Two of five datagrams are lost on the way in: requests are repeated."""
    with Host(world, 'open') as host:
        host.home.host.nft(
            'table ip loss { chain input { type filter hook input priority '
            'filter; meta l4proto udp numgen random mod 5 < 2 drop; }; }')
        for _ in range(3):
            report, took = host.report(world.lab.our('derphole'), '--timeout',
                                       f'{TIMEOUT}s')
            equal(report['verdict'], FRIENDLY, 'verdict')
    return f'{took:.2f} s'


def refused(world):
    """A firewall of this machine says no: no waiting."""
    with Host(world, 'open') as host:
        host.home.host.nft(
            'table ip no { chain output { type filter hook output priority '
            'filter; meta l4proto udp drop; }; }')
        report, took = host.report(world.lab.our('derphole'), '--timeout',
                                   f'{TIMEOUT}s')
    equal(report['verdict'], RELAY_ONLY, 'verdict')
    error = report['stun']['servers'][0]['error']
    true(re.fullmatch(r'write udp4 0\.0\.0\.0:\d+->203\.0\.113\.2:19302: '
                      'sendto: operation not permitted', error), error)
    true(took < SLACK, f'took {took:.1f} s')


def silent_names(world):
    """A name server that never answers does not hold it up."""
    path = pathlib.Path('/run/resolv.conf')
    path.write_text(f'nameserver {NOBODY}\n', encoding='ascii')
    where = '/etc/resolv.conf'
    subprocess.run(['mount', '--bind', path, where], check=True)
    try:
        with Host(world, 'open') as host:
            report, took = host.report(
                world.lab.our('derphole'), '--timeout', '1500ms', '--stun',
                'stun.nobody.test:3478', '--stun', f'{w.STUNS[0]}:3478')
    finally:
        subprocess.run(['umount', where], check=True)
    rows = report['stun']['servers']
    equal(rows[0]['error'], 'context deadline exceeded', 'the name')
    true('mapped_endpoint' in rows[1], 'the address answers')
    true(1.5 <= took < 1.5 + SLACK, f'took {took:.1f} s')
    return f'{took:.2f} s'


def signals(world):
    """Ctrl-C ends it with 130, and no report."""
    with Host(world, 'blocked') as host:
        for signo in (signal.SIGINT, signal.SIGTERM):
            p = host.start(world.lab.our('derphole'), '--timeout', '60s')
            l.wait_for_handler(p.pid, signo)
            p.send_signal(signo)
            out, err = p.communicate(timeout=SLACK)
            equal((p.returncode, out, err), (128 + signo, '', ''),
                  f'signal {signo}')


def lost_output(world):
    """A full disk and a gone reader are not success."""
    with Host(world, 'open') as host, open('/dev/full', 'wb') as full:
        r, gone = os.pipe()
        os.close(r)
        for where, name in ((full, 'full disk'), (gone, 'gone reader')):
            p = host.start(world.lab.our('derptun'), '--json', stdout=where)
            _, err = p.communicate(timeout=SLACK)
            equal(p.returncode, 14, name)
            true(err.startswith('write stdout: '), err)
        os.close(gone)


def more_relay(world):
    """A second relay of ours, at another address."""
    ns = world.public('relay2', MORE)
    world.lab.start(
        [*ns.prefix(), world.lab.our('derptun-relay'), '--listen',
         f'{MORE}:8080', '--plain-http', '--stun', f'{MORE}:3478'],
        world.lab.env('relay2'))
    with ns:
        l.wait_for_port(MORE, 8080)


def main():
    tap = l.Tap()
    pattern = sys.argv[2] if len(sys.argv) > 2 else '.'
    tests = [(f'box {kind}', check_box, kind) for kind in BOXES]
    tests += [(f.__doc__.split('\n', maxsplit=1)[0], f) for f in
              (own_servers, dead_server, losses, refused, silent_names,
               signals, lost_output)]
    try:
        go, reason = l.find_peers(), None
    except l.Skip as e:
        go, reason = None, e
    tests += [(f'Go, box {kind}', compare_box, kind, go) for kind in BOXES]
    try:
        w.enter()
    except l.Skip as e:
        tap.skip('netcheck', e)
        return tap.done()
    with w.World(sys.argv[1]) as world:
        more_relay(world)
        for title, test, *args in tests:
            if not re.search(pattern, title):
                continue
            if test is compare_box and go is None:
                tap.skip(title, reason)
            else:
                tap.run(title, test, world, *args)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
