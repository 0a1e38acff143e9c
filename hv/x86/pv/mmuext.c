/* SPDX-License-Identifier: MIT */
/*
 * mmuext_op: pinning, page-table bases, flushes, LDT, and copies of whole frames.
 */
#include "arch.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/pv.h"

cpumask_t pv_vcpu_cpus(struct domain *d, u64 vcpus, unsigned first)
{
    cpumask_t m = { 0 };

    for (; vcpus; vcpus &= vcpus - 1) {
        struct vcpu *t = domain_vcpu(d, first + ffs64(vcpus));
        if (t && READ_ONCE(t->is_running))
            m.bits |= 1UL << t->cpu;
    }
    return m;
}

/* The CPUs on which the vCPUs of the guest's bitmap run. */
static int read_vcpu_mask(struct vcpu *v, u64 addr, cpumask_t *m)
{
    struct domain *d = v->domain;
    unsigned n = (d->max_vcpus + 63) / 64;

    m->bits = 0;
    for (unsigned i = 0; i < n; i++) {
        u64 w = 0;
        size_t bytes = MIN(8u, (d->max_vcpus - i * 64 + 7) / 8);
        if (guest_read(v, &w, addr + i * 8, bytes))
            return -EFAULT;
        m->bits |= pv_vcpu_cpus(d, w, i * 64).bits;
    }
    return 0;
}

/* The table becomes v's kernel or user one; what it replaces is put. v is current or stopped. */
static int set_base(struct mmu *m, struct x86_vcpu *x, mfn_t mfn, bool user)
{
    struct page **slot = user ? &x->pv.user_cr3 : &x->pv.cr3;
    struct page *pg = NULL, *old = *slot;
    pte_t *l4;
    int rc;

    if (mfn || !user) {
        rc = mmu_get_table(m, mfn, 4, &pg);
        if (rc)
            return rc;
        /* User mode is not to see the machine-to-physical table. */
        l4 = page_to_virt(pg);
        WRITE_ONCE(l4[HV_SLOT_FIRST], user ? 0 : hv_l4[HV_SLOT_FIRST]);
    }
    *slot = pg;
    if (&x->v == current_vcpu() && !user)
        tlb_write_cr3(pv_cr3(x));
    if (old)
        mmu_put_table(m, old);
    return 0;
}

int pv_load_cr3(struct vcpu *v, mfn_t mfn, bool user)
{
    struct mmu m;
    int rc = mmu_begin(&m, v, v->domain, v->domain);

    if (!rc)
        rc = set_base(&m, xv(v), mfn, user);
    mmu_end(&m);
    return rc;
}

static int clear_frame(struct domain *d, mfn_t mfn)
{
    struct page *pg = d->ops->get_gfn(d, mfn, true);

    if (!pg)
        return -EINVAL;
    memset(page_to_virt(pg), 0, PAGE_SIZE);
    d->ops->put_gfn(pg, true);
    return 0;
}

static int copy_frame(struct domain *d, mfn_t dst, mfn_t src)
{
    struct page *from = d->ops->get_gfn(d, src, false), *to;
    int rc = -EINVAL;

    if (!from)
        return -EINVAL;
    to = d->ops->get_gfn(d, dst, true);
    if (to) {
        memcpy(page_to_virt(to), page_to_virt(from), PAGE_SIZE);
        d->ops->put_gfn(to, true);
        rc = 0;
    }
    d->ops->put_gfn(from, false);
    return rc;
}

static int set_ldt(struct vcpu *v, u64 base, u64 entries)
{
    struct x86_vcpu *x = xv(v);

    if (entries > 8192 || (entries && (base & ~PAGE_MASK || !guest_range_ok(base, entries * 8))))
        return -EINVAL;
    if (x->pv.ldt_base == base && x->pv.ldt_entries == entries)
        return 0;
    pv_drop_ldt(x);
    x->pv.ldt_base = base;
    x->pv.ldt_entries = (u32)entries;
    desc_load_ldt(x);
    return 0;
}

static int flush_op(struct vcpu *v, const struct mmuext_op *op)
{
    cpumask_t mask = { 1UL << cpu_id() };
    u64 va = op->arg1.linear_addr;

    switch (op->cmd) {
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
        if (read_vcpu_mask(v, (u64)op->arg2.vcpumask.p, &mask))
            return -EFAULT;
        break;
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
        mask = xd(v->domain)->pv.active;
        break;
    }
    switch (op->cmd) {
    case MMUEXT_INVLPG_LOCAL:
        if (guest_range_ok(va, 1))
            invlpg(va);
        break;
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_INVLPG_ALL:
        if (guest_range_ok(va, 1))
            tlb_flush_page_mask(mask, va);
        break;
    default:
        tlb_flush_mask(mask);
    }
    return 0;
}

/* A new table may still be in TLBs as plain memory. That flush waits for other CPUs: done
 * ahead of the lock, the others can use it meanwhile. tables.c still decides. */
static void flush_ahead(mfn_t mfn, bool leaf)
{
    const struct page *pg = mfn_to_page(mfn);

    if (mfn_valid(mfn) && !(READ_ONCE(pg->type) & PT_COUNT_MASK))
        tlb_flush_stale(leaf ? READ_ONCE(pg->stamp) : READ_ONCE(tlb_clock));
}

/* Operations on d's tables: under its lock. */
static int table_op(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    struct mmu m;
    int rc;

    if (op->cmd <= MMUEXT_PIN_L4_TABLE)
        flush_ahead(op->arg1.mfn, op->cmd == MMUEXT_PIN_L1_TABLE);
    rc = mmu_begin(&m, v, d, d);
    if (rc)
        return rc;
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        rc = mmu_pin(&m, op->arg1.mfn, op->cmd - MMUEXT_PIN_L1_TABLE + 1);
        break;
    case MMUEXT_UNPIN_TABLE:
        rc = mmu_unpin(&m, op->arg1.mfn);
        break;
    case MMUEXT_NEW_BASEPTR:
        rc = set_base(&m, xv(v), op->arg1.mfn, false);
        break;
    case MMUEXT_NEW_USER_BASEPTR:
        rc = set_base(&m, xv(v), op->arg1.mfn, true);
        break;
    }
    mmu_end(&m);
    return rc;
}

static int one_op(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    bool self = d == v->domain;

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
    case MMUEXT_UNPIN_TABLE:
        return table_op(v, d, op);
    case MMUEXT_NEW_BASEPTR:
    case MMUEXT_NEW_USER_BASEPTR:
        return self ? table_op(v, d, op) : -EPERM;
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
        return self ? flush_op(v, op) : -EPERM;
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        if (!domain_has(v->domain, RIGHT_HARDWARE))
            return -EACCES;
        __asm__ volatile("wbinvd" ::: "memory");
        return 0;
    case MMUEXT_SET_LDT:
        return self ? set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents) : -EPERM;
    case MMUEXT_CLEAR_PAGE:
        return clear_frame(d, op->arg1.mfn);
    case MMUEXT_COPY_PAGE:
        return copy_frame(d, op->arg1.mfn, op->arg2.src_mfn);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;     /* no superpages for PV guests */
    }
    return -ENOSYS;
}

/* a: struct mmuext_op[], count, uint *done (may be 0), domain. xen.h. */
long do_mmuext_op(struct vcpu *v, unsigned long *a)
{
    u32 count = (u32)a[1], done = 0;
    struct domain *d;
    int rc = 0, err = 0;

    if (mmu_drain(v))
        return -ERESTART;
    d = domain_get_for(v, (domid_t)a[3], &err);
    if (!d)
        return err;
    while (count) {
        struct mmuext_op op;
        if (arg_read(v, &op, a[0])) {
            rc = -EFAULT;
            break;
        }
        rc = one_op(v, d, &op);
        if (rc == -ERESTART && !hypercall_preempt(v)) {
            continue;           /* only the budget was used up */
        }
        if (rc)
            break;
        a[0] += sizeof(op);
        count--;
        done++;
        if (count && done % 16 == 0 && hypercall_preempt(v)) {
            rc = -ERESTART;
            break;
        }
    }
    if (!rc) {
        rc = mmu_drain(v);      /* a last table may still be being taken apart */
    }
    domain_put(d);
    if (a[2] && done) {
        u32 total = done + (a[1] >> 32 ? (u32)(a[1] >> 32) - 1 : 0);
        if (arg_write(v, a[2], &total))
            return -EFAULT;
        a[1] = (u64)(total + 1) << 32 | count;
    } else {
        a[1] = (a[1] & ~0xffffffffUL) | count;
    }
    return rc;
}
