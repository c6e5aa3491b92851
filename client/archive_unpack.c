/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of libarchive only its tar parser is used.  Its extraction (with the SECURE
 * flags) works on paths, looks first and opens later, and has had to be mended
 * for links more than once; what is needed here, folders and new files below a
 * descriptor, is less code than checking what it does (archive_tree.c).
 *
 * The stream passes through on_read(), which knows how many bytes there were
 * and whether all behind the archive's end are zero.
 */
#include "client/archive_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/archive_lib.h"
#include "client/archive_tree.h"
#include "client/out_stale.h"
#include "client/out_target.h"
#include "client/tree_remove.h"
#include "lib/err.h"
#include "lib/fd.h"

#define CHUNK (256u << 10)
#define MODE_BITS 0777
#define PRIVATE_MODE 0700
#define TRAILER 1024 /* two zero blocks */
/* Other writers pad to 10 KiB; nobody needs more. */
#define MAX_PADDING (1 << 20)

/* Owner: the caller of archive_unpack_open(). */
struct archive_unpack {
	const struct archive_lib *lib; /* loaded before the sandbox is on */
	struct out_target target;
	char temp[OUT_TARGET_TEMP]; /* "" when there is nothing to remove */
	int dir;                    /* of temp; open all along, for syncfs() */
	int64_t max_entries;
	int64_t max_bytes; /* 0: none */
	archive_report_fn *on_problem;
	void *arg;
};

/* One archive_unpack_run(). */
struct run {
	struct archive_unpack *u;
	int fd;
	int read_error;    /* of fd */
	bool at_end;       /* of fd */
	int64_t came;      /* bytes of fd */
	int64_t last_used; /* of those, up to the last that is not zero */
	int64_t bytes;     /* of files */
	const struct archive_lib *lib;
	struct archive *archive;
	struct archive_tree *tree;
	uint8_t in[CHUNK];
};

static size_t
without_zeros(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n;
}

static la_ssize_t
on_read(struct archive *a, void *arg, const void **ret_data)
{
	struct run *run = arg;
	size_t used;
	ssize_t n;

	(void)a;
	do
		n = read(run->fd, run->in, sizeof(run->in));
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		run->read_error = -errno;
		return -1;
	}
	run->at_end = n == 0;
	used = without_zeros(run->in, (size_t)n);
	if (used > 0)
		run->last_used = run->came + (int64_t)used;
	run->came += n;
	*ret_data = run->in;
	return n;
}

static void
report(const struct run *run, enum archive_problem problem, const char *path,
    int r)
{
	if (run->u->on_problem != NULL)
		run->u->on_problem(run->u->arg, problem, path, r);
}

static int
blame(const struct run *run, enum archive_problem problem, const char *path)
{
	report(run, problem, path, 0);
	return -DT_ERR_PEER_PROTOCOL;
}

static int
ours(const struct run *run, const char *path, int r)
{
	report(run, ARCHIVE_PROBLEM_WRITE, path, r);
	return r;
}

/* libarchive gave up: why? */
static int
broken(const struct run *run, const char *path)
{
	if (run->read_error < 0)
		return run->read_error;
	if (run->lib->archive_errno(run->archive) == ENOMEM)
		return -ENOMEM;
	(void)blame(run, ARCHIVE_PROBLEM_FORMAT, path);
	return run->at_end ? -DT_ERR_TRUNCATED : -DT_ERR_PEER_PROTOCOL;
}

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

/* The contents, which must come without holes and to the announced length. */
static int
copy_contents(struct run *run, const char *path, int fd, int64_t size)
{
	int64_t at = 0;

	for (;;) {
		const void *p;
		la_int64_t offset;
		size_t n;
		int r;

		r = run->lib->archive_read_data_block(
		    run->archive, &p, &n, &offset);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return broken(run, path);
		if (offset != at || (int64_t)n > size - at)
			return blame(run, ARCHIVE_PROBLEM_TYPE, path);
		r = write_all(fd, p, n);
		if (r < 0)
			return ours(run, path, r);
		at += (int64_t)n;
	}
	return at == size ? 0 : blame(run, ARCHIVE_PROBLEM_FORMAT, path);
}

static int
take_file(struct run *run, struct archive_entry *e, const char *path,
    const struct timespec *mtime)
{
	int64_t size = run->lib->archive_entry_size(e);
	int fd, r;

	if (run->lib->archive_entry_sparse_count(e) > 0)
		return blame(run, ARCHIVE_PROBLEM_TYPE, path);
	if (size < 0)
		return blame(run, ARCHIVE_PROBLEM_FORMAT, path);
	if (run->u->max_bytes > 0 && size > run->u->max_bytes - run->bytes)
		return blame(run, ARCHIVE_PROBLEM_LIMIT, path);
	r = archive_tree_file(
	    run->tree, path, run->lib->archive_entry_perm(e) & MODE_BITS, &fd);
	if (r < 0)
		return r;
	run->bytes += size;
	r = copy_contents(run, path, fd, size);
	if (r == 0) {
		r = out_target_set_mtime(fd, mtime);
		if (r < 0)
			(void)ours(run, path, r);
	}
	/* Some file systems tell only here that a quota is used up. */
	if (close(fd) != 0 && r == 0)
		r = ours(run, path, -errno);
	return r;
}

static int
take_entry(struct run *run, struct archive_entry *e)
{
	const char *path = run->lib->archive_entry_pathname(e);
	struct timespec mtime = { .tv_sec = run->lib->archive_entry_mtime(e),
		.tv_nsec = run->lib->archive_entry_mtime_nsec(e) };

	if (path == NULL || *path == '\0')
		return blame(run, ARCHIVE_PROBLEM_UNSAFE, "");
	if (!run->lib->archive_entry_mtime_is_set(e))
		mtime.tv_nsec = UTIME_OMIT;
	if (run->lib->archive_entry_hardlink(e) != NULL)
		return blame(run, ARCHIVE_PROBLEM_TYPE, path);
	if (run->lib->archive_entry_filetype(e) == AE_IFDIR)
		return archive_tree_folder(run->tree, path,
		    run->lib->archive_entry_perm(e) & MODE_BITS, &mtime);
	if (run->lib->archive_entry_filetype(e) == AE_IFREG)
		return take_file(run, e, path, &mtime);
	return blame(run, ARCHIVE_PROBLEM_TYPE, path);
}

/* In the locale used here names are bytes; of each that is not ASCII libarchive
 * says that it cannot convert it, by its ARCHIVE_ERRNO_FILE_FORMAT, which no
 * public header has.  Other warnings are damage. */
static bool
is_usable(const struct run *run, int r)
{
	return r == ARCHIVE_OK ||
	       (r == ARCHIVE_WARN &&
		   run->lib->archive_errno(run->archive) == EILSEQ);
}

/* Up to the end of the archive.  @ret_end: the end of the last entry. */
static int
take_entries(struct run *run, int64_t *ret_end)
{
	struct archive_entry *e;
	int r;

	for (;;) {
		r = run->lib->archive_read_next_header(run->archive, &e);
		if (r == ARCHIVE_EOF)
			return 0;
		if (!is_usable(run, r))
			return broken(run, "");
		r = take_entry(run, e);
		if (r < 0)
			return r;
		if (run->lib->archive_read_data_skip(run->archive) !=
		    ARCHIVE_OK)
			return broken(run, "");
		*ret_end = run->lib->archive_filter_bytes(run->archive, -1);
	}
}

/* Reads on to the end of the stream, where only zeros may come. */
static int
take_rest(struct run *run, int64_t end)
{
	const int64_t used = run->came;
	const void *data;

	while (!run->at_end) {
		if (run->last_used > end || run->came - used > MAX_PADDING)
			break;
		if (on_read(run->archive, run, &data) < 0)
			return run->read_error;
	}
	if (run->last_used > end || !run->at_end)
		return blame(run, ARCHIVE_PROBLEM_FORMAT, "");
	if (run->came - end >= TRAILER)
		return 0;
	(void)blame(run, ARCHIVE_PROBLEM_FORMAT, "");
	return -DT_ERR_TRUNCATED;
}

static int
start(struct run *run)
{
	const struct archive_tree_params params = {
		.dir = run->u->dir,
		.max_depth = ARCHIVE_UNPACK_MAX_DEPTH,
		.max_inodes = run->u->max_entries,
		.on_problem = run->u->on_problem,
		.arg = run->u->arg,
	};

	run->tree = archive_tree_new(&params);
	run->archive = run->lib->archive_read_new();
	if (run->tree == NULL || run->archive == NULL)
		return -ENOMEM;
	if (run->lib->archive_read_support_format_tar(run->archive) !=
	    ARCHIVE_OK)
		return -ENOMEM;
	if (run->lib->archive_read_open(
		run->archive, run, NULL, on_read, NULL) == ARCHIVE_OK)
		return 0;
	return broken(run, "");
}

static int
take_all(struct run *run)
{
	int64_t end = 0;
	int r = start(run);

	if (r == 0)
		r = take_entries(run, &end);
	if (r == 0)
		r = take_rest(run, end);
	return r == 0 ? archive_tree_finish(run->tree) : r;
}

static void
count(const struct run *run, struct archive_totals *ret_totals)
{
	const struct archive_tree_counts c = archive_tree_counts(run->tree);

	*ret_totals = (struct archive_totals){
		.files = c.files,
		.folders = c.folders,
		.bytes = run->bytes,
		.tar_size = run->came,
		.warnings = c.renamed,
	};
}

/*
 * In a locale that knows UTF-8 libarchive would compose characters (NFC) in
 * names, so that they were others than the sender's.  In "C" it leaves bytes
 * alone.
 */
int
archive_unpack_run(
    struct archive_unpack *u, int fd, struct archive_totals *ret_totals)
{
	struct run *run = calloc(1, sizeof(*run));
	locale_t bytes = newlocale(LC_CTYPE_MASK, "C", (locale_t)0), old;
	int r = -ENOMEM;

	if (run != NULL && bytes != (locale_t)0) {
		old = uselocale(bytes);
		run->u = u;
		run->lib = u->lib;
		run->fd = fd;
		r = take_all(run);
		if (r == 0)
			count(run, ret_totals);
		(void)u->lib->archive_read_free(run->archive); /* or NULL */
		archive_tree_free(run->tree);
		(void)uselocale(old);
	}
	if (bytes != (locale_t)0)
		freelocale(bytes);
	free(run);
	return r;
}

static int
try_temp(struct archive_unpack *u)
{
	int r = out_stale_name(&u->target, u->temp);

	if (r == 0 && mkdirat(u->target.dir, u->temp, PRIVATE_MODE) != 0)
		r = -errno;
	if (r < 0) {
		u->temp[0] = '\0';
		return r;
	}
	u->dir = openat(u->target.dir, u->temp,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u->dir < 0) /* a sweeper was faster than we */
		return errno == ENOENT ? -EAGAIN : -errno;
	return out_stale_hold(&u->target, u->temp, u->dir);
}

static int
make_temp(struct archive_unpack *u)
{
	int r = -EAGAIN;

	for (int i = 0; i < OUT_STALE_TRIES && r == -EAGAIN; i++) {
		fd_close(&u->dir);
		r = try_temp(u);
	}
	return r;
}

int
archive_unpack_open(const struct archive_unpack_params *params,
    struct archive_unpack **ret_unpack)
{
	struct archive_unpack *u = calloc(1, sizeof(*u));
	struct stat st;
	int r;

	if (u == NULL)
		return -ENOMEM;
	u->dir = -1;
	u->target.dir = -1;
	u->max_bytes = params->max_bytes;
	u->max_entries = params->max_entries > 0 ? params->max_entries
						 : ARCHIVE_UNPACK_MAX_ENTRIES;
	u->on_problem = params->on_problem;
	u->arg = params->arg;
	r = archive_lib_get(&u->lib);
	if (r == 0)
		r = out_target_resolve(
		    params->output, params->name, true, &u->target);
	/* Told now rather than after everything was sent. */
	if (r == 0 && fstatat(u->target.dir, u->target.leaf, &st,
			  AT_SYMLINK_NOFOLLOW) == 0)
		r = -EEXIST;
	if (r == 0) {
		out_stale_sweep(&u->target);
		r = make_temp(u);
	}
	if (r < 0) {
		archive_unpack_free(u);
		return r;
	}
	*ret_unpack = u;
	return 0;
}

int
archive_unpack_commit(struct archive_unpack *u)
{
	int r;

	/* Cheaper than syncing each of many files.  The descriptor is as old as
	 * the folder, so that it hears of every write that failed since. */
	if (syncfs(u->dir) != 0)
		return -errno;
	r = out_target_publish(&u->target, u->temp);
	if (r == 0)
		u->temp[0] = '\0';
	return r;
}

void
archive_unpack_set_problem(
    struct archive_unpack *u, archive_report_fn *on_problem, void *arg)
{
	u->on_problem = on_problem;
	u->arg = arg;
}

int
archive_unpack_dir(const struct archive_unpack *u)
{
	return u->dir;
}

const char *
archive_unpack_peek_path(const struct archive_unpack *u)
{
	return u->target.path;
}

const char *
archive_unpack_peek_leaf(const struct archive_unpack *u)
{
	return u->target.leaf;
}

void
archive_unpack_free(struct archive_unpack *u)
{
	if (u == NULL)
		return;
	fd_close(&u->dir);
	if (u->temp[0] != '\0')
		(void)tree_remove(u->target.dir, u->temp);
	out_target_fini(&u->target);
	free(u);
}
