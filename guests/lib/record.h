/* SPDX-License-Identifier: MIT */
/* The record of what calls returned: record.c. Tests need nothing of it but record_result. */
#ifndef RECORD_H
#define RECORD_H

#include "domu.h"

/* A call that does not return, or returns elsewhere, was seen to do what it should. op -1: it
 * has no sub-calls. */
void record_result(unsigned nr, s64 op, long rc);

void record_clear(void);
void record_print(void);                /* and clears */
void record_merge(struct domu *d);      /* what was seen in a domU, stopped */

#endif
