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

/* --- vectors --- */

static u32 cpu_dest(unsigned cpu)
{
    u32 id = cpus[cpu].apic_id;
    return id < 0xff ? id : cpus[0].apic_id;    /* 8 bits without interrupt remapping */
}

struct irq_desc *irq_alloc(enum irq_kind kind, unsigned cpu)
{
    for_each_device_irq (desc) {
        if (desc->kind == IRQ_FREE && irq_vector(desc) != 0x80) {  /* the guests' int $0x80 */
            *desc = (struct irq_desc){ .kind = kind, .masked = true, .apic_id = cpu_dest(cpu) };
            return desc;
        }
    }
    return NULL;
}

/* --- masking and routing, whatever the source is --- */

static void program(const struct irq_desc *desc, bool enable)
{
    if (desc->kind == IRQ_GSI)
        ioapic_write(desc);
    else
        msi_write(desc, enable);
}

void irq_set_masked(struct irq_desc *desc, bool masked)
{
    if (desc->masked != masked) {
        desc->masked = masked;
        program(desc, !masked);
    }
}

void irq_set_cpu(struct irq_desc *desc, unsigned cpu)
{
    if (desc->apic_id != cpu_dest(cpu)) {
        desc->apic_id = cpu_dest(cpu);
        program(desc, false);
    }
}

/* --- arrival --- */

static void device_interrupt(u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    struct irq_guest fire[IRQ_GUESTS_MAX];
    unsigned n = 0;
    with_lock (&irq_lock) {
        desc->count++;
        if (desc->level)
            irq_set_masked(desc, true);
        for (; n < desc->nr_guests; n++) {
            struct irq_guest *g = &desc->guest[n];
            if (desc->level && !g->eoi_pending) {
                g->eoi_pending = true;
                desc->nr_pending++;
            }
            domain_ref(g->d);           /* it may lose the interrupt and die meanwhile */
            fire[n] = *g;
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
    if (cpu_has.smap)
        clac();                         /* a guest's AC flag may have come along */
    trace(TRACE_IRQ, vector, regs->rip);
    if (vector >= VEC_DEVICE_FIRST && vector <= VEC_DEVICE_LAST) {
        device_interrupt(vector);
        return;
    }
    void (*own)(void) = own_handlers[vector];
    if (own)
        own();
    /* Of a kick, having come into Bulkhead is all. */
    if (own || vector == VEC_KICK || (vector != VEC_SPURIOUS && apic_in_service(vector)))
        apic_eoi();
}

void irq_set_handler(u8 vector, void (*fn)(void))
{
    own_handlers[vector] = fn;
}

int irq_bind_gsi(u32 gsi, u8 vector)
{
    struct irq_desc *desc = &irq_descs[vector];
    if (!gsi_valid(gsi))
        return -EINVAL;
    with_lock (&irq_lock) {
        if (gsis[gsi].ours || gsis[gsi].vector)
            return -EBUSY;
        gsis[gsi].ours = true;
        *desc = (struct irq_desc){ .kind = IRQ_GSI, .gsi = gsi, .apic_id = cpu_dest(0) };
        ioapic_write(desc);
    }
    return 0;
}

/* --- debug key --- */

static void dump_one(const struct irq_desc *desc)
{
    static const char *const kinds[] = { "free", "GSI", "MSI", "MSI-X" };
    u8 v = irq_vector(desc);
    if (v > VEC_DEVICE_LAST) {
        printk(LOG_INFO, "irq: vector %02x GSI %u is Bulkhead's\n", v, desc->gsi);
        return;
    }
    printk(LOG_INFO, "irq: vector %02x %s%s %u to APIC %u, %lu times%s%s\n", v, kinds[desc->kind],
           desc->level ? " level" : "", desc->kind == IRQ_GSI ? desc->gsi : desc->msix_entry,
           desc->apic_id, desc->count, desc->masked ? ", masked" : "",
           desc->nr_pending ? ", waits for EOI" : "");
    for (unsigned i = 0; i < desc->nr_guests; i++) {
        printk(LOG_INFO, "irq:   domain %u pirq %u port %u\n", desc->guest[i].d->id,
               desc->guest[i].pirq, desc->guest[i].port);
    }
}

u64 irq_dump(u64 vector)
{
    with_lock (&irq_lock) {
        if (irq_descs[vector].kind != IRQ_FREE)
            dump_one(&irq_descs[vector]);
    }
    return (vector + 1) % ARRAY_SIZE(irq_descs);
}
