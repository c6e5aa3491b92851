/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rpc/rpc.h"
#include "test/tap.h"

static void
refuse(const char *line, int want_code, const char *name)
{
	struct rpc_message m;
	int code = 0;
	int r = rpc_parse(line, strlen(line), &m, &code);

	if (r == 0)
		rpc_fini(&m);
	OK(r < 0 && code == want_code, "%s is refused with %d", name,
	    want_code);
}

static void
check(const char *line, int want, const char *name)
{
	struct rpc_message m;
	enum rpc_method method;
	const char *why = NULL;
	int code = 0;

	if (!OK(rpc_parse(line, strlen(line), &m, &code) == 0, "%s: parses",
		name))
		return;
	EQ_INT(rpc_check(&m, &method, &why), want, "%s: verdict", name);
	rpc_fini(&m);
}

static void
test_parse(void)
{
	struct rpc_message m;
	char deep[200];
	int code = 0;
	const char *s = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\","
			"\"params\":{\"a\":1},\"fds\":2}";

	EQ_INT(rpc_parse(s, strlen(s), &m, &code), 0, "a request");
	EQ_INT(m.kind, RPC_REQUEST, "its kind");
	EQ_STR(m.method, "x", "its method");
	EQ_INT(m.fds, 2, "its descriptors");
	rpc_fini(&m);
	s = "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}";
	EQ_INT(rpc_parse(s, strlen(s), &m, &code), 0, "a notification");
	EQ_INT(m.kind, RPC_NOTIFICATION, "its kind");
	rpc_fini(&m);
	s = "{\"jsonrpc\":\"2.0\",\"id\":\"d1\",\"result\":{}}";
	EQ_INT(rpc_parse(s, strlen(s), &m, &code), 0, "a response");
	EQ_INT(m.kind, RPC_RESPONSE, "its kind");
	rpc_fini(&m);

	refuse("", RPC_PARSE_ERROR, "an empty line");
	refuse("hello", RPC_PARSE_ERROR, "no JSON");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"method\":\"y\"}",
	    RPC_PARSE_ERROR, "a duplicate member");
	refuse("[]", RPC_INVALID_REQUEST, "a batch");
	refuse("{}", RPC_INVALID_REQUEST, "no version");
	refuse("{\"jsonrpc\":\"1.0\",\"method\":\"x\"}", RPC_INVALID_REQUEST,
	    "another version");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":1}", RPC_INVALID_REQUEST,
	    "a method that is no string");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":{}}",
	    RPC_INVALID_REQUEST, "an object as id");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":[1]}",
	    RPC_INVALID_REQUEST, "positional parameters");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1}", RPC_INVALID_REQUEST,
	    "neither method nor result");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}",
	    RPC_INVALID_REQUEST, "result and error");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"fds\":5}",
	    RPC_INVALID_REQUEST, "too many descriptors");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"fds\":-1}",
	    RPC_INVALID_REQUEST, "negative descriptors");
	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	refuse(deep, RPC_PARSE_ERROR, "deep nesting");
}

static void
test_length(void)
{
	char *line = malloc(RPC_MAX_LINE + 2);
	struct rpc_message m;
	int code = 0;
	size_t n;

	if (line == NULL)
		return;
	n = (size_t)snprintf(
	    line, RPC_MAX_LINE, "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}");
	memset(line + n, ' ', RPC_MAX_LINE + 1 - n);
	EQ_INT(rpc_parse(line, RPC_MAX_LINE, &m, &code), 0, "longest line");
	rpc_fini(&m);
	EQ_INT(rpc_parse(line, RPC_MAX_LINE + 1, &m, &code), -DT_ERR_TOO_LONG,
	    "one byte more");
	free(line);
}

static void
test_check(void)
{
#define REQ(method, params)                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method                   \
	"\",\"params\":" params "}"
	check(REQ("daemon.status", "{}"), 0, "status");
	check(REQ("daemon.nothing", "{}"), RPC_METHOD_NOT_FOUND, "unknown");
	check(REQ("session.show", "{}"), RPC_INVALID_PARAMS, "missing");
	check(REQ("session.show", "{\"session\":3}"), 0, "given");
	check(REQ("session.show", "{\"session\":\"3\"}"), RPC_INVALID_PARAMS,
	    "wrong type");
	check(REQ("session.show", "{\"session\":3,\"x\":1}"),
	    RPC_INVALID_PARAMS, "one too many");
	check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.status\"}", 0,
	    "no params at all");
	check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.status\","
	      "\"fds\":1}",
	    RPC_INVALID_PARAMS, "descriptors where none belong");
	EQ_INT(rpc_method_class(RPC_SESSION_STOP), RPC_CLASS_CHANGE,
	    "stopping changes");
	EQ_INT(rpc_method_class(RPC_SESSION_LIST), RPC_CLASS_READ,
	    "listing reads");
}

static void
test_writers(void)
{
	json_t *id = json_integer(7);
	size_t len = 0;
	char *s;

	s = rpc_request(3, "dial", NULL, 1, &len);
	EQ_STR(s,
	    "{\"jsonrpc\":\"2.0\",\"fds\":1,\"id\":3,\"method\":\"dial\","
	    "\"params\":{}}",
	    "request");
	EQ_INT(len, strlen(s), "its length");
	free(s);
	s = rpc_response(id, NULL, 0, &len);
	EQ_STR(s, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}", "response");
	free(s);
	s = rpc_error(NULL, RPC_PARSE_ERROR, "bad", NULL, &len);
	EQ_STR(s,
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
	    "\"message\":\"bad\"}}",
	    "error");
	free(s);
	s = rpc_notification(
	    "event", json_pack("{s:s}", "event", "ready"), &len);
	EQ_STR(s,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":"
	    "{\"event\":\"ready\"}}",
	    "notification");
	free(s);
	json_decref(id);
}

static void
test_discover(void)
{
	json_t *d = rpc_discover();
	json_t *methods = json_object_get(d, "methods");
	size_t len = 0;
	char *s;

	EQ_INT(json_array_size(methods), RPC_METHOD_COUNT, "every method");
	OK(json_object_get(
	       json_object_get(
		   json_object_get(
		       json_array_get(methods, RPC_SESSION_SHOW), "params"),
		   "properties"),
	       "session") != NULL,
	    "with its parameters");
	s = rpc_response(json_null(), d, 0, &len);
	OK(s != NULL && len < RPC_MAX_LINE, "fits a line");
	free(s);
}

int
main(void)
{
	test_parse();
	test_length();
	test_check();
	test_writers();
	test_discover();
	return tap_done();
}
