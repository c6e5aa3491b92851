/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/tree_remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"

/* One folder that is being emptied; the next one is inside it. */
struct level {
	DIR *d;
	char name[NAME_MAX + 1]; /* in the folder above */
};

struct walk {
	int dir; /* borrowed: where it began */
	dev_t dev;
	size_t depth;
	int error;     /* the first one */
	uint64_t left; /* of what may be removed */
	struct level levels[TREE_REMOVE_MAX_DEPTH];
};

static int
top_fd(const struct walk *w)
{
	return w->depth == 0 ? w->dir : dirfd(w->levels[w->depth - 1].d);
}

static void
note(struct walk *w, int r)
{
	if (w->error == 0)
		w->error = r;
}

static int
open_folder(int dir, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd;

	/* Without write permission nothing in it could be removed. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode) && (st.st_mode & S_IRWXU) != S_IRWXU &&
	    fchmodat(dir, name, S_IRWXU, 0) != 0)
		return -errno;
	fd = openat(dir, name, flags);
	return fd >= 0 ? fd : -errno;
}

/* Goes into @name, or says why not. */
static void
descend(struct walk *w, const char *name)
{
	struct level *l = &w->levels[w->depth];
	struct stat st;
	int fd;

	if (w->depth == TREE_REMOVE_MAX_DEPTH) {
		note(w, -DT_ERR_LIMIT);
		return;
	}
	fd = open_folder(top_fd(w), name);
	if (fd < 0) {
		if (fd != -ENOENT)
			note(w, fd);
		return;
	}
	if (fstat(fd, &st) != 0 || st.st_dev != w->dev) {
		note(w, -EXDEV); /* mounted there: not what we made */
		fd_close(&fd);
		return;
	}
	l->d = fdopendir(fd);
	if (l->d == NULL) {
		note(w, -errno);
		fd_close(&fd);
		return;
	}
	memcpy(l->name, name, strlen(name) + 1); /* came from a folder */
	w->depth++;
}

/* @is_emptied: or it is left as it is. */
static void
ascend(struct walk *w, bool is_emptied)
{
	struct level *l = &w->levels[--w->depth];

	(void)closedir(l->d);
	if (is_emptied && unlinkat(top_fd(w), l->name, AT_REMOVEDIR) != 0 &&
	    errno != ENOENT)
		note(w, -errno);
}

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes @name, or goes into it. */
static void
remove_one(struct walk *w, const char *name)
{
	w->left--;
	if (unlinkat(top_fd(w), name, 0) == 0 || errno == ENOENT)
		return;
	/* EPERM is what POSIX says of folders. */
	if (errno == EISDIR || errno == EPERM)
		descend(w, name);
	else
		note(w, -errno);
}

static void
run(struct walk *w)
{
	const struct dirent *e;

	while (w->depth > 0 && w->left > 0) {
		e = readdir(w->levels[w->depth - 1].d);
		if (e == NULL)
			ascend(w, true);
		else if (!is_dots(e->d_name))
			remove_one(w, e->d_name);
	}
	if (w->depth > 0)
		note(w, -DT_ERR_LIMIT);
	while (w->depth > 0)
		ascend(w, false);
}

int
tree_remove_some(int dir, const char *name, uint64_t *left)
{
	struct walk *w;
	struct stat st;
	int r;

	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (*left == 0)
		return -DT_ERR_LIMIT;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->dir = dir;
	w->left = *left;
	r = fstatat(dir, ".", &st, 0) == 0 ? 0 : -errno;
	if (r == 0) {
		w->dev = st.st_dev;
		remove_one(w, name);
		run(w);
		*left = w->left;
		r = w->error;
	}
	free(w);
	return r;
}

int
tree_remove(int dir, const char *name)
{
	uint64_t left = UINT64_MAX;

	return tree_remove_some(dir, name, &left);
}
