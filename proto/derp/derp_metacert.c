/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/derp/derp_metacert.h"

#include <sodium.h>
#include <string.h>

#include "lib/err.h"

#define PREFIX_LEN (sizeof(DERP_METACERT_PREFIX) - 1)
#define HEX_LEN (DERP_METACERT_NAME_LEN - PREFIX_LEN)

bool
derp_metacert_is_name(const char *cn, size_t len)
{
	return len >= PREFIX_LEN &&
	       memcmp(cn, DERP_METACERT_PREFIX, PREFIX_LEN) == 0;
}

/* 1 .. 255, however many zeros lead. */
static bool
is_serial(const uint8_t *serial, size_t len)
{
	while (len > 1 && serial[0] == 0) {
		serial++;
		len--;
	}
	return len == 1 && serial[0] != 0;
}

int
derp_metacert_parse(const char *cn, size_t len, const uint8_t *serial,
    size_t serial_len, struct key32 *ret_server_public)
{
	struct key32 key;
	size_t n;

	if (!derp_metacert_is_name(cn, len))
		return -DT_ERR_KIND;
	if (len != DERP_METACERT_NAME_LEN || !is_serial(serial, serial_len))
		return -DT_ERR_SYNTAX;
	if (sodium_hex2bin(key.b, sizeof(key.b), cn + PREFIX_LEN, HEX_LEN, NULL,
		&n, NULL) != 0 ||
	    n != sizeof(key.b))
		return -DT_ERR_SYNTAX;
	if (secret_is_zero(key.b, sizeof(key.b)))
		return -DT_ERR_KEY;
	*ret_server_public = key;
	return 0;
}

void
derp_metacert_name(char out[static DERP_METACERT_NAME_LEN + 1],
    const struct key32 *server_public)
{
	memcpy(out, DERP_METACERT_PREFIX, PREFIX_LEN);
	(void)sodium_bin2hex(out + PREFIX_LEN, HEX_LEN + 1, server_public->b,
	    sizeof(server_public->b)); /* the size is right by construction */
}
