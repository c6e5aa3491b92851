/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpacks the archive of tar_maker.h below a folder of the test's own. */
#ifndef TEST_UNIT_ARCHIVE_UNPACK_RIG_H
#define TEST_UNIT_ARCHIVE_UNPACK_RIG_H

#include <errno.h>
#include <sys/stat.h>

#include "client/archive_unpack.h"
#include "lib/err.h"
#include "test/tap.h"
#include "test/unit/files.h"
#include "test/unit/tar_maker.h"

/* In memory if possible: every commit syncs its file system. */
static char in_memory[] = "/dev/shm/t_archive_unpack.XXXXXX";
static char on_disk[] = "/tmp/t_archive_unpack.XXXXXX";
static char *root = in_memory;

/* What was reported last. */
static enum archive_problem last_problem;
static char last_path[ARCHIVE_REPORT_MAX_PATH * 2];
static int last_r, reports;

static inline void
on_problem(void *arg, enum archive_problem problem, const char *path, int r)
{
	(void)arg;
	last_problem = problem;
	(void)snprintf(last_path, sizeof(last_path), "%s", path);
	last_r = r;
	reports++;
}

static struct archive_unpack_params params;
static struct archive_totals totals;

/* From open to commit.  On failure nothing may be left. */
static inline int
unpack(void)
{
	struct archive_unpack *u;
	int r;

	last_problem = ARCHIVE_PROBLEM_NONE;
	last_path[0] = '\0';
	last_r = 0;
	reports = 0;
	if (lseek(tar_fd, 0, SEEK_SET) != 0)
		abort();
	r = archive_unpack_open(&params, &u);
	if (r < 0)
		return r;
	r = archive_unpack_run(u, tar_fd, &totals);
	if (r == 0)
		r = archive_unpack_commit(u);
	archive_unpack_free(u);
	return r;
}

static inline void
refused(enum archive_problem problem, int want, const char *what)
{
	int r = unpack();

	EQ_INT(r, want, "%s", what);
	EQ_INT(last_problem, problem, "  the reason");
	EQ_INT(files_count("."), 0, "  nothing is left");
}

static inline void
remove_all(void)
{
	/* NOLINTNEXTLINE(cert-env33-c) */
	EQ_INT(system("chmod -R u+rwx . && rm -rf ./t ./other"), 0, "clean");
}

static inline struct stat
look(const char *path)
{
	struct stat st = { .st_mode = 0 };

	(void)lstat(path, &st);
	return st;
}

/* In a folder of its own, which is empty between the cases. */
static inline bool
rig_enter(void)
{
	(void)umask(022);
	if (mkdtemp(root) == NULL)
		root = mkdtemp(on_disk);
	if (root == NULL || chmod(root, 0777) != 0 || chdir(root) != 0)
		return false;
	params.name = "t";
	params.on_problem = on_problem;
	return true;
}

static inline int
rig_leave(void)
{
	EQ_INT(chdir("/") | rmdir(root), 0, "clean");
	fd_close(&tar_fd);
	return tap_done();
}

#endif
