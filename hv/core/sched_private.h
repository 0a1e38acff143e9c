/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler's own files share: core/sched.c, sched_cap.c, runstate.c,
 * vcpu_timer.c. Nobody else includes this.
 */
#pragma once

#include "sched.h"

#define US(n) ((s_time_t)(n) * 1000)
#define MS(n) ((s_time_t)(n) * 1000000)

#define WEIGHT_DEFAULT 256
/* Virtual time: a vCPU of weight w that ran for n ns gets n * 4096 / w older. */
#define VTIME_SCALE 4096
/* How much older a vCPU of the default weight gets in ns of running. */
#define VT(ns) ((s64)(ns) * (VTIME_SCALE / WEIGHT_DEFAULT))

/* A CPU's run queue. */
struct runq {
    spinlock_t lock;            /* LOCK_SCHED; guards sched, runstate of vCPUs with this `cpu` too */
    u32 cpu;
    u32 nr;                     /* vCPUs in `queue` */
    struct list queue;          /* runnable and waiting, the youngest first */
    struct vcpu *curr;          /* whom the CPU runs, or is about to switch to */
    struct vcpu *leaving;       /* still looked at by this CPU's switch: must not be freed */
    s64 min;                    /* virtual time that all here have reached; never goes back */
    s_time_t next_balance;
    struct timer timer;         /* makes the CPU schedule; set under `lock` */
} ALIGNED(64);

extern struct runq runqs[NR_CPUS];
extern u32 sched_ratelimit_us;

/* Runs body for each vCPU that waits in q (locked), as v; to take v out, leave the loop. */
// NOLINTBEGIN(bugprone-macro-parentheses): v is declared
#define for_each_waiting(v, q)                                                          \
    for (struct vcpu *v = list_entry((q)->queue.next, struct vcpu, sched.queue);        \
         &v->sched.queue != &(q)->queue;                                                \
         v = list_entry(v->sched.queue.next, struct vcpu, sched.queue))
// NOLINTEND(bugprone-macro-parentheses)

/* Locks the queue that guards v. */
struct runq *runq_lock(struct vcpu *v);
static inline void runq_unlock(struct runq *q) { spin_unlock(&q->lock); }
/* Accounts for the time up to now if v runs: before its weight or cap changes. */
void sched_charge(struct vcpu *v);

/* v enters a state (RUNSTATE_*) at time t; its queue's lock is held. */
static inline void runstate_change(struct vcpu *v, int state, s_time_t t)
{
    struct vcpu_runstate_info *r = &v->runstate;

    r->time[r->state] += (u64)MAX(t - (s_time_t)r->state_entry_time, 0);
    /* Clocks of two CPUs may differ a little. */
    r->state_entry_time = MAX((u64)t, r->state_entry_time);
    r->state = state;
}

/* --- core/sched_cap.c --- */
void cap_charge(struct domain *d, s_time_t ran, s_time_t t);
/* Is the cap used up at t? */
static inline bool cap_exhausted(const struct domain *d, s_time_t t)
{
    return unlikely(READ_ONCE(d->cap) != 0) &&
           __atomic_load_n(&d->cap_used, __ATOMIC_RELAXED) > t;
}
/* How long a vCPU of d may run from t before the cap has to be looked at again. */
s_time_t cap_slice(const struct domain *d, s_time_t t);
/* v waits, in no queue, until its domain has time again; its queue's lock is held. */
void cap_park(struct vcpu *v);
void cap_unpark(void *d);       /* timer function: wakes all parked vCPUs of d */
