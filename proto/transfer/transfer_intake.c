/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HEADER until the header is complete and accepted, then BODY.  A file of known
 * size may have neither less nor more; everything else ends with its streams.
 */
#include "proto/transfer/transfer_intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "proto/transfer/transfer_name.h"

void
transfer_intake_init(struct transfer_intake *in, const char *verify)
{
	memset(in, 0, sizeof(*in));
	(void)snprintf(
	    in->verify, sizeof(in->verify), "%s", verify != NULL ? verify : "");
	transfer_header_rx_init(&in->rx);
}

void
transfer_intake_fini(struct transfer_intake *in)
{
	transfer_header_rx_fini(&in->rx);
}

__attribute__((format(printf, 3, 4))) static int
fail(struct transfer_intake *in, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(in->reason, sizeof(in->reason), fmt, ap);
	va_end(ap);
	in->error = r;
	return r;
}

/* The header is complete: do we want it? */
static int
judge_header(struct transfer_intake *in)
{
	const struct transfer_header *h = &in->header;
	char quoted[TRANSFER_NAME_QUOTED(16)];

	in->header_len = fifo_len(&in->rx.have);
	transfer_header_rx_fini(&in->rx);
	if (h->kind == TRANSFER_KIND_UNKNOWN)
		return fail(in, -DT_ERR_PEER_PROTOCOL,
		    "unsupported derphole transfer kind %s", h->kind_text);
	if (in->verify[0] != '\0' && h->verify[0] != '\0' &&
	    strcmp(in->verify, h->verify) != 0) {
		(void)transfer_name_quote(
		    quoted, sizeof(quoted), h->verify, strlen(h->verify));
		return fail(in, -DT_ERR_PEER_PROTOCOL,
		    "verification mismatch: got %s, want \"%s\"", quoted,
		    in->verify);
	}
	in->has_header = true;
	return 0;
}

static int
take_header(
    struct transfer_intake *in, const uint8_t *p, size_t len, size_t *ret_used)
{
	const char *text = "";
	int r = transfer_header_rx_input(
	    &in->rx, p, len, ret_used, &in->header, &text);

	if (r == 1)
		return judge_header(in);
	if (r == -ENOMEM)
		return fail(in, r, "%s", text);
	return r < 0 ? fail(in, -DT_ERR_PEER_PROTOCOL, "%s", text) : 0;
}

static bool
has_size(const struct transfer_intake *in)
{
	return in->header.kind == TRANSFER_KIND_FILE && in->header.size > 0;
}

int
transfer_intake_input(struct transfer_intake *in, const uint8_t *p, size_t len,
    size_t *ret_used, const uint8_t **ret_body, size_t *ret_body_len)
{
	*ret_used = 0;
	*ret_body = NULL;
	*ret_body_len = 0;
	if (in->error < 0 || len == 0)
		return in->error;
	if (!in->has_header)
		return take_header(in, p, len, ret_used);
	if (has_size(in) && len > (uint64_t)in->header.size - in->body)
		return fail(in, -DT_ERR_PEER_PROTOCOL,
		    "file transfer has more than %" PRId64 " bytes",
		    in->header.size);
	in->body += len;
	*ret_used = len;
	*ret_body = p;
	*ret_body_len = len;
	return 0;
}

int
transfer_intake_end(struct transfer_intake *in)
{
	if (in->error < 0)
		return in->error;
	if (!in->has_header)
		return fail(in, -DT_ERR_TRUNCATED,
		    fifo_len(&in->rx.have) == 0 ? "EOF" : "unexpected EOF");
	if (has_size(in) && in->body < (uint64_t)in->header.size)
		return fail(in, -DT_ERR_TRUNCATED,
		    "incomplete file transfer: received %" PRIu64 " of %" PRId64
		    ": EOF",
		    in->body, in->header.size);
	return 0;
}

const struct transfer_header *
transfer_intake_peek_header(const struct transfer_intake *in)
{
	return in->has_header ? &in->header : NULL;
}

int64_t
transfer_intake_total(const struct transfer_intake *in)
{
	uint64_t total;

	if (!in->has_header || !has_size(in))
		return -1;
	total = (uint64_t)in->header.size + in->header_len;
	return total <= INT64_MAX ? (int64_t)total : -1;
}

const char *
transfer_intake_reason(const struct transfer_intake *in)
{
	return in->reason;
}
