/* SPDX-License-Identifier: MIT */
/* domctl: each sub-operation's success and its errors, on a domain made for it. */
#include "control.h"

#define NO_VCPU 99
#define NOWHERE ((void *)0x1000)

static struct domu d;
static u8 buffer[PAGE_SIZE] ALIGNED(4096);

static void idle_side(UNUSED void *page)
{
    for (;;) {
        HC(sched_op, SCHEDOP_block, 0);
    }
}

static struct xenctl_bitmap map_of(void *bits, u32 n)
{
    struct xenctl_bitmap m = { .nr_bits = n };
    set_xen_guest_handle_raw(m.bitmap, bits);
    return m;
}

/* --- life --- */

static struct xen_domctl_createdomain config(void)
{
    return (struct xen_domctl_createdomain){
        .max_vcpus = 1, .max_evtchn_port = 127, .max_grant_frames = 2, .max_maptrack_frames = 2,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
    };
}

#define CREATE(id, change) ({ struct xen_domctl_createdomain c = config(); change;                      \
    domctl_for(XEN_DOMCTL_createdomain, id)->u.createdomain = c; HC(domctl, &dc); })

TEST(createdomain)
{
    CHECK_EQ(CREATE(0, (void)0), 0);
    domid_t id = dc.domain;
    CHECK(id != 0 && id < DOMID_FIRST_RESERVED);
    CHECK_EQ(CREATE(id, (void)0), -EEXIST);
    CHECK_EQ(CREATE(0, c.max_vcpus = 0), -EINVAL);
    CHECK_EQ(CREATE(0, c.max_vcpus = 100000), -EINVAL);
    CHECK_EQ(CREATE(0, c.grant_opts = XEN_DOMCTL_GRANT_version(0)), -EINVAL);
    CHECK_EQ(CREATE(0, c.grant_opts = XEN_DOMCTL_GRANT_version(3)), -EINVAL);
    CHECK_EQ(CREATE(0, c.flags = ~0u), -EINVAL);
    CHECK_EQ(CREATE(0, c.arch.emulation_flags = 1), -EOPNOTSUPP);
    CHECK_EQ(CREATE(0, c.arch.misc_flags = ~0u), -EINVAL);
    CHECK_EQ(CREATE(0, c.iommu_opts = ~0u), -EINVAL);
    CHECK_EQ(CREATE(0, c.cpupool_id = 77), -ESRCH);
    CHECK_EQ(CREATE(0, c.vmtrace_size = 4096), -EINVAL);
    long rc = CREATE(0, c.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap);     /* no HVM yet */
    CHECK(on_xen() || rc == -EOPNOTSUPP);
    if (!rc) {
        CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, dc.domain), 0);
    }
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, id), 0);
}

TEST(pause_and_unpause)
{
    CHECK_EQ(domu_create(&d, idle_side), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, d.id), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, d.id), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, d.id), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, d.id), -EINVAL);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, 0), -EINVAL);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, 0), -EINVAL);
    unsigned n = 0;
    long rc;
    while ((rc = domctl(XEN_DOMCTL_pausedomain, d.id)) == 0 && n < 100000) {
        n++;
        if (n == 300) {
            break;
        }
    }
    CHECK(rc == 0 || rc == -EOVERFLOW);
    while (n--) {
        CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, d.id), 0);
    }
    /* Nothing is to be resumed; of itself never. */
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, d.id), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, 0), -EINVAL);
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, 0), -EINVAL);
}

TEST(info)
{
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, d.id), 0);
    CHECK_EQ(dc.u.getdomaininfo.tot_pages, d.nr_pages);
    CHECK_EQ(DOMCTL(d.id, getvcpuinfo, u.getvcpuinfo.vcpu = 0), 0);
    CHECK(dc.u.getvcpuinfo.online);
    CHECK_EQ(DOMCTL(d.id, getvcpuinfo, u.getvcpuinfo.vcpu = NO_VCPU), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, max_vcpus, u.max_vcpus.max = DOMU_VCPUS), 0);
    CHECK_EQ(DOMCTL(d.id, max_vcpus, u.max_vcpus.max = DOMU_VCPUS + 1), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, max_vcpus, u.max_vcpus.max = 0), -EINVAL);
    CHECK_EQ(DOMCTL(0, max_vcpus, u.max_vcpus.max = 1), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, max_mem, u.max_mem.max_memkb = (d.nr_pages + 256) * 4), 0);
    memset(&dc, 0, sizeof(dc));
    CHECK_EQ(DOMCTL(d.id, setdomainhandle, u.setdomainhandle.handle[3] = 7), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, d.id), 0);
    CHECK_EQ(dc.u.getdomaininfo.handle[3], 7);
    CHECK_EQ(DOMCTL(d.id, setdebugging, u.setdebugging.enable = 1), 0);
    CHECK_EQ(DOMCTL(d.id, setdebugging, u.setdebugging.enable = 0), 0);
    CHECK_EQ(DOMCTL(0, setdebugging, u.setdebugging.enable = 0), -EINVAL);
}

TEST(set_target)
{
    CHECK_EQ(DOMCTL(d.id, set_target, u.set_target.target = d.id), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, set_target, u.set_target.target = 4321), -ESRCH);
    CHECK_EQ(CREATE(0, (void)0), 0);
    domid_t other = dc.domain;
    long rc = DOMCTL(other, set_target, u.set_target.target = d.id);
    CHECK(rc == 0 || (on_xen() && rc == -EOPNOTSUPP));
    rc = DOMCTL(other, set_target, u.set_target.target = d.id);
    CHECK(rc == -EEXIST || (on_xen() && rc < 0));
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, other), 0);
}

/* --- vCPUs --- */

TEST(affinity)
{
    u8 bits[8] = { 1 }, got[8];
    struct xen_domctl_vcpuaffinity a = { .vcpu = 0, .flags = XEN_VCPUAFFINITY_HARD };
    a.cpumap_hard = map_of(bits, 8);
    CHECK_EQ(DOMCTL(d.id, setvcpuaffinity, u.vcpuaffinity = a), 0);
    a.cpumap_hard = map_of(got, 64);
    CHECK_EQ(DOMCTL(d.id, getvcpuaffinity, u.vcpuaffinity = a), 0);
    CHECK_EQ(got[0], 1);
    a.flags |= XEN_VCPUAFFINITY_SOFT;
    a.cpumap_soft = map_of(got, 64);
    CHECK_EQ(DOMCTL(d.id, getvcpuaffinity, u.vcpuaffinity = a), 0);
    a.cpumap_soft = map_of(NOWHERE, 64);
    CHECK_EQ(DOMCTL(d.id, getvcpuaffinity, u.vcpuaffinity = a), -EFAULT);
    CHECK_EQ(DOMCTL(d.id, setvcpuaffinity, u.vcpuaffinity = a), -EFAULT);
    a.flags = 0;
    CHECK_EQ(DOMCTL(d.id, getvcpuaffinity, u.vcpuaffinity = a), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, setvcpuaffinity, u.vcpuaffinity = a), -EINVAL);
    a.flags = XEN_VCPUAFFINITY_HARD;
    a.vcpu = NO_VCPU;
    CHECK_EQ(DOMCTL(d.id, getvcpuaffinity, u.vcpuaffinity = a), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, setvcpuaffinity, u.vcpuaffinity = a), -EINVAL);
    a.vcpu = 0;
    a.cpumap_hard = map_of(bits, 8);
    bits[0] = 0;                /* nowhere to run */
    CHECK_EQ(DOMCTL(d.id, setvcpuaffinity, u.vcpuaffinity = a), -EINVAL);
    bits[0] = 0xff;
    CHECK_EQ(DOMCTL(d.id, setvcpuaffinity, u.vcpuaffinity = a), 0);
    u64 nodes = 1;
    CHECK_EQ(DOMCTL(d.id, setnodeaffinity, u.nodeaffinity.nodemap = map_of(&nodes, 64)), 0);
    CHECK_EQ(DOMCTL(d.id, getnodeaffinity, u.nodeaffinity.nodemap = map_of(&nodes, 64)), 0);
    CHECK_EQ(nodes & 1, 1);
    nodes = 0;
    CHECK_EQ(DOMCTL(d.id, setnodeaffinity, u.nodeaffinity.nodemap = map_of(&nodes, 64)), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, setnodeaffinity, u.nodeaffinity.nodemap = map_of(NOWHERE, 64)), -EFAULT);
    CHECK_EQ(DOMCTL(d.id, getnodeaffinity, u.nodeaffinity.nodemap = map_of(NOWHERE, 64)), -EFAULT);
}

TEST(contexts)
{
    static struct vcpu_guest_context c, bad;
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, d.id), 0);
    domctl_for(XEN_DOMCTL_getvcpucontext, d.id);
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &c);
    CHECK_EQ(HC(domctl, &dc), 0);
    CHECK(c.flags & VGCF_online);
    CHECK_EQ(c.user_regs.cs & 0xffff, FLAT_KERNEL_CS);
    dc.u.vcpucontext.vcpu = 1;          /* never started */
    CHECK_EQ(HC(domctl, &dc), -ENODATA);
    dc.u.vcpucontext.vcpu = NO_VCPU;
    CHECK_EQ(HC(domctl, &dc), -EINVAL);
    dc.u.vcpucontext.vcpu = 0;
    set_xen_guest_handle_raw(dc.u.vcpucontext.ctxt, NOWHERE);
    CHECK_EQ(HC(domctl, &dc), -EFAULT);
    dc.cmd = XEN_DOMCTL_setvcpucontext;
    CHECK_EQ(HC(domctl, &dc), -EFAULT);
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &c);
    dc.u.vcpucontext.vcpu = NO_VCPU;
    CHECK_EQ(HC(domctl, &dc), -EINVAL);
    dc.u.vcpucontext.vcpu = 1;
    memcpy(&bad, &c, sizeof(c));
    bad.ctrlreg[3] = virt_to_mfn_of((void *)start_info->pt_base) << 12;     /* ours */
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &bad);
    CHECK_EQ(HC(domctl, &dc), -EINVAL);
    memcpy(&bad, &c, sizeof(c));
    bad.gdt_ents = FIRST_RESERVED_GDT_ENTRY + 1;
    CHECK_EQ(HC(domctl, &dc), -EINVAL);
    memcpy(&bad, &c, sizeof(c));
    bad.user_regs.rip = 1UL << 63;
    CHECK_EQ(HC(domctl, &dc), -EINVAL);
    c.flags &= ~VGCF_online;
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &c);
    CHECK_EQ(HC(domctl, &dc), 0);
    set_xen_guest_handle_raw(dc.u.vcpucontext.ctxt, NULL);      /* as new */
    CHECK_EQ(HC(domctl, &dc), 0);
    domctl_for(XEN_DOMCTL_setvcpucontext, 0);
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &c);
    CHECK_EQ(HC(domctl, &dc), -EINVAL);         /* not of itself */
    domctl_for(XEN_DOMCTL_getvcpucontext, 0);
    set_xen_guest_handle(dc.u.vcpucontext.ctxt, &c);
    CHECK_EQ(HC(domctl, &dc), -EINVAL);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, d.id), 0);
}

TEST(other_vcpu_state)
{
    CHECK_EQ(domctl(XEN_DOMCTL_get_ext_vcpucontext, d.id), 0);
    struct xen_domctl_ext_vcpucontext e = dc.u.ext_vcpucontext;
    CHECK(e.size > 0);
    CHECK_EQ(DOMCTL(d.id, get_ext_vcpucontext, u.ext_vcpucontext.vcpu = NO_VCPU), -ESRCH);
    CHECK_EQ(DOMCTL(d.id, set_ext_vcpucontext, u.ext_vcpucontext = e), 0);
    CHECK_EQ(DOMCTL(d.id, set_ext_vcpucontext, u.ext_vcpucontext.vcpu = NO_VCPU), -ESRCH);
    e.syscall32_callback_eip = 1UL << 63;
    CHECK_EQ(DOMCTL(d.id, set_ext_vcpucontext, u.ext_vcpucontext = e), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, set_ext_vcpucontext, u.ext_vcpucontext.size = 1), -EINVAL);
    long own = domctl(XEN_DOMCTL_set_ext_vcpucontext, 0);
    CHECK(own == -EINVAL || (on_xen() && own == -ESRCH));

    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuextstate, d.id), 0);
    SAYS(domctl(XEN_DOMCTL_setvcpuextstate, d.id), 0);
    CHECK_EQ(DOMCTL(d.id, getvcpuextstate, u.vcpuextstate.vcpu = NO_VCPU), -ESRCH);
    CHECK_EQ(DOMCTL(d.id, setvcpuextstate, u.vcpuextstate.vcpu = NO_VCPU), -ESRCH);
    domctl_for(XEN_DOMCTL_setvcpuextstate, d.id)->u.vcpuextstate.size = 64;
    set_xen_guest_handle_raw(dc.u.vcpuextstate.buffer, (void *)buffer);
    CHECK(HC(domctl, &dc) < 0);

    CHECK_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs, d.id), 0);
    CHECK_EQ(DOMCTL(d.id, get_vcpu_msrs, u.vcpu_msrs.vcpu = NO_VCPU), -ESRCH);
    CHECK_EQ(DOMCTL(d.id, set_vcpu_msrs, u.vcpu_msrs.vcpu = NO_VCPU), -ESRCH);
    CHECK_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs, d.id), 0);
    static struct xen_domctl_vcpu_msr msr = { .index = 0x12345678 };
    domctl_for(XEN_DOMCTL_set_vcpu_msrs, d.id)->u.vcpu_msrs.msr_count = 1;
    set_xen_guest_handle(dc.u.vcpu_msrs.msrs, &msr);
    CHECK_EQ(HC(domctl, &dc), -EINVAL);

    CHECK_EQ(DOMCTL(d.id, sendtrigger, u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI), 0);
    CHECK_EQ(DOMCTL(d.id, sendtrigger, u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_POWER), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, sendtrigger, u.sendtrigger.trigger = 99), -ENOSYS);
    CHECK_EQ(DOMCTL(d.id, sendtrigger, u.sendtrigger.vcpu = NO_VCPU), -ESRCH);
}

/* --- memory, sizes --- */

TEST(frames_of_others)
{
    static xen_pfn_t frames[4];
    frames[0] = d.mfn[0];
    frames[1] = ~0UL;
    domctl_for(XEN_DOMCTL_getpageframeinfo3, d.id)->u.getpageframeinfo3.num = 2;
    set_xen_guest_handle(dc.u.getpageframeinfo3.array, frames);
    CHECK_EQ(HC(domctl, &dc), 0);
    CHECK_EQ(frames[0], XEN_DOMCTL_PFINFO_NOTAB);
    CHECK_EQ(frames[1], XEN_DOMCTL_PFINFO_XTAB);
    CHECK_EQ(domctl(XEN_DOMCTL_getpageframeinfo3, d.id), 0);    /* of none */
    domctl_for(XEN_DOMCTL_getpageframeinfo3, d.id)->u.getpageframeinfo3.num = 1025;
    set_xen_guest_handle(dc.u.getpageframeinfo3.array, frames);
    CHECK_EQ(HC(domctl, &dc), -E2BIG);
    dc.u.getpageframeinfo3.num = 2;
    set_xen_guest_handle_raw(dc.u.getpageframeinfo3.array, NOWHERE);
    CHECK_EQ(HC(domctl, &dc), -EFAULT);
    CHECK_EQ(DOMCTL(d.id, hypercall_init, u.hypercall_init.gmfn = d.mfn[d.nr_pages - 1]), 0);
    long rc = DOMCTL(d.id, hypercall_init, u.hypercall_init.gmfn = 1UL << 40);
    CHECK(rc == -EINVAL || (on_xen() && rc == -EACCES));
    CHECK_EQ(domctl(XEN_DOMCTL_get_address_size, d.id), 0);
    CHECK_EQ(dc.u.address_size.size, 64);
    CHECK_EQ(DOMCTL(d.id, set_address_size, u.address_size.size = 64), 0);
    CHECK_EQ(DOMCTL(d.id, set_address_size, u.address_size.size = 16), -EINVAL);
    rc = DOMCTL(d.id, set_address_size, u.address_size.size = 32);
    CHECK(rc == -EOPNOTSUPP || (on_xen() && rc < 0));
}

/* --- permissions --- */

TEST(permissions)
{
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), 0);
    CHECK_EQ(DOMCTL(d.id, ioport_permission, u.ioport_permission = ((struct xen_domctl_ioport_permission){ 0x300, 8, 1 })), 0);
    CHECK_EQ(DOMCTL(d.id, ioport_permission, u.ioport_permission = ((struct xen_domctl_ioport_permission){ 0x300, 8, 0 })), 0);
    CHECK_EQ(DOMCTL(d.id, ioport_permission, u.ioport_permission = ((struct xen_domctl_ioport_permission){ 0xfff8, 9, 1 })), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, ioport_permission, u.ioport_permission = ((struct xen_domctl_ioport_permission){ 0x20, 2, 1 })), -EPERM);
    CHECK_EQ(DOMCTL(d.id, iomem_permission, u.iomem_permission = ((struct xen_domctl_iomem_permission){ 0xfebf0, 2, 1 })), 0);
    CHECK_EQ(DOMCTL(d.id, iomem_permission, u.iomem_permission = ((struct xen_domctl_iomem_permission){ 0xfebf0, 2, 0 })), 0);
    CHECK_EQ(DOMCTL(d.id, iomem_permission, u.iomem_permission = ((struct xen_domctl_iomem_permission){ ~0UL, 2, 1 })), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, iomem_permission, u.iomem_permission = ((struct xen_domctl_iomem_permission){ 0xfee00, 1, 1 })), -EPERM);
    CHECK_EQ(DOMCTL(d.id, irq_permission, u.irq_permission = ((struct xen_domctl_irq_permission){ .pirq = 9, .allow_access = 1 })), 0);
    CHECK_EQ(DOMCTL(d.id, irq_permission, u.irq_permission = ((struct xen_domctl_irq_permission){ .pirq = 9, .allow_access = 0 })), 0);
    CHECK(DOMCTL(d.id, irq_permission, u.irq_permission = ((struct xen_domctl_irq_permission){ .pirq = 0x7fffffff, .allow_access = 1 })) < 0);
}

/* --- scheduling, time, VIRQs --- */

TEST(scheduling)
{
    struct xen_domctl_scheduler_op s = { .sched_id = XEN_SCHEDULER_CREDIT2, .cmd = XEN_DOMCTL_SCHEDOP_getinfo };
    CHECK_EQ(DOMCTL(d.id, scheduler_op, u.scheduler_op = s), 0);
    s = dc.u.scheduler_op;
    CHECK(s.u.credit2.weight > 0);
    s.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    s.u.credit2.weight = 300;
    CHECK_EQ(DOMCTL(d.id, scheduler_op, u.scheduler_op = s), 0);
    s.sched_id = 99;
    CHECK_EQ(DOMCTL(d.id, scheduler_op, u.scheduler_op = s), -EINVAL);
    s.sched_id = XEN_SCHEDULER_CREDIT2;
    s.cmd = 77;
    CHECK_EQ(DOMCTL(d.id, scheduler_op, u.scheduler_op = s), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, settimeoffset, u.settimeoffset.time_offset_seconds = 3600), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_gettscinfo, d.id), 0);
    struct xen_domctl_tsc_info t = dc.u.tsc_info;
    CHECK(t.gtsc_khz > 0);
    CHECK_EQ(DOMCTL(d.id, settscinfo, u.tsc_info = t), 0);
    t.tsc_mode = 1;             /* always emulated */
    SAYS(DOMCTL(d.id, settscinfo, u.tsc_info = t), -EOPNOTSUPP);
    t.tsc_mode = 99;
    CHECK_EQ(DOMCTL(d.id, settscinfo, u.tsc_info = t), -EINVAL);
    CHECK_EQ(DOMCTL(0, settscinfo, u.tsc_info = t), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, set_virq_handler, u.set_virq_handler.virq = VIRQ_CON_RING), 0);
    CHECK_EQ(DOMCTL(0, set_virq_handler, u.set_virq_handler.virq = VIRQ_CON_RING), 0);
    CHECK_EQ(DOMCTL(d.id, set_virq_handler, u.set_virq_handler.virq = VIRQ_TIMER), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, set_virq_handler, u.set_virq_handler.virq = NR_VIRQS), -EINVAL);
}

/* --- CPU policy --- */

TEST(policy)
{
    static xen_cpuid_leaf_t leaves[256];
    static xen_msr_entry_t msrs[64];
    domctl_for(XEN_DOMCTL_get_cpu_policy, d.id);
    CHECK_EQ(HC(domctl, &dc), 0);               /* how many there are */
    u32 nr_leaves = dc.u.cpu_policy.nr_leaves, nr_msrs = dc.u.cpu_policy.nr_msrs;
    CHECK(nr_leaves > 0 && nr_leaves <= ARRAY_SIZE(leaves) && nr_msrs <= ARRAY_SIZE(msrs));
    set_xen_guest_handle(dc.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(dc.u.cpu_policy.msrs, msrs);
    CHECK_EQ(HC(domctl, &dc), 0);
    nr_leaves = dc.u.cpu_policy.nr_leaves;
    nr_msrs = dc.u.cpu_policy.nr_msrs;
    dc.u.cpu_policy.nr_leaves = 1;
    CHECK_EQ(HC(domctl, &dc), -ENOBUFS);
    dc.u.cpu_policy.nr_leaves = nr_leaves;
    set_xen_guest_handle_raw(dc.u.cpu_policy.leaves, NOWHERE);
    CHECK_EQ(HC(domctl, &dc), -EFAULT);
    set_xen_guest_handle(dc.u.cpu_policy.leaves, leaves);
    dc.u.cpu_policy.nr_msrs = nr_msrs;

    CHECK_EQ(CREATE(0, (void)0), 0);
    domid_t other = dc.domain;
    domctl_for(XEN_DOMCTL_set_cpu_policy, other);
    dc.u.cpu_policy.nr_leaves = nr_leaves;
    dc.u.cpu_policy.nr_msrs = nr_msrs;
    set_xen_guest_handle(dc.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(dc.u.cpu_policy.msrs, msrs);
    CHECK_EQ(HC(domctl, &dc), 0);
    dc.u.cpu_policy.nr_leaves = 100000;
    CHECK_EQ(HC(domctl, &dc), -E2BIG);
    dc.u.cpu_policy.nr_leaves = nr_leaves;
    set_xen_guest_handle_raw(dc.u.cpu_policy.leaves, NOWHERE);
    CHECK_EQ(HC(domctl, &dc), -EFAULT);
    set_xen_guest_handle(dc.u.cpu_policy.leaves, leaves);
    leaves[0].leaf = 0x12345678;
    CHECK(HC(domctl, &dc) < 0);
    leaves[0].leaf = 0;
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, other), 0);
    /* It has run: too late. */
    domctl_for(XEN_DOMCTL_set_cpu_policy, d.id);
    dc.u.cpu_policy.nr_leaves = nr_leaves;
    set_xen_guest_handle(dc.u.cpu_policy.leaves, leaves);
    CHECK_EQ(HC(domctl, &dc), -EEXIST);
    CHECK_EQ(domctl(XEN_DOMCTL_set_cpu_policy, 0), -EINVAL);
}

TEST(end)
{
    domu_destroy(&d);
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, d.id), -ESRCH);
}
