/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The child has three descriptors: the stream, the folder, and one end of a
 * socket pair, over which come problems and, last, the result.  Our end is
 * watched by the loop; a child that dies without a result shows as its end of
 * file.  What a child says is checked, as the unpacker may have been taken over
 * by what it unpacks.
 */
#include "client/archive_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/sandbox.h"

/* A worker that stalls for a moment does not stop the disk. */
#define PIPE_BYTES (1 << 20)
/* In one turn of the loop: a child that says nothing else must not starve the
 * rest. */
#define MAX_MESSAGES 16
#define MAX_SIGNAL 64
#define UNPACK_MEMORY ((uint64_t)1 << 30)

enum message_kind { MESSAGE_PROBLEM, MESSAGE_DONE };

/* Between parent and child of one program; of a problem, the path follows. */
struct message {
	enum message_kind kind;
	enum archive_problem problem;
	int r;
	struct archive_totals totals;
};

/* Owner: the caller of archive_proc_pack() or archive_proc_unpack(). */
struct archive_proc {
	struct archive_proc_params p;
	pid_t pid; /* 0: gone */
	int channel;
	struct loop_io *io;
};

/* What the child does. */
struct job {
	const struct archive_pack_params *pack; /* NULL: unpack */
	struct archive_unpack *unpack;
	int stream;
	int channel;
};

/* What archive_unpack_run() does, and libarchive and libc for it. */
static const int allowed[] = {
	/* archive_tree, archive_unpack */
	__NR_openat, __NR_mkdirat, __NR_newfstatat, __NR_fstat, __NR_fchmod,
	__NR_fchmodat, __NR_utimensat, __NR_read, __NR_write, __NR_close,
	__NR_lseek, __NR_umask,
	/* the channel */
	__NR_sendmsg,
	/* malloc and locks; PROT_EXEC is refused by the sandbox itself */
	__NR_brk, __NR_mmap, __NR_munmap, __NR_mremap, __NR_madvise,
	__NR_mprotect, __NR_futex, __NR_getrandom,
	/* exit, and abort(): the cause must stay visible */
	__NR_exit_group, __NR_exit, __NR_rt_sigprocmask, __NR_rt_sigaction,
	__NR_rt_sigreturn, __NR_restart_syscall, __NR_gettid, __NR_getpid,
	__NR_tgkill, -1
};

/* Character conversion looks for its modules. */
static const int soft[] = { __NR_readlinkat, __NR_faccessat, __NR_getdents64,
	__NR_fcntl, -1 };

static const struct sandbox_profile unpack_profile = {
	.name = "unpack",
	.allow = allowed,
	.eacces_list = soft,
	.deny_tcp = true,
	.max_bytes = UNPACK_MEMORY,
	.no_children = true,
};

/* Waits for the parent to read.  Without a parent there is nobody to tell. */
static void
tell(int channel, const struct message *m, const char *path)
{
	struct iovec parts[2] = {
		{ .iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m) },
		{ .iov_base = (void *)(uintptr_t)path,
		    .iov_len = strlen(path) },
	};
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };

	while (sendmsg(channel, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
}

static void
on_child_problem(
    void *arg, enum archive_problem problem, const char *path, int r)
{
	const struct job *job = arg;
	const struct message m = {
		.kind = MESSAGE_PROBLEM, .problem = problem, .r = r
	};

	tell(job->channel, &m, path);
}

/* Ctrl-C reaches the whole job: the parent decides what it means. */
static void
reset_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGXFSZ, SIGINT, SIGTERM,
		SIGHUP, SIGQUIT };
	sigset_t none;

	for (int i = 1; i <= MAX_SIGNAL; i++)
		(void)signal(i, SIG_DFL); /* some cannot be changed */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The user's terminal and files, and everything else of the parent's. */
static int
drop_descriptors(const struct job *job, int dir)
{
	const int keep[] = { job->stream, job->channel, dir };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), r = 0;

	if (null_fd < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && r == 0; fd++)
		if (dup2(null_fd, fd) < 0)
			r = -errno;
	fd_close_others(
	    STDERR_FILENO + 1, keep, sizeof(keep) / sizeof(keep[0]));
	return r;
}

static int
confine(int dir)
{
	const enum sandbox_mode mode = sandbox_mode_compiled();
	int r = sandbox_confine(dir, mode);

	return r == 0 ? sandbox_apply(&unpack_profile, mode) : r;
}

static int
run_job(struct job *job, struct archive_totals *ret_totals)
{
	struct archive_pack_params pack;
	int r;

	if (job->pack != NULL) {
		pack = *job->pack;
		pack.on_problem = on_child_problem;
		pack.arg = job;
		r = drop_descriptors(job, pack.dir);
		return r == 0
			   ? archive_pack_write(&pack, job->stream, ret_totals)
			   : r;
	}
	r = drop_descriptors(job, archive_unpack_dir(job->unpack));
	if (r == 0)
		r = confine(archive_unpack_dir(job->unpack));
	if (r < 0)
		return r;
	archive_unpack_set_problem(job->unpack, on_child_problem, job);
	return archive_unpack_run(job->unpack, job->stream, ret_totals);
}

/* The child; does not return. */
static void
run(struct job *job, pid_t parent)
{
	struct message m = { .kind = MESSAGE_DONE };
	int flags = fcntl(job->channel, F_GETFL);

	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
	    flags < 0 || fcntl(job->channel, F_SETFL, flags & ~O_NONBLOCK) != 0)
		_exit(EXIT_FAILURE);
	m.r = run_job(job, &m.totals);
	tell(job->channel, &m, "");
	_exit(EXIT_SUCCESS);
}

static void
reap(struct archive_proc *p)
{
	if (p->pid == 0)
		return;
	(void)kill(p->pid, SIGKILL);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
}

static void
finish(struct archive_proc *p, int r, const struct archive_totals *totals)
{
	reap(p);
	loop_io_free(p->io);
	p->io = NULL;
	p->p.on_done(p->p.arg, r, r == 0 ? totals : NULL); /* may free */
}

static bool
is_sane(const struct message *m)
{
	return m->r <= 0 &&
	       (m->kind == MESSAGE_DONE ||
		   (m->kind == MESSAGE_PROBLEM && m->problem >= 0 &&
		       m->problem <= ARCHIVE_PROBLEM_WRITE));
}

/* Returns whether there may be more; @p may be gone when not. */
static bool
take_message(struct archive_proc *p)
{
	static char
	    in[sizeof(struct message) + 2 * (size_t)ARCHIVE_REPORT_MAX_PATH];
	struct message m;
	ssize_t n;

	n = recv(p->channel, in, sizeof(in) - 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < (ssize_t)sizeof(m)) {
		finish(p, -DT_ERR_WORKER_LOST, NULL);
		return false;
	}
	in[n] = '\0';
	memcpy(&m, in, sizeof(m));
	if (!is_sane(&m)) {
		finish(p, -DT_ERR_WORKER_LOST, NULL);
		return false;
	}
	if (m.kind == MESSAGE_DONE) {
		finish(p, m.r, &m.totals);
		return false;
	}
	if (p->p.on_problem != NULL)
		p->p.on_problem(p->p.arg, m.problem, in + sizeof(m), m.r);
	return true;
}

static void
on_readable(void *arg, unsigned events, struct mono now)
{
	int n = 0;

	(void)events;
	(void)now;
	while (take_message(arg) && ++n < MAX_MESSAGES)
		;
}

/* Signals wait until the child has got rid of our handlers. */
static pid_t
fork_quietly(void)
{
	sigset_t all, before;
	pid_t pid;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid != 0)
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static int
launch(struct archive_proc *p, struct job *job)
{
	const pid_t parent = getpid();
	int pair[2], r;

	r = fd_seqpacket_pair(&pair[0], &pair[1], 0);
	if (r < 0)
		return r;
	p->channel = pair[0];
	job->channel = pair[1];
	p->io = loop_io_new(p->p.loop, p->channel, on_readable, p);
	r = p->io != NULL ? 0 : -ENOMEM;
	if (r == 0) {
		p->pid = fork_quietly();
		if (p->pid == 0)
			run(job, parent);
		r = p->pid > 0 ? 0 : -errno;
	}
	if (p->pid < 0)
		p->pid = 0;
	fd_close(&job->channel);
	if (r == 0)
		loop_io_set(p->io, LOOP_READ);
	return r;
}

/* @reads: the child does. */
static int
start(const struct archive_proc_params *params, struct job *job, bool reads,
    int *ret_fd, struct archive_proc **ret_proc)
{
	struct archive_proc *p = calloc(1, sizeof(*p));
	int fds[2], r, ours;

	if (p == NULL)
		return -ENOMEM;
	p->p = *params;
	p->channel = -1;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		r = -errno;
		free(p);
		return r;
	}
	(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES); /* if permitted */
	job->stream = reads ? fds[0] : fds[1];
	ours = reads ? fds[1] : fds[0];
	r = launch(p, job);
	fd_close(&job->stream);
	if (r < 0) {
		fd_close(&ours);
		archive_proc_free(p);
		return r;
	}
	*ret_fd = ours;
	*ret_proc = p;
	return 0;
}

int
archive_proc_pack(const struct archive_proc_params *params,
    const struct archive_pack_params *pack, int *ret_fd,
    struct archive_proc **ret_proc)
{
	struct job job = { .pack = pack };

	return start(params, &job, false, ret_fd, ret_proc);
}

int
archive_proc_unpack(const struct archive_proc_params *params,
    struct archive_unpack *unpack, int *ret_fd, struct archive_proc **ret_proc)
{
	struct job job = { .unpack = unpack };

	return start(params, &job, true, ret_fd, ret_proc);
}

void
archive_proc_poll(struct archive_proc *p)
{
	while (p->pid != 0 && take_message(p))
		continue;
}

void
archive_proc_free(struct archive_proc *p)
{
	if (p == NULL)
		return;
	reap(p);
	loop_io_free(p->io);
	fd_close(&p->channel);
	free(p);
}
