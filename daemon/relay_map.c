/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A query passes FIND (text, or a GET and when that fails the copy on disk; the
 * built-in map for who names neither) and, if asked for, MEASURE.  The
 * last measured region stays in memory for ten minutes, tied to the caller's
 * parameters by their digest.  Fetched maps are used once: sessions are rare.
 */
#include "daemon/relay_map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/http_get.h"
#include "daemon/latency.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/token/token_text.h"

#define RELAY_MAP_MAX_DIR 400
#define RELAY_MAP_MAX_PATH (RELAY_MAP_MAX_DIR + 64)
/* Copies on disk, of 1 MiB at most: callers choose the addresses. */
#define RELAY_MAP_MAX_COPIES 16

struct relay_map_source {
	struct loop *loop;
	char dir[RELAY_MAP_MAX_DIR];
	/* The last measured region. */
	struct key32 measured_for;
	int64_t measured;
	struct mono measured_at;
};

struct relay_map_query {
	struct relay_map_source *source;
	struct relay_params *params;
	bool measure;
	void (*cb)(void *arg, int r, const struct derp_map *map, int64_t region,
	    const char *why);
	void *arg;
	struct loop_timer *start;
	struct http_get *get;
	struct latency *latency;
	struct derp_map *own; /* parsed for this query only */
	const struct derp_map *map;
};

struct relay_map_source *
relay_map_source_new(struct loop *loop, const char *cache_dir)
{
	struct relay_map_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = loop;
	(void)snprintf(s->dir, sizeof(s->dir), "%s", cache_dir);
	return s;
}

void
relay_map_source_free(struct relay_map_source *s)
{
	if (s == NULL)
		return;
	free(s);
}

void
relay_map_query_cancel(struct relay_map_query *q)
{
	if (q == NULL)
		return;
	loop_timer_free(q->start);
	http_get_cancel(q->get);
	latency_cancel(q->latency);
	derp_map_free(q->own);
	relay_params_unref(q->params);
	free(q);
}

static void
finish(struct relay_map_query *q, int r, int64_t region, const char *why)
{
	if (r == 0 && (q->map == NULL || q->map->n_regions == 0)) {
		r = -DT_ERR_SYNTAX;
		why = "the DERP map is empty";
	}
	q->cb(q->arg, r, r == 0 ? q->map : NULL, region, why);
	relay_map_query_cancel(q);
}

static bool
is_fresh(const struct relay_map_source *s, struct mono at)
{
	return at.us != 0 &&
	       mono_diff(loop_now(s->loop), at) < RELAY_MAP_FRESH_US;
}

static void
on_measured(void *arg, int64_t region)
{
	struct relay_map_query *q = arg;
	struct relay_map_source *s = q->source;

	q->latency = NULL;
	s->measured = region;
	s->measured_for = q->params->digest;
	s->measured_at = loop_now(s->loop);
	log_debug("relay", "nearest region is %lld", (long long)region);
	finish(q, region > 0 ? 0 : -DT_ERR_SYNTAX, region,
	    region > 0 ? "" : "the DERP map has no usable region");
}

int64_t
relay_map_nearest(
    const struct relay_map_source *s, const struct relay_params *params)
{
	if (!is_fresh(s, s->measured_at) ||
	    !secret_equal(
		&s->measured_for, &params->digest, sizeof(s->measured_for)))
		return 0;
	return s->measured;
}

/* The map is found. */
static void
go_on(struct relay_map_query *q)
{
	struct relay_map_source *s = q->source;
	int64_t nearest = relay_map_nearest(s, q->params);

	if (!q->measure) {
		finish(q, 0, 0, "");
		return;
	}
	if (derp_map_region(q->map, nearest) != NULL) {
		finish(q, 0, nearest, "");
		return;
	}
	q->latency = latency_new(s->loop, q->map, on_measured, q);
	if (q->latency == NULL)
		finish(q, -ENOMEM, 0, err_str(-ENOMEM));
}

static void
cache_path(const struct relay_map_source *s, const char *url, char *out)
{
	struct key32 digest;
	char hex[17];

	secret_sha256(&digest, url, strlen(url));
	token_text_hex_encode(hex, digest.b, 8);
	(void)snprintf(
	    out, RELAY_MAP_MAX_PATH, "%s/derpmap-%s.json", s->dir, hex);
}

/* An old copy may be replaced; new ones are limited. */
static bool
has_room(const char *dir, const char *path)
{
	DIR *d;
	size_t n = 0;

	if (access(path, F_OK) == 0)
		return true;
	d = opendir(dir);
	if (d == NULL)
		return false;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n < RELAY_MAP_MAX_COPIES + 2; /* with . and .. */
}

/* Best effort: a cache that cannot be written is no reason to fail. */
static void
cache_write(const struct relay_map_source *s, const char *url, const char *text,
    size_t len)
{
	char path[RELAY_MAP_MAX_PATH], tmp[RELAY_MAP_MAX_PATH + 8];
	ssize_t n = -1;
	int fd;

	if (s->dir[0] == '\0')
		return;
	cache_path(s, url, path);
	(void)snprintf(tmp, sizeof(tmp), "%s.new", path);
	(void)mkdir(s->dir, 0700); /* usually there */
	if (!has_room(s->dir, path)) {
		log_info("relay", "no room for a copy of the DERP map");
		return;
	}
	fd = open(
	    tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		n = write(fd, text, len);
	fd_close(&fd);
	if (n != (ssize_t)len || rename(tmp, path) != 0) {
		log_info("relay", "cannot keep a copy of the DERP map");
		(void)unlink(tmp); /* nothing else to be done */
	}
}

static int
cache_read(struct relay_map_query *q)
{
	char path[RELAY_MAP_MAX_PATH];
	char *text;
	struct stat st;
	ssize_t n = -1;
	int r = -ENOENT, fd;

	if (q->source->dir[0] == '\0')
		return r;
	cache_path(q->source, q->params->map_url, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	text = malloc(HTTP_GET_MAX_BODY);
	if (text != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, text, HTTP_GET_MAX_BODY);
	fd_close(&fd);
	if (n > 0)
		r = derp_map_parse(text, (size_t)n, &q->own, NULL);
	free(text);
	if (r == 0)
		q->map = q->own;
	return r;
}

static void
fall_back(struct relay_map_query *q, const char *why)
{
	char text[DERP_MAP_MAX_DETAIL + RELAY_PARAMS_MAX_URL];

	if (cache_read(q) == 0) {
		log_warn("relay",
		    "cannot fetch the DERP map, using the copy of last time "
		    "why=\"%s\"",
		    why);
		go_on(q);
		return;
	}
	/* Not the built-in map: who names one means no other's relays. */
	(void)snprintf(text, sizeof(text), "%s: %s", q->params->map_url, why);
	finish(q, -DT_ERR_RELAY_UNREACHABLE, 0, text);
}

static void
on_fetched(void *arg, int r, const char *body, size_t len, const char *why)
{
	struct relay_map_query *q = arg;
	struct relay_map_source *s = q->source;
	char detail[DERP_MAP_MAX_DETAIL] = "";
	struct derp_map *map = NULL;

	q->get = NULL;
	if (r == 0) {
		r = derp_map_parse(body, len, &map, detail);
		why = detail;
	}
	if (r < 0) {
		fall_back(q, why);
		return;
	}
	/* What one caller's own roots vouch for is nothing for others. */
	if (q->params->roots == NULL)
		cache_write(s, q->params->map_url, body, len);
	q->own = map;
	q->map = map;
	go_on(q);
}

static void
on_start(void *arg, struct mono now)
{
	struct relay_map_query *q = arg;
	char detail[DERP_MAP_MAX_DETAIL] = "";
	struct tls_ctx *tls;
	int r;

	(void)now;
	if (q->params->map_text != NULL) {
		r = derp_map_parse(q->params->map_text,
		    strlen(q->params->map_text), &q->own, detail);
		q->map = q->own;
		if (r < 0)
			finish(q, r, 0, detail);
		else
			go_on(q);
		return;
	}
	if (q->params->map_url[0] == '\0') {
		q->map = derp_map_builtin();
		go_on(q);
		return;
	}
	r = relay_params_tls(q->params, &tls);
	if (r == 0)
		r = http_get_new(q->source->loop, q->params->map_url, tls,
		    on_fetched, q, &q->get);
	if (r < 0)
		fall_back(q, err_str(r));
}

struct relay_map_query *
relay_map_query_new(struct relay_map_source *s, struct relay_params *params,
    bool measure,
    void (*cb)(void *arg, int r, const struct derp_map *map, int64_t region,
	const char *why),
    void *arg)
{
	struct relay_map_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->source = s;
	q->measure = measure;
	q->cb = cb;
	q->arg = arg;
	q->start = loop_timer_new(s->loop, on_start, q);
	if (q->start == NULL) {
		free(q);
		return NULL;
	}
	q->params = relay_params_ref(params);
	loop_timer_in(q->start, 0);
	return q;
}
