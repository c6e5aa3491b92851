/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/daemon_dir.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
fits(int n, size_t cap)
{
	return n >= 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

int
daemon_dir_find(struct daemon_dir *ret_dir)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *tmp = getenv("TMPDIR");
	size_t cap = sizeof(ret_dir->path);

	/* The specification tells to ignore relative paths. */
	if (runtime != NULL && runtime[0] == '/')
		return fits(
		    snprintf(ret_dir->path, cap, "%s/derptund", runtime), cap);
	if (tmp == NULL || tmp[0] != '/')
		tmp = "/tmp";
	return fits(snprintf(ret_dir->path, cap, "%s/derptund-%lu", tmp,
			(unsigned long)geteuid()),
	    cap);
}

int
daemon_dir_for_netns(struct daemon_dir *dir, uint64_t netns)
{
	size_t len = strlen(dir->path), cap = sizeof(dir->path) - len;

	return fits(snprintf(dir->path + len, cap, "/ns-%llu",
			(unsigned long long)netns),
	    cap);
}

int
daemon_dir_check(const struct daemon_dir *dir)
{
	struct stat st;

	if (lstat(dir->path, &st) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return -EPERM;
	return 0;
}

int
daemon_dir_make(const struct daemon_dir *dir)
{
	if (mkdir(dir->path, 0700) != 0 && errno != EEXIST)
		return -errno;
	return daemon_dir_check(dir);
}

void
daemon_dir_file(const struct daemon_dir *dir, const char *name,
    char ret[static DAEMON_DIR_MAX_FILE])
{
	int n = snprintf(ret, DAEMON_DIR_MAX_FILE, "%s/%s", dir->path, name);

	assert(n > 0 && n < DAEMON_DIR_MAX_FILE);
	(void)n;
}

uint64_t
daemon_dir_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}
