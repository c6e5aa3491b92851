/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/err.h"
#include "proto/derp/derp_hello.h"
#include "proto/derp/derp_http.h"

#define USER_AGENT "derptund/" DERPTUND_VERSION
#define PORT_HTTPS 443
#define PORT_HTTP 80
#define NO_CONTENT 204

static const struct {
	int status;
	const char *text;
} reasons[] = {
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 204, "No Content" },
	{ 302, "Found" },
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 413, "Content Too Large" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

const char *
derp_http_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Status";
}

/* Printable ASCII without spaces: nothing that could end a line or a word. */
static bool
is_word(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

__attribute__((format(printf, 2, 3))) static void
put_format(struct buf_writer *w, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		w->err = w->err != 0 ? w->err : -DT_ERR_INTERNAL;
	else
		buf_put_bytes(w, text, (size_t)n);
}

static void
put_host(struct buf_writer *w, const struct derp_http_request *req)
{
	bool is_v6 = strchr(req->host, ':') != NULL;

	buf_put_str(w, "Host: ");
	buf_put_str(w, is_v6 ? "[" : "");
	buf_put_str(w, req->host);
	buf_put_str(w, is_v6 ? "]" : "");
	if (req->port != (req->tls ? PORT_HTTPS : PORT_HTTP))
		put_format(w, ":%u", (unsigned)req->port);
	buf_put_str(w, "\r\n");
}

int
derp_http_put_upgrade(struct buf_writer *w, const struct derp_http_request *req)
{
	if (req->path[0] != '/' || !is_word(req->path) || !is_word(req->host))
		return -DT_ERR_SYNTAX;
	if (req->ideal_node != NULL && !is_word(req->ideal_node))
		return -DT_ERR_SYNTAX;
	buf_put_str(w, "GET ");
	buf_put_str(w, req->path);
	buf_put_str(w, " HTTP/1.1\r\n");
	put_host(w, req);
	buf_put_str(w, "User-Agent: " USER_AGENT "\r\n");
	buf_put_str(w, "Connection: Upgrade\r\n");
	if (req->fast_start)
		buf_put_str(w, "Derp-Fast-Start: 1\r\n");
	if (req->ideal_node != NULL && req->ideal_node[0] != '\0') {
		buf_put_str(w, "Ideal-Node: ");
		buf_put_str(w, req->ideal_node);
		buf_put_str(w, "\r\n");
	}
	buf_put_str(w, "Upgrade: DERP\r\n\r\n");
	return w->err;
}

void
derp_http_put_switching(struct buf_writer *w, const struct key32 *server_public)
{
	char hex[2 * sizeof(server_public->b) + 1];

	(void)sodium_bin2hex(hex, sizeof(hex), server_public->b,
	    sizeof(server_public->b)); /* the size is right by construction */
	buf_put_str(w, "HTTP/1.1 101 Switching Protocols\r\n");
	buf_put_str(w, "Upgrade: DERP\r\n");
	buf_put_str(w, "Connection: Upgrade\r\n");
	put_format(w, "Derp-Version: %d\r\n", DERP_HELLO_VERSION);
	put_format(w, "Derp-Public-Key: %s\r\n", hex);
	buf_put_str(w, "\r\n");
}

/* IMF-fixdate of RFC 9110 5.6.7, by hand: strftime(3) follows the locale. */
static void
put_date(struct buf_writer *w, int64_t unix_seconds)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)unix_seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		return;
	put_format(w, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

int
derp_http_put_response(
    struct buf_writer *w, const struct derp_http_response *resp)
{
	const char *type =
	    resp->type != NULL ? resp->type : "text/plain; charset=utf-8";

	put_format(w, "HTTP/1.1 %d %s\r\n", resp->status,
	    derp_http_reason(resp->status));
	if (resp->unix_seconds != 0)
		put_date(w, resp->unix_seconds);
	if (resp->status != NO_CONTENT) {
		buf_put_str(w, "Content-Type: ");
		buf_put_str(w, type);
		put_format(w, "\r\nContent-Length: %zu\r\n", resp->body_len);
		buf_put_str(w, "X-Content-Type-Options: nosniff\r\n");
	}
	if (resp->fields != NULL)
		buf_put_str(w, resp->fields);
	if (resp->close)
		buf_put_str(w, "Connection: close\r\n");
	buf_put_str(w, "\r\n");
	if (resp->body_len > 0 && !resp->is_head && resp->status != NO_CONTENT)
		buf_put_bytes(w, resp->body, resp->body_len);
	return w->err;
}
