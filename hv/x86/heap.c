/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator: a buddy system on struct page, guarded by heap_lock.
 *
 * Free frames lie in zones by the width of their frame number (zone z: frames 2^z to
 * 2^(z+1)-1), so that a limit on the address is a limit on the zone, and what may lie
 * anywhere is taken from the highest, which keeps low memory for devices. A free
 * block's first frame carries PG_FREE, the order in `type`, the list links and, in
 * `stamp`, the latest moment at which any of its frames was in use: a TLB that was
 * flushed after that knows none of them. Frames inside a block carry no flags.
 */
#include "x86/boot.h"
#include "x86/frames.h"

#define ORDERS 19
#define ZONES  32u
#define NO_OWNER(flags, refs) PAGE_WORD(flags, DOMID_INVALID, refs)

static spinlock_t heap_lock = SPINLOCK_INIT(LOCK_HEAP);
static u32 free_head[ZONES][ORDERS];        /* frame, 0: none (frame 0 is never free) */
static u32 free_orders[ZONES];              /* bit per order with a block */
static u64 free_frames, total_frames;
static unsigned nr_zones;                   /* that the machine's frames lie in */

u64 free_page_count(void)
{
    return READ_ONCE(free_frames);
}

u64 total_page_count(void)
{
    return total_frames;
}

static void list_push(u32 mfn, unsigned order, u64 stamp)
{
    unsigned z = fls64(mfn);
    struct page *pg = mfn_to_page(mfn);
    *pg = (struct page){ .word = NO_OWNER(PG_FREE, 0), .type = order, .stamp = stamp,
                         .next = free_head[z][order] };
    if (pg->next)
        mfn_to_page(pg->next)->prev = mfn;
    free_head[z][order] = mfn;
    free_orders[z] |= 1u << order;
}

static void list_remove(u32 mfn, unsigned order)
{
    unsigned z = fls64(mfn);
    struct page *pg = mfn_to_page(mfn);
    if (pg->next)
        mfn_to_page(pg->next)->prev = pg->prev;
    if (pg->prev) {
        mfn_to_page(pg->prev)->next = pg->next;
    } else {
        free_head[z][order] = pg->next;
        if (!pg->next)
            free_orders[z] &= ~(1u << order);
    }
    pg->word = NO_OWNER(0, 0);
}

static void free_block(u64 mfn, unsigned order, u64 stamp)
{
    with_lock (&heap_lock) {
        free_frames += 1UL << order;
        for (; order < ORDERS - 1; order++) {
            u64 buddy = mfn ^ (1UL << order);       /* of the same zone, or 0 */
            const struct page *pg = mfn_to_page(buddy);
            if (!mfn_valid(buddy) || !(pg->flags & PG_FREE) || pg->type != order)
                break;
            list_remove((u32)buddy, order);
            stamp = MAX(stamp, pg->stamp);
            mfn = MIN(mfn, buddy);
        }
        list_push((u32)mfn, order, stamp);
    }
}

void heap_add(mfn_t start, mfn_t end)
{
    total_frames += end - start;
    nr_zones = MAX(nr_zones, fls64(end - 1) + 1);
    while (start < end) {
        unsigned order = MIN(MIN(ffs64(start), fls64(end - start)), ORDERS - 1u);
        free_block(start, order, 0);
        start += 1UL << order;
    }
}

/* A block of the highest zone that is allowed, split as far as needed; 0: none. */
static u64 take_block(unsigned order, unsigned zones)
{
    for (unsigned z = zones; z-- > 0;) {
        u32 fit = free_orders[z] >> order;
        if (!fit)
            continue;
        unsigned have = order + ffs64(fit);
        u32 mfn = free_head[z][have];
        u64 stamp = mfn_to_page(mfn)->stamp;
        list_remove(mfn, have);
        while (have-- > order)
            list_push(mfn + (1u << have), have, stamp);
        return mfn;
    }
    return 0;
}

static struct page *alloc_block(unsigned order, u32 memf)
{
    unsigned bits = MEMF_GET_BITS(memf);
    unsigned zones = bits ? MIN(MAX(bits, (unsigned)PAGE_SHIFT) - PAGE_SHIFT, nr_zones) : nr_zones;
    u64 mfn;

    if (order >= ORDERS)
        return NULL;
    with_lock (&heap_lock) {
        mfn = take_block(order, zones);
        if (!mfn)
            return NULL;
        free_frames -= 1UL << order;
    }
    struct page *pg = mfn_to_page(mfn);
    tlb_flush_stale(pg->stamp);
    return pg;
}

static void set_words(struct page *pg, unsigned order, u64 word)
{
    for (const struct page *end = pg + (1UL << order); pg < end; pg++) {
        pg->type = 0;
        pg->word = word;
    }
}

struct page *alloc_hv_pages(unsigned order, u32 memf)
{
    struct page *pg = alloc_block(order, memf);
    if (!pg)
        return NULL;
    if (!(memf & MEMF_UNOWNED))
        set_words(pg, order, NO_OWNER(PG_HV, 1));
    if (memf & MEMF_ZERO)
        memset(page_to_virt(pg), 0, PAGE_SIZE << order);
    return pg;
}

void free_frames_stamped(struct page *pg, unsigned order, u64 stamp)
{
    set_words(pg, order, NO_OWNER(0, 0));
    free_block(page_to_mfn(pg), order, stamp);
}

/* No guest ever mapped these: no TLB knows them. */
void free_hv_pages(struct page *pg, unsigned order)
{
    BUG_ON(pg->flags != PG_HV || pg->refs != 1);
    free_frames_stamped(pg, order, 0);
}

void *alloc_hv_page(void)
{
    struct page *pg = alloc_hv_pages(0, MEMF_ZERO);
    return pg ? page_to_virt(pg) : NULL;
}

void free_hv_page(void *va)
{
    free_hv_pages(mfn_to_page(virt_to_mfn(va)), 0);
}

/* --- domains' frames --- */

int assign_pages(struct domain *d, struct page *pg, unsigned order, bool hidden)
{
    u64 n = 1UL << order;
    if (!(pg->flags & PG_HV))       /* stolen: TLBs may know it as another's, or of another type */
        tlb_flush_stale(pg->stamp);
    with_lock (&d->page_lock) {
        if (d->is_dying)
            return -EINVAL;
        if (d->tot_pages + n > d->max_pages)
            return -ENOMEM;
        if (!d->tot_pages)
            domain_ref(d);      /* frames.c drops it with the last frame */
        d->tot_pages += n;
        u32 mfn = (u32)page_to_mfn(pg), last = d->page_last;
        for (u64 i = 0; i < n; i++, mfn++, pg++) {
            pg->type = PT_NONE;
            pg->prev = last;
            pg->next = PAGE_NONE;
            if (last == PAGE_NONE)
                d->page_first = mfn;
            else
                mfn_to_page(last)->next = mfn;
            last = mfn;
            /* From here on others may find it. */
            __atomic_store_n(&pg->word, PAGE_WORD(PG_ALLOCATED, d->id, !hidden), __ATOMIC_RELEASE);
        }
        d->page_last = last;
        if (hidden && d->page_hidden == PAGE_NONE)
            d->page_hidden = mfn - (u32)n;
    }
    return 0;
}

bool clear_hidden(struct domain *d)
{
    for (unsigned n = 0; n < 64; n++) {
        with_lock (&d->page_lock) {
            if (d->page_hidden == PAGE_NONE)
                return false;
            struct page *pg = mfn_to_page(d->page_hidden);
            d->page_hidden = pg->next;
            if (pg->refs)
                break;
            memset(page_to_virt(pg), 0, PAGE_SIZE);
            __atomic_store_n(&pg->word, PAGE_WORD(PG_ALLOCATED, d->id, 1), __ATOMIC_RELEASE);
        }
    }
    return true;
}
