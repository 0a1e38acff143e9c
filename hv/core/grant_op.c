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

/* --- operations about a table --- */

/* Writes the machine frames [0, n) of the table (or of its status words) as 8-byte
 * numbers to the guest. */
static int write_frames(struct vcpu *v, struct domain *d, u32 id, u32 n, u64 list)
{
    for (u32 i = 0; i < n; i++) {
        u64 mfn;
        if (grant_get_frame(d, id, i, &mfn))
            return GNTST_general_error;
        if (guest_write(v, list + i * sizeof(mfn), &mfn, sizeof(mfn)))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static int op_setup_table(struct vcpu *v, struct domain *d, void *arg)
{
    const struct gnttab_setup_table *op = arg;
    int err = grant_grow_to(v, d, op->nr_frames);
    if (err)
        return err == -ERESTART ? err : GNTST_general_error;
    return write_frames(v, d, XENMEM_resource_grant_table_id_shared, op->nr_frames,
                        (u64)op->frame_list.p);
}

static int op_get_status_frames(struct vcpu *v, struct domain *d, void *arg)
{
    const struct gnttab_get_status_frames *op = arg;
    struct grant_table *t = d->grants;
    if (READ_ONCE(t->version) != 2 || op->nr_frames > grant_status_frames(READ_ONCE(t->nr_frames)))
        return GNTST_general_error;
    return write_frames(v, d, XENMEM_resource_grant_table_id_status, op->nr_frames,
                        (u64)op->frame_list.p);
}

static int op_query_size(struct vcpu *v, struct domain *d, void *arg)
{
    struct gnttab_query_size *op = arg;
    (void)v;
    op->nr_frames = READ_ONCE(d->grants->nr_frames);
    op->max_nr_frames = d->grants->max_frames;
    return GNTST_okay;
}

/* Who fills the log, fills it for everybody: not for any guest. */
static int op_dump_table(struct vcpu *v, struct domain *d, void *arg)
{
    (void)arg;
    if (!domain_has(v->domain, RIGHT_CONTROL))
        return GNTST_permission_denied;
    grant_dump(d);
    return GNTST_okay;
}

static int op_get_version(struct vcpu *v, struct domain *d, void *arg)
{
    struct gnttab_get_version *op = arg;
    (void)v;
    op->version = READ_ONCE(d->grants->version);
    return 0;
}

/* One of these, on the domain that its structure names. Its result goes to `status`, or
 * there is none (0) and the call itself fails. */
static long table_op(struct vcpu *v, unsigned long *a, size_t size, size_t dom, size_t status,
                     int (*fn)(struct vcpu *v, struct domain *d, void *op))
{
    union {
        struct gnttab_setup_table largest;
        u8 byte[sizeof(struct gnttab_setup_table)];
    } op;
    if ((u32)a[2] != 1)
        return -EINVAL;
    if (guest_read(v, &op, a[1], size))
        return -EFAULT;
    int err = 0;
    struct domain *d = domain_get_for(v, *(domid_t *)&op.byte[dom], &err);
    if (!d && !status)
        return err;
    int result = err == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
    if (d) {
        result = fn(v, d, &op);
        domain_put(d);
    }
    if (result == -ERESTART)
        return result;
    if (status)
        *(int16_t *)&op.byte[status] = (int16_t)result;
    return guest_write(v, a[1], &op, size);
}
#define TABLE_OP(name, status) \
    table_op(v, a, sizeof(struct gnttab_##name), offsetof(struct gnttab_##name, dom), status, \
             op_##name)
#define STATUS_OP(name) TABLE_OP(name, offsetof(struct gnttab_##name, status))

static long op_set_version(struct vcpu *v, unsigned long *a)
{
    struct gnttab_set_version op;
    if ((u32)a[2] != 1)
        return -EINVAL;
    if (arg_read(v, &op, a[1]))
        return -EFAULT;
    int err = grant_set_version(v->domain, op.version);
    op.version = READ_ONCE(v->domain->grants->version);
    int fault = arg_write(v, a[1], &op);
    return err ?: fault;
}

/* --- operations with arrays --- */

static void swap_batch(struct vcpu *v, void *ops, u32 n)
{
    struct gnttab_swap_grant_ref *op = ops;
    for (u32 i = 0; i < n; i++)
        op[i].status = (int16_t)grant_swap(v->domain, op[i].ref_a, op[i].ref_b);
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

static void transfer_batch(struct vcpu *v, void *ops, u32 n)
{
    struct gnttab_transfer *op = ops;
    for (u32 i = 0; i < n; i++)
        op[i].status = (int16_t)transfer(v->domain, &op[i]);
}

#define ARRAY_OP(name, fn, begin) [GNTTABOP_##name] = { fn, sizeof(struct gnttab_##name), begin }
static const struct array_call {
    grant_batch_fn *fn;
    u32 size;
    bool begin;                 /* ops->grant_begin comes first */
} arrays[] = {
    ARRAY_OP(map_grant_ref, grant_map_batch, true),
    ARRAY_OP(unmap_grant_ref, grant_unmap_batch, true),
    ARRAY_OP(unmap_and_replace, grant_replace_batch, true),
    ARRAY_OP(copy, grant_copy_batch, false),
    ARRAY_OP(transfer, transfer_batch, false),
    ARRAY_OP(swap_grant_ref, swap_batch, false),
};

static long other_op(struct vcpu *v, unsigned long *a)
{
    switch ((u32)a[0]) {
    case GNTTABOP_setup_table:
        return STATUS_OP(setup_table);
    case GNTTABOP_get_status_frames:
        return STATUS_OP(get_status_frames);
    case GNTTABOP_query_size:
        return STATUS_OP(query_size);
    case GNTTABOP_dump_table:
        return STATUS_OP(dump_table);
    case GNTTABOP_set_version:
        return op_set_version(v, a);
    case GNTTABOP_get_version:
        return TABLE_OP(get_version, 0);
    case GNTTABOP_cache_flush:
        return -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}

/* Arrays are done in batches: a[1] and a[2] (count) move on. */
long do_grant_table_op(struct vcpu *v, unsigned long *a)
{
    struct gnttab_copy op[GRANT_BATCH];     /* the largest */
    u32 cmd = (u32)a[0], count = (u32)a[2];
    if ((int32_t)count < 0)
        return -EINVAL;
    const struct array_call *c = &arrays[index_nospec(cmd, ARRAY_SIZE(arrays))];
    if (cmd >= ARRAY_SIZE(arrays) || !c->fn)
        return other_op(v, a);
    if (c->begin && v->domain->ops->grant_begin(v))
        return -ERESTART;
    while (count) {
        u32 n = MIN(count, (u32)GRANT_BATCH);
        if (guest_read(v, op, a[1], n * c->size))
            return -EFAULT;
        c->fn(v, op, n);
        if (guest_write(v, a[1], op, n * c->size))
            return -EFAULT;             /* what was mapped ends with the domain */
        a[1] += n * c->size;
        count -= n;
        a[2] = count;
        if (count && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}
