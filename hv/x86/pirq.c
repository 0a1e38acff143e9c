// SPDX-License-Identifier: MIT
/*
 * PIRQs: a domain's own numbers for the physical interrupts that it holds. The PIRQ of
 * a GSI is usually the GSI itself; those of MSIs are allocated above. A mapping is the
 * right to bind the interrupt to an event channel; who may make one is checked when it
 * is made. The tables of all domains are guarded by irq_lock.
 */
#include "evtchn.h"
#include "mm.h"
#include "ranges.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"
#include <xen/physdev.h>

enum pirq_kind { PIRQ_FREE, PIRQ_RESERVED, PIRQ_GSI, PIRQ_MSI };

struct pirq {
    u8 kind;
    u8 vector;                  /* PIRQ_MSI, and a bound PIRQ_GSI; 0: none */
    bool bound;
    u32 gsi;
};

struct irq_domain {
    u32 nr;
    bool closed;                /* the domain is dying: nothing is mapped any more */
    struct pirq pirq[];
};

#define PIRQS_HARDWARE  512     /* above the GSIs, by default */
#define PIRQS_GUEST     32
#define PIRQS_MAX       (8 * PAGE_SIZE)     /* one bit each in the EOI page */

int pirq_domain_init(struct domain *d, unsigned nr)
{
    if (!nr)
        nr = domain_has(d, RIGHT_HARDWARE) ? PIRQS_HARDWARE : PIRQS_GUEST;
    nr = MIN(nr + nr_gsis, (u32)(0xff00 / sizeof(struct pirq)));
    struct irq_domain *irqs = xzalloc(sizeof(*irqs) + nr * sizeof(struct pirq));
    if (!irqs)
        return -ENOMEM;
    irqs->nr = nr;
    d->irqs = irqs;
    return 0;
}

u32 pirq_limit(struct domain *d)
{
    return d->irqs ? d->irqs->nr : 0;
}

/* NULL: no such number. */
static struct pirq *get_pirq(struct domain *d, u32 nr)
{
    u32 limit = pirq_limit(d);
    return nr < limit ? &d->irqs->pirq[index_nospec(nr, limit)] : NULL;
}

/* The guest reads in its EOI page which PIRQs need PHYSDEVOP_eoi. */
static void note_needs_eoi(struct domain *d, u32 nr, bool needs)
{
    unsigned long *map = xd(d)->eoi_map;
    if (map && nr < PIRQS_MAX) {
        if (needs)
            set_bit(nr, map);
        else
            clear_bit(nr, map);
    }
}

static bool needs_eoi(const struct pirq *p)
{
    return p->kind == PIRQ_GSI && gsi_level(p->gsi);
}

/* --- binding to event channels --- */

static void unbind(struct domain *d, struct pirq *p)
{
    if (!p->bound)
        return;
    struct irq_desc *desc = &irq_descs[p->vector];
    struct irq_guest *g = irq_find_guest(p->vector, d);
    p->bound = false;
    note_needs_eoi(d, (u32)(p - d->irqs->pirq), false);
    if (g) {
        irq_guest_eoi(p->vector, g);
        *g = desc->guest[--desc->nr_guests];
        if (!desc->nr_guests)
            irq_mask(p->vector);
    }
    if (p->kind == PIRQ_GSI) {
        if (!desc->nr_guests) {
            gsi_set_vector(p->gsi, 0);
            irq_free_vector(p->vector);
        }
        p->vector = 0;
    }
}

/* The vector of a GSI that is about to be bound. 0 or -errno. */
static int vector_for_gsi(u32 gsi, unsigned cpu, u8 *vector)
{
    if (gsi_is_ours(gsi))
        return -EBUSY;
    *vector = gsi_vector(gsi);
    if (*vector)
        return 0;
    *vector = irq_alloc_vector(IRQ_GSI, cpu);
    if (!*vector)
        return -ENOSPC;
    struct irq_desc *desc = &irq_descs[*vector];
    desc->gsi = gsi;
    desc->level = gsi_level(gsi);
    gsi_set_vector(gsi, *vector);
    ioapic_route(gsi, *vector, desc->apic_id, true);
    return 0;
}

static int bind_locked(struct vcpu *v, struct pirq *p, u32 nr, u32 port, bool shares)
{
    struct domain *d = v->domain;
    if (p->kind != PIRQ_GSI && p->kind != PIRQ_MSI)
        return -EINVAL;
    if (p->bound)
        return -EEXIST;
    u8 vector = p->vector;
    int err = p->kind == PIRQ_GSI ? vector_for_gsi(p->gsi, v->cpu, &vector) : 0;
    if (err)
        return err;
    struct irq_desc *desc = &irq_descs[vector];
    if (desc->nr_guests && (!shares || !desc->guest[0].shares || !desc->level ||
                            desc->nr_guests == IRQ_GUESTS_MAX || irq_find_guest(vector, d))) {
        return -EBUSY;
    }
    desc->guest[desc->nr_guests++] = (struct irq_guest){ .d = d, .pirq = nr, .port = port, .shares = shares };
    p->vector = vector;
    p->bound = true;
    note_needs_eoi(d, nr, needs_eoi(p));
    if (desc->nr_guests == 1) {
        irq_set_cpu(vector, v->cpu);
        irq_unmask(vector);
    }
    return 0;
}

int pirq_guest_bind(struct vcpu *v, u32 nr, u32 port, bool will_share)
{
    struct pirq *p = get_pirq(v->domain, nr);
    int err = -EINVAL;
    if (p) {
        with_lock (&irq_lock) {
            err = bind_locked(v, p, nr, port, will_share);
        }
    }
    return err;
}

void pirq_guest_unbind(struct domain *d, u32 nr)
{
    struct pirq *p = get_pirq(d, nr);
    if (p) {
        with_lock (&irq_lock) {
            unbind(d, p);
        }
    }
}

void pirq_set_cpu(struct domain *d, u32 nr, unsigned cpu)
{
    struct pirq *p = get_pirq(d, nr);
    if (p) {
        with_lock (&irq_lock) {
            if (p->bound && irq_descs[p->vector].nr_guests == 1)
                irq_set_cpu(p->vector, cpu);
        }
    }
}

int pirq_eoi(struct domain *d, u32 nr)
{
    struct pirq *p = get_pirq(d, nr);
    if (!p)
        return -EINVAL;
    with_lock (&irq_lock) {
        struct irq_guest *g = p->bound ? irq_find_guest(p->vector, d) : NULL;
        if (g)
            irq_guest_eoi(p->vector, g);
    }
    return 0;
}

void pirq_guest_eoi(struct domain *d, u32 nr)
{
    pirq_eoi(d, nr);
}

int pirq_status(struct domain *d, u32 nr, u32 *flags)
{
    struct pirq *p = get_pirq(d, nr);
    *flags = 0;
    if (!p)
        return -EINVAL;
    with_lock (&irq_lock) {
        if (needs_eoi(p))
            *flags |= XENIRQSTAT_needs_eoi;
        if (p->bound && irq_descs[p->vector].guest[0].shares)
            *flags |= XENIRQSTAT_shared;
    }
    return 0;
}

/* --- mapping --- */

/* A free number: `wanted` if it is not negative, else `first`.. upwards. -errno. */
static int choose(struct domain *d, s64 wanted, u32 first, u32 *nr)
{
    if (d->irqs->closed)
        return -ESRCH;
    if (wanted >= 0) {
        struct pirq *p = wanted < pirq_limit(d) ? get_pirq(d, (u32)wanted) : NULL;
        *nr = (u32)wanted;
        return !p ? -EINVAL : p->kind == PIRQ_FREE || p->kind == PIRQ_RESERVED ? 0 : -EBUSY;
    }
    for (u32 i = first; i < d->irqs->nr; i++) {
        if (d->irqs->pirq[i].kind == PIRQ_FREE) {
            *nr = i;
            return 0;
        }
    }
    return -ENOSPC;
}

static bool may_use_gsi(struct domain *d, u32 gsi)
{
    return domain_has(d, RIGHT_HARDWARE) || ranges_contains(d->irq_caps, gsi, gsi);
}

static int map_gsi(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m)
{
    if (m->index < 0 || !gsi_valid((u32)m->index))
        return -EINVAL;
    u32 gsi = (u32)index_nospec((u32)m->index, nr_gsis), nr;
    if (!may_use_gsi(v->domain, gsi))
        return -EPERM;
    with_lock (&irq_lock) {
        for (u32 i = 0; i < d->irqs->nr; i++) {
            struct pirq *p = &d->irqs->pirq[i];
            if (p->kind == PIRQ_GSI && p->gsi == gsi) {     /* mapped already: say so */
                if (m->pirq >= 0 && (u32)m->pirq != i)
                    return -EEXIST;
                m->pirq = (int)i;
                return 0;
            }
        }
        s64 wanted = m->pirq;
        if (wanted < 0 && choose(d, gsi, 0, &nr) == 0)
            wanted = gsi;
        int err = choose(d, wanted, 0, &nr);
        if (err)
            return err;
        d->irqs->pirq[nr] = (struct pirq){ .kind = PIRQ_GSI, .gsi = gsi };
        m->pirq = (int)nr;
    }
    return 0;
}

static int map_msi_locked(struct domain *d, struct pci_dev *dev, enum irq_kind kind,
                          struct physdev_map_pirq *m, unsigned cpu)
{
    u32 nr;
    int err = choose(d, m->pirq < 0 ? -1 : m->pirq, nr_gsis, &nr);
    if (err)
        return err;
    u8 vector = irq_alloc_vector(kind, cpu);
    if (!vector)
        return -ENOSPC;
    irq_descs[vector].dev = dev;
    irq_descs[vector].msix_entry = (u16)m->entry_nr;
    err = msi_setup(vector);
    if (err) {
        irq_free_vector(vector);
        return err;
    }
    d->irqs->pirq[nr] = (struct pirq){ .kind = PIRQ_MSI, .vector = vector };
    m->pirq = (int)nr;
    return 0;
}

static int map_msi(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m)
{
    u16 seg = m->type == MAP_PIRQ_TYPE_MSI ? 0 : (u16)((u32)m->bus >> 16);
    enum irq_kind kind = m->table_base ? IRQ_MSIX : IRQ_MSI;
    int err;
    if (!domain_has(v->domain, RIGHT_HARDWARE))
        return -EPERM;
    if (m->entry_nr < 0 || m->entry_nr > MSIX_SIZE || !pci_seg_known(seg))
        return -EINVAL;
    struct pci_dev *dev = pci_get_dev(seg, (u8)m->bus, (u8)m->devfn);
    if (!dev)
        return -ENODEV;
    with_lock (&irq_lock) {
        err = map_msi_locked(d, dev, kind, m, v->cpu);
    }
    return err;
}

int pirq_map(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m)
{
    if (!d->irqs)
        return -EINVAL;
    switch (m->type) {
    case MAP_PIRQ_TYPE_GSI:
        return map_gsi(v, d, m);
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
        return map_msi(v, d, m);
    case MAP_PIRQ_TYPE_MULTI_MSI:       /* the caller then takes one message */
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

static void unmap_locked(struct domain *d, struct pirq *p)
{
    unbind(d, p);
    if (p->kind == PIRQ_MSI) {
        msi_teardown(p->vector);
        irq_free_vector(p->vector);
    }
    *p = (struct pirq){ .kind = PIRQ_FREE };
}

int pirq_unmap(struct domain *d, u32 nr)
{
    struct pirq *p = get_pirq(d, nr);
    if (!p)
        return -EINVAL;
    with_lock (&irq_lock) {
        if (p->kind == PIRQ_FREE)
            return -EINVAL;
        unmap_locked(d, p);
    }
    return 0;
}

int pirq_reserve(struct domain *d, u32 *nr)
{
    if (!d->irqs)
        return -EINVAL;
    with_lock (&irq_lock) {
        int err = choose(d, -1, nr_gsis, nr);
        if (!err)
            d->irqs->pirq[*nr].kind = PIRQ_RESERVED;
        return err;
    }
    return -EINVAL;
}

int pirq_restore_msi(u16 seg, u8 bus, u8 devfn)
{
    struct pci_dev *dev = pci_find_dev(seg, bus, devfn);
    if (!dev)
        return -ENODEV;
    with_lock (&irq_lock) {
        for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
            struct irq_desc *desc = &irq_descs[v];
            if ((desc->kind == IRQ_MSI || desc->kind == IRQ_MSIX) && desc->dev == dev) {
                msi_write((u8)v);
                msi_mask((u8)v, desc->masked);
            }
        }
    }
    return 0;
}

/* --- the EOI page, the end --- */

int pirq_set_eoi_page(struct domain *d, u64 gfn)
{
    if (!d->irqs)
        return -EINVAL;
    struct page *pg = d->ops->get_gfn(d, gfn, true);
    if (!pg)
        return -EINVAL;
    with_lock (&irq_lock) {
        if (!xd(d)->eoi_map && !d->irqs->closed) {
            xd(d)->eoi_map_page = pg;
            xd(d)->eoi_map = page_to_virt(pg);
            for (u32 i = 0; i < d->irqs->nr; i++) {
                struct pirq *p = &d->irqs->pirq[i];
                note_needs_eoi(d, i, p->bound && needs_eoi(p));
            }
            pg = NULL;
        }
    }
    if (pg) {
        d->ops->put_gfn(pg, true);
        return -EBUSY;
    }
    return 0;
}

void pirq_domain_quiesce(struct domain *d)
{
    struct irq_domain *irqs = d->irqs;
    struct page *pg = NULL;
    if (!irqs)
        return;
    with_lock (&irq_lock) {
        irqs->closed = true;
        for (u32 i = 0; i < irqs->nr; i++)
            unmap_locked(d, &irqs->pirq[i]);
        pg = xd(d)->eoi_map_page;
        xd(d)->eoi_map_page = NULL;
        xd(d)->eoi_map = NULL;
    }
    if (pg)
        d->ops->put_gfn(pg, true);
}

void pirq_domain_destroy(struct domain *d)
{
    pirq_domain_quiesce(d);
    xfree(d->irqs);
    d->irqs = NULL;
}
