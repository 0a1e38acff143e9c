// SPDX-License-Identifier: MIT
/*
 * grant_table_op: the dispatcher, and the operations about a table as a whole. They
 * report GNTST_* in the guest's structure; an argument that cannot be read or written
 * is -EFAULT of the call.
 */
#include "arch.h"
#include "grant_private.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

/* The domain that an operation names, with a reference; or its status. */
static struct domain *subject(struct vcpu *v, domid_t id, int16_t *status)
{
    int err = 0;
    struct domain *d = domain_get_for(v, id, &err);
    *status = d ? GNTST_okay : err == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
    return d;
}

/* Writes the machine frames [0, n) of the table (or of its status words) as 8-byte
 * numbers to the guest. */
static int write_frames(struct vcpu *v, struct grant_table *t, bool status, u32 n, u64 list)
{
    u64 mfn[32];
    for (u32 first = 0; first < n; first += ARRAY_SIZE(mfn)) {
        u32 k = MIN(n - first, (u32)ARRAY_SIZE(mfn));
        with_lock (&t->lock) {
            for (u32 i = 0; i < k; i++)
                mfn[i] = virt_to_mfn(status ? (void *)t->status[first + i] : t->shared[first + i]);
        }
        if (guest_write(v, list + first * sizeof(u64), mfn, k * sizeof(u64)))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

/* At least n frames, a few at a time. -ERESTART: not all yet. */
static int grow(struct vcpu *v, struct domain *d, u32 n, int16_t *status)
{
    struct grant_table *t = d->grants;
    bool done = false;
    *status = GNTST_okay;
    if (n > t->max_frames) {
        *status = GNTST_general_error;
        return 0;
    }
    for (;;) {
        with_lock (&t->lock) {
            if (grant_grow(d, MIN(n, t->nr_frames + 16)))
                *status = GNTST_general_error;
            done = *status != GNTST_okay || t->nr_frames >= n;
        }
        if (done)
            return 0;
        if (hypercall_preempt(v))
            return -ERESTART;
    }
}

static long op_setup_table(struct vcpu *v, u64 arg, u32 count)
{
    struct gnttab_setup_table op;
    if (count != 1)
        return -EINVAL;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = subject(v, op.dom, &op.status);
    if (d) {
        if (grow(v, d, op.nr_frames, &op.status)) {
            domain_put(d);
            return -ERESTART;
        }
        if (op.status == GNTST_okay)
            op.status = (int16_t)write_frames(v, d->grants, false, op.nr_frames, (u64)op.frame_list.p);
        domain_put(d);
    }
    return arg_write_field(v, arg, &op, status);
}

static long op_get_status_frames(struct vcpu *v, u64 arg, u32 count)
{
    struct gnttab_get_status_frames op;
    if (count != 1)
        return -EINVAL;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = subject(v, op.dom, &op.status);
    if (d) {
        struct grant_table *t = d->grants;
        with_lock (&t->lock) {
            op.status = t->version == 2 && op.nr_frames <= grant_status_frames(t->nr_frames) ? GNTST_okay
                                                                                           : GNTST_general_error;
        }
        if (op.status == GNTST_okay)
            op.status = (int16_t)write_frames(v, t, true, op.nr_frames, (u64)op.frame_list.p);
        domain_put(d);
    }
    return arg_write_field(v, arg, &op, status);
}

static long op_query_size(struct vcpu *v, u64 arg, u32 count)
{
    struct gnttab_query_size op;
    if (count != 1)
        return -EINVAL;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = subject(v, op.dom, &op.status);
    if (d) {
        op.nr_frames = READ_ONCE(d->grants->nr_frames);
        op.max_nr_frames = d->grants->max_frames;
        domain_put(d);
    }
    return arg_write(v, arg, &op);
}

static long op_set_version(struct vcpu *v, u64 arg, u32 count)
{
    struct gnttab_set_version op;
    if (count != 1)
        return -EINVAL;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = grant_set_version(v->domain, op.version);
    op.version = READ_ONCE(v->domain->grants->version);
    int fault = arg_write(v, arg, &op);
    return err ? err : fault;
}

static long op_get_version(struct vcpu *v, u64 arg, u32 count)
{
    struct gnttab_get_version op;
    if (count != 1)
        return -EINVAL;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = 0;
    struct domain *d = domain_get_for(v, op.dom, &err);
    if (!d)
        return err;
    op.version = READ_ONCE(d->grants->version);
    domain_put(d);
    return arg_write_field(v, arg, &op, version);
}

static long op_dump_table(struct vcpu *v, u64 arg, u32 count)
{
    struct gnttab_dump_table op;
    if (count != 1)
        return -EINVAL;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    /* Who fills the log, fills it for everybody: not for any guest. */
    struct domain *d = NULL;
    op.status = GNTST_permission_denied;
    if (domain_has(v->domain, RIGHT_CONTROL))
        d = subject(v, op.dom, &op.status);
    if (d) {
        grant_dump(d);
        domain_put(d);
    }
    return arg_write_field(v, arg, &op, status);
}

static int swap_one(struct vcpu *v, u64 arg)
{
    struct gnttab_swap_grant_ref op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    op.status = (int16_t)grant_swap(v->domain, op.ref_a, op.ref_b);
    return arg_write_field(v, arg, &op, status);
}

/* A frame of d without an owner from now on, or NULL. */
static struct page *give_up(struct domain *d, u64 gfn)
{
    struct page *pg = d->ops->get_gfn(d, gfn, false);
    if (!pg)
        return NULL;
    d->ops->put_gfn(pg, false);
    if (steal_page(d, pg)) {            /* looks at the owner and the references itself */
        return NULL;
    }
    d->ops->physmap_remove(d, gfn, page_to_mfn(pg), 0);
    return pg;
}

/* As the ABI says, the frame has left the caller unless the status is bad_page. */
static int transfer(struct domain *d, const struct gnttab_transfer *op)
{
    struct page *pg = give_up(d, op->mfn);
    if (!pg)
        return GNTST_bad_page;
    struct domain *rd = domain_get(op->domid);
    int err = rd && !rd->is_dying ? grant_transfer_begin(rd, op->ref, d->id) : GNTST_bad_domain;
    if (!err) {
        err = assign_pages(rd, pg, 0) ? GNTST_general_error : GNTST_okay;
        grant_transfer_end(rd, op->ref, page_to_mfn(pg), !err);
    }
    if (err)
        free_stolen_page(pg);
    if (rd)
        domain_put(rd);
    return err;
}

static int transfer_one(struct vcpu *v, u64 arg)
{
    struct gnttab_transfer op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    op.status = (int16_t)transfer(v->domain, &op);
    return arg_write_field(v, arg, &op, status);
}

/* An array of rare operations, one by one. */
static long each(struct vcpu *v, unsigned long *a, size_t size, int (*one)(struct vcpu *v, u64 arg))
{
    while ((u32)a[2]) {
        int err = one(v, a[1]);
        if (err)
            return err;
        a[1] += size;
        a[2] = (u32)a[2] - 1;
        if (a[2] && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}

long do_grant_table_op(struct vcpu *v, unsigned long *a)
{
    u32 count = (u32)a[2];
    if ((int32_t)count < 0)
        return -EINVAL;
    if ((u32)a[0] <= GNTTABOP_unmap_grant_ref || (u32)a[0] == GNTTABOP_unmap_and_replace) {
        const struct guest_ops *ops = v->domain->ops;
        if (ops->grant_begin && ops->grant_begin(v))
            return -ERESTART;
    }
    switch ((u32)a[0]) {
    case GNTTABOP_map_grant_ref:
        return grant_op_map(v, a);
    case GNTTABOP_unmap_grant_ref:
        return grant_op_unmap(v, a);
    case GNTTABOP_unmap_and_replace:
        return grant_op_replace(v, a);
    case GNTTABOP_copy:
        return grant_op_copy(v, a);
    case GNTTABOP_transfer:
        return each(v, a, sizeof(struct gnttab_transfer), transfer_one);
    case GNTTABOP_swap_grant_ref:
        return each(v, a, sizeof(struct gnttab_swap_grant_ref), swap_one);
    case GNTTABOP_setup_table:
        return op_setup_table(v, a[1], count);
    case GNTTABOP_get_status_frames:
        return op_get_status_frames(v, a[1], count);
    case GNTTABOP_query_size:
        return op_query_size(v, a[1], count);
    case GNTTABOP_set_version:
        return op_set_version(v, a[1], count);
    case GNTTABOP_get_version:
        return op_get_version(v, a[1], count);
    case GNTTABOP_dump_table:
        return op_dump_table(v, a[1], count);
    case GNTTABOP_cache_flush:
        return -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}
