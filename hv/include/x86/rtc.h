/* SPDX-License-Identifier: MIT */
/* The RTC's two ports: an index and a data port, so one at a time. */
#ifndef BH_X86_RTC_H
#define BH_X86_RTC_H

#include "spinlock.h"

extern spinlock_t rtc_lock;     /* LOCK_TIME: an access by ports 0x70 and 0x71 */
u8 rtc_read(u8 reg);            /* with rtc_lock, or before there are other CPUs */

#endif
