/* SPDX-License-Identifier: MIT */
/* What a domain does with its own page tables, vCPUs and time: mmu_update, mmuext_op,
 * update_va_mapping, vcpu_op, sched_op. Each sub-call's success and its errors. */
#include "control.h"

#define NOWHERE ((void *)0x1000)
#define BEYOND (1UL << 40)      /* a frame that no machine here has */

static struct domu d;
static u64 *page, own;
static struct vcpu_guest_context context;

static void side(UNUSED void *p) {}

static long ext_on(domid_t dom, unsigned cmd, u64 arg)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = arg };
    return HC(mmuext_op, &op, 1, 0, dom);
}
static long ext(unsigned cmd, u64 arg) { return ext_on(DOMID_SELF, cmd, arg); }

static u64 *table_page(void)
{
    u64 *t = alloc_page();
    CHECK_EQ(map_mfn(t, virt_to_mfn_of(t), PG_RO), 0);
    return t;
}

static long mmu(u64 ptr, u64 val, u64 dom)
{
    struct mmu_update u = { ptr, val };
    return HC(mmu_update, &u, 1, 0, dom);
}

TEST(entries)
{
    CHECK_EQ(domu_create(&d, side), 0);
    page = alloc_page();
    own = virt_to_mfn_of(page);
    u64 at = pte_maddr((u64)page, 1), pt = virt_to_mfn_of((void *)start_info->pt_base);
    u64 good = own << PAGE_SHIFT | PG_DATA;
    CHECK_EQ(mmu(at, good, DOMID_SELF), 0);
    CHECK_EQ(mmu(at | MMU_PT_UPDATE_PRESERVE_AD, good, DOMID_SELF), 0);
    CHECK_EQ(mmu(at | MMU_PT_UPDATE_NO_TRANSLATE, good, DOMID_SELF), 0);
    CHECK_EQ(mmu(own << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(page), DOMID_SELF), 0);
    CHECK_EQ(mmu(BEYOND << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1, DOMID_SELF), -EINVAL);
    CHECK_EQ(mmu(BEYOND << PAGE_SHIFT, 0, DOMID_SELF), -EINVAL);
    CHECK_EQ(mmu(at, pt << PAGE_SHIFT | PG_DATA, DOMID_SELF), -EBUSY);          /* a table, writable */
    CHECK_EQ(mmu(at, d.mfn[0] << PAGE_SHIFT | PG_DATA, DOMID_SELF), -EBUSY);    /* another's frame */
    CHECK_EQ(mmu(at, 0xfee00UL << PAGE_SHIFT | PG_DATA, DOMID_SELF), -EPERM);     /* not its device */
    CHECK_EQ(mmu(at, d.mfn[0] << PAGE_SHIFT | PG_DATA, d.id), 0);
    CHECK_EQ(mmu(at, good, DOMID_SELF), 0);
    ext(MMUEXT_TLB_FLUSH_LOCAL, 0);
    /* Of the other domain's tables: its L1 entry of its own frame. */
    CHECK_EQ(HC(mmu_update, NOWHERE, 1, 0, DOMID_SELF), -EFAULT);
    struct mmu_update u = { at, good };
    SAYS(HC(mmu_update, &u, 1, NOWHERE, DOMID_SELF), -EFAULT);

    CHECK_EQ(HC(update_va_mapping, page, good, UVMF_INVLPG | UVMF_ALL), 0);
    CHECK_EQ(HC(update_va_mapping, page, good, UVMF_TLB_FLUSH | UVMF_LOCAL), 0);
    CHECK_EQ(HC(update_va_mapping, page, pt << PAGE_SHIFT | PG_DATA, 0), -EBUSY);
    CHECK_EQ(HC(update_va_mapping, page, d.mfn[0] << PAGE_SHIFT | PG_DATA, 0), -EBUSY);
    CHECK_EQ(HC(update_va_mapping, page, 0xfee00UL << PAGE_SHIFT | PG_DATA, 0), -EPERM);
    CHECK_EQ(HC(update_va_mapping, 0x4000000000UL, good, 0), -EINVAL);          /* no table there */
    CHECK_EQ(HC(update_va_mapping, 1UL << 63, good, 0), -EINVAL);
    SAYS(HC(update_va_mapping, page, good, 3), -EINVAL);                            /* no such flush */
    SAYS(HC(update_va_mapping, page, good, UVMF_INVLPG | (u64)NOWHERE), -EFAULT);
    CHECK_EQ(HC(update_va_mapping_otherdomain, page, d.mfn[0] << PAGE_SHIFT | PG_DATA, UVMF_INVLPG | UVMF_LOCAL, d.id), 0);
    CHECK_EQ(HC(update_va_mapping_otherdomain, page, good, UVMF_INVLPG | UVMF_LOCAL, d.id), -EBUSY);
    CHECK_EQ(HC(update_va_mapping_otherdomain, page, 0xfee00UL << PAGE_SHIFT | PG_DATA, 0, DOMID_SELF), -EPERM);
    CHECK_EQ(HC(update_va_mapping_otherdomain, 1UL << 63, good, 0, DOMID_SELF), -EINVAL);
    SAYS(HC(update_va_mapping_otherdomain, page, good, UVMF_INVLPG | (u64)NOWHERE, DOMID_SELF), -EFAULT);
    CHECK_EQ(HC(update_va_mapping_otherdomain, page, pt << PAGE_SHIFT | PG_DATA, 0, DOMID_SELF), -EBUSY);
    CHECK_EQ(HC(update_va_mapping_otherdomain, page, good, UVMF_INVLPG | UVMF_LOCAL, DOMID_SELF), 0);
    /* Upper levels: what is no table, or is one of another level. */
    u64 *l2 = table_page(), l2_mfn = virt_to_mfn_of(l2);
    CHECK_EQ(ext(MMUEXT_PIN_L2_TABLE, l2_mfn), 0);
    CHECK_EQ(mmu(l2_mfn << PAGE_SHIFT, own << PAGE_SHIFT | PG_TABLE, DOMID_SELF), -EINVAL);
    CHECK_EQ(mmu(l2_mfn << PAGE_SHIFT, l2_mfn << PAGE_SHIFT | PG_TABLE, DOMID_SELF), -EINVAL);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, l2_mfn), 0);
    CHECK_EQ(map_mfn(l2, l2_mfn, PG_DATA), 0);
}

/* Each level: pinned, again, as another level, unpinned; of frames that cannot be. */
TEST(pins)
{
    for (unsigned level = 1; level <= 4; level++) {
        unsigned cmd = MMUEXT_PIN_L1_TABLE + level - 1;
        u64 *t = alloc_page(), mfn = virt_to_mfn_of(t);
        if (level == 4) {       /* its last slots must have what is loaded */
            memcpy(t, (void *)start_info->pt_base, PAGE_SIZE);
        }
        CHECK_EQ(ext(cmd, mfn), -EINVAL);           /* mapped writable */
        CHECK_EQ(map_mfn(t, mfn, PG_RO), 0);
        CHECK_EQ(ext(cmd, mfn), 0);
        CHECK_EQ(ext(cmd, mfn), -EINVAL);           /* pinned already */
        CHECK_EQ(ext(level == 4 ? MMUEXT_PIN_L3_TABLE : cmd + 1, mfn), -EINVAL);
        CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn), 0);
        CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn), -EINVAL);
        CHECK_EQ(map_mfn(t, mfn, PG_DATA), 0);
        CHECK_EQ(ext(cmd, BEYOND), -EINVAL);
        CHECK_EQ(ext(cmd, d.mfn[0]), -EINVAL);
        CHECK_EQ(ext_on(d.id, cmd, own), -EINVAL);
    }
    /* A bad entry is the table's: the same error as for one entry. */
    u64 *l1 = alloc_page();
    l1[3] = d.mfn[0] << PAGE_SHIFT | PG_DATA;
    CHECK_EQ(map_mfn(l1, virt_to_mfn_of(l1), PG_RO), 0);
    CHECK_EQ(ext(MMUEXT_PIN_L1_TABLE, virt_to_mfn_of(l1)), -EBUSY);
    CHECK_EQ(map_mfn(l1, virt_to_mfn_of(l1), PG_DATA), 0);
    l1[3] = 0xfee00UL << PAGE_SHIFT | PG_DATA;
    CHECK_EQ(map_mfn(l1, virt_to_mfn_of(l1), PG_RO), 0);
    CHECK_EQ(ext(MMUEXT_PIN_L1_TABLE, virt_to_mfn_of(l1)), -EPERM);
    CHECK_EQ(map_mfn(l1, virt_to_mfn_of(l1), PG_DATA), 0);
    l1[3] = virt_to_mfn_of((void *)start_info->pt_base) << PAGE_SHIFT | PG_DATA;
    CHECK_EQ(map_mfn(l1, virt_to_mfn_of(l1), PG_RO), 0);
    CHECK_EQ(ext(MMUEXT_PIN_L1_TABLE, virt_to_mfn_of(l1)), -EBUSY);
    CHECK_EQ(map_mfn(l1, virt_to_mfn_of(l1), PG_DATA), 0);
}

TEST(bases_and_flushes)
{
    u64 pt = virt_to_mfn_of((void *)start_info->pt_base);
    CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, pt), 0);
    CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, own), -EINVAL);
    CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, BEYOND), -EINVAL);
    CHECK_EQ(ext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
    CHECK_EQ(ext(MMUEXT_NEW_USER_BASEPTR, own), -EINVAL);
    CHECK_EQ(ext(MMUEXT_NEW_USER_BASEPTR, BEYOND), -EINVAL);
    static const unsigned plain[] = { MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_LOCAL, MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL,
                                      MMUEXT_FLUSH_CACHE, MMUEXT_FLUSH_CACHE_GLOBAL };
    for (unsigned i = 0; i < ARRAY_SIZE(plain); i++) {
        CHECK_EQ(ext(plain[i], (u64)page), 0);
    }
    /* These are a vCPU's own affair. */
    static const unsigned own_only[] = { MMUEXT_NEW_BASEPTR, MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_LOCAL, MMUEXT_TLB_FLUSH_MULTI,
                                         MMUEXT_INVLPG_MULTI, MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL, MMUEXT_SET_LDT,
                                         MMUEXT_NEW_USER_BASEPTR };
    for (unsigned i = 0; i < ARRAY_SIZE(own_only); i++) {
        CHECK_EQ(ext_on(d.id, own_only[i], (u64)page), -EPERM);
    }
    unsigned long mask = 1;
    for (unsigned cmd = MMUEXT_TLB_FLUSH_MULTI; cmd <= MMUEXT_INVLPG_MULTI; cmd++) {
        struct mmuext_op op = { .cmd = cmd, .arg1.linear_addr = (u64)page };
        set_xen_guest_handle_raw(op.arg2.vcpumask, (void *)&mask);
        CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
        set_xen_guest_handle_raw(op.arg2.vcpumask, NOWHERE);
        CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
    }
    struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };
    SAYS(HC(mmuext_op, &op, 1, NOWHERE, DOMID_SELF), -EFAULT);
    CHECK_EQ(HC(mmuext_op, NOWHERE, 1, 0, DOMID_SELF), -EFAULT);
}

TEST(ldt_and_copies)
{
    struct mmuext_op op = { .cmd = MMUEXT_SET_LDT, .arg1.linear_addr = (u64)page, .arg2.nr_ents = 512 };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    op.arg1.linear_addr = (u64)page + 8;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
    op.arg1.linear_addr = (u64)page;
    op.arg2.nr_ents = 8193;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
    op.arg2.nr_ents = 0;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    CHECK_EQ(ext(MMUEXT_CLEAR_PAGE, own), 0);
    CHECK_EQ(ext(MMUEXT_CLEAR_PAGE, BEYOND), -EINVAL);
    CHECK_EQ(ext(MMUEXT_CLEAR_PAGE, virt_to_mfn_of((void *)start_info->pt_base)), -EINVAL);
    op = (struct mmuext_op){ .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = own, .arg2.src_mfn = virt_to_mfn_of(start_info) };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    op.arg2.src_mfn = BEYOND;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
    op.arg1.mfn = BEYOND;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
}

/* --- vCPUs and time --- */

#define MS 1000000UL

static unsigned nmis;
static void take_nmi(struct trap_regs *r) { nmis += r->vector == 2; }

static void there(UNUSED void *arg) { vcpu1_stop(); }

TEST(vcpus)
{
    struct vcpu_runstate_info r;
    struct vcpu_time_info t;
    struct vcpu_register_runstate_memory_area ra = { .addr.v = &r };
    struct vcpu_register_time_memory_area ta = { .addr.v = &t };
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 0, &r), 0);
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &ra), 0);
    ra.addr.v = NOWHERE;
    SAYS(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &ra), -EFAULT);
    static struct vcpu_runstate_info keep;
    ra.addr.v = &keep;
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &ra), 0);
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, &ta), 0);
    ta.addr.v = NOWHERE;
    SAYS(HC(vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, &ta), -EFAULT);
    static struct vcpu_time_info keep_time;
    ta.addr.v = &keep_time;
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, &ta), 0);
    CHECK_EQ(HC(vcpu_op, VCPUOP_is_up, 0, 0), 1);
    CHECK_EQ(HC(vcpu_op, VCPUOP_up, 0, 0), 0);
    trap_hook = take_nmi;
    CHECK_EQ(HC(vcpu_op, VCPUOP_send_nmi, 0, 0), 0);
    trap_hook = NULL;
    CHECK_EQ(nmis, 1);
    struct vcpu_get_physid p;
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_physid, 0, &p), -EINVAL);     /* not pinned */
    struct sched_pin_override o = { 0 };
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &o), 0);
    HC(vcpu_op, VCPUOP_get_physid, 0, &p);
    SAYS(HC(vcpu_op, VCPUOP_get_physid, 0, &p), 0);
    SAYS(HC(vcpu_op, VCPUOP_get_physid, 0, NOWHERE), -EFAULT);
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &o), -EBUSY);
    o.pcpu = -1;
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &o), 0);
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &o), -EINVAL);
    o.pcpu = 1000;
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &o), -EINVAL);
    struct vcpu_register_vcpu_info i = { .mfn = own, .offset = 4092 };
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 0, &i), -ENXIO);
    i.offset = 0;
    i.mfn = BEYOND;
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 0, &i), -EINVAL);
    if (have_vcpu1()) {
        i.mfn = own;
        CHECK_EQ(HC(vcpu_op, VCPUOP_up, 1, 0), -EINVAL);          /* it has no state yet */
        CHECK_EQ(start_vcpu1(there, NULL), 0);
        CHECK_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &context), -EEXIST);
        CHECK_EQ(HC(vcpu_op, VCPUOP_down, 1, 0), 0);
        for (u64 end = system_time() + 1000 * MS; HC(vcpu_op, VCPUOP_is_up, 1, 0) && system_time() < end;) {
            HC(sched_op, SCHEDOP_yield, 0);
        }
        CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &i), 0);
        CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &i), -EINVAL);
    }
}

TEST(timers)
{
    struct vcpu_set_periodic_timer p = { 10 * MS };
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_periodic_timer, 0, &p), 0);
    p.period_ns = 1000;
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_periodic_timer, 0, &p), -EINVAL);
    CHECK_EQ(HC(vcpu_op, VCPUOP_stop_periodic_timer, 0, 0), 0);
    struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = system_time() + 1000 * MS };
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), 0);
    s.timeout_abs_ns = 1;
    s.flags = VCPU_SSHOTTMR_future;
    SAYS(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), -ETIME);
    HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s);
    CHECK_EQ(HC(vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0), 0);
    if (have_vcpu1()) {
        CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 1, &s), -EINVAL);
        CHECK_EQ(HC(vcpu_op, VCPUOP_stop_singleshot_timer, 1, 0), -EINVAL);
    }
    struct sched_watchdog w = { .id = 0, .timeout = 600 };
    long first = HC(sched_op, SCHEDOP_watchdog, &w), second = HC(sched_op, SCHEDOP_watchdog, &w);
    CHECK(first > 0 && second > 0 && first != second);
    CHECK_EQ((s32)HC(sched_op, SCHEDOP_watchdog, &w), -ENOSPC);
    w.id = (u32)first;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), 0);
    w.timeout = 0;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), 0);
    w.timeout = 600;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), -EINVAL);        /* it is free */
    w.id = 99;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), -EINVAL);
    w.id = (u32)second;
    w.timeout = 0;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), 0);
}

TEST(shutdown_codes)
{
    CHECK_EQ(HC(sched_op, SCHEDOP_shutdown_code, &(struct sched_shutdown){ SHUTDOWN_poweroff }), 0);
}

TEST(end) { domu_destroy(&d); }
