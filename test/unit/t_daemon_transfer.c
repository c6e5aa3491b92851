/* SPDX-License-Identifier: BSD-3-Clause */
/* What callers say about transfers: parameters, header, verification. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/transfer.h"
#include "lib/fd.h"
#include "lib/secret.h"
#include "proto/token/token_session.h"
#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_policy.h"
#include "test/tap.h"

/* @json: with ' for ".  @fd is taken. */
static int
parse(const char *json, bool issuer, int fd, struct transfer **ret)
{
	char text[8192];
	const char *why = NULL;
	json_t *params;
	int r, fds[1] = { fd };

	(void)snprintf(text, sizeof(text), "%s", json);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	params = json_loads(text, 0, NULL);
	r = transfer_parse(params, issuer, fds, fd >= 0 ? 1 : 0, ret, &why);
	if (r < 0)
		fd_close(&fds[0]);
	json_decref(params);
	return r;
}

static bool
is_refused(const char *json, bool issuer, int fd)
{
	struct transfer *t = NULL;
	int r = parse(json, issuer, fd, &t);

	transfer_free(t);
	return r == -EINVAL;
}

static void
test_roles(void)
{
	struct transfer *t;

	EQ_INT(parse("{'direction':'receive','blocks':true}", true,
		   open("/dev/null", O_WRONLY | O_CLOEXEC), &t),
	    0, "listen");
	EQ_INT(t->boot.role, TRANSFER_RECEIVE_ISSUER, "its role");
	EQ_INT(t->boot.size, -1, "no size is unknown");
	EQ_INT(transfer_capabilities(t), 0x81, "its token");
	OK(t->boot.blocks && !t->boot.structured && t->fd >= 0, "its sink");
	transfer_free(t);
	EQ_INT(parse("{'direction':'send','size':7,'streams':16,"
		     "'accept_ms':-1}",
		   false, open("/dev/null", O_RDONLY | O_CLOEXEC), &t),
	    0, "pipe");
	EQ_INT(t->boot.role, TRANSFER_SEND_CLAIMANT, "its role");
	EQ_INT(transfer_capabilities(t), 0x81, "its token");
	EQ_INT(t->boot.size, 7, "its size");
	EQ_INT(t->boot.accept_limit_ms, -1, "its patience");
	transfer_free(t);
	EQ_INT(
	    parse("{'direction':'receive','structured':true}", false, -1, &t),
	    0, "receive");
	EQ_INT(t->boot.role, TRANSFER_RECEIVE_CLAIMANT, "its role");
	EQ_INT(transfer_capabilities(t), 0x88, "its token");
	EQ_INT(transfer_set_token(t, "EXAMPLE-TOKEN"), 0, "a token");
	EQ_STR(t->boot.verify, "A52F-6B43-8782", "what it must read");
	transfer_free(t);
}

static void
test_refusals(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	OK(is_refused("{'direction':'up'}", true, -1), "neither way");
	OK(is_refused("{'direction':'send'}", true, -1), "no source");
	OK(is_refused("{'direction':'receive'}", true, -1), "no sink");
	OK(is_refused(
	       "{'direction':'receive','structured':true}", true, dup(fd)),
	    "a sink for what is asked for later");
	OK(is_refused("{'direction':'send','structured':true}", true, dup(fd)),
	    "no header");
	OK(is_refused("{'direction':'send','header':'AAAA'}", true, dup(fd)),
	    "a header that is not wanted");
	OK(is_refused("{'direction':'send','structured':true,'header':'+'}",
	       true, dup(fd)),
	    "a header that is no base64url");
	OK(is_refused("{'direction':'send','size':-2}", true, dup(fd)),
	    "a size below");
	OK(is_refused("{'direction':'send','offset':-1}", true, dup(fd)),
	    "an offset below");
	OK(is_refused("{'direction':'send','streams':17}", true, dup(fd)),
	    "too many streams");
	OK(is_refused("{'direction':'send','streams':-1}", true, dup(fd)),
	    "too few streams");
	OK(is_refused("{'direction':'send','accept_ms':-2}", false, dup(fd)),
	    "a limit below");
	OK(is_refused("{'direction':'receive','structured':true,"
		      "'positioned':true}",
	       true, -1),
	    "nothing has no positions");
	fd_close(&fd);
}

static void
test_header(void)
{
	struct transfer_header h = { .kind = TRANSFER_KIND_FILE,
		.version = 1,
		.size = 123456,
		.name = "photo.jpg" };
	uint8_t raw[TRANSFER_HEADER_MAX_OWN];
	struct buf_writer w = buf_writer(raw, sizeof(raw));
	char text[512], json[1024];
	struct transfer *t;

	EQ_INT(transfer_header_encode(&w, &h), 0, "a header");
	EQ_INT(token_text_base64_encode(text, sizeof(text), raw, w.len), 0,
	    "as text");
	(void)snprintf(json, sizeof(json),
	    "{'direction':'send','structured':true,'header':'%s'}", text);
	EQ_INT(parse(json, true, open("/dev/null", O_RDONLY | O_CLOEXEC), &t),
	    0, "send");
	EQ_INT(t->boot.header_len, w.len, "is taken as it is");
	EQ_INT(transfer_capabilities(t), 0x88, "its token");
	EQ_INT(transfer_set_token(t, "EXAMPLE-TOKEN"), 0, "a token");
	memset(&h, 0, sizeof(h));
	EQ_INT(transfer_header_decode(
		   &h, t->boot.header, t->boot.header_len, NULL),
	    0, "still a header");
	EQ_STR(h.verify, "A52F-6B43-8782", "now with the string");
	EQ_STR(h.name, "photo.jpg", "and its name");
	EQ_INT(h.size, 123456, "and its size");
	t->boot.header_len = 12;
	OK(transfer_set_token(t, "EXAMPLE-TOKEN") < 0, "a broken one");
	transfer_free(t);
	EQ_STR(
	    transfer_kind_name(TRANSFER_KIND_DIRECTORY), "directory", "a kind");
	OK(transfer_kind_name(TRANSFER_KIND_SSH_ACCEPT) == NULL,
	    "what is not received like this");
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_roles();
	test_refusals();
	test_header();
	return tap_done();
}
