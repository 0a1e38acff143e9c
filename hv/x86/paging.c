/* SPDX-License-Identifier: MIT */
/*
 * Bulkhead's own page tables. The tables of the sixteen top-level slots are made
 * here once and shared by every top-level table, so a change below them is seen
 * everywhere. Entries are added without a lock (tables are installed by
 * compare-and-swap and never taken away); who maps at an address owns it.
 *
 * Permanent mappings are global: they survive a change of CR3. Guests' entries and
 * what hv_map makes are not.
 */
#include "lib.h"
#include "x86/asm.h"
#include "x86/boot.h"
#include "x86/machine.h"
#include "x86/page.h"

#define PTE_TABLE (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define SIZE_2M MIB(2)
#define SIZE_1G GIB(1)

pte_t *hv_l4;
struct page *frame_table = (struct page *)FRAME_TABLE;
u64 max_mfn;
unsigned long *ram_bitmap;

static bool tables_live;    /* hv_l4 is in use: all RAM can be reached */
static bool heap_live;
static u64 ioremap_next = IOREMAP_BASE;     /* atomic */


mfn_t virt_to_mfn(const void *va)
{
    ASSERT((u64)va >= DIRECT_MAP);
    return ((u64)va - DIRECT_MAP) >> PAGE_SHIFT;
}

/* A cleared page for a table; NULL: no memory. */
static pte_t *table_alloc(void)
{
    if (heap_live)
        return alloc_hv_page();
    /* The early tables reach 4 GiB only. */
    pte_t *t = phys_to_virt(boot_mem_alloc(PAGE_SIZE, PAGE_SIZE, tables_live ? 0 : GIB(4)));
    memset(t, 0, PAGE_SIZE);
    return t;
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
        if (__atomic_compare_exchange_n(e, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return t;
        free_hv_page(t);    /* another CPU was first; before SMP this does not happen */
    }
    BUG_ON(old & PTE_PSE);
    return mfn_to_virt(pte_mfn(old));
}

/* The entry for va in the table of `level`, tables made as needed; NULL: no memory. */
static pte_t *entry_make(u64 va, unsigned level)
{
    pte_t *t = hv_l4;
    for (unsigned l = 4; t && l > level; l--)
        t = table_below(&t[pt_index(va, l)]);
    return t ? &t[pt_index(va, level)] : NULL;
}

int hv_map(u64 va, mfn_t mfn, u64 n, u64 flags)
{
    pte_t *e = NULL;
    for (u64 i = 0; i < n; i++, va += PAGE_SIZE, e++) {
        if (!e || !pt_index(va, 1)) {
            e = entry_make(va, 1);
            if (!e)
                return -ENOMEM;
        }
        WRITE_ONCE(*e, pte_make(mfn + i, flags));
    }
    return 0;
}

pte_t *hv_pte(u64 va)
{
    pte_t *t = hv_l4;
    for (unsigned l = 4; l > 1; l--) {
        pte_t e = READ_ONCE(t[pt_index(va, l)]);
        if (!(e & PTE_P) || (e & PTE_PSE))
            return NULL;
        t = mfn_to_virt(pte_mfn(e));
    }
    return &t[pt_index(va, 1)];
}

void hv_unmap(u64 va, u64 n)
{
    for (u64 i = 0; i < n; i++) {
        pte_t *e = hv_pte(va + i * PAGE_SIZE);
        if (e)
            WRITE_ONCE(*e, 0);
    }
}

void map_large(u64 va, paddr_t pa, u64 len, u64 flags)
{
    for (u64 at = 0; at < len; at += SIZE_2M)
        *entry_make(va + at, 2) = (pa + at) | flags | PTE_PSE;
}

static u64 ioremap_space(u64 pages)
{
    u64 va = __atomic_fetch_add(&ioremap_next, pages << PAGE_SHIFT, __ATOMIC_RELAXED);
    return va + (pages << PAGE_SHIFT) <= IOREMAP_BASE + IOREMAP_SIZE ? va : 0;
}

static void *map_device(paddr_t pa, size_t len, u64 flags)
{
    u64 offset = pa & ~PAGE_MASK;
    u64 pages = (offset + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
    u64 va = pa + len >= pa && pages ? ioremap_space(pages) : 0;
    if (!va || hv_map(va, pa >> PAGE_SHIFT, pages, flags))
        return NULL;
    return (void *)(va + offset);
}

void *ioremap(paddr_t pa, size_t len, u64 cache)
{
    return map_device(pa, len, PTE_HV_RW | cache);
}

const void *map_firmware(paddr_t pa, size_t len)
{
    return map_device(pa, len, PTE_HV_RO);
}

/* --- start --- */

static void map_image(void)
{
    const struct { char *from, *to; u64 flags; } part[] = {
        { image_start, text_end, PTE_HV_RX },
        { text_end, rodata_end, PTE_HV_RO },
        { rodata_end, image_end, PTE_HV_RW },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(part); i++) {
        hv_map((u64)part[i].from, image_to_phys(part[i].from) >> PAGE_SHIFT,
               (u64)(part[i].to - part[i].from) >> PAGE_SHIFT, part[i].flags | PTE_G);
    }
}

static void map_direct(paddr_t pa, paddr_t end)
{
    while (pa < end) {
        bool g = cpu_has.page1g && !(pa & (SIZE_1G - 1)) && pa + SIZE_1G <= end;
        bool m = !(pa & (SIZE_2M - 1)) && pa + SIZE_2M <= end;
        unsigned level = g ? 3 : m ? 2 : 1;
        *entry_make(DIRECT_MAP + pa, level) = pa | PTE_HV_RW | PTE_G | (level > 1 ? PTE_PSE : 0);
        pa += g ? SIZE_1G : m ? SIZE_2M : PAGE_SIZE;
    }
}

/* Tables for every CPU's descriptor windows, so that a switch never allocates. */
static void make_desc_tables(void)
{
    for (u64 va = DESC_WINDOW; va < DESC_WINDOW + NR_CPUS * DESC_WINDOW_SIZE; va += SIZE_2M)
        entry_make(va, 1);
}

/* Backs the frame table wherever there is RAM: 2 MiB of it tell of 256 MiB. */
static void frame_table_init(void)
{
    const u64 span = SIZE_2M / sizeof(struct page) * PAGE_SIZE;
    struct boot_range r;
    for (unsigned i = 0; boot_ram_range(i, &r); i++) {
        for (paddr_t pa = ROUND_DOWN(r.start, span); pa < r.end; pa += span) {
            u64 va = FRAME_TABLE + (pa >> PAGE_SHIFT) * sizeof(struct page);
            if (*entry_make(va, 2) & PTE_P)
                continue;
            paddr_t table = boot_mem_alloc(SIZE_2M, SIZE_2M, 0);
            memset(phys_to_virt(table), 0, SIZE_2M);
            map_large(va, table, SIZE_2M, PTE_HV_RW | PTE_G);
        }
    }
}

static void bitmap_set(u64 first, u64 end)
{
    for (; first < end && first % 64; first++)
        ram_bitmap[first / 64] |= 1UL << first % 64;
    for (; first + 64 <= end; first += 64)
        ram_bitmap[first / 64] = ~0UL;
    for (; first < end; first++)
        ram_bitmap[first / 64] |= 1UL << first % 64;
}

/* The first MiB counts as the firmware's: no frames there. */
static void ram_bitmap_init(void)
{
    u64 size = ROUND_UP(max_mfn / 8 + 8, PAGE_SIZE);
    struct boot_range r;
    ram_bitmap = phys_to_virt(boot_mem_alloc(size, PAGE_SIZE, 0));
    memset(ram_bitmap, 0, size);
    for (unsigned i = 0; boot_ram_range(i, &r); i++)
        bitmap_set(MAX(r.start, MIB(1)) >> PAGE_SHIFT, r.end >> PAGE_SHIFT);
}

void paging_init(void)
{
    struct boot_range r;

    BUG_ON((u64)image_start != IMAGE_BASE);
    boot_mem_init();
    hv_l4 = table_alloc();
    for (unsigned slot = HV_SLOT_FIRST; slot <= HV_SLOT_LAST; slot++) {
        table_below(&hv_l4[slot]);
        if (slot != pt_index(M2P_RO, 4))
            hv_l4[slot] &= ~PTE_US;
    }
    map_image();
    for (unsigned i = 0; boot_ram_range(i, &r); i++) {
        map_direct(r.start, r.end);
        max_mfn = MAX(max_mfn, r.end >> PAGE_SHIFT);
    }
    tlb_write_cr3((u64)hv_l4 - DIRECT_MAP);
    tables_live = true;

    make_desc_tables();
    ram_bitmap_init();
    frame_table_init();
    m2p_init();
}

void heap_init(void)
{
    const struct boot_range *b;
    heap_live = true;
    for (unsigned i = 0; (b = boot_mem_range(i)) != NULL; i++)
        heap_add(b->start >> PAGE_SHIFT, b->end >> PAGE_SHIFT);
}

_Static_assert(DIRECT_MAP == DIRECT_MAP_BASE, "mm.h");
