/* SPDX-License-Identifier: MIT */
/*
 * The frame audit: counts anew, from page tables, vCPUs, grants and the pages that
 * Bulkhead holds for itself, how many references and uses each frame must have, and
 * compares with struct page. All other vCPUs are paused meanwhile. Debug key 'A'.
 */
#include "evtchn.h"
#include "grant.h"
#include "x86/pv.h"

struct expect { u32 refs, uses; };

struct audit {
    struct expect *at;      /* by MFN */
    unsigned long frames, differences;
};

static void expect(struct audit *a, mfn_t mfn, u32 refs, u32 uses)
{
    if (mfn_valid(mfn)) {
        a->at[mfn].refs += refs;
        a->at[mfn].uses += uses;
    }
}

static void expect_mapping(void *arg, mfn_t mfn, bool write)
{
    expect(arg, mfn, 1, write);
}

static void expect_page(struct audit *a, const struct page *pg)
{
    if (pg)
        expect(a, page_to_mfn(pg), 1, 1);
}

static void count_table(struct audit *a, const struct page *pg)
{
    unsigned level = pt_level(pg->type);
    const pte_t *t = page_to_virt(pg);

    for (unsigned i = 0; i < pt_entries_held(pg->type); i++) {
        if ((t[i] & PTE_P) && !slot_is_hv(level, i))
            expect(a, pte_mfn(t[i]), 1, level > 1 || (t[i] & PTE_RW));
    }
}

static void count_domain(struct audit *a, struct domain *d)
{
    for_each_vcpu (d, v) {
        struct pv_vcpu *pv = &xv(v)->pv;
        expect_page(a, pv->cr3);
        expect_page(a, pv->user_cr3);
        expect_page(a, pv->partial);
        expect_page(a, v->info_page);
        for (unsigned i = 0; i < pv->nr_deferred; i++)
            expect_page(a, pv->deferred[i]);
        for (unsigned i = 0; i < ARRAY_SIZE(pv->ldt_frame); i++)
            expect(a, pv->ldt_frame[i], 1, 1);
        for (unsigned i = 0; i < ARRAY_SIZE(pv->gdt_frame); i++)
            expect(a, pv->gdt_frame[i], 1, 1);
    }
    expect_page(a, xd(d)->eoi_map_page);
    grant_for_each_mapping(d, expect_mapping, a);
    evtchn_for_each_page(d, expect_mapping, a);
}

static void compare(struct audit *a, mfn_t mfn)
{
    const struct page *pg = mfn_to_page(mfn);
    struct expect want = a->at[mfn];
    bool typed = (pg->type & PT_TYPE_MASK) != PT_NONE, own = pg->flags & PG_XENHEAP;

    want.refs += own + (pg->refs && (pg->flags & PG_ALLOCATED));   /* else hidden */
    want.uses += own;
    if (pg->refs == want.refs && (!typed || (u32)(pg->type & PT_COUNT_MASK) == want.uses))
        return;
    if (++a->differences <= 20) {
        printk(LOG_ERR, "audit: frame %lx owner d%u flags %x type %lx: %u references, %u counted; "
               "%u uses, %u counted\n", mfn, pg->owner, pg->flags, pg->type, pg->refs, want.refs,
               (u32)(pg->type & PT_COUNT_MASK), want.uses);
    }
}

static void for_each_other_vcpu(void (*fn)(struct vcpu *v))
{
    for (struct domain *d = domain_get_from(0); d; d = domain_get_next(d)) {
        for_each_vcpu (d, v) {
            if (v != current_vcpu())
                fn(v);
        }
    }
}

unsigned long audit_frames(void)
{
    unsigned order = 0;
    struct audit a = { 0 };

    while ((PAGE_SIZE << order) < max_mfn * sizeof(struct expect))
        order++;
    struct page *pages = alloc_hv_pages(order, MEMF_ZERO);
    if (!pages) {
        printk(LOG_ERR, "audit: not done, needs %lu KiB of free memory in one piece\n",
               (PAGE_SIZE << order) >> 10);
        return ~0UL;
    }
    a.at = page_to_virt(pages);
    /* Who pauses others holds control_lock, or two would wait for each other. */
    if (!spin_trylock(&control_lock)) {
        printk(LOG_WARN, "audit: the control plane is busy, try again\n");
        free_hv_pages(pages, order);
        return ~0UL;
    }
    for_each_other_vcpu(vcpu_pause);
    for (struct domain *d = domain_get_from(0); d; d = domain_get_next(d))
        count_domain(&a, d);
    for (mfn_t mfn = 0; mfn < max_mfn; mfn++) {
        const struct page *pg = mfn_to_page(mfn);
        if (mfn_valid(mfn) && pt_level(pg->type) && (pg->type & PT_COUNT_MASK)) {
            count_table(&a, pg);
            if (pg->type & PT_PINNED)
                expect(&a, mfn, 1, 1);
        }
    }
    for (mfn_t mfn = 0; mfn < max_mfn; mfn++) {
        const struct page *pg = mfn_to_page(mfn);
        if (mfn_valid(mfn) && !(pg->flags & PG_FREE) &&
            (!(pg->flags & PG_HV) || (pg->flags & PG_XENHEAP))) {
            compare(&a, mfn);
            a.frames++;
        }
    }
    for_each_other_vcpu(vcpu_unpause);
    spin_unlock(&control_lock);
    free_hv_pages(pages, order);
    printk(LOG_INFO, "audit: %lu frames, %lu differences\n", a.frames, a.differences);
    return a.differences;
}
