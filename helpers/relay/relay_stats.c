/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/log.h"

static const char *const drop_names[RELAY_STATS_N_DROPS] = {
	"unknown_dest",
	"gone_disconnected",
	"queue_head",
	"queue_tail",
	"write_error",
	"dup_client",
};

static const char *const kind_names[RELAY_STATS_N_KINDS] = {
	"other",
	"disco",
};

static const char *const stun_names[RELAY_STATS_N_STUN] = {
	"success",
	"not_stun",
	"read_error",
	"write_error",
};

void
relay_stats_drop(
    struct relay_stats *s, enum relay_stats_drop why, bool is_disco, size_t len)
{
	enum relay_stats_kind kind =
	    is_disco ? RELAY_STATS_DISCO : RELAY_STATS_OTHER;

	s->dropped[why][kind]++;
	s->dropped_bytes[why][kind] += len;
}

void
relay_stats_queued(struct relay_stats *s, int64_t us)
{
	uint64_t sample = us > 0 ? (uint64_t)us : 0;

	/* Exponential moving average with a weight of one tenth. */
	s->queue_us_ema = (9 * s->queue_us_ema + sample) / 10;
	s->average_queue_duration_ms = s->queue_us_ema / 1000;
}

static void
put_number(struct buf_writer *w, const char *name, uint64_t value, char end)
{
	char line[96];

	(void)snprintf(
	    line, sizeof(line), "\"%s\":%" PRIu64 "%c", name, value, end);
	buf_put_str(w, line);
}

/* {"reason":{"other":N,"disco":N},...} */
static void
put_drops(struct buf_writer *w, const char *name,
    const uint64_t n[RELAY_STATS_N_DROPS][RELAY_STATS_N_KINDS])
{
	buf_put_str(w, "\"");
	buf_put_str(w, name);
	buf_put_str(w, "\":{");
	for (size_t i = 0; i < RELAY_STATS_N_DROPS; i++) {
		buf_put_str(w, i == 0 ? "\"" : ",\"");
		buf_put_str(w, drop_names[i]);
		buf_put_str(w, "\":{");
		put_number(w, kind_names[0], n[i][0], ',');
		put_number(w, kind_names[1], n[i][1], '}');
	}
	buf_put_str(w, "},");
}

void
relay_stats_json(
    const struct relay_stats *s, struct mono up, struct buf_writer *w)
{
	buf_put_str(w, "{\"version\":\"" DERPTUND_VERSION "\",");
	put_number(w, "uptime_seconds", (uint64_t)(up.us / MONO_SEC), ',');
	buf_put_str(w, "\"derp\":{");
#define PUT(name) put_number(w, #name, s->name, ',');
	RELAY_STATS_LIST(PUT)
#undef PUT
	buf_put_str(w, "\"counter_packets_received_kind\":{");
	for (size_t i = 0; i < RELAY_STATS_N_KINDS; i++)
		put_number(w, kind_names[i], s->received_kind[i],
		    i + 1 < RELAY_STATS_N_KINDS ? ',' : '}');
	buf_put_str(w, "},");
	put_drops(w, "derp_packets_dropped", s->dropped);
	put_drops(w, "derp_bytes_dropped", s->dropped_bytes);
	buf_put_str(w, "\"stun\":{\"counter_requests\":{");
	for (size_t i = 0; i < RELAY_STATS_N_STUN; i++)
		put_number(w, stun_names[i], s->stun[i],
		    i + 1 < RELAY_STATS_N_STUN ? ',' : '}');
	buf_put_str(w, ",\"counter_addrfamily\":{");
	put_number(w, "ipv4", s->stun_ipv4, ',');
	put_number(w, "ipv6", s->stun_ipv6, '}');
	buf_put_str(w, "}}\n");
}

/* Collects "name=value" words into lines that the log does not cut. */
struct log_line {
	char text[LOG_MAX_LINE - 64];
	size_t len;
};

static void
line_flush(struct log_line *l)
{
	if (l->len > 0)
		log_info("relay", "counters:%s", l->text);
	l->len = 0;
}

static void
line_add(
    struct log_line *l, const char *group, const char *name, uint64_t value)
{
	char word[96];
	int n;

	if (value == 0)
		return;
	n = snprintf(word, sizeof(word), " %s%s=%" PRIu64, group, name, value);
	if (n <= 0 || (size_t)n >= sizeof(word))
		return;
	if (l->len + (size_t)n >= sizeof(l->text))
		line_flush(l);
	(void)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s", word);
	l->len += (size_t)n;
}

void
relay_stats_log(const struct relay_stats *s)
{
	struct log_line l = { .len = 0 };

#define ADD(name) line_add(&l, "", #name, s->name);
	RELAY_STATS_LIST(ADD)
#undef ADD
	for (size_t i = 0; i < RELAY_STATS_N_DROPS; i++) {
		for (size_t k = 0; k < RELAY_STATS_N_KINDS; k++)
			line_add(&l,
			    k == RELAY_STATS_DISCO ? "dropped_disco_"
						   : "dropped_",
			    drop_names[i], s->dropped[i][k]);
	}
	for (size_t i = 0; i < RELAY_STATS_N_STUN; i++)
		line_add(&l, "stun_", stun_names[i], s->stun[i]);
	line_flush(&l);
}
