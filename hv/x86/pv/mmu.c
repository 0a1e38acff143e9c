/* SPDX-License-Identifier: MIT */
/*
 * The calls that change page-table entries: mmu_update, update_va_mapping. They
 * resolve and check what the guest named; tables.c does it under the lock.
 */
#include "guest.h"
#include "hypercall.h"
#include "x86/pv.h"

/* The domain whose frames entries of d's tables may map, referenced; DOMID_SELF: d. */
static struct domain *page_domain(struct vcpu *v, struct domain *d, domid_t id, int *err)
{
    if (id == DOMID_IO || id == DOMID_XEN) {
        *err = -EPERM;
        if (!domain_has(v->domain, RIGHT_HARDWARE))
            return NULL;
        d = id == DOMID_IO ? domain_io : domain_xen;
    } else if (id != DOMID_SELF) {
        return domain_get_for(v, id, err);
    }
    domain_ref(d);
    return d;
}

static int one_update(struct mmu *m, const struct mmu_update *req)
{
    u64 ptr = req->ptr & ~3UL, cmd = req->ptr & 3;
    mfn_t mfn = ptr >> PAGE_SHIFT;
    struct page *pg = mfn_to_page(mfn);

    if (cmd == MMU_MACHPHYS_UPDATE) {
        if (!mfn_valid(mfn) || !get_page(pg, m->pg_dom))
            return -EINVAL;
        m2p_set(mfn, req->val);
        put_page(pg);
        return 0;
    }
    /* NO_TRANSLATE: frames of PV guests are named by MFN anyway. */
    if (!mfn_valid(mfn) || !mmu_owner(m, pg)) {
        gprintk(m->d, LOG_INFO, "mmu_update of %lx: not a frame of its own\n", ptr);
        return -EINVAL;
    }
    unsigned level = pt_level(pg->type);
    if (level && (pg->type & PT_VALIDATED))
        return mmu_write_entry(m, maddr_word(ptr), level, req->val,
                               cmd == MMU_PT_UPDATE_PRESERVE_AD);
    /* A word in no page table in use (or its frame would not be writable): as any data. */
    if (!m->d->ops->get_gfn(m->d, mfn, true))
        return -EINVAL;
    WRITE_ONCE(*maddr_word(ptr), req->val);
    m->d->ops->put_gfn(pg, true);
    return 0;
}

long pv_batch_end(struct vcpu *v, unsigned long *a, u32 done, u32 left, long rc)
{
    u32 total = (u32)(a[1] >> 32) + done;

    a[1] = (u64)total << 32 | left;
    return a[2] && done && arg_write(v, a[2], &total) ? -EFAULT : rc;
}

/* a: struct mmu_update[], count, uint *done (may be 0), domains: low half whose frames,
 * high half (id + 1) whose tables. xen.h. */
long do_mmu_update(struct vcpu *v, unsigned long *a)
{
    u32 left = (u32)a[1], foreign = (u32)a[3], done = 0;
    domid_t table_id = foreign >> 16 ? (domid_t)((foreign >> 16) - 1) : DOMID_SELF;
    int err = 0;
    struct domain *d = domain_get_for(v, table_id, &err);
    struct mmu m;

    if (!d)
        return err;
    struct domain *pg_dom = page_domain(v, d, (domid_t)foreign, &err);
    if (!pg_dom) {
        domain_put(d);
        return err;
    }
    int rc = mmu_begin(&m, v, d, pg_dom);
    while (!rc && left) {
        struct mmu_update req;
        rc = arg_read(v, &req, a[0]) ?: one_update(&m, &req);
        if (rc)
            break;
        a[0] += sizeof(req);
        left--;
        done++;
        m.budget -= MMU_BUDGET / 128;
        if (unlikely(m.budget <= 0 || xv(v)->pv.nr_deferred)) {
            mmu_end(&m);
            rc = mmu_drain(v);
            if (!rc && left)
                rc = hypercall_preempt(v) ? -ERESTART : mmu_begin(&m, v, d, pg_dom);
        }
    }
    mmu_end(&m);
    domain_put(pg_dom);
    domain_put(d);
    return pv_batch_end(v, a, done, left, rc);
}

/* The CPUs that update_va_mapping's flags (UVMF_*) want flushed. 0, -EINVAL, -EFAULT. */
static long flush_target(struct vcpu *v, u64 flags, cpumask_t *cpus)
{
    u64 kind = flags & UVMF_FLUSHTYPE_MASK, who = flags & ~(u64)UVMF_FLUSHTYPE_MASK;

    cpus->bits = 0;
    if (kind == UVMF_NONE)
        return 0;
    if (kind != UVMF_TLB_FLUSH && kind != UVMF_INVLPG)
        return -EINVAL;
    if (who != UVMF_LOCAL && who != UVMF_ALL)
        return pv_read_vcpu_cpus(v, who, cpus);
    cpus->bits = who == UVMF_ALL ? xd(v->domain)->pv.active.bits : 1UL << cpu_id();
    return 0;
}

/* A former table that becomes writable may still be in other CPUs' paging caches. That
 * flush waits for them: done ahead of the lock; frames.c still decides. */
static void flush_ahead(u64 val)
{
    const struct page *pg = mfn_to_page(pte_mfn(val));

    if ((val & PTE_P) && (val & PTE_RW) && mfn_valid(pte_mfn(val)) &&
        pt_level(READ_ONCE(pg->type)) && !(READ_ONCE(pg->type) & PT_COUNT_MASK)) {
        tlb_flush_stale(READ_ONCE(pg->stamp));
    }
}

static long update_va(struct vcpu *v, u64 va, u64 val, u64 flags, struct domain *pg_dom)
{
    struct mmu m;
    cpumask_t on;
    long rc = flush_target(v, flags, &on);

    if (rc)
        return rc;
    flush_ahead(val);
    rc = mmu_begin(&m, v, v->domain, pg_dom);
    if (rc)
        return rc;
    pte_t *slot = mmu_walk(v, va);
    rc = slot ? mmu_write_entry(&m, slot, 1, val, false) : -EINVAL;
    mmu_end(&m);
    if (rc || !on.bits)
        return rc;
    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG)
        tlb_flush_page_mask(on, va);
    else
        tlb_flush_mask(on);
    return 0;
}

/* a: va, entry, UVMF_* flags. */
long do_update_va_mapping(struct vcpu *v, unsigned long *a)
{
    return update_va(v, a[0], a[1], a[2], v->domain);
}

/* a: va, entry, UVMF_* flags, domain whose frame is mapped. */
long do_update_va_mapping_otherdomain(struct vcpu *v, unsigned long *a)
{
    int err = 0;
    struct domain *pg_dom = page_domain(v, v->domain, (domid_t)a[3], &err);

    if (!pg_dom)
        return err;
    long rc = update_va(v, a[0], a[1], a[2], pg_dom);
    domain_put(pg_dom);
    return rc;
}
