/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/transfer/transfer_header.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/gojson.h"
#include "proto/transfer/transfer_name.h"

#define MAGIC "DERPHOLE1" /* peer v0.18.2 */
#define MAGIC_LEN 9
#define VERSION 1

static const char *const kind_names[] = {
	[TRANSFER_KIND_UNKNOWN] = "",
	[TRANSFER_KIND_TEXT] = "text",
	[TRANSFER_KIND_FILE] = "file",
	[TRANSFER_KIND_DIRECTORY] = "directory_tar",
	[TRANSFER_KIND_SSH_INVITE] = "ssh_invite",
	[TRANSFER_KIND_SSH_ACCEPT] = "ssh_accept",
};
#define N_KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

/* What went wrong, for peer and user. */
static const char text_magic[] = "invalid derphole header magic";
static const char text_large[] = "header too large";
static const char text_json[] = "invalid derphole header";
static const char text_eof[] = "unexpected EOF";
static const char text_memory[] = "out of memory";

const char *
transfer_header_kind_name(enum transfer_kind kind)
{
	return kind_names[kind];
}

static void
put_json(struct buf_writer *w, const struct transfer_header *h)
{
	size_t name_len = strlen(h->name);
	size_t verify_len = strlen(h->verify);

	buf_put_str(w, "{\"version\":");
	gojson_put_int(w, VERSION);
	buf_put_str(w, ",\"kind\":\"");
	buf_put_str(w, kind_names[h->kind]);
	buf_put_u8(w, '"');
	if (name_len > 0) {
		buf_put_str(w, ",\"name\":");
		gojson_put_string(w, h->name, name_len);
	}
	if (h->size > 0) {
		buf_put_str(w, ",\"size\":");
		gojson_put_int(w, h->size);
	}
	if (verify_len > 0) {
		buf_put_str(w, ",\"verify\":");
		gojson_put_string(w, h->verify, verify_len);
	}
	if (h->metadata_len > 0) {
		buf_put_str(w, ",\"metadata\":");
		gojson_put_base64(w, h->metadata, h->metadata_len);
	}
	buf_put_u8(w, '}');
}

int
transfer_header_encode(struct buf_writer *w, const struct transfer_header *h)
{
	struct buf_writer out, prefix;

	if (h->kind == TRANSFER_KIND_UNKNOWN || h->size < 0)
		return -EINVAL;
	if (w->err < 0)
		return w->err;
	if (w->cap - w->len < TRANSFER_HEADER_PREFIX)
		return -DT_ERR_FULL;
	out = buf_writer(w->p + w->len + TRANSFER_HEADER_PREFIX,
	    w->cap - w->len - TRANSFER_HEADER_PREFIX);
	put_json(&out, h);
	if (out.err < 0)
		return out.err;
	prefix = buf_writer(w->p + w->len, TRANSFER_HEADER_PREFIX);
	buf_put_bytes(&prefix, MAGIC, MAGIC_LEN);
	buf_put_u32(&prefix, (uint32_t)out.len);
	w->len += TRANSFER_HEADER_PREFIX + out.len;
	return 0;
}

/*
 * Nesting and number of values, before the parser spends memory and stack on
 * them.  Strings are stepped over, not checked.
 */
static bool
is_modest(const uint8_t *p, size_t len)
{
	size_t depth = 0, values = 0;

	for (size_t i = 0; i < len; i++) {
		switch (p[i]) {
		case '"':
			for (i++; i < len && p[i] != '"'; i++)
				if (p[i] == '\\')
					i++;
			break;
		case '{':
		case '[':
			values++;
			if (++depth > TRANSFER_HEADER_MAX_DEPTH)
				return false;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		case ',':
			values++;
			break;
		default:
			break;
		}
		if (values > TRANSFER_HEADER_MAX_VALUES)
			return false;
	}
	return true;
}

/* The member if it is there and not null. */
static const json_t *
member(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return json_is_null(v) ? NULL : v;
}

static int
get_text(const json_t *object, const char *name, char *out, size_t cap)
{
	const json_t *v = member(object, name);
	size_t n;

	out[0] = '\0';
	if (v == NULL)
		return 0;
	if (!json_is_string(v))
		return -DT_ERR_SYNTAX;
	n = json_string_length(v);
	if (n >= cap)
		return -DT_ERR_TOO_LONG;
	memcpy(out, json_string_value(v), n + 1);
	return 0;
}

static int
get_int(const json_t *object, const char *name, int64_t max, int64_t *ret_value)
{
	const json_t *v = member(object, name);

	*ret_value = 0;
	if (v == NULL)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > max)
		return -DT_ERR_SYNTAX;
	*ret_value = json_integer_value(v);
	return 0;
}

static int
get_metadata(const json_t *object, struct transfer_header *h)
{
	const json_t *v = member(object, "metadata");

	h->metadata_len = 0;
	if (v == NULL)
		return 0;
	if (!json_is_string(v))
		return -DT_ERR_SYNTAX;
	if (json_string_length(v) > sizeof(h->metadata) / 3 * 4)
		return -DT_ERR_TOO_LONG;
	if (sodium_base642bin(h->metadata, sizeof(h->metadata),
		json_string_value(v), json_string_length(v), NULL,
		&h->metadata_len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return -DT_ERR_SYNTAX;
	return 0;
}

static int
get_kind(const json_t *object, struct transfer_header *h)
{
	const json_t *v = member(object, "kind");
	const char *text = json_string_value(v);

	if (v != NULL && text == NULL)
		return -DT_ERR_SYNTAX;
	h->kind = TRANSFER_KIND_UNKNOWN;
	for (size_t i = 1; text != NULL && i < N_KINDS; i++)
		if (strcmp(text, kind_names[i]) == 0)
			h->kind = (enum transfer_kind)i;
	if (h->kind == TRANSFER_KIND_UNKNOWN)
		(void)transfer_name_quote(h->kind_text, sizeof(h->kind_text),
		    text != NULL ? text : "", json_string_length(v));
	return 0;
}

static int
get_members(const json_t *object, struct transfer_header *h)
{
	int64_t version = 0;
	int r = get_kind(object, h);

	if (r == 0)
		r = get_int(object, "version", UINT8_MAX, &version);
	if (r == 0)
		r = get_int(object, "size", INT64_MAX, &h->size);
	if (r == 0)
		r = get_text(object, "name", h->name, sizeof(h->name));
	if (r == 0)
		r = get_text(object, "verify", h->verify, sizeof(h->verify));
	if (r == 0)
		r = get_metadata(object, h);
	h->version = (uint8_t)version;
	return r;
}

static int
decode_json(struct transfer_header *ret_header, const uint8_t *p, size_t len)
{
	struct transfer_header h = { .kind = TRANSFER_KIND_UNKNOWN };
	const char *text = (const char *)p;
	json_error_t e;
	json_t *root;
	int r;

	if (!is_modest(p, len))
		return -DT_ERR_SYNTAX;
	/* Without JSON_ALLOW_NUL: no text of ours may contain it. */
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (root == NULL)
		return json_error_code(&e) == json_error_out_of_memory
			   ? -ENOMEM
			   : -DT_ERR_SYNTAX;
	r = json_is_object(root) ? get_members(root, &h) : -DT_ERR_SYNTAX;
	json_decref(root);
	if (r == 0)
		*ret_header = h;
	return r;
}

static const char *
json_error_text(int r)
{
	if (r == -ENOMEM)
		return text_memory;
	return r == -DT_ERR_TOO_LONG ? text_large : text_json;
}

void
transfer_header_rx_init(struct transfer_header_rx *rx)
{
	fifo_init(&rx->have, TRANSFER_HEADER_PREFIX + TRANSFER_HEADER_MAX_JSON);
	rx->error = 0;
	rx->error_text = "";
}

void
transfer_header_rx_fini(struct transfer_header_rx *rx)
{
	fifo_fini(&rx->have);
}

static int
fail(struct transfer_header_rx *rx, int r, const char *text)
{
	rx->error = r;
	rx->error_text = text;
	return r;
}

/* What is known to be needed: the prefix, then all of it.  0: too much. */
static size_t
wanted(const struct transfer_header_rx *rx)
{
	const uint8_t *p = fifo_peek(&rx->have);
	uint32_t len;

	if (p == NULL || fifo_len(&rx->have) < TRANSFER_HEADER_PREFIX)
		return TRANSFER_HEADER_PREFIX;
	len = buf_u32_at(p + MAGIC_LEN);
	return len <= TRANSFER_HEADER_MAX_JSON ? TRANSFER_HEADER_PREFIX + len
					       : 0;
}

static bool
has_magic(const struct transfer_header_rx *rx)
{
	size_t n = fifo_len(&rx->have);

	if (n > MAGIC_LEN)
		n = MAGIC_LEN;
	return n == 0 || memcmp(fifo_peek(&rx->have), MAGIC, n) == 0;
}

/* Take up to the end of what is wanted now.  0 or the error. */
static int
take(struct transfer_header_rx *rx, const uint8_t *p, size_t len,
    size_t *ret_used)
{
	size_t n = wanted(rx) - fifo_len(&rx->have);

	if (n > len)
		n = len;
	*ret_used = n;
	/* fifo_put() fails only without memory: the maximum fits. */
	if (n > 0 && fifo_put(&rx->have, p, n) < 0)
		return fail(rx, -ENOMEM, text_memory);
	if (!has_magic(rx))
		return fail(rx, -DT_ERR_SYNTAX, text_magic);
	if (wanted(rx) == 0)
		return fail(rx, -DT_ERR_TOO_LONG, text_large);
	return 0;
}

static int
finish(struct transfer_header_rx *rx, struct transfer_header *ret_header)
{
	int r = decode_json(ret_header,
	    fifo_peek(&rx->have) + TRANSFER_HEADER_PREFIX,
	    fifo_len(&rx->have) - TRANSFER_HEADER_PREFIX);

	if (r < 0)
		return fail(rx, r, json_error_text(r));
	return 1;
}

int
transfer_header_rx_input(struct transfer_header_rx *rx, const void *p,
    size_t len, size_t *ret_used, struct transfer_header *ret_header,
    const char **ret_error)
{
	const uint8_t *in = p;
	size_t used = 0, n;
	int r = rx->error;

	/* Twice: the prefix, then what it announced. */
	for (int i = 0; i < 2 && r == 0; i++) {
		r = take(rx, in + used, len - used, &n);
		used += n;
	}
	*ret_used = used;
	if (r == 0 && fifo_len(&rx->have) >= TRANSFER_HEADER_PREFIX &&
	    fifo_len(&rx->have) == wanted(rx))
		r = finish(rx, ret_header);
	if (r < 0 && ret_error != NULL)
		*ret_error = rx->error_text;
	return r;
}

int
transfer_header_decode(struct transfer_header *ret_header, const void *p,
    size_t len, const char **ret_error)
{
	struct transfer_header_rx rx;
	const char *text = "";
	size_t used;
	int r;

	transfer_header_rx_init(&rx);
	r = transfer_header_rx_input(&rx, p, len, &used, ret_header, &text);
	transfer_header_rx_fini(&rx);
	if (r == 0) {
		r = -DT_ERR_TRUNCATED;
		text = text_eof;
	} else if (r == 1) {
		r = used == len ? 0 : -DT_ERR_TRAILING;
		text = text_json;
	}
	if (r < 0 && ret_error != NULL)
		*ret_error = text;
	return r;
}

void
transfer_header_set_directory(
    struct transfer_header *h, const struct transfer_directory *d)
{
	struct buf_writer w = buf_writer(h->metadata, sizeof(h->metadata));

	buf_put_str(&w, "{\"file_count\":");
	gojson_put_int(&w, d->file_count);
	buf_put_str(&w, ",\"uncompressed_bytes\":");
	gojson_put_int(&w, d->uncompressed_bytes);
	buf_put_u8(&w, '}');
	h->metadata_len = w.len;
}

int
transfer_header_get_directory(
    const struct transfer_header *h, struct transfer_directory *ret_directory)
{
	const void *text = h->metadata;
	struct transfer_directory d;
	json_error_t e;
	json_t *root;
	int r = -DT_ERR_SYNTAX;

	if (h->metadata_len == 0 || !is_modest(h->metadata, h->metadata_len))
		return r;
	root = json_loadb(text, h->metadata_len, JSON_REJECT_DUPLICATES, &e);
	if (json_is_object(root))
		r = get_int(root, "file_count", INT64_MAX, &d.file_count);
	if (r == 0)
		r = get_int(root, "uncompressed_bytes", INT64_MAX,
		    &d.uncompressed_bytes);
	json_decref(root);
	if (r == 0)
		*ret_directory = d;
	return r;
}
