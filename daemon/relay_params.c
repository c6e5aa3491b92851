/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/relay_params.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"

struct relay_reader {
	struct relay_params *p;
	int *fds;
	size_t n_fds;
	char *why;
};

static int
fail(struct relay_reader *rd, int r, const char *text)
{
	(void)snprintf(rd->why, RELAY_PARAMS_MAX_WHY, "%s", text);
	return r;
}

#define RELAY_PARAMS_SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

/* Memory that nobody changes any more.  To ask any other file for as much as
 * its size may take for ever; this call asks no file system. */
static bool
is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & RELAY_PARAMS_SEALS) == RELAY_PARAMS_SEALS;
}

static int
read_memory(int fd, char **ret_text, size_t *ret_len)
{
	struct stat st;
	size_t have = 0, size;
	char *text;
	ssize_t n = 1;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_size > (off_t)TLS_CTX_MAX_PEM)
		return -DT_ERR_TOO_LONG;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (text == NULL)
		return -ENOMEM;
	while (have < size && n > 0) {
		n = pread(fd, text + have, size - have, (off_t)have);
		if (n > 0)
			have += (size_t)n;
	}
	if (n < 0) {
		n = -errno;
		free(text);
		return (int)n;
	}
	text[have] = '\0';
	*ret_text = text;
	*ret_len = have;
	return 0;
}

static int
read_ca(struct relay_reader *rd, const json_t *v)
{
	json_int_t i = json_integer_value(v);
	char *pem = NULL;
	size_t len = 0;
	int r;

	if (!json_is_integer(v) || i < 0 || (size_t)i >= rd->n_fds ||
	    rd->fds[i] < 0)
		return fail(rd, -DT_ERR_SYNTAX,
		    "relay.ca_fd does not name a descriptor of this line");
	if (!is_sealed(rd->fds[i]))
		return fail(rd, -DT_ERR_SYNTAX,
		    "relay.ca_fd must be a memfd, sealed against writing, "
		    "shrinking and growing");
	r = read_memory(rd->fds[i], &pem, &len);
	fd_close(&rd->fds[i]);
	if (r < 0) {
		(void)snprintf(rd->why, RELAY_PARAMS_MAX_WHY,
		    "cannot read the CA file: %s", err_str(r));
		return r;
	}
	r = roots_get(pem, len, &rd->p->roots);
	free(pem);
	return r == 0 ? 0
		      : fail(rd, r, "the CA file holds no usable certificate");
}

static int
copy_text(struct relay_reader *rd, const json_t *v, char *out, size_t cap)
{
	const char *s = json_string_value(v);

	if (s == NULL || strlen(s) >= cap)
		return fail(
		    rd, -DT_ERR_SYNTAX, "a relay parameter is no short text");
	(void)snprintf(out, cap, "%s", s);
	return 0;
}

static int
read_server(struct relay_reader *rd, const json_t *v)
{
	const char *s = json_string_value(v);
	struct token_error e;

	if (s == NULL)
		return fail(rd, -DT_ERR_SYNTAX, "relay.server is no text");
	if (s[0] == '\0')
		return 0; /* as an empty variable: public relays */
	if (token_route_from_url(&rd->p->server, s, &e) < 0)
		return fail(rd, -DT_ERR_SYNTAX, e.text);
	rd->p->has_server = true;
	return 0;
}

static int
read_pin(struct relay_reader *rd, const json_t *v)
{
	static const char prefix[] = "sha256-raw:";
	const char *s = json_string_value(v);

	if (s == NULL || strlen(s) != TLS_CTX_PIN_LEN - 1 ||
	    strncmp(s, prefix, sizeof(prefix) - 1) != 0 ||
	    strspn(s + sizeof(prefix) - 1, "0123456789abcdef") != 64)
		return fail(rd, -DT_ERR_SYNTAX,
		    "a relay pin is sha256-raw: and 64 lower-case hex digits");
	return copy_text(rd, v, rd->p->pin, sizeof(rd->p->pin));
}

static int
read_map(struct relay_reader *rd, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s == NULL || strlen(s) > RELAY_PARAMS_MAX_MAP)
		return fail(rd, -DT_ERR_SYNTAX, "relay.map is no usable text");
	rd->p->map_text = strdup(s);
	return rd->p->map_text != NULL ? 0 : -ENOMEM;
}

static int
read_url(struct relay_reader *rd, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s == NULL ||
	    (strncmp(s, "http://", 7) != 0 && strncmp(s, "https://", 8) != 0))
		return fail(rd, -DT_ERR_SYNTAX,
		    "relay.map_url is no http or https URL");
	return copy_text(rd, v, rd->p->map_url, sizeof(rd->p->map_url));
}

static int
read_members(struct relay_reader *rd, const json_t *o)
{
	static const struct {
		const char *name;
		int (*read)(struct relay_reader *rd, const json_t *v);
	} table[] = {
		{ "server", read_server },
		{ "pin", read_pin },
		{ "ca_fd", read_ca },
		{ "map", read_map },
		{ "map_url", read_url },
	};
	size_t known = 0;
	int r;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const json_t *v = json_object_get(o, table[i].name);

		if (v == NULL)
			continue;
		known++;
		r = table[i].read(rd, v);
		if (r < 0)
			return r;
	}
	if (known != json_object_size(o))
		return fail(rd, -DT_ERR_SYNTAX, "unknown relay parameter");
	return 0;
}

static void
make_digest(struct relay_params *p)
{
	struct key32 part[4];

	memset(part, 0, sizeof(part));
	if (p->roots != NULL)
		part[0] = p->roots->digest;
	secret_sha256(&part[1], p->pin, sizeof(p->pin));
	if (p->map_text != NULL)
		secret_sha256(&part[2], p->map_text, strlen(p->map_text));
	secret_sha256(&part[3], p->map_url, sizeof(p->map_url));
	secret_sha256(&p->digest, part, sizeof(part));
}

/* NOLINTBEGIN(readability-non-const-parameter): written to further down */
int
relay_params_parse(const json_t *o, int *fds, size_t n_fds,
    struct relay_params **ret_params, char *ret_why)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct relay_params *p = calloc(1, sizeof(*p));
	struct relay_reader rd = { p, fds, n_fds, ret_why };
	int r;

	ret_why[0] = '\0';
	if (p == NULL)
		return -ENOMEM;
	p->refs = 1;
	r = o != NULL ? read_members(&rd, o) : 0;
	if (r < 0) {
		relay_params_unref(p);
		return r;
	}
	make_digest(p);
	*ret_params = p;
	return 0;
}

struct relay_params *
relay_params_ref(struct relay_params *p)
{
	p->refs++;
	return p;
}

void
relay_params_unref(struct relay_params *p)
{
	if (p == NULL || --p->refs > 0)
		return;
	roots_put(p->roots);
	free(p->map_text);
	free(p);
}

int
relay_params_tls(const struct relay_params *p, struct tls_ctx **ret_ctx)
{
	if (p->roots == NULL)
		return roots_system(ret_ctx);
	*ret_ctx = p->roots->tls;
	return 0;
}
