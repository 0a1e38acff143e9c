// SPDX-License-Identifier: MIT
/*
 * Message-signalled interrupts: Bulkhead writes the address, the data and the masks of
 * a device's MSI capability or of an entry of its MSI-X table, so that a device sends
 * just the vector that was allocated for it. Guarded by irq_lock; configuration space
 * is reached with pci_lock inside; what allocates (msix_prepare) comes before. Who
 * holds the device may overwrite all this: without an IOMMU it could do as much by DMA.
 * Formats: PCI local bus 3.0, 6.8; Intel SDM vol. 3, 11.11.
 */
#include "mm.h"
#include "x86/irq.h"
#include "x86/pci.h"

#define MSI_ADDRESS     0xfee00000u     /* physical destination, no redirection hint */
#define ENTRY_WORDS     4               /* of an MSI-X entry: address, high, data, control */

static u32 dev_read(struct pci_dev *dev, u32 reg, unsigned size)
{
    return pci_read(dev->seg, dev->bus, dev->devfn, reg, size);
}

static void dev_write(struct pci_dev *dev, u32 reg, unsigned size, u32 v)
{
    pci_write(dev->seg, dev->bus, dev->devfn, reg, size, v);
}

static volatile u32 *entry_of(const struct irq_desc *desc)
{
    return desc->dev->msix_table + (u32)desc->msix_entry * ENTRY_WORDS;
}

/* The table can be reached only while the device decodes memory. */
static bool table_reachable(struct pci_dev *dev)
{
    return dev_read(dev, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
}

/* --- one interrupt --- */

void msi_write(u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct pci_dev *dev = desc->dev;
    u32 address = MSI_ADDRESS | desc->apic_id << 12;
    if (desc->kind == IRQ_MSIX) {
        if (!table_reachable(dev))
            return;
        volatile u32 *e = entry_of(desc);
        e[3] |= 1;                      /* never send half a message */
        e[0] = address;
        e[1] = 0;
        e[2] = vector;
        if (!desc->masked)
            e[3] &= ~1u;
        return;
    }
    u8 cap = dev->msi_cap;
    u32 flags = dev_read(dev, cap + MSI_FLAGS, 2);
    bool wide = flags & MSI_64BIT;
    dev_write(dev, cap + 4, 4, address);
    if (wide)
        dev_write(dev, cap + 8, 4, 0);
    dev_write(dev, cap + (wide ? 12 : 8), 2, vector);
    if (flags & MSI_MULTIPLE)
        dev_write(dev, cap + MSI_FLAGS, 2, flags & ~(u32)MSI_MULTIPLE);
}

void msi_mask(u8 vector, bool masked)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct pci_dev *dev = desc->dev;
    if (desc->kind == IRQ_MSIX) {
        u32 flags = dev_read(dev, dev->msix_cap + MSIX_FLAGS, 2);
        if (!table_reachable(dev))
            return;
        volatile u32 *e = entry_of(desc);
        e[3] = masked ? e[3] | 1 : e[3] & ~1u;
        (void)e[3];                     /* posted: be sure that it has arrived */
        if (!masked && !(flags & MSIX_ENABLE)) {
            dev_write(dev, dev->msix_cap + MSIX_FLAGS, 2,
                      (flags | MSIX_ENABLE) & ~(u32)MSIX_MASK_ALL);
        }
        return;
    }
    u8 cap = dev->msi_cap;
    u32 flags = dev_read(dev, cap + MSI_FLAGS, 2);
    if (flags & MSI_MASKABLE) {
        u32 at = cap + (flags & MSI_64BIT ? 16 : 12);
        u32 bits = dev_read(dev, at, 4);
        dev_write(dev, at, 4, masked ? bits | 1 : bits & ~1u);
    }
    if (!masked && !(flags & MSI_ENABLE))
        dev_write(dev, cap + MSI_FLAGS, 2, flags | MSI_ENABLE);
}

/* --- the MSI-X table --- */

static paddr_t bar_address(struct pci_dev *dev, u32 index)
{
    u32 low = dev_read(dev, PCI_BAR0 + 4 * index, 4);
    if (low & 1)
        return 0;
    u64 high = (low & 6) == 4 && index < 5 ? dev_read(dev, PCI_BAR0 + 4 * index + 4, 4) : 0;
    return (high << 32) | (low & ~0xfu);
}

static bool span_has_ram(paddr_t pa, u64 len)
{
    for (mfn_t m = pa >> PAGE_SHIFT; m <= (pa + len - 1) >> PAGE_SHIFT; m++) {
        if (mfn_valid(m))
            return true;
    }
    return false;
}

/* Where the device's table is now: 0, or -ENXIO when it cannot be reached. */
static int find_table(struct pci_dev *dev, paddr_t *pa, u32 *entries)
{
    u32 where = dev_read(dev, dev->msix_cap + MSIX_TABLE, 4);
    paddr_t bar = (where & 7) < 6 ? bar_address(dev, where & 7) : 0;
    *entries = (dev_read(dev, dev->msix_cap + MSIX_FLAGS, 2) & MSIX_SIZE) + 1;
    *pa = bar + (where & ~7u);
    u64 len = (u64)*entries * ENTRY_WORDS * 4;
    return !bar || !table_reachable(dev) || *pa >> cpu_has.phys_bits || span_has_ram(*pa, len)
           ? -ENXIO : 0;
}

int msix_prepare(struct pci_dev *dev)
{
    paddr_t pa;
    u32 entries;
    if (!dev->msix_cap)
        return -ENODEV;
    int err = find_table(dev, &pa, &entries);
    if (err)
        return err;
    if (READ_ONCE(dev->msix_table) && READ_ONCE(dev->msix_pa) == pa)
        return 0;
    u64 len = (u64)entries * ENTRY_WORDS * 4;
    void *va = ioremap(pa, len, PTE_CACHE_UC);
    if (!va)
        return -ENOMEM;
    with_lock (&irq_lock) {
        if (dev->nr_msix) {
            return -EBUSY;              /* it moved under entries in use */
        }
        dev->msix_table = va;
        dev->msix_pa = pa;
        dev->msix_entries = (u16)entries;
    }
    return 0;
}

/* --- taking and giving back --- */

int msi_setup(u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct pci_dev *dev = desc->dev;
    if (desc->kind == IRQ_MSI) {
        if (!dev->msi_cap)
            return -ENODEV;
        if (dev->msi_vector || dev->nr_msix)
            return -EEXIST;
        dev->msi_vector = vector;
        msi_write(vector);
        msi_mask(vector, true);
        return 0;
    }
    if (dev->msi_vector)
        return -EBUSY;
    if (!dev->msix_table || desc->msix_entry >= dev->msix_entries)
        return -EINVAL;
    for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
        if (v != vector && irq_descs[v].kind == IRQ_MSIX && irq_descs[v].dev == dev &&
            irq_descs[v].msix_entry == desc->msix_entry) {
            return -EEXIST;
        }
    }
    dev->nr_msix++;
    msi_write(vector);
    return 0;
}

void msi_teardown(u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct pci_dev *dev = desc->dev;
    msi_mask(vector, true);
    if (desc->kind == IRQ_MSIX) {
        dev->nr_msix--;
        return;
    }
    u32 flags = dev_read(dev, dev->msi_cap + MSI_FLAGS, 2);
    dev_write(dev, dev->msi_cap + MSI_FLAGS, 2, flags & ~(u32)MSI_ENABLE);
    dev->msi_vector = 0;
}
