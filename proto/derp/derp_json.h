/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON members as Go's encoding/json reads them into typed fields: names
 * without regard to ASCII case, null leaves the field as it is, numbers with a
 * point or exponent are no integers.  Private to proto/derp.
 */
#ifndef PROTO_DERP_JSON_H
#define PROTO_DERP_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** derp_json_is_name(): same name but for ASCII case? */
bool derp_json_is_name(const char *got, const char *want);

/* Each returns 0, or -DT_ERR_SYNTAX when @value has another type.  The string
 * borrows @value. */
int derp_json_get_int(const json_t *value, int64_t *ret_n);
int derp_json_get_real(const json_t *value, double *ret_x);
int derp_json_get_bool(const json_t *value, bool *ret_b);
int derp_json_get_string(const json_t *value, const char **ret_s);

#endif
