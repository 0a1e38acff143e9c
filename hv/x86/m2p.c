/* SPDX-License-Identifier: MIT */
/*
 * The machine-to-physical table: for each machine frame the guest frame number that
 * its owner calls it by. Guests may read it, so a view of it covers every address
 * that a frame number can have: what is not RAM (PCI windows, holes) shows one shared
 * page of invalid entries. Single entries are written whole; no lock.
 */
#include "lib.h"
#include "x86/asm.h"
#include "x86/boot.h"
#include "x86/machine.h"
#include "x86/page.h"

#define CHUNK MIB(2)                            /* of the table: entries for 1 GiB */
#define CHUNK_FRAMES (CHUNK / sizeof(u64))
#define PTE_M2P_RO (PTE_P | PTE_US | PTE_A | PTE_NX)

void m2p_set(mfn_t mfn, u64 gfn)
{
    if (mfn_valid(mfn))
        WRITE_ONCE(((u64 *)M2P_RW)[mfn], gfn);
}

u64 m2p_get(mfn_t mfn)
{
    return mfn_valid(mfn) ? READ_ONCE(((u64 *)M2P_RW)[mfn]) : INVALID_M2P;
}

static paddr_t page_of_ones(void)
{
    paddr_t pa = boot_mem_alloc(PAGE_SIZE, PAGE_SIZE, 0);
    memset(phys_to_virt(pa), 0xff, PAGE_SIZE);
    return pa;
}

/* A table in which all entries are e. */
static pte_t table_of(pte_t e)
{
    paddr_t pa = boot_mem_alloc(PAGE_SIZE, PAGE_SIZE, 0);
    pte_t *t = phys_to_virt(pa);
    for (unsigned i = 0; i < 512; i++)
        t[i] = e;
    return pa | PTE_P | PTE_US | PTE_A;
}

/* Its frames are shared with DOMID_XEN, for tools that map the table to read it: a
 * type that is never given up keeps every mapping of them read-only. */
static void share(paddr_t pa)
{
    struct page *pg = mfn_to_page(pa >> PAGE_SHIFT);
    for (unsigned i = 0; i < CHUNK / PAGE_SIZE; i++, pg++) {
        pg->refs = 1;
        pg->owner = DOMID_XEN;
        pg->flags = PG_XENHEAP;
        pg->type = PT_DESC | PT_VALIDATED | 1;
    }
}

static bool has_ram(mfn_t first, mfn_t end)
{
    struct boot_range r;
    for (unsigned i = 0; boot_ram_range(i, &r); i++) {
        if (r.start >> PAGE_SHIFT < end && r.end >> PAGE_SHIFT > first)
            return true;
    }
    return false;
}

void m2p_init(void)
{
    pte_t none_l2 = table_of(table_of(page_of_ones() | PTE_M2P_RO));
    pte_t *l3 = mfn_to_virt(pte_mfn(hv_l4[pt_index(M2P_RO, 4)]));

    for (unsigned i = 0; i < 512; i++) {
        mfn_t first = (mfn_t)i * 512 * CHUNK_FRAMES;
        if (first >= max_mfn) {
            l3[i] = none_l2;
            continue;
        }
        /* Holes first, then chunks with RAM over them. */
        l3[i] = table_of(((pte_t *)mfn_to_virt(pte_mfn(none_l2)))[0]);
        for (mfn_t m = first; m < MIN(first + 512 * CHUNK_FRAMES, max_mfn); m += CHUNK_FRAMES) {
            if (has_ram(m, m + CHUNK_FRAMES)) {
                paddr_t pa = boot_mem_alloc(CHUNK, CHUNK, 0);
                memset(phys_to_virt(pa), 0xff, CHUNK);
                pte_t *l2 = mfn_to_virt(pte_mfn(l3[i]));
                l2[m / CHUNK_FRAMES % 512] = pa | PTE_M2P_RO | PTE_PSE;   /* not global: user tables leave it out */
                map_large(M2P_RW + m * sizeof(u64), pa, CHUNK, PTE_HV_RW | PTE_G);
                share(pa);
            }
        }
    }
}

/* Found in the read-only view. A hole shows the chunk before it, which exists: the
 * first GiB has RAM. */
mfn_t m2p_chunk_mfn(unsigned idx)
{
    if (idx >= (max_mfn + CHUNK_FRAMES - 1) / CHUNK_FRAMES)
        return INVALID_MFN;
    pte_t *l3 = mfn_to_virt(pte_mfn(hv_l4[pt_index(M2P_RO, 4)]));
    for (;; idx--) {
        pte_t *l2 = mfn_to_virt(pte_mfn(l3[idx / 512]));
        if (l2[idx % 512] & PTE_PSE)
            return pte_mfn(l2[idx % 512]);
        BUG_ON(!idx);
    }
}
