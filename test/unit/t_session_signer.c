/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to a daemon that signs, late at times. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers/session/signer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"

#define QUESTION 130
#define SIGNATURE 64

/* A daemon that begins to answer when @n questions have come: with the
 * question's first byte, 64 times, or once if that is '-'. */
static pid_t
start_daemon(struct signer *s, int n)
{
	int pair[2];
	char q[8][QUESTION];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
	*s = (struct signer){ .fd = pair[0] };
	pid = fork();
	if (pid == 0) {
		fd_close(&pair[0]);
		for (int i = 0; i < n; i++)
			(void)!recv(pair[1], q[i], QUESTION, 0);
		for (int i = 0; i < n; i++) {
			char answer[SIGNATURE];

			memset(answer, q[i][0], SIGNATURE);
			(void)!send(
			    pair[1], answer, q[i][0] == '-' ? 1 : SIGNATURE, 0);
		}
		_exit(0);
	}
	fd_close(&pair[1]);
	return pid;
}

static void
ask(struct signer *s, char c, int want, const char *what)
{
	uint8_t question[QUESTION], sig[SIGNATURE], same[SIGNATURE];
	int r;

	memset(question, c, sizeof(question));
	memset(same, c, sizeof(same));
	memset(sig, 0, sizeof(sig));
	r = signer_ask(s, question, sizeof(question), sig);
	EQ_INT(r, want, "%s", what);
	if (r == 0)
		EQ_MEM(sig, same, SIGNATURE, "its own signature");
}

static void
stop_daemon(struct signer *s, pid_t pid)
{
	fd_close(&s->fd);
	(void)waitpid(pid, NULL, 0);
}

int
main(void)
{
	struct signer s;
	pid_t pid = start_daemon(&s, 1);

	ask(&s, 'a', 0, "answered");
	stop_daemon(&s, pid);
	ask(&s, 'a', -EBADF, "nobody there");

	pid = start_daemon(&s, 1);
	ask(&s, '-', -DT_ERR_AUTH, "refused");
	(void)waitpid(pid, NULL, 0);
	ask(&s, 'a', -EPIPE, "gone");
	fd_close(&s.fd);

	pid = start_daemon(&s, 2);
	ask(&s, 'a', -DT_ERR_TIMEOUT, "it hangs");
	ask(&s, 'b', 0, "the answer to another question is not taken");
	stop_daemon(&s, pid);
	return tap_done();
}
