/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Throughput and CPU of two workers and the relay between them; connection
 * set-up latency.  Not a test: numbers for people.
 *
 * usage: session_bench PATH_OF_DERPTUN_SESSION share|derptun [MIB [MTU]]
 *
 * MTU: directly by UDP, over an interface with this MTU (root); else relayed.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/system/session_app.h"
#include "test/system/session_net.h"
#include "test/system/session_world.h"
#include "test/tap.h"

#define PINGS 100

static struct world w;
static struct net net;
static struct app client;
static struct app backend;
static bool has_backend;

static int
on_dial(void *arg)
{
	int pair[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		abort();
	app_init(&backend, w.loop, pair[0], 1);
	has_backend = true;
	return pair[1];
}

static bool
client_done(struct world *unused)
{
	(void)unused;
	return app_is_done(&client) && has_backend && app_is_done(&backend);
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double
cpu(struct end *e)
{
	char path[64];
	unsigned long user = 0;
	unsigned long system = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)e->pid);
	f = fopen(path, "r");
	if (f != NULL) {
		int n = fscanf(f,
		    "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u "
		    "%*u %*u %lu %lu",
		    &user, &system);
		(void)fclose(f);
		if (n != 2)
			return 0;
	}
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void
start(enum ipc_kind kind, const char *mtu)
{
	char command[64];

	if (mtu == NULL) {
		world_init(&w, kind, false);
		w.on_dial = on_dial;
		return;
	}
	(void)snprintf(
	    command, sizeof(command), "ip link set lo mtu %d", atoi(mtu));
	if (!net_enter() || system(command) != 0)
		abort();
	net_init(&net, &w, kind, false, NULL);
	w.on_dial = on_dial;
	if (!world_run(&w, net_both_direct, 2000))
		printf("not direct\n");
}

static void
one(unsigned short port, uint64_t bytes)
{
	has_backend = false;
	app_init(&client, w.loop, world_connect(port), bytes);
	(void)world_run(&w, client_done, 120000);
	app_fini(&client);
	app_fini(&backend);
}

int
main(int argc, char **argv)
{
	enum ipc_kind kind;
	uint64_t mib;
	unsigned short port;
	struct mono t0;
	double took;
	double gib;
	struct rusage us;

	if (argc < 3 || secret_init() != 0)
		return 99;
	world_worker_path = argv[1];
	kind =
	    strcmp(argv[2], "share") == 0 ? IPC_KIND_SHARE : IPC_KIND_DERPTUN;
	mib = argc > 3 ? strtoull(argv[3], NULL, 10) : 1024;
	(void)signal(SIGPIPE, SIG_IGN);
	t0 = mono_now();
	start(kind, argc > 4 ? argv[4] : NULL);
	(void)world_run(&w, world_is_ready, 10000);
	printf(
	    "ready after %.1f ms\n", (double)mono_diff(mono_now(), t0) / 1000);
	port = world_listen(&w);
	one(port, 1);
	t0 = mono_now();
	for (int i = 0; i < PINGS; i++)
		one(port, 1);
	printf("connect, byte, answer, close: %.2f ms\n",
	    (double)mono_diff(mono_now(), t0) / 1000 / PINGS);
	t0 = mono_now();
	one(port, mib << 20);
	took = (double)mono_diff(mono_now(), t0) / 1e6;
	gib = (double)mib / 1024;
	(void)getrusage(RUSAGE_SELF, &us);
	printf("%s: %.2f Gb/s; CPU-s/GiB: claimer (tx) %.2f, listener (rx) "
	       "%.2f, test (relay and both ends) %.2f\n",
	    argv[2], gib * 8.59 / took, cpu(&w.claimer) / gib,
	    cpu(&w.listener) / gib,
	    (seconds(us.ru_utime) + seconds(us.ru_stime)) / gib);
	world_fini(&w);
	return 0;
}
