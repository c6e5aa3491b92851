/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two derptun-session processes that transfer: each flow, encoding, kind of
 * source and of sink, and every way it can end.
 *
 * usage: session_transfer PATH_OF_DERPTUN_SESSION [CASE]
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "proto/ipc/exitcode.h"
#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_policy.h"
#include "test/system/session_net.h"
#include "test/system/session_world.h"
#include "test/tap.h"

#define MIB ((int64_t)1 << 20)
#define PATIENCE_MS 30000
#define VERIFY "A52F-6B43-8782"

/* What is to be done. */
struct job {
	const char *name;
	bool offer; /* flow B: the issuer sends */
	int64_t size;
	bool from_file;
	bool to_file;
	enum transfer_kind kind; /* UNKNOWN: no header */
	bool no_blocks[2];       /* sender, receiver */
	uint8_t streams;         /* the sender's wish */
	bool no_relay_only;
	int64_t announced; /* size in header and boot; 0: the real one */
	const char *peer_name;
	int open_result;    /* of OPENED */
	int save_result;    /* of SAVED */
	int64_t stop_after; /* the source stays silent from there on */
	int rate;           /* sink: bytes per ms it takes; 0: all */
	bool is_device;     /* the sink is /dev/null */
	bool by_udp;        /* sockets, by way of the proxy of net */
};

static struct world w;
static struct net net;
static bool has_net;
static const struct job *job;
static uint8_t *content; /* of the source */

static struct {
	int fd;
	struct loop_io *io;
	int64_t sent;
} source;

static struct {
	int fd; /* ours: to read from a pipe, or the file */
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t got;
	bool bad;
	bool eof;
	struct ipc_open open;
	bool was_open;
	struct ipc_save save;
	bool was_saved;
} sink;

static struct ipc_progress progress[2]; /* claimer, listener */
static unsigned n_progress[2];
static unsigned n_final[2];

static bool
is_sender(const struct end *e)
{
	return (e == &w.listener) == job->offer;
}

static struct end *
receiver(void)
{
	return is_sender(&w.claimer) ? &w.listener : &w.claimer;
}

static struct end *
sender(void)
{
	return receiver()->other;
}

static int64_t
announced(void)
{
	return job->announced != 0 ? job->announced : job->size;
}

static void
set_header(struct ipc_boot_transfer *t)
{
	static struct transfer_header h;
	struct buf_writer out = buf_writer(t->header, sizeof(t->header));

	memset(&h, 0, sizeof(h));
	h.kind = job->kind;
	h.version = 1;
	h.size = announced();
	strcpy(h.verify, VERIFY);
	if (job->kind != TRANSFER_KIND_TEXT)
		strcpy(h.name,
		    job->peer_name != NULL ? job->peer_name : "dir/a\nfile");
	if (transfer_header_encode(&out, &h) != 0)
		abort();
	t->header_len = (uint16_t)out.len;
}

static void
set_boot(struct end *e, struct ipc_boot_session *b)
{
	struct ipc_boot_transfer *t = &b->transfer;
	bool sends = is_sender(e);

	t->role = (uint8_t)(sends ? (job->offer ? TRANSFER_SEND_ISSUER
						: TRANSFER_SEND_CLAIMANT)
				  : (job->offer ? TRANSFER_RECEIVE_CLAIMANT
						: TRANSFER_RECEIVE_ISSUER));
	t->structured = job->kind != TRANSFER_KIND_UNKNOWN;
	t->size = -1;
	if (sends) {
		t->blocks = job->from_file && !job->no_blocks[0];
		t->streams = job->streams;
		if (job->from_file || t->structured)
			t->size = announced();
		if (t->structured)
			set_header(t);
	} else {
		t->blocks = job->to_file && !job->no_blocks[1];
		strcpy(t->verify, VERIFY);
	}
}

static void
feed(void *arg, unsigned events, struct mono now)
{
	int64_t end = job->stop_after != 0 ? job->stop_after : job->size;
	ssize_t n = 1;

	(void)arg;
	(void)events;
	(void)now;
	if (source.sent < end)
		n = write(source.fd, content + source.sent,
		    (size_t)(end - source.sent));
	if (source.sent < end && n > 0)
		source.sent += n;
	if (source.sent < end && (n > 0 || errno == EAGAIN))
		return;
	loop_io_set(source.io, 0);
	if (job->stop_after != 0)
		return;
	loop_io_free(source.io);
	source.io = NULL;
	fd_close(&source.fd);
}

static void
make_pipe(int fds[2])
{
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
		abort();
}

/* The descriptor for the sender. */
static int
open_source(void)
{
	int fds[2];

	if (job->from_file) {
		fds[0] = memfd_create("source", MFD_CLOEXEC);
		for (int64_t n = 0; n < job->size;) {
			ssize_t k = pwrite(fds[0], content + n,
			    (size_t)(job->size - n), 100 + n);

			if (k <= 0)
				abort();
			n += k;
		}
		return fds[0];
	}
	make_pipe(fds);
	source.fd = fds[1];
	source.io = loop_io_new(w.loop, fds[1], feed, NULL);
	loop_io_set(source.io, LOOP_WRITE);
	return fds[0];
}

static void
drain(void *arg, unsigned events, struct mono now)
{
	static uint8_t buf[1 << 16];
	size_t room = sizeof(buf);
	ssize_t n;

	(void)arg;
	(void)events;
	(void)now;
	if (job->rate != 0)
		room = (size_t)job->rate * 20;
	n = read(sink.fd, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n == 0) {
		sink.eof = true;
		loop_io_set(sink.io, 0);
	}
	if (n <= 0)
		return;
	if (sink.got + n > job->size ||
	    memcmp(buf, content + sink.got, (size_t)n) != 0)
		sink.bad = true;
	sink.got += n;
	if (job->rate != 0) {
		loop_io_set(sink.io, 0);
		loop_timer_in(sink.timer, 20 * MONO_MS);
	}
}

static void
on_rate(void *arg, struct mono now)
{
	(void)arg;
	(void)now;
	loop_io_set(sink.io, LOOP_READ);
}

/* The descriptor for the receiver. */
static int
open_sink(void)
{
	int fds[2];

	if (job->to_file) {
		sink.fd = memfd_create("sink", MFD_CLOEXEC);
		return dup(sink.fd);
	}
	if (job->is_device)
		return open("/dev/null", O_WRONLY | O_CLOEXEC);
	make_pipe(fds);
	sink.fd = fds[0];
	sink.timer = loop_timer_new(w.loop, on_rate, NULL);
	sink.io = loop_io_new(w.loop, fds[0], drain, NULL);
	loop_io_set(sink.io, LOOP_READ);
	return fds[1];
}

static void
send_source(struct end *e)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_source m = { job->from_file, 100,
		job->from_file ? announced() : -1 };
	int fd = open_source();

	world_begin(&out, IPC_SOURCE, 2);
	ipc_transfer_put_source(&out, &m);
	world_post(e, &out, &fd, 1);
}

static void
send_sink(struct end *e, enum ipc_type type, uint32_t seq)
{
	uint8_t msg[400];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_sink m = { .result = job->open_result,
		.positioned = job->to_file,
		.offset = job->to_file ? 200 : 0 };
	int fd = job->open_result == 0 ? open_sink() : -1;

	if (m.result != 0)
		strcpy(m.reason, "no room");
	world_begin(&out, type, seq);
	ipc_transfer_put_sink(&out, &m);
	world_post(e, &out, &fd, fd >= 0 ? 1 : 0);
}

static void
on_boot(struct end *e)
{
	if (job->by_udp)
		net_boot(e);
	if (is_sender(e))
		send_source(e);
	else if (job->kind == TRANSFER_KIND_UNKNOWN)
		send_sink(e, IPC_SINK, 2);
}

static void
on_save(struct end *e, const struct ipc_header *h, struct buf_reader *body)
{
	uint8_t msg[400];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_saved m = { .result = job->save_result };

	if (ipc_transfer_get_save(body, &sink.save) != 0)
		abort();
	sink.was_saved = true;
	if (m.result != 0)
		strcpy(m.reason, "disk is full");
	world_begin(&out, IPC_SAVED, h->seq);
	ipc_transfer_put_saved(&out, &m);
	world_post(e, &out, NULL, 0);
}

static void
on_message(struct end *e, const struct ipc_header *h, struct buf_reader *body)
{
	int who = e == &w.listener;

	if (h->type == IPC_OPEN) {
		if (ipc_transfer_get_open(body, &sink.open) != 0)
			abort();
		sink.was_open = true;
		send_sink(e, IPC_OPENED, h->seq);
	} else if (h->type == IPC_SAVE) {
		on_save(e, h, body);
	} else {
		if (ipc_transfer_get_progress(body, &progress[who]) != 0)
			abort();
		n_progress[who]++;
		n_final[who] += progress[who].final;
	}
}

static void
begin(const struct job *j)
{
	uint64_t x = 88172645463325252u;

	job = j;
	content = malloc((size_t)j->size + 8);
	for (int64_t i = 0; i < j->size; i += 8) {
		x ^= x << 13; /* Marsaglia's xorshift64 */
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(content + i, &x, 8);
	}
	memset(&source, 0, sizeof(source));
	memset(&sink, 0, sizeof(sink));
	memset(progress, 0, sizeof(progress));
	memset(n_progress, 0, sizeof(n_progress));
	memset(n_final, 0, sizeof(n_final));
	source.fd = -1;
	sink.fd = -1;
	memset(&w, 0, sizeof(w));
	w.set_boot = set_boot;
	w.on_boot = on_boot;
	w.on_message = on_message;
	w.force_relay[0] = !j->no_relay_only;
	if (j->by_udp)
		net_init_transfer(&net, &w, true);
	else
		world_init_transfer(&w);
}

static void
finish(void)
{
	loop_io_free(source.io);
	loop_io_free(sink.io);
	loop_timer_free(sink.timer);
	fd_close(&source.fd);
	fd_close(&sink.fd);
	if (job->by_udp)
		net_fini(&net); /* while there is a loop */
	world_fini(&w);
	free(content);
}

static bool
is_done(struct world *unused)
{
	(void)unused;
	return world_is_ended(&w) && (sink.io == NULL || sink.eof);
}

static bool
never(struct world *unused)
{
	(void)unused;
	return false;
}

static bool
some_moved(struct world *unused)
{
	(void)unused;
	return sink.got > 0;
}

/* Did the sink get exactly what the source had? */
static bool
is_whole(void)
{
	uint8_t *p;
	bool same;

	if (!job->to_file)
		return sink.got == job->size && !sink.bad && sink.eof;
	if (lseek(sink.fd, 0, SEEK_END) !=
	    (job->size > 0 ? 200 : 0) + job->size)
		return false;
	p = malloc((size_t)job->size + 1);
	same = pread(sink.fd, p, (size_t)job->size, 200) == job->size &&
	       memcmp(p, content, (size_t)job->size) == 0;
	free(p);
	return same;
}

static void
show_ends(void)
{
	printf("# claimer: %d %s; listener: %d %s; got %" PRId64 "\n",
	    w.claimer.reason.code, w.claimer.reason.text,
	    w.listener.reason.code, w.listener.reason.text, sink.got);
}

static void
check_open(void)
{
	bool is_text = job->kind == TRANSFER_KIND_TEXT;

	if (job->kind == TRANSFER_KIND_UNKNOWN) {
		OK(!sink.was_open, "%s: nothing to open", job->name);
		return;
	}
	OK(sink.was_open && sink.open.kind == job->kind &&
		sink.open.size == job->size,
	    "%s: told what comes", job->name);
	EQ_STR(sink.open.name, is_text ? "" : "a_file", "%s: name made safe",
	    job->name);
}

static void
run_good(const struct job *j)
{
	const struct ipc_progress *p;
	int64_t header;

	begin(j);
	OK(world_run(&w, is_done, PATIENCE_MS), "%s: ends", j->name);
	EQ_INT(w.claimer.reason.code, 0, "%s: claimer is content", j->name);
	EQ_INT(w.listener.reason.code, 0, "%s: listener is content", j->name);
	OK(is_whole(), "%s: every byte", j->name);
	if (w.claimer.reason.code != 0 || w.listener.reason.code != 0 ||
	    !is_whole())
		show_ends();
	check_open();
	OK(sink.was_saved && sink.save.body == j->size, "%s: told what to save",
	    j->name);
	header = sink.save.bytes - sink.save.body;
	OK((header > 0) == (j->kind != TRANSFER_KIND_UNKNOWN),
	    "%s: header counts", j->name);
	p = &progress[sender() == &w.listener];
	OK(p->final && p->moved == j->size && p->peer_written == j->size &&
		p->total == j->size,
	    "%s: sender's progress adds up", j->name);
	p = &progress[receiver() == &w.listener];
	OK(p->final && p->moved == j->size && p->total == j->size,
	    "%s: receiver's progress adds up", j->name);
	EQ_INT(n_final[0], 1, "%s: one final report", j->name);
	EQ_INT(n_final[1], 1, "%s: one final report each", j->name);
	finish();
}

static void
case_pipes(bool offer)
{
	static const int64_t sizes[] = { 0, 1, 100 * 1024, 8 * MIB + 1 };

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
		8 * MIB + 1 };

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
		EQ_INT(sink.open.blocks, offer, "in blocks");
		j.streams = 8;
		j.no_relay_only = true;
		j.name = offer ? "B file, 8 streams" : "A file, 8 streams";
		run_good(&j);
		j.no_blocks[1] = true;
		j.name = "file, in stripes";
		run_good(&j);
		EQ_INT(sink.open.blocks, 0, "not in blocks");
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

static void
check_failed(int at_sender, int at_receiver, const char *why)
{
	EQ_INT(
	    sender()->reason.code, at_sender, "%s: sender's code", job->name);
	EQ_INT(receiver()->reason.code, at_receiver, "%s: receiver's code",
	    job->name);
	OK(strstr(sender()->reason.text, why) != NULL ||
		strstr(receiver()->reason.text, why) != NULL,
	    "%s: somebody is told why", job->name);
	if (sender()->reason.code != at_sender ||
	    receiver()->reason.code != at_receiver)
		show_ends();
	OK(n_final[0] == 0 && n_final[1] == 0, "%s: nothing is final",
	    job->name);
}

static void
run_bad(const struct job *j, int at_sender, int at_receiver, const char *why)
{
	begin(j);
	OK(world_run(&w, world_is_ended, PATIENCE_MS), "%s: ends", j->name);
	check_failed(at_sender, at_receiver, why);
	finish();
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
		begin(&j);
		(void)world_run(&w, some_moved, 5000);
		e = (i & 4) != 0 ? sender() : receiver();
		t0 = mono_now();
		stop(e, (i & 2) != 0 ? -ECANCELED : 0);
		OK(world_run(&w, world_is_ended, 5000), "cancel: both end");
		OK(mono_diff(mono_now(), t0) < 1000 * MONO_MS,
		    "cancel: within a second");
		if (e == sender())
			check_failed(
			    -ECANCELED, -DT_ERR_PEER_ABORTED, "cancel");
		else
			check_failed(
			    -DT_ERR_PEER_ABORTED, -ECANCELED, "cancel");
		finish();
	}
}

static void
case_cancel_early(void)
{
	struct job j = { .name = "cancel the claim", .size = 10 };

	begin(&j);
	w.hold_listener = true;
	(void)world_run(&w, never, 50);
	stop(&w.claimer, -ECANCELED);
	OK(world_run(&w, world_claimer_ended, 1500), "cancel: claimant ends");
	EQ_INT(w.claimer.reason.code, -ECANCELED, "cancel: its code");
	finish();
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

		begin(&j);
		(void)world_run(&w, some_moved, 5000);
		left = (i & 2) != 0 ? sender() : receiver();
		(void)kill(left->other->pid, SIGKILL);
		t0 = mono_now();
		OK(world_run(&w,
		       left == &w.claimer ? world_claimer_ended
					  : world_listener_ended,
		       20000),
		    "killed: the other notices");
		OK(mono_diff(mono_now(), t0) < 15 * MONO_SEC, "within 15 s");
		EQ_INT(left->reason.code, -DT_ERR_PEER_GONE, "killed: code");
		finish();
	}
}

/* The sink's reader goes away. */
static void
case_broken_pipe(void)
{
	struct job j = { .name = "broken pipe", .size = 8 * MIB, .rate = 100 };

	begin(&j);
	(void)world_run(&w, some_moved, 5000);
	loop_io_free(sink.io);
	sink.io = NULL;
	loop_timer_free(sink.timer);
	sink.timer = NULL;
	fd_close(&sink.fd);
	OK(world_run(&w, world_is_ended, 5000), "broken pipe: both end");
	check_failed(-DT_ERR_PEER_ABORTED, -EPIPE, "Broken pipe");
	finish();
}

/* Neither polled nor by offset. */
static void
case_devices(void)
{
	struct job j = { .name = "devices", .size = 4 * MIB };
	const struct ipc_progress *p = &progress[1];

	j.is_device = true;
	begin(&j);
	OK(world_run(&w, world_is_ended, PATIENCE_MS), "devices: ends");
	OK(w.claimer.reason.code == 0 && w.listener.reason.code == 0 &&
		p->final && p->moved == j.size,
	    "devices: to /dev/null");
	if (getenv("ASAN_OPTIONS") == NULL) {
		finish();
		begin(&j);
		(void)world_run(&w, world_is_ready, 5000);
		OK(world_is_confined(w.claimer.pid) &&
			world_is_confined(w.listener.pid),
		    "both are confined");
	}
	finish();
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

		begin(&j);
		(void)world_run(&w, some_moved, 5000);
		e = i < 2 ? receiver() : sender();
		j.is_device = true;
		send_sink(e, types[i % 2], 99);
		for (int n = 0; n < 100 && info.si_pid == 0; n++) {
			(void)world_run(&w, never, 10);
			(void)waitid(P_PID, (id_t)e->pid, &info,
			    WEXITED | WNOHANG | WNOWAIT);
		}
		OK(info.si_code == CLD_EXITED &&
			info.si_status == EXIT_WORKER_IPC,
		    "an unasked %s ends the worker",
		    ipc_name((uint16_t)types[i % 2]));
		finish();
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
	struct end *e = m == PAUSE_SENDER ? sender() : receiver();

	switch (m) {
	case STOP_SENDER:
		stop(sender(), -ECANCELED);
		break;
	case STOP_RECEIVER:
		stop(receiver(), -ECANCELED);
		break;
	case PAUSE_SENDER:
	case PAUSE_RECEIVER:
		(void)kill(e->pid, SIGSTOP);
		(void)world_run(&w, never, 700);
		(void)kill(e->pid, SIGCONT);
		break;
	case CUT:
		w.cut = true;
		(void)world_run(&w, never, 700);
		w.cut = false;
		break;
	case N_MISCHIEFS:
		break;
	}
}

/* Whatever happens when: nobody hangs, and nobody believes what is not so. */
static void
case_chaos(void)
{
	uint64_t x = 20261121;

	for (int i = 0; i < 24; i++) {
		struct job j = { .name = "chaos",
			.offer = i & 1,
			.size = 6 * MIB,
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
		begin(&j);
		(void)world_run(&w, world_is_ended, ms);
		if (!world_is_ended(&w) && (w.listener.pid != 0 || m == CUT))
			mischief(m);
		OK(world_run(&w, world_is_ended, 8000), "chaos: ends");
		if (receiver()->reason.code == 0)
			(void)world_run(&w, is_done, 1000);
		OK(sender()->reason.code != 0 || receiver()->reason.code == 0,
		    "chaos: the sender believes what is so");
		OK(receiver()->reason.code != 0 || is_whole(),
		    "chaos: and the receiver has it");
		if (!may_fail)
			OK(sender()->reason.code == 0,
			    "chaos: no reason to fail");
		if (sender()->reason.code != 0)
			show_ends();
		finish();
	}
}

/* A reader of 1 MB/s, far longer than any timer of the peer's. */
static void
case_slow(void)
{
	struct job j = {
		.name = "slow reader", .size = 16 * MIB, .rate = 1000
	};
	long before;

	begin(&j);
	(void)world_run(&w, some_moved, 5000);
	(void)world_run(&w, never, 3000);
	before = world_private_dirty_kib(receiver()->pid);
	OK(before < 24 * 1024, "receiver holds little: %ld KiB", before);
	before = world_private_dirty_kib(sender()->pid);
	OK(before < 24 * 1024, "so does the sender: %ld KiB", before);
	OK(world_run(&w, is_done, PATIENCE_MS), "slow reader: ends");
	OK(is_whole() && w.claimer.reason.code == 0 &&
		w.listener.reason.code == 0,
	    "slow reader: every byte");
	finish();
}

static void
case_loss(void)
{
	for (int offer = 0; offer < 2; offer++) {
		struct job j = { .name = "3 % loss",
			.offer = offer,
			.size = 4 * MIB,
			.from_file = true,
			.to_file = true,
			.streams = 8,
			.kind = TRANSFER_KIND_FILE };

		begin(&j);
		w.loss_permille = 30;
		OK(world_run(&w, is_done, PATIENCE_MS), "loss: ends");
		OK(is_whole() && w.claimer.reason.code == 0 &&
			w.listener.reason.code == 0,
		    "loss: every byte");
		finish();
	}
}

static bool
much_moved(struct world *unused)
{
	(void)unused;
	return sink.got > 4 * MIB && net_both_direct(&w);
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
			.size = 32 * MIB,
			.kind = offer != 0 ? TRANSFER_KIND_DIRECTORY
					   : TRANSFER_KIND_UNKNOWN,
			.rate = 4000,
			.no_relay_only = true,
			.by_udp = true };

		begin(&j);
		OK(world_run(&w, much_moved, PATIENCE_MS), "direct");
		net.hole = true;
		OK(world_run(&w, net_both_relayed, 5000), "path dies: relay");
		OK(world_run(&w, is_done, PATIENCE_MS), "path dies: ends");
		OK(is_whole() && w.claimer.reason.code == 0 &&
			w.listener.reason.code == 0,
		    "path dies: every byte");
		finish();
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "flow_a", case_flow_a },
	{ "flow_b", case_flow_b },
	{ "refusals", case_refusals },
	{ "cancel", case_cancel },
	{ "cancel_early", case_cancel_early },
	{ "killed", case_killed },
	{ "broken_pipe", case_broken_pipe },
	{ "devices", case_devices },
	{ "violations", case_violations },
	{ "chaos", case_chaos },
	{ "slow", case_slow },
	{ "loss", case_loss },
	{ "switch", case_switch },
};

int
main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	setlinebuf(stdout);
	if (argc < 2)
		return 99;
	world_worker_path = argv[1];
	has_net = net_enter();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (argc < 3 || strcmp(argv[2], cases[i].name) == 0)
			cases[i].run();
	return tap_done();
}
