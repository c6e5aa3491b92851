/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden vectors of test/vectors/, for the tests of proto/token and
 * proto/rendezvous.  A vector that is missing ends the test. */
#ifndef TEST_UNIT_TOKEN_VECTORS_H
#define TEST_UNIT_TOKEN_VECTORS_H

#include <jansson.h>
#include <stdlib.h>

#include "proto/token/token_text.h"
#include "test/tap.h"

static inline json_t *
vectors_load(const char *name)
{
	const char *dir = getenv("VECTORS");
	char path[4096];
	json_t *v;

	(void)snprintf(path, sizeof(path), "%s/%s",
	    dir != NULL ? dir : "test/vectors", name);
	v = json_load_file(path, JSON_ALLOW_NUL, NULL);
	if (v == NULL) {
		printf("Bail out! no %s\n", path);
		exit(1);
	}
	return v;
}

/* Member @key of @o, which must be there. */
static inline json_t *
vectors_get(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (v == NULL) {
		printf("Bail out! no member %s\n", key);
		exit(1);
	}
	return v;
}

static inline const char *
vectors_str(const json_t *o, const char *key)
{
	return json_string_value(vectors_get(o, key));
}

static inline int64_t
vectors_int(const json_t *o, const char *key)
{
	return json_integer_value(vectors_get(o, key));
}

/* Hex member @key into @out; it must have exactly @n octets. */
static inline void
vectors_hex(const json_t *o, const char *key, void *out, size_t n)
{
	const char *s = vectors_str(o, key);

	if (token_text_hex_decode(out, n, s, strlen(s)) < 0) {
		printf("Bail out! %s is no %zu octets\n", key, n);
		exit(1);
	}
}

#endif
