/* SPDX-License-Identifier: MIT */
/*
 * The timers of a vCPU (one-shot, periodic, the time limit of a poll) and those of
 * its domain, which live and die with its vCPU 0. The one-shot and poll timers are
 * set by their vCPU alone, on the CPU where it runs; their functions may run on
 * another CPU at the same time, and each can stand a call too many.
 */
#include "arch.h"
#include "evtchn.h"
#include "sched_private.h"

static void singleshot_fn(void *data) { virq_to_vcpu(data, VIRQ_TIMER); }
/* Perhaps of a later sleep: guests look again when they wake. */
static void poll_fn(void *data) { vcpu_unblock(data); }

static void periodic_fn(void *data)
{
    struct vcpu *v = data;
    s_time_t period = READ_ONCE(v->period), t = now(), next = v->periodic.expires + period;

    if (period == 0)
        return;
    timer_set(&v->periodic, next > t ? next : t + period);  /* ticks that were missed are lost */
    virq_to_vcpu(v, VIRQ_TIMER);
}

static void watchdog_fn(void *data)
{
    struct domain *d = data;

    printk(LOG_WARN, "d%u: watchdog has run out\n", d->id);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

void vcpu_singleshot_set(struct vcpu *v, u64 expires)
{
    if (expires == 0)
        timer_stop(&v->singleshot);
    else
        timer_set_here(&v->singleshot, (s_time_t)MIN(expires, (u64)INT64_MAX));
}

void vcpu_periodic_set(struct vcpu *v, s_time_t period)
{
    WRITE_ONCE(v->period, period);
    if (period == 0)
        timer_stop(&v->periodic);
    else
        timer_set(&v->periodic, now() + period);
}

void vcpu_timers_init(struct vcpu *v)
{
    struct domain *d = v->domain;

    timer_init(&v->singleshot, singleshot_fn, v, v->cpu);
    timer_init(&v->periodic, periodic_fn, v, v->cpu);
    timer_init(&v->poll, poll_fn, v, v->cpu);
    if (v->id != 0)
        return;
    timer_init(&d->cap_timer, cap_unpark, d, v->cpu);
    for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        timer_init(&d->watchdog[i], watchdog_fn, d, v->cpu);
}

void vcpu_timers_destroy(struct vcpu *v)
{
    struct domain *d = v->domain;

    v->period = 0;
    timer_kill(&v->singleshot);
    timer_kill(&v->periodic);
    timer_kill(&v->poll);
    if (v->id != 0)
        return;
    timer_kill(&d->cap_timer);
    for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        timer_kill(&d->watchdog[i]);
}
