// SPDX-License-Identifier: MIT
/*
 * PCI configuration space: by the ports 0xcf8 and 0xcfc for segment 0, by MMCONFIG
 * for the others, whose devices have their page mapped with their record. pci_lock
 * (LOCK_PCI) guards the ports and the list of devices.
 */
#include "x86/machine.h"
#include "x86/pci.h"

static spinlock_t pci_lock = SPINLOCK_INIT(LOCK_PCI);
static struct pci_dev *devices;
static unsigned nr_devices;

#define DEVICES_MAX 4096

/* --- access --- */

u32 pci_guest_read(u32 address, u16 port, unsigned size)
{
    spin_lock(&pci_lock);
    outl(0xcf8, address);
    u32 v = port_in(port, size);
    spin_unlock(&pci_lock);
    return v;
}

/* What 0xcf8 holds for a register. */
static u32 address_of(const struct pci_dev *dev, u32 reg)
{
    return 0x80000000u | dev->sbdf << 8 | reg;
}

u32 pci_read(const struct pci_dev *dev, u32 reg)
{
    return dev->config ? dev->config[reg / 4] : pci_guest_read(address_of(dev, reg), 0xcfc, 4);
}

void pci_write(const struct pci_dev *dev, u32 reg, u32 value)
{
    if (dev->config) {
        dev->config[reg / 4] = value;
        return;
    }
    with_lock (&pci_lock) {
        outl(0xcf8, address_of(dev, reg));
        outl(0xcfc, value);
    }
}

/* --- devices --- */

static struct pci_dev *find_locked(u32 sbdf)
{
    struct pci_dev *dev = devices;
    while (dev && dev->sbdf != sbdf)
        dev = dev->next;
    return dev;
}

struct pci_dev *pci_find_dev(u32 sbdf)
{
    spin_lock(&pci_lock);
    struct pci_dev *dev = find_locked(sbdf);
    spin_unlock(&pci_lock);
    return dev;
}

static void find_capabilities(struct pci_dev *dev)
{
    if (!(pci_read(dev, PCI_COMMAND) & PCI_STATUS_CAPS))
        return;
    u8 at = pci_read(dev, PCI_CAP_POINTER) & 0xfc;
    for (unsigned n = 0; at >= 0x40 && n < 48; n++) {
        u32 head = pci_read(dev, at);
        if ((u8)head == PCI_CAP_MSI && at <= 0xe8) {
            dev->msi_cap = at;
            dev->msi_size = 12 + (head & MSI_64BIT ? 4 : 0) + (head & MSI_MASKABLE ? 8 : 0);
        } else if ((u8)head == PCI_CAP_MSIX && at <= 0xf4) {
            dev->msix_cap = at;
        }
        at = (u8)(head >> 8) & 0xfc;
    }
}

/* Where a device above segment 0 has its page; 0: nowhere. */
static paddr_t mmconfig(u32 sbdf)
{
    u8 bus = (u8)(sbdf >> 8);
    for (unsigned i = 0; i < acpi.nr_mcfg; i++) {
        const struct acpi_mcfg *m = &acpi.mcfg[i];
        if (m->segment == sbdf >> 16 && bus >= m->bus_first && bus <= m->bus_last)
            return m->base + ((u64)(sbdf & 0xffff) << PAGE_SHIFT);
    }
    return 0;
}

int pci_get_dev(u32 sbdf, struct pci_dev **dev)
{
    paddr_t config = sbdf >> 16 ? mmconfig(sbdf) : 0;
    if (sbdf >> 16 && !config)
        return -EINVAL;
    *dev = pci_find_dev(sbdf);
    if (*dev)
        return 0;
    bool room = READ_ONCE(nr_devices) < DEVICES_MAX;
    struct pci_dev *made = room ? xzalloc_type(struct pci_dev) : NULL;
    if (made && config)
        made->config = ioremap(config, PAGE_SIZE, PTE_CACHE_UC);
    if (!made || (config && !made->config)) {
        xfree(made);
        return -ENOMEM;
    }
    made->sbdf = sbdf;
    find_capabilities(made);
    with_lock (&pci_lock) {
        *dev = find_locked(sbdf);
        if (!*dev) {
            made->next = devices;
            *dev = devices = made;
            nr_devices++;
            return 0;
        }
    }
    xfree(made);                        /* another vCPU was first */
    return 0;
}

/* --- the hardware domain's accesses --- */

/* Bits of the doubleword at reg that a domain may not write while Bulkhead runs the
 * device's MSI: address, data, masks, and the number of messages. The enable bit is
 * the domain's own affair. */
static u32 kept_bits(const struct pci_dev *dev, u32 reg)
{
    u32 cap = dev->msi_cap;
    if (!dev->msi_used || reg < cap || reg >= cap + dev->msi_size)
        return 0;
    return reg == cap ? MSI_MULTIPLE : ~0u;
}

void pci_guest_write(u32 address, u16 port, unsigned size, u32 value)
{
    unsigned shift = 8 * (port & 3);
    with_lock (&pci_lock) {
        struct pci_dev *dev = find_locked(address >> 8 & 0xffff);
        u32 keep = dev ? kept_bits(dev, address & 0xfc) >> shift : 0;
        outl(0xcf8, address);
        if (keep)
            value = (value & ~keep) | (inl(0xcfc) >> shift & keep);
        port_out(port, size, value);
    }
}
