/* SPDX-License-Identifier: MIT */
/*
 * Grant mappings in a PV guest's own page tables. The entry holds references of
 * its own on the frame, besides those that the grant code keeps for the mapping, so
 * that a guest which overwrites the entry loses that one and nothing else.
 */
#include "x86/pv.h"
#include <xen/grant_table.h>

/* The level 1 slot that host_addr names: a machine address of an entry
 * (contains_pte) or a virtual one. NULL: not an entry of this guest. */
static pte_t *find_slot(struct mmu *m, u64 addr, u32 flags)
{
    if (!(flags & GNTMAP_contains_pte))
        return mmu_walk(m->v, addr);
    return addr & 7 ? NULL : mmu_slot(m, addr);
}

static pte_t grant_pte(mfn_t mfn, u32 flags)
{
    pte_t bits = PTE_P | PTE_US | PTE_A | PTE_D | PTE_NX | ((flags & GNTMAP_readonly) ? 0 : PTE_RW);
    return pte_make(mfn, bits) | (pte_t)((flags >> _GNTMAP_guest_avail0) & 7) << 9;
}

int pv_grant_map(struct vcpu *v, u64 addr, struct domain *owner, mfn_t mfn, u32 flags)
{
    struct mmu m;
    if (mmu_begin(&m, v, v->domain, owner))
        return GNTST_eagain;    /* page-table work of its own that it left has to end first */
    pte_t *slot = find_slot(&m, addr, flags);
    bool good = slot && !mmu_write_entry(&m, slot, 1, grant_pte(mfn, flags), false);
    mmu_end(&m);
    return good ? GNTST_okay : GNTST_general_error;
}

/* The entry goes when it maps mfn with at most the rights of the grant. The one at new_addr
 * (virtual; 0: none) moves to its place and is cleared where it was. */
int pv_grant_unmap(struct vcpu *v, u64 addr, mfn_t mfn, u64 new_addr, u32 flags)
{
    struct mmu m;
    if (new_addr && (flags & GNTMAP_contains_pte))
        return GNTST_general_error;
    if (mmu_begin(&m, v, v->domain, v->domain))
        return GNTST_eagain;
    pte_t *slot = find_slot(&m, addr, flags);
    pte_t *from = new_addr ? mmu_walk(v, new_addr) : NULL;
    bool good = slot && (from || !new_addr) && (*slot & PTE_P) && pte_mfn(*slot) == mfn &&
                !((*slot & PTE_RW) && (flags & GNTMAP_readonly)) &&
                !mmu_write_entry(&m, slot, 1, from ? READ_ONCE(*from) : 0, false);
    if (good && from)
        (void)mmu_write_entry(&m, from, 1, 0, false);
    mmu_end(&m);
    return good ? GNTST_okay : GNTST_general_error;
}
