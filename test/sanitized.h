/* SPDX-License-Identifier: BSD-3-Clause */
/* Is this a build with AddressSanitizer?  Its environment variables do not
 * tell: Meson sets them for every test. */
#ifndef TEST_SANITIZED_H
#define TEST_SANITIZED_H

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#endif
