/* SPDX-License-Identifier: MIT */
/* Debug keys: on the serial line (Ctrl-a three times) and by `xl debug-keys`. */
#ifndef BH_KEYHANDLER_H
#define BH_KEYHANDLER_H

#include "types.h"

void keyhandler_init(void);
/* Start-up only; c is a printable ASCII character that is not taken yet. fn runs
 * on any CPU with no lock held; what it prints is shown at every level. */
void keyhandler_register(char c, void (*fn)(void), const char *help);
/* Unknown keys get a line in the log. No lock held. */
void keyhandler_run(char c);

#endif
