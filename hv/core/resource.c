// SPDX-License-Identifier: MIT
/*
 * XENMEM_acquire_resource: the frames of something that belongs to a domain and that
 * its toolstack wants to map: its grant table. (PV callers get machine frames.)
 * The grant table's own lock guards its growth; here is no state.
 */
#include "arch.h"
#include "grant.h"
#include "guest.h"
#include "hypercall.h"
#include "reservation.h"

static long resource_size(struct vcpu *v, u64 arg, struct domain *d, struct xen_mem_acquire_resource *r)
{
    r->nr_frames = grant_max_frames(d, r->id);
    return r->nr_frames ? arg_write_field(v, arg, r, nr_frames) : -EINVAL;
}

static long resource_frames(struct vcpu *v, unsigned long *a, struct domain *d,
                            const struct xen_mem_acquire_resource *r, u64 start)
{
    u32 limit = grant_max_frames(d, r->id);
    if (r->frame >= limit || r->nr_frames > limit - r->frame)
        return -EINVAL;
    for (u64 i = start; i < r->nr_frames; i++) {
        mfn_t mfn;
        if (i > start && i % 16 == 0 && hypercall_preempt(v)) {
            a[0] = XENMEM_acquire_resource | i << MEMOP_BITS;
            return -ERESTART;
        }
        int err = grant_get_frame(d, r->id, (u32)(r->frame + i), &mfn);
        xen_pfn_t frame = mfn;
        err = err ? err : copy_to_handle(v, r->frame_list, i, &frame, 1);
        if (err)
            return err;
    }
    return 0;
}

long memory_acquire(struct vcpu *v, unsigned long *a, u64 start)
{
    struct xen_mem_acquire_resource r;
    int err = 0;
    if (arg_read(v, &r, a[1]))
        return -EFAULT;
    if (r.pad || (handle_null(r.frame_list) && r.nr_frames))
        return -EINVAL;
    if (r.type != XENMEM_resource_grant_table)
        return -EOPNOTSUPP;
    if (r.id != XENMEM_resource_grant_table_id_shared && r.id != XENMEM_resource_grant_table_id_status)
        return -EINVAL;
    struct domain *d = domain_get_for(v, r.domid, &err);
    if (!d)
        return err;
    long rc = d == v->domain ? -EPERM
            : handle_null(r.frame_list) ? resource_size(v, a[1], d, &r)
            : resource_frames(v, a, d, &r, start);
    domain_put(d);
    return rc;
}
