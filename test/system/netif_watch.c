/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netif_watch: what netif tells, one line at the start and at each change:
 *
 *	MILLISECONDS gateway=IP|none addrs=IP,IP,...
 *
 * Ends with its standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/netif.h"

struct watch {
	struct loop *loop;
	struct netif *netif;
};

static void
tell(const struct watch *w)
{
	const struct addr *own;
	size_t n = netif_addrs(w->netif, &own);
	struct addr gateway;
	char text[ADDR_MAX_TEXT] = "none";

	if (netif_gateway4(w->netif, &gateway))
		addr_format_ip(&gateway, text);
	(void)printf("%lld gateway=%s addrs=",
	    (long long)(loop_now(w->loop).us / MONO_MS), text);
	for (size_t i = 0; i < n; i++) {
		addr_format_ip(&own[i], text);
		(void)printf("%s%s", i > 0 ? "," : "", text);
	}
	(void)printf("\n");
	(void)fflush(stdout);
}

static void
on_change(void *arg, struct mono now)
{
	(void)now;
	tell(arg);
}

static void
on_input(void *arg, unsigned events, struct mono now)
{
	struct watch *w = arg;
	char c;

	(void)events;
	(void)now;
	if (read(STDIN_FILENO, &c, 1) <= 0)
		loop_stop(w->loop);
}

int
main(void)
{
	struct watch w = { loop_new(), NULL };
	struct loop_io *io;

	if (w.loop == NULL)
		return EXIT_FAILURE;
	w.netif = netif_new(w.loop, on_change, &w);
	io = loop_io_new(w.loop, STDIN_FILENO, on_input, &w);
	if (w.netif == NULL || io == NULL)
		return EXIT_FAILURE;
	loop_io_set(io, LOOP_READ);
	tell(&w);
	(void)loop_run(w.loop);
	loop_io_free(io);
	netif_free(w.netif);
	loop_free(w.loop);
	return EXIT_SUCCESS;
}
