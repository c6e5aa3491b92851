/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "lib/err.h"
#include "test/tap.h"

/* Every number of the table has a name and a text of its own. */
static void
test_table(void)
{
	static const int numbers[] = {
#define NUMBER(name, number, text) number,
		DT_ERR_LIST(NUMBER)
#undef NUMBER
	};
	size_t n = sizeof(numbers) / sizeof(numbers[0]);
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		if (numbers[i] < 1000 ||
		    strcmp(err_str(-numbers[i]), "unknown error") == 0 ||
		    strcmp(err_name(-numbers[i]), "UNKNOWN") == 0)
			good = false;
		for (size_t j = i + 1; j < n; j++)
			if (numbers[i] == numbers[j])
				good = false;
	}
	OK(good, "%zu numbers, named and distinct", n);
}

int
main(void)
{
	test_table();
	EQ_STR(err_name(0), "OK", "zero has a name");
	EQ_STR(err_name(-99999), "UNKNOWN", "unknown number has none");
	EQ_STR(err_str(-999), "unknown error", "unassigned errno");
	OK(err_is_peer_fault(-DT_ERR_PEER_PROTOCOL), "first of the range");
	OK(err_is_peer_fault(-DT_ERR_PEER_GONE), "last of the range");
	OK(!err_is_peer_fault(0), "success is nobody's fault");
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
