/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the peer away from its relay, and for good?  The relay is asked now and
 * then (derp_frame_write_asking()); it says when nobody is there and nothing
 * otherwise.  One that reconnects, or that the relays of a region are just
 * telling each other of, is away for a moment; only a "no" to every question
 * for a while counts.  Pure.
 */
#ifndef DAEMON_ABSENCE_H
#define DAEMON_ABSENCE_H

#include <stdbool.h>

#include "lib/mono.h"

/* Between questions.  Tailscale's relay answers one a second and a burst of
 * three, and stays silent above that. */
#define ABSENCE_ASK_US (2 * MONO_SEC)
/* Away for so long, five questions: for good.  A listener of ours tries to get
 * back every second, and every five in the end, relays of a region hear of each
 * other again after 5 s. */
#define ABSENCE_SURE_US (7 * MONO_SEC)

/* Owner: whoever asks. */
struct absence {
	struct mono since; /* the first "no" in a row; MONO_NEVER: none */
	struct mono last;  /* and the last */
	bool is_denied;    /* the last question was answered with "no" */
};

/** absence_init(): nothing is known, or not any more. */
void absence_init(struct absence *a);
/** absence_ask(): a question goes out; had the last one no answer, the peer may
 * be there. */
void absence_ask(struct absence *a);
/** absence_denied(): the relay says that nobody is there. */
void absence_denied(struct absence *a, struct mono now);
/** absence_is_sure(): from the first to the last "no" it was ABSENCE_SURE_US.
 */
bool absence_is_sure(const struct absence *a);

#endif
