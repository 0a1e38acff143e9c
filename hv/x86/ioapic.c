// SPDX-License-Identifier: MIT
/*
 * IO-APICs: their pins are the GSIs, the interrupt lines of ISA and PCI (INTx). Owns
 * the table of GSIs and the redirection entries, guarded by irq_lock. A pin is open
 * only while somebody is bound to it. Also puts the old PIC to rest.
 */
#include "x86/irq.h"

enum { IOREGSEL = 0, IOWIN = 4 };       /* in u32 */
enum { REG_VERSION = 1, REG_RTE = 0x10 };
enum { RTE_LOW = 1 << 13, RTE_LEVEL = 1 << 15, RTE_MASKED = 1 << 16 };

static volatile u32 *ioapics[ARRAY_SIZE(acpi.ioapic)];      /* NULL: it does not answer */
struct gsi gsis[GSI_MAX];
u32 nr_gsis;

static u32 io_read(volatile u32 *ioapic, u32 reg)
{
    ioapic[IOREGSEL] = reg;
    return ioapic[IOWIN];
}

static void io_write(volatile u32 *ioapic, u32 reg, u32 v)
{
    ioapic[IOREGSEL] = reg;
    ioapic[IOWIN] = v;
}

static u32 pins_of(volatile u32 *ioapic)
{
    return ((io_read(ioapic, REG_VERSION) >> 16) & 0xff) + 1;
}

bool gsi_valid(u32 gsi)
{
    return gsi < nr_gsis && gsis[index_nospec(gsi, GSI_MAX)].ioapic;
}

/* --- redirection entries --- */

static void write_low(struct gsi *g, u32 v)
{
    if (g->rte != v) {
        g->rte = v;
        io_write(g->ioapic, REG_RTE + 2 * g->pin, v);
    }
}

void ioapic_write(const struct irq_desc *desc)
{
    struct gsi *g = &gsis[desc->gsi];
    if (g->dest != desc->apic_id) {
        write_low(g, g->rte | RTE_MASKED);      /* never open with half an entry */
        g->dest = desc->apic_id;
        io_write(g->ioapic, REG_RTE + 2 * g->pin + 1, g->dest << 24);
    }
    write_low(g, irq_vector(desc) | (g->low ? RTE_LOW : 0) | (g->level ? RTE_LEVEL : 0) |
                 (desc->masked ? RTE_MASKED : 0));
}

/* --- what the hardware domain may say and see --- */

int gsi_setup(u32 gsi, bool level, bool active_low)
{
    if (!gsi_valid(gsi))
        return -EINVAL;
    struct gsi *g = &gsis[index_nospec(gsi, nr_gsis)];
    with_lock (&irq_lock) {
        if (g->configured || g->ours || g->vector)
            return g->configured || g->ours ? -EEXIST : -EBUSY;
        g->configured = true;
        g->level = level;
        g->low = active_low;
    }
    return 0;
}

int ioapic_read_reg(paddr_t base, u32 reg, u32 *value)
{
    unsigned i = 0;
    while (i < acpi.nr_ioapics && (!ioapics[i] || acpi.ioapic[i].addr != base))
        i++;
    if (i == acpi.nr_ioapics)
        return -EINVAL;
    with_lock (&irq_lock) {
        if (reg > 3 && (reg < REG_RTE || reg >= REG_RTE + 2 * pins_of(ioapics[i])))
            return -EINVAL;
        *value = io_read(ioapics[i], reg);
    }
    return 0;
}

/* --- start --- */

static void add_ioapic(unsigned i)
{
    u32 base = acpi.ioapic[i].gsi_base;
    volatile u32 *ioapic = ioremap(acpi.ioapic[i].addr, PAGE_SIZE, PTE_CACHE_UC);
    if (!ioapic)
        panic("IO-APIC: no memory to map it");
    u32 pins = pins_of(ioapic);
    if (io_read(ioapic, REG_VERSION) == ~0u || base >= GSI_MAX || pins > GSI_MAX - base) {
        printk(LOG_WARN, "IO-APIC at %#lx with GSI %u does not answer or does not fit: ignored\n",
               acpi.ioapic[i].addr, base);
        return;
    }
    for (u32 pin = 0; pin < pins; pin++) {
        /* The bus's own habit, until somebody knows better: ISA edge, high; PCI level, low. */
        bool pci = base + pin >= 16;
        struct gsi *g = &gsis[base + pin];
        *g = (struct gsi){ .ioapic = ioapic, .pin = (u8)pin, .level = pci, .low = pci };
        write_low(g, RTE_MASKED);
        io_write(ioapic, REG_RTE + 2 * pin + 1, 0);
    }
    ioapics[i] = ioapic;
    nr_gsis = MAX(nr_gsis, base + pins);
    printk(LOG_INFO, "IO-APIC at %#lx: GSI %u to %u\n", acpi.ioapic[i].addr, base, base + pins - 1);
}

u32 isa_irq_to_gsi(u8 irq)
{
    for (unsigned i = 0; i < acpi.nr_isos; i++) {
        if (acpi.iso[i].irq == irq)
            return acpi.iso[i].gsi;
    }
    return irq;
}

void ioapic_init(void)
{
    outb(0x21, 0xff);           /* the PIC's pins; no LAPIC takes its interrupt, either */
    outb(0xa1, 0xff);
    for (unsigned i = 0; i < acpi.nr_ioapics; i++)
        add_ioapic(i);
    for (unsigned i = 0; i < acpi.nr_isos; i++)
        gsi_setup(acpi.iso[i].gsi, acpi.iso[i].level, acpi.iso[i].active_low);
    if (gsi_valid(isa_irq_to_gsi(0)))           /* the PIT's */
        gsis[isa_irq_to_gsi(0)].ours = true;
}
