/* SPDX-License-Identifier: MIT */
/*
 * The scheduler (core/sched.c) and the calls on vCPUs that sleep or wake.
 */
#pragma once

#include "domain.h"

void sched_init(void);                      /* boot CPU, after timers_init and domains_init */
void sched_cpu_init(unsigned cpu);          /* a CPU comes up with its idle vCPU */
void sched_vcpu_init(struct vcpu *v);
void sched_vcpu_destroy(struct vcpu *v);    /* v does not run */
/* Clears nothing by itself: puts v on a run queue if it has become runnable. */
void vcpu_wake(struct vcpu *v);
/* v must leave its CPU because it is no longer runnable; sync waits for it and lets
 * interrupts in meanwhile: no lock held but control_lock. */
void vcpu_sleep_nosync(struct vcpu *v);
void vcpu_sleep_sync(struct vcpu *v);
/* Clears VPF_BLOCKED and wakes: an event came, and was made visible to v by an atomic
 * (fully ordered) operation. Cheap when it was not blocked. */
static inline void vcpu_unblock(struct vcpu *v)
{
    /* vcpu_block sets the bit by an atomic operation too, then looks. */
    if (READ_ONCE(v->pause_flags) & VPF_BLOCKED) {
        __atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED, __ATOMIC_SEQ_CST);
        vcpu_wake(v);
    }
}
/* sched_op block for the current vCPU: returns at once if an event is pending. */
void vcpu_block(struct vcpu *v);
void vcpu_yield(struct vcpu *v);
/* hard must include an online CPU: else -EINVAL. */
int vcpu_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft);
static inline bool vcpu_runnable(const struct vcpu *v)
{
    return !(READ_ONCE(v->pause_flags) | READ_ONCE(v->pause_count) |
             READ_ONCE(v->domain->pause_count));
}
/* CPU time used by v so far, ns; *out (may be NULL): its account as of its last change. */
u64 vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out);
/* Writes the runstate record to the place that v (current) has registered. */
void vcpu_runstate_to_guest(struct vcpu *v);
/* XEN_DOMCTL_scheduler_op / XEN_SYSCTL_scheduler_op / SCHED_ID for credit2. 0 or -errno. */
long sched_adjust_domain(struct domain *d, struct xen_domctl_scheduler_op *op);
struct xen_sysctl_scheduler_op;
long sched_adjust_global(struct xen_sysctl_scheduler_op *op);
/* Timers of a vCPU and, with its vCPU 0, of a domain (core/vcpu_timer.c). Destroy: v does
 * not run any more; waits for timer functions in progress; may be called twice. */
void vcpu_timers_init(struct vcpu *v);
void vcpu_timers_destroy(struct vcpu *v);
/* Arms (absolute ns, past: at once) or stops (0) the one-shot timer of the current vCPU. */
void vcpu_singleshot_set(struct vcpu *v, u64 expires);
/* period in ns, 0: off. */
void vcpu_periodic_set(struct vcpu *v, s_time_t period);
/* SCHEDOP_poll's other half, for whoever makes a port of d pending, after the pending
 * bit was set (by an atomic operation), masked or not: wakes the vCPUs that poll on it. */
void sched_poll_wake(struct domain *d, u32 port);
static inline void vcpus_poll_wake(struct domain *d, u32 port)
{
    if (unlikely(READ_ONCE(d->poll_mask[0]) | READ_ONCE(d->poll_mask[1])))
        sched_poll_wake(d, port);
}
/* SCHEDOP_pin_override: cpu < 0 ends it. 0, -EINVAL, -EBUSY. */
int vcpu_pin_override(struct vcpu *v, int cpu);
u64 cpu_idle_ns(unsigned cpu);              /* for getcpuinfo */
u64 sched_dump(u64 cpu);                     /* debug key 'r' */
