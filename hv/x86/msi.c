// SPDX-License-Identifier: MIT
/*
 * Message-signalled interrupts: Bulkhead writes the address, the data and the masks of
 * a device's MSI capability or of an entry of its MSI-X table, so that a device sends
 * just the vector that was allocated for it. Guarded by irq_lock; configuration space
 * is reached with pci_lock inside. Who holds the device may overwrite all this: without
 * an IOMMU it could do as much by DMA.
 * Formats: PCI local bus 3.0, 6.8; Intel SDM vol. 3, 11.11.
 */
#include "mm.h"
#include "x86/irq.h"
#include "x86/pci.h"

#define MSI_ADDRESS     0xfee00000u     /* physical destination, no redirection hint */
#define ENTRY_SIZE      16              /* of an MSI-X entry: address, high, data, control */

/* Two pages of Bulkhead's addresses, through which an MSI-X entry is reached. */
static volatile u32 *window;

static u32 dev_read(struct pci_dev *dev, u32 reg, unsigned size)
{
    return pci_read(dev->seg, dev->bus, dev->devfn, reg, size);
}

static void dev_write(struct pci_dev *dev, u32 reg, unsigned size, u32 v)
{
    pci_write(dev->seg, dev->bus, dev->devfn, reg, size, v);
}

/* --- the MSI-X table --- */

/* Where an entry is now, whatever BAR the domain has chosen: 0; -EINVAL: no such entry;
 * -ENXIO: it cannot be reached (the device does not decode memory, or RAM is there). */
static int find_entry(const struct irq_desc *desc, paddr_t *pa)
{
    struct pci_dev *dev = desc->dev;
    u32 where = dev_read(dev, dev->msix_cap + MSIX_TABLE, 4), bar = where & 7;
    if (desc->msix_entry > (dev_read(dev, dev->msix_cap + MSIX_FLAGS, 2) & MSIX_SIZE))
        return -EINVAL;
    u32 low = bar < 6 ? dev_read(dev, PCI_BAR0 + 4 * bar, 4) : 1;       /* 1: a port, no memory */
    u64 high = (low & 7) == 4 && bar < 5 ? dev_read(dev, PCI_BAR0 + 4 * bar + 4, 4) : 0;
    u64 base = high << 32 | (low & ~0xfu);
    *pa = base + (where & ~7u) + (u64)desc->msix_entry * ENTRY_SIZE;
    return !(dev_read(dev, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) || (low & 1) || !base ||
           *pa >> cpu_has.phys_bits || mfn_valid(*pa >> PAGE_SHIFT) ||
           mfn_valid((*pa + ENTRY_SIZE - 1) >> PAGE_SHIFT) ? -ENXIO : 0;
}

/* The entry in the window, until the next call; NULL: it cannot be reached. Another CPU
 * may still have an old use of the window in its TLB: each flushes its own before use. */
static volatile u32 *map_entry(const struct irq_desc *desc)
{
    paddr_t pa;
    if (find_entry(desc, &pa))
        return NULL;
    mfn_t first = pa >> PAGE_SHIFT, last = (pa + ENTRY_SIZE - 1) >> PAGE_SHIFT;
    hv_map((u64)window, first, last - first + 1, PTE_HV_RW | PTE_CACHE_UC);     /* has its tables */
    tlb_flush_local();
    return window + (pa & ~PAGE_MASK) / sizeof(u32);
}

void msi_init(void)
{
    window = ioremap(MSI_ADDRESS, 2 * PAGE_SIZE, PTE_CACHE_UC);
    if (!window)
        panic("MSI: no memory to map the tables of devices");
}

/* --- one interrupt --- */

void msi_write(u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct pci_dev *dev = desc->dev;
    u32 address = MSI_ADDRESS | desc->apic_id << 12;
    if (desc->kind == IRQ_MSIX) {
        volatile u32 *e = map_entry(desc);
        if (!e)
            return;
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
        volatile u32 *e = map_entry(desc);
        if (!e)
            return;
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
    paddr_t pa;
    int err = dev->msix_cap ? find_entry(desc, &pa) : -ENODEV;
    if (err)
        return err;
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
