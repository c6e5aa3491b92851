/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/out_target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"

#define TEMP_BEGIN ".derphole-"
#define TEMP_END ".part"
#define BOOT_DIGITS 8
#define NAME_DIGITS 16
#define HEX "0123456789abcdef"
/* What the bits of a missing parent are cut from. */
#define PARENT_MODE 0755

bool
out_target_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX && strchr(name, '/') == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The first digits of the random number that every kernel gives itself when it
 * starts; zeros without /proc. */
static void
read_boot(char ret_digits[static BOOT_DIGITS + 1])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(ret_digits, 0, BOOT_DIGITS + 1);
	if (fd < 0 || read(fd, ret_digits, BOOT_DIGITS) != BOOT_DIGITS ||
	    strspn(ret_digits, HEX) != BOOT_DIGITS)
		memset(ret_digits, '0', BOOT_DIGITS);
	fd_close(&fd);
}

int
out_target_temp(bool is_locked, char ret_name[static OUT_TARGET_TEMP])
{
	char boot[BOOT_DIGITS + 1] = "00000000";
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -errno;
	if (is_locked)
		read_boot(boot);
	(void)snprintf(ret_name, OUT_TARGET_TEMP,
	    TEMP_BEGIN "%s%0*" PRIx64 TEMP_END, boot, NAME_DIGITS,
	    random); /* fits */
	return 0;
}

bool
out_target_is_temp(const char *name, bool *ret_is_here)
{
	const size_t begin = sizeof(TEMP_BEGIN) - 1;
	const size_t digits = BOOT_DIGITS + NAME_DIGITS;
	char boot[BOOT_DIGITS + 1];

	if (strncmp(name, TEMP_BEGIN, begin) != 0 ||
	    strspn(name + begin, HEX) != digits ||
	    strcmp(name + begin + digits, TEMP_END) != 0)
		return false;
	read_boot(boot);
	*ret_is_here = strncmp(name + begin, boot, BOOT_DIGITS) == 0 &&
		       strspn(boot, "0") != BOOT_DIGITS;
	return true;
}

mode_t
out_target_umask(void)
{
	mode_t mask = umask(0077);

	(void)umask(mask);
	return mask;
}

/* Every folder in @path that is missing, from the top. */
static int
make_parents(char *path)
{
	char *p = path;

	do {
		int r;

		p = strchrnul(p + 1, '/');
		if (*p == '/') {
			*p = '\0';
			r = mkdir(path, PARENT_MODE) == 0 ? 0 : -errno;
			*p = '/';
		} else {
			r = mkdir(path, PARENT_MODE) == 0 ? 0 : -errno;
		}
		if (r < 0 && r != -EEXIST)
			return r;
	} while (*p != '\0');
	return 0;
}

/* Takes over folder @path and @leaf.  @path is changed and put back. */
static int
fill(struct out_target *t, char *path, const char *leaf)
{
	int r = 0, written;

	t->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0 && errno == ENOENT)
		r = make_parents(path);
	else if (t->dir < 0)
		r = -errno;
	if (r < 0)
		return r;
	if (t->dir < 0)
		t->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0)
		return -errno;
	(void)snprintf(t->leaf, sizeof(t->leaf), "%s", leaf); /* was checked */
	if (strcmp(path, ".") == 0)
		written = snprintf(t->path, sizeof(t->path), "%s", leaf);
	else
		written = snprintf(t->path, sizeof(t->path), "%s%s%s", path,
		    path[strlen(path) - 1] == '/' ? "" : "/", leaf);
	if (written < 0 || (size_t)written >= sizeof(t->path)) {
		fd_close(&t->dir);
		return -ENAMETOOLONG;
	}
	return 0;
}

/* @path is no folder: its last component is the leaf. */
static int
split(struct out_target *t, char *path, bool wants_folder)
{
	size_t len = strlen(path);
	char *slash;

	if (path[len - 1] == '/' && !wants_folder)
		return -EISDIR;
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL) {
		char here[] = ".";

		return out_target_is_name(path) ? fill(t, here, path)
						: -ENAMETOOLONG;
	}
	if (!out_target_is_name(slash + 1))
		return strlen(slash + 1) > NAME_MAX ? -ENAMETOOLONG : -ENOENT;
	if (slash == path) {
		char root[] = "/";

		return fill(t, root, path + 1);
	}
	*slash = '\0';
	return fill(t, path, slash + 1);
}

int
out_target_resolve(const char *output, const char *name, bool wants_folder,
    struct out_target *ret_target)
{
	struct out_target t = { .dir = -1 };
	char path[OUT_TARGET_MAX_PATH];
	struct stat st;
	bool is_here;
	int r;

	if (!out_target_is_name(name))
		return strlen(name) > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	if (output == NULL || *output == '\0')
		output = ".";
	if (strlen(output) >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, output, strlen(output) + 1);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		r = out_target_is_temp(name, &is_here) ? -EINVAL
						       : fill(&t, path, name);
	} else {
		t.is_named = true;
		r = split(&t, path, wants_folder);
	}
	if (r == 0)
		*ret_target = t;
	return r;
}

void
out_target_fini(struct out_target *target)
{
	fd_close(&target->dir);
}

/* For file systems whose rename knows no "only if free". */
static int
publish_by_link(const struct out_target *t, const char *temp)
{
	struct stat st;

	if (linkat(t->dir, temp, t->dir, t->leaf, 0) == 0) {
		(void)unlinkat(t->dir, temp, 0); /* the file has its name */
		return 0;
	}
	if (errno == EEXIST)
		return -EEXIST;
	/* A folder, or no hard links either.  Not atomic, but a folder only
	 * ever goes over an empty one. */
	if (fstatat(t->dir, t->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(t->dir, temp, t->dir, t->leaf) == 0 ? 0 : -errno;
}

int
out_target_publish(const struct out_target *target, const char *temp)
{
	int r = 0;

	if (renameat2(target->dir, temp, target->dir, target->leaf,
		RENAME_NOREPLACE) != 0)
		r = -errno;
	if (r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP)
		r = publish_by_link(target, temp);
	return r == 0 ? out_target_sync(target) : r;
}

/* Of what is ours, and new, no other has to be asked. */
static int
unless_not_kept(int r)
{
	if (r == 0 || errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return -errno;
}

int
out_target_set_mode(int fd, mode_t mode)
{
	return unless_not_kept(fchmod(fd, mode));
}

int
out_target_set_mtime(int fd, const struct timespec *mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	if (mtime == NULL)
		return 0;
	times[1] = *mtime;
	return unless_not_kept(futimens(fd, times));
}

int
out_target_sync(const struct out_target *target)
{
	int fd = openat(target->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return 0; /* a folder we may write but not read */
	if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
		r = -errno;
	fd_close(&fd);
	return r;
}
