/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_target.h"
#include "lib/err.h"
#include "test/tap.h"

struct row {
	const char *text;
	const char *host; /* NULL: refused */
	uint16_t port;
};

static const struct row targets[] = {
	{ "127.0.0.1:3000", "127.0.0.1", 3000 },
	{ "localhost:65535", "localhost", 65535 },
	{ "[::1]:22", "::1", 22 },
	{ "db.lan:1", "db.lan", 1 },
	{ ":8080", "localhost", 8080 },
	{ "127.0.0.1:0", NULL, 0 },
	{ "127.0.0.1:65536", NULL, 0 },
	{ "127.0.0.1:", NULL, 0 },
	{ "127.0.0.1", NULL, 0 },
	{ "3000", NULL, 0 },
	{ "", NULL, 0 },
	{ ":", NULL, 0 },
	{ "::1:22", NULL, 0 },
	{ "[::1]", NULL, 0 },
	{ "[::1:22", NULL, 0 },
	{ "host:no-such-service", NULL, 0 },
	{ "::1:no-such-service", NULL, 0 },
	{ "host:-1", NULL, 0 },
	{ "host:1x", NULL, 0 },
};

static const struct row listeners[] = {
	{ "127.0.0.1:0", "127.0.0.1", 0 },
	{ ":8080", "", 8080 },
	{ ":0", "", 0 },
	{ "[::]:80", "::", 80 },
	{ "8080", NULL, 0 },
};

static void
check(const struct row *row, int (*parse)(struct cli_target *, const char *))
{
	struct cli_target t = { .host = "unchanged", .port = 7 };
	int r = parse(&t, row->text);

	EQ_INT(r, row->host != NULL ? 0 : -DT_ERR_SYNTAX, "\"%s\"", row->text);
	EQ_STR(t.host, row->host != NULL ? row->host : "unchanged", "host");
	EQ_INT(t.port, row->host != NULL ? row->port : 7, "port");
}

int
main(void)
{
	char text[ADDR_MAX_HOST + 16];
	struct cli_target t;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		check(&targets[i], cli_target_parse);
	for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++)
		check(&listeners[i], cli_target_parse_listen);
	memset(text, 'a', sizeof(text));
	memcpy(text + ADDR_MAX_HOST - 1, ":80", 4);
	EQ_INT(cli_target_parse(&t, text), 0, "the longest name");
	memset(text, 'a', sizeof(text));
	memcpy(text + ADDR_MAX_HOST, ":80", 4);
	EQ_INT(cli_target_parse(&t, text), -DT_ERR_SYNTAX, "one more");
	return tap_done();
}
