// SPDX-License-Identifier: MIT
/*
 * physdev_op: what a domain that drives devices says about interrupts, PCI devices
 * and its own I/O privilege. Owns nothing: PIRQs are x86/pirq.c's, devices x86/pci.c's.
 * The rights stand in ops/physdev_op.h.
 */
#include "guest.h"
#include "hypercall.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"
#include <xen/physdev.h>

/* The right that a sub-operation needs, or its error. */
static long check(struct domain *d, unsigned cmd)
{
#define OP(nr, name, needs, note) case nr: return domain_has(d, needs) ? 0 : -EPERM;
#define NO_OP(nr, name, err, note) case nr: return -err;
    switch (cmd) {
#include "ops/physdev_op.h"
    default:
        return -ENOSYS;
    }
#undef OP
#undef NO_OP
}

/* --- PIRQs --- */

static long op_eoi(struct vcpu *v, u64 arg)
{
    struct physdev_eoi op;
    return arg_read(v, &op, arg) ? -EFAULT : pirq_eoi(v->domain, op.irq);
}

static long op_irq_status(struct vcpu *v, u64 arg)
{
    struct physdev_irq_status_query op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = pirq_status(v->domain, op.irq, &op.flags);
    return err ?: arg_write_field(v, arg, &op, flags);
}

static long op_map_pirq(struct vcpu *v, u64 arg)
{
    struct physdev_map_pirq op;
    int err;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = domain_get_for(v, op.domid, &err);
    if (!d)
        return err;
    err = pirq_map(v, d, &op);
    if (!err && arg_write_field(v, arg, &op, pirq)) {
        err = -EFAULT;          /* it stays mapped; the domain's end unmaps it */
    }
    domain_put(d);
    return err;
}

static long op_unmap_pirq(struct vcpu *v, u64 arg)
{
    struct physdev_unmap_pirq op;
    int err;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = domain_get_for(v, op.domid, &err);
    if (!d)
        return err;
    err = op.pirq < 0 ? -EINVAL : pirq_unmap(d, (u32)op.pirq);
    domain_put(d);
    return err;
}

static long op_get_free_pirq(struct vcpu *v, u64 arg)
{
    struct physdev_get_free_pirq op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    if (op.type != MAP_PIRQ_TYPE_MSI && op.type != MAP_PIRQ_TYPE_GSI)
        return -EINVAL;
    int err = pirq_reserve(v->domain, &op.pirq);
    if (!err && arg_write_field(v, arg, &op, pirq)) {
        pirq_unmap(v->domain, op.pirq);
        err = -EFAULT;
    }
    return err;
}

static long op_eoi_page(struct vcpu *v, u64 arg)
{
    struct physdev_pirq_eoi_gmfn op;
    return arg_read(v, &op, arg) ? -EFAULT : pirq_set_eoi_page(v->domain, op.gmfn);
}

/* --- GSIs and IO-APICs --- */

static long op_setup_gsi(struct vcpu *v, u64 arg)
{
    struct physdev_setup_gsi op;
    long err;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    if (op.gsi < 0 || !gsi_valid((u32)op.gsi))
        return -EINVAL;
    with_lock (&irq_lock) {
        err = gsi_setup((u32)index_nospec((u32)op.gsi, nr_gsis), op.triggering, op.polarity);
    }
    return err;
}

static long op_alloc_vector(struct vcpu *v, u64 arg)
{
    struct physdev_irq op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    if (!gsi_valid(op.irq))
        return -EINVAL;
    op.vector = 0;
    return arg_write_field(v, arg, &op, vector);
}

static long op_apic_read(struct vcpu *v, u64 arg)
{
    struct physdev_apic op;
    long err;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    with_lock (&irq_lock) {
        err = ioapic_read_reg(op.apic_physbase, op.reg, &op.value);
    }
    return err ?: arg_write_field(v, arg, &op, value);
}

/* --- the vCPU's own I/O privilege --- */

static long op_set_iopl(struct vcpu *v, u64 arg)
{
    struct physdev_set_iopl op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    if (op.iopl > 3)
        return -EINVAL;
    xv(v)->pv.iopl = (u8)op.iopl;
    return 0;
}

static long op_set_iobitmap(struct vcpu *v, u64 arg)
{
    struct physdev_set_iobitmap op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    if (op.nr_ports > 65536)
        return -EINVAL;
    xv(v)->pv.iobmp = (u64)op.bitmap.p;
    xv(v)->pv.iobmp_limit = op.nr_ports;
    return 0;
}

/* --- PCI --- */

static long add_device(u16 seg, u8 bus, u8 devfn)
{
    if (!pci_seg_known(seg))
        return -EINVAL;
    struct pci_dev *dev = pci_get_dev(seg, bus, devfn);
    if (!dev)
        return -ENOMEM;
    WRITE_ONCE(dev->present, true);
    return 0;
}

static long remove_device(u16 seg, u8 bus, u8 devfn)
{
    struct pci_dev *dev = pci_find_dev(seg, bus, devfn);
    if (!dev || !READ_ONCE(dev->present))
        return -ENODEV;
    WRITE_ONCE(dev->present, false);
    return 0;
}

/* The old calls: bus and devfn come first in all of their structures. */
static long op_manage_pci(struct vcpu *v, u64 arg, unsigned cmd)
{
    struct physdev_manage_pci op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    return cmd == PHYSDEVOP_manage_pci_remove ? remove_device(0, op.bus, op.devfn)
         : cmd == PHYSDEVOP_restore_msi ? pirq_restore_msi(0, op.bus, op.devfn)
         : add_device(0, op.bus, op.devfn);
}

static long op_device_add(struct vcpu *v, u64 arg)
{
    struct physdev_pci_device_add op;
    if (guest_read(v, &op, arg, offsetof(struct physdev_pci_device_add, optarr)))
        return -EFAULT;
    return add_device(op.seg, op.bus, op.devfn);
}

static long op_device(struct vcpu *v, u64 arg, unsigned cmd)
{
    struct physdev_pci_device op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    if (cmd == PHYSDEVOP_pci_device_remove)
        return remove_device(op.seg, op.bus, op.devfn);
    if (cmd == PHYSDEVOP_restore_msi_ext)
        return pirq_restore_msi(op.seg, op.bus, op.devfn);
    struct pci_dev *dev = pci_find_dev(op.seg, op.bus, op.devfn);
    return dev && dev->msix_cap ? 0 : -ENODEV;          /* prepare_msix, release_msix */
}

static long op_mmcfg(struct vcpu *v, u64 arg)
{
    struct physdev_pci_mmcfg_reserved op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    for (unsigned i = 0; i < acpi.nr_mcfg; i++) {
        if (acpi.mcfg[i].base == op.address && acpi.mcfg[i].segment == op.segment)
            return 0;
    }
    return -ENODEV;
}

long do_physdev_op(struct vcpu *v, unsigned long *a)
{
    unsigned cmd = (unsigned)a[0];
    u64 arg = a[1];
    long err = check(v->domain, cmd);
    if (err)
        return err;
    switch (cmd) {
    case PHYSDEVOP_eoi:                 return op_eoi(v, arg);
    case PHYSDEVOP_irq_status_query:    return op_irq_status(v, arg);
    case PHYSDEVOP_map_pirq:            return op_map_pirq(v, arg);
    case PHYSDEVOP_unmap_pirq:          return op_unmap_pirq(v, arg);
    case PHYSDEVOP_get_free_pirq:       return op_get_free_pirq(v, arg);
    case PHYSDEVOP_pirq_eoi_gmfn_v2:    return op_eoi_page(v, arg);
    case PHYSDEVOP_setup_gsi:           return op_setup_gsi(v, arg);
    case PHYSDEVOP_alloc_irq_vector:    return op_alloc_vector(v, arg);
    case PHYSDEVOP_apic_read:           return op_apic_read(v, arg);
    case PHYSDEVOP_set_iopl:            return op_set_iopl(v, arg);
    case PHYSDEVOP_set_iobitmap:        return op_set_iobitmap(v, arg);
    case PHYSDEVOP_pci_device_add:      return op_device_add(v, arg);
    case PHYSDEVOP_pci_mmcfg_reserved:  return op_mmcfg(v, arg);
    case PHYSDEVOP_manage_pci_add:
    case PHYSDEVOP_manage_pci_add_ext:
    case PHYSDEVOP_manage_pci_remove:
    case PHYSDEVOP_restore_msi:
        return op_manage_pci(v, arg, cmd);
    case PHYSDEVOP_pci_device_remove:
    case PHYSDEVOP_restore_msi_ext:
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix:
        return op_device(v, arg, cmd);
    default:                            /* free_irq_vector, dbgp_op: nothing to do */
        return 0;
    }
}
