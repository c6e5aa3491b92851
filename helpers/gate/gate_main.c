/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/gate/gate_worker.h"

int
main(void)
{
	return gate_worker_main();
}
