/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"
#include "test/unit/files.h"
#include "test/unit/loop_for.h"
#include "test/unit/tar_maker.h"

/* In memory if possible: every commit syncs its file system. */
static char in_memory[] = "/dev/shm/t_archive_proc.XXXXXX";
static char on_disk[] = "/tmp/t_archive_proc.XXXXXX";

static struct loop *loop;

/* What a proc told. */
struct result {
	int done;
	int r;
	struct archive_totals totals;
	int problems;
	enum archive_problem problem;
	char path[128];
	struct archive_proc *free_this; /* from on_done */
};

static void
on_problem(void *arg, enum archive_problem problem, const char *path, int r)
{
	struct result *result = arg;

	(void)r;
	result->problems++;
	result->problem = problem;
	(void)snprintf(result->path, sizeof(result->path), "%s", path);
}

static void
on_done(void *arg, int r, const struct archive_totals *totals)
{
	struct result *result = arg;

	result->done++;
	result->r = r;
	if (totals != NULL)
		result->totals = *totals;
	archive_proc_free(result->free_this);
	loop_stop(loop);
}

static struct archive_proc_params
params(struct result *result)
{
	return (struct archive_proc_params){ .loop = loop,
		.on_problem = on_problem,
		.on_done = on_done,
		.arg = result };
}

static struct archive_proc *
start_pack(const char *path, struct result *result, int *ret_fd)
{
	struct archive_proc_params p = params(result);
	struct archive_pack_params pack = { .skip_links = true };
	struct archive_proc *proc = NULL;

	pack.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EQ_INT(archive_proc_pack(&p, &pack, ret_fd, &proc), 0, "pack");
	fd_close(&pack.dir);
	return proc;
}

static struct archive_proc *
start_unpack(const char *name, struct result *result, int *ret_fd,
    struct archive_unpack **ret_unpack)
{
	struct archive_proc_params p = params(result);
	const struct archive_unpack_params unpack = { .name = name };
	struct archive_proc *proc = NULL;

	if (archive_unpack_open(&unpack, ret_unpack) != 0)
		abort();
	EQ_INT(
	    archive_proc_unpack(&p, *ret_unpack, ret_fd, &proc), 0, "unpack");
	return proc;
}

/* From one process to the other, here.  Returns the bytes. */
static int64_t
pump(int from, int to)
{
	static char buffer[65536];
	int64_t total = 0;
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0) {
		if (write(to, buffer, (size_t)n) != n)
			return -1;
		total += n;
	}
	return n < 0 ? -1 : total;
}

static void
make_source(void)
{
	char big[3000];

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	if (mkdir("from", 0755) != 0 || mkdir("from/sub", 0750) != 0)
		abort();
	files_put("from/a", "hello");
	files_put("from/sub/b\xc3\xa4", big);
	files_put("from/sub/empty", "");
	if (symlink("a", "from/link") != 0)
		abort();
}

static void
test_both(void)
{
	struct result packed = { 0 }, unpacked = { 0 };
	struct archive_proc *pack, *unpack;
	struct archive_unpack *u;
	int64_t bytes;
	int from, to;

	pack = start_pack("from", &packed, &from);
	unpack = start_unpack("to", &unpacked, &to, &u);
	EQ_INT(packed.done + unpacked.done, 0, "nothing is told at once");
	bytes = pump(from, to);
	fd_close(&from);
	fd_close(&to);
	while (packed.done + unpacked.done < 2)
		loop_for(loop, 10000 * MONO_MS);
	EQ_INT(packed.r, 0, "packed");
	EQ_INT(packed.totals.files, 3, "files");
	EQ_INT(packed.totals.folders, 1, "folders");
	EQ_INT(packed.totals.bytes, 5 + 2999, "bytes");
	EQ_INT(packed.totals.tar_size, bytes, "size of the stream");
	EQ_INT(packed.problems, 1, "a problem came over");
	EQ_INT(packed.problem, ARCHIVE_PROBLEM_LINK, "a link");
	EQ_STR(packed.path, "link", "its path");
	EQ_INT(unpacked.r, 0, "unpacked");
	EQ_INT(unpacked.totals.files, 3, "files");
	EQ_INT(unpacked.totals.bytes, 5 + 2999, "bytes");
	EQ_INT(unpacked.problems, 0, "no problems");
	archive_proc_free(pack);
	archive_proc_free(unpack);
	EQ_INT(archive_unpack_commit(u), 0, "commit");
	archive_unpack_free(u);
	EQ_STR(files_get("to/a"), "hello", "a file");
	EQ_INT(strlen(files_get("to/sub/b\xc3\xa4")), 2999, "another one");
	EQ_INT(files_count("to/sub"), 2, "all of them");
	EQ_INT(files_count("."), 2, "nothing else");
	EQ_INT(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}

static void
test_hostile(void)
{
	struct result result = { 0 };
	struct archive_unpack *u;
	struct archive_proc *proc;
	char h[TAR_BLOCK];
	int fd;

	proc = start_unpack("evil", &result, &fd, &u);
	tar_header(h, &(struct tar_entry){
			  .name = "../../x", .type = '0', .mode = 0644 });
	EQ_INT(write(fd, h, sizeof(h)), sizeof(h), "a path trick");
	loop_for(loop, 10000 * MONO_MS);
	EQ_INT(result.r, -DT_ERR_PEER_PROTOCOL, "is refused");
	EQ_INT(result.problem, ARCHIVE_PROBLEM_UNSAFE, "why");
	EQ_STR(result.path, "../../x", "what");
	(void)signal(SIGPIPE, SIG_IGN);
	EQ_INT(write(fd, h, sizeof(h)), -1, "nobody reads any more");
	fd_close(&fd);
	archive_proc_free(proc);
	archive_unpack_free(u);
	EQ_INT(files_count("."), 2, "nothing is left");

	memset(&result, 0, sizeof(result));
	proc = start_unpack("cut", &result, &fd, &u);
	tar_header(h,
	    &(struct tar_entry){ .name = "file", .type = '0', .mode = 0644 });
	EQ_INT(write(fd, h, 100), 100, "a stream that ends early");
	fd_close(&fd);
	loop_for(loop, 10000 * MONO_MS);
	EQ_INT(result.r, -DT_ERR_TRUNCATED, "is told");
	archive_proc_free(proc);
	archive_unpack_free(u);
	EQ_INT(files_count("."), 2, "nothing is left");
}

static void
test_reader_gone(void)
{
	struct result result = { 0 };
	struct archive_proc *proc;
	char *big = malloc(4 << 20);
	int fd;

	if (big == NULL)
		abort();
	memset(big, 'x', (4 << 20) - 1);
	big[(4 << 20) - 1] = '\0';
	files_put("from/big", big);
	free(big);
	proc = start_pack("from", &result, &fd);
	fd_close(&fd);
	loop_for(loop, 10000 * MONO_MS);
	EQ_INT(result.r, -EPIPE, "nobody reads: the packer ends");
	archive_proc_free(proc);
	proc = start_pack("from", &result, &fd);
	archive_proc_free(proc);
	EQ_INT(waitpid(-1, NULL, WNOHANG), -1, "killed in the middle");
	fd_close(&fd);
	EQ_INT(unlink("from/big"), 0, "clean");
}

static pid_t
only_child(void)
{
	FILE *f;
	char path[64];
	long pid = 0;

	(void)snprintf(
	    path, sizeof(path), "/proc/self/task/%ld/children", (long)getpid());
	f = fopen(path, "r");
	if (f != NULL) {
		if (fscanf(f, "%ld", &pid) != 1)
			pid = 0;
		(void)fclose(f);
	}
	return (pid_t)pid;
}

static void
test_killed(void)
{
	struct result result = { 0 };
	struct archive_unpack *u;
	struct archive_proc *proc;
	pid_t child;
	int fd;

	proc = start_unpack("killed", &result, &fd, &u);
	child = only_child();
	if (child <= 0) {
		OK(true, "killed child # SKIP no list of children in /proc");
	} else {
		(void)kill(child, SIGINT);
		(void)kill(child, SIGTERM);
		loop_for(loop, 200 * MONO_MS);
		EQ_INT(result.done, 0, "Ctrl-C is the parent's affair");
		result.free_this = proc;
		proc = NULL;
		EQ_INT(kill(child, SIGKILL), 0, "killed");
		loop_for(loop, 10000 * MONO_MS);
		EQ_INT(result.done, 1, "is noticed");
		EQ_INT(result.r, -DT_ERR_WORKER_LOST, "as that");
	}
	archive_proc_free(proc);
	archive_unpack_free(u);
	fd_close(&fd);
	EQ_INT(files_count("."), 2, "nothing is left");
}

/* The parent dies without a word: so does its child. */
static void
test_orphan(void)
{
	struct result result = { 0 };
	struct archive_unpack *u;
	int pid_pipe[2], fd, keep;
	pid_t parent, child = 0;
	bool gone = false;

	if (pipe2(pid_pipe, O_CLOEXEC) != 0)
		abort();
	/* The child's stdin stays open, so that only the death counts. */
	parent = fork();
	if (parent == 0) {
		/* Its checks are not rows of ours. */
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(1);
		(void)start_unpack("orphan", &result, &fd, &u);
		child = only_child();
		if (write(pid_pipe[1], &child, sizeof(child)) < 0)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	keep = (int)read(pid_pipe[0], &child, sizeof(child));
	EQ_INT(keep, sizeof(child), "started");
	(void)kill(parent, SIGKILL);
	(void)waitpid(parent, NULL, 0);
	for (int i = 0; i < 500 && !gone && child > 0; i++) {
		char path[64], state[256] = "";
		FILE *f;

		(void)snprintf(
		    path, sizeof(path), "/proc/%ld/stat", (long)child);
		f = fopen(path, "r");
		if (f != NULL) {
			(void)!fread(state, 1, sizeof(state) - 1, f);
			(void)fclose(f);
		}
		gone = f == NULL || strstr(state, ") Z ") != NULL;
		if (!gone)
			(void)usleep(20000);
	}
	OK(gone || child <= 0, "a child without a parent ends");
	fd_close(&pid_pipe[0]);
	fd_close(&pid_pipe[1]);
	EQ_INT(system("rm -rf .derphole-*"), 0, "clean");
}

static void
test_many_problems(void)
{
	struct result result = { 0 };
	struct archive_proc *proc;
	char path[64];
	int fd;

	if (mkdir("links", 0755) != 0)
		abort();
	for (int i = 0; i < 500; i++) {
		(void)snprintf(path, sizeof(path), "links/%d", i);
		if (symlink("x", path) != 0)
			abort();
	}
	proc = start_pack("links", &result, &fd);
	loop_for(loop, 10000 * MONO_MS);
	EQ_INT(result.r, 0, "many problems");
	EQ_INT(result.problems, 500, "each is told, before the end");
	EQ_INT(result.totals.tar_size, 1024, "an empty archive");
	archive_proc_free(proc);
	fd_close(&fd);
	EQ_INT(system("rm -r links"), 0, "clean");
}

int
main(void)
{
	char *root = mkdtemp(in_memory);
	char command[64];

	(void)umask(022);
	if (root == NULL)
		root = mkdtemp(on_disk);
	loop = loop_new();
	if (root == NULL || chdir(root) != 0 || loop == NULL)
		abort();
	make_source();
	test_both();
	test_hostile();
	test_reader_gone();
	test_killed();
	test_orphan();
	test_many_problems();
	archive_proc_free(NULL);
	loop_free(loop);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	OK(chdir("/") == 0 && system(command) == 0, "cleaned up");
	return tap_done();
}
