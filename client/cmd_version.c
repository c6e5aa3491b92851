/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_version.h"

int
cmd_version(const struct cli_call *call)
{
	json_t *o;
	int code;

	if (!call->out->json)
		return cli_out_payload("v" DERPTUND_VERSION);
	o = json_pack("{s:s,s:s}", "program", call->program->name, "version",
	    DERPTUND_VERSION);
	code = cli_out_result(o);
	json_decref(o);
	return code;
}
