// SPDX-License-Identifier: MIT
/*
 * PIRQs: a domain's own numbers for the physical interrupts that it holds. The PIRQ of
 * a GSI is usually the GSI itself; those of MSIs are allocated above. A mapping is the
 * right to bind the interrupt to an event channel; who may make one is checked when it
 * is made. The tables of all domains are guarded by irq_lock.
 */
#include "evtchn.h"
#include "ranges.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"
#include <xen/physdev.h>

enum pirq_kind { PIRQ_FREE, PIRQ_RESERVED, PIRQ_GSI, PIRQ_MSI };

struct pirq {
    u8 kind, vector;            /* vector: PIRQ_MSI */
    u32 gsi;                    /* PIRQ_GSI */
};

struct irq_domain {
    u32 nr;
    struct pirq pirq[];
};

#define PIRQS_HARDWARE  512     /* above the GSIs */
#define PIRQS_GUEST     32

int pirq_domain_init(struct domain *d)
{
    u32 nr = nr_gsis + (domain_has(d, RIGHT_HARDWARE) ? PIRQS_HARDWARE : PIRQS_GUEST);
    d->irqs = xzalloc(sizeof(*d->irqs) + nr * sizeof(struct pirq));
    if (!d->irqs)
        return -ENOMEM;
    d->irqs->nr = nr;
    return 0;
}

/* NULL: no such number. */
static struct pirq *get_pirq(struct domain *d, u32 nr)
{
    return nr < d->irqs->nr ? &d->irqs->pirq[index_nospec(nr, d->irqs->nr)] : NULL;
}

/* The interrupt behind it; one that nobody ever holds while there is none. */
static struct irq_desc *desc_of(const struct pirq *p)
{
    return &irq_descs[p->kind == PIRQ_GSI ? gsis[p->gsi].vector : p->vector];
}

/* d's place at the interrupt; NULL: not bound. */
static struct irq_guest *guest_of(const struct domain *d, const struct pirq *p)
{
    struct irq_desc *desc = desc_of(p);
    for (unsigned i = 0; i < desc->nr_guests; i++) {
        if (desc->guest[i].d == d)
            return &desc->guest[i];
    }
    return NULL;
}

static bool needs_eoi(const struct pirq *p)
{
    return p->kind == PIRQ_GSI && gsis[p->gsi].level;
}

/* The guest reads in its EOI page which PIRQs need PHYSDEVOP_eoi. */
static void note_needs_eoi(struct domain *d, const struct pirq *p)
{
    struct page *pg = xd(d)->eoi_map_page;
    unsigned long nr = (unsigned long)(p - d->irqs->pirq);
    if (pg && needs_eoi(p) && guest_of(d, p))
        set_bit(nr, page_to_virt(pg));
    else if (pg)
        clear_bit(nr, page_to_virt(pg));
}

/* --- binding to event channels --- */

/* Guest g has ended its interrupt: opens the pin when all who share have. */
static void end(struct irq_desc *desc, struct irq_guest *g)
{
    if (g->eoi_pending) {
        g->eoi_pending = false;
        if (--desc->nr_pending == 0)
            irq_set_masked(desc, false);
    }
}

static void unbind(struct domain *d, struct pirq *p)
{
    struct irq_desc *desc = desc_of(p);
    struct irq_guest *g = guest_of(d, p);
    if (!g)
        return;
    end(desc, g);
    *g = desc->guest[--desc->nr_guests];
    note_needs_eoi(d, p);
    if (!desc->nr_guests) {
        irq_set_masked(desc, true);
        if (p->kind == PIRQ_GSI) {
            gsis[p->gsi].vector = 0;
            desc->kind = IRQ_FREE;
        }
    }
}

/* Gives a GSI that is about to be bound a vector. 0 or -errno. */
static int take_gsi(struct gsi *g, unsigned cpu)
{
    struct irq_desc *desc = g->ours || g->vector ? NULL : irq_alloc(IRQ_GSI, cpu);
    if (desc) {
        desc->gsi = (u32)(g - gsis);
        desc->level = g->level;
        g->vector = irq_vector(desc);
    }
    return g->ours ? -EBUSY : g->vector ? 0 : -ENOSPC;
}

int pirq_guest_bind(struct vcpu *v, u32 nr, u32 port, bool will_share)
{
    struct domain *d = v->domain;
    struct pirq *p = get_pirq(d, nr);
    with_lock (&irq_lock) {
        if (!p || p->kind <= PIRQ_RESERVED)
            return -EINVAL;
        if (guest_of(d, p))
            return -EEXIST;
        int err = p->kind == PIRQ_GSI ? take_gsi(&gsis[p->gsi], v->cpu) : 0;
        if (err)
            return err;
        struct irq_desc *desc = desc_of(p);
        if (desc->nr_guests && (!will_share || !desc->guest[0].shares || !desc->level ||
                                desc->nr_guests == IRQ_GUESTS_MAX)) {
            return -EBUSY;
        }
        desc->guest[desc->nr_guests++] = (struct irq_guest){ d, nr, port, will_share, false };
        note_needs_eoi(d, p);
        if (desc->nr_guests == 1) {
            irq_set_cpu(desc, v->cpu);
            irq_set_masked(desc, false);
        }
    }
    return 0;
}

void pirq_guest_unbind(struct domain *d, u32 nr)
{
    with_lock (&irq_lock)
        unbind(d, &d->irqs->pirq[nr]);
}

void pirq_set_cpu(struct domain *d, u32 nr, unsigned cpu)
{
    struct pirq *p = &d->irqs->pirq[nr];
    with_lock (&irq_lock) {
        if (guest_of(d, p) && desc_of(p)->nr_guests == 1)
            irq_set_cpu(desc_of(p), cpu);
    }
}

int pirq_eoi(struct domain *d, u32 nr)
{
    struct pirq *p = get_pirq(d, nr);
    with_lock (&irq_lock) {
        struct irq_guest *g = p ? guest_of(d, p) : NULL;
        if (g)
            end(desc_of(p), g);
    }
    return p ? 0 : -EINVAL;
}

int pirq_status(struct domain *d, u32 nr, u32 *flags)
{
    struct pirq *p = get_pirq(d, nr);
    if (!p)
        return -EINVAL;
    with_lock (&irq_lock) {
        struct irq_guest *g = guest_of(d, p);
        *flags = (needs_eoi(p) ? XENIRQSTAT_needs_eoi : 0) |
                 (g && g->shares ? XENIRQSTAT_shared : 0);
    }
    return 0;
}

/* --- mapping --- */

/* A free number: `wanted` if it is not negative, else from `first` upwards. -errno. */
static int choose(struct domain *d, int wanted, u32 first)
{
    if (d->is_dying)            /* and before this, pirq_domain_quiesce will unmap it */
        return -ESRCH;
    if (wanted >= 0) {
        struct pirq *p = get_pirq(d, (u32)wanted);
        return !p ? -EINVAL : p->kind <= PIRQ_RESERVED ? wanted : -EBUSY;
    }
    for (u32 i = first; i < d->irqs->nr; i++) {
        if (d->irqs->pirq[i].kind == PIRQ_FREE)
            return (int)i;
    }
    return -ENOSPC;
}

/* These two return the PIRQ's number or -errno. */
static int map_gsi(struct vcpu *v, struct domain *d, const struct physdev_map_pirq *m)
{
    if (!gsi_valid((u32)m->index))
        return -EINVAL;
    u32 gsi = (u32)index_nospec((u32)m->index, nr_gsis);
    if (!domain_has(v->domain, RIGHT_HARDWARE) && !ranges_contains(v->domain->irq_caps, gsi, gsi))
        return -EPERM;
    for (u32 i = 0; i < d->irqs->nr; i++) {
        if (d->irqs->pirq[i].kind == PIRQ_GSI && d->irqs->pirq[i].gsi == gsi)
            return m->pirq < 0 || (u32)m->pirq == i ? (int)i : -EEXIST;     /* mapped already */
    }
    int nr = choose(d, m->pirq < 0 ? (int)gsi : m->pirq, 0);
    if (nr < 0 && m->pirq < 0)
        nr = choose(d, -1, 0);
    if (nr >= 0)
        d->irqs->pirq[nr] = (struct pirq){ .kind = PIRQ_GSI, .gsi = gsi };
    return nr;
}

static int map_msi(struct vcpu *v, struct domain *d, const struct physdev_map_pirq *m,
                   struct pci_dev *dev)
{
    int nr = choose(d, m->pirq, nr_gsis);
    if (nr < 0)
        return nr;
    struct irq_desc *desc = irq_alloc(m->table_base ? IRQ_MSIX : IRQ_MSI, v->cpu);
    if (!desc)
        return -ENOSPC;
    desc->dev = dev;
    desc->msix_entry = (u16)m->entry_nr;
    int err = msi_setup(desc);
    if (err)
        desc->kind = IRQ_FREE;
    else
        d->irqs->pirq[nr] = (struct pirq){ .kind = PIRQ_MSI, .vector = irq_vector(desc) };
    return err ?: nr;
}

int pirq_map(struct vcpu *v, struct domain *d, struct physdev_map_pirq *m)
{
    struct pci_dev *dev = NULL;
    if (m->type == MAP_PIRQ_TYPE_MULTI_MSI)         /* the caller then takes one message */
        return -EOPNOTSUPP;
    if (m->type == MAP_PIRQ_TYPE_MSI || m->type == MAP_PIRQ_TYPE_MSI_SEG) {
        if (!domain_has(v->domain, RIGHT_HARDWARE))
            return -EPERM;
        u32 seg = m->type == MAP_PIRQ_TYPE_MSI ? 0 : (u32)m->bus >> 16;
        int err = pci_get_dev(pci_sbdf(seg, (u8)m->bus, (u8)m->devfn), &dev);
        if (err || (u32)m->entry_nr > MSIX_SIZE(~0u))
            return err ?: -EINVAL;
    } else if (m->type != MAP_PIRQ_TYPE_GSI) {
        return -EINVAL;
    }
    with_lock (&irq_lock) {
        int nr = dev ? map_msi(v, d, m, dev) : map_gsi(v, d, m);
        if (nr < 0)
            return nr;
        m->pirq = nr;
    }
    return 0;
}

static void unmap(struct domain *d, struct pirq *p)
{
    unbind(d, p);
    if (p->kind == PIRQ_MSI) {
        ASSERT(!desc_of(p)->nr_guests);
        msi_teardown(desc_of(p));
        desc_of(p)->kind = IRQ_FREE;
    }
    *p = (struct pirq){ .kind = PIRQ_FREE };
}

int pirq_unmap(struct domain *d, u32 nr)
{
    struct pirq *p = get_pirq(d, nr);
    with_lock (&irq_lock) {
        if (!p || p->kind == PIRQ_FREE)
            return -EINVAL;
        unmap(d, p);
    }
    return 0;
}

int pirq_reserve(struct domain *d)
{
    spin_lock(&irq_lock);
    int nr = choose(d, -1, nr_gsis);
    if (nr >= 0)
        d->irqs->pirq[nr].kind = PIRQ_RESERVED;
    spin_unlock(&irq_lock);
    return nr;
}

int pirq_restore_msi(u32 sbdf)
{
    struct pci_dev *dev = pci_find_dev(sbdf);
    if (!dev)
        return -ENODEV;
    with_lock (&irq_lock) {
        for_each_device_irq (desc) {
            if (desc->kind >= IRQ_MSI && desc->dev == dev)
                msi_write(desc, !desc->masked);
        }
    }
    return 0;
}

/* --- the EOI page, the end --- */

int pirq_set_eoi_page(struct domain *d, u64 gfn)
{
    struct page *pg = d->ops->get_gfn(d, gfn, true);
    if (!pg)
        return -EINVAL;
    with_lock (&irq_lock) {
        if (!xd(d)->eoi_map_page && !d->is_dying) {
            xd(d)->eoi_map_page = pg;
            for (u32 i = 0; i < d->irqs->nr; i++)
                note_needs_eoi(d, &d->irqs->pirq[i]);
            return 0;
        }
    }
    d->ops->put_gfn(pg, true);
    return -EBUSY;
}

void pirq_domain_quiesce(struct domain *d)
{
    if (!d->irqs)
        return;                 /* a domain that was never finished */
    spin_lock(&irq_lock);
    for (u32 i = 0; i < d->irqs->nr; i++)
        unmap(d, &d->irqs->pirq[i]);
    struct page *pg = xd(d)->eoi_map_page;
    xd(d)->eoi_map_page = NULL;
    spin_unlock(&irq_lock);
    if (pg)
        d->ops->put_gfn(pg, true);
}

void pirq_domain_destroy(struct domain *d)
{
    pirq_domain_quiesce(d);
    xfree(d->irqs);
}
