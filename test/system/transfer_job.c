/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/system/transfer_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fd.h"

#define VERIFY "A52F-6B43-8782"

struct world job_world;
struct net job_net;
const struct job *job_now;
struct job_sink job_sink;
struct ipc_progress job_progress[2];
unsigned job_n_final[2];

static uint8_t *content; /* of the source */

static struct {
	int fd;
	struct loop_io *io;
	int64_t sent;
} source;

static bool
is_sender(const struct end *e)
{
	return (e == &job_world.listener) == job_now->offer;
}

struct end *
job_receiver(void)
{
	return is_sender(&job_world.claimer) ? &job_world.listener
					     : &job_world.claimer;
}

struct end *
job_sender(void)
{
	return job_receiver()->other;
}

static int64_t
announced(void)
{
	return job_now->announced != 0 ? job_now->announced : job_now->size;
}

static void
set_header(struct ipc_boot_transfer *t)
{
	static struct transfer_header h;
	struct buf_writer out = buf_writer(t->header, sizeof(t->header));

	memset(&h, 0, sizeof(h));
	h.kind = job_now->kind;
	h.version = 1;
	h.size = announced();
	strcpy(h.verify, VERIFY);
	if (job_now->kind != TRANSFER_KIND_TEXT)
		strcpy(h.name, job_now->peer_name != NULL ? job_now->peer_name
							  : "dir/a\nfile");
	if (transfer_header_encode(&out, &h) != 0)
		abort();
	t->header_len = (uint16_t)out.len;
}

static void
set_boot(struct end *e, struct ipc_boot_session *b)
{
	struct ipc_boot_transfer *t = &b->transfer;
	bool sends = is_sender(e);

	t->role = (uint8_t)(sends ? (job_now->offer ? TRANSFER_SEND_ISSUER
						    : TRANSFER_SEND_CLAIMANT)
				  : (job_now->offer ? TRANSFER_RECEIVE_CLAIMANT
						    : TRANSFER_RECEIVE_ISSUER));
	t->structured = job_now->kind != TRANSFER_KIND_UNKNOWN;
	t->size = -1;
	if (sends) {
		t->blocks = job_now->from_file && !job_now->no_blocks[0];
		t->streams = job_now->streams;
		if (job_now->from_file || t->structured)
			t->size = announced();
		if (t->structured)
			set_header(t);
	} else {
		t->blocks = job_now->to_file && !job_now->no_blocks[1];
		strcpy(t->verify, VERIFY);
	}
}

static void
feed(void *arg, unsigned events, struct mono now)
{
	int64_t end =
	    job_now->stop_after != 0 ? job_now->stop_after : job_now->size;
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
	if (job_now->stop_after != 0)
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

	if (job_now->from_file) {
		fds[0] = memfd_create("source", MFD_CLOEXEC);
		for (int64_t n = 0; n < job_now->size;) {
			ssize_t k = pwrite(fds[0], content + n,
			    (size_t)(job_now->size - n), 100 + n);

			if (k <= 0)
				abort();
			n += k;
		}
		return fds[0];
	}
	make_pipe(fds);
	source.fd = fds[1];
	source.io = loop_io_new(job_world.loop, fds[1], feed, NULL);
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
	if (job_now->rate != 0)
		room = (size_t)job_now->rate * 20;
	n = read(job_sink.fd, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n == 0) {
		job_sink.eof = true;
		loop_io_set(job_sink.io, 0);
	}
	if (n <= 0)
		return;
	if (job_sink.got + n > job_now->size ||
	    memcmp(buf, content + job_sink.got, (size_t)n) != 0)
		job_sink.bad = true;
	job_sink.got += n;
	if (job_now->rate != 0) {
		loop_io_set(job_sink.io, 0);
		loop_timer_in(job_sink.timer, 20 * MONO_MS);
	}
}

static void
on_rate(void *arg, struct mono now)
{
	(void)arg;
	(void)now;
	loop_io_set(job_sink.io, LOOP_READ);
}

/* The descriptor for the receiver. */
static int
open_sink(void)
{
	int fds[2];

	if (job_now->to_file) {
		job_sink.fd = memfd_create("sink", MFD_CLOEXEC);
		return dup(job_sink.fd);
	}
	if (job_now->is_device)
		return open("/dev/null", O_WRONLY | O_CLOEXEC);
	make_pipe(fds);
	job_sink.fd = fds[0];
	job_sink.timer = loop_timer_new(job_world.loop, on_rate, NULL);
	job_sink.io = loop_io_new(job_world.loop, fds[0], drain, NULL);
	loop_io_set(job_sink.io, LOOP_READ);
	return fds[1];
}

static void
send_source(struct end *e)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_source m = { job_now->from_file, 100,
		job_now->from_file ? announced() : -1 };
	int fd = open_source();

	world_begin(&out, IPC_SOURCE, 2);
	ipc_transfer_put_source(&out, &m);
	world_post(e, &out, &fd, 1);
}

void
job_send_sink(struct end *e, enum ipc_type type, uint32_t seq)
{
	uint8_t msg[400];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_sink m = { .result = job_now->open_result,
		.positioned = job_now->to_file,
		.offset = job_now->to_file ? 200 : 0 };
	int fd = job_now->open_result == 0 ? open_sink() : -1;

	if (m.result != 0)
		strcpy(m.reason, "no room");
	world_begin(&out, type, seq);
	ipc_transfer_put_sink(&out, &m);
	world_post(e, &out, &fd, fd >= 0 ? 1 : 0);
}

static void
on_boot(struct end *e)
{
	if (job_now->by_udp)
		net_boot(e);
	if (is_sender(e))
		send_source(e);
	else if (job_now->kind == TRANSFER_KIND_UNKNOWN)
		job_send_sink(e, IPC_SINK, 2);
}

static void
on_save(struct end *e, const struct ipc_header *h, struct buf_reader *body)
{
	uint8_t msg[400];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	struct ipc_saved m = { .result = job_now->save_result };

	if (ipc_transfer_get_save(body, &job_sink.save) != 0)
		abort();
	job_sink.was_saved = true;
	if (m.result != 0)
		strcpy(m.reason, "disk is full");
	world_begin(&out, IPC_SAVED, h->seq);
	ipc_transfer_put_saved(&out, &m);
	world_post(e, &out, NULL, 0);
}

static void
on_message(struct end *e, const struct ipc_header *h, struct buf_reader *body)
{
	int who = e == &job_world.listener;

	if (h->type == IPC_OPEN) {
		if (ipc_transfer_get_open(body, &job_sink.open) != 0)
			abort();
		job_sink.was_open = true;
		job_send_sink(e, IPC_OPENED, h->seq);
	} else if (h->type == IPC_SAVE) {
		on_save(e, h, body);
	} else {
		if (ipc_transfer_get_progress(body, &job_progress[who]) != 0)
			abort();
		job_n_final[who] += job_progress[who].final;
	}
}

void
job_begin(const struct job *j)
{
	uint64_t x = 88172645463325252u;

	job_now = j;
	content = malloc((size_t)j->size + 8);
	for (int64_t i = 0; i < j->size; i += 8) {
		x ^= x << 13; /* Marsaglia's xorshift64 */
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(content + i, &x, 8);
	}
	memset(&source, 0, sizeof(source));
	memset(&job_sink, 0, sizeof(job_sink));
	memset(job_progress, 0, sizeof(job_progress));
	memset(job_n_final, 0, sizeof(job_n_final));
	source.fd = -1;
	job_sink.fd = -1;
	memset(&job_world, 0, sizeof(job_world));
	job_world.set_boot = set_boot;
	job_world.on_boot = on_boot;
	job_world.on_message = on_message;
	job_world.force_relay[0] = !j->no_relay_only;
	if (j->by_udp)
		net_init_transfer(&job_net, &job_world, true);
	else
		world_init_transfer(&job_world);
}

void
job_finish(void)
{
	loop_io_free(source.io);
	loop_io_free(job_sink.io);
	loop_timer_free(job_sink.timer);
	fd_close(&source.fd);
	fd_close(&job_sink.fd);
	if (job_now->by_udp)
		net_fini(&job_net); /* while there is a loop */
	world_fini(&job_world);
	free(content);
}

bool
job_is_done(struct world *unused)
{
	(void)unused;
	return world_is_ended(&job_world) &&
	       (job_sink.io == NULL || job_sink.eof);
}

bool
job_some_moved(struct world *unused)
{
	(void)unused;
	return job_sink.got > 0;
}

/* Did the sink get exactly what the source had? */
bool
job_is_whole(void)
{
	uint8_t *p;
	bool same;

	if (!job_now->to_file)
		return job_sink.got == job_now->size && !job_sink.bad &&
		       job_sink.eof;
	if (lseek(job_sink.fd, 0, SEEK_END) !=
	    (job_now->size > 0 ? 200 : 0) + job_now->size)
		return false;
	p = malloc((size_t)job_now->size + 1);
	same = pread(job_sink.fd, p, (size_t)job_now->size, 200) ==
		   job_now->size &&
	       memcmp(p, content, (size_t)job_now->size) == 0;
	free(p);
	return same;
}

void
job_show_ends(void)
{
	printf("# claimer: %d %s; listener: %d %s; got %" PRId64 "\n",
	    job_world.claimer.reason.code, job_world.claimer.reason.text,
	    job_world.listener.reason.code, job_world.listener.reason.text,
	    job_sink.got);
}

bool
job_run(int argc, char **argv, const struct job_case *cases, size_t n)
{
	(void)signal(SIGPIPE, SIG_IGN);
	setlinebuf(stdout);
	if (argc < 2)
		return false;
	world_worker_path = argv[1];
	for (size_t i = 0; i < n; i++)
		if (argc < 3 || strcmp(argv[2], cases[i].name) == 0)
			cases[i].run();
	return true;
}
