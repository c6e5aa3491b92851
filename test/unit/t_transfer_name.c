/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers' file names: as components of a path, and on terminals. */
#include "proto/transfer/transfer_name.h"

#include <errno.h>
#include <stdlib.h>

#include "test/tap.h"

static void
component(const char *in, int want_r, const char *want)
{
	struct transfer_name name = { .text = "old" };
	int r = transfer_name_component(&name, in, strlen(in));

	EQ_INT(r, want_r, "\"%zu octets\": result", strlen(in));
	EQ_STR(name.text, r == 0 ? want : "old", "name");
}

static void
test_component(void)
{
	component("photo.jpg", 0, "photo.jpg");
	component("a/b/c", 0, "c");
	component("a/", 0, "a");
	component("a///", 0, "a");
	component("../../etc/passwd", 0, "passwd");
	component("/etc/passwd", 0, "passwd");
	component("..foo", 0, "..foo");
	component("...", 0, "...");
	component("-rf", 0, "-rf");
	component("a\\b", 0, "a\\b");
	component(" a ", 0, " a ");
	component("", -ENOENT, "");
	component(".", -ENOENT, "");
	component("x/.", -ENOENT, "");
	component("/", -ENOENT, "");
	component("///", -ENOENT, "");
	component("..", -EPERM, "");
	component("x/..", -EPERM, "");
	component("../", -EPERM, "");
	component("a\nb", 0, "a_b");
	component("\x1b[2Jx", 0, "_[2Jx");
	component("a\x7f", 0, "a_");
	component("a\xc2\x9b"
		  "2J",
	    0, "a_2J");
	component("a\xe2\x80\xae"
		  "gpj.exe",
	    0, "a_gpj.exe");
	component("a\xe2\x81\xa6z", 0, "a_z");
	component("a\xe2\x80\xa8z", 0, "a_z");
	component("\xff\xc3", 0, "__");
	component("\xed\xa0\x80", 0, "___");
	component("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 0,
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void
test_component_limits(void)
{
	struct transfer_name name;
	char text[100000];

	memset(text, 'a', sizeof(text));
	EQ_INT(transfer_name_component(&name, text, TRANSFER_NAME_MAX), 0,
	    "255 octets");
	EQ_INT(strlen(name.text), TRANSFER_NAME_MAX, "all kept");
	OK(!name.changed, "unchanged");
	EQ_INT(transfer_name_component(&name, text, TRANSFER_NAME_MAX + 1),
	    -ENAMETOOLONG, "256 octets");
	EQ_INT(transfer_name_component(&name, text, sizeof(text)),
	    -ENAMETOOLONG, "100 kB");
	text[5000] = '/';
	EQ_INT(
	    transfer_name_component(&name, text, 5001 + 7), 0, "a long path");
	EQ_STR(name.text, "aaaaaaa", "with a short last element");
	EQ_INT(transfer_name_component(&name, "a\0b", 3), -EINVAL, "NUL");
	EQ_INT(transfer_name_component(&name, "a\nb", 3), 0, "newline");
	OK(name.changed, "told that it was changed");
	EQ_INT(transfer_name_component(&name, NULL, 0), -ENOENT, "nothing");
}

/* Every byte in the middle, every pair at the end: no separator, no control. */
static void
test_component_bytes(void)
{
	int bad = 0;

	for (int i = 0; i < 65536; i++) {
		char in[4] = { 'a', (char)(i >> 8), (char)i, 'z' };
		struct transfer_name name;

		if (transfer_name_component(&name, in, 4) != 0)
			continue;
		for (const char *p = name.text; *p != '\0'; p++)
			bad +=
			    *p == '/' || (unsigned char)*p < 0x20 || *p == 0x7f;
	}
	EQ_INT(bad, 0, "all pairs of bytes");
}

static void
quoted(const char *in, const char *want)
{
	char out[256];
	size_t n = transfer_name_quote(out, sizeof(out), in, strlen(in));

	EQ_STR(out, want, "quoted");
	EQ_INT(n, strlen(want), "length");
}

/* As Go's strconv.Quote does it. */
static void
test_quote(void)
{
	quoted("", "\"\"");
	quoted("f.bin", "\"f.bin\"");
	quoted("a\"b\\c", "\"a\\\"b\\\\c\"");
	quoted("\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\"");
	quoted("\x01\x1b[0m\x7f", "\"\\x01\\x1b[0m\\x7f\"");
	quoted("\xff", "\"\\xff\"");
	quoted("\xc2\x9b", "\"\\u009b\"");
	quoted("\xc2\xa0", "\"\\u00a0\"");
	quoted("\xe2\x80\xae", "\"\\u202e\"");
	quoted("\xef\xbb\xbf", "\"\\ufeff\"");
	quoted("\xf3\xa0\x80\x81", "\"\\U000e0001\"");
	quoted("\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"");
}

static void
test_quote_cut(void)
{
	static const char in[] = "\x01\xff\n\xc3\xa9xyz\x02\xe2\x80\xae";
	char out[TRANSFER_NAME_QUOTED(sizeof(in) - 1) + 1];
	char whole[sizeof(out)];
	size_t n =
	    transfer_name_quote(whole, sizeof(whole) - 1, in, sizeof(in) - 1);
	int bad = 0;

	OK(strstr(whole, "...") == NULL, "enough room: not cut");
	for (size_t cap = 8; cap < sizeof(out); cap++) {
		size_t got;

		memset(out, 'Z', sizeof(out));
		got = transfer_name_quote(out, cap, in, sizeof(in) - 1);
		bad += got >= cap || out[got] != '\0' || strlen(out) != got ||
		       out[got - 1] != '"' || out[cap] != 'Z';
		if (cap > n)
			bad += strcmp(out, whole) != 0;
		else
			bad += strcmp(out + got - 4, "...\"") != 0 ||
			       memcmp(out, whole, got - 4) != 0;
	}
	EQ_INT(bad, 0, "cut at every size, between characters");
}

static void
test_errors(void)
{
	EQ_STR(transfer_name_error(-ENOENT, false),
	    "missing suggested filename", "file");
	EQ_STR(transfer_name_error(-ENOENT, true),
	    "missing suggested directory name", "directory");
	OK(transfer_name_error(-EPERM, false)[0] != '\0', "parent");
	OK(transfer_name_error(-EINVAL, false)[0] != '\0', "NUL");
	OK(transfer_name_error(-ENAMETOOLONG, true)[0] != '\0', "long");
	OK(transfer_name_error(-EIO, true)[0] != '\0', "other");
}

int
main(void)
{
	test_component();
	test_component_limits();
	test_component_bytes();
	test_quote();
	test_quote_cut();
	test_errors();
	return tap_done();
}
