/* SPDX-License-Identifier: MIT */
/*
 * Page-table types of PV guests: taking a frame as a page table, giving it up, and
 * changing an entry. The owner domain's mmu_lock guards all of it.
 *
 * The invariants:
 *  - A frame is a page table of level n while its type is PT_Ln with a count > 0.
 *    Uses counted: entries of level n+1, vCPUs' cr3, the pin.
 *  - A present entry of a validated table holds one reference on its frame; below
 *    that, an entry of level 2..4 holds a PT_L(n-1) type reference, a writable entry
 *    of level 1 a PT_WRITABLE one. So no page table is ever mapped writable.
 *  - PT_VALIDATED: all entries hold their references. Otherwise entries [0, done) do,
 *    the last of them perhaps on a table that is not validated itself. Such a partial
 *    frame can be driven on in both directions by whoever comes next.
 *  - The entries of a table with a type count > 0 change only in this file.
 *  - Level 4 slots 256..271 are Bulkhead's and the same everywhere.
 *
 * Long work is cut when m->budget is used up: a call's frame in progress is then kept,
 * with its references, in the vCPU's restart slots (`partial`: being taken,
 * `deferred`: being put), and the guest's next call takes it up first.
 */
#include "hypercall.h"
#include "x86/pv.h"

#define LEVEL_TYPE(level) ((level) * PT_L1)     /* PT_L1..PT_L4 */

static int take_table(struct mmu *m, mfn_t mfn, unsigned level);
static int type_put(struct mmu *m, struct page *pg);

unsigned pt_entries_held(u64 type)
{
    return (type & PT_VALIDATED) ? 512 : (unsigned)((type & PT_DONE_MASK) >> PT_DONE_SHIFT);
}

static void type_update(struct page *pg, u64 clear, u64 set)
{
    /* Counts of page tables move only under mmu_lock: no compare-and-swap is needed,
     * but others read the word at any time. */
    WRITE_ONCE(pg->type, (pg->type & ~clear) | set);
}

static void set_partial(struct page *pg, unsigned done)
{
    type_update(pg, PT_VALIDATED | PT_DONE_MASK, (u64)done << PT_DONE_SHIFT);
}

/* ---- level 1 entries ---- */

/* The form in which an entry may stand in a table: user, never global. RAM is cached as
 * Bulkhead caches it, unless the domain drives hardware (which may want it otherwise). */
static pte_t entry_fixed(const struct mmu *m, pte_t e, unsigned level)
{
    const pte_t cache = PTE_PAT | PTE_PCD | PTE_PWT;

    if (!(e & PTE_P))
        return e;
    if (level == 1 && (e & cache) && mfn_valid(pte_mfn(e)) && !domain_has(m->d, RIGHT_HARDWARE))
        e &= ~cache;
    return (e | PTE_US) & ~PTE_G;
}

static inline __attribute__((always_inline)) int get_l1_entry(struct mmu *m, pte_t e)
{
    mfn_t mfn = pte_mfn(e);

    if (get_frame(m->pg_dom, mfn, e & PTE_RW))
        return 0;
    if (mfn_valid(mfn))
        return -EBUSY;
    /* device memory: uncounted, by permission */
    return (m->pg_dom == m->d || m->pg_dom == domain_io) &&
           guest_iomem_permitted(m->d, mfn) ? 0 : -EPERM;
}

static void put_l1_entry(pte_t e)
{
    if (mfn_valid(pte_mfn(e)))
        put_frame(mfn_to_page(pte_mfn(e)), e & PTE_RW);
}

static void invalidate_l1(struct mmu *m, const struct page *pg)
{
    const pte_t *t = page_to_virt(pg);

    for (const pte_t *p = t, *end = t + pt_entries_held(pg->type); p < end; p++) {
        if (*p & PTE_P) {
            put_l1_entry(*p);
            m->budget--;
        }
    }
}

static int validate_l1(struct mmu *m, struct page *pg)
{
    pte_t *t = page_to_virt(pg);

    for (pte_t *p = t + pt_entries_held(pg->type); p < t + 512; p++) {
        pte_t e = *p;
        int rc = (e & PTE_P) ? get_l1_entry(m, e) : 0;
        if (rc) {
            gprintk(m->d, LOG_INFO, "L1 table %lx entry %u: %lx cannot be mapped\n",
                    page_to_mfn(pg), (unsigned)(p - t), e);
            set_partial(pg, (unsigned)(p - t));
            return rc;
        }
        if (e & PTE_P) {
            *p = entry_fixed(m, e, 1);
            m->budget--;
        }
    }
    return 0;
}

/* ---- levels 2 to 4 ---- */

/* Large pages, and bits that would mean something at this level, are refused. */
#define UPPER_REFUSED (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT)

/* Takes on entries from where `pg` stands. 0, -ERESTART or what is wrong, place noted. */
// NOLINTNEXTLINE(misc-no-recursion): one level down each time, of four
static int validate_upper(struct mmu *m, struct page *pg, unsigned level)
{
    pte_t *t = page_to_virt(pg);
    unsigned done = pt_entries_held(pg->type);

    /* The last one held may be what an earlier call was cut in: it is taken once more,
     * which drives its table on, then the earlier hold goes. */
    for (unsigned i = done ? done - 1 : 0; i < 512; i++) {
        pte_t e = t[i];
        if (slot_is_hv(level, i) || !(e & PTE_P))
            continue;
        int rc = (e & UPPER_REFUSED) ? -EINVAL : take_table(m, pte_mfn(e), level - 1);
        if (!rc && --m->budget <= 0)
            rc = -ERESTART;
        if (i < done && (!rc || rc == -ERESTART)) {
            (void)type_put(m, mfn_to_page(pte_mfn(e)));     /* not the last use */
            put_page(mfn_to_page(pte_mfn(e)));
        }
        if (rc && rc != -ERESTART)
            gprintk(m->d, LOG_INFO, "L%u table %lx entry %u: %lx refused\n", level,
                    page_to_mfn(pg), i, e);
        if (rc) {
            set_partial(pg, MAX(done, i + (rc == -ERESTART)));
            return rc;
        }
        t[i] = e | PTE_US;
    }
    if (level == 4)
        memcpy(&t[HV_SLOT_FIRST], &hv_l4[HV_SLOT_FIRST],
               (HV_SLOT_LAST - HV_SLOT_FIRST + 1) * sizeof(pte_t));
    return 0;
}

/* Gives entries up, downwards. 0 or -ERESTART, place noted. */
// NOLINTNEXTLINE(misc-no-recursion): one level down each time, of four
static int invalidate_upper(struct mmu *m, struct page *pg, unsigned level)
{
    const pte_t *t = page_to_virt(pg);

    for (unsigned i = pt_entries_held(pg->type); i-- > 0; ) {
        struct page *child = mfn_to_page(pte_mfn(t[i]));
        if (slot_is_hv(level, i) || !(t[i] & PTE_P))
            continue;
        ASSERT(pt_level(child->type) == level - 1);
        if (--m->budget <= 0 || type_put(m, child)) {
            set_partial(pg, i + 1);
            return -ERESTART;
        }
        put_page(child);
    }
    return 0;
}

/* ---- types ---- */

/* Counts one more use as `level`. 0 or -EINVAL. */
static int type_get(struct mmu *m, struct page *pg, unsigned level)
{
    u64 old = READ_ONCE(pg->type), new;

    do {
        new = old & PT_COUNT_MASK ? old + 1 : LEVEL_TYPE(level) | 1;
        if ((new & PT_TYPE_MASK) != LEVEL_TYPE(level) || !(new & PT_COUNT_MASK)) {
            gprintk(m->d, LOG_DEBUG, "frame %lx: type %lx in use, L%u wanted\n", page_to_mfn(pg),
                    old, level);
            return -EINVAL;
        }
    } while (!cas(&pg->type, &old, new));
    if (!(old & PT_COUNT_MASK) && (old & PT_TYPE_MASK) != PT_NONE)
        tlb_flush_stale(pg->stamp);     /* nobody may still write to it */
    return 0;
}

/* The last use takes the table apart first. 0 or -ERESTART: then it is still held. */
// NOLINTNEXTLINE(misc-no-recursion): one level down each time, of four
static NOINLINE int type_put_last(struct mmu *m, struct page *pg)
{
    unsigned level = pt_level(pg->type);

    if (m->budget <= 0 || (level > 1 && invalidate_upper(m, pg, level)))
        return -ERESTART;
    if (level == 1)
        invalidate_l1(m, pg);
    m->budget -= MMU_TABLE;
    WRITE_ONCE(pg->stamp, READ_ONCE(tlb_clock));    /* before the count: others look at both */
    /* The old type stays in the word, uncounted: CPUs may have cached parts of the table,
     * and whoever makes the frame writable flushes those that did. */
    WRITE_ONCE(pg->type, LEVEL_TYPE(level));
    return 0;
}

/* Drops one use. 0 or -ERESTART: then it is still held. */
// NOLINTNEXTLINE(misc-no-recursion): one level down each time, of four
static int type_put(struct mmu *m, struct page *pg)
{
    ASSERT(pt_level(pg->type) && (pg->type & PT_COUNT_MASK));
    if ((pg->type & PT_COUNT_MASK) == 1)
        return type_put_last(m, pg);
    WRITE_ONCE(pg->type, pg->type - 1);
    return 0;
}

/* A frame that is held as a table becomes a validated one. 0, -ERESTART (it is partial),
 * or an error (it is no longer held). */
// NOLINTNEXTLINE(misc-no-recursion): one level down each time, of four
static NOINLINE int validate(struct mmu *m, struct page *pg, unsigned level)
{
    if (m->budget <= 0)
        return -ERESTART;
    int rc = level == 1 ? validate_l1(m, pg) : validate_upper(m, pg, level);
    m->budget -= rc == -ERESTART ? 0 : MMU_TABLE;
    if (rc == 0)
        type_update(pg, PT_DONE_MASK, PT_VALIDATED);
    else if (rc != -ERESTART)
        mmu_put_table(m, pg);
    return rc;
}

/* A reference on frame mfn and a use as a validated table. 0, -ERESTART (both are held,
 * but the table is partial), or an error (neither is). */
// NOLINTNEXTLINE(misc-no-recursion): one level down each time, of four
static int take_table(struct mmu *m, mfn_t mfn, unsigned level)
{
    struct page *pg = mfn_to_page(mfn);

    if (!mfn_valid(mfn) || !get_page(pg, m->d))
        return -EINVAL;
    if (type_get(m, pg, level)) {
        put_page(pg);
        return -EINVAL;
    }
    return (pg->type & PT_VALIDATED) ? 0 : validate(m, pg, level);
}

/* ---- calls: restart slots ---- */

/* What is long, or under another domain's lock, is left to a later call of this vCPU. At
 * most one table of each level, one abandoned and one replaced one wait at a time. */
void mmu_put_table(struct mmu *m, struct page *pg)
{
    struct pv_vcpu *pv = &xv(m->v)->pv;

    if (mmu_owner(m, pg) && !type_put(m, pg)) {
        put_page(pg);
        return;
    }
    BUG_ON(pv->nr_deferred == ARRAY_SIZE(pv->deferred));
    pv->deferred[pv->nr_deferred++] = pg;
}

/* Works off what waits for v, from the last, while it is one domain's, under that one's
 * lock. When that domain has died since, nobody else knows the frame. 0 or -ERESTART. */
int mmu_finish(struct vcpu *v, int *budget)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    domid_t owner = pv->deferred[pv->nr_deferred - 1]->owner;
    struct domain *o = owner < DOMID_LIMIT ? domain_get(owner) : NULL;
    struct mmu m = { .v = v, .d = o ? o : v->domain, .budget = *budget };

    with_lock (&xd(m.d)->pv.mmu_lock) {
        while (pv->nr_deferred) {
            struct page *pg = pv->deferred[pv->nr_deferred - 1];
            if (pg->owner != owner || type_put(&m, pg))
                break;
            pv->nr_deferred--;
            put_page(pg);
        }
    }
    if (o)
        domain_put(o);
    *budget = m.budget;
    return pv->nr_deferred ? -ERESTART : 0;
}

int mmu_drain(struct vcpu *v)
{
    while (unlikely(xv(v)->pv.nr_deferred)) {
        int budget = MMU_BUDGET;
        if (mmu_finish(v, &budget) && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}

int mmu_get_table(struct mmu *m, mfn_t mfn, unsigned level)
{
    struct page **partial = &xv(m->v)->pv.partial, *was = *partial, *pg = mfn_to_page(mfn);
    int rc = take_table(m, mfn, level);

    /* What an earlier call holds stays while it may come back for it: not when this is
     * that, or needs its place, or when it is another domain's, whose end it would bar. */
    if (rc == -ERESTART || (was && (was == pg || !mmu_owner(m, was)))) {
        *partial = rc == -ERESTART ? pg : NULL;
        if (was)
            mmu_put_table(m, was);
    }
    return rc;
}

static int write_l1(struct mmu *m, pte_t *slot, pte_t val, bool preserve_ad)
{
    pte_t old = READ_ONCE(*slot), new;
    /* Same frame and rights: nothing to count. */
    bool same = (old & PTE_P) && !((old ^ val) & (PTE_ADDR | PTE_RW | PTE_P));

    int rc = !same && (val & PTE_P) ? get_l1_entry(m, val) : 0;

    if (rc)
        return rc;
    do {        /* only the CPU changes the entry meanwhile: accessed and dirty bits */
        if (m->compare && old != m->expect) {
            if (!same && (val & PTE_P))
                put_l1_entry(val);
            return -EAGAIN;
        }
        new = preserve_ad ? val | (old & (PTE_A | PTE_D)) : val;
    } while (!cas(slot, &old, new));
    if (!same && (old & PTE_P))
        put_l1_entry(old);
    return 0;
}

int mmu_write_entry(struct mmu *m, pte_t *slot, unsigned level, pte_t val, bool preserve_ad)
{
    val = entry_fixed(m, val, level);
    if (level == 1)
        return write_l1(m, slot, val, preserve_ad);
    if (slot_is_hv(level, (unsigned)(((u64)slot & ~PAGE_MASK) / sizeof(pte_t))))
        return -EINVAL;
    pte_t old = READ_ONCE(*slot);
    if (val & PTE_P) {
        if (val & UPPER_REFUSED)
            return -EINVAL;
        if ((old & PTE_P) && pte_mfn(old) == pte_mfn(val)) {
            WRITE_ONCE(*slot, preserve_ad ? val | (old & PTE_A) : val);
            return 0;
        }
        int rc = mmu_get_table(m, pte_mfn(val), level - 1);
        if (rc)
            return rc;
    }
    old = __atomic_exchange_n(slot, val, __ATOMIC_SEQ_CST);
    if (old & PTE_P)
        mmu_put_table(m, mfn_to_page(pte_mfn(old)));
    return 0;
}

pte_t *mmu_walk(struct vcpu *v, u64 va)
{
    pte_t *t = page_to_virt(xv(v)->pv.cr3);

    if (!guest_range_ok(va, 1))
        return NULL;
#pragma GCC unroll 3
    for (unsigned level = 4; level > 1; level--) {
        pte_t e = t[pt_index(va, level)];
        if (!(e & PTE_P))
            return NULL;
        t = mfn_to_virt(pte_mfn(e));
    }
    return &t[pt_index(va, 1)];
}

int mmu_pin(struct mmu *m, mfn_t mfn, unsigned level)
{
    struct page *pg = mfn_to_page(mfn);

    if (READ_ONCE(m->d->is_dying))
        return -EINVAL;         /* unpin_all may have been here already */
    int rc = mmu_get_table(m, mfn, level);
    if (rc)
        return rc;
    if (pg->type & PT_PINNED) {
        mmu_put_table(m, pg);
        gprintk(m->d, LOG_INFO, "frame %lx is pinned already\n", mfn);
        return -EINVAL;
    }
    type_update(pg, 0, PT_PINNED);
    return 0;
}

int mmu_unpin(struct mmu *m, mfn_t mfn)
{
    struct page *pg = mfn_to_page(mfn);

    if (!mfn_valid(mfn) || !mmu_owner(m, pg) || !(pg->type & PT_PINNED)) {
        gprintk(m->d, LOG_INFO, "frame %lx is not pinned\n", mfn);
        return -EINVAL;
    }
    type_update(pg, PT_PINNED, 0);
    mmu_put_table(m, pg);
    return 0;
}

/* ---- teardown ---- */

static int unpin_all(struct mmu *m)
{
    struct pv_domain *pd = &xd(m->d)->pv;
    u32 at = pd->relinquish_at;

    /* A place that has left the list meanwhile says nothing: start over. */
    if (at == PAGE_NONE || !mmu_owner(m, &frame_table[at]))
        at = m->d->page_first;
    for (unsigned n = 0; at != PAGE_NONE; at = frame_table[at].next) {
        pd->relinquish_at = at;
        if (frame_table[at].type & PT_PINNED)
            mmu_unpin(m, at);
        if (xv(m->v)->pv.nr_deferred || m->budget <= 0 || ++n > 2048)
            return -ERESTART;
    }
    return 0;
}

int pv_relinquish(struct domain *d)
{
    struct mmu m;

    tlb_flush_mask(xd(d)->pv.active);   /* none of its vCPUs runs any more: idle CPUs leave them */
    for_each_vcpu (d, v) {
        struct pv_vcpu *pv = &xv(v)->pv;
        struct page **held[] = { &pv->partial, &pv->cr3, &pv->user_cr3 };
        pv_drop_descriptors(v);
        int rc = mmu_begin(&m, v, d, d);
        for (unsigned i = 0; !rc && i < ARRAY_SIZE(held); i++) {
            if (*held[i])
                mmu_put_table(&m, *held[i]);
            *held[i] = NULL;
        }
        mmu_end(&m);
        if (rc || pv->nr_deferred || (v->id % 32 == 31 && hypercall_preempt(current_vcpu())))
            return -ERESTART;
    }
    /* Who ends the domain carries what is cut. */
    int rc = mmu_begin(&m, current_vcpu(), d, d) ?: unpin_all(&m);
    mmu_end(&m);
    return rc;
}
