/* SPDX-License-Identifier: BSD-3-Clause */
/* DERP map text; what was read must survive being written and read again. */
#include <stdlib.h>
#include <string.h>

#include "proto/derp/derp_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char detail[DERP_MAP_MAX_DETAIL];
	struct derp_map *m = NULL, *back = NULL;
	char *text = NULL;

	if (derp_map_parse((const char *)data, size, &m, detail) != 0)
		return 0;
	(void)derp_map_pick(m, 1);
	if (derp_map_write(m, &text) != 0)
		abort();
	/* indented text may be longer than the limit; then it is not read */
	if (strlen(text) <= DERP_MAP_MAX_TEXT &&
	    (derp_map_parse(text, strlen(text), &back, detail) != 0 ||
		back->n_regions != m->n_regions))
		abort();
	free(text);
	derp_map_free(back);
	derp_map_free(m);
	return 0;
}
