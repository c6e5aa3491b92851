/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * Reading: socket -> tls -> input queue -> on_input(), until the socket would
 * block or STREAM_MAX_TURN bytes were read, so that one fast relay starves
 * nobody.  Writing: stream_write() fills the output (of tls, or our own queue),
 * stream_flush() empties it into the socket; what remains waits for LOOP_WRITE.
 *
 * ENDING, by stream_end(): the rest of the output, close_notify, FIN; reading
 * goes on only to see the peer's end, as a close() with bytes unread resets the
 * connection, and what the peer has not got yet is lost.
 *
 * CLOSED: on_closed() was called, nothing happens any more.  Freeing inside a
 * callback only marks; the outermost frame (depth 0) releases.
 */
#include "daemon/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/fifo.h"

#define STREAM_READ ((size_t)16384)
/* The same once a read came back full; with an incomplete record before it this
 * fills the 64 KiB that a queue keeps when it is empty. */
#define STREAM_READ_BUSY ((size_t)47 * 1024)
/* Plaintext handed up at once: a frame cut by the end of a record is rarely
 * moved then. */
#define STREAM_GATHER ((size_t)47 * 1024)
#define STREAM_MAX_TURN ((size_t)256 * 1024)
/* Plain streams: requests and frames waiting for the socket. */
#define STREAM_MAX_OUTPUT ((size_t)512 * 1024)

struct stream {
	struct stream_params p; /* host and cert_name are not kept */
	struct loop_io *io;
	struct loop_timer *kick; /* plain: on_ready */
	struct tls *tls;
	struct fifo in;
	struct fifo out;  /* plain only */
	size_t read_size; /* what the next recv() asks for at least */
	size_t tls_waits; /* ciphertext left by the last flush */
	bool gathered;    /* tls holds plaintext not yet sealed */
	bool ready;
	bool ending;
	bool finished; /* the FIN is sent */
	bool closed;
	bool freed;
	int depth;
};

static void
release(struct stream *s)
{
	loop_io_free(s->io);
	loop_timer_free(s->kick);
	tls_free(s->tls);
	fifo_fini(&s->in);
	fifo_fini(&s->out);
	fd_close(&s->p.fd);
	free(s);
}

/* Returns false when the stream is gone. */
static bool
leave(struct stream *s)
{
	s->depth--;
	if (!s->freed)
		return true;
	if (s->depth == 0)
		release(s);
	return false;
}

static bool
is_dead(const struct stream *s)
{
	return s->freed || s->closed;
}

static void
watch(struct stream *s)
{
	unsigned events = s->closed ? 0 : LOOP_READ;

	if (!s->closed && stream_queued(s) > 0)
		events |= LOOP_WRITE;
	loop_io_set(s->io, events);
}

static void
close_with(struct stream *s, int r, struct mono now)
{
	const char *text = s->tls != NULL ? tls_error_text(s->tls) : "";

	if (is_dead(s))
		return;
	s->closed = true;
	loop_io_set(s->io, 0);
	s->p.on_closed(s->p.arg, r, text, now);
}

size_t
stream_queued(const struct stream *s)
{
	if (s->tls == NULL)
		return fifo_len(&s->out);
	return s->tls_waits + (s->gathered ? 1 : 0);
}

struct addr
stream_local(const struct stream *s)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr a = { .family = 0 };

	if (getsockname(s->p.fd, (struct sockaddr *)&sa, &len) == 0)
		(void)addr_from_sockaddr(&a, (const struct sockaddr *)&sa);
	return a;
}

const struct tls *
stream_tls(const struct stream *s)
{
	return s->tls;
}

size_t
stream_write(struct stream *s, const void *p, size_t len)
{
	size_t room;
	ssize_t n;

	if (is_dead(s) || s->ending)
		return 0;
	if (s->tls != NULL) {
		n = tls_write(s->tls, p, len);
		if (n <= 0)
			return 0; /* full, or an error that reading will tell */
		s->gathered = true;
		return (size_t)n;
	}
	room = fifo_room(&s->out);
	if (len > room)
		len = room;
	return fifo_put(&s->out, p, len) == 0 ? len : 0;
}

static const uint8_t *
peek_output(struct stream *s, size_t *ret_len)
{
	if (s->tls != NULL) {
		s->gathered = false;
		return tls_output(s->tls, ret_len);
	}
	*ret_len = fifo_len(&s->out);
	return fifo_peek(&s->out);
}

/* Returns 0 (blocked or empty) or -errno. */
static int
send_all(struct stream *s)
{
	const uint8_t *p;
	size_t len;
	ssize_t n;

	for (;;) {
		p = peek_output(s, &len);
		s->tls_waits = s->tls != NULL ? len : 0;
		if (len == 0)
			return 0;
		do
			n = send(s->p.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (s->tls != NULL)
			tls_output_drop(s->tls, (size_t)n);
		else
			fifo_drop(&s->out, (size_t)n);
		s->tls_waits -= s->tls != NULL ? (size_t)n : 0;
	}
}

/* With the stream's depth raised. */
static void
flush(struct stream *s, struct mono now)
{
	size_t before = stream_queued(s);
	int r;

	if (is_dead(s))
		return;
	r = send_all(s);
	if (r < 0) {
		close_with(s, r, now);
	} else if (s->ending && !s->finished && stream_queued(s) == 0) {
		s->finished = true;
		(void)shutdown(s->p.fd, SHUT_WR); /* reading sees failure */
	} else if (before > 0 && stream_queued(s) == 0 && s->ready) {
		s->p.on_drained(s->p.arg, now);
	}
}

void
stream_flush(struct stream *s, struct mono now)
{
	s->depth++;
	flush(s, now);
	if (leave(s) && !s->closed)
		watch(s);
}

void
stream_end(struct stream *s, struct mono now)
{
	if (is_dead(s) || s->ending)
		return;
	s->ending = true;
	if (s->tls != NULL) {
		tls_close(s->tls);
		s->gathered = true; /* at least the alert */
	}
	stream_flush(s, now);
}

/* One recv(); returns bytes, 0 at the end, -EAGAIN, or an error.  Sets whether
 * it got less than it asked for: then there is nothing more. */
static ssize_t
read_socket(struct stream *s, bool *ret_short)
{
	size_t room = 0;
	uint8_t *p;
	ssize_t n;

	p = s->tls != NULL ? tls_input_reserve(s->tls, s->read_size, &room)
			   : fifo_reserve(&s->in, STREAM_READ, &room);
	if (p == NULL)
		return -DT_ERR_FULL;
	do
		n = recv(s->p.fd, p, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (s->tls != NULL && n > 0)
		tls_input_commit(s->tls, (size_t)n);
	else if (s->tls != NULL)
		tls_input_eof(s->tls);
	else
		fifo_commit(&s->in, (size_t)n);
	*ret_short = (size_t)n < room;
	if (!*ret_short)
		s->read_size = STREAM_READ_BUSY;
	else if ((size_t)n < STREAM_READ / 2)
		s->read_size = STREAM_READ;
	return n;
}

/* Decrypt into the input queue; returns bytes, 0, or as tls_read(). */
static ssize_t
read_tls(struct stream *s)
{
	size_t room = 0;
	uint8_t *p = fifo_reserve(&s->in, STREAM_READ, &room);
	ssize_t n;

	if (p == NULL)
		return -DT_ERR_FULL;
	n = tls_read(s->tls, p, room);
	if (n > 0)
		fifo_commit(&s->in, (size_t)n);
	return n;
}

static int
hand_up(struct stream *s, struct mono now)
{
	ssize_t n;

	if (fifo_len(&s->in) == 0)
		return 0;
	n = s->p.on_input(s->p.arg, fifo_peek(&s->in), fifo_len(&s->in), now);
	if (is_dead(s))
		return 0;
	if (n < 0)
		return (int)n;
	fifo_drop(&s->in, (size_t)n);
	return 0;
}

static void
become_ready(struct stream *s, struct mono now)
{
	if (s->ready)
		return;
	s->ready = true;
	s->p.on_ready(s->p.arg, now);
}

/* Everything that the bytes in tls give.  0, or why the stream ends. */
static int
drain_tls(struct stream *s, struct mono now, bool *ret_eof)
{
	int r = tls_step(s->tls);
	ssize_t n = 1;

	if (r < 0)
		return r;
	if (!tls_is_ready(s->tls))
		return 0;
	become_ready(s, now);
	while (n > 0 && !is_dead(s)) {
		do
			n = read_tls(s);
		while (n > 0 && fifo_len(&s->in) < STREAM_GATHER &&
		       fifo_room(&s->in) >= STREAM_READ);
		r = hand_up(s, now);
		if (r < 0)
			return r;
	}
	if (n == 0)
		*ret_eof = true;
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

/* Until the socket would block.  0, or why the stream ends. */
static int
read_all(struct stream *s, struct mono now, bool *ret_eof)
{
	bool is_short = false;
	size_t total = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && total < STREAM_MAX_TURN && !*ret_eof && !is_short &&
	       !is_dead(s)) {
		n = read_socket(s, &is_short);
		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		total += (size_t)n;
		*ret_eof = n == 0;
		r = s->tls != NULL ? drain_tls(s, now, ret_eof)
				   : hand_up(s, now);
	}
	return r;
}

/* All that has come, unseen. */
static void
discard(struct stream *s, struct mono now)
{
	uint8_t waste[STREAM_READ];
	ssize_t n = 1;

	for (size_t total = 0; n > 0 && total < STREAM_MAX_TURN;
	     total += sizeof(waste))
		n = recv(s->p.fd, waste, sizeof(waste), MSG_DONTWAIT);
	if (n == 0)
		close_with(s, 0, now);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		close_with(s, -errno, now);
}

static void
on_readable(struct stream *s, struct mono now)
{
	bool eof = false;
	int sent = 0, r;

	if (s->ending) {
		discard(s, now);
		return;
	}
	r = read_all(s, now, &eof);
	if (is_dead(s))
		return;
	if (s->tls != NULL) /* handshake flights; an alert, if it gets out */
		sent = send_all(s);
	if (r == 0)
		r = sent;
	if (r < 0 || eof)
		close_with(s, r, now);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct stream *s = arg;

	s->depth++;
	if ((events & LOOP_READ) != 0)
		on_readable(s, now);
	if ((events & LOOP_WRITE) != 0)
		flush(s, now);
	if (leave(s) && !s->closed)
		watch(s);
}

static void
on_kick(void *arg, struct mono now)
{
	struct stream *s = arg;

	s->depth++;
	if (s->tls != NULL)
		flush(s, now); /* the first flight */
	else
		become_ready(s, now);
	if (leave(s) && !s->closed)
		watch(s);
}

int
stream_new(const struct stream_params *p, struct stream **ret_stream)
{
	struct tls_peer peer = { p->host, p->cert_name, mono_unix_seconds() };
	struct stream *s = calloc(1, sizeof(*s));
	int r = 0;

	if (s == NULL)
		return -ENOMEM;
	s->p = *p;
	s->p.host = NULL;
	s->p.cert_name = NULL;
	s->read_size = STREAM_READ;
	fifo_init(&s->in, p->max_input);
	fifo_init(&s->out, STREAM_MAX_OUTPUT);
	if (p->tls != NULL)
		r = tls_new_client(&s->tls, p->tls, &peer);
	s->io = loop_io_new(p->loop, p->fd, on_io, s);
	s->kick = loop_timer_new(p->loop, on_kick, s);
	if (r == 0 && (s->io == NULL || s->kick == NULL))
		r = -ENOMEM;
	if (r < 0) {
		s->p.fd = -1; /* stays the caller's */
		release(s);
		return r;
	}
	loop_io_set(s->io, LOOP_READ);
	loop_timer_in(s->kick, 0);
	*ret_stream = s;
	return 0;
}

void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	s->freed = true;
	loop_io_set(s->io, 0);
	if (s->depth == 0)
		release(s);
}
