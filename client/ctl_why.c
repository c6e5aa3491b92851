/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ctl_why.h"

#include <stdio.h>
#include <string.h>

#include "client/cli_exit.h"
#include "client/ctl_table.h"
#include "lib/log.h"

#define MAX_TEXT 256

static const char *const peer_columns[] = { "addr", "state", "probes", "acks",
	"rtt_us", "reflexive", "error", NULL };

static long long
number(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* Texts are the daemon's, but some were a worker's: escaped. */
static const char *
text(const json_t *o, const char *name, char out[MAX_TEXT])
{
	const json_t *v = json_object_get(o, name);

	out[0] = '\0';
	if (json_is_string(v))
		log_escape(
		    out, MAX_TEXT, json_string_value(v), json_string_length(v));
	return out;
}

/* What seconds are to people. */
static void
print_age(long long ms)
{
	long long s = ms / 1000;

	if (ms < 10000)
		(void)printf("%lld ms", ms);
	else if (s < 600)
		(void)printf("%lld s", s);
	else if (s < 36000)
		(void)printf("%lld min", s / 60);
	else
		(void)printf("%lld h", s / 3600);
}

static void
print_path(const json_t *r)
{
	char a[MAX_TEXT];

	(void)printf(
	    "session %lld: %s", number(r, "session"), text(r, "path", a));
	if (json_object_get(r, "address") != NULL)
		(void)printf(" %s", text(r, "address", a));
	if (json_object_get(r, "since_ms") != NULL) {
		(void)printf(" for ");
		print_age(number(r, "since_ms"));
		(void)printf(", %lld switches, datagrams of %lld bytes",
		    number(r, "switches"), number(r, "payload"));
	}
	(void)printf("\n");
	if (*text(r, "reason", a) != '\0')
		(void)printf("because: %s\n", a);
	if (json_object_get(r, "native") != NULL)
		(void)printf(
		    "peer: %s\n", json_is_true(json_object_get(r, "native"))
				      ? "derptund"
				      : "sibling, or not known yet");
}

static void
print_stun(const json_t *r)
{
	const json_t *stun = json_object_get(r, "stun");
	long long asked = number(stun, "asked");
	long long answered = number(stun, "answered");

	if (stun == NULL)
		return;
	(void)printf("STUN: %lld of %lld servers answered", answered, asked);
	if (json_is_true(json_object_get(stun, "symmetric")))
		(void)printf(", each saw another port (symmetric NAT)");
	else if (answered > 1)
		(void)printf(", all saw the same port");
	(void)printf("\n");
}

static void
print_list(const json_t *r, const char *name, const char *title)
{
	const json_t *list = json_object_get(r, name);
	char line[MAX_TEXT];

	if (list == NULL)
		return;
	(void)printf("%s:", title);
	if (json_array_size(list) == 0)
		(void)printf(" none");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		log_escape(line, sizeof(line),
		    json_is_string(v) ? json_string_value(v) : "?",
		    json_is_string(v) ? json_string_length(v) : 1);
		(void)printf(" %s", line);
	}
	(void)printf("\n");
}

static void
print_sockets(const json_t *r)
{
	const json_t *list = json_object_get(r, "sockets");
	char use[MAX_TEXT], error[MAX_TEXT];

	if (json_array_size(list) == 0)
		return;
	(void)printf("UDP sockets:");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *k = json_array_get(list, i);

		(void)text(k, "use", use);
		if (*text(k, "error", error) != '\0')
			(void)printf(" %s=%s", use, error);
		else
			(void)printf(" %s=%lld", use, number(k, "port"));
	}
	(void)printf("\n");
}

static void
print_member(const json_t *r, const char *name, const char *title)
{
	char v[MAX_TEXT];

	if (json_object_get(r, name) != NULL)
		(void)printf("%s: %s\n", title, text(r, name, v));
}

int
ctl_why_print(const json_t *result)
{
	const json_t *peer = json_object_get(result, "peer");
	char cause[MAX_TEXT], conclusion[MAX_TEXT];
	int code = CLI_EXIT_OK;

	print_path(result);
	print_sockets(result);
	print_list(result, "interfaces", "addresses here");
	print_member(result, "gateway", "gateway");
	print_member(result, "portmap", "port mapping");
	print_member(result, "mapping", "mapped by the gateway");
	print_stun(result);
	print_list(result, "own", "told to the peer");
	print_member(result, "raw", "raw-direct");
	if (json_array_size(peer) > 0) {
		(void)printf("\naddresses of the peer\n");
		code = ctl_table_print(peer, peer_columns);
		(void)printf("\n");
	} else if (peer != NULL)
		(void)printf("addresses of the peer: none\n");
	(void)text(result, "cause", cause);
	(void)printf("%s%s\n",
	    strcmp(cause, "direct") == 0 ? "" : "why not direct: ",
	    text(result, "conclusion", conclusion));
	return code == CLI_EXIT_OK ? ctl_table_finish() : code;
}
