// SPDX-License-Identifier: MIT
/*
 * XENMEM_exchange: a guest gives frames and gets others, as many, in larger or
 * smaller extents and below an address if it wants; drivers need this for DMA.
 *
 * The work is done in chunks of the larger of the two extent sizes. A chunk changes
 * hands wholly or not at all: new frames are allocated without an owner, the old ones
 * are taken from the guest (only frames that nobody refers to can be), then the new
 * ones become the guest's and the old ones are freed. Frames in between belong to
 * nobody and are chained through struct page's `next`; interrupts come in at each.
 */
#include "arch.h"
#include "guest.h"
#include "reservation.h"

struct exchange {
    struct vcpu *v;
    struct domain *d;
    struct xen_memory_exchange x;
    u64 in_per_chunk, out_per_chunk;    /* extents */
    u32 old, new;                       /* chains of the chunk: first frames of extents */
};

static void chain_push(u32 *head, struct page *pg)
{
    pg->next = *head;
    *head = (u32)page_to_mfn(pg);
    arch_irq_window();
}

static struct page *chain_pop(u32 *head)
{
    struct page *pg = *head == PAGE_NONE ? NULL : mfn_to_page(*head);
    if (pg)
        *head = pg->next;
    arch_irq_window();
    return pg;
}

static int alloc_new(struct exchange *e)
{
    u32 memf = extent_memf(&e->x.out);
    for (u64 i = 0; i < e->out_per_chunk; i++) {
        struct page *pg = alloc_hv_pages(e->x.out.extent_order, memf);
        if (!pg)
            return -ENOMEM;
        chain_push(&e->new, pg);
    }
    return 0;
}

static int take_old_frame(struct exchange *e, u64 gfn)
{
    struct domain *d = e->d;
    struct page *pg = d->ops->get_gfn(d, gfn, false);
    if (!pg)
        return -EINVAL;
    d->ops->put_gfn(pg, false);         /* steal_page looks again */
    int err = steal_page(d, pg);        /* where it was stays in the M2P: it may yet go back */
    if (!err)
        chain_push(&e->old, pg);
    return err;
}

static int take_old(struct exchange *e, u64 first)
{
    int err = 0;
    for (u64 i = 0; i < e->in_per_chunk && !err; i++) {
        xen_pfn_t gfn;
        err = copy_from_handle(e->v, &gfn, e->x.in.extent_start, first + i, 1);
        for (u64 k = 0; !err && k < 1UL << e->x.in.extent_order; k++)
            // cppcheck-suppress uninitvar ; copy_from_handle has written it
            err = take_old_frame(e, gfn + k);
    }
    return err;
}

/* The guest's list names where each extent goes; its machine frame replaces that. */
static int give_new(struct exchange *e, u64 first)
{
    struct page *pg;
    int fault = 0;
    for (u64 i = 0; (pg = chain_pop(&e->new)); i++) {
        xen_pfn_t gfn = INVALID_M2P, mfn = page_to_mfn(pg);
        fault |= copy_from_handle(e->v, &gfn, e->x.out.extent_start, first + i, 1);
        e->d->ops->physmap_add(e->d, gfn, mfn, e->x.out.extent_order);
        if (assign_pages(e->d, pg, e->x.out.extent_order, extent_large(e->x.out.extent_order))) {
            e->d->ops->physmap_remove(e->d, gfn, mfn, e->x.out.extent_order);
            chain_push(&e->new, pg);
            return -ENOMEM;
        }
        fault |= copy_to_handle(e->v, e->x.out.extent_start, first + i, &mfn, 1);
    }
    return fault;
}

/* What is left in the chains is freed, or goes back to the guest if it is to keep the
 * old frames; a dying domain, or one that has grown meanwhile, does not get them back. */
static void clean_up(struct exchange *e, bool keep_old)
{
    struct page *pg;
    while ((pg = chain_pop(&e->new)))
        free_hv_pages(pg, e->x.out.extent_order);
    while ((pg = chain_pop(&e->old))) {
        if (!keep_old || assign_pages(e->d, pg, 0, false))
            free_stolen_page(pg);
    }
}

static int one_chunk(struct exchange *e)
{
    u64 chunk = e->x.nr_exchanged / e->in_per_chunk;
    e->old = e->new = PAGE_NONE;
    int err = alloc_new(e) ?: take_old(e, chunk * e->in_per_chunk);
    bool keep_old = err;
    err = err ?: give_new(e, chunk * e->out_per_chunk);
    clean_up(e, keep_old);
    return err;
}

static int check(struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;
    u32 order = MAX(in->extent_order, out->extent_order);
    if (order > EXTENT_ORDER_MAX ||
        (extent_large(order) && !domain_has(e->v->domain, RIGHT_HARDWARE)))
        return -EPERM;
    if (in->domid != out->domid || in->nr_extents > MEMOP_MAX_ELEMENTS >> EXTENT_ORDER_MAX ||
        out->nr_extents > MEMOP_MAX_ELEMENTS >> EXTENT_ORDER_MAX ||
        in->nr_extents << in->extent_order != out->nr_extents << out->extent_order) {
        return -EINVAL;
    }
    e->in_per_chunk = 1UL << (order - in->extent_order);
    e->out_per_chunk = 1UL << (order - out->extent_order);
    return e->x.nr_exchanged > in->nr_extents || e->x.nr_exchanged % e->in_per_chunk ? -EINVAL : 0;
}

long memory_exchange(struct vcpu *v, u64 arg)
{
    struct exchange e = { .v = v };
    int err = arg_read(v, &e.x, arg) ? -EFAULT : check(&e);
    e.d = err ? NULL : domain_get_for(v, e.x.in.domid, &err);
    if (!e.d)
        return err;
    err = clear_extents(v, e.d);
    while (!err && e.x.nr_exchanged < e.x.in.nr_extents) {
        err = one_chunk(&e);
        e.x.nr_exchanged += err ? 0 : e.in_per_chunk;
        err = err ?: clear_extents(v, e.d);
        if (!err && e.x.nr_exchanged < e.x.in.nr_extents && hypercall_preempt(v))
            err = -ERESTART;
    }
    domain_put(e.d);
    return arg_write_field(v, arg, &e.x, nr_exchanged) ? -EFAULT : err;
}
