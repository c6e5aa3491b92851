/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/sendq.h"

#include <fcntl.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"

static int
push_fd(struct sendq *q)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r = fd >= 0 ? sendq_push(q, "x", 1, -1, &fd, 1) : -1;

	if (r < 0)
		fd_close(&fd); /* not taken */
	return r;
}

/* Who does not read must not use up the descriptors of who sends. */
static void
test_fds(void)
{
	struct sendq q;
	size_t n = 0;

	sendq_init(&q, 1 << 20);
	while (n < SENDQ_MAX_FDS && push_fd(&q) == 0)
		n++;
	EQ_INT(n, SENDQ_MAX_FDS, "as many descriptors as permitted");
	EQ_INT(push_fd(&q), -DT_ERR_FULL, "one more is refused");
	EQ_INT(sendq_push(&q, "x", 1, -1, NULL, 0), 0, "bytes alone are not");
	OK(sendq_drop_oldest(&q), "the oldest goes");
	EQ_INT(push_fd(&q), 0, "and makes room");
	sendq_fini(&q);
	EQ_INT(q.n_fds, 0, "none is left");
	EQ_INT(q.bytes, 0, "no byte is left");
}

static void
test_flush(void)
{
	struct sendq q;
	int a = -1, b = -1;

	EQ_INT(fd_seqpacket_pair(&a, &b, 0), 0, "pair");
	sendq_init(&q, 1000);
	EQ_INT(push_fd(&q), 0, "one");
	EQ_INT(push_fd(&q), 0, "two");
	EQ_INT(sendq_flush(&q, a), 0, "sent");
	OK(sendq_empty(&q), "empty");
	EQ_INT(q.n_fds, 0, "sent ones do not count");
	sendq_fini(&q);
	fd_close(&a);
	fd_close(&b);
}

int
main(void)
{
	test_fds();
	test_flush();
	return tap_done();
}
