/* SPDX-License-Identifier: BSD-3-Clause */
/* Archives that want to write elsewhere, twice or without end, or that end too
 * early: refused, and nothing is left. */
#include "test/unit/archive_unpack_rig.h"

static void
test_unsafe(void)
{
	static const char *const bad[] = { "../x", "/x", "a/../../x", "a/..",
		"..", "/", "//x", "a/../b", "./..", "..//x" };
	char name[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tar_begin();
		tar_put_file("first", 0644, "1");
		tar_put_file(bad[i], 0644, "2");
		tar_put_end();
		refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, bad[i]);
		tar_begin();
		(void)snprintf(name, sizeof(name), "%s/", bad[i]);
		tar_put_folder(name, 0755);
		tar_put_end();
		refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, name);
	}
	OK(access("../x", F_OK) != 0 && access("/x", F_OK) != 0,
	    "nothing outside");
	memset(name, 'n', 256);
	memcpy(name, "265 path=", 9);
	tar_begin();
	memset(name + 9, 'n', 255);
	name[264] = '\n';
	tar_put_pax('x', name, 265);
	tar_put_file("short", 0644, "1");
	tar_put_end();
	EQ_INT(unpack(), 0, "255 octets");
	remove_all();
	tar_begin();
	memcpy(name, "266 path=", 9);
	name[264] = 'n';
	name[265] = '\n';
	tar_put_pax('x', name, 266);
	tar_put_file("short", 0644, "1");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_UNSAFE, -DT_ERR_PEER_PROTOCOL, "256 octets");
}

static void
deep(int levels, bool with_file)
{
	char record[2100];
	int path_len = 2 * levels + (with_file ? 1 : 0);
	int n = 3 + 1 + 5 + path_len + 1;

	n += n >= 999 ? 1 : 0;
	tar_begin();
	(void)snprintf(record, sizeof(record), "%d path=", n);
	for (int i = 0; i < levels; i++)
		(void)strcat(record, "d/");             /* NOLINT: fits */
	(void)strcat(record, with_file ? "f\n" : "\n"); /* NOLINT: fits */
	tar_put_pax('x', record, strlen(record));
	tar_put_header(&(struct tar_entry){
	    .name = "s", .type = with_file ? '0' : '5', .mode = 0755 });
	tar_put_end();
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
		tar_begin();
		tar_put_file("victim", 0644, "1");
		tar_put_header(&(struct tar_entry){ .name = "link",
		    .type = types[i],
		    .mode = 0644,
		    .link = "victim" });
		tar_put_file("after", 0644, "2");
		tar_put_end();
		if (plain) {
			EQ_INT(unpack() == 0 || files_count(".") == 0, 1, "%s",
			    name);
			remove_all();
			continue;
		}
		refused(ARCHIVE_PROBLEM_TYPE, -DT_ERR_PEER_PROTOCOL, name);
	}
	/* A link, then a file through it. */
	tar_begin();
	tar_put_header(&(struct tar_entry){
	    .name = "l", .type = '2', .mode = 0777, .link = ".." });
	tar_put_file("l/x", 0644, "2");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_TYPE, -DT_ERR_PEER_PROTOCOL, "through a link");
	/* A hard link to something outside, with contents to write into it. */
	tar_begin();
	tar_put_header(&(struct tar_entry){ .name = "l",
	    .type = '1',
	    .mode = 0777,
	    .size = 4,
	    .link = "/etc/hostname" });
	tar_put_body("evil", 4);
	tar_put_end();
	refused(ARCHIVE_PROBLEM_TYPE, -DT_ERR_PEER_PROTOCOL, "a hard link");
	tar_begin();
	tar_put_pax('x', "22 linkpath=/etc/group\n", 23);
	tar_put_header(
	    &(struct tar_entry){ .name = "l", .type = '1', .mode = 0777 });
	tar_put_end();
	EQ_INT(unpack() < 0, 1, "its record is damaged");
	EQ_INT(files_count("."), 0, "nothing is left");
}

static void
test_twice(void)
{
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_file("f", 0644, "2");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "a file twice");
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_file("f/x", 0644, "2");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "file as folder");
	tar_begin();
	tar_put_folder("f/", 0755);
	tar_put_file("f", 0644, "2");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "folder as file");
	tar_begin();
	tar_put_file("f\x01", 0644, "1");
	tar_put_file("f\x02", 0644, "2");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_TWICE, -DT_ERR_PEER_PROTOCOL, "both became f_");

	tar_begin();
	tar_put_folder("d/", 0555);
	tar_put_folder("e/", 0755);
	tar_put_file("d/late", 0644, "1");
	tar_put_file("e/x", 0644, "2");
	tar_put_folder("d/", 0500);
	tar_put_file("d/later", 0644, "3");
	tar_put_folder("e/", 0711);
	tar_put_end();
	EQ_INT(unpack(), 0, "folders entered again");
	EQ_STR(files_get("t/d/late"), "1", "d/late");
	EQ_STR(files_get("t/d/later"), "3", "d/later");
	EQ_INT(look("t/d").st_mode, S_IFDIR | 0500, "the last mode");
	EQ_INT(look("t/e").st_mode, S_IFDIR | 0711, "the last mode");
	EQ_INT(look("t/d").st_mtim.tv_sec, TAR_TIME, "the time");
	EQ_INT(totals.folders, 2, "counted once");
	remove_all();
}

static void
test_limits(void)
{
	tar_begin();
	tar_put_file("a", 0644, "12345");
	tar_put_file("d/e/b", 0644, "67890");
	tar_put_end();
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

	tar_begin();
	tar_put_pax('x', pax, sizeof(pax) - 1);
	tar_put_file("f", 0644, "1\n9999999999998\n1\n");
	tar_put_end();
	EQ_INT(unpack() < 0, 1, "a sparse bomb");
	EQ_INT(files_count("."), 0, "nothing is left");
}

static void
test_ends(void)
{
	tar_begin();
	tar_put_end();
	EQ_INT(unpack(), 0, "an empty archive");
	EQ_INT(files_count("t"), 0, "an empty folder");
	remove_all();
	tar_begin();
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "no bytes");
	tar_begin();
	tar_put_zeros(TAR_BLOCK);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "half an end");
	tar_begin();
	tar_put_file("f", 0644, "1");
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "no end");
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_zeros(TAR_BLOCK);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "half an end");
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_end();
	tar_put_zeros(9000);
	EQ_INT(unpack(), 0, "padding");
	remove_all();
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_end();
	tar_put("x", 1);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "a byte behind");
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_end();
	for (int i = 0; i < 400; i++)
		tar_put_zeros(10240);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "endless zeros");
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put_zeros(TAR_BLOCK);
	tar_put_file("g", 0644, "2");
	tar_put_end();
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "goes on");
	tar_begin();
	tar_put_header(&(struct tar_entry){
	    .name = "f", .type = '0', .mode = 0644, .size = 100000 });
	tar_put_zeros(5000);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_TRUNCATED, "a short body");
	tar_begin();
	tar_put("this is no archive, whatever it claims", 38);
	tar_put_zeros(10000);
	refused(ARCHIVE_PROBLEM_FORMAT, -DT_ERR_PEER_PROTOCOL, "no archive");
	tar_begin();
	tar_put_file("f", 0644, "1");
	tar_put("garbage", 7);
	tar_put_zeros(2000);
	EQ_INT(unpack() < 0, 1, "a bad checksum");
	EQ_INT(files_count("."), 0, "nothing is left");
}

/* Every prefix of an archive is refused, and leaves nothing. */
static void
test_truncation(void)
{
	off_t size;
	int bad = 0;

	tar_begin();
	tar_put_folder("d/", 0755);
	tar_put_pax('x', "18 path=d/long-na\n", 18);
	tar_put_file("short", 0644, "hello");
	tar_put_end();
	size = lseek(tar_fd, 0, SEEK_END);
	EQ_INT(unpack(), 0, "whole");
	remove_all();
	while (--size >= 0) {
		if (ftruncate(tar_fd, size) != 0)
			abort();
		if (unpack() >= 0 || files_count(".") != 0)
			bad++;
	}
	EQ_INT(bad, 0, "no prefix is taken for the whole");
}

int
main(void)
{
	if (!rig_enter())
		return 1;
	test_unsafe();
	test_deep();
	test_types();
	test_twice();
	test_limits();
	test_sparse();
	test_ends();
	test_truncation();
	return rig_leave();
}
