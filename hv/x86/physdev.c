// SPDX-License-Identifier: MIT
/*
 * physdev_op: what a domain that drives devices says about interrupts, PCI devices
 * and its own I/O privilege. Owns nothing: PIRQs are x86/pirq.c's, devices x86/pci.c's.
 * The rights stand in ops/physdev_op.h.
 */
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"
#include <xen/physdev.h>

union physdev_arg {
    struct physdev_eoi eoi;
    struct physdev_irq_status_query status;
    struct physdev_map_pirq map;
    struct physdev_unmap_pirq unmap;    /* the domain comes first, as in map */
    struct physdev_get_free_pirq free_pirq;
    struct physdev_pirq_eoi_gmfn eoi_page;
    struct physdev_setup_gsi gsi;
    struct physdev_irq irq;
    struct physdev_apic apic;
    struct physdev_set_iopl iopl;
    struct physdev_set_iobitmap iobitmap;
    struct physdev_manage_pci old;      /* the old calls of PCI: all begin like this */
    struct physdev_pci_device pci;      /* and the new ones like this */
    struct physdev_pci_mmcfg_reserved mmcfg;
    struct physdev_dbgp_op dbgp;
    u8 pci_add[offsetof(struct physdev_pci_device_add, optarr)];
};

/* Is there such a sub-operation, may the caller do it, and what is its argument? */
static long admit(struct vcpu *v, unsigned cmd, u64 arg, union physdev_arg *op)
{
    switch (cmd) {
#define OP_AT(nr, name, field, needs, note) \
    case nr: return domain_has(v->domain, needs) ? arg_read(v, &op->field, arg) : -EPERM;
#define NO_OP(nr, name, err, note) case nr: return -(err);
#include "ops/physdev_op.h"
    default:
        return -ENOSYS;
    }
}

/* --- PIRQs --- */

static long map_or_unmap(struct vcpu *v, u64 arg, union physdev_arg *op, bool map)
{
    int err;
    struct domain *d = domain_get_for(v, op->map.domid, &err);
    if (!d)
        return err;
    if (map)        /* where the number cannot be written it stays mapped until d's end */
        err = pirq_map(v, d, &op->map) ?: arg_write_field(v, arg, &op->map, pirq);
    else
        err = pirq_unmap(d, (u32)op->unmap.pirq);
    domain_put(d);
    return err;
}

static long get_free_pirq(struct vcpu *v, u64 arg, struct physdev_get_free_pirq *op)
{
    if (op->type != MAP_PIRQ_TYPE_MSI && op->type != MAP_PIRQ_TYPE_GSI)
        return -EINVAL;
    int nr = pirq_reserve(v->domain);
    if (nr < 0)
        return nr;
    op->pirq = (u32)nr;
    int err = arg_write_field(v, arg, op, pirq);
    if (err)
        pirq_unmap(v->domain, op->pirq);
    return err;
}

/* --- PCI --- */

static long add_device(u32 sbdf)
{
    struct pci_dev *dev;
    int err = pci_get_dev(sbdf, &dev);
    if (!err)
        WRITE_ONCE(dev->present, true);
    return err;
}

static long remove_device(u32 sbdf)
{
    struct pci_dev *dev = pci_find_dev(sbdf);
    return dev && __atomic_exchange_n(&dev->present, false, __ATOMIC_RELAXED) ? 0 : -ENODEV;
}

static long find_msix(u32 sbdf)
{
    struct pci_dev *dev = pci_find_dev(sbdf);
    return dev && dev->msix_cap ? 0 : -ENODEV;
}

static long find_mmcfg(u64 address, u16 segment)
{
    long rc = -ENODEV;
    for (unsigned i = 0; i < acpi.nr_mcfg && rc; i++) {
        if (acpi.mcfg[i].segment == segment)
            rc = acpi.mcfg[i].base == address ? 0 : -EIO;
    }
    return rc;
}

long do_physdev_op(struct vcpu *v, unsigned long *a)
{
    union physdev_arg op = { 0 };
    u64 arg = a[1];
    unsigned cmd = (unsigned)a[0];
    long err = admit(v, cmd, arg, &op);
    if (err)
        return err;
    struct domain *d = v->domain;
    /* If the argument is such a one; the old calls have the lower numbers. */
    u32 sbdf = cmd < PHYSDEVOP_pci_device_add ? pci_sbdf(0, op.old.bus, op.old.devfn)
                                              : pci_sbdf(op.pci.seg, op.pci.bus, op.pci.devfn);
    switch (cmd) {
    case PHYSDEVOP_eoi:
        return pirq_eoi(d, op.eoi.irq);
    case PHYSDEVOP_irq_status_query:
        return pirq_status(d, op.status.irq, &op.status.flags)
            ?: arg_write_field(v, arg, &op.status, flags);
    case PHYSDEVOP_map_pirq:
    case PHYSDEVOP_unmap_pirq:
        return map_or_unmap(v, arg, &op, cmd == PHYSDEVOP_map_pirq);
    case PHYSDEVOP_get_free_pirq:
        return get_free_pirq(v, arg, &op.free_pirq);
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        return pirq_set_eoi_page(d, op.eoi_page.gmfn);
    case PHYSDEVOP_setup_gsi:
        return gsi_setup((u32)op.gsi.gsi, op.gsi.triggering, op.gsi.polarity);
    case PHYSDEVOP_alloc_irq_vector:
        op.irq.vector = 0;              /* which one is Bulkhead's affair */
        return gsi_valid(op.irq.irq) ? arg_write_field(v, arg, &op.irq, vector) : -EINVAL;
    case PHYSDEVOP_apic_read:
        return ioapic_read_reg(op.apic.apic_physbase, op.apic.reg, &op.apic.value)
            ?: arg_write_field(v, arg, &op.apic, value);
    case PHYSDEVOP_set_iopl:
        if (op.iopl.iopl > 3)
            return -EINVAL;
        xv(v)->pv.iopl = (u8)op.iopl.iopl;
        return 0;
    case PHYSDEVOP_set_iobitmap:
        if (op.iobitmap.nr_ports > 65536)
            return -EINVAL;
        xv(v)->pv.iobmp = (u64)op.iobitmap.bitmap.p;
        xv(v)->pv.iobmp_limit = op.iobitmap.nr_ports;
        return 0;
    case PHYSDEVOP_manage_pci_add:
    case PHYSDEVOP_manage_pci_add_ext:
    case PHYSDEVOP_pci_device_add:
        return add_device(sbdf);
    case PHYSDEVOP_manage_pci_remove:
    case PHYSDEVOP_pci_device_remove:
        return remove_device(sbdf);
    case PHYSDEVOP_restore_msi:
    case PHYSDEVOP_restore_msi_ext:
        return pirq_restore_msi(sbdf);
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix:
        return find_msix(sbdf);
    case PHYSDEVOP_pci_mmcfg_reserved:
        return find_mmcfg(op.mmcfg.address, op.mmcfg.segment);
    default:                            /* dbgp_op: nothing to do */
        return 0;
    }
}
