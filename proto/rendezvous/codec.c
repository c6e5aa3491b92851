/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Texts borrow from the JSON tree, which lives as long as the message.  Lists
 * need arrays, decoded octets need room: each is one block in a chain.  All of
 * it is bounded by the 16 KiB that a text may have: an array element takes at
 * least 3 octets of it and 24 bytes here.
 */
#include "proto/rendezvous/codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/secret.h"
#include "proto/rendezvous/gojson.h"
#include "proto/rendezvous/jsonin.h"
#include "proto/rendezvous/message.h"

struct block {
	struct block *next;
	max_align_t data[];
};

struct codec_memory {
	struct jsonin in;
	struct block *blocks;
};

static const void *
member_at(const void *message, size_t offset)
{
	return (const char *)message + offset;
}

static void *
member_of(void *message, size_t offset)
{
	return (char *)message + offset;
}

/* Zeroed; NULL when memory is out. */
static void *
take_block(struct codec_memory *m, size_t n)
{
	struct block *b = calloc(1, sizeof(*b) + n);

	if (b == NULL)
		return NULL;
	b->next = m->blocks;
	m->blocks = b;
	return b->data;
}

void
codec_free(struct codec_memory *memory)
{
	if (memory == NULL)
		return;
	while (memory->blocks != NULL) {
		struct block *b = memory->blocks;

		memory->blocks = b->next;
		free(b);
	}
	jsonin_fini(&memory->in);
	free(memory);
}

static int
get_text(const json_t *v, struct message_text *ret_text)
{
	if (!json_is_string(v))
		return -DT_ERR_SYNTAX;
	ret_text->p = json_string_value(v);
	ret_text->n = json_string_length(v);
	return 0;
}

/* Exactly @n numbers 0..255. */
static int
get_numbers(const json_t *v, uint8_t *out, size_t n)
{
	if (!json_is_array(v) || json_array_size(v) != n)
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		int64_t x;

		if (jsonin_get_int(json_array_get(v, i), &x) < 0 || x < 0 ||
		    x > UINT8_MAX)
			return -DT_ERR_SYNTAX;
		out[i] = (uint8_t)x;
	}
	return 0;
}

static int
get_list(struct codec_memory *m, const json_t *v, struct message_list *ret_list)
{
	size_t n = json_array_size(v);
	struct message_text *item;

	if (!json_is_array(v))
		return -DT_ERR_SYNTAX;
	ret_list->is_array = true;
	if (n == 0)
		return 0;
	item = take_block(m, n * sizeof(*item));
	if (item == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (get_text(json_array_get(v, i), &item[i]) < 0)
			return -DT_ERR_SYNTAX;
	ret_list->item = item;
	ret_list->n = n;
	return 0;
}

static int
get_lists(
    struct codec_memory *m, const json_t *v, struct message_lists *ret_lists)
{
	size_t n = json_array_size(v);
	struct message_list *item;

	if (!json_is_array(v))
		return -DT_ERR_SYNTAX;
	ret_lists->is_array = true;
	if (n == 0)
		return 0;
	item = take_block(m, n * sizeof(*item));
	if (item == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(v, i);
		int r = json_is_null(e) ? 0 : get_list(m, e, &item[i]);

		if (r < 0)
			return r;
	}
	ret_lists->item = item;
	ret_lists->n = n;
	return 0;
}

static int
get_base64(
    struct codec_memory *m, const json_t *v, struct message_octets *ret_octets)
{
	struct message_text text;
	uint8_t *p;

	if (get_text(v, &text) < 0)
		return -DT_ERR_SYNTAX;
	if (text.n == 0)
		return 0;
	p = take_block(m, text.n);
	if (p == NULL)
		return -ENOMEM;
	if (sodium_base642bin(p, text.n, text.p, text.n, NULL, &ret_octets->n,
		NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return -DT_ERR_SYNTAX;
	ret_octets->p = p;
	return 0;
}

static int
get_number(const struct codec_memory *m, const json_t *v, enum schema_type type,
    void *member)
{
	uint64_t u = 0;
	int r;

	if (type == SCHEMA_U8) {
		r = jsonin_get_uint(&m->in, v, UINT8_MAX, &u);
		*(uint8_t *)member = (uint8_t)u;
	} else if (type == SCHEMA_U32) {
		r = jsonin_get_uint(&m->in, v, UINT32_MAX, &u);
		*(uint32_t *)member = (uint32_t)u;
	} else if (type == SCHEMA_U64) {
		r = jsonin_get_uint(&m->in, v, UINT64_MAX, member);
	} else {
		r = jsonin_get_int(v, member);
	}
	return r;
}

static int decode_object(struct codec_memory *m, void *message,
    const struct schema *schema, const json_t *object);

static int
decode_field(struct codec_memory *m, void *message,
    const struct schema_field *f, const json_t *v)
{
	void *member = member_of(message, f->offset);

	switch (f->type) {
	case SCHEMA_BOOL:
		*(bool *)member = json_is_true(v);
		return json_is_boolean(v) ? 0 : -DT_ERR_SYNTAX;
	case SCHEMA_U8:
	case SCHEMA_U32:
	case SCHEMA_U64:
	case SCHEMA_I64:
		return get_number(m, v, f->type, member);
	case SCHEMA_I64_PTR:
		*(bool *)member_of(message, f->has) = true;
		return get_number(m, v, f->type, member);
	case SCHEMA_TEXT:
		return get_text(v, member);
	case SCHEMA_OCTETS:
		return get_base64(m, v, member);
	case SCHEMA_ID16:
		return get_numbers(v, member, sizeof(struct id16));
	case SCHEMA_KEY32:
		return get_numbers(v, member, sizeof(struct key32));
	case SCHEMA_LIST:
		return get_list(m, v, member);
	case SCHEMA_LISTS:
		return get_lists(m, v, member);
	case SCHEMA_OBJECT:
		*(bool *)member_of(message, f->has) = true;
		return decode_object(m, member, f->object, v);
	}
	return -DT_ERR_INTERNAL;
}

/* Absent and null members keep their zero. */
static int
decode_object(struct codec_memory *m, void *message,
    const struct schema *schema, const json_t *object)
{
	if (!json_is_object(object))
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < schema->n; i++) {
		const struct schema_field *f = &schema->field[i];
		const json_t *v = json_object_get(object, f->name);
		int r;

		if (v == NULL || json_is_null(v))
			continue;
		r = decode_field(m, message, f, v);
		if (r < 0)
			return r;
	}
	return 0;
}

int
codec_parse(void *ret_message, size_t size, const struct schema *schema,
    const char *text, size_t len, struct codec_memory **ret_memory)
{
	struct codec_memory *m = calloc(1, sizeof(*m));
	int r;

	if (m == NULL)
		return -ENOMEM;
	r = jsonin_parse(&m->in, text, len);
	if (r < 0) {
		free(m);
		return r == -DT_ERR_TOO_LONG ? -DT_ERR_SYNTAX : r;
	}
	memset(ret_message, 0, size);
	r = decode_object(m, ret_message, schema, m->in.root);
	if (r < 0) {
		memset(ret_message, 0, size);
		codec_free(m);
		return r;
	}
	*ret_memory = m;
	return 0;
}

static void
put_list(struct buf_writer *w, const struct message_list *list)
{
	if (list->n == 0) {
		buf_put_str(w, list->is_array ? "[]" : "null");
		return;
	}
	for (size_t i = 0; i < list->n; i++) {
		buf_put_u8(w, i == 0 ? '[' : ',');
		gojson_put_string(w, list->item[i].p, list->item[i].n);
	}
	buf_put_u8(w, ']');
}

static void
put_lists(struct buf_writer *w, const struct message_lists *lists)
{
	if (lists->n == 0) {
		buf_put_str(w, lists->is_array ? "[]" : "null");
		return;
	}
	for (size_t i = 0; i < lists->n; i++) {
		buf_put_u8(w, i == 0 ? '[' : ',');
		put_list(w, &lists->item[i]);
	}
	buf_put_u8(w, ']');
}

/* Is the member what its type starts with? */
static bool
is_empty(const void *message, const struct schema_field *f)
{
	const void *member = member_at(message, f->offset);

	switch (f->type) {
	case SCHEMA_BOOL:
		return !*(const bool *)member;
	case SCHEMA_U8:
		return *(const uint8_t *)member == 0;
	case SCHEMA_U32:
		return *(const uint32_t *)member == 0;
	case SCHEMA_U64:
		return *(const uint64_t *)member == 0;
	case SCHEMA_I64:
		return *(const int64_t *)member == 0;
	case SCHEMA_TEXT:
		return ((const struct message_text *)member)->n == 0;
	case SCHEMA_OCTETS:
		return ((const struct message_octets *)member)->n == 0;
	case SCHEMA_LIST:
		return ((const struct message_list *)member)->n == 0;
	case SCHEMA_LISTS:
		return ((const struct message_lists *)member)->n == 0;
	case SCHEMA_I64_PTR:
	case SCHEMA_OBJECT:
		return !*(const bool *)member_at(message, f->has);
	case SCHEMA_ID16:
	case SCHEMA_KEY32:
		break;
	}
	return false;
}

static void
put_value(
    struct buf_writer *w, const void *message, const struct schema_field *f)
{
	const void *member = member_at(message, f->offset);
	const struct message_octets *octets = member;
	const struct message_text *text = member;

	switch (f->type) {
	case SCHEMA_BOOL:
		buf_put_str(w, *(const bool *)member ? "true" : "false");
		return;
	case SCHEMA_U8:
		gojson_put_uint(w, *(const uint8_t *)member);
		return;
	case SCHEMA_U32:
		gojson_put_uint(w, *(const uint32_t *)member);
		return;
	case SCHEMA_U64:
		gojson_put_uint(w, *(const uint64_t *)member);
		return;
	case SCHEMA_I64:
	case SCHEMA_I64_PTR:
		gojson_put_int(w, *(const int64_t *)member);
		return;
	case SCHEMA_TEXT:
		gojson_put_string(w, text->p, text->n);
		return;
	case SCHEMA_OCTETS:
		gojson_put_base64(w, octets->p, octets->n);
		return;
	case SCHEMA_ID16:
		gojson_put_octets(w, member, sizeof(struct id16));
		return;
	case SCHEMA_KEY32:
		gojson_put_octets(w, member, sizeof(struct key32));
		return;
	case SCHEMA_LIST:
		put_list(w, member);
		return;
	case SCHEMA_LISTS:
		put_lists(w, member);
		return;
	case SCHEMA_OBJECT:
		codec_encode(w, member, f->object);
		return;
	}
}

void
codec_encode(
    struct buf_writer *w, const void *message, const struct schema *schema)
{
	char separator = '{';

	for (size_t i = 0; i < schema->n; i++) {
		const struct schema_field *f = &schema->field[i];

		if (f->opt && is_empty(message, f))
			continue;
		buf_put_u8(w, (uint8_t)separator);
		separator = ',';
		buf_put_u8(w, '"');
		buf_put_str(w, f->name);
		buf_put_str(w, "\":");
		put_value(w, message, f);
	}
	if (separator == '{')
		buf_put_u8(w, '{');
	buf_put_u8(w, '}');
}

size_t
codec_max_len(size_t len)
{
	/* An octet grows to at most "\u003c"; members that were absent but are
	 * always written add less than 4096 octets in all. */
	return 6 * len + 4096;
}
