/* SPDX-License-Identifier: BSD-3-Clause */
/* derptun-session: carries one peer's session.  Order of birth: worker.h. */
#include <jansson.h>

#include "helpers/session/msgs.h"
#include "helpers/session/rehearsal.h"
#include "helpers/session/sandbox_session.h"
#include "helpers/session/session.h"
#include "helpers/worker/worker.h"
#include "lib/secret.h"

static int
prepare(void *arg)
{
	uint32_t seed;

	(void)arg;
	secret_random(&seed, sizeof(seed));
	json_object_seed(seed); /* else it opens a file when confined */
	return 0;
}

static void
rehearse(void *arg)
{
	(void)arg;
	(void)rehearsal_run(); /* what fails here will say so when it counts */
}

static int
boot(void *arg, struct worker *w, uint32_t session, struct buf_reader *body,
    int *fds, size_t n_fds)
{
	(void)session;
	return session_boot(arg, w, body, fds, n_fds);
}

static int
start(void *arg, struct mono now)
{
	return session_start(arg, now);
}

static int
message(void *arg, const struct ipc_header *header, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
{
	struct session *s = arg;

	s->now = now;
	session_wake(s);
	return msgs_handle(s, header, body, fds, n_fds);
}

static int
packets(void *arg, struct buf_reader *batch, struct mono now)
{
	return session_packets(arg, batch, now);
}

static void
packets_writable(void *arg, struct mono now)
{
	session_packets_writable(arg, now);
}

static void
stop(void *arg, int code, const char *text, struct mono now)
{
	(void)text; /* the daemon knows why */
	session_stop(arg, code, now);
}

int
main(void)
{
	static struct session s;
	struct worker_params p = {
		.name = "session",
		.role = IPC_ROLE_SESSION,
		.boot_type = IPC_BOOT_SESSION,
		.profile = &sandbox_session,
		.prepare = prepare,
		.rehearse = rehearse,
		.boot = boot,
		.start = start,
		.message = message,
		.packets = packets,
		.packets_writable = packets_writable,
		.stop = stop,
		.arg = &s,
	};

	return worker_main(&p);
}
