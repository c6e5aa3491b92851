/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups against a name server of our own on the same loop, which knows:
 *   both.test   A 192.0.2.1, AAAA 2001:db8::1
 *   four.test   A only            many.test   12 A records
 *   mute.test   no answer         half.test   A, and silence for AAAA
 *   fail.test   SERVFAIL          all others  NXDOMAIN
 */
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/loop_internal.h"
#include "test/tap.h"

#define TYPE_A 1 /* the other one asked for is AAAA, 28 */

static struct loop *loop;
static char dir[] = "/tmp/t_lookup.XXXXXX";
static char resolv_conf[64], hosts[64];
static int server = -1;
static int queries; /* that reached the server */

/* ---- the server ---- */

/* Reads a question's name as text.  Returns its type, 0 on nonsense. */
static unsigned
read_question(struct buf_reader *r, char name[static 256])
{
	size_t len = 0;
	uint8_t n;

	(void)buf_peek_bytes(r, 12); /* header */
	while ((n = buf_get_u8(r)) != 0 && len + n + 2 < 256) {
		buf_get_bytes(r, name + len, n);
		len += n;
		name[len++] = '.';
	}
	name[len > 0 ? len - 1 : 0] = '\0';
	n = (uint8_t)buf_get_u16(r);
	(void)buf_get_u16(r); /* class */
	return r->err == 0 ? n : 0;
}

static void
put_records(struct buf_writer *w, unsigned type, unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		buf_put_u16(w, 0xc00c); /* the name of the question */
		buf_put_u16(w, (uint16_t)type);
		buf_put_u16(w, 1);  /* class IN */
		buf_put_u32(w, 60); /* seconds to live */
		if (type == TYPE_A) {
			buf_put_u16(w, 4);
			buf_put_u32(w, 0xc0000200 + i);
		} else {
			buf_put_u16(w, 16);
			buf_put_u32(w, 0x20010db8);
			buf_put_u64(w, 0);
			buf_put_u32(w, i);
		}
	}
}

/* How many records; -1: stay mute; -2: SERVFAIL; -3: NXDOMAIN. */
static int
verdict(const char *name, unsigned type)
{
	if (strcasecmp(name, "both.test") == 0)
		return 1;
	if (strcasecmp(name, "four.test") == 0)
		return type == TYPE_A ? 1 : 0;
	if (strcasecmp(name, "many.test") == 0)
		return type == TYPE_A ? 12 : 0;
	if (strcasecmp(name, "half.test") == 0)
		return type == TYPE_A ? 1 : -1;
	if (strcasecmp(name, "mute.test") == 0)
		return -1;
	return strcasecmp(name, "fail.test") == 0 ? -2 : -3;
}

static void
on_query(void *arg, unsigned events, struct mono now)
{
	uint8_t in[512], out[512];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	struct buf_reader r;
	struct buf_writer w = buf_writer(out, sizeof(out));
	char name[256];
	ssize_t n;
	unsigned type;
	int v;

	(void)arg;
	(void)events;
	(void)now;
	n = recvfrom(
	    server, in, sizeof(in), 0, (struct sockaddr *)&from, &from_len);
	if (n < 12)
		return;
	queries++;
	r = buf_reader(in, (size_t)n);
	type = read_question(&r, name);
	v = verdict(name, type);
	if (v == -1 || type == 0)
		return;
	buf_put_bytes(&w, in, 2);
	buf_put_u16(&w, v == -2 ? 0x8182 : v == -3 ? 0x8183 : 0x8180);
	buf_put_u16(&w, 1);
	buf_put_u16(&w, v > 0 ? (uint16_t)v : 0);
	buf_put_u32(&w, 0);
	buf_put_bytes(&w, in + 12, r.off - 12);
	put_records(&w, type, v > 0 ? (unsigned)v : 0);
	(void)sendto(server, out, w.len, 0, (struct sockaddr *)&from, from_len);
}

/* Binds the server.  Returns its port, 0 on failure. */
static unsigned
start_server(void)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr a;

	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)addr_parse(&a, "127.0.0.1:0");
	len = addr_to_sockaddr(&a, &sa);
	if (bind(server, (struct sockaddr *)&sa, len) != 0)
		return 0;
	len = sizeof(sa);
	if (getsockname(server, (struct sockaddr *)&sa, &len) != 0 ||
	    addr_from_sockaddr(&a, (struct sockaddr *)&sa) < 0)
		return 0;
	return a.port;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		abort();
	(void)fputs(text, f);
	(void)fclose(f);
}

/* ---- the cases ---- */

static struct {
	int n;
	int r;
	struct addr addrs[LOOP_MAX_ADDRS];
	size_t n_addrs;
} got;

static void
on_result(void *arg, int r, const struct addr *addrs, size_t n)
{
	int *running = arg;

	got.n++;
	got.r = r;
	got.n_addrs = n;
	for (size_t i = 0; i < n; i++)
		got.addrs[i] = addrs[i];
	if (--*running == 0)
		loop_stop(loop);
}

/* Looks up a name; returns the result and how long it took. */
static int
lookup(const char *host, int64_t *ret_us)
{
	struct mono before = mono_now();
	int running = 1;

	got.n = 0;
	got.r = 1;
	if (loop_lookup(loop, host, 443, on_result, &running) == NULL)
		return -1;
	OK(got.n == 0, "%.20s: not called back at once", host);
	(void)loop_run(loop);
	*ret_us = mono_diff(mono_now(), before);
	return got.r;
}

static bool
has(const char *text)
{
	char out[ADDR_MAX_TEXT];

	for (size_t i = 0; i < got.n_addrs; i++) {
		addr_format(&got.addrs[i], out);
		if (strcmp(out, text) == 0)
			return true;
	}
	return false;
}

static void
test_literals(void)
{
	int64_t us;

	EQ_INT(lookup("192.0.2.7", &us), 0, "IPv4 literal");
	OK(got.n_addrs == 1 && has("192.0.2.7:443"), "itself");
	EQ_INT(lookup("2001:db8::7", &us), 0, "IPv6 literal");
	OK(got.n_addrs == 1 && has("[2001:db8::7]:443"), "itself");
	OK(loop->dns.dns == NULL, "no resolver was started for these");
}

static void
test_bad_names(void)
{
	char name[ADDR_MAX_HOST + 1];
	int64_t us;

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	EQ_INT(lookup(name, &us), -DT_ERR_RESOLVE, "too long");
	EQ_INT(lookup("", &us), -DT_ERR_RESOLVE, "empty");
	EQ_INT(lookup("a b", &us), -DT_ERR_RESOLVE, "blank");
	EQ_INT(lookup("[::1]", &us), -DT_ERR_RESOLVE, "brackets");
	EQ_INT(lookup("fe80::1%lo", &us), -DT_ERR_RESOLVE, "zone");
	EQ_INT(lookup("1.2.3.4:5", &us), -DT_ERR_RESOLVE, "port");
	EQ_INT(got.n_addrs, 0, "no addresses");
	OK(loop->dns.dns == NULL, "no resolver was started for these");
	EQ_INT(lookup("a..test", &us), -DT_ERR_RESOLVE, "empty label");
	memset(name, 'a', 64);
	memcpy(name + 64, ".test", 6);
	EQ_INT(lookup(name, &us), -DT_ERR_RESOLVE, "long label");
}

static void
test_answers(void)
{
	int64_t us;

	EQ_INT(lookup("both.test", &us), 0, "both.test");
	EQ_INT(got.n_addrs, 2, "two addresses");
	OK(has("192.0.2.1:443") && has("[2001:db8::1]:443"), "with the port");
	EQ_INT(lookup("both.test.", &us), 0, "with a final dot");
	EQ_INT(lookup("four.test", &us), 0, "four.test");
	EQ_INT(got.n_addrs, 1, "one address");
	EQ_INT(lookup("many.test", &us), 0, "many.test");
	EQ_INT(got.n_addrs, LOOP_MAX_ADDRS, "cut at the maximum");
	EQ_INT(lookup("none.test", &us), -DT_ERR_RESOLVE, "NXDOMAIN");
	OK(us < 3 * MONO_SEC, "at once: %lld us", (long long)us);
	EQ_INT(lookup("fail.test", &us), -DT_ERR_RESOLVE, "SERVFAIL");
	EQ_INT(lookup("half.test", &us), 0, "half an answer");
	OK(has("192.0.2.1:443"), "is used");
	/* And not after the 5 s that no answer at all takes. */
	OK(us < 4500 * MONO_MS, "after a short wait: %lld us", (long long)us);
}

static void
test_hosts(void)
{
	int64_t us;
	int before = queries;

	EQ_INT(lookup("here.test", &us), 0, "name of the hosts file");
	OK(got.n_addrs == 2 && has("192.0.2.99:443") &&
		has("[2001:db8::99]:443"),
	    "with both addresses");
	EQ_INT(lookup("alias", &us), 0, "its alias");
	EQ_INT(queries, before, "the server was not asked");
}

static void
test_timeout(void)
{
	int64_t us;

	EQ_INT(lookup("mute.test", &us), -DT_ERR_TIMEOUT, "no answer");
	OK(us >= 5 * MONO_SEC && us < 10 * MONO_SEC, "after 5 s: %lld us",
	    (long long)us);
}

static void
test_parallel(void)
{
	int running = 20, r = 0;

	got.n = 0;
	for (int i = 0; i < 20; i++) {
		if (loop_lookup(loop, i % 2 ? "both.test" : "here.test", 1,
			on_result, &running) == NULL)
			r = -1;
	}
	EQ_INT(r, 0, "20 at once");
	(void)loop_run(loop);
	EQ_INT(got.n, 20, "20 answers");
}

static void
test_cancel(void)
{
	struct loop_lookup *q[4];
	int running = 99;
	int64_t us;

	got.n = 0;
	q[0] = loop_lookup(loop, "mute.test", 1, on_result, &running);
	q[1] = loop_lookup(loop, "both.test", 1, on_result, &running);
	q[2] = loop_lookup(loop, "192.0.2.1", 1, on_result, &running);
	q[3] = loop_lookup(loop, "here.test", 1, on_result, &running);
	for (int i = 0; i < 4; i++)
		loop_lookup_cancel(q[i]);
	loop_lookup_cancel(NULL);
	EQ_INT(lookup("both.test", &us), 0, "another one");
	EQ_INT(got.n, 1, "the cancelled ones stay silent");
}

/* Changed files are seen by the next lookup. */
static void
test_changes(unsigned port)
{
	char text[128];
	int64_t us;

	write_file(hosts, "192.0.2.50 new.test\n");
	EQ_INT(lookup("new.test", &us), 0, "new hosts file");
	EQ_INT(lookup("here.test", &us), -DT_ERR_RESOLVE, "without the old");

	write_file(resolv_conf, "# nothing\n");
	EQ_INT(lookup("both.test", &us), -DT_ERR_RESOLVE, "no name server");
	OK(us < 3 * MONO_SEC, "fails at once: %lld us", (long long)us);
	EQ_INT(lookup("new.test", &us), 0, "the hosts file still answers");
	EQ_INT(lookup("192.0.2.1", &us), 0, "so do literals");

	(void)unlink(resolv_conf);
	EQ_INT(lookup("both.test", &us), -DT_ERR_RESOLVE, "no resolv.conf");
	OK(us < 3 * MONO_SEC, "fails at once: %lld us", (long long)us);
	EQ_INT(lookup("new.test", &us), 0, "the hosts file still answers");
	(void)unlink(hosts);
	EQ_INT(lookup("localhost", &us), 0, "localhost needs no file");
	OK(has("127.0.0.1:443"), "and is this host");

	(void)snprintf(text, sizeof(text), "nameserver 127.0.0.1:%u\n", port);
	write_file(resolv_conf, text);
	EQ_INT(lookup("both.test", &us), 0, "a name server appears");
}

/* Queries that were cancelled but not yet answered when the loop ends. */
static void
test_free_pending(void)
{
	struct loop_lookup *q;
	int running = 1;

	got.n = 0;
	for (int i = 0; i < 3; i++) {
		q = loop_lookup(loop, "mute.test", 1, on_result, &running);
		loop_lookup_cancel(q);
	}
}

int
main(void)
{
	char text[128];
	unsigned port = start_server();
	struct loop_io *io;

	loop = loop_new();
	if (port == 0 || loop == NULL || mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(resolv_conf, sizeof(resolv_conf), "%s/resolv.conf", dir);
	(void)snprintf(hosts, sizeof(hosts), "%s/hosts", dir);
	(void)snprintf(text, sizeof(text), "nameserver 127.0.0.1:%u\n", port);
	write_file(resolv_conf, text);
	write_file(hosts,
	    "192.0.2.99 here.test alias # text\n2001:db8::99 here.test\n");
	loop_lookup_set_files(loop, resolv_conf, hosts);
	io = loop_io_new(loop, server, on_query, NULL);
	loop_io_set(io, LOOP_READ);

	test_literals();
	test_bad_names();
	test_answers();
	test_hosts();
	test_timeout();
	test_parallel();
	test_cancel();
	test_changes(port);
	test_free_pending();
	loop_io_free(io);
	loop_free(loop);
	EQ_INT(got.n, 0, "no callback after cancel");
	fd_close(&server);
	(void)unlink(resolv_conf);
	(void)unlink(hosts);
	(void)rmdir(dir);
	return tap_done();
}
