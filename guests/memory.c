/* SPDX-License-Identifier: MIT */
/* memory_op. */
#include "tiny.h"

static xen_pfn_t frames[512];

static long reserve(unsigned cmd, xen_pfn_t *list, unsigned long n, unsigned order)
{
    struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order, .domid = DOMID_SELF };
    set_xen_guest_handle(r.extent_start, list);
    return HC(memory_op, cmd, &r);
}

static long tot_pages(void)
{
    domid_t self = DOMID_SELF;
    return HC(memory_op, XENMEM_current_reservation, &self);
}

TEST(queries)
{
    domid_t self = DOMID_SELF, nobody = 99;
    CHECK_EQ(tot_pages(), start_info->nr_pages);
    CHECK(HC(memory_op, XENMEM_maximum_reservation, &self) >= (long)start_info->nr_pages);
    CHECK_EQ(HC(memory_op, XENMEM_current_reservation, &nobody), -ESRCH);
    CHECK(HC(memory_op, XENMEM_maximum_ram_page, 0) > 0x1000);
    CHECK(HC(memory_op, XENMEM_maximum_gpfn, &self) >= 0);
    CHECK_EQ(HC(memory_op, 63, 0), -ENOSYS);
    struct xen_vnuma_topology_info v;
    memset(&v, 0, sizeof(v));
    v.domid = DOMID_SELF;
    CHECK_EQ(HC(memory_op, XENMEM_get_vnumainfo, &v), -EOPNOTSUPP);
    struct xen_machphys_mapping m;
    CHECK_EQ(HC(memory_op, XENMEM_machphys_mapping, &m), 0);
    CHECK_EQ(m.v_start, MACH2PHYS_VIRT_START);
    CHECK(m.v_end > m.v_start && m.max_mfn > 0x1000);
}

TEST(machine_memory_map)
{
    static struct { u64 addr, size; u32 type; } PACKED map[128];
    struct xen_memory_map m = { .nr_entries = 128 };
    set_xen_guest_handle_raw(m.buffer, (void *)map);
    CHECK_EQ(HC(memory_op, XENMEM_machine_memory_map, &m), 0);
    CHECK(m.nr_entries > 2 && m.nr_entries < 128);
    u64 ram = 0;
    for (unsigned i = 0; i < m.nr_entries; i++) {
        ram += map[i].type == 1 ? map[i].size : 0;
        CHECK(i == 0 || map[i].addr >= map[i - 1].addr + map[i - 1].size);
    }
    CHECK(ram > MIB(256));
    set_xen_guest_handle_raw(m.buffer, (void *)0x1000);
    m.nr_entries = 128;
    CHECK_EQ(HC(memory_op, XENMEM_machine_memory_map, &m), -EFAULT);
}

TEST(decrease_and_populate)
{
    long before = tot_pages();
    for (unsigned i = 0; i < 64; i++) {
        frames[i] = P2M[alloc_pfn()];
    }
    CHECK_EQ(reserve(XENMEM_decrease_reservation, frames, 64, 0), 64);
    CHECK_EQ(tot_pages(), before - 64);
    /* They are gone: not ours to give a second time, not ours to map. */
    CHECK_EQ(reserve(XENMEM_decrease_reservation, frames, 1, 0), 0);
    void *p = alloc_page();
    u64 own = virt_to_mfn_of(p);
    CHECK(map_mfn(p, frames[0], PG_DATA) < 0);
    xen_pfn_t pfns[64];
    for (unsigned i = 0; i < 64; i++) {
        pfns[i] = frames[i] = start_info->nr_pages + i;
    }
    CHECK_EQ(reserve(XENMEM_populate_physmap, frames, 64, 0), 64);
    CHECK_EQ(tot_pages(), before);
    for (unsigned i = 0; i < 64; i++) {
        CHECK_EQ(((u64 *)MACH2PHYS_VIRT_START)[frames[i]], pfns[i]);
    }
    /* New frames come clean. */
    CHECK_EQ(map_mfn(p, frames[5], PG_DATA), 0);
    for (unsigned i = 0; i < 512; i++) {
        CHECK_EQ(((u64 *)p)[i], 0);
    }
    CHECK_EQ(map_mfn(p, own, PG_DATA), 0);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, frames, 64, 0), 64);
    CHECK_EQ(reserve(XENMEM_increase_reservation, frames, 64, 0), 64);
    CHECK_EQ(tot_pages(), before);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, frames, 64, 0), 64);
}

TEST(orders)
{
    long before = tot_pages();
    frames[0] = start_info->nr_pages;
    CHECK_EQ(reserve(XENMEM_populate_physmap, frames, 1, 4), 1);
    CHECK_EQ(tot_pages(), before + 16);
    CHECK_EQ(frames[0] & 15, 0);
    xen_pfn_t first = frames[0];
    CHECK_EQ(reserve(XENMEM_decrease_reservation, &first, 1, 4), 1);
    CHECK_EQ(tot_pages(), before);
    frames[0] = start_info->nr_pages;
    CHECK(reserve(XENMEM_populate_physmap, frames, 1, 40) <= 0);
    CHECK(reserve(XENMEM_populate_physmap, frames, 1, 64) <= 0);
    CHECK(reserve(XENMEM_populate_physmap, frames, 1, 0x80000000u) <= 0);
    CHECK_EQ(tot_pages(), before);
}

TEST(mapped_page_stays_until_unmapped)
{
    void *p = alloc_page();
    u64 mfn = virt_to_mfn_of(p);
    long before = tot_pages();
    *(u64 *)p = 0x1234;
    CHECK_EQ(reserve(XENMEM_decrease_reservation, (xen_pfn_t[]){ mfn }, 1, 0), 1);
    CHECK_EQ(*(volatile u64 *)p, 0x1234);       /* the mapping holds it */
    CHECK_EQ(HC(update_va_mapping, p, 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    CHECK(map_mfn(p, mfn, PG_DATA) < 0);
    CHECK(tot_pages() < before);
    frames[0] = virt_to_pfn(p);
    CHECK_EQ(reserve(XENMEM_populate_physmap, frames, 1, 0), 1);
    CHECK_EQ(map_mfn(p, frames[0], PG_DATA), 0);
    P2M[virt_to_pfn(p)] = frames[0];
}

TEST(exchange)
{
    xen_pfn_t in[16], out[1] = { start_info->nr_pages + 100 };
    struct xen_memory_exchange x;
    long before = tot_pages();
    for (unsigned i = 0; i < 16; i++) {
        in[i] = P2M[alloc_pfn()];
    }
    memset(&x, 0, sizeof(x));
    x.in.nr_extents = 16;
    x.in.domid = x.out.domid = DOMID_SELF;
    x.out.nr_extents = 1;
    x.out.extent_order = 4;
    x.out.mem_flags = XENMEMF_address_bits(32);
    set_xen_guest_handle(x.in.extent_start, in);
    set_xen_guest_handle(x.out.extent_start, out);
    CHECK_EQ(HC(memory_op, XENMEM_exchange, &x), 0);
    CHECK_EQ(x.nr_exchanged, 16);
    CHECK_EQ(tot_pages(), before);
    CHECK(out[0] < (1UL << 20) && (out[0] & 15) == 0);
    CHECK_EQ(((u64 *)MACH2PHYS_VIRT_START)[out[0] + 15], start_info->nr_pages + 115);
    /* Unequal, twice the same, somebody else's, absurd. */
    x.nr_exchanged = 0;
    x.out.extent_order = 3;
    CHECK_EQ(HC(memory_op, XENMEM_exchange, &x), -EINVAL);
    x.out.extent_order = 4;
    x.in.nr_extents = ~0UL;
    x.out.nr_extents = ~0UL >> 4;
    CHECK(HC(memory_op, XENMEM_exchange, &x) < 0);
    x.in.nr_extents = 16;
    x.out.nr_extents = 1;
    CHECK(HC(memory_op, XENMEM_exchange, &x) < 0);      /* the old frames are not ours */
    CHECK_EQ(tot_pages(), before);
}

TEST(reservation_hostile)
{
    static const u64 bad[] = BAD_ADDRESSES;
    long before = tot_pages();
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned cmd = 0; cmd < 30; cmd++) {
            /* These take no argument. */
            if (cmd != XENMEM_maximum_ram_page && cmd != XENMEM_get_sharing_freed_pages &&
                cmd != XENMEM_get_sharing_shared_pages) {
                CHECK(HC(memory_op, cmd, bad[i]) <= 0);     /* 0: none done */
            }
        }
        CHECK(reserve(XENMEM_decrease_reservation, (void *)bad[i], 4, 0) <= 0);
        CHECK(reserve(XENMEM_populate_physmap, (void *)bad[i], 4, 0) <= 0);
    }
    static const u64 wrong[] = { ~0UL, 1UL << 52, 1UL << 40, 0xfee00, 0, 0xa0 };
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        frames[0] = wrong[i];
        CHECK_EQ(reserve(XENMEM_decrease_reservation, frames, 1, 0), 0);
        frames[0] = wrong[i];
        CHECK_EQ(reserve(XENMEM_decrease_reservation, frames, 1, 4), 0);
    }
    CHECK(reserve(XENMEM_decrease_reservation, frames, ~0UL, 0) <= 0);
    CHECK(reserve(XENMEM_decrease_reservation, frames, ~0UL >> 4, 60) <= 0);
    CHECK(reserve(XENMEM_populate_physmap, frames, ~0UL, 0) <= 0);
    /* A page table in use does not go away under us. */
    frames[0] = virt_to_mfn_of((void *)start_info->pt_base);
    reserve(XENMEM_decrease_reservation, frames, 1, 0);
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
    CHECK(tot_pages() >= before - 1);
}
