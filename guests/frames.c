/* SPDX-License-Identifier: MIT */
/*
 * Frames that Bulkhead builds on the kernel's stack and takes back: the failsafe callback,
 * iret. And what a domain dies of: by the command line's "die=", one death for each boot
 * (tests/guest/boot).
 */
#define UNRECORDED          /* on Xen it does less */
#include "tiny.h"
#include <xen/sysctl.h>

static u64 frame_rip, frame_cs;

/* Back from a frame whose selectors are none. */
static void mend(struct trap_regs *r)
{
    frame_rip = r->rip;
    frame_cs = r->cs;
    seen.vector = (s64)r->vector;
    r->rip = trap_resume;
    r->cs = FLAT_KERNEL_CS & ~3;
    r->ss = FLAT_KERNEL_SS;
}

struct iret_frame { u64 rax, r11, rcx, flags, rip, cs, rflags, rsp, ss; };

static void iret_to(u64 rip, u64 cs, u64 ss)
{
    static struct iret_frame f;
    trap_hook = mend;
    seen.vector = -1;
    f = (struct iret_frame){ .rip = rip, .cs = cs, .rflags = 0x202, .ss = ss };
    __asm__ volatile("lea 1f(%%rip), %%rcx; mov %%rcx, trap_resume(%%rip); mov %%rsp, 56(%0);"
                     "mov %%rsp, %%r12; mov %0, %%rsp; mov %1, %%eax; syscall\n"
                     "1:\tmov %%r12, %%rsp; movq $0, trap_resume(%%rip)"
                     :: "r"(&f), "i"(__HYPERVISOR_iret) : "rax", "rcx", "r11", "r12", "memory", "cc");
    trap_hook = NULL;
}

extern char after_iret[];
__asm__(".pushsection .text\nafter_iret: ud2\n.popsection");

TEST(iret)
{
    iret_to((u64)after_iret, FLAT_KERNEL_CS & ~3, FLAT_KERNEL_SS);
    CHECK_EQ(seen.vector, 6);
    CHECK_EQ(frame_rip, (u64)after_iret);
}

/* What the CPU refuses on the way back comes by the failsafe callback (from Xen as #GP). */
TEST(failsafe)
{
    int comes_as = on_xen() ? 13 : 0x101;
    iret_to((u64)after_iret, 0x7770, FLAT_KERNEL_SS);
    CHECK_EQ(seen.vector, comes_as);
    CHECK_EQ(frame_rip, (u64)after_iret);
    CHECK_EQ(frame_cs, 0x7770);
    iret_to((u64)after_iret, FLAT_KERNEL_CS & ~3, 0x7770);
    CHECK_EQ(seen.vector, comes_as);
    iret_to(0x0000800000000000UL, FLAT_KERNEL_CS & ~3, FLAT_KERNEL_SS);
    CHECK(seen.vector == comes_as || seen.vector == 13);
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
}

extern char event_entry[], syscall_entry[];

/* 32-bit user code at 4 MiB, in tables of its own; the kernel stays where it is. */
TEST(syscall_of_32_bits)
{
    static const u8 code[] = { 0x0f, 0x05, 0x0f, 0x0b };       /* syscall; ud2 */
    u64 *l4 = alloc_page(), *l3 = alloc_page(), *l2 = alloc_page(), *l1 = alloc_page(), *kstack = alloc_page();
    u8 *page = alloc_page();
    memcpy(page, code, sizeof(code));
    memcpy(l4, (void *)start_info->pt_base, PAGE_SIZE);
    memset(&l4[256], 0, 16 * 8);
    l1[0] = virt_to_mfn_of(page) << 12 | PG_DATA;
    l2[2] = virt_to_mfn_of(l1) << 12 | PG_TABLE;
    l3[0] = virt_to_mfn_of(l2) << 12 | PG_TABLE;
    l4[0] = virt_to_mfn_of(l3) << 12 | PG_TABLE;
    u64 *tables[] = { l1, l2, l3, l4 };
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        CHECK_EQ(map_mfn(tables[i], virt_to_mfn_of(tables[i]), PG_RO), 0);
    }
    struct mmuext_op op = { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = virt_to_mfn_of(l4) };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    CHECK_EQ(HC(stack_switch, FLAT_KERNEL_SS, (u64)kstack + 4096), 0);
    iret_to(0x400000, FLAT_RING3_CS32, FLAT_RING3_SS32);
    CHECK_EQ(seen.vector, 6);           /* nobody has asked for them */
    CHECK_EQ(frame_rip, 0x400000);
    struct callback_register r = { CALLBACKTYPE_syscall32, 0, (u64)syscall_entry };
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
    iret_to(0x400000, FLAT_RING3_CS32, FLAT_RING3_SS32);
    CHECK_EQ(seen.vector, 0x102);
    CHECK_EQ(frame_rip, 0x400002);
    CHECK_EQ(frame_cs & 0xffff, FLAT_RING3_CS32);
    struct callback_unregister un = { .type = CALLBACKTYPE_syscall32 };
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, &un), -EINVAL);     /* it stays */
    op.arg1.mfn = 0;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
}

TEST(events_without_a_handler)
{
    struct callback_register r = { CALLBACKTYPE_event, 0, 0 };
    struct evtchn_bind_ipi ipi = { .vcpu = 0 };
    if (on_xen()) {                     /* jumps to 0 */
        return;
    }
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
    port_unmask(ipi.port);
    struct evtchn_send send = { .port = ipi.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
    my_info()->evtchn_upcall_mask = 0;
    HC(xen_version, XENVER_version, 0);
    CHECK_EQ(my_info()->evtchn_upcall_mask, 1);         /* until there is one */
    r.address = (u64)event_entry;
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
    events_on();
    CHECK_EQ(event_count[ipi.port], 1);
    events_off();
    struct evtchn_close c = { .port = ipi.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &c), 0);
}

            /* start.S: a frame without an error code, as an NMI's */
static volatile u32 nmis;
static void mend_nmi(struct trap_regs *r)
{
    nmis += r->vector == 2 ? 1 : r->vector == 0x102 ? 0x100 : 0x10000;
    my_info()->evtchn_upcall_mask = 1;
}

TEST(nmi)
{
    trap_hook = mend_nmi;
    nmis = 0;
    CHECK_EQ(HC(vcpu_op, VCPUOP_send_nmi, 0, 0), 0);
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
    CHECK_EQ(nmis, 1);                  /* by the trap table */
    struct callback_register r = { CALLBACKTYPE_nmi, 0, (u64)syscall_entry };
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
    nmis = 0;
    CHECK_EQ(HC(vcpu_op, VCPUOP_send_nmi, 0, 0), 0);
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
    CHECK_EQ(nmis, 0x100);              /* by the callback */
    struct callback_unregister un = { .type = CALLBACKTYPE_nmi };
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, &un), 0);
    trap_hook = NULL;
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
}

static bool dies_of(const char *word)
{
    const char *s = strstr((const char *)start_info->cmd_line, "die=");
    return s && strncmp(s + 4, word, strlen(word)) == 0;
}

static void with_stack(u64 rsp, bool iret)
{
    __asm__ volatile("mov %0, %%rsp; test %b1, %b1; jz 1f; mov %2, %%eax; syscall; 1: ud2"
                     :: "r"(rsp), "r"(iret), "i"(__HYPERVISOR_iret) : "rax", "rcx", "r11", "memory");
}

static void press(const char *key)
{
    static struct xen_sysctl sc = { .cmd = XEN_SYSCTL_debug_keys, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    sc.u.debug_keys.nr_keys = 1;
    set_xen_guest_handle(sc.u.debug_keys.keys, (char *)key);
    HC(sysctl, &sc);
}

static void shut_down(unsigned reason)
{
    struct sched_shutdown s = { reason };
    HC(sched_op, SCHEDOP_shutdown, &s);
}

TEST(death)
{
    if (dies_of("handler")) {
        CHECK_EQ(HC(set_trap_table, 0), 0);
        __asm__ volatile("ud2");
    } else if (dies_of("stack")) {
        with_stack(0x2000, false);
    } else if (dies_of("hypervisor-stack")) {
        with_stack(0xffff830000001000, false);
    } else if (dies_of("iret")) {
        with_stack(0x2000, true);
    } else if (dies_of("hypervisor-iret")) {
        with_stack(0xffff830000001000, true);
    } else if (dies_of("user")) {
        iret_to((u64)after_iret, FLAT_USER_CS, FLAT_USER_SS);
    } else if (dies_of("crash")) {
        shut_down(SHUTDOWN_crash);
    } else if (dies_of("reboot")) {
        shut_down(SHUTDOWN_reboot);
    } else if (dies_of("suspend")) {
        shut_down(SHUTDOWN_suspend);
    } else if (dies_of("key-C")) {
        press("C");
    } else if (dies_of("key-R")) {
        press("R");
    } else if (dies_of("watchdog")) {
        struct sched_watchdog w = { 0, 1 };
        CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), 1);
        HC(sched_op, SCHEDOP_block, 0);
        for (u64 end = system_time() + 5000000000UL; system_time() < end;) {
        }
    }
    CHECK(!strstr((const char *)start_info->cmd_line, "die="));
}
