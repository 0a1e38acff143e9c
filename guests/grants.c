/* SPDX-License-Identifier: MIT */
/* grant_table_op, with ourselves as the peer: map, unmap, copy, transfer, versions. */
#include "tiny.h"

#define FRAMES 4
static grant_entry_v1_t *table;     /* frame 0 of the table, version 1 */
static u64 frame_mfn[FRAMES];

static long setup(unsigned n, unsigned long *list, int16_t *status)
{
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = n };
    set_xen_guest_handle(s.frame_list, (xen_pfn_t *)list);
    long rc = HC(grant_table_op, GNTTABOP_setup_table, &s, 1);
    *status = s.status;
    return rc;
}

static void grant(u32 ref, const void *page, unsigned flags)
{
    table[ref].domid = 0;
    table[ref].frame = (u32)virt_to_mfn_of(page);
    barrier();
    table[ref].flags = (u16)flags;
}

static struct gnttab_map_grant_ref map_ref(void *va, u32 ref, u32 flags)
{
    struct gnttab_map_grant_ref m = { .host_addr = (u64)va, .flags = flags, .ref = ref, .dom = 0 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
    return m;
}

static int16_t unmap(void *va, u32 handle)
{
    struct gnttab_unmap_grant_ref u = { .host_addr = (u64)va, .handle = handle };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
    return u.status;
}

/* A page of address space with nothing in it, and its frame kept. */
static void *hole(void)
{
    void *va = alloc_page();
    HC(update_va_mapping, va, 0, UVMF_INVLPG | UVMF_LOCAL);
    return va;
}

TEST(set_up)
{
    struct gnttab_query_size q = { .dom = DOMID_SELF };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_query_size, &q, 1), 0);
    CHECK_EQ(q.status, GNTST_okay);
    CHECK(q.max_nr_frames >= FRAMES);
    int16_t status;
    CHECK_EQ(setup(FRAMES, frame_mfn, &status), 0);
    CHECK_EQ(status, GNTST_okay);
    table = alloc_page();
    CHECK_EQ(map_mfn(table, frame_mfn[0], PG_DATA), 0);
    CHECK_EQ(table[100].flags, 0);
    unsigned long list[1];
    setup(1000000, list, &status);
    CHECK(status != GNTST_okay);
    struct gnttab_setup_table bad = { .dom = 99, .nr_frames = 1 };
    set_xen_guest_handle(bad.frame_list, (xen_pfn_t *)list);
    HC(grant_table_op, GNTTABOP_setup_table, &bad, 1);
    CHECK(bad.status != GNTST_okay);
    struct gnttab_get_version v = { .dom = DOMID_SELF };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_get_version, &v, 1), 0);
    CHECK_EQ(v.version, 1);
}

TEST(map_and_unmap)
{
    u64 *page = alloc_page();
    void *va = hole();
    *page = 0xabcd;
    grant(8, page, GTF_permit_access);
    struct gnttab_map_grant_ref m = map_ref(va, 8, GNTMAP_host_map);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(*(volatile u64 *)va, 0xabcd);
    CHECK_EQ(m.dev_bus_addr, virt_to_mfn_of(page) << 12);
    *(volatile u64 *)va = 1;
    CHECK_EQ(*page, 1);
    CHECK(table[8].flags & GTF_reading);
    CHECK(table[8].flags & GTF_writing);
    CHECK_EQ(unmap(va, m.handle), GNTST_okay);
    CHECK(!(table[8].flags & (GTF_reading | GTF_writing)));
    TRAPS("movq (%1), %%rax", "r"(va));
    CHECK_EQ(seen.vector, 14);
    CHECK(unmap(va, m.handle) != GNTST_okay);           /* stale handle */
    table[8].flags = 0;
}

TEST(read_only)
{
    u64 *page = alloc_page();
    void *va = hole();
    grant(9, page, GTF_permit_access | GTF_readonly);
    struct gnttab_map_grant_ref m = map_ref(va, 9, GNTMAP_host_map);
    CHECK_EQ(m.status, GNTST_general_error);
    m = map_ref(va, 9, GNTMAP_host_map | GNTMAP_readonly);
    CHECK_EQ(m.status, GNTST_okay);
    TRAPS("movq $1, (%1)", "r"(va));
    CHECK_EQ(seen.vector, 14);
    CHECK((table[9].flags & (GTF_reading | GTF_writing)) == GTF_reading);
    CHECK_EQ(unmap(va, m.handle), GNTST_okay);
    table[9].flags = 0;
}

TEST(map_by_entry)
{
    u64 *page = alloc_page();
    void *va = hole();
    *page = 0x77;
    grant(10, page, GTF_permit_access);
    struct gnttab_map_grant_ref m = {
        .host_addr = pte_maddr((u64)va, 1), .flags = GNTMAP_host_map | GNTMAP_contains_pte, .ref = 10
    };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(*(volatile u64 *)va, 0x77);
    struct gnttab_unmap_grant_ref u = { .host_addr = m.host_addr, .handle = m.handle };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
    CHECK_EQ(u.status, GNTST_okay);
    CHECK_EQ(*pte_of((u64)va, 1), 0);
    /* An entry that is none. */
    static const u64 bad[] = { 0, 8, 0xfee00000, 1UL << 51, ~7UL, 3 };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        m.host_addr = bad[i];
        CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
        CHECK(m.status < 0);
    }
    table[10].flags = 0;
}

TEST(map_hostile)
{
    void *va = hole(), *page = alloc_page();
    static const u32 refs[] = { 11, 511, 512 * FRAMES, 0x7fffffff, 0xffffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(refs); i++) {
        struct gnttab_map_grant_ref m = map_ref(va, refs[i], GNTMAP_host_map);
        CHECK(m.status < 0);
    }
    grant(12, page, GTF_permit_access);
    struct gnttab_map_grant_ref m = map_ref(va, 12, 0);
    CHECK(m.status < 0);                                /* neither host nor device */
    m.dom = 99;
    m.flags = GNTMAP_host_map;
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
    CHECK_EQ(m.status, GNTST_bad_domain);
    table[12].domid = 5;                                /* granted to another one */
    m = map_ref(va, 12, GNTMAP_host_map);
    CHECK(m.status < 0);
    table[12].domid = 0;
    static const u64 frames[] = { 0xfee00, 0x200, 0x7fffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
        table[12].frame = (u32)frames[i];
        m = map_ref(va, 12, GNTMAP_host_map);
        CHECK(m.status < 0);
    }
    table[12].frame = (u32)virt_to_mfn_of((void *)start_info->pt_base);     /* a page table */
    m = map_ref(va, 12, GNTMAP_host_map);
    CHECK(m.status < 0);
    grant(12, page, GTF_permit_access);
    static const u64 addrs[] = BAD_ADDRESSES;
    for (unsigned i = 1; i < ARRAY_SIZE(addrs); i++) {
        m = map_ref((void *)addrs[i], 12, GNTMAP_host_map);
        CHECK(m.status < 0);
    }
    CHECK_EQ(table[12].flags, GTF_permit_access);
    for (unsigned i = 0; i < 20; i++) {
        CHECK(unmap(va, 0x1000 + i * 1111) < 0);
    }
    CHECK(unmap(va, ~0u) < 0);
    for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++) {
        for (unsigned op = 0; op < 13; op++) {
            CHECK(HC(grant_table_op, op, addrs[i], 1) < 0);
        }
        CHECK(HC(grant_table_op, GNTTABOP_map_grant_ref, addrs[i], ~0u) < 0);
    }
    CHECK(HC(grant_table_op, 99, &m, 1) < 0);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 0), 0);
    table[12].flags = 0;
}

TEST(many_maps_of_one_grant)
{
    u64 *page = alloc_page();
    static void *va[20];
    static u32 handle[20];
    grant(13, page, GTF_permit_access);
    for (unsigned i = 0; i < 20; i++) {
        va[i] = hole();
        struct gnttab_map_grant_ref m = map_ref(va[i], 13, GNTMAP_host_map | (i & 1 ? GNTMAP_readonly : 0));
        CHECK_EQ(m.status, GNTST_okay);
        handle[i] = m.handle;
    }
    for (unsigned i = 0; i < 20; i++) {
        CHECK(table[13].flags & GTF_reading);
        CHECK_EQ(unmap(va[i], handle[i]), GNTST_okay);
    }
    CHECK_EQ(table[13].flags, GTF_permit_access);
    table[13].flags = 0;
}

static int16_t copy(u64 src, u16 src_off, u64 dst, u16 dst_off, u16 len, unsigned flags)
{
    struct gnttab_copy c = { .len = len, .flags = (u16)flags };
    c.source.domid = c.dest.domid = DOMID_SELF;
    c.source.offset = src_off;
    c.dest.offset = dst_off;
    if (flags & GNTCOPY_source_gref) {
        c.source.u.ref = (u32)src;
        c.source.domid = 0;
    } else {
        c.source.u.gmfn = src;
    }
    if (flags & GNTCOPY_dest_gref) {
        c.dest.u.ref = (u32)dst;
        c.dest.domid = 0;
    } else {
        c.dest.u.gmfn = dst;
    }
    CHECK_EQ(HC(grant_table_op, GNTTABOP_copy, &c, 1), 0);
    return c.status;
}

TEST(copies)
{
    u8 *a = alloc_page(), *b = alloc_page();
    u64 ma = virt_to_mfn_of(a), mb = virt_to_mfn_of(b);
    for (unsigned i = 0; i < 4096; i++) {
        a[i] = (u8)(i * 7);
    }
    CHECK_EQ(copy(ma, 0, mb, 0, 4096, 0), GNTST_okay);
    CHECK(memcmp(a, b, 4096) == 0);
    memset(b, 0, 4096);
    grant(14, a, GTF_permit_access | GTF_readonly);
    grant(15, b, GTF_permit_access);
    CHECK_EQ(copy(14, 100, mb, 200, 300, GNTCOPY_source_gref), GNTST_okay);
    CHECK(memcmp(a + 100, b + 200, 300) == 0 && b[199] == 0 && b[500] == 0);
    CHECK_EQ(copy(ma, 1, 15, 3, 5, GNTCOPY_dest_gref), GNTST_okay);
    CHECK(memcmp(a + 1, b + 3, 5) == 0);
    CHECK_EQ(copy(14, 0, 15, 0, 4096, GNTCOPY_source_gref | GNTCOPY_dest_gref), GNTST_okay);
    CHECK_EQ(copy(mb, 0, 14, 0, 16, GNTCOPY_dest_gref), GNTST_general_error);   /* read-only */
    CHECK(copy(ma, 4090, mb, 0, 10, 0) < 0);
    CHECK(copy(ma, 0, mb, 4090, 10, 0) < 0);
    CHECK(copy(ma, 65535, mb, 0, 65535, 0) < 0);
    CHECK(copy(1UL << 40, 0, mb, 0, 10, 0) < 0);
    CHECK(copy(0x200, 0, mb, 0, 10, 0) < 0);
    CHECK(copy(ma, 0, virt_to_mfn_of((void *)start_info->pt_base), 0, 10, 0) < 0);
    CHECK(copy(600, 0, mb, 0, 10, GNTCOPY_source_gref) < 0);
    CHECK(copy(~0u, 0, mb, 0, 10, GNTCOPY_source_gref) < 0);
    CHECK_EQ(table[14].flags & (GTF_reading | GTF_writing), 0);
    CHECK_EQ(table[15].flags & (GTF_reading | GTF_writing), 0);
    table[14].flags = table[15].flags = 0;
}

TEST(device_map)
{
    u64 *page = alloc_page();
    grant(16, page, GTF_permit_access);
    struct gnttab_map_grant_ref m = map_ref(NULL, 16, GNTMAP_device_map);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(m.dev_bus_addr, virt_to_mfn_of(page) << 12);
    struct gnttab_unmap_grant_ref u = { .dev_bus_addr = m.dev_bus_addr, .handle = m.handle };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
    CHECK_EQ(u.status, GNTST_okay);
    table[16].flags = 0;
}

TEST(unmap_and_replace)
{
    u64 *page = alloc_page(), *other = alloc_page();
    void *va = hole();
    *other = 0x5555;
    grant(17, page, GTF_permit_access);
    struct gnttab_map_grant_ref m = map_ref(va, 17, GNTMAP_host_map);
    CHECK_EQ(m.status, GNTST_okay);
    struct gnttab_unmap_and_replace r = { .host_addr = (u64)va, .new_addr = (u64)other, .handle = m.handle };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_unmap_and_replace, &r, 1), 0);
    CHECK_EQ(r.status, GNTST_okay);
    CHECK_EQ(*(volatile u64 *)va, 0x5555);
    CHECK_EQ(*pte_of((u64)other, 1) & PG_P, 0);
    CHECK_EQ(table[17].flags, GTF_permit_access);
    table[17].flags = 0;
}

TEST(end_of_a_mapping_by_other_means)
{
    /* Overwriting the entry: the page stays ours and counted; the handle can still go. */
    u64 *page = alloc_page(), *other = alloc_page();
    void *va = hole();
    grant(18, page, GTF_permit_access);
    struct gnttab_map_grant_ref m = map_ref(va, 18, GNTMAP_host_map);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(map_mfn(va, virt_to_mfn_of(other), PG_DATA), 0);
    CHECK(unmap(va, m.handle) < 0);
    CHECK_EQ(map_mfn(va, virt_to_mfn_of(page), PG_DATA), 0);
    CHECK_EQ(unmap(va, m.handle), GNTST_okay);
    table[18].flags = 0;
}

TEST(version_2)
{
    struct gnttab_set_version v = { .version = 3 };
    CHECK(HC(grant_table_op, GNTTABOP_set_version, &v, 1) < 0);
    v.version = 2;
    if (HC(grant_table_op, GNTTABOP_set_version, &v, 1) != 0) {
        return;                 /* not offered: allowed */
    }
    CHECK_EQ(v.version, 2);
    unsigned long list[FRAMES];
    int16_t status;
    CHECK_EQ(setup(FRAMES, list, &status), 0);
    grant_entry_v2_t *t2 = alloc_page();
    CHECK_EQ(map_mfn(t2, list[0], PG_DATA), 0);
    uint64_t st_frame[1];
    struct gnttab_get_status_frames g = { .nr_frames = 1, .dom = DOMID_SELF };
    set_xen_guest_handle(g.frame_list, st_frame);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_get_status_frames, &g, 1), 0);
    CHECK_EQ(g.status, GNTST_okay);
    grant_status_t *st = alloc_page();
    CHECK_EQ(map_mfn(st, st_frame[0], PG_DATA), 0);
    u8 *page = alloc_page(), *to = alloc_page();
    void *va = hole();
    t2[20].full_page.frame = virt_to_mfn_of(page);
    t2[20].full_page.hdr.domid = 0;
    t2[20].full_page.hdr.flags = GTF_permit_access;
    struct gnttab_map_grant_ref m = map_ref(va, 20, GNTMAP_host_map);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(st[20] & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
    CHECK_EQ(unmap(va, m.handle), GNTST_okay);
    CHECK_EQ(st[20], 0);
    /* A part of a page: copies only, within it. */
    memset(page, 0x66, 4096);
    t2[21].sub_page.frame = virt_to_mfn_of(page);
    t2[21].sub_page.page_off = 100;
    t2[21].sub_page.length = 50;
    t2[21].sub_page.hdr.domid = 0;
    t2[21].sub_page.hdr.flags = GTF_permit_access | GTF_sub_page;
    m = map_ref(va, 21, GNTMAP_host_map);
    CHECK(m.status < 0);
    CHECK_EQ(copy(21, 100, virt_to_mfn_of(to), 0, 50, GNTCOPY_source_gref), GNTST_okay);
    CHECK(to[49] == 0x66 && to[50] == 0);
    CHECK(copy(21, 99, virt_to_mfn_of(to), 0, 10, GNTCOPY_source_gref) < 0);
    CHECK(copy(21, 140, virt_to_mfn_of(to), 0, 20, GNTCOPY_source_gref) < 0);
    t2[20].full_page.hdr.flags = t2[21].full_page.hdr.flags = 0;
    /* Back: not while the status frames are mapped. */
    CHECK_EQ(map_mfn(st, virt_to_mfn_of(st), PG_DATA), 0);
    CHECK_EQ(map_mfn(t2, virt_to_mfn_of(t2), PG_DATA), 0);
    v.version = 1;
    CHECK_EQ(HC(grant_table_op, GNTTABOP_set_version, &v, 1), 0);
}
