// SPDX-License-Identifier: MIT
/*
 * A domain's memory grows and shrinks: XENMEM_populate_physmap, increase_reservation,
 * decrease_reservation. The allocator and frames.c do the locking (page_lock); here
 * is only the walk over the guest's list of extents, one extent at a time, which can
 * be cut short between any two.
 */
#include "guest.h"
#include "reservation.h"

#define FRAMES_AT_ONCE 32

/* A frame that the caller has a reference on is given up at once; it is free when its
 * last mapping has gone. */
static bool give_up(struct domain *d, u64 gfn, struct page *pg)
{
    if (!domain_free_page(d, pg))
        return false;
    d->ops->physmap_remove(d, gfn, page_to_mfn(pg), 0);
    return true;
}

/* populate names where the extent goes. The machine frame is told if there is a list. */
static bool add_extent(struct memop *m, u64 i)
{
    const struct xen_memory_reservation *r = &m->res;
    bool populate = m->cmd == XENMEM_populate_physmap;
    xen_pfn_t gfn = INVALID_M2P;
    if (populate && copy_from_handle(m->v, &gfn, r->extent_start, i, 1))
        return false;
    struct page *pg = alloc_hv_pages(r->extent_order, extent_memf(r));
    if (!pg)
        return false;
    xen_pfn_t mfn = page_to_mfn(pg);
    int err = populate ? m->d->ops->physmap_add(m->d, gfn, mfn, r->extent_order) : 0;
    if (!err && !handle_null(r->extent_start))
        err = copy_to_handle(m->v, r->extent_start, i, &mfn, 1);
    err = err ?: assign_pages(m->d, pg, r->extent_order, extent_large(r->extent_order));
    if (err) {
        m->d->ops->physmap_remove(m->d, gfn, mfn, r->extent_order);
        free_hv_pages(pg, r->extent_order);
    }
    return !err;
}

/* Some frames of an extent, from its k-th on; how many, 0: no. */
static u64 remove_frames(struct memop *m, u64 i, u64 k)
{
    xen_pfn_t gfn;
    u64 end = MIN(k + FRAMES_AT_ONCE, 1UL << m->res.extent_order), n = end - k;
    bool good = !copy_from_handle(m->v, &gfn, m->res.extent_start, i, 1);
    for (; good && k < end; k++) {
        // cppcheck-suppress uninitvar ; copy_from_handle has written it
        struct page *pg = m->d->ops->get_gfn(m->d, gfn + k, false);
        good = pg && give_up(m->d, gfn + k, pg);
        if (pg)
            m->d->ops->put_gfn(pg, false);
    }
    return good ? n : 0;
}

/* Goes by frames: it may be cut between any FRAMES_AT_ONCE of them, and in the clearing. */
long memory_reservation(struct memop *m)
{
    unsigned order = m->res.extent_order;
    u64 at = m->start, n, in_extent = (1UL << order) - 1;
    if (order > EXTENT_ORDER_MAX || m->res.nr_extents > MEMOP_MAX_ELEMENTS >> order)
        return 0;               /* nothing is done: the caller sees a short count */
    if (clear_extents(m->v, m->d))
        return memop_restart(m, at);
    for (; at >> order < m->res.nr_extents; at += n) {
        if (at > m->start && at % FRAMES_AT_ONCE == 0 && hypercall_preempt(m->v))
            return memop_restart(m, at);
        n = m->cmd == XENMEM_decrease_reservation ? remove_frames(m, at >> order, at & in_extent)
                                                  : (u64)add_extent(m, at >> order) << order;
        if (!n)
            break;
        if (clear_extents(m->v, m->d))
            return memop_restart(m, at + n);
    }
    return (long)(at >> order);
}
