/* SPDX-License-Identifier: MIT */
/* Debug keys: on the serial line (Ctrl-a three times) and by `xl debug-keys`. */
#pragma once

#include "types.h"

/* Queues n keys, which a timer works through in pieces; an unknown one gets a line in the log.
 * Any context, locks below LOCK_TIMER. *ticket is for keyhandler_done. False: no room now. */
bool keyhandler_queue(const char *keys, u32 n, u32 *ticket);
/* Is everything done that was queued up to then? */
bool keyhandler_done(u32 ticket);
