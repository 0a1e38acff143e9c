/* SPDX-License-Identifier: MIT */
/* Grants and event channels between two domains: each sub-call's success and its errors. The
 * other domain is paused: its grant table and its ports are filled in from here. */
#include "control.h"

#define NOWHERE ((void *)0x1000)
#define GRANTED 8       /* references in the other domain's table */
#define READ_ONLY 9
#define BAD_FRAME 10
#define TO_OTHERS 11

static struct domu d;
static grant_entry_v1_t *its_table, *table;
static char *its_page_here, *page;
static void *hole;

static long gnt(unsigned op, void *arg) { return HC(grant_table_op, op, arg, 1); }

static void side(UNUSED void *p) {}

static grant_entry_v1_t *map_table(domid_t dom)
{
    static xen_pfn_t frame;
    struct gnttab_setup_table s = { .dom = dom, .nr_frames = 1 };
    set_xen_guest_handle(s.frame_list, &frame);
    CHECK_EQ(gnt(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_okay);
    void *va = alloc_page();
    CHECK_EQ(HC(update_va_mapping_otherdomain, va, frame << PAGE_SHIFT | PG_DATA, UVMF_INVLPG | UVMF_LOCAL, dom), 0);
    return va;
}

static void grant(grant_entry_v1_t *t, u32 ref, domid_t to, u64 frame, u16 flags)
{
    t[ref].domid = to;
    t[ref].frame = (u32)frame;
    barrier();
    t[ref].flags = flags;
}

TEST(set_up)
{
    CHECK_EQ(domu_create(&d, side), 0);
    page = alloc_page();
    hole = alloc_page();
    CHECK_EQ(HC(update_va_mapping, hole, 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    its_table = map_table(d.id);
    table = map_table(DOMID_SELF);
    its_page_here = d.page;
    grant(its_table, GRANTED, 0, d.mfn[d.nr_pages - 1], GTF_permit_access);
    grant(its_table, READ_ONLY, 0, d.mfn[d.nr_pages - 1], GTF_permit_access | GTF_readonly);
    grant(its_table, BAD_FRAME, 0, 0xfffffff0, GTF_permit_access);
    grant(its_table, TO_OTHERS, 77, d.mfn[d.nr_pages - 1], GTF_permit_access);
    /* About a table: who, how many, where to. */
    static xen_pfn_t list[64];
    struct gnttab_setup_table s = { .dom = 4321, .nr_frames = 1 };
    set_xen_guest_handle(s.frame_list, list);
    CHECK_EQ(gnt(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_bad_domain);
    s.dom = DOMID_SELF;
    s.nr_frames = 100000;
    CHECK_EQ(gnt(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_general_error);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_setup_table, &s, 2), -EINVAL);
    s.nr_frames = 1;
    set_xen_guest_handle_raw(s.frame_list, NOWHERE);
    CHECK_EQ(gnt(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_bad_virt_addr);
    struct gnttab_query_size q = { .dom = d.id };
    CHECK_EQ(gnt(GNTTABOP_query_size, &q), 0);
    CHECK_EQ(q.status, GNTST_okay);
    q.dom = 4321;
    CHECK_EQ(gnt(GNTTABOP_query_size, &q), 0);
    CHECK_EQ(q.status, GNTST_bad_domain);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_query_size, &q, 2), -EINVAL);
    struct gnttab_get_version v = { .dom = d.id };
    CHECK_EQ(gnt(GNTTABOP_get_version, &v), 0);
    CHECK_EQ(v.version, 1);
    SAYS(HC(grant_table_op, GNTTABOP_get_version, &v, 2), -EINVAL);
    struct gnttab_dump_table dump = { .dom = DOMID_SELF };
    SAYS(gnt(GNTTABOP_dump_table, &dump), 0);
    dump.dom = 4321;
    SAYS(gnt(GNTTABOP_dump_table, &dump), 0);
    SAYS(HC(grant_table_op, GNTTABOP_dump_table, &dump, 2), -EINVAL);
}

static struct gnttab_map_grant_ref map(domid_t dom, u32 ref, u32 flags, void *va)
{
    struct gnttab_map_grant_ref m = { .host_addr = (u64)va, .flags = flags, .ref = ref, .dom = dom };
    CHECK_EQ(gnt(GNTTABOP_map_grant_ref, &m), 0);
    return m;
}

static int16_t unmap(void *va, u32 handle, u64 dev)
{
    struct gnttab_unmap_grant_ref u = { .host_addr = (u64)va, .handle = handle, .dev_bus_addr = dev };
    CHECK_EQ(gnt(GNTTABOP_unmap_grant_ref, &u), 0);
    return u.status;
}

TEST(map_and_unmap)
{
    struct gnttab_map_grant_ref m = map(d.id, GRANTED, GNTMAP_host_map, hole);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(unmap((char *)hole + PAGE_SIZE, m.handle, 0), GNTST_general_error);     /* not there */
    CHECK_EQ(unmap(hole, m.handle, 0), GNTST_okay);
    m = map(d.id, GRANTED, GNTMAP_device_map, NULL);
    CHECK_EQ(unmap(NULL, m.handle, 0x1234000), GNTST_bad_dev_addr);
    CHECK_EQ(unmap(NULL, m.handle, m.dev_bus_addr), GNTST_okay);
    CHECK_EQ(unmap(hole, m.handle, 0), GNTST_bad_handle);
    CHECK_EQ(unmap(hole, ~0u, 0), GNTST_bad_handle);
    CHECK_EQ(map(d.id, READ_ONLY, GNTMAP_host_map, hole).status, GNTST_general_error);
    m = map(d.id, READ_ONLY, GNTMAP_host_map | GNTMAP_readonly, hole);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(unmap(hole, m.handle, 0), GNTST_okay);
    CHECK_EQ(map(4321, GRANTED, GNTMAP_host_map, hole).status, GNTST_bad_domain);
    CHECK_EQ(map(d.id, 100000, GNTMAP_host_map, hole).status, GNTST_bad_gntref);
    CHECK_EQ(map(d.id, GRANTED, 0, hole).status, GNTST_bad_gntref);      /* neither host nor device */
    CHECK_EQ(map(d.id, TO_OTHERS, GNTMAP_host_map, hole).status, GNTST_general_error);
    CHECK_EQ(map(d.id, TO_OTHERS + 1, GNTMAP_host_map, hole).status, GNTST_general_error);
    SAYS(map(d.id, BAD_FRAME, GNTMAP_host_map, hole).status, GNTST_bad_page);
    CHECK_EQ(map(d.id, GRANTED, GNTMAP_host_map, (void *)(1UL << 63)).status, GNTST_general_error);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 0x80000000UL), -EINVAL);
    /* In place of another mapping. */
    struct gnttab_map_grant_ref a = map(d.id, GRANTED, GNTMAP_host_map, hole);
    struct gnttab_unmap_and_replace r = { .host_addr = (u64)hole, .new_addr = 0, .handle = a.handle };
    r.handle = ~0u;
    CHECK_EQ(gnt(GNTTABOP_unmap_and_replace, &r), 0);
    CHECK_EQ(r.status, GNTST_bad_handle);
    r.handle = a.handle;
    r.host_addr += PAGE_SIZE;
    CHECK_EQ(gnt(GNTTABOP_unmap_and_replace, &r), 0);
    CHECK_EQ(r.status, GNTST_general_error);
    r.host_addr -= PAGE_SIZE;
    r.new_addr = (u64)page;
    CHECK_EQ(gnt(GNTTABOP_unmap_and_replace, &r), 0);
    CHECK_EQ(r.status, GNTST_okay);
    page = hole;
    hole = (void *)r.new_addr;
}

/* Each mapping has a record; a domU has only so many. Of one grant there are fewer than 200 on Xen. */
static void map_all(void *p)
{
    static u32 handle[16384];
    unsigned n = 0;
    int16_t status = GNTST_okay;
    table = map_table(DOMID_SELF);
    for (u32 ref = 8; ref < 8 + ARRAY_SIZE(handle) / 100; ref++) {
        grant(table, ref, *(volatile u16 *)p, virt_to_mfn_of(p), GTF_permit_access);
    }
    struct gnttab_map_grant_ref m;
    while (n < ARRAY_SIZE(handle) && status == GNTST_okay) {
        m = map(*(volatile u16 *)p, 8 + n / 100, GNTMAP_device_map, NULL);
        status = m.status;
        handle[n++] = m.handle;
    }
    CHECK_EQ(status, GNTST_no_space);
    while (--n) {
        CHECK_EQ(unmap(NULL, handle[n - 1], virt_to_mfn_of(p) << PAGE_SHIFT), GNTST_okay);
    }
}

TEST(no_room_for_mappings)
{
    static struct domu poor;
    CHECK_EQ(domu_create(&poor, map_all), 0);
    *(volatile u32 *)poor.page = poor.id;
    domu_start(&poor);
    CHECK_EQ(domu_wait(&poor), SHUTDOWN_poweroff);
    domu_destroy(&poor);
}

static int16_t copy(struct gnttab_copy c)
{
    CHECK_EQ(gnt(GNTTABOP_copy, &c), 0);
    return c.status;
}

TEST(copies)
{
    struct gnttab_copy c = { .source = { .u.ref = GRANTED, .domid = d.id }, .len = 64, .flags = GNTCOPY_source_gref,
                             .dest = { .u.gmfn = virt_to_mfn_of(page), .domid = DOMID_SELF } }, x;
    CHECK_EQ(copy(c), GNTST_okay);
    x = c, x.source.offset = 4000, x.len = 200;
    CHECK_EQ(copy(x), GNTST_bad_copy_arg);
    x = c, x.source.domid = 4321;
    CHECK_EQ(copy(x), GNTST_bad_domain);
    x = c, x.source.u.ref = 100000;
    CHECK_EQ(copy(x), GNTST_bad_gntref);
    x = c, x.source.u.ref = TO_OTHERS;
    CHECK_EQ(copy(x), GNTST_general_error);
    x = c, x.dest.u.gmfn = 1UL << 40;
    CHECK_EQ(copy(x), GNTST_bad_page);
    x = c, x.dest.domid = d.id;         /* by number, of another */
    CHECK_EQ(copy(x), GNTST_permission_denied);
    x = c, x.source.u.ref = BAD_FRAME;
    SAYS(copy(x), GNTST_bad_page);
    struct gnttab_copy w = { .dest = { .u.ref = READ_ONLY, .domid = d.id }, .len = 64, .flags = GNTCOPY_dest_gref,
                             .source = { .u.gmfn = virt_to_mfn_of(page), .domid = DOMID_SELF } };
    CHECK_EQ(copy(w), GNTST_general_error);
    w.dest.u.ref = GRANTED;
    CHECK_EQ(copy(w), GNTST_okay);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_copy, &w, 0x80000000UL), -EINVAL);
}

static int16_t transfer(u64 mfn, domid_t to, u32 ref)
{
    struct gnttab_transfer t = { .mfn = mfn, .domid = to, .ref = ref };
    CHECK_EQ(gnt(GNTTABOP_transfer, &t), 0);
    return t.status;
}

TEST(transfers)
{
    u64 pfn = alloc_pfn();
    CHECK_EQ(transfer(1UL << 40, d.id, 20), GNTST_bad_page);
    CHECK_EQ(transfer(virt_to_mfn_of((void *)start_info->pt_base), d.id, 20), GNTST_bad_page);
    grant(its_table, 20, 0, 0, GTF_accept_transfer);
    CHECK_EQ(transfer(P2M[pfn], d.id, 20), GNTST_okay);
    CHECK(its_table[20].flags & GTF_transfer_completed);
    /* In these the frame is lost, as the ABI has it. */
    CHECK_EQ(transfer(P2M[alloc_pfn()], 4321, 20), GNTST_bad_domain);
    CHECK_EQ(transfer(P2M[alloc_pfn()], d.id, 21), GNTST_general_error);
    CHECK_EQ(transfer(P2M[alloc_pfn()], d.id, 1000000), GNTST_general_error);
    CHECK_EQ(DOMCTL(d.id, max_mem, u.max_mem.max_memkb = 4), 0);        /* full */
    grant(its_table, 22, 0, 0, GTF_accept_transfer);
    CHECK_EQ(transfer(P2M[alloc_pfn()], d.id, 22), GNTST_general_error);
    CHECK_EQ(DOMCTL(d.id, max_mem, u.max_mem.max_memkb = 4096), 0);
}

TEST(swaps)
{
    struct gnttab_swap_grant_ref s = { .ref_a = 30, .ref_b = 31 };
    grant(table, 30, 5, 0x55, GTF_permit_access);
    CHECK_EQ(gnt(GNTTABOP_swap_grant_ref, &s), 0);
    CHECK_EQ(s.status, GNTST_okay);
    CHECK_EQ(table[31].frame, 0x55);
    s.ref_a = 1000000;
    CHECK_EQ(gnt(GNTTABOP_swap_grant_ref, &s), 0);
    CHECK_EQ(s.status, GNTST_bad_gntref);
    grant(table, 30, 0, virt_to_mfn_of(page), GTF_permit_access);
    struct gnttab_map_grant_ref m = map(0, 30, GNTMAP_device_map, NULL);
    CHECK_EQ(m.status, GNTST_okay);
    s.ref_a = 30;
    CHECK_EQ(gnt(GNTTABOP_swap_grant_ref, &s), 0);
    CHECK_EQ(s.status, GNTST_eagain);
    struct gnttab_set_version v = { 2 };
    CHECK_EQ(gnt(GNTTABOP_set_version, &v), -EBUSY);
    CHECK_EQ(unmap(NULL, m.handle, m.dev_bus_addr), GNTST_okay);
}

TEST(versions)
{
    static xen_pfn_t list[64];
    struct gnttab_get_status_frames f = { .dom = DOMID_SELF, .nr_frames = 1 };
    set_xen_guest_handle(f.frame_list, (uint64_t *)list);
    CHECK_EQ(gnt(GNTTABOP_get_status_frames, &f), 0);
    CHECK_EQ(f.status, GNTST_general_error);            /* version 1 has none */
    struct gnttab_set_version v = { 3 };
    CHECK_EQ(gnt(GNTTABOP_set_version, &v), -EINVAL);
    v.version = 2;
    CHECK_EQ(gnt(GNTTABOP_set_version, &v), 0);
    CHECK_EQ(gnt(GNTTABOP_get_status_frames, &f), 0);
    CHECK_EQ(f.status, GNTST_okay);
    f.nr_frames = 10000;
    CHECK_EQ(gnt(GNTTABOP_get_status_frames, &f), 0);
    CHECK_EQ(f.status, GNTST_general_error);
    f.nr_frames = 1;
    f.dom = 4321;
    CHECK_EQ(gnt(GNTTABOP_get_status_frames, &f), 0);
    CHECK_EQ(f.status, GNTST_bad_domain);
    f.dom = DOMID_SELF;
    set_xen_guest_handle_raw(f.frame_list, NOWHERE);
    CHECK_EQ(gnt(GNTTABOP_get_status_frames, &f), 0);
    CHECK_EQ(f.status, GNTST_bad_virt_addr);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_get_status_frames, &f, 2), -EINVAL);
    v.version = 1;
    CHECK_EQ(gnt(GNTTABOP_set_version, &v), 0);
}

/* The other one has version 1 alone. */
static void only_version_1(UNUSED void *p)
{
    struct gnttab_set_version v = { 2 };
    CHECK_EQ(gnt(GNTTABOP_set_version, &v), -ENOSYS);
}

TEST(version_limit)
{
    static struct domu old;
    domu_grant_version = 1;
    CHECK_EQ(domu_create(&old, only_version_1), 0);
    domu_grant_version = 2;
    domu_start(&old);
    CHECK_EQ(domu_wait(&old), SHUTDOWN_poweroff);
    domu_destroy(&old);
}

/* --- event channels --- */

#define EVTCHN(op, ...) ({ struct evtchn_##op arg = { __VA_ARGS__ }; long rc = HC(event_channel_op, EVTCHNOP_##op, &arg); \
                           last.op = arg; rc; })
static union {
    struct evtchn_alloc_unbound alloc_unbound; struct evtchn_bind_interdomain bind_interdomain;
    struct evtchn_status status; struct evtchn_close close; struct evtchn_send send; struct evtchn_reset reset;
    struct evtchn_bind_virq bind_virq; struct evtchn_unmask unmask; struct evtchn_bind_vcpu bind_vcpu;
    struct evtchn_bind_ipi bind_ipi; struct evtchn_set_priority set_priority; struct evtchn_bind_pirq bind_pirq;
} last;

TEST(ports_between_domains)
{
    CHECK_EQ(EVTCHN(alloc_unbound, .dom = d.id, .remote_dom = DOMID_SELF), 0);
    u32 theirs = last.alloc_unbound.port;
    CHECK_EQ(EVTCHN(status, .dom = d.id, .port = theirs), 0);
    CHECK_EQ(last.status.status, EVTCHNSTAT_unbound);
    CHECK_EQ(EVTCHN(bind_interdomain, .remote_dom = d.id, .remote_port = theirs), 0);
    u32 ours = last.bind_interdomain.local_port;
    CHECK_EQ(EVTCHN(send, .port = ours), 0);
    CHECK_EQ(EVTCHN(bind_interdomain, .remote_dom = d.id, .remote_port = theirs), -EINVAL);
    CHECK_EQ(EVTCHN(bind_interdomain, .remote_dom = d.id, .remote_port = 100000), -EINVAL);
    CHECK_EQ(EVTCHN(status, .dom = d.id, .port = 100000), -EINVAL);
    CHECK_EQ(EVTCHN(close, .port = ours), 0);
    CHECK_EQ(EVTCHN(close, .port = ours), -EINVAL);
    CHECK_EQ(EVTCHN(send, .port = ours), -EINVAL);
    CHECK_EQ(EVTCHN(reset, .dom = d.id), 0);
    CHECK_EQ(EVTCHN(alloc_unbound, .dom = DOMID_SELF, .remote_dom = d.id), 0);
    ours = last.alloc_unbound.port;
    CHECK_EQ(EVTCHN(set_priority, .port = ours, .priority = 1), -ENOSYS);       /* with two levels */
    CHECK_EQ(EVTCHN(bind_vcpu, .port = ours, .vcpu = 99), -ENOENT);
    CHECK_EQ(EVTCHN(bind_vcpu, .port = ours, .vcpu = 0), 0);
    CHECK_EQ(EVTCHN(unmask, .port = ours), 0);
    CHECK_EQ(EVTCHN(close, .port = ours), 0);
    CHECK_EQ(EVTCHN(bind_virq, .virq = VIRQ_DOM_EXC), 0);
    ours = last.bind_virq.port;
    CHECK_EQ(EVTCHN(bind_virq, .virq = VIRQ_DOM_EXC), -EEXIST);
    CHECK_EQ(EVTCHN(send, .port = ours), -EINVAL);
    CHECK_EQ(EVTCHN(close, .port = ours), 0);
}

/* A domain has as many ports as it was given: here 1023. Those that say so here are
 * bound after them. */
static void use_all_ports(UNUSED void *p)
{
    long rc;
    while ((rc = EVTCHN(alloc_unbound, .dom = DOMID_SELF, .remote_dom = DOMID_SELF)) == 0) {
    }
    CHECK_EQ(rc, -ENOSPC);
    CHECK_EQ(EVTCHN(bind_ipi, .vcpu = 0), -ENOSPC);
    CHECK_EQ(EVTCHN(bind_virq, .virq = VIRQ_TIMER), -ENOSPC);
    CHECK_EQ(EVTCHN(bind_interdomain, .remote_dom = DOMID_SELF, .remote_port = 1), -ENOSPC);
    CHECK_EQ(EVTCHN(reset, .dom = DOMID_SELF), 0);
    CHECK_EQ(EVTCHN(bind_virq, .virq = VIRQ_TIMER), 0);
}

TEST(no_more_ports) { domu_run(use_all_ports); }

TEST(event_words)
{
    static u8 words[PAGE_SIZE] ALIGNED(4096);
    struct evtchn_init_control c = { .control_gfn = virt_to_mfn_of(alloc_page()), .vcpu = 0 };
    struct evtchn_expand_array e = { virt_to_mfn_of(words) };
    SAYS(HC(event_channel_op, EVTCHNOP_expand_array, &e), -EOPNOTSUPP);
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &c), 0);
    c.vcpu = 777;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &c), -ENOENT);
    for (unsigned i = 0; i < (1u << EVTCHN_FIFO_LINK_BITS) * 4 / PAGE_SIZE; i++) {
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_expand_array, &e), 0);
    }
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_expand_array, &e), -ENOSPC);
    CHECK_EQ(EVTCHN(reset, .dom = DOMID_SELF), 0);
}

TEST(end)
{
    map_mfn(its_table, virt_to_mfn_of(its_table), PG_DATA);
    domu_destroy(&d);
}
