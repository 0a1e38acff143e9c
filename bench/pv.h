/* SPDX-License-Identifier: MIT */
/* What the measuring guest's files share. */
#ifndef BENCH_PV_H
#define BENCH_PV_H

#include "tiny.h"
#include <xen/sysctl.h>
#include "bench.h"

/* Event handlers of a few instructions, so that little of a figure is the guest's own; vCPU 0's
 * and vCPU 1's. Ports below 64 only. They count their calls. */
extern char lean_event[], lean_event1[];
extern volatile u32 lean_events, lean_events1;
extern const struct trap_info trap_entries[];

u64 free_pages(void);

#endif
