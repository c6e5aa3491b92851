/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_opt.h"

#include "lib/err.h"
#include "lib/mono.h"
#include "test/tap.h"

#define MAX_ARGS 12

/* Parse a command line given as a NULL-ended list. */
static int
parse(struct relay_opt *ret_opt, const char *const *list)
{
	static char words[MAX_ARGS][64];
	char *argv[MAX_ARGS + 1] = { NULL };
	char error[RELAY_OPT_MAX_ERROR] = "";
	int argc = 1, r;

	(void)snprintf(words[0], sizeof(words[0]), "derptun-relay");
	argv[0] = words[0];
	for (; *list != NULL && argc < MAX_ARGS; list++, argc++) {
		(void)snprintf(words[argc], sizeof(words[0]), "%s", *list);
		argv[argc] = words[argc];
	}
	r = relay_opt_parse(argc, argv, ret_opt, error);
	if (r < 0 && error[0] == '\0')
		return -DT_ERR_INTERNAL;
	return r;
}

#define PARSE(o, ...) parse((o), (const char *const[]){ __VA_ARGS__, NULL })

static void
test_good(void)
{
	struct relay_opt o;
	char text[ADDR_MAX_TEXT];

	EQ_INT(PARSE(&o, "--listen", "127.0.0.1:0"), 0, "least");
	addr_format(&o.listen, text);
	EQ_STR(text, "127.0.0.1:0", "address");
	EQ_INT(o.max_clients, 4096, "default clients");
	EQ_INT(o.queue_packets, 1024, "default queue");
	EQ_INT(o.keepalive_us, 60 * MONO_SEC, "default keepalive");
	EQ_STR(o.print, "-", "default output");
	OK(o.stun.family == 0 && !o.is_plain_http && o.tls_cert == NULL,
	    "the rest is off");
	EQ_INT(PARSE(&o, "--listen=:443", "--stun=[::1]:3478"), 0, "wildcard");
	addr_format(&o.listen, text);
	EQ_STR(text, "[::]:443", "both families");
	addr_format(&o.stun, text);
	EQ_STR(text, "[::1]:3478", "STUN address");
	EQ_INT(PARSE(&o, "--tls-cert", "a", "--tls-key", "b", "--hostname", "h",
		   "--key-file", "k", "--state-dir", "s"),
	    0, "files");
	EQ_STR(o.tls_cert, "a", "cert");
	EQ_STR(o.tls_key, "b", "key");
	EQ_STR(o.hostname, "h", "hostname");
	EQ_STR(o.key_file, "k", "key file");
	EQ_STR(o.state_dir, "s", "state directory");
	EQ_INT(PARSE(&o, "--max-clients", "500000", "--queue-packets", "65536",
		   "--keepalive", "100", "-v", "--plain-http", "--print", "f"),
	    0, "largest numbers");
	OK(o.is_verbose && o.is_plain_http, "flags");
	EQ_INT(PARSE(&o, "--help"), 0, "help");
	OK(o.is_help && !o.is_version, "is asked for");
	EQ_INT(PARSE(&o, "--version"), 0, "version");
	OK(o.is_version, "is asked for");
}

static void
test_bad(void)
{
	static const char *const bad[][4] = {
		{ "--bogus" },
		{ "-x" },
		{ "word" },
		{ "--listen" },
		{ "--listen", "host:80" },
		{ "--listen", "1.2.3.4" },
		{ "--listen", "1.2.3.4:65536" },
		{ "--listen", "1.2.3.4:-1" },
		{ "--stun", "" },
		{ "--tls-cert", "a" },
		{ "--tls-key", "a" },
		{ "--max-clients", "0" },
		{ "--max-clients", "500001" },
		{ "--max-clients", "1x" },
		{ "--max-clients", " 1" },
		{ "--max-clients", "" },
		{ "--queue-packets", "0" },
		{ "--queue-packets", "65537" },
		{ "--keepalive", "0" },
		{ "--keepalive", "101" },
		{ "--keepalive", "99999999999999999999" },
		{ "--hostname", "" },
	};
	struct relay_opt o;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(parse(&o, bad[i]), -DT_ERR_SYNTAX, "%s %s", bad[i][0],
		    bad[i][1] != NULL ? bad[i][1] : "");
	EQ_INT(PARSE(&o, "--plain-http", "--tls-cert", "a", "--tls-key", "b"),
	    -DT_ERR_SYNTAX, "plain with a certificate");
}

int
main(void)
{
	test_good();
	test_bad();
	return tap_done();
}
