/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys on disk: the public one to send, and authorized_keys to extend. */
#ifndef CLIENT_SSH_KEYS_H
#define CLIENT_SSH_KEYS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "client/ssh_key.h"

/* More lines than any sshd would want to read at each login. */
#define SSH_KEYS_MAX_FILE (8 << 20)
#define SSH_KEYS_LOCK_MS 5000 /* another invite holds it for milliseconds */

/* Whose authorized_keys. */
struct ssh_keys_account {
	char home[PATH_MAX];
	uid_t uid;
	gid_t gid;
	char user[64]; /* "" for ourselves */
};

/**
 * ssh_keys_account(): ourselves ($HOME, else the user database), or a user.
 * @user: NULL or "" is ourselves.
 *
 * Returns 0, -ENOENT (no such user, no home), -ENAMETOOLONG, -errno.
 */
int ssh_keys_account(const char *user, struct ssh_keys_account *ret_account);

/**
 * ssh_keys_choose(): the own public key.
 * @path: of --key-file: a file, or a folder in which exactly one *.pub lies;
 *        NULL or "" is ~/.ssh of @home.
 * @ret_why: the line for the user on failure, static; NULL when err_str() of
 *           the result has to do.
 *
 * Returns 0, -ENOENT (none), -DT_ERR_LIMIT (several), the errors of
 * ssh_key_parse(), -errno.
 */
int ssh_keys_choose(const char *path, const char *home, struct ssh_key *ret_key,
    const char **ret_why);

struct ssh_keys_outcome {
	char path[PATH_MAX]; /* of the file */
	bool was_there;      /* nothing was changed */
	/* Others may write to home, folder or file: sshd will not use it. */
	bool is_loose;
};

/**
 * ssh_keys_authorize(): append a key to ~/.ssh/authorized_keys, once.
 *
 * Missing folder and file are made (0700, 0600).  All of it is done with the
 * rights of the account: links lead nowhere its owner could not go, and what is
 * made is theirs.  Under a lock, in one write; a failed write is undone.
 *
 * Returns 0; -EPERM (not our account, and we are not root), -EACCES, -EROFS,
 * -ENOSPC, -EDQUOT, -ENOTDIR, -EFBIG (SSH_KEYS_MAX_FILE), -EINVAL (no regular
 * file), -ETIMEDOUT (the lock), other -errno.
 */
int ssh_keys_authorize(const struct ssh_keys_account *account,
    const struct ssh_key *key, struct ssh_keys_outcome *ret_outcome);

#endif
