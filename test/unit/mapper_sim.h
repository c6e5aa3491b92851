/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gateway on virtual time, for the mapper: it speaks what it is told to, and
 * keeps one table for all protocols, as real ones do.
 */
#ifndef TEST_UNIT_MAPPER_SIM_H
#define TEST_UNIT_MAPPER_SIM_H

#include <stdlib.h>

#include "helpers/portmap/mapper.h"
#include "lib/buf.h"
#include "proto/portmap/natpmp.h"
#include "proto/portmap/pcp.h"
#include "test/tap.h"

#define SIM_MAX_EVENTS 64
#define SIM_MAX_TABLE 64
#define SIM_MAX_REPORTS 256
#define SIM_RTT_US (2 * MONO_MS)

enum sim_kind { SIM_DATAGRAM, SIM_ANSWER, SIM_REPLY };

struct sim_event {
	struct mono at;
	enum sim_kind kind;
	int r;
	int status;
	size_t len;
	char bytes[2048];
};

struct sim_entry {
	uint16_t internal;
	uint16_t external;
	uint8_t nonce[12];
};

struct sim {
	struct mapper *m;
	struct mono now;
	/* What the gateway is like. */
	bool pcp, natpmp, upnp;
	bool says_version; /* NAT-PMP's refusal of PCP */
	int pcp_result, natpmp_result, upnp_error;
	bool only_permanent;
	bool no_renewal; /* UPnP: what is mapped is taken, even by its owner */
	bool mute;       /* UPnP: does not tell who has a port */
	uint32_t life_s;
	uint8_t address[4];
	struct mono born;
	/* What it did. */
	struct sim_entry table[SIM_MAX_TABLE];
	size_t n_table;
	unsigned n_pcp, n_natpmp, n_address, n_search, n_http, n_add;
	struct sim_event events[SIM_MAX_EVENTS];
	size_t n_events;
	struct ipc_mapped reports[SIM_MAX_REPORTS];
	size_t n_reports;
	bool spins; /* the mapper wanted to run again and again */
};

static struct addr
sim_ip(const char *text)
{
	struct addr a;

	if (addr_parse_ip(&a, text, 0) < 0)
		abort();
	return a;
}

static void
sim_event(struct sim *s, enum sim_kind kind, int r, int status, const void *p,
    size_t len)
{
	struct sim_event *e = &s->events[s->n_events];

	if (s->n_events == SIM_MAX_EVENTS || len > sizeof(e->bytes))
		return; /* lost */
	s->n_events++;
	e->at = mono_add(s->now, SIM_RTT_US);
	e->kind = kind;
	e->r = r;
	e->status = status;
	e->len = len;
	if (len > 0)
		memcpy(e->bytes, p, len);
}

static uint32_t
sim_epoch(const struct sim *s)
{
	return (uint32_t)(mono_diff(s->now, s->born) / MONO_SEC) + 1;
}

/* The entry of an internal port; NULL if there is none. */
static struct sim_entry *
sim_find(struct sim *s, uint16_t internal)
{
	for (size_t i = 0; i < s->n_table; i++)
		if (s->table[i].internal == internal)
			return &s->table[i];
	return NULL;
}

static struct sim_entry *
sim_map(struct sim *s, uint16_t internal, uint16_t external)
{
	struct sim_entry *e = sim_find(s, internal);

	if (e == NULL && s->n_table == SIM_MAX_TABLE)
		return NULL;
	if (e == NULL) {
		e = &s->table[s->n_table++];
		memset(e, 0, sizeof(*e));
		e->internal = internal;
		e->external =
		    external != 0 ? external : (uint16_t)(internal + 1);
	}
	return e;
}

static void
sim_unmap(struct sim *s, uint16_t internal)
{
	struct sim_entry *e = sim_find(s, internal);

	if (e != NULL)
		*e = s->table[--s->n_table];
}

static void
sim_pcp(struct sim *s, const uint8_t *p)
{
	uint8_t out[PCP_MAP_LEN];
	struct buf_writer w = buf_writer(out, sizeof(out));
	uint16_t internal = buf_u16_at(p + 40), external = buf_u16_at(p + 42);
	uint32_t life = buf_u32_at(p + 4) != 0 ? s->life_s : 0;
	struct sim_entry *e = NULL;
	int result = s->pcp_result;

	s->n_pcp++;
	if (result == 0 && life != 0) {
		e = sim_map(s, internal, external);
		if (e == NULL)
			return;
		memcpy(e->nonce, p + 24, 12);
		external = e->external;
	} else if (result == 0) {
		sim_unmap(s, internal);
	}
	buf_put_u8(&w, 2);
	buf_put_u8(&w, 0x81);
	buf_put_u8(&w, 0);
	buf_put_u8(&w, (uint8_t)result);
	buf_put_u32(&w, result != 0 ? 60 : life);
	buf_put_u32(&w, sim_epoch(s));
	for (int i = 0; i < 12; i++)
		buf_put_u8(&w, 0);
	buf_put_bytes(&w, p + 24, 18);
	buf_put_u16(&w, external);
	buf_put_bytes(&w, p + 44, 12);
	buf_put_bytes(&w, s->address, 4);
	sim_event(s, SIM_DATAGRAM, 0, 0, out, w.len);
}

static void
sim_natpmp(struct sim *s, const uint8_t *p, size_t len)
{
	uint8_t out[16];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct sim_entry *e;
	uint16_t internal;

	buf_put_u8(&w, 0);
	buf_put_u8(&w, (uint8_t)(0x80 | p[1]));
	buf_put_u16(&w, (uint16_t)s->natpmp_result);
	buf_put_u32(&w, sim_epoch(s));
	if (len == NATPMP_ADDRESS_REQUEST_LEN) {
		s->n_address++;
		buf_put_bytes(&w, s->address, 4);
	} else {
		s->n_natpmp++;
		internal = buf_u16_at(p + 4);
		e = NULL;
		if (s->natpmp_result != 0)
			buf_put_u32(&w, (uint32_t)internal << 16);
		else if (buf_u32_at(p + 8) == 0)
			sim_unmap(s, internal);
		else
			e = sim_map(s, internal, buf_u16_at(p + 6));
		if (s->natpmp_result == 0) {
			buf_put_u16(&w, internal);
			buf_put_u16(&w, e != NULL ? e->external : 0);
		}
		buf_put_u32(&w, e != NULL ? s->life_s : 0);
	}
	sim_event(s, SIM_DATAGRAM, 0, 0, out, w.len);
}

static void
sim_on_send(void *arg, const void *p, size_t len)
{
	struct sim *s = arg;
	const uint8_t *b = p;
	static const uint8_t version[8] = { 0, 0x81, 0, 1, 0, 0, 0, 1 };

	if (b[0] == PCP_VERSION && s->pcp)
		sim_pcp(s, b);
	else if (b[0] == PCP_VERSION)
		s->n_pcp++;
	if (b[0] == PCP_VERSION && !s->pcp && s->says_version)
		sim_event(s, SIM_DATAGRAM, 0, 0, version, sizeof(version));
	if (b[0] == NATPMP_VERSION && s->natpmp)
		sim_natpmp(s, b, len);
}

static void
sim_on_search(void *arg, const void *p, size_t len)
{
	static const char answer[] =
	    "HTTP/1.1 200 OK\r\n"
	    "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
	    "LOCATION: http://192.168.1.1:5000/root.xml\r\n\r\n";
	struct sim *s = arg;

	(void)p;
	(void)len;
	s->n_search++;
	if (s->upnp)
		sim_event(s, SIM_ANSWER, 0, 0, answer, sizeof(answer) - 1);
}

static long
sim_value(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p != NULL ? strtol(p + strlen(name) + 1, NULL, 10) : 0;
}

static void
sim_fault(struct sim *s, int code)
{
	char out[256];
	int n = snprintf(out, sizeof(out),
	    "<s:Fault><detail><UPnPError><errorCode>%d</errorCode>"
	    "</UPnPError></detail></s:Fault>",
	    code);

	sim_event(s, SIM_REPLY, 0, 500, out, (size_t)n);
}

static void
sim_soap(struct sim *s, const char *text)
{
	uint16_t external = (uint16_t)sim_value(text, "NewExternalPort");
	uint16_t internal = (uint16_t)sim_value(text, "NewInternalPort");
	struct sim_entry *e = NULL;
	char out[512] = "<u:XResponse></u:XResponse>";

	for (size_t i = 0; i < s->n_table; i++)
		if (s->table[i].external == external)
			e = &s->table[i];
	if (strstr(text, "#GetExternalIPAddress") != NULL) {
		(void)snprintf(out, sizeof(out),
		    "<u:XResponse><NewExternalIPAddress>%u.%u.%u.%u"
		    "</NewExternalIPAddress></u:XResponse>",
		    s->address[0], s->address[1], s->address[2], s->address[3]);
	} else if (strstr(text, "#AddPortMapping") != NULL) {
		s->n_add++;
		if (s->upnp_error != 0) {
			sim_fault(s, s->upnp_error);
			return;
		}
		if (s->only_permanent &&
		    sim_value(text, "NewLeaseDuration") != 0) {
			sim_fault(s, 725);
			return;
		}
		if (e != NULL && (s->no_renewal || e->internal != internal)) {
			sim_fault(s, 718);
			return;
		}
		if (s->no_renewal && s->n_table < SIM_MAX_TABLE)
			s->table[s->n_table++] =
			    (struct sim_entry){ internal, external, { 0 } };
		else if ((e = sim_map(s, internal, external)) != NULL)
			e->external = external;
	} else if (s->mute && strstr(text, "#GetSpecific") != NULL) {
		sim_fault(s, 401);
		return;
	} else if (e == NULL) {
		sim_fault(s, 714);
		return;
	} else if (strstr(text, "#DeletePortMapping") != NULL) {
		*e = s->table[--s->n_table];
	} else {
		(void)snprintf(out, sizeof(out),
		    "<u:XResponse><NewInternalPort>%u</NewInternalPort>"
		    "<NewInternalClient>192.168.1.9</NewInternalClient>"
		    "<NewLeaseDuration>%d</NewLeaseDuration>"
		    "</u:XResponse>",
		    e->internal, s->only_permanent ? 0 : 1000);
	}
	sim_event(s, SIM_REPLY, 0, 200, out, strlen(out));
}

static void
sim_on_http(void *arg, uint16_t port, const void *p, size_t len)
{
	static const char description[] =
	    "<root><device><serviceList><service><serviceType>"
	    "urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
	    "<controlURL>/ctl</controlURL></service></serviceList></device>"
	    "</root>";
	struct sim *s = arg;
	char text[2049];

	s->n_http++;
	memcpy(text, p, len);
	text[len] = '\0';
	if (!s->upnp || port != 5000)
		sim_event(s, SIM_REPLY, -111, 0, NULL, 0);
	else if (text[0] == 'G')
		sim_event(
		    s, SIM_REPLY, 0, 200, description, sizeof(description) - 1);
	else
		sim_soap(s, text);
}

static void
sim_on_report(void *arg, const struct ipc_mapped *m)
{
	struct sim *s = arg;

	if (s->n_reports < SIM_MAX_REPORTS)
		s->reports[s->n_reports++] = *m;
}

static void
sim_init(struct sim *s)
{
	struct mapper_params p = {
		.gateway = sim_ip("192.168.1.1"),
		.local = sim_ip("192.168.1.9"),
		.send = sim_on_send,
		.search = sim_on_search,
		.http = sim_on_http,
		.report = sim_on_report,
		.arg = s,
	};
	static const uint8_t address[4] = { 11, 0, 0, 7 };

	memset(s, 0, sizeof(*s));
	s->now = (struct mono){ 1000 * MONO_SEC };
	s->born = s->now;
	s->life_s = 7200;
	memcpy(s->address, address, 4);
	s->m = mapper_new(&p);
	if (s->m == NULL)
		abort();
}

static void
sim_deliver(struct sim *s, size_t i)
{
	struct sim_event e = s->events[i];
	struct addr gateway = sim_ip("192.168.1.1");

	s->n_events--;
	memmove(&s->events[i], &s->events[i + 1],
	    (s->n_events - i) * sizeof(s->events[0]));
	gateway.port = 1900;
	if (e.kind == SIM_DATAGRAM)
		mapper_on_datagram(s->m, e.bytes, e.len, s->now);
	else if (e.kind == SIM_ANSWER)
		mapper_on_answer(s->m, &gateway, e.bytes, e.len, s->now);
	else
		mapper_on_reply(s->m, e.r, e.status, e.bytes, e.len, s->now);
}

/* Everything due at this moment; a mapper that never rests is told on. */
static void
sim_settle(struct sim *s)
{
	for (int i = 0; i < 2000; i++) {
		mapper_run(s->m, s->now);
		if (mono_before(s->now, mapper_deadline(s->m)))
			return;
	}
	s->spins = true;
}

/* Let @us pass. */
static void
sim_pass(struct sim *s, int64_t us)
{
	struct mono end = mono_add(s->now, us), next;
	size_t first;

	for (;;) {
		sim_settle(s);
		next = mapper_deadline(s->m);
		first = s->n_events;
		for (size_t i = 0; i < s->n_events; i++)
			if (!mono_before(next, s->events[i].at)) {
				next = s->events[i].at;
				first = i;
			}
		if (!mono_before(next, end) || s->spins)
			break;
		s->now = next;
		if (first < s->n_events)
			sim_deliver(s, first);
	}
	s->now = end;
	sim_settle(s);
}

static void
sim_request(struct sim *s, uint16_t port)
{
	struct ipc_map_request r = { .port = port };

	memcpy(r.nonce, &port, sizeof(port));
	if (mapper_request(s->m, &r, s->now) != 0)
		abort();
}

static void
sim_fini(struct sim *s)
{
	mapper_free(s->m);
}

#endif
