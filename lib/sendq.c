/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/sendq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

void
sendq_init(struct sendq *q, size_t max_bytes)
{
	TAILQ_INIT(&q->items);
	q->bytes = 0;
	q->n_fds = 0;
	q->max_bytes = max_bytes;
}

static void
drop(struct sendq *q, struct sendq_item *it)
{
	TAILQ_REMOVE(&q->items, it, link);
	q->bytes -= it->len - it->sent;
	q->n_fds -= it->n_fds;
	for (size_t i = 0; i < it->n_fds; i++)
		fd_close(&it->fds[i]);
	free(it);
}

void
sendq_fini(struct sendq *q)
{
	while (sendq_drop_oldest(q))
		;
}

int
sendq_push(struct sendq *q, const void *p, size_t len, int tail, const int *fds,
    size_t n_fds)
{
	size_t total = len + (tail >= 0 ? 1 : 0);
	struct sendq_item *it;

	if (n_fds > FD_MAX_PASSED || total > q->max_bytes ||
	    q->bytes > q->max_bytes - total || q->n_fds + n_fds > SENDQ_MAX_FDS)
		return -DT_ERR_FULL;
	it = malloc(sizeof(*it) + total);
	if (it == NULL)
		return -ENOMEM;
	it->len = total;
	it->sent = 0;
	it->n_fds = n_fds;
	for (size_t i = 0; i < n_fds; i++)
		it->fds[i] = fds[i];
	memcpy(it->data, p, len);
	if (tail >= 0)
		it->data[len] = (uint8_t)tail;
	TAILQ_INSERT_TAIL(&q->items, it, link);
	q->bytes += total;
	q->n_fds += n_fds;
	return 0;
}

bool
sendq_drop_oldest(struct sendq *q)
{
	struct sendq_item *it = TAILQ_FIRST(&q->items);

	if (it == NULL)
		return false;
	/* The analyzer does not see that drop() takes it out of the list. */
	drop(q, it); /* NOLINT(clang-analyzer-unix.Malloc) */
	return true;
}

bool
sendq_is_shortage(ssize_t r)
{
	/* The last: too many descriptors of this user are in flight. */
	return r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS;
}

int
sendq_flush(struct sendq *q, int fd)
{
	struct sendq_item *it;

	while ((it = TAILQ_FIRST(&q->items)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
		ssize_t n = fd_send(fd, it->data + it->sent, it->len - it->sent,
		    it->fds, it->n_fds);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		/* Descriptors left with the first byte. */
		for (size_t i = 0; i < it->n_fds; i++)
			fd_close(&it->fds[i]);
		q->n_fds -= it->n_fds;
		it->n_fds = 0;
		it->sent += (size_t)n;
		q->bytes -= (size_t)n;
		if (it->sent == it->len)
			drop(q, it);
	}
	return 0;
}

bool
sendq_empty(const struct sendq *q)
{
	return TAILQ_EMPTY(&q->items);
}
