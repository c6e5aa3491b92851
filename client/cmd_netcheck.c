/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_netcheck.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>

#include "client/cli_duration.h"
#include "client/netcheck_print.h"
#include "client/netcheck_probe.h"
#include "lib/err.h"
#include "lib/mono.h"

#define DEFAULT_TIMEOUT_US (5 * MONO_SEC)

static_assert(CLI_MAX_TEXTS <= NETCHECK_PROBE_MAX_SERVERS, "--stun");

/* Those of the sibling tools, in their order. */
static const char *const default_servers[] = {
	"stun.l.google.com:19302",
	"stun1.l.google.com:19302",
	"stun2.l.google.com:19302",
	"stun.cloudflare.com:3478",
};

const struct cli_option cmd_netcheck_options[] = {
	{ "timeout", '\0', CLI_STRING, "Longest time to take (5s)" },
	{ "stun", '\0', CLI_STRINGS,
	    "Ask this STUN server instead; may be repeated" },
	{ .name = NULL },
};

/* Returns an exit code. */
static int
get_params(
    const struct cli_call *call, struct netcheck_probe_params *ret_params)
{
	struct netcheck_probe_params p = { .timeout_us = DEFAULT_TIMEOUT_US };
	const char *timeout = cli_args_text(call->args, "timeout");
	char text[CLI_MAX_ERROR];

	if (cli_args_is_given(call->args, "timeout") &&
	    (cli_duration_parse(timeout, &p.timeout_us) < 0 ||
		p.timeout_us <= 0))
		return cli_main_usage(
		    call, "timeout must be a positive duration");
	p.servers = cli_args_texts(call->args, "stun", &p.n_servers);
	if (p.n_servers == 0) {
		p.servers = default_servers;
		p.n_servers =
		    sizeof(default_servers) / sizeof(default_servers[0]);
	}
	for (size_t i = 0; i < p.n_servers; i++) {
		if (netcheck_probe_check(p.servers[i]) == 0)
			continue;
		(void)snprintf(text, sizeof(text),
		    "invalid STUN server \"%s\": use HOST:PORT", p.servers[i]);
		return cli_main_usage(call, text);
	}
	*ret_params = p;
	return CLI_EXIT_OK;
}

/* Addresses of all interfaces, for the caller to free.  0 or -errno. */
static int
get_interfaces(struct addr **ret_addrs, size_t *ret_n)
{
	struct ifaddrs *list;
	struct addr *addrs;
	size_t n = 0;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
		n++;
	addrs = calloc(n + 1, sizeof(*addrs));
	if (addrs == NULL) {
		freeifaddrs(list);
		return -ENOMEM;
	}
	n = 0;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    addr_from_sockaddr(&addrs[n], i->ifa_addr) == 0)
			n++;
	freeifaddrs(list);
	*ret_addrs = addrs;
	*ret_n = n;
	return 0;
}

static int
print(const struct cli_call *call, const struct netcheck_report *report)
{
	char *text;
	int code;

	if (!call->out->json) {
		netcheck_print_human(stderr, report);
		return CLI_EXIT_OK;
	}
	text = netcheck_print_json(report);
	if (text == NULL) {
		cli_out_error("out of memory");
		return CLI_EXIT_FAILED;
	}
	code = cli_out_payload(text);
	free(text);
	return code;
}

/* @rows has room for one more. */
static int
judge(const struct cli_call *call, struct netcheck_row *rows, size_t n_rows)
{
	struct addr *interfaces = NULL;
	struct netcheck_report report;
	char reason[CLI_OUT_MAX_REASON];
	size_t n = 0;
	int r = get_interfaces(&interfaces, &n), code = CLI_EXIT_FAILED;

	if (r < 0) {
		rows[n_rows] =
		    (struct netcheck_row){ .server = "local-interfaces" };
		(void)snprintf(rows[n_rows].error, sizeof(rows[n_rows].error),
		    "%s", cli_out_reason(r, reason));
		n_rows++;
	}
	if (netcheck_report_init(&report, rows, n_rows, interfaces, n) < 0) {
		cli_out_error("out of memory");
	} else {
		code = print(call, &report);
		netcheck_report_fini(&report);
	}
	free(interfaces);
	return code;
}

int
cmd_netcheck(const struct cli_call *call)
{
	struct netcheck_row rows[NETCHECK_PROBE_MAX_ROWS + 1];
	struct netcheck_probe_params params;
	char reason[CLI_OUT_MAX_REASON];
	size_t n = 0;
	int r, code = get_params(call, &params);

	if (code != CLI_EXIT_OK)
		return code;
	r = netcheck_probe_run(&params, rows, &n);
	if (r > 0)
		return 128 + r;
	if (r < 0) {
		cli_out_error("%s", cli_out_reason(r, reason));
		return CLI_EXIT_FAILED;
	}
	return judge(call, rows, n);
}
