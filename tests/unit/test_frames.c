// links: hv/x86/frames.c hv/x86/heap.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* References, the writable type, and the ways in which a frame leaves its owner. */
#include "unit.h"
#include "mm.h"
#include "x86/boot.h"
#include "x86/domain.h"
#include "x86/frames.h"

#define FRAMES 4096u
static struct page pages[FRAMES];
struct page *frame_table = pages;
u64 max_mfn = FRAMES, tlb_clock = 5;
unsigned long *ram_bitmap;
static char *memory;
static u64 flushed_to, m2p[FRAMES];
static int dom_refs, polls;
static bool preempt;

bool mfn_valid(mfn_t mfn) { return mfn < FRAMES; }
void *mfn_to_virt(mfn_t mfn) { return memory + (mfn << PAGE_SHIFT); }
mfn_t virt_to_mfn(const void *va) { return (mfn_t)((const char *)va - memory) >> PAGE_SHIFT; }
void tlb_flush_stale(u64 stamp) { flushed_to = MAX(flushed_to, stamp); }
void m2p_set(mfn_t mfn, u64 gfn) { m2p[mfn] = gfn; }
void domain_ref(struct domain *d) { (void)d; dom_refs++; }
void domain_put(struct domain *d) { (void)d; dom_refs--; }
bool hypercall_preempt(struct vcpu *v);
bool hypercall_preempt(struct vcpu *v) { (void)v; return preempt; }
void arch_spin_poll(void);
void arch_spin_poll(void) { polls++; pages[0].type |= PT_VALIDATED; }

static struct x86_domain a, b;

static void init(struct x86_domain *x, domid_t id)
{
    *x = (struct x86_domain){ .d.id = id, .d.max_pages = FRAMES, .d.page_first = PAGE_NONE, .d.page_hidden = PAGE_NONE,
                              .d.page_last = PAGE_NONE };
    spin_lock_init(&x->d.page_lock, LOCK_PAGES);
    spin_lock_init(&x->pv.mmu_lock, LOCK_MMU);
}

static u64 start(void)
{
    if (!memory) {
        memory = calloc(FRAMES, PAGE_SIZE);
        heap_add(1, FRAMES);
    }
    init(&a, 7);
    init(&b, 8);
    dom_refs = 0;
    flushed_to = 0;
    return free_page_count();
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

TEST(references)
{
    u64 before = start();
    struct page *pg = pages_for(&a.d, 0);
    CHECK_EQ(dom_refs, 1);
    CHECK_EQ(pg->owner, a.d.id);
    CHECK(!get_page(pg, &b.d));
    CHECK(get_page(pg, &a.d));
    CHECK_EQ(pg->refs, 2);
    CHECK_EQ(steal_page(&a.d, pg), -EINVAL);
    CHECK(!domain_free_page(&b.d, pg));
    CHECK(domain_free_page(&a.d, pg));
    CHECK(!domain_free_page(&a.d, pg));     /* once only */
    CHECK_EQ(a.d.tot_pages, 0);
    CHECK_EQ(dom_refs, 0);
    CHECK_EQ(pg->owner, DOMID_INVALID);
    CHECK(!get_page(pg, &a.d));             /* not his any more, though still there */
    CHECK_EQ(free_page_count(), before - 1);
    m2p[page_to_mfn(pg)] = 1;
    put_page(pg);
    CHECK_EQ(free_page_count(), before);
    CHECK_EQ(m2p[page_to_mfn(pg)], INVALID_M2P);
    CHECK_PANICS(put_page(pg));
    pg->refs = 0;
}

TEST(reference_count_does_not_wrap)
{
    start();
    struct page *pg = pages_for(&a.d, 0);
    pg->refs = 0x7fffffff;
    CHECK(!get_page(pg, &a.d));
    CHECK_EQ(get_page_writable(pg), 0);
    pg->type = (pg->type & ~PT_COUNT_MASK) | 0x7fffffff;
    CHECK_EQ(get_page_writable(pg), -EINVAL);
    pg->refs = 1;
    pg->type = 0;
    CHECK(domain_free_page(&a.d, pg));
}

TEST(writable_type)
{
    start();
    struct page *pg = pages_for(&a.d, 0);
    flushed_to = 0;
    CHECK_EQ(get_page_writable(pg), 0);
    CHECK_EQ(get_page_writable(pg), 0);
    CHECK_EQ(pg->type & ~PT_GEN_MASK, PT_WRITABLE | PT_VALIDATED | 2);
    pg->stamp = 0;
    put_page_writable(pg);
    CHECK_EQ(pg->stamp, 0);
    tlb_clock = 77;
    put_page_writable(pg);
    CHECK_EQ(pg->stamp, 77);
    CHECK_EQ(pg->type & PT_COUNT_MASK, 0);
    for (unsigned i = 0; i < 40000; i++) {      /* generations wrap within their bits */
        CHECK_EQ(get_page_writable(pg), 0);
        CHECK_EQ(pg->type & ~PT_GEN_MASK, PT_WRITABLE | PT_VALIDATED | 1);
        put_page_writable(pg);
    }
    CHECK_EQ(flushed_to, 0);
    static const u64 busy[] = { PT_L1 | PT_VALIDATED | 1, PT_DESC | 3, PT_L4 | 1,
                                PT_L2 | PT_PINNED | 1 };
    for (unsigned i = 0; i < ARRAY_SIZE(busy); i++) {
        pg->type = busy[i];
        CHECK_EQ(get_page_writable(pg), -EINVAL);
        CHECK_EQ(pg->type, busy[i]);
    }
    pg->type = 0;
    CHECK(domain_free_page(&a.d, pg));
}

TEST(a_former_page_table_is_flushed_first)
{
    start();
    struct page *pg = pages_for(&a.d, 0);
    flushed_to = 0;
    pg->type = PT_L1;
    pg->stamp = 33;
    CHECK_EQ(get_page_writable(pg), 0);
    CHECK_EQ(flushed_to, 33);
    CHECK_EQ(pg->type & ~PT_GEN_MASK, PT_WRITABLE | PT_VALIDATED | 1);
    put_page_writable(pg);
    CHECK(domain_free_page(&a.d, pg));
    /* Another CPU is about to flush: wait for it. */
    polls = 0;
    pages[0].type = PT_WRITABLE | 1;
    CHECK_EQ(get_page_writable(&pages[0]), 0);
    CHECK_EQ(polls, 1);
    pages[0].type = 0;
}

TEST(pinned_stays)
{
    u64 before = start();
    struct page *pg = pages_for(&a.d, 0);
    pg->type = PT_L1 | PT_PINNED | PT_VALIDATED | 1;
    CHECK(!domain_free_page(&a.d, pg));
    CHECK_EQ(steal_page(&a.d, pg), -EINVAL);
    pg->type = 0;
    CHECK(domain_free_page(&a.d, pg));
    CHECK_EQ(free_page_count(), before);
}

TEST(steal_and_assign)
{
    u64 before = start();
    struct page *pg = pages_for(&a.d, 1);
    tlb_clock = 90;
    CHECK_EQ(steal_page(&b.d, pg), -EINVAL);
    CHECK_EQ(steal_page(&a.d, pg), 0);
    CHECK_EQ(steal_page(&a.d, pg), -EINVAL);
    CHECK_EQ(a.d.tot_pages, 1);
    CHECK_EQ(a.d.page_first, page_to_mfn(pg) + 1);
    b.d.max_pages = 0;
    CHECK_EQ(assign_pages(&b.d, pg, 0, false), -ENOMEM);
    b.d.max_pages = 1;
    flushed_to = 0;
    CHECK_EQ(assign_pages(&b.d, pg, 0, false), 0);
    CHECK_EQ(flushed_to, 90);
    CHECK(get_page(pg, &b.d));
    put_page(pg);
    CHECK_EQ(steal_page(&b.d, pg), 0);
    free_stolen_page(pg);
    CHECK(domain_free_page(&a.d, pg + 1));
    CHECK_EQ(free_page_count(), before);
    CHECK_EQ(dom_refs, 0);
}

TEST(relinquish)
{
    u64 before = start();
    struct page *pg = pages_for(&a.d, 9);
    CHECK(get_page(pg + 3, &a.d));          /* a peer still maps this one */
    preempt = true;
    int rc, rounds = 0;
    while ((rc = relinquish_pages(&a.d)) == -ERESTART) {
        rounds++;
    }
    preempt = false;
    CHECK_EQ(rc, 0);
    CHECK(rounds >= 7);
    CHECK_EQ(a.d.tot_pages, 0);
    CHECK_EQ(a.d.page_last, PAGE_NONE);
    CHECK_EQ(dom_refs, 0);
    CHECK_EQ(free_page_count(), before - 1);
    CHECK(!get_page(pg + 3, &a.d));         /* nor by a later domain with the same id */
    put_page(pg + 3);
    CHECK_EQ(free_page_count(), before);
}

/* A hidden frame is nobody's to get, and goes with its domain like the others. */
TEST(relinquish_hidden)
{
    u64 before = start();
    struct page *pg = alloc_hv_pages(9, 0);
    CHECK_EQ(assign_pages(&a.d, pg, 9, true), 0);
    CHECK(clear_hidden(&a.d));
    CHECK(get_page(pg, &a.d));
    put_page(pg);
    CHECK(!get_page(pg + 64, &a.d));
    CHECK_EQ(steal_page(&a.d, pg + 64), -EINVAL);
    CHECK_EQ(pg[64].refs, 0);
    while (relinquish_pages(&a.d) == -ERESTART) {
    }
    CHECK_EQ(a.d.tot_pages, 0);
    CHECK_EQ(a.d.page_hidden, PAGE_NONE);
    CHECK_EQ(dom_refs, 0);
    CHECK_EQ(free_page_count(), before);
}

TEST(shared_pages)
{
    u64 before = start();
    void *va = alloc_shared_page(&a.d);
    struct page *pg = mfn_to_page(virt_to_mfn(va));
    CHECK_EQ(pg->refs, 1);
    CHECK(get_page(pg, &a.d));
    CHECK_EQ(get_page_writable(pg), 0);
    CHECK_EQ(pg->refs, 2);
    CHECK(!domain_free_page(&a.d, pg));
    CHECK_EQ(steal_page(&a.d, pg), -EINVAL);
    put_page_writable(pg);
    put_page(pg);
    CHECK_PANICS(free_hv_pages(pg, 0));
    CHECK(get_page(pg, &a.d));
    free_shared_page(va);
    CHECK(!get_page(pg, &a.d));
    CHECK_EQ(free_page_count(), before - 1);
    put_page(pg);                           /* the last mapping frees it */
    CHECK_EQ(free_page_count(), before);
    free_shared_page(alloc_shared_page(&a.d));
    free_shared_page(NULL);
    CHECK_EQ(free_page_count(), before);
}
