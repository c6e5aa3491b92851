/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"
#include "test/unit/files.h"

static char root[] = "/tmp/t_out_file.XXXXXX";

static struct out_file_params
params(const char *output, const char *name, int64_t size)
{
	return (struct out_file_params){
		.output = output, .name = name, .size = size
	};
}

static int
try_open(struct out_file_params p)
{
	struct out_file *f = NULL;
	int r = out_file_open(&p, &f);

	out_file_free(f);
	return r;
}

/* Everything from open to commit with @text. */
static int
receive(struct out_file_params p, const char *text)
{
	struct out_file *f;
	ssize_t n;
	int r = out_file_open(&p, &f);

	if (r < 0)
		return r;
	n = write(out_file_fd(f), text, strlen(text));
	out_file_flush(f);
	r = n == (ssize_t)strlen(text) ? out_file_commit(f, n) : -errno;
	out_file_free(f);
	return r;
}

static void
test_plain(bool hidden)
{
	struct out_file_params p = params(NULL, "a.txt", 5);
	struct timespec mtime = { 1000000000, 500 };
	struct out_file *f;
	struct stat st;

	p.hidden = hidden;
	p.mtime = &mtime;
	EQ_INT(out_file_open(&p, &f), 0, "open, hidden=%d", hidden);
	EQ_INT(files_count("."), hidden ? 1 : 0, "no name yet");
	EQ_INT(access("a.txt", F_OK), -1, "nor the right one");
	OK(out_file_is_regular(f) && !out_file_is_replacing(f), "regular, new");
	EQ_STR(out_file_peek_path(f), "a.txt", "path");
	EQ_INT(pwrite(out_file_fd(f), "llo", 3, 2), 3, "by offset");
	EQ_INT(pwrite(out_file_fd(f), "he", 2, 0), 2, "in any order");
	EQ_INT(out_file_commit(f, 5), 0, "commit");
	out_file_free(f);
	EQ_STR(files_get("a.txt"), "hello", "content");
	EQ_INT(files_count("."), 1, "nothing else is left");
	EQ_INT(files_mode("a.txt"), 0644, "mode");
	EQ_INT(stat("a.txt", &st), 0, "stat");
	EQ_INT(st.st_mtim.tv_sec, 1000000000, "time");
	EQ_INT(receive(p, "other"), -EEXIST, "a second one is refused");
	EQ_STR(files_get("a.txt"), "hello", "and the first one stays");
	EQ_INT(unlink("a.txt"), 0, "clean");
}

static void
test_race(bool hidden)
{
	struct out_file_params p = params(NULL, "b", -1);
	struct out_file *f;

	p.hidden = hidden;
	EQ_INT(out_file_open(&p, &f), 0, "open, hidden=%d", hidden);
	files_put("b", "first");
	EQ_INT(write(out_file_fd(f), "x", 1), 1, "write");
	EQ_INT(out_file_commit(f, 1), -EEXIST, "the name was taken meanwhile");
	out_file_free(f);
	EQ_STR(files_get("b"), "first", "and stays");
	EQ_INT(files_count("."), 1, "nothing else is left");
	EQ_INT(unlink("b"), 0, "clean");
}

static void
test_abort(bool hidden)
{
	struct out_file_params p = params("made/below", "c", 100000);
	struct out_file *f;

	p.hidden = hidden;
	EQ_INT(out_file_open(&p, &f), 0, "open, hidden=%d", hidden);
	EQ_STR(out_file_peek_path(f), "made/below", "the user's word");
	EQ_INT(write(out_file_fd(f), "x", 1), 1, "write");
	EQ_INT(out_file_commit(f, 1), -DT_ERR_TRUNCATED, "too little");
	EQ_INT(out_file_commit(f, 100000), -DT_ERR_TRUNCATED, "a wrong count");
	EQ_INT(out_file_commit(f, 100001), -DT_ERR_TRAILING, "too much");
	out_file_free(f);
	EQ_INT(files_count("made"), 0, "nothing is left");
	EQ_INT(rmdir("made"), 0, "clean");
}

static void
test_lengths(void)
{
	struct out_file_params p = params(NULL, "d", -1);
	struct out_file *f;
	struct stat st;

	EQ_INT(receive(params(NULL, "empty", 0), ""), 0, "no bytes at all");
	EQ_STR(files_get("empty"), "", "an empty file");
	EQ_INT(unlink("empty"), 0, "clean");

	EQ_INT(out_file_open(&p, &f), 0, "unknown size");
	EQ_INT(write(out_file_fd(f), "abc", 3), 3, "write");
	EQ_INT(out_file_commit(f, 2), -DT_ERR_TRAILING, "more than counted");
	EQ_INT(out_file_commit(f, 3), 0, "as counted");
	out_file_free(f);
	EQ_INT(unlink("d"), 0, "clean");

	p.size = 1 << 20;
	p.sparse = true;
	EQ_INT(out_file_open(&p, &f), 0, "sparse");
	EQ_INT(pwrite(out_file_fd(f), "x", 1, 4096), 1, "a little of it");
	EQ_INT(out_file_commit(f, 1 << 20), 0, "the end is a hole");
	out_file_free(f);
	EQ_INT(stat("d", &st), 0, "stat");
	EQ_INT(st.st_size, 1 << 20, "its length");
	OK(st.st_blocks < 64, "%lld blocks", (long long)st.st_blocks);
	EQ_INT(unlink("d"), 0, "clean");

	p.sparse = false;
	EQ_INT(out_file_open(&p, &f), 0, "reserved");
	EQ_INT(fstat(out_file_fd(f), &st), 0, "stat");
	OK(st.st_blocks >= 2048 && st.st_size == 0, "space, but no length");
	EQ_INT(pwrite(out_file_fd(f), "x", 1, 0), 1, "its first byte");
	EQ_INT(pwrite(out_file_fd(f), "x", 1, (1 << 20) - 1), 1, "and last");
	EQ_INT(out_file_commit(f, 1 << 20), 0, "commit");
	out_file_free(f);
	EQ_INT(stat("d", &st), 0, "stat");
	OK(st.st_blocks < 64 && st.st_size == 1 << 20,
	    "what was not written is a hole: %lld blocks",
	    (long long)st.st_blocks);
	EQ_INT(unlink("d"), 0, "clean");
	p.size = INT64_C(1) << 62;
	EQ_INT(try_open(p), -EFBIG, "larger than any file");
	EQ_INT(files_count("."), 0, "nothing is left");
}

static void
test_names(void)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/", "../x" };
	static const char leftover[] =
	    ".derphole-0123456789abcdef01234567.part";
	char long_name[NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EQ_INT(try_open(params(NULL, bad[i], 1)), -EINVAL, "\"%s\"",
		    bad[i]);
		EQ_INT(try_open(params("o", bad[i], 1)), -EINVAL,
		    "\"%s\" even with -o", bad[i]);
	}
	memset(long_name, 'n', sizeof(long_name));
	long_name[NAME_MAX + 1] = '\0';
	EQ_INT(try_open(params(NULL, long_name, 1)), -ENAMETOOLONG, "256");
	EQ_INT(try_open(params(long_name, "n", 1)), -ENAMETOOLONG, "-o 256");
	EQ_INT(try_open(params(NULL, leftover, 1)), -EINVAL, "would be swept");
	long_name[NAME_MAX] = '\0';
	EQ_INT(receive(params(NULL, long_name, 1), "x"), 0, "255");
	EQ_INT(unlink(long_name), 0, "clean");
	EQ_INT(receive(params(NULL, "..foo", 1), "x"), 0, "only looks bad");
	EQ_INT(unlink("..foo"), 0, "clean");
	EQ_INT(receive(params(NULL, "-rf \\ *", 1), "x"), 0, "odd but fine");
	EQ_INT(unlink("-rf \\ *"), 0, "clean");
	EQ_INT(files_count("."), 0, "nothing is left");
}

static void
test_output(void)
{
	char absolute[sizeof(root) + 8];

	EQ_INT(mkdir("dir", 0755), 0, "a folder");
	EQ_INT(receive(params("dir", "n", 1), "1"), 0, "-o folder");
	EQ_STR(files_get("dir/n"), "1", "goes into it");
	EQ_INT(receive(params("dir/", "n", 1), "2"), -EEXIST,
	    "the peer's name replaces nothing");
	EQ_INT(receive(params("dir/n", "z", 1), "3"), 0, "the user's does");
	EQ_STR(files_get("dir/n"), "3", "replaced");
	EQ_INT(chmod("dir/n", 0600), 0, "another mode");
	EQ_INT(receive(params("dir//n", "z", 1), "4"), 0, "again");
	EQ_INT(files_mode("dir/n"), 0600, "the mode is kept");
	EQ_INT(receive(params("dir/n/", "z", 1), "5"), -EISDIR, "a slash");
	EQ_INT(receive(params("dir/n/x", "z", 1), "5"), -ENOTDIR, "no folder");
	EQ_INT(receive(params("new/", "z", 1), "5"), -EISDIR, "new slash");
	EQ_INT(receive(params("a/b/c", "z", 1), "6"), 0, "missing parents");
	EQ_STR(files_get("a/b/c"), "6", "were made");
	EQ_INT(files_mode("a/b"), 0755, "with their mode");
	(void)snprintf(absolute, sizeof(absolute), "%s/abs", root);
	EQ_INT(receive(params(absolute, "z", 1), "7"), 0, "absolute");
	EQ_STR(files_get("abs"), "7", "is there");
	EQ_INT(
	    system("rm -r dir a abs"), 0, "clean"); /* NOLINT(cert-env33-c) */
}

static void
test_policy(void)
{
	struct out_file_params p = params("f", "z", 1);
	struct out_file *f;

	for (int hidden = 0; hidden < 2; hidden++) {
		p.hidden = hidden != 0;
		files_put("f", "old");
		p.replace = OUT_FILE_REPLACE_NEVER;
		EQ_INT(receive(p, "1"), -EEXIST, "never, hidden=%d", hidden);
		p.replace = OUT_FILE_REPLACE_NAMED;
		EQ_INT(out_file_open(&p, &f), 0, "named");
		OK(out_file_is_replacing(f), "is told");
		EQ_INT(write(out_file_fd(f), "2", 1), 1, "write");
		EQ_STR(
		    files_get("f"), "old", "until the end it is the old one");
		out_file_free(f);
		EQ_STR(files_get("f"), "old", "an abort leaves it");
		EQ_INT(receive(p, "3"), 0, "whole");
		EQ_STR(files_get("f"), "3", "replaced");
		EQ_INT(files_count("."), 1, "nothing else is left");
		EQ_INT(unlink("f"), 0, "clean");
	}
	files_put("z", "old");
	p = params(NULL, "z", 1);
	p.replace = OUT_FILE_REPLACE_ALWAYS;
	EQ_INT(receive(p, "4"), 0, "always");
	EQ_STR(files_get("z"), "4", "replaced");
	EQ_INT(unlink("z"), 0, "clean");
	EQ_INT(mkdir("z", 0755), 0, "a folder of that name");
	EQ_INT(receive(p, "5"), -EEXIST, "is never replaced");
	EQ_INT(rmdir("z"), 0, "clean");
}

static void
test_links(void)
{
	struct stat st;

	EQ_INT(mkdir("else", 0755), 0, "elsewhere");
	files_put("else/real", "old");
	EQ_INT(symlink("else/real", "link"), 0, "a link");
	EQ_INT(symlink("nowhere", "dangling"), 0, "a link to nothing");
	EQ_INT(symlink("else", "folder"), 0, "a link to a folder");
	EQ_INT(receive(params(NULL, "link", 1), "1"), -EEXIST,
	    "the peer's name meets a link");
	EQ_INT(receive(params(NULL, "dangling", 1), "1"), -EEXIST,
	    "or one to nothing");
	EQ_INT(access("nowhere", F_OK), -1, "which makes nothing");
	EQ_INT(receive(params("dangling", "z", 1), "1"), -ELOOP,
	    "the user's is no help");
	EQ_INT(receive(params("link", "z", 1), "2"), 0, "the user's link");
	EQ_STR(files_get("else/real"), "2", "is followed");
	OK(lstat("link", &st) == 0 && S_ISLNK(st.st_mode), "and stays one");
	EQ_INT(receive(params("folder", "z", 1), "3"), 0, "-o link to folder");
	EQ_STR(files_get("else/z"), "3", "is followed, too");
	EQ_INT(files_count("else"), 2, "nothing else is left");
	EQ_INT(system("rm -r else link dangling folder"), 0, "clean");
}

static void
test_direct(void)
{
	struct out_file_params p = params("/dev/null", "z", 3);
	struct out_file *f;
	char byte;
	int reader;

	EQ_INT(out_file_open(&p, &f), 0, "a device");
	OK(!out_file_is_regular(f), "in order only");
	EQ_INT(out_file_commit(f, 2), -DT_ERR_TRUNCATED, "too little");
	EQ_INT(out_file_commit(f, 3), 0, "commit");
	out_file_free(f);
	EQ_INT(mkfifo("pipe", 0600), 0, "a named pipe");
	EQ_INT(receive(params("pipe", "z", 1), "x"), -ENXIO, "without reader");
	EQ_INT(receive(params(NULL, "pipe", 1), "x"), -EEXIST,
	    "the peer may not name it");
	reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	EQ_INT(receive(params("pipe", "z", 1), "x"), 0, "with a reader");
	OK(read(reader, &byte, 1) == 1 && byte == 'x', "it came");
	fd_close(&reader);
	EQ_INT(unlink("pipe"), 0, "clean");
}

/* Runs @body as another user, in a child; its failures count. */
static void
as_nobody(int (*body)(void), const char *what)
{
	int status = -1;
	pid_t pid = geteuid() == 0 ? fork() : -1;

	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(99);
		_exit(body());
	}
	if (pid < 0) {
		OK(true, "%s # SKIP not root", what);
		return;
	}
	OK(waitpid(pid, &status, 0) == pid && status == 0, "%s (%d)", what,
	    status);
}

static int
body_denied(void)
{
	if (receive(params(NULL, "x", 1), "x") != -EACCES)
		return 1;
	if (receive(params("open/readonly", "x", 1), "x") != -EACCES)
		return 2;
	if (receive(params("shut/x", "x", 1), "x") != -EACCES)
		return 3;
	if (receive(params("open/new/x", "x", 1), "x") != 0)
		return 4;
	return receive(params("new/x", "x", 1), "x") == -EACCES ? 0 : 5;
}

static void
test_denied(void)
{
	EQ_INT(mkdir("open", 0777) | chmod("open", 0777), 0, "for all");
	EQ_INT(mkdir("shut", 0700), 0, "for root");
	files_put("open/readonly", "x");
	as_nobody(body_denied, "-EACCES, and that of parents");
	EQ_INT(system("rm -r open shut"), 0, "clean");
}

/* In a mount namespace of its own. */
static int
body_full(void)
{
	struct out_file_params p = params("m/x", "x", 64 << 20);
	struct out_file *f;
	char block[4096] = { 0 };
	int64_t n = 0;
	int r;

	if (mount(NULL, "/", "", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "m", "tmpfs", 0, "size=1m") != 0)
		return 77;
	r = try_open(p);
	if (r != -ENOSPC)
		return 1;
	p.size = -1;
	if (out_file_open(&p, &f) != 0)
		return 2;
	while (write(out_file_fd(f), block, sizeof(block)) > 0)
		n++;
	out_file_free(f);
	if (n == 0 || n > 256 || files_count("m") != 0)
		return 3;
	p.size = 1 << 19;
	if (try_open(p) != 0)
		return 4; /* the space came back */
	if (mount(NULL, "m", "", MS_REMOUNT | MS_RDONLY | MS_BIND, NULL) != 0)
		return 77;
	if (try_open(p) != -EROFS)
		return 5;
	p.output = "m/new/x";
	return try_open(p) == -EROFS ? 0 : 6;
}

static void
test_full(void)
{
	struct rlimit old, limit;
	int status = -1;
	pid_t pid;

	EQ_INT(mkdir("m", 0755), 0, "a mount point");
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) == 0 ? body_full() : 77);
	EQ_INT(waitpid(pid, &status, 0), pid, "waited");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		OK(true, "full and read-only # SKIP no mount namespace");
	else
		EQ_INT(status, 0, "full and read-only file systems");
	EQ_INT(rmdir("m"), 0, "clean");

	EQ_INT(getrlimit(RLIMIT_FSIZE, &old), 0, "the limit");
	limit = old;
	limit.rlim_cur = 4096;
	EQ_INT(setrlimit(RLIMIT_FSIZE, &limit), 0, "a small one");
	EQ_INT(try_open(params(NULL, "x", 4097)), -EFBIG, "above");
	EQ_INT(try_open(params(NULL, "x", 4096)), 0, "at it");
	EQ_INT(setrlimit(RLIMIT_FSIZE, &old), 0, "back");
	EQ_INT(files_count("."), 0, "nothing is left");
}

int
main(void)
{
	(void)umask(022);
	if (mkdtemp(root) == NULL || chmod(root, 0755) != 0 || chdir(root) != 0)
		return 1;
	test_plain(false);
	test_plain(true);
	test_race(false);
	test_race(true);
	test_abort(false);
	test_abort(true);
	test_lengths();
	test_names();
	test_output();
	test_policy();
	test_links();
	test_direct();
	test_denied();
	test_full();
	EQ_INT(chdir("/") | rmdir(root), 0, "clean");
	return tap_done();
}
