/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU timers (core/timer.c). A timer's function runs from SOFTIRQ_TIMER on
 * the timer's CPU with no lock held.
 */
#pragma once

#include "types.h"

struct timer {
    s_time_t expires;
    struct timer *left, *right, **back; /* in the CPU's skew heap; back: the pointer that
                                   points here, NULL: not armed */
    void (*fn)(void *data);
    void *data;
    u32 cpu;                    /* whose heap, and where it runs; guarded by that heap's lock */
    u32 running;                /* atomic: calls of fn in progress */
};

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu);
/* (Re)arms; a time in the past fires at once. Any CPU may call. */
void timer_set(struct timer *t, s_time_t expires);
/* Not armed when it returns; its function may still be running on another CPU. */
void timer_stop(struct timer *t);
/* As timer_stop, and waits until the function has ended; not from the function. */
void timer_kill(struct timer *t);
/* Is it armed? A hint only, unless the caller knows that nobody sets or stops it. */
static inline bool timer_armed(const struct timer *t) { return READ_ONCE(t->back) != NULL; }
/* As timer_set, and the timer is moved to this CPU. */
void timer_set_here(struct timer *t, s_time_t expires);
void timers_init(void);         /* once, on the boot CPU, after cpus[] is known */
