/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/signer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chan.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/ratelimit.h"

/* The zero byte behind it is the string's terminator. */
static const char signer_context[] = "TLS 1.3, server CertificateVerify";

_Static_assert(64 + sizeof(signer_context) == SIGNER_PREFIX_LEN,
    "blanks, context and zero byte make the prefix");

/* Owner: its session. */
struct signer {
	struct key32 seed;
	struct ratelimit limit;
	bool told; /* of a refusal */
	struct chan *chan;
};

bool
signer_is_permitted(const uint8_t *p, size_t len)
{
	if (len != SIGNER_PREFIX_LEN + 32 && len != SIGNER_PREFIX_LEN + 48)
		return false;
	for (size_t i = 0; i < 64; i++)
		if (p[i] != ' ')
			return false;
	return memcmp(p + 64, signer_context, sizeof(signer_context)) == 0;
}

/* NOLINTBEGIN(readability-non-const-parameter): a callback's type */
static void
on_request(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct signer *s = arg;
	uint8_t answer[SIGNER_SIGNATURE_LEN] = { 0 };
	size_t n = 1;

	(void)fds;
	if (n_fds == 0 && signer_is_permitted(msg, len) &&
	    ratelimit_take(&s->limit, now)) {
		secret_ed25519_sign(answer, &s->seed, msg, len);
		n = sizeof(answer);
	} else if (!s->told) {
		s->told = true; /* once: a hostile worker could go on */
		log_warn("signer", "refused to sign a message len=%zu", len);
	}
	/* A worker that does not read waits for its own deadline. */
	(void)chan_send(s->chan, answer, n, NULL, 0);
}

static void
on_closed(void *arg, int r)
{
	(void)arg;
	(void)r; /* the worker's end is told elsewhere */
}

int
signer_new(struct loop *loop, const struct key32 *seed,
    struct signer **ret_signer, int *ret_fd)
{
	struct chan_params p = {
		.loop = loop,
		.max_message = SIGNER_MAX_REQUEST,
		.max_queued = (size_t)SIGNER_BURST * SIGNER_SIGNATURE_LEN,
		.full = CHAN_FULL_FAILS,
		.on_message = on_request,
		.on_closed = on_closed,
	};
	struct signer *s = calloc(1, sizeof(*s));
	int ours, theirs, r;

	if (s == NULL)
		return -ENOMEM;
	r = fd_seqpacket_pair(&ours, &theirs, 0);
	if (r < 0) {
		free(s);
		return r;
	}
	p.fd = ours;
	p.arg = s;
	s->chan = chan_new(&p);
	if (s->chan == NULL) {
		fd_close(&ours);
		fd_close(&theirs);
		free(s);
		return -ENOMEM;
	}
	s->seed = *seed;
	ratelimit_init(&s->limit, SIGNER_RATE, SIGNER_BURST, loop_now(loop));
	*ret_signer = s;
	*ret_fd = theirs;
	return 0;
}

void
signer_free(struct signer *s)
{
	if (s == NULL)
		return;
	chan_free(s->chan);
	secret_wipe(s, sizeof(*s));
	free(s);
}
