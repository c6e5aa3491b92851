/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"

#include <stddef.h>
#include <string.h>

struct err_row {
	int number;
	const char *name;
	const char *text;
};

static const struct err_row err_rows[] = {
#define DT_ERR_ROW(name, number, text) { number, #name, text },
	DT_ERR_LIST(DT_ERR_ROW)
#undef DT_ERR_ROW
};

static const struct err_row *
find(int r)
{
	for (size_t i = 0; i < sizeof(err_rows) / sizeof(err_rows[0]); i++)
		if (err_rows[i].number == -r)
			return &err_rows[i];
	return NULL;
}

const char *
err_str(int r)
{
	const struct err_row *row;
	const char *text;

	if (r == 0)
		return "success";
	row = find(r);
	if (row != NULL)
		return row->text;
	text = r < 0 && r > -DT_ERR_INTERNAL ? strerrordesc_np(-r) : NULL;
	return text != NULL ? text : "unknown error";
}

const char *
err_name(int r)
{
	const struct err_row *row;
	const char *name;

	if (r == 0)
		return "OK";
	row = find(r);
	if (row != NULL)
		return row->name;
	name = r < 0 && r > -DT_ERR_INTERNAL ? strerrorname_np(-r) : NULL;
	return name != NULL ? name : "UNKNOWN";
}

bool
err_is_peer_fault(int r)
{
	return r <= -DT_ERR_PEER_PROTOCOL && r >= -DT_ERR_PEER_GONE;
}
