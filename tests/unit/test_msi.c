// SPDX-License-Identifier: MIT
/*
 * MSI and MSI-X: what is written into a device's capability and table, where the table
 * is looked for, and who may have which. Configuration space is an array of this file.
 */
#include "unit.h"
#include "../../hv/x86/msi.c"

struct acpi_info acpi;
struct cpu_features cpu_has = { .phys_bits = 40 };
struct irq_desc irq_descs[256];
static u32 config[64], table_pages[2048];
static pte_t ptes[2];
static u64 mapped_pages;
static struct pci_dev card = { .sbdf = 0x108, .msi_cap = 0x50, .msix_cap = 0x70 };

u32 pci_read(const struct pci_dev *dev, u32 reg) { (void)dev; return config[reg / 4]; }
void pci_write(const struct pci_dev *dev, u32 reg, u32 v) { (void)dev; config[reg / 4] = v; }
void *map_physical(paddr_t pa, size_t len, u64 flags) { (void)pa; (void)len; (void)flags; return table_pages; }
bool mfn_valid(mfn_t mfn) { return mfn < 0x1000; }
void tlb_flush_page_mask(cpumask_t mask, u64 va) { (void)mask; (void)va; }
pte_t *hv_pte(u64 va, unsigned level)
{
    CHECK_EQ(level, 1);
    mapped_pages = (va - (u64)table_pages) / PAGE_SIZE + 1;
    CHECK(mapped_pages <= 2);
    return &ptes[mapped_pages - 1];
}

static struct irq_desc *start(u8 vector, enum irq_kind kind, u16 entry)
{
    if (!window) {
        msi_init();
    }
    memset(config, 0, sizeof(config));
    memset(table_pages, 0xff, sizeof(table_pages));
    memset(irq_descs, 0, sizeof(irq_descs));
    card.msi_used = false;
    config[PCI_COMMAND / 4] = PCI_COMMAND_MEMORY;
    config[0x50 / 4] = 0x00707005 | MSI_64BIT | MSI_MASKABLE;
    config[0x70 / 4] = 0x00000011 | 3u << 16;           /* four entries */
    config[0x74 / 4] = 0x2ff8 | 2;                      /* at 0x2ff8 in BAR 2 */
    config[(PCI_BAR0 + 8) / 4] = 0xe0000004;
    config[(PCI_BAR0 + 12) / 4] = 0x10;
    irq_descs[vector] = (struct irq_desc){ .kind = kind, .masked = true, .apic_id = 3, .dev = &card,
                                           .msix_entry = entry };
    return &irq_descs[vector];
}

TEST(msi)
{
    struct irq_desc *desc = start(0x41, IRQ_MSI, 0);
    CHECK_EQ(msi_setup(desc), 0);
    CHECK(card.msi_used);
    CHECK_EQ(config[0x54 / 4], 0xfee03000);
    CHECK_EQ(config[0x58 / 4], 0);
    CHECK_EQ(config[0x5c / 4], 0x41);
    CHECK_EQ(config[0x60 / 4], 1);
    CHECK(!(config[0x50 / 4] & (MSI_ENABLE | MSI_MULTIPLE)));
    desc->masked = false;
    msi_write(desc, true);
    CHECK_EQ(config[0x60 / 4], 0);
    CHECK_EQ(config[0x50 / 4], 0x00007005 | MSI_64BIT | MSI_MASKABLE | MSI_ENABLE);
    irq_descs[0x42] = irq_descs[0x41];
    CHECK_EQ(msi_setup(&irq_descs[0x42]), -EEXIST);
    irq_descs[0x42].kind = IRQ_MSIX;
    CHECK_EQ(msi_setup(&irq_descs[0x42]), -EBUSY);
    msi_teardown(desc);
    CHECK_EQ(config[0x60 / 4], 1);
    CHECK(!(config[0x50 / 4] & MSI_ENABLE) && !card.msi_used);
}

TEST(msi_without_mask_or_high_address)
{
    struct irq_desc *desc = start(0x41, IRQ_MSI, 0);
    config[0x50 / 4] = 0x5;
    CHECK_EQ(msi_setup(desc), 0);
    CHECK_EQ(config[0x54 / 4], 0xfee03000);
    CHECK_EQ(config[0x58 / 4], 0x41);
    CHECK_EQ(config[0x5c / 4], 0);
    CHECK_EQ(config[0x60 / 4], 0);
}

TEST(msix)
{
    struct irq_desc *desc = start(0x51, IRQ_MSIX, 1);
    u32 *e = &table_pages[0x8 / 4];                     /* 0x2ff8 + 16: in the next page */
    CHECK_EQ(msi_setup(desc), 0);
    CHECK_EQ(pte_mfn(ptes[0]), 0x10e0003);
    CHECK_EQ(mapped_pages, 1);
    CHECK(e[0] == 0xfee03000 && e[1] == 0 && e[2] == 0x51 && (e[3] & 1));
    CHECK(!(config[0x70 / 4] & MSIX_ENABLE));
    desc->masked = false;
    msi_write(desc, true);
    CHECK(!(e[3] & 1) && (config[0x70 / 4] & MSIX_ENABLE));
    irq_descs[0x52] = irq_descs[0x51];
    CHECK_EQ(msi_setup(&irq_descs[0x52]), -EEXIST);
    irq_descs[0x52].msix_entry = 0;
    CHECK_EQ(msi_setup(&irq_descs[0x52]), 0);           /* across two pages */
    CHECK_EQ(pte_mfn(ptes[0]), 0x10e0002);
    CHECK_EQ(mapped_pages, 2);
    irq_descs[0x53] = (struct irq_desc){ .kind = IRQ_MSI, .dev = &card };
    CHECK_EQ(msi_setup(&irq_descs[0x53]), -EEXIST);
    config[(PCI_BAR0 + 8) / 4] = 0xd0000004;            /* the BAR moves: so does the table */
    msi_teardown(desc);
    CHECK_EQ(pte_mfn(ptes[0]), 0x10d0003);
    CHECK(e[3] & 1);
}

TEST(msix_out_of_reach)
{
    struct irq_desc *desc = start(0x51, IRQ_MSIX, 4);
    CHECK_EQ(msi_setup(desc), -EINVAL);
    desc->msix_entry = 3;
    CHECK_EQ(msi_setup(desc), 0);
    ptes[0] = 0;
    config[PCI_COMMAND / 4] = 0;
    CHECK_EQ(msi_setup(desc), -ENXIO);
    msi_write(desc, true);
    config[PCI_COMMAND / 4] = PCI_COMMAND_MEMORY;
    config[(PCI_BAR0 + 12) / 4] = 0;
    config[(PCI_BAR0 + 8) / 4] = 0x00ff0000;            /* RAM */
    CHECK_EQ(msi_setup(desc), -ENXIO);
    config[(PCI_BAR0 + 8) / 4] = 0xe001;                /* ports */
    CHECK_EQ(msi_setup(desc), -ENXIO);
    config[(PCI_BAR0 + 8) / 4] = 4;                     /* not assigned */
    CHECK_EQ(msi_setup(desc), -ENXIO);
    config[(PCI_BAR0 + 12) / 4] = 0x100;                /* beyond the CPU's addresses */
    CHECK_EQ(msi_setup(desc), -ENXIO);
    config[0x74 / 4] = 7;                               /* no such BAR */
    CHECK_EQ(msi_setup(desc), -ENXIO);
    CHECK_EQ(pte_mfn(ptes[0]), 0);
    card.msix_cap = 0;
    CHECK_EQ(msi_setup(desc), -ENODEV);
    card.msix_cap = 0x70;
}
