/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/relay_params.h"
#include "daemon/roots.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/mono.h"
#include "proto/tls/tls_selfsigned.h"
#include "test/tap.h"

#define N (ROOTS_MAX_IDLE + 2)

static char pem[N][TLS_SELFSIGNED_MAX_PEM];

static struct roots *
get(int i)
{
	struct roots *r = NULL;

	OK(roots_get(pem[i], strlen(pem[i]), &r) == 0 && r->tls != NULL,
	    "set %d", i);
	return r;
}

static void
test_shared(void)
{
	struct roots *a = get(0), *b = get(0), *c = get(1);

	OK(a == b, "the same text: the same set");
	OK(a != c, "another text: another");
	EQ_INT(a->refs, 2, "counted");
	roots_put(b);
	roots_put(c);
	roots_put(a);
	OK(get(0) == a, "kept when nobody uses it");
	EQ_INT(a->refs, 1, "used again");
	roots_put(a);
	roots_put(NULL);
}

static void
test_limit(void)
{
	struct roots *used = get(0);
	struct tls_ctx *first;
	struct roots *r;
	size_t n = 0;

	for (int i = 1; i < N; i++)
		roots_put(get(i));
	for (r = used; r != NULL; r = r->next)
		n++;
	EQ_INT(n, 1, "the one in use is the oldest");
	OK(get(0) == used, "and stays");
	for (r = used->next, n = 0; r != NULL; r = r->next)
		n++;
	EQ_INT(n, ROOTS_MAX_IDLE, "so many that nobody uses");
	first = used->next->tls;
	r = get(N - 1);
	OK(r->tls == first, "the last ones used");
	roots_put(r);
	roots_put(used);
	roots_put(used);
	roots_forget();
	OK(get(0) != NULL, "read again when forgotten");
}

static void
test_bad(void)
{
	struct roots *r = NULL;

	EQ_INT(roots_get("x", 1, &r), -DT_ERR_SYNTAX, "no certificate");
	OK(r == NULL, "nothing given");
}

/* What relay_params_parse() says of a CA file in memory with these @seals; -1:
 * of a file on disk. */
static int
try_memory(const char *text, int seals)
{
	char why[RELAY_PARAMS_MAX_WHY], path[] = "/tmp/t_roots.XXXXXX";
	struct relay_params *p = NULL;
	json_t *o = json_pack("{s:i}", "ca_fd", 0);
	int fd = seals >= 0
		     ? memfd_create("ca", MFD_CLOEXEC | MFD_ALLOW_SEALING)
		     : mkostemp(path, O_CLOEXEC);
	size_t len = strlen(text);
	int r;

	if (seals < 0)
		(void)unlink(path);
	if (write(fd, text, len) != (ssize_t)len ||
	    (seals >= 0 && fcntl(fd, F_ADD_SEALS, seals) != 0))
		return -EIO;
	r = relay_params_parse(o, &fd, 1, &p, why);
	OK(r < 0 || p->roots != NULL, "roots come with success alone");
	OK(r < 0 || fd < 0, "it is closed once read");
	OK((r < 0) == (why[0] != '\0'), "a failure has a reason");
	relay_params_unref(p);
	json_decref(o);
	fd_close(&fd);
	return r;
}

static void
test_memory(void)
{
	const int all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

	EQ_INT(try_memory(pem[0], all), 0, "sealed memory");
	EQ_INT(try_memory(pem[0], all | F_SEAL_SEAL), 0, "for good");
	EQ_INT(try_memory(pem[0], -1), -DT_ERR_SYNTAX, "a file");
	EQ_INT(try_memory(pem[0], 0), -DT_ERR_SYNTAX, "memory of others");
	EQ_INT(try_memory(pem[0], all & ~F_SEAL_WRITE), -DT_ERR_SYNTAX,
	    "that they may change");
	EQ_INT(try_memory(pem[0], all & ~F_SEAL_SHRINK), -DT_ERR_SYNTAX,
	    "or shorten");
	EQ_INT(try_memory(pem[0], all & ~F_SEAL_GROW), -DT_ERR_SYNTAX,
	    "or lengthen");
	OK(try_memory("x", all) < 0, "no certificate in it");
	OK(try_memory("", all) < 0, "nothing in it");
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	for (int i = 0; i < N; i++) {
		struct tls_selfsigned pair;
		char name[32];

		(void)snprintf(name, sizeof(name), "relay%d.example", i);
		if (tls_selfsigned_make(&pair, name, mono_unix_seconds()) != 0)
			return 1;
		memcpy(pem[i], pair.cert_pem, sizeof(pem[i]));
	}
	test_shared();
	test_limit();
	test_bad();
	test_memory();
	roots_forget();
	return tap_done();
}
