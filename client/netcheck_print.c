/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/netcheck_print.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* "\u003c" for one character. */
#define ESCAPE_LEN 6

static const char *
yes_no(bool value)
{
	return value ? "yes" : "no";
}

/* "  Label: a, b", or what says that there is none. */
static void
put_list(FILE *f, const char *label, const struct netcheck_list *list,
    const char *none)
{
	(void)fprintf(f, "  %s: ", label);
	for (size_t i = 0; i < list->n; i++)
		(void)fprintf(f, "%s%s", i > 0 ? ", " : "", list->texts[i]);
	(void)fprintf(f, "%s\n", list->n == 0 ? none : "");
}

static const char *
mapping_text(const struct netcheck_report *rp)
{
	if (!rp->stun || rp->endpoints.n == 0)
		return "unavailable";
	return rp->is_mapping_stable ? "stable across STUN servers"
				     : "changes by STUN destination";
}

void
netcheck_print_human(FILE *f, const struct netcheck_report *report)
{
	const struct netcheck_report *rp = report;

	/* What cannot be written shows in ferror(@f). */
	(void)fprintf(f,
	    "Network check: %s\n\nUDP:\n  Outbound UDP: %s\n  STUN: %s\n",
	    netcheck_report_verdict(rp->verdict), yes_no(rp->outbound),
	    yes_no(rp->stun));
	put_list(f, "Public endpoint", &rp->endpoints, "unavailable");
	(void)fprintf(f,
	    "  Mapping: %s\n  Port preservation: %s\n\nCandidates:\n",
	    mapping_text(rp), yes_no(rp->is_port_preserving));
	put_list(f, "LAN", &rp->lan, "none");
	put_list(f, "Overlay", &rp->overlay, "none");
	put_list(f, "Public", &rp->public, "none");
	(void)fprintf(f, "\nDirect-connect readiness:\n  %s\n",
	    netcheck_report_advice(rp->verdict));
}

/* Takes the reference of @value; NULL and failure spoil *@ok. */
static void
set(json_t *object, const char *key, json_t *value, bool *ok)
{
	*ok = json_object_set_new(object, key, value) == 0 && *ok;
}

static void
set_list(
    json_t *object, const char *key, const struct netcheck_list *list, bool *ok)
{
	json_t *array = json_array();

	if (list->n == 0) {
		json_decref(array);
		return; /* left out, as the peer does */
	}
	for (size_t i = 0; i < list->n; i++)
		*ok = json_array_append_new(
			  array, json_string(list->texts[i])) == 0 &&
		      *ok;
	set(object, key, array, ok);
}

static void
set_addr(json_t *object, const char *key, const struct addr *a, bool *ok)
{
	char text[ADDR_MAX_TEXT];

	if (a->family == 0)
		return;
	addr_format(a, text);
	set(object, key, json_string(text), ok);
}

static json_t *
json_of_rows(const struct netcheck_report *rp, bool *ok)
{
	json_t *o = json_object(), *array = json_array(), *row;

	for (size_t i = 0; i < rp->n_rows; i++) {
		row = json_object();
		set(row, "server", json_string(rp->rows[i].server), ok);
		set_addr(row, "local_endpoint", &rp->rows[i].local, ok);
		set_addr(row, "mapped_endpoint", &rp->rows[i].mapped, ok);
		if (rp->rows[i].error[0] != '\0')
			set(row, "error", json_string(rp->rows[i].error), ok);
		*ok = json_array_append_new(array, row) == 0 && *ok;
	}
	if (rp->n_rows > 0)
		set(o, "servers", array, ok);
	else
		json_decref(array);
	return o;
}

static json_t *
json_of(const struct netcheck_report *rp, bool *ok)
{
	json_t *o = json_object(), *udp = json_object();
	json_t *candidates = json_object();

	set(udp, "outbound", json_boolean(rp->outbound), ok);
	set(udp, "stun", json_boolean(rp->stun), ok);
	set_list(udp, "public_endpoints", &rp->endpoints, ok);
	set(udp, "mapping_stable", json_boolean(rp->is_mapping_stable), ok);
	set(udp, "port_preserving", json_boolean(rp->is_port_preserving), ok);
	set_list(candidates, "lan", &rp->lan, ok);
	set_list(candidates, "overlay", &rp->overlay, ok);
	set_list(candidates, "public", &rp->public, ok);
	set(o, "verdict", json_string(netcheck_report_verdict(rp->verdict)),
	    ok);
	set(o, "udp", udp, ok);
	set(o, "candidates", candidates, ok);
	set(o, "stun", json_of_rows(rp, ok), ok);
	set(o, "recommendation",
	    json_string(netcheck_report_advice(rp->verdict)), ok);
	return o;
}

/* These three stand in JSON only within strings. */
static char *
escape_html(const char *text)
{
	size_t len = 0;
	char *out = malloc(strlen(text) * ESCAPE_LEN + 1);

	if (out == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		if (strchr("<>&", *text) == NULL)
			out[len++] = *text;
		else
			len += (size_t)snprintf(out + len, ESCAPE_LEN + 1,
			    "\\u%04x", (unsigned)*text);
	}
	out[len] = '\0';
	return out;
}

char *
netcheck_print_json(const struct netcheck_report *report)
{
	bool ok = true;
	json_t *o = json_of(report, &ok);
	char *plain = ok ? json_dumps(o, JSON_INDENT(2)) : NULL;
	char *text = plain != NULL ? escape_html(plain) : NULL;

	json_decref(o);
	free(plain);
	return text;
}
