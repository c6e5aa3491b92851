/* SPDX-License-Identifier: BSD-3-Clause */
/* All sets are in one list, last used first. */
#include "daemon/roots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct roots *all;
static struct tls_ctx *system_tls;

/* Frees what nobody uses, but for the @keep last used ones. */
static void
prune(size_t keep)
{
	struct roots **at = &all;

	while (*at != NULL) {
		struct roots *r = *at;

		if (r->refs > 0 || keep > 0) {
			keep -= r->refs > 0 ? 0 : 1;
			at = &r->next;
			continue;
		}
		*at = r->next;
		tls_ctx_free(r->tls);
		free(r);
	}
}

/* Takes it off the list. */
static struct roots *
find(const struct key32 *digest)
{
	for (struct roots **at = &all; *at != NULL; at = &(*at)->next) {
		struct roots *r = *at;

		if (memcmp(&r->digest, digest, sizeof(*digest)) == 0) {
			*at = r->next;
			return r;
		}
	}
	return NULL;
}

static int
make(const char *pem, size_t len, struct roots **ret_roots)
{
	struct roots *r = calloc(1, sizeof(*r));
	int res = -ENOMEM;

	if (r != NULL)
		res = tls_ctx_new_client(&r->tls, pem, len);
	if (res < 0) {
		free(r);
		return res;
	}
	*ret_roots = r;
	return 0;
}

int
roots_get(const char *pem, size_t len, struct roots **ret_roots)
{
	struct key32 digest;
	struct roots *r;
	int res;

	secret_sha256(&digest, pem, len);
	r = find(&digest);
	if (r == NULL) {
		res = make(pem, len, &r);
		if (res < 0)
			return res;
		r->digest = digest;
	}
	r->next = all;
	all = r;
	r->refs++;
	*ret_roots = r;
	return 0;
}

void
roots_put(struct roots *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	prune(ROOTS_MAX_IDLE);
}

int
roots_system(struct tls_ctx **ret_tls)
{
	int r = 0;

	if (system_tls == NULL)
		r = tls_ctx_new_client(&system_tls, NULL, 0);
	if (r == 0)
		*ret_tls = system_tls;
	return r;
}

void
roots_forget(void)
{
	tls_ctx_free(system_tls);
	system_tls = NULL;
	prune(0);
}
