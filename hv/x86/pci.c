// SPDX-License-Identifier: MIT
/*
 * PCI configuration space: by the ports 0xcf8 and 0xcfc for segment 0, by MMCONFIG
 * for the others. pci_lock (LOCK_PCI) guards the ports and the list of devices; a bus's
 * MMCONFIG window is mapped with its first device and then needs no lock.
 */
#include "mm.h"
#include "x86/machine.h"
#include "x86/pci.h"

static spinlock_t pci_lock = SPINLOCK_INIT(LOCK_PCI);
static struct list devices = LIST_INIT(devices);
static unsigned nr_devices;
static u8 *windows[ARRAY_SIZE(acpi.mcfg)][256];     /* one bus each, mapped when needed */

#define DEVICES_MAX 4096

/* --- access --- */

/* A bus's window in the tables above; *base is where it lies. NULL: no MMCONFIG. */
static u8 **window(u16 seg, u8 bus, paddr_t *base)
{
    for (unsigned i = 0; i < acpi.nr_mcfg; i++) {
        if (acpi.mcfg[i].segment == seg && bus >= acpi.mcfg[i].bus_first &&
            bus <= acpi.mcfg[i].bus_last) {
            *base = acpi.mcfg[i].base + ((u64)bus << 20);
            return &windows[i][bus];
        }
    }
    return NULL;
}

/* Allocates, so not while a lock is held. */
static void map_window(u16 seg, u8 bus)
{
    paddr_t base;
    u8 **w = window(seg, bus, &base);
    if (w && !__atomic_load_n(w, __ATOMIC_ACQUIRE))
        __atomic_store_n(w, (u8 *)ioremap(base, MIB(1), PTE_CACHE_UC), __ATOMIC_RELEASE);
}

/* The address of a register in MMCONFIG, NULL if its bus is not mapped. */
static volatile void *mmconfig(u16 seg, u8 bus, u8 devfn, u32 reg)
{
    paddr_t base;
    u8 **w = window(seg, bus, &base);
    u8 *va = w ? __atomic_load_n(w, __ATOMIC_ACQUIRE) : NULL;
    return va ? va + ((u32)devfn << 12) + (reg & 0xfff) : NULL;
}

static void select(u8 bus, u8 devfn, u32 reg)
{
    outl(0xcf8, 0x80000000u | (u32)bus << 16 | (u32)devfn << 8 | (reg & 0xfc));
}

static void write_ports(u8 bus, u8 devfn, u32 reg, unsigned size, u32 value)
{
    u16 port = 0xcfc + (reg & 3);
    select(bus, devfn, reg);
    if (size == 1)
        outb(port, (u8)value);
    else if (size == 2)
        outw(port, (u16)value);
    else
        outl(port, value);
}

u32 pci_read(u16 seg, u8 bus, u8 devfn, u32 reg, unsigned size)
{
    u32 v = ~0u >> (32 - 8 * size);
    if (seg == 0 && reg < 256) {
        u16 port = 0xcfc + (reg & 3);
        with_lock (&pci_lock) {
            select(bus, devfn, reg);
            v = size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
        }
        return v;
    }
    volatile void *p = mmconfig(seg, bus, devfn, reg);
    if (p)
        v = size == 1 ? *(volatile u8 *)p : size == 2 ? *(volatile u16 *)p : *(volatile u32 *)p;
    return v;
}

void pci_write(u16 seg, u8 bus, u8 devfn, u32 reg, unsigned size, u32 value)
{
    if (seg == 0 && reg < 256) {
        with_lock (&pci_lock) {
            write_ports(bus, devfn, reg, size, value);
        }
        return;
    }
    volatile void *p = mmconfig(seg, bus, devfn, reg);
    if (p && size == 1)
        *(volatile u8 *)p = (u8)value;
    else if (p && size == 2)
        *(volatile u16 *)p = (u16)value;
    else if (p)
        *(volatile u32 *)p = value;
}

bool pci_seg_known(u16 seg)
{
    for (unsigned i = 0; i < acpi.nr_mcfg; i++) {
        if (acpi.mcfg[i].segment == seg)
            return true;
    }
    return seg == 0;
}

/* --- devices --- */

static struct pci_dev *find_locked(u16 seg, u8 bus, u8 devfn)
{
    struct list *p;
    list_for_each(p, &devices) {
        struct pci_dev *dev = list_entry(p, struct pci_dev, link);
        if (dev->seg == seg && dev->bus == bus && dev->devfn == devfn)
            return dev;
    }
    return NULL;
}

struct pci_dev *pci_find_dev(u16 seg, u8 bus, u8 devfn)
{
    with_lock (&pci_lock) {
        return find_locked(seg, bus, devfn);
    }
    return NULL;
}

static void find_capabilities(struct pci_dev *dev)
{
    if (!(pci_read(dev->seg, dev->bus, dev->devfn, PCI_STATUS, 2) & PCI_STATUS_CAPS))
        return;
    u8 at = (u8)pci_read(dev->seg, dev->bus, dev->devfn, PCI_CAP_POINTER, 1) & 0xfc;
    for (unsigned n = 0; at >= 0x40 && n < 48; n++) {
        u32 head = pci_read(dev->seg, dev->bus, dev->devfn, at, 2);
        if ((u8)head == PCI_CAP_MSI && at <= 0xe8) {
            u32 flags = pci_read(dev->seg, dev->bus, dev->devfn, at + MSI_FLAGS, 2);
            dev->msi_cap = at;
            dev->msi_size = 12 + (flags & MSI_64BIT ? 4 : 0) + (flags & MSI_MASKABLE ? 8 : 0);
        } else if ((u8)head == PCI_CAP_MSIX && at <= 0xf4) {
            dev->msix_cap = at;
        }
        at = (u8)(head >> 8) & 0xfc;
    }
}

struct pci_dev *pci_get_dev(u16 seg, u8 bus, u8 devfn)
{
    struct pci_dev *dev = pci_find_dev(seg, bus, devfn);
    if (dev)
        return dev;
    struct pci_dev *made = READ_ONCE(nr_devices) < DEVICES_MAX ? xzalloc_type(struct pci_dev) : NULL;
    if (!made)
        return NULL;
    if (seg)
        map_window(seg, bus);
    made->seg = seg;
    made->bus = bus;
    made->devfn = devfn;
    find_capabilities(made);
    with_lock (&pci_lock) {
        dev = find_locked(seg, bus, devfn);
        if (!dev) {
            list_add_tail(&made->link, &devices);
            nr_devices++;
            return made;
        }
    }
    xfree(made);
    return dev;
}

/* --- the hardware domain's writes --- */

/* Bytes of the doubleword at reg that a domain may not write while Bulkhead runs the
 * device's MSI: address, data, masks, and the number of messages. The enable bit is
 * the domain's own affair. Returns a mask of the bits to keep. */
static u32 kept_bits(const struct pci_dev *dev, u32 reg)
{
    u32 cap = dev->msi_cap;
    if (!dev->msi_vector || reg < cap || reg >= cap + dev->msi_size)
        return 0;
    return reg == cap ? (u32)MSI_MULTIPLE << 16 : ~0u;
}

void pci_guest_write(u8 bus, u8 devfn, u32 reg, unsigned size, u32 value)
{
    with_lock (&pci_lock) {
        struct pci_dev *dev = find_locked(0, bus, devfn);
        u32 keep = dev ? kept_bits(dev, reg & ~3u) >> (8 * (reg & 3)) : 0;
        if (keep) {
            select(bus, devfn, reg);
            u32 old = inl(0xcfc) >> (8 * (reg & 3));
            value = (value & ~keep) | (old & keep);
        }
        write_ports(bus, devfn, reg, size, value);
    }
}
