/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices between their sources (x86/ioapic.c, x86/msi.c) and the
 * domains that hold them (x86/irq.c, x86/pirq.c). All of it is guarded by irq_lock
 * (LOCK_IRQ) unless a line says otherwise.
 */
#ifndef BH_X86_IRQ_H
#define BH_X86_IRQ_H

#include "domain.h"
#include "x86/machine.h"

struct pci_dev;

#define IRQ_GUESTS_MAX 4            /* domains that may share one level-triggered GSI */

enum irq_kind { IRQ_FREE, IRQ_GSI, IRQ_MSI, IRQ_MSIX };

/* Who gets an interrupt. */
struct irq_guest {
    struct domain *d;
    u32 pirq, port;
    bool shares;
    bool eoi_pending;               /* level: fired and not yet ended by this guest */
};

/* One device interrupt; its index in irq_descs is its vector. */
struct irq_desc {
    u8 kind;                        /* enum irq_kind */
    bool level;
    u8 nr_guests, nr_pending;
    u32 gsi;                        /* IRQ_GSI */
    u32 apic_id;                    /* where it is sent */
    u16 msix_entry;                 /* IRQ_MSIX */
    bool masked;
    struct pci_dev *dev;            /* IRQ_MSI, IRQ_MSIX */
    u64 count;
    struct irq_guest guest[IRQ_GUESTS_MAX];
};

extern spinlock_t irq_lock;
extern struct irq_desc irq_descs[256];

/* A free vector, made `kind`, sent to CPU `cpu`, masked; 0: none is left. */
u8 irq_alloc_vector(enum irq_kind kind, unsigned cpu);
void irq_free_vector(u8 vector);    /* masked before, without guests */
u32 irq_cpu_dest(unsigned cpu);     /* APIC id that a device can reach */
void irq_mask(u8 vector);
void irq_unmask(u8 vector);
void irq_set_cpu(u8 vector, unsigned cpu);
/* Guest g has ended its interrupt: opens the pin when all who share have. */
void irq_guest_eoi(u8 vector, struct irq_guest *g);
struct irq_guest *irq_find_guest(u8 vector, const struct domain *d);

/* --- x86/ioapic.c: GSIs --- */
#define GSI_MAX 1024
extern u32 nr_gsis;                 /* constant after ioapic_init */
bool gsi_valid(u32 gsi);
u8 gsi_vector(u32 gsi);             /* 0: none yet */
void gsi_set_vector(u32 gsi, u8 vector);
bool gsi_is_ours(u32 gsi);          /* Bulkhead's own: serial port, PIT */
void gsi_set_ours(u32 gsi);
bool gsi_level(u32 gsi);
/* Trigger and polarity from the hardware domain: 0, or -EEXIST when they are known
 * (firmware, an earlier call), -EBUSY in use. */
int gsi_setup(u32 gsi, bool level, bool active_low);
void ioapic_route(u32 gsi, u8 vector, u32 apic_id, bool masked);
void ioapic_mask(u32 gsi);
void ioapic_unmask(u32 gsi);
/* PHYSDEVOP_apic_read: register of the IO-APIC at machine address base. 0, -ENODEV, -EINVAL. */
int ioapic_read_reg(paddr_t base, u32 reg, u32 *value);

/* --- x86/msi.c --- */
/* Prepares desc (kind, dev, msix_entry set) and programs it masked. 0 or -errno. */
int msi_setup(u8 vector);
void msi_teardown(u8 vector);
void msi_mask(u8 vector, bool masked);
void msi_write(u8 vector);          /* address and data again (affinity, restore) */

/* --- x86/pirq.c, called by physdev.c --- */
struct physdev_map_pirq;
int pirq_map(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m);
int pirq_unmap(struct domain *d, u32 pirq);
int pirq_eoi(struct domain *d, u32 pirq);
int pirq_status(struct domain *d, u32 pirq, u32 *flags);
int pirq_reserve(struct domain *d, u32 *pirq);
int pirq_set_eoi_page(struct domain *d, u64 gfn);
int pirq_restore_msi(u16 seg, u8 bus, u8 devfn);

/* --- x86/apic.c --- */
bool apic_in_service(u8 vector);

#endif
