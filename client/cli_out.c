/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_out.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/log.h"

/* A line for people: a word of the user's (512) and a reason of the peer's. */
#define MAX_LINE 2048

const char *
cli_out_reason(int r, char buf[static CLI_OUT_MAX_REASON])
{
	(void)snprintf(buf, CLI_OUT_MAX_REASON, "%s", err_str(r));
	/* "Address in use", but not "TLS failed". */
	if (buf[0] != '\0' && islower((unsigned char)buf[1]))
		buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

__attribute__((format(printf, 1, 0))) static void
say(const char *fmt, va_list ap)
{
	char raw[MAX_LINE], line[MAX_LINE];

	/* Cut lines are fine for people. */
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	log_escape(line, sizeof(line), raw, strlen(raw));
	(void)fprintf(stderr, "%s\n", line); /* nowhere left to complain */
}

void
cli_out_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void
cli_out_note(const struct cli_out *o, const char *fmt, ...)
{
	va_list ap;

	if (o->json)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void
cli_out_status(const struct cli_out *o, const char *fmt, ...)
{
	va_list ap;

	if (o->json || !o->verbose)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int
cli_out_payload(const char *text)
{
	char reason[CLI_OUT_MAX_REASON];

	if (fprintf(stdout, "%s\n", text) >= 0 && fflush(stdout) == 0)
		return CLI_EXIT_OK;
	cli_out_error("write stdout: %s", cli_out_reason(-errno, reason));
	return CLI_EXIT_LOCAL_IO;
}

static char *
print(const json_t *value, size_t flags)
{
	return json_dumps(value, flags | JSON_ENSURE_ASCII);
}

/* Returns 0 or -errno. */
static int
print_event(const struct cli_out *o, json_t *event)
{
	char *text = o->json ? print(event, JSON_COMPACT) : NULL;
	int r = 0;

	if (o->json && text == NULL)
		r = -ENOMEM;
	else if (o->json && (fprintf(o->events, "%s\n", text) < 0 ||
				fflush(o->events) != 0))
		r = -errno;
	free(text);
	json_decref(event);
	return r;
}

void
cli_out_event(const struct cli_out *o, json_t *event)
{
	(void)print_event(o, event); /* a gone reader ends nothing */
}

int
cli_out_answer(const struct cli_out *o, json_t *event)
{
	char reason[CLI_OUT_MAX_REASON];
	int r = print_event(o, event);

	if (r == 0)
		return CLI_EXIT_OK;
	cli_out_error("write --json: %s", cli_out_reason(r, reason));
	return CLI_EXIT_LOCAL_IO;
}

int
cli_out_result(const json_t *result)
{
	char *text = print(result, JSON_INDENT(2));
	int code;

	if (text == NULL) {
		cli_out_error("out of memory");
		return CLI_EXIT_FAILED;
	}
	code = cli_out_payload(text);
	free(text);
	return code;
}
