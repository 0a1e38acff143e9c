/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls sched_op and set_timer_op: what a vCPU asks of the scheduler for
 * itself, and shutdowns. The domain's watchdog slots are guarded by its lock; the
 * rest has no state beyond the vCPU's own.
 */
#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "sched.h"

#define POLL_PORTS_MAX 128

/* --- poll --- */

void sched_poll_wake(struct domain *d, u32 port)
{
    for_each_vcpu (d, v) {
        if (!test_bit(v->id, d->poll_mask))
            continue;
        u32 only = READ_ONCE(v->poll_port);
        if ((only == 0 || only == port) && test_and_clear_bit(v->id, d->poll_mask))
            vcpu_unblock(v);
    }
}

static long poll(struct vcpu *v, u64 addr)
{
    evtchn_port_t ports[POLL_PORTS_MAX];
    struct sched_poll p;
    int rc = 0;

    if (arg_read(v, &p, addr))
        return -EFAULT;
    if (p.nr_ports > POLL_PORTS_MAX)
        return -EINVAL;
    if (p.nr_ports != 0 && copy_from_handle(v, ports, p.ports, 0, p.nr_ports))
        return -EFAULT;
    timer_stop(&v->poll);
    /* The other side of a race makes a port pending, then asks for pollers; this one
     * says that it polls, then asks for pending ports. Blocked comes first: a waker that
     * clears our bit afterwards also finds us blocked. */
    WRITE_ONCE(v->poll_port, p.nr_ports == 1 ? ports[0] : 0);
    __atomic_fetch_or(&v->pause_flags, VPF_BLOCKED, __ATOMIC_SEQ_CST);
    set_bit(v->id, v->domain->poll_mask);
    for (unsigned i = 0; i < p.nr_ports && rc == 0; i++)
        rc = evtchn_is_pending(v->domain, ports[i]);
    if (rc != 0 || vcpu_upcall_waiting(v)) {
        clear_bit(v->id, v->domain->poll_mask);
        __atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED, __ATOMIC_SEQ_CST);
        return rc < 0 ? rc : 0;
    }
    if (p.timeout != 0)
        timer_set_here(&v->poll, (s_time_t)MIN(p.timeout, (u64)INT64_MAX));
    softirq_raise(SOFTIRQ_SCHED);
    return 0;
}

/* --- shutdown --- */

static long shutdown(struct vcpu *v, unsigned long cmd, u64 addr)
{
    struct sched_shutdown s;

    if (arg_read(v, &s, addr))
        return -EFAULT;
    if (cmd == SCHEDOP_shutdown)
        domain_shutdown(v->domain, (u8)s.reason);
    else if (s.reason <= SHUTDOWN_MAX)
        WRITE_ONCE(v->domain->shutdown_latched, (u8)(s.reason + 1));
    else
        return -EINVAL;
    return 0;
}

static long remote_shutdown(struct vcpu *v, u64 addr)
{
    struct sched_remote_shutdown s;

    if (arg_read(v, &s, addr))
        return -EFAULT;
    if (s.domain_id == v->domain->id ||
        (!domain_has(v->domain, RIGHT_CONTROL) && v->domain->target != s.domain_id)) {
        return -EPERM;
    }
    struct domain *d = domain_get(s.domain_id);
    if (d == NULL)
        return -ESRCH;
    domain_shutdown(d, (u8)s.reason);
    domain_put(d);
    return 0;
}

/* --- watchdog: ids 1 .. slots; timeouts in seconds --- */

static long watchdog(struct vcpu *v, u64 addr)
{
    struct domain *d = v->domain;
    struct sched_watchdog w;
    long rc = 0;

    if (arg_read(v, &w, addr))
        return -EFAULT;
    if (w.id > ARRAY_SIZE(d->watchdog) || (w.id == 0 && w.timeout == 0))
        return -EINVAL;
    with_lock (&d->lock) {
        unsigned i = w.id == 0 ? ffs64(~(u64)d->watchdog_used) : w.id - 1;
        if (i >= ARRAY_SIZE(d->watchdog))
            return -ENOSPC;
        i = (unsigned)index_nospec(i, ARRAY_SIZE(d->watchdog));
        if (w.id != 0 && !((d->watchdog_used >> i) & 1))
            return -EINVAL;
        if (w.timeout != 0) {
            d->watchdog_used |= (u8)(1u << i);
            timer_set(&d->watchdog[i], now() + (s_time_t)w.timeout * 1000000000);
        } else {
            d->watchdog_used &= (u8)~(1u << i);
            timer_stop(&d->watchdog[i]);
        }
        rc = w.id == 0 ? i + 1 : 0;
    }
    return rc;
}

static long pin_override(struct vcpu *v, u64 addr)
{
    struct sched_pin_override p;

    if (!domain_has(v->domain, RIGHT_HARDWARE))
        return -EPERM;
    return arg_read(v, &p, addr) ? -EFAULT : vcpu_pin_override(v, p.pcpu);
}

/* --- the two calls --- */

long do_sched_op(struct vcpu *v, unsigned long *a)
{
    switch (a[0]) {
    case SCHEDOP_yield:
        vcpu_yield(v);
        return 0;
    case SCHEDOP_block:
        WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
        vcpu_block(v);
        return 0;
    case SCHEDOP_shutdown:
    case SCHEDOP_shutdown_code:
        return shutdown(v, a[0], a[1]);
    case SCHEDOP_poll:
        return poll(v, a[1]);
    case SCHEDOP_remote_shutdown:
        return remote_shutdown(v, a[1]);
    case SCHEDOP_watchdog:
        return watchdog(v, a[1]);
    case SCHEDOP_pin_override:
        return pin_override(v, a[1]);
    default:
        return -ENOSYS;
    }
}

/* Absolute system time in ns; 0 stops the timer. */
long do_set_timer_op(struct vcpu *v, unsigned long *a)
{
    vcpu_singleshot_set(v, a[0]);
    return 0;
}
