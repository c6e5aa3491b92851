/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"

#define BLOCK 512
#define TIME 1500000000

/* In memory if possible: every commit syncs its file system. */
static char in_memory[] = "/dev/shm/t_archive_unpack.XXXXXX";
static char on_disk[] = "/tmp/t_archive_unpack.XXXXXX";
static char *root = in_memory;

/* An archive in the making. */
static int tar_fd = -1;

static void
put(const void *p, size_t n)
{
	if (write(tar_fd, p, n) != (ssize_t)n)
		abort();
}

static void
put_zeros(size_t n)
{
	static const char zeros[10240];

	put(zeros, n);
}

static void
begin(void)
{
	fd_close(&tar_fd);
	tar_fd = memfd_create("tar", MFD_CLOEXEC);
	if (tar_fd < 0)
		abort();
}

static void
checksum(char *h)
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
}

struct entry {
	const char *name;
	size_t name_len; /* 0: of the string */
	char type;
	unsigned mode;
	long long size;
	const char *link;
	const char *mode_text; /* instead of mode: 8 octets */
};

static void
put_header(const struct entry *e)
{
	char h[BLOCK] = { 0 };
	size_t len = e->name_len > 0 ? e->name_len : strlen(e->name);

	memcpy(h, e->name, len < 100 ? len : 100);
	(void)snprintf(h + 100, 8, "%07o", e->mode);
	if (e->mode_text != NULL)
		memcpy(h + 100, e->mode_text, 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	(void)snprintf(h + 124, 12, "%011llo", (unsigned long long)e->size);
	(void)snprintf(h + 136, 12, "%011o", (unsigned)TIME);
	h[156] = e->type;
	if (e->link != NULL)
		memcpy(h + 157, e->link, strlen(e->link));
	memcpy(h + 257,
	    "ustar\0"
	    "00",
	    8);
	checksum(h);
	put(h, BLOCK);
}

static void
put_body(const char *text, size_t n)
{
	put(text, n);
	put_zeros((BLOCK - n % BLOCK) % BLOCK);
}

static void
put_file(const char *name, unsigned mode, const char *text)
{
	put_header(&(struct entry){ .name = name,
	    .type = '0',
	    .mode = mode,
	    .size = (long long)strlen(text) });
	put_body(text, strlen(text));
}

static void
put_folder(const char *name, unsigned mode)
{
	put_header(&(struct entry){ .name = name, .type = '5', .mode = mode });
}

/* One extended record for the next entry. */
static void
put_pax(char type, const char *records, size_t n)
{
	put_header(&(struct entry){
	    .name = "x", .type = type, .mode = 0644, .size = (long long)n });
	put_body(records, n);
}

static void
put_end(void)
{
	put_zeros(2 * (size_t)BLOCK);
}

/* What was reported last. */
static enum archive_problem last_problem;
static char last_path[ARCHIVE_REPORT_MAX_PATH * 2];
static int last_r, reports;

static void
on_problem(void *arg, enum archive_problem problem, const char *path, int r)
{
	(void)arg;
	last_problem = problem;
	(void)snprintf(last_path, sizeof(last_path), "%s", path);
	last_r = r;
	reports++;
}

static int
count(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2;
}

static struct archive_unpack_params params;
static struct archive_totals totals;

/* From open to commit.  On failure nothing may be left. */
static int
unpack(void)
{
	struct archive_unpack *u;
	int r;

	last_problem = ARCHIVE_PROBLEM_NONE;
	last_path[0] = '\0';
	last_r = 0;
	reports = 0;
	if (lseek(tar_fd, 0, SEEK_SET) != 0)
		abort();
	r = archive_unpack_open(&params, &u);
	if (r < 0)
		return r;
	r = archive_unpack_run(u, tar_fd, &totals);
	if (r == 0)
		r = archive_unpack_commit(u);
	archive_unpack_free(u);
	return r;
}

static void
refused(enum archive_problem problem, int want, const char *what)
{
	int r = unpack();

	EQ_INT(r, want, "%s", what);
	EQ_INT(last_problem, problem, "  the reason");
	EQ_INT(count("."), 0, "  nothing is left");
}

static void
remove_all(void)
{
	/* NOLINTNEXTLINE(cert-env33-c) */
	EQ_INT(system("chmod -R u+rwx . && rm -rf ./t ./other"), 0, "clean");
}

static const char *
get(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return "(none)";
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return text;
}

static struct stat
look(const char *path)
{
	struct stat st = { .st_mode = 0 };

	(void)lstat(path, &st);
	return st;
}

static void
test_plain(void)
{
	struct stat st;

	begin();
	put_folder("d/", 0750);
	put_file("d/a", 0640, "hello");
	put_folder("d/e/", 0555);
	put_file("d/e/b", 0444, "");
	put_file("d/z", 0755, "script");
	put_file("top", 0600, "t");
	put_file("implied/x/y", 0644, "deep");
	put_end();
	EQ_INT(unpack(), 0, "a tree");
	EQ_INT(reports, 0, "without remarks");
	EQ_STR(get("t/d/a"), "hello", "content");
	EQ_STR(get("t/d/e/b"), "", "an empty file");
	EQ_STR(get("t/implied/x/y"), "deep", "parents without entries");
	EQ_INT(look("t/d").st_mode, S_IFDIR | 0750, "mode of a folder");
	EQ_INT(look("t/d/e").st_mode, S_IFDIR | 0555, "and without w");
	EQ_INT(look("t/d/a").st_mode, S_IFREG | 0640, "mode of a file");
	EQ_INT(look("t/d/e/b").st_mode, S_IFREG | 0444, "read-only");
	EQ_INT(look("t/implied").st_mode, S_IFDIR | 0755, "implied mode");
	st = look("t");
	EQ_INT(st.st_mode, S_IFDIR | 0755, "mode of the top");
	EQ_INT(look("t/d").st_mtim.tv_sec, TIME, "time of a folder");
	EQ_INT(look("t/d/e").st_mtim.tv_sec, TIME, "and of its folder");
	EQ_INT(look("t/d/a").st_mtim.tv_sec, TIME, "time of a file");
	EQ_INT(totals.files, 5, "files");
	EQ_INT(totals.folders, 4, "folders");
	EQ_INT(totals.bytes, 16, "bytes");
	EQ_INT(totals.tar_size, lseek(tar_fd, 0, SEEK_END), "size");
	EQ_INT(count("."), 1, "nothing else is left");
	EQ_INT(unpack(), -EEXIST, "the target is there now");
	EQ_STR(get("t/d/a"), "hello", "and stays");
	remove_all();
}

static void
test_places(void)
{
	begin();
	put_file("f", 0644, "x");
	put_end();
	params.output = "other/new/";
	EQ_INT(unpack(), 0, "-o with missing parents");
	EQ_STR(get("other/new/f"), "x", "is the folder itself");
	params.output = "other";
	EQ_INT(unpack(), 0, "-o folder");
	EQ_STR(get("other/t/f"), "x", "goes into it");
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

	begin();
	put_file("f", 0644, "x");
	put_end();
	EQ_INT(lseek(tar_fd, 0, SEEK_SET), 0, "begin");
	EQ_INT(archive_unpack_open(&params, &u), 0, "open");
	EQ_STR(archive_unpack_peek_path(u), "t", "path");
	EQ_STR(archive_unpack_peek_leaf(u), "t", "leaf");
	EQ_INT(archive_unpack_run(u, tar_fd, &totals), 0, "run");
	EQ_INT(access("t", F_OK), -1, "not visible yet");
	EQ_INT(mkdir("t", 0755), 0, "somebody takes the name");
	EQ_INT(archive_unpack_commit(u), -EEXIST, "no commit");
	archive_unpack_free(u);
	EQ_INT(count("t"), 0, "theirs stays empty");
	EQ_INT(count("."), 1, "nothing else is left");
	remove_all();
}

static void
test_names(void)
{
	static const char nul[] = "24 path=harmless\0/../../x\n";

	begin();
	put_file("./a", 0644, "1");
	put_file("b//c", 0644, "2");
	put_file("..foo", 0644, "3");
	put_file("nfd-e\xcc\x81", 0644, "4");
	put_file("caf\xc3\xa9", 0644, "5");
	put_folder("./", 0700);
	put_end();
	EQ_INT(unpack(), 0, "odd but harmless");
	EQ_STR(get("t/a"), "1", "./a");
	EQ_STR(get("t/b/c"), "2", "b//c");
	EQ_STR(get("t/..foo"), "3", "..foo");
	EQ_STR(get("t/nfd-e\xcc\x81"), "4", "not composed");
	EQ_STR(get("t/caf\xc3\xa9"), "5", "UTF-8");
	EQ_INT(look("t").st_mode, S_IFDIR | 0755, "./ changes nothing");
	remove_all();

	begin();
	put_pax('x', "23 path=pax-nfd-e\xcc\x81-x\n", 23);
	put_file("short", 0644, "6");
	put_pax('x', "25 mtime=1400000000.500\n", 25 - 1);
	put_end();
	EQ_INT(unpack(), -DT_ERR_PEER_PROTOCOL, "a record of a wrong length");
	begin();
	put_pax('x', "22 path=pax-nfd-e\xcc\x81-x\n", 22);
	put_file("short", 0644, "6");
	put_end();
	EQ_INT(unpack(), 0, "pax");
	EQ_STR(get("t/pax-nfd-e\xcc\x81-x"), "6", "is not composed either");
	remove_all();

	begin();
	put_file("a\x1b[2J", 0644, "1");
	put_folder("b\n/", 0755);
	put_file("b\n/c", 0644, "2");
	put_file("latin-\xe9", 0644, "3");
	put_end();
	EQ_INT(unpack(), 0, "control characters");
	EQ_STR(get("t/a_[2J"), "1", "became _");
	EQ_STR(get("t/b_/c"), "2", "in folders, too");
	EQ_STR(get("t/latin-_"), "3", "and what is no UTF-8");
	EQ_INT(totals.warnings, 3, "each is told");
	EQ_INT(last_problem, ARCHIVE_PROBLEM_RENAMED, "as renamed");
	remove_all();

	begin();
	put_pax('x', nul, sizeof(nul) - 1);
	put_file("short", 0644, "1");
	put_end();
	(void)unpack();
	OK(access("x", F_OK) != 0 && access("../x", F_OK) != 0, "NUL");
	remove_all();
}

static void
test_unsafe(void)
{
	static const char *const bad[] = { "../x", "/x", "a/../../x", "a/..",
		"..", "/", "//x", "a/../b", "./..", "..//x" };
	char name[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		put_file("first", 0644, "1");
		put_file(bad[i], 0644, "2");
		put_end();
		refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, bad[i]);
		begin();
		(void)snprintf(name, sizeof(name), "%s/", bad[i]);
		put_folder(name, 0755);
		put_end();
		refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, name);
	}
	OK(access("../x", F_OK) != 0 && access("/x", F_OK) != 0,
	    "nothing outside");
	memset(name, 'n', 256);
	memcpy(name, "265 path=", 9);
	begin();
	memset(name + 9, 'n', 255);
	name[264] = '\n';
	put_pax('x', name, 265);
	put_file("short", 0644, "1");
	put_end();
	EQ_INT(unpack(), 0, "255 octets");
	remove_all();
	begin();
	memcpy(name, "266 path=", 9);
	name[264] = 'n';
	name[265] = '\n';
	put_pax('x', name, 266);
	put_file("short", 0644, "1");
	put_end();
	refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, "256 octets");
}

static void
deep(int levels, bool with_file)
{
	char record[2100];
	int path_len = 2 * levels + (with_file ? 1 : 0);
	int n = 3 + 1 + 5 + path_len + 1;

	n += n >= 999 ? 1 : 0;
	begin();
	(void)snprintf(record, sizeof(record), "%d path=", n);
	for (int i = 0; i < levels; i++)
		(void)strcat(record, "d/");             /* NOLINT: fits */
	(void)strcat(record, with_file ? "f\n" : "\n"); /* NOLINT: fits */
	put_pax('x', record, strlen(record));
	put_header(&(struct entry){
	    .name = "s", .type = with_file ? '0' : '5', .mode = 0755 });
	put_end();
}

static void
test_deep(void)
{
	deep(ARCHIVE_UNPACK_MAX_DEPTH, true);
	EQ_INT(unpack(), 0, "the deepest path");
	EQ_INT(totals.folders, ARCHIVE_UNPACK_MAX_DEPTH, "all of it");
	remove_all();
	deep(ARCHIVE_UNPACK_MAX_DEPTH + 1, false);
	refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, "one deeper");
}

static void
test_types(void)
{
	static const char types[] = "123467SK";

	for (size_t i = 0; types[i] != '\0'; i++) {
		/* A file on disks of old, a sparse one without holes, and what
		 * is no entry of its own. */
		bool plain = strchr("7SK", types[i]) != NULL;
		char name[16];

		(void)snprintf(name, sizeof(name), "type %c", types[i]);
		begin();
		put_file("victim", 0644, "1");
		put_header(&(struct entry){ .name = "link",
		    .type = types[i],
		    .mode = 0644,
		    .link = "victim" });
		put_file("after", 0644, "2");
		put_end();
		if (plain) {
			EQ_INT(unpack() == 0 || count(".") == 0, 1, "%s", name);
			remove_all();
			continue;
		}
		refused(ARCHIVE_PROBLEM_TYPE, -DT_ERR_PEER_PROTOCOL, name);
	}
	/* A link, then a file through it. */
	begin();
	put_header(&(struct entry){
	    .name = "l", .type = '2', .mode = 0777, .link = ".." });
	put_file("l/x", 0644, "2");
	put_end();
	refused(ARCHIVE_PROBLEM_TYPE, -DT_ERR_PEER_PROTOCOL, "through a link");
	/* A hard link to something outside, with contents to write into it. */
	begin();
	put_header(&(struct entry){ .name = "l",
	    .type = '1',
	    .mode = 0777,
	    .size = 4,
	    .link = "/etc/hostname" });
	put_body("evil", 4);
	put_end();
	refused(ARCHIVE_PROBLEM_TYPE, -DT_ERR_PEER_PROTOCOL, "a hard link");
	begin();
	put_pax('x', "22 linkpath=/etc/group\n", 23);
	put_header(&(struct entry){ .name = "l", .type = '1', .mode = 0777 });
	put_end();
	EQ_INT(unpack() < 0, 1, "its record is damaged");
	EQ_INT(count("."), 0, "nothing is left");
}

static void
test_modes(void)
{
	static const char big[8] = { '\x80', 0, 0, 0, 0, '\x80', '\x09',
		'\xff' };

	begin();
	put_file("suid", 06755, "1");
	put_folder("sticky/", 03777);
	put_header(
	    &(struct entry){ .name = "big", .type = '0', .mode_text = big });
	put_end();
	EQ_INT(unpack(), 0, "special bits");
	EQ_INT(look("t/suid").st_mode, S_IFREG | 0755, "setuid is cleared");
	EQ_INT(look("t/sticky").st_mode, S_IFDIR | 0755, "sticky is cleared");
	EQ_INT(look("t/big").st_mode & 07000, 0, "base 256 neither");
	remove_all();
}

static void
test_twice(void)
{
	begin();
	put_file("f", 0644, "1");
	put_file("f", 0644, "2");
	put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "a file twice");
	begin();
	put_file("f", 0644, "1");
	put_file("f/x", 0644, "2");
	put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "file as folder");
	begin();
	put_folder("f/", 0755);
	put_file("f", 0644, "2");
	put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "folder as file");
	begin();
	put_file("f\x01", 0644, "1");
	put_file("f\x02", 0644, "2");
	put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "both became f_");

	begin();
	put_folder("d/", 0555);
	put_folder("e/", 0755);
	put_file("d/late", 0644, "1");
	put_file("e/x", 0644, "2");
	put_folder("d/", 0500);
	put_file("d/later", 0644, "3");
	put_folder("e/", 0711);
	put_end();
	EQ_INT(unpack(), 0, "folders entered again");
	EQ_STR(get("t/d/late"), "1", "d/late");
	EQ_STR(get("t/d/later"), "3", "d/later");
	EQ_INT(look("t/d").st_mode, S_IFDIR | 0500, "the last mode");
	EQ_INT(look("t/e").st_mode, S_IFDIR | 0711, "the last mode");
	EQ_INT(look("t/d").st_mtim.tv_sec, TIME, "the time");
	EQ_INT(totals.folders, 2, "counted once");
	remove_all();
}

static void
test_limits(void)
{
	begin();
	put_file("a", 0644, "12345");
	put_file("d/e/b", 0644, "67890");
	put_end();
	params.max_bytes = 10;
	params.max_entries = 4;
	EQ_INT(unpack(), 0, "at the limits");
	remove_all();
	params.max_bytes = 9;
	refused(ARCHIVE_PROBLEM_LIMIT, -DT_ERR_PEER_PROTOCOL, "bytes");
	EQ_STR(last_path, "d/e/b", "  where");
	params.max_bytes = 0;
	params.max_entries = 3;
	refused(ARCHIVE_PROBLEM_LIMIT, -DT_ERR_PEER_PROTOCOL, "entries");
	params.max_entries = 2;
	refused(ARCHIVE_PROBLEM_LIMIT, -DT_ERR_PEER_PROTOCOL, "folders");
	params.max_entries = 0;
}

static void
test_sparse(void)
{
	static const char pax[] = "22 GNU.sparse.major=1\n"
				  "22 GNU.sparse.minor=0\n"
				  "24 GNU.sparse.name=real\n"
				  "35 GNU.sparse.realsize=9999999999999\n";

	begin();
	put_pax('x', pax, sizeof(pax) - 1);
	put_file("f", 0644, "1\n9999999999998\n1\n");
	put_end();
	EQ_INT(unpack() < 0, 1, "a sparse bomb");
	EQ_INT(count("."), 0, "nothing is left");
}

static void
test_ends(void)
{
	begin();
	put_end();
	EQ_INT(unpack(), 0, "an empty archive");
	EQ_INT(count("t"), 0, "an empty folder");
	remove_all();
	begin();
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "no bytes");
	begin();
	put_zeros(BLOCK);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "half an end");
	begin();
	put_file("f", 0644, "1");
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "no end");
	begin();
	put_file("f", 0644, "1");
	put_zeros(BLOCK);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "half an end");
	begin();
	put_file("f", 0644, "1");
	put_end();
	put_zeros(9000);
	EQ_INT(unpack(), 0, "padding");
	remove_all();
	begin();
	put_file("f", 0644, "1");
	put_end();
	put("x", 1);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "a byte behind");
	begin();
	put_file("f", 0644, "1");
	put_end();
	for (int i = 0; i < 400; i++)
		put_zeros(10240);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "endless zeros");
	begin();
	put_file("f", 0644, "1");
	put_zeros(BLOCK);
	put_file("g", 0644, "2");
	put_end();
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "goes on");
	begin();
	put_header(&(struct entry){
	    .name = "f", .type = '0', .mode = 0644, .size = 100000 });
	put_zeros(5000);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "a short body");
	begin();
	put("this is no archive, whatever it claims", 38);
	put_zeros(10000);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "no archive");
	begin();
	put_file("f", 0644, "1");
	put("garbage", 7);
	put_zeros(2000);
	EQ_INT(unpack() < 0, 1, "a bad checksum");
	EQ_INT(count("."), 0, "nothing is left");
}

/* Every prefix of an archive is refused, and leaves nothing. */
static void
test_truncation(void)
{
	off_t size;
	int bad = 0;

	begin();
	put_folder("d/", 0755);
	put_pax('x', "18 path=d/long-na\n", 18);
	put_file("short", 0644, "hello");
	put_end();
	size = lseek(tar_fd, 0, SEEK_END);
	EQ_INT(unpack(), 0, "whole");
	remove_all();
	while (--size >= 0) {
		if (ftruncate(tar_fd, size) != 0)
			abort();
		if (unpack() >= 0 || count(".") != 0)
			bad++;
	}
	EQ_INT(bad, 0, "no prefix is taken for the whole");
}

static void
test_pipe(void)
{
	struct archive_unpack *u;
	char buf[700];
	ssize_t n;
	int ends[2], status;
	pid_t pid;

	begin();
	put_folder("d/", 0755);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(buf, sizeof(buf), "d/%d", i);
		put_file(buf, 0644, buf);
	}
	put_end();
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
	EQ_INT(count("t/d"), 100, "all there");
	EQ_STR(get("t/d/77"), "d/77", "content");
	remove_all();
}

/* As another user, where modes keep out. */
static int
body_other_user(void)
{
	begin();
	put_folder("d/", 0555);
	put_file("d/a", 0444, "1");
	put_folder("d/e/", 0);
	put_file("d/e/b", 0, "2");
	put_file("d/c", 0644, "3");
	put_end();
	if (unpack() != 0)
		return 1;
	if (look("t/d").st_mode != (S_IFDIR | 0555) ||
	    look("t/d/e").st_mode != S_IFDIR)
		return 2;
	if (chmod("t/d", 0755) != 0 || chmod("t/d/e", 0755) != 0)
		return 3;
	if (look("t/d/e/b").st_mode != S_IFREG)
		return 4;
	begin();
	put_folder("d/", 0555);
	put_folder("d/e/", 0);
	put_file("d/e/b", 0, "2");
	put_file("d/e/b", 0, "again");
	put_end();
	params.output = "u";
	if (unpack() != -DT_ERR_PEER_PROTOCOL)
		return 5;
	return count(".") == 1 ? 0 : 6; /* removed in spite of its modes */
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
	begin();
	for (int i = 0; i < 1000; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i);
		put_file(name, 0644, block);
	}
	put_end();
	if (unpack() != -ENOSPC || last_problem != ARCHIVE_PROBLEM_WRITE ||
	    last_r != -ENOSPC)
		return 1;
	return count(".") == 0 ? 0 : 2;
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
	(void)umask(022);
	if (mkdtemp(root) == NULL)
		root = mkdtemp(on_disk);
	if (root == NULL || chmod(root, 0777) != 0 || chdir(root) != 0)
		return 1;
	params.name = "t";
	params.on_problem = on_problem;
	test_plain();
	test_places();
	test_taken_meanwhile();
	test_names();
	test_unsafe();
	test_deep();
	test_types();
	test_modes();
	test_twice();
	test_limits();
	test_sparse();
	test_ends();
	test_truncation();
	test_pipe();
	in_child(body_other_user, true, "modes that keep us out");
	remove_all();
	in_child(body_full, false, "a full disk");
	EQ_INT(chdir("/") | rmdir(root), 0, "clean");
	fd_close(&tar_fd);
	return tap_done();
}
