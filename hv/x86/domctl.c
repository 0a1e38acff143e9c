// SPDX-License-Identifier: MIT
/*
 * The sub-operations of domctl that know the machine, and the other small services
 * that core asks of it about a whole domain. Called with control_lock held.
 */
#include "domctl.h"
#include "arch.h"
#include "guest.h"
#include "x86/machine.h"
#include "x86/pv.h"

const struct guest_ops *arch_guest_kind(const struct xen_domctl_createdomain *c, int *err)
{
    bool other_kind = (c->flags & ~XEN_DOMCTL_CDF_xs_domain) || c->arch.emulation_flags;
    *err = other_kind && c->flags <= XEN_DOMCTL_CDF_MAX * 2 - 1 ? -EOPNOTSUPP : -EINVAL;
    if (other_kind || (c->arch.misc_flags & ~XEN_X86_MISC_FLAGS_MAX))
        return NULL;
    return &pv_ops;
}

void arch_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    info->shared_info_frame = virt_to_mfn(d->shared_info);
    info->gpaddr_bits = cpu_has.phys_bits;
}

long domctl_hypercall_init(struct domctl *c)
{
    struct page *pg = c->d->ops->get_gfn(c->d, c->op.u.hypercall_init.gmfn, true);
    if (!pg)
        return -EINVAL;
    pv_fill_hypercall_page(page_to_virt(pg));
    c->d->ops->put_gfn(pg, true);
    return 0;
}

long domctl_sendtrigger(struct domctl *c)
{
    u32 trigger = c->op.u.sendtrigger.trigger;
    if (trigger == XEN_DOMCTL_SENDTRIGGER_NMI)
        vcpu_send_nmi(c->v);
    /* A PV guest has no buttons. */
    bool button = trigger == XEN_DOMCTL_SENDTRIGGER_POWER || trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP;
    return trigger == XEN_DOMCTL_SENDTRIGGER_NMI ? 0 : button ? -EINVAL : -ENOSYS;
}

long domctl_set_address_size(struct domctl *c)
{
    u32 size = c->op.u.address_size.size;
    return size == 64 ? 0 : size == 32 ? -EOPNOTSUPP : -EINVAL;
}

long domctl_get_address_size(struct domctl *c)
{
    c->op.u.address_size.size = 64;
    return 0;
}

long domctl_set_ext_vcpucontext(struct domctl *c)
{
    const struct xen_domctl_ext_vcpucontext *e = &c->op.u.ext_vcpucontext;
    if (c->v == c->caller || e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap) ||
        !va_canonical(e->syscall32_callback_eip)) {
        return -EINVAL;
    }
    vcpu_pause(c->v);
    xv(c->v)->pv.syscall32 = (struct pv_callback) {
        e->syscall32_callback_eip, e->syscall32_disables_events
    };
    vcpu_unpause(c->v);
    return 0;
}

long domctl_get_ext_vcpucontext(struct domctl *c)
{
    struct xen_domctl_ext_vcpucontext *e = &c->op.u.ext_vcpucontext;
    memset(e, 0, sizeof(*e));
    e->vcpu = c->v->id;
    e->size = sizeof(*e);
    e->syscall32_callback_eip = xv(c->v)->pv.syscall32.address;
    e->syscall32_callback_cs = FLAT_KERNEL_CS;
    e->syscall32_disables_events = xv(c->v)->pv.syscall32.mask;
    return 0;
}

/* What XSAVE keeps beyond the context's 512 bytes is not handed out yet. */
long domctl_setvcpuextstate(struct domctl *c)
{
    return c->op.u.vcpuextstate.size ? -EOPNOTSUPP : 0;
}

long domctl_getvcpuextstate(struct domctl *c)
{
    c->op.u.vcpuextstate.xfeature_mask = c->op.u.vcpuextstate.size = 0;
    return 0;
}

/* PV vCPUs have no model-specific registers to save. */
long domctl_get_vcpu_msrs(struct domctl *c)
{
    c->op.u.vcpu_msrs.msr_count = 0;
    return 0;
}

/* After an error msr_count is the index of the offending one: the first. */
long domctl_set_vcpu_msrs(struct domctl *c)
{
    bool some = c->op.u.vcpu_msrs.msr_count && !handle_null(c->op.u.vcpu_msrs.msrs);
    domctl_get_vcpu_msrs(c);
    return some ? -EINVAL : 0;
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
    u64 type = READ_ONCE(pg->type);
    u64 info = of_level[(type & PT_COUNT_MASK) ? pt_level(type) : 0];
    info |= (type & PT_PINNED) ? XEN_DOMCTL_PFINFO_LPINTAB : 0;
    d->ops->put_gfn(pg, false);
    return info;
}

enum { PFINFO_MAX = 1024, PFINFO_BATCH = 64 };

/* One batch at a time: num and array say what is left. */
long domctl_getpageframeinfo3(struct domctl *c)
{
    struct xen_domctl_getpageframeinfo3 *i = &c->op.u.getpageframeinfo3;
    xen_pfn_t frames[PFINFO_BATCH];
    u64 n = MIN(i->num, (u64)PFINFO_BATCH);
    if (!n || i->num > PFINFO_MAX)
        return n ? -E2BIG : 0;
    if (copy_from_handle(c->caller, frames, i->array, 0, n))
        return -EFAULT;
    for (u64 k = 0; k < n; k++)
        frames[k] = frame_type(c->d, frames[k]);
    if (copy_to_handle(c->caller, i->array, 0, frames, n))
        return -EFAULT;
    i->num -= n;
    i->array.p += n;
    return i->num ? -ERESTART : 0;
}
