/* SPDX-License-Identifier: MIT */
/*
 * What the dispatcher's tables say of themselves, one loop for each statement: what is not
 * implemented gives its error; what needs a right is refused without it; a bad address, an
 * unknown number, a domain that does not exist get their errors everywhere.
 */
#include "control.h"
#include <xen/arch-x86/xen-mca.h>
#include <xen/hypfs.h>
#include <xen/nmi.h>

#define NOWHERE 0x1000UL        /* mapped for nobody */
#define NO_DOMAIN 4321
#define UNKNOWN 58              /* a sub-call that no family has */

enum { RIGHT_NONE, RIGHT_CONTROL = 1, RIGHT_PLATFORM = 2, RIGHT_HARDWARE = 4, RIGHT_CONSOLE = 8, RIGHT_FOREIGN = 16 };

/* Tables of numbers with what the row says: the error or the rights. */
struct row { u32 nr; u32 what; };
#define HYPERCALL(...)
#define NOT_IMPLEMENTED(nr, name, err, note) { nr, err },
static const struct row no_calls[] = {
#include "hypercall_table.h"
};
#undef HYPERCALL
#undef NOT_IMPLEMENTED

#define OP(nr, name, rights, note) { nr, rights },
#define OP_PORT OP
#define OP_AT(nr, name, at, rights, note) { nr, rights },
#define OP_ARRAY OP_AT
#define OP_ON(nr, name, type, fn, rights, note) { nr, rights },
#define NO_OP(nr, name, err, note)
#define LIST(name) static const struct row name##_ops[] =
LIST(domctl) {
#include "ops/domctl.h"
};
LIST(event_channel) {
#include "ops/event_channel_op.h"
};
LIST(memory) {
#include "ops/memory_op.h"
};
LIST(physdev) {
#include "ops/physdev_op.h"
};
LIST(platform) {
#include "ops/platform_op.h"
};
LIST(sysctl) {
#include "ops/sysctl.h"
};
#undef OP
#undef OP_AT
#undef OP_ON
#undef NO_OP
#define OP(nr, name, rights, note)
#define OP_AT(nr, name, at, rights, note)
#define OP_ON(nr, name, type, fn, rights, note)
#define NO_OP(nr, name, err, note) { nr, err },
#define NO_LIST(name) static const struct row name##_none[] =
NO_LIST(domctl) {
#include "ops/domctl.h"
};
NO_LIST(memory) {
#include "ops/memory_op.h"
};
NO_LIST(mmuext) {
#include "ops/mmuext_op.h"
};
NO_LIST(physdev) {
#include "ops/physdev_op.h"
};
NO_LIST(platform) {
#include "ops/platform_op.h"
};
NO_LIST(sysctl) {
#include "ops/sysctl.h"
};

#define FOR_EACH(r, list) for (const struct row *r = list; r < list + ARRAY_SIZE(list); r++)

static long call(unsigned nr, u64 a, u64 b, u64 c) { return recorded_hypercall(nr, a, b, c, 0, 0, 0); }

static u8 zeroes[PAGE_SIZE] ALIGNED(4096);

TEST(not_implemented_calls)
{
    /* An operation that no call of these has, and no argument: also where they exist. */
    FOR_EACH(r, no_calls) {
        SAYS(call(r->nr, 0xffff, 0, 0), -(long)r->what);
    }
    static const u32 none[] = { 11, 43, 47, 56, 63 };
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        CHECK_EQ(call(none[i], 0, 0, 0), -ENOSYS);
    }
}

TEST(not_implemented_sub_calls)
{
    static struct domu d;
    CHECK_EQ(domu_create(&d, NULL), 0);
    FOR_EACH(r, domctl_none) {
        SAYS(domctl(r->nr, d.id), -(long)r->what);
    }
    domu_destroy(&d);
    FOR_EACH(r, memory_none) {
        memset(zeroes, 0, sizeof(zeroes));
        SAYS(HC(memory_op, r->nr, zeroes), -(long)r->what);
    }
    FOR_EACH(r, mmuext_none) {
        struct mmuext_op op = { .cmd = r->nr };
        SAYS(HC(mmuext_op, &op, 1, 0, DOMID_SELF), -(long)r->what);
    }
    FOR_EACH(r, physdev_none) {
        memset(zeroes, 0, sizeof(zeroes));
        SAYS(HC(physdev_op, r->nr, zeroes), -(long)r->what);
    }
    FOR_EACH(r, platform_none) {
        SAYS(platform(r->nr), -(long)r->what);
    }
    FOR_EACH(r, sysctl_none) {
        SAYS(sysctl(r->nr), -(long)r->what);
    }
    static struct evtchn_reset reset = { DOMID_SELF };
    SAYS(HC(event_channel_op, 14, &reset), -ENOSYS);
    static struct gnttab_cache_flush flush;
    SAYS(HC(grant_table_op, GNTTABOP_cache_flush, &flush, 1), -EOPNOTSUPP);
    SAYS(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl), -EINVAL);
    SAYS(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict), -EINVAL);
    HC(vm_assist, VMASST_CMD_disable, VMASST_TYPE_architectural_iopl);
    HC(vm_assist, VMASST_CMD_disable, VMASST_TYPE_m2p_strict);
    SAYS(HC(xen_version, XENVER_build_id, zeroes), -ENODATA);
}

TEST(unknown_sub_calls)
{
    static struct mmuext_op ext = { .cmd = UNKNOWN };
    CHECK_EQ(HC(callback_op, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(HC(console_io, UNKNOWN, 0, 0), -ENOSYS);
    CHECK_EQ(domctl(9999, 0), -ENOSYS);
    CHECK_EQ(HC(event_channel_op, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(HC(grant_table_op, UNKNOWN, zeroes, 1), -ENOSYS);
    CHECK_EQ(HC(memory_op, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(HC(mmuext_op, &ext, 1, 0, DOMID_SELF), -ENOSYS);
    CHECK_EQ(HC(nmi_op, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(HC(physdev_op, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(platform(9999), -ENOSYS);
    CHECK_EQ(HC(sched_op, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(sysctl(9999), -ENOSYS);
    CHECK_EQ(HC(vcpu_op, UNKNOWN, 0, zeroes), -ENOSYS);
    CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, UNKNOWN), -EINVAL);
    CHECK_EQ(HC(xen_version, UNKNOWN, zeroes), -ENOSYS);
    CHECK_EQ(HC(hypfs_op, UNKNOWN, "/", 2, zeroes, sizeof(zeroes)), -EOPNOTSUPP);
}

TEST(bad_addresses)
{
    CHECK_EQ(HC(domctl, NOWHERE), -EFAULT);
    CHECK_EQ(HC(sysctl, NOWHERE), -EFAULT);
    CHECK_EQ(HC(platform_op, NOWHERE), -EFAULT);
    CHECK_EQ(HC(mmuext_op, NOWHERE, 1, 0, DOMID_SELF), -EFAULT);
    CHECK_EQ(HC(mmu_update, NOWHERE, 1, 0, DOMID_SELF), -EFAULT);
    CHECK_EQ(HC(multicall, NOWHERE, 1), -EFAULT);
    CHECK_EQ(HC(set_trap_table, NOWHERE), -EFAULT);
    CHECK_EQ(HC(set_gdt, NOWHERE, 512), -EFAULT);
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 4, NOWHERE), -EFAULT);
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, NOWHERE), -EFAULT);
    CHECK_EQ(HC(callback_op, CALLBACKOP_unregister, NOWHERE), -EFAULT);
    CHECK_EQ(HC(nmi_op, XENNMI_register_callback, NOWHERE), -EFAULT);
    FOR_EACH(r, event_channel_ops) {
        CHECK_EQ(HC(event_channel_op, r->nr, NOWHERE), -EFAULT);
    }
    FOR_EACH(r, memory_ops) {
        if (r->nr != XENMEM_maximum_ram_page && r->nr != XENMEM_get_sharing_freed_pages &&
            r->nr != XENMEM_get_sharing_shared_pages) {
            bool counts = r->nr == XENMEM_increase_reservation || r->nr == XENMEM_decrease_reservation ||
                          r->nr == XENMEM_populate_physmap;
            CHECK_EQ(HC(memory_op, r->nr, NOWHERE), counts ? 0 : -EFAULT);
        }
    }
    FOR_EACH(r, physdev_ops) {
        long rc = HC(physdev_op, r->nr, NOWHERE);
        CHECK(rc == -EFAULT || on_xen());
    }
    static const u32 vcpu_reads[] = {
        VCPUOP_initialise, VCPUOP_get_runstate_info, VCPUOP_register_runstate_memory_area, VCPUOP_set_periodic_timer,
        VCPUOP_set_singleshot_timer, VCPUOP_register_vcpu_info, VCPUOP_register_vcpu_time_memory_area,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(vcpu_reads); i++) {
        CHECK_EQ(HC(vcpu_op, vcpu_reads[i], vcpu_reads[i] == VCPUOP_initialise, NOWHERE), -EFAULT);
    }
    static const u32 sched_reads[] = { SCHEDOP_shutdown, SCHEDOP_poll, SCHEDOP_remote_shutdown, SCHEDOP_shutdown_code,
                                       SCHEDOP_watchdog, SCHEDOP_pin_override };
    for (unsigned i = 0; i < ARRAY_SIZE(sched_reads); i++) {
        CHECK_EQ(HC(sched_op, sched_reads[i], NOWHERE), -EFAULT);
    }
    static const u32 version_writes[] = {
        XENVER_extraversion, XENVER_compile_info, XENVER_capabilities, XENVER_changeset, XENVER_platform_parameters,
        XENVER_get_features, XENVER_guest_handle, XENVER_commandline,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(version_writes); i++) {
        CHECK_EQ(HC(xen_version, version_writes[i], NOWHERE), -EFAULT);
    }
    for (u32 op = 0; op < GNTTABOP_cache_flush; op++) {
        long rc = HC(grant_table_op, op, NOWHERE, 1);
        CHECK(rc == -EFAULT || (on_xen() && op == GNTTABOP_dump_table));
        CHECK_EQ(HC(grant_table_op, op, zeroes, 0x80000000UL), -EINVAL);
    }
}

TEST(wrong_versions)
{
    FOR_EACH(r, domctl_ops) {
        domctl_for(r->nr, 0)->interface_version--;
        CHECK_EQ(HC(domctl, &dc), -EACCES);
    }
    FOR_EACH(r, domctl_none) {
        domctl_for(r->nr, 0)->interface_version--;
        CHECK_EQ(HC(domctl, &dc), -EACCES);
    }
    FOR_EACH(r, sysctl_ops) {
        sysctl_for(r->nr)->interface_version--;
        CHECK_EQ(HC(sysctl, &sc), -EACCES);
    }
    FOR_EACH(r, sysctl_none) {
        sysctl_for(r->nr)->interface_version--;
        CHECK_EQ(HC(sysctl, &sc), -EACCES);
    }
    FOR_EACH(r, platform_ops) {
        platform_for(r->nr)->interface_version--;
        CHECK_EQ(HC(platform_op, &pl), -EACCES);
    }
    FOR_EACH(r, platform_none) {
        platform_for(r->nr)->interface_version--;
        CHECK_EQ(HC(platform_op, &pl), -EACCES);
    }
}

TEST(no_such_domain)
{
    FOR_EACH(r, domctl_ops) {
        if (r->nr != XEN_DOMCTL_createdomain) {
            CHECK_EQ(domctl(r->nr, r->nr == XEN_DOMCTL_getdomaininfo ? DOMID_FIRST_RESERVED - 1 : NO_DOMAIN), -ESRCH);
        }
    }
    FOR_EACH(r, domctl_none) {
        long rc = domctl(r->nr, NO_DOMAIN);
        CHECK(rc == -ESRCH || on_xen());
    }
    struct xen_memory_domain md = { NO_DOMAIN };
    CHECK_EQ(HC(memory_op, XENMEM_current_reservation, &md), -ESRCH);
    CHECK_EQ(HC(memory_op, XENMEM_maximum_reservation, &md), -ESRCH);
    CHECK_EQ(HC(memory_op, XENMEM_maximum_gpfn, &md), -ESRCH);
    /* These count what they have done: nothing. */
    struct xen_memory_reservation mr = { .nr_extents = 1, .domid = NO_DOMAIN };
    CHECK_EQ(HC(memory_op, XENMEM_increase_reservation, &mr), 0);
    CHECK_EQ(HC(memory_op, XENMEM_decrease_reservation, &mr), 0);
    CHECK_EQ(HC(memory_op, XENMEM_populate_physmap, &mr), 0);
    long rc = HC(memory_op, XENMEM_claim_pages, &mr);
    CHECK(rc == -ESRCH || (on_xen() && rc == -EINVAL));
    struct xen_memory_exchange me = { .in = { .nr_extents = 1, .domid = NO_DOMAIN },
                                      .out = { .nr_extents = 1, .domid = NO_DOMAIN } };
    CHECK_EQ(HC(memory_op, XENMEM_exchange, &me), -ESRCH);
    struct xen_foreign_memory_map fm = { .domid = NO_DOMAIN };
    CHECK_EQ(HC(memory_op, XENMEM_set_memory_map, &fm), -ESRCH);
    struct xen_mem_acquire_resource ar = { .domid = NO_DOMAIN, .type = XENMEM_resource_grant_table };
    CHECK_EQ(HC(memory_op, XENMEM_acquire_resource, &ar), -ESRCH);
    for (u32 cmd = 0; cmd <= MMUEXT_UNMARK_SUPER; cmd++) {
        struct mmuext_op op = { .cmd = cmd };
        CHECK_EQ(HC(mmuext_op, &op, 1, 0, NO_DOMAIN), -ESRCH);
    }
    struct mmu_update u = { 0 };
    CHECK_EQ(HC(mmu_update, &u, 1, 0, NO_DOMAIN), -ESRCH);
    CHECK_EQ(HC(mmu_update, &u, 1, 0, (NO_DOMAIN + 1) << 16 | DOMID_SELF), -ESRCH);
    CHECK_EQ(HC(update_va_mapping_otherdomain, zeroes, 0, 0, NO_DOMAIN), -ESRCH);
    struct evtchn_status es = { .dom = NO_DOMAIN, .port = 1 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_status, &es), -ESRCH);
    struct evtchn_alloc_unbound ea = { .dom = NO_DOMAIN };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &ea), -ESRCH);
    struct evtchn_bind_interdomain eb = { .remote_dom = NO_DOMAIN };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &eb), -ESRCH);
    struct evtchn_reset er = { NO_DOMAIN };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_reset, &er), -ESRCH);
    struct sched_remote_shutdown rs = { .domain_id = NO_DOMAIN };
    CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &rs), -ESRCH);
    struct physdev_map_pirq pm = { .domid = NO_DOMAIN, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &pm), -ESRCH);
    struct physdev_unmap_pirq pu = { .domid = NO_DOMAIN, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_unmap_pirq, &pu), -ESRCH);
    struct gnttab_get_version gv = { .dom = NO_DOMAIN };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_get_version, &gv, 1), -ESRCH);
}

TEST(no_such_vcpu)
{
    for (u32 op = 0; op <= VCPUOP_register_vcpu_time_memory_area; op++) {
        CHECK_EQ(HC(vcpu_op, op, 777, zeroes), -ENOENT);
    }
    struct evtchn_bind_ipi i = { .vcpu = 777 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &i), -ENOENT);
    struct evtchn_bind_virq v = { .virq = VIRQ_DEBUG, .vcpu = 777 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &v), -ENOENT);
}

/* --- without rights: from a domU --- */

DOMU_TEST(refused_control)
{
    FOR_EACH(r, domctl_ops) {
        SAYS(domctl(r->nr, 0), -EPERM);
    }
    FOR_EACH(r, domctl_none) {
        SAYS(domctl(r->nr, 0), -EPERM);
    }
    FOR_EACH(r, sysctl_ops) {
        CHECK_EQ(sysctl(r->nr), -EPERM);
    }
    FOR_EACH(r, sysctl_none) {
        CHECK_EQ(sysctl(r->nr), -EPERM);
    }
    FOR_EACH(r, platform_ops) {
        CHECK_EQ(platform(r->nr), -EPERM);
    }
    FOR_EACH(r, platform_none) {
        CHECK_EQ(platform(r->nr), -EPERM);
    }
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_get_version, 0, 0, 0, 0), -EPERM);
    CHECK_EQ(HC(hypfs_op, XEN_HYPFS_OP_read, "/", 2, zeroes, sizeof(zeroes)), -EPERM);
}

DOMU_TEST(refused_hardware)
{
    FOR_EACH(r, physdev_ops) {
        if (r->what) {
            memset(zeroes, 0, sizeof(zeroes));
            SAYS(HC(physdev_op, r->nr, zeroes), -EPERM);
        }
    }
    FOR_EACH(r, memory_ops) {
        if (r->what) {
            memset(zeroes, 0, sizeof(zeroes));
            CHECK_EQ(HC(memory_op, r->nr, zeroes), -EPERM);
        }
    }
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), -EPERM);
    m = (struct physdev_map_pirq){ .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI, .index = -1, .pirq = -1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &m), -EPERM);
    struct mmuext_op e = { .cmd = MMUEXT_FLUSH_CACHE };
    CHECK_EQ(HC(mmuext_op, &e, 1, 0, DOMID_SELF), -EACCES);
    e.cmd = MMUEXT_FLUSH_CACHE_GLOBAL;
    CHECK_EQ(HC(mmuext_op, &e, 1, 0, DOMID_SELF), -EINVAL);
    struct sched_pin_override p = { 0 };
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &p), -EPERM);
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_physid, 0, zeroes), -EINVAL);
    CHECK_EQ(HC(update_va_mapping_otherdomain, zeroes, 0, 0, DOMID_IO), -EPERM);
    struct mmu_update u = { 0 };
    SAYS(HC(mmu_update, &u, 1, 0, DOMID_IO), -EPERM);
}

/* dom0 is another domain, on which a domU has no rights. */
DOMU_TEST(refused_foreign)
{
    struct xen_memory_domain md = { 0 };
    CHECK_EQ(HC(memory_op, XENMEM_current_reservation, &md), -EPERM);
    CHECK_EQ(HC(memory_op, XENMEM_maximum_reservation, &md), -EPERM);
    CHECK_EQ(HC(memory_op, XENMEM_maximum_gpfn, &md), -EPERM);
    struct xen_memory_reservation mr = { .nr_extents = 1, .domid = 0 };
    CHECK_EQ(HC(memory_op, XENMEM_increase_reservation, &mr), 0);
    CHECK_EQ(HC(memory_op, XENMEM_decrease_reservation, &mr), 0);
    CHECK_EQ(HC(memory_op, XENMEM_populate_physmap, &mr), 0);
    struct xen_memory_exchange me = { .in = { .nr_extents = 1, .domid = 0 }, .out = { .nr_extents = 1, .domid = 0 } };
    CHECK_EQ(HC(memory_op, XENMEM_exchange, &me), -EPERM);
    struct xen_foreign_memory_map fm = { .domid = 0 };
    CHECK_EQ(HC(memory_op, XENMEM_set_memory_map, &fm), -EPERM);
    struct xen_mem_acquire_resource ar = { .domid = 0, .type = XENMEM_resource_grant_table };
    CHECK_EQ(HC(memory_op, XENMEM_acquire_resource, &ar), -EPERM);
    for (u32 cmd = 0; cmd <= MMUEXT_UNMARK_SUPER; cmd++) {
        struct mmuext_op op = { .cmd = cmd };
        CHECK_EQ(HC(mmuext_op, &op, 1, 0, 0), -EPERM);
    }
    struct mmu_update u = { 0 };
    CHECK_EQ(HC(mmu_update, &u, 1, 0, 0), -EPERM);
    CHECK_EQ(HC(mmu_update, &u, 1, 0, 1 << 16 | DOMID_SELF), -EPERM);
    CHECK_EQ(HC(update_va_mapping_otherdomain, zeroes, 0, 0, 0), -EPERM);
    struct evtchn_status es = { .dom = 0, .port = 1 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_status, &es), -EPERM);
    struct evtchn_alloc_unbound ea = { .dom = 0 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &ea), -EPERM);
    struct evtchn_reset er = { 0 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_reset, &er), -EPERM);
    struct evtchn_bind_virq v = { .virq = VIRQ_DOM_EXC };
    SAYS(HC(event_channel_op, EVTCHNOP_bind_virq, &v), -EPERM);
    struct sched_remote_shutdown rs = { .domain_id = 0 };
    CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &rs), -EPERM);
    struct physdev_map_pirq pm = { .domid = 0, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &pm), -EPERM);
    struct physdev_unmap_pirq pu = { .domid = 0, .pirq = 9 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_unmap_pirq, &pu), -EPERM);
    struct gnttab_get_version gv = { .dom = 0 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_get_version, &gv, 1), -EPERM);
    struct gnttab_query_size qs = { .dom = 0 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_query_size, &qs, 1), 0);
    CHECK_EQ(qs.status, GNTST_permission_denied);
    struct gnttab_setup_table st = { .dom = 0 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_setup_table, &st, 1), 0);
    CHECK_EQ(st.status, GNTST_permission_denied);
    struct gnttab_get_status_frames sf = { .dom = 0 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_get_status_frames, &sf, 1), 0);
    CHECK_EQ(sf.status, GNTST_permission_denied);
    struct gnttab_dump_table dt = { .dom = 0 };
    HC(grant_table_op, GNTTABOP_dump_table, &dt, 1);
}

DOMU_TEST(refused_console)
{
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 0, zeroes), -EPERM);
    CHECK_EQ(HC(console_io, CONSOLEIO_read, sizeof(zeroes), zeroes), -EPERM);
    CHECK_EQ(HC(xen_version, XENVER_commandline, zeroes), 0);
    CHECK_EQ(strcmp((char *)zeroes, "<denied>"), 0);
}
