// links: hv/x86/heap.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* The frame allocator: against a map of who has what, at random; limits; stamps. */
#include "unit.h"
#include "mm.h"
#include "x86/boot.h"
#include "x86/frames.h"

#define FRAMES 20000u
static struct page pages[FRAMES];
struct page *frame_table = pages;
u64 max_mfn = FRAMES, tlb_clock = 1;
unsigned long *ram_bitmap;
static u64 flushed_to, refs;
static char *memory;

bool mfn_valid(mfn_t mfn) { return mfn < FRAMES && (mfn < 9000 || mfn >= 9100); }
void *mfn_to_virt(mfn_t mfn) { return memory + (mfn << PAGE_SHIFT); }
mfn_t virt_to_mfn(const void *va) { return (mfn_t)((const char *)va - memory) >> PAGE_SHIFT; }
void tlb_flush_stale(u64 stamp) { flushed_to = MAX(flushed_to, stamp); }
void domain_ref(struct domain *d) { (void)d; refs++; }
void arch_spin_poll(void);
void arch_spin_poll(void) { panic("waits for ever"); }

static struct domain dom = { .id = 7, .page_lock = SPINLOCK_INIT(LOCK_PAGES) };

static void fill(void)
{
    static bool done;
    if (!done) {
        memory = calloc(FRAMES, PAGE_SIZE);
        heap_add(1, 9000);
        heap_add(9100, FRAMES);
        done = true;
    }
    dom.page_first = dom.page_last = dom.page_hidden = PAGE_NONE;
    dom.tot_pages = 0;
    dom.max_pages = FRAMES;
    dom.is_dying = false;
}

/* Frames of d, as a reservation makes them. */
static struct page *pages_for(struct domain *d, unsigned order)
{
    struct page *pg = alloc_hv_pages(order, 0);
    if (pg && assign_pages(d, pg, order, false)) {
        free_hv_pages(pg, order);
        return NULL;
    }
    return pg;
}

TEST(counts)
{
    fill();
    CHECK_EQ(total_page_count(), FRAMES - 1 - 100);
    CHECK_EQ(free_page_count(), total_page_count());
    CHECK(alloc_hv_pages(19, 0) == NULL);
    CHECK(alloc_hv_pages(18, 0) == NULL);
    CHECK(alloc_hv_pages(~0u, 0) == NULL);
}

TEST(highest_zone_first_and_limits)
{
    fill();
    struct page *high = alloc_hv_pages(0, 0);
    CHECK(page_to_mfn(high) >= 16384);
    CHECK_EQ(high->refs, 1);
    CHECK_EQ(high->flags, PG_HV);
    CHECK_EQ(high->owner, DOMID_INVALID);
    struct page *low = alloc_hv_pages(2, MEMF_BITS(20));      /* below 1 MiB: frames < 256 */
    CHECK(low && page_to_mfn(low) + 4 <= 256);
    CHECK(alloc_hv_pages(0, MEMF_BITS(12)) == NULL);
    CHECK(alloc_hv_pages(0, MEMF_BITS(5)) == NULL);
    struct page *one = alloc_hv_pages(0, MEMF_BITS(13));
    CHECK_EQ(page_to_mfn(one), 1);
    CHECK(alloc_hv_pages(0, MEMF_BITS(13)) == NULL);
    free_hv_pages(high, 0);
    free_hv_pages(low, 2);
    free_hv_pages(one, 0);
    CHECK_EQ(free_page_count(), total_page_count());
}

TEST(random)
{
    static struct { u32 mfn, order; } have[600];
    static u8 map[FRAMES];
    unsigned n = 0;
    fill();
    srand(1);
    for (unsigned i = 0; i < 60000; i++) {
        if (n < ARRAY_SIZE(have) && rand() % 100 < 52) {
            u32 order = (u32)rand() % 8, bits = rand() % 4 ? 0 : 14 + (u32)rand() % 14;
            struct page *pg = alloc_hv_pages(order, MEMF_BITS(bits));
            if (!pg) {
                continue;
            }
            u32 mfn = (u32)page_to_mfn(pg);
            CHECK_EQ(mfn & ((1u << order) - 1), 0);
            CHECK(!bits || (u64)mfn + (1u << order) <= 1UL << (bits - 12));
            for (u32 k = mfn; k < mfn + (1u << order); k++) {
                CHECK(mfn_valid(k) && !map[k] && pages[k].flags == PG_HV);
                map[k] = 1;
            }
            have[n].mfn = mfn;
            have[n++].order = order;
        } else if (n) {
            unsigned k = (unsigned)rand() % n;
            memset(map + have[k].mfn, 0, 1u << have[k].order);
            free_hv_pages(&pages[have[k].mfn], have[k].order);
            have[k] = have[--n];
        }
    }
    while (n--) {
        free_hv_pages(&pages[have[n].mfn], have[n].order);
    }
    CHECK_EQ(free_page_count(), total_page_count());
    /* All merged again: the largest blocks are there. */
    struct page *big = alloc_hv_pages(12, MEMF_BITS(26));     /* frames 8192.. are cut at 9000 */
    CHECK(big && alloc_hv_pages(13, MEMF_BITS(26)) == NULL);
    free_hv_pages(big, 12);
}

TEST(bad_frees_are_noticed)
{
    fill();
    struct page *pg = alloc_hv_pages(0, 0);
    free_hv_pages(pg, 0);
    CHECK_PANICS(free_hv_pages(pg, 0));
    this_cpu()->lock_depth = 0;
}

TEST(domain_pages)
{
    fill();
    refs = 0;
    struct page *pg = pages_for(&dom, 3);
    CHECK(pg != NULL);
    CHECK_EQ(dom.tot_pages, 8);
    CHECK_EQ(refs, 1);
    CHECK_EQ(dom.page_first, page_to_mfn(pg));
    CHECK_EQ(dom.page_last, page_to_mfn(pg) + 7);
    unsigned n = 0;
    for (u32 m = dom.page_first, prev = PAGE_NONE; m != PAGE_NONE; prev = m, m = pages[m].next, n++) {
        CHECK_EQ(pages[m].prev, prev);
        CHECK_EQ(pages[m].owner, 7);
        CHECK_EQ(pages[m].refs, 1);
        CHECK_EQ(pages[m].flags, PG_ALLOCATED);
    }
    CHECK_EQ(n, 8);
    dom.max_pages = 11;
    CHECK(pages_for(&dom, 2) == NULL);
    CHECK(pages_for(&dom, 1) != NULL);
    dom.is_dying = true;
    CHECK(pages_for(&dom, 0) == NULL);
    dom.is_dying = false;
    dom.max_pages = ~0UL;
    CHECK_EQ(refs, 1);
    CHECK_EQ(free_page_count(), total_page_count() - 10);
    CHECK(pages_for(&dom, 64) == NULL);
    for (u32 m = dom.page_first; m != PAGE_NONE;) {
        u32 next = pages[m].next;
        free_frames_stamped(&pages[m], 0, 0);
        m = next;
    }
    CHECK_EQ(free_page_count(), total_page_count());
}

/* Large extents are cleared piece by piece, and nobody can have a frame before that. */
TEST(hidden_until_cleared)
{
    fill();
    struct page *small = alloc_hv_pages(4, MEMF_ZERO), *large = alloc_hv_pages(9, 0);
    memset(page_to_virt(large), 0xaa, PAGE_SIZE << 9);
    CHECK_EQ(assign_pages(&dom, small, 4, false), 0);
    CHECK_EQ(small->refs, 1);
    CHECK(!clear_hidden(&dom));
    CHECK_EQ(assign_pages(&dom, large, 9, true), 0);
    struct page *later = pages_for(&dom, 0);
    CHECK_EQ(dom.tot_pages, 16 + 512 + 1);
    CHECK_EQ(large[0].refs, 0);
    CHECK_EQ(large[511].refs, 0);
    unsigned rounds = 1;
    while (clear_hidden(&dom)) {
        CHECK_EQ(large[rounds * 64 - 1].refs, 1);
        CHECK(rounds == 8 || large[rounds * 64].refs == 0);
        rounds++;
    }
    CHECK_EQ(rounds, 9);
    CHECK_EQ(later->refs, 1);
    for (unsigned i = 0; i < 512; i++) {
        CHECK_EQ(large[i].refs, 1);
        CHECK_EQ(*(u64 *)page_to_virt(large + i), 0);
        CHECK_EQ(((u64 *)page_to_virt(large + i))[511], 0);
    }
    CHECK_EQ(dom.page_hidden, PAGE_NONE);
    free_frames_stamped(small, 4, 0);
    free_frames_stamped(large, 9, 0);
    free_frames_stamped(later, 0, 0);
    CHECK_EQ(free_page_count(), total_page_count());
}

TEST(memory_is_cleared_and_flushed)
{
    fill();
    struct page *pg = alloc_hv_pages(0, 0);
    memset(page_to_virt(pg), 0xaa, PAGE_SIZE);
    free_frames_stamped(pg, 0, 41);
    flushed_to = 0;
    struct page *again = alloc_hv_pages(0, MEMF_ZERO);
    CHECK(again == pg);
    CHECK_EQ(flushed_to, 41);
    CHECK_EQ(*(u64 *)page_to_virt(pg), 0);
    CHECK_EQ(((u64 *)page_to_virt(pg))[511], 0);
    /* A block remembers the latest of its frames. */
    free_frames_stamped(pg, 0, 50);
    flushed_to = 0;
    dom.page_first = dom.page_last = dom.page_hidden = PAGE_NONE;
    struct page *block = alloc_hv_pages(4, 0);
    CHECK(pg >= block && pg < block + 16);
    CHECK_EQ(flushed_to, 50);
    free_hv_pages(block, 4);
}
