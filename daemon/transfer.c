/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/secret.h"
#include "proto/token/token_session.h"
#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_policy.h"

_Static_assert(IPC_TRANSFER_MAX_HEADER == TRANSFER_HEADER_MAX_OWN,
    "a header of ours fits a boot message");
_Static_assert(IPC_TRANSFER_MAX_STREAMS == TRANSFER_MAX_STREAMS,
    "streams fit a boot message");

static bool
flag(const json_t *params, const char *name)
{
	return json_is_true(json_object_get(params, name));
}

static int64_t
number(const json_t *params, const char *name, int64_t absent)
{
	const json_t *v = json_object_get(params, name);

	return json_is_integer(v) ? json_integer_value(v) : absent;
}

/* Returns NULL or what is wrong. */
static const char *
parse_role(struct transfer *t, const json_t *params, bool issuer)
{
	const char *way =
	    json_string_value(json_object_get(params, "direction"));
	bool sends = way != NULL && strcmp(way, "send") == 0;
	enum transfer_role role = TRANSFER_RECEIVE_CLAIMANT;

	if (!sends && (way == NULL || strcmp(way, "receive") != 0))
		return "direction is send or receive";
	if (sends)
		role = issuer ? TRANSFER_SEND_ISSUER : TRANSFER_SEND_CLAIMANT;
	else if (issuer)
		role = TRANSFER_RECEIVE_ISSUER;
	t->boot.role = (uint8_t)role;
	return NULL;
}

static const char *
parse_numbers(struct transfer *t, const json_t *params)
{
	int64_t streams = number(params, "streams", 0);

	t->boot.size = number(params, "size", -1);
	t->boot.accept_limit_ms = number(params, "accept_ms", 0);
	t->offset = number(params, "offset", 0);
	if (t->boot.size < -1 || t->offset < 0)
		return "size or offset is negative";
	if (t->boot.accept_limit_ms < -1)
		return "accept_ms is negative";
	if (streams < 0 || streams > IPC_TRANSFER_MAX_STREAMS)
		return "streams is not 1-16";
	t->boot.streams = (uint8_t)streams;
	return NULL;
}

static const char *
parse_header(struct transfer *t, const json_t *params)
{
	const char *text = json_string_value(json_object_get(params, "header"));
	bool wanted = t->boot.structured && transfer_is_sender(t);
	size_t len = 0;

	if ((text != NULL) != wanted)
		return "a header goes with a structured sender, and only there";
	if (text == NULL)
		return NULL;
	if (token_text_base64_decode(t->boot.header, sizeof(t->boot.header),
		&len, text, strlen(text), NULL) < 0)
		return "header is no base64url, or too long";
	t->boot.header_len = (uint16_t)len;
	return NULL;
}

static const char *
take_fd(struct transfer *t, int *fds, size_t n_fds)
{
	bool wanted = transfer_is_sender(t) || !t->boot.structured;

	for (size_t i = 0; i < n_fds && t->fd < 0; i++) {
		t->fd = fds[i];
		fds[i] = -1; /* transferred */
	}
	if ((t->fd >= 0) != wanted)
		return wanted ? "a descriptor must be attached"
			      : "this takes no descriptor";
	/* Whether it has positions, the worker finds out: asking a file system
	 * may take for ever. */
	if (t->positioned && t->fd < 0)
		return "only a descriptor has positions";
	return NULL;
}

int
transfer_parse(const json_t *params, bool issuer, int *fds, size_t n_fds,
    struct transfer **ret_transfer, const char **ret_why)
{
	struct transfer *t = calloc(1, sizeof(*t));
	const char *why;

	*ret_why = "out of memory";
	if (t == NULL)
		return -ENOMEM;
	t->fd = -1;
	t->boot.structured = flag(params, "structured");
	t->boot.blocks = flag(params, "blocks");
	t->positioned = flag(params, "positioned");
	why = parse_role(t, params, issuer);
	if (why == NULL)
		why = parse_numbers(t, params);
	if (why == NULL)
		why = parse_header(t, params);
	if (why == NULL)
		why = take_fd(t, fds, n_fds);
	if (why != NULL) {
		transfer_free(t);
		*ret_why = why;
		return -EINVAL;
	}
	*ret_transfer = t;
	return 0;
}

void
transfer_free(struct transfer *t)
{
	if (t == NULL)
		return;
	fd_close(&t->fd);
	secret_wipe(t, sizeof(*t));
	free(t);
}

bool
transfer_is_sender(const struct transfer *t)
{
	return transfer_policy_is_sender((enum transfer_role)t->boot.role);
}

uint32_t
transfer_capabilities(const struct transfer *t)
{
	/* Named for what the token's maker does. */
	switch ((enum transfer_role)t->boot.role) {
	case TRANSFER_SEND_ISSUER:
	case TRANSFER_RECEIVE_CLAIMANT:
		return TOKEN_CAP_STDIO_OFFER | TOKEN_CAP_TRANSFER_V2;
	case TRANSFER_RECEIVE_ISSUER:
	case TRANSFER_SEND_CLAIMANT:
	default:
		return TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2;
	}
}

/* The caller's header once more, now with the string. */
static int
set_header(struct transfer *t, const char *verify)
{
	struct transfer_header *h = malloc(sizeof(*h));
	struct buf_writer w =
	    buf_writer(t->boot.header, sizeof(t->boot.header));
	int r = -ENOMEM;

	if (h != NULL)
		r = transfer_header_decode(
		    h, t->boot.header, t->boot.header_len, NULL);
	if (r == 0) {
		(void)snprintf(h->verify, sizeof(h->verify), "%s", verify);
		r = transfer_header_encode(&w, h);
	}
	if (r == 0)
		t->boot.header_len = (uint16_t)w.len;
	free(h);
	return r;
}

int
transfer_set_token(struct transfer *t, const char *token)
{
	char verify[TOKEN_SESSION_VERIFICATION_LEN];

	if (!t->boot.structured)
		return 0;
	token_session_verification(token, verify);
	if (transfer_is_sender(t))
		return set_header(t, verify);
	(void)snprintf(t->boot.verify, sizeof(t->boot.verify), "%s", verify);
	return 0;
}

const char *
transfer_kind_name(uint8_t kind)
{
	switch (kind) {
	case TRANSFER_KIND_TEXT:
		return "text";
	case TRANSFER_KIND_FILE:
		return "file";
	case TRANSFER_KIND_DIRECTORY:
		return "directory";
	default:
		return NULL;
	}
}
