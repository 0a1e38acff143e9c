/* SPDX-License-Identifier: MIT */
/* The PV MMU: mmu_update, update_va_mapping, mmuext_op, direct writes to tables. */
#include "tiny.h"

static long mmu_update(u64 maddr, u64 val)
{
    struct mmu_update u = { maddr, val };
    return HC(mmu_update, &u, 1, 0, DOMID_SELF);
}

static long ext(unsigned cmd, u64 mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };
    return HC(mmuext_op, &op, 1, 0, DOMID_SELF);
}

/* A page that is a table-to-be: no writable mapping left. */
static u64 *table_page(void)
{
    u64 *t = alloc_page();
    map_mfn(t, virt_to_mfn_of(t), PG_RO);
    return t;
}

static long writable_again(void *p) { return map_mfn(p, virt_to_mfn_of(p), PG_DATA); }

TEST(update_entry)
{
    u64 *a = alloc_page(), *b = alloc_page();
    *a = 1;
    *b = 2;
    u64 at = pte_maddr((u64)a, 1), old = *pte_of((u64)a, 1);
    CHECK_EQ(mmu_update(at | MMU_NORMAL_PT_UPDATE, virt_to_mfn_of(b) << 12 | PG_DATA), 0);
    ext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    CHECK_EQ(*(volatile u64 *)a, 2);
    CHECK_EQ(mmu_update(at | MMU_NORMAL_PT_UPDATE, old), 0);
    ext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    CHECK_EQ(*(volatile u64 *)a, 1);
    /* Accessed and dirty survive with PRESERVE_AD. */
    CHECK_EQ(mmu_update(at | MMU_PT_UPDATE_PRESERVE_AD, old & ~(PG_A | PG_D)), 0);
    CHECK((*pte_of((u64)a, 1) & (PG_A | PG_D)) == (PG_A | PG_D));
    u32 done = 77;
    struct mmu_update u[3] = { { at, old }, { at, virt_to_mfn_of((void *)start_info->pt_base) << 12 | PG_DATA }, { at, old } };
    CHECK(HC(mmu_update, u, 3, &done, DOMID_SELF) < 0);
    CHECK_EQ(done, 1);
}

TEST(update_va_mapping)
{
    u64 *a = alloc_page();
    CHECK_EQ(HC(update_va_mapping, a, 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    TRAPS("movq $1, (%1)", "r"(a));
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.cr2, (u64)a);
    CHECK_EQ(seen.error & ~4UL, 2);
    CHECK_EQ(writable_again(a), 0);
    TRAPS("movq $1, (%1)", "r"(a));
    CHECK_EQ(seen.vector, -1);
    CHECK_EQ(map_mfn(a, virt_to_mfn_of(a), PG_RO), 0);
    TRAPS("movq $1, (%1)", "r"(a));
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.error & ~4UL, 3);
    CHECK_EQ(writable_again(a), 0);
    static const u64 bad[] = { 0xffff800000000000, 0xffff830000000000, 0xffff87fffffff000, 0x0000800000000000,
                               0x4000000000, 0x8000000000000000 };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK(HC(update_va_mapping, bad[i], virt_to_mfn_of(a) << 12 | PG_DATA, 0) < 0);
    }
}

TEST(never_writable_tables)
{
    u64 *a = alloc_page();
    u64 own = virt_to_mfn_of(a);
    u64 pt = virt_to_mfn_of((void *)start_info->pt_base);
    CHECK(map_mfn(a, pt, PG_DATA) < 0);
    CHECK_EQ(map_mfn(a, pt, PG_RO), 0);
    CHECK_EQ(a[0], *(u64 *)start_info->pt_base);
    CHECK_EQ(map_mfn(a, own, PG_DATA), 0);
    /* A page with a writable mapping cannot become a table. */
    CHECK(ext(MMUEXT_PIN_L1_TABLE, own) < 0);
}

TEST(foreign_and_hypervisor_frames)
{
    u64 *a = alloc_page();
    u64 own = virt_to_mfn_of(a);
    /* Where Bulkhead's image and tables lie; what no RAM is and nobody may map. */
    static const u64 bad[] = { 0xfee00, 0x200, 1UL << 39, (1UL << 40) - 1 };
    CHECK(map_mfn(a, bad[0], PG_DATA) < 0);
    for (unsigned i = 2; i < ARRAY_SIZE(bad); i++) {
        CHECK(map_mfn(a, bad[i], PG_DATA) < 0 || on_xen());
    }
    unsigned refused = 0;
    for (u64 mfn = 0x200; mfn < 0x220; mfn++) {
        refused += on_xen() || map_mfn(a, mfn, PG_DATA) < 0;
    }
    CHECK_EQ(refused, 0x20);
    CHECK_EQ(map_mfn(a, own, PG_DATA), 0);
    /* The shared info page: mapped by us already, a second time is fine. */
    CHECK_EQ(map_mfn(a, start_info->shared_info >> 12, PG_DATA), 0);
    CHECK_EQ(((struct shared_info *)a)->wc_sec, shared->wc_sec);
    CHECK_EQ(map_mfn(a, own, PG_DATA), 0);
}

TEST(pin_and_unpin)
{
    u64 *l1 = table_page(), *data = alloc_page();
    u64 mfn = virt_to_mfn_of(l1);
    CHECK_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn), 0);
    CHECK(ext(MMUEXT_PIN_L1_TABLE, mfn) < 0);           /* pinned already */
    CHECK(ext(MMUEXT_PIN_L2_TABLE, mfn) < 0);
    CHECK(map_mfn(l1, mfn, PG_DATA) < 0);               /* typed: never writable */
    CHECK_EQ(mmu_update((mfn << 12) + 8 * 5, virt_to_mfn_of(data) << 12 | PG_DATA), 0);
    CHECK_EQ(l1[5] & ~PG_G, virt_to_mfn_of(data) << 12 | PG_DATA);
    CHECK(mmu_update((mfn << 12) + 8 * 6, mfn << 12 | PG_DATA) < 0);    /* itself, writable */
    CHECK_EQ(mmu_update((mfn << 12) + 8 * 6, mfn << 12 | PG_RO), 0);
    CHECK_EQ(mmu_update((mfn << 12) + 8 * 6, 0), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn), 0);
    CHECK(ext(MMUEXT_UNPIN_TABLE, mfn) < 0);
    CHECK_EQ(writable_again(l1), 0);
    l1[5] = 0;
}

TEST(table_with_bad_entries)
{
    static const u64 bad[] = { 0xfee00UL << 12 | PG_DATA, 1UL << 51 | PG_DATA };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        u64 *l1 = alloc_page();
        l1[300] = bad[i];
        map_mfn(l1, virt_to_mfn_of(l1), PG_RO);
        CHECK(ext(MMUEXT_PIN_L1_TABLE, virt_to_mfn_of(l1)) < 0);
        /* Nothing is left of the attempt. */
        CHECK_EQ(writable_again(l1), 0);
        l1[300] = 0;
    }
    /* A data page as a table of level 2. */
    u64 *l2 = alloc_page(), *data = alloc_page();
    l2[0] = virt_to_mfn_of(data) << 12 | PG_TABLE;      /* data is mapped writable */
    map_mfn(l2, virt_to_mfn_of(l2), PG_RO);
    CHECK(ext(MMUEXT_PIN_L2_TABLE, virt_to_mfn_of(l2)) < 0);
    CHECK_EQ(writable_again(l2), 0);
    /* Superpages are refused. */
    l2[0] = (virt_to_mfn_of(data) & ~511UL) << 12 | PG_DATA | PG_PSE;
    map_mfn(l2, virt_to_mfn_of(l2), PG_RO);
    CHECK(ext(MMUEXT_PIN_L2_TABLE, virt_to_mfn_of(l2)) < 0);
    CHECK_EQ(writable_again(l2), 0);
}

/* A second address space: a copy of the top level, pinned. */
static u64 *new_l4, new_l4_mfn;

TEST(new_address_space)
{
    new_l4 = alloc_page();
    new_l4_mfn = virt_to_mfn_of(new_l4);
    u64 *old = (u64 *)start_info->pt_base;
    for (unsigned i = 0; i < 512; i++) {
        new_l4[i] = i >= 256 && i < 272 ? 0 : old[i];
    }
    map_mfn(new_l4, new_l4_mfn, PG_RO);
    CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, new_l4_mfn), 0);
    CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, new_l4_mfn), 0);
    CHECK_EQ(*(u64 *)MACH2PHYS_VIRT_START, *(volatile u64 *)MACH2PHYS_VIRT_START);
    u64 cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    CHECK_EQ(cr3 >> 12, new_l4_mfn);
    CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, virt_to_mfn_of(old)), 0);
    /* Bulkhead's slots are not the guest's to change. */
    for (unsigned i = 256; i < 272; i++) {
        CHECK(mmu_update((new_l4_mfn << 12) + i * 8, old[511]) < 0);
    }
    /* While it is pinned, its children cannot be written; after unpinning it is free. */
    CHECK(map_mfn(new_l4, new_l4_mfn, PG_DATA) < 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, new_l4_mfn), 0);
    CHECK_EQ(writable_again(new_l4), 0);
}

TEST(build_levels_at_a_new_address)
{
    u64 va = 0x10000000000UL;       /* slot 2 */
    u64 *l3 = table_page(), *l2 = table_page(), *l1 = table_page(), *data = alloc_page();
    u64 l4_mfn = virt_to_mfn_of((void *)start_info->pt_base);
    *data = 0xfeed;
    CHECK_EQ(mmu_update((l4_mfn << 12) + 2 * 8, virt_to_mfn_of(l3) << 12 | PG_TABLE), 0);
    CHECK_EQ(mmu_update(virt_to_mfn_of(l3) << 12, virt_to_mfn_of(l2) << 12 | PG_TABLE), 0);
    CHECK_EQ(mmu_update(virt_to_mfn_of(l2) << 12, virt_to_mfn_of(l1) << 12 | PG_TABLE), 0);
    CHECK_EQ(HC(update_va_mapping, va, virt_to_mfn_of(data) << 12 | PG_DATA, 0), 0);
    CHECK_EQ(*(volatile u64 *)va, 0xfeed);
    /* A direct write to the live table is caught and done. */
    l1[1] = virt_to_mfn_of(data) << 12 | PG_DATA;
    CHECK_EQ(*(volatile u64 *)(va + 4096), 0xfeed);
    u64 old = __atomic_exchange_n(&l1[1], 0, __ATOMIC_SEQ_CST);
    CHECK_EQ(old & ~(PG_A | PG_D | PG_G), (virt_to_mfn_of(data) << 12 | PG_DATA) & ~(PG_A | PG_D));
    CHECK_EQ(l1[1], 0);
    ext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    TRAPS("movq (%1), %%rax", "r"(va + 4096));
    CHECK_EQ(seen.vector, 14);
    /* A direct write of a bad entry: the guest gets its fault, nothing changes. */
    u64 bad = virt_to_mfn_of(l2) << 12 | PG_DATA;
    TRAPS("movq %1, (%2)", "r"(bad), "r"(&l1[2]));
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(l1[2], 0);
    /* The wrong level in a slot. */
    CHECK(mmu_update((virt_to_mfn_of(l3) << 12) + 8, virt_to_mfn_of(l1) << 12 | PG_TABLE) < 0);
    CHECK(mmu_update((virt_to_mfn_of(l3) << 12) + 8, virt_to_mfn_of(l3) << 12 | PG_TABLE) < 0);
    /* Down again, from the top: everything below is released. */
    CHECK_EQ(mmu_update((l4_mfn << 12) + 2 * 8, 0), 0);
    ext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    CHECK_EQ(writable_again(l3), 0);
    CHECK_EQ(writable_again(l2), 0);
    CHECK_EQ(writable_again(l1), 0);
}

TEST(machphys_update)
{
    u64 pfn = alloc_pfn(), mfn = P2M[pfn];
    CHECK_EQ(mmu_update(mfn << 12 | MMU_MACHPHYS_UPDATE, 0x123456), 0);
    CHECK_EQ(((volatile u64 *)MACH2PHYS_VIRT_START)[mfn], 0x123456);
    CHECK_EQ(mmu_update(mfn << 12 | MMU_MACHPHYS_UPDATE, pfn), 0);
    CHECK(mmu_update(0x200UL << 12 | MMU_MACHPHYS_UPDATE, 1) < 0);
    CHECK(mmu_update((1UL << 40) << 12 | MMU_MACHPHYS_UPDATE, 1) < 0);
}

TEST(frame_copies)
{
    u64 *a = alloc_page(), *b = alloc_page();
    a[7] = 77;
    struct mmuext_op op = { .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = virt_to_mfn_of(b),
                            .arg2.src_mfn = virt_to_mfn_of(a) };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    CHECK_EQ(b[7], 77);
    CHECK_EQ(ext(MMUEXT_CLEAR_PAGE, virt_to_mfn_of(b)), 0);
    CHECK_EQ(b[7], 0);
    CHECK(ext(MMUEXT_CLEAR_PAGE, virt_to_mfn_of((void *)start_info->pt_base)) < 0);
    op.arg1.mfn = virt_to_mfn_of((void *)start_info->pt_base);
    CHECK(HC(mmuext_op, &op, 1, 0, DOMID_SELF) < 0);
    op.arg1.mfn = virt_to_mfn_of(b);
    op.arg2.src_mfn = 1UL << 50;
    CHECK(HC(mmuext_op, &op, 1, 0, DOMID_SELF) < 0);
}

TEST(flushes)
{
    unsigned long mask = 3;
    struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_MULTI };
    set_xen_guest_handle_raw(op.arg2.vcpumask, (void *)&mask);
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    op.cmd = MMUEXT_INVLPG_MULTI;
    op.arg1.linear_addr = (u64)start_info;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    set_xen_guest_handle_raw(op.arg2.vcpumask, (void *)0x1000);
    CHECK(HC(mmuext_op, &op, 1, 0, DOMID_SELF) < 0);
    CHECK_EQ(ext(MMUEXT_TLB_FLUSH_ALL, 0), 0);
    CHECK_EQ(ext(MMUEXT_FLUSH_CACHE, 0), 0);
    op.cmd = MMUEXT_INVLPG_LOCAL;
    op.arg1.linear_addr = 0xffff830000000000;
    HC(mmuext_op, &op, 1, 0, DOMID_SELF);
    CHECK(ext(99, 0) < 0);
}

TEST(hostile_lists)
{
    static const u64 bad[] = BAD_ADDRESSES;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(HC(mmu_update, bad[i], 1, 0, DOMID_SELF), -EFAULT);
        CHECK_EQ(HC(mmuext_op, bad[i], 1, 0, DOMID_SELF), -EFAULT);
    }
    struct mmu_update u = { 0, 0 };
    CHECK_EQ(HC(mmu_update, &u, 0, 0, DOMID_SELF), 0);
    CHECK_EQ(HC(mmuext_op, &u, 0, 0, DOMID_SELF), 0);
    CHECK(HC(mmu_update, &u, 1, 0, 55) < 0);
    CHECK(HC(mmuext_op, &u, 1, 0, 55) < 0);
    CHECK(HC(mmu_update, &u, 1, 0, ~0UL) < 0);
    static const u64 ptr[] = { 0, 8, 0xfee00000, 1UL << 51, ~7UL, 0x200000, 3, 0x1000 | 3 };
    for (unsigned i = 0; i < ARRAY_SIZE(ptr); i++) {
        CHECK(mmu_update(ptr[i], 0) < 0);
    }
    /* An entry of a page that is no table. */
    u64 *a = alloc_page();
    long rc = mmu_update(virt_to_mfn_of(a) << 12, virt_to_mfn_of(a) << 12 | PG_DATA);
    CHECK(rc == 0 || rc == -EINVAL);
    for (unsigned cmd = 0; cmd < 24; cmd++) {
        if (cmd != MMUEXT_TLB_FLUSH_LOCAL && cmd != MMUEXT_INVLPG_LOCAL && cmd != MMUEXT_TLB_FLUSH_ALL &&
            cmd != MMUEXT_INVLPG_ALL && cmd != MMUEXT_FLUSH_CACHE && cmd != MMUEXT_FLUSH_CACHE_GLOBAL &&
            cmd != MMUEXT_NEW_USER_BASEPTR && cmd != MMUEXT_SET_LDT && cmd != MMUEXT_TLB_FLUSH_MULTI && cmd != MMUEXT_INVLPG_MULTI) {
            CHECK(ext(cmd, 1UL << 40) < 0);
            CHECK(ext(cmd, ~0UL) < 0);
            CHECK(ext(cmd, 0x200) < 0);
        }
    }
    CHECK_EQ(ext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
}
