/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/roots.h"
#include "lib/err.h"
#include "lib/mono.h"
#include "proto/tls/tls_selfsigned.h"
#include "test/tap.h"

#define N (ROOTS_MAX_IDLE + 2)

static char pem[N][TLS_SELFSIGNED_MAX_PEM];

static struct roots *
get(int i)
{
	struct roots *r = NULL;

	OK(roots_get(pem[i], strlen(pem[i]), &r) == 0 && r->tls != NULL,
	    "set %d", i);
	return r;
}

static void
test_shared(void)
{
	struct roots *a = get(0), *b = get(0), *c = get(1);

	OK(a == b, "the same text: the same set");
	OK(a != c, "another text: another");
	EQ_INT(a->refs, 2, "counted");
	roots_put(b);
	roots_put(c);
	roots_put(a);
	OK(get(0) == a, "kept when nobody uses it");
	EQ_INT(a->refs, 1, "used again");
	roots_put(a);
	roots_put(NULL);
}

static void
test_limit(void)
{
	struct roots *used = get(0);
	struct tls_ctx *first;
	struct roots *r;
	size_t n = 0;

	for (int i = 1; i < N; i++)
		roots_put(get(i));
	for (r = used; r != NULL; r = r->next)
		n++;
	EQ_INT(n, 1, "the one in use is the oldest");
	OK(get(0) == used, "and stays");
	for (r = used->next, n = 0; r != NULL; r = r->next)
		n++;
	EQ_INT(n, ROOTS_MAX_IDLE, "so many that nobody uses");
	first = used->next->tls;
	r = get(N - 1);
	OK(r->tls == first, "the last ones used");
	roots_put(r);
	roots_put(used);
	roots_put(used);
	roots_forget();
	OK(get(0) != NULL, "read again when forgotten");
}

static void
test_bad(void)
{
	struct roots *r = NULL;

	EQ_INT(roots_get("x", 1, &r), -DT_ERR_SYNTAX, "no certificate");
	OK(r == NULL, "nothing given");
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	for (int i = 0; i < N; i++) {
		struct tls_selfsigned pair;
		char name[32];

		(void)snprintf(name, sizeof(name), "relay%d.example", i);
		if (tls_selfsigned_make(&pair, name, mono_unix_seconds()) != 0)
			return 1;
		memcpy(pem[i], pair.cert_pem, sizeof(pem[i]));
	}
	test_shared();
	test_limit();
	test_bad();
	roots_forget();
	return tap_done();
}
