/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest pays for each operation. bench/run boots it on Bulkhead and on Debian's
 * Xen. Events are masked and no interrupt is due except where a row is about them; the few
 * instructions that load an operation's arguments count.
 */
#include "pv.h"

#define ROW_BASE 0

/* --- lean handlers, so that little of a figure is the guest's own --- */
extern char lean_skip2[], lean_skip2_error[], lean_return[], lean_sysret[];
volatile u32 lean_events, lean_events1;
__asm__(".pushsection .text\n"
        ".globl lean_event, lean_event1\n"
        "lean_event:\n\t"                           /* its port is one of the first 64 */
        "mov shared(%rip), %rcx\n\t"
        "movb $0, (%rcx)\n\t"                       /* evtchn_upcall_pending */
        "movq $0, 8(%rcx)\n\t"                      /* evtchn_pending_sel */
        "movq $0, 2048(%rcx)\n\t"                   /* evtchn_pending[0] */
        "incl lean_events(%rip)\n"
        "lean_return:\n\t"                          /* pops, pushes: as Linux does */
        "pop %rcx\n\tpop %r11\n"
        "1:\tpush $0\n\tpush %rcx\n\tpush %r11\n\tpush %rax\n\t"
        "mov $23, %eax\n\tsyscall\n"                /* iret */
        "lean_event1:\n\t"                          /* the same for vCPU 1 */
        "mov shared(%rip), %rcx\n\t"
        "movb $0, 64(%rcx)\n\t"
        "movq $0, 72(%rcx)\n\t"
        "movq $0, 2048(%rcx)\n\t"
        "incl lean_events1(%rip)\n\t"
        "jmp lean_return\n"
        "lean_sysret:\n\t"                          /* from a system call: without iret */
        "pop %rcx\n\tpop %r11\n\t"
        "push $0x100\n\tpush %rcx\n\tpush %r11\n\tpush %rax\n\t"
        "mov $23, %eax\n\tsyscall\n"
        "lean_skip2:\n\t"
        "pop %rcx\n\tpop %r11\n\taddq $2, (%rsp)\n\tjmp 1b\n"
        "lean_skip2_error:\n\t"
        "pop %rcx\n\tpop %r11\n\tadd $8, %rsp\n\taddq $2, (%rsp)\n\tjmp 1b\n"
        ".popsection");
_Static_assert(offsetof(struct shared_info, evtchn_pending) == 2048, "lean_event");
_Static_assert(offsetof(struct vcpu_info, evtchn_pending_sel) == 8, "lean_event");
_Static_assert(sizeof(struct vcpu_info) == 64, "lean_event1");
_Static_assert(VGCF_in_syscall == 0x100, "lean_sysret");

static void set_trap(unsigned vector, unsigned ring, const void *handler)
{
    struct trap_info t[2] = { { (u8)vector, (u8)ring, FLAT_KERNEL_CS, (u64)handler } };
    CHECK_EQ(HC(set_trap_table, t), 0);
}

/* --- helpers --- */
u64 free_pages(void)
{
    static struct xen_sysctl sc = { .cmd = XEN_SYSCTL_physinfo, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    CHECK_EQ(HC(sysctl, &sc), 0);
    return sc.u.physinfo.free_pages;
}

static long ext(unsigned cmd, u64 mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };
    return HC(mmuext_op, &op, 1, 0, DOMID_SELF);
}

static u64 *table_page(void)
{
    u64 *t = alloc_page();
    map_mfn(t, virt_to_mfn_of(t), PG_RO);
    return t;
}

static u64 entry(u64 mfn, u64 flags) { return mfn << PAGE_SHIFT | flags; }

/* The linker puts it before guest_start: all before it is the way from power-on to here. */
NORETURN void __wrap_guest_start(struct start_info *si);
NORETURN void __real_guest_start(struct start_info *si);
static u64 boot_tsc;
enum { ROW_BOOT = 199 };
void __wrap_guest_start(struct start_info *si)
{
    boot_tsc = tsc();
    MARK_END(ROW_BOOT);
    calibrate();
    __real_guest_start(si);
}

static u64 machine_pages(void)
{
    static struct { u64 start, size; u32 type; } PACKED map[128];
    struct xen_memory_map m = { .nr_entries = ARRAY_SIZE(map) };
    set_xen_guest_handle(m.buffer, map);
    CHECK_EQ(HC(memory_op, XENMEM_machine_memory_map, &m), 0);
    u64 pages = 0;
    for (unsigned i = 0; i < m.nr_entries; i++) {
        pages += map[i].type == 1 ? map[i].size >> PAGE_SHIFT : 0;
    }
    return pages;
}

TEST(boot)
{
    GROUP("Boot");
    print("bench: hv %u boot\n", ROW_BOOT);
    print("bench: value %lu ns boot_clock\n", boot_tsc);
    print("bench: value %lu KiB memory_kept\n", (machine_pages() - free_pages() - start_info->nr_pages) << 2);
}

TEST(hypercalls)
{
    GROUP("Hypercalls");
    struct multicall_entry calls[16];
    for (unsigned i = 0; i < 16; i++) {
        calls[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version };
    }
    BENCH("unknown_hypercall", HC2(63, 0));
    BENCH("xen_version", HC(xen_version, XENVER_version, 0));
    BENCH("multicall_8", HC(multicall, calls, 8));
    BENCH("multicall_16", HC(multicall, calls, 16));
    BENCH("sched_yield", HC(sched_op, SCHEDOP_yield, 0));
    BENCH("set_segment_base_fs", HC(set_segment_base, SEGBASE_FS, 0x1000));
}

TEST(events)
{
    GROUP("Events and time");
    struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
    struct evtchn_bind_interdomain b = { .remote_dom = DOMID_SELF, .remote_port = a.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &b), 0);
    CHECK(a.port < 64);
    struct callback_register event = { CALLBACKTYPE_event, 0, (u64)lean_event };
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &event), 0);
    struct evtchn_send s = { b.local_port };
    port_unmask(a.port);
    BENCH3("evtchn_send_masked", (void)0, HC(event_channel_op, EVTCHNOP_send, &s),
           shared->evtchn_pending[0] = 0; my_info()->evtchn_pending_sel = 0;
           my_info()->evtchn_upcall_pending = 0);
    lean_events = 0;
    BENCH3("evtchn_send_upcall", events_on(), HC(event_channel_op, EVTCHNOP_send, &s), events_off());
    CHECK_EQ(lean_events, ROUNDS);

    long port = evtchn_bind_virq(VIRQ_TIMER, 0);
    CHECK(port > 0 && port < 64);
    port_unmask((u32)port);
    u64 far = system_time() + 1000000000000UL;
    BENCH("set_timer_far", HC(set_timer_op, far));
    lean_events = 0;
    BENCH3("set_timer_past_upcall", events_on(),
           u32 was = lean_events; HC(set_timer_op, 1); while (lean_events == was) { barrier(); },
           events_off());
    /* Xen clears free memory while it idles: not while we measure. */
    HC(set_timer_op, system_time() + 1500000000UL);
    HC(sched_op, SCHEDOP_block, 0);
    events_off();
    BENCH_WAITS(row, "timer_to_upcall", ROUNDS, u32 was = lean_events; u64 due = system_time() + 50000,
                HC(set_timer_op, due);
                do {
                    HC(sched_op, SCHEDOP_block, 0);
                } while (lean_events == was),
                events_off());
    HC(set_timer_op, 0);
}

TEST(page_tables)
{
    GROUP("Page tables");
    u64 *page = alloc_page(), *other = alloc_page();
    u64 mfn[2] = { virt_to_mfn_of(page), virt_to_mfn_of(other) };
    u64 at = pte_maddr((u64)page, 1);
    static struct mmu_update u[16];

    BENCH("update_va_mapping",
          HC(update_va_mapping, page, entry(mfn[n & 1], PG_DATA), UVMF_INVLPG | UVMF_LOCAL));
    BENCH3("mmu_update_1", u[0].ptr = at; u[0].val = entry(mfn[n & 1], PG_DATA),
           HC(mmu_update, u, 1, 0, DOMID_SELF), (void)0);
    map_mfn(page, mfn[0], PG_DATA);

    /* A table of level 1 that nothing refers to but its pin. */
    u64 *l1 = table_page(), l1_mfn = virt_to_mfn_of(l1);
    BENCH3("pin_l1_empty", (void)0, ext(MMUEXT_PIN_L1_TABLE, l1_mfn), ext(MMUEXT_UNPIN_TABLE, l1_mfn));
    BENCH3("unpin_l1_empty", ext(MMUEXT_PIN_L1_TABLE, l1_mfn), ext(MMUEXT_UNPIN_TABLE, l1_mfn), (void)0);
    CHECK_EQ(ext(MMUEXT_PIN_L1_TABLE, l1_mfn), 0);
    long rc = 0;
    BENCH3("mmu_update_16",
           for (unsigned i = 0; i < 16; i++) {
               u[i].ptr = (l1_mfn << PAGE_SHIFT) + i * 8;
               u[i].val = entry(mfn[n & 1], PG_DATA);
           }, rc |= HC(mmu_update, u, 16, 0, DOMID_SELF), (void)0);
    CHECK_EQ(rc, 0);
    BENCH("pte_write_mov", *(volatile u64 *)&l1[0] = entry(mfn[n & 1], PG_DATA));
    BENCH("pte_write_xchg", __atomic_exchange_n(&l1[1], entry(mfn[n & 1], PG_DATA), __ATOMIC_SEQ_CST));
    CHECK_EQ(l1[0] & ~PG_G, entry(mfn[1], PG_DATA));
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, l1_mfn), 0);

    map_mfn(l1, l1_mfn, PG_DATA);
    for (unsigned i = 0; i < 512; i++) {
        l1[i] = entry(P2M[alloc_pfn()], PG_DATA);
    }
    map_mfn(l1, l1_mfn, PG_RO);
    BENCH3("pin_l1_full", (void)0, ext(MMUEXT_PIN_L1_TABLE, l1_mfn), rc |= ext(MMUEXT_UNPIN_TABLE, l1_mfn));
    BENCH3("unpin_l1_full", ext(MMUEXT_PIN_L1_TABLE, l1_mfn), rc |= ext(MMUEXT_UNPIN_TABLE, l1_mfn), (void)0);
    CHECK_EQ(rc, 0);
}

/* A further top level over the same tables, pinned. */
static u64 pinned_top(void)
{
    u64 *l4 = alloc_page(), *old = (u64 *)start_info->pt_base;
    for (unsigned i = 0; i < 512; i++) {
        l4[i] = i >= 256 && i < 272 ? 0 : old[i];
    }
    map_mfn(l4, virt_to_mfn_of(l4), PG_RO);
    CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, virt_to_mfn_of(l4)), 0);
    return virt_to_mfn_of(l4);
}

/* All top levels are pinned, so that a change of one for the other is no more than that. */
TEST(base_pointer)
{
    u64 base[2] = { pinned_top(), virt_to_mfn_of((void *)start_info->pt_base) };
    ext(MMUEXT_PIN_L4_TABLE, base[1]);      /* may be so already */
    struct mmuext_op op = { .cmd = MMUEXT_NEW_BASEPTR };
    BENCH3("new_baseptr", op.arg1.mfn = base[n & 1], HC(mmuext_op, &op, 1, 0, DOMID_SELF), (void)0);

    /* As Linux changes from one process to another. */
    u64 user[2] = { pinned_top(), pinned_top() }, stack = (u64)alloc_page() + PAGE_SIZE;
    struct mmuext_op both[2] = { { .cmd = MMUEXT_NEW_BASEPTR }, { .cmd = MMUEXT_NEW_USER_BASEPTR } };
    struct multicall_entry calls[2] = {
        { .op = __HYPERVISOR_mmuext_op, .args = { (u64)both, 2, 0, DOMID_SELF } },
        { .op = __HYPERVISOR_stack_switch, .args = { FLAT_KERNEL_SS, stack } },
    };
    BENCH3("process_switch", both[0].arg1.mfn = base[n & 1]; both[1].arg1.mfn = user[n & 1],
           HC(multicall, calls, 2); HC(set_segment_base, SEGBASE_FS, 0x1000), (void)0);
    CHECK_EQ(calls[0].result | calls[1].result, 0);
    both[1].arg1.mfn = 0;
    CHECK_EQ(HC(mmuext_op, &both[1], 1, 0, DOMID_SELF), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, user[0]) | ext(MMUEXT_UNPIN_TABLE, user[1]), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, base[0]), 0);
}

static void *volatile hole;             /* a page where nothing is mapped */

TEST(exceptions)
{
    GROUP("Exceptions, system calls, emulated instructions");
    hole = alloc_page();
    CHECK_EQ(map_mfn(hole, 0, 0), 0);
    set_trap(6, 0, lean_skip2);
    BENCH("ud_bounce", __asm__ volatile("ud2" ::: "memory"));
    set_trap(14, 0, lean_skip2_error);
    BENCH("pf_bounce", __asm__ volatile("movb (%0), %%al" :: "a"(hole) : "memory"));
    set_trap(0x80, 3, lean_return);
    BENCH("int80_bounce", __asm__ volatile("int $0x80" ::: "memory"));
    u32 a, b, c, d;
    BENCH("cpuid_forced", a = 1; c = 0; __asm__ volatile("ud2; .ascii \"xen\"; cpuid"
                                                         : "+a"(a), "=b"(b), "+c"(c), "=d"(d)));
    BENCH("rdmsr_emulated", __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080)));
    BENCH("mov_from_cr0", u64 r; __asm__ volatile("mov %%cr0, %0" : "=r"(r)));
    BENCH("clts", __asm__ volatile("clts"));
    struct physdev_set_iopl iopl = { 1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    BENCH("inb_emulated", __asm__ volatile("inb $0x80, %%al" : "=a"(a)));
}

/*
 * From user mode, which has a top level of its own, into the guest's kernel and back. Both
 * modes run in ring 3, on the same pages; ud2 is the way out.
 */
enum { ROW_SYSCALL = 150, ROW_USER_FAULT, ROW_USER_INT80 };

static void user_syscalls(void)
{
    SAMPLE(ROW_SYSCALL, (void)0, __asm__ volatile("syscall" ::: "rax", "rcx", "r11", "memory"), (void)0)
    __asm__ volatile("ud2");
}

static void user_faults(void)
{
    SAMPLE(ROW_USER_FAULT, (void)0, __asm__ volatile("movb (%0), %%al" :: "a"(hole) : "rcx", "r11", "memory"), (void)0)
    __asm__ volatile("ud2");
}

static void user_int80s(void)
{
    SAMPLE(ROW_USER_INT80, (void)0, __asm__ volatile("int $0x80" ::: "rax", "rcx", "r11", "memory"), (void)0)
    __asm__ volatile("ud2");
}

static void from_user(UNUSED struct trap_regs *r) { leave_user(); }

TEST(user_mode)
{
    static const struct { const char *name; unsigned row; void (*fn)(void); } loops[] = {
        { "user_syscall", ROW_SYSCALL, user_syscalls },
        { "user_pf_bounce", ROW_USER_FAULT, user_faults },
        { "user_int80_bounce", ROW_USER_INT80, user_int80s },
    };
    struct mmuext_op user = { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = pinned_top() };
    u64 top = user.arg1.mfn, stack = (u64)alloc_page() + PAGE_SIZE;
    CHECK_EQ(HC(mmuext_op, &user, 1, 0, DOMID_SELF), 0);
    CHECK_EQ(HC(stack_switch, FLAT_KERNEL_SS, (u64)alloc_page() + PAGE_SIZE), 0);
    hole = alloc_page();
    CHECK_EQ(map_mfn(hole, 0, 0), 0);
    CHECK_EQ(HC(set_trap_table, trap_entries), 0);
    set_trap(14, 0, lean_skip2_error);
    set_trap(0x80, 3, lean_return);
    struct callback_register syscall = { CALLBACKTYPE_syscall, 0, (u64)lean_sysret };
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &syscall), 0);
    trap_hook = from_user;
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++) {
        enter_user((u64)loops[i].fn, stack);
        print("bench: row %u %s tsc %lu\n", loops[i].row, loops[i].name, median() - tsc_overhead);
    }
    trap_hook = NULL;
    user.arg1.mfn = 0;
    CHECK_EQ(HC(mmuext_op, &user, 1, 0, DOMID_SELF), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, top), 0);
}

TEST(descriptors)
{
    u64 *gdt = alloc_page();
    unsigned long frames[1] = { virt_to_mfn_of(gdt) };
    CHECK_EQ(map_mfn(gdt, frames[0], PG_RO), 0);
    CHECK_EQ(HC(set_gdt, frames, 512), 0);
    BENCH("update_descriptor",
          HC(update_descriptor, (frames[0] << PAGE_SHIFT) + 12 * 8, 0x00cff3000000ffffUL - (n & 1)));
    CHECK_EQ(gdt[12], 0x00cff3000000fffeUL);
    CHECK_EQ(HC(set_gdt, frames, 0), 0);
}

TEST(grants)
{
    GROUP("Grants and memory");
    u64 *page = alloc_page(), *to = alloc_page();
    hole = alloc_page();
    unsigned long frame[1];
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 };
    set_xen_guest_handle(s.frame_list, frame);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
    grant_entry_v1_t *table = alloc_page();
    CHECK_EQ(map_mfn(table, frame[0], PG_DATA), 0);
    table[8].domid = 0;
    table[8].frame = (u32)virt_to_mfn_of(page);
    barrier();
    table[8].flags = GTF_permit_access;
    map_mfn(hole, 0, 0);

    struct gnttab_map_grant_ref m = { .host_addr = (u64)hole, .flags = GNTMAP_host_map, .ref = 8 };
    struct gnttab_unmap_grant_ref un = { .host_addr = (u64)hole };
    BENCH3("grant_map", (void)0, HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1),
           un.handle = m.handle; HC(grant_table_op, GNTTABOP_unmap_grant_ref, &un, 1));
    BENCH3("grant_unmap", HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1); un.handle = m.handle,
           HC(grant_table_op, GNTTABOP_unmap_grant_ref, &un, 1), (void)0);
    BENCH3("grant_map_unmap", (void)0,
           HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1); un.handle = m.handle;
           HC(grant_table_op, GNTTABOP_unmap_grant_ref, &un, 1), (void)0);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(un.status, GNTST_okay);

    static struct gnttab_copy c[8];
    for (unsigned i = 0; i < 8; i++) {
        c[i] = (struct gnttab_copy){ .len = 4096, .flags = GNTCOPY_source_gref };
        c[i].source.u.ref = 8;
        c[i].source.domid = 0;
        c[i].dest.u.gmfn = virt_to_mfn_of(to);
        c[i].dest.domid = DOMID_SELF;
    }
    BENCH("grant_copy_4096", HC(grant_table_op, GNTTABOP_copy, c, 1));
    BENCH("grant_copy_8x4096", HC(grant_table_op, GNTTABOP_copy, c, 8));
    CHECK_EQ(c[7].status, GNTST_okay);
    table[8].flags = 0;
}

TEST(reservation)
{
    u64 pfn = alloc_pfn();
    xen_pfn_t frame = P2M[pfn];
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
    set_xen_guest_handle(r.extent_start, &frame);
    long done = 0;
    BENCH3("decrease_1", (void)0, done += HC(memory_op, XENMEM_decrease_reservation, &r),
           frame = pfn; done += HC(memory_op, XENMEM_populate_physmap, &r));
    BENCH3("populate_1", done += HC(memory_op, XENMEM_decrease_reservation, &r); frame = pfn,
           done += HC(memory_op, XENMEM_populate_physmap, &r), (void)0);
    CHECK_EQ(done, 4 * ROUNDS);
}
