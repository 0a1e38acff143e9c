/* SPDX-License-Identifier: MIT */
/* The small calls of PV guests: traps, callbacks, descriptors, segments, debug registers, FPU,
 * multicall, versions, assists, stacks. Each one's success and its errors. */
#include "control.h"
#include "record.h"
#include <xen/nmi.h>

#define NOWHERE 0x1000UL
#define NOT_CANONICAL (1UL << 63)

extern char event_entry[], failsafe_entry[], syscall_entry[];
extern const struct trap_info trap_entries[];
static u8 buffer[PAGE_SIZE] ALIGNED(4096);

TEST(trap_table)
{
    static struct trap_info bad[2] = { { 200, 0, FLAT_KERNEL_CS, NOT_CANONICAL } };
    CHECK_EQ(HC(set_trap_table, bad), -EINVAL);
    CHECK_EQ(HC(set_trap_table, NOWHERE), -EFAULT);
    CHECK_EQ(HC(set_trap_table, 0), 0);
    CHECK_EQ(HC(set_trap_table, trap_entries), 0);
    TRAPS("ud2");
    CHECK_EQ(seen.vector, 6);
}

TEST(callbacks)
{
    SAYS(HC(set_callbacks, NOT_CANONICAL, failsafe_entry, syscall_entry), -EINVAL);
    CHECK_EQ(HC(set_callbacks, event_entry, failsafe_entry, syscall_entry), 0);
    struct callback_register r = { CALLBACKTYPE_syscall, CALLBACKF_mask_events, (u64)syscall_entry };
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
    r.type = CALLBACKTYPE_syscall32;
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
    r.address = NOT_CANONICAL;
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), -EINVAL);
    r.type = 99;
    r.address = (u64)syscall_entry;
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &r), -ENOSYS);
    struct callback_unregister u = { .type = CALLBACKTYPE_syscall32 };
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, &u), -EINVAL);
    u.type = CALLBACKTYPE_nmi;
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, &u), 0);
    u.type = CALLBACKTYPE_event;
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, &u), -EINVAL);
    u.type = 99;
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, &u), -ENOSYS);
    struct xennmi_callback n = { .handler_address = (u64)failsafe_entry };
    CHECK_EQ(HC(nmi_op, XENNMI_register_callback, &n), 0);
    CHECK_EQ(HC(nmi_op, XENNMI_unregister_callback, 0), 0);
}

static volatile long from_vcpu1;
static void register_there(UNUSED void *arg)
{
    struct xennmi_callback n = { .handler_address = (u64)failsafe_entry };
    long rc = HC(nmi_op, XENNMI_register_callback, &n);
    from_vcpu1 = rc ? rc : 1;
    vcpu1_stop();
}

/* The NMI callback is vCPU 0's affair, says xen/nmi.h. */
TEST(nmi_of_another_vcpu)
{
    if (!have_vcpu1()) {
        return;
    }
    CHECK_EQ(start_vcpu1(register_there, NULL), 0);
    for (u64 end = system_time() + 5000000000UL; !from_vcpu1 && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    SAYS(from_vcpu1, -EINVAL);
}

TEST(descriptors)
{
    static u64 gdt[512] ALIGNED(4096);
    u64 frames[1] = { virt_to_mfn_of(gdt) };
    CHECK_EQ(HC(set_gdt, frames, FIRST_RESERVED_GDT_ENTRY + 1), -EINVAL);
    CHECK_EQ(HC(set_gdt, NOWHERE, 512), -EFAULT);
    CHECK_EQ(HC(set_gdt, frames, 512), -EINVAL);        /* mapped writable */
    CHECK_EQ(map_mfn(gdt, frames[0], PG_RO), 0);
    CHECK_EQ(HC(set_gdt, frames, 512), 0);
    u64 at = frames[0] << PAGE_SHIFT;
    CHECK_EQ(HC(update_descriptor, at + 8, 0x00cffb000000ffffUL), 0);
    CHECK_EQ(gdt[1], 0x00cffb000000ffffUL);
    SAYS(HC(update_descriptor, at + 8, 0x00008c0000000000UL), -EINVAL);     /* a call gate */
    CHECK_EQ(HC(update_descriptor, at + 4, 0), -EINVAL);
    CHECK_EQ(HC(update_descriptor, 1UL << 51, 0), -EINVAL);
    CHECK_EQ(HC(update_descriptor, virt_to_mfn_of((void *)start_info->pt_base) << PAGE_SHIFT, 0), -EINVAL);
    CHECK_EQ(HC(set_gdt, frames, 0), 0);
    frames[0] = 1UL << 40;
    CHECK_EQ(HC(set_gdt, frames, 1), -EINVAL);
    CHECK_EQ(map_mfn(gdt, virt_to_mfn_of(gdt), PG_DATA), 0);
}

TEST(segments)
{
    CHECK_EQ(HC(set_segment_base, SEGBASE_FS, 0x1234), 0);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_USER, 0x1234), 0);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_KERNEL, 0), 0);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
    CHECK_EQ(HC(set_segment_base, SEGBASE_FS, NOT_CANONICAL), -EINVAL);
    CHECK_EQ(HC(set_segment_base, 99, 0), -EINVAL);
    CHECK_EQ(HC(set_segment_base, SEGBASE_FS, 0), 0);
    CHECK_EQ(HC(stack_switch, FLAT_KERNEL_SS, (u64)&buffer[sizeof(buffer)]), 0);
    CHECK_EQ(HC(fpu_taskswitch, 1), 0);
    CHECK_EQ(HC(fpu_taskswitch, 0), 0);
}

TEST(debug_registers)
{
    CHECK_EQ(HC(set_debugreg, 0, buffer), 0);
    CHECK_EQ(HC(get_debugreg, 0), (u64)buffer);
    CHECK_EQ(HC(set_debugreg, 6, 0), 0);
    CHECK_EQ(HC(set_debugreg, 7, 0), 0);
    CHECK_EQ(HC(set_debugreg, 0, 0xffff830000000000UL), -EPERM);     /* Bulkhead's memory */
    CHECK_EQ(HC(set_debugreg, 7, 2UL << 16 | 1), -EPERM);             /* an I/O breakpoint */
    SAYS(HC(set_debugreg, 4, 0), -ENODEV);
    SAYS(HC(set_debugreg, 5, 0), -ENODEV);
    CHECK_EQ(HC(set_debugreg, 8, 0), -ENODEV);
    SAYS(HC(get_debugreg, 4), -EINVAL);
    SAYS(HC(get_debugreg, 8), -EINVAL);
    CHECK_EQ(HC(set_debugreg, 0, 0), 0);
}

TEST(multicalls)
{
    struct multicall_entry m[2] = { { .op = __HYPERVISOR_xen_version }, { .op = 63 } };
    CHECK_EQ(HC(multicall, m, 2), 0);
    CHECK_EQ(m[0].result, 0x40011);
    CHECK_EQ(m[1].result, -ENOSYS);
    CHECK_EQ(HC(multicall, NOWHERE, 1), -EFAULT);
    CHECK_EQ(HC(multicall, m, 0), 0);
    CHECK_EQ(HC(set_timer_op, 0), 0);
}

TEST(versions)
{
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
    CHECK_EQ(HC(xen_version, XENVER_extraversion, buffer), 0);
    CHECK_EQ(HC(xen_version, XENVER_compile_info, buffer), 0);
    CHECK_EQ(HC(xen_version, XENVER_capabilities, buffer), 0);
    CHECK(strstr((char *)buffer, "xen-3.0-x86_64"));
    CHECK_EQ(HC(xen_version, XENVER_changeset, buffer), 0);
    CHECK_EQ(HC(xen_version, XENVER_platform_parameters, buffer), 0);
    CHECK_EQ(HC(xen_version, XENVER_guest_handle, buffer), 0);
    CHECK_EQ(HC(xen_version, XENVER_commandline, buffer), 0);
    CHECK_EQ(HC(xen_version, XENVER_pagesize, 0), 4096);
    CHECK_EQ(HC(xen_version, XENVER_pagesize, buffer), -EINVAL);
    struct xen_feature_info f = { .submap_idx = 0 };
    CHECK_EQ(HC(xen_version, XENVER_get_features, &f), 0);
    f.submap_idx = 99;
    CHECK_EQ(HC(xen_version, XENVER_get_features, &f), -EINVAL);
}

TEST(assists)
{
    static const u32 types[] = { VMASST_TYPE_4gb_segments, VMASST_TYPE_4gb_segments_notify, VMASST_TYPE_writable_pagetables,
                                 VMASST_TYPE_pae_extended_cr3, VMASST_TYPE_runstate_update_flag };
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, types[i]), 0);
        CHECK_EQ(HC(vm_assist, VMASST_CMD_disable, types[i]), 0);
        CHECK_EQ(HC(vm_assist, 99, types[i]), -ENOSYS);
    }
}

TEST(console)
{
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 0, buffer), 0);
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 4, NOWHERE), -EFAULT);
    CHECK(HC(console_io, CONSOLEIO_read, 16, buffer) >= 0);
    SAYS(HC(console_io, CONSOLEIO_write, ~0UL, NOWHERE), -E2BIG);
    CHECK_EQ(HC(console_io, CONSOLEIO_read, ~0UL, buffer), -E2BIG);
}

/* --- the ends of a domain: seen from outside --- */

static u32 reason;
static void shut_down(UNUSED void *p)
{
    struct sched_shutdown s = { reason };
    if (reason == SHUTDOWN_suspend) {
        CHECK_EQ(HC(sched_op, SCHEDOP_shutdown_code, &(struct sched_shutdown){ SHUTDOWN_crash }), 0);
    }
    if (!on_xen()) {            /* which takes its low bits, and then as the reason */
        CHECK_EQ(HC(sched_op, SCHEDOP_shutdown_code, &(struct sched_shutdown){ 9999 }), -EINVAL);
    }
    HC(sched_op, SCHEDOP_shutdown, &s);
}

TEST(shutdowns)
{
    static struct domu d;
    static const u32 reasons[] = { SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_suspend, SHUTDOWN_crash };
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
        reason = reasons[i];
        CHECK_EQ(domu_create(&d, shut_down), 0);
        domu_start(&d);
        /* What shutdown_code said before counts. */
        CHECK_EQ(domu_wait(&d), reason == SHUTDOWN_suspend ? SHUTDOWN_crash : reason);
        record_result(__HYPERVISOR_sched_op, SCHEDOP_shutdown, 0);
        domu_destroy(&d);
    }
}

static void yields(UNUSED void *p)
{
    for (;;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
}

TEST(remote_shutdown)
{
    static struct domu d;
    CHECK_EQ(domu_create(&d, yields), 0);
    domu_start(&d);
    struct sched_remote_shutdown s = { d.id, SHUTDOWN_reboot };
    CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &s), 0);
    CHECK_EQ(domu_wait(&d), SHUTDOWN_reboot);
    s.domain_id = DOMID_SELF;
    CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &s), -ESRCH);
    s.domain_id = 0;
    if (!on_xen()) {            /* which then ends the machine */
        CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &s), -EPERM);
    }
    domu_destroy(&d);
}
