/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/qr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"
#include "proto/token/token_session.h"

#ifdef HAVE_QRENCODE
#include <qrencode.h>

/* Light modules around it; two do for every camera. */
#define QUIET 2
/* The largest symbol of the standard has 177 modules a side; a block has three
 * octets. */
#define MAX_LINE ((177 + 2 * QUIET) * 3 + 1)

static bool
is_light(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return true;
	return (code->data[y * code->width + x] & 1) == 0;
}

/* Two rows of modules for each line; light ones are drawn, as terminals are
 * dark. */
static void
print_rows(const struct cli_out *out, const QRcode *code, int y)
{
	static const char *const blocks[] = { " ", "\xe2\x96\x84",
		"\xe2\x96\x80", "\xe2\x96\x88" };
	char line[MAX_LINE];
	size_t len = 0;

	for (int x = -QUIET; x < code->width + QUIET; x++) {
		const char *b =
		    blocks[2 * is_light(code, x, y) + is_light(code, x, y + 1)];
		size_t n = strlen(b);

		memcpy(line + len, b, n);
		len += n;
	}
	line[len] = '\0';
	cli_out_note(out, "%s", line);
	secret_wipe(line, sizeof(line));
}

static int
print(const struct cli_out *out, const char *text)
{
	QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);

	if (code == NULL)
		return -errno;
	cli_out_note(out, "Scan this QR code with the Derphole iOS app:");
	for (int y = -QUIET; y < code->width + QUIET; y += 2)
		print_rows(out, code, y);
	QRcode_free(code);
	return 0;
}

static const char *
draw(const struct cli_out *out, const char *text)
{
	int r = print(out, text);

	return r < 0 ? strerror(-r) : NULL;
}
#else
static const char *
draw(const struct cli_out *out, const char *text)
{
	(void)out;
	(void)text;
	return "built without libqrencode";
}
#endif

void
qr_print_token(const struct cli_out *out, const char *token)
{
	char text[TOKEN_SESSION_MAX_TEXT + 64];
	const char *why;

	(void)snprintf(
	    text, sizeof(text), "derphole://file?token=%s&v=1", token);
	why = draw(out, text);
	secret_wipe(text, sizeof(text));
	if (why == NULL)
		return;
	cli_out_note(out, "Could not render QR payload: %s", why);
	cli_out_note(out, "On the other machine, run:");
	cli_out_note(out, "npx -y derphole@latest receive %s", token);
}
