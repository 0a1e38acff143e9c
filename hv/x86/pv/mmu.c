/* SPDX-License-Identifier: MIT */
/*
 * The calls that change page-table entries: mmu_update, update_va_mapping. They
 * resolve and check what the guest named; tables.c does it under the lock.
 */
#include "arch.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "x86/asm.h"
#include "x86/pv.h"

/* The domain whose frames entries may map: 0 or DOMID_SELF means the tables' own. */
static int page_domain(struct vcpu *v, struct domain *d, u32 id, struct domain **out)
{
    int err = 0;

    if (id == 0 || id == (u32)DOMID_SELF + 1) {
        domain_ref(d);
        *out = d;
        return 0;
    }
    id--;
    if (id == DOMID_IO || id == DOMID_XEN) {
        if (!domain_has(v->domain, RIGHT_HARDWARE))
            return -EPERM;
        *out = id == DOMID_IO ? domain_io : domain_xen;
        domain_ref(*out);
        return 0;
    }
    *out = domain_get_for(v, (domid_t)id, &err);
    return *out ? 0 : err;
}

/* A frame that is no page table in use: write the word as any data. */
static int write_plain(struct mmu *m, struct page *pg, pte_t *slot, u64 val)
{
    if (!get_page(pg, m->d))
        return -EINVAL;
    if (get_page_writable(pg)) {
        put_page(pg);
        return -EINVAL;
    }
    WRITE_ONCE(*slot, val);
    put_page_writable(pg);
    put_page(pg);
    return 0;
}

static int update_pte(struct mmu *m, u64 ptr, u64 val, bool preserve_ad)
{
    mfn_t mfn = ptr >> PAGE_SHIFT;
    struct page *pg = mfn_to_page(mfn);
    pte_t *slot;
    unsigned level;

    if (!mfn_valid(mfn) || !mmu_owner(m, pg)) {
        gprintk(m->d, LOG_INFO, "mmu_update of %lx: not a frame of its own\n", ptr);
        return -EINVAL;
    }
    slot = (pte_t *)((char *)mfn_to_virt(mfn) + (ptr & ~PAGE_MASK & ~7UL));
    level = pt_level(pg->type);
    if (!level || !(pg->type & PT_COUNT_MASK))
        return write_plain(m, pg, slot, val);
    if (!(pg->type & PT_VALIDATED))
        return -EINVAL;
    return mmu_write_entry(m, pg, slot, level, val, preserve_ad);
}

static int update_m2p(struct vcpu *v, struct domain *d, u64 ptr, u64 val)
{
    mfn_t mfn = ptr >> PAGE_SHIFT;

    (void)v;
    if (!mfn_valid(mfn) || !get_page(mfn_to_page(mfn), d))
        return -EINVAL;
    m2p_set(mfn, val);
    put_page(mfn_to_page(mfn));
    return 0;
}

static int one_update(struct mmu *m, const struct mmu_update *req)
{
    unsigned cmd = req->ptr & 3;

    switch (cmd) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:    /* frames of PV guests are named by MFN anyway */
    case MMU_PT_UPDATE_PRESERVE_AD:
        return update_pte(m, req->ptr & ~3UL, req->val, cmd == MMU_PT_UPDATE_PRESERVE_AD);
    default:
        return update_m2p(m->v, m->pg_dom, req->ptr & ~3UL, req->val);
    }
}

/* a: struct mmu_update[], count, uint *done (may be 0), domains: low half whose frames,
 * high half (id + 1) whose tables. xen.h. A restart carries the number done so far + 1 in
 * the upper half of count. */
long do_mmu_update(struct vcpu *v, unsigned long *a)
{
    struct domain *pg_dom = NULL, *d = v->domain;
    u32 count = (u32)a[1], foreign = (u32)a[3], done = 0, since = 0;
    struct mmu m;
    int rc, err = 0;

    if (mmu_drain(v))
        return -ERESTART;
    if ((u32)foreign >> 16) {
        d = domain_get_for(v, (domid_t)((foreign >> 16) - 1), &err);
        if (!d)
            return err;
    } else {
        domain_ref(d);
    }
    rc = page_domain(v, d, (u16)foreign == DOMID_SELF ? 0 : (foreign & 0xffff) + 1, &pg_dom);
    if (rc) {
        domain_put(d);
        return rc;
    }
    rc = mmu_begin(&m, v, d, pg_dom);
    while (!rc && count) {
        struct mmu_update req;
        if (arg_read(v, &req, a[0])) {
            rc = -EFAULT;
            break;
        }
        rc = one_update(&m, &req);
        if (rc)
            break;
        a[0] += sizeof(req);
        count--;
        done++;
        if (unlikely(++since == 128 && count)) {
            mmu_end(&m);
            since = 0;
            rc = hypercall_preempt(v) ? -ERESTART : mmu_begin(&m, v, d, pg_dom);
        } else if (unlikely(xv(v)->pv.nr_deferred)) {
            mmu_end(&m);
            rc = mmu_drain(v);
            if (!rc && count)
                rc = mmu_begin(&m, v, d, pg_dom);
        }
    }
    mmu_end(&m);
    domain_put(pg_dom);
    domain_put(d);
    if (a[2] && done) {
        u32 total = done;
        if (a[1] >> 32)
            total += (u32)(a[1] >> 32) - 1;
        if (arg_write(v, a[2], &total))
            return -EFAULT;
        /* What is done so far travels in the unused half of the count. */
        a[1] = (u64)(total + 1) << 32 | count;
    } else {
        a[1] = (a[1] & ~0xffffffffUL) | count;
    }
    return rc;
}

/* The CPUs that update_va_mapping's flags (UVMF_*) want flushed. 0, -EINVAL, -EFAULT. */
static long flush_target(struct vcpu *v, u64 flags, cpumask_t *cpus)
{
    u64 kind = flags & UVMF_FLUSHTYPE_MASK, who = flags & ~(u64)UVMF_FLUSHTYPE_MASK, vcpus;

    cpus->bits = 0;
    if (kind == UVMF_NONE)
        return 0;
    if (kind != UVMF_TLB_FLUSH && kind != UVMF_INVLPG)
        return -EINVAL;
    if (who == UVMF_LOCAL)
        cpus->bits = 1UL << cpu_id();
    else if (who == UVMF_ALL)
        *cpus = xd(v->domain)->pv.active;
    else if (guest_read(v, &vcpus, who, sizeof(vcpus)))
        return -EFAULT;
    else
        *cpus = pv_vcpu_cpus(v->domain, vcpus, 0);
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
    struct page *table;
    struct mmu m;
    cpumask_t cpus;
    pte_t *slot;
    long rc = flush_target(v, flags, &cpus);

    if (!rc) {
        flush_ahead(val);
        rc = mmu_begin(&m, v, v->domain, pg_dom);
    }
    if (rc)
        return rc;
    slot = guest_range_ok(va, 1) ? mmu_walk(xv(v)->pv.cr3, va, &table) : NULL;
    rc = slot ? mmu_write_entry(&m, table, slot, 1, val, false) : -EINVAL;
    mmu_end(&m);
    if (!rc && cpus.bits) {
        if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG)
            tlb_flush_page_mask(cpus, va);
        else
            tlb_flush_mask(cpus);
    }
    return rc;
}

/* a: va, entry, UVMF_* flags. */
long do_update_va_mapping(struct vcpu *v, unsigned long *a)
{
    return update_va(v, a[0], a[1], a[2], v->domain);
}

/* a: va, entry, UVMF_* flags, domain whose frame is mapped. */
long do_update_va_mapping_otherdomain(struct vcpu *v, unsigned long *a)
{
    struct domain *pg_dom;
    long rc = page_domain(v, v->domain, (u32)(u16)a[3] + 1, &pg_dom);

    if (rc)
        return rc;
    rc = update_va(v, a[0], a[1], a[2], pg_dom);
    domain_put(pg_dom);
    return rc;
}
