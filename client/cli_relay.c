/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fd.h"
#include "proto/tls/tls_ctx.h"
#include "proto/token/token_text.h"

/* proto/rpc/rpc.h: the line it travels in has at most 64 KiB. */
#define MAX_MAP_KIB 48
#define MAX_MAP ((size_t)MAX_MAP_KIB * 1024)
#define WHITE " \t\r\n"
/* MFD_NOEXEC_SEAL, which a system may demand, and Debian 12's headers lack. */
#define CLI_RELAY_NOEXEC_SEAL 8u
#define PIN_PREFIX "sha256-raw:"
#define PIN_BYTES 32 /* SHA-256 */

/* The flag, else the environment variable, else "". */
static const char *
setting(const struct cli_call *call, const char *flag, const char *variable)
{
	const char *text = cli_args_text(call->args, flag);
	const char *env = getenv(variable);

	if (*text == '\0' && env != NULL)
		text = env;
	return text;
}

static int
set_string(struct cli_relay *relay, const char *key, const char *text)
{
	if (json_object_set_new(relay->params, key, json_string(text)) == 0)
		return CLI_EXIT_OK;
	cli_out_error("%s: not UTF-8", key);
	return CLI_EXIT_FAILED;
}

int
cli_relay_route(struct token_route *ret_route, bool *ret_has_route)
{
	const char *url = getenv("DERPHOLE_DERP_SERVER");
	struct token_error error;

	if (url == NULL || *url == '\0') {
		*ret_has_route = false;
		return CLI_EXIT_OK;
	}
	if (token_route_from_url(ret_route, url, &error) < 0) {
		cli_out_error("%s", error.text);
		return CLI_EXIT_FAILED;
	}
	*ret_has_route = true;
	return CLI_EXIT_OK;
}

static int
add_server(struct cli_relay *relay)
{
	struct token_route route;
	bool has_route;
	int code = cli_relay_route(&route, &has_route);

	if (code != CLI_EXIT_OK || !has_route)
		return code;
	return set_string(relay, "server", getenv("DERPHOLE_DERP_SERVER"));
}

static int
add_pin(struct cli_relay *relay, const char *pin)
{
	size_t prefix = strlen(PIN_PREFIX);
	unsigned char raw[PIN_BYTES];

	if (*pin == '\0')
		return CLI_EXIT_OK;
	if (strncmp(pin, PIN_PREFIX, prefix) != 0 ||
	    token_text_hex_decode(
		raw, sizeof(raw), pin + prefix, strlen(pin + prefix)) < 0) {
		cli_out_error("--derp-pin must be " PIN_PREFIX
			      " and 64 hexadecimal digits");
		return CLI_EXIT_USAGE;
	}
	return set_string(relay, "pin", pin);
}

static int
read_map(const char *path, char *buf, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	int r = 0;

	if (f == NULL)
		return -errno;
	errno = 0;
	*ret_len = fread(buf, 1, MAX_MAP + 1, f);
	if (ferror(f))
		r = errno != 0 ? -errno : -EIO;
	(void)fclose(f); /* nothing was written */
	return r;
}

static int
add_map(struct cli_relay *relay, const char *map)
{
	char text[MAX_MAP + 1], reason[CLI_OUT_MAX_REASON];
	json_t *value, *string;
	size_t len = 0;
	int r;

	if (*map == '\0')
		return CLI_EXIT_OK;
	if (strncmp(map, "https://", 8) == 0 || strncmp(map, "http://", 7) == 0)
		return set_string(relay, "map_url", map);
	r = read_map(map, text, &len);
	if (r < 0) {
		cli_out_error(
		    "--derp-map: %s: %s", map, cli_out_reason(r, reason));
		return CLI_EXIT_FAILED;
	}
	if (len > MAX_MAP) {
		cli_out_error(
		    "--derp-map: %s: larger than %d KiB", map, MAX_MAP_KIB);
		return CLI_EXIT_FAILED;
	}
	value = json_loadb(text, len, 0, NULL);
	string = json_is_object(value) ? json_stringn(text, len) : NULL;
	json_decref(value);
	if (string == NULL) {
		cli_out_error("--derp-map: %s: not a JSON object", map);
		return CLI_EXIT_FAILED;
	}
	(void)json_object_set_new(relay->params, "map", string);
	return CLI_EXIT_OK;
}

/* @from to the end, to @to from the start. */
static int
copy_file(int from, int to)
{
	char piece[16384];
	off_t have = 0;
	ssize_t n, put;

	while ((n = read(from, piece, sizeof(piece))) > 0) {
		if (have + n > (off_t)TLS_CTX_MAX_PEM)
			return -EFBIG;
		/* Memory takes all, or there is none. */
		put = pwrite(to, piece, (size_t)n, have);
		if (put != n)
			return put < 0 ? -errno : -ENOMEM;
		have += n;
	}
	return n < 0 ? -errno : 0;
}

/* The daemon reads memory that cannot change, and no file: a file system could
 * let it wait.  Returns a descriptor or -errno. */
static int
copy_sealed(int from)
{
	int fd = memfd_create(
	    "ca", MFD_CLOEXEC | MFD_ALLOW_SEALING | CLI_RELAY_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("ca", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = copy_file(from, fd);
	if (r == 0 && fcntl(fd, F_ADD_SEALS,
			  F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		r = -errno;
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	return fd;
}

static int
open_ca(struct cli_relay *relay)
{
	const char *path = getenv("SSL_CERT_FILE");
	char reason[CLI_OUT_MAX_REASON];
	int from, r;

	if (path == NULL || *path == '\0')
		return CLI_EXIT_OK;
	from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	r = from >= 0 ? copy_sealed(from) : -errno;
	fd_close(&from);
	if (r >= 0) {
		relay->ca_fd = r;
		return CLI_EXIT_OK;
	}
	cli_out_error("SSL_CERT_FILE: %s: %s", path, cli_out_reason(r, reason));
	return CLI_EXIT_FAILED;
}

int
cli_relay_init(
    struct cli_relay *relay, const struct cli_call *call, bool is_minting)
{
	int code = CLI_EXIT_OK;

	relay->params = json_object();
	relay->ca_fd = -1;
	if (is_minting)
		code = add_server(relay);
	if (code == CLI_EXIT_OK)
		code = add_pin(
		    relay, setting(call, "derp-pin", "DERPTUND_DERP_PIN"));
	if (code == CLI_EXIT_OK)
		code = add_map(
		    relay, setting(call, "derp-map", "DERPTUND_DERP_MAP"));
	if (code == CLI_EXIT_OK)
		code = open_ca(relay);
	if (code != CLI_EXIT_OK)
		cli_relay_fini(relay);
	return code;
}

void
cli_relay_fini(struct cli_relay *relay)
{
	json_decref(relay->params);
	relay->params = NULL;
	fd_close(&relay->ca_fd);
}

void
cli_relay_direct(json_t *params, const struct cli_call *call)
{
	/* As the siblings read it. */
	static const char *const no[] = { "0", "false", "off", "no" };
	const char *env = getenv("DERPHOLE_V2_RAW_DIRECT");
	size_t len;

	(void)json_object_set_new(params, "force_relay",
	    json_boolean(cli_args_flag(call->args, "force-relay")));
	if (env == NULL)
		return;
	env += strspn(env, WHITE);
	len = strcspn(env, WHITE);
	if (env[len + strspn(env + len, WHITE)] != '\0')
		return;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (len == strlen(no[i]) && strncasecmp(env, no[i], len) == 0)
			(void)json_object_set_new(
			    params, "no_raw_direct", json_true());
}
