/* SPDX-License-Identifier: BSD-3-Clause */
/* A key from a stranger: what is accepted is one line that reads back as the
 * same key, holds no control character, and is found in itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char line[SSH_KEY_MAX_LINE];
	static struct ssh_key key, again, other;
	char id[SSH_KEY_MAX_COMMENT];
	size_t n;

	if (other.type[0] == '\0') {
		memcpy(other.type, "ssh-rsa", 8);
		memcpy(other.blob, "AAAA", 5);
	}
	(void)ssh_key_is_in(&other, (const char *)data, size);
	if (ssh_key_parse(&key, (const char *)data, size, NULL) != 0)
		return 0;
	n = ssh_key_print(&key, line, sizeof(line));
	if (n == 0 || ssh_key_parse(&again, line, n, NULL) != 0 ||
	    strcmp(key.type, again.type) != 0 ||
	    strcmp(key.blob, again.blob) != 0 ||
	    strcmp(key.comment, again.comment) != 0)
		abort();
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			abort();
	if (!ssh_key_is_in(&key, line, n) || ssh_key_id(&key, id)[0] == '\0')
		abort();
	return 0;
}
