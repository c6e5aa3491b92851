/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/relay_spare.h"

#include <errno.h>
#include <string.h>

#include "daemon/relay_link_state.h"
#include "lib/log.h"

static void
drop(struct relay_spare *s)
{
	if (s->link != NULL)
		relay_link_leave(s->link);
	s->link = NULL;
}

static void
forget(struct relay_spare *s)
{
	drop(s);
	relay_params_unref(s->params);
	s->params = NULL;
	loop_timer_at(s->birth, MONO_NEVER);
	loop_timer_at(s->leave, MONO_NEVER);
}

static void
on_birth(void *arg, struct mono now)
{
	struct relay_spare *s = arg;
	struct key32 own, own_public;
	int r = 0;

	(void)now;
	if (s->link == NULL && s->params != NULL) {
		secret_curve_keypair(&own, &own_public);
		r = relay_link_make(s->pool, &own, s->params, s->targets,
		    s->n_targets, &s->link);
		secret_wipe(&own, sizeof(own));
	}
	if (r < 0)
		log_debug_r(r, "relay", "no spare connection");
}

static void
on_leave(void *arg, struct mono now)
{
	(void)now;
	forget(arg);
}

int
relay_spare_init(struct relay_spare *s, struct relay_pool *pool)
{
	*s = (struct relay_spare){ .pool = pool };
	s->birth = loop_timer_new(pool->loop, on_birth, s);
	s->leave = loop_timer_new(pool->loop, on_leave, s);
	if (s->birth != NULL && s->leave != NULL)
		return 0;
	loop_timer_free(s->birth);
	loop_timer_free(s->leave);
	return -ENOMEM;
}

void
relay_spare_fini(struct relay_spare *s)
{
	forget(s);
	loop_timer_free(s->birth);
	loop_timer_free(s->leave);
}

static bool
is_same(const struct relay_spare *s, const struct relay_params *params,
    const struct relay_target *targets, size_t n_targets)
{
	if (s->params == NULL || n_targets != s->n_targets ||
	    memcmp(&params->digest, &s->params->digest,
		sizeof(params->digest)) != 0)
		return false;
	for (size_t i = 0; i < n_targets; i++)
		if (!relay_target_equal(&targets[i], &s->targets[i]))
			return false;
	return true;
}

struct relay_link *
relay_spare_use(struct relay_spare *s, struct relay_params *params,
    const struct relay_target *targets, size_t n_targets)
{
	struct relay_link *link = NULL;

	if (is_same(s, params, targets, n_targets)) {
		link = s->link;
		s->link = NULL; /* transferred */
		loop_timer_in(s->birth, RELAY_SPARE_PAUSE_US);
	} else {
		forget(s);
		s->params = relay_params_ref(params);
		for (s->n_targets = 0; s->n_targets < n_targets; s->n_targets++)
			s->targets[s->n_targets] = targets[s->n_targets];
	}
	loop_timer_in(s->leave, RELAY_SPARE_KEEP_US);
	return link;
}

void
relay_spare_lost(struct relay_spare *s, struct relay_link *link)
{
	if (link == s->link)
		forget(s);
}
