// SPDX-License-Identifier: MIT
/*
 * Message-signalled interrupts: Bulkhead writes the address, the data and the masks of
 * a device's MSI capability or of an entry of its MSI-X table, so that a device sends
 * just the vector that was allocated for it. Guarded by irq_lock; configuration space
 * is reached with pci_lock inside. Who holds the device may overwrite all this: without
 * an IOMMU it could do as much by DMA.
 * Formats: PCI local bus 3.0, 6.8; Intel SDM vol. 3, 11.11.
 */
#include "x86/irq.h"
#include "x86/pci.h"

#define MSI_ADDRESS     0xfee00000u     /* physical destination, no redirection hint */
#define ENTRY_SIZE      16              /* of an MSI-X entry: address, high, data, control */

/* Two pages of Bulkhead's addresses, through which an MSI-X entry is reached. */
static volatile u32 *window;

/* --- the MSI-X table --- */

/* Where an entry is now, whatever BAR the domain has chosen: 0; -EINVAL: no such entry;
 * -ENXIO: it cannot be reached (the device does not decode memory, or RAM is there). */
static int find_entry(const struct irq_desc *desc, paddr_t *pa)
{
    const struct pci_dev *dev = desc->dev;
    if (desc->msix_entry > MSIX_SIZE(pci_read(dev, dev->msix_cap)))
        return -EINVAL;
    u32 where = pci_read(dev, dev->msix_cap + MSIX_TABLE), bar = where & 7;
    u32 low = bar < 6 ? pci_read(dev, PCI_BAR0 + 4 * bar) : 1;          /* 1: a port, no memory */
    u64 high = (low & 7) == 4 && bar < 5 ? pci_read(dev, PCI_BAR0 + 4 * bar + 4) : 0;
    u64 base = high << 32 | (low & ~0xfu);
    *pa = base + (where & ~7u) + (u64)desc->msix_entry * ENTRY_SIZE;
    return !(pci_read(dev, PCI_COMMAND) & PCI_COMMAND_MEMORY) || (low & 1) || !base ||
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
    for (mfn_t mfn = first; mfn <= last; mfn++) {
        u64 va = (u64)window + (mfn - first) * PAGE_SIZE;
        *hv_pte(va, 1) = pte_make(mfn, PTE_HV_RW | PTE_CACHE_UC);
        tlb_flush_page_mask((cpumask_t){ 1UL << cpu_id() }, va);
    }
    return window + (pa & ~PAGE_MASK) / sizeof(u32);
}

void msi_init(void)
{
    window = ioremap(MSI_ADDRESS, 2 * PAGE_SIZE, PTE_CACHE_UC);
    if (!window)
        panic("MSI: no memory to map the tables of devices");
}

/* --- one interrupt --- */

static void write_entry(const struct irq_desc *desc, u32 address, bool enable)
{
    const struct pci_dev *dev = desc->dev;
    volatile u32 *e = map_entry(desc);
    if (!e)
        return;
    e[3] |= 1;                          /* never send half a message */
    e[0] = address;
    e[1] = 0;
    e[2] = irq_vector(desc);
    if (!desc->masked)
        e[3] &= ~1u;
    (void)e[3];                         /* posted: be sure that it has arrived */
    u32 head = pci_read(dev, dev->msix_cap);
    if (enable && !(head & MSIX_ENABLE))
        pci_write(dev, dev->msix_cap, (head | MSIX_ENABLE) & ~MSIX_MASK_ALL);
}

void msi_write(const struct irq_desc *desc, bool enable)
{
    const struct pci_dev *dev = desc->dev;
    u32 cap = dev->msi_cap, address = MSI_ADDRESS | desc->apic_id << 12;
    if (desc->kind == IRQ_MSIX) {
        write_entry(desc, address, enable);
        return;
    }
    u32 head = pci_read(dev, cap), data = cap + (head & MSI_64BIT ? 12 : 8), mask = data + 4;
    pci_write(dev, cap + 4, address);
    if (head & MSI_64BIT)
        pci_write(dev, cap + 8, 0);
    pci_write(dev, data, irq_vector(desc));
    if (head & MSI_MASKABLE)
        pci_write(dev, mask, (pci_read(dev, mask) & ~1u) | desc->masked);
    pci_write(dev, cap, (head & ~MSI_MULTIPLE) | (enable ? MSI_ENABLE : 0));
}

/* --- taking and giving back --- */

int msi_setup(struct irq_desc *desc)
{
    bool msix = desc->kind == IRQ_MSIX;
    if (!(msix ? desc->dev->msix_cap : desc->dev->msi_cap))
        return -ENODEV;
    for_each_device_irq (other) {
        if (other == desc || other->kind < IRQ_MSI || other->dev != desc->dev)
            continue;
        if (!msix || (other->kind == IRQ_MSIX && other->msix_entry == desc->msix_entry))
            return -EEXIST;
        if (other->kind == IRQ_MSI)
            return -EBUSY;
    }
    paddr_t pa;
    int err = msix ? find_entry(desc, &pa) : 0;
    if (err)
        return err;
    desc->dev->msi_used = !msix;        /* beside a vector of MSI-X there is none of MSI */
    msi_write(desc, false);
    return 0;
}

void msi_teardown(struct irq_desc *desc)
{
    struct pci_dev *dev = desc->dev;
    desc->masked = true;
    msi_write(desc, false);
    if (desc->kind == IRQ_MSI)
        pci_write(dev, dev->msi_cap, pci_read(dev, dev->msi_cap) & ~MSI_ENABLE);
    dev->msi_used = false;
}
