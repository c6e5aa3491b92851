/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two derptun-session processes against each other, through every way a
 * session can go.
 *
 * usage: session_pair PATH_OF_DERPTUN_SESSION [CASE]
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/sanitized.h"
#include "test/system/session_app.h"
#include "test/system/session_world.h"
#include "test/tap.h"

#define MIB ((uint64_t)1 << 20)
#define MAX_APPS 256
#define PATIENCE_MS 30000

static struct world w;
static struct app clients[MAX_APPS];
static struct app backends[MAX_APPS];
static size_t n_clients;
static size_t n_backends;
static int dial_result;        /* 0, or refuse with this */
static uint64_t backend_sends; /* bytes of each new backend */
static bool backend_waits;     /* it answers after the client's end */
static const char *kind_name;

static int
on_dial(void *arg)
{
	struct app *a = &backends[n_backends];
	int pair[2];

	(void)arg;
	if (dial_result != 0 || n_backends == MAX_APPS)
		return dial_result;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		return -errno;
	app_init(a, w.loop, pair[0], backend_sends);
	a->wait_for_eof = backend_waits;
	if (backend_waits)
		loop_io_set(a->io, LOOP_READ);
	n_backends++;
	return pair[1];
}

static void
begin(enum ipc_kind kind, bool one_stream)
{
	kind_name = kind == IPC_KIND_SHARE ? "share" : "derptun";
	n_clients = n_backends = 0;
	dial_result = 0;
	backend_sends = 0;
	backend_waits = false;
	world_init(&w, kind, one_stream);
	w.on_dial = on_dial;
}

static void
drop_apps(void)
{
	for (size_t i = 0; i < n_clients; i++)
		app_fini(&clients[i]);
	for (size_t i = 0; i < n_backends; i++)
		app_fini(&backends[i]);
	n_clients = n_backends = 0;
}

static void
finish(void)
{
	drop_apps();
	world_fini(&w);
}

static void
add_client(unsigned short port, uint64_t sends)
{
	app_init(&clients[n_clients++], w.loop, world_connect(port), sends);
}

static bool
all_done(struct world *unused)
{
	(void)unused;
	if (n_backends < n_clients)
		return false;
	for (size_t i = 0; i < n_clients; i++)
		if (!app_is_done(&clients[i]) || !app_is_done(&backends[i]))
			return false;
	return true;
}

static bool
clients_done(struct world *unused)
{
	(void)unused;
	for (size_t i = 0; i < n_clients; i++)
		if (!app_is_done(&clients[i]))
			return false;
	return true;
}

static void
check_apps(const char *name, uint64_t up, uint64_t down)
{
	size_t good = 0;

	for (size_t i = 0; i < n_clients; i++) {
		const struct app *c = &clients[i];
		const struct app *b = &backends[i];

		good += c->received == down && !c->bad && c->eof &&
			c->error == 0 && b->received == up && !b->bad &&
			b->eof && b->error == 0;
	}
	EQ_INT(good, n_clients, "%s %s: all bytes, both ends of file",
	    kind_name, name);
}

/* Open descriptors of a worker that is doing nothing any more. */
static int
settled_fds(pid_t pid)
{
	int n, before = -1;

	for (;;) {
		(void)world_run(&w, world_never, 300);
		n = world_count_fds(pid);
		if (n == before)
			return n;
		before = n;
	}
}

/* It may have fewer than before: what was not yet closed then. */
static void
check_fds(pid_t pid, int most, const char *what)
{
	int n = world_count_fds(pid);

	for (int i = 0; i < 100 && n > most; i++) {
		(void)world_run(&w, world_never, 100);
		n = world_count_fds(pid);
	}
	OK(0 <= n && n <= most, "%s: %s keeps no descriptors: %d of %d",
	    kind_name, what, n, most);
}

static unsigned wanted;

static bool
is_decided(struct world *unused)
{
	(void)unused;
	return w.listener.decisions >= wanted;
}

static bool
is_handed_back(struct world *unused)
{
	(void)unused;
	return w.listener.claims_back >= wanted;
}

/* Inject, and then: so many, and not one more. */
static void
check_answer(const void *claim, size_t len, bool (*until)(struct world *w),
    unsigned n, const char *what)
{
	world_inject(&w.listener, claim, len);
	wanted = n;
	(void)world_run(&w, until, 10000);
	(void)world_run(&w, world_never, 100);
	EQ_INT(
	    until == is_decided ? w.listener.decisions : w.listener.claims_back,
	    n, "%s: %s", kind_name, what);
}

static bool
is_described(struct world *unused)
{
	(void)unused;
	return w.claimer.described;
}

static bool
is_probed(struct world *unused)
{
	(void)unused;
	return w.claimer.probed != -1 || w.listener.probed != -1;
}

static void
case_life(enum ipc_kind kind)
{
	unsigned short port;
	int fds[2];

	begin(kind, false);
	OK(world_run(&w, world_is_ready, 5000), "%s: ready", kind_name);
	OK(w.claimer.statuses[IPC_STATUS_CLAIMING] &&
		w.claimer.statuses[IPC_STATUS_CLAIMED] &&
		w.claimer.statuses[IPC_STATUS_RELAY] &&
		w.listener.statuses[IPC_STATUS_RELAY],
	    "%s: states on the way", kind_name);
	port = world_listen(&w);

	add_client(port, 5);
	backend_sends = 7;
	OK(world_run(&w, all_done, PATIENCE_MS), "%s: small", kind_name);
	check_apps("small", 5, 7);
	drop_apps();

	add_client(port, 64 * MIB);
	backend_sends = 64 * MIB;
	OK(world_run(&w, all_done, PATIENCE_MS), "%s: 64 MiB", kind_name);
	check_apps("64 MiB both ways", 64 * MIB, 64 * MIB);
	drop_apps();

	add_client(port, 1 * MIB);
	backend_sends = 2 * MIB;
	backend_waits = true;
	OK(world_run(&w, all_done, PATIENCE_MS), "%s: half-close", kind_name);
	check_apps("answer after half-close", 1 * MIB, 2 * MIB);
	drop_apps();

	add_client(port, 0);
	clients[0].wait_for_eof = true; /* says nothing, hears all */
	loop_io_set(clients[0].io, LOOP_READ);
	backend_waits = false;
	backend_sends = 100;
	OK(world_run(&w, all_done, PATIENCE_MS), "%s: server first", kind_name);
	check_apps("server speaks first", 0, 100);
	drop_apps();

	if (!SANITIZED)
		OK(world_is_confined(w.claimer.pid) &&
			world_is_confined(w.listener.pid),
		    "%s: both are confined", kind_name);
	fds[0] = settled_fds(w.claimer.pid);
	fds[1] = settled_fds(w.listener.pid);
	backend_sends = 3000;
	for (int i = 0; i < 100; i++)
		add_client(port, 2000);
	OK(world_run(&w, all_done, PATIENCE_MS), "%s: 100 at once", kind_name);
	check_apps("100 at once", 2000, 3000);
	drop_apps();
	check_fds(w.claimer.pid, fds[0], "claimer");
	check_fds(w.listener.pid, fds[1], "listener");

	world_stop(&w.claimer);
	OK(world_run(&w, world_is_ended, 10000), "%s: STOP ends both",
	    kind_name);
	EQ_INT(w.claimer.reason.code, 0, "%s: claimer's code", kind_name);
	EQ_INT(w.listener.reason.code, 0, "%s: listener's code", kind_name);
	finish();
}

static void
case_refused(enum ipc_kind kind)
{
	unsigned short port;
	size_t good = 0;
	int fds[2];

	begin(kind, false);
	dial_result = -ECONNREFUSED;
	(void)world_run(&w, world_is_ready, 5000);
	port = world_listen(&w);
	add_client(port, 10);
	(void)world_run(&w, clients_done, 5000);
	drop_apps();
	fds[0] = settled_fds(w.claimer.pid);
	fds[1] = settled_fds(w.listener.pid);
	for (int round = 0; round < 25; round++) {
		for (int i = 0; i < 40; i++)
			add_client(port, 10);
		if (!world_run(&w, clients_done, PATIENCE_MS))
			break;
		for (size_t i = 0; i < n_clients; i++)
			good += clients[i].received == 0;
		drop_apps();
	}
	EQ_INT(good, 1000, "%s: 1000 refused connections end", kind_name);
	EQ_INT(w.n_dials, 1001, "%s: each was dialled", kind_name);
	check_fds(w.claimer.pid, fds[0], "refused: claimer");
	check_fds(w.listener.pid, fds[1], "refused: listener");
	dial_result = 0;
	backend_sends = 5;
	add_client(port, 5);
	OK(world_run(&w, all_done, 5000), "%s: and then one works", kind_name);
	world_describe(&w.claimer);
	(void)world_run(&w, is_described, 10000);
	EQ_INT(w.claimer.description.streams_refused, 1001,
	    "%s: the claimer knows that they were refused", kind_name);
	finish();
}

static void
case_loss(enum ipc_kind kind)
{
	unsigned short port;

	begin(kind, false);
	w.loss_permille = 30;
	OK(world_run(&w, world_is_ready, 10000), "%s: ready at 3 %% loss",
	    kind_name);
	port = world_listen(&w);
	backend_sends = 4 * MIB;
	for (int i = 0; i < 3; i++)
		add_client(port, 4 * MIB);
	OK(world_run(&w, all_done, PATIENCE_MS), "%s: 3 x 4 MiB", kind_name);
	check_apps("3 % loss", 4 * MIB, 4 * MIB);
	finish();
}

static void
case_killed(enum ipc_kind kind, bool claimer)
{
	struct end *dead;
	struct end *left;
	struct mono t0;
	int64_t took;

	begin(kind, false);
	dead = claimer ? &w.claimer : &w.listener;
	left = dead->other;
	(void)world_run(&w, world_is_ready, 5000);
	world_probe(left, 5000);
	(void)world_run(&w, is_probed, 10000);
	EQ_INT(left->probed, 1, "%s: probe of a living peer", kind_name);
	world_need(dead->pid > 0, "nobody to kill");
	(void)kill(dead->pid, SIGKILL);
	(void)world_run(&w, world_never, 50);
	t0 = mono_now();
	world_probe(left, 500);
	(void)world_run(&w, is_probed, 10000);
	EQ_INT(left->probed, 0, "%s: probe of a dead peer", kind_name);
	OK(world_run(
	       &w, claimer ? world_listener_ended : world_claimer_ended, 16000),
	    "%s: the %s's death is noticed", kind_name,
	    claimer ? "claimer" : "listener");
	took = mono_diff(left->ended_at, t0) / MONO_MS;
	OK(took < 15000, "%s: within 15 s: %lld ms", kind_name,
	    (long long)took);
	EQ_INT(left->reason.code, -DT_ERR_PEER_GONE, "%s: code", kind_name);
	finish();
}

static void
case_claims(enum ipc_kind kind)
{
	static const char foreign[] =
	    "{\"type\":\"claim\",\"mac\":\"x\",\"claim\":{\"version\":5}}";
	static uint8_t changed[IPC_MAX_ENVELOPE];

	begin(kind, false);
	(void)world_run(&w, world_is_ready, 5000);
	(void)world_run(&w, world_never, 300);
	w.listener.decisions = 0;
	check_answer(
	    w.claim, w.claim_len, is_decided, 1, "the same claim is answered");
	EQ_INT(w.listener.claims_back, 0, "%s: and not handed back", kind_name);
	memcpy(changed, w.claim, w.claim_len);
	changed[w.claim_len] = ' '; /* same content, other bytes */
	check_answer(changed, w.claim_len + 1, is_decided, 2,
	    "as content, not as bytes");
	check_answer(foreign, sizeof(foreign) - 1, is_handed_back, 1,
	    "another one goes back");
	for (int i = 0; i < 200; i++)
		world_inject(&w.listener, foreign, sizeof(foreign) - 1);
	(void)world_run(&w, world_never, 200);
	OK(w.listener.claims_back <= 20, "%s: a flood is cut", kind_name);
	world_inject(&w.listener, "{junk", 5);
	world_inject(&w.claimer, "{\"type\":\"decision\"}", 19);
	world_inject(&w.claimer, "\0\0\0", 3);
	(void)world_run(&w, world_never, 100);
	OK(!w.listener.ended && !w.claimer.ended, "%s: junk harms nobody",
	    kind_name);
	finish();
}

static bool
all_flow(struct world *unused)
{
	(void)unused;
	return n_backends == n_clients && backends[n_clients - 1].received > 0;
}

/* The windows of many connections fill the channel, which nobody reads until
 * 50 ms after STOP.  A machine that stands still gets other worlds. */
static void
case_full(void)
{
	bool good = false;
	unsigned short port;

	for (int world = 0; world < 3 && !good; world++) {
		begin(IPC_KIND_DERPTUN, false);
		(void)world_run(&w, world_is_ready, 5000);
		port = world_listen(&w);
		for (int i = 0; i < 64; i++)
			add_client(port, 1024 * MIB);
		(void)world_run(&w, all_flow, PATIENCE_MS);
		chan_pause(w.claimer.packets, true);
		(void)world_run(&w, world_never, 200);
		world_stop(&w.claimer);
		(void)world_run(&w, world_never, 50);
		good = !w.claimer.ended;
		chan_pause(w.claimer.packets, false);
		good = world_run(&w, world_is_ended, 5000) && good;
		finish();
	}
	OK(good, "a full path takes the goodbye as soon as it can");
}

/* A handshake that does not stand within the second of STOP is given up, and
 * then nobody tells the listener: another world. */
static void
case_stop_in_handshake(enum ipc_kind kind)
{
	for (int i = 0;; i++) {
		begin(kind, false);
		(void)world_run(&w, world_has_listener, 10000);
		world_stop(&w.claimer);
		(void)world_run(&w, world_claimer_ended, 10000);
		if (w.claimer.statuses[IPC_STATUS_READY] || i == 4)
			break;
		printf("# no handshake within a second\n");
		finish();
	}
	OK(world_run(&w, world_is_ended, 10000),
	    "%s: STOP in the handshake ends both", kind_name);
	EQ_INT(w.claimer.reason.code, 0, "%s: claimer: asked for", kind_name);
	EQ_INT(w.listener.reason.code, 0, "%s: listener: clean", kind_name);
	finish();
}

static void
case_silent_claimer(enum ipc_kind kind)
{
	struct mono t0;

	begin(kind, false);
	(void)world_run(&w, world_has_listener, 10000);
	w.cut = true;
	t0 = mono_now();
	OK(world_run(&w, world_listener_ended, 25000),
	    "%s: a claimer that falls silent", kind_name);
	EQ_INT(w.listener.reason.code, -DT_ERR_TIMEOUT, "%s: code", kind_name);
	OK(mono_diff(w.listener.ended_at, t0) < 20 * MONO_SEC,
	    "%s: returns its slot", kind_name);
	finish();
}

static void
case_daemon_gone(enum ipc_kind kind)
{
	int status = -1;
	pid_t got = 0;

	begin(kind, false);
	(void)world_run(&w, world_is_ready, 5000);
	chan_free(w.listener.control);
	w.listener.control = NULL;
	for (int i = 0; i < 1000 && got == 0; i++) {
		got = waitpid(w.listener.pid, &status, WNOHANG);
		(void)usleep(10000);
	}
	OK(got == w.listener.pid && WIFEXITED(status) &&
		WEXITSTATUS(status) == 0,
	    "%s: end of file on fd 3 ends the worker", kind_name);
	chan_free(w.listener.packets);
	w.listener.packets = NULL;
	w.listener.pid = 0;
	finish();
}

/* From the beginning to the end of an exchange, in ms, when @n packets of one
 * side are lost. */
static int64_t
with_lost(enum ipc_kind kind, int side, unsigned first, unsigned n)
{
	struct mono start = mono_now();
	int64_t took;
	bool good;

	begin(kind, false);
	w.drop_end = side;
	w.drop_first = first;
	w.drop_n = n;
	backend_sends = 100;
	good = world_run(&w, world_is_ready, 20000);
	if (good) {
		add_client(world_listen(&w), 100);
		good = world_run(&w, all_done, 20000);
	}
	took = mono_diff(mono_now(), start) / MONO_MS;
	OK(good, "%s: works", kind_name);
	finish();
	return took;
}

/* The least of three, if need be: a bad place is bad each time. */
static int64_t
least_with_lost(
    enum ipc_kind kind, int side, unsigned first, unsigned n, int64_t most)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < 3 && least >= most; i++) {
		int64_t ms = with_lost(kind, side, first, n);

		least = ms < least ? ms : least;
	}
	return least;
}

/* Whichever packets are the lost ones, it does not take long. */
static void
case_one_lost(enum ipc_kind kind)
{
	const int64_t most = SANITIZED ? 9000 : 5000;
	int64_t worst = 0;

	for (unsigned n = 1; n < 4; n += 2)
		for (unsigned first = 0; first < 16; first++)
			for (int side = 0; side < 2; side++) {
				int64_t ms =
				    least_with_lost(kind, side, first, n, most);

				if (ms > worst)
					worst = ms;
				if (ms > 600)
					printf("# %s: %u lost of %s from %u: "
					       "%lld ms\n",
					    kind_name, n,
					    side == 0 ? "claimer" : "listener",
					    first, (long long)ms);
			}
	printf("# %s: worst %lld ms\n", kind_name, (long long)worst);
	OK(worst < most, "%s: no place is a bad one", kind_name);
}

static void
case_memory(void)
{
	long kib[2];

	begin(IPC_KIND_DERPTUN, false);
	(void)world_run(&w, world_is_ready, 5000);
	(void)world_listen(&w);
	(void)world_run(&w, world_never, 1000);
	kib[0] = world_private_dirty_kib(w.claimer.pid);
	kib[1] = world_private_dirty_kib(w.listener.pid);
	printf("# idle: claimer %ld KiB, listener %ld KiB private dirty\n",
	    kib[0], kib[1]);
	if (!SANITIZED)
		OK(kib[0] <= 2048 && kib[1] <= 2048, "idle memory <= 2 MiB");
	finish();
}

int
main(int argc, char **argv)
{
	static const enum ipc_kind kinds[] = { IPC_KIND_SHARE,
		IPC_KIND_DERPTUN };
	const char *only = argc > 2 ? argv[2] : NULL;

	if (argc < 2 || secret_init() != 0)
		return 99;
	world_worker_path = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 2; i++) {
		enum ipc_kind k = kinds[i];

		WORLD_RUN(only, "life", case_life(k));
		WORLD_RUN(only, "refused", case_refused(k));
		WORLD_RUN(only, "loss", case_loss(k));
		WORLD_RUN(only, "claims", case_claims(k));
		WORLD_RUN(only, "stop", case_stop_in_handshake(k));
		WORLD_RUN(only, "gone", case_daemon_gone(k));
		WORLD_RUN(only, "killed", case_killed(k, i == 0));
		WORLD_RUN(only, "silent", case_silent_claimer(k));
		WORLD_RUN(only, "lost", case_one_lost(k));
	}
	WORLD_RUN(only, "full", case_full());
	WORLD_RUN(only, "memory", case_memory());
	return tap_done();
}
