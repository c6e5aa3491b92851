/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A round of punches: RUNNING until LISTEN_US are over or, once a source was
 * observed, LINGER_US after it; then FOUND or FAILED for good.
 *
 * Punches are not authenticated: anyone may send some.  Hence sources are few,
 * strangers make room for candidates of the peer, replies are spaced, and the
 * choice prefers the peer's own words.  For these a stranger's punch is waited
 * longer: a client begins late, and who came before it would be chosen.
 * QUIC checks who it is in the end.
 */
#include "proto/path/punch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The two of us begin so far apart. */
#define SKEW_US (150 * MONO_MS)

struct source {
	struct addr addr;
	bool listed;          /* a candidate of the peer */
	struct mono answered; /* last reply */
	bool due;             /* a reply */
};

struct punch {
	struct candidate_list peer;
	struct mono begun;
	struct mono peer_by; /* its punches are here by then */
	struct mono next;    /* round to all candidates */
	size_t next_peer;    /* whom of them; peer.n: the round is over */
	struct mono end;
	enum punch_state state;
	struct source source[PUNCH_MAX_SOURCES];
	size_t n_sources;
	const struct source *chosen;
};

struct punch *
punch_new(const struct candidate_list *peer, int64_t delay_us, struct mono now)
{
	struct punch *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < peer->n; i++)
		if (candidate_may_send(&peer->a[i]))
			p->peer.a[p->peer.n++] = peer->a[i];
	p->begun = now;
	/* One of us is the client. */
	p->peer_by = mono_add(
	    now, SKEW_US + (delay_us == 0 ? PUNCH_CLIENT_DELAY_US : 0));
	p->next = mono_add(now, delay_us);
	p->next_peer = p->peer.n;
	p->end = mono_add(now, PUNCH_LISTEN_US);
	return p;
}

void
punch_free(struct punch *p)
{
	free(p);
}

/* The order of peer v0.18.2; lower is better. */
static int
rank_of(const struct addr *a)
{
	static const uint8_t overlay6[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1,
		0xe0 };

	if (addr_is_loopback(a))
		return 5;
	if (addr_is_link_local(a))
		return 4;
	if (a->family == AF_INET && a->ip[0] == 100 && (a->ip[1] & 0xc0) == 64)
		return 3;
	if (a->family == AF_INET6 &&
	    memcmp(a->ip, overlay6, sizeof(overlay6)) == 0)
		return 3;
	if (addr_is_private(a))
		return 2;
	return 0;
}

static bool
is_better(const struct source *a, const struct source *b)
{
	if (a->listed != b->listed)
		return a->listed;
	return rank_of(&a->addr) < rank_of(&b->addr);
}

static struct source *
find_source(struct punch *p, const struct addr *from)
{
	for (size_t i = 0; i < p->n_sources; i++)
		if (addr_equal(&p->source[i].addr, from))
			return &p->source[i];
	return NULL;
}

/* Room for @from: strangers that came first do not keep a candidate out. */
static struct source *
add_source(struct punch *p, const struct addr *from)
{
	bool listed = candidate_contains(&p->peer, from);
	struct source *s = NULL;

	if (p->n_sources < PUNCH_MAX_SOURCES)
		s = &p->source[p->n_sources++];
	for (size_t i = 0; s == NULL && listed && i < PUNCH_MAX_SOURCES; i++)
		if (!p->source[i].listed)
			s = &p->source[i];
	if (s != NULL)
		*s = (struct source){
			.addr = *from, .listed = listed, .answered = MONO_NEVER
		};
	return s;
}

/* Until when others are listened for once @s was observed. */
static struct mono
linger_until(const struct punch *p, const struct source *s, struct mono now)
{
	bool early = !s->listed && mono_before(now, p->peer_by);

	return mono_add(early ? p->peer_by : now, PUNCH_LINGER_US);
}

void
punch_input(struct punch *p, const struct addr *from, struct mono now)
{
	struct addr source = addr_unmap(from);
	struct source *s = find_source(p, &source);

	/* Answers go on after the choice: the peer may still listen. */
	if (!candidate_may_send(&source))
		return;
	if (s == NULL && p->state != PUNCH_RUNNING)
		return;
	if (s == NULL) {
		s = add_source(p, &source);
		if (s == NULL)
			return;
		p->end = mono_min(p->end, linger_until(p, s, now));
	}
	if (mono_is_never(s->answered) ||
	    mono_diff(now, s->answered) >= PUNCH_REPLY_US)
		s->due = true;
}

static void
finish(struct punch *p)
{
	p->state = p->n_sources > 0 ? PUNCH_FOUND : PUNCH_FAILED;
	for (size_t i = 0; i < p->n_sources; i++)
		if (p->chosen == NULL || is_better(&p->source[i], p->chosen))
			p->chosen = &p->source[i];
}

bool
punch_output(struct punch *p, struct mono now, struct addr *ret_to)
{
	for (size_t i = 0; i < p->n_sources; i++) {
		struct source *s = &p->source[i];

		if (!s->due)
			continue;
		s->due = false;
		s->answered = now;
		*ret_to = s->addr;
		return true;
	}
	if (p->state == PUNCH_RUNNING && !mono_before(now, p->end))
		finish(p);
	if (p->state != PUNCH_RUNNING)
		return false;
	if (p->next_peer == p->peer.n && !mono_before(now, p->next)) {
		p->next = mono_add(now, PUNCH_EVERY_US);
		p->next_peer = 0;
	}
	if (p->next_peer == p->peer.n)
		return false;
	*ret_to = p->peer.a[p->next_peer++];
	return true;
}

struct mono
punch_next_deadline(const struct punch *p)
{
	for (size_t i = 0; i < p->n_sources; i++)
		if (p->source[i].due)
			return p->begun; /* at once */
	if (p->state != PUNCH_RUNNING)
		return MONO_NEVER;
	return p->peer.n > 0 ? mono_min(p->end, p->next) : p->end;
}

enum punch_state
punch_state(const struct punch *p)
{
	return p->state;
}

const struct addr *
punch_peek_address(const struct punch *p)
{
	assert(p->state == PUNCH_FOUND);
	return &p->chosen->addr;
}
