/* SPDX-License-Identifier: MIT */
/*
 * The frame audit: counts anew, from page tables, vCPUs, grants and the pages that
 * Bulkhead holds for itself, how many references and uses each frame must have, and
 * compares with struct page. All vCPUs are paused meanwhile; its steps are those of
 * debug key 'A' (core/keyhandler.c), one audit at a time. Owns its counts; no lock.
 */
#include "evtchn.h"
#include "grant.h"
#include "x86/pv.h"

#define CHUNK_SHIFT 18          /* so many frames are counted in one allocation, of 2 MiB */
#define CHUNK_ORDER 9
#define CHUNKS_MAX  4096u       /* 4 TiB of memory */
#define CLEARED     1024u       /* in one step */
#define LOOKED_AT   256u

struct expect { u32 refs, uses; };

static struct expect *chunks[CHUNKS_MAX];
static unsigned long frames, differences;

static struct expect *expected(mfn_t mfn)
{
    return &chunks[mfn >> CHUNK_SHIFT][mfn & ((1u << CHUNK_SHIFT) - 1)];
}

static void expect(mfn_t mfn, u32 refs, u32 uses)
{
    if (mfn_valid(mfn)) {
        expected(mfn)->refs += refs;
        expected(mfn)->uses += uses;
    }
}

static void expect_mapping(UNUSED void *arg, mfn_t mfn, bool write)
{
    expect(mfn, 1, write);
}

static void expect_page(const struct page *pg)
{
    if (pg)
        expect(page_to_mfn(pg), 1, 1);
}

static void count_table(const struct page *pg)
{
    unsigned level = pt_level(pg->type), n = pt_entries_held(pg->type);
    const pte_t *t = page_to_virt(pg);

    for (unsigned i = 0; i < n; i++) {
        if ((t[i] & PTE_P) && !slot_is_hv(level, i))
            expect(pte_mfn(t[i]), 1, level > 1 || (t[i] & PTE_RW));
    }
    if (pg->type & PT_PINNED)
        expect(page_to_mfn(pg), 1, 1);
}

static void count_vcpu(struct vcpu *v)
{
    struct pv_vcpu *pv = &xv(v)->pv;

    expect_page(pv->cr3);
    expect_page(pv->user_cr3);
    expect_page(pv->partial);
    expect_page(v->info_page);
    for (unsigned i = 0; i < pv->nr_deferred; i++)
        expect_page(pv->deferred[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(pv->ldt_frame); i++)
        expect(pv->ldt_frame[i], 1, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(pv->gdt_frame); i++)
        expect(pv->gdt_frame[i], 1, 1);
}

static void compare(mfn_t mfn)
{
    const struct page *pg = mfn_to_page(mfn);
    struct expect want = *expected(mfn);
    bool typed = (pg->type & PT_TYPE_MASK) != PT_NONE, own = pg->flags & PG_XENHEAP;

    want.refs += own + (pg->refs && (pg->flags & PG_ALLOCATED));   /* else hidden */
    want.uses += own;
    frames++;
    if (pg->refs == want.refs && (!typed || (u32)(pg->type & PT_COUNT_MASK) == want.uses))
        return;
    if (++differences <= 20) {
        printk(LOG_ERR, "audit: frame %lx owner d%u flags %x type %lx: %u references, %u counted; "
               "%u uses, %u counted\n", mfn, pg->owner, pg->flags, pg->type, pg->refs, want.refs,
               (u32)(pg->type & PT_COUNT_MASK), want.uses);
    }
}

/* --- phases, in steps: where to go on, 0: done --- */

/* Room for the counts, all 0. Without it nothing else is done. */
static u64 make_room(u64 i)
{
    if ((i & ((1u << CHUNK_SHIFT) - 1)) == 0) {
        u64 n = i >> CHUNK_SHIFT;
        struct page *pg = n < CHUNKS_MAX ? alloc_hv_pages(CHUNK_ORDER, 0) : NULL;
        if (i == 0)
            frames = differences = 0;
        if (!pg) {
            printk(LOG_ERR, "audit: not done, needs 2 MiB of free memory for each GiB, of 4 TiB at most\n");
            differences = ~0ul;
            return 0;
        }
        chunks[n] = page_to_virt(pg);
    }
    memset(expected(i), 0, CLEARED * sizeof(struct expect));
    return i + CLEARED < max_mfn ? i + CLEARED : 0;
}

static u32 pause_domain(struct domain *d, UNUSED u32 i)
{
    /* Who pauses others holds control_lock, or two would wait for each other. */
    if (!spin_trylock(&control_lock))
        return 1;
    domain_ref(d);
    d->audited = true;
    domain_pause(d);
    spin_unlock(&control_lock);
    return 0;
}

static u32 count_domain(struct domain *d, u32 i)
{
    struct vcpu *v = domain_vcpu(d, i);

    if (i == 0) {
        expect_page(xd(d)->eoi_map_page);
        evtchn_for_each_page(d, expect_mapping, NULL);
    }
    if (v)
        count_vcpu(v);
    bool more = i < d->max_vcpus || grant_for_each_mapping(d, i - d->max_vcpus, expect_mapping, NULL);
    return more ? i + 1 : 0;
}

static u32 unpause_domain(struct domain *d, UNUSED u32 i)
{
    if (d->audited) {
        d->audited = false;
        domain_unpause(d);
        domain_put(d);
    }
    return 0;
}

static u64 pause_all(u64 at)     { return domains_step(pause_domain, at); }
static u64 count_domains(u64 at) { return domains_step(count_domain, at); }
static u64 unpause_all(u64 at)   { return domains_step(unpause_domain, at); }

static u64 count_tables(u64 i)
{
    u64 end = MIN(i + LOOKED_AT, max_mfn);

    for (bool found = false; i < end && !found; i++) {
        const struct page *pg = mfn_to_page(i);
        found = mfn_valid(i) && pt_level(pg->type) && (pg->type & PT_COUNT_MASK);
        if (found)
            count_table(pg);
    }
    return i < max_mfn ? i : 0;
}

static u64 compare_all(u64 i)
{
    for (u64 end = MIN(i + LOOKED_AT, max_mfn); i < end; i++) {
        const struct page *pg = mfn_to_page(i);
        if (mfn_valid(i) && !(pg->flags & PG_FREE) && (!(pg->flags & PG_HV) || (pg->flags & PG_XENHEAP)))
            compare(i);
    }
    return i < max_mfn ? i : 0;
}

static u64 free_room(u64 n)
{
    if (!chunks[n])
        return 0;
    free_hv_pages(mfn_to_page(virt_to_mfn(chunks[n])), CHUNK_ORDER);
    chunks[n] = NULL;
    return (n + 1) % CHUNKS_MAX;
}

#define FREE_ROOM 6
static u64 (*const phases[])(u64 at) = {
    make_room, pause_all, count_domains, count_tables, compare_all, unpause_all, [FREE_ROOM] = free_room
};

u64 audit_frames(u64 at)
{
    u64 phase = at >> 56, next = phases[phase](at & ~0ul >> 8);

    if (next)
        return phase << 56 | next;
    if (phase < FREE_ROOM)
        return (differences == ~0ul ? FREE_ROOM : phase + 1) << 56;
    if (differences != ~0ul)
        printk(LOG_INFO, "audit: %lu frames, %lu differences\n", frames, differences);
    return 0;
}
