/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folders of the current path are open, one level each.  The next path
 * keeps those it shares, leaves the others, and enters or makes what is
 * missing.  A folder gets its mode and time when it is left, as a mode without
 * "w" would keep its own files out, and every new file would change the time.
 * One that is entered again (senders go through their folders once, but need
 * not) is opened up and gets both back the next time it is left.
 */
#include "client/archive_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/out_target.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/transfer/transfer_name.h"

#define MODE_BITS 0777
/* Of folders without an entry of their own, as peer v0.18.2 makes them. */
#define IMPLIED_MODE 0755
#define PRIVATE_MODE 0700

struct level {
	int fd;
	char name[NAME_MAX + 1];
	mode_t mode;   /* for the moment it is left */
	mode_t setgid; /* inherited from a shared folder above, not sent */
	bool has_mtime;
	struct timespec mtime;
};

struct archive_tree {
	struct archive_tree_params p;
	mode_t umask;
	struct archive_tree_counts counts;
	bool renamed; /* in this path */
	size_t depth; /* levels that are open */
	struct level levels[];
};

struct archive_tree *
archive_tree_new(const struct archive_tree_params *params)
{
	struct archive_tree *t =
	    calloc(1, sizeof(*t) + params->max_depth * sizeof(struct level));

	if (t == NULL)
		return NULL;
	t->p = *params;
	t->umask = out_target_umask();
	return t;
}

void
archive_tree_free(struct archive_tree *t)
{
	if (t == NULL)
		return;
	while (t->depth > 0)
		fd_close(&t->levels[--t->depth].fd);
	free(t);
}

static void
report(struct archive_tree *t, enum archive_problem problem, const char *path,
    int r)
{
	if (t->p.on_problem != NULL)
		t->p.on_problem(t->p.arg, problem, path, r);
}

static int
blame(struct archive_tree *t, enum archive_problem problem, const char *path)
{
	report(t, problem, path, 0);
	return -DT_ERR_PEER_PROTOCOL;
}

static int
top_fd(const struct archive_tree *t)
{
	return t->depth == 0 ? t->p.dir : t->levels[t->depth - 1].fd;
}

static int
ours(struct archive_tree *t, const char *path, int r)
{
	report(t, ARCHIVE_PROBLEM_WRITE, path, r);
	return r;
}

/* Leaves all levels from @keep on, the deepest first. */
static int
leave(struct archive_tree *t, size_t keep)
{
	int r = 0;

	while (t->depth > keep) {
		struct level *l = &t->levels[--t->depth];
		int r_mode = out_target_set_mode(l->fd, l->mode | l->setgid);
		int r_time = out_target_set_mtime(
		    l->fd, l->has_mtime ? &l->mtime : NULL);

		if (r == 0)
			r = r_mode < 0 ? r_mode : r_time;
		fd_close(&l->fd);
	}
	return r;
}

static bool
is_full(const struct archive_tree *t)
{
	return t->counts.files + t->counts.folders >= t->p.max_inodes;
}

/* A folder that is there, opened up.  Returns the descriptor. */
static int
reopen(int parent, const char *name, struct level *l)
{
	struct stat st;
	int fd;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	l->mode = st.st_mode & MODE_BITS;
	l->setgid = st.st_mode & S_ISGID;
	l->mtime = st.st_mtim;
	l->has_mtime = true;
	if ((l->mode & PRIVATE_MODE) != PRIVATE_MODE &&
	    fchmodat(parent, name, PRIVATE_MODE | l->setgid, 0) != 0)
		return -errno;
	fd = openat(
	    parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

static int
enter(
    struct archive_tree *t, const char *path, const struct transfer_name *name)
{
	struct level *l = &t->levels[t->depth];
	bool full = is_full(t), made;
	int fd, parent = top_fd(t);

	if (t->depth == t->p.max_depth)
		return blame(t, ARCHIVE_PROBLEM_UNSAFE, path);
	made = !full && mkdirat(parent, name->text, PRIVATE_MODE) == 0;
	if (!made && !full && errno != EEXIST)
		return ours(t, path, -errno);
	fd = reopen(parent, name->text, l);
	if (fd == -ENOTDIR)
		return blame(t, ARCHIVE_PROBLEM_TWICE, path);
	if (fd == -ENOENT && full)
		return blame(t, ARCHIVE_PROBLEM_LIMIT, path);
	if (fd < 0)
		return ours(t, path, fd);
	if (made) {
		l->mode = IMPLIED_MODE & ~t->umask;
		l->has_mtime = false;
		t->counts.folders++;
		t->renamed |= name->changed;
	}
	l->fd = fd;
	memcpy(l->name, name->text, sizeof(l->name));
	t->depth++;
	return 0;
}

/* The next component that counts.  Returns its length, 0 at the end. */
static size_t
next_part(const char **path)
{
	for (;;) {
		size_t len;

		*path += strspn(*path, "/");
		len = strcspn(*path, "/");
		if (len != 1 || **path != '.')
			return len;
		*path += len;
	}
}

static bool
is_last(const char *rest)
{
	return next_part(&rest) == 0;
}

/*
 * Makes the levels those of @path, but for the last component if @ret_leaf is
 * given.  Returns the number of components, or negative.
 */
static int
go_to(struct archive_tree *t, const char *path, struct transfer_name *ret_leaf)
{
	const char *p = path;
	struct transfer_name name;
	size_t i = 0, len;
	int parts = 0, r;

	if (*path == '/' || strlen(path) > ARCHIVE_REPORT_MAX_PATH)
		return blame(t, ARCHIVE_PROBLEM_UNSAFE, path);
	while ((len = next_part(&p)) > 0) {
		if (transfer_name_component(&name, p, len) < 0)
			return blame(t, ARCHIVE_PROBLEM_UNSAFE, path);
		p += len;
		parts++;
		if (ret_leaf != NULL && is_last(p)) {
			*ret_leaf = name;
			break;
		}
		if (i == t->depth ||
		    strcmp(t->levels[i].name, name.text) != 0) {
			r = leave(t, i);
			r = r < 0 ? ours(t, path, r) : enter(t, path, &name);
			if (r < 0)
				return r;
		}
		i++;
	}
	r = leave(t, i);
	return r < 0 ? ours(t, path, r) : parts;
}

static void
note_renamed(struct archive_tree *t, const char *path)
{
	if (!t->renamed)
		return;
	t->renamed = false;
	t->counts.renamed++;
	report(t, ARCHIVE_PROBLEM_RENAMED, path, 0);
}

int
archive_tree_folder(struct archive_tree *t, const char *path, mode_t mode,
    const struct timespec *mtime)
{
	struct level *l;
	int r = go_to(t, path, NULL);

	if (r <= 0)
		return r; /* or the top itself */
	l = &t->levels[t->depth - 1];
	l->mode = mode & MODE_BITS & ~t->umask;
	l->mtime = *mtime;
	l->has_mtime = true;
	note_renamed(t, path);
	return 0;
}

int
archive_tree_file(
    struct archive_tree *t, const char *path, mode_t mode, int *ret_fd)
{
	struct transfer_name leaf = { .changed = false };
	int fd, r = go_to(t, path, &leaf);

	if (r < 0)
		return r;
	if (r == 0)
		return blame(t, ARCHIVE_PROBLEM_UNSAFE, path);
	if (is_full(t))
		return blame(t, ARCHIVE_PROBLEM_LIMIT, path);
	/* The umask applies here. */
	fd = openat(top_fd(t), leaf.text,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    mode & MODE_BITS);
	if (fd < 0 && errno == EEXIST)
		return blame(t, ARCHIVE_PROBLEM_TWICE, path);
	if (fd < 0)
		return ours(t, path, -errno);
	t->counts.files++;
	t->renamed |= leaf.changed;
	note_renamed(t, path);
	*ret_fd = fd;
	return 0;
}

int
archive_tree_finish(struct archive_tree *t)
{
	const mode_t mode = IMPLIED_MODE & ~t->umask;
	struct stat st;
	int r = leave(t, 0);

	if (r == 0 && fstat(t->p.dir, &st) != 0)
		r = -errno;
	if (r == 0)
		r = out_target_set_mode(
		    t->p.dir, mode | (st.st_mode & S_ISGID));
	return r < 0 ? ours(t, "", r) : 0;
}

struct archive_tree_counts
archive_tree_counts(const struct archive_tree *t)
{
	return t->counts;
}
