/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files read and written whole. */
#ifndef HELPERS_RELAY_RELAY_FILES_H
#define HELPERS_RELAY_RELAY_FILES_H

#include <stddef.h>
#include <sys/types.h>

/* A certificate chain is a few KiB. */
#define RELAY_FILES_MAX ((size_t)1024 * 1024)

/**
 * relay_files_read(): a whole file below @dirfd (or AT_FDCWD).
 * @ret_text: NUL-terminated; release with relay_files_free().
 *
 * Returns 0, -errno, or -DT_ERR_TOO_LONG above RELAY_FILES_MAX.
 */
int relay_files_read(
    int dirfd, const char *path, char **ret_text, size_t *ret_len);

/** relay_files_free(): wipe and release; NULL is fine. */
void relay_files_free(char *text, size_t len);

/** relay_files_write(): replace a file in one step; 0 or -errno. */
int relay_files_write(
    int dirfd, const char *path, const char *text, size_t len, mode_t mode);

/**
 * relay_files_publish(): put one world-readable file into a fresh private
 * directory, which vanishes when this process ends, however it ends.
 * @name: file name.
 * @dir_mode: mode of the directory.
 * @ret_path: its absolute path.
 * @ret_guard: a descriptor to keep open until the end.
 *
 * Returns 0 or -errno.
 */
int relay_files_publish(const char *name, const char *text, mode_t dir_mode,
    char ret_path[static 4096], int *ret_guard);

#endif
