/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rpc/rpc.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/fd.h"

enum rpc_type {
	TYPE_STRING,
	TYPE_INTEGER,
	TYPE_BOOLEAN,
	TYPE_OBJECT,
	TYPE_ARRAY,
};

struct method_row {
	const char *name;
	enum rpc_class cls;
	size_t max_fds;
	const char *doc;
};

struct field_row {
	enum rpc_method method;
	const char *name;
	enum rpc_type type;
	bool required;
	const char *doc;
};

static const struct method_row methods[] = {
#define RPC_METHOD(name, ident, cls, fds, doc)                                 \
	[RPC_##ident] = { name, RPC_CLASS_##cls, fds, doc },
#define RPC_PARAM(...)
#define RPC_RESULT(...)
#include "proto/rpc/rpc_methods.def"
#undef RPC_METHOD
#undef RPC_PARAM
#undef RPC_RESULT
};

static const struct field_row params[] = {
#define RPC_METHOD(...)
#define RPC_PARAM(ident, name, type, required, doc)                            \
	{ RPC_##ident, name, TYPE_##type, required, doc },
#define RPC_RESULT(...)
#include "proto/rpc/rpc_methods.def"
#undef RPC_METHOD
#undef RPC_PARAM
#undef RPC_RESULT
};

static const struct field_row results[] = {
#define RPC_METHOD(...)
#define RPC_PARAM(...)
#define RPC_RESULT(ident, name, type, doc)                                     \
	{ RPC_##ident, name, TYPE_##type, true, doc },
#include "proto/rpc/rpc_methods.def"
#undef RPC_METHOD
#undef RPC_PARAM
#undef RPC_RESULT
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

_Static_assert(COUNT(methods) == RPC_METHOD_COUNT, "a method without a row");

/* jansson's own limit is 2048 levels of its parser's stack; ours is lower. */
static bool
too_deep(const char *line, size_t len)
{
	int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (line[i] == '\\')
				i++;
			else if (line[i] == '"')
				in_string = false;
		} else if (line[i] == '"') {
			in_string = true;
		} else if (line[i] == '{' || line[i] == '[') {
			if (++depth > RPC_MAX_DEPTH)
				return true;
		} else if (line[i] == '}' || line[i] == ']') {
			depth--;
		}
	}
	return false;
}

static bool
is_id(const json_t *id)
{
	return json_is_string(id) || json_is_integer(id) || json_is_null(id);
}

static bool
classify(struct rpc_message *m)
{
	m->id = json_object_get(m->root, "id");
	m->params = json_object_get(m->root, "params");
	m->result = json_object_get(m->root, "result");
	m->error = json_object_get(m->root, "error");
	if (m->id != NULL && !is_id(m->id))
		return false;
	if (json_object_get(m->root, "method") != NULL) {
		m->method =
		    json_string_value(json_object_get(m->root, "method"));
		m->kind = m->id != NULL ? RPC_REQUEST : RPC_NOTIFICATION;
		return m->method != NULL && m->result == NULL &&
		       m->error == NULL &&
		       (m->params == NULL || json_is_object(m->params));
	}
	m->kind = RPC_RESPONSE;
	return m->id != NULL && (m->result == NULL) != (m->error == NULL) &&
	       (m->error == NULL || json_is_object(m->error));
}

static bool
read_fds(struct rpc_message *m)
{
	json_t *fds = json_object_get(m->root, "fds");
	json_int_t n = json_integer_value(fds);

	if (fds == NULL)
		return true;
	if (!json_is_integer(fds) || n < 0 || n > FD_MAX_PASSED)
		return false;
	m->fds = (size_t)n;
	return true;
}

int
rpc_parse(const char *line, size_t len, struct rpc_message *ret_message,
    int *ret_code)
{
	struct rpc_message m;
	const char *version;

	memset(&m, 0, sizeof(m));
	if (len > RPC_MAX_LINE) {
		*ret_code = RPC_INVALID_REQUEST;
		return -DT_ERR_TOO_LONG;
	}
	*ret_code = RPC_PARSE_ERROR;
	if (too_deep(line, len))
		return -DT_ERR_SYNTAX;
	m.root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (m.root == NULL)
		return -DT_ERR_SYNTAX;
	*ret_code = RPC_INVALID_REQUEST;
	version = json_string_value(json_object_get(m.root, "jsonrpc"));
	if (version == NULL || strcmp(version, "2.0") != 0 || !classify(&m) ||
	    !read_fds(&m)) {
		rpc_fini(&m);
		return -DT_ERR_SYNTAX;
	}
	*ret_message = m;
	return 0;
}

void
rpc_fini(struct rpc_message *m)
{
	json_decref(m->root);
	memset(m, 0, sizeof(*m));
}

static bool
has_type(const json_t *v, enum rpc_type t)
{
	switch (t) {
	case TYPE_STRING:
		return json_is_string(v);
	case TYPE_INTEGER:
		return json_is_integer(v);
	case TYPE_BOOLEAN:
		return json_is_boolean(v);
	case TYPE_OBJECT:
		return json_is_object(v);
	case TYPE_ARRAY:
		return json_is_array(v);
	}
	return false;
}

static const struct field_row *
find_param(enum rpc_method m, const char *name)
{
	for (size_t i = 0; i < COUNT(params); i++)
		if (params[i].method == m && strcmp(params[i].name, name) == 0)
			return &params[i];
	return NULL;
}

static const char *
check_params(enum rpc_method m, json_t *given)
{
	const char *key;
	json_t *value;

	json_object_foreach(given, key, value) {
		const struct field_row *row = find_param(m, key);

		if (row == NULL)
			return "unknown parameter";
		if (!has_type(value, row->type))
			return "a parameter has the wrong type";
	}
	for (size_t i = 0; i < COUNT(params); i++)
		if (params[i].method == m && params[i].required &&
		    json_object_get(given, params[i].name) == NULL)
			return "a required parameter is missing";
	return NULL;
}

int
rpc_check(const struct rpc_message *m, enum rpc_method *ret_method,
    const char **ret_why)
{
	const char *why;
	size_t i;

	for (i = 0; i < COUNT(methods); i++)
		if (strcmp(methods[i].name, m->method) == 0)
			break;
	if (i == COUNT(methods)) {
		*ret_why = "no such method";
		return RPC_METHOD_NOT_FOUND;
	}
	why = check_params((enum rpc_method)i, m->params);
	if (why == NULL && m->fds > methods[i].max_fds)
		why = "too many descriptors";
	if (why != NULL) {
		*ret_why = why;
		return RPC_INVALID_PARAMS;
	}
	*ret_method = (enum rpc_method)i;
	return 0;
}

enum rpc_class
rpc_method_class(enum rpc_method m)
{
	return methods[m].cls;
}

static const char *
type_name(enum rpc_type t)
{
	static const char *const names[] = { "string", "integer", "boolean",
		"object", "array" };

	_Static_assert(COUNT(names) == TYPE_ARRAY + 1, "a type without a name");
	return names[t];
}

/* One JSON-schema object for the fields of a method. */
static json_t *
schema(const struct field_row *rows, size_t n, enum rpc_method m)
{
	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < n; i++) {
		if (rows[i].method != m)
			continue;
		(void)json_object_set_new(properties, rows[i].name,
		    json_pack("{s:s,s:s}", "type", type_name(rows[i].type),
			"description", rows[i].doc));
		if (rows[i].required)
			(void)json_array_append_new(
			    required, json_string(rows[i].name));
	}
	return json_pack("{s:s,s:o,s:o}", "type", "object", "properties",
	    properties, "required", required);
}

json_t *
rpc_discover(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < COUNT(methods); i++) {
		enum rpc_method m = (enum rpc_method)i;

		(void)json_array_append_new(list,
		    json_pack("{s:s,s:s,s:s,s:I,s:o,s:o}", "name",
			methods[i].name, "description", methods[i].doc, "class",
			methods[i].cls == RPC_CLASS_READ ? "read" : "change",
			"max_fds", (json_int_t)methods[i].max_fds, "params",
			schema(params, COUNT(params), m), "result",
			schema(results, COUNT(results), m)));
	}
	return json_pack(
	    "{s:i,s:o}", "protocol", RPC_PROTOCOL, "methods", list);
}

/* Takes the reference of root. */
static char *
print(json_t *root, size_t *ret_len)
{
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	if (text != NULL && strlen(text) >= RPC_MAX_LINE) {
		free(text);
		text = NULL;
	}
	if (text != NULL)
		*ret_len = strlen(text);
	return text;
}

static json_t *
start(size_t fds)
{
	json_t *root = json_pack("{s:s}", "jsonrpc", "2.0");

	if (fds > 0)
		(void)json_object_set_new(
		    root, "fds", json_integer((json_int_t)fds));
	return root;
}

static json_t *
or_empty(json_t *v)
{
	return v != NULL ? v : json_object();
}

char *
rpc_request(int64_t id, const char *method, json_t *method_params, size_t fds,
    size_t *ret_len)
{
	json_t *root = start(fds);

	(void)json_object_set_new(root, "id", json_integer(id));
	(void)json_object_set_new(root, "method", json_string(method));
	(void)json_object_set_new(root, "params", or_empty(method_params));
	return print(root, ret_len);
}

char *
rpc_notification(const char *method, json_t *method_params, size_t *ret_len)
{
	json_t *root = start(0);

	(void)json_object_set_new(root, "method", json_string(method));
	(void)json_object_set_new(root, "params", or_empty(method_params));
	return print(root, ret_len);
}

char *
rpc_response(json_t *id, json_t *result, size_t fds, size_t *ret_len)
{
	json_t *root = start(fds);

	(void)json_object_set(root, "id", id);
	(void)json_object_set_new(root, "result", or_empty(result));
	return print(root, ret_len);
}

char *
rpc_error(
    json_t *id, int code, const char *message, json_t *data, size_t *ret_len)
{
	json_t *root = start(0);
	json_t *error =
	    json_pack("{s:i,s:s}", "code", code, "message", message);

	if (data != NULL)
		(void)json_object_set_new(error, "data", data);
	(void)json_object_set_new(
	    root, "id", id != NULL ? json_incref(id) : json_null());
	(void)json_object_set_new(root, "error", error);
	return print(root, ret_len);
}
