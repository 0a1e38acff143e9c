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

struct walk {
    struct vcpu *v;
    struct domain *d;           /* whose memory it is */
    struct xen_memory_reservation r;
};

void extent_free(struct domain *d, u64 gfn, struct page *pg, unsigned order)
{
    for (u64 k = 0; k < 1UL << order; k++) {
        if (get_page(pg + k, d)) {      /* another vCPU may have given it up already */
            if (domain_free_page(d, pg + k))
                d->ops->physmap_remove(d, gfn + k, page_to_mfn(pg + k), 0);
            put_page(pg + k);
        }
    }
}

static int increase(struct walk *w, u64 i)
{
    struct page *pg = alloc_domain_pages(w->d, w->r.extent_order, extent_memf(w->r.mem_flags));
    if (!pg)
        return -ENOMEM;
    xen_pfn_t mfn = page_to_mfn(pg);
    if (!handle_null(w->r.extent_start) && copy_to_handle(w->v, w->r.extent_start, i, &mfn, 1)) {
        extent_free(w->d, INVALID_M2P, pg, w->r.extent_order);
        return -EFAULT;
    }
    return 0;
}

static int populate(struct walk *w, u64 i)
{
    xen_pfn_t gfn, mfn;
    if (copy_from_handle(w->v, &gfn, w->r.extent_start, i, 1))
        return -EFAULT;
    struct page *pg = alloc_domain_pages(w->d, w->r.extent_order, extent_memf(w->r.mem_flags));
    if (!pg)
        return -ENOMEM;
    mfn = page_to_mfn(pg);
    int err = w->d->ops->physmap_add(w->d, gfn, mfn, w->r.extent_order);
    if (!err)
        err = copy_to_handle(w->v, w->r.extent_start, i, &mfn, 1);
    if (err)
        extent_free(w->d, gfn, pg, w->r.extent_order);
    return err;
}

/* The frame is given up at once and free when its last mapping has gone. */
static int remove_frame(struct domain *d, u64 gfn)
{
    struct page *pg = d->ops->get_gfn(d, gfn, false);
    if (!pg)
        return -EINVAL;
    bool given_up = domain_free_page(d, pg);
    if (given_up)
        d->ops->physmap_remove(d, gfn, page_to_mfn(pg), 0);
    d->ops->put_gfn(pg, false);
    return given_up ? 0 : -EINVAL;
}

static int decrease(struct walk *w, u64 i)
{
    xen_pfn_t gfn;
    if (copy_from_handle(w->v, &gfn, w->r.extent_start, i, 1))
        return -EFAULT;
    for (u64 k = 0; k < 1UL << w->r.extent_order; k++) {
        int err = remove_frame(w->d, gfn + k);
        if (err)
            return err;
    }
    return 0;
}

long memory_reservation(struct vcpu *v, unsigned long *a, unsigned cmd, u64 start)
{
    int (*one)(struct walk *, u64) = cmd == XENMEM_populate_physmap ? populate
                                   : cmd == XENMEM_increase_reservation ? increase : decrease;
    struct walk w = { .v = v };
    int err = 0;
    if (arg_read(v, &w.r, a[1]))
        return -EFAULT;
    if (w.r.nr_extents > MEMOP_MAX_ELEMENTS || w.r.extent_order > EXTENT_ORDER_MAX ||
        start >= w.r.nr_extents) {
        return (long)start;     /* nothing more is done: the caller sees a short count */
    }
    w.d = domain_get_for(v, w.r.domid, &err);
    if (!w.d)
        return err;
    u64 step = w.r.extent_order > 4 ? 1 : 16, i;
    for (i = start; i < w.r.nr_extents; i++) {
        if (i > start && i % step == 0 && hypercall_preempt(v)) {
            a[0] = cmd | i << MEMOP_BITS;
            err = -ERESTART;
            break;
        }
        if (one(&w, i))
            break;
    }
    domain_put(w.d);
    return err ? err : (long)i;
}
