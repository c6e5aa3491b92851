/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/system/session_app.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"

#define PERIOD 251 /* prime, so that shifted data is noticed */
#define CHUNK ((size_t)PERIOD * 256)

static uint8_t pattern[2 * CHUNK];

static void
watch(struct app *a)
{
	bool more = a->sent < a->to_send && (!a->wait_for_eof || a->eof);

	loop_io_set(a->io, (a->eof ? 0 : LOOP_READ) | (more ? LOOP_WRITE : 0));
}

static void
read_some(struct app *a)
{
	static uint8_t in[CHUNK];
	ssize_t n = recv(a->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		a->error = n < 0 ? errno : 0;
		a->eof = true;
		return;
	}
	if (memcmp(in, pattern + a->received % PERIOD, (size_t)n) != 0)
		a->bad = true;
	a->received += (uint64_t)n;
}

static void
write_some(struct app *a)
{
	uint64_t left = a->to_send - a->sent;
	size_t n = left < CHUNK ? (size_t)left : CHUNK;
	ssize_t put = send(
	    a->fd, pattern + a->sent % PERIOD, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put < 0 && errno == EAGAIN)
		return;
	if (put < 0) {
		a->error = errno;
		a->to_send = a->sent;
		return;
	}
	a->sent += (uint64_t)put;
}

static void
settle(struct app *a)
{
	if (a->sent == a->to_send && a->shut_after && !a->shut &&
	    (!a->wait_for_eof || a->eof)) {
		a->shut = true;
		(void)shutdown(a->fd, SHUT_WR);
	}
	watch(a);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct app *a = arg;

	(void)now;
	if ((events & LOOP_READ) != 0)
		read_some(a);
	if ((events & LOOP_WRITE) != 0)
		write_some(a);
	settle(a);
}

void
app_init(struct app *a, struct loop *l, int fd, uint64_t to_send)
{
	if (pattern[1] == 0)
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (uint8_t)(i % PERIOD);
	memset(a, 0, sizeof(*a));
	a->fd = fd;
	a->to_send = to_send;
	a->shut_after = true;
	a->io = loop_io_new(l, fd, on_io, a);
	watch(a);
	if (to_send == 0)
		loop_io_set(a->io, LOOP_READ | LOOP_WRITE);
}

void
app_fini(struct app *a)
{
	loop_io_free(a->io);
	a->io = NULL;
	fd_close(&a->fd);
}

bool
app_is_done(const struct app *a)
{
	return a->error != 0 || (a->eof && a->shut);
}
