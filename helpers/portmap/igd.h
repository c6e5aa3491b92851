/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A UPnP Internet Gateway Device: finding it, and mapping UDP ports on it.
 * Bytes and the time go in, requests and results come out.  One thing at a
 * time; whoever uses it has the next one ready when on_done() comes.
 */
#ifndef HELPERS_PORTMAP_IGD_H
#define HELPERS_PORTMAP_IGD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/portmap/upnp_xml.h"
#include "lib/addr.h"
#include "lib/mono.h"
#include "proto/portmap/soap.h"

/* Largest answers taken: descriptions of real gateways have 5 to 20 KiB. */
#define IGD_MAX_REPLY 65536u
/* Descriptions tried; a gateway that offers more offers nonsense. */
#define IGD_MAX_LOCATIONS 4u
/* How long answers to the search are awaited; MX is 1 s. */
#define IGD_SEARCH_US (3 * MONO_SEC)
/* AddPortMapping at most, of one mapping. */
#define IGD_MAX_TRIES 6u

/* What came of a request.  Errors of its own beside those of the system: */
enum igd_error {
	IGD_REFUSED = 1, /* the gateway said no: `upnp_error` */
	IGD_SILENT = 2,  /* no or no usable answer */
	IGD_LOST = 3,    /* the gateway has another mapping there, or none */
};

struct igd_result {
	int error; /* 0 or enum igd_error */
	int upnp_error;
	uint16_t external_port; /* of add */
	uint16_t
	    orphan; /* of add: a port that may still be mapped to us, or 0 */
	struct addr address; /* of add and check: public address, port 0 */
};

struct igd_params {
	struct addr gateway; /* port 0 */
	struct addr local;   /* port 0 */
	/* An SSDP question, to the group and to the gateway. */
	void (*search)(void *arg, const void *p, size_t len);
	/* An HTTP request to this port of the gateway on a new connection;
	 * igd_on_reply() once afterwards, never before this returns. */
	void (*http)(void *arg, uint16_t port, const void *p, size_t len);
	/* The search ended: found or not. */
	void (*on_found)(void *arg, bool found, struct mono now);
	/* An igd_add(), igd_remove() or igd_check() ended. */
	void (*on_done)(
	    void *arg, const struct igd_result *result, struct mono now);
	void *arg;
};

enum igd_state {
	IGD_OFF,
	IGD_SEARCHING,
	IGD_FETCHING,  /* a description */
	IGD_EXAMINING, /* which of its connections has a public address */
	IGD_READY,
	IGD_ADDING,
	IGD_LOOKING, /* adding: who has the port? */
	IGD_FREEING, /* adding: we have, and may not renew */
	IGD_REMOVING,
	IGD_CHECKING,
	IGD_CHECKING_ADDRESS,
};

struct igd {
	struct igd_params p;
	enum igd_state state;
	bool waiting; /* for igd_on_reply() */
	bool stale;   /* what is awaited is of no interest any more */
	unsigned searches;
	struct mono next_search; /* or the end of the search */
	size_t n_locations;
	size_t location; /* being fetched or in use */
	struct upnp_url locations[IGD_MAX_LOCATIONS];
	struct upnp_xml_description description;
	size_t target;
	struct addr address;
	/* Of igd_add(): */
	struct soap_mapping mapping;
	uint16_t suggested; /* external port */
	unsigned tries;
	bool any; /* AddAnyPortMapping is still worth trying */
	bool looked;
	uint16_t orphan;
};

void igd_init(struct igd *g, const struct igd_params *p);

/** igd_discover(): search; on_found() follows.  Only when IGD_OFF. */
void igd_discover(struct igd *g, struct mono now);
/** igd_reset(): forget the gateway; nobody is called back. */
void igd_reset(struct igd *g);

bool igd_is_ready(const struct igd *g);

/**
 * igd_add(): map, or renew.  Only when ready, as the next two.
 * @external_port: suggestion, or 0.
 * @lifetime_s: a gateway that only knows permanent mappings makes those.
 */
void igd_add(struct igd *g, uint16_t internal_port, uint16_t external_port,
    uint32_t lifetime_s);
void igd_remove(struct igd *g, uint16_t external_port);
/** igd_check(): does it still lead to us, and from which address? */
void igd_check(struct igd *g, uint16_t internal_port, uint16_t external_port);

/** igd_on_answer(): a datagram on the search socket, from @from. */
void igd_on_answer(struct igd *g, const struct addr *from, const void *p,
    size_t len, struct mono now);
/** igd_on_reply(): an HTTP answer, or @r < 0. */
void igd_on_reply(struct igd *g, int r, int status, const void *body,
    size_t len, struct mono now);

/** igd_run(): what is due.  igd_deadline(): when to call it. */
void igd_run(struct igd *g, struct mono now);
struct mono igd_deadline(const struct igd *g);

#endif
