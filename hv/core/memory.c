// SPDX-License-Identifier: MIT
/*
 * memory_op: dispatch, and the operations that only ask or set something. A domain's
 * memory map for its kernel (d->e820) is guarded by d->lock, its limits by page_lock.
 */
#include "arch.h"
#include "grant.h"
#include "guest.h"
#include "reservation.h"

#define E820_ENTRY_SIZE 20UL    /* u64 start, u64 size, u32 type: Bulkhead only keeps it */
#define E820_ENTRIES_MAX 128

static long clamp(u64 n)
{
    return (long)MIN(n, ~0UL >> 1);
}

/* What is asked of a domain by struct xen_memory_domain. */
static long op_ask(struct memop *m)
{
    if (m->cmd == XENMEM_current_reservation)
        return clamp(READ_ONCE(m->d->tot_pages));
    if (m->cmd == XENMEM_maximum_reservation)
        return clamp(READ_ONCE(m->d->max_pages));
    u64 n = READ_ONCE(m->d->shared_info->arch.max_pfn);     /* XENMEM_maximum_gpfn */
    return clamp(n - (n != 0));
}

static long op_set_memory_map(struct memop *m)
{
    if (m->map.map.nr_entries > E820_ENTRIES_MAX)
        return -EINVAL;
    size_t size = m->map.map.nr_entries * E820_ENTRY_SIZE;
    void *map = size ? xzalloc(size) : NULL;
    if (size && !map)
        return -ENOMEM;
    int err = size ? guest_read(m->v, map, (u64)m->map.map.buffer.p, size) : 0;
    if (!err) {
        with_lock (&m->d->lock) {
            void *old = m->d->e820;
            m->d->e820 = map;
            m->d->e820_nr = m->map.map.nr_entries;
            map = old;
        }
    }
    xfree(map);
    return err;
}

/* A claim is granted when the pages are there; they are not held back. */
static long op_claim(struct memop *m)
{
    const struct xen_memory_reservation *r = &m->res;
    u64 have = READ_ONCE(m->d->tot_pages), n = r->nr_extents;
    if (!handle_null(r->extent_start) || r->extent_order || r->mem_flags ||
        (n && n <= have) || n > READ_ONCE(m->d->max_pages)) {
        return -EINVAL;
    }
    return n && n - have > free_page_count() ? -ENOMEM : 0;
}

/* XENMEM_acquire_resource: the frames of something that belongs to a domain and that its
 * toolstack wants to map, which is its grant table. (PV callers get machine frames.) It
 * grows first, in preemptible steps, under its own lock. */
static long acquire_frames(struct memop *m)
{
    const struct xen_mem_acquire_resource *r = &m->resource;
    u32 limit = grant_max_frames(m->d, r->id);
    if (r->frame >= limit || r->nr_frames > limit - r->frame)
        return -EINVAL;
    if (!r->nr_frames)
        return 0;
    return grant_prepare_frames(m->v, m->d, r->id, (u32)r->frame + r->nr_frames) ?:
           grant_put_frames(m->v, m->d, r->id, (u32)r->frame, r->nr_frames, r->frame_list.p);
}

static long op_acquire(struct memop *m)
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
        return r->domid == DOMID_SELF ? -ESRCH : -EPERM;
    if (!handle_null(r->frame_list))
        return acquire_frames(m);
    r->nr_frames = grant_max_frames(m->d, r->id);       /* the size is asked */
    return arg_write_field(m->v, m->a[1], r, nr_frames);
}

static long op_memory_map(struct vcpu *v, u64 arg)
{
    struct xen_memory_map m;
    struct domain *d = v->domain;
    if (arg_read(v, &m, arg))
        return -EFAULT;
    with_lock (&d->lock) {
        if (!d->e820_nr)
            return -ENOSYS;
        m.nr_entries = MIN(m.nr_entries, d->e820_nr);
        if (guest_write(v, (u64)m.buffer.p, d->e820, m.nr_entries * E820_ENTRY_SIZE))
            return -EFAULT;
    }
    return arg_write_field(v, arg, &m, nr_entries);
}

/* Which regions of memory devices need at their own addresses: none. */
static long op_reserved_memory(struct vcpu *v, u64 arg)
{
    struct xen_reserved_device_memory_map m;
    if (arg_read(v, &m, arg))
        return -EFAULT;
    m.nr_entries = 0;
    return arg_write_field(v, arg, &m, nr_entries);
}

/* Operations on a domain that the structure names, at domid in it. */
static long domain_op(struct vcpu *v, unsigned long *a, u32 size, u32 domid,
                      long (*fn)(struct memop *))
{
    struct memop m = { .v = v, .a = a, .cmd = a[0] & MEMOP_CMD, .start = a[0] >> MEMOP_BITS };
    int err = -EFAULT;
    if (!guest_read(v, &m.domain, a[1], size))
        m.d = domain_get_for(v, *(domid_t *)((char *)&m.domain + domid), &err);
    if (!m.d)
        return fn == memory_reservation     /* that one counts: extents, m.start has frames */
            ? (long)(m.start >> MIN(m.res.extent_order, (unsigned)EXTENT_ORDER_MAX)) : err;
    long rc = fn(&m);
    domain_put(m.d);
    return rc;
}

static NOINLINE long other_op(struct vcpu *v, unsigned cmd, u64 arg)
{
    switch (cmd) {
    case XENMEM_exchange:
        return memory_exchange(v, arg);
    case XENMEM_maximum_ram_page:
        return clamp(max_mfn);
    case XENMEM_memory_map:
        return op_memory_map(v, arg);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0;
    case XENMEM_reserved_device_memory_map:
        return op_reserved_memory(v, arg);
    default:
        return arch_memory_op(v, cmd, arg);
    }
}

/* a: command (and, of a call that goes on, how far it is), its structure. */
long do_memory_op(struct vcpu *v, unsigned long *a)
{
    unsigned cmd = a[0] & MEMOP_CMD;
    switch (cmd) {
#define OP(nr, name, rights, note) \
    case nr: return domain_has(v->domain, rights) ? other_op(v, cmd, a[1]) : -EPERM;
#define OP_ON(nr, name, type, handler, rights, note) \
    case nr: return !domain_has(v->domain, rights) ? -EPERM \
        : domain_op(v, a, sizeof(struct type), offsetof(struct type, domid), handler);
#define NO_OP(nr, name, err, note) case nr: return -(err);
#include "ops/memory_op.h"
    default:
        return -ENOSYS;
    }
}
