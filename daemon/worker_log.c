/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_log.h"

#include "lib/log.h"
#include "proto/ipc/ipc_body.h"

int
worker_log(const char *topic, uint32_t id, struct buf_reader *body)
{
	struct ipc_log line;
	int r = ipc_get_log(body, &line);
	enum log_level level = LOG_LEVEL_INFO;

	if (r < 0)
		return r;
	if (line.level == LOG_LEVEL_ERR)
		level = LOG_LEVEL_ERR;
	else if (line.level == LOG_LEVEL_WARN)
		level = LOG_LEVEL_WARN;
	else if (line.level == LOG_LEVEL_DEBUG)
		level = LOG_LEVEL_DEBUG;
	log_write(level, topic, "session=%u %s", id, line.line);
	return 0;
}
