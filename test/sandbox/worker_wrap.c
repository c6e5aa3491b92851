/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linked around ipc_parse() of a real worker (ld --wrap): the worker is born,
 * confines itself and runs as ever, and understands one message more, which
 * makes it try a system call from inside its loop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_portmap.h"
#include "test/sandbox/sandbox_calls.h"

int __real_ipc_parse(const struct ipc_view *view, const void *msg, size_t len,
    size_t n_fds, struct ipc_header *ret_header, struct buf_reader *ret_body);
int __wrap_ipc_parse(const struct ipc_view *view, const void *msg, size_t len,
    size_t n_fds, struct ipc_header *ret_header, struct buf_reader *ret_body);

static void
try_call(const struct sandbox_call *c)
{
	struct sandbox_calls_message answer = { htons(SANDBOX_CALLS_TYPE), 0 };
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	errno = 0;
	if (syscall(c->number, c->a, c->b, c->c, c->d, -1, 0) < 0)
		answer.value = htons((uint16_t)errno);
	(void)sendmsg(IPC_FD_CONTROL, &m, MSG_NOSIGNAL);
}

int
__wrap_ipc_parse(const struct ipc_view *view, const void *msg, size_t len,
    size_t n_fds, struct ipc_header *ret_header, struct buf_reader *ret_body)
{
	/* Something harmless for the worker to handle instead. */
	static uint8_t instead[IPC_HEADER_LEN + 36];
	struct buf_writer w = buf_writer(instead, sizeof(instead));
	struct sandbox_calls_message m;

	if (len != sizeof(m) || view->state != IPC_STATE_RUNNING)
		return __real_ipc_parse(
		    view, msg, len, n_fds, ret_header, ret_body);
	memcpy(&m, msg, sizeof(m));
	if (ntohs(m.value) < sandbox_calls_count)
		try_call(&sandbox_calls[ntohs(m.value)]);
	if (view->role == IPC_ROLE_GATE) {
		ipc_begin(&w, IPC_RELEASE, 1, 0); /* of nobody */
		w.len = sizeof(instead);
	} else if (view->role == IPC_ROLE_PORTMAP) {
		ipc_begin(&w, IPC_MAP_RELEASE, 1, 0); /* of no port wanted */
		ipc_portmap_put_release(&w, 1);
	} else {
		ipc_begin(&w, IPC_DESCRIBE, 1, 0);
	}
	return __real_ipc_parse(view, instead, w.len, 0, ret_header, ret_body);
}
