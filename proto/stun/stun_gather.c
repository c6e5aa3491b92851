/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each server is asked by itself: a round is up to STUN_GATHER_TRIES requests,
 * after 0, 200 and 600 ms, with one transaction id, so that a late answer is
 * still one; the next round begins STUN_GATHER_REFRESH_US after the start of
 * this one, sooner after the first STUN_GATHER_EARLY_ROUNDS, later when the
 * server was silent several times.  What a server said last counts until it
 * says something else or is silent for SILENT_ROUNDS later rounds: a lost
 * packet does not unmake a mapping.
 *
 * The address that is believed first stays first while any server says it, for
 * it is in the peer's hands already.
 */
#include "proto/stun/stun_gather.h"

#include <stdlib.h>
#include <string.h>

#include "lib/damper.h"
#include "lib/secret.h"

/* After so many rounds without an answer the last one is void. */
#define SILENT_ROUNDS 3
/* The longest a silent server is left in peace is two rounds: after an outage
 * nothing else tells that we have another address. */
#define MAX_BACKOFF_SHIFT 2

struct server {
	struct addr addr;
	struct stun_tx tx;
	bool open;     /* tx was sent and is not answered */
	bool answered; /* mapped is set */
	struct addr mapped;
	unsigned tries;  /* of this round */
	unsigned rounds; /* begun since the start; counts the early ones */
	unsigned silent; /* later rounds in a row */
	struct mono begun;
	struct mono next; /* request, or the end of the last try's wait */
};

struct stun_gather {
	struct server server[STUN_GATHER_MAX_SERVERS];
	size_t n;
	bool paused;
	struct damper restarts;
	struct mono restart_at; /* NEVER: none waits */
	struct addr mapped[STUN_GATHER_MAX_MAPPED];
	size_t n_mapped;
};

struct stun_gather *
stun_gather_new(struct mono now)
{
	struct stun_gather *g = calloc(1, sizeof(*g));

	(void)now;
	if (g == NULL)
		return NULL;
	g->restart_at = MONO_NEVER;
	damper_init(&g->restarts, STUN_GATHER_RESTARTS, STUN_GATHER_REST_US);
	return g;
}

void
stun_gather_free(struct stun_gather *g)
{
	free(g);
}

/* How many servers say @a. */
static size_t
votes(const struct stun_gather *g, const struct addr *a)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		if (g->server[i].answered &&
		    addr_equal(&g->server[i].mapped, a))
			n++;
	return n;
}

static bool
has(const struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return true;
	return false;
}

/* Recompute what is believed; did it change?  @latest: said just now, or NULL.
 */
static bool
update(struct stun_gather *g, const struct addr *latest)
{
	struct addr list[STUN_GATHER_MAX_MAPPED];
	bool changed;
	size_t n = 0;

	if (g->n_mapped > 0 && votes(g, &g->mapped[0]) > 0)
		list[n++] = g->mapped[0];
	else if (latest != NULL)
		list[n++] = *latest;
	for (size_t i = 0; i < g->n; i++) {
		const struct server *s = &g->server[i];

		if (!s->answered || n == STUN_GATHER_MAX_MAPPED ||
		    has(list, n, &s->mapped))
			continue;
		if (n == 0 || votes(g, &s->mapped) >= 2)
			list[n++] = s->mapped;
	}
	changed = n != g->n_mapped;
	for (size_t i = 0; !changed && i < n; i++)
		changed = !has(g->mapped, g->n_mapped, &list[i]);
	memcpy(g->mapped, list, n * sizeof(list[0]));
	g->n_mapped = n;
	return changed;
}

static void
ask_afresh(struct server *s, struct mono now)
{
	s->open = false;
	s->tries = 0;
	s->next = now;
}

void
stun_gather_set_servers(
    struct stun_gather *g, const struct addr *a, size_t n, struct mono now)
{
	struct server list[STUN_GATHER_MAX_SERVERS] = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < STUN_GATHER_MAX_SERVERS; i++) {
		bool twice = false;

		for (size_t k = 0; k < kept; k++)
			twice |= addr_equal(&list[k].addr, &a[i]);
		if (twice)
			continue;
		list[kept] = (struct server){ .addr = a[i], .next = now };
		for (size_t k = 0; k < g->n; k++)
			if (addr_equal(&g->server[k].addr, &a[i]))
				list[kept] = g->server[k];
		kept++;
	}
	memcpy(g->server, list, sizeof(list));
	g->n = kept;
	(void)update(g, NULL);
}

static void
restart(struct stun_gather *g, struct mono now)
{
	damper_served(&g->restarts, now);
	g->restart_at = MONO_NEVER;
	g->n_mapped = 0;
	for (size_t i = 0; i < g->n; i++) {
		g->server[i].answered = false;
		g->server[i].rounds = 0;
		g->server[i].silent = 0;
		ask_afresh(&g->server[i], now);
	}
}

void
stun_gather_restart(struct stun_gather *g, struct mono now)
{
	if (mono_before(now, damper_next(&g->restarts)))
		g->restart_at = damper_next(&g->restarts);
	else
		restart(g, now);
}

void
stun_gather_pause(struct stun_gather *g, bool paused, struct mono now)
{
	if (g->paused == paused)
		return;
	g->paused = paused;
	for (size_t i = 0; i < g->n && !paused; i++)
		if (mono_diff(now, g->server[i].begun) >=
		    STUN_GATHER_REFRESH_US)
			ask_afresh(&g->server[i], now);
}

/* Of the current round, and whether the next one may be. */
static bool
is_early(const struct server *s)
{
	return s->rounds <= STUN_GATHER_EARLY_ROUNDS;
}

static struct mono
next_round(const struct server *s)
{
	unsigned shift =
	    s->silent < MAX_BACKOFF_SHIFT ? s->silent : MAX_BACKOFF_SHIFT;

	if (is_early(s))
		return mono_add(
		    s->begun, STUN_GATHER_EARLY_US << (s->rounds - 1));
	/* A first silence may be loss. */
	if (shift > 0)
		shift--;
	return mono_add(s->begun, STUN_GATHER_REFRESH_US << shift);
}

bool
stun_gather_input(struct stun_gather *g, const struct addr *from,
    const uint8_t *pkt, size_t len, struct mono now)
{
	struct addr source = addr_unmap(from), mapped;
	struct stun_tx tx;

	(void)now;
	if (stun_parse_response(pkt, len, &tx, &mapped) < 0)
		return false;
	/* A server's word, but nobody's address. */
	if (mapped.port == 0 || addr_is_unspecified(&mapped) ||
	    addr_is_multicast(&mapped) || addr_is_broadcast(&mapped))
		return false;
	for (size_t i = 0; i < g->n; i++) {
		struct server *s = &g->server[i];

		if (!s->open || !addr_equal(&s->addr, &source) ||
		    !stun_tx_equal(&s->tx, &tx))
			continue;
		s->open = false;
		s->answered = true;
		s->mapped = mapped;
		s->silent = 0;
		s->tries = STUN_GATHER_TRIES;
		s->next = next_round(s);
		return update(g, &mapped);
	}
	return false;
}

/* The last try of a round was in vain. */
static void
end_round(struct stun_gather *g, struct server *s)
{
	if (!is_early(s) && s->silent < SILENT_ROUNDS + MAX_BACKOFF_SHIFT)
		s->silent++;
	if (s->silent == SILENT_ROUNDS && s->answered) {
		s->answered = false;
		(void)update(g, NULL);
	}
	s->next = next_round(s);
}

static void
request(struct server *s, struct mono now, uint8_t *out)
{
	if (s->tries == 0) {
		secret_random(s->tx.b, sizeof(s->tx.b));
		if (is_early(s))
			s->rounds++;
		s->begun = now;
		s->open = true;
	}
	s->next = mono_add(now, STUN_GATHER_RETRY_US << s->tries);
	s->tries++;
	stun_write_request(out, &s->tx);
}

bool
stun_gather_output(struct stun_gather *g, struct mono now, struct addr *ret_to,
    uint8_t out[static STUN_REQUEST_LEN])
{
	if (!mono_before(now, g->restart_at))
		restart(g, now);
	for (size_t i = 0; i < g->n; i++) {
		struct server *s = &g->server[i];

		if (mono_before(now, s->next))
			continue;
		if (s->tries == STUN_GATHER_TRIES && s->open) {
			/* open stays: a late answer is an answer */
			if (mono_before(now, next_round(s))) {
				end_round(g, s);
				continue;
			}
		}
		if (s->tries == STUN_GATHER_TRIES) {
			if (g->paused)
				continue;
			s->tries = 0;
		}
		request(s, now, out);
		*ret_to = s->addr;
		return true;
	}
	return false;
}

struct mono
stun_gather_next_deadline(const struct stun_gather *g)
{
	struct mono at = g->restart_at;

	for (size_t i = 0; i < g->n; i++) {
		const struct server *s = &g->server[i];

		/* Paused servers are not asked again. */
		if (!g->paused || s->tries < STUN_GATHER_TRIES)
			at = mono_min(at, s->next);
	}
	return at;
}

size_t
stun_gather_mapped(const struct stun_gather *g,
    struct addr ret_mapped[static STUN_GATHER_MAX_MAPPED])
{
	memcpy(ret_mapped, g->mapped, g->n_mapped * sizeof(g->mapped[0]));
	return g->n_mapped;
}

bool
stun_gather_is_symmetric(const struct stun_gather *g)
{
	const struct server *first = NULL;

	for (size_t i = 0; i < g->n; i++) {
		if (!g->server[i].answered)
			continue;
		if (first == NULL)
			first = &g->server[i];
		else if (!addr_equal(&first->mapped, &g->server[i].mapped))
			return true;
	}
	return false;
}

void
stun_gather_counts(
    const struct stun_gather *g, size_t *ret_asked, size_t *ret_answered)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		if (g->server[i].answered)
			n++;
	*ret_asked = g->n;
	*ret_answered = n;
}
