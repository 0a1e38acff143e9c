// SPDX-License-Identifier: MIT
/*
 * memory_op: dispatch, and the operations that only ask or set something. A domain's
 * memory map for its kernel (d->e820) is guarded by d->lock, its limits by page_lock.
 */
#include "arch.h"
#include "guest.h"
#include "hypercall.h"
#include "reservation.h"

#define E820_ENTRY_SIZE 20      /* u64 start, u64 size, u32 type: Bulkhead only keeps it */
#define E820_ENTRIES_MAX 128

static long clamp(u64 n)
{
    return (long)MIN(n, ~0UL >> 1);
}

/* What is asked of a domain by struct xen_memory_domain. */
static long op_ask(struct vcpu *v, unsigned cmd, u64 arg)
{
    struct xen_memory_domain m;
    int err = 0;
    if (arg_read(v, &m, arg))
        return -EFAULT;
    struct domain *d = domain_get_for(v, m.domid, &err);
    if (!d)
        return err;
    u64 n = READ_ONCE(d->tot_pages);
    if (cmd == XENMEM_maximum_reservation) {
        n = READ_ONCE(d->max_pages);
    } else if (cmd == XENMEM_maximum_gpfn) {
        n = READ_ONCE(d->shared_info->arch.max_pfn);
        n -= n != 0;
    }
    domain_put(d);
    return clamp(n);
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
        if (copy_to_void(v, m.buffer, 0, d->e820, m.nr_entries * E820_ENTRY_SIZE))
            return -EFAULT;
    }
    return arg_write_field(v, arg, &m, nr_entries);
}

static long op_set_memory_map(struct vcpu *v, u64 arg)
{
    struct xen_foreign_memory_map m;
    void *map = NULL;
    int err = 0;
    if (arg_read(v, &m, arg))
        return -EFAULT;
    if (m.map.nr_entries > E820_ENTRIES_MAX)
        return -EINVAL;
    struct domain *d = domain_get_for(v, m.domid, &err);
    if (!d)
        return err;
    size_t size = m.map.nr_entries * E820_ENTRY_SIZE;
    if (size) {
        map = xzalloc(size);
        err = !map ? -ENOMEM : copy_from_void(v, map, m.map.buffer, 0, size);
    }
    if (!err) {
        with_lock (&d->lock) {
            void *old = d->e820;
            d->e820 = map;
            d->e820_nr = m.map.nr_entries;
            map = old;
        }
    }
    xfree(map);
    domain_put(d);
    return err;
}

/* Nothing is populated on demand, so any target is met by what there is. */
static long op_pod_target(struct vcpu *v, u64 arg)
{
    struct xen_pod_target t;
    int err = 0;
    if (arg_read(v, &t, arg))
        return -EFAULT;
    struct domain *d = domain_get_for(v, t.domid, &err);
    if (!d)
        return err;
    t.tot_pages = READ_ONCE(d->tot_pages);
    t.pod_cache_pages = t.pod_entries = 0;
    domain_put(d);
    return arg_write(v, arg, &t);
}

/* A claim is granted when the pages are there; they are not held back. */
static long op_claim(struct vcpu *v, u64 arg)
{
    struct xen_memory_reservation r;
    int err = 0;
    if (arg_read(v, &r, arg))
        return -EFAULT;
    if (!handle_null(r.extent_start) || r.extent_order || r.mem_flags)
        return -EINVAL;
    struct domain *d = domain_get_for(v, r.domid, &err);
    if (!d)
        return err;
    u64 have = READ_ONCE(d->tot_pages);
    if (r.nr_extents > READ_ONCE(d->max_pages))
        err = -EINVAL;
    else if (r.nr_extents > have && r.nr_extents - have > free_page_count())
        err = -ENOMEM;
    domain_put(d);
    return err;
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

static long admit(struct domain *self, unsigned cmd)
{
    switch (cmd) {
#define OP(nr, name, rights, note) case nr: return domain_has(self, rights) ? 0 : -EPERM;
#define NO_OP(nr, name, err, note) case nr: return -err;
#include "ops/memory_op.h"
#undef OP
#undef NO_OP
    default:
        return -ENOSYS;
    }
}

/* a: command (and, of a call that goes on, how far it is), its structure. */
long do_memory_op(struct vcpu *v, unsigned long *a)
{
    unsigned cmd = a[0] & ((1u << MEMOP_BITS) - 1);
    u64 start = a[0] >> MEMOP_BITS;
    long rc = admit(v->domain, cmd);
    if (rc)
        return rc;
    switch (cmd) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return memory_reservation(v, a, cmd, start);
    case XENMEM_exchange:
        return memory_exchange(v, a[1]);
    case XENMEM_maximum_ram_page:
        return clamp(max_mfn);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return op_ask(v, cmd, a[1]);
    case XENMEM_memory_map:
        return op_memory_map(v, a[1]);
    case XENMEM_set_memory_map:
        return op_set_memory_map(v, a[1]);
    case XENMEM_set_pod_target:
    case XENMEM_get_pod_target:
        return op_pod_target(v, a[1]);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0;
    case XENMEM_claim_pages:
        return op_claim(v, a[1]);
    case XENMEM_reserved_device_memory_map:
        return op_reserved_memory(v, a[1]);
    case XENMEM_acquire_resource:
        return memory_acquire(v, a, start);
    default:
        return arch_memory_op(v, cmd, a[1]);
    }
}
