// SPDX-License-Identifier: MIT
/*
 * IO-APICs: their pins are the GSIs, the interrupt lines of ISA and PCI (INTx). Owns
 * the table of GSIs and the redirection entries, guarded by irq_lock. A pin is open
 * only while somebody is bound to it. Also puts the old PIC to rest.
 */
#include "x86/irq.h"

#define IOREGSEL    0
#define IOWIN       4           /* in u32 */
#define REG_VERSION 1
#define REG_RTE     0x10
#define RTE_LOW     (1u << 13)
#define RTE_LEVEL   (1u << 15)
#define RTE_MASKED  (1u << 16)

struct ioapic {
    volatile u32 *mmio;
    paddr_t addr;
    u32 gsi_base, pins;
};

struct gsi {
    bool exists, configured, level, low, ours;
    u8 ioapic, pin, vector;
    u32 rte;                    /* low word as last written */
};

static struct ioapic ioapics[ARRAY_SIZE(acpi.ioapic)];
static unsigned nr_ioapics;
static struct gsi gsis[GSI_MAX];
u32 nr_gsis;

static u32 io_read(struct ioapic *a, u32 reg)
{
    a->mmio[IOREGSEL] = reg;
    return a->mmio[IOWIN];
}

static void io_write(struct ioapic *a, u32 reg, u32 v)
{
    a->mmio[IOREGSEL] = reg;
    a->mmio[IOWIN] = v;
}

static void write_rte_low(struct gsi *g, u32 v)
{
    if (g->rte != v) {
        g->rte = v;
        io_write(&ioapics[g->ioapic], REG_RTE + 2 * g->pin, v);
    }
}

bool gsi_valid(u32 gsi)
{
    return gsi < nr_gsis && gsis[index_nospec(gsi, GSI_MAX)].exists;
}

u8 gsi_vector(u32 gsi)
{
    return gsis[gsi].vector;
}

void gsi_set_vector(u32 gsi, u8 vector)
{
    gsis[gsi].vector = vector;
}

bool gsi_is_ours(u32 gsi)
{
    return gsis[gsi].ours;
}

void gsi_set_ours(u32 gsi)
{
    gsis[gsi].ours = true;
}

bool gsi_level(u32 gsi)
{
    return gsis[gsi].level;
}

int gsi_setup(u32 gsi, bool level, bool active_low)
{
    struct gsi *g = &gsis[gsi];
    if (g->configured || g->ours)
        return -EEXIST;
    if (g->vector && irq_descs[g->vector].nr_guests)
        return -EBUSY;
    g->configured = true;
    g->level = level;
    g->low = active_low;
    return 0;
}

/* --- redirection entries --- */

void ioapic_route(u32 gsi, u8 vector, u32 apic_id, bool masked)
{
    struct gsi *g = &gsis[gsi];
    write_rte_low(g, g->rte | RTE_MASKED);      /* never open with half an entry */
    io_write(&ioapics[g->ioapic], REG_RTE + 2 * g->pin + 1, apic_id << 24);
    write_rte_low(g, vector | (g->low ? RTE_LOW : 0) | (g->level ? RTE_LEVEL : 0) |
                     (masked ? RTE_MASKED : 0));
}

void ioapic_mask(u32 gsi)
{
    write_rte_low(&gsis[gsi], gsis[gsi].rte | RTE_MASKED);
}

void ioapic_unmask(u32 gsi)
{
    write_rte_low(&gsis[gsi], gsis[gsi].rte & ~RTE_MASKED);
}

/* --- what the hardware domain may see --- */

int ioapic_read_reg(paddr_t base, u32 reg, u32 *value)
{
    for (unsigned i = 0; i < nr_ioapics; i++) {
        struct ioapic *a = &ioapics[i];
        if (a->addr == base) {
            if (reg > 3 && (reg < REG_RTE || reg >= REG_RTE + 2 * a->pins))
                return -EINVAL;
            *value = io_read(a, reg);
            return 0;
        }
    }
    return -ENODEV;
}

/* --- start --- */

/* Programs the PIC once, to vectors that nobody uses, with everything masked. */
static void pic_disable(void)
{
    static const struct { u16 port; u8 value; } seq[] = {
        { 0x21, 0xff }, { 0xa1, 0xff }, { 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 },
        { 0xa1, 0x28 }, { 0x21, 0x04 }, { 0xa1, 0x02 }, { 0x21, 0x01 }, { 0xa1, 0x01 },
        { 0x21, 0xff }, { 0xa1, 0xff },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(seq); i++)
        outb(seq[i].port, seq[i].value);
}

static void add_ioapic(unsigned i)
{
    struct ioapic *a = &ioapics[nr_ioapics];
    a->addr = acpi.ioapic[i].addr;
    a->gsi_base = acpi.ioapic[i].gsi_base;
    a->mmio = ioremap(a->addr, PAGE_SIZE, PTE_CACHE_UC);
    if (!a->mmio)
        panic("IO-APIC: no memory to map it");
    u32 version = io_read(a, REG_VERSION);
    a->pins = ((version >> 16) & 0xff) + 1;
    if (version == ~0u || a->gsi_base >= GSI_MAX || a->pins > GSI_MAX - a->gsi_base) {
        printk(LOG_WARN, "IO-APIC at %#llx with GSI %u does not answer or does not fit: ignored\n",
               (unsigned long long)a->addr, a->gsi_base);
        return;
    }
    for (u32 pin = 0; pin < a->pins; pin++) {
        struct gsi *g = &gsis[a->gsi_base + pin];
        g->exists = true;
        g->ioapic = (u8)nr_ioapics;
        g->pin = (u8)pin;
        /* The bus's own habit, until somebody knows better: ISA edge and high, PCI level and low. */
        g->level = g->low = a->gsi_base + pin >= 16;
        write_rte_low(g, RTE_MASKED);
    }
    nr_gsis = MAX(nr_gsis, a->gsi_base + a->pins);
    nr_ioapics++;
    printk(LOG_INFO, "IO-APIC at %#llx: GSI %u to %u\n", (unsigned long long)a->addr,
           a->gsi_base, a->gsi_base + a->pins - 1);
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
    pic_disable();
    for (unsigned i = 0; i < acpi.nr_ioapics; i++)
        add_ioapic(i);
    for (unsigned i = 0; i < acpi.nr_isos; i++) {
        if (gsi_valid(acpi.iso[i].gsi)) {
            struct gsi *g = &gsis[acpi.iso[i].gsi];
            g->level = acpi.iso[i].level;
            g->low = acpi.iso[i].active_low;
            g->configured = true;
        }
    }
    u32 pit = isa_irq_to_gsi(0);
    if (gsi_valid(pit))
        gsi_set_ours(pit);
}
