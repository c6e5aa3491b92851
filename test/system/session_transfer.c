/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two derptun-session processes that transfer: each flow, encoding, kind of
 * source and of sink, slow readers, loss, and a path that dies.  See
 * session_transfer_ends.c for what must fail.
 *
 * usage: session_transfer PATH_OF_DERPTUN_SESSION [CASE]
 */
#include <inttypes.h>
#include <stdlib.h>

#include "test/sanitized.h"
#include "test/system/transfer_job.h"
#include "test/tap.h"

static bool has_net;

static void
check_open(void)
{
	bool is_text = job_now->kind == TRANSFER_KIND_TEXT;

	if (job_now->kind == TRANSFER_KIND_UNKNOWN) {
		OK(!job_sink.was_open, "%s: nothing to open", job_now->name);
		return;
	}
	OK(job_sink.was_open && job_sink.open.kind == job_now->kind &&
		job_sink.open.size == job_now->size,
	    "%s: told what comes", job_now->name);
	EQ_STR(job_sink.open.name, is_text ? "" : "a_file",
	    "%s: name made safe", job_now->name);
}

static void
run_good(const struct job *j)
{
	const struct ipc_progress *p;
	int64_t header;

	job_begin(j);
	OK(world_run(&job_world, job_is_done, JOB_PATIENCE_MS), "%s: ends",
	    j->name);
	EQ_INT(job_world.claimer.reason.code, 0, "%s: claimer is content",
	    j->name);
	EQ_INT(job_world.listener.reason.code, 0, "%s: listener is content",
	    j->name);
	OK(job_is_whole(), "%s: every byte", j->name);
	if (job_world.claimer.reason.code != 0 ||
	    job_world.listener.reason.code != 0 || !job_is_whole())
		job_show_ends();
	check_open();
	OK(job_sink.was_saved && job_sink.save.body == j->size,
	    "%s: told what to save", j->name);
	header = job_sink.save.bytes - job_sink.save.body;
	OK((header > 0) == (j->kind != TRANSFER_KIND_UNKNOWN),
	    "%s: header counts", j->name);
	p = &job_progress[job_sender() == &job_world.listener];
	OK(p->final && p->moved == j->size && p->peer_written == j->size &&
		p->total == j->size,
	    "%s: sender's progress adds up", j->name);
	p = &job_progress[job_receiver() == &job_world.listener];
	OK(p->final && p->moved == j->size && p->total == j->size,
	    "%s: receiver's progress adds up", j->name);
	EQ_INT(job_n_final[0], 1, "%s: one final report", j->name);
	EQ_INT(job_n_final[1], 1, "%s: one final report each", j->name);
	job_finish();
}

static void
case_pipes(bool offer)
{
	static const int64_t sizes[] = { 0, 1, 100 * 1024, 8 * JOB_MIB + 1 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct job j = { .name = offer ? "B pipe" : "A pipe",
			.offer = offer,
			.size = sizes[i],
			.kind = offer ? TRANSFER_KIND_DIRECTORY
				      : TRANSFER_KIND_UNKNOWN };

		printf("# %s, %" PRId64 " bytes\n", j.name, j.size);
		run_good(&j);
		j.streams = 2;
		j.name = offer ? "B pipe, striped" : "A pipe, striped";
		run_good(&j);
		j.no_relay_only = true;
		j.streams = 8;
		j.to_file = true;
		j.name = offer ? "B pipe, 8 streams" : "A pipe, 8 streams";
		run_good(&j);
	}
}

static void
case_files(bool offer)
{
	static const int64_t sizes[] = { 0, 1, 100 * 1024, 262144, 262145,
		8 * JOB_MIB + 1 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct job j = { .name = offer ? "B file" : "A file",
			.offer = offer,
			.size = sizes[i],
			.kind =
			    offer ? TRANSFER_KIND_FILE : TRANSFER_KIND_UNKNOWN,
			.from_file = true,
			.to_file = true };

		printf("# %s, %" PRId64 " bytes\n", j.name, j.size);
		run_good(&j);
		EQ_INT(job_sink.open.blocks, offer, "in blocks");
		j.streams = 8;
		j.no_relay_only = true;
		j.name = offer ? "B file, 8 streams" : "A file, 8 streams";
		run_good(&j);
		j.no_blocks[1] = true;
		j.name = "file, in stripes";
		run_good(&j);
		EQ_INT(job_sink.open.blocks, 0, "not in blocks");
		j.no_relay_only = false;
		j.streams = 1;
		j.name = "file, plain";
		run_good(&j);
		j.kind = TRANSFER_KIND_FILE;
		j.no_blocks[1] = false;
		j.name = "structured file";
		run_good(&j);
		j.kind = TRANSFER_KIND_TEXT;
		j.no_blocks[0] = true;
		j.to_file = false;
		j.name = "text from a file to a pipe";
		run_good(&j);
	}
}

static void
case_flow_a(void)
{
	case_pipes(false);
	case_files(false);
}

static void
case_flow_b(void)
{
	case_pipes(true);
	case_files(true);
}

/* Neither polled nor by offset. */
static void
case_devices(void)
{
	struct job j = { .name = "devices", .size = 4 * JOB_MIB };
	const struct ipc_progress *p = &job_progress[1];

	j.is_device = true;
	job_begin(&j);
	OK(world_run(&job_world, world_is_ended, JOB_PATIENCE_MS),
	    "devices: ends");
	OK(job_world.claimer.reason.code == 0 &&
		job_world.listener.reason.code == 0 && p->final &&
		p->moved == j.size,
	    "devices: to /dev/null");
	if (!SANITIZED) {
		job_finish();
		job_begin(&j);
		(void)world_run(&job_world, world_is_ready, 5000);
		OK(world_is_confined(job_world.claimer.pid) &&
			world_is_confined(job_world.listener.pid),
		    "both are confined");
	}
	job_finish();
}

/* A reader of 1 MB/s, far longer than any timer of the peer's. */
static void
case_slow(void)
{
	struct job j = {
		.name = "slow reader", .size = 16 * JOB_MIB, .rate = 1000
	};
	long before;

	job_begin(&j);
	(void)world_run(&job_world, job_some_moved, 5000);
	(void)world_run(&job_world, world_never, 3000);
	before = world_private_dirty_kib(job_receiver()->pid);
	OK(before < 24 * 1024, "receiver holds little: %ld KiB", before);
	before = world_private_dirty_kib(job_sender()->pid);
	OK(before < 24 * 1024, "so does the sender: %ld KiB", before);
	OK(world_run(&job_world, job_is_done, JOB_PATIENCE_MS),
	    "slow reader: ends");
	OK(job_is_whole() && job_world.claimer.reason.code == 0 &&
		job_world.listener.reason.code == 0,
	    "slow reader: every byte");
	job_finish();
}

static void
case_loss(void)
{
	for (int offer = 0; offer < 2; offer++) {
		struct job j = { .name = "3 % loss",
			.offer = offer,
			.size = 4 * JOB_MIB,
			.from_file = true,
			.to_file = true,
			.streams = 8,
			.kind = TRANSFER_KIND_FILE };

		job_begin(&j);
		job_world.loss_permille = 30;
		OK(world_run(&job_world, job_is_done, JOB_PATIENCE_MS),
		    "loss: ends");
		OK(job_is_whole() && job_world.claimer.reason.code == 0 &&
			job_world.listener.reason.code == 0,
		    "loss: every byte");
		job_finish();
	}
}

static bool
much_moved(struct world *unused)
{
	(void)unused;
	return job_sink.got > 4 * JOB_MIB && net_both_direct(&job_world);
}

/* A direct path that dies in the middle: the relay goes on. */
static void
case_switch(void)
{
	if (!has_net)
		printf("# no network namespace: left out\n");
	for (int offer = 0; offer < 2 && has_net; offer++) {
		struct job j = { .name = "path dies",
			.offer = offer,
			.size = 32 * JOB_MIB,
			.kind = offer != 0 ? TRANSFER_KIND_DIRECTORY
					   : TRANSFER_KIND_UNKNOWN,
			.rate = 4000,
			.no_relay_only = true,
			.by_udp = true };

		job_begin(&j);
		OK(world_run(&job_world, much_moved, JOB_PATIENCE_MS),
		    "direct");
		job_net.hole = true;
		OK(world_run(&job_world, net_both_relayed, 15000),
		    "path dies: relay");
		OK(world_run(&job_world, job_is_done, JOB_PATIENCE_MS),
		    "path dies: ends");
		OK(job_is_whole() && job_world.claimer.reason.code == 0 &&
			job_world.listener.reason.code == 0,
		    "path dies: every byte");
		job_finish();
	}
}

static const struct job_case cases[] = {
	{ "flow_a", case_flow_a },
	{ "flow_b", case_flow_b },
	{ "devices", case_devices },
	{ "slow", case_slow },
	{ "loss", case_loss },
	{ "switch", case_switch },
};

int
main(int argc, char **argv)
{
	has_net = net_enter();
	if (!job_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0])))
		return 99;
	return tap_done();
}
