/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads test/vectors/derp.txt for the tests of proto/derp and proto/stun. */
#ifndef TEST_UNIT_DERP_VECTOR_H
#define TEST_UNIT_DERP_VECTOR_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"

/* One line of the file and the longest of its vectors. */
#define VECTOR_MAX_LINE 1024
#define VECTOR_MAX_LEN 256

struct vector {
	uint8_t p[VECTOR_MAX_LEN];
	size_t len;
};

/* The vector called @name; ends the program if there is none. */
static inline struct vector
vector_get(const char *name)
{
	char path[512], line[VECTOR_MAX_LINE];
	const char *dir = getenv("VECTORS");
	size_t name_len = strlen(name);
	struct vector v = { .len = 0 };
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/derp.txt",
	    dir != NULL ? dir : "test/vectors");
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, name_len) != 0 || line[name_len] != ' ')
			continue;
		if (sodium_hex2bin(v.p, sizeof(v.p), line + name_len,
			strcspn(line + name_len, "\n"), " ", &v.len, NULL) != 0)
			break;
		(void)fclose(f);
		return v;
	}
	printf("Bail out! no vector %s in %s\n", name, path);
	exit(1);
}

static inline struct key32
vector_key(const char *name)
{
	struct vector v = vector_get(name);
	struct key32 k;

	memcpy(k.b, v.p, sizeof(k.b));
	return k;
}

#endif
