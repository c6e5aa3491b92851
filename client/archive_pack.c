/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libarchive writes the headers; the sink below either counts its bytes
 * (measure) or collects them into writes of a decent size.  Both ways run
 * through the same code, with zeros instead of contents when only counting, so
 * that the announced size cannot differ by a rounding.
 */
#include "client/archive_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/archive_lib.h"
#include "client/archive_walk.h"
#include "lib/err.h"
#include "lib/fd.h"

#define CHUNK (256u << 10)
#define MODE_BITS 0777
#define HALF_SECOND 500000000

struct pack {
	const struct archive_pack_params *params;
	int fd; /* -1: only counting */
	const struct archive_lib *lib;
	struct archive *archive;
	struct archive_entry *entry;
	struct archive_totals totals;
	int error; /* of the sink; sticky */
	size_t out_len;
	uint8_t out[CHUNK];
	uint8_t in[CHUNK]; /* stays zero when only counting */
};

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int
flush(struct pack *p)
{
	if (p->error == 0 && p->fd >= 0)
		p->error = write_all(p->fd, p->out, p->out_len);
	p->out_len = 0;
	return p->error;
}

/* libarchive's way out. */
static la_ssize_t
on_write(struct archive *a, void *arg, const void *data, size_t n)
{
	struct pack *p = arg;

	(void)a;
	if (p->error != 0)
		return -1;
	p->totals.tar_size += (int64_t)n;
	if (p->fd < 0)
		return (la_ssize_t)n;
	if (n > sizeof(p->out) - p->out_len)
		(void)flush(p);
	if (p->error == 0 && n >= sizeof(p->out) / 2) {
		(void)flush(p); /* order */
		p->error = write_all(p->fd, data, n);
	} else if (p->error == 0) {
		memcpy(p->out + p->out_len, data, n);
		p->out_len += n;
	}
	return p->error == 0 ? (la_ssize_t)n : -1;
}

static void
report(
    const struct pack *p, enum archive_problem problem, const char *path, int r)
{
	if (p->params->on_problem != NULL)
		p->params->on_problem(p->params->arg, problem, path, r);
}

static void
fault(struct pack *p, enum archive_problem problem, const char *path, int r)
{
	p->totals.faults++;
	report(p, problem, path, r);
}

static void
warn(struct pack *p, enum archive_problem problem, const char *path)
{
	p->totals.warnings++;
	report(p, problem, path, 0);
}

/* Returns 0, 1 when this name cannot be archived, or negative to stop. */
static int
put_header(struct pack *p, const char *path, const struct stat *st)
{
	struct archive_entry *e = p->lib->archive_entry_clear(p->entry);
	bool is_folder = S_ISDIR(st->st_mode);
	int r;

	/* A folder gets its slash. */
	p->lib->archive_entry_copy_pathname(e, path);
	p->lib->archive_entry_set_filetype(e, is_folder ? AE_IFDIR : AE_IFREG);
	p->lib->archive_entry_set_perm(e, st->st_mode & MODE_BITS);
	p->lib->archive_entry_set_size(e, is_folder ? 0 : st->st_size);
	p->lib->archive_entry_set_mtime(
	    e, st->st_mtim.tv_sec + (st->st_mtim.tv_nsec >= HALF_SECOND), 0);
	r = p->lib->archive_write_header(p->archive, e);
	if (p->error != 0)
		return p->error;
	if (r == ARCHIVE_FATAL)
		return -ENOMEM;
	/* A warning: bytes that are no UTF-8; they are marked as such. */
	return r == ARCHIVE_FAILED ? 1 : 0;
}

static int
put_data(struct pack *p, size_t n)
{
	if (p->lib->archive_write_data(p->archive, p->in, n) == (la_ssize_t)n)
		return 0;
	return p->error != 0 ? p->error : -DT_ERR_INTERNAL;
}

static size_t
part(int64_t left)
{
	return left < (int64_t)CHUNK ? (size_t)left : CHUNK;
}

static ssize_t
read_some(int fd, uint8_t *in, size_t n)
{
	ssize_t got;

	do
		got = read(fd, in, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Exactly as many bytes as the header said, from @fd or zeros (-1). */
static int
put_contents(struct pack *p, const char *path, int fd, int64_t size)
{
	int64_t left = size;
	ssize_t n = 1;
	int r = 0;

	while (left > 0 && r == 0) {
		n = (ssize_t)part(left);
		if (fd >= 0)
			n = read_some(fd, p->in, (size_t)n);
		if (n <= 0)
			break;
		r = put_data(p, (size_t)n);
		left -= n;
	}
	if (r < 0 || fd < 0)
		return r;
	if (n < 0)
		fault(p, ARCHIVE_PROBLEM_UNREADABLE, path, (int)n);
	else if (left > 0)
		fault(p, ARCHIVE_PROBLEM_SHRANK, path, 0);
	else if (read_some(fd, p->in, 1) > 0)
		fault(p, ARCHIVE_PROBLEM_GREW, path, 0);
	/* Its length is out already.  Zeros would make a file of it that never
	 * was: better none at all. */
	return left > 0 ? -EIO : 0;
}

/* The file itself, unless it is something else by now.  -1 when counting. */
static int
open_file(struct pack *p, struct archive_walk_entry *e, int *ret_fd)
{
	int fd;

	*ret_fd = -1;
	if (p->fd < 0)
		return faccessat(e->dir, e->name, R_OK,
			   AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0
			   ? 0
			   : -errno;
	/* Not waiting for a writer if it became a named pipe. */
	fd = openat(e->dir, e->name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &e->st) != 0 || !S_ISREG(e->st.st_mode)) {
		fd_close(&fd);
		return -ESTALE;
	}
	*ret_fd = fd;
	return 0;
}

static int
put_file(struct pack *p, struct archive_walk_entry *e)
{
	int fd, r;

	r = open_file(p, e, &fd);
	if (r < 0) {
		fault(p, ARCHIVE_PROBLEM_UNREADABLE, e->path, r);
		return 0;
	}
	r = put_header(p, e->path, &e->st);
	if (r == 0) {
		p->totals.files++;
		p->totals.bytes += e->st.st_size;
		r = put_contents(p, e->path, fd, e->st.st_size);
	} else if (r == 1) {
		fault(p, ARCHIVE_PROBLEM_UNREADABLE, e->path, -EILSEQ);
		r = 0;
	}
	fd_close(&fd);
	return r;
}

static int
put_folder(
    struct pack *p, struct archive_walk *w, const struct archive_walk_entry *e)
{
	int r = put_header(p, e->path, &e->st);

	if (r < 0)
		return r;
	p->totals.folders++;
	r = r == 0 ? archive_walk_enter(w) : -EILSEQ;
	if (r == -ENOMEM)
		return r;
	if (r == -DT_ERR_LIMIT)
		fault(p, ARCHIVE_PROBLEM_LONG, e->path, 0);
	else if (r < 0)
		fault(p, ARCHIVE_PROBLEM_UNREADABLE, e->path, r);
	return 0;
}

static int
put_entry(struct pack *p, struct archive_walk *w, struct archive_walk_entry *e)
{
	if (e->r == -ENAMETOOLONG) {
		fault(p, ARCHIVE_PROBLEM_LONG, e->path, 0);
		return 0;
	}
	if (e->r < 0) {
		fault(p, ARCHIVE_PROBLEM_UNREADABLE, e->path, e->r);
		return 0;
	}
	if (e->depth == 0 && strncmp(e->name, "..", 2) == 0)
		warn(p, ARCHIVE_PROBLEM_DOTS, e->path);
	if (S_ISREG(e->st.st_mode))
		return put_file(p, e);
	if (S_ISDIR(e->st.st_mode))
		return put_folder(p, w, e);
	if (!S_ISLNK(e->st.st_mode)) {
		warn(p, ARCHIVE_PROBLEM_KIND, e->path);
		return 0;
	}
	if (p->params->skip_links) {
		warn(p, ARCHIVE_PROBLEM_LINK, e->path);
		return 0;
	}
	report(p, ARCHIVE_PROBLEM_LINK, e->path, 0);
	return -DT_ERR_UNSUPPORTED;
}

static int
put_all(struct pack *p)
{
	struct archive_walk_entry e;
	struct archive_walk *w;
	int r;

	r = archive_walk_new(p->params->dir, ARCHIVE_PACK_MAX_DEPTH, &w);
	if (r < 0)
		return r;
	while ((r = archive_walk_next(w, &e)) == 1) {
		r = put_entry(p, w, &e);
		if (r < 0)
			break;
	}
	archive_walk_free(w);
	return r;
}

static bool
start(struct pack *p)
{
	p->archive = p->lib->archive_write_new();
	p->entry = p->lib->archive_entry_new();
	return p->archive != NULL && p->entry != NULL &&
	       p->lib->archive_write_set_format_pax_restricted(p->archive) ==
		   ARCHIVE_OK &&
	       p->lib->archive_write_set_bytes_per_block(p->archive, 0) ==
		   ARCHIVE_OK &&
	       p->lib->archive_write_set_bytes_in_last_block(p->archive, 1) ==
		   ARCHIVE_OK &&
	       p->lib->archive_write_open(
		   p->archive, p, NULL, on_write, NULL) == ARCHIVE_OK;
}

static int
run(struct pack *p)
{
	int r = start(p) ? put_all(p) : -ENOMEM;

	/* Then nothing more is written.  archive_write_fail() does the same,
	 * but libarchive 3.6 leaks after it. */
	if (p->error == 0)
		p->error = r;
	if (p->archive != NULL &&
	    p->lib->archive_write_close(p->archive) != ARCHIVE_OK && r == 0)
		r = p->error != 0 ? p->error : -ENOMEM;
	if (r == 0)
		r = flush(p);
	p->lib->archive_entry_free(p->entry);
	(void)p->lib->archive_write_free(p->archive); /* NULL is fine */
	return r;
}

/*
 * libarchive converts names from the locale to UTF-8, which says of a name
 * whether it needs to be marked as something else; so the locale has to be one
 * that knows UTF-8.  Without it every name that is not ASCII is marked.
 */
static int
run_in_utf8(
    const struct archive_pack_params *params, int fd, struct archive_totals *t)
{
	const struct archive_lib *lib;
	locale_t utf8, old = (locale_t)0;
	struct pack *p;
	int r = archive_lib_get(&lib);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->lib = lib;
	p->params = params;
	p->fd = fd;
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (utf8 != (locale_t)0)
		old = uselocale(utf8);
	r = run(p);
	if (utf8 != (locale_t)0) {
		(void)uselocale(old);
		freelocale(utf8);
	}
	if (r == 0)
		*t = p->totals;
	free(p);
	return r;
}

int
archive_pack_measure(
    const struct archive_pack_params *params, struct archive_totals *ret_totals)
{
	return run_in_utf8(params, -1, ret_totals);
}

int
archive_pack_write(const struct archive_pack_params *params, int fd,
    struct archive_totals *ret_totals)
{
	return run_in_utf8(params, fd, ret_totals);
}
