/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes out of an archive.  What must not come out is in
 * t_archive_unpack_hostile.c. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "test/unit/archive_unpack_rig.h"

static void
test_plain(void)
{
	struct stat st;

	tar_begin();
	tar_put_folder("d/", 0750);
	tar_put_file("d/a", 0640, "hello");
	tar_put_folder("d/e/", 0555);
	tar_put_file("d/e/b", 0444, "");
	tar_put_file("d/z", 0755, "script");
	tar_put_file("top", 0600, "t");
	tar_put_file("implied/x/y", 0644, "deep");
	tar_put_end();
	EQ_INT(unpack(), 0, "a tree");
	EQ_INT(reports, 0, "without remarks");
	EQ_STR(files_get("t/d/a"), "hello", "content");
	EQ_STR(files_get("t/d/e/b"), "", "an empty file");
	EQ_STR(files_get("t/implied/x/y"), "deep", "parents without entries");
	EQ_INT(look("t/d").st_mode, S_IFDIR | 0750, "mode of a folder");
	EQ_INT(look("t/d/e").st_mode, S_IFDIR | 0555, "and without w");
	EQ_INT(look("t/d/a").st_mode, S_IFREG | 0640, "mode of a file");
	EQ_INT(look("t/d/e/b").st_mode, S_IFREG | 0444, "read-only");
	EQ_INT(look("t/implied").st_mode, S_IFDIR | 0755, "implied mode");
	st = look("t");
	EQ_INT(st.st_mode, S_IFDIR | 0755, "mode of the top");
	EQ_INT(look("t/d").st_mtim.tv_sec, TAR_TIME, "time of a folder");
	EQ_INT(look("t/d/e").st_mtim.tv_sec, TAR_TIME, "and of its folder");
	EQ_INT(look("t/d/a").st_mtim.tv_sec, TAR_TIME, "time of a file");
	EQ_INT(totals.files, 5, "files");
	EQ_INT(totals.folders, 4, "folders");
	EQ_INT(totals.bytes, 16, "bytes");
	EQ_INT(totals.tar_size, lseek(tar_fd, 0, SEEK_END), "size");
	EQ_INT(files_count("."), 1, "nothing else is left");
	EQ_INT(unpack(), -EEXIST, "the target is there now");
	EQ_STR(files_get("t/d/a"), "hello", "and stays");
	remove_all();
}

static void
test_places(void)
{
	tar_begin();
	tar_put_file("f", 0644, "x");
	tar_put_end();
	params.output = "other/new/";
	EQ_INT(unpack(), 0, "-o with missing parents");
	EQ_STR(files_get("other/new/f"), "x", "is the folder itself");
	params.output = "other";
	EQ_INT(unpack(), 0, "-o folder");
	EQ_STR(files_get("other/t/f"), "x", "goes into it");
	params.output = "other/new/f";
	EQ_INT(unpack(), -EEXIST, "-o file");
	params.output = NULL;
	params.name = "..";
	EQ_INT(unpack(), -EINVAL, "the folder above");
	params.name = "t";
	EQ_INT(symlink("other", "t"), 0, "a link of that name");
	EQ_INT(unpack(), -EEXIST, "is not followed");
	EQ_INT(unlink("t"), 0, "clean");
	EQ_INT(symlink("nowhere", "t"), 0, "a link to nothing");
	EQ_INT(unpack(), -EEXIST, "neither");
	EQ_INT(unlink("t"), 0, "clean");
	EQ_INT(mkdir("t", 0755), 0, "an empty folder");
	EQ_INT(unpack(), -EEXIST, "nor that");
	remove_all();
}

static void
test_taken_meanwhile(void)
{
	struct archive_unpack *u;

	tar_begin();
	tar_put_file("f", 0644, "x");
	tar_put_end();
	EQ_INT(lseek(tar_fd, 0, SEEK_SET), 0, "begin");
	EQ_INT(archive_unpack_open(&params, &u), 0, "open");
	EQ_STR(archive_unpack_peek_path(u), "t", "path");
	EQ_STR(archive_unpack_peek_leaf(u), "t", "leaf");
	EQ_INT(archive_unpack_run(u, tar_fd, &totals), 0, "run");
	EQ_INT(access("t", F_OK), -1, "not visible yet");
	EQ_INT(mkdir("t", 0755), 0, "somebody takes the name");
	EQ_INT(archive_unpack_commit(u), -EEXIST, "no commit");
	archive_unpack_free(u);
	EQ_INT(files_count("t"), 0, "theirs stays empty");
	EQ_INT(files_count("."), 1, "nothing else is left");
	remove_all();
}

static void
test_names(void)
{
	static const char nul[] = "24 path=harmless\0/../../x\n";

	tar_begin();
	tar_put_file("./a", 0644, "1");
	tar_put_file("b//c", 0644, "2");
	tar_put_file("..foo", 0644, "3");
	tar_put_file("nfd-e\xcc\x81", 0644, "4");
	tar_put_file("caf\xc3\xa9", 0644, "5");
	tar_put_folder("./", 0700);
	tar_put_end();
	EQ_INT(unpack(), 0, "odd but harmless");
	EQ_STR(files_get("t/a"), "1", "./a");
	EQ_STR(files_get("t/b/c"), "2", "b//c");
	EQ_STR(files_get("t/..foo"), "3", "..foo");
	EQ_STR(files_get("t/nfd-e\xcc\x81"), "4", "not composed");
	EQ_STR(files_get("t/caf\xc3\xa9"), "5", "UTF-8");
	EQ_INT(look("t").st_mode, S_IFDIR | 0755, "./ changes nothing");
	remove_all();

	tar_begin();
	tar_put_pax('x', "23 path=pax-nfd-e\xcc\x81-x\n", 23);
	tar_put_file("short", 0644, "6");
	tar_put_pax('x', "25 mtime=1400000000.500\n", 25 - 1);
	tar_put_end();
	EQ_INT(unpack(), -DT_ERR_PEER_PROTOCOL, "a record of a wrong length");
	tar_begin();
	tar_put_pax('x', "22 path=pax-nfd-e\xcc\x81-x\n", 22);
	tar_put_file("short", 0644, "6");
	tar_put_end();
	EQ_INT(unpack(), 0, "pax");
	EQ_STR(
	    files_get("t/pax-nfd-e\xcc\x81-x"), "6", "is not composed either");
	remove_all();

	tar_begin();
	tar_put_file("a\x1b[2J", 0644, "1");
	tar_put_folder("b\n/", 0755);
	tar_put_file("b\n/c", 0644, "2");
	tar_put_file("latin-\xe9", 0644, "3");
	tar_put_end();
	EQ_INT(unpack(), 0, "control characters");
	EQ_STR(files_get("t/a_[2J"), "1", "became _");
	EQ_STR(files_get("t/b_/c"), "2", "in folders, too");
	EQ_STR(files_get("t/latin-_"), "3", "and what is no UTF-8");
	EQ_INT(totals.warnings, 3, "each is told");
	EQ_INT(last_problem, ARCHIVE_PROBLEM_RENAMED, "as renamed");
	remove_all();

	tar_begin();
	tar_put_pax('x', nul, sizeof(nul) - 1);
	tar_put_file("short", 0644, "1");
	tar_put_end();
	(void)unpack();
	OK(access("x", F_OK) != 0 && access("../x", F_OK) != 0, "NUL");
	remove_all();
}

static void
test_modes(void)
{
	static const char big[8] = { '\x80', 0, 0, 0, 0, '\x80', '\x09',
		'\xff' };

	tar_begin();
	tar_put_file("suid", 06755, "1");
	tar_put_folder("sticky/", 03777);
	tar_put_header(&(struct tar_entry){
	    .name = "big", .type = '0', .mode_text = big });
	tar_put_end();
	EQ_INT(unpack(), 0, "special bits");
	EQ_INT(look("t/suid").st_mode, S_IFREG | 0755, "setuid is cleared");
	EQ_INT(look("t/sticky").st_mode, S_IFDIR | 0755, "sticky is cleared");
	EQ_INT(look("t/big").st_mode & 07000, 0, "base 256 neither");
	remove_all();
}

static void
test_pipe(void)
{
	struct archive_unpack *u;
	char buf[700];
	ssize_t n;
	int ends[2], status;
	pid_t pid;

	tar_begin();
	tar_put_folder("d/", 0755);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(buf, sizeof(buf), "d/%d", i);
		tar_put_file(buf, 0644, buf);
	}
	tar_put_end();
	EQ_INT(lseek(tar_fd, 0, SEEK_SET), 0, "begin");
	EQ_INT(pipe(ends), 0, "a pipe");
	pid = fork();
	if (pid == 0) {
		while ((n = read(tar_fd, buf, sizeof(buf))) > 0)
			if (write(ends[1], buf, (size_t)n) != n)
				_exit(1);
		_exit(0);
	}
	fd_close(&ends[1]);
	EQ_INT(archive_unpack_open(&params, &u), 0, "open");
	EQ_INT(archive_unpack_run(u, ends[0], &totals), 0, "in odd pieces");
	EQ_INT(archive_unpack_commit(u), 0, "commit");
	archive_unpack_free(u);
	fd_close(&ends[0]);
	EQ_INT(waitpid(pid, &status, 0), pid, "waited");
	EQ_INT(files_count("t/d"), 100, "all there");
	EQ_STR(files_get("t/d/77"), "d/77", "content");
	remove_all();
}

/* As another user, where modes keep out. */
static int
body_other_user(void)
{
	tar_begin();
	tar_put_folder("d/", 0555);
	tar_put_file("d/a", 0444, "1");
	tar_put_folder("d/e/", 0);
	tar_put_file("d/e/b", 0, "2");
	tar_put_file("d/c", 0644, "3");
	tar_put_end();
	if (unpack() != 0)
		return 1;
	if (look("t/d").st_mode != (S_IFDIR | 0555) ||
	    look("t/d/e").st_mode != S_IFDIR)
		return 2;
	if (chmod("t/d", 0755) != 0 || chmod("t/d/e", 0755) != 0)
		return 3;
	if (look("t/d/e/b").st_mode != S_IFREG)
		return 4;
	tar_begin();
	tar_put_folder("d/", 0555);
	tar_put_folder("d/e/", 0);
	tar_put_file("d/e/b", 0, "2");
	tar_put_file("d/e/b", 0, "again");
	tar_put_end();
	params.output = "u";
	if (unpack() != -DT_ERR_PEER_PROTOCOL)
		return 5;
	return files_count(".") == 1 ? 0
				     : 6; /* removed in spite of its modes */
}

static int
body_full(void)
{
	char block[4096];

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", "", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", ".", "tmpfs", 0, "size=1m") != 0 || chdir(root) != 0)
		return 77;
	memset(block, 'x', sizeof(block) - 1);
	block[sizeof(block) - 1] = '\0';
	tar_begin();
	for (int i = 0; i < 1000; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i);
		tar_put_file(name, 0644, block);
	}
	tar_put_end();
	if (unpack() != -ENOSPC || last_problem != ARCHIVE_PROBLEM_WRITE ||
	    last_r != -ENOSPC)
		return 1;
	return files_count(".") == 0 ? 0 : 2;
}

static void
in_child(int (*body)(void), bool drop, const char *what)
{
	int status = -1;
	pid_t pid = geteuid() == 0 ? fork() : -1;

	if (pid == 0) {
		if (drop && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(77);
		_exit(body());
	}
	if (pid > 0)
		OK(waitpid(pid, &status, 0) == pid, "waited");
	if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 77))
		OK(true, "%s # SKIP not root", what);
	else
		EQ_INT(status, 0, "%s", what);
}

int
main(void)
{
	if (!rig_enter())
		return 1;
	test_plain();
	test_places();
	test_taken_meanwhile();
	test_names();
	test_modes();
	test_pipe();
	in_child(body_other_user, true, "modes that keep us out");
	remove_all();
	in_child(body_full, false, "a full disk");
	return rig_leave();
}
