/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/archive_unpack.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"

#define BLOCK 512
#define TIME 1500000000

static char root[] = "/tmp/t_archive_pack.XXXXXX";

static void
put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0 ||
	    chmod(path, mode) != 0)
		abort();
}

static void
folder(const char *path, mode_t mode)
{
	if (mkdir(path, mode) != 0 || chmod(path, mode) != 0)
		abort();
}

static void
set_time(const char *path, long nsec)
{
	const struct timespec times[2] = { { 1, 0 }, { TIME, nsec } };

	if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) != 0)
		abort();
}

/* All that was reported: "problem path r\n"... */
static char said[4096];

static void
on_problem(void *arg, enum archive_problem problem, const char *path, int r)
{
	size_t len = strlen(said);

	(void)arg;
	(void)snprintf(
	    said + len, sizeof(said) - len, "%d %s %d;", problem, path, r);
}

static struct archive_pack_params params = { .on_problem = on_problem };
static struct archive_totals measured, totals;
static char *tar;
static size_t tar_len;

static int
measure(const char *path)
{
	int r;

	said[0] = '\0';
	params.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = archive_pack_measure(&params, &measured);
	fd_close(&params.dir);
	return r;
}

/* Packs into memory: tar, tar_len.  Measures first. */
static int
pack(const char *path)
{
	int fd = memfd_create("tar", MFD_CLOEXEC), r;

	r = measure(path);
	if (r == 0) {
		said[0] = '\0';
		params.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = archive_pack_write(&params, fd, &totals);
		fd_close(&params.dir);
	}
	free(tar);
	tar_len = (size_t)lseek(fd, 0, SEEK_END);
	tar = calloc(1, tar_len + 1);
	if (tar == NULL || pread(fd, tar, tar_len, 0) != (ssize_t)tar_len)
		abort();
	fd_close(&fd);
	return r;
}

static void
same_totals(void)
{
	EQ_INT(totals.tar_size, (long long)tar_len, "  size");
	EQ_INT(measured.tar_size, totals.tar_size, "  was announced");
	EQ_INT(measured.files, totals.files, "  files");
	EQ_INT(measured.folders, totals.folders, "  folders");
	EQ_INT(measured.bytes, totals.bytes, "  bytes");
	EQ_INT(measured.faults, totals.faults, "  faults");
	EQ_INT(measured.warnings, totals.warnings, "  warnings");
}

static void
remove_all(void)
{
	/* NOLINTNEXTLINE(cert-env33-c) */
	EQ_INT(system("chmod -R u+rwx . && rm -rf ./src ./dst"), 0, "clean");
}

static void
test_bytes(void)
{
	folder("src", 0755);
	folder("src/b", 0750);
	put("src/b/c", "hello", 04755);
	put("src/a", "", 0600);
	put("src/b.x", "x", 0644);
	set_time("src/b/c", 600000000);
	set_time("src/b", 400000000);
	set_time("src/a", 0);
	EQ_INT(pack("src"), 0, "pack");
	EQ_STR(said, "", "without remarks");
	same_totals();
	EQ_INT(tar_len, 6 * BLOCK + 2 * BLOCK, "two zero blocks, no padding");
	EQ_INT(totals.files, 3, "files");
	EQ_INT(totals.folders, 1, "folders");
	EQ_INT(totals.bytes, 6, "bytes");
	EQ_STR(tar, "a", "byte order");
	EQ_STR(tar + BLOCK, "b/", "folders with a slash");
	EQ_STR(tar + 2 * BLOCK, "b/c", "contents behind it");
	EQ_STR(tar + 4 * BLOCK, "b.x", "then the next name");
	EQ_MEM(tar + 257,
	    "ustar\0"
	    "00",
	    8, "POSIX ustar");
	EQ_INT(tar[156], '0', "type of a file");
	EQ_INT(tar[BLOCK + 156], '5', "type of a folder");
	EQ_INT(strtol(tar + 100, NULL, 8), 0600, "mode");
	EQ_INT(strtol(tar + BLOCK + 100, NULL, 8), 0750, "mode of a folder");
	EQ_INT(strtol(tar + 2 * BLOCK + 100, NULL, 8), 0755, "no setuid");
	EQ_INT(strtol(tar + 108, NULL, 8), 0, "no owner");
	EQ_INT(strtol(tar + 116, NULL, 8), 0, "no group");
	EQ_STR(tar + 265, "", "no user name");
	EQ_STR(tar + 297, "", "no group name");
	EQ_INT(strtol(tar + BLOCK + 136, NULL, 8), TIME, "time");
	EQ_INT(strtol(tar + 2 * BLOCK + 136, NULL, 8), TIME + 1, "rounded");
	EQ_INT(strtol(tar + 2 * BLOCK + 124, NULL, 8), 5, "size");
	EQ_STR(tar + 3 * BLOCK, "hello", "contents");
	remove_all();
}

/* Is there a pax record that ends in @text? */
static bool
has_record(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i + n <= tar_len; i++)
		if (memcmp(tar + i, text, n) == 0)
			return true;
	return false;
}

static void
test_names(void)
{
	char path[300] = "src/", *name = path + 4;

	folder("src", 0755);
	memset(name, 'n', 100);
	name[100] = '\0';
	put(path, "1", 0644);
	EQ_INT(pack("src"), 0, "100 octets");
	EQ_INT(tar_len, 4 * BLOCK, "fit into ustar");
	name[99] = '\xc3';
	name[100] = '\xa4';
	name[101] = '\0';
	put(path, "2", 0644);
	memset(name, 'm', 255);
	name[255] = '\0';
	put(path, "3", 0644);
	put("src/nfd-e\xcc\x81", "4", 0644);
	put("src/latin-\xe9", "5", 0644);
	EQ_INT(pack("src"), 0, "more octets");
	same_totals();
	OK(has_record(" path=nfd-e\xcc\x81\n"), "not composed");
	OK(has_record(" path=latin-\xe9\n"), "bytes as they are");
	OK(has_record(" path=mmmm"), "too long for ustar");
	OK(!has_record("./"), "no ./");
	for (size_t i = 0; i + BLOCK <= tar_len; i += BLOCK)
		if (memcmp(tar + i + 257, "ustar", 5) == 0 &&
		    strchr("05x", tar[i + 156]) == NULL)
			OK(false, "type %c", tar[i + 156]);
	put("src/..dots", "6", 0644);
	EQ_INT(pack("src"), 0, "..dots");
	EQ_STR(said, "7 ..dots 0;", "is told");
	EQ_INT(totals.warnings, 1, "as a warning");
	EQ_INT(totals.files, 6, "but sent");
	remove_all();
}

static void
test_kinds(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	folder("src", 0755);
	put("src/one", "1", 0644);
	EQ_INT(link("src/one", "src/two"), 0, "a hard link");
	EQ_INT(mkfifo("src/pipe", 0600), 0, "a pipe");
	memcpy(a.sun_path, "src/socket", sizeof("src/socket"));
	EQ_INT(bind(s, (struct sockaddr *)&a, sizeof(a)), 0, "a socket");
	fd_close(&s);
	EQ_INT(pack("src"), 0, "pack");
	EQ_STR(said, "1 pipe 0;1 socket 0;", "left out, told");
	same_totals();
	EQ_INT(totals.files, 2, "hard links are files");
	EQ_INT(totals.warnings, 2, "warnings");
	EQ_INT(totals.faults, 0, "no faults");
	EQ_INT(symlink("one", "src/link"), 0, "a link");
	EQ_INT(measure("src"), -DT_ERR_UNSUPPORTED, "is refused");
	EQ_STR(said, "2 link 0;", "and told");
	params.skip_links = true;
	EQ_INT(pack("src"), 0, "or left out");
	EQ_INT(totals.warnings, 3, "with a warning");
	params.skip_links = false;
	EQ_INT(measure("src/one"), -EBADF, "no folder");
	remove_all();
}

static void
test_large(void)
{
	int fd;

	folder("src", 0755);
	put("src/sparse", "", 0644);
	EQ_INT(truncate("src/sparse", INT64_C(9) << 30), 0, "9 GiB");
	put("src/z", "1", 0644);
	EQ_INT(measure("src"), 0, "measure");
	EQ_INT(measured.tar_size,
	    (INT64_C(9) << 30) + 3 * BLOCK + 2 * BLOCK + 2 * BLOCK,
	    "with a record for the size");
	EQ_INT(truncate("src/sparse", (8 << 20) + 1), 0, "8 MiB and one");
	fd = open("src/sparse", O_WRONLY | O_CLOEXEC);
	EQ_INT(pwrite(fd, "end", 3, (8 << 20) - 2), 3, "an end");
	fd_close(&fd);
	EQ_INT(pack("src"), 0, "pack");
	same_totals();
	EQ_MEM(tar + BLOCK + (8 << 20) - 2, "end", 3, "in its place");
	remove_all();
}

static void
test_deep(void)
{
	char path[1024] = "src";
	size_t len = 3;

	folder("src", 0755);
	for (int i = 0; i < ARCHIVE_PACK_MAX_DEPTH; i++, len += 2) {
		memcpy(path + len, "/d", 3);
		folder(path, 0755);
	}
	memcpy(path + len, "/f", 3);
	put(path, "deep", 0644);
	EQ_INT(pack("src"), 0, "the deepest");
	same_totals();
	EQ_INT(totals.files, 1, "its file");
	EQ_INT(totals.faults, 0, "no faults");
	memcpy(path + len, "/d", 3);
	folder(path, 0755);
	memcpy(path + len + 2, "/f", 3);
	put(path, "deeper", 0644);
	EQ_INT(pack("src"), 0, "one deeper");
	EQ_INT(totals.faults, 1, "is left out");
	EQ_INT(totals.files, 1, "with what is in it");
	remove_all();
}

/* The packer in a child writes to a pipe; @change happens when it has begun.
 * Returns its faults, or -1. */
static int
pack_while(void (*change)(void))
{
	static char buf[65536];
	size_t cap = 16 << 20;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(ends) != 0)
		abort();
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd_close(&ends[0]);
		params.dir = open("src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (archive_pack_write(&params, ends[1], &totals) != 0)
			_exit(99);
		_exit((int)totals.faults);
	}
	fd_close(&ends[1]);
	free(tar);
	tar = calloc(1, cap);
	tar_len = 0;
	if (tar == NULL)
		abort();
	while ((n = read(ends[0], buf, sizeof(buf))) > 0 &&
	       tar_len + (size_t)n <= cap) {
		memcpy(tar + tar_len, buf, (size_t)n);
		if (tar_len == 0)
			change();
		tar_len += (size_t)n;
	}
	fd_close(&ends[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void
change_shrink(void)
{
	if (truncate("src/a", 1 << 20) != 0)
		abort();
}

static void
change_grow(void)
{
	if (truncate("src/a", 5 << 20) != 0)
		abort();
}

static void
change_vanish(void)
{
	if (unlink("src/b") != 0)
		abort();
}

static void
change_link(void)
{
	if (unlink("src/b") != 0 || symlink("/etc/hostname", "src/b") != 0)
		abort();
}

static void
test_changes(void)
{
	const size_t whole = (4 << 20) + 4 * BLOCK;

	folder("src", 0755);
	put("src/a", "", 0644);
	EQ_INT(truncate("src/a", 4 << 20), 0, "4 MiB");
	EQ_INT(pack_while(change_shrink), 99, "a file shrinks: the end");
	OK(tar_len < 2 << 20, "and nothing is made up for what is missing");
	EQ_INT(truncate("src/a", 4 << 20), 0, "4 MiB");
	EQ_INT(pack_while(change_grow), 1, "a file grows: a fault");
	EQ_INT(tar_len, whole - BLOCK, "and the archive is well-formed");
	EQ_INT(truncate("src/a", 4 << 20), 0, "4 MiB");
	put("src/b", "", 0644);
	EQ_INT(pack_while(change_vanish), 1, "a file vanishes: a fault");
	put("src/b", "secret", 0644);
	EQ_INT(pack_while(change_link) != 0, 1, "a file becomes a link");
	remove_all();
}

static int
body_unreadable(void)
{
	if (pack("src") != 0)
		return 1;
	if (totals.faults != 2 || totals.files != 1 || totals.folders != 1)
		return 2;
	if (strcmp(said, "3 shut -13;3 unreadable -13;") != 0)
		return 3;
	return measured.tar_size == totals.tar_size ? 0 : 4;
}

static void
test_unreadable(void)
{
	int status = -1;
	pid_t pid;

	folder("src", 0755);
	folder("src/shut", 0700);
	put("src/shut/x", "1", 0644);
	put("src/readable", "2", 0644);
	put("src/unreadable", "3", 0600);
	(void)fflush(stdout);
	pid = geteuid() == 0 ? fork() : -1;
	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(77);
		_exit(body_unreadable());
	}
	if (pid > 0)
		EQ_INT(waitpid(pid, &status, 0), pid, "waited");
	if (pid < 0)
		OK(true, "unreadable # SKIP not root");
	else
		EQ_INT(status, 0, "what cannot be read is told");
	remove_all();
}

static void
test_pipe_breaks(void)
{
	int ends[2];

	folder("src", 0755);
	put("src/a", "1", 0644);
	EQ_INT(pipe(ends), 0, "a pipe");
	fd_close(&ends[0]);
	params.dir = open("src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EQ_INT(archive_pack_write(&params, ends[1], &totals), -EPIPE,
	    "nobody reads");
	fd_close(&params.dir);
	fd_close(&ends[1]);
	remove_all();
}

/* What is packed is unpacked, modes and times included. */
static void
test_round_trip(void)
{
	const struct archive_unpack_params to = { .name = "dst" };
	struct archive_unpack *u;
	struct stat st;
	char path[64];
	int fd;

	folder("src", 0755);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(path, sizeof(path), "src/d%d", i % 5);
		if (i < 5)
			folder(path, 0700);
		(void)snprintf(
		    path, sizeof(path), "src/d%d/f%d\xc3\xa4", i % 5, i);
		put(path, path, 0640);
		set_time(path, 0);
	}
	EQ_INT(chmod("src/d3", 0555), 0, "read-only");
	set_time("src/d3", 0);
	EQ_INT(pack("src"), 0, "pack");
	fd = memfd_create("tar", MFD_CLOEXEC);
	EQ_INT(write(fd, tar, tar_len), (ssize_t)tar_len, "store");
	EQ_INT(lseek(fd, 0, SEEK_SET), 0, "begin");
	EQ_INT(archive_unpack_open(&to, &u), 0, "open");
	EQ_INT(archive_unpack_run(u, fd, &totals), 0, "unpack");
	EQ_INT(archive_unpack_commit(u), 0, "commit");
	archive_unpack_free(u);
	fd_close(&fd);
	EQ_INT(totals.files, measured.files, "files");
	EQ_INT(totals.folders, measured.folders, "folders");
	EQ_INT(totals.bytes, measured.bytes, "bytes");
	EQ_INT(totals.tar_size, measured.tar_size, "size");
	EQ_INT(stat("dst/d3", &st), 0, "d3");
	EQ_INT(st.st_mode, S_IFDIR | 0555, "its mode");
	EQ_INT(st.st_mtim.tv_sec, TIME, "its time");
	EQ_INT(stat("dst/d3/f48\xc3\xa4", &st), 0, "f48");
	EQ_INT(st.st_mtim.tv_sec, TIME, "its time");
	/* NOLINTNEXTLINE(cert-env33-c) */
	EQ_INT(system("diff -r src dst"), 0, "the same");
	remove_all();
}

int
main(void)
{
	(void)umask(022);
	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(root) == NULL || chmod(root, 0755) != 0 || chdir(root) != 0)
		return 1;
	test_bytes();
	test_names();
	test_kinds();
	test_large();
	test_deep();
	test_changes();
	test_unreadable();
	test_pipe_breaks();
	test_round_trip();
	EQ_INT(chdir("/") | rmdir(root), 0, "clean");
	free(tar);
	return tap_done();
}
