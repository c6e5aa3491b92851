/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/sandbox_landlock.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"

/*
 * From the kernel's Documentation/userspace-api/landlock.rst.  Named here as
 * Debian 12's headers end at ABI 2, while its users run newer kernels.
 */
#define LANDLOCK_NR_CREATE_RULESET 444
#define LANDLOCK_NR_ADD_RULE 445
#define LANDLOCK_NR_RESTRICT_SELF 446
#define LANDLOCK_QUERY_VERSION 1u
#define LANDLOCK_NET_TCP 3u   /* bind, connect */
#define LANDLOCK_SCOPE_ALL 3u /* abstract UNIX sockets, signals */
#define LANDLOCK_PATH_BENEATH 1u
#define LANDLOCK_FS_WRITE_FILE (1u << 1)
#define LANDLOCK_FS_READ_DIR (1u << 3)
#define LANDLOCK_FS_MAKE_DIR (1u << 7)
#define LANDLOCK_FS_MAKE_REG (1u << 8)

/* struct landlock_ruleset_attr; the kernel takes any prefix it knows. */
struct ruleset {
	uint64_t fs;     /* ABI 1 */
	uint64_t net;    /* ABI 4 */
	uint64_t scoped; /* ABI 6 */
};

/* struct landlock_path_beneath_attr. */
struct beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

/* All file system rights of an ABI: 13 at first, then REFER, TRUNCATE and
 * (ABI 5) IOCTL_DEV. */
static uint64_t
fs_rights(int abi)
{
	int n = 13;

	if (abi >= 2)
		n++;
	if (abi >= 3)
		n++;
	if (abi >= 5)
		n++;
	return ((uint64_t)1 << n) - 1;
}

int
sandbox_landlock_abi(void)
{
	long abi = syscall(LANDLOCK_NR_CREATE_RULESET, NULL, (size_t)0,
	    LANDLOCK_QUERY_VERSION);

	return abi >= 0 ? (int)abi : -errno;
}

/* The part of the structure that an ABI has. */
static size_t
size_of_set(int abi)
{
	if (abi < 4)
		return offsetof(struct ruleset, net);
	return abi < 6 ? offsetof(struct ruleset, scoped)
		       : sizeof(struct ruleset);
}

/* @dir: -1, or what stays permitted below it. */
static int
enter(int abi, const struct ruleset *set, int dir)
{
	const struct beneath rule = { .allowed = LANDLOCK_FS_WRITE_FILE |
						 LANDLOCK_FS_READ_DIR |
						 LANDLOCK_FS_MAKE_DIR |
						 LANDLOCK_FS_MAKE_REG,
		.parent = dir };
	int fd, r = 0;

	fd =
	    (int)syscall(LANDLOCK_NR_CREATE_RULESET, set, size_of_set(abi), 0u);
	if (fd < 0)
		return -errno;
	if (dir >= 0 && syscall(LANDLOCK_NR_ADD_RULE, fd, LANDLOCK_PATH_BENEATH,
			    &rule, 0u) != 0)
		r = -errno;
	if (r == 0 && syscall(LANDLOCK_NR_RESTRICT_SELF, fd, 0u) != 0)
		r = -errno;
	fd_close(&fd);
	return r;
}

int
sandbox_landlock_restrict(int abi, bool no_files, bool no_tcp, bool scope)
{
	const struct ruleset set = {
		.fs = no_files ? fs_rights(abi) : 0,
		.net = no_tcp && abi >= 4 ? LANDLOCK_NET_TCP : 0,
		.scoped = scope && abi >= 6 ? LANDLOCK_SCOPE_ALL : 0,
	};

	if (set.fs == 0 && set.net == 0 && set.scoped == 0)
		return 0; /* the kernel refuses an empty set */
	return enter(abi, &set, -1);
}

int
sandbox_landlock_confine(int abi, int dir)
{
	const struct ruleset set = {
		.fs = fs_rights(abi),
		.net = abi >= 4 ? LANDLOCK_NET_TCP : 0,
		.scoped = abi >= 6 ? LANDLOCK_SCOPE_ALL : 0,
	};

	return enter(abi, &set, dir);
}
