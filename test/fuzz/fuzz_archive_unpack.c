/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An archive into a scratch folder, in memory if possible.  Never committed:
 * whatever it was, the scratch folder must be empty again, and what lies beside
 * the hidden folder must be as it was.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/archive_unpack.h"

#define LARGEST_INPUT 65536
#define MAX_ENTRIES 64
#define MAX_BYTES 65536
/* Beside the hidden folder: "victim", ".", "..". */
#define BESIDE 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char in_memory[] = "/dev/shm/fuzz_archive_unpack.XXXXXX";
static char on_disk[] = "/tmp/fuzz_archive_unpack.XXXXXX";
static const char *root;
static int dir;
static int tar_fd;

static void
must(int good)
{
	if (!good)
		abort();
}

static void
clean(void)
{
	(void)unlinkat(dir, "victim", AT_REMOVEDIR);
	(void)rmdir(root);
}

static void
prepare(void)
{
	root = mkdtemp(in_memory);
	if (root == NULL)
		root = mkdtemp(on_disk);
	must(root != NULL);
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir >= 0 && mkdirat(dir, "victim", 0700) == 0);
	tar_fd = memfd_create("tar", MFD_CLOEXEC);
	must(tar_fd >= 0 && atexit(clean) == 0);
}

static int
beside(void)
{
	DIR *d = opendir(root);
	int n = 0;

	must(d != NULL);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct archive_unpack_params params = {
		.name = "t",
		.max_entries = MAX_ENTRIES,
		.max_bytes = MAX_BYTES,
	};
	struct archive_totals totals;
	struct archive_unpack *u;
	struct stat st;

	if (root == NULL)
		prepare();
	params.output = root;
	if (size > LARGEST_INPUT)
		return 0;
	must(ftruncate(tar_fd, 0) == 0);
	must(pwrite(tar_fd, data, size, 0) == (ssize_t)size);
	must(lseek(tar_fd, 0, SEEK_SET) == 0);
	must(archive_unpack_open(&params, &u) == 0);
	if (archive_unpack_run(u, tar_fd, &totals) == 0)
		must(totals.files + totals.folders <= MAX_ENTRIES &&
		     totals.bytes <= MAX_BYTES &&
		     totals.tar_size == (int64_t)size);
	must(beside() == BESIDE + 1);
	archive_unpack_free(u);
	must(beside() == BESIDE);
	must(fstatat(dir, "victim", &st, 0) == 0 && st.st_nlink == 2 &&
	     st.st_mode == (S_IFDIR | 0700));
	return 0;
}
