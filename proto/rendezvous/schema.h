/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the members of each message are called, in the order in which they are
 * written, of which type, and which are left out when empty.  Members that a
 * peer does not know make it ignore the message: never add one.
 */
#ifndef PROTO_RENDEZVOUS_SCHEMA_H
#define PROTO_RENDEZVOUS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

enum schema_type {
	SCHEMA_BOOL,
	SCHEMA_U8,
	SCHEMA_U32,
	SCHEMA_U64,
	SCHEMA_I64,
	SCHEMA_I64_PTR, /* has_ flag tells presence; zero is written */
	SCHEMA_TEXT,
	SCHEMA_OCTETS, /* base64 */
	SCHEMA_ID16,   /* array of 16 numbers */
	SCHEMA_KEY32,  /* array of 32 numbers */
	SCHEMA_LIST,   /* array of strings */
	SCHEMA_LISTS,  /* array of arrays of strings */
	SCHEMA_OBJECT, /* has_ flag tells presence */
};

struct schema;

struct schema_field {
	const char *name;
	enum schema_type type;
	bool opt;                    /* left out when empty */
	size_t offset;               /* of the member in its struct */
	size_t has;                  /* of its bool; I64_PTR and OBJECT only */
	const struct schema *object; /* OBJECT only */
};

struct schema {
	const struct schema_field *field;
	size_t n;
};

/* Of struct envelope; "mac" is the second member, before all bodies. */
extern const struct schema schema_envelope;
/* What a bearer MAC covers of struct message_claim. */
extern const struct schema schema_bearer;

#endif
