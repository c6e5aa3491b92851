/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ssh_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"
#include "test/unit/files.h"

#define BLOB                                                                   \
	"AAAAC3NzaC1lZDI1NTE5AAAAIA/Xr1PMVPgr8E00WjZB3OL1RcNDKtEli5SRAuKBpvD8"
#define KEY "ssh-ed25519 " BLOB " alice@example"
#define OTHER                                                                  \
	"ssh-ed25519 "                                                         \
	"AAAAC3NzaC1lZDI1NTE5AAAAIB/Xr1PMVPgr8E00WjZB3OL1RcNDKtEli5SRAuKBpvD8"

/* In memory if possible: every key is synced. */
static char in_memory[] = "/dev/shm/t_ssh_keys.XXXXXX";
static char on_disk[] = "/tmp/t_ssh_keys.XXXXXX";
static const char *root;
static struct ssh_key key;
static struct ssh_keys_account account;
static struct ssh_keys_outcome outcome;

/* A home of its own for each test. */
static void
fresh(const char *name)
{
	if (mkdir(name, 0755) != 0 || chdir(name) != 0)
		abort();
	account =
	    (struct ssh_keys_account){ .uid = geteuid(), .gid = getegid() };
	(void)snprintf(account.home, sizeof(account.home), "%s/%s", root, name);
	memset(&outcome, 0x55, sizeof(outcome));
}

static void
leave(void)
{
	if (chdir(root) != 0)
		abort();
}

static int
authorize(void)
{
	return ssh_keys_authorize(&account, &key, &outcome);
}

static void
test_new(void)
{
	char path[PATH_MAX];

	fresh("new");
	EQ_INT(authorize(), 0, "neither folder nor file");
	EQ_STR(files_get(".ssh/authorized_keys"), KEY "\n", "the line");
	EQ_INT(files_mode(".ssh"), 0700, "mode of the folder");
	EQ_INT(files_mode(".ssh/authorized_keys"), 0600, "mode of the file");
	(void)snprintf(path, sizeof(path), "%s/new/.ssh/authorized_keys", root);
	EQ_STR(outcome.path, path, "path");
	OK(!outcome.was_there && !outcome.is_loose, "new, and fit for sshd");
	EQ_INT(authorize(), 0, "once more");
	OK(outcome.was_there, "it was there");
	EQ_STR(files_get(".ssh/authorized_keys"), KEY "\n", "only once");
	leave();
}

static void
test_append(void)
{
	fresh("append");
	if (mkdir(".ssh", 0700) != 0)
		abort();
	files_put(".ssh/authorized_keys", "# mine\n" OTHER " x");
	EQ_INT(chmod(".ssh/authorized_keys", 0640), 0, "mode of the user's");
	EQ_INT(authorize(), 0, "no newline at the end");
	EQ_STR(files_get(".ssh/authorized_keys"),
	    "# mine\n" OTHER " x\n" KEY "\n", "lines are not glued together");
	EQ_INT(files_mode(".ssh/authorized_keys"), 0640, "mode stays");
	files_put(
	    ".ssh/authorized_keys", OTHER "\nno-pty ssh-ed25519 " BLOB " bob");
	EQ_INT(authorize(), 0, "with options and another comment");
	OK(outcome.was_there, "is the same key");
	files_put(".ssh/authorized_keys", "# " KEY "\n");
	EQ_INT(authorize(), 0, "as a comment");
	OK(!outcome.was_there, "is not");
	EQ_STR(
	    files_get(".ssh/authorized_keys"), "# " KEY "\n" KEY "\n", "lines");
	files_put(".ssh/authorized_keys", "");
	EQ_INT(authorize(), 0, "an empty file");
	EQ_STR(files_get(".ssh/authorized_keys"), KEY "\n", "gets one line");
	leave();
}

static void
test_loose(void)
{
	fresh("loose");
	EQ_INT(chmod(".", 0775), 0, "home that others may write to");
	EQ_INT(authorize(), 0, "is extended");
	OK(outcome.is_loose, "and told about");
	EQ_INT(chmod(".", 0755), 0, "home is fine");
	EQ_INT(authorize(), 0, "again");
	OK(!outcome.is_loose, "nothing to tell");
	EQ_INT(chmod(".ssh", 0770), 0, "the folder");
	EQ_INT(authorize(), 0, "again");
	OK(outcome.is_loose, "is told about");
	EQ_INT(chmod(".ssh", 0700), 0, "and the file");
	EQ_INT(chmod(".ssh/authorized_keys", 0666), 0, "for everybody");
	EQ_INT(authorize(), 0, "again");
	OK(outcome.is_loose, "is told about");
	leave();
}

static void
test_strange(void)
{
	fresh("links");
	EQ_INT(mkdir("dots", 0700), 0, "the user keeps it elsewhere");
	files_put("dots/keys", OTHER "\n");
	EQ_INT(symlink("dots", ".ssh"), 0, "a folder by link");
	EQ_INT(symlink("keys", "dots/authorized_keys"), 0, "a file by link");
	EQ_INT(authorize(), 0, "links of the user's are followed");
	EQ_STR(files_get("dots/keys"), OTHER "\n" KEY "\n", "to the file");
	leave();

	fresh("strange");
	EQ_INT(mkdir(".ssh", 0700), 0, "folder");
	EQ_INT(mkfifo(".ssh/authorized_keys", 0600), 0, "a named pipe");
	EQ_INT(authorize(), -EINVAL, "is refused, without waiting");
	EQ_INT(unlink(".ssh/authorized_keys"), 0, "away");
	EQ_INT(mkdir(".ssh/authorized_keys", 0700), 0, "a folder");
	EQ_INT(authorize(), -EISDIR, "is refused");
	EQ_INT(rmdir(".ssh/authorized_keys"), 0, "away");
	EQ_INT(symlink("/dev/full", ".ssh/authorized_keys"), 0, "a device");
	EQ_INT(authorize(), -EINVAL, "is refused");
	EQ_INT(unlink(".ssh/authorized_keys"), 0, "away");
	files_put(".ssh/authorized_keys", "");
	EQ_INT(truncate(".ssh/authorized_keys", SSH_KEYS_MAX_FILE), 0, "long");
	EQ_INT(authorize(), 0, "is read");
	EQ_INT(truncate(".ssh/authorized_keys", SSH_KEYS_MAX_FILE + 1), 0,
	    "one more");
	EQ_INT(authorize(), -EFBIG, "is not");
	leave();

	fresh("blocked");
	files_put(".ssh", "a file");
	EQ_INT(authorize(), -ENOTDIR, "a file where the folder should be");
	(void)snprintf(account.home, sizeof(account.home), "%s/nobody", root);
	EQ_INT(authorize(), -ENOENT, "no home");
	memset(account.home, 'x', sizeof(account.home) - 1);
	EQ_INT(authorize(), -ENAMETOOLONG, "a home with too long a name");
	OK((unsigned char)outcome.path[0] == 0x55, "no outcome");
	leave();
}

/* Another process holds the lock for @ms; then it says so, and leaves. */
static pid_t
hold(const char *path, useconds_t ms, int said)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		abort();
	pid = fork();
	if (pid == 0) {
		(void)usleep(ms * 1000);
		_exit(write(said, "x", 1) == 1 ? 0 : 1);
	}
	fd_close(&fd);
	return pid;
}

static void
test_lock(void)
{
	int said[2];
	char byte;
	pid_t pid;

	if (pipe2(said, O_NONBLOCK | O_CLOEXEC) != 0)
		abort();
	fresh("lock");
	EQ_INT(mkdir(".ssh", 0700), 0, "folder");
	files_put(".ssh/authorized_keys", "");
	pid = hold(".ssh/authorized_keys", 200, said[1]);
	EQ_INT(authorize(), 0, "waits for the other one");
	/* The lock goes a little before its process can be waited for. */
	EQ_INT(read(said[0], &byte, 1), 1, "which was done then");
	EQ_INT(waitpid(pid, NULL, 0), pid, "and is gone");
	fd_close(&said[0]);
	fd_close(&said[1]);
	leave();
}

/* Several at once: every key is there, whole. */
static void
test_many(void)
{
	enum { MANY = 8 };
	int status, failed = 0, lines = 0;

	fresh("many");
	for (int i = 0; i < MANY; i++)
		if (fork() == 0) {
			key.blob[40] = (char)('a' + i);
			_exit(authorize() == 0 ? 0 : 1);
		}
	while (wait(&status) > 0)
		failed += status != 0;
	EQ_INT(failed, 0, "several at once");
	for (const char *p = files_get(".ssh/authorized_keys"); *p != '\0'; p++)
		lines += *p == '\n';
	EQ_INT(lines, MANY, "a line for each");
	EQ_INT(strlen(files_get(".ssh/authorized_keys")), MANY * sizeof(KEY),
	    "of full length");
	leave();
}

/* In a mount namespace of a child. */
static int
run_full(void)
{
	char filler[4096] = { 0 };
	int fd;

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", "", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mkdir(".ssh", 0700) != 0 ||
	    mount("tmpfs", ".ssh", "tmpfs", 0, "size=64k,mode=700") != 0)
		return 77;
	files_put(".ssh/authorized_keys", OTHER);
	fd = open(".ssh/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, filler, sizeof(filler)) > 0)
		;
	/* The rest of the file's own page is free: fill that, too. */
	fd_close(&fd);
	fd = open(".ssh/authorized_keys", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (write(fd, filler, sizeof(filler)) <= 0)
		return 78;
	fd_close(&fd);
	if (truncate(".ssh/authorized_keys", 4096 - 20) != 0)
		return 79;
	if (authorize() != -ENOSPC)
		return 1;
	return files_mode(".ssh/authorized_keys") != 0 &&
		       strlen(files_get(".ssh/authorized_keys")) ==
			   sizeof(OTHER) - 1
		   ? 0
		   : 2;
}

static void
test_full(void)
{
	int status;
	pid_t pid;

	fresh("full");
	pid = fork();
	if (pid == 0)
		_exit(run_full());
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 77)
		OK(true, "full disk # SKIP no mount namespaces");
	else
		EQ_INT(status >> 8, 0, "full disk: refused, and undone");
	leave();
}

static void
test_other_user(void)
{
	const struct passwd *nobody = getpwnam("nobody");

	if (geteuid() != 0 || nobody == NULL) {
		OK(true, "other user # SKIP not root");
		return;
	}
	fresh("other");
	account.uid = nobody->pw_uid;
	account.gid = nobody->pw_gid;
	memcpy(account.user, "nobody", sizeof("nobody"));
	EQ_INT(authorize(), -EACCES, "not where they may not write");
	OK(access(".ssh", F_OK) != 0, "nothing was made");
	EQ_INT(chown(".", account.uid, account.gid), 0, "their own home");
	EQ_INT(authorize(), 0, "is fine");
	OK(!outcome.was_there && !outcome.is_loose, "outcome");
	EQ_STR(files_get(".ssh/authorized_keys"), KEY "\n", "the line");
	{
		struct stat st;

		EQ_INT(stat(".ssh/authorized_keys", &st), 0, "stat");
		EQ_INT(st.st_uid, nobody->pw_uid, "the file is theirs");
		EQ_INT(st.st_gid, nobody->pw_gid, "their group's");
		EQ_INT(stat(".ssh", &st), 0, "stat");
		EQ_INT(st.st_uid, nobody->pw_uid, "and the folder");
	}
	EQ_INT(authorize(), 0, "again");
	OK(outcome.was_there, "was there");
	/* The trap: a link to a file that only root may write. */
	files_put("../roots", "secret");
	EQ_INT(chmod("../roots", 0600), 0, "root's own");
	EQ_INT(unlink(".ssh/authorized_keys"), 0, "away");
	EQ_INT(symlink("../../roots", ".ssh/authorized_keys"), 0, "link");
	EQ_INT(authorize(), -EACCES, "leads where they may not go");
	EQ_STR(files_get("../roots"), "secret", "untouched");
	leave();
}

static int
as_nobody(void)
{
	if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
	    setresuid(65534, 65534, 65534) != 0)
		return 77;
	account.uid = 1;
	return authorize() == -EPERM ? 0 : 1;
}

static void
test_not_root(void)
{
	int status;
	pid_t pid;

	fresh("eperm");
	pid = fork();
	if (pid == 0)
		_exit(as_nobody());
	if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) == 77)
		OK(true, "not root # SKIP cannot become somebody else");
	else
		EQ_INT(status, 0, "another's account needs root");
	leave();
}

static int
choose(const char *path, const char *home, const char *want_why)
{
	const char *why = "unset";
	int r = ssh_keys_choose(path, home, &key, &why);

	EQ_STR(why != NULL ? why : "(null)", want_why, "  reason: %s",
	    path != NULL ? path : "default");
	return r;
}

static void
test_choose(void)
{
	static const char none[] = "no public keys found; pass --key-file";
	static const char many[] =
	    "multiple public keys found; pass --key-file";
	char home[PATH_MAX];

	fresh("choose");
	(void)snprintf(home, sizeof(home), "%s", account.home);
	EQ_INT(choose(NULL, home, none), -ENOENT, "no folder");
	EQ_INT(mkdir(".ssh", 0700), 0, "folder");
	EQ_INT(choose(NULL, home, none), -ENOENT, "an empty one");
	EQ_INT(mkdir(".ssh/dir.pub", 0700), 0, "folders do not count");
	files_put(".ssh/id_ed25519", "PRIVATE");
	EQ_INT(choose("", home, none), -ENOENT, "nor other files");
	files_put(".ssh/id_ed25519.pub", KEY "\n");
	EQ_INT(choose(NULL, home, "(null)"), 0, "the only one");
	EQ_STR(key.comment, "alice@example", "its comment");
	EQ_INT(choose(".ssh", "/nowhere", "(null)"), 0, "of a folder named");
	files_put(".ssh/.pub", OTHER "\n");
	EQ_INT(choose(NULL, home, many), -DT_ERR_LIMIT, "two");
	EQ_INT(choose(".ssh/.pub", home, "(null)"), 0, "but this one");
	EQ_STR(key.comment, "", "it is");
	EQ_INT(choose("nothing", home, "(null)"), -ENOENT, "no such file");
	EQ_INT(
	    choose(".ssh/id_ed25519", home, "invalid public key: unknown type"),
	    -DT_ERR_UNSUPPORTED, "the private one");
	EQ_INT(choose("/dev/zero", home, "invalid public key: too long"),
	    -DT_ERR_TOO_LONG, "without end");
	EQ_INT(choose("/dev/null", home, "invalid public key: unknown type"),
	    -DT_ERR_UNSUPPORTED, "empty");
	memset(home, 'x', sizeof(home) - 1);
	home[sizeof(home) - 1] = '\0';
	EQ_INT(choose(NULL, home, "(null)"), -ENAMETOOLONG, "too long a home");
	leave();
}

static void
test_account(void)
{
	struct ssh_keys_account a;
	char name[100];

	EQ_INT(setenv("HOME", "/home/somebody", 1), 0, "HOME");
	EQ_INT(ssh_keys_account(NULL, &a), 0, "ourselves");
	EQ_STR(a.home, "/home/somebody", "by HOME");
	EQ_STR(a.user, "", "no name");
	OK(a.uid == geteuid() && a.gid == getegid(), "ids");
	EQ_INT(ssh_keys_account("", &a), 0, "an empty name is ourselves");
	EQ_INT(setenv("HOME", "relative", 1), 0, "a strange HOME");
	if (getpwuid(geteuid()) != NULL) {
		EQ_INT(ssh_keys_account(NULL, &a), 0, "ourselves");
		EQ_STR(a.home, getpwuid(geteuid())->pw_dir, "by the database");
		EQ_INT(unsetenv("HOME"), 0, "no HOME");
		EQ_INT(ssh_keys_account(NULL, &a), 0, "ourselves");
		EQ_STR(a.home, getpwuid(geteuid())->pw_dir, "the same");
	}
	EQ_INT(ssh_keys_account("root", &a), 0, "somebody");
	EQ_STR(a.user, "root", "by name");
	EQ_INT(a.uid, 0, "id");
	EQ_STR(a.home, getpwnam("root")->pw_dir, "home");
	EQ_INT(ssh_keys_account("no-such-user-here", &a), -ENOENT, "nobody");
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	EQ_INT(ssh_keys_account(name, &a), -ENAMETOOLONG, "long name");
}

int
main(void)
{
	char command[128];

	(void)umask(022);
	root = mkdtemp(in_memory);
	if (root == NULL)
		root = mkdtemp(on_disk);
	if (root == NULL || chmod(root, 0755) != 0 || chdir(root) != 0 ||
	    ssh_key_parse(&key, KEY, strlen(KEY), NULL) != 0)
		abort();
	test_new();
	test_append();
	test_loose();
	test_strange();
	test_lock();
	test_many();
	test_full();
	test_other_user();
	test_not_root();
	test_choose();
	test_account();
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	OK(chdir("/") == 0 && system(command) == 0, "cleaned up");
	return tap_done();
}
