/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The listener is watched while fewer than LOCAL_MAX_PARKED connections wait
 * for lanes and the session has room.  Accepting never waits for the tunnel:
 * one that has to wait holds up nobody but those behind it in the same queue.
 *
 * Accepted sockets inherit TCP_NODELAY and keep-alive from the listener, which
 * its maker has set: no option can be set in here.
 */
#include "helpers/session/local.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "helpers/session/session.h"
#include "helpers/session/splice.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

/* Connections taken per turn. */
#define ACCEPT_BURST 32
/* After running out of descriptors or memory. */
#define ACCEPT_RETRY_US (100 * MONO_MS)

void
local_init(struct local *l)
{
	*l = (struct local){ .listen_fd = -1, .retry_at = MONO_NEVER };
}

void
local_fini(struct session *s)
{
	loop_io_free(s->local.listen_io);
	s->local.listen_io = NULL;
	fd_close(&s->local.listen_fd);
}

static size_t
lanes_wanted(const struct session *s)
{
	(void)s;
	return 1; /* accepted by every peer, and the cheapest */
}

static struct splice *
park(struct session *s, int fd_in, int fd_out)
{
	bool framed = s->boot.kind == IPC_KIND_DERPTUN;
	struct splice *sp = splice_new(s, lanes_wanted(s), framed);

	if (sp == NULL) {
		fd_close(&fd_in);
		fd_close(&fd_out);
		return NULL;
	}
	sp->is_parked = true;
	s->local.n_parked++;
	if (splice_set_fds(sp, fd_in, fd_out) != 0) {
		splice_abort(sp, TUNNEL_CODE_ERROR, -ENOMEM);
		return NULL;
	}
	return sp;
}

static void
on_acceptable(void *arg, unsigned events, struct mono now)
{
	struct session *s = arg;
	struct local *l = &s->local;

	(void)events;
	s->now = now;
	for (int i = 0; i < ACCEPT_BURST && l->n_parked < LOCAL_MAX_PARKED;
	     i++) {
		int fd = accept4(
		    l->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN)
				l->retry_at = mono_add(now, ACCEPT_RETRY_US);
			break;
		}
		(void)park(s, fd, -1); /* NULL: closed and counted */
		local_resume(s);
	}
	session_wake(s);
}

int
local_listen(struct session *s, int fd)
{
	struct local *l = &s->local;

	local_fini(s);
	l->listen_fd = fd;
	l->listen_io = loop_io_new(s->loop, fd, on_acceptable, s);
	if (l->listen_io == NULL) {
		fd_close(&l->listen_fd);
		return -ENOMEM;
	}
	session_wake(s);
	return 0;
}

int
local_stdio(struct session *s, int fd_in, int fd_out)
{
	if (s->local.had_stdio) {
		fd_close(&fd_in);
		fd_close(&fd_out);
		return -DT_ERR_STATE;
	}
	s->local.had_stdio = true;
	s->local.stdio = park(s, fd_in, fd_out);
	if (s->local.stdio == NULL)
		return -ENOMEM;
	local_resume(s);
	return 0;
}

void
local_resume(struct session *s)
{
	struct splice *sp;

	if (!s->ready || s->ending.decided)
		return;
	TAILQ_FOREACH(sp, &s->splices, link) {
		int r;

		if (!sp->is_parked || sp->aborted)
			continue;
		r = s->tunnel->attach(s, sp);
		if (r == -EAGAIN)
			return;
		sp->is_parked = false;
		s->local.n_parked--;
		if (r == 0)
			splice_run(sp);
		else
			splice_abort(sp, TUNNEL_CODE_ERROR, r);
	}
}

/* The one stream is over, and with it the session. */
static void
stdio_end(struct session *s, const struct splice *sp)
{
	char text[IPC_MAX_TEXT];

	(void)snprintf(text, sizeof(text), "in=%" PRIu64 " out=%" PRIu64,
	    sp->bytes_in, sp->bytes_out);
	session_set_status(s, IPC_STATUS_STREAM_END, text);
	session_end_stream(
	    s, sp->result, sp->result == 0 ? text : err_str(sp->result));
}

void
local_gone(struct session *s, struct splice *sp)
{
	if (sp->is_parked)
		s->local.n_parked--;
	sp->is_parked = false;
	if (sp != s->local.stdio)
		return;
	s->local.stdio = NULL;
	if (s->boot.one_stream)
		stdio_end(s, sp);
}

void
local_run(struct session *s)
{
	struct local *l = &s->local;
	bool room = l->n_parked < LOCAL_MAX_PARKED &&
		    s->n_splices < SESSION_MAX_SPLICES && !s->ending.decided;

	if (l->listen_io == NULL)
		return;
	if (!mono_before(s->now, l->retry_at))
		l->retry_at = MONO_NEVER;
	loop_io_set(
	    l->listen_io, room && mono_is_never(l->retry_at) ? LOOP_READ : 0);
}

struct mono
local_next_deadline(const struct session *s)
{
	return s->local.retry_at;
}
