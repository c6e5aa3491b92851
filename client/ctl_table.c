/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ctl_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli_out.h"
#include "lib/log.h"

/* Columns of the widest table, and text of one cell. */
#define MAX_COLUMNS 12
#define MAX_CELL 512

/* "host:port state" for the relay of a session. */
static bool
relay_cell(char out[MAX_CELL], const json_t *value)
{
	const char *host = json_string_value(json_object_get(value, "host"));
	const char *state = json_string_value(json_object_get(value, "state"));

	if (host == NULL || state == NULL)
		return false;
	(void)snprintf(out, MAX_CELL, "%s:%lld %s", host,
	    (long long)json_integer_value(json_object_get(value, "port")),
	    state);
	return true;
}

/* Names and reasons may come from a peer: escaped. */
static void
cell(char out[MAX_CELL], const json_t *value)
{
	char *text = NULL;

	if (value == NULL || json_is_null(value)) {
		memcpy(out, "-", 2);
	} else if (json_is_string(value)) {
		log_escape(out, MAX_CELL, json_string_value(value),
		    json_string_length(value));
		if (*out == '\0')
			memcpy(out, "-", 2);
	} else if (!relay_cell(out, value)) {
		text = json_dumps(
		    value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		(void)snprintf(out, MAX_CELL, "%s", text != NULL ? text : "?");
	}
	free(text);
}

int
ctl_table_finish(void)
{
	char reason[CLI_OUT_MAX_REASON];

	if (fflush(stdout) == 0 && !ferror(stdout))
		return CLI_EXIT_OK;
	cli_out_error("write stdout: %s", cli_out_reason(-errno, reason));
	return CLI_EXIT_LOCAL_IO;
}

static void
print_title(const char *name)
{
	for (; *name != '\0'; name++)
		(void)putchar(toupper((unsigned char)*name));
}

static void
pad(size_t have, size_t want)
{
	for (; have < want + 2; have++)
		(void)putchar(' ');
}

static void
measure(const json_t *list, const char *const *columns, size_t *widths)
{
	char text[MAX_CELL];

	for (size_t c = 0; columns[c] != NULL; c++) {
		widths[c] = strlen(columns[c]);
		for (size_t i = 0; i < json_array_size(list); i++) {
			cell(text, json_object_get(
				       json_array_get(list, i), columns[c]));
			if (strlen(text) > widths[c])
				widths[c] = strlen(text);
		}
	}
}

int
ctl_table_print(const json_t *list, const char *const *columns)
{
	size_t widths[MAX_COLUMNS];
	char text[MAX_CELL];

	measure(list, columns, widths);
	for (size_t c = 0; columns[c] != NULL; c++) {
		print_title(columns[c]);
		if (columns[c + 1] != NULL)
			pad(strlen(columns[c]), widths[c]);
	}
	(void)putchar('\n');
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);

		for (size_t c = 0; columns[c] != NULL; c++) {
			cell(text, json_object_get(row, columns[c]));
			(void)fputs(text, stdout);
			if (columns[c + 1] != NULL)
				pad(strlen(text), widths[c]);
		}
		(void)putchar('\n');
	}
	return ctl_table_finish();
}

int
ctl_table_fields(json_t *object)
{
	char text[MAX_CELL];
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (json_is_array(value) || json_is_object(value))
			continue;
		cell(text, value);
		(void)printf("%s: %s\n", key, text);
	}
	return ctl_table_finish();
}

int
ctl_table_line(json_t *object)
{
	char text[MAX_CELL];
	const char *key;
	json_t *value;
	const char *gap = "";

	json_object_foreach(object, key, value) {
		cell(text, value);
		(void)printf("%s%s=%s", gap, key, text);
		gap = " ";
	}
	(void)putchar('\n');
	return ctl_table_finish();
}
