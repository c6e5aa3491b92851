/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/path/path.h"

#include <assert.h>

void
path_mux_init(struct path_mux *m,
    void (*on_input)(
	void *arg, struct mono now, const uint8_t *pkt, size_t len),
    void (*on_writable)(void *arg, struct mono now), void *arg)
{
	TAILQ_INIT(&m->paths);
	m->selected = NULL;
	m->on_input = on_input;
	m->on_writable = on_writable;
	m->arg = arg;
}

void
path_mux_add(struct path_mux *m, struct path *p)
{
	assert(!p->added);
	TAILQ_INSERT_TAIL(&m->paths, p, link);
	p->added = true;
}

void
path_mux_remove(struct path_mux *m, struct path *p)
{
	if (!p->added)
		return;
	TAILQ_REMOVE(&m->paths, p, link);
	p->added = false;
	if (m->selected == p)
		m->selected = NULL;
}

bool
path_mux_select(struct path_mux *m, struct path *p, struct mono now)
{
	assert(p->added);
	if (m->selected == p)
		return false;
	m->selected = p;
	if (p->state == PATH_STATE_UP)
		m->on_writable(m->arg, now);
	return true;
}

bool
path_mux_can_send(const struct path_mux *m)
{
	return m->selected != NULL && m->selected->state == PATH_STATE_UP;
}

size_t
path_mux_send(struct path_mux *m, const struct path_batch *batch)
{
	struct path *p = m->selected;
	size_t sent;

	if (p == NULL || batch->n_pkts == 0)
		return 0;
	sent = p->ops->send(p, batch);
	assert(sent <= batch->n_pkts);
	p->packets_out += sent;
	return sent;
}

void
path_mux_input(struct path_mux *m, struct path *p, struct mono now,
    const uint8_t *pkt, size_t len)
{
	if (!p->added || len == 0)
		return;
	p->heard = now;
	p->packets_in++;
	m->on_input(m->arg, now, pkt, len);
}

void
path_mux_unblocked(struct path_mux *m, struct path *p, struct mono now)
{
	p->state = PATH_STATE_UP;
	if (m->selected == p)
		m->on_writable(m->arg, now);
}
