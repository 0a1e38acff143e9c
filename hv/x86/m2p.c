/* SPDX-License-Identifier: MIT */
/*
 * The machine-to-physical table: for each machine frame the guest frame number that
 * its owner calls it by. Guests may read it, so a view of it covers every address
 * that a frame number can have: what is not RAM (PCI windows, holes) shows one shared
 * page of invalid entries. Single entries are written whole; no lock.
 */
#include "x86/boot.h"
#include "x86/machine.h"

#define CHUNK MIB(2)                            /* of the table: entries for 1 GiB */
#define CHUNK_FRAMES (CHUNK / sizeof(u64))
#define PTE_M2P_RO (PTE_P | PTE_US | PTE_A | PTE_NX)

void m2p_set(mfn_t mfn, u64 gfn)
{
    WRITE_ONCE(((u64 *)M2P_RW)[mfn], gfn);
}

/* An entry for a table in which all entries are e. */
static pte_t table_of(pte_t e)
{
    pte_t *t = boot_mem_filled(PAGE_SIZE, 0);
    for (unsigned i = 0; i < 512; i++)
        t[i] = e;
    return pte_make(virt_to_mfn(t), PTE_P | PTE_US | PTE_A);
}

static pte_t *table_at(pte_t e)
{
    return mfn_to_virt(pte_mfn(e));
}

/* Its frames are shared with DOMID_XEN, for tools that map the table to read it: a
 * type that is never given up keeps every mapping of them read-only. */
static void share(struct page *pg)
{
    const struct page shared = { .refs = 1, .owner = DOMID_XEN, .flags = PG_XENHEAP,
                                 .type = PT_DESC | PT_VALIDATED | 1 };
    for (unsigned i = 0; i < CHUNK / PAGE_SIZE; i++)
        pg[i] = shared;
}

/* Holes everywhere, then chunks over them where there is RAM. */
void m2p_init(void)
{
    mfn_t ones = virt_to_mfn(boot_mem_filled(PAGE_SIZE, 0xff));
    pte_t none = table_of(pte_make(ones, PTE_M2P_RO)), none_l2 = table_of(none);
    pte_t *l3 = table_at(hv_l4[pt_index(M2P_RO, 4)]);

    for (unsigned i = 0; i < 512; i++)
        l3[i] = none_l2;
    for_each_ram (r) {
        for (u64 i = r.start / GIB(1); i * GIB(1) < r.end; i++) {
            if (l3[i / 512] == none_l2)
                l3[i / 512] = table_of(none);
            pte_t *e = &table_at(l3[i / 512])[i % 512];
            if (*e & PTE_PSE)
                continue;
            mfn_t mfn = boot_back_2m(M2P_RW + i * CHUNK, 0xff);
            *e = pte_make(mfn, PTE_M2P_RO | PTE_PSE);   /* not global: user tables leave it out */
            share(mfn_to_page(mfn));
        }
    }
}

/* Found in the read-only view. A hole shows the chunk before it, which exists: the
 * first GiB has RAM. */
mfn_t m2p_chunk_mfn(unsigned idx)
{
    if (idx >= (max_mfn + CHUNK_FRAMES - 1) / CHUNK_FRAMES)
        return INVALID_MFN;
    pte_t *l3 = table_at(hv_l4[pt_index(M2P_RO, 4)]);
    for (;; idx--) {
        pte_t e = table_at(l3[idx / 512])[idx % 512];
        if (e & PTE_PSE)
            return pte_mfn(e);
        BUG_ON(!idx);
    }
}
