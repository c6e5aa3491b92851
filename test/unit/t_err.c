/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "lib/err.h"
#include "test/tap.h"

int
main(void)
{
	EQ_STR(err_str(0), "success", "zero is success");
	EQ_STR(err_str(-DT_ERR_EXPIRED), "expired", "own number has its text");
	EQ_STR(err_name(-DT_ERR_EXPIRED), "EXPIRED", "own number has its name");
	EQ_STR(err_name(-ECONNREFUSED), "ECONNREFUSED", "errno has its name");
	EQ_STR(err_str(-ECONNREFUSED), "Connection refused", "and its text");
	EQ_STR(err_str(-99999), "unknown error", "unknown number");
	EQ_STR(err_name(12), "UNKNOWN", "positive numbers are no errors");
	OK(err_is_peer_fault(-DT_ERR_PEER_REJECTED), "rejection is the peer's");
	OK(!err_is_peer_fault(-ENOMEM), "memory is ours");
	OK(!err_is_peer_fault(-DT_ERR_TLS), "TLS is not the peer's");
	return tap_done();
}
