/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/portmap/portmap_worker.h"

int
main(void)
{
	return portmap_worker_main();
}
