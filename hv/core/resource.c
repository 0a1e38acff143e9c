// SPDX-License-Identifier: MIT
/*
 * XENMEM_acquire_resource: the frames of something that belongs to a domain and that
 * its toolstack wants to map: its grant table. (PV callers get machine frames.)
 * It grows first, in preemptible steps; its own lock guards that, and here is no state.
 */
#include "arch.h"
#include "grant.h"
#include "guest.h"
#include "hypercall.h"
#include "reservation.h"

static long resource_frames(struct vcpu *v, unsigned long *a, struct domain *d,
                            const struct xen_mem_acquire_resource *r, u64 start)
{
    u32 limit = grant_max_frames(d, r->id);
    if (r->frame >= limit || r->nr_frames > limit - r->frame)
        return -EINVAL;
    int err = r->nr_frames ? grant_prepare_frames(v, d, r->id, (u32)r->frame + r->nr_frames) : 0;
    for (u64 i = start; !err && i < r->nr_frames; i++) {
        if (i > start && i % 16 == 0 && hypercall_preempt(v)) {
            a[0] = XENMEM_acquire_resource | i << MEMOP_BITS;
            return -ERESTART;
        }
        xen_pfn_t frame;
        err = grant_get_frame(d, r->id, (u32)(r->frame + i), &frame);
        err = err ?: copy_to_handle(v, r->frame_list, i, &frame, 1);
    }
    return err;
}

long memory_acquire(struct vcpu *v, unsigned long *a, u64 start)
{
    struct xen_mem_acquire_resource r;
    if (arg_read(v, &r, a[1]))
        return -EFAULT;
    if (r.pad || (handle_null(r.frame_list) && r.nr_frames))
        return -EINVAL;
    if (r.type != XENMEM_resource_grant_table)
        return -EOPNOTSUPP;
    if (r.id != XENMEM_resource_grant_table_id_shared && r.id != XENMEM_resource_grant_table_id_status)
        return -EINVAL;
    int err = 0;
    struct domain *d = domain_get_for(v, r.domid, &err);
    if (!d)
        return err;
    long rc = -EPERM;
    if (d != v->domain && handle_null(r.frame_list)) {  /* the size is asked */
        r.nr_frames = grant_max_frames(d, r.id);
        rc = arg_write_field(v, a[1], &r, nr_frames);
    } else if (d != v->domain) {
        rc = resource_frames(v, a, d, &r, start);
    }
    domain_put(d);
    return rc;
}
