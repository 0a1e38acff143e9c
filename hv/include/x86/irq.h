/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices between their sources (x86/ioapic.c, x86/msi.c) and the
 * domains that hold them (x86/irq.c, x86/pirq.c). All of it is guarded by irq_lock
 * (LOCK_IRQ) unless a line says otherwise.
 */
#pragma once

#include "domain.h"
#include "x86/machine.h"

#define IRQ_GUESTS_MAX 4            /* domains that may share one level-triggered GSI */

enum irq_kind { IRQ_FREE, IRQ_GSI, IRQ_MSI, IRQ_MSIX };

/* Who gets an interrupt. */
struct irq_guest {
    struct domain *d;
    u32 pirq, port;
    bool shares, eoi_pending;       /* pending (level): fired and not yet ended by this guest */
};

/* One interrupt; its index in irq_descs is its vector. What the source of a device's
 * interrupt sends follows from this record: ioapic_write, msi_write. */
struct irq_desc {
    u8 kind;                        /* enum irq_kind */
    bool level, masked;
    u8 nr_guests, nr_pending;
    u16 msix_entry;                 /* IRQ_MSIX */
    u32 gsi, apic_id;               /* IRQ_GSI; where it is sent */
    struct pci_dev *dev;            /* IRQ_MSI, IRQ_MSIX */
    u64 count;
    struct irq_guest guest[IRQ_GUESTS_MAX];
};

extern spinlock_t irq_lock;
extern struct irq_desc irq_descs[256];
static inline u8 irq_vector(const struct irq_desc *desc) { return (u8)(desc - irq_descs); }
// NOLINTBEGIN(bugprone-macro-parentheses): desc is declared
#define for_each_device_irq(desc)                                       \
    for (struct irq_desc *desc = &irq_descs[VEC_DEVICE_FIRST];          \
         desc <= &irq_descs[VEC_DEVICE_LAST]; desc++)
// NOLINTEND(bugprone-macro-parentheses)

/* A free one, made `kind`, sent to CPU `cpu`, masked; NULL: none is left. */
struct irq_desc *irq_alloc(enum irq_kind kind, unsigned cpu);
void irq_set_masked(struct irq_desc *desc, bool masked);
void irq_set_cpu(struct irq_desc *desc, unsigned cpu);

/* --- x86/ioapic.c: GSIs --- */
#define GSI_MAX 1024
struct gsi {
    volatile u32 *ioapic;           /* NULL: there is no such GSI */
    u8 pin, vector;                 /* vector 0: no domain is bound to it */
    bool configured, level, low;    /* trigger and polarity, and whether they are known for sure */
    bool ours;                      /* Bulkhead's own: serial port, PIT */
    u32 rte, dest;                  /* the redirection entry as last written */
};
extern struct gsi gsis[GSI_MAX];
extern u32 nr_gsis;                 /* constant after ioapic_init */
bool gsi_valid(u32 gsi);
/* Without irq_lock: PHYSDEVOP_setup_gsi. 0, -EINVAL; -EEXIST when trigger and polarity
 * are known (firmware, an earlier call); -EBUSY in use. */
int gsi_setup(u32 gsi, bool level, bool active_low);
void ioapic_write(const struct irq_desc *desc);
/* Without irq_lock: PHYSDEVOP_apic_read, a register of the IO-APIC at machine address
 * base. 0, -ENODEV, -EINVAL. */
int ioapic_read_reg(paddr_t base, u32 reg, u32 *value);

/* --- x86/msi.c --- */
/* Takes the device's capability or entry for desc (kind, dev, msix_entry set; masked).
 * 0; -ENODEV: it has no such thing; -EEXIST, -EBUSY: in use; -EINVAL, -ENXIO: no such
 * entry, out of reach. */
int msi_setup(struct irq_desc *desc);
void msi_teardown(struct irq_desc *desc);
/* enable: the capability too, which is the domain's own affair while nothing is unmasked. */
void msi_write(const struct irq_desc *desc, bool enable);

/* --- x86/pirq.c, called by physdev.c without irq_lock --- */
struct physdev_map_pirq;
int pirq_map(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m);
int pirq_unmap(struct domain *d, u32 nr);
int pirq_status(struct domain *d, u32 nr, u32 *flags);
int pirq_reserve(struct domain *d);         /* its number, or -errno */
int pirq_set_eoi_page(struct domain *d, u64 gfn);
int pirq_restore_msi(u32 sbdf);
