/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static struct archive_lib lib;
static bool is_loaded;

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
#define ENTRY(name) { #name, offsetof(struct archive_lib, name) },
	ARCHIVE_LIB_FUNCTIONS(ENTRY)
#undef ENTRY
};

static bool
load(void)
{
	void *handle = dlopen(ARCHIVE_LIB_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL)
		return false;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *p = dlsym(handle, functions[i].name);

		if (p == NULL) {
			(void)dlclose(handle);
			return false;
		}
		/* POSIX has it that a pointer to a function fits. */
		memcpy((char *)&lib + functions[i].offset, &p, sizeof(p));
	}
	return true;
}

int
archive_lib_get(const struct archive_lib **ret_lib)
{
	if (!is_loaded)
		is_loaded = load();
	if (!is_loaded)
		return -ELIBACC;
	*ret_lib = &lib;
	return 0;
}
