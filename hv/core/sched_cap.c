/* SPDX-License-Identifier: MIT */
/*
 * Caps and the scheduler's parameters. A domain capped at c % owns a bucket that
 * fills at c % of real time and holds CAP_BURST's worth. It is kept as one number,
 * cap_used: the time up to which the allowance is spent. Running for n ns moves it
 * on by n * 100 / c; ahead of the clock means: nothing left. So CPUs that run vCPUs
 * of one domain at once share it with a compare-and-swap and no lock, a vCPU that
 * overran pays later, and the rate over time is exact.
 */
#include "sched_private.h"
#include "arch.h"
#include <xen/sysctl.h>

#define CAP_BURST   MS(10)
#define CAP_QUANTUM US(200)     /* shortest time between two looks at the bucket */
#define CAP_NO_CHANGE 0xffff

void cap_charge(struct domain *d, s_time_t ran, s_time_t t)
{
    u32 cap = READ_ONCE(d->cap);

    if (likely(cap == 0))
        return;
    s_time_t full = t - ran - CAP_BURST;    /* no more than a burst can have been saved */
    s_time_t base, old = __atomic_load_n(&d->cap_used, __ATOMIC_RELAXED);
    do {
        base = MAX(old, full);
    } while (!cas(&d->cap_used, &old, base + ran * 100 / (s_time_t)cap));
}

s_time_t cap_slice(const struct domain *d, s_time_t t)
{
    s_time_t saved = t - __atomic_load_n(&d->cap_used, __ATOMIC_RELAXED);

    return MAX(MIN(saved, CAP_BURST) * (s_time_t)READ_ONCE(d->cap) / 100, CAP_QUANTUM);
}

void cap_park(struct vcpu *v)
{
    s_time_t spent = __atomic_load_n(&v->domain->cap_used, __ATOMIC_RELAXED);

    v->sched.parked = true;
    timer_set(&v->domain->cap_timer, spent + CAP_BURST);
}

void cap_unpark(void *data)
{
    struct domain *d = data;

    for_each_vcpu (d, v) {
        struct runq *q = runq_lock(v);

        v->sched.parked = false;
        runq_unlock(q);
        vcpu_wake(v);
    }
}

long sched_adjust_domain(struct domain *d, struct xen_domctl_scheduler_op *op)
{
    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    if (op->cmd == XEN_DOMCTL_SCHEDOP_getinfo) {
        op->u.credit2.weight = (u16)d->weight;
        op->u.credit2.cap = (u16)d->cap;
        return 0;
    }
    if (op->cmd != XEN_DOMCTL_SCHEDOP_putinfo)
        return -EINVAL;
    for_each_vcpu (d, v)
        sched_charge(v);
    if (op->u.credit2.weight != 0)
        WRITE_ONCE(d->weight, op->u.credit2.weight);
    if (op->u.credit2.cap != CAP_NO_CHANGE && op->u.credit2.cap != d->cap) {
        /* Old debts are forgiven: the new rate holds from now on. */
        __atomic_store_n(&d->cap_used, now(), __ATOMIC_RELAXED);
        WRITE_ONCE(d->cap, op->u.credit2.cap);
        cap_unpark(d);
        for_each_vcpu (d, v) {          /* a CPU with one vCPU has no timer set: it must now */
            if (READ_ONCE(v->is_running))
                softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_SCHED);
        }
    }
    return 0;
}

long sched_adjust_global(struct xen_sysctl_scheduler_op *op)
{
    u32 us = op->u.sched_credit2.ratelimit_us;

    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    if (op->cpupool_id != 0)
        return -ESRCH;
    if (op->cmd == XEN_SYSCTL_SCHEDOP_getinfo) {
        op->u.sched_credit2.ratelimit_us = sched_ratelimit_us;
        return 0;
    }
    if (op->cmd != XEN_SYSCTL_SCHEDOP_putinfo ||
        (us != 0 && (us < XEN_SYSCTL_SCHED_RATELIMIT_MIN || us > XEN_SYSCTL_SCHED_RATELIMIT_MAX))) {
        return -EINVAL;
    }
    WRITE_ONCE(sched_ratelimit_us, us);
    return 0;
}
