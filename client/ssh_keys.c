/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another user's file is changed by a child process that has become that user:
 * whatever lies in their home, links included, gets no rights of root's.  The
 * child answers with its outcome over a pipe.
 */
#include "client/ssh_keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/mono.h"

#define FOLDER ".ssh"
#define FILE_NAME "authorized_keys"
#define FOLDER_MODE 0700
#define FILE_MODE 0600
#define LOOSE_MODE 022
#define LOCK_POLL_NS 20000000L /* 20 ms */
#define MAX_REPLACED 10        /* editors replace it under our eyes */
#define MAX_ENTRY 65536        /* of the user database */

static const char none_found[] = "no public keys found; pass --key-file";
static const char several_found[] =
    "multiple public keys found; pass --key-file";

static int
look_up(const char *user, struct ssh_keys_account *account)
{
	char *text = malloc(MAX_ENTRY);
	struct passwd entry, *found = NULL;
	int r;

	if (text == NULL)
		return -ENOMEM;
	if (user != NULL)
		r = getpwnam_r(user, &entry, text, MAX_ENTRY, &found);
	else
		r = getpwuid_r(geteuid(), &entry, text, MAX_ENTRY, &found);
	r = found != NULL ? 0 : -(r != 0 ? r : ENOENT);
	if (r == 0 && entry.pw_dir[0] != '/')
		r = -ENOENT;
	if (r == 0 && strlen(entry.pw_dir) >= sizeof(account->home))
		r = -ENAMETOOLONG;
	if (r == 0) {
		memcpy(account->home, entry.pw_dir, strlen(entry.pw_dir) + 1);
		account->uid = entry.pw_uid;
		account->gid = entry.pw_gid;
	}
	free(text);
	return r;
}

int
ssh_keys_account(const char *user, struct ssh_keys_account *ret_account)
{
	struct ssh_keys_account a = { .uid = geteuid(), .gid = getegid() };
	const char *home = getenv("HOME");
	int r = 0;

	if (user != NULL && *user != '\0') {
		if (strlen(user) >= sizeof(a.user))
			return -ENAMETOOLONG;
		memcpy(a.user, user, strlen(user) + 1);
		r = look_up(user, &a);
	} else if (home == NULL || *home != '/') {
		r = look_up(NULL, &a);
		a.uid = geteuid();
		a.gid = getegid();
	} else if (strlen(home) >= sizeof(a.home)) {
		r = -ENAMETOOLONG;
	} else {
		memcpy(a.home, home, strlen(home) + 1);
	}
	if (r == 0)
		*ret_account = a;
	return r;
}

/* Reads up to @cap bytes.  Returns their number or -errno. */
static ssize_t
read_all(int fd, char *p, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = read(fd, p + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static bool
is_public_key(int dir, const char *name)
{
	static const char suffix[] = ".pub";
	const size_t len = strlen(name), tail = sizeof(suffix) - 1;
	struct stat st;

	if (len < tail || strcmp(name + len - tail, suffix) != 0)
		return false;
	return fstatat(dir, name, &st, 0) == 0 && !S_ISDIR(st.st_mode);
}

/* The only one in a folder. */
static int
find_only(int dir, char ret_name[static NAME_MAX + 1])
{
	/* Of its own, as closedir() closes it. */
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	size_t n = 0;

	if (d == NULL) {
		int r = -errno;

		fd_close(&fd);
		return r;
	}
	while (n < 2 && (e = readdir(d)) != NULL)
		if (is_public_key(dir, e->d_name) && n++ == 0)
			memcpy(ret_name, e->d_name, strlen(e->d_name) + 1);
	(void)closedir(d);
	if (n == 1)
		return 0;
	return n == 0 ? -ENOENT : -DT_ERR_LIMIT;
}

static int
read_key(int fd, struct ssh_key *ret_key, const char **ret_why)
{
	/* White space around it does not count: room for some. */
	char *text = malloc(2 * (size_t)SSH_KEY_MAX_TEXT);
	ssize_t n;
	int r;

	if (text == NULL)
		return -ENOMEM;
	n = read_all(fd, text, 2 * (size_t)SSH_KEY_MAX_TEXT);
	r = n < 0 ? (int)n : ssh_key_parse(ret_key, text, (size_t)n, ret_why);
	free(text);
	return r;
}

/* @fd: a file or a folder; stays open. */
static int
choose(int fd, struct ssh_key *ret_key, const char **ret_why)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int file, r;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return read_key(fd, ret_key, ret_why);
	r = find_only(fd, name);
	if (r == -ENOENT)
		*ret_why = none_found;
	else if (r == -DT_ERR_LIMIT)
		*ret_why = several_found;
	if (r < 0)
		return r;
	file = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (file < 0)
		return -errno;
	r = read_key(file, ret_key, ret_why);
	fd_close(&file);
	return r;
}

int
ssh_keys_choose(const char *path, const char *home, struct ssh_key *ret_key,
    const char **ret_why)
{
	bool is_given = path != NULL && *path != '\0';
	char folder[PATH_MAX];
	int fd, r;

	*ret_why = NULL;
	if (!is_given) {
		r = snprintf(folder, sizeof(folder), "%s/" FOLDER, home);
		if (r < 0 || (size_t)r >= sizeof(folder))
			return -ENAMETOOLONG;
		path = folder;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		r = -errno;
		if (r == -ENOENT && !is_given)
			*ret_why = none_found;
		return r;
	}
	r = choose(fd, ret_key, ret_why);
	fd_close(&fd);
	return r;
}

/* What sshd's StrictModes looks at. */
static bool
is_loose(const struct stat *st, uid_t uid)
{
	return (st->st_mode & LOOSE_MODE) != 0 ||
	       (st->st_uid != 0 && st->st_uid != uid);
}

/* One ssh_keys_authorize(), with the rights of the account. */
struct edit {
	uid_t uid;
	int home;
	int dir;
	int fd;
	bool is_new; /* the file; its folder has to reach the disk, too */
	struct ssh_keys_outcome *outcome;
};

static int
open_folder(struct edit *e, const char *home)
{
	struct stat st;

	e->home = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->home < 0)
		return -errno;
	if (mkdirat(e->home, FOLDER, FOLDER_MODE) != 0 && errno != EEXIST)
		return -errno;
	e->dir = openat(e->home, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->dir < 0)
		return -errno;
	if (fstat(e->home, &st) != 0)
		return -errno;
	e->outcome->is_loose = is_loose(&st, e->uid);
	if (fstat(e->dir, &st) != 0)
		return -errno;
	e->outcome->is_loose |= is_loose(&st, e->uid);
	return 0;
}

static int
open_file(struct edit *e, struct stat *ret_st)
{
	/* Not waiting for the reader of a named pipe. */
	const int flags = O_RDWR | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	fd_close(&e->fd);
	e->fd = openat(e->dir, FILE_NAME, flags);
	if (e->fd < 0 && errno == ENOENT) {
		e->is_new = true;
		e->fd = openat(e->dir, FILE_NAME, flags | O_CREAT, FILE_MODE);
	}
	if (e->fd < 0 || fstat(e->fd, ret_st) != 0)
		return -errno;
	return S_ISREG(ret_st->st_mode) ? 0 : -EINVAL;
}

static int
lock(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_NS };
	struct mono end = mono_add(mono_now(), SSH_KEYS_LOCK_MS * MONO_MS);

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		/* Some network file systems have none; one write has to do. */
		if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENOLCK)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (!mono_before(mono_now(), end))
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/* The file of that name, locked: another may have come in its place while we
 * waited. */
static int
open_locked(struct edit *e)
{
	struct stat st = { 0 }, now;

	for (int i = 0; i < MAX_REPLACED; i++) {
		int r = open_file(e, &st);

		if (r == 0)
			r = lock(e->fd);
		if (r < 0)
			return r;
		if (fstatat(e->dir, FILE_NAME, &now, 0) == 0 &&
		    now.st_ino == st.st_ino && now.st_dev == st.st_dev) {
			e->outcome->is_loose |= is_loose(&st, e->uid);
			return 0;
		}
	}
	return -EBUSY;
}

static bool
is_listed(const struct ssh_key *key, const char *p, size_t n)
{
	while (n > 0) {
		const char *end = memchr(p, '\n', n);
		size_t len = end != NULL ? (size_t)(end - p) : n;

		if (ssh_key_is_in(key, p, len))
			return true;
		if (end == NULL)
			return false;
		p += len + 1;
		n -= len + 1;
	}
	return false;
}

/* Undoes a write that failed, unless somebody wrote behind it. */
static void
undo(int fd, off_t before, off_t after)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size == after)
		(void)!ftruncate(fd, before);
}

static int
append(const struct edit *e, const struct ssh_key *key, off_t size,
    bool wants_newline)
{
	char line[SSH_KEY_MAX_LINE + 2] = "\n";
	size_t n = wants_newline ? 1 : 0;
	ssize_t done;
	int r = 0;

	n += ssh_key_print(key, line + n, SSH_KEY_MAX_LINE);
	line[n++] = '\n';
	do
		done = write(e->fd, line, n);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	if ((size_t)done < n)
		r = -ENOSPC;
	else if (fsync(e->fd) != 0)
		r = -errno;
	else if (e->is_new)
		(void)fsync(e->dir); /* not all file systems can */
	if (r < 0)
		undo(e->fd, size, size + done);
	return r;
}

static int
extend(const struct edit *e, const struct ssh_key *key)
{
	char *text = malloc(SSH_KEYS_MAX_FILE + 1);
	ssize_t n;
	int r = 0;

	if (text == NULL)
		return -ENOMEM;
	n = read_all(e->fd, text, SSH_KEYS_MAX_FILE + 1);
	if (n < 0)
		r = (int)n;
	else if (n > SSH_KEYS_MAX_FILE)
		r = -EFBIG;
	else if (is_listed(key, text, (size_t)n))
		e->outcome->was_there = true;
	else
		r = append(e, key, n, n > 0 && text[n - 1] != '\n');
	free(text);
	return r;
}

static int
authorize(const struct ssh_keys_account *account, const struct ssh_key *key,
    struct ssh_keys_outcome *outcome)
{
	struct edit e = { .uid = account->uid,
		.home = -1,
		.dir = -1,
		.fd = -1,
		.outcome = outcome };
	int r = open_folder(&e, account->home);

	if (r == 0)
		r = open_locked(&e);
	if (r == 0)
		r = extend(&e, key);
	fd_close(&e.fd);
	fd_close(&e.dir);
	fd_close(&e.home);
	return r;
}

struct answer {
	int r;
	bool was_there;
	bool is_loose;
};

static int
become(const struct ssh_keys_account *account)
{
	/* Their own groups may matter for a home on the network. */
	int r = account->user[0] != '\0'
		    ? initgroups(account->user, account->gid)
		    : setgroups(0, NULL);

	if (r != 0 ||
	    setresgid(account->gid, account->gid, account->gid) != 0 ||
	    setresuid(account->uid, account->uid, account->uid) != 0)
		return -errno;
	return 0;
}

/* The child; does not return. */
static void
authorize_as(const struct ssh_keys_account *account, const struct ssh_key *key,
    struct ssh_keys_outcome *outcome, int fd)
{
	struct answer a = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	a.r = become(account);
	if (a.r == 0)
		a.r = authorize(account, key, outcome);
	a.was_there = outcome->was_there;
	a.is_loose = outcome->is_loose;
	_exit(write(fd, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 1);
}

static int
authorize_in_child(const struct ssh_keys_account *account,
    const struct ssh_key *key, struct ssh_keys_outcome *outcome)
{
	struct answer a;
	int fds[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		authorize_as(account, key, outcome, fds[1]);
	r = pid < 0 ? -errno : 0;
	fd_close(&fds[1]);
	if (r == 0) {
		n = read_all(fds[0], (char *)&a, sizeof(a));
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		r = n == (ssize_t)sizeof(a) ? a.r : -DT_ERR_WORKER_LOST;
	}
	fd_close(&fds[0]);
	if (r == 0) {
		outcome->was_there = a.was_there;
		outcome->is_loose = a.is_loose;
	}
	return r;
}

int
ssh_keys_authorize(const struct ssh_keys_account *account,
    const struct ssh_key *key, struct ssh_keys_outcome *ret_outcome)
{
	struct ssh_keys_outcome outcome = { .was_there = false };
	int r = snprintf(outcome.path, sizeof(outcome.path),
	    "%s/" FOLDER "/" FILE_NAME, account->home);

	if (r < 0 || (size_t)r >= sizeof(outcome.path))
		return -ENAMETOOLONG;
	if (account->uid == geteuid())
		r = authorize(account, key, &outcome);
	else if (geteuid() == 0)
		r = authorize_in_child(account, key, &outcome);
	else
		r = -EPERM;
	if (r == 0)
		*ret_outcome = outcome;
	return r;
}
