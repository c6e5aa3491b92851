/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_opt.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mono.h"

#define DEFAULT_CLIENTS 4096
/* At 1200 bytes a packet the bytes run out first. */
#define DEFAULT_QUEUE_PACKETS 1024
#define MAX_QUEUE_PACKETS 65536
/* Clients give up on a relay that is silent for 120 s. */
#define DEFAULT_KEEPALIVE_SEC 60
#define MAX_KEEPALIVE_SEC 100

enum opt {
	OPT_LISTEN = 256,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_PLAIN_HTTP,
	OPT_STUN,
	OPT_HOSTNAME,
	OPT_KEY_FILE,
	OPT_STATE_DIR,
	OPT_MAX_CLIENTS,
	OPT_QUEUE_PACKETS,
	OPT_KEEPALIVE,
	OPT_PRINT,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
	{ "plain-http", no_argument, NULL, OPT_PLAIN_HTTP },
	{ "stun", required_argument, NULL, OPT_STUN },
	{ "hostname", required_argument, NULL, OPT_HOSTNAME },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "max-clients", required_argument, NULL, OPT_MAX_CLIENTS },
	{ "queue-packets", required_argument, NULL, OPT_QUEUE_PACKETS },
	{ "keepalive", required_argument, NULL, OPT_KEEPALIVE },
	{ "print", required_argument, NULL, OPT_PRINT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
    "usage: derptun-relay --listen ADDR:PORT [options]\n"
    "\n"
    "A DERP relay and STUN server for Tailscale, derphole and derptun.\n"
    "\n"
    "  --listen ADDR:PORT    TCP address; port 0 picks one, :PORT means all\n"
    "  --tls-cert FILE       certificate chain, PEM (with --tls-key)\n"
    "  --tls-key FILE        its private key, PEM\n"
    "  --plain-http          no TLS: for tests, or behind a TLS proxy\n"
    "  --stun ADDR:PORT      also answer STUN on this UDP address\n"
    "  --hostname NAME       name or address clients use to reach this relay\n"
    "  --key-file FILE       the relay's DERP key, made when absent\n"
    "  --state-dir DIR       keep key and self-signed certificate here\n"
    "  --max-clients N       connections at a time (4096)\n"
    "  --queue-packets N     packets waiting for one receiver (1024)\n"
    "  --keepalive SECONDS   pause between keep-alive frames (60)\n"
    "  --print FILE          where the connection details go (-)\n"
    "  -v, --verbose         log more\n"
    "  --version             print the version\n"
    "  -h, --help            print this\n"
    "\n"
    "Without --tls-cert and --plain-http the relay makes a self-signed\n"
    "certificate and prints its pin and what Go peers need to trust it.\n";

const char *
relay_opt_help(void)
{
	return help_text;
}

static int
fail(char *ret_error, const char *option, const char *why)
{
	(void)snprintf(ret_error, RELAY_OPT_MAX_ERROR, "%s: %s", option, why);
	return -DT_ERR_SYNTAX;
}

/* "IP:PORT", or ":PORT" for all addresses of both families. */
static int
parse_addr(const char *text, struct addr *ret_addr)
{
	char host[ADDR_MAX_HOST];
	uint16_t port;
	int r = addr_split_host_port(text, host, &port);

	if (r < 0)
		return r;
	if (host[0] == '\0')
		return addr_parse_ip(ret_addr, "::", port);
	return addr_parse(ret_addr, text);
}

static int
parse_number(const char *text, size_t min, size_t max, size_t *ret_number)
{
	unsigned long n;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -DT_ERR_SYNTAX;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || n < min || n > max)
		return -DT_ERR_SYNTAX;
	*ret_number = n;
	return 0;
}

/* Options whose argument is a number. */
static int
set_number(struct relay_opt *o, int c, const char *arg, char *ret_error)
{
	size_t n;

	switch (c) {
	case OPT_MAX_CLIENTS:
		if (parse_number(arg, 1, RELAY_OPT_MAX_CLIENTS, &n) < 0)
			return fail(
			    ret_error, "--max-clients", "not in 1..500000");
		o->max_clients = n;
		return 0;
	case OPT_QUEUE_PACKETS:
		if (parse_number(arg, 1, MAX_QUEUE_PACKETS, &n) < 0)
			return fail(
			    ret_error, "--queue-packets", "not in 1..65536");
		o->queue_packets = n;
		return 0;
	default:
		if (parse_number(arg, 1, MAX_KEEPALIVE_SEC, &n) < 0)
			return fail(ret_error, "--keepalive", "not in 1..100");
		o->keepalive_us = (int64_t)n * MONO_SEC;
		return 0;
	}
}

/* Options whose argument is kept as it is. */
static void
set_text(struct relay_opt *o, int c, const char *arg)
{
	const char **dst = c == OPT_TLS_CERT    ? &o->tls_cert
			   : c == OPT_TLS_KEY   ? &o->tls_key
			   : c == OPT_HOSTNAME  ? &o->hostname
			   : c == OPT_KEY_FILE  ? &o->key_file
			   : c == OPT_STATE_DIR ? &o->state_dir
						: &o->print;

	*dst = arg;
}

static int
set(struct relay_opt *o, int c, const char *arg, char *ret_error)
{
	switch (c) {
	case OPT_LISTEN:
		if (parse_addr(arg, &o->listen) < 0)
			return fail(ret_error, "--listen", "not ADDR:PORT");
		return 0;
	case OPT_STUN:
		if (parse_addr(arg, &o->stun) < 0)
			return fail(ret_error, "--stun", "not ADDR:PORT");
		return 0;
	case OPT_MAX_CLIENTS:
	case OPT_QUEUE_PACKETS:
	case OPT_KEEPALIVE:
		return set_number(o, c, arg, ret_error);
	case OPT_PLAIN_HTTP:
		o->is_plain_http = true;
		return 0;
	case OPT_VERSION:
		o->is_version = true;
		return 0;
	case 'v':
		o->is_verbose = true;
		return 0;
	case 'h':
		o->is_help = true;
		return 0;
	default:
		set_text(o, c, arg);
		return 0;
	}
}

/* Which combinations make sense? */
static int
check(const struct relay_opt *o, char *ret_error)
{
	if ((o->tls_cert == NULL) != (o->tls_key == NULL))
		return fail(
		    ret_error, "--tls-cert", "goes with --tls-key, and back");
	if (o->is_plain_http && o->tls_cert != NULL)
		return fail(ret_error, "--plain-http", "takes no certificate");
	if (o->hostname != NULL &&
	    (o->hostname[0] == '\0' || strlen(o->hostname) >= ADDR_MAX_HOST))
		return fail(ret_error, "--hostname", "not a name or address");
	return 0;
}

int
relay_opt_parse(int argc, char **argv, struct relay_opt *ret_opt,
    char ret_error[static RELAY_OPT_MAX_ERROR])
{
	struct relay_opt o = {
		.print = "-",
		.max_clients = DEFAULT_CLIENTS,
		.queue_packets = DEFAULT_QUEUE_PACKETS,
		.keepalive_us = DEFAULT_KEEPALIVE_SEC * MONO_SEC,
	};
	int c, r;

	opterr = 0;
	optind = 0; /* start over, also in glibc's hidden state */
	while ((c = getopt_long(argc, argv, ":vh", long_options, NULL)) != -1) {
		if (c == ':')
			return fail(
			    ret_error, argv[optind - 1], "needs an argument");
		if (c == '?')
			return fail(ret_error, argv[optind - 1],
			    "unknown option (see --help)");
		r = set(&o, c, optarg, ret_error);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return fail(ret_error, argv[optind], "unexpected argument");
	r = check(&o, ret_error);
	if (r == 0)
		*ret_opt = o;
	return r;
}
