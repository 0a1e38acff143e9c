/* SPDX-License-Identifier: MIT */
/*
 * The hypercall vcpu_op: what a domain does with its own vCPUs. A vCPU's `context_busy`
 * (atomic) makes its initialisation one at a time without a lock, for that may be
 * long; other fields are single words that only this domain changes.
 */
#include "arch.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "sched.h"

#define PERIOD_MIN 1000000      /* ns */

static long initialise(struct vcpu *v, struct vcpu *target, u64 addr)
{
    if (READ_ONCE(target->initialised))
        return -EEXIST;
    struct vcpu_guest_context *c = xzalloc_type(struct vcpu_guest_context);
    if (c == NULL)
        return -ENOMEM;
    long rc = arg_read(v, c, addr) ? -EFAULT : 0;
    if (rc == 0 && __atomic_exchange_n(&target->context_busy, true, __ATOMIC_ACQUIRE)) {
        rc = -ERESTART;         /* another vCPU is at it; see what comes of that */
    } else if (rc == 0) {
        rc = target->initialised ? -EEXIST : target->domain->ops->set_context(target, c);
        if (rc == 0)
            __atomic_store_n(&target->initialised, true, __ATOMIC_RELEASE);
        __atomic_store_n(&target->context_busy, false, __ATOMIC_RELEASE);
    }
    xfree(c);
    if (rc == -ERESTART)
        hypercall_preempt(v);   /* interrupts get in before the next try */
    return rc;
}

static long up(struct vcpu *v UNUSED, struct vcpu *target, u64 addr UNUSED)
{
    if (!__atomic_load_n(&target->initialised, __ATOMIC_ACQUIRE))
        return -EINVAL;
    if (__atomic_fetch_and(&target->pause_flags, ~VPF_DOWN, __ATOMIC_SEQ_CST) & VPF_DOWN)
        vcpu_wake(target);
    return 0;
}

static long down(struct vcpu *v UNUSED, struct vcpu *target, u64 addr UNUSED)
{
    if (!(__atomic_fetch_or(&target->pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST) & VPF_DOWN))
        vcpu_sleep_nosync(target);
    return 0;
}

static long is_up(struct vcpu *v UNUSED, struct vcpu *target, u64 addr UNUSED)
{
    return !(READ_ONCE(target->pause_flags) & VPF_DOWN);
}

static long send_nmi(struct vcpu *v UNUSED, struct vcpu *target, u64 addr UNUSED)
{
    vcpu_send_nmi(target);
    return 0;
}

static long get_runstate_info(struct vcpu *v, struct vcpu *target, u64 addr)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(target, &r);
    r.time[r.state] += (u64)MAX(now() - (s_time_t)r.state_entry_time, 0);
    return arg_write(v, addr, &r);
}

/* The caller names a place for a record: a structure of one address. The record is
 * written at once, so that a bad address shows here; the caller's address space is the
 * domain's. */
static long register_place(struct vcpu *v, u64 addr, u64 *place, const void *record, size_t size)
{
    u64 va;

    if (arg_read(v, &va, addr) || guest_write(v, va, record, size))
        return -EFAULT;
    WRITE_ONCE(*place, va);
    return 0;
}

static long register_runstate_memory_area(struct vcpu *v, struct vcpu *target, u64 addr)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(target, &r);
    return register_place(v, addr, &target->runstate_guest, &r, sizeof(r));
}

static long register_vcpu_time_memory_area(struct vcpu *v, struct vcpu *target, u64 addr)
{
    struct vcpu_time_info t = *(volatile struct vcpu_time_info *)&target->info->time;

    return register_place(v, addr, &target->time_guest, &t, sizeof(t));
}

static long set_periodic_timer(struct vcpu *v, struct vcpu *target, u64 addr)
{
    struct vcpu_set_periodic_timer s;

    if (arg_read(v, &s, addr))
        return -EFAULT;
    if (s.period_ns < PERIOD_MIN || s.period_ns > (u64)INT64_MAX / 2)
        return -EINVAL;
    vcpu_periodic_set(target, (s_time_t)s.period_ns);
    return 0;
}

static long stop_periodic_timer(struct vcpu *v UNUSED, struct vcpu *target, u64 addr UNUSED)
{
    vcpu_periodic_set(target, 0);
    return 0;
}

static long set_singleshot_timer(struct vcpu *v, struct vcpu *target, u64 addr)
{
    struct vcpu_set_singleshot_timer s;

    if (v != target)
        return -EINVAL;
    if (arg_read(v, &s, addr))
        return -EFAULT;
    if (s.flags & VCPU_SSHOTTMR_future && s.timeout_abs_ns < (u64)now())
        return -ETIME;
    vcpu_singleshot_set(v, MAX(s.timeout_abs_ns, 1UL));
    return 0;
}

static long stop_singleshot_timer(struct vcpu *v, struct vcpu *target, u64 addr UNUSED)
{
    if (v != target)
        return -EINVAL;
    timer_stop(&v->singleshot);
    return 0;
}

static long register_vcpu_info(struct vcpu *v, struct vcpu *target, u64 addr)
{
    struct vcpu_register_vcpu_info r;

    return arg_read(v, &r, addr) ? -EFAULT : vcpu_register_info(target, r.mfn, r.offset);
}

static long get_physid(struct vcpu *v, struct vcpu *target, u64 addr)
{
    u64 mask = target->hard_affinity.bits;

    if (!domain_has(v->domain, RIGHT_HARDWARE) || (mask & (mask - 1)) || ffs64(mask) >= nr_cpus)
        return -EINVAL;
    struct vcpu_get_physid p = { cpus[ffs64(mask)].apic_id | (u64)ffs64(mask) << 32 };
    return arg_write(v, addr, &p);
}

long do_vcpu_op(struct vcpu *v, unsigned long *a)
{
    struct vcpu *target = v;

    if (unlikely(a[1] != v->id))
        target = a[1] < MAX_VCPUS ? domain_vcpu(v->domain, (unsigned)a[1]) : NULL;
    if (target == NULL)
        return -ENOENT;
    switch (a[0]) {
#define OP(nr, name, rights, note) case nr: return name(v, target, a[2]);
#include "ops/vcpu_op.h"
    default:
        return -ENOSYS;
    }
}
