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

static long frames(struct memop *m)
{
    const struct xen_mem_acquire_resource *r = &m->resource;
    u32 limit = grant_max_frames(m->d, r->id);
    if (r->frame >= limit || r->nr_frames > limit - r->frame)
        return -EINVAL;
    int err = 0;
    if (r->nr_frames)
        err = grant_prepare_frames(m->v, m->d, r->id, (u32)r->frame + r->nr_frames);
    for (u64 i = m->start; !err && i < r->nr_frames; i++) {
        if (i > m->start && i % 16 == 0 && hypercall_preempt(m->v))
            return memop_restart(m, i);
        xen_pfn_t frame;
        err = grant_get_frame(m->d, r->id, (u32)(r->frame + i), &frame);
        err = err ?: copy_to_handle(m->v, r->frame_list, i, &frame, 1);
    }
    return err;
}

long memory_acquire(struct memop *m)
{
    struct xen_mem_acquire_resource *r = &m->resource;
    if (r->pad || (handle_null(r->frame_list) && r->nr_frames))
        return -EINVAL;
    if (r->type != XENMEM_resource_grant_table)
        return -EOPNOTSUPP;
    if (r->id != XENMEM_resource_grant_table_id_shared &&
        r->id != XENMEM_resource_grant_table_id_status) {
        return -EINVAL;
    }
    if (m->d == m->v->domain)
        return -EPERM;
    if (!handle_null(r->frame_list))
        return frames(m);
    r->nr_frames = grant_max_frames(m->d, r->id);       /* the size is asked */
    return arg_write_field(m->v, m->a[1], r, nr_frames);
}
