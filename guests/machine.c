/* SPDX-License-Identifier: MIT */
/* sysctl, platform_op, hypfs_op and physdev_op: each sub-call's success and its errors. */
#include "control.h"

#define NOWHERE ((void *)0x1000)

static u8 buffer[PAGE_SIZE] ALIGNED(4096);

/* --- sysctl --- */

TEST(lists)
{
    static struct xen_domctl_getdomaininfo info[4];
    CHECK_EQ(sysctl(XEN_SYSCTL_physinfo), 0);
    CHECK_EQ(sysctl(XEN_SYSCTL_sched_id), 0);
    CHECK_EQ(sc.u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2);
    sysctl_for(XEN_SYSCTL_getdomaininfolist)->u.getdomaininfolist.max_domains = 4;
    set_xen_guest_handle(sc.u.getdomaininfolist.buffer, info);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK_EQ(sc.u.getdomaininfolist.num_domains, 1);
    sc.u.getdomaininfolist.max_domains = 4;
    set_xen_guest_handle_raw(sc.u.getdomaininfolist.buffer, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    static char text[64];
    sysctl_for(XEN_SYSCTL_readconsole)->u.readconsole.count = sizeof(text);
    set_xen_guest_handle(sc.u.readconsole.buffer, text);
    CHECK_EQ(HC(sysctl, &sc), 0);
    sc.u.readconsole.count = sizeof(text);
    set_xen_guest_handle_raw(sc.u.readconsole.buffer, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    static char keys[] = "t";
    sysctl_for(XEN_SYSCTL_debug_keys)->u.debug_keys.nr_keys = 1;
    set_xen_guest_handle(sc.u.debug_keys.keys, keys);
    CHECK_EQ(HC(sysctl, &sc), 0);
    set_xen_guest_handle_raw(sc.u.debug_keys.keys, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    set_xen_guest_handle_raw(sc.u.debug_keys.keys, (char *)buffer);
    sc.u.debug_keys.nr_keys = 33;
    SAYS(HC(sysctl, &sc), -E2BIG);
}

TEST(cpus)
{
    static xen_sysctl_cpuinfo_t info[4];
    static xen_sysctl_cputopo_t topo[4];
    sysctl_for(XEN_SYSCTL_getcpuinfo)->u.getcpuinfo.max_cpus = 4;
    set_xen_guest_handle(sc.u.getcpuinfo.info, info);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK(sc.u.getcpuinfo.nr_cpus >= 1);
    sc.u.getcpuinfo.max_cpus = 4;
    set_xen_guest_handle_raw(sc.u.getcpuinfo.info, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    sysctl_for(XEN_SYSCTL_cputopoinfo)->u.cputopoinfo.num_cpus = 4;
    set_xen_guest_handle(sc.u.cputopoinfo.cputopo, topo);
    CHECK_EQ(HC(sysctl, &sc), 0);
    sc.u.cputopoinfo.num_cpus = 4;
    set_xen_guest_handle_raw(sc.u.cputopoinfo.cputopo, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    CHECK_EQ(sysctl(XEN_SYSCTL_get_cpu_levelling_caps), 0);
}

TEST(memory_and_nodes)
{
    static xen_sysctl_meminfo_t mem[2];
    static uint32_t distance[4], node;
    CHECK_EQ(SYSCTL(availheap, u.availheap.node = -1), 0);
    CHECK(sc.u.availheap.avail_bytes > 0);
    CHECK_EQ(SYSCTL(availheap, u.availheap.node = 99), 0);
    CHECK_EQ(sc.u.availheap.avail_bytes, 0);
    sysctl_for(XEN_SYSCTL_numainfo)->u.numainfo.num_nodes = 2;
    set_xen_guest_handle(sc.u.numainfo.meminfo, mem);
    set_xen_guest_handle(sc.u.numainfo.distance, distance);
    CHECK_EQ(HC(sysctl, &sc), 0);
    CHECK_EQ(sc.u.numainfo.num_nodes, 1);
    set_xen_guest_handle_raw(sc.u.numainfo.meminfo, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    static struct physdev_pci_device dev;
    CHECK_EQ(sysctl(XEN_SYSCTL_pcitopoinfo), -EINVAL);          /* no lists */
    sysctl_for(XEN_SYSCTL_pcitopoinfo)->u.pcitopoinfo.num_devs = 1;
    set_xen_guest_handle(sc.u.pcitopoinfo.devs, &dev);
    set_xen_guest_handle(sc.u.pcitopoinfo.nodes, &node);
    CHECK_EQ(HC(sysctl, &sc), 0);
    sc.u.pcitopoinfo.num_devs = 1;
    set_xen_guest_handle_raw(sc.u.pcitopoinfo.devs, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
}

static struct xenctl_bitmap map_of(void *bits, u32 n)
{
    struct xenctl_bitmap m = { .nr_bits = n };
    set_xen_guest_handle_raw(m.bitmap, bits);
    return m;
}

TEST(pools_and_scheduler)
{
    struct xen_sysctl_cpupool_op c = { .op = XEN_SYSCTL_CPUPOOL_OP_INFO, .cpumap = map_of(buffer, 64) };
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), 0);
    CHECK(buffer[0] & 1);
    CHECK_EQ(sc.u.cpupool_op.n_dom, 1);
    c.cpupool_id = 77;
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), -ENOENT);
    c.cpupool_id = 0;
    c.cpumap = map_of(NOWHERE, 64);
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), -EFAULT);
    c.op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), -EFAULT);
    c.cpumap = map_of(buffer, 64);
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), 0);
    c.op = 99;
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), -ENOSYS);
    c.op = XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN;    /* nobody to where everybody is */
    c.domid = 77;
    CHECK_EQ(SYSCTL(cpupool_op, u.cpupool_op = c), -ESRCH);
    c.op = XEN_SYSCTL_CPUPOOL_OP_CREATE;        /* with a scheduler that is none */
    c.sched_id = 1234;
    CHECK(SYSCTL(cpupool_op, u.cpupool_op = c) < 0);

    struct xen_sysctl_scheduler_op s = { .sched_id = XEN_SCHEDULER_CREDIT2, .cmd = XEN_SYSCTL_SCHEDOP_getinfo };
    CHECK_EQ(SYSCTL(scheduler_op, u.scheduler_op = s), 0);
    s = sc.u.scheduler_op;
    s.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    CHECK_EQ(SYSCTL(scheduler_op, u.scheduler_op = s), 0);
    s.cmd = 77;
    CHECK_EQ(SYSCTL(scheduler_op, u.scheduler_op = s), -EINVAL);
    s.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    s.sched_id = 99;
    CHECK_EQ(SYSCTL(scheduler_op, u.scheduler_op = s), -EINVAL);
    s.sched_id = XEN_SCHEDULER_CREDIT2;
    s.cpupool_id = 77;
    CHECK_EQ(SYSCTL(scheduler_op, u.scheduler_op = s), -ESRCH);
}

TEST(cpu_policies)
{
    static uint32_t features[64];
    static xen_cpuid_leaf_t leaves[256];
    static xen_msr_entry_t msrs[64];
    CHECK_EQ(SYSCTL(get_cpu_featureset, u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_raw), 0);
    u32 n = sc.u.cpu_featureset.nr_features;
    CHECK(n > 0 && n < ARRAY_SIZE(features));
    sc.u.cpu_featureset.nr_features = n;
    set_xen_guest_handle(sc.u.cpu_featureset.features, features);
    CHECK_EQ(HC(sysctl, &sc), 0);
    sc.u.cpu_featureset.nr_features = 1;
    CHECK_EQ(HC(sysctl, &sc), -ENOBUFS);
    sc.u.cpu_featureset.nr_features = n;
    set_xen_guest_handle_raw(sc.u.cpu_featureset.features, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    sysctl_for(XEN_SYSCTL_get_cpu_featureset)->u.cpu_featureset.index = 99;
    sc.u.cpu_featureset.nr_features = n;
    set_xen_guest_handle(sc.u.cpu_featureset.features, features);
    CHECK_EQ(HC(sysctl, &sc), -EINVAL);
    long rc = SYSCTL(get_cpu_featureset, u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_hvm);
    CHECK(rc == -EOPNOTSUPP || on_xen());

    CHECK_EQ(SYSCTL(get_cpu_policy, u.cpu_policy.index = XEN_SYSCTL_cpu_policy_host), 0);
    u32 nr_leaves = sc.u.cpu_policy.nr_leaves, nr_msrs = sc.u.cpu_policy.nr_msrs;
    CHECK(nr_leaves > 0 && nr_leaves <= ARRAY_SIZE(leaves) && nr_msrs <= ARRAY_SIZE(msrs));
    set_xen_guest_handle(sc.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(sc.u.cpu_policy.msrs, msrs);
    CHECK_EQ(HC(sysctl, &sc), 0);
    sc.u.cpu_policy.nr_leaves = 1;
    CHECK_EQ(HC(sysctl, &sc), -ENOBUFS);
    sc.u.cpu_policy.nr_leaves = nr_leaves;
    set_xen_guest_handle_raw(sc.u.cpu_policy.leaves, NOWHERE);
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    CHECK_EQ(SYSCTL(get_cpu_policy, u.cpu_policy.index = 99), -EINVAL);
    rc = SYSCTL(get_cpu_policy, u.cpu_policy.index = XEN_SYSCTL_cpu_policy_hvm_max);
    CHECK(rc == -EOPNOTSUPP || on_xen());
}

/* --- platform_op --- */

TEST(wall_clock)
{
    CHECK_EQ(PLATFORM(settime32, u.settime32.secs = 1000000000), 0);
    CHECK_EQ(PLATFORM(settime64, u.settime64.secs = 2000000000), 0);
    CHECK_EQ(PLATFORM(settime64, u.settime64.mbz = 1), -EINVAL);
    SAYS(PLATFORM(settime64, u.settime64.nsecs = 1000000000), -EINVAL);
    SAYS(PLATFORM(settime32, u.settime32.nsecs = 1000000000), -EINVAL);
}

TEST(firmware_and_symbols)
{
    CHECK_EQ(PLATFORM(firmware_info, u.firmware_info.type = XEN_FW_KBD_SHIFT_FLAGS), 0);
    CHECK_EQ(PLATFORM(firmware_info, u.firmware_info.type = 99), -EINVAL);
    platform_for(XENPF_firmware_info)->u.firmware_info.type = XEN_FW_DISK_INFO;
    pl.u.firmware_info.index = 250;
    CHECK_EQ(HC(platform_op, &pl), -ESRCH);
    CHECK_EQ(PLATFORM(firmware_info, u.firmware_info.type = XEN_FW_EFI_INFO), -ENOSYS);
    platform_for(XENPF_get_symbol)->u.symdata.namelen = sizeof(buffer);
    set_xen_guest_handle_raw(pl.u.symdata.name, (void *)buffer);
    CHECK_EQ(HC(platform_op, &pl), 0);
    CHECK(pl.u.symdata.namelen > 0 && pl.u.symdata.symnum == 1);
    pl.u.symdata.namelen = sizeof(buffer);
    set_xen_guest_handle_raw(pl.u.symdata.name, NOWHERE);
    CHECK_EQ(HC(platform_op, &pl), -EFAULT);
    CHECK_EQ(PLATFORM(get_symbol, u.symdata.symnum = ~0u), -ERANGE);
}

TEST(cpus_of_the_platform)
{
    CHECK_EQ(platform(XENPF_get_cpuinfo), 0);
    CHECK(pl.u.pcpu_info.flags & XEN_PCPU_FLAGS_ONLINE);
    CHECK_EQ(PLATFORM(get_cpuinfo, u.pcpu_info.xen_cpuid = 999), 0);
    CHECK(pl.u.pcpu_info.flags & XEN_PCPU_FLAGS_INVALID);
    CHECK_EQ(platform(XENPF_get_cpu_version), 0);
    CHECK(pl.u.pcpu_version.family > 0);
    CHECK_EQ(PLATFORM(get_cpu_version, u.pcpu_version.xen_cpuid = 999), 0);
    CHECK_EQ(pl.u.pcpu_version.family, 0);
    /* What is no sleeping state: nothing happens. */
    CHECK_EQ(PLATFORM(enter_acpi_sleep, u.enter_acpi_sleep.sleep_state = 9), -EINVAL);
}

/* --- physdev_op --- */

TEST(gsi)
{
    struct physdev_setup_gsi g = { .gsi = 11, .triggering = 1, .polarity = 1 };
    long rc = HC(physdev_op, PHYSDEVOP_setup_gsi, &g);
    CHECK(rc == 0 || rc == -EEXIST);
    g.gsi = 21;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_setup_gsi, &g), 0);
    g.gsi = 4000;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_setup_gsi, &g), -EINVAL);
    struct physdev_irq i = { .irq = 11 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_alloc_irq_vector, &i), 0);
    i.irq = 4000;
    SAYS(HC(physdev_op, PHYSDEVOP_alloc_irq_vector, &i), -EINVAL);
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 11, .pirq = 11 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), 0);
    CHECK_EQ(m.pirq, 11);
    rc = HC(physdev_op, PHYSDEVOP_map_pirq, &m);        /* there already */
    CHECK_EQ(rc, 0);
    m.pirq = 12;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), -EEXIST);
    m.index = 4000;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), -EINVAL);
    m.type = 77;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), -EINVAL);
    struct evtchn_bind_pirq b = { .pirq = 11 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_pirq, &b), 0);
    u32 port = b.port;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_pirq, &b), -EEXIST);
    b.pirq = 4000;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_pirq, &b), -EINVAL);
    struct physdev_irq_status_query q = { .irq = 11 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_irq_status_query, &q), 0);
    CHECK(q.flags & XENIRQSTAT_needs_eoi);
    q.irq = 4000;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_irq_status_query, &q), -EINVAL);
    struct physdev_eoi e = { 11 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_eoi, &e), 0);
    e.irq = 4000;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_eoi, &e), -EINVAL);
    struct evtchn_close c = { port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &c), 0);
    struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = 11 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_unmap_pirq, &u), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_unmap_pirq, &u), -EINVAL);
    u.pirq = -1;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_unmap_pirq, &u), -EINVAL);
}

TEST(msi)
{
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI_SEG, .index = -1, .pirq = -1,
                                  .bus = 0, .devfn = 0xff };     /* no such device */
    long rc = HC(physdev_op, PHYSDEVOP_map_pirq, &m);
    CHECK_EQ(rc, -ENODEV);
    m.type = MAP_PIRQ_TYPE_MULTI_MSI;
    m.entry_nr = 2;
    CHECK(HC(physdev_op, PHYSDEVOP_map_pirq, &m) < 0);
    m.type = MAP_PIRQ_TYPE_MSI_SEG;
    m.entry_nr = 100000;
    m.table_base = 0x1000;
    CHECK(HC(physdev_op, PHYSDEVOP_map_pirq, &m) < 0);
    struct physdev_get_free_pirq f = { .type = MAP_PIRQ_TYPE_MSI };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_get_free_pirq, &f), 0);
    CHECK(f.pirq > 0);
    struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = (int)f.pirq };
    HC(physdev_op, PHYSDEVOP_unmap_pirq, &u);
    f.type = 99;
    SAYS(HC(physdev_op, PHYSDEVOP_get_free_pirq, &f), -EINVAL);
}

TEST(pci_devices)
{
    /* 00:1f.2 of q35 is its AHCI controller; nothing is at 00:1e.7. */
    struct physdev_pci_device d = { .seg = 0, .bus = 0, .devfn = 0x1f << 3 | 2 };
    struct physdev_pci_device_add a = { .bus = 0, .devfn = 0x1f << 3 | 2 };
    struct physdev_manage_pci old = { .bus = 0, .devfn = 0x1f << 3 | 2 };
    struct physdev_manage_pci_ext ext = { .bus = 0, .devfn = 0x1f << 3 | 2 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_device_add, &a), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_restore_msi_ext, &d), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_restore_msi, &old), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_device_remove, &d), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_device_remove, &d), -ENODEV);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_manage_pci_add, &old), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_manage_pci_remove, &old), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_manage_pci_remove, &old), -ENODEV);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_manage_pci_add_ext, &ext), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_device_remove, &d), 0);
    d.devfn = old.devfn = 0x1e << 3 | 7;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_restore_msi_ext, &d), -ENODEV);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_restore_msi, &old), -ENODEV);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_prepare_msix, &d), -ENODEV);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_release_msix, &d), -ENODEV);
    if (!on_xen()) {            /* which ends in a page fault of its own */
        a.seg = 0x7777;
        CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_device_add, &a), -EINVAL);
    }
    a.seg = 0;
    a.devfn = d.devfn = 5 << 3;         /* a device with MSI-X: tests/guest/run puts it there */
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_device_add, &a), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_prepare_msix, &d), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_release_msix, &d), 0);
    struct physdev_pci_mmcfg_reserved r = { .address = 0xb0000000, .segment = 0, .end_bus = 255, .flags = 1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_mmcfg_reserved, &r), 0);
    r.address = 0x12340000;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_mmcfg_reserved, &r), -EIO);
    r.segment = 7;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pci_mmcfg_reserved, &r), -ENODEV);
    struct physdev_dbgp_op g = { .op = PHYSDEVOP_DBGP_RESET_PREPARE, .bus = PHYSDEVOP_DBGP_BUS_UNKNOWN };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_dbgp_op, &g), 0);
}

TEST(privilege)
{
    struct physdev_set_iopl i = { 1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &i), 0);
    i.iopl = 4;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &i), -EINVAL);
    struct physdev_set_iobitmap b = { .nr_ports = 0 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iobitmap, &b), 0);
    b.nr_ports = 65537;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iobitmap, &b), -EINVAL);
    struct physdev_apic a = { .apic_physbase = 0xfec00000, .reg = 1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_apic_read, &a), 0);
    CHECK((a.value & 0xff) >= 0x11);
    a.apic_physbase = 0x1234000;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_apic_read, &a), -EINVAL);
    struct physdev_pirq_eoi_gmfn g = { virt_to_mfn_of(buffer) };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, &g), 0);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, &g), -EBUSY);
    g.gmfn = 1UL << 40;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, &g), -EINVAL);
}
