// SPDX-License-Identifier: MIT
/*
 * grant_table_op: the dispatcher, and the operations about a table as a whole. They
 * report GNTST_* in the guest's structure; an argument that cannot be read or written
 * is -EFAULT of the call.
 */
#include "grant_private.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

/* --- operations about a table --- */

/* What the guest is told of an errno. */
static int status_of(int err)
{
    return err == -EFAULT ? GNTST_bad_virt_addr : err && err != -ERESTART ? GNTST_general_error : err;
}

static int op_setup_table(struct vcpu *v, struct domain *d, void *arg)
{
    const struct gnttab_setup_table *op = arg;
    return status_of(grant_grow_to(v, d, op->nr_frames) ?:
                     grant_put_frames(v, d, XENMEM_resource_grant_table_id_shared, 0, op->nr_frames,
                                      op->frame_list.p));
}

static int op_get_status_frames(struct vcpu *v, struct domain *d, void *arg)
{
    const struct gnttab_get_status_frames *op = arg;
    struct grant_table *t = d->grants;
    if (READ_ONCE(t->version) != 2 || op->nr_frames > grant_status_frames(READ_ONCE(t->nr_frames)))
        return GNTST_general_error;
    return status_of(grant_put_frames(v, d, XENMEM_resource_grant_table_id_status, 0, op->nr_frames,
                                      op->frame_list.p));
}

static int op_query_size(struct vcpu *v UNUSED, struct domain *d, void *arg)
{
    struct gnttab_query_size *op = arg;
    op->nr_frames = READ_ONCE(d->grants->nr_frames);
    op->max_nr_frames = d->max_grant_frames;
    return GNTST_okay;
}

/* Who fills the log, fills it for everybody: not for any guest. */
static int op_dump_table(struct vcpu *v, struct domain *d, void *arg UNUSED)
{
    if (!domain_has(v->domain, RIGHT_CONTROL))
        return GNTST_permission_denied;
    u32 done = 0, ref = 0;
    list_resume(v, d, &done, &ref);
    while ((ref = grant_dump(d, ref)) != 0) {
        if (list_preempt(v, d, done, ref))
            return -ERESTART;
    }
    return GNTST_okay;
}

static int op_get_version(struct vcpu *v UNUSED, struct domain *d, void *arg)
{
    struct gnttab_get_version *op = arg;
    op->version = READ_ONCE(d->grants->version);
    return 0;
}

/* One of these, on the domain that its structure names. Its result goes to `status`, or
 * there is none (0) and the call itself fails. */
static long table_op(struct vcpu *v, unsigned long *a, size_t size, size_t dom, size_t status,
                     int (*fn)(struct vcpu *v, struct domain *d, void *op))
{
    _Alignas(8) u8 op[sizeof(struct gnttab_setup_table)];     /* the largest */
    if ((u32)a[2] != 1)
        return -EINVAL;
    if (guest_read(v, op, a[1], size))
        return -EFAULT;
    int err = 0;
    struct domain *d = domain_get_for(v, *(domid_t *)&op[dom], &err);
    if (!d && !status)
        return err;
    int result = err == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
    if (d) {
        result = fn(v, d, op);
        domain_put(d);
    }
    if (result == -ERESTART)
        return result;
    if (status)
        *(int16_t *)&op[status] = (int16_t)result;
    return guest_write(v, a[1], op, size);
}

static NOINLINE long op_set_version(struct vcpu *v, unsigned long *a)
{
    struct gnttab_set_version op;
    if (arg_read(v, &op, a[1]))
        return -EFAULT;
    int err = grant_set_version(v->domain, op.version);
    op.version = READ_ONCE(v->domain->grants->version);
    int fault = arg_write(v, a[1], &op);
    return err ? err : fault;
}

/* --- operations with arrays --- */

static void op_swap_grant_ref(struct vcpu *v, void *ops, u32 n)
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
    if (steal_page(d, pg))              /* looks at the owner and the references itself */
        return NULL;
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
        err = assign_pages(rd, pg, 0, false) ? GNTST_general_error : GNTST_okay;
        grant_transfer_end(rd, op->ref, page_to_mfn(pg), !err);
    }
    if (err)
        free_stolen_page(pg);
    if (rd)
        domain_put(rd);
    return err;
}

static void op_transfer(struct vcpu *v, void *ops, u32 n)
{
    struct gnttab_transfer *op = ops;
    for (u32 i = 0; i < n; i++)
        op[i].status = (int16_t)transfer(v->domain, &op[i]);
}

/* Arrays are done in batches: a[1] and a[2] (count) move on. */
static long array_op(struct vcpu *v, unsigned long *a, size_t size, bool begin, grant_batch_fn *fn)
{
    struct gnttab_copy op[GRANT_BATCH];     /* the largest */
    u32 count = (u32)a[2];
    if (begin && v->domain->ops->grant_begin(v))
        return -ERESTART;
    while (count) {
        u32 n = MIN(count, (u32)GRANT_BATCH);
        if (guest_read(v, op, a[1], n * size))
            return -EFAULT;
        fn(v, op, n);
        if (guest_write(v, a[1], op, n * size))
            return -EFAULT;             /* what was mapped ends with the domain */
        a[1] += n * size;
        a[2] = count -= n;
        if (count && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}

long do_grant_table_op(struct vcpu *v, unsigned long *a)
{
    if ((int32_t)a[2] < 0)
        return -EINVAL;
    switch ((u32)a[0]) {
#define OP(nr, name, rights, note) case nr: return op_##name(v, a);
#define OP_AT(nr, name, status, rights, note) \
    case nr: return table_op(v, a, sizeof(struct gnttab_##name), \
                             offsetof(struct gnttab_##name, dom), \
                             offsetof(struct gnttab_##name, status), op_##name);
#define OP_ARRAY(nr, name, begin, rights, note) \
    case nr: return array_op(v, a, sizeof(struct gnttab_##name), begin, op_##name);
#define NO_OP(nr, name, err, note) case nr: return -(err);
#include "ops/grant_table_op.h"
    default:
        return -ENOSYS;
    }
}
