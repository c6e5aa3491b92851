/* SPDX-License-Identifier: BSD-3-Clause */
/* What is received onto a file system that keeps neither modes nor times. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/archive_unpack.h"
#include "client/out_file.h"
#include "lib/fd.h"
#include "test/tap.h"

static int refusal; /* what the file system says; 0: it keeps them */

/* In the place of the C library's. */
int
fchmod(int fd, mode_t mode)
{
	errno = refusal;
	return refusal != 0 ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int
futimens(int fd, const struct timespec times[2])
{
	errno = refusal;
	return refusal != 0 ? -1
			    : (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

static char folder[] = "/tmp/t_out_unkept.XXXXXX";

static int
receive_file(void)
{
	const struct timespec mtime = { .tv_sec = 1600000000 };
	const struct out_file_params p = {
		.output = folder, .name = "file", .size = 4, .mtime = &mtime
	};
	struct out_file *f = NULL;
	int r = out_file_open(&p, &f);

	if (r == 0 && write(out_file_fd(f), "text", 4) != 4)
		r = -EIO;
	if (r == 0)
		r = out_file_commit(f, 4);
	out_file_free(f);
	return r;
}

static void
add(struct archive *a, const char *path, mode_t kind, const char *text)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, kind);
	archive_entry_set_perm(e, 0755);
	archive_entry_set_mtime(e, 1600000000, 0);
	archive_entry_set_size(e, (la_int64_t)strlen(text));
	if (archive_write_header(a, e) != ARCHIVE_OK ||
	    archive_write_data(a, text, strlen(text)) < 0)
		abort();
	archive_entry_free(e);
}

static int
make_archive(void)
{
	struct archive *a = archive_write_new();
	int fd = memfd_create("tar", MFD_CLOEXEC);

	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
	    archive_write_open_fd(a, fd) != ARCHIVE_OK)
		abort();
	add(a, "sub", AE_IFDIR, "");
	add(a, "sub/file", AE_IFREG, "text");
	if (archive_write_free(a) != ARCHIVE_OK || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

static int
receive_folder(void)
{
	const struct archive_unpack_params p = { .output = folder,
		.name = "tree" };
	struct archive_unpack *u = NULL;
	struct archive_totals totals;
	int fd = make_archive(), r = archive_unpack_open(&p, &u);

	if (r == 0)
		r = archive_unpack_run(u, fd, &totals);
	if (r == 0)
		r = archive_unpack_commit(u);
	archive_unpack_free(u);
	fd_close(&fd);
	return r;
}

static void
clear(void)
{
	static const char *const files[] = { "file", "tree/sub/file" };
	static const char *const folders[] = { "tree/sub", "tree", "." };
	int fd = open(folder, O_RDONLY | O_DIRECTORY);

	for (size_t i = 0; i < 2; i++)
		(void)unlinkat(fd, files[i], 0);
	for (size_t i = 0; i < 3; i++)
		(void)unlinkat(fd, folders[i], AT_REMOVEDIR);
	fd_close(&fd);
}

static void
test_unkept(void)
{
	static const int said[] = { 0, EPERM, EOPNOTSUPP, ENOSYS };
	char path[sizeof(folder) + 20];
	struct stat st;

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		refusal = said[i];
		EQ_INT(receive_file(), 0, "a file");
		(void)snprintf(path, sizeof(path), "%s/file", folder);
		OK(stat(path, &st) == 0 && st.st_size == 4, "its bytes");
		EQ_INT(receive_folder(), 0, "a folder");
		(void)snprintf(path, sizeof(path), "%s/tree/sub/file", folder);
		OK(stat(path, &st) == 0 && st.st_size == 4, "what is in it");
		clear();
	}
	refusal = EIO;
	EQ_INT(receive_file(), -EIO, "a file on a disk that fails");
	EQ_INT(receive_folder(), -EIO, "a folder on a disk that fails");
}

int
main(void)
{
	(void)umask(022);
	if (mkdtemp(folder) == NULL)
		return 99;
	test_unkept();
	clear();
	if (rmdir(folder) != 0)
		OK(false, "nothing is left");
	return tap_done();
}
