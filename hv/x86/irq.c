// SPDX-License-Identifier: MIT
/*
 * Where interrupts arrive: Bulkhead's own by fixed vector, devices' by vectors that
 * are allocated here, the same on every CPU. A device's interrupt goes to the domains
 * that are bound to it, as event channels (x86/pirq.c); nobody else ever handles one.
 * Edge and MSI interrupts are ended at once. A level-triggered pin is masked until all
 * its domains have said PHYSDEVOP_eoi, so the CPU's priority is never held by a guest.
 * irq_lock (LOCK_IRQ) guards irq_descs and everything of x86/irq.h; it is never held
 * while an event channel is touched.
 */
#include "arch.h"
#include "trace.h"
#include "evtchn.h"
#include "x86/irq.h"

spinlock_t irq_lock = SPINLOCK_INIT(LOCK_IRQ);
struct irq_desc irq_descs[256];
static void (*own_handlers[256])(void);
static u32 own_gsis[256];               /* GSI + 1 of a vector of Bulkhead's that has one */

/* --- vectors --- */

u32 irq_cpu_dest(unsigned cpu)
{
    u32 id = cpus[cpu].apic_id;
    return id < 0xff ? id : cpus[0].apic_id;    /* 8 bits without interrupt remapping */
}

u8 irq_alloc_vector(enum irq_kind kind, unsigned cpu)
{
    for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
        struct irq_desc *desc = &irq_descs[v];
        if (desc->kind == IRQ_FREE && v != 0x80) {     /* 0x80 is the guests' int $0x80 */
            memset(desc, 0, sizeof(*desc));
            desc->kind = kind;
            desc->masked = true;
            desc->apic_id = irq_cpu_dest(cpu);
            return (u8)v;
        }
    }
    return 0;
}

void irq_free_vector(u8 vector)
{
    ASSERT(irq_descs[vector].nr_guests == 0);
    irq_descs[vector].kind = IRQ_FREE;
}

/* --- masking and routing, whatever the source is --- */

static void set_masked(u8 vector, bool masked)
{
    struct irq_desc *desc = &irq_descs[vector];
    if (desc->masked == masked)
        return;
    desc->masked = masked;
    if (desc->kind == IRQ_GSI) {
        if (masked)
            ioapic_mask(desc->gsi);
        else
            ioapic_unmask(desc->gsi);
    } else {
        msi_mask(vector, masked);
    }
}

void irq_mask(u8 vector)
{
    set_masked(vector, true);
}

void irq_unmask(u8 vector)
{
    set_masked(vector, false);
}

void irq_set_cpu(u8 vector, unsigned cpu)
{
    struct irq_desc *desc = &irq_descs[vector];
    u32 dest = irq_cpu_dest(cpu);
    if (desc->apic_id == dest)
        return;
    desc->apic_id = dest;
    if (desc->kind == IRQ_GSI)
        ioapic_route(desc->gsi, vector, dest, desc->masked);
    else
        msi_write(vector);
}

/* --- the guests of an interrupt --- */

struct irq_guest *irq_find_guest(u8 vector, const struct domain *d)
{
    struct irq_desc *desc = &irq_descs[vector];
    for (unsigned i = 0; i < desc->nr_guests; i++) {
        if (desc->guest[i].d == d)
            return &desc->guest[i];
    }
    return NULL;
}

void irq_guest_eoi(u8 vector, struct irq_guest *g)
{
    struct irq_desc *desc = &irq_descs[vector];
    if (g->eoi_pending) {
        g->eoi_pending = false;
        if (--desc->nr_pending == 0)
            irq_unmask(vector);
    }
}

/* --- arrival --- */

static void device_interrupt(u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct { struct domain *d; u32 port; } fire[IRQ_GUESTS_MAX];
    unsigned n = 0;
    with_lock (&irq_lock) {
        desc->count++;
        if (desc->kind == IRQ_GSI && (desc->level || !desc->nr_guests))
            irq_mask(vector);
        for (; n < desc->nr_guests; n++) {
            struct irq_guest *g = &desc->guest[n];
            if (desc->level && !g->eoi_pending) {
                g->eoi_pending = true;
                desc->nr_pending++;
            }
            domain_ref(g->d);           /* it may lose the interrupt and die meanwhile */
            fire[n].d = g->d;
            fire[n].port = g->port;
        }
    }
    apic_eoi();
    for (unsigned i = 0; i < n; i++) {
        evtchn_pirq_fire(fire[i].d, fire[i].port);
        domain_put(fire[i].d);
    }
}

void irq_dispatch(struct cpu_user_regs *regs)
{
    u8 vector = (u8)regs->entry_vector;
    if (cpu_has.smap) {
        clac();         /* a guest's AC flag may have come along */
    }
    trace(TRACE_IRQ, vector, regs->rip);
    if (vector >= VEC_DEVICE_FIRST && vector <= VEC_DEVICE_LAST) {
        device_interrupt(vector);
    } else if (vector == VEC_KICK) {
        apic_eoi();
    } else if (own_handlers[vector]) {
        own_handlers[vector]();
        apic_eoi();
    } else if (vector != VEC_SPURIOUS && apic_in_service(vector)) {
        apic_eoi();
    }
}

void irq_set_handler(u8 vector, void (*fn)(void))
{
    own_handlers[vector] = fn;
}

int irq_bind_gsi(u32 gsi, u8 vector)
{
    with_lock (&irq_lock) {
        if (!gsi_valid(gsi))
            return -EINVAL;
        if (gsi_is_ours(gsi) || gsi_vector(gsi))
            return -EBUSY;
        gsi_set_ours(gsi);
        own_gsis[vector] = gsi + 1;
        ioapic_route(gsi, vector, irq_cpu_dest(0), false);
    }
    return 0;
}

/* --- debug key --- */

void irq_dump(void)
{
    static const char *const kinds[] = { "free", "GSI", "MSI", "MSI-X" };
    with_lock (&irq_lock) {
        for (unsigned v = 0; v < 256; v++) {
            struct irq_desc *desc = &irq_descs[v];
            if (own_gsis[v])
                printk(LOG_INFO, "irq: vector %02x GSI %u is Bulkhead's\n", v, own_gsis[v] - 1);
            if (desc->kind == IRQ_FREE)
                continue;
            printk(LOG_INFO, "irq: vector %02x %s%s %u to APIC %u, %llu times%s%s\n", v,
                   kinds[desc->kind], desc->level ? " level" : "",
                   desc->kind == IRQ_GSI ? desc->gsi : desc->msix_entry, desc->apic_id,
                   (unsigned long long)desc->count, desc->masked ? ", masked" : "",
                   desc->nr_pending ? ", waits for EOI" : "");
            for (unsigned i = 0; i < desc->nr_guests; i++) {
                printk(LOG_INFO, "irq:   domain %u pirq %u port %u\n", desc->guest[i].d->id,
                       desc->guest[i].pirq, desc->guest[i].port);
            }
        }
    }
}
