/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * IDLE -> WAITING for the connection -> SENDING -> READING -> IDLE.  One timer
 * bounds the whole, whatever drips; done() is called from the loop only.
 */
#include "helpers/portmap/http_call.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"

/* Reads a turn, so that a flood cannot keep everything else waiting. */
#define READS 8
#define READ_LEN 4096

enum call_state { CALL_IDLE, CALL_WAITING, CALL_SENDING, CALL_READING };

struct http_call {
	enum call_state state;
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_io *io; /* SENDING, READING */
	int fd;
	void (*done)(void *arg, int r, int status, const void *body, size_t len,
	    struct mono now);
	void *arg;
	uint8_t request[SOAP_MAX_REQUEST];
	size_t request_len;
	size_t sent;
	struct http_reply reply;
	size_t max_body;
	uint8_t body[];
};

static void
finish(struct http_call *c, int r, struct mono now)
{
	loop_timer_at(c->timer, MONO_NEVER);
	loop_io_free(c->io);
	c->io = NULL;
	fd_close(&c->fd);
	c->state = CALL_IDLE;
	c->done(c->arg, r, c->reply.status, c->body, c->reply.body_len, now);
}

static void
on_timer(void *arg, struct mono now)
{
	finish(arg, -DT_ERR_TIMEOUT, now);
}

struct http_call *
http_call_new(struct loop *loop, size_t max_body,
    void (*done)(void *arg, int r, int status, const void *body, size_t len,
	struct mono now),
    void *arg)
{
	struct http_call *c = calloc(1, sizeof(*c) + max_body);

	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->fd = -1;
	c->max_body = max_body;
	c->done = done;
	c->arg = arg;
	c->timer = loop_timer_new(loop, on_timer, c);
	if (c->timer == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
http_call_free(struct http_call *c)
{
	if (c == NULL)
		return;
	loop_timer_free(c->timer);
	loop_io_free(c->io);
	fd_close(&c->fd);
	free(c);
}

void
http_call_begin(struct http_call *c, const void *request, size_t len)
{
	assert(c->state == CALL_IDLE && len <= sizeof(c->request));
	memcpy(c->request, request, len);
	c->request_len = len;
	c->sent = 0;
	http_reply_init(&c->reply, c->body, c->max_body);
	c->state = CALL_WAITING;
	loop_timer_in(c->timer, HTTP_CALL_US);
}

bool
http_call_is_waiting(const struct http_call *c)
{
	return c->state == CALL_WAITING;
}

static void
send_some(struct http_call *c, struct mono now)
{
	ssize_t n =
	    write(c->fd, c->request + c->sent, c->request_len - c->sent);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		finish(c, -errno, now);
		return;
	}
	c->sent += (size_t)n;
	if (c->sent < c->request_len)
		return;
	c->state = CALL_READING;
	loop_io_set(c->io, LOOP_READ);
}

static void
read_some(struct http_call *c, struct mono now)
{
	uint8_t buf[READ_LEN];
	ssize_t n;
	int r = 0;

	for (int i = 0; i < READS && r == 0; i++) {
		n = read(c->fd, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			finish(c, -errno, now);
			return;
		}
		if (n == 0) {
			finish(c, http_reply_end(&c->reply), now);
			return;
		}
		r = http_reply_input(&c->reply, buf, (size_t)n);
	}
	if (r != 0)
		finish(c, r < 0 ? r : 0, now);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct http_call *c = arg;

	if (c->state == CALL_SENDING && (events & LOOP_WRITE) != 0)
		send_some(c, now);
	else if (c->state == CALL_READING && (events & LOOP_READ) != 0)
		read_some(c, now);
}

void
http_call_connected(struct http_call *c, int r, int fd, struct mono now)
{
	assert(c->state == CALL_WAITING);
	c->fd = fd;
	if (r == 0) {
		c->io = loop_io_new(c->loop, fd, on_io, c);
		r = c->io != NULL ? 0 : -ENOMEM;
	}
	if (r < 0) {
		finish(c, r, now);
		return;
	}
	c->state = CALL_SENDING;
	loop_io_set(c->io, LOOP_WRITE);
}
