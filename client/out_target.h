/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where something received goes: a folder that is open, and one name in it.
 * What the user typed is followed like any path of theirs; what the peer named
 * is only ever the last component, and never resolved.
 */
#ifndef CLIENT_OUT_TARGET_H
#define CLIENT_OUT_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define OUT_TARGET_MAX_PATH PATH_MAX
/* ".derphole-", 8 digits of the machine's boot and 16 of this name, ".part". */
#define OUT_TARGET_TEMP 40

/* Owner: whoever called out_target_resolve(). */
struct out_target {
	int dir; /* the folder, O_PATH */
	char leaf[NAME_MAX + 1];
	char path[OUT_TARGET_MAX_PATH]; /* as the user may be told; escape it */
	bool is_named; /* the user chose the leaf, not the peer */
};

/**
 * out_target_resolve():
 * @output: of -o; NULL or "" is the current folder.  An existing folder gets
 *          the leaf @name.  Anything else is folder and leaf itself; missing
 *          parents are made (0755 less umask).
 * @name: the peer's, through transfer_name_component(); checked again.
 * @wants_folder: the target is a folder: slashes at the end of @output do not
 *                count.
 *
 * Returns 0; -EINVAL (@name is "", ".", ".." or has a slash, or it is the leaf
 * and out_target_is_temp(): that would be swept), -ENAMETOOLONG, -EISDIR
 * (@output ends in a slash and is no folder), or what the system said of
 * @output: -EACCES, -ENOTDIR, -ELOOP, -EROFS, -ENOSPC, -EDQUOT, ...
 */
int out_target_resolve(const char *output, const char *name, bool wants_folder,
    struct out_target *ret_target);
void out_target_fini(struct out_target *target);

/** out_target_is_name(): may this be one component of a path of ours? */
bool out_target_is_name(const char *name);

/** out_target_temp(): a hidden name that nobody guesses.
 * @is_locked: a lock will say whether it is in use; only then the name tells of
 *             which machine it is.
 * Returns 0 or -errno. */
int out_target_temp(bool is_locked, char ret_name[static OUT_TARGET_TEMP]);
/** out_target_is_temp(): is it such a name?
 * @ret_is_here: made on this machine, since it was started. */
bool out_target_is_temp(const char *name, bool *ret_is_here);

/** out_target_umask(): of this process. */
mode_t out_target_umask(void);

/**
 * out_target_publish(): rename @temp, beside it, to the leaf; never over
 * anything.  Then the folder is on disk, too.
 *
 * Returns 0, -EEXIST, or another -errno; @temp is still there then.
 */
int out_target_publish(const struct out_target *target, const char *temp);

/*
 * Of a file or folder of ours: as fchmod() and futimens() (NULL: stays).  File
 * systems that keep no such thing, or belong to somebody else as a whole (vfat,
 * CIFS, MTP), are no reason to refuse what was received.  0 or -errno.
 */
int out_target_set_mode(int fd, mode_t mode);
int out_target_set_mtime(int fd, const struct timespec *mtime);

/** out_target_sync(): the folder itself reaches the disk.  0 or -errno;
 * 0 where folders cannot be synced. */
int out_target_sync(const struct out_target *target);

#endif
