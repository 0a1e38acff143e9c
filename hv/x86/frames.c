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
#include "x86/domain.h"
#include "x86/frames.h"

#define WORD_OWNER(w) ((domid_t)((w) >> 32))
#define WORD_FLAGS(w) ((u16)((w) >> 48))
#define REFS_MAX 0x7fffffffu
#define RELINQUISH_BATCH 64

inline bool get_page(struct page *pg, struct domain *d)
{
    u64 w = READ_ONCE(pg->word);
    do {
        if (WORD_OWNER(w) != d->id || !(u32)w || (u32)w >= REFS_MAX)
            return false;
    } while (!cas(&pg->word, &w, w + 1));
    return true;
}

static NOINLINE void free_last(struct page *pg)
{
    BUG_ON(pg->type & PT_COUNT_MASK);
    m2p_set(page_to_mfn(pg), INVALID_M2P);
    free_frames_stamped(pg, 0, READ_ONCE(tlb_clock));
}

inline void put_page(struct page *pg)
{
    u64 w = __atomic_fetch_sub(&pg->word, 1, __ATOMIC_SEQ_CST);
    BUG_ON(!(u32)w);
    if (unlikely((u32)w == 1)) {
        BUG_ON(WORD_FLAGS(w));      /* owner's or Bulkhead's own reference would be left */
        free_last(pg);
    }
}

/* --- the writable type --- */

/* The first to take the type of what was another kind of page, or one who came just after. */
static NOINLINE int writable_settle(struct page *pg, u64 kind)
{
    if (kind != PT_WRITABLE) {
        /* Nobody may still walk what was a page table: its stamp tells since when not. */
        tlb_flush_stale(READ_ONCE(pg->stamp));
        __atomic_fetch_or(&pg->type, PT_VALIDATED, __ATOMIC_SEQ_CST);
    }
    while (!(READ_ONCE(pg->type) & PT_VALIDATED))
        arch_spin_poll();       /* another CPU flushes */
    return 0;
}

inline int get_page_writable(struct page *pg)
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
    } while (!cas(&pg->type, &x, new));
    return likely(new & PT_VALIDATED) ? 0 : writable_settle(pg, kind);
}

inline void put_page_writable(struct page *pg)
{
    u64 x = READ_ONCE(pg->type);
    do {
        ASSERT((x & PT_TYPE_MASK) == PT_WRITABLE && (x & PT_COUNT_MASK));
        if ((x & PT_COUNT_MASK) == 1) {
            /* Before the swap: then whoever sees count 0 sees the stamp. Should the type
             * be taken again meanwhile, its generation makes the swap fail. */
            WRITE_ONCE(pg->stamp, READ_ONCE(tlb_clock));
        }
    } while (!cas(&pg->type, &x, x - 1));
}

/* --- both, by number --- */

struct page *get_frame(struct domain *d, mfn_t mfn, bool write)
{
    struct page *pg = mfn_to_page(mfn);

    if (!mfn_valid(mfn) || !get_page(pg, d))
        return NULL;
    if (!write || !get_page_writable(pg))
        return pg;
    put_page(pg);
    return NULL;
}

void put_frame(struct page *pg, bool write)
{
    if (write)
        put_page_writable(pg);
    put_page(pg);
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
    if (d->page_hidden == page_to_mfn(pg))
        d->page_hidden = pg->next;
    if (!--d->tot_pages)
        domain_put(d);
}

/* Takes the owner and its reference off, and pg off the list: the references left; -1: d
 * has no say over pg any more. page_lock is held. */
static s64 disown(struct domain *d, struct page *pg)
{
    u64 w = READ_ONCE(pg->word);
    u32 left;
    do {
        if (WORD_OWNER(w) != d->id || !(WORD_FLAGS(w) & PG_ALLOCATED))
            return -1;
        left = (u32)w - !!(u32)w;       /* a hidden one has none */
    } while (!cas(&pg->word, &w, PAGE_WORD(0, DOMID_INVALID, left)));
    unlink(d, pg);
    return left;
}

bool domain_free_page(struct domain *d, struct page *pg)
{
    s64 left = -1;
    /* The lock keeps the frame from becoming a page table meanwhile: a table in use has
     * to be given up as a table first, under its owner's lock. */
    with_lock (&xd(d)->pv.mmu_lock) {
        u64 t = READ_ONCE(pg->type);
        bool table = (t & PT_COUNT_MASK) && (t & PT_TYPE_MASK) != PT_WRITABLE;
        with_lock (&d->page_lock)
            left = table || d->is_dying ? -1 : disown(d, pg);
    }
    if (!left)
        free_last(pg);
    return left >= 0;
}

int steal_page(struct domain *d, struct page *pg)
{
    with_lock (&d->page_lock) {
        u64 w = PAGE_WORD(PG_ALLOCATED, d->id, 1);
        if (d->is_dying || (READ_ONCE(pg->type) & PT_COUNT_MASK) ||
            !cas(&pg->word, &w, PAGE_WORD(0, DOMID_INVALID, 0))) {
            return -EINVAL;
        }
        unlink(d, pg);
        pg->stamp = READ_ONCE(tlb_clock);
    }
    return 0;
}

void free_stolen_page(struct page *pg)
{
    BUG_ON((u32)pg->word);
    m2p_set(page_to_mfn(pg), INVALID_M2P);
    free_frames_stamped(pg, 0, pg->stamp);
}

int relinquish_pages(struct domain *d)
{
    for (unsigned n = 1;; n++) {
        struct page *pg;
        s64 left;

        if (n % RELINQUISH_BATCH == 0 && hypercall_preempt(current_vcpu()))
            return -ERESTART;
        with_lock (&d->page_lock) {
            if (d->page_first == PAGE_NONE)
                return 0;
            pg = mfn_to_page(d->page_first);
            left = disown(d, pg);
        }
        BUG_ON(left < 0);
        if (!left)
            free_last(pg);
    }
}

/* --- Bulkhead's pages that a domain may map --- */

void *alloc_shared_page(struct domain *d)
{
    struct page *pg = alloc_hv_pages(0, MEMF_ZERO);
    if (!pg)
        return NULL;
    m2p_set(page_to_mfn(pg), INVALID_M2P);
    pg->type = PT_WRITABLE | PT_VALIDATED | 1;      /* never a page table */
    __atomic_store_n(&pg->word, PAGE_WORD(PG_HV | PG_XENHEAP, d->id, 1), __ATOMIC_RELEASE);
    return page_to_virt(pg);
}

void free_shared_page(void *va)
{
    if (!va)
        return;
    struct page *pg = mfn_to_page(virt_to_mfn(va));
    u64 w = READ_ONCE(pg->word);
    put_page_writable(pg);
    /* What is still mapped after all goes with its last mapping. */
    while (!cas(&pg->word, &w, PAGE_WORD(0, DOMID_INVALID, w - 1))) {
    }
    if ((u32)w == 1)
        free_last(pg);
}
