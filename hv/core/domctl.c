// SPDX-License-Identifier: MIT
/*
 * domctl: the control plane over single domains (xen/domctl.h).
 *
 * control_lock (LOCK_CONTROL) lets one domctl or sysctl in at a time and is only ever
 * tried, so a holder may wait for other CPUs. An operation that has more to do returns
 * -ERESTART with its progress in the operation's own structure; the lock is let go,
 * interrupts are let in, and it goes on here or after the guest has repeated the call.
 */
#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "ranges.h"
#include "sched.h"

spinlock_t control_lock = SPINLOCK_INIT(LOCK_CONTROL);
static struct vcpu_guest_context context;   /* too large for the stack; control_lock */

/* --- helpers --- */

static struct vcpu *op_vcpu(struct domain *d, u32 id, long *err)
{
    struct vcpu *v = domain_vcpu(d, id);
    *err = v ? 0 : id < d->max_vcpus ? -ESRCH : -EINVAL;
    return v;
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

static int bitmap_write(struct vcpu *v, const struct xenctl_bitmap *b, u64 bits)
{
    u64 to = (u64)b->bitmap.p;
    u32 bytes = b->nr_bits / 8 + (b->nr_bits % 8 != 0);
    if (b->nr_bits > BITMAP_BITS_MAX)
        return -EINVAL;
    bits &= b->nr_bits < 64 ? (1UL << b->nr_bits) - 1 : ~0UL;
    for (u32 done = 0; done < bytes; done += 8) {
        if (guest_write(v, to + done, &bits, MIN(bytes - done, 8u)))
            return -EFAULT;
        bits = 0;
    }
    return 0;
}

/* --- life --- */

static long op_create(struct xen_domctl *op)
{
    const struct xen_domctl_createdomain *c = &op->u.createdomain;
    int err = 0;
    if (c->vmtrace_size || c->iommu_opts)
        return -EOPNOTSUPP;
    const struct guest_ops *kind = arch_guest_kind(c, &err);
    if (!kind)
        return err;
    bool any = op->domain == 0 || op->domain >= DOMID_LIMIT;
    struct domain *d = domain_create(any ? DOMID_INVALID : op->domain, c, kind, RIGHT_NONE, &err);
    if (d)
        op->domain = d->id;
    return d ? 0 : err;
}

static long op_max_vcpus(struct domain *d, u32 max)
{
    if (max != d->max_vcpus || d->is_dying)
        return -EINVAL;
    for (unsigned i = 0; i < max; i++) {
        if (!d->vcpu[i] && !vcpu_create(d, i))
            return -ENOMEM;
    }
    return 0;
}

static long op_info(struct xen_domctl *op)
{
    struct domain *d = domain_get_from(op->domain);
    if (!d)
        return -ESRCH;
    domain_info(d, &op->u.getdomaininfo);
    op->domain = d->id;
    domain_put(d);
    return 0;
}

static long op_set_target(struct domain *d, domid_t target)
{
    struct domain *t = domain_get(target);
    if (!t)
        return -ESRCH;
    long err = t == d ? -EINVAL : d->target != DOMID_INVALID ? -EEXIST : 0;
    if (!err)
        d->target = target;
    domain_put(t);
    return err;
}

/* --- vCPUs --- */

static long op_set_affinity(struct vcpu *caller, struct domain *d, struct xen_domctl_vcpuaffinity *a)
{
    long err;
    cpumask_t hard, soft;
    bool set_hard = a->flags & XEN_VCPUAFFINITY_HARD, set_soft = a->flags & XEN_VCPUAFFINITY_SOFT;
    struct vcpu *v = op_vcpu(d, a->vcpu, &err);
    if (!v)
        return err;
    if (!(set_hard || set_soft) ||
        (a->flags & ~(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT | XEN_VCPUAFFINITY_FORCE))) {
        return -EINVAL;
    }
    hard = v->hard_affinity;
    soft = v->soft_affinity;
    if ((set_hard && bitmap_read(caller, &a->cpumap_hard, &hard.bits)) ||
        (set_soft && bitmap_read(caller, &a->cpumap_soft, &soft.bits))) {
        return -EFAULT;
    }
    if (set_soft && !soft.bits)
        return -EINVAL;
    err = vcpu_set_affinity(v, set_hard ? &hard : NULL, set_soft ? &soft : NULL);
    if (err)
        return err;
    hard.bits &= cpus_online.bits;
    soft.bits &= hard.bits;
    err = set_hard ? bitmap_write(caller, &a->cpumap_hard, hard.bits) : 0;
    return err || !set_soft ? err : bitmap_write(caller, &a->cpumap_soft, soft.bits);
}

static long op_get_affinity(struct vcpu *caller, struct domain *d, const struct xen_domctl_vcpuaffinity *a)
{
    long err;
    struct vcpu *v = op_vcpu(d, a->vcpu, &err);
    if (!v)
        return err;
    if (!(a->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
        return -EINVAL;
    if (a->flags & XEN_VCPUAFFINITY_HARD)
        err = bitmap_write(caller, &a->cpumap_hard, v->hard_affinity.bits);
    if (!err && (a->flags & XEN_VCPUAFFINITY_SOFT))
        err = bitmap_write(caller, &a->cpumap_soft, v->soft_affinity.bits);
    return err;
}

static long op_vcpu_info(struct domain *d, struct xen_domctl_getvcpuinfo *info)
{
    long err;
    struct vcpu *v = op_vcpu(d, info->vcpu, &err);
    if (v) {
        u32 why = READ_ONCE(v->pause_flags);
        info->online = !(why & VPF_DOWN);
        info->blocked = !!(why & VPF_BLOCKED);
        info->running = READ_ONCE(v->is_running);
        info->cpu_time = vcpu_runstate_get(v, NULL);
        info->cpu = v->cpu;
    }
    return err;
}

/* Without a context the vCPU is as new; VGCF_online decides whether it is up. */
static void vcpu_set_state(struct vcpu *v, bool initialised, bool up)
{
    v->initialised = initialised;
    if (up) {
        __atomic_fetch_and(&v->pause_flags, ~VPF_DOWN, __ATOMIC_SEQ_CST);
        vcpu_wake(v);
    } else {
        __atomic_fetch_or(&v->pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
    }
}

static long op_set_context(struct vcpu *caller, struct domain *d, const struct xen_domctl_vcpucontext *c)
{
    long err;
    struct vcpu *v = op_vcpu(d, c->vcpu, &err);
    if (!v)
        return err;
    if (d == caller->domain || d->is_dying)
        return -EINVAL;
    bool reset = handle_null(c->ctxt);
    if (!reset && copy_from_handle(caller, &context, c->ctxt, 0, 1))
        return -EFAULT;
    domain_pause(d);
    if (reset) {
        d->ops->vcpu_reset(v);
        vcpu_set_state(v, false, false);
    } else {
        err = d->ops->set_context(v, &context);
        if (!err)
            vcpu_set_state(v, true, context.flags & VGCF_online);
    }
    domain_unpause(d);
    return err;
}

static long op_get_context(struct vcpu *caller, struct domain *d, const struct xen_domctl_vcpucontext *c)
{
    long err;
    struct vcpu *v = op_vcpu(d, c->vcpu, &err);
    if (!v)
        return err;
    if (v == caller)
        return -EINVAL;
    if (!v->initialised)
        return -ENODATA;
    memset(&context, 0, sizeof(context));
    vcpu_pause(v);
    d->ops->get_context(v, &context);
    vcpu_unpause(v);
    if (!(READ_ONCE(v->pause_flags) & VPF_DOWN))
        context.flags |= VGCF_online;
    return copy_to_handle(caller, c->ctxt, 0, &context, 1);
}

/* --- limits, permissions, time --- */

static long op_max_mem(struct domain *d, u64 kb)
{
    with_lock (&d->page_lock) {
        d->max_pages = kb >> (PAGE_SHIFT - 10);
    }
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

static long op_permission(struct vcpu *v, struct domain *d, const struct xen_domctl *op)
{
    struct domain *self = v->domain;
    const struct xen_domctl_irq_permission *irq = &op->u.irq_permission;
    const struct xen_domctl_iomem_permission *mem = &op->u.iomem_permission;
    const struct xen_domctl_ioport_permission *port = &op->u.ioport_permission;
    switch (op->cmd) {
    case XEN_DOMCTL_irq_permission:
        return permit(self->irq_caps, d->irq_caps, irq->pirq, 1, 1UL << 16, irq->allow_access);
    case XEN_DOMCTL_iomem_permission:
        return permit(self->iomem, d->iomem, mem->first_mfn, mem->nr_mfns, 1UL << 40, mem->allow_access);
    default:
        return permit(self->ioports, d->ioports, port->first_port, port->nr_ports, 1UL << 16,
                      port->allow_access);
    }
}

static long op_node_affinity(struct vcpu *v, const struct xen_domctl *op)
{
    u64 nodes;
    if (op->cmd == XEN_DOMCTL_getnodeaffinity)
        return bitmap_write(v, &op->u.nodeaffinity.nodemap, 1);
    if (bitmap_read(v, &op->u.nodeaffinity.nodemap, &nodes))
        return -EFAULT;
    return nodes & 1 ? 0 : -EINVAL;
}

#define TSC_MODE_DEFAULT 0
#define TSC_MODE_ALWAYS_EMULATE 1
#define TSC_MODE_NEVER_EMULATE 2

static long op_set_tsc(struct domain *d, const struct xen_domctl_tsc_info *t)
{
    if (t->tsc_mode != TSC_MODE_DEFAULT && t->tsc_mode != TSC_MODE_NEVER_EMULATE)
        return t->tsc_mode == TSC_MODE_ALWAYS_EMULATE ? -EOPNOTSUPP : -EINVAL;
    d->tsc_mode = t->tsc_mode;
    d->tsc_khz = t->gtsc_khz;
    d->tsc_incarnation = t->incarnation;
    return 0;
}

static void op_get_tsc(struct domain *d, struct xen_domctl_tsc_info *t)
{
    *t = (struct xen_domctl_tsc_info) {
        .tsc_mode = d->tsc_mode,
        .gtsc_khz = (u32)cpu_khz(),
        .incarnation = d->tsc_incarnation,
        .elapsed_nsec = (u64)now(),
    };
}

/* --- dispatch --- */

/* 0 when the caller may do it, or the error. */
static long admit(struct domain *self, u32 cmd)
{
    switch (cmd) {
#define OP(nr, name, rights, note) case nr: return domain_has(self, rights) ? 0 : -EPERM;
#define NO_OP(nr, name, err, note) case nr: return -err;
#include "ops/domctl.h"
#undef OP
#undef NO_OP
    default:
        return -ENOSYS;
    }
}

/* Operations on d that never need a restart and write nothing back. */
static long simple_op(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    switch (op->cmd) {
    case XEN_DOMCTL_pausedomain:
        return d == v->domain ? -EINVAL : domain_controller_pause(d);
    case XEN_DOMCTL_unpausedomain:
        return domain_controller_unpause(d);
    case XEN_DOMCTL_resumedomain:
        if (d == v->domain)
            return -EINVAL;
        domain_resume(d);
        return 0;
    case XEN_DOMCTL_max_vcpus:
        return d == v->domain ? -EINVAL : op_max_vcpus(d, op->u.max_vcpus.max);
    case XEN_DOMCTL_max_mem:
        return op_max_mem(d, op->u.max_mem.max_memkb);
    case XEN_DOMCTL_setvcpucontext:
        return op_set_context(v, d, &op->u.vcpucontext);
    case XEN_DOMCTL_getvcpucontext:
        return op_get_context(v, d, &op->u.vcpucontext);
    case XEN_DOMCTL_getvcpuaffinity:
        return op_get_affinity(v, d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_setvcpuaffinity:
        return op_set_affinity(v, d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_setnodeaffinity:
    case XEN_DOMCTL_getnodeaffinity:
        return op_node_affinity(v, op);
    case XEN_DOMCTL_irq_permission:
    case XEN_DOMCTL_iomem_permission:
    case XEN_DOMCTL_ioport_permission:
        return op_permission(v, d, op);
    case XEN_DOMCTL_setdomainhandle:
        memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
        return 0;
    case XEN_DOMCTL_setdebugging:
        d->debugger_attached = op->u.setdebugging.enable;
        return 0;
    case XEN_DOMCTL_settimeoffset:
        d->time_offset = op->u.settimeoffset.time_offset_seconds;
        wallclock_to_guest(d);
        return 0;
    case XEN_DOMCTL_settscinfo:
        return op_set_tsc(d, &op->u.tsc_info);
    case XEN_DOMCTL_set_target:
        return op_set_target(d, op->u.set_target.target);
    case XEN_DOMCTL_set_virq_handler:
        return virq_set_handler(d, op->u.set_virq_handler.virq);
    default:
        return -EINVAL;     /* shadow_op */
    }
}

static long locked_op(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copyback)
{
    *copyback = true;
    switch (op->cmd) {
    case XEN_DOMCTL_createdomain:
        return op_create(op);
    case XEN_DOMCTL_getdomaininfo:
        return op_info(op);
    case XEN_DOMCTL_getvcpuinfo:
        return op_vcpu_info(d, &op->u.getvcpuinfo);
    case XEN_DOMCTL_scheduler_op:
        return sched_adjust_domain(d, &op->u.scheduler_op);
    case XEN_DOMCTL_gettscinfo:
        op_get_tsc(d, &op->u.tsc_info);
        return 0;
    case XEN_DOMCTL_destroydomain:
        *copyback = false;
        if (d == v->domain || d == dom0)
            return -EINVAL;
        domain_kill_start(d);
        return 0;
    case XEN_DOMCTL_hypercall_init:
    case XEN_DOMCTL_sendtrigger:
    case XEN_DOMCTL_set_address_size:
    case XEN_DOMCTL_get_address_size:
    case XEN_DOMCTL_set_ext_vcpucontext:
    case XEN_DOMCTL_get_ext_vcpucontext:
    case XEN_DOMCTL_getpageframeinfo3:
    case XEN_DOMCTL_setvcpuextstate:
    case XEN_DOMCTL_getvcpuextstate:
    case XEN_DOMCTL_get_vcpu_msrs:
    case XEN_DOMCTL_set_vcpu_msrs:
    case XEN_DOMCTL_get_cpu_policy:
    case XEN_DOMCTL_set_cpu_policy:
        *copyback = false;
        return arch_domctl(v, d, op, copyback);
    default:
        *copyback = false;
        return simple_op(v, d, op);
    }
}

static long one_step(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copyback)
{
    *copyback = false;
    if (!spin_trylock(&control_lock))
        return -ERESTART;
    long rc = locked_op(v, d, op, copyback);
    spin_unlock(&control_lock);
    return rc || op->cmd != XEN_DOMCTL_destroydomain ? rc : domain_kill(d);
}

/* a[0]: struct xen_domctl. Results and the progress of a cut-short operation are
 * written back into it. */
long do_domctl(struct vcpu *v, unsigned long *a)
{
    struct xen_domctl op;
    struct domain *d = NULL;
    bool copyback, write = false;
    if (arg_read(v, &op, a[0]))
        return -EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    long rc = admit(v->domain, op.cmd);
    if (rc)
        return rc;
    if (op.cmd != XEN_DOMCTL_createdomain && op.cmd != XEN_DOMCTL_getdomaininfo) {
        d = domain_get(op.domain);
        if (!d)
            return -ESRCH;
    }
    do {
        rc = one_step(v, d, &op, &copyback);
        write |= copyback;
    } while (rc == -ERESTART && !hypercall_preempt(v));
    if (write && arg_write(v, a[0], &op))
        rc = -EFAULT;
    if (d)
        domain_put(d);
    return rc;
}
