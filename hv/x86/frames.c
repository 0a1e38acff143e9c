/* SPDX-License-Identifier: MIT */
/*
 * References to frames, their writable type, and how frames leave their owner.
 *
 * A frame's word (references, owner, flags) and its type word change by compare-and-swap
 * alone; a domain's list of frames and tot_pages are guarded by its page_lock. A
 * frame that its owner gives up (domain_free_page, relinquish_pages) leaves the list
 * and has no owner any more, but stays until the last reference goes.
 *
 * stamp is tlb_clock at a moment after the frame's last mapping went: who removes a
 * mapping does that with a locked instruction before the reference is dropped here.
 */
#include "arch.h"
#include "hypercall.h"
#include "mm.h"
#include "x86/domain.h"
#include "x86/frames.h"

#define WORD_OWNER(w) ((domid_t)((w) >> 32))
#define WORD_FLAGS(w) ((u16)((w) >> 48))
#define WORD(flags, owner, refs) ((u64)(flags) << 48 | (u64)(u16)(owner) << 32 | (u32)(refs))
#define REFS_MAX 0x7fffffffu
#define RELINQUISH_BATCH 64

static inline bool word_swap(struct page *pg, u64 *old, u64 new)
{
    return __atomic_compare_exchange_n(&pg->word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline bool type_swap(struct page *pg, u64 *old, u64 new)
{
    return __atomic_compare_exchange_n(&pg->type, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool get_page(struct page *pg, struct domain *d)
{
    u64 w = READ_ONCE(pg->word);
    do {
        if (WORD_OWNER(w) != d->id || !(u32)w || (u32)w >= REFS_MAX)
            return false;
    } while (!word_swap(pg, &w, w + 1));
    return true;
}

static void free_last(struct page *pg)
{
    BUG_ON(pg->type & PT_COUNT_MASK);
    m2p_set(page_to_mfn(pg), INVALID_M2P);
    free_frames_stamped(pg, 0, READ_ONCE(tlb_clock));
}

void put_page(struct page *pg)
{
    u64 w = __atomic_fetch_sub(&pg->word, 1, __ATOMIC_SEQ_CST);
    BUG_ON(!(u32)w);
    if (unlikely((u32)w == 1)) {
        BUG_ON(WORD_FLAGS(w));      /* owner's or Bulkhead's own reference would be left */
        free_last(pg);
    }
}

struct domain *page_owner(const struct page *pg)
{
    u64 w = READ_ONCE(pg->word);
    return (u32)w ? domain_owner(WORD_OWNER(w)) : NULL;
}

/* --- the writable type --- */

/* Nobody may still walk what was a page table: its stamp tells since when not. */
static void settle_former_table(struct page *pg)
{
    tlb_flush_stale(READ_ONCE(pg->stamp));
    __atomic_fetch_or(&pg->type, PT_VALIDATED, __ATOMIC_SEQ_CST);
}

int get_page_writable(struct page *pg)
{
    u64 x = READ_ONCE(pg->type), new, kind;
    do {
        kind = x & PT_TYPE_MASK;
        if (kind == PT_WRITABLE) {
            if ((x & PT_COUNT_MASK) >= REFS_MAX)
                return -EINVAL;
            new = (x + 1 + (1UL << PT_GEN_SHIFT)) & ~PT_GEN_CARRY;
        } else if (x & (PT_COUNT_MASK | PT_PINNED)) {
            return -EINVAL;
        } else {
            new = PT_WRITABLE | 1 | (kind == PT_NONE || kind == PT_DESC ? PT_VALIDATED : 0);
        }
    } while (!type_swap(pg, &x, new));
    if (unlikely(!(new & PT_VALIDATED))) {
        if (kind != PT_WRITABLE) {
            settle_former_table(pg);
        } else {
            while (!(READ_ONCE(pg->type) & PT_VALIDATED)) {
                arch_spin_poll();       /* another CPU settles it */
            }
        }
    }
    return 0;
}

void put_page_writable(struct page *pg)
{
    u64 x = READ_ONCE(pg->type);
    do {
        ASSERT((x & PT_TYPE_MASK) == PT_WRITABLE && (x & PT_COUNT_MASK));
        if ((x & PT_COUNT_MASK) == 1) {
            /* Before the swap: then whoever sees count 0 sees the stamp. Should the type
             * be taken again meanwhile, its generation makes the swap fail. */
            WRITE_ONCE(pg->stamp, READ_ONCE(tlb_clock));
        }
    } while (!type_swap(pg, &x, x - 1));
}

/* --- leaving the owner --- */

/* page_lock is held. */
static void unlink(struct domain *d, struct page *pg)
{
    if (pg->prev == PAGE_NONE)
        d->page_first = pg->next;
    else
        mfn_to_page(pg->prev)->next = pg->next;
    if (pg->next == PAGE_NONE)
        d->page_last = pg->prev;
    else
        mfn_to_page(pg->next)->prev = pg->prev;
    if (!--d->tot_pages)
        domain_put(d);
}

/* Takes the owner and its reference off; false when d has no say over pg any more. */
static bool disown(struct domain *d, struct page *pg, u64 *left)
{
    u64 w = READ_ONCE(pg->word);
    do {
        if (WORD_OWNER(w) != d->id || !(WORD_FLAGS(w) & PG_ALLOCATED) || !(u32)w)
            return false;
        *left = (u32)w - 1;
    } while (!word_swap(pg, &w, WORD(0, DOMID_INVALID, *left)));
    return true;
}

bool domain_free_page(struct domain *d, struct page *pg)
{
    u64 left = 0;
    bool done = false;
    /* The lock keeps the frame from becoming a page table meanwhile: a table in use has
     * to be given up as a table first, under its owner's lock. */
    with_lock (&xd(d)->pv.mmu_lock) {
        u64 t = READ_ONCE(pg->type);
        bool table = (t & PT_COUNT_MASK) && (t & PT_TYPE_MASK) != PT_WRITABLE;
        with_lock (&d->page_lock) {
            if (!table && !d->is_dying && disown(d, pg, &left)) {
                unlink(d, pg);
                done = true;
            }
        }
    }
    if (done && !left)
        free_last(pg);
    return done;
}

int steal_page(struct domain *d, struct page *pg)
{
    int err = -EINVAL;
    with_lock (&d->page_lock) {
        u64 w = WORD(PG_ALLOCATED, d->id, 1);
        if (!d->is_dying && !(READ_ONCE(pg->type) & PT_COUNT_MASK) &&
            word_swap(pg, &w, WORD(0, DOMID_INVALID, 0))) {
            unlink(d, pg);
            m2p_set(page_to_mfn(pg), INVALID_M2P);
            pg->stamp = READ_ONCE(tlb_clock);
            err = 0;
        }
    }
    return err;
}

void free_stolen_page(struct page *pg)
{
    BUG_ON((u32)pg->word);
    free_frames_stamped(pg, 0, pg->stamp);
}

int relinquish_pages(struct domain *d)
{
    for (unsigned n = 0;; n++) {
        struct page *pg = NULL;
        u64 left = 0;

        if (n >= RELINQUISH_BATCH) {
            n = 0;
            if (hypercall_preempt(current_vcpu()))
                return -ERESTART;
        }
        with_lock (&d->page_lock) {
            if (d->page_first != PAGE_NONE) {
                pg = mfn_to_page(d->page_first);
                BUG_ON(!disown(d, pg, &left));
                unlink(d, pg);
            }
        }
        if (!pg)
            return 0;
        if (!left)
            free_last(pg);
    }
}

/* --- Bulkhead's pages that a domain may map --- */

void share_hv_page(struct page *pg, struct domain *d)
{
    ASSERT((pg->flags & PG_HV) && pg->refs == 1);
    m2p_set(page_to_mfn(pg), INVALID_M2P);
    pg->type = PT_WRITABLE | PT_VALIDATED | 1;      /* never a page table */
    __atomic_store_n(&pg->word, WORD(PG_HV | PG_XENHEAP, d->id, 1), __ATOMIC_RELEASE);
}

void unshare_hv_page(struct page *pg)
{
    u64 w = READ_ONCE(pg->word);
    put_page_writable(pg);
    /* What is still mapped after all goes with its last mapping. */
    while (!word_swap(pg, &w, WORD(0, DOMID_INVALID, (u32)w - 1))) {
    }
    if ((u32)w == 1)
        free_last(pg);
}
