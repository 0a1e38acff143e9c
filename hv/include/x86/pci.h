/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space and the devices that the hardware domain told of
 * (x86/pci.c). pci_lock (LOCK_PCI) guards the configuration ports and the list; a
 * device's record, once made, stays until the machine ends.
 */
#ifndef BH_X86_PCI_H
#define BH_X86_PCI_H

#include "types.h"
#include "lib.h"

struct pci_dev {
    struct list link;
    u16 seg;
    u8 bus, devfn;
    bool present;               /* told by PHYSDEVOP_pci_device_add, not removed since */
    u8 msi_cap, msix_cap;       /* offsets in configuration space, 0: none */
    u8 msi_size;                /* of the MSI capability */
    /* guarded by irq_lock (x86/msi.c) */
    u8 msi_vector;              /* the vector that its MSI capability sends, 0: none */
    u16 nr_msix;                /* MSI-X entries in use */
};

/* size 1, 2, 4 within an aligned doubleword; reg < 256 in segment 0, < 4096 elsewhere.
 * What cannot be reached (a bus above segment 0 without a pci_dev) reads all ones. */
u32 pci_read(u16 seg, u8 bus, u8 devfn, u32 reg, unsigned size);
void pci_write(u16 seg, u8 bus, u8 devfn, u32 reg, unsigned size, u32 value);
/* A domain's write: bits that would undo Bulkhead's MSI settings are kept out. */
void pci_guest_write(u8 bus, u8 devfn, u32 reg, unsigned size, u32 value);
/* The record of a device, made if need be (with its capabilities found); NULL: no memory. */
struct pci_dev *pci_get_dev(u16 seg, u8 bus, u8 devfn);
struct pci_dev *pci_find_dev(u16 seg, u8 bus, u8 devfn);
bool pci_seg_known(u16 seg);

#define PCI_COMMAND         0x04
#define PCI_COMMAND_MEMORY  2
#define PCI_STATUS          0x06
#define PCI_STATUS_CAPS     0x10
#define PCI_BAR0            0x10
#define PCI_CAP_POINTER     0x34
#define PCI_CAP_MSI         0x05
#define PCI_CAP_MSIX        0x11
#define MSI_FLAGS           2   /* offsets in the MSI capability */
#define MSI_ENABLE          0x0001
#define MSI_MULTIPLE        0x0070
#define MSI_64BIT           0x0080
#define MSI_MASKABLE        0x0100
#define MSIX_FLAGS          2   /* in the MSI-X capability */
#define MSIX_SIZE           0x07ff
#define MSIX_MASK_ALL       0x4000
#define MSIX_ENABLE         0x8000
#define MSIX_TABLE          4

#endif
