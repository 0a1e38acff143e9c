/* SPDX-License-Identifier: MIT */
/* Debug keys: on the serial line (Ctrl-a three times) and by `xl debug-keys`. */
#ifndef BH_KEYHANDLER_H
#define BH_KEYHANDLER_H

#include "types.h"

/* Unknown keys get a line in the log. No lock held. */
void keyhandler_run(char c);

#endif
