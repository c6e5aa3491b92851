/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * Bytes are gathered until a newline; every complete line is handed out in
 * place.  Descriptors wait in a short queue until the line that names them asks
 * for them; those that no line asks for are closed with the channel, and more
 * than LINECHAN_MAX_FDS waiting ones end it.
 *
 * CLOSING: no more reading; ends when everything is sent or the time is up.
 * CLOSED: on_closed was called.  Freeing inside a callback is deferred as in
 * chan.
 */
#include "lib/linechan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/sendq.h"

/* Descriptors that may wait for their line: two full lines. */
#define LINECHAN_MAX_FDS 8
/* Room made for reading, and what must be left of it before there is more:
 * whoever sends byte by byte must not have all copied for each. */
#define LINECHAN_READ 16384
#define LINECHAN_MIN_READ 4096

struct linechan {
	struct linechan_params p;
	struct loop_io *io;
	struct loop_timer *linger;
	struct loop_timer *retry;
	struct sendq queue;
	char *in;
	size_t in_len; /* bytes gathered */
	size_t in_cap;
	int fds[LINECHAN_MAX_FDS];
	size_t n_fds;
	bool starved; /* until retry fires, as in chan */
	bool barred;  /* what comes next has descriptors, and may not */
	bool closing;
	bool closed;
	bool freed;
	int depth;
};

static void
release(struct linechan *c)
{
	loop_io_free(c->io);
	loop_timer_free(c->linger);
	loop_timer_free(c->retry);
	fd_close(&c->p.fd);
	for (size_t i = 0; i < c->n_fds; i++)
		fd_close(&c->fds[i]);
	sendq_fini(&c->queue);
	if (c->in != NULL)
		explicit_bzero(c->in, c->in_cap); /* tokens pass here */
	free(c->in);
	free(c);
}

static bool
leave(struct linechan *c)
{
	c->depth--;
	if (!c->freed)
		return true;
	if (c->depth == 0)
		release(c);
	return false;
}

static void
watch(struct linechan *c)
{
	unsigned events = 0;

	if (!c->closed && !c->closing && !c->barred)
		events |= LOOP_READ;
	if (!c->closed && !c->starved && !sendq_empty(&c->queue))
		events |= LOOP_WRITE;
	loop_io_set(c->io, events);
}

static void
close_with(struct linechan *c, int r)
{
	if (c->closed)
		return;
	c->closed = true;
	watch(c);
	if (c->p.on_closed != NULL)
		c->p.on_closed(c->p.arg, r);
}

static bool
is_full_size(const struct linechan *c)
{
	return c->in_cap == c->p.max_line;
}

/* Room for one more read, without ever holding more than a line. */
static int
make_room(struct linechan *c)
{
	size_t left = c->in_cap - c->in_len, want = c->in_len + LINECHAN_READ;
	char *grown;

	if (left >= LINECHAN_MIN_READ || (left > 0 && is_full_size(c)))
		return 0;
	if (is_full_size(c))
		return -DT_ERR_TOO_LONG;
	if (want > c->p.max_line)
		want = c->p.max_line;
	grown = malloc(want);
	if (grown == NULL)
		return -ENOMEM;
	if (c->in != NULL) {
		memcpy(grown, c->in, c->in_len);
		explicit_bzero(c->in, c->in_cap);
	}
	free(c->in);
	c->in = grown;
	c->in_cap = want;
	return 0;
}

static void
hand_out(struct linechan *c, struct mono now)
{
	size_t start = 0;

	while (!c->freed && !c->closed && !c->closing) {
		char *line = c->in + start;
		char *nl = memchr(line, '\n', c->in_len - start);

		if (nl == NULL)
			break;
		start = (size_t)(nl - c->in) + 1;
		c->p.on_line(c->p.arg, line, (size_t)(nl - line), now);
	}
	if (c->freed)
		return;
	memmove(c->in, c->in + start, c->in_len - start);
	c->in_len -= start;
}

static int
keep_fds(struct linechan *c, int *fds, size_t n)
{
	int r = 0;

	if (n > 0 && c->p.on_fds != NULL)
		r = c->p.on_fds(c->p.arg, fds, n);
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && c->n_fds < LINECHAN_MAX_FDS)
			c->fds[c->n_fds++] = fds[i];
		else
			fd_close(&fds[i]);
	}
	if (r == 0 && n > FD_MAX_PASSED)
		r = -DT_ERR_TOO_LONG;
	if (r == 0 && c->n_fds == LINECHAN_MAX_FDS)
		r = -DT_ERR_LIMIT;
	return r;
}

/* fd_recv_all(), unless no descriptors may come in. */
static ssize_t
receive(struct linechan *c, int fds[static FD_MAX_RECEIVED], size_t *n_fds)
{
	char *at = c->in + c->in_len;
	size_t room = c->in_cap - c->in_len;
	bool has_fds = false;
	ssize_t n;

	if (c->p.may_take == NULL || c->p.may_take(c->p.arg))
		return fd_recv_all(c->p.fd, at, room, fds, n_fds);
	n = fd_recv_bare(c->p.fd, at, room, &has_fds);
	if (!has_fds)
		return n;
	c->barred = true;
	watch(c);
	c->p.on_barred(c->p.arg, at, (size_t)n);
	return -EAGAIN;
}

static void
on_readable(struct linechan *c, struct mono now)
{
	int fds[FD_MAX_RECEIVED];
	size_t n_fds = 0;
	ssize_t n;
	int r = make_room(c);

	if (r < 0) {
		close_with(c, r);
		return;
	}
	n = receive(c, fds, &n_fds);
	if (n == -EAGAIN)
		return;
	r = keep_fds(c, fds, n_fds);
	if (n <= 0) {
		close_with(c, n == -ECONNRESET ? 0 : (int)n);
		return;
	}
	c->in_len += (size_t)n;
	if (r < 0) {
		close_with(c, r);
		return;
	}
	hand_out(c, now);
	if (!c->freed && !c->closed && c->in_len == c->p.max_line)
		close_with(c, -DT_ERR_TOO_LONG);
}

/* Returns 0, or -errno when the socket broke. */
static int
try_send(struct linechan *c)
{
	int r = sendq_flush(&c->queue, c->p.fd);

	if (!sendq_is_shortage(r))
		return r;
	c->starved = true;
	loop_timer_in(c->retry, SENDQ_RETRY_US);
	return 0;
}

static void
flush(struct linechan *c)
{
	int r = try_send(c);

	if (r == -EPIPE || r == -ECONNRESET) {
		sendq_fini(&c->queue); /* reading will see the end */
		if (c->closing || c->barred)
			close_with(c, 0);
	} else if (r < 0)
		close_with(c, r);
	else if (c->closing && sendq_empty(&c->queue))
		close_with(c, 0);
	else if (sendq_empty(&c->queue) && c->p.on_drained != NULL)
		c->p.on_drained(c->p.arg);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct linechan *c = arg;

	c->depth++;
	if ((events & LOOP_WRITE) != 0)
		flush(c);
	if ((events & LOOP_READ) != 0 && !c->freed && !c->closed)
		on_readable(c, now);
	if (leave(c))
		watch(c);
}

static void
on_retry(void *arg, struct mono now)
{
	struct linechan *c = arg;

	(void)now;
	c->starved = false;
	if (c->closed)
		return;
	c->depth++;
	flush(c);
	if (leave(c))
		watch(c);
}

static void
on_linger(void *arg, struct mono now)
{
	struct linechan *c = arg;

	(void)now;
	c->depth++;
	close_with(c, 0);
	(void)leave(c);
}

struct linechan *
linechan_new(const struct linechan_params *p)
{
	struct linechan *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->p = *p;
	sendq_init(&c->queue, p->max_queued);
	c->io = loop_io_new(p->loop, p->fd, on_io, c);
	c->linger = loop_timer_new(p->loop, on_linger, c);
	c->retry = loop_timer_new(p->loop, on_retry, c);
	if (c->io == NULL || c->linger == NULL || c->retry == NULL) {
		c->p.fd = -1;
		release(c);
		return NULL;
	}
	watch(c);
	return c;
}

void
linechan_free(struct linechan *c)
{
	if (c == NULL)
		return;
	c->freed = true;
	c->closed = true;
	if (c->depth == 0) {
		release(c);
		return;
	}
	loop_io_set(c->io, 0);
	loop_timer_at(c->retry, MONO_NEVER);
	loop_timer_at(c->linger, MONO_NEVER);
}

int
linechan_send(struct linechan *c, const char *line, size_t len, const int *fds,
    size_t n_fds)
{
	int r;

	if (c->closed || c->closing)
		return -DT_ERR_CLOSED;
	r = sendq_push(&c->queue, line, len, '\n', fds, n_fds);
	if (r < 0)
		return r;
	/* A broken socket is noticed by the next event, outside the caller. */
	(void)try_send(c);
	watch(c);
	return 0;
}

int
linechan_take_fds(struct linechan *c, size_t n, int *ret_fds)
{
	if (n > c->n_fds)
		return -DT_ERR_SYNTAX;
	memcpy(ret_fds, c->fds, n * sizeof(c->fds[0]));
	memmove(c->fds, c->fds + n, (c->n_fds - n) * sizeof(c->fds[0]));
	c->n_fds -= n;
	return 0;
}

size_t
linechan_queued(const struct linechan *c)
{
	return c->queue.bytes;
}

int
linechan_fd(const struct linechan *c)
{
	return c->p.fd;
}

void
linechan_close_when_sent(struct linechan *c, int64_t timeout_us)
{
	if (c->closed || c->closing)
		return;
	c->closing = true;
	watch(c);
	/* Even an empty queue closes from the loop, never inside the caller. */
	loop_timer_in(c->linger, sendq_empty(&c->queue) ? 0 : timeout_us);
}
