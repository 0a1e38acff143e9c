// SPDX-License-Identifier: MIT
/*
 * domctl: the control plane over single domains (xen/domctl.h).
 *
 * control_lock (LOCK_CONTROL) lets one domctl or sysctl in at a time and is only ever
 * tried, so a holder may wait for other CPUs. An operation that has more to do returns
 * -ERESTART with its progress in the operation's own structure; the lock is let go,
 * interrupts are let in, and it goes on here or after the guest has repeated the call.
 */
#include "domctl.h"
#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "ranges.h"
#include "sched.h"

spinlock_t control_lock = SPINLOCK_INIT(LOCK_CONTROL);
static struct vcpu_guest_context context;   /* too large for the stack; control_lock */

/* --- helpers --- */

static bool on_itself(const struct domctl *c)
{
    return c->d == c->caller->domain;
}

/* Bits beyond 63 name no CPU or node that Bulkhead has: they are ignored. */
static int bitmap_read(struct vcpu *v, const struct xenctl_bitmap *b, u64 *bits)
{
    u32 n = MIN(b->nr_bits, 64u);
    *bits = 0;
    if (n && guest_read(v, bits, (u64)b->bitmap.p, (n + 7) / 8))
        return -EFAULT;
    *bits &= n < 64 ? (1UL << n) - 1 : ~0UL;
    return 0;
}

#define BITMAP_BITS_MAX 65536

int bitmap_write(struct vcpu *v, const struct xenctl_bitmap *b, u64 bits)
{
    if (b->nr_bits > BITMAP_BITS_MAX)
        return -EINVAL;
    u32 bytes = (b->nr_bits + 7) / 8;
    bits &= b->nr_bits < 64 ? (1UL << b->nr_bits) - 1 : ~0UL;
    for (u32 done = 0; done < bytes; done += 8) {
        if (guest_write(v, (u64)b->bitmap.p + done, &bits, MIN(bytes - done, 8u)))
            return -EFAULT;
        bits = 0;
    }
    return 0;
}

/* --- life --- */

long domctl_createdomain(struct domctl *c)
{
    const struct xen_domctl_createdomain *config = &c->op.u.createdomain;
    int err = 0;
    if (config->vmtrace_size || config->iommu_opts)
        return -EINVAL;
    const struct guest_ops *kind = arch_guest_kind(config, &err);
    if (!kind)
        return err;
    domid_t id = c->op.domain == 0 || c->op.domain >= DOMID_LIMIT ? DOMID_INVALID : c->op.domain;
    struct domain *d = domain_create(id, config, kind, RIGHT_NONE, &err);
    if (d)
        c->op.domain = d->id;
    return d ? 0 : err;
}

/* The rest is done without the lock: domain_kill. */
long domctl_destroydomain(struct domctl *c)
{
    if (on_itself(c) || c->d == dom0)
        return -EINVAL;
    domain_kill_start(c->d);
    return 0;
}

long domctl_pausedomain(struct domctl *c)
{
    return on_itself(c) ? -EINVAL : domain_controller_pause(c->d);
}

long domctl_unpausedomain(struct domctl *c)
{
    return domain_controller_unpause(c->d);
}

long domctl_resumedomain(struct domctl *c)
{
    if (on_itself(c))
        return -EINVAL;
    domain_resume(c->d);
    return 0;
}

long domctl_max_vcpus(struct domctl *c)
{
    struct domain *d = c->d;
    if (on_itself(c) || c->op.u.max_vcpus.max != d->max_vcpus || d->is_dying)
        return -EINVAL;
    unsigned i = 0, end = 0;
    while (i < d->max_vcpus && d->vcpu[i])
        i++;
    for (end = MIN(i + 16, d->max_vcpus); i < end; i++) {
        if (!vcpu_create(d, i))
            return -ENOMEM;
    }
    return end < d->max_vcpus ? -ERESTART : 0;
}

long domctl_getdomaininfo(struct domctl *c)
{
    struct domain *d = domain_get_from(c->op.domain);
    if (!d)
        return -ESRCH;
    domain_info(d, &c->op.u.getdomaininfo);
    c->op.domain = d->id;
    domain_put(d);
    return 0;
}

long domctl_set_target(struct domctl *c)
{
    struct domain *d = c->d, *t = domain_get(c->op.u.set_target.target);
    if (!t)
        return -ESRCH;
    long err = t == d ? -EINVAL : d->target != DOMID_INVALID ? -EEXIST : 0;
    if (!err)
        d->target = t->id;
    domain_put(t);
    return err;
}

long domctl_setdomainhandle(struct domctl *c)
{
    memcpy(c->d->handle, c->op.u.setdomainhandle.handle, sizeof(c->d->handle));
    return 0;
}

long domctl_setdebugging(struct domctl *c)
{
    if (on_itself(c))
        return -EINVAL;
    c->d->debugger_attached = c->op.u.setdebugging.enable;
    return 0;
}

long domctl_set_virq_handler(struct domctl *c)
{
    return virq_set_handler(c->d, c->op.u.set_virq_handler.virq);
}

/* --- vCPUs --- */

#define AFFINITY_BOTH (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)

/* Tells those of the two sets that the call names. */
static int put_affinity(struct domctl *c, u64 hard, u64 soft)
{
    const struct xen_domctl_vcpuaffinity *a = &c->op.u.vcpuaffinity;
    int err = 0;
    if (a->flags & XEN_VCPUAFFINITY_HARD)
        err = bitmap_write(c->caller, &a->cpumap_hard, hard);
    if (!err && (a->flags & XEN_VCPUAFFINITY_SOFT))
        err = bitmap_write(c->caller, &a->cpumap_soft, soft);
    return err;
}

long domctl_setvcpuaffinity(struct domctl *c)
{
    const struct xen_domctl_vcpuaffinity *a = &c->op.u.vcpuaffinity;
    cpumask_t hard = c->v->hard_affinity, soft = c->v->soft_affinity;
    bool set_hard = a->flags & XEN_VCPUAFFINITY_HARD, set_soft = a->flags & XEN_VCPUAFFINITY_SOFT;
    if (!(a->flags & AFFINITY_BOTH) || (a->flags & ~(AFFINITY_BOTH | XEN_VCPUAFFINITY_FORCE)))
        return -EINVAL;
    if ((set_hard && bitmap_read(c->caller, &a->cpumap_hard, &hard.bits)) ||
        (set_soft && bitmap_read(c->caller, &a->cpumap_soft, &soft.bits))) {
        return -EFAULT;
    }
    if (set_soft && !soft.bits)
        return -EINVAL;
    int err = vcpu_set_affinity(c->v, set_hard ? &hard : NULL, set_soft ? &soft : NULL);
    hard.bits &= cpus_online.bits;
    return err ?: put_affinity(c, hard.bits, soft.bits & hard.bits);
}

long domctl_getvcpuaffinity(struct domctl *c)
{
    if (!(c->op.u.vcpuaffinity.flags & AFFINITY_BOTH))
        return -EINVAL;
    return put_affinity(c, c->v->hard_affinity.bits, c->v->soft_affinity.bits);
}

long domctl_getvcpuinfo(struct domctl *c)
{
    struct xen_domctl_getvcpuinfo *info = &c->op.u.getvcpuinfo;
    u32 why = READ_ONCE(c->v->pause_flags);
    info->online = !(why & VPF_DOWN);
    info->blocked = !!(why & VPF_BLOCKED);
    info->running = READ_ONCE(c->v->is_running);
    info->cpu_time = vcpu_runstate_get(c->v, NULL);
    info->cpu = c->v->cpu;
    return 0;
}

/* A null pointer makes the vCPU as new; VGCF_online decides whether it is up. */
long domctl_setvcpucontext(struct domctl *c)
{
    struct vcpu *v = c->v;
    bool reset = handle_null(c->op.u.vcpucontext.ctxt);
    if (on_itself(c) || c->d->is_dying)
        return -EINVAL;
    if (!reset && copy_from_handle(c->caller, &context, c->op.u.vcpucontext.ctxt, 0, 1))
        return -EFAULT;
    domain_pause(c->d);
    int err = reset ? 0 : c->d->ops->set_context(v, &context);
    if (reset)
        c->d->ops->vcpu_reset(v);
    if (!err) {
        v->initialised = !reset;
        if (!reset && (context.flags & VGCF_online)) {
            __atomic_fetch_and(&v->pause_flags, ~VPF_DOWN, __ATOMIC_SEQ_CST);
            vcpu_wake(v);
        } else {
            __atomic_fetch_or(&v->pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
        }
    }
    domain_unpause(c->d);
    return err;
}

long domctl_getvcpucontext(struct domctl *c)
{
    struct vcpu *v = c->v;
    if (v == c->caller)
        return -EINVAL;
    if (!v->initialised)
        return -ENODATA;
    memset(&context, 0, sizeof(context));
    vcpu_pause(v);
    v->domain->ops->get_context(v, &context);
    vcpu_unpause(v);
    if (!(READ_ONCE(v->pause_flags) & VPF_DOWN))
        context.flags |= VGCF_online;
    return copy_to_handle(c->caller, c->op.u.vcpucontext.ctxt, 0, &context, 1);
}

/* --- limits, permissions, scheduling, time --- */

long domctl_max_mem(struct domctl *c)
{
    with_lock (&c->d->page_lock)
        c->d->max_pages = c->op.u.max_mem.max_memkb >> (PAGE_SHIFT - 10);
    return 0;
}

/* Nobody hands on what he does not have. */
static long permit(struct ranges *own, struct ranges *r, u64 first, u64 nr, u64 limit, bool allow)
{
    if (nr == 0 || first >= limit || nr > limit - first)
        return -EINVAL;
    if (!ranges_contains(own, first, first + nr - 1))
        return -EPERM;
    return allow ? ranges_add(r, first, first + nr - 1) : ranges_remove(r, first, first + nr - 1);
}

#define PERMISSION(name, set, first, nr, bits)                                             \
    long domctl_##name(struct domctl *c)                                                   \
    {                                                                                      \
        const struct xen_domctl_##name *p = &c->op.u.name;                                 \
        struct ranges *own = c->caller->domain->set;                                       \
        return permit(own, c->d->set, first, nr, 1UL << (bits), p->allow_access);          \
    }
PERMISSION(irq_permission, irq_caps, p->pirq, 1, 16)
PERMISSION(iomem_permission, iomem, p->first_mfn, p->nr_mfns, 40)
PERMISSION(ioport_permission, ioports, p->first_port, p->nr_ports, 16)

long domctl_scheduler_op(struct domctl *c)
{
    return sched_adjust_domain(c->d, &c->op.u.scheduler_op);
}

long domctl_getnodeaffinity(struct domctl *c)
{
    return bitmap_write(c->caller, &c->op.u.nodeaffinity.nodemap, 1);
}

long domctl_setnodeaffinity(struct domctl *c)
{
    u64 nodes;
    if (bitmap_read(c->caller, &c->op.u.nodeaffinity.nodemap, &nodes))
        return -EFAULT;
    return nodes & 1 ? 0 : -EINVAL;
}

long domctl_settimeoffset(struct domctl *c)
{
    c->d->time_offset = c->op.u.settimeoffset.time_offset_seconds;
    wallclock_to_guest(c->d);
    return 0;
}

enum { TSC_MODE_DEFAULT, TSC_MODE_ALWAYS_EMULATE, TSC_MODE_NEVER_EMULATE };

long domctl_settscinfo(struct domctl *c)
{
    const struct xen_domctl_tsc_info *t = &c->op.u.tsc_info;
    if (t->tsc_mode != TSC_MODE_DEFAULT && t->tsc_mode != TSC_MODE_NEVER_EMULATE)
        return t->tsc_mode == TSC_MODE_ALWAYS_EMULATE ? -EOPNOTSUPP : -EINVAL;
    c->d->tsc_mode = t->tsc_mode;
    c->d->tsc_khz = t->gtsc_khz;
    c->d->tsc_incarnation = t->incarnation;
    return 0;
}

long domctl_gettscinfo(struct domctl *c)
{
    c->op.u.tsc_info = (struct xen_domctl_tsc_info) {
        .tsc_mode = c->d->tsc_mode, .gtsc_khz = (u32)cpu_khz(),
        .incarnation = c->d->tsc_incarnation, .elapsed_nsec = (u64)now(),
    };
    return 0;
}

/* --- dispatch --- */

/* May the caller do it, and is there the vCPU? vcpu: NULL, or an id in c->op. The newer
 * operations do not tell an id that cannot be from one that is not there. */
static long admit(struct domctl *c, u32 rights, long (*handler)(struct domctl *), const u32 *vcpu)
{
    if (!domain_has(c->caller->domain, rights))
        return -EPERM;
    c->handler = handler;
    if (!vcpu || !c->d)
        return 0;
    c->v = domain_vcpu(c->d, *vcpu);
    bool older = c->op.cmd < XEN_DOMCTL_sendtrigger;
    return c->v ? 0 : older && *vcpu >= c->d->max_vcpus ? -EINVAL : -ESRCH;
}

static long find_handler(struct domctl *c)
{
    bool any = c->op.cmd == XEN_DOMCTL_createdomain || c->op.cmd == XEN_DOMCTL_getdomaininfo;
    c->d = any ? NULL : domain_get(c->op.domain);
    if (!any && !c->d)
        return -ESRCH;
    switch (c->op.cmd) {
#define OP(nr, name, rights, note) case nr: return admit(c, rights, domctl_##name, NULL);
#define OP_AT(nr, name, field, rights, note) \
    case nr: return admit(c, rights, domctl_##name, &c->op.u.field);
#define NO_OP(nr, name, err, note) case nr: return -(err);
#include "ops/domctl.h"
    default:
        return -ENOSYS;
    }
}

static long one_step(struct domctl *c)
{
    if (!spin_trylock(&control_lock))
        return -ERESTART;
    long rc = c->handler(c);
    spin_unlock(&control_lock);
    return rc || c->handler != domctl_destroydomain ? rc : domain_kill(c->d);
}

/* a[0]: struct xen_domctl. What has changed in it (results, the progress of a cut-short
 * operation) is written back, also after an error. */
long do_domctl(struct vcpu *v, unsigned long *a)
{
    struct domctl c = { .caller = v };
    if (arg_read(v, &c.op, a[0]))
        return -EFAULT;
    if (c.op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    struct xen_domctl was = c.op;
    long rc = find_handler(&c) ?: one_step(&c);
    while (rc == -ERESTART && !hypercall_preempt(v))
        rc = one_step(&c);
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): padding is harmless here
    if (memcmp(&was, &c.op, sizeof(was)) != 0 && arg_write(v, a[0], &c.op))
        rc = -EFAULT;
    if (c.d)
        domain_put(c.d);
    return rc;
}
