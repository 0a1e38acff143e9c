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
 *  - PT_VALIDATED: all entries hold their references. PT_PARTIAL: entries [0, done)
 *    do; with PT_CHILD entry `done` holds its references too, but its table is itself
 *    partial. Such a frame can be driven on in both directions by whoever comes next.
 *  - The entries of a table with a type count > 0 change only in this file.
 *  - Level 4 slots 256..271 are Bulkhead's and the same everywhere.
 *
 * Long work is cut after m->budget tables: a call's frame in progress is then kept,
 * with its references, in the vCPU's restart slots (`partial`: being taken,
 * `deferred`: being put), and the guest's next call takes it up first.
 */
#include "arch.h"
#include "hypercall.h"
#include "mm.h"
#include "x86/pv.h"

static const u64 level_type[5] = { 0, PT_L1, PT_L2, PT_L3, PT_L4 };

static int get_entry(struct mmu *m, pte_t e, unsigned level, bool held);
static int put_entry(struct mmu *m, pte_t e, unsigned level);

unsigned pt_level(u64 type)
{
    unsigned l = (unsigned)((type & PT_TYPE_MASK) >> 60);
    return l <= 4 ? l : 0;
}

static void type_update(struct page *pg, u64 clear, u64 set)
{
    /* Counts of page tables move only under mmu_lock: no compare-and-swap is needed,
     * but others read the word at any time. */
    WRITE_ONCE(pg->type, (pg->type & ~clear) | set);
}

static unsigned done_of(u64 type)
{
    return (unsigned)((type & PT_DONE_MASK) >> PT_DONE_SHIFT);
}

static void set_partial(struct page *pg, unsigned done, bool child)
{
    type_update(pg, PT_VALIDATED | PT_CHILD | PT_DONE_MASK,
                PT_PARTIAL | (u64)done << PT_DONE_SHIFT | (child ? PT_CHILD : 0));
}

/* ---- level 1 entries ---- */

/* The form in which an entry may stand in a table: user, never global. RAM is cached as
 * Bulkhead caches it, unless the domain drives hardware (which may want it otherwise). */
static pte_t entry_fixed(const struct mmu *m, pte_t e, unsigned level)
{
    if (!(e & PTE_P))
        return e;
    e = (e | PTE_US) & ~PTE_G;
    if (level == 1 && (e & (PTE_PAT | PTE_PCD | PTE_PWT)) && mfn_valid(pte_mfn(e)) &&
        !domain_has(m->d, RIGHT_HARDWARE)) {
        e &= ~(PTE_PAT | PTE_PCD | PTE_PWT);
    }
    return e;
}

static inline __attribute__((always_inline)) int get_l1_entry(struct mmu *m, pte_t e)
{
    mfn_t mfn = pte_mfn(e);
    struct page *pg = mfn_to_page(mfn);

    if (!mfn_valid(mfn)) {      /* device memory: uncounted, by permission */
        return (m->pg_dom == m->d || m->pg_dom == domain_io) &&
               guest_iomem_permitted(m->d, mfn) ? 0 : -EINVAL;
    }
    if (!get_page(pg, m->pg_dom))
        return -EINVAL;
    if ((e & PTE_RW) && get_page_writable(pg)) {
        put_page(pg);
        return -EINVAL;
    }
    return 0;
}

static inline __attribute__((always_inline)) void put_l1_entry(pte_t e)
{
    mfn_t mfn = pte_mfn(e);

    if (mfn_valid(mfn)) {
        struct page *pg = mfn_to_page(mfn);
        if (e & PTE_RW)
            put_page_writable(pg);
        put_page(pg);
    }
}

static int validate_l1(struct mmu *m, struct page *pg)
{
    pte_t *t = page_to_virt(pg);

    for (pte_t *p = t; p < t + 512; p++) {
        pte_t e = *p;
        if (!(e & PTE_P))
            continue;
        if (get_l1_entry(m, e)) {
            gprintk(m->d, LOG_INFO, "L1 table %lx entry %u: %lx cannot be mapped\n",
                    page_to_mfn(pg), (unsigned)(p - t), e);
            while (p-- > t) {
                if (*p & PTE_P)
                    put_l1_entry(*p);
            }
            return -EINVAL;
        }
        *p = entry_fixed(m, e, 1);
    }
    return 0;
}

static void invalidate_l1(struct page *pg)
{
    const pte_t *t = page_to_virt(pg);

    for (unsigned i = 0; i < 512; i++) {
        if (t[i] & PTE_P)
            put_l1_entry(t[i]);
    }
}

/* ---- levels 2 to 4 ---- */

static bool slot_is_hv(unsigned level, unsigned i)
{
    return level == 4 && i >= HV_SLOT_FIRST && i <= HV_SLOT_LAST;
}

/* Large pages, and bits that would mean something at this level, are refused. */
static bool upper_entry_ok(pte_t e)
{
    return !(e & (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT));
}

static void install_hv_slots(pte_t *l4)
{
    memcpy(&l4[HV_SLOT_FIRST], &hv_l4[HV_SLOT_FIRST],
           (HV_SLOT_LAST - HV_SLOT_FIRST + 1) * sizeof(pte_t));
}

/* Takes on entries from where `pg` stands. 0, -EINVAL or -ERESTART, place noted. */
static int validate_upper(struct mmu *m, struct page *pg, unsigned level)
{
    pte_t *t = page_to_virt(pg);
    unsigned i = done_of(pg->type);
    bool held = pg->type & PT_CHILD;

    for (; i < 512; i++, held = false) {
        pte_t e = t[i];
        int rc;
        if (slot_is_hv(level, i) || !(e & PTE_P))
            continue;
        rc = held || upper_entry_ok(e) ? get_entry(m, e, level, held) : -EINVAL;
        if (rc) {
            set_partial(pg, i, rc == -ERESTART);
            if (rc != -ERESTART) {
                gprintk(m->d, LOG_INFO, "L%u table %lx entry %u: %lx refused\n", level,
                        page_to_mfn(pg), i, e);
            }
            return rc;
        }
        t[i] = e | PTE_US;
    }
    if (level == 4)
        install_hv_slots(t);
    return 0;
}

/* Gives entries up, downwards. 0 or -ERESTART, place noted. */
static int invalidate_upper(struct mmu *m, struct page *pg, unsigned level)
{
    const pte_t *t = page_to_virt(pg);
    unsigned i = pg->type & PT_VALIDATED ? 512 : done_of(pg->type);
    bool child = pg->type & PT_CHILD;

    if (!child) {
        if (i == 0)
            return 0;
        i--;
    }
    for (;; i--) {
        if (!slot_is_hv(level, i) && (t[i] & PTE_P)) {
            if (put_entry(m, t[i], level)) {
                set_partial(pg, i, true);
                return -ERESTART;
            }
        }
        if (i == 0)
            return 0;
    }
}

/* ---- types ---- */

/* Counts one more use as `level`; *fresh: it is the first one. */
static int type_get(struct mmu *m, struct page *pg, unsigned level, bool *fresh)
{
    for (;;) {
        u64 old = READ_ONCE(pg->type), new;
        *fresh = (old & PT_COUNT_MASK) == 0;
        if (*fresh) {
            new = level_type[level] | 1 | (old & PT_PINNED);
        } else if ((old & PT_TYPE_MASK) != level_type[level] ||
                   (old & PT_COUNT_MASK) == PT_COUNT_MASK) {
            gprintk(m->d, LOG_DEBUG, "frame %lx: type %lx in use, L%u wanted\n", page_to_mfn(pg),
                    old, level);
            return -EINVAL;
        } else {
            new = old + 1;
        }
        if (__atomic_compare_exchange_n(&pg->type, &old, new, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
            if (*fresh && (old & PT_TYPE_MASK) != PT_NONE) {
                tlb_flush_stale(pg->stamp);     /* nobody may still write to it */
            }
            return 0;
        }
    }
}

/* Drops one use; the last takes the table apart first. 0 or -ERESTART: then the use
 * is still held and `pg` partial. */
static int type_put(struct mmu *m, struct page *pg)
{
    unsigned level = pt_level(pg->type);

    ASSERT(level && (pg->type & PT_COUNT_MASK));
    if ((pg->type & PT_COUNT_MASK) > 1) {
        WRITE_ONCE(pg->type, pg->type - 1);
        return 0;
    }
    if (m->budget <= 0 && (level > 1 || (pg->type & PT_VALIDATED))) {
        if (level > 1 && (pg->type & PT_VALIDATED))
            set_partial(pg, 512, false);
        return -ERESTART;       /* a level 1 table just stays validated */
    }
    if (level == 1) {
        if (pg->type & PT_VALIDATED)
            invalidate_l1(pg);
    } else if (invalidate_upper(m, pg, level)) {
        return -ERESTART;
    }
    m->budget--;
    WRITE_ONCE(pg->stamp, READ_ONCE(tlb_clock));    /* before the count: others look at both */
    /* The old type stays in the word, uncounted: CPUs may have cached parts of the table,
     * and whoever makes the frame writable flushes those that did. */
    WRITE_ONCE(pg->type, level_type[level] | (pg->type & PT_PINNED));
    return 0;
}

/* The last use of pg, and a reference, are put by a later call of this vCPU. At most
 * one table of each level and one replaced table wait at a time. */
static void defer(struct mmu *m, struct page *pg)
{
    struct pv_vcpu *pv = &xv(m->v)->pv;

    BUG_ON(pv->nr_deferred == ARRAY_SIZE(pv->deferred));
    pv->deferred[pv->nr_deferred++] = pg;
}

/* With `held` the caller has a use of pg already, from a cut-short call. 0, -EINVAL (no
 * use is held then), -ERESTART (a use is held). */
static inline int table_get(struct mmu *m, struct page *pg, unsigned level, bool held)
{
    bool fresh;
    int rc = held ? 0 : type_get(m, pg, level, &fresh);

    if (rc || (pg->type & PT_VALIDATED))
        return rc;
    if (m->budget <= 0) {
        rc = -ERESTART;
        if (level > 1 && !(pg->type & PT_PARTIAL))
            set_partial(pg, 0, false);
    } else {
        rc = level == 1 ? validate_l1(m, pg) : validate_upper(m, pg, level);
        m->budget -= rc != -ERESTART;
    }
    if (rc == 0) {
        type_update(pg, PT_PARTIAL | PT_CHILD | PT_DONE_MASK, PT_VALIDATED);
    } else if (rc != -ERESTART && type_put(m, pg)) {
        /* Taking the failed table apart is long itself: the vCPU's next call does it. */
        if (get_page(pg, m->d))
            defer(m, pg);
    }
    return rc;
}

/* An entry of level 2..4 takes its references. */
static int get_entry(struct mmu *m, pte_t e, unsigned level, bool held)
{
    mfn_t mfn = pte_mfn(e);
    struct page *pg = mfn_to_page(mfn);
    int rc;

    if (!held && (!mfn_valid(mfn) || !get_page(pg, m->d)))
        return -EINVAL;
    rc = table_get(m, pg, level - 1, held);
    if (rc && rc != -ERESTART)
        put_page(pg);
    return rc;
}

static int put_entry(struct mmu *m, pte_t e, unsigned level)
{
    struct page *pg = mfn_to_page(pte_mfn(e));

    ASSERT(pt_level(pg->type) == level - 1);
    if (type_put(m, pg))
        return -ERESTART;
    put_page(pg);
    return 0;
}

/* ---- calls: restart slots ---- */

void mmu_put_table(struct mmu *m, struct page *pg)
{
    if (type_put(m, pg)) {
        defer(m, pg);
        return;
    }
    put_page(pg);
}

bool mmu_owner(const struct mmu *m, const struct page *pg)
{
    return pg->owner == m->d->id;
}

/* Works off what waits, from the last, while it is `owner`'s (by id). */
static int finish(struct mmu *m, domid_t owner)
{
    struct pv_vcpu *pv = &xv(m->v)->pv;

    while (pv->nr_deferred) {
        struct page *pg = pv->deferred[pv->nr_deferred - 1];
        if (pg->owner != owner || type_put(m, pg))
            return -ERESTART;
        pv->nr_deferred--;
        put_page(pg);
    }
    return 0;
}

int mmu_finish(struct mmu *m)
{
    return finish(m, m->d->id);
}

/* What waits belongs to another domain (a call for it was cut): go on there. When that
 * domain has died since, nobody else knows the frame. */
static void finish_elsewhere(struct vcpu *v)
{
    domid_t owner = xv(v)->pv.deferred[xv(v)->pv.nr_deferred - 1]->owner;
    struct domain *o = owner < DOMID_LIMIT ? domain_get(owner) : NULL;
    struct mmu m = { .v = v, .d = o ? o : v->domain, .budget = MMU_BUDGET };

    with_lock (&xd(m.d)->pv.mmu_lock) {
        (void)finish(&m, owner);
    }
    if (o)
        domain_put(o);
}

int mmu_begin(struct mmu *m, struct vcpu *v, struct domain *d, struct domain *pg_dom)
{
    struct pv_vcpu *pv = &xv(v)->pv;

    *m = (struct mmu){ .v = v, .d = d, .pg_dom = pg_dom, .budget = MMU_BUDGET };
    if (unlikely(pv->nr_deferred) && !mmu_owner(m, pv->deferred[pv->nr_deferred - 1])) {
        finish_elsewhere(v);
        return -ERESTART;
    }
    spin_lock(&xd(d)->pv.mmu_lock);
    m->locked = true;
    if (unlikely(pv->nr_deferred) && mmu_finish(m)) {
        mmu_end(m);
        return -ERESTART;
    }
    return 0;
}

int mmu_drain(struct vcpu *v)
{
    struct mmu m;

    while (xv(v)->pv.nr_deferred) {
        (void)mmu_begin(&m, v, v->domain, v->domain);
        mmu_end(&m);
        if (xv(v)->pv.nr_deferred && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}

void mmu_end(struct mmu *m)
{
    if (m->locked) {
        m->locked = false;
        spin_unlock(&xd(m->d)->pv.mmu_lock);
    }
}

int mmu_get_table(struct mmu *m, mfn_t mfn, unsigned level, struct page **out)
{
    struct pv_vcpu *pv = &xv(m->v)->pv;
    struct page *pg = mfn_to_page(mfn);
    bool held = false;
    int rc;

    if (!mfn_valid(mfn))
        return -EINVAL;
    if (unlikely(pv->partial)) {
        struct page *was = pv->partial;
        pv->partial = NULL;
        if (was == pg && pv->partial_type == level_type[level] && mmu_owner(m, pg)) {
            held = true;
        } else {
            defer(m, was);      /* the guest went another way: let go of it first */
            return -ERESTART;
        }
    }
    if (!held && !get_page(pg, m->d))
        return -EINVAL;
    rc = table_get(m, pg, level, held);
    if (rc == -ERESTART) {
        pv->partial = pg;
        pv->partial_type = level_type[level];
    } else if (rc) {
        put_page(pg);
    } else {
        *out = pg;
    }
    return rc;
}

int mmu_write_entry(struct mmu *m, struct page *table, pte_t *slot, unsigned level, pte_t val,
                    bool preserve_ad)
{
    pte_t old = READ_ONCE(*slot);
    struct page *child;
    int rc;

    val = entry_fixed(m, val, level);
    if (level == 1) {
        /* Same frame and rights: nothing to count. */
        bool same = (old & PTE_P) && !((old ^ val) & (PTE_ADDR | PTE_RW | PTE_P));
        if (!same && (val & PTE_P) && get_l1_entry(m, val))
            return -EINVAL;
        if (m->compare) {
            if (!__atomic_compare_exchange_n(slot, &m->expect, val, false, __ATOMIC_SEQ_CST,
                                             __ATOMIC_RELAXED)) {
                if (!same && (val & PTE_P))
                    put_l1_entry(val);
                return -EAGAIN;
            }
            old = m->expect;
        } else if (preserve_ad) {
            old = READ_ONCE(*slot);
            while (!__atomic_compare_exchange_n(slot, &old, val | (old & (PTE_A | PTE_D)), false,
                                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            }
        } else {
            old = __atomic_exchange_n(slot, val, __ATOMIC_SEQ_CST);
        }
        if (!same && (old & PTE_P))
            put_l1_entry(old);
        return 0;
    }

    if (slot_is_hv(level, (unsigned)(((u64)slot & ~PAGE_MASK) / sizeof(pte_t))))
        return -EINVAL;
    (void)table;
    if (val & PTE_P) {
        if (!upper_entry_ok(val))
            return -EINVAL;
        if ((old & PTE_P) && pte_mfn(old) == pte_mfn(val)) {
            WRITE_ONCE(*slot, preserve_ad ? val | (old & PTE_A) : val);
            return 0;
        }
        rc = mmu_get_table(m, pte_mfn(val), level - 1, &child);
        if (rc)
            return rc;
    }
    old = __atomic_exchange_n(slot, val, __ATOMIC_SEQ_CST);
    if (old & PTE_P)
        mmu_put_table(m, mfn_to_page(pte_mfn(old)));
    return 0;
}

pte_t *mmu_walk(struct page *l4, u64 va, struct page **table)
{
    pte_t *t = page_to_virt(l4), e = t[pt_index(va, 4)];

    if (!(e & PTE_P) || slot_is_hv(4, pt_index(va, 4)))
        return NULL;
    for (unsigned level = 3; level > 1; level--) {
        t = mfn_to_virt(pte_mfn(e));
        e = t[pt_index(va, level)];
        if (!(e & PTE_P))
            return NULL;
    }
    *table = mfn_to_page(pte_mfn(e));
    return (pte_t *)mfn_to_virt(pte_mfn(e)) + pt_index(va, 1);
}

int mmu_pin(struct mmu *m, mfn_t mfn, unsigned level)
{
    struct page *pg;
    int rc;

    if (READ_ONCE(m->d->is_dying)) {
        return -EINVAL;         /* unpin_all may have been here already */
    }
    rc = mmu_get_table(m, mfn, level, &pg);
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

/* All that vCPU v holds: 0 or -ERESTART. v does not run any more. */
static int relinquish_vcpu(struct mmu *m, struct x86_vcpu *x)
{
    struct page **held[] = { &x->pv.partial, &x->pv.cr3, &x->pv.user_cr3 };

    if (mmu_finish(m))
        return -ERESTART;
    for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
        struct page *pg = *held[i];
        if (pg && !mmu_owner(m, pg)) {      /* only `partial` can be another domain's */
            *held[i] = NULL;
            defer(m, pg);
            return -ERESTART;               /* mmu_begin goes on there */
        }
        if (pg) {
            *held[i] = NULL;
            mmu_put_table(m, pg);
            if (x->pv.nr_deferred)
                return -ERESTART;
        }
    }
    return 0;
}

static int unpin_all(struct mmu *m)
{
    struct pv_domain *pd = &xd(m->d)->pv;
    u32 at = pd->relinquish_at;
    unsigned n = 0;

    /* A place that has left the list meanwhile says nothing: start over. */
    if (at == PAGE_NONE || !mmu_owner(m, &frame_table[at]))
        at = m->d->page_first;

    while (at != PAGE_NONE) {
        struct page *pg = &frame_table[at];
        pd->relinquish_at = at;
        if (pg->type & PT_PINNED)
            mmu_unpin(m, at);
        if (xv(m->v)->pv.nr_deferred || m->budget <= 0 || ++n > 4096)
            return -ERESTART;
        at = pg->next;
    }
    return 0;
}

int pv_relinquish(struct domain *d)
{
    struct vcpu *v;
    struct mmu m;
    int rc;

    for_each_vcpu (d, v) {
        pv_drop_descriptors(xv(v));
        rc = mmu_begin(&m, v, d, d);
        if (!rc)
            rc = relinquish_vcpu(&m, xv(v));
        mmu_end(&m);
        if (rc)
            return rc;
    }
    rc = mmu_begin(&m, current_vcpu(), d, d);   /* who ends the domain carries what is cut */
    if (!rc)
        rc = unpin_all(&m);
    mmu_end(&m);
    return rc;
}
