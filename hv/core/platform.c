/* SPDX-License-Identifier: MIT */
/*
 * platform_op: what dom0 asks about the machine and does to it. Owns nothing; each
 * sub-operation ends in the part that does, which has its own lock.
 */
#include "arch.h"
#include "guest.h"
#include "hypercall.h"
#include "policy.h"
#include "symbols.h"

#define NSEC_PER_SEC 1000000000u

static long set_time(u64 sec, u32 nsec, u64 system_time)
{
    if (nsec >= NSEC_PER_SEC)
        return -EINVAL;
    wallclock_set(sec, nsec, (s_time_t)system_time);
    return 0;
}

static long firmware_info(struct xenpf_firmware_info *f)
{
    switch (f->type) {
    case XEN_FW_DISK_INFO: case XEN_FW_DISK_MBR_SIGNATURE: case XEN_FW_VBEDDC_INFO:
        return -ESRCH;
    case XEN_FW_EFI_INFO:
        return -ENOSYS;
    case XEN_FW_KBD_SHIFT_FLAGS:
        f->u.kbd_shift_flags = 0;
        return 0;
    default:
        return -EINVAL;
    }
}

static long cpu_info(struct xenpf_pcpuinfo *p)
{
    const struct cpu *c = &cpus[index_nospec(p->xen_cpuid, nr_cpus)];
    p->max_present = nr_cpus - 1;
    p->flags = XEN_PCPU_FLAGS_INVALID;
    if (p->xen_cpuid < nr_cpus) {
        p->flags = cpumask_test(cpus_online, c->id) ? XEN_PCPU_FLAGS_ONLINE : 0;
        p->apic_id = c->apic_id;
        p->acpi_id = c->id;
    }
    return 0;
}

static long cpu_version(struct xenpf_pcpu_version *p)
{
    *p = (struct xenpf_pcpu_version){ .xen_cpuid = p->xen_cpuid, .max_present = nr_cpus - 1 };
    if (p->xen_cpuid < nr_cpus)
        policy_cpu_version(p);
    return 0;
}

/* One symbol after the other: symnum stays when there are no more. */
static long get_symbol(struct vcpu *v, struct xenpf_symdata *s)
{
    const char *name;
    u64 addr;
    if (!symbol_get(s->symnum, &addr, &name)) {
        s->namelen = 0;
        return s->symnum && !symbol_get(s->symnum - 1, &addr, &name) ? -ERANGE : 0;
    }
    size_t len = strlen(name) + 1;
    if (copy_to_handle(v, s->name, 0, name, MIN(len, (size_t)s->namelen)))
        return -EFAULT;
    s->namelen = (u32)len - 1;
    s->symnum++;
    s->address = addr;
    s->type = 't';
    return 0;
}

/* a: address of a struct xen_platform_op. xen/platform.h. */
long do_platform_op(struct vcpu *v, unsigned long *a)
{
    struct xen_platform_op op;
    if (arg_read(v, &op, a[0]))
        return -EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    switch (op.cmd) {
    case XENPF_settime32:
        return set_time(op.u.settime32.secs, op.u.settime32.nsecs, op.u.settime32.system_time);
    case XENPF_settime64:
        return op.u.settime64.mbz ? -EINVAL
            : set_time(op.u.settime64.secs, op.u.settime64.nsecs, op.u.settime64.system_time);
    case XENPF_enter_acpi_sleep:
        return power_enter_sleep(&op.u.enter_acpi_sleep);
    case XENPF_firmware_info:
        return firmware_info(&op.u.firmware_info) ?: arg_write(v, a[0], &op);
    case XENPF_get_cpuinfo:
        return cpu_info(&op.u.pcpu_info) ?: arg_write(v, a[0], &op);
    case XENPF_get_cpu_version:
        return cpu_version(&op.u.pcpu_version) ?: arg_write(v, a[0], &op);
    case XENPF_get_symbol:
        return get_symbol(v, &op.u.symdata) ?: arg_write(v, a[0], &op);
#define OP(number, name, rights, note)
#define NO_OP(number, name, error, note) case number: return -(error);
#include "ops/platform_op.h"
    default:
        return -ENOSYS;
    }
}
