/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real workers, born and confined as ever, are told from outside to make a
 * system call: what they must not do kills them, what libraries probe with is
 * refused, and what they need runs.
 *
 * usage: sandbox_workers GATE SESSION PORTMAP    (test builds, see
 * worker_wrap.c)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mono.h"
#include "lib/sandbox.h"
#include "lib/secret.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"
#include "proto/ipc/ipc_portmap.h"
#include "test/sandbox/sandbox_calls.h"
#include "test/tap.h"

#define WAIT_MS 5000

enum outcome { RUNS, REFUSED, KILLED, ODD };

static const char *const outcome_names[] = { "runs", "is refused", "kills",
	"ends oddly" };

struct subject {
	const char *name;
	const char *path;
	enum ipc_role role;
	pid_t pid;
	int control;
	int packets;
};

static uint8_t message[IPC_MAX_MESSAGE];
static struct ipc_boot_session boot_session;

static void
put_boot_portmap(struct buf_writer *w)
{
	struct ipc_boot_portmap b;

	memset(&b, 0, sizeof(b));
	(void)addr_parse_ip(&b.gateway, "192.168.255.1", 0);
	(void)addr_parse_ip(&b.local, "192.168.255.2", 0);
	ipc_begin(w, IPC_BOOT_PORTMAP, 1, 0);
	ipc_portmap_put_boot(w, &b);
}

static void
put_boot(struct buf_writer *w, enum ipc_role role)
{
	struct ipc_boot_gate gate;

	if (role == IPC_ROLE_PORTMAP) {
		put_boot_portmap(w);
		return;
	}
	if (role == IPC_ROLE_GATE) {
		memset(&gate, 0, sizeof(gate));
		gate.kind = IPC_KIND_SHARE;
		gate.token_version = 5;
		gate.expires_unix = mono_unix_seconds() + 60;
		secret_random(&gate.derp_public, sizeof(gate.derp_public));
		secret_random(&gate.secret, sizeof(gate.secret));
		ipc_begin(w, IPC_BOOT_GATE, 1, 0);
		ipc_put_boot_gate(w, &gate);
		return;
	}
	boot_session.kind = IPC_KIND_SHARE;
	boot_session.token_version = 5;
	boot_session.capabilities = 2;
	secret_random(&boot_session.own_derp, sizeof(boot_session.own_derp));
	secret_random(&boot_session.peer_derp, sizeof(boot_session.peer_derp));
	secret_random(&boot_session.peer_quic, sizeof(boot_session.peer_quic));
	secret_random(&boot_session.bearer, sizeof(boot_session.bearer));
	ipc_begin(w, IPC_BOOT_SESSION, 1, 0);
	ipc_put_boot_session(w, &boot_session);
}

/* Type of the next message, its value for the extra one; 0 at the end. */
static uint16_t
receive(struct subject *s, uint16_t *ret_value)
{
	struct pollfd p = { .fd = s->control, .events = POLLIN };
	int fds[FD_MAX_PASSED];
	size_t n_fds = 0;
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) != 1)
		return 0;
	n = fd_recv(s->control, message, sizeof(message), fds, &n_fds);
	if (n < (ssize_t)sizeof(struct sandbox_calls_message))
		return 0;
	*ret_value = buf_u16_at(message + 2);
	return buf_u16_at(message);
}

static void
become(const struct subject *s, int control, int packets)
{
	int a = dup(control), b = dup(packets);

	(void)dup2(a, IPC_FD_CONTROL);
	(void)dup2(b, IPC_FD_PACKETS);
	fd_close_from(IPC_FD_PACKETS + 1);
	(void)execl(s->path, s->path, (char *)NULL);
	_exit(127);
}

/* Start it and wait until it has confined itself. */
static bool
spawn(struct subject *s)
{
	struct buf_writer w = buf_writer(message, sizeof(message));
	int control[2], packets[2];
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint16_t type, value;

	if (fd_seqpacket_pair(&control[0], &control[1], 1 << 20) != 0 ||
	    fd_seqpacket_pair(&packets[0], &packets[1], 1 << 20) != 0)
		return false;
	s->pid = fork();
	if (s->pid == 0)
		become(s, control[1], packets[1]);
	fd_close(&control[1]);
	fd_close(&packets[1]);
	s->control = control[0];
	s->packets = packets[0];
	put_boot(&w, s->role);
	(void)fd_send(s->control, message, w.len, &udp,
	    s->role == IPC_ROLE_PORTMAP ? 1 : 0);
	fd_close(&udp);
	do {
		type = receive(s, &value);
	} while (type != 0 && type != IPC_BORN);
	return type == IPC_BORN;
}

static int
reap(struct subject *s)
{
	int status = 0;

	fd_close(&s->control);
	fd_close(&s->packets);
	(void)waitpid(s->pid, &status, 0);
	return status;
}

static int
find_call(const char *name)
{
	for (size_t i = 0; i < sandbox_calls_count; i++)
		if (strcmp(sandbox_calls[i].name, name) == 0)
			return (int)i;
	return -1;
}

static enum outcome
attempt(struct subject *s, const char *name)
{
	struct sandbox_calls_message m = { htons(SANDBOX_CALLS_TYPE), 0 };
	int call = find_call(name), status;
	uint16_t type, value = 0;

	if (call < 0 || !spawn(s))
		return ODD;
	m.value = htons((uint16_t)call);
	(void)fd_send(s->control, &m, sizeof(m), NULL, 0);
	do {
		type = receive(s, &value);
	} while (type != 0 && type != SANDBOX_CALLS_TYPE);
	status = reap(s);
	if (type == SANDBOX_CALLS_TYPE)
		return value == EACCES ? REFUSED : RUNS;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED : ODD;
}

static void
expect(struct subject *s, const char *call, enum outcome want)
{
	enum outcome got = attempt(s, call);

	if (!OK(got == want, "%s: %s %s", s->name, call, outcome_names[want]))
		printf("# it %s\n", outcome_names[got]);
}

static void
test_worker(struct subject *s)
{
	static const char *const forbidden[] = { "socket", "socketpair",
		"connect", "bind", "listen", "setsockopt", "sendto", "execve",
		"execveat", "ptrace", "process_vm_readv", "kill", "clone",
		"clone3", "fork", "io_uring_setup", "bpf", "perf_event_open",
		"userfaultfd", "prctl", "seccomp", "mount", "umount2", "chroot",
		"unshare", "setns", "setuid", "keyctl", "memfd_create",
		"pidfd_open", "fcntl", "ioctl", "dup", "openat2", "unlink",
		"rename", "chmod", "getdents64", "mmap_exec", "mprotect_exec" };
	static const char *const refused[] = { "open", "openat", "newfstatat",
		"access", "readlink" };
	static const char *const needed[] = { "read", "write", "recvmsg",
		"sendmsg", "close", "getrandom", "mmap" };

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		expect(s, forbidden[i], KILLED);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		expect(s, refused[i], REFUSED);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		expect(s, needed[i], RUNS);
}

int
main(int argc, char **argv)
{
	struct subject gate = { "gate", argv[1], IPC_ROLE_GATE, -1, -1, -1 };
	struct subject session = { "session", argc == 4 ? argv[2] : "",
		IPC_ROLE_SESSION, -1, -1, -1 };
	struct subject portmap = { "portmap", argc == 4 ? argv[3] : "",
		IPC_ROLE_PORTMAP, -1, -1, -1 };

	if (argc != 4 || secret_init() != 0)
		return 2;
	if (sandbox_mode_compiled() != SANDBOX_ENFORCE) {
		printf("1..0 # SKIP this build does not enforce\n");
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	test_worker(&gate);
	test_worker(&session);
	test_worker(&portmap);
	expect(&session, "accept4", RUNS);
	expect(&session, "shutdown", RUNS);
	expect(&session, "recvmmsg", RUNS);
	expect(&session, "sendmmsg", KILLED);
	expect(&gate, "accept4", KILLED);
	expect(&gate, "shutdown", KILLED);
	expect(&gate, "recvmmsg", KILLED);
	expect(&portmap, "accept4", KILLED);
	expect(&portmap, "shutdown", KILLED);
	OK(attempt(&session, "nonsense") == ODD, "unknown calls are noticed");
	return tap_done();
}
