/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/signer.h"

#include <poll.h>
#include <string.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/mono.h"

/* The daemon signs at once, or it hangs; the handshake has 10 s. */
#define SIGNER_WAIT_US (2 * MONO_SEC)
#define SIGNATURE_LEN 64

/* One answer, whatever it holds: bytes, or an error. */
static ssize_t
take_answer(int fd, struct mono deadline, uint8_t answer[SIGNATURE_LEN + 1])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = mono_diff(deadline, mono_now());
	int fds[FD_MAX_PASSED];
	size_t n_fds = 0;
	ssize_t n;

	if (left < 0 || poll(&p, 1, (int)(left / MONO_MS)) != 1)
		return -DT_ERR_TIMEOUT;
	n = fd_recv(fd, answer, SIGNATURE_LEN + 1, fds, &n_fds);
	for (size_t i = 0; n > 0 && i < n_fds; i++)
		fd_close(&fds[i]);
	return n == 0 ? -DT_ERR_CLOSED : n;
}

int
signer_ask(
    void *arg, const uint8_t *msg, size_t len, uint8_t ret_sig[static 64])
{
	struct signer *s = arg;
	struct mono deadline = mono_add(mono_now(), SIGNER_WAIT_US);
	uint8_t answer[SIGNATURE_LEN + 1];
	ssize_t n = fd_send(s->fd, msg, len, NULL, 0);

	if (n < 0)
		return (int)n;
	/* Those to earlier questions, which were not waited for, come first. */
	for (s->unanswered++; s->unanswered > 0; s->unanswered--) {
		n = take_answer(s->fd, deadline, answer);
		if (n < 0)
			return (int)n;
	}
	if (n != SIGNATURE_LEN)
		return -DT_ERR_AUTH;
	memcpy(ret_sig, answer, SIGNATURE_LEN);
	return 0;
}
