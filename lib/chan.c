/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * OPEN: watching for messages (unless paused) and, while the send queue is not
 * empty, for room.  A message is sent at once when nothing waits before it.
 *
 * While the kernel is short of memory, sending fails on a writable socket: it
 * is tried again by a timer.
 *
 * CLOSED: the peer left or the socket broke; on_closed was called; sends fail.
 *
 * A callback may free the channel: chan_free() then only marks it, and the
 * outermost frame of ours (depth 0) releases the memory.
 */
#include "lib/chan.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/err.h"
#include "lib/sendq.h"

/* Messages handled per wake-up, so that one busy channel starves nobody. */
#define CHAN_MAX_BURST 16
#define CHAN_PAGE ((size_t)4096)

struct chan {
	struct chan_params p;
	struct loop_io *io;
	struct loop_timer *retry; /* armed: no use watching for room */
	struct sendq queue;
	size_t dropped;
	bool starved; /* until retry fires */
	bool paused;
	bool closed;
	bool was_full; /* somebody waits for on_writable */
	bool freed;
	int depth; /* callbacks of this channel on the stack */
	uint8_t *in;
};

static void
release(struct chan *c)
{
	loop_io_free(c->io);
	loop_timer_free(c->retry);
	fd_close(&c->p.fd);
	sendq_fini(&c->queue);
	free(c->in);
	free(c);
}

static void
enter(struct chan *c)
{
	c->depth++;
}

/* Returns false when the channel is gone. */
static bool
leave(struct chan *c)
{
	c->depth--;
	if (!c->freed)
		return true;
	if (c->depth == 0)
		release(c);
	return false;
}

static void
watch(struct chan *c)
{
	unsigned events = 0;

	if (!c->closed && !c->paused)
		events |= LOOP_READ;
	if (!c->closed && !c->starved && !sendq_empty(&c->queue))
		events |= LOOP_WRITE;
	loop_io_set(c->io, events);
}

/* May free the channel. */
static void
close_with(struct chan *c, int r)
{
	if (c->closed)
		return;
	c->closed = true;
	watch(c);
	if (c->p.on_closed != NULL)
		c->p.on_closed(c->p.arg, r);
}

/* One message; returns false when reading should stop. */
static bool
read_one(struct chan *c, struct mono now)
{
	int fds[FD_MAX_PASSED];
	size_t n_fds = 0;
	ssize_t n = fd_recv(c->p.fd, c->in, c->p.max_message, fds, &n_fds);

	/* It left without reading all of ours: the kernel says so once, and
	 * before what it wrote. */
	if (n == -ECONNRESET)
		n = fd_recv(c->p.fd, c->in, c->p.max_message, fds, &n_fds);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		close_with(c, (int)n);
		return false;
	}
	c->p.on_message(c->p.arg, c->in, (size_t)n, fds, n_fds, now);
	for (size_t i = 0; i < n_fds; i++)
		fd_close(&fds[i]);
	return !c->freed && !c->closed && !c->paused;
}

static void
starve(struct chan *c)
{
	c->starved = true;
	loop_timer_in(c->retry, SENDQ_RETRY_US);
}

static void
flush(struct chan *c, struct mono now)
{
	int r = sendq_flush(&c->queue, c->p.fd);

	if (sendq_is_shortage(r)) {
		starve(c);
		return;
	}
	if (r == -EPIPE || r == -ECONNRESET) {
		sendq_fini(&c->queue); /* reading will see the end */
		return;
	}
	if (r < 0) {
		close_with(c, r);
		return;
	}
	if (c->was_full && c->queue.bytes <= c->p.max_queued / 2) {
		c->was_full = false;
		if (c->p.on_writable != NULL)
			c->p.on_writable(c->p.arg, now);
	}
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct chan *c = arg;

	enter(c);
	if ((events & LOOP_WRITE) != 0)
		flush(c, now);
	if ((events & LOOP_READ) != 0 && !c->freed && !c->closed)
		for (int i = 0; i < CHAN_MAX_BURST && read_one(c, now); i++)
			;
	if (leave(c))
		watch(c);
}

static void
on_retry(void *arg, struct mono now)
{
	struct chan *c = arg;

	c->starved = false;
	if (c->closed)
		return;
	enter(c);
	flush(c, now);
	if (leave(c))
		watch(c);
}

/*
 * The kernel holds a long message at the start of pages.  Copying with "rep
 * movsb" to a few bytes beyond a page's start, where malloc() puts large
 * blocks, takes some processors (AMD Zen 3 and 4) four times as long.
 */
static uint8_t *
alloc_input(size_t len)
{
	size_t pages = (len + CHAN_PAGE - 1) / CHAN_PAGE;

	return aligned_alloc(CHAN_PAGE, pages * CHAN_PAGE);
}

struct chan *
chan_new(const struct chan_params *p)
{
	struct chan *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->p = *p;
	c->in = alloc_input(p->max_message);
	c->io = loop_io_new(p->loop, p->fd, on_io, c);
	c->retry = loop_timer_new(p->loop, on_retry, c);
	sendq_init(&c->queue, p->max_queued);
	if (c->in == NULL || c->io == NULL || c->retry == NULL) {
		c->p.fd = -1;
		release(c);
		return NULL;
	}
	watch(c);
	return c;
}

void
chan_free(struct chan *c)
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
}

static int
queue_message(
    struct chan *c, const void *msg, size_t len, const int *fds, size_t n_fds)
{
	int r = sendq_push(&c->queue, msg, len, -1, fds, n_fds);

	while (r == -DT_ERR_FULL && c->p.full == CHAN_FULL_DROPS_OLDEST &&
	       sendq_drop_oldest(&c->queue)) {
		c->dropped++;
		r = sendq_push(&c->queue, msg, len, -1, fds, n_fds);
	}
	if (r == -DT_ERR_FULL)
		c->was_full = true;
	watch(c);
	return r;
}

int
chan_send(
    struct chan *c, const void *msg, size_t len, const int *fds, size_t n_fds)
{
	ssize_t n;

	if (c->closed)
		return -DT_ERR_CLOSED;
	if (!sendq_empty(&c->queue))
		return queue_message(c, msg, len, fds, n_fds);
	n = fd_send(c->p.fd, msg, len, fds, n_fds);
	if (sendq_is_shortage(n))
		starve(c);
	if (n == -EAGAIN || sendq_is_shortage(n))
		return queue_message(c, msg, len, fds, n_fds);
	if (n == -EPIPE || n == -ECONNRESET)
		return -DT_ERR_CLOSED; /* reading will see the end */
	if (n < 0)
		return (int)n;
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fds[i];

		fd_close(&fd);
	}
	return 0;
}

size_t
chan_queued(const struct chan *c)
{
	return c->queue.bytes;
}

size_t
chan_dropped(const struct chan *c)
{
	return c->dropped;
}

void
chan_pause(struct chan *c, bool paused)
{
	if (c->paused == paused)
		return;
	c->paused = paused;
	if (!c->freed)
		watch(c);
}

int
chan_flush(struct chan *c, int timeout_ms)
{
	int64_t deadline = mono_now().us + timeout_ms * MONO_MS;

	while (!c->closed) {
		struct pollfd p = { .fd = c->p.fd, .events = POLLOUT };
		int64_t left = deadline - mono_now().us;
		int r = sendq_flush(&c->queue, c->p.fd);

		if (r < 0 && !sendq_is_shortage(r))
			return -DT_ERR_CLOSED;
		if (sendq_empty(&c->queue))
			return 0;
		if (left <= 0)
			return -DT_ERR_TIMEOUT;
		if (r < 0) {
			p.events = 0; /* only wait */
			left = left < SENDQ_RETRY_US ? left : SENDQ_RETRY_US;
		}
		(void)poll(&p, 1, (int)(left / MONO_MS) + 1);
	}
	return -DT_ERR_CLOSED;
}
