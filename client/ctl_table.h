/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON objects as lines and columns for people. */
#ifndef CLIENT_CTL_TABLE_H
#define CLIENT_CTL_TABLE_H

#include <jansson.h>

/** ctl_table_print(): one row per object of @list on stdout; @columns is
 * NULL-terminated and names members.  Returns an exit code. */
int ctl_table_print(const json_t *list, const char *const *columns);

/** ctl_table_fields(): "name: value" per scalar member of @object on stdout. */
int ctl_table_fields(json_t *object);

/** ctl_table_finish(): flush stdout; a failure is said.  Returns an exit code;
 * the others end with it. */
int ctl_table_finish(void);

/** ctl_table_line(): "name=value ..." of all members, for events. */
int ctl_table_line(json_t *object);

#endif
