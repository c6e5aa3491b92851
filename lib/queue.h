/* SPDX-License-Identifier: BSD-3-Clause */
/* BSD lists, plus the removal-safe loops that glibc's header lacks. */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include <sys/queue.h>

#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, next)                              \
	for ((var) = LIST_FIRST(head);                                         \
	     (var) && ((next) = LIST_NEXT(var, field), 1); (var) = (next))
#endif
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next)                             \
	for ((var) = TAILQ_FIRST(head);                                        \
	     (var) && ((next) = TAILQ_NEXT(var, field), 1); (var) = (next))
#endif

#endif
