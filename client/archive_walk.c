/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A folder on the way down, and what is in it. */
struct level {
	int fd;
	char *text; /* all names, terminated, one after the other */
	size_t len, cap;
	char **names; /* into text; sorted */
	size_t n, next;
	size_t path_len; /* of the folder, with its slash */
};

struct archive_walk {
	size_t max_depth;
	size_t depth; /* levels in use, at least 1 */
	struct level *levels;
	char path[ARCHIVE_REPORT_MAX_PATH + NAME_MAX + 2];
};

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int
add_name(struct level *l, const char *name)
{
	size_t len = strlen(name) + 1;

	if (len > l->cap - l->len) {
		size_t cap = l->cap * 2 + 4096;
		char *text = realloc(l->text, cap);

		if (text == NULL)
			return -ENOMEM;
		l->text = text;
		l->cap = cap;
	}
	memcpy(l->text + l->len, name, len);
	l->len += len;
	l->n++;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
sort_names(struct level *l)
{
	char *p = l->text;

	if (l->n == 0)
		return 0;
	l->names = calloc(l->n, sizeof(*l->names));
	if (l->names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		l->names[i] = p;
		p += strlen(p) + 1;
	}
	qsort(l->names, l->n, sizeof(*l->names), compare);
	return 0;
}

static int
read_names(struct level *l, DIR *d)
{
	struct dirent *e;
	int r = 0;

	for (;;) {
		errno = 0;
		e = readdir(d);
		if (e == NULL)
			break;
		if (!is_dots(e->d_name))
			r = add_name(l, e->d_name);
		if (r < 0)
			return r;
	}
	return errno != 0 ? -errno : sort_names(l);
}

static void
level_fini(struct level *l)
{
	fd_close(&l->fd);
	free(l->text);
	free(l->names);
}

/* Takes @fd over, whatever happens. */
static int
push(struct archive_walk *w, int fd, size_t path_len)
{
	struct level l = { .fd = fd, .path_len = path_len };
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	int r;

	if (d == NULL) {
		r = -errno;
		fd_close(&copy);
	} else {
		r = read_names(&l, d);
		(void)closedir(d);
	}
	if (r < 0) {
		level_fini(&l);
		return r;
	}
	w->levels[w->depth++] = l;
	return 0;
}

int
archive_walk_new(int dir, size_t max_depth, struct archive_walk **ret_walk)
{
	struct archive_walk *w = calloc(1, sizeof(*w));
	int fd, r;

	if (w == NULL)
		return -ENOMEM;
	w->max_depth = max_depth;
	w->levels = calloc(max_depth + 1, sizeof(*w->levels));
	if (w->levels == NULL) {
		free(w);
		return -ENOMEM;
	}
	/* A position of our own in the folder. */
	fd = openat(dir, ".", FOLDER_FLAGS);
	r = fd >= 0 ? push(w, fd, 0) : -errno;
	if (r < 0) {
		archive_walk_free(w);
		return r;
	}
	*ret_walk = w;
	return 0;
}

void
archive_walk_free(struct archive_walk *w)
{
	if (w == NULL)
		return;
	while (w->depth > 0)
		level_fini(&w->levels[--w->depth]);
	free(w->levels);
	free(w);
}

int
archive_walk_next(struct archive_walk *w, struct archive_walk_entry *ret_entry)
{
	struct archive_walk_entry e = { .r = 0 };
	struct level *l = &w->levels[w->depth - 1];

	while (l->next == l->n) {
		if (w->depth == 1)
			return 0;
		level_fini(l);
		w->depth--;
		l--;
	}
	e.name = l->names[l->next++];
	e.dir = l->fd;
	e.depth = w->depth - 1;
	memcpy(w->path + l->path_len, e.name, strlen(e.name) + 1);
	if (strlen(w->path) > ARCHIVE_REPORT_MAX_PATH) {
		w->path[l->path_len] = '\0';
		e.r = -ENAMETOOLONG;
	} else if (fstatat(l->fd, e.name, &e.st, AT_SYMLINK_NOFOLLOW) != 0) {
		e.r = -errno;
	}
	e.path = w->path;
	*ret_entry = e;
	return 1;
}

int
archive_walk_enter(struct archive_walk *w)
{
	const struct level *l = &w->levels[w->depth - 1];
	const char *name = l->names[l->next - 1];
	size_t len = l->path_len + strlen(name);
	int fd, r;

	if (w->depth > w->max_depth || len >= ARCHIVE_REPORT_MAX_PATH)
		return -DT_ERR_LIMIT;
	fd = openat(l->fd, name, FOLDER_FLAGS);
	if (fd < 0)
		return -errno;
	r = push(w, fd, len + 1);
	if (r == 0) {
		w->path[len] = '/';
		w->path[len + 1] = '\0';
	}
	return r;
}
