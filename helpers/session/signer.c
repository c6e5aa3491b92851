/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/signer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/err.h"
#include "lib/fd.h"

/* The daemon signs at once, or it hangs; the handshake has 10 s. */
#define SIGNER_WAIT_MS 2000
#define SIGNATURE_LEN 64

int
signer_ask(
    void *arg, const uint8_t *msg, size_t len, uint8_t ret_sig[static 64])
{
	const int *fd = arg;
	struct pollfd p = { .fd = *fd, .events = POLLIN };
	uint8_t answer[SIGNATURE_LEN + 1];
	int fds[FD_MAX_PASSED];
	size_t n_fds = 0;
	ssize_t n;

	/* An answer that came too late for an earlier question. */
	while (fd_recv(*fd, answer, sizeof(answer), fds, &n_fds) > 0)
		for (size_t i = 0; i < n_fds; i++)
			fd_close(&fds[i]);
	n = fd_send(*fd, msg, len, NULL, 0);
	if (n < 0)
		return (int)n;
	if (poll(&p, 1, SIGNER_WAIT_MS) != 1)
		return -DT_ERR_TIMEOUT;
	n = fd_recv(*fd, answer, sizeof(answer), fds, &n_fds);
	for (size_t i = 0; n > 0 && i < n_fds; i++)
		fd_close(&fds[i]);
	if (n != SIGNATURE_LEN)
		return n < 0 ? (int)n : -DT_ERR_AUTH;
	memcpy(ret_sig, answer, SIGNATURE_LEN);
	return 0;
}
