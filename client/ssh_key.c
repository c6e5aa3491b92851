/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ssh_key.h"

#include <stdint.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "proto/rendezvous/gojson.h"

#define MAX_BLOB (SSH_KEY_MAX_TEXT / 4 * 3)
#define RSA_MIN_BITS 1024
#define RSA_MAX_BITS 16384
#define ED25519_LEN 32
#define POINT_UNCOMPRESSED 4

/* What the blob of a type holds behind the type's name. */
enum content { ED25519, ECDSA, RSA };

static const struct kind {
	const char *type;
	enum content content;
	const char *curve;
	size_t point_len;
	bool is_hardware; /* the sk- ones: "ssh:" or the like follows */
} kinds[] = {
	{ "ssh-ed25519", ED25519, NULL, 0, false },
	{ "ecdsa-sha2-nistp256", ECDSA, "nistp256", 65, false },
	{ "ecdsa-sha2-nistp384", ECDSA, "nistp384", 97, false },
	{ "ecdsa-sha2-nistp521", ECDSA, "nistp521", 133, false },
	{ "ssh-rsa", RSA, NULL, 0, false },
	{ "sk-ssh-ed25519@openssh.com", ED25519, NULL, 0, true },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", ECDSA, "nistp256", 65, true },
};

/* A piece of a line; borrowed. */
struct span {
	const char *p;
	size_t n;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span
trim(struct span s)
{
	static const char white[] = " \t\r\n\v\f";

	while (s.n > 0 && memchr(white, s.p[0], sizeof(white) - 1) != NULL) {
		s.p++;
		s.n--;
	}
	while (
	    s.n > 0 && memchr(white, s.p[s.n - 1], sizeof(white) - 1) != NULL)
		s.n--;
	return s;
}

/* The next field, and the blanks behind it, are taken off @s. */
static struct span
take_field(struct span *s)
{
	struct span field = { s->p, 0 };

	while (field.n < s->n && !is_blank(s->p[field.n]))
		field.n++;
	s->p += field.n;
	s->n -= field.n;
	while (s->n > 0 && is_blank(s->p[0])) {
		s->p++;
		s->n--;
	}
	return field;
}

static bool
equals(struct span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static const struct kind *
find_kind(struct span type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (equals(type, kinds[i].type))
			return &kinds[i];
	return NULL;
}

/* Octets of a printable character, 0 if it is not one.  U+0080 .. U+009F are
 * control characters, too: terminals obey some of them. */
static size_t
printable_len(const char *p, size_t n)
{
	const uint8_t *u = (const uint8_t *)p;
	size_t len = gojson_utf8_len(u, n);

	if (len == 1 && (u[0] < 0x20 || u[0] == 0x7f))
		return 0;
	if (len == 2 && u[0] == 0xc2 && u[1] < 0xa0)
		return 0;
	return len;
}

static int
check_characters(struct span s, const char **why)
{
	size_t len;

	for (size_t i = 0; i < s.n; i += len) {
		if (s.p[i] == '\n' || s.p[i] == '\r') {
			*why = "invalid public key: more than one line";
			return -DT_ERR_SYNTAX;
		}
		len = s.p[i] == '\t' ? 1 : printable_len(s.p + i, s.n - i);
		if (len == 0) {
			*why = "invalid public key: a character that may not "
			       "be there";
			return -DT_ERR_SYNTAX;
		}
	}
	return 0;
}

/* A string of the SSH wire: length and octets. */
static struct span
get_string(struct buf_reader *r)
{
	uint32_t n = buf_get_u32(r);
	const uint8_t *p = buf_peek_bytes(r, n);

	return p != NULL ? (struct span){ (const char *)p, n }
			 : (struct span){ "", 0 };
}

/* Bits of a positive number in its shortest form, 0 if it is not one. */
static size_t
number_bits(struct span s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t skip = 0, bits;

	if (s.n == 0 || (p[0] & 0x80) != 0)
		return 0;
	if (p[0] == 0) {
		if (s.n == 1 || (p[1] & 0x80) == 0)
			return 0;
		skip = 1;
	}
	bits = (s.n - skip) * 8;
	for (unsigned top = p[skip]; (top & 0x80) == 0; top <<= 1)
		bits--;
	return bits;
}

static bool
is_odd(struct span s)
{
	return s.n > 0 && ((unsigned char)s.p[s.n - 1] & 1) != 0;
}

static bool
is_rsa(struct buf_reader *r)
{
	struct span e = get_string(r), n = get_string(r);
	size_t bits = number_bits(n);

	return number_bits(e) >= 2 && is_odd(e) && bits >= RSA_MIN_BITS &&
	       bits <= RSA_MAX_BITS && is_odd(n);
}

static bool
is_ecdsa(struct buf_reader *r, const struct kind *kind)
{
	struct span curve = get_string(r), point = get_string(r);

	return equals(curve, kind->curve) && point.n == kind->point_len &&
	       point.p[0] == POINT_UNCOMPRESSED;
}

static bool
is_content(struct buf_reader *r, const struct kind *kind)
{
	bool good;

	if (kind->content == RSA)
		good = is_rsa(r);
	else if (kind->content == ECDSA)
		good = is_ecdsa(r, kind);
	else
		good = get_string(r).n == ED25519_LEN;
	if (good && kind->is_hardware)
		good = get_string(r).n > 0; /* the application */
	return good && buf_reader_end(r) == 0;
}

/* 0 .. 63, or -1. */
static int
digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = memchr(digits, c, sizeof(digits) - 1);

	return at != NULL ? (int)(at - digits) : -1;
}

/* The one way to write some octets: padded, and nothing in the bits that do not
 * count.  Returns false for everything else. */
static bool
decode(struct span s, struct buf_writer *w)
{
	uint32_t bits = 0;
	unsigned n_bits = 0, padding = 0;

	if (s.n % 4 != 0)
		return false;
	while (padding < 2 && s.n > 0 && s.p[s.n - 1] == '=') {
		s.n--;
		padding++;
	}
	for (size_t i = 0; i < s.n; i++) {
		int d = digit(s.p[i]);

		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			buf_put_u8(w, (uint8_t)(bits >> n_bits));
			bits &= (1u << n_bits) - 1;
		}
	}
	return bits == 0 && w->err == 0;
}

static int
check_blob(struct span text, const struct kind *kind, const char **why)
{
	uint8_t blob[MAX_BLOB];
	struct buf_writer w = buf_writer(blob, sizeof(blob));
	struct buf_reader r;

	if (!decode(text, &w)) {
		*why = "invalid public key: no base64";
		return -DT_ERR_SYNTAX;
	}
	r = buf_reader(blob, w.len);
	if (!equals(get_string(&r), kind->type) || !is_content(&r, kind)) {
		*why = "invalid public key: not a key of its type";
		return -DT_ERR_KEY;
	}
	return 0;
}

/* Fields are blank-separated; only the comment may hold blanks. */
static int
check_type(struct span type, struct span rest, const char **why)
{
	if (find_kind(type) != NULL)
		return 0;
	while (rest.n > 0) {
		if (find_kind(take_field(&rest)) == NULL)
			continue;
		*why = "invalid public key: options are not accepted";
		return -DT_ERR_SYNTAX;
	}
	*why = "invalid public key: unknown type";
	return -DT_ERR_UNSUPPORTED;
}

static int
parse(struct span s, struct span field[static 3], const char **why)
{
	int r;

	*why = "invalid public key: too long";
	s = trim(s);
	if (s.n > SSH_KEY_MAX_TEXT)
		return -DT_ERR_TOO_LONG;
	r = check_characters(s, why);
	if (r < 0)
		return r;
	*why = "invalid public key";
	field[0] = take_field(&s);
	r = check_type(field[0], s, why);
	if (r < 0)
		return r;
	field[1] = take_field(&s);
	field[2] = s;
	*why = "invalid public key: comment is too long";
	if (s.n >= SSH_KEY_MAX_COMMENT)
		return -DT_ERR_TOO_LONG;
	*why = "invalid public key: a tab in the comment";
	if (memchr(s.p, '\t', s.n) != NULL)
		return -DT_ERR_SYNTAX;
	return check_blob(field[1], find_kind(field[0]), why);
}

static void
copy(char *to, struct span s)
{
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

int
ssh_key_parse(
    struct ssh_key *ret_key, const char *text, size_t len, const char **ret_why)
{
	struct span field[3];
	const char *why;
	int r = parse((struct span){ text, len }, field, &why);

	if (r < 0) {
		if (ret_why != NULL)
			*ret_why = why;
		return r;
	}
	copy(ret_key->type, field[0]); /* one of ours: it fits */
	copy(ret_key->blob, field[1]);
	copy(ret_key->comment, field[2]);
	return 0;
}

/* Options: up to the first blank outside of quotes, as sshd reads them. */
static void
skip_options(struct span *s)
{
	bool is_quoted = false;

	while (s->n > 0 && (is_quoted || !is_blank(s->p[0]))) {
		if (s->n > 1 && s->p[0] == '\\' && s->p[1] == '"') {
			s->p++;
			s->n--;
		} else if (s->p[0] == '"') {
			is_quoted = !is_quoted;
		}
		s->p++;
		s->n--;
	}
	*s = trim(*s);
}

static bool
begins_with(const struct ssh_key *key, struct span s)
{
	return equals(take_field(&s), key->type) &&
	       equals(take_field(&s), key->blob);
}

bool
ssh_key_is_in(const struct ssh_key *key, const char *line, size_t len)
{
	struct span s = trim((struct span){ line, len });

	if (s.n == 0 || s.p[0] == '#')
		return false;
	if (begins_with(key, s))
		return true;
	skip_options(&s);
	return begins_with(key, s);
}

const char *
ssh_key_id(const struct ssh_key *key, char buf[static SSH_KEY_MAX_COMMENT])
{
	struct span s = { key->comment, strlen(key->comment) };

	if (s.n == 0)
		return "unknown";
	copy(buf, take_field(&s));
	return buf;
}

size_t
ssh_key_print(const struct ssh_key *key, char *out, size_t cap)
{
	struct buf_writer w = buf_writer(out, cap);

	buf_put_str(&w, key->type);
	buf_put_u8(&w, ' ');
	buf_put_str(&w, key->blob);
	if (key->comment[0] != '\0') {
		buf_put_u8(&w, ' ');
		buf_put_str(&w, key->comment);
	}
	return w.err == 0 ? w.len : 0;
}
