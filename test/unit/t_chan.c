/* SPDX-License-Identifier: BSD-3-Clause */
/* chan and linechan where the kernel or the peer is odd. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/chan.h"
#include "lib/err.h"
#include "lib/linechan.h"
#include "lib/sendq.h"
#include "test/tap.h"
#include "test/unit/loop_for.h"

#define LINE ((size_t)64 * 1024)
#define QUEUE ((size_t)256 * 1024)
/* Turns of 5 ms, for a machine that is busy. */
#define PATIENCE 1000

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);

static struct loop *loop;
static int shortage; /* errno of sendmsg(), or 0 */
static size_t tries, large;
static size_t messages, lines, longest, closed;
static int closed_r;

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	tries++;
	if (shortage == 0)
		return __real_sendmsg(fd, msg, flags);
	errno = shortage;
	return -1;
}

void *
__wrap_malloc(size_t len)
{
	if (len >= 4096)
		large++;
	return __real_malloc(len);
}

static void
on_message(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
{
	(void)arg;
	(void)msg;
	(void)len;
	(void)fds;
	(void)n_fds;
	(void)now;
	messages++;
}

static void
on_closed(void *arg, int r)
{
	(void)arg;
	closed++;
	closed_r = r;
}

static void
on_line(void *arg, const char *line, size_t len, struct mono now)
{
	(void)arg;
	(void)line;
	(void)now;
	lines++;
	if (len > longest)
		longest = len;
}

static bool
receives(int fd, const char *want)
{
	char got[64] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	return n == (ssize_t)strlen(want) && strcmp(got, want) == 0;
}

static struct chan *
chan_pair(int *ret_peer)
{
	struct chan_params p = { .loop = loop,
		.max_message = 4096,
		.max_queued = QUEUE,
		.on_message = on_message,
		.on_closed = on_closed };

	if (fd_seqpacket_pair(&p.fd, ret_peer, 0) != 0)
		abort();
	messages = closed = 0;
	return chan_new(&p);
}

/* What is short now is tried again now and then. */
static void
check_retries(void)
{
	struct mono begin = mono_now();
	int64_t most;

	tries = 0;
	for (int i = 0; i < 100 && tries < 4; i++)
		loop_for(loop, SENDQ_RETRY_US);
	most = 2 + mono_diff(mono_now(), begin) / SENDQ_RETRY_US;
	OK(tries >= 4 && (int64_t)tries <= most,
	    "tried again, not all the time: %zu of %lld", tries,
	    (long long)most);
}

static void
test_chan_shortage(int error)
{
	int peer;
	struct chan *c = chan_pair(&peer);

	shortage = error;
	EQ_INT(chan_send(c, "one", 3, NULL, 0), 0, "%s: kept for later",
	    strerror(error));
	EQ_INT(chan_send(c, "two", 3, NULL, 0), 0, "the next one too");
	check_retries();
	EQ_INT(chan_flush(c, 30), -DT_ERR_TIMEOUT, "last words wait as well");
	EQ_INT(closed, 0, "the channel lives");
	shortage = 0;
	loop_for(loop, 3 * SENDQ_RETRY_US);
	OK(receives(peer, "one") && receives(peer, "two"),
	    "all arrives in the end");
	shortage = error;
	EQ_INT(chan_send(c, "three", 5, NULL, 0), 0, "again");
	chan_free(c);
	shortage = 0;
	loop_for(loop, 3 * SENDQ_RETRY_US); /* nothing fires */
	fd_close(&peer);
}

static void
test_chan_broken(void)
{
	int peer;
	struct chan *c = chan_pair(&peer);

	shortage = EAGAIN;
	EQ_INT(chan_send(c, "one", 3, NULL, 0), 0, "the socket is full");
	shortage = EIO;
	loop_for(loop, MONO_MS);
	shortage = 0;
	EQ_INT(closed, 1, "what is no shortage ends it");
	EQ_INT(closed_r, -EIO, "with the reason");
	chan_free(c);
	fd_close(&peer);
}

/* It ends in order when @got is @want. */
static void
expect_last_words(const size_t *got, size_t want, size_t unread, size_t waiting)
{
	for (int i = 0; closed == 0 && i < PATIENCE; i++)
		loop_for(loop, 5 * MONO_MS);
	EQ_INT(*got, want, "heard: %zu unread, %zu waiting", unread, waiting);
	EQ_INT(closed, 1, "then the end");
	EQ_INT(closed_r, 0, "which is no fault");
}

/* What a peer wrote before it left is read, whatever it has not read. */
static void
test_chan_last_words(size_t unread, size_t waiting)
{
	char text[1000] = "";
	int peer;
	struct chan *c = chan_pair(&peer);

	for (size_t i = 0; i < unread; i++)
		EQ_INT(chan_send(c, text, sizeof(text), NULL, 0), 0, "sent");
	shortage = EAGAIN; /* the socket is full */
	for (size_t i = 0; i < waiting; i++)
		EQ_INT(chan_send(c, text, sizeof(text), NULL, 0), 0, "queued");
	shortage = 0;
	for (int i = 0; i < 3; i++)
		OK(send(peer, "last", 4, 0) == 4, "a last word");
	fd_close(&peer);
	expect_last_words(&messages, 3, unread, waiting);
	chan_free(c);
}

static struct linechan *
line_pair(int *ret_peer)
{
	struct linechan_params p = { .loop = loop,
		.max_line = LINE,
		.max_queued = QUEUE,
		.on_line = on_line,
		.on_closed = on_closed };
	struct linechan *c;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		abort();
	p.fd = pair[0];
	c = linechan_new(&p);
	*ret_peer = pair[1];
	lines = longest = closed = 0;
	return c;
}

static void
test_line_shortage(void)
{
	int peer;
	struct linechan *c = line_pair(&peer);

	shortage = ENOBUFS;
	EQ_INT(linechan_send(c, "one", 3, NULL, 0), 0, "line kept for later");
	check_retries();
	EQ_INT(closed, 0, "the channel lives");
	shortage = 0;
	loop_for(loop, 3 * SENDQ_RETRY_US);
	OK(receives(peer, "one\n"), "it arrives");
	linechan_free(c);
	fd_close(&peer);
}

/* A client that writes one byte at a time costs its bytes, not their square. */
static void
test_line_bytes(void)
{
	int peer;
	struct linechan *c = line_pair(&peer);

	large = 0;
	for (size_t i = 0; i < LINE - 2; i++) {
		(void)!write(peer, "x", 1);
		loop_for(loop, -1);
	}
	(void)!write(peer, "\n", 1);
	loop_for(loop, MONO_MS);
	EQ_INT(lines, 1, "a line, byte by byte");
	EQ_INT(longest, LINE - 2, "complete");
	OK(large <= 8, "memory was had %zu times", large);
	OK(write(peer, "a\nb\n", 4) == 4, "two more");
	loop_for(loop, MONO_MS);
	EQ_INT(lines, 3, "are there");
	EQ_INT(closed, 0, "nothing is wrong with that");
	linechan_free(c);
	fd_close(&peer);
}

static void
test_line_limit(void)
{
	static char text[LINE + 1];
	int peer;
	struct linechan *c = line_pair(&peer);

	memset(text, 'x', sizeof(text));
	text[LINE - 1] = '\n';
	OK(write(peer, text, LINE) == (ssize_t)LINE, "the longest line");
	for (int i = 0; longest == 0 && i < PATIENCE; i++)
		loop_for(loop, 5 * MONO_MS);
	EQ_INT(longest, LINE - 1, "comes");
	EQ_INT(closed, 0, "and is no fault");
	text[LINE - 1] = 'x';
	OK(write(peer, text, LINE + 1) == (ssize_t)LINE + 1, "a longer one");
	for (int i = 0; closed == 0 && i < PATIENCE; i++)
		loop_for(loop, 5 * MONO_MS);
	EQ_INT(closed, 1, "ends the channel");
	EQ_INT(closed_r, -DT_ERR_TOO_LONG, "with the reason");
	linechan_free(c);
	fd_close(&peer);
}

static void
test_line_last_words(size_t unread, size_t waiting)
{
	int peer;
	struct linechan *c = line_pair(&peer);

	for (size_t i = 0; i < unread; i++)
		EQ_INT(linechan_send(c, "x", 1, NULL, 0), 0, "sent");
	shortage = EAGAIN;
	for (size_t i = 0; i < waiting; i++)
		EQ_INT(linechan_send(c, "x", 1, NULL, 0), 0, "queued");
	shortage = 0;
	OK(write(peer, "a\nb\n", 4) == 4, "two last lines");
	fd_close(&peer);
	expect_last_words(&lines, 2, unread, waiting);
	linechan_free(c);
}

int
main(void)
{
	loop = loop_new();
	test_chan_shortage(ENOBUFS);
	test_chan_shortage(ENOMEM);
	test_chan_broken();
	test_chan_last_words(0, 0);
	test_chan_last_words(1, 0);
	test_chan_last_words(0, 1);
	test_chan_last_words(2, 2);
	test_line_shortage();
	test_line_bytes();
	test_line_limit();
	test_line_last_words(0, 0);
	test_line_last_words(1, 0);
	test_line_last_words(0, 1);
	test_line_last_words(2, 2);
	loop_free(loop);
	return tap_done();
}
