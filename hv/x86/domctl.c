// SPDX-License-Identifier: MIT
/*
 * The sub-operations of domctl that know the machine, and the other small services
 * that core asks of it about a whole domain. Called with control_lock held.
 */
#include "arch.h"
#include "guest.h"
#include "policy.h"
#include "x86/machine.h"
#include "x86/pv.h"

const struct guest_ops *arch_guest_kind(const struct xen_domctl_createdomain *c, int *err)
{
    if (c->flags & ~XEN_DOMCTL_CDF_xs_domain) {
        *err = c->flags <= XEN_DOMCTL_CDF_MAX * 2 - 1 ? -EOPNOTSUPP : -EINVAL;
        return NULL;
    }
    if (c->arch.emulation_flags || (c->arch.misc_flags & ~XEN_X86_MISC_FLAGS_MAX)) {
        *err = -EINVAL;
        return NULL;
    }
    return &pv_ops;
}

void arch_domain_quiesce(struct domain *d)
{
    pirq_domain_quiesce(d);
}

void arch_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    info->shared_info_frame = page_to_mfn(d->shared_info_page);
    info->gpaddr_bits = cpu_has.phys_bits;
}

static struct vcpu *op_vcpu(struct domain *d, u32 id, long *err)
{
    struct vcpu *v = domain_vcpu(d, id);
    *err = v ? 0 : id < d->max_vcpus ? -ESRCH : -EINVAL;
    return v;
}

static long op_hypercall_page(struct domain *d, u64 gmfn)
{
    struct page *pg = d->ops->get_gfn(d, gmfn, true);
    if (!pg)
        return -EINVAL;
    pv_fill_hypercall_page(page_to_virt(pg));
    d->ops->put_gfn(pg, true);
    return 0;
}

static long op_trigger(struct domain *d, const struct xen_domctl_sendtrigger *t)
{
    long err;
    struct vcpu *v = op_vcpu(d, t->vcpu, &err);
    if (v && t->trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
        return -ENOSYS;
    if (v)
        vcpu_send_nmi(v);
    return err;
}

static long op_ext_context(struct domain *d, struct xen_domctl_ext_vcpucontext *e, bool set)
{
    long err;
    struct vcpu *v = op_vcpu(d, e->vcpu, &err);
    if (!v)
        return err;
    struct pv_callback *sc = &xv(v)->pv.syscall32;
    if (set) {
        if (v == current_vcpu() || e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap) ||
            !va_canonical(e->syscall32_callback_eip)) {
            return -EINVAL;
        }
        vcpu_pause(v);
        *sc = (struct pv_callback){ e->syscall32_callback_eip, e->syscall32_disables_events };
        vcpu_unpause(v);
        return 0;
    }
    u32 id = e->vcpu;
    memset(e, 0, sizeof(*e));
    e->vcpu = id;
    e->size = sizeof(*e);
    e->syscall32_callback_eip = sc->address;
    e->syscall32_callback_cs = FLAT_KERNEL_CS;
    e->syscall32_disables_events = sc->mask;
    return 0;
}

/* What XSAVE keeps beyond the context's 512 bytes is not handed out yet. */
static long op_xstate(struct domain *d, struct xen_domctl_vcpuextstate *x, bool set)
{
    long err;
    if (!op_vcpu(d, x->vcpu, &err))
        return err;
    if (set)
        return x->size ? -EOPNOTSUPP : 0;
    x->xfeature_mask = 0;
    x->size = 0;
    return 0;
}

/* PV vCPUs have no model-specific registers to save. */
static long op_msrs(struct domain *d, struct xen_domctl_vcpu_msrs *m, bool set)
{
    long err;
    if (!op_vcpu(d, m->vcpu, &err))
        return err;
    if (set && m->msr_count && !handle_null(m->msrs)) {
        err = -EINVAL;      /* msr_count becomes the index of the offending one */
    }
    m->msr_count = 0;
    return err;
}

static u64 frame_type(struct domain *d, u64 gfn)
{
    static const u32 of_level[] = {
        XEN_DOMCTL_PFINFO_NOTAB, XEN_DOMCTL_PFINFO_L1TAB, XEN_DOMCTL_PFINFO_L2TAB,
        XEN_DOMCTL_PFINFO_L3TAB, XEN_DOMCTL_PFINFO_L4TAB,
    };
    struct page *pg = d->ops->get_gfn(d, gfn, false);
    if (!pg)
        return XEN_DOMCTL_PFINFO_XTAB;
    u64 type = READ_ONCE(pg->type), info = XEN_DOMCTL_PFINFO_NOTAB;
    if (type & PT_COUNT_MASK)
        info = of_level[pt_level(type)];
    info |= type & PT_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0;
    d->ops->put_gfn(pg, false);
    return info;
}

#define PFINFO_MAX   1024
#define PFINFO_BATCH 64

/* One batch at a time: num and array say what is left. */
static long op_frame_info(struct vcpu *v, struct domain *d, struct xen_domctl_getpageframeinfo3 *i)
{
    xen_pfn_t frames[PFINFO_BATCH];
    if (i->num > PFINFO_MAX)
        return -E2BIG;
    u64 n = MIN(i->num, (u64)PFINFO_BATCH);
    if (n && copy_from_handle(v, frames, i->array, 0, n))
        return -EFAULT;
    for (u64 k = 0; k < n; k++)
        frames[k] = frame_type(d, frames[k]);
    if (n && copy_to_handle(v, i->array, 0, frames, n))
        return -EFAULT;
    i->num -= n;
    i->array.p += n;
    return i->num ? -ERESTART : 0;
}

static long op_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    if (op->cmd == XEN_DOMCTL_get_cpu_policy)
        return policy_domctl_get(v, d, &op->u.cpu_policy);
    if (d == v->domain)
        return -EINVAL;
    return d->creation_finished ? -EEXIST : policy_domctl_set(v, d, &op->u.cpu_policy);
}

long arch_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copyback)
{
    switch (op->cmd) {
    case XEN_DOMCTL_hypercall_init:
        return op_hypercall_page(d, op->u.hypercall_init.gmfn);
    case XEN_DOMCTL_sendtrigger:
        return op_trigger(d, &op->u.sendtrigger);
    case XEN_DOMCTL_set_address_size:
        return op->u.address_size.size == 64 ? 0 : op->u.address_size.size == 32 ? -EOPNOTSUPP : -EINVAL;
    case XEN_DOMCTL_get_address_size:
        op->u.address_size.size = 64;
        *copyback = true;
        return 0;
    case XEN_DOMCTL_set_ext_vcpucontext:
        return op_ext_context(d, &op->u.ext_vcpucontext, true);
    case XEN_DOMCTL_get_ext_vcpucontext:
        *copyback = true;
        return op_ext_context(d, &op->u.ext_vcpucontext, false);
    case XEN_DOMCTL_getpageframeinfo3:
        *copyback = true;
        return op_frame_info(v, d, &op->u.getpageframeinfo3);
    case XEN_DOMCTL_setvcpuextstate:
        return op_xstate(d, &op->u.vcpuextstate, true);
    case XEN_DOMCTL_getvcpuextstate:
        *copyback = true;
        return op_xstate(d, &op->u.vcpuextstate, false);
    case XEN_DOMCTL_get_vcpu_msrs:
    case XEN_DOMCTL_set_vcpu_msrs:
        *copyback = true;
        return op_msrs(d, &op->u.vcpu_msrs, op->cmd == XEN_DOMCTL_set_vcpu_msrs);
    default:    /* get_cpu_policy, set_cpu_policy */
        *copyback = true;
        return op_policy(v, d, op);
    }
}
