/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ssh_key.h"

#include <sodium.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "test/tap.h"

/* Made by ssh-keygen of OpenSSH 9.2. */
#define ED_BLOB                                                                \
	"AAAAC3NzaC1lZDI1NTE5AAAAIA/Xr1PMVPgr8E00WjZB3OL1RcNDKtEli5SR"         \
	"AuKBpvD8"
#define EC_BLOB                                                                \
	"AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAHn29Nj"         \
	"Z4QQ43zIFpswWDSSDK7zr7iDbF2MSIkudZd93IYmXYfs05CcHsOu6M378pci"         \
	"os8q6IBF6fclKkhsdwTtPQDfSQpz7o+UkFxRz7NIjBOIGGkHVHlQpebIHsK/"         \
	"WHJGX3AjnGjVVSEC6WTN/W8U9O9yNxZiyrIJtRNKwjRsEwyacg=="
#define RSA_BLOB                                                               \
	"AAAAB3NzaC1yc2EAAAADAQABAAAAgQDCEtpZEQSFUSsp9u7BQl37Lnd4HNmB"         \
	"l6hUJKtCLO5STIPBujE8GxRGc2z7IBSVBTyuz/HRle0ghhW9C3Rm9vvQMzjf"         \
	"YJyALV74zyKcPDyGkMp0uHsStgcqB1sf69Fcz+TveiVOMaJGyoA4VUOF1DfC"         \
	"50DwE+4Y5LyOm5Bpin0slw=="
#define ED "ssh-ed25519 " ED_BLOB

static struct ssh_key key;
static const char *why;

static int
parse_n(const char *text, size_t n)
{
	/* Of its own size, so that reading past the end shows. */
	char *copy = malloc(n + 1);
	int r;

	if (copy == NULL)
		abort();
	memcpy(copy + 1, text, n);
	why = NULL;
	r = ssh_key_parse(&key, copy + 1, n, &why);
	free(copy);
	return r;
}

static int
parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void
test_good(void)
{
	char buf[SSH_KEY_MAX_COMMENT], line[SSH_KEY_MAX_LINE];
	size_t n;

	EQ_INT(parse(ED " alice@example"), 0, "ed25519");
	EQ_STR(key.type, "ssh-ed25519", "type");
	EQ_STR(key.blob, ED_BLOB, "blob");
	EQ_STR(key.comment, "alice@example", "comment");
	OK(why == NULL, "no reason");
	EQ_STR(ssh_key_id(&key, buf), "alice@example", "id");
	n = ssh_key_print(&key, line, sizeof(line));
	EQ_INT(n, strlen(ED " alice@example"), "length of the line");
	EQ_MEM(line, ED " alice@example", n, "line");
	EQ_INT(ssh_key_print(&key, line, n), n, "room for exactly that");
	EQ_INT(ssh_key_print(&key, line, n - 1), 0, "one octet less");
	EQ_INT(parse("ecdsa-sha2-nistp521 " EC_BLOB), 0, "ecdsa");
	EQ_STR(key.comment, "", "no comment");
	EQ_STR(ssh_key_id(&key, buf), "unknown", "no id");
	n = ssh_key_print(&key, line, sizeof(line));
	EQ_INT(
	    n, strlen("ecdsa-sha2-nistp521 " EC_BLOB), "no blank at the end");
	EQ_INT(parse("\r\n\t ssh-rsa \t " RSA_BLOB "  r s  a\t\r\n\n"), 0,
	    "rsa, with white space around");
	EQ_STR(key.comment, "r s  a", "comment with blanks");
	EQ_STR(ssh_key_id(&key, buf), "r", "its first word");
	EQ_INT(parse(ED " J\xc3\xbcrgen \xe2\x82\xac"), 0, "UTF-8");
	EQ_INT(ssh_key_parse(&key, ED, strlen(ED), NULL), 0, "why is optional");
	EQ_INT(ssh_key_parse(&key, "", 0, NULL), -DT_ERR_UNSUPPORTED,
	    "when it fails, too");
}

static void
bad(const char *text, int want, const char *want_why, const char *name)
{
	EQ_INT(parse(text), want, "%s", name);
	EQ_STR(why != NULL ? why : "(none)", want_why, "  the reason");
}

static void
test_bad(void)
{
	static const char with_nul[] = ED " a\0b";

	bad("", -DT_ERR_UNSUPPORTED, "invalid public key: unknown type",
	    "nothing");
	bad("ssh-ed25519", -DT_ERR_KEY,
	    "invalid public key: not a key of its type", "no blob at all");
	bad("hello world", -DT_ERR_UNSUPPORTED,
	    "invalid public key: unknown type", "no key");
	bad("ssh-dss " ED_BLOB, -DT_ERR_UNSUPPORTED,
	    "invalid public key: unknown type", "a type nobody should use");
	bad("SSH-ED25519 " ED_BLOB, -DT_ERR_UNSUPPORTED,
	    "invalid public key: unknown type", "capitals");
	bad("command=\"rm -rf /\" " ED, -DT_ERR_SYNTAX,
	    "invalid public key: options are not accepted", "options");
	bad("restrict " ED, -DT_ERR_SYNTAX,
	    "invalid public key: options are not accepted", "one option");
	bad(ED "\n" ED, -DT_ERR_SYNTAX,
	    "invalid public key: more than one line", "two keys");
	bad(ED " a\n\ncommand=\"x\" " ED "\n", -DT_ERR_SYNTAX,
	    "invalid public key: more than one line", "a line that hides");
	bad(ED " a\rssh-rsa", -DT_ERR_SYNTAX,
	    "invalid public key: more than one line", "CR inside");
	bad(ED " \x1b[2J", -DT_ERR_SYNTAX,
	    "invalid public key: a character that may not be there", "escape");
	bad(ED " \x7f", -DT_ERR_SYNTAX,
	    "invalid public key: a character that may not be there", "DEL");
	bad(ED " \xc2\x9b"
	       "31m",
	    -DT_ERR_SYNTAX,
	    "invalid public key: a character that may not be there", "C1");
	bad(ED " \xc3", -DT_ERR_SYNTAX,
	    "invalid public key: a character that may not be there",
	    "half a character");
	bad(ED " a\tb", -DT_ERR_SYNTAX,
	    "invalid public key: a tab in the comment", "tab in the comment");
	EQ_INT(parse_n(with_nul, sizeof(with_nul) - 1), -DT_ERR_SYNTAX, "NUL");
	bad("ssh-ed25519 AAAA!", -DT_ERR_SYNTAX,
	    "invalid public key: no base64", "other characters");
	bad("ssh-rsa " ED_BLOB, -DT_ERR_KEY,
	    "invalid public key: not a key of its type", "of another type");
	bad("ecdsa-sha2-nistp256 " EC_BLOB, -DT_ERR_KEY,
	    "invalid public key: not a key of its type", "of another curve");
	bad("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n",
	    -DT_ERR_SYNTAX, "invalid public key: more than one line",
	    "the private key");
	EQ_STR(key.type, "ssh-ed25519", "nothing was written");
}

static void
test_truncated(void)
{
	static const char text[] = ED;
	int good = 0;

	for (size_t n = 0; n < sizeof(text) - 1; n++)
		good += parse_n(text, n) == 0;
	EQ_INT(good, 0, "no beginning of a key is a key");
	EQ_INT(parse(ED "A"), -DT_ERR_SYNTAX, "one character more");
	EQ_INT(parse(ED "AAAA"), -DT_ERR_KEY, "three octets more");
	EQ_INT(parse(ED "="), -DT_ERR_SYNTAX, "padding that is too much");
}

static void
test_base64(void)
{
	/* Of a type that says "a", so that only the coding decides. */
	EQ_INT(parse("ssh-rsa AAAAAWE="), -DT_ERR_KEY, "one padding");
	EQ_INT(
	    parse("ssh-rsa AAAAAWF="), -DT_ERR_SYNTAX, "bits behind the end");
	EQ_INT(parse("ssh-rsa AAAAAWE"), -DT_ERR_SYNTAX, "no padding");
	EQ_INT(parse("ssh-rsa AAAAAWE=="), -DT_ERR_SYNTAX, "more padding");
	EQ_INT(parse("ssh-rsa AAAAAQ=="), -DT_ERR_KEY, "two paddings");
	EQ_INT(
	    parse("ssh-rsa AAAAAR=="), -DT_ERR_SYNTAX, "bits behind the end");
	EQ_INT(parse("ssh-rsa AAAAA==="), -DT_ERR_SYNTAX, "three paddings");
	EQ_INT(parse("ssh-rsa AAAA===="), -DT_ERR_SYNTAX, "four paddings");
	EQ_INT(parse("ssh-rsa AA=AAAWE"), -DT_ERR_SYNTAX, "padding inside");
	EQ_INT(parse("ssh-rsa AAAAAW_-"), -DT_ERR_SYNTAX, "the other alphabet");
	EQ_INT(parse("ssh-rsa AAAAAWE\xc3\xa4"), -DT_ERR_SYNTAX, "no ASCII");
}

static void
test_limits(void)
{
	char text[SSH_KEY_MAX_TEXT + 16];
	size_t n = strlen(ED);

	memcpy(text, ED " ", n + 1);
	memset(text + n + 1, 'x', sizeof(text) - n - 1);
	EQ_INT(parse_n(text, n + 1 + SSH_KEY_MAX_COMMENT - 1), 0,
	    "longest comment");
	EQ_INT(strlen(key.comment), SSH_KEY_MAX_COMMENT - 1, "all of it");
	EQ_INT(parse_n(text, n + 1 + SSH_KEY_MAX_COMMENT), -DT_ERR_TOO_LONG,
	    "one more");
	EQ_INT(parse_n(text, SSH_KEY_MAX_TEXT + 1), -DT_ERR_TOO_LONG,
	    "longer than any key");
	memcpy(text, ED, n);
	memset(text + n, ' ', sizeof(text) - n);
	EQ_INT(parse_n(text, sizeof(text)), 0, "blanks do not count");
}

/* A key with what we want in its blob. */
static uint8_t blob[4096];
static struct buf_writer w;

static void
put_string(const void *p, size_t n)
{
	buf_put_u32(&w, (uint32_t)n);
	buf_put_bytes(&w, p, n);
}

static void
begin(const char *type)
{
	w = buf_writer(blob, sizeof(blob));
	put_string(type, strlen(type));
}

static int
end(const char *type)
{
	char text[SSH_KEY_MAX_TEXT];
	size_t n = strlen(type);

	memcpy(text, type, n);
	text[n] = ' ';
	(void)sodium_bin2base64(text + n + 1, sizeof(text) - n - 1, blob, w.len,
	    sodium_base64_VARIANT_ORIGINAL);
	return parse(text);
}

static int
rsa(const void *e, size_t e_len, const void *n, size_t n_len)
{
	begin("ssh-rsa");
	put_string(e, e_len);
	put_string(n, n_len);
	return end("ssh-rsa");
}

static void
test_rsa(void)
{
	uint8_t n[2050] = { 0, 0x80 };

	n[128] = 1;
	EQ_INT(rsa("\3", 1, n, 129), 0, "1024 bits");
	EQ_INT(rsa("\1\0\1", 3, n, 129), 0, "usual exponent");
	EQ_INT(rsa("\1", 1, n, 129), -DT_ERR_KEY, "exponent 1");
	EQ_INT(rsa("\4", 1, n, 129), -DT_ERR_KEY, "even exponent");
	EQ_INT(rsa("\0\3", 2, n, 129), -DT_ERR_KEY, "not the shortest form");
	EQ_INT(rsa("\203", 1, n, 129), -DT_ERR_KEY, "negative");
	EQ_INT(rsa("\0", 1, n, 129), -DT_ERR_KEY, "zero");
	EQ_INT(rsa("", 0, n, 129), -DT_ERR_KEY, "none");
	n[128] = 2;
	EQ_INT(rsa("\3", 1, n, 129), -DT_ERR_KEY, "even modulus");
	n[1] = 0x7f;
	n[128] = 1;
	EQ_INT(rsa("\3", 1, n + 1, 128), -DT_ERR_KEY, "1023 bits");
	n[1] = 0x80;
	n[2048] = 1;
	EQ_INT(rsa("\3", 1, n, 2049), 0, "16384 bits");
	n[1] = 1;
	n[2049] = 1;
	EQ_INT(rsa("\3", 1, n + 1, 2049), -DT_ERR_KEY, "16385 bits");
}

static int
hardware(const char *type, const char *curve, size_t point, const char *app)
{
	static uint8_t octets[200] = { 4 };

	begin(type);
	if (curve != NULL)
		put_string(curve, strlen(curve));
	put_string(octets, point);
	if (app != NULL)
		put_string(app, strlen(app));
	return end(type);
}

static void
test_others(void)
{
	static const char ed[] = "sk-ssh-ed25519@openssh.com";
	static const char ec[] = "sk-ecdsa-sha2-nistp256@openssh.com";
	static const char p384[] = "ecdsa-sha2-nistp384";

	EQ_INT(hardware(ed, NULL, 32, "ssh:"), 0, "sk ed25519");
	EQ_INT(hardware(ed, NULL, 31, "ssh:"), -DT_ERR_KEY, "31 octets");
	EQ_INT(hardware(ed, NULL, 33, "ssh:"), -DT_ERR_KEY, "33 octets");
	EQ_INT(hardware(ed, NULL, 32, ""), -DT_ERR_KEY, "empty application");
	EQ_INT(hardware(ed, NULL, 32, NULL), -DT_ERR_KEY, "no application");
	EQ_INT(hardware(ec, "nistp256", 65, "ssh:"), 0, "sk ecdsa");
	EQ_INT(hardware(ec, "nistp384", 65, "ssh:"), -DT_ERR_KEY, "curve");
	EQ_INT(hardware(p384, "nistp384", 97, NULL), 0, "nistp384");
	EQ_INT(
	    hardware(p384, "nistp384", 96, NULL), -DT_ERR_KEY, "short point");
	EQ_INT(hardware(p384, "nistp384", 97, "x"), -DT_ERR_KEY, "more behind");
	begin("ssh-ed25519");
	buf_put_u32(&w, UINT32_MAX);
	EQ_INT(end("ssh-ed25519"), -DT_ERR_KEY, "a length beyond the end");
}

static bool
is_in(const char *line)
{
	return ssh_key_is_in(&key, line, strlen(line));
}

static void
test_is_in(void)
{
	EQ_INT(parse(ED " alice"), 0, "a key");
	OK(is_in(ED " alice"), "itself");
	OK(is_in(ED), "without comment");
	OK(is_in("  \t" ED "\tbob\r"), "other blanks, other comment");
	OK(is_in("no-pty " ED), "one option");
	OK(is_in("command=\"echo \\\"a b\\\"\",from=\"10.0.0.0/8\" " ED " x"),
	    "options with blanks in quotes");
	OK(!is_in(""), "empty line");
	OK(!is_in("# " ED), "a comment");
	OK(!is_in("#" ED), "a comment without blank");
	OK(!is_in("ssh-ed25519 " ED_BLOB "x"), "a longer blob");
	OK(!is_in("ssh-rsa " ED_BLOB), "another type");
	OK(!is_in("ssh-ed25519"), "half of it");
	OK(!is_in("ssh-rsa " RSA_BLOB " " ED), "in a comment");
	OK(!is_in("no-pty no-pty " ED), "options end at the blank");
	OK(!is_in("command=\"" ED), "a quote that never ends");
	OK(!is_in("x\\"), "a backslash at the end");
	OK(!ssh_key_is_in(&key, NULL, 0), "nothing");
}

int
main(void)
{
	test_good();
	test_bad();
	test_truncated();
	test_base64();
	test_limits();
	test_rsa();
	test_others();
	test_is_in();
	return tap_done();
}
