// SPDX-License-Identifier: MIT
/*
 * XENMEM_exchange: a guest gives frames and gets others, as many, in larger or
 * smaller extents and below an address if it wants; drivers need this for DMA.
 *
 * The work is done in chunks of the larger of the two extent sizes. A chunk changes
 * hands wholly or not at all, in four phases: new frames are allocated without an owner,
 * the old ones are taken from the guest (only frames that nobody refers to can be), the
 * new ones become the guest's, the old ones are freed. Frames in between belong to nobody
 * and are chained through struct page's `next`. The call can be cut anywhere: how far it is
 * stays with the vCPU, which repeats it. If it makes another exchange instead, or ends, the
 * chunk is given up: the guest keeps its old frames, unless it had them all replaced.
 */
#include "arch.h"
#include "guest.h"
#include "reservation.h"

enum phase { ALLOCATE, TAKE, GIVE, FREE };

struct exchange {
    struct vcpu *v;
    struct domain *d;                   /* whose memory; with a reference */
    u64 arg;                            /* address of the guest's structure, read into: */
    struct xen_memory_exchange x;
    u64 in_per_chunk, out_per_chunk;    /* extents */
    enum phase phase;                   /* of the chunk */
    u64 at;                             /* extents or frames done in it */
    int err;                            /* the chunk's result */
    bool keep_old;
    u32 old, new;                       /* chains of the chunk: first frames of extents */
};

static void chain_push(u32 *head, struct page *pg)
{
    pg->next = *head;
    *head = (u32)page_to_mfn(pg);
}

static struct page *chain_pop(u32 *head)
{
    struct page *pg = *head == PAGE_NONE ? NULL : mfn_to_page(*head);
    if (pg)
        *head = pg->next;
    return pg;
}

/* The phases' steps: 0, there is more to do; 1, the phase is over; -errno, the chunk fails. */
static int alloc_one(struct exchange *e)
{
    if (e->at == e->out_per_chunk)
        return 1;
    struct page *pg = alloc_hv_pages(e->x.out.extent_order, extent_memf(&e->x.out));
    if (!pg)
        return -ENOMEM;
    chain_push(&e->new, pg);
    return 0;
}

static int take_one(struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in;
    u64 i = e->at >> in->extent_order;
    if (i == e->in_per_chunk)
        return 1;
    xen_pfn_t gfn;
    int err = copy_from_handle(e->v, &gfn, in->extent_start, e->x.nr_exchanged + i, 1);
    if (err)
        return err;
    gfn += e->at - (i << in->extent_order);
    struct page *pg = e->d->ops->get_gfn(e->d, gfn, false);
    if (!pg)
        return -EINVAL;
    e->d->ops->put_gfn(pg, false);      /* steal_page looks again */
    err = steal_page(e->d, pg);         /* where it was stays in the M2P: it may yet go back */
    if (!err)
        chain_push(&e->old, pg);
    return err;
}

/* The guest's list names where each extent goes; its machine frame replaces that. */
static int give_one(struct exchange *e)
{
    const struct xen_memory_reservation *out = &e->x.out;
    struct page *pg = chain_pop(&e->new);
    if (!pg)
        return 1;
    u64 i = e->x.nr_exchanged / e->in_per_chunk * e->out_per_chunk + e->at;
    xen_pfn_t gfn = INVALID_M2P, mfn = page_to_mfn(pg);
    e->err = copy_from_handle(e->v, &gfn, out->extent_start, i, 1) ?: e->err;
    e->d->ops->physmap_add(e->d, gfn, mfn, out->extent_order);
    if (assign_pages(e->d, pg, out->extent_order, extent_large(out->extent_order))) {
        e->d->ops->physmap_remove(e->d, gfn, mfn, out->extent_order);
        chain_push(&e->new, pg);
        return -ENOMEM;
    }
    e->err = copy_to_handle(e->v, out->extent_start, i, &mfn, 1) ?: e->err;
    return 0;
}

/* What is left in the chains is freed, or goes back to the guest if it is to keep the
 * old frames; a dying domain, or one that has grown meanwhile, does not get them back. */
static int free_one(struct exchange *e)
{
    struct page *pg = chain_pop(&e->new);
    if (pg) {
        free_hv_pages(pg, e->x.out.extent_order);
        return 0;
    }
    pg = chain_pop(&e->old);
    if (pg && (!e->keep_old || assign_pages(e->d, pg, 0, false)))
        free_stolen_page(pg);
    return !pg;
}

static void give_up(struct exchange *e, int err)
{
    e->keep_old |= e->phase < GIVE;
    e->phase = FREE;
    e->err = err;
}

/* Works at the chunk to its end, its result, or until something waits: -ERESTART. */
static int one_chunk(struct exchange *e)
{
    static int (*const steps[])(struct exchange *) = { alloc_one, take_one, give_one, free_one };
    for (int rc = 0; e->phase != FREE || rc != 1;) {
        rc = steps[e->phase](e);
        e->at++;
        if (rc < 0)
            give_up(e, rc);
        else if (rc && e->phase != FREE) {
            e->phase++;
            e->at = rc = 0;
        }
        if (e->at % 16 == 15 && hypercall_preempt(current_vcpu()))
            return -ERESTART;
    }
    return e->err;
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

static void start_chunk(struct exchange *e)
{
    e->phase = ALLOCATE;
    e->at = e->err = 0;
    e->keep_old = false;
    e->old = e->new = PAGE_NONE;
}

static void end(struct exchange *e)
{
    e->v->exchange = NULL;
    domain_put(e->d);
    xfree(e);
}

static int start(struct vcpu *v, u64 arg)
{
    struct exchange *e = xzalloc_type(struct exchange);
    if (!e)
        return -ENOMEM;
    e->v = v;
    e->arg = arg;
    start_chunk(e);
    int err = arg_read(v, &e->x, arg) ? -EFAULT : check(e);
    e->d = err ? NULL : domain_get_for(v, e->x.in.domid, &err);
    if (e->d)
        v->exchange = e;
    else
        xfree(e);
    return err;
}

int exchange_abandon(struct vcpu *v)
{
    struct exchange *e = v->exchange;
    if (e) {
        give_up(e, 0);
        if (one_chunk(e))
            return -ERESTART;
        end(e);
    }
    return 0;
}

long memory_exchange(struct vcpu *v, u64 arg)
{
    int err = v->exchange && v->exchange->arg != arg ? exchange_abandon(v) : 0;
    err = err ?: v->exchange ? 0 : start(v, arg);
    struct exchange *e = v->exchange;
    if (err)
        return err;
    err = clear_extents(v, e->d);
    while (!err && e->x.nr_exchanged < e->x.in.nr_extents) {
        err = one_chunk(e);
        if (!err) {
            e->x.nr_exchanged += e->in_per_chunk;
            start_chunk(e);
            err = hypercall_preempt(v) ? -ERESTART : clear_extents(v, e->d);
        }
    }
    struct xen_memory_exchange x = e->x;
    if (err != -ERESTART)
        end(e);
    return arg_write_field(v, arg, &x, nr_exchanged) ? -EFAULT : err;
}
