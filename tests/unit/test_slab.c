// links: hv/core/slab.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* The small allocator: cleared, aligned, not overlapping, everything given back. */
#include "unit.h"
#include "mm.h"

#define FRAMES 4096u
static struct page pages[FRAMES];
static char *memory;
static bool used[FRAMES], no_memory;
static unsigned nr_used;

struct page *frame_table = pages;
u64 max_mfn = FRAMES;
unsigned long *ram_bitmap;
bool mfn_valid(mfn_t mfn) { return mfn < FRAMES; }
void *mfn_to_virt(mfn_t mfn) { return memory + (mfn << PAGE_SHIFT); }
mfn_t virt_to_mfn(const void *va) { return (mfn_t)((const char *)va - memory) >> PAGE_SHIFT; }
void arch_spin_poll(void);
void arch_spin_poll(void) { panic("waits for ever"); }

struct page *alloc_hv_pages(unsigned order, u32 memf)
{
    CHECK_EQ(this_cpu()->lock_depth, 0);
    if (!memory) {
        memory = aligned_alloc(PAGE_SIZE, FRAMES * PAGE_SIZE);
        memset(memory, 0x5a, FRAMES * PAGE_SIZE);
    }
    for (unsigned m = 0; !no_memory && m + (1u << order) <= FRAMES; m += 1u << order) {
        if (!memchr(used + m, 1, 1u << order)) {
            memset(used + m, 1, 1u << order);
            nr_used += 1u << order;
            if (memf & MEMF_ZERO) {
                memset(mfn_to_virt(m), 0, PAGE_SIZE << order);
            }
            return &pages[m];
        }
    }
    return NULL;
}

void free_hv_pages(struct page *pg, unsigned order)
{
    CHECK_EQ(this_cpu()->lock_depth, 0);
    memset(used + (pg - pages), 0, 1u << order);
    memset(page_to_virt(pg), 0x5a, PAGE_SIZE << order);
    nr_used -= 1u << order;
}

void free_hv_page(void *va) { free_hv_pages(mfn_to_page(virt_to_mfn(va)), 0); }

static bool all(const u8 *p, u8 c, size_t n)
{
    while (n--) {
        if (*p++ != c) {
            return false;
        }
    }
    return true;
}

TEST(sizes)
{
    for (size_t size = 1; size <= 65536; size = size < 1100 ? size + 1 : size * 2 - size / 3) {
        u8 *p = xzalloc(size);
        CHECK(p && all(p, 0, size));
        CHECK_EQ((uintptr_t)p % 16, 0);
        memset(p, 0xff, size);
        xfree(p);
        CHECK_EQ(nr_used, 0);
    }
    CHECK(xzalloc(65537) == NULL);
    CHECK(xzalloc(~0UL) == NULL);
    void *p = xzalloc(0);
    CHECK(p != NULL);
    xfree(p);
    xfree(NULL);
}

TEST(random)
{
    static struct { u8 *p; size_t n; u8 fill; } have[500];
    unsigned n = 0;
    srand(2);
    for (unsigned i = 0; i < 100000; i++) {
        if (n < ARRAY_SIZE(have) && rand() % 100 < 55) {
            size_t size = rand() % 20 ? (size_t)rand() % 1100 : (size_t)rand() % 30000;
            u8 *p = xzalloc(size);
            CHECK(p && all(p, 0, size));
            memset(p, (int)i, size);
            have[n].p = p;
            have[n].n = size;
            have[n++].fill = (u8)i;
        } else if (n) {
            unsigned k = (unsigned)rand() % n;
            CHECK(all(have[k].p, have[k].fill, have[k].n));
            xfree(have[k].p);
            have[k] = have[--n];
        }
    }
    while (n--) {
        xfree(have[n].p);
    }
    CHECK_EQ(nr_used, 0);
}

TEST(no_memory)
{
    no_memory = true;
    CHECK(xzalloc(40) == NULL);
    CHECK(xzalloc(4000) == NULL);
    no_memory = false;
    CHECK_EQ(this_cpu()->lock_depth, 0);
}

TEST(a_pointer_into_the_middle_is_noticed)
{
    char *p = xzalloc(100);
    CHECK_PANICS(xfree(p + 16));
    xfree(p);
}
