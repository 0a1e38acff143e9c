/* SPDX-License-Identifier: MIT */
/*
 * mmuext_op: pinning, page-table bases, flushes, LDT, and copies of whole frames.
 */
#include "guest.h"
#include "hypercall.h"
#include "x86/desc.h"
#include "x86/machine.h"
#include "x86/pv.h"

int pv_read_vcpu_cpus(struct vcpu *v, u64 addr, cpumask_t *cpus)
{
    struct domain *d = v->domain;
    u64 map[MAX_VCPUS / 64] = { 0 };

    cpus->bits = 0;
    if (guest_read(v, map, addr, (d->max_vcpus + 7) / 8))
        return -EFAULT;
    for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
        for (u64 rest = map[i]; rest; rest &= rest - 1) {
            struct vcpu *t = domain_vcpu(d, i * 64 + ffs64(rest));
            struct cpu *on = t ? READ_ONCE(xv(t)->loaded_on) : NULL;
            if (on && READ_ONCE(on->loaded) == t)
                cpus->bits |= 1UL << on->id;
        }
    }
    return 0;
}

/* The table becomes v's kernel or user one; what it replaces is put. v is current or stopped. */
static inline int set_base(struct mmu *m, struct x86_vcpu *x, mfn_t mfn, bool user)
{
    struct page **slot = user ? &x->pv.user_cr3 : &x->pv.cr3, *old = *slot;
    bool none = user && !mfn;

    if (!none) {
        int rc = mmu_get_table(m, mfn, 4);
        if (rc)
            return rc;
        /* User mode is not to see the machine-to-physical table. */
        WRITE_ONCE(((pte_t *)mfn_to_virt(mfn))[HV_SLOT_FIRST], user ? 0 : hv_l4[HV_SLOT_FIRST]);
    }
    *slot = none ? NULL : mfn_to_page(mfn);
    if (&x->v != current_vcpu())
        x->loaded_on = NULL;
    else if (!user)
        tlb_write_cr3(pv_cr3(x));
    if (old)
        mmu_put_table(m, old);
    return 0;
}

int pv_load_cr3(struct vcpu *v, mfn_t mfn, bool user)
{
    struct mmu m;
    int rc = mmu_begin(&m, v, v->domain, v->domain) ?: set_base(&m, xv(v), mfn, user);

    mmu_end(&m);
    return rc;
}

/* d's frame mfn becomes a copy of its frame *src, or zero when src is NULL. */
static int fill_frame(struct domain *d, mfn_t mfn, const mfn_t *src)
{
    struct page *from = src ? d->ops->get_gfn(d, *src, false) : NULL;
    struct page *pg = src && !from ? NULL : d->ops->get_gfn(d, mfn, true);

    if (pg && from)
        memcpy(page_to_virt(pg), page_to_virt(from), PAGE_SIZE);
    else if (pg)
        memset(page_to_virt(pg), 0, PAGE_SIZE);
    if (pg)
        d->ops->put_gfn(pg, true);
    if (from)
        d->ops->put_gfn(from, false);
    return pg ? 0 : -EINVAL;
}

static int set_ldt(struct x86_vcpu *x, u64 base, u64 entries)
{
    if (entries > 8192 || (entries && (base & ~PAGE_MASK || !guest_range_ok(base, entries * 8))))
        return -EINVAL;
    if (x->pv.ldt_base != base || x->pv.ldt_entries != entries) {
        pv_drop_ldt(x);
        x->pv.ldt_base = base;
        x->pv.ldt_entries = (u32)entries;
        desc_load_ldt(x);
    }
    return 0;
}

static int flush_op(struct vcpu *v, const struct mmuext_op *op)
{
    cpumask_t on = { 1UL << cpu_id() };
    bool multi = op->cmd == MMUEXT_TLB_FLUSH_MULTI || op->cmd == MMUEXT_INVLPG_MULTI;

    if (multi && pv_read_vcpu_cpus(v, (u64)op->arg2.vcpumask.p, &on))
        return -EINVAL;
    if (op->cmd == MMUEXT_TLB_FLUSH_ALL || op->cmd == MMUEXT_INVLPG_ALL)
        on = xd(v->domain)->pv.active;
    if (!(op->cmd & 1))         /* TLB_FLUSH_*; the odd ones are INVLPG_* */
        tlb_flush_mask(on);
    else if (guest_range_ok(op->arg1.linear_addr, 1))
        tlb_flush_page_mask(on, op->arg1.linear_addr);
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
static int table_op(struct vcpu *v, struct domain *d, unsigned cmd, mfn_t mfn)
{
    struct mmu m;

    if (cmd <= MMUEXT_PIN_L4_TABLE)
        flush_ahead(mfn, cmd == MMUEXT_PIN_L1_TABLE);
    int rc = mmu_begin(&m, v, d, d) ?:
             cmd <= MMUEXT_PIN_L4_TABLE ? mmu_pin(&m, mfn, cmd - MMUEXT_PIN_L1_TABLE + 1) :
             cmd == MMUEXT_UNPIN_TABLE ? mmu_unpin(&m, mfn) :
             set_base(&m, xv(v), mfn, cmd == MMUEXT_NEW_USER_BASEPTR);
    mmu_end(&m);
    return rc;
}

static int one_op(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    bool self = d == v->domain;

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE ... MMUEXT_PIN_L4_TABLE: case MMUEXT_UNPIN_TABLE:
    case MMUEXT_NEW_BASEPTR: case MMUEXT_NEW_USER_BASEPTR:
        return !self && op->cmd > MMUEXT_UNPIN_TABLE ? -EPERM : table_op(v, d, op->cmd, op->arg1.mfn);
    case MMUEXT_TLB_FLUSH_LOCAL ... MMUEXT_INVLPG_ALL:      /* and between them _MULTI */
        return self ? flush_op(v, op) : -EPERM;
    case MMUEXT_FLUSH_CACHE: case MMUEXT_FLUSH_CACHE_GLOBAL:
        if (!domain_has(v->domain, RIGHT_HARDWARE))
            return op->cmd == MMUEXT_FLUSH_CACHE ? -EACCES : -EINVAL;     /* as Xen has it */
        __asm__ volatile("wbinvd" ::: "memory");
        return 0;
    case MMUEXT_SET_LDT:
        return self ? set_ldt(xv(v), op->arg1.linear_addr, op->arg2.nr_ents) : -EPERM;
    case MMUEXT_CLEAR_PAGE:
        return fill_frame(d, op->arg1.mfn, NULL);
    case MMUEXT_COPY_PAGE:
        return fill_frame(d, op->arg1.mfn, &op->arg2.src_mfn);
    case MMUEXT_MARK_SUPER: case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;     /* no superpages for PV guests */
    }
    return -ENOSYS;
}

/* a: struct mmuext_op[], count, uint *done (may be 0), domain. xen.h. */
long do_mmuext_op(struct vcpu *v, unsigned long *a)
{
    u32 left = (u32)a[1], done = 0;
    int rc = 0, err = 0;
    struct domain *d = domain_get_for(v, (domid_t)a[3], &err);

    if (!d)
        return err;
    while (!rc && left) {
        struct mmuext_op op;
        rc = arg_read(v, &op, a[0]) ?: one_op(v, d, &op);
        if (rc == -ERESTART && !hypercall_preempt(v)) {
            rc = 0;             /* only the budget was used up */
        } else if (!rc) {
            a[0] += sizeof(op);
            left--;
            done++;
            if (left && (done % 16 == 0 || op.cmd <= MMUEXT_UNPIN_TABLE) && hypercall_preempt(v))
                rc = -ERESTART;
        }
    }
    if (!rc)
        rc = mmu_drain(v);      /* a last table may still be being taken apart */
    domain_put(d);
    return pv_batch_end(v, a, done, left, rc);
}
