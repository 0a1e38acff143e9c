/* SPDX-License-Identifier: MIT */
/*
 * Frames that Bulkhead builds on the kernel's stack and takes back: the failsafe callback,
 * iret. And what a domain dies of: by the command line's "die=", one death for each boot
 * (tests/guest/boot).
 */
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

extern char syscall_entry[];            /* start.S: a frame without an error code, as an NMI's */
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
