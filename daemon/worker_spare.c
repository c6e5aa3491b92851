/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_spare.h"

#include <errno.h>

#include "lib/log.h"

static void
start(struct worker_spare *s)
{
	loop_timer_at(s->birth, MONO_NEVER);
	if (s->child.pid == 0 &&
	    worker_spawn(s->programs, IPC_ROLE_SESSION, &s->child) == 0)
		log_debug(
		    "worker", "started a spare pid=%d", (int)s->child.pid);
}

static void
on_birth(void *arg, struct mono now)
{
	(void)now;
	start(arg);
}

static void
on_leave(void *arg, struct mono now)
{
	struct worker_spare *s = arg;

	(void)now;
	loop_timer_at(s->birth, MONO_NEVER);
	worker_spawn_close(&s->child);
}

int
worker_spare_init(struct worker_spare *s, struct loop *loop,
    const struct worker_programs *programs)
{
	*s = (struct worker_spare){ .programs = programs,
		.child = worker_spawn_none };
	s->birth = loop_timer_new(loop, on_birth, s);
	s->leave = loop_timer_new(loop, on_leave, s);
	if (s->birth != NULL && s->leave != NULL)
		return 0;
	worker_spare_fini(s);
	return -ENOMEM;
}

void
worker_spare_fini(struct worker_spare *s)
{
	worker_spawn_close(&s->child);
	loop_timer_free(s->birth);
	loop_timer_free(s->leave);
	s->birth = s->leave = NULL;
}

void
worker_spare_want(struct worker_spare *s, bool wanted)
{
	if (wanted)
		start(s);
	if (wanted == s->wanted)
		return;
	s->wanted = wanted;
	if (wanted)
		loop_timer_at(s->leave, MONO_NEVER);
	else
		loop_timer_in(s->leave, WORKER_SPARE_KEEP_US);
}

bool
worker_spare_take(struct worker_spare *s, struct worker_child *ret_child)
{
	if (!worker_spawn_take(&s->child, ret_child))
		return false;
	loop_timer_in(s->birth, WORKER_SPARE_PAUSE_US);
	return true;
}

bool
worker_spare_reaped(struct worker_spare *s, pid_t pid)
{
	return worker_spawn_reaped(&s->child, pid);
}
