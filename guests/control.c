/* SPDX-License-Identifier: MIT */
/* The control plane as dom0 sees it: domctl, sysctl, platform_op, physdev_op, console_io. */
#include "control.h"
#include <xen/hypfs.h>

TEST(versions)
{
    domctl_for(XEN_DOMCTL_getdomaininfo, 0)->interface_version++;
    CHECK_EQ(HC(domctl, &dc), -EACCES);
    sysctl_for(XEN_SYSCTL_physinfo)->interface_version = 0;
    CHECK_EQ(HC(sysctl, &sc), -EACCES);
    struct xen_platform_op p = { .cmd = XENPF_settime64, .interface_version = 1 };
    CHECK_EQ(HC(platform_op, &p), -EACCES);
}

TEST(physinfo)
{
    CHECK_EQ(HC(sysctl, sysctl_for(XEN_SYSCTL_physinfo)), 0);
    struct xen_sysctl_physinfo *p = &sc.u.physinfo;
    CHECK(p->nr_cpus >= 1 && p->nr_cpus <= 64);
    CHECK_EQ(p->nr_nodes, 1);
    CHECK(p->total_pages >= start_info->nr_pages);
    CHECK(p->free_pages < p->total_pages);
    CHECK(p->cpu_khz > 1000);
    CHECK(p->capabilities & XEN_SYSCTL_PHYSCAP_pv);
}

TEST(own_info)
{
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, 0), 0);
    struct xen_domctl_getdomaininfo *i = &dc.u.getdomaininfo;
    CHECK_EQ(i->domain, 0);
    CHECK_EQ(i->tot_pages, start_info->nr_pages);
    CHECK_EQ(i->shared_info_frame, start_info->shared_info >> 12);
    CHECK(i->cpu_time > 0 && i->nr_online_vcpus == 1);
    CHECK(!(i->flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown | XEN_DOMINF_hvm_guest)));
    CHECK_EQ(HC(sysctl, sysctl_for(XEN_SYSCTL_sched_id)), 0);
    static struct xen_domctl_getdomaininfo list[4];
    sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 4;
    set_xen_guest_handle(sc.u.getdomaininfolist.buffer, list);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK_EQ(sc.u.getdomaininfolist.num_domains, 1);
    CHECK_EQ(list[0].domain, 0);
}

TEST(no_such_domain)
{
    static const unsigned cmds[] = {
        XEN_DOMCTL_destroydomain, XEN_DOMCTL_pausedomain, XEN_DOMCTL_unpausedomain,
        XEN_DOMCTL_max_mem, XEN_DOMCTL_setvcpuaffinity, XEN_DOMCTL_getvcpuinfo, XEN_DOMCTL_max_vcpus,
        XEN_DOMCTL_setvcpucontext, XEN_DOMCTL_scheduler_op, XEN_DOMCTL_getpageframeinfo3,
    };
    static const domid_t ids[] = { 1, 4321, DOMID_FIRST_RESERVED - 1, DOMID_INVALID };
    for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(ids); k++) {
            CHECK(domctl(cmds[i], ids[k]) < 0);
        }
    }
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, 1), -ESRCH);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, 0), -EINVAL);       /* not oneself */
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, 0), -EINVAL);
    CHECK(domctl(9999, 0) < 0);
}

static struct xen_domctl_createdomain plain_config(void)
{
    return (struct xen_domctl_createdomain){
        .max_vcpus = 2, .max_evtchn_port = 1023, .max_grant_frames = 4, .max_maptrack_frames = 4,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
    };
}

static long create(domid_t *id, struct xen_domctl_createdomain c)
{
    domctl_for(XEN_DOMCTL_createdomain, *id)->u.createdomain = c;
    long rc = HC(domctl, &dc);
    *id = dc.domain;
    return rc;
}

static u64 free_pages(void)
{
    CHECK_EQ(HC(sysctl, sysctl_for(XEN_SYSCTL_physinfo)), 0);
    return sc.u.physinfo.free_pages;
}

/* The end of a domain takes a moment: its last memory goes in the background. */
static void destroy(domid_t id)
{
    long rc;
    while ((rc = domctl(XEN_DOMCTL_destroydomain, id)) == -ERESTART || rc == -EAGAIN) {
    }
    CHECK_EQ(rc, 0);
    u64 end = system_time() + 2000000000UL;
    while (domctl(XEN_DOMCTL_getdomaininfo, id) == 0 && dc.u.getdomaininfo.domain == id &&
           system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
}

static u64 give_memory(domid_t id, unsigned n)
{
    static xen_pfn_t pfn[64];
    for (unsigned i = 0; i < n; i++) {
        pfn[i] = i;
    }
    struct xen_memory_reservation r = { .nr_extents = n, .domid = id };
    set_xen_guest_handle(r.extent_start, pfn);
    CHECK_EQ(HC(memory_op, XENMEM_populate_physmap, &r), n);
    return pfn[0];
}

TEST(life_of_a_domain)
{
    domid_t id = 0;
    CHECK_EQ(create(&id, plain_config()), 0);
    CHECK(id > 0 && id < DOMID_FIRST_RESERVED);
    domctl_for(XEN_DOMCTL_max_mem, id)->u.max_mem.max_memkb = 1024;
    CHECK_EQ(HC(domctl, &dc), 0);
    domctl_for(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = 2;
    CHECK_EQ(HC(domctl, &dc), 0);
    u64 mfn = give_memory(id, 64);
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, id), 0);
    CHECK_EQ(dc.u.getdomaininfo.tot_pages, 64);
    CHECK(dc.u.getdomaininfo.flags & XEN_DOMINF_paused);
    CHECK_EQ(dc.u.getdomaininfo.max_vcpu_id, 1);
    /* Its frames: by us only when we name it. */
    u64 *va = alloc_page();
    u64 own = virt_to_mfn_of(va);
    CHECK(map_mfn(va, mfn, PG_DATA) < 0 || on_xen());
    struct mmu_update u = { pte_maddr((u64)va, 1), mfn << 12 | PG_DATA };
    CHECK_EQ(HC(mmu_update, &u, 1, 0, id), 0);
    *(volatile u64 *)va = 0x1234;
    CHECK_EQ(map_mfn(va, own, PG_DATA), 0);
    /* Not more than its limit. */
    xen_pfn_t more[300];
    for (unsigned i = 0; i < 300; i++) {
        more[i] = 100 + i;
    }
    struct xen_memory_reservation r = { .nr_extents = 300, .domid = id };
    set_xen_guest_handle(r.extent_start, more);
    long got = HC(memory_op, XENMEM_populate_physmap, &r);
    CHECK(got >= 190 && got <= 192);
    /* Unpaused without a context: nothing runs. */
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, id), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, id), 0);
    destroy(id);
    CHECK(domctl(XEN_DOMCTL_pausedomain, id) < 0);
}

TEST(no_leak)
{
    u64 before = 0;
    for (unsigned round = 0; round < 12; round++) {
        domid_t id = 0;
        CHECK_EQ(create(&id, plain_config()), 0);
        domctl_for(XEN_DOMCTL_max_mem, id)->u.max_mem.max_memkb = 1024;
        CHECK_EQ(HC(domctl, &dc), 0);
        domctl_for(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = 2;
        CHECK_EQ(HC(domctl, &dc), 0);
        give_memory(id, 64);
        destroy(id);
        u64 end = system_time() + 1000000000UL;
        while (round > 1 && free_pages() < before && system_time() < end) {
            HC(sched_op, SCHEDOP_yield, 0);
        }
        if (round > 1) {
            CHECK(free_pages() >= before);
        } else {
            HC(sched_op, SCHEDOP_yield, 0);
            before = free_pages();
        }
    }
}

TEST(foreign_mapping_outlives_its_domain)
{
    domid_t id = 0;
    CHECK_EQ(create(&id, plain_config()), 0);
    domctl_for(XEN_DOMCTL_max_mem, id)->u.max_mem.max_memkb = 1024;
    CHECK_EQ(HC(domctl, &dc), 0);
    domctl_for(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = 2;
    CHECK_EQ(HC(domctl, &dc), 0);
    u64 mfn = give_memory(id, 4);
    u64 *va = alloc_page(), own = virt_to_mfn_of(va);
    struct mmu_update u = { pte_maddr((u64)va, 1), mfn << 12 | PG_DATA };
    CHECK_EQ(HC(mmu_update, &u, 1, 0, id), 0);
    *(volatile u64 *)va = 0xdead;
    long rc;
    while ((rc = domctl(XEN_DOMCTL_destroydomain, id)) == -ERESTART || rc == -EAGAIN) {
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(*(volatile u64 *)va, 0xdead);      /* still there, still ours to see */
    /* The domain may stay until then, as a dying one. */
    if (domctl(XEN_DOMCTL_getdomaininfo, id) == 0 && dc.u.getdomaininfo.domain == id) {
        CHECK(dc.u.getdomaininfo.flags & XEN_DOMINF_dying);
    }
    CHECK_EQ(map_mfn(va, own, PG_DATA), 0);
    u64 end = system_time() + 2000000000UL;
    while (domctl(XEN_DOMCTL_getdomaininfo, id) == 0 && dc.u.getdomaininfo.domain == id &&
           system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    CHECK(domctl(XEN_DOMCTL_getdomaininfo, id) != 0 || dc.u.getdomaininfo.domain != id);
}

TEST(bad_configurations)
{
    struct xen_domctl_createdomain c;
    domid_t id;
#define REFUSED(change) do { c = plain_config(); change; id = 0; CHECK(create(&id, c) < 0); } while (0)
    REFUSED(c.max_vcpus = 0);
    REFUSED(c.max_vcpus = ~0u);
    REFUSED(c.grant_opts = ~0u);
    REFUSED(c.grant_opts = 0);
    REFUSED(c.flags = ~0u);
    REFUSED(c.cpupool_id = 77);
    REFUSED(c.vmtrace_size = 1);
    REFUSED(c.arch.emulation_flags = ~0u);
    REFUSED(c.iommu_opts = ~0u);
    c = plain_config();
    id = 0;
    CHECK_EQ(create(&id, c), 0);
    domid_t same = id;
    CHECK(create(&same, c) < 0);
    /* Contexts that would give a domain more than is its. */
    domctl_for(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = 2;
    CHECK_EQ(HC(domctl, &dc), 0);
    static struct vcpu_guest_context ctx;
    memset(&ctx, 0, sizeof(ctx));
    ctx.flags = VGCF_in_kernel | VGCF_online;
    ctx.user_regs.rflags = 0x3202;
    ctx.ctrlreg[3] = virt_to_mfn_of((void *)start_info->pt_base) << 12;     /* our table, not its */
    domctl_for(XEN_DOMCTL_setvcpucontext, id)->u.vcpucontext.vcpu = 0;
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &ctx);
    CHECK(HC(domctl, &dc) < 0);
    dc.u.vcpucontext.vcpu = 99;
    CHECK(HC(domctl, &dc) < 0);
    domctl_for(XEN_DOMCTL_getvcpucontext, id)->u.vcpucontext.vcpu = 0;
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, (vcpu_guest_context_t *)0x1000);
    CHECK(HC(domctl, &dc) < 0);
    domctl_for(XEN_DOMCTL_scheduler_op, id)->u.scheduler_op.sched_id = 99;
    CHECK(HC(domctl, &dc) < 0);
    destroy(id);
}

TEST(addresses)
{
    static const u64 bad[] = BAD_ADDRESSES;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(HC(domctl, bad[i]), -EFAULT);
        CHECK_EQ(HC(sysctl, bad[i]), -EFAULT);
        CHECK_EQ(HC(platform_op, bad[i]), -EFAULT);
        for (unsigned op = 0; op < 36; op++) {
            if (op != PHYSDEVOP_IRQ_UNMASK_NOTIFY) {
                CHECK(HC(physdev_op, op, bad[i]) < 0);
            }
        }
        CHECK(HC(console_io, CONSOLEIO_write, 10, bad[i]) < 0);
        sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 4;
        sc.u.getdomaininfolist.buffer.p = (void *)bad[i];
        CHECK_EQ(HC(sysctl, &sc), -EFAULT);
        sysctl_for(XEN_SYSCTL_readconsole)->u.readconsole.count = 100;
        sc.u.readconsole.buffer.p = (void *)bad[i];
        CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    }
    /* Every sub-operation with junk in its arguments. */
    for (unsigned cmd = 0; cmd < 90; cmd++) {
        if (cmd == XEN_DOMCTL_createdomain) {
            continue;
        }
        memset(&dc, 0xff, sizeof(dc));
        dc.cmd = cmd;
        dc.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        dc.domain = 999;
        CHECK(HC(domctl, &dc) < 0);
    }
    for (unsigned cmd = 0; cmd < 40; cmd++) {
        if (cmd == XEN_SYSCTL_debug_keys || cmd == XEN_SYSCTL_cpu_hotplug) {
            continue;
        }
        memset(&sc, 0xff, sizeof(sc));
        sc.cmd = cmd;
        sc.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        HC(sysctl, &sc);
    }
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
}

TEST(console)
{
    char buf[64];
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 8, "hello\r\r\n"), 0);
    CHECK_EQ(HC(console_io, CONSOLEIO_read, sizeof(buf), buf), 0);
    CHECK(HC(console_io, 99, 1, buf) < 0);
    sysctl_for(XEN_SYSCTL_readconsole)->u.readconsole.count = sizeof(buf);
    set_xen_guest_handle(sc.u.readconsole.buffer, buf);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK(sc.u.readconsole.count > 0 && sc.u.readconsole.count <= sizeof(buf));
}

static long hypfs(unsigned cmd, const char *path, void *buf, unsigned long n)
{
    return HC(hypfs_op, cmd, path, strlen(path) + 1, buf, n);
}

TEST(hypfs)
{
    struct { struct xen_hypfs_direntry e; char data[2048]; } a;
    struct xen_hypfs_dirlistentry *l = (void *)a.data;
    static char level[] = "info/debug", old[64];
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_get_version, 0, 0, 0, 0), 1);
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_get_version, 1, 0, 0, 0), -EINVAL);
    CHECK(HC(hypfs_op, 99, 0, 0, 0, 0) < 0);
    /* Directories: every entry lies within, the last one says so. */
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/params", &a, sizeof(a)), 0);
    CHECK(a.e.type == XEN_HYPFS_TYPE_DIR && a.e.content_len <= sizeof(a.data));
    bool found = false;
    for (;; l = (void *)((char *)l + l->off_next)) {
        found |= !strcmp(l->name, "loglvl") && l->e.type == XEN_HYPFS_TYPE_STRING && l->e.max_write_len;
        if (!l->off_next || (char *)l + l->off_next >= a.data + a.e.content_len)
            break;
    }
    CHECK(found && !l->off_next);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/", &a, sizeof(a)), 0);
    CHECK_EQ(a.e.type, XEN_HYPFS_TYPE_DIR);
    /* A setting: read, too little room, written, put back. */
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", &a, sizeof(a.e)), -ENOBUFS);
    CHECK(a.e.content_len > 1 && a.e.content_len <= sizeof(old));
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", &a, sizeof(a)), 0);
    strlcpy(old, a.data, sizeof(old));
    CHECK_EQ(strlen(old) + 1, a.e.content_len);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/params/loglvl", level, sizeof(level)), 0);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", &a, sizeof(a)), 0);
    CHECK(strncmp(a.data, level, 4) == 0);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/params/loglvl", old, strlen(old) + 1), 0);
    /* Bad ones. */
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/params/loglvl", "loud", 5), -EINVAL);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/params/loglvl", level, sizeof(level) - 1), -EDOM);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/params/loglvl", level, ~0UL), -ENOSPC);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/params", level, sizeof(level)), -EACCES);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", &a, sizeof(a.e) - 1), -EINVAL);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/nosuch", &a, sizeof(a)), -ENOENT);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", (void *)~0UL, sizeof(a)), -EFAULT);
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_read, "/", 0, &a, sizeof(a)), -EINVAL);
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_read, "/", 1, &a, sizeof(a)), -EINVAL);
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_read, "/", ~0UL, &a, sizeof(a)), -EINVAL);
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_read, ~0UL, 2, &a, sizeof(a)), -EFAULT);
}

TEST(physdev)
{
    struct physdev_get_free_pirq f = { .type = MAP_PIRQ_TYPE_MSI };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_get_free_pirq, &f), 0);
    CHECK(f.pirq > 0);
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), 0);
    CHECK_EQ(m.pirq, 9);
    struct physdev_setup_gsi g = { .gsi = 9, .triggering = 1, .polarity = 0 };
    long rc = HC(physdev_op, PHYSDEVOP_setup_gsi, &g);
    CHECK(rc == 0 || rc == -EEXIST);
    struct evtchn_bind_pirq b = { .pirq = 9 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_pirq, &b), 0);
    struct evtchn_bind_pirq twice = { .pirq = 9 };
    CHECK(HC(event_channel_op, EVTCHNOP_bind_pirq, &twice) < 0);
    struct physdev_irq_status_query q = { .irq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_irq_status_query, &q), 0);
    struct evtchn_close c = { b.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &c), 0);
    static const int bad[] = { -5, 24 + 4000, 0x7fffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        m = (struct physdev_map_pirq){ .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = bad[i],
                                       .pirq = bad[i] };
        CHECK(HC(physdev_op, PHYSDEVOP_map_pirq, &m) < 0);
        struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = bad[i] };
        CHECK(HC(physdev_op, PHYSDEVOP_unmap_pirq, &u) < 0);
        b.pirq = (u32)bad[i];
        CHECK(HC(event_channel_op, EVTCHNOP_bind_pirq, &b) < 0);
        g.gsi = bad[i];
        CHECK(HC(physdev_op, PHYSDEVOP_setup_gsi, &g) < 0);
    }
    m = (struct physdev_map_pirq){ .domid = 77, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
    CHECK(HC(physdev_op, PHYSDEVOP_map_pirq, &m) < 0);
    CHECK(HC(physdev_op, 99, &m) < 0);
}

TEST(platform)
{
    struct xen_platform_op p = { .cmd = XENPF_settime64, .interface_version = XENPF_INTERFACE_VERSION };
    u32 before = shared->wc_version;
    p.u.settime64.secs = 2000000000;
    p.u.settime64.system_time = system_time();
    CHECK_EQ(HC(platform_op, &p), 0);
    CHECK(shared->wc_version != before && !(shared->wc_version & 1));
    u64 wall = shared->wc_sec + (p.u.settime64.system_time / 1000000000UL);
    CHECK(wall >= 1999999998 && wall <= 2000000002);
    p.u.settime64.mbz = 1;
    CHECK_EQ(HC(platform_op, &p), -EINVAL);
    memset(&p, 0, sizeof(p));
    p.interface_version = XENPF_INTERFACE_VERSION;
    p.cmd = XENPF_get_cpuinfo;
    CHECK_EQ(HC(platform_op, &p), 0);
    CHECK(p.u.pcpu_info.flags & XEN_PCPU_FLAGS_ONLINE);
    p.cmd = 9999;
    CHECK_EQ(HC(platform_op, &p), -ENOSYS);
}
