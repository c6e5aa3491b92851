/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP heads as a server and as a client read them. */
#include <stdlib.h>

#include "proto/derp/derp_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const struct derp_http_head *h, struct derp_http_text t,
    const uint8_t *data)
{
	const char *begin = (const char *)data;

	if (t.p == NULL ? t.len != 0
			: t.p < begin || t.p + t.len > begin + h->head_len)
		abort();
}

static void
check(const struct derp_http_head *h, const uint8_t *data, size_t size)
{
	if (h->head_len > size || h->head_len > DERP_HTTP_MAX_HEAD)
		abort();
	check_text(h, h->method, data);
	check_text(h, h->target, data);
	check_text(h, h->path, data);
	check_text(h, h->query, data);
	check_text(h, h->reason, data);
	for (size_t i = 0; i < h->n_fields; i++) {
		check_text(h, h->fields[i].name, data);
		check_text(h, h->fields[i].value, data);
	}
	(void)derp_http_upgrade(h);
	(void)derp_http_is_fast_start(h);
	(void)derp_http_is_not_ideal(h);
	(void)derp_http_has_token(h, "Connection", "upgrade");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct derp_http_head h;

	if (derp_http_parse_request(data, size, &h) == 0)
		check(&h, data, size);
	if (derp_http_parse_response(data, size, &h) == 0)
		check(&h, data, size);
	return 0;
}
