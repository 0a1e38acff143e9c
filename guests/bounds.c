/* SPDX-License-Identifier: MIT */
/*
 * The largest of everything that one call may ask for, and the most that can be due at once:
 * here tests/guest/bounded looks for the longest stretch with interrupts off. What the calls
 * do is tested elsewhere; here they only have to succeed.
 */
#define UNRECORDED          /* the largest of everything: not for comparison */
#include "tiny.h"
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sysctl.h>

static struct xen_domctl dc;
static struct xen_sysctl sc;
static xen_pfn_t list[8192];

static struct xen_domctl *domctl_for(unsigned cmd, domid_t dom)
{
    memset(&dc, 0, sizeof(dc));
    dc.cmd = cmd;
    dc.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    dc.domain = dom;
    return &dc;
}

static struct xen_sysctl *sysctl_for(unsigned cmd)
{
    memset(&sc, 0, sizeof(sc));
    sc.cmd = cmd;
    sc.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return &sc;
}

static domid_t create(u32 vcpus, u32 ports, u32 grant_frames, u32 maptrack_frames)
{
    domctl_for(XEN_DOMCTL_createdomain, 0)->u.createdomain = (struct xen_domctl_createdomain){
        .max_vcpus = vcpus, .max_evtchn_port = ports, .max_grant_frames = (int32_t)grant_frames,
        .max_maptrack_frames = (int32_t)maptrack_frames, .grant_opts = XEN_DOMCTL_GRANT_version(2),
    };
    CHECK_EQ(HC(domctl, &dc), 0);
    domid_t id = dc.domain;
    domctl_for(XEN_DOMCTL_max_mem, id)->u.max_mem.max_memkb = 256 << 10;
    CHECK_EQ(HC(domctl, &dc), 0);
    domctl_for(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = vcpus;
    CHECK_EQ(HC(domctl, &dc), 0);
    return id;
}

static void destroy(domid_t id)
{
    CHECK_EQ(HC(domctl, domctl_for(XEN_DOMCTL_destroydomain, id)), 0);
    u64 end = system_time() + 4000000000UL;
    do {
        HC(sched_op, SCHEDOP_yield, 0);
        domctl_for(XEN_DOMCTL_getdomaininfo, id);
    } while (HC(domctl, &dc) == 0 && dc.u.getdomaininfo.domain == id && system_time() < end);
    CHECK(dc.u.getdomaininfo.domain != id);
}

static long reservation(unsigned cmd, domid_t id, u64 nr, unsigned order)
{
    struct xen_memory_reservation r = { .nr_extents = nr, .extent_order = order, .domid = id };
    set_xen_guest_handle(r.extent_start, list);
    return HC(memory_op, cmd, &r);
}

/* Debug keys are pressed on the machine in its worst state, so each test asks for them. */
static void debug_keys(void)
{
    static char keys[] = "hreqgmtTdiA";
    sysctl_for(XEN_SYSCTL_debug_keys)->u.debug_keys.nr_keys = sizeof(keys) - 1 - on_xen();      /* no audit there */
    set_xen_guest_handle(sc.u.debug_keys.keys, keys);
    CHECK_EQ(HC(sysctl, &sc), 0);
}

/* --- memory --- */

/* The domains of these tests live on what the first one gives back. */
TEST(own_memory)
{
    u64 keep = 32768;
    CHECK(start_info->nr_pages > keep);
    for (u64 pfn = start_info->nr_pages; pfn > keep;) {
        u64 n = MIN(pfn - keep, (u64)ARRAY_SIZE(list));
        for (u64 i = 0; i < n; i++)
            list[i] = P2M[--pfn];
        CHECK_EQ(reservation(XENMEM_decrease_reservation, DOMID_SELF, n, 0), (long)n);
    }
}

TEST(large_extents)
{
    domid_t id = create(1, 1023, 4, 4);
    for (unsigned i = 0; i < 8; i++)
        list[i] = i * 512;
    CHECK_EQ(reservation(XENMEM_populate_physmap, id, 8, 9), 8);
    CHECK_EQ(reservation(XENMEM_decrease_reservation, id, 4, 9), 4);    /* machine frames came back */
    CHECK_EQ(reservation(XENMEM_increase_reservation, id, 4, 9), 4);
    destroy(id);
}

TEST(small_extents)
{
    domid_t id = create(1, 1023, 4, 4);
    for (unsigned i = 0; i < 4096; i++)
        list[i] = i;
    CHECK_EQ(reservation(XENMEM_populate_physmap, id, 4096, 0), 4096);
    domctl_for(XEN_DOMCTL_getpageframeinfo3, id)->u.getpageframeinfo3.num = 1024;
    set_xen_guest_handle(dc.u.getpageframeinfo3.array, list);
    CHECK_EQ(HC(domctl, &dc), 0);
    destroy(id);
}

static void exchange(u64 in_nr, unsigned in_order, u64 out_nr, unsigned out_order, xen_pfn_t *in, xen_pfn_t *out)
{
    struct xen_memory_exchange x = {
        .in = { .nr_extents = in_nr, .extent_order = in_order, .domid = DOMID_SELF },
        .out = { .nr_extents = out_nr, .extent_order = out_order, .domid = DOMID_SELF },
    };
    set_xen_guest_handle(x.in.extent_start, in);
    set_xen_guest_handle(x.out.extent_start, out);
    CHECK_EQ(HC(memory_op, XENMEM_exchange, &x), 0);
    CHECK_EQ(x.nr_exchanged, in_nr);
}

TEST(exchanges)
{
    static xen_pfn_t out[1024];
    u64 pfn = alloc_pfn();
    for (unsigned i = 1; i < 1024; i++)
        alloc_pfn();
    for (unsigned i = 0; i < 1024; i++)
        list[i] = P2M[pfn + i];
    for (unsigned i = 0; i < 2; i++)
        out[i] = pfn + i * 512;
    exchange(1024, 0, 2, 9, list, out);
    for (unsigned i = 0; i < 2; i++)
        list[i] = out[i];
    for (unsigned i = 0; i < 1024; i++)
        out[i] = pfn + i;
    exchange(2, 9, 1024, 0, list, out);
    /* As many chunks as frames: what is between them has to be cut. */
    for (unsigned i = 0; i < 1024; i++) {
        list[i] = out[i];
        out[i] = pfn + i;
    }
    exchange(1024, 0, 1024, 0, list, out);
    for (unsigned i = 0; i < 1024; i++) {
        list[i] = out[i];
        out[i] = pfn + i;
    }
    exchange(1024, 0, 128, 3, list, out);
}

/* --- page tables --- */

static void ext(unsigned cmd, u64 mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
}

/* A table full of `flags` entries for the frames of `of`, one after the other. */
static u64 *full_table(u64 **of, unsigned nr_of, u64 flags)
{
    u64 *t = alloc_page();
    for (unsigned i = 0; i < 512; i++)
        t[i] = virt_to_mfn_of(of[i % nr_of]) << PAGE_SHIFT | flags;
    CHECK_EQ(map_mfn(t, virt_to_mfn_of(t), PG_RO), 0);
    return t;
}

TEST(full_tables)
{
    static u64 *page[1], *l1[512], *l2[1], *l3[1];
    page[0] = alloc_page();
    for (unsigned i = 0; i < 64; i++)
        l1[i] = full_table(page, 1, PG_DATA);
    l2[0] = full_table(l1, 64, PG_TABLE);
    l3[0] = full_table(l2, 1, PG_TABLE);
    u64 *l4 = alloc_page();
    for (unsigned i = 0; i < 256; i++)
        l4[i] = virt_to_mfn_of(l3[0]) << PAGE_SHIFT | PG_TABLE;
    CHECK_EQ(map_mfn(l4, virt_to_mfn_of(l4), PG_RO), 0);
    for (unsigned round = 0; round < 2; round++) {
        ext(MMUEXT_PIN_L4_TABLE, virt_to_mfn_of(l4));
        ext(MMUEXT_UNPIN_TABLE, virt_to_mfn_of(l4));
    }
    /* A bad entry at the end of what is good so far. */
    u64 *bad = full_table(page, 1, PG_DATA), *over = alloc_page();
    over[0] = virt_to_mfn_of(l1[0]) << PAGE_SHIFT | PG_TABLE;
    over[511] = virt_to_mfn_of(bad) << PAGE_SHIFT | PG_TABLE;
    CHECK_EQ(map_mfn(bad, virt_to_mfn_of(bad), PG_DATA), 0);
    bad[511] = virt_to_mfn_of(l1[0]) << PAGE_SHIFT | PG_DATA;
    CHECK_EQ(map_mfn(bad, virt_to_mfn_of(bad), PG_RO), 0);
    CHECK_EQ(map_mfn(over, virt_to_mfn_of(over), PG_RO), 0);
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L2_TABLE, .arg1.mfn = virt_to_mfn_of(over) };
    CHECK_EQ(HC(mmuext_op, &pin, 1, 0, DOMID_SELF), -EBUSY);
    /* All of them put and taken by entries. */
    static struct mmu_update u[256];
    for (unsigned round = 0; round < 2; round++) {
        ext(MMUEXT_PIN_L2_TABLE, virt_to_mfn_of(l2[0]));
        for (unsigned i = 0; i < 256; i++)
            u[i] = (struct mmu_update){ .ptr = (virt_to_mfn_of(l2[0]) << PAGE_SHIFT) + i * 8 };
        CHECK_EQ(HC(mmu_update, u, 256, 0, DOMID_SELF), 0);
        ext(MMUEXT_UNPIN_TABLE, virt_to_mfn_of(l2[0]));
    }
    /* Sixteen and more operations that each just fit. */
    static struct mmuext_op op[128];
    for (unsigned i = 0; i < 64; i++) {
        op[i] = (struct mmuext_op){ .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = virt_to_mfn_of(l1[i]) };
        op[64 + i] = (struct mmuext_op){ .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = virt_to_mfn_of(l1[i]) };
    }
    CHECK_EQ(HC(mmuext_op, op, 128, 0, DOMID_SELF), 0);
    for (unsigned i = 0; i < 64; i++)
        op[i] = (struct mmuext_op){ .cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = virt_to_mfn_of(page[0]) };
    CHECK_EQ(HC(mmuext_op, op, 64, 0, DOMID_SELF), 0);
}

/* --- domains --- */

TEST(most_vcpus)
{
    static struct vcpu_guest_context c;
    domid_t id = create(128, 131071, 64, 1024);
    for (unsigned i = 0; i < 16; i++)
        list[i] = i;
    CHECK_EQ(reservation(XENMEM_populate_physmap, id, 16, 0), 16);
    memset(&c, 0, sizeof(c));
    c.flags = VGCF_in_kernel;
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = c.kernel_ss = FLAT_KERNEL_SS;
    c.gdt_ents = 14 * 512;
    for (unsigned i = 0; i < 14; i++)
        c.gdt_frames[i] = list[0];
    for (unsigned i = 0; i < 128; i++) {
        c.ctrlreg[3] = xen_pfn_to_cr3(list[1]);     /* an empty table */
        domctl_for(XEN_DOMCTL_setvcpucontext, id)->u.vcpucontext.vcpu = i;
        set_xen_guest_handle(dc.u.vcpucontext.ctxt, &c);
        CHECK_EQ(HC(domctl, &dc), 0);
    }
    static struct xen_domctl_getdomaininfo info[16];
    sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 16;
    set_xen_guest_handle(sc.u.getdomaininfolist.buffer, info);
    CHECK_EQ(HC(sysctl, &sc), 0);
    debug_keys();
    destroy(id);
}

TEST(many_domains)
{
    static struct xen_domctl_getdomaininfo info[32];
    static domid_t id[24];
    for (unsigned i = 0; i < 24; i++)
        id[i] = create(16, 1023, 4, 4);
    sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 32;
    set_xen_guest_handle(sc.u.getdomaininfolist.buffer, info);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK_EQ(sc.u.getdomaininfolist.num_domains, 25);
    /* Cut by upcalls, here and there, it is the same list; the log's is one, too. */
    static char once[16384], cut[16384];
    long timer = evtchn_bind_virq(VIRQ_TIMER, 0);
    port_unmask((u32)timer);
    events_on();
    for (unsigned i = 0; i < 200; i++) {
        memset(info, 0, sizeof(info));
        sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 32;
        set_xen_guest_handle(sc.u.getdomaininfolist.buffer, info);
        CHECK_EQ(HC(set_timer_op, system_time() + i * 500), 0);
        CHECK_EQ(HC(sysctl, &sc), 0);
        CHECK_EQ(sc.u.getdomaininfolist.num_domains, 25);
        CHECK_EQ(info[0].domain, 0);
        for (unsigned k = 1; k < 25; k++)
            CHECK_EQ(info[k].domain, id[k - 1]);
        sysctl_for(XEN_SYSCTL_readconsole)->u.readconsole.count = sizeof(cut);
        set_xen_guest_handle(sc.u.readconsole.buffer, cut);
        CHECK_EQ(HC(set_timer_op, i ? system_time() + i * 100 : 0), 0);
        CHECK_EQ(HC(sysctl, &sc), 0);
        if (!i)
            memcpy(once, cut, sizeof(once));
        CHECK(memcmp(once, cut, sizeof(once)) == 0);
    }
    events_off();
    CHECK_EQ(HC(set_timer_op, 0), 0);
    struct evtchn_close close = { (u32)timer };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &close), 0);
    debug_keys();
    for (unsigned i = 0; i < 24; i++)
        destroy(id[i]);
}

/* More domains than one piece of the list may hold. */
TEST(long_list)
{
    static struct xen_domctl_getdomaininfo info[320];
    static domid_t id[300];
    for (unsigned i = 0; i < ARRAY_SIZE(id); i++)
        id[i] = create(1, 127, 1, 1);
    sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 320;
    set_xen_guest_handle(sc.u.getdomaininfolist.buffer, info);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK_EQ(sc.u.getdomaininfolist.num_domains, ARRAY_SIZE(id) + 1);
    CHECK_EQ(info[ARRAY_SIZE(id)].domain, id[ARRAY_SIZE(id) - 1]);
    for (unsigned i = 0; i < ARRAY_SIZE(id); i++)
        destroy(id[i]);
}

/* Ids from all over the table, as a machine has that has run for long. */
TEST(many_ids)
{
    static const domid_t ids[] = { 1000, 5000, 9000, 13000, 17000, 21000, 25000, 29000, 32000 };
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        domctl_for(XEN_DOMCTL_createdomain, ids[i])->u.createdomain = (struct xen_domctl_createdomain){
            .max_vcpus = 1, .max_evtchn_port = 127, .max_grant_frames = 1, .max_maptrack_frames = 1,
            .grant_opts = XEN_DOMCTL_GRANT_version(1),
        };
        CHECK_EQ(HC(domctl, &dc), 0);
        domctl_for(XEN_DOMCTL_max_vcpus, ids[i])->u.max_vcpus.max = 1;
        CHECK_EQ(HC(domctl, &dc), 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        destroy(ids[i]);
}

/* --- event channels --- */

TEST(most_ports)
{
    domid_t id = create(1, 131071, 4, 4);
    for (unsigned i = 0; i < 4000; i++) {
        struct evtchn_alloc_unbound a = { .dom = id, .remote_dom = DOMID_SELF };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
        struct evtchn_bind_interdomain b = { .remote_dom = id, .remote_port = a.port };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &b), 0);
    }
    debug_keys();
    struct evtchn_reset r = { .dom = DOMID_SELF };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_reset, &r), 0);
    destroy(id);
}

TEST(fifo)
{
    u64 *page = alloc_page();
    struct evtchn_init_control c = { .control_gfn = virt_to_mfn_of(page) };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &c), 0);
    static u32 port[12000];
    for (unsigned i = 0; i < ARRAY_SIZE(port); i++) {
        struct evtchn_bind_ipi b = { .vcpu = 0 };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
        port[i] = b.port;
        struct evtchn_send s = { b.port };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &s), 0);       /* kept until its word is there */
    }
    for (unsigned i = 0; i < 12; i++) {
        struct evtchn_expand_array e = { .array_gfn = virt_to_mfn_of(alloc_page()) };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_expand_array, &e), 0);
    }
    struct evtchn_reset r = { .dom = DOMID_SELF };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_reset, &r), 0);
}

/* --- grants --- */

TEST(largest_grant_table)
{
    domid_t id = create(1, 1023, 128, 32768);
    struct xen_mem_acquire_resource r = {
        .domid = id, .type = XENMEM_resource_grant_table, .nr_frames = 128,
    };
    set_xen_guest_handle(r.frame_list, list);
    CHECK_EQ(HC(memory_op, XENMEM_acquire_resource, &r), 0);
    debug_keys();
    destroy(id);
}

/* Our own, of the size that we were given. */
TEST(own_grant_table)
{
    struct gnttab_query_size q = { .dom = DOMID_SELF };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_query_size, &q, 1), 0);
    u32 n = MIN(q.max_nr_frames, (u32)ARRAY_SIZE(list));
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = n };
    set_xen_guest_handle(s.frame_list, list);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
    CHECK_EQ(s.status, 0);
    struct grant_entry_v1 *t = alloc_page();
    CHECK_EQ(map_mfn(t, list[0], PG_DATA), 0);
    u64 *from = alloc_page(), *to = alloc_page();
    static struct gnttab_copy copy[256];
    for (unsigned i = 0; i < 256; i++) {
        t[i + 8] = (struct grant_entry_v1){ GTF_permit_access, 0, (u32)virt_to_mfn_of(from) };
        copy[i] = (struct gnttab_copy){
            .source = { .u.ref = i + 8, .domid = DOMID_SELF }, .len = 4096, .flags = GNTCOPY_source_gref,
            .dest = { .u.gmfn = virt_to_mfn_of(to), .domid = DOMID_SELF },
        };
    }
    CHECK_EQ(HC(grant_table_op, GNTTABOP_copy, copy, 256), 0);
    CHECK_EQ(copy[255].status, 0);
    static struct gnttab_map_grant_ref map[256];
    static struct gnttab_unmap_grant_ref unmap[256];
    static u64 *va[256];
    for (unsigned i = 0; i < 256; i++) {
        va[i] = alloc_page();
        map[i] = (struct gnttab_map_grant_ref){ .host_addr = (u64)va[i], .flags = GNTMAP_host_map, .ref = i + 8 };
    }
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, map, 256), 0);
    CHECK_EQ(map[255].status, 0);
    struct gnttab_dump_table dump = { .dom = DOMID_SELF };
    SAYS(HC(grant_table_op, GNTTABOP_dump_table, &dump, 1), 0);
    debug_keys();
    for (unsigned i = 0; i < 256; i++)
        unmap[i] = (struct gnttab_unmap_grant_ref){ .host_addr = (u64)va[i], .handle = map[i].handle };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, unmap, 256), 0);
    CHECK_EQ(unmap[255].status, 0);
    CHECK_EQ(map_mfn(t, virt_to_mfn_of(t), PG_DATA), 0);
    struct gnttab_set_version v = { 2 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_set_version, &v, 1), 0);
    v.version = 1;
    CHECK_EQ(HC(grant_table_op, GNTTABOP_set_version, &v, 1), 0);
}

/* --- console, lists, multicalls --- */

static char text[65536];

TEST(console)
{
    memset(text, '.', sizeof(text));
    for (unsigned i = 63; i < sizeof(text); i += 64)
        text[i] = '\n';
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 8192, text), 0);
    print("\n");                /* the line's end, as lines.py knows it */
    sysctl_for(XEN_SYSCTL_readconsole)->u.readconsole.count = sizeof(text);
    set_xen_guest_handle(sc.u.readconsole.buffer, text);
    CHECK_EQ(HC(sysctl, &sc), 0);
}

TEST(long_multicall)
{
    static struct multicall_entry m[512];
    u64 *page = alloc_page();
    for (unsigned i = 0; i < 512; i++) {
        m[i] = i % 2 ? (struct multicall_entry){ .op = __HYPERVISOR_update_va_mapping,
                    .args = { (u64)page, virt_to_mfn_of(page) << PAGE_SHIFT | PG_DATA, UVMF_TLB_FLUSH | UVMF_ALL } }
                     : (struct multicall_entry){ .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_yield } };
    }
    CHECK_EQ(HC(multicall, m, 512), 0);
    for (unsigned i = 0; i < 512; i++)
        m[i].args[0] = i % 2 ? 1UL << 62 : 999;     /* errors, with lines in the log */
    CHECK_EQ(HC(multicall, m, 512), 0);
}

/* A port instruction that is emulated element by element. */
TEST(string_output)
{
    struct physdev_set_iopl level = { 1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &level), 0);
    const char *from = text;
    u64 n = 4000;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(0x80) : "memory");
    CHECK_EQ(n, 0);
    level.iopl = 0;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &level), 0);
}

/* A line in the log for each. */
TEST(many_complaints)
{
    static struct mmuext_op op[64];
    for (unsigned i = 0; i < 64; i++) {
        op[i] = (struct mmuext_op){ .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = ~0UL };
        CHECK(HC(mmuext_op, &op[i], 1, 0, DOMID_SELF) < 0);
    }
    static struct mmu_update u[128];
    for (unsigned i = 0; i < 128; i++) {
        u[i] = (struct mmu_update){ .ptr = ~7UL };
        CHECK(HC(mmu_update, &u[i], 1, 0, DOMID_SELF) < 0);
    }
}

/* --- timers --- */

/* All vCPUs' periodic timers are due at the same moments. */
TEST(many_timers)
{
    struct vcpu_set_periodic_timer p = { 2000000 };
    unsigned n = 0;
    while (HC(vcpu_op, VCPUOP_is_up, n, 0) >= 0)
        n++;
    CHECK(n >= 1);
    for (unsigned i = 0; i < n; i++)
        HC(vcpu_op, VCPUOP_set_periodic_timer, i, &p);
    u64 end = system_time() + 20000000;
    while (system_time() < end)
        HC(sched_op, SCHEDOP_yield, 0);
    for (unsigned i = 0; i < n; i++)
        HC(vcpu_op, VCPUOP_stop_periodic_timer, i, 0);
}
