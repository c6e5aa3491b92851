/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * OFF -> SEARCHING -> FETCHING -> EXAMINING -> READY, and back to OFF when
 * nothing is found.  A search ends with the first answer whose description
 * names a connection with a public address; the others are tried in turn.
 * READY -> ADDING, REMOVING, CHECKING -> READY, each one request or a few.
 *
 * Everything a gateway names must be at its own address: answers from others
 * are not read, and URLs that lead elsewhere are not followed.
 */
#include "helpers/portmap/igd.h"

#include <assert.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/portmap/ssdp.h"

/* Between questions; datagrams get lost. */
#define SEARCH_AGAIN_US (500 * MONO_MS)
#define SEARCH_ROUNDS 3u

/* UPnP errors: WANIPConnection:2, 2.4.16 and UPnP DA 1.1, 3.2.2. */
#define ERROR_INVALID_ACTION 401
#define ERROR_INVALID_ARGS 402
#define ERROR_NOT_IMPLEMENTED 602
#define ERROR_NO_SUCH_ENTRY 714
#define ERROR_CONFLICT 718
#define ERROR_SAME_PORTS 724
#define ERROR_ONLY_PERMANENT 725

/* Ports that unprivileged programs get. */
#define FIRST_PORT 1024u

void
igd_init(struct igd *g, const struct igd_params *p)
{
	memset(g, 0, sizeof(*g));
	g->p = *p;
}

void
igd_reset(struct igd *g)
{
	g->state = IGD_OFF;
	g->stale = g->waiting;
}

bool
igd_is_ready(const struct igd *g)
{
	return g->state == IGD_READY && !g->waiting;
}

static const struct soap_target *
target_of(const struct igd *g)
{
	return &g->description.targets[g->target];
}

static void
request(struct igd *g, uint16_t port, const struct buf_writer *w)
{
	/* Sizes of everything in it are limited: it fits. */
	assert(w->err == 0 && !g->waiting);
	g->waiting = true;
	g->p.http(g->p.arg, port, w->p, w->len);
}

static void
search(struct igd *g, struct mono now)
{
	uint8_t question[SSDP_MAX_QUESTION];
	struct buf_writer w;

	for (unsigned i = 0; i < SSDP_QUESTIONS; i++) {
		w = buf_writer(question, sizeof(question));
		ssdp_write_search(&w, i);
		assert(w.err == 0);
		g->p.search(g->p.arg, question, w.len);
	}
	g->searches++;
	g->next_search = mono_add(
	    now, g->searches < SEARCH_ROUNDS
		     ? SEARCH_AGAIN_US
		     : IGD_SEARCH_US - (SEARCH_ROUNDS - 1) * SEARCH_AGAIN_US);
}

static void
not_found(struct igd *g, struct mono now)
{
	g->state = IGD_OFF;
	g->p.on_found(g->p.arg, false, now);
}

static void
fetch(struct igd *g)
{
	uint8_t out[SOAP_MAX_REQUEST];
	struct buf_writer w = buf_writer(out, sizeof(out));
	const struct upnp_url *url = &g->locations[g->location];

	g->state = IGD_FETCHING;
	soap_write_get(&w, url);
	request(g, url->host.port, &w);
}

static void
ask_address(struct igd *g)
{
	uint8_t out[SOAP_MAX_REQUEST];
	struct buf_writer w = buf_writer(out, sizeof(out));

	soap_write_address(&w, target_of(g));
	request(g, target_of(g)->control.host.port, &w);
}

/* The location was no good. */
static void
next_location(struct igd *g, struct mono now)
{
	if (++g->location < g->n_locations) {
		fetch(g);
	} else if (mono_before(now, g->next_search) ||
		   g->searches < SEARCH_ROUNDS) {
		g->state = IGD_SEARCHING;
	} else {
		not_found(g, now);
	}
}

void
igd_discover(struct igd *g, struct mono now)
{
	assert(g->state == IGD_OFF);
	g->state = IGD_SEARCHING;
	g->searches = 0;
	g->n_locations = 0;
	g->location = 0;
	search(g, now);
}

static bool
is_known(const struct igd *g, const struct upnp_url *url)
{
	for (size_t i = 0; i < g->n_locations; i++)
		if (addr_equal(&g->locations[i].host, &url->host) &&
		    strcmp(g->locations[i].path, url->path) == 0)
			return true;
	return false;
}

static bool
is_gateway(const struct igd *g, const struct addr *a)
{
	struct addr ip = *a;

	ip.port = 0;
	return addr_equal(&ip, &g->p.gateway);
}

void
igd_on_answer(struct igd *g, const struct addr *from, const void *p, size_t len,
    struct mono now)
{
	struct upnp_url url;

	(void)now;
	if (g->state < IGD_SEARCHING || g->state > IGD_EXAMINING ||
	    g->n_locations == IGD_MAX_LOCATIONS || !is_gateway(g, from) ||
	    ssdp_parse_response(p, len, &url) < 0 ||
	    !is_gateway(g, &url.host) || is_known(g, &url))
		return;
	g->locations[g->n_locations++] = url;
	if (g->state == IGD_SEARCHING && !g->waiting)
		fetch(g);
}

static void
on_description(
    struct igd *g, int status, const void *body, size_t len, struct mono now)
{
	if (status != 200 ||
	    upnp_xml_get_description(
		body, len, &g->locations[g->location], &g->description) < 0) {
		next_location(g, now);
		return;
	}
	g->state = IGD_EXAMINING;
	g->target = 0;
	ask_address(g);
}

static bool
is_public(const struct addr *a)
{
	return a->family == AF_INET && !addr_is_unspecified(a) &&
	       !addr_is_loopback(a) && !addr_is_multicast(a) &&
	       !addr_is_broadcast(a);
}

static void
on_examined(struct igd *g, const struct upnp_xml_reply *v, struct mono now)
{
	if (v->error == 0 && is_public(&v->address)) {
		g->address = v->address;
		g->state = IGD_READY;
		g->p.on_found(g->p.arg, true, now);
	} else if (++g->target < g->description.n) {
		ask_address(g);
	} else {
		next_location(g, now);
	}
}

static void
finish(struct igd *g, int error, int upnp_error, struct mono now)
{
	struct igd_result res = { error, upnp_error, g->mapping.external_port,
		g->orphan, g->address };

	g->orphan = 0;
	g->state = IGD_READY;
	g->p.on_done(g->p.arg, &res, now);
}

static void
add(struct igd *g)
{
	uint8_t out[SOAP_MAX_REQUEST];
	struct buf_writer w = buf_writer(out, sizeof(out));

	g->tries++;
	if (g->any)
		soap_write_add_any(&w, target_of(g), &g->mapping);
	else
		soap_write_add(&w, target_of(g), &g->mapping);
	request(g, target_of(g)->control.host.port, &w);
}

/* What it had before, then the same as inside, then anything. */
static uint16_t
next_port(const struct igd *g)
{
	if (g->tries == 1 && g->suggested != 0 &&
	    g->suggested != g->mapping.internal_port)
		return g->mapping.internal_port;
	return (uint16_t)(FIRST_PORT +
			  secret_random_below(UINT16_MAX + 1u - FIRST_PORT));
}

void
igd_add(struct igd *g, uint16_t internal_port, uint16_t external_port,
    uint32_t lifetime_s)
{
	assert(igd_is_ready(g));
	g->state = IGD_ADDING;
	g->tries = 0;
	g->looked = false;
	g->suggested = external_port;
	/* Renewing with Any would make a second mapping on some gateways. */
	g->any = external_port == 0 &&
		 strstr(target_of(g)->service, "WANIPConnection:2") != NULL;
	g->mapping.client = g->p.local;
	g->mapping.internal_port = internal_port;
	g->mapping.external_port =
	    external_port != 0 ? external_port : internal_port;
	g->mapping.lifetime_s = lifetime_s;
	add(g);
}

/* The gateway said no: is there another way to ask? */
static bool
adapt(struct igd *g, int error)
{
	if (g->tries >= IGD_MAX_TRIES)
		return false;
	if (g->any &&
	    (error == ERROR_INVALID_ACTION || error == ERROR_NOT_IMPLEMENTED)) {
		g->any = false;
		return true;
	}
	if (g->mapping.lifetime_s != 0 &&
	    (error == ERROR_ONLY_PERMANENT || error == ERROR_INVALID_ARGS)) {
		g->mapping.lifetime_s = 0;
		return true;
	}
	if (error == ERROR_SAME_PORTS &&
	    g->mapping.external_port != g->mapping.internal_port) {
		g->mapping.external_port = g->mapping.internal_port;
		return true;
	}
	if (error == ERROR_CONFLICT || error == UPNP_XML_ODD_ERROR) {
		g->mapping.external_port = next_port(g);
		return true;
	}
	return false;
}

static void
ask_owner(struct igd *g)
{
	uint8_t out[SOAP_MAX_REQUEST];
	struct buf_writer w = buf_writer(out, sizeof(out));

	soap_write_check(&w, target_of(g), g->mapping.external_port);
	request(g, target_of(g)->control.host.port, &w);
}

static void
ask_delete(struct igd *g, uint16_t external_port)
{
	uint8_t out[SOAP_MAX_REQUEST];
	struct buf_writer w = buf_writer(out, sizeof(out));

	soap_write_delete(&w, target_of(g), external_port);
	request(g, target_of(g)->control.host.port, &w);
}

static bool
is_ours(const struct igd *g, const struct upnp_xml_reply *v)
{
	return v->error == 0 && addr_equal(&v->client, &g->p.local) &&
	       v->internal_port == g->mapping.internal_port;
}

static void
add_at(struct igd *g, uint16_t external_port)
{
	g->state = IGD_ADDING;
	g->mapping.external_port = external_port;
	add(g);
}

/* The port is taken.  Some gateways say so of our own mapping as well, when it
 * is to be renewed or has survived us. */
static void
on_looked(struct igd *g, const struct upnp_xml_reply *v, struct mono now)
{
	if (is_ours(g, v) && v->permanent) {
		finish(g, 0, 0, now);
	} else if (is_ours(g, v)) { /* it would run out */
		g->state = IGD_FREEING;
		ask_delete(g, g->mapping.external_port);
	} else {
		/* Who does not tell may have it as ours. */
		if (v->error != 0 && v->error != ERROR_NO_SUCH_ENTRY &&
		    g->mapping.external_port == g->suggested)
			g->orphan = g->suggested;
		add_at(g, next_port(g));
	}
}

static void
on_freed(struct igd *g, const struct upnp_xml_reply *v)
{
	add_at(g, v->error == 0 ? g->mapping.external_port : next_port(g));
}

static void
on_added(struct igd *g, const struct upnp_xml_reply *v, struct mono now)
{
	if (v->error == ERROR_CONFLICT && !g->any && !g->looked) {
		g->looked = true;
		g->state = IGD_LOOKING;
		ask_owner(g);
		return;
	}
	if (v->error != 0 && adapt(g, v->error)) {
		add(g);
		return;
	}
	if (v->error == 0 && g->any && v->reserved_port != 0)
		g->mapping.external_port = v->reserved_port;
	finish(g, v->error == 0 ? 0 : IGD_REFUSED, v->error, now);
}

void
igd_remove(struct igd *g, uint16_t external_port)
{
	assert(igd_is_ready(g));
	g->state = IGD_REMOVING;
	ask_delete(g, external_port);
}

void
igd_check(struct igd *g, uint16_t internal_port, uint16_t external_port)
{
	assert(igd_is_ready(g));
	g->state = IGD_CHECKING;
	g->mapping.internal_port = internal_port;
	g->mapping.external_port = external_port;
	ask_owner(g);
}

static void
on_checked(struct igd *g, const struct upnp_xml_reply *v, struct mono now)
{
	if (v->error == ERROR_NO_SUCH_ENTRY ||
	    (v->error == 0 && !is_ours(g, v))) {
		finish(g, IGD_LOST, v->error, now);
		return;
	}
	/* Who refuses to tell has not said that it is gone. */
	g->state = IGD_CHECKING_ADDRESS;
	ask_address(g);
}

static void
on_checked_address(
    struct igd *g, const struct upnp_xml_reply *v, struct mono now)
{
	if (v->error == 0 && is_public(&v->address))
		g->address = v->address;
	finish(g, 0, 0, now);
}

static void
on_silence(struct igd *g, struct mono now)
{
	struct upnp_xml_reply nothing = { .error = UPNP_XML_ODD_ERROR };

	if (g->state == IGD_FETCHING)
		next_location(g, now);
	else if (g->state == IGD_EXAMINING)
		on_examined(g, &nothing, now);
	else if (g->state == IGD_LOOKING)
		on_looked(g, &nothing, now);
	else
		finish(g, IGD_SILENT, 0, now);
}

/* An action answers 200, or 500 with the reason. */
static bool
is_action_answer(int status, const struct upnp_xml_reply *v)
{
	return status == 200 || (status == 500 && v->error != 0);
}

static void
on_action(struct igd *g, const struct upnp_xml_reply *v, struct mono now)
{
	if (g->state == IGD_EXAMINING)
		on_examined(g, v, now);
	else if (g->state == IGD_ADDING)
		on_added(g, v, now);
	else if (g->state == IGD_LOOKING)
		on_looked(g, v, now);
	else if (g->state == IGD_FREEING)
		on_freed(g, v);
	else if (g->state == IGD_CHECKING)
		on_checked(g, v, now);
	else if (g->state == IGD_CHECKING_ADDRESS)
		on_checked_address(g, v, now);
	else
		finish(g, v->error == 0 ? 0 : IGD_REFUSED, v->error, now);
}

void
igd_on_reply(struct igd *g, int r, int status, const void *body, size_t len,
    struct mono now)
{
	struct upnp_xml_reply v;

	assert(g->waiting);
	g->waiting = false;
	if (g->stale) {
		g->stale = false;
		/* An answer to a search may have come meanwhile. */
		if (g->state == IGD_SEARCHING && g->location < g->n_locations)
			fetch(g);
		return;
	}
	if (r < 0) {
		on_silence(g, now);
		return;
	}
	if (g->state == IGD_FETCHING) {
		on_description(g, status, body, len, now);
		return;
	}
	upnp_xml_get_reply(body, len, &v);
	if (is_action_answer(status, &v))
		on_action(g, &v, now);
	else
		on_silence(g, now);
}

void
igd_run(struct igd *g, struct mono now)
{
	if (g->state != IGD_SEARCHING || mono_before(now, g->next_search))
		return;
	if (g->searches < SEARCH_ROUNDS)
		search(g, now);
	else
		not_found(g, now);
}

struct mono
igd_deadline(const struct igd *g)
{
	return g->state == IGD_SEARCHING ? g->next_search : MONO_NEVER;
}
