/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two derptun-session processes whose transfer ends early: refused, canceled,
 * killed, cut.  Both ends learn it, and nobody believes what is not so.
 *
 * usage: session_transfer_ends PATH_OF_DERPTUN_SESSION [CASE]
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "proto/ipc/exitcode.h"
#include "test/system/transfer_job.h"
#include "test/tap.h"

static void
check_failed(int at_sender, int at_receiver, const char *why)
{
	EQ_INT(job_sender()->reason.code, at_sender, "%s: sender's code",
	    job_now->name);
	EQ_INT(job_receiver()->reason.code, at_receiver, "%s: receiver's code",
	    job_now->name);
	OK(strstr(job_sender()->reason.text, why) != NULL ||
		strstr(job_receiver()->reason.text, why) != NULL,
	    "%s: somebody is told why", job_now->name);
	if (job_sender()->reason.code != at_sender ||
	    job_receiver()->reason.code != at_receiver)
		job_show_ends();
	OK(job_n_final[0] == 0 && job_n_final[1] == 0, "%s: nothing is final",
	    job_now->name);
}

static void
run_bad(const struct job *j, int at_sender, int at_receiver, const char *why)
{
	job_begin(j);
	OK(world_run(&job_world, world_is_ended, JOB_PATIENCE_MS), "%s: ends",
	    j->name);
	check_failed(at_sender, at_receiver, why);
	job_finish();
}

static void
stop(struct end *e, int code)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));

	world_begin(&out, IPC_STOP, 6);
	ipc_put_reason(&out, code, "asked");
	world_post(e, &out, NULL, 0);
}

static void
case_refusals(void)
{
	for (int offer = 0; offer < 2; offer++) {
		struct job j = { .offer = offer,
			.size = 300000,
			.from_file = true,
			.to_file = true,
			.kind = TRANSFER_KIND_FILE };

		j.name = "output does not open (blocks)";
		j.open_result = -ENOSPC;
		run_bad(&j,
		    offer ? -DT_ERR_PEER_ABORTED : -DT_ERR_PEER_REJECTED,
		    -ENOSPC, "no room");
		j.name = "output does not open (stream)";
		j.no_blocks[0] = true;
		run_bad(&j, -DT_ERR_PEER_ABORTED, -ENOSPC, "no room");
		j.open_result = 0;
		j.save_result = -EDQUOT;
		j.name = "not saved";
		run_bad(&j, -DT_ERR_PEER_ABORTED, -EDQUOT, "disk is full");
		j.save_result = 0;
		j.peer_name = "..";
		j.name = "bad name";
		run_bad(
		    &j, -DT_ERR_PEER_ABORTED, -DT_ERR_PEER_PROTOCOL, "name");
		j.peer_name = NULL;
		j.announced = j.size + 1;
		j.name = "source is short";
		run_bad(&j, -EIO, -DT_ERR_PEER_ABORTED, "shorter");
		j.no_blocks[0] = false;
		j.name = "source is short (blocks)";
		run_bad(&j, -EIO, -DT_ERR_PEER_ABORTED, "shorter");
	}
}

/* Each end, before and after bytes move. */
static void
case_cancel(void)
{
	for (int i = 0; i < 8; i++) {
		struct job j = { .name = "cancel",
			.offer = i & 1,
			.size = 1000,
			.stop_after = (i & 2) != 0 ? 900 : 0,
			.kind = (i & 1) != 0 ? TRANSFER_KIND_DIRECTORY
					     : TRANSFER_KIND_UNKNOWN };
		struct end *e;
		struct mono t0;

		j.stop_after = 900;
		job_begin(&j);
		(void)world_run(&job_world, job_some_moved, 5000);
		e = (i & 4) != 0 ? job_sender() : job_receiver();
		t0 = mono_now();
		stop(e, (i & 2) != 0 ? -ECANCELED : 0);
		OK(world_run(&job_world, world_is_ended, 20000),
		    "cancel: both end");
		/* Not when they are gone: that takes a sanitizer a while. */
		OK(mono_diff(e->ended_at, t0) < 5 * MONO_SEC &&
			mono_diff(e->other->ended_at, t0) < 5 * MONO_SEC,
		    "cancel: long before the idle end");
		if (e == job_sender())
			check_failed(
			    -ECANCELED, -DT_ERR_PEER_ABORTED, "cancel");
		else
			check_failed(
			    -DT_ERR_PEER_ABORTED, -ECANCELED, "cancel");
		job_finish();
	}
}

static bool
has_claimed(struct world *w)
{
	return w->n_packets[0] > 0;
}

static void
case_cancel_early(void)
{
	struct job j = { .name = "cancel the claim", .size = 10 };
	struct end *e = &job_world.claimer;
	struct mono t0;

	job_begin(&j);
	job_world.hold_listener = true;
	OK(world_run(&job_world, has_claimed, 10000), "cancel: a claim");
	t0 = mono_now();
	stop(e, -ECANCELED);
	OK(world_run(&job_world, world_claimer_ended, 10000),
	    "cancel: claimant ends");
	/* A second is the rule; a claim goes on for a minute. */
	OK(mono_diff(e->ended_at, t0) < 5 * MONO_SEC, "cancel: soon");
	EQ_INT(job_world.claimer.reason.code, -ECANCELED, "cancel: its code");
	job_finish();
}

/* All that the claimant says is there before the issuer's worker begins. */
static void
case_cancel_late(void)
{
	struct job j = { .name = "cancel before the other begins", .size = 10 };

	job_begin(&j);
	job_world.late_listener = true;
	OK(world_run(&job_world, world_has_listener, 10000),
	    "late: a listener");
	stop(&job_world.claimer, -ECANCELED);
	OK(world_run(&job_world, world_claimer_ended, 10000),
	    "late: claimant ends");
	(void)kill(job_world.listener.pid, SIGCONT);
	OK(world_run(&job_world, world_listener_ended, 10000),
	    "late: issuer ends");
	EQ_INT(job_world.listener.reason.code, -DT_ERR_PEER_ABORTED,
	    "late: it was told");
	job_finish();
}

/* One end dies in the middle. */
static void
case_killed(void)
{
	for (int i = 0; i < 4; i++) {
		struct job j = { .name = "killed",
			.offer = i & 1,
			.size = 1000,
			.stop_after = 900,
			.kind = (i & 1) != 0 ? TRANSFER_KIND_TEXT
					     : TRANSFER_KIND_UNKNOWN };
		struct end *left;
		struct mono t0;

		job_begin(&j);
		(void)world_run(&job_world, job_some_moved, 5000);
		left = (i & 2) != 0 ? job_sender() : job_receiver();
		world_need(left->other->pid > 0, "nobody to kill");
		(void)kill(left->other->pid, SIGKILL);
		t0 = mono_now();
		OK(world_run(&job_world,
		       left == &job_world.claimer ? world_claimer_ended
						  : world_listener_ended,
		       20000),
		    "killed: the other notices");
		OK(mono_diff(mono_now(), t0) < 15 * MONO_SEC, "within 15 s");
		EQ_INT(left->reason.code, -DT_ERR_PEER_GONE, "killed: code");
		job_finish();
	}
}

/* The sink's reader goes away. */
static void
case_broken_pipe(void)
{
	struct job j = {
		.name = "broken pipe", .size = 8 * JOB_MIB, .rate = 100
	};

	job_begin(&j);
	(void)world_run(&job_world, job_some_moved, 5000);
	loop_io_free(job_sink.io);
	job_sink.io = NULL;
	loop_timer_free(job_sink.timer);
	job_sink.timer = NULL;
	fd_close(&job_sink.fd);
	OK(world_run(&job_world, world_is_ended, 5000),
	    "broken pipe: both end");
	check_failed(-DT_ERR_PEER_ABORTED, -EPIPE, "Broken pipe");
	job_finish();
}

/* What the daemon may not say. */
static void
case_violations(void)
{
	for (int i = 0; i < 4; i++) {
		struct job j = {
			.name = "violation", .size = 1000, .stop_after = 900
		};
		static const enum ipc_type types[] = { IPC_SINK, IPC_OPENED };
		struct end *e;
		siginfo_t info = { 0 };

		job_begin(&j);
		(void)world_run(&job_world, job_some_moved, 5000);
		e = i < 2 ? job_receiver() : job_sender();
		j.is_device = true;
		job_send_sink(e, types[i % 2], 99);
		for (int n = 0; n < 1000 && info.si_pid == 0; n++) {
			(void)world_run(&job_world, world_never, 10);
			(void)waitid(P_PID, (id_t)e->pid, &info,
			    WEXITED | WNOHANG | WNOWAIT);
		}
		OK(info.si_code == CLD_EXITED &&
			info.si_status == EXIT_WORKER_IPC,
		    "an unasked %s ends the worker",
		    ipc_name((uint16_t)types[i % 2]));
		job_finish();
	}
}

enum mischief {
	STOP_SENDER,
	STOP_RECEIVER,
	PAUSE_SENDER,
	PAUSE_RECEIVER,
	CUT,
	N_MISCHIEFS
};

static void
mischief(enum mischief m)
{
	struct end *e = m == PAUSE_SENDER ? job_sender() : job_receiver();

	switch (m) {
	case STOP_SENDER:
		stop(job_sender(), -ECANCELED);
		break;
	case STOP_RECEIVER:
		stop(job_receiver(), -ECANCELED);
		break;
	case PAUSE_SENDER:
	case PAUSE_RECEIVER:
		(void)kill(e->pid, SIGSTOP);
		(void)world_run(&job_world, world_never, 700);
		(void)kill(e->pid, SIGCONT);
		break;
	case CUT:
		job_world.cut = true;
		(void)world_run(&job_world, world_never, 700);
		job_world.cut = false;
		break;
	case N_MISCHIEFS:
		break;
	}
}

/* Ended before the end of an idle connection, after 9 s, would help: however
 * long it takes, nothing stands still for 6 s. */
static bool
ends(void)
{
	const struct ipc_progress *p =
	    &job_progress[job_receiver() == &job_world.listener];
	int still = 0;

	while (still < 3) {
		int64_t had = p->moved;

		if (world_run(&job_world, world_is_ended, 2000))
			return true;
		still = p->moved == had ? still + 1 : 0;
	}
	return false;
}

/* Whatever happens when: nobody hangs, and nobody believes what is not so. */
static void
case_chaos(void)
{
	uint64_t x = 20261121;

	for (int i = 0; i < 24; i++) {
		struct job j = { .name = "chaos",
			.offer = i & 1,
			.size = 6 * JOB_MIB,
			.streams = (i & 2) != 0 ? 8 : 0,
			.from_file = (i & 4) != 0,
			.to_file = (i & 8) != 0,
			.rate = 300000,
			.kind = (i & 1) != 0 ? TRANSFER_KIND_FILE
					     : TRANSFER_KIND_UNKNOWN };
		enum mischief m;
		int ms;
		bool may_fail;

		x = x * 6364136223846793005u + 1442695040888963407u;
		m = (enum mischief)((x >> 33) % N_MISCHIEFS);
		ms = (int)((x >> 40) % 100);
		may_fail = m == STOP_SENDER || m == STOP_RECEIVER;
		printf("# round %d: mischief %d after %d ms\n", i, m, ms);
		job_begin(&j);
		(void)world_run(&job_world, world_is_ended, ms);
		if (!world_is_ended(&job_world) &&
		    (job_world.listener.pid != 0 || m == CUT))
			mischief(m);
		OK(ends(), "chaos: ends");
		if (job_receiver()->reason.code == 0)
			(void)world_run(
			    &job_world, job_is_done, JOB_PATIENCE_MS);
		OK(job_sender()->reason.code != 0 ||
			job_receiver()->reason.code == 0,
		    "chaos: the sender believes what is so");
		OK(job_receiver()->reason.code != 0 || job_is_whole(),
		    "chaos: and the receiver has it");
		if (!may_fail)
			OK(job_sender()->reason.code == 0,
			    "chaos: no reason to fail");
		if (job_sender()->reason.code != 0)
			job_show_ends();
		job_finish();
	}
}

static const struct job_case cases[] = {
	{ "refusals", case_refusals },
	{ "cancel", case_cancel },
	{ "cancel_early", case_cancel_early },
	{ "cancel_late", case_cancel_late },
	{ "killed", case_killed },
	{ "broken_pipe", case_broken_pipe },
	{ "violations", case_violations },
	{ "chaos", case_chaos },
};

int
main(int argc, char **argv)
{
	if (!job_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0])))
		return 99;
	return tap_done();
}
