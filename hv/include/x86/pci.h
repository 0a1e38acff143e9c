/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space and the devices that the hardware domain told of
 * (x86/pci.c). pci_lock (LOCK_PCI) guards the configuration ports and the list; a
 * device's record, once made, stays until the machine ends.
 */
#pragma once

#include "types.h"

struct pci_dev {
    struct pci_dev *next;
    u32 sbdf;                   /* segment, bus, device and function: 16, 8, 8 bits */
    bool present;               /* told by PHYSDEVOP_pci_device_add, not removed since */
    bool msi_used;              /* its MSI capability sends a vector; guarded by irq_lock */
    u8 msi_cap, msix_cap, msi_size; /* offsets in configuration space, 0: none; MSI's length */
    volatile u32 *config;       /* its page of MMCONFIG, above segment 0 */
};

static inline u32 pci_sbdf(u32 seg, u8 bus, u8 devfn) { return seg << 16 | (u32)bus << 8 | devfn; }

/* Doublewords; reg < 256. */
u32 pci_read(const struct pci_dev *dev, u32 reg);
void pci_write(const struct pci_dev *dev, u32 reg, u32 value);
/* A domain's access of 1, 2 or 4 bytes by port (0xcfc..0xcff) with `address` in 0xcf8. On
 * writing, bits that would undo Bulkhead's MSI settings are kept out. */
u32 pci_guest_read(u32 address, u16 port, unsigned size);
void pci_guest_write(u32 address, u16 port, unsigned size, u32 value);
/* The record of a device, made if need be (with its capabilities found). 0; -EINVAL: no
 * way to its bus; -ENOMEM. */
int pci_get_dev(u32 sbdf, struct pci_dev **dev);
struct pci_dev *pci_find_dev(u32 sbdf);

/* Registers, by the doubleword that they lie in. */
enum { PCI_COMMAND = 0x04, PCI_BAR0 = 0x10, PCI_CAP_POINTER = 0x34 };
enum { PCI_COMMAND_MEMORY = 2, PCI_STATUS_CAPS = 0x10 << 16 };          /* in PCI_COMMAND */
enum { PCI_CAP_MSI = 0x05, PCI_CAP_MSIX = 0x11, MSIX_TABLE = 4 };       /* ids; an offset */
/* Flags, in a capability's first doubleword. */
enum { MSI_ENABLE = 1 << 16, MSI_MULTIPLE = 0x70 << 16, MSI_64BIT = 0x80 << 16,
       MSI_MASKABLE = 0x100 << 16, MSIX_MASK_ALL = 0x4000 << 16 };
#define MSIX_ENABLE         (0x8000u << 16)
#define MSIX_SIZE(head)     ((head) >> 16 & 0x7ff)
