/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/out_stale.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/archive_unpack.h"
#include "client/out_file.h"
#include "client/tree_remove.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"
#include "test/unit/files.h"

#define FOREIGN ".derphole-0123456789abcdef01234567.part"
#define STALE (stale_name(0))

static char root[] = "/tmp/t_out_stale.XXXXXX";
static time_t later; /* seconds; what the clock is ahead */

int
clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret_time);

	ret_time->tv_sec += later;
	return r;
}

/* Names as receivers make them here, a few that stay the same. */
static const char *
stale_name(size_t n)
{
	static char names[3][OUT_TARGET_TEMP];

	if (names[n][0] == '\0' && out_target_temp(true, names[n]) < 0)
		abort();
	return names[n];
}

static const char *
below(const char *name)
{
	static char path[OUT_TARGET_TEMP + 16];

	(void)snprintf(path, sizeof(path), "%s/%s", STALE, name);
	return path;
}

static bool
is_temp(const char *name)
{
	bool is_here;

	return out_target_is_temp(name, &is_here);
}

static struct out_target
here(void)
{
	struct out_target t;

	if (out_target_resolve(NULL, "x", false, &t) < 0)
		abort();
	return t;
}

static void
sweep(void)
{
	struct out_target t = here();

	out_stale_sweep(&t);
	out_target_fini(&t);
}

static bool
is_there(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static void
make(int r)
{
	if (r != 0)
		abort();
}

static void
test_dead(void)
{
	make(mkdir(STALE, 0700));
	make(mkdir(below("a"), 0700));
	files_put(below("a/b"), "x");
	make(symlink("/etc/passwd", below("link")));
	files_put(stale_name(1), "x");
	make(mkdir(stale_name(2), 0500));
	sweep();
	EQ_INT(files_count("."), 0, "folders and files of the dead are gone");
	OK(is_there("/etc/passwd"), "links in them are not followed");
}

/* None of these is what a receiver makes. */
static void
test_names(void)
{
	static const char *const names[] = { ".derphole-.part",
		".derphole-0123456789abcde.part",
		".derphole-0123456789abcdef0.part",
		".derphole-0123456789ABCDEF.part",
		".derphole-0123456789abcdeg.part",
		".derphole-0123456789abcdef.part2",
		".derphole-0123456789abcdef.par", ".derphole-0123456789abcdef",
		"derphole-0123456789abcdef.part",
		"x.derphole-0123456789abcdef.part", ".derphole-my photos.part",
		".Derphole-0123456789abcdef.part", ".part" };
	const int n = sizeof(names) / sizeof(names[0]);
	bool is_here = false;

	for (int i = 0; i < n; i++) {
		OK(!is_temp(names[i]), "%s", names[i]);
		make(mkdir(names[i], 0700));
	}
	OK(out_target_is_temp(STALE, &is_here) && is_here, "but what is made");
	OK(out_target_is_temp(FOREIGN, &is_here) && !is_here,
	    "and what others make");
	later = 2 * OUT_STALE_AGE;
	sweep();
	later = 0;
	EQ_INT(files_count("."), n, "similar names stay");
	for (int i = 0; i < n; i++)
		make(rmdir(names[i]));
}

static void
test_others(void)
{
	int fd;

	make(mkdir("mine", 0700));
	files_put("mine/a", "x");
	make(symlink("mine", STALE));
	make(symlink("mine/a", stale_name(1)));
	make(mkfifo(stale_name(2), 0600));
	sweep();
	EQ_INT(files_count("."), 4, "links and pipes of such a name stay");
	OK(is_there("mine/a"), "and what they lead to");
	make(unlink(STALE));
	make(unlink(stale_name(1)));
	make(unlink(stale_name(2)));
	make(tree_remove(AT_FDCWD, "mine"));

	make(mkdir(STALE, 0700));
	if (geteuid() == 0) {
		make(chown(STALE, 65534, 65534));
		sweep();
		OK(is_there(STALE), "somebody else's stays");
		make(chown(STALE, 0, 0));
	}
	fd = open(STALE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make(flock(fd, LOCK_SH | LOCK_NB));
	sweep();
	OK(is_there(STALE), "one that is held stays");
	fd_close(&fd);
	sweep();
	OK(!is_there(STALE), "until it is let go");
}

/* Another machine may write there, whose lock is not seen here. */
static void
test_foreign(void)
{
	make(mkdir(FOREIGN, 0700));
	sweep();
	OK(is_there(FOREIGN), "another machine's stays");
	later = OUT_STALE_AGE - 60;
	sweep();
	OK(is_there(FOREIGN), "for a week");
	later = OUT_STALE_AGE + 60;
	sweep();
	OK(!is_there(FOREIGN), "and no longer");
	files_put(FOREIGN, "x");
	later = -2 * OUT_STALE_AGE;
	sweep();
	OK(is_there(FOREIGN), "a clock that is wrong does no harm");
	later = 2 * OUT_STALE_AGE;
	sweep();
	later = 0;
	EQ_INT(files_count("."), 0, "files likewise");
}

/* Made, then swept before it was locked, or locked by a sweeper. */
static void
test_hold(void)
{
	struct out_target t = here();
	int fd, other;

	make(mkdir(STALE, 0700));
	fd = open(STALE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	other = open(STALE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make(flock(other, LOCK_EX | LOCK_NB));
	EQ_INT(out_stale_hold(&t, STALE, fd), -EAGAIN, "a sweeper has it");
	make(rmdir(STALE));
	fd_close(&other);
	EQ_INT(out_stale_hold(&t, STALE, fd), -EAGAIN, "it is gone");
	make(mkdir(STALE, 0700));
	EQ_INT(out_stale_hold(&t, STALE, fd), -EAGAIN, "it is another one");
	fd_close(&fd);
	fd = open(STALE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EQ_INT(out_stale_hold(&t, STALE, fd), 0, "held");
	other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	fd_close(&fd);
	sweep();
	OK(is_there(STALE), "as long as a copy is open");
	fd_close(&other);
	sweep();
	EQ_INT(files_count("."), 0, "and no longer");
	out_target_fini(&t);
}

static struct archive_unpack *
open_folder(const char *name)
{
	const struct archive_unpack_params p = { .name = name };
	struct archive_unpack *u;

	return archive_unpack_open(&p, &u) == 0 ? u : NULL;
}

static struct out_file *
open_file(const char *name)
{
	const struct out_file_params p = {
		.name = name, .size = -1, .hidden = true
	};
	struct out_file *f;

	return out_file_open(&p, &f) == 0 ? f : NULL;
}

/* A child that has both under way; it is killed when told. */
static pid_t
start_receiver(void)
{
	int pair[2];
	char c;
	pid_t pid;

	make(pipe(pair));
	pid = fork();
	if (pid == 0) {
		if (open_folder("killed") == NULL || open_file("k") == NULL ||
		    write(pair[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(pair[1]);
	make(pid > 0 && read(pair[0], &c, 1) == 1 ? 0 : -1);
	(void)close(pair[0]);
	return pid;
}

static void
test_receivers(void)
{
	pid_t pid = start_receiver();
	struct archive_unpack *u;
	struct out_file *f;

	EQ_INT(files_count("."), 2, "a receiver of a folder and a file");
	u = open_folder("next");
	f = open_file("n");
	OK(u != NULL && f != NULL, "the next ones");
	EQ_INT(files_count("."), 4, "leave those that live alone");
	make(kill(pid, SIGKILL));
	make(waitpid(pid, NULL, 0) == pid ? 0 : -1);
	EQ_INT(files_count("."), 4, "kill -9 leaves both");
	archive_unpack_free(u);
	u = open_folder("next");
	EQ_INT(files_count("."), 2, "a folder's receiver removes them");
	EQ_INT(archive_unpack_commit(u), 0, "and ends well");
	archive_unpack_free(u);
	EQ_INT(out_file_commit(f, 0), 0, "so does that of a file");
	out_file_free(f);
	EQ_INT(files_count("."), 2, "with nothing else");

	pid = start_receiver();
	make(kill(pid, SIGKILL));
	make(waitpid(pid, NULL, 0) == pid ? 0 : -1);
	f = open_file("other");
	EQ_INT(files_count("."), 3, "a file's receiver does so, too");
	out_file_free(f);
	make(rmdir("next"));
	make(unlink("n"));
	EQ_INT(files_count("."), 0, "nothing left");
}

/* Where others can rename, they could give anything of ours such a name. */
static void
test_folders(void)
{
	make(mkdir(STALE, 0700));
	make(chmod(".", 0770));
	sweep();
	make(chmod(".", 0707));
	sweep();
	EQ_INT(files_count("."), 1, "nothing is removed where others write");
	make(chmod(".", 01777));
	sweep();
	EQ_INT(files_count("."), 0, "unless only owners may rename");
	make(chmod(".", 0700));
}

static void
test_bounds(void)
{
	uint64_t left = 3;
	char name[32];

	make(mkdir("t", 0700));
	for (int i = 0; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "t/%d", i);
		files_put(name, "");
	}
	EQ_INT(tree_remove_some(AT_FDCWD, "t", &left), -DT_ERR_LIMIT,
	    "not more than asked for");
	EQ_INT(left, 0, "all used");
	EQ_INT(files_count("t"), 8, "the folder and two in it");
	EQ_INT(tree_remove_some(AT_FDCWD, "t", &left), -DT_ERR_LIMIT,
	    "none are none");
	left = 9;
	EQ_INT(tree_remove_some(AT_FDCWD, "t", &left), -DT_ERR_LIMIT,
	    "emptied, but the folder may not be removed any more");
	left = 2;
	EQ_INT(tree_remove_some(AT_FDCWD, "t", &left), 0, "in the end");
	EQ_INT(left, 1, "counted");
	OK(!is_there("t"), "gone");
}

int
main(void)
{
	if (mkdtemp(root) == NULL || chdir(root) != 0)
		return 1;
	test_dead();
	test_names();
	test_others();
	test_foreign();
	test_hold();
	test_receivers();
	test_folders();
	test_bounds();
	if (chdir("/") != 0 || rmdir(root) != 0)
		return 1;
	return tap_done();
}
