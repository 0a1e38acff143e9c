// SPDX-License-Identifier: MIT
/*
 * A domain's memory grows and shrinks: XENMEM_populate_physmap, increase_reservation,
 * decrease_reservation. The allocator and frames.c do the locking (page_lock); here
 * is only the walk over the guest's list of extents, one extent at a time, which can
 * be cut short between any two.
 */
#include "arch.h"
#include "guest.h"
#include "hypercall.h"
#include "reservation.h"

/* A frame that the caller has a reference on is given up at once; it is free when its
 * last mapping has gone. */
static bool give_up(struct domain *d, u64 gfn, struct page *pg)
{
    if (!domain_free_page(d, pg))
        return false;
    d->ops->physmap_remove(d, gfn, page_to_mfn(pg));
    return true;
}

/* Undoes alloc_domain_pages and physmap_add. */
static void free_extent(struct domain *d, u64 gfn, struct page *pg, unsigned order)
{
    for (u64 k = 0; k < 1UL << order; k++) {
        if (get_page(pg + k, d)) {      /* another vCPU may have given it up already */
            give_up(d, gfn + k, pg + k);
            put_page(pg + k);
        }
    }
}

/* populate names where the extent goes. The machine frame is told if there is a list. */
static bool add_extent(struct memop *m, u64 i)
{
    const struct xen_memory_reservation *r = &m->res;
    bool populate = m->cmd == XENMEM_populate_physmap;
    xen_pfn_t gfn = INVALID_M2P;
    if (populate && copy_from_handle(m->v, &gfn, r->extent_start, i, 1))
        return false;
    struct page *pg = alloc_domain_pages(m->d, r->extent_order, extent_memf(r->mem_flags));
    if (!pg)
        return false;
    xen_pfn_t mfn = page_to_mfn(pg);
    int err = populate ? m->d->ops->physmap_add(m->d, gfn, mfn, r->extent_order) : 0;
    if (!err && !handle_null(r->extent_start))
        err = copy_to_handle(m->v, r->extent_start, i, &mfn, 1);
    if (err)
        free_extent(m->d, gfn, pg, r->extent_order);
    return !err;
}

static bool remove_extent(struct memop *m, u64 i)
{
    xen_pfn_t gfn;
    bool good = !copy_from_handle(m->v, &gfn, m->res.extent_start, i, 1);
    for (u64 k = 0; good && k < 1UL << m->res.extent_order; k++) {
        // cppcheck-suppress uninitvar ; copy_from_handle has written it
        struct page *pg = m->d->ops->get_gfn(m->d, gfn + k, false);
        good = pg && give_up(m->d, gfn + k, pg);
        if (pg)
            m->d->ops->put_gfn(pg, false);
    }
    return good;
}

long memory_reservation(struct memop *m)
{
    u64 nr = m->res.nr_extents, i = m->start, step = m->res.extent_order > 4 ? 1 : 16;
    if (nr > MEMOP_MAX_ELEMENTS || m->res.extent_order > EXTENT_ORDER_MAX)
        return (long)i;         /* nothing more is done: the caller sees a short count */
    for (; i < nr; i++) {
        if (i > m->start && i % step == 0 && hypercall_preempt(m->v))
            return memop_restart(m, i);
        if (!(m->cmd == XENMEM_decrease_reservation ? remove_extent(m, i) : add_extent(m, i)))
            break;
    }
    return (long)i;
}
