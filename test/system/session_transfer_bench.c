/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Throughput and CPU of two workers that transfer, between files and between
 * pipes.  Not a test: numbers for people.
 *
 * usage: session_transfer_bench PATH_OF_DERPTUN_SESSION FORM MIB DIR [MTU]
 *
 * FORM: file (in blocks), stripes (files all the same), or pipe.
 * DIR: where the files are.
 * MTU: directly by UDP, over an interface with this MTU (root); else relayed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/transfer/transfer_policy.h"
#include "test/system/session_net.h"
#include "test/system/session_world.h"
#include "test/tap.h"

static struct world w;
static struct net net;
static const char *form;
static int64_t size;
static int source_fd;
static int sink_fd;
static bool is_direct;
static bool was_direct;
static struct ipc_progress progress;

static bool
is_form(const char *name)
{
	return strcmp(form, name) == 0;
}

static void
set_boot(struct end *e, struct ipc_boot_session *b)
{
	bool sends = e == &w.claimer;

	b->transfer.role =
	    (uint8_t)(sends ? TRANSFER_SEND_CLAIMANT : TRANSFER_RECEIVE_ISSUER);
	b->transfer.blocks = is_form("file");
	b->transfer.size = sends && !is_form("pipe") ? size : -1;
}

static void
on_boot(struct end *e)
{
	uint8_t msg[400];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	bool by_offset = !is_form("pipe");
	struct ipc_source source = { by_offset, 0, by_offset ? size : -1 };
	struct ipc_sink sink = { .positioned = by_offset };
	int fd = dup(e == &w.claimer ? source_fd : sink_fd);

	if (is_direct)
		net_boot(e);
	if (e == &w.claimer) {
		world_begin(&out, IPC_SOURCE, 2);
		ipc_transfer_put_source(&out, &source);
	} else {
		world_begin(&out, IPC_SINK, 2);
		ipc_transfer_put_sink(&out, &sink);
	}
	world_post(e, &out, &fd, 1);
	(void)close(e == &w.claimer ? source_fd : sink_fd);
}

static void
on_message(struct end *e, const struct ipc_header *h, struct buf_reader *body)
{
	uint8_t msg[400];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_saved m = { 0 };

	if (h->type == IPC_PROGRESS)
		(void)ipc_transfer_get_progress(body, &progress);
	if (h->type != IPC_SAVE)
		return;
	world_begin(&out, IPC_SAVED, h->seq);
	ipc_transfer_put_saved(&out, &m);
	world_post(e, &out, NULL, 0);
}

static bool
is_over(struct world *unused)
{
	(void)unused;
	was_direct = was_direct || net_both_direct(&w);
	return world_is_ended(&w);
}

/* A process at the other end of a pipe: writes @bytes, or reads all. */
static int
pump(int64_t bytes)
{
	static uint8_t buf[1 << 17];
	int fds[2];
	int theirs = bytes >= 0 ? 1 : 0;

	if (pipe(fds) != 0)
		abort();
	(void)fcntl(fds[0], F_SETPIPE_SZ, 1 << 20);
	if (fork() == 0) {
		ssize_t n = 1;

		(void)close(fds[1 - theirs]);
		while (n > 0 && bytes != 0) {
			size_t most = sizeof(buf);

			if (bytes > 0 && bytes < (int64_t)most)
				most = (size_t)bytes;
			n = bytes > 0 ? write(fds[1], buf, most)
				      : read(fds[0], buf, most);
			bytes -= bytes > 0 ? n : 0;
		}
		_exit(0);
	}
	(void)close(fds[theirs]);
	(void)fcntl(fds[1 - theirs], F_SETFL, O_NONBLOCK);
	return fds[1 - theirs];
}

static int
open_file(const char *dir, bool filled)
{
	static uint8_t buf[1 << 20];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	for (int64_t n = 0; filled && n < size; n += (int64_t)sizeof(buf)) {
		memset(buf, (int)(n >> 20), sizeof(buf));
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			abort();
	}
	return fd;
}

static double
cpu(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static double
reap(struct end *e)
{
	struct rusage u;
	int status;

	(void)wait4(e->pid, &status, 0, &u);
	return cpu(&u);
}

int
main(int argc, char **argv)
{
	struct mono t0;
	double took, gib, tx, rx;
	char command[64];
	struct rusage self;

	if (argc < 5 || secret_init() != 0)
		return 99;
	(void)signal(SIGPIPE, SIG_IGN);
	world_worker_path = argv[1];
	form = argv[2];
	size = strtoll(argv[3], NULL, 10) << 20;
	is_direct = argc > 5;
	if (is_direct) {
		(void)snprintf(command, sizeof(command),
		    "ip link set lo mtu %d", atoi(argv[5]));
		if (!net_enter() || system(command) != 0)
			abort();
	}
	source_fd = is_form("pipe") ? pump(size) : open_file(argv[4], true);
	sink_fd = is_form("pipe") ? pump(-1) : open_file(argv[4], false);
	w.set_boot = set_boot;
	w.on_boot = on_boot;
	w.on_message = on_message;
	w.force_relay[0] = !is_direct;
	t0 = mono_now();
	if (is_direct)
		net_init_transfer(&net, &w, false);
	else
		world_init_transfer(&w);
	(void)world_run(&w, is_over, 300000);
	took = (double)mono_diff(mono_now(), t0) / 1e6;
	tx = reap(&w.claimer);
	rx = reap(&w.listener);
	(void)getrusage(RUSAGE_SELF, &self);
	gib = (double)size / (double)(1 << 30);
	printf("%s %s: %.2f s, %.2f Gb/s; CPU-s/GiB: sender %.2f, receiver "
	       "%.2f, test %.2f; ends %d %d\n",
	    form, was_direct ? "direct" : "relayed", took, gib * 8.59 / took,
	    tx / gib, rx / gib, cpu(&self) / gib, w.claimer.reason.code,
	    w.listener.reason.code);
	return 0;
}
