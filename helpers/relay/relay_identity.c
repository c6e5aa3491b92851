/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "helpers/relay/relay_files.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mono.h"
#include "proto/tls/tls_selfsigned.h"

/* Names in the state directory. */
#define KEY_NAME "relay.key"
#define CERT_FORMAT "cert-%s.pem"
#define CERT_KEY_FORMAT "cert-%s.key"
#define CA_NAME "relay-ca.pem"

/* A certificate nearer to its end than this is replaced at start. */
#define RENEW_BEFORE_SEC (INT64_C(30) * 24 * 3600)

#define KEY_PREFIX "privkey:"
#define KEY_HEX 64

static int
fail(struct relay_identity *id, int r, const char *file)
{
	(void)snprintf(
	    id->error, sizeof(id->error), "%s: %s", file, err_str(r));
	return r;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* "privkey:" and 64 hex digits. */
static int
parse_key(const char *text, struct key32 *ret_key)
{
	struct key32 key;

	if (text == NULL ||
	    strncmp(text, KEY_PREFIX, sizeof(KEY_PREFIX) - 1) != 0 ||
	    strlen(text) != sizeof(KEY_PREFIX) - 1 + KEY_HEX)
		return -DT_ERR_SYNTAX;
	text += sizeof(KEY_PREFIX) - 1;
	for (size_t i = 0; i < sizeof(key.b); i++) {
		int hi = hex_digit(text[2 * i]);
		int lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -DT_ERR_SYNTAX;
		key.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret_key = key;
	secret_wipe(&key, sizeof(key));
	return 0;
}

/* The file of the reference server: {"PrivateKey":"privkey:<hex>"}. */
static int
read_key(struct relay_identity *id, int dirfd, const char *path)
{
	char *text = NULL;
	size_t len = 0;
	json_t *root;
	int r = relay_files_read(dirfd, path, &text, &len);

	if (r < 0)
		return r;
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	relay_files_free(text, len);
	r = parse_key(json_string_value(json_object_get(root, "PrivateKey")),
	    &id->private_key);
	json_decref(root);
	if (r == 0)
		r = secret_curve_public(&id->public_key, &id->private_key);
	id->has_key = r == 0;
	return r;
}

static int
make_key(struct relay_identity *id, int dirfd, const char *path)
{
	static const char hex[] = "0123456789abcdef";
	char digits[KEY_HEX + 1] = { 0 };
	char text[KEY_HEX + 64];
	int r = 0;

	secret_curve_keypair(&id->private_key, &id->public_key);
	id->has_key = true;
	if (path == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(id->private_key.b); i++) {
		digits[2 * i] = hex[id->private_key.b[i] >> 4];
		digits[2 * i + 1] = hex[id->private_key.b[i] & 15];
	}
	(void)snprintf(text, sizeof(text),
	    "{\"PrivateKey\":\"" KEY_PREFIX "%s\"}\n", digits);
	r = relay_files_write(dirfd, path, text, strlen(text), 0600);
	secret_wipe(digits, sizeof(digits));
	secret_wipe(text, sizeof(text));
	return r;
}

/* The key in @path, made there if the file is absent. */
static int
load_key(struct relay_identity *id, int dirfd, const char *path)
{
	int r = read_key(id, dirfd, path);

	if (r == -ENOENT)
		r = make_key(id, dirfd, path);
	return r < 0 ? fail(id, r, path) : 0;
}

/* A server context from two PEM files; the key's text does not outlive it. */
static int
load_pair(int dirfd, const char *cert_path, const char *key_path,
    struct tls_ctx **ret_tls, const char **ret_culprit)
{
	char *cert = NULL, *key = NULL;
	size_t cert_len = 0, key_len = 0;
	int r = relay_files_read(dirfd, cert_path, &cert, &cert_len);

	*ret_culprit = cert_path;
	if (r < 0)
		return r;
	r = relay_files_read(dirfd, key_path, &key, &key_len);
	if (r < 0)
		*ret_culprit = key_path;
	else
		r = tls_ctx_new_server(ret_tls, cert, cert_len, key, key_len);
	if (r == -DT_ERR_KEY)
		*ret_culprit = key_path;
	relay_files_free(cert, cert_len);
	relay_files_free(key, key_len);
	return r;
}

/* @owner: whom a new directory is for; NULL: ourselves. */
static int
open_state_dir(
    struct relay_identity *id, const char *path, const struct passwd *owner)
{
	bool made = mkdir(path, 0700) == 0;

	if (!made && errno != EEXIST)
		return fail(id, -errno, path);
	id->state_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (id->state_dir < 0)
		return fail(id, -errno, path);
	/* Now, as a lesser user may not be able to walk there. */
	id->state_path = realpath(path, NULL);
	if (id->state_path == NULL)
		return fail(id, -errno, path);
	/* Readable certificate in it, for Go peers of other users. */
	if (made && owner != NULL &&
	    (fchown(id->state_dir, owner->pw_uid, owner->pw_gid) < 0 ||
		fchmod(id->state_dir, 0711) < 0))
		return fail(id, -errno, path);
	return 0;
}

int
relay_identity_init(
    struct relay_identity *id, const struct relay_opt *opt, const char *user)
{
	const struct passwd *owner = NULL;
	const char *culprit;
	int r;

	memset(id, 0, sizeof(*id));
	id->state_dir = -1;
	id->guard = -1;
	id->was_root = geteuid() == 0;
	if (opt->tls_cert != NULL) {
		r = load_pair(
		    AT_FDCWD, opt->tls_cert, opt->tls_key, &id->tls, &culprit);
		if (r < 0)
			return fail(id, r, culprit);
	}
	if (opt->key_file != NULL) {
		r = load_key(id, AT_FDCWD, opt->key_file);
		if (r < 0)
			return r;
	}
	if (opt->state_dir == NULL)
		return 0;
	if (id->was_root) {
		owner = getpwnam(user);
		if (owner == NULL)
			owner = getpwnam("nobody");
		if (owner == NULL)
			return fail(id, -ENOENT, user);
	}
	return open_state_dir(id, opt->state_dir, owner);
}

/* A new certificate for @name, kept in the state directory if there is one. */
static int
make_cert(struct relay_identity *id, const char *name, const char *cert_path,
    const char *key_path)
{
	struct tls_selfsigned pair;
	int r = tls_selfsigned_make(&pair, name, mono_unix_seconds());

	if (r < 0)
		return fail(id, r, name);
	r = tls_ctx_new_server(&id->tls, pair.cert_pem, strlen(pair.cert_pem),
	    pair.key_pem, strlen(pair.key_pem));
	if (r == 0 && id->state_dir >= 0) {
		r = relay_files_write(id->state_dir, key_path, pair.key_pem,
		    strlen(pair.key_pem), 0600);
		if (r == 0)
			r = relay_files_write(id->state_dir, cert_path,
			    pair.cert_pem, strlen(pair.cert_pem), 0644);
	} else if (r == 0) {
		r = relay_files_publish(CA_NAME, pair.cert_pem,
		    id->was_root ? 0711 : 0700, id->ca_path, &id->guard);
	}
	secret_wipe(&pair, sizeof(pair));
	return r < 0 ? fail(id, r, "self-signed certificate") : 0;
}

/* Is the certificate kept from an earlier start still good for a while? */
static int
reuse_cert(
    struct relay_identity *id, const char *cert_path, const char *key_path)
{
	const char *culprit;
	int r =
	    load_pair(id->state_dir, cert_path, key_path, &id->tls, &culprit);

	if (r < 0)
		return r == -ENOENT ? r : fail(id, r, culprit);
	if (tls_ctx_expiry(id->tls) - mono_unix_seconds() > RENEW_BEFORE_SEC)
		return 0;
	log_info("relay", "the self-signed certificate is renewed");
	tls_ctx_free(id->tls);
	id->tls = NULL;
	return -ENOENT;
}

static int
self_signed(struct relay_identity *id, const char *name)
{
	char cert_path[ADDR_MAX_HOST + 16], key_path[ADDR_MAX_HOST + 16];
	int r = -ENOENT;

	if (strchr(name, '/') != NULL)
		return fail(id, -DT_ERR_SYNTAX, name);
	(void)snprintf(cert_path, sizeof(cert_path), CERT_FORMAT, name);
	(void)snprintf(key_path, sizeof(key_path), CERT_KEY_FORMAT, name);
	if (id->state_dir >= 0)
		r = reuse_cert(id, cert_path, key_path);
	if (r == -ENOENT)
		r = make_cert(id, name, cert_path, key_path);
	if (r < 0 || id->state_dir < 0)
		return r;
	r = snprintf(id->ca_path, sizeof(id->ca_path), "%s/%s", id->state_path,
	    cert_path);
	return r < 0 || (size_t)r >= sizeof(id->ca_path)
		   ? fail(id, -ENAMETOOLONG, id->state_path)
		   : 0;
}

int
relay_identity_complete(struct relay_identity *id, const struct relay_opt *opt,
    const char *hostname)
{
	int r = 0;

	if (!id->has_key)
		r = id->state_dir >= 0 ? load_key(id, id->state_dir, KEY_NAME)
				       : make_key(id, AT_FDCWD, NULL);
	if (r < 0 || opt->is_plain_http)
		return r;
	if (id->tls == NULL)
		r = self_signed(id, hostname);
	if (r < 0)
		return r;
	r = tls_ctx_add_metacert(id->tls, &id->public_key, mono_unix_seconds());
	if (r < 0)
		return fail(id, r, "meta certificate");
	tls_ctx_pin(id->tls, id->pin);
	return 0;
}

void
relay_identity_fini(struct relay_identity *id)
{
	secret_wipe(&id->private_key, sizeof(id->private_key));
	tls_ctx_free(id->tls);
	id->tls = NULL;
	free(id->state_path);
	id->state_path = NULL;
	fd_close(&id->state_dir);
	fd_close(&id->guard);
}
