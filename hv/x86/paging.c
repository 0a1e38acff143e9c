/* SPDX-License-Identifier: MIT */
/*
 * Bulkhead's own page tables. The tables of the sixteen top-level slots are made
 * here once and shared by every top-level table, so a change below them is seen
 * everywhere. Entries are added without a lock (tables are installed by
 * compare-and-swap and never taken away); who maps at an address owns it.
 *
 * Permanent mappings are global: they survive a change of CR3. Guests' entries and
 * what map_physical makes are not.
 */
#include "x86/boot.h"
#include "x86/machine.h"

#define PTE_TABLE (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

pte_t *hv_l4;
paddr_t hv_cr3;
struct page *frame_table = (struct page *)FRAME_TABLE;
u64 max_mfn, ram_frames;
unsigned long *ram_bitmap;

static u64 ioremap_next = IOREMAP_BASE;     /* atomic */

mfn_t virt_to_mfn(const void *va)
{
    ASSERT((u64)va >= DIRECT_MAP);
    return ((u64)va - DIRECT_MAP) >> PAGE_SHIFT;
}

/* A cleared page for a table; NULL: no memory. */
static pte_t *table_alloc(void)
{
    return total_page_count() ? alloc_hv_page() : boot_mem_filled(PAGE_SIZE, 0);
}

/* The table below *e, made when it is missing; NULL: no memory. */
static pte_t *table_below(pte_t *e)
{
    pte_t old = READ_ONCE(*e);
    if (!(old & PTE_P)) {
        pte_t *t = table_alloc();
        if (!t)
            return NULL;
        pte_t new = pte_make(virt_to_mfn(t), PTE_TABLE);
        if (cas(e, &old, new))
            return t;
        free_hv_page(t);    /* another CPU was first; before SMP this does not happen */
    }
    BUG_ON(old & PTE_PSE);
    return mfn_to_virt(pte_mfn(old));
}

pte_t *hv_pte(u64 va, unsigned level)
{
    pte_t *t = hv_l4;
    for (unsigned l = 4; t && l > level; l--)
        t = table_below(&t[pt_index(va, l)]);
    return t ? &t[pt_index(va, level)] : NULL;
}

/* Maps n pages at va. 0 or -ENOMEM. */
static int map_pages(u64 va, mfn_t mfn, u64 n, u64 flags)
{
    for (u64 i = 0; i < n; i++) {
        pte_t *e = hv_pte(va + i * PAGE_SIZE, 1);
        if (!e)
            return -ENOMEM;
        WRITE_ONCE(*e, pte_make(mfn + i, flags));
    }
    return 0;
}

void *map_physical(paddr_t pa, size_t len, u64 flags)
{
    u64 offset = pa & ~PAGE_MASK;
    u64 size = ROUND_UP(offset + len, PAGE_SIZE);
    if (pa + len < pa || !size)
        return NULL;
    u64 va = __atomic_fetch_add(&ioremap_next, size, __ATOMIC_RELAXED);
    if (va + size > IOREMAP_BASE + IOREMAP_SIZE ||
        map_pages(va, pa >> PAGE_SHIFT, size >> PAGE_SHIFT, flags)) {
        return NULL;
    }
    return (void *)(va + offset);
}

mfn_t boot_back_2m(u64 va, int fill)
{
    mfn_t mfn = virt_to_mfn(boot_mem_filled(MIB(2), fill));
    *hv_pte(va, 2) = pte_make(mfn, PTE_HV_RW | PTE_G | PTE_PSE);
    return mfn;
}

/* --- start --- */

static void map_image(const char *from, const char *to, u64 flags)
{
    map_pages((u64)from, image_to_phys(from) >> PAGE_SHIFT, (u64)(to - from) >> PAGE_SHIFT,
              flags | PTE_G);
}

static void map_direct(paddr_t pa, paddr_t end)
{
    for (unsigned level; pa < end; pa += pte_span(level)) {
        level = cpu_has.page1g ? 3 : 2;
        while (level > 1 && ((pa & (pte_span(level) - 1)) || pte_span(level) > end - pa))
            level--;
        *hv_pte(DIRECT_MAP + pa, level) = pa | PTE_HV_RW | PTE_G | (level > 1 ? PTE_PSE : 0);
    }
}

/* Backs the frame table wherever there is RAM: 2 MiB of it tell of 256 MiB. */
static void frame_table_init(void)
{
    const u64 span = MIB(2) / sizeof(struct page) * PAGE_SIZE;
    for_each_ram (r) {
        for (paddr_t pa = ROUND_DOWN(r.start, span); pa < r.end; pa += span) {
            u64 va = (u64)mfn_to_page(pa >> PAGE_SHIFT);
            if (!(*hv_pte(va, 2) & PTE_P))
                boot_back_2m(va, 0);
        }
    }
}

/* The first MiB counts as the firmware's: no frames there. */
static void ram_bitmap_init(void)
{
    ram_bitmap = boot_mem_filled(ROUND_UP(max_mfn / 8 + 8, PAGE_SIZE), 0);
    for_each_ram (r) {
        mfn_t end = r.end >> PAGE_SHIFT;
        for (mfn_t m = MAX(r.start, MIB(1)) >> PAGE_SHIFT; m < end; m++, ram_frames++)
            ram_bitmap[m / 64] |= 1UL << m % 64;
    }
}

void paging_init(void)
{
    BUG_ON((u64)image_start != IMAGE_BASE);
    boot_mem_init();
    hv_l4 = table_alloc();
    for (unsigned slot = HV_SLOT_FIRST; slot <= HV_SLOT_LAST; slot++) {
        table_below(&hv_l4[slot]);
        if (slot != pt_index(M2P_RO, 4))
            hv_l4[slot] &= ~PTE_US;
    }
    map_image(image_start, text_end, PTE_HV_RX);
    map_image(text_end, rodata_end, PTE_HV_RO);
    map_image(rodata_end, image_end, PTE_HV_RW);
    for_each_ram (r) {
        map_direct(r.start, r.end);
        max_mfn = r.end >> PAGE_SHIFT;
    }
    hv_cr3 = virt_to_mfn(hv_l4) << PAGE_SHIFT;
    tlb_write_cr3(hv_cr3);
    boot_mem_limit = ~0UL;          /* all RAM can be reached now */

    ram_bitmap_init();
    frame_table_init();
    m2p_init();
}

_Static_assert(DIRECT_MAP == DIRECT_MAP_BASE, "mm.h");
