// SPDX-License-Identifier: MIT
/*
 * Grant tables, the mapping half: a domain's mappings of others' granted frames, by
 * handle. Owns grants->map_*; guarded by map_lock of the mapping domain.
 *
 * A handle is given out only when its record is complete. Whoever undoes a mapping
 * marks it MAP_BUSY first, so that two vCPUs with the same handle do not both undo it,
 * and works on it without a lock. What a mapping holds (grant_private.h) is given up
 * in this order: the guest's page-table entry, stale translations on every CPU, the
 * frame, the pin (only now does the granting guest see its entry free), the domain.
 *
 * Two domains that die at once, each with mappings of the other: each gives up its own
 * mappings; a pin in the other's table is undone under that table's lock, and the
 * table is there as long as the mapping's reference on its domain.
 */
#include "arch.h"
#include "grant_private.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

_Static_assert(sizeof(struct grant_map) == 16, "whole records in a frame");

/* --- handles --- */

static struct grant_map *map_of(const struct grant_table *t, u32 handle)
{
    u32 i = handle / MAP_PER_FRAME;
    return &t->map_dir[i / MAP_PER_DIR][i % MAP_PER_DIR][handle % MAP_PER_FRAME];
}

/* One more frame of records. map_lock held. */
static bool more_handles(struct grant_table *t)
{
    u32 i = t->nr_map_frames;
    if (i >= t->max_map_frames)
        return false;
    struct grant_map ***dir = &t->map_dir[i / MAP_PER_DIR];
    if (!*dir && !(*dir = xzalloc(PAGE_SIZE)))
        return false;
    struct grant_map *m = xzalloc(PAGE_SIZE);
    if (!m)
        return false;
    u32 first = i * (u32)MAP_PER_FRAME;
    for (u32 k = 0; k < MAP_PER_FRAME; k++)
        m[k].ref = k + 1 < MAP_PER_FRAME ? first + k + 1 : t->map_free;
    (*dir)[i % MAP_PER_DIR] = m;
    t->map_free = first;
    t->nr_map_frames++;
    return true;
}

/* Gives a complete record a handle. */
static u32 handle_new(struct grant_table *t, const struct grant_map *m)
{
    u32 handle = HANDLE_NONE;
    with_lock (&t->map_lock) {
        if (t->map_free != HANDLE_NONE || more_handles(t)) {
            handle = t->map_free;
            struct grant_map *slot = map_of(t, handle);
            t->map_free = slot->ref;
            *slot = *m;
        }
    }
    return handle;
}

/* Takes a live mapping for the caller alone. */
static bool handle_take(struct grant_table *t, u32 handle, struct grant_map *m)
{
    bool good = false;
    with_lock (&t->map_lock) {
        u32 n = t->nr_map_frames * (u32)MAP_PER_FRAME;
        if (handle >= n)
            break;
        struct grant_map *slot = map_of(t, (u32)index_nospec(handle, n));
        good = (slot->flags & MAP_LIVE) && !(slot->flags & MAP_BUSY);
        if (good) {
            *m = *slot;
            slot->flags |= MAP_BUSY;
        }
    }
    return good;
}

/* Ends what handle_take began: with live flags it stays, without it is free. */
static void handle_put(struct grant_table *t, u32 handle, u16 flags)
{
    with_lock (&t->map_lock) {
        struct grant_map *slot = map_of(t, handle);
        slot->flags = flags;
        if (!(flags & MAP_LIVE)) {
            slot->flags = 0;
            slot->ref = t->map_free;
            t->map_free = handle;
        }
    }
}

/* --- what a mapping holds --- */

struct domain *grant_peer_get(struct grant_peer *p, domid_t id)
{
    if (!p->d || p->d->id != id) {
        grant_peer_put(p);
        p->d = domain_get(id);
    }
    return p->d && !READ_ONCE(p->d->is_dying) ? p->d : NULL;
}

static void let_go(const struct grant_map *m)
{
    struct domain *rd = domain_owner(m->domid);
    bool write = !(m->flags & GNTMAP_readonly);
    rd->ops->put_gfn(mfn_to_page(m->mfn), write);
    grant_unpin(rd, m->ref, write);
    domain_put(rd);
}

/* No CPU shows d what its page-table entries no longer do. */
static void flush(struct domain *d)
{
    if (d->ops->grant_flush)
        d->ops->grant_flush(d);
    else
        tlb_flush_mask(cpus_online);
}

/* Pins entry op->ref of rd and takes its frame for m. GNTST_*. */
static int take_frame(struct domain *d, struct domain *rd, const struct gnttab_map_grant_ref *op, struct grant_map *m)
{
    bool write = !(op->flags & GNTMAP_readonly);
    struct grant_use use;
    int err = grant_pin(rd, op->ref, d->id, write, &use);
    if (err)
        return err;
    struct page *pg = use.whole ? rd->ops->get_gfn(rd, use.gfn, write) : NULL;
    if (!pg) {
        grant_unpin(rd, op->ref, write);
        return use.whole ? GNTST_bad_page : GNTST_general_error;
    }
    domain_ref(rd);
    *m = (struct grant_map){ .ref = op->ref, .mfn = (u32)page_to_mfn(pg), .domid = rd->id,
                             .flags = (u16)op->flags & ~MAP_BUSY };
    return GNTST_okay;
}

/* --- map --- */

static int map_one(struct vcpu *v, struct gnttab_map_grant_ref *op, struct grant_peer *peer)
{
    struct domain *d = v->domain;
    if (!(op->flags & MAP_LIVE))
        return GNTST_bad_gntref;
    struct domain *rd = grant_peer_get(peer, op->dom);
    if (!rd)
        return GNTST_bad_domain;
    struct grant_map m;
    int err = take_frame(d, rd, op, &m);
    if (err)
        return err;
    if (op->flags & GNTMAP_host_map)
        err = d->ops->grant_map(v, op->host_addr, m.mfn, op->flags);
    if (!err) {
        u32 handle = handle_new(d->grants, &m);
        if (handle != HANDLE_NONE) {
            op->handle = handle;
            op->dev_bus_addr = (u64)m.mfn << PAGE_SHIFT;
            return GNTST_okay;
        }
        err = GNTST_no_space;
        if (op->flags & GNTMAP_host_map) {
            /* The entry has references of its own: should it have changed already,
             * nothing of ours depends on it. */
            d->ops->grant_unmap(v, op->host_addr, m.mfn, op->flags);
            flush(d);
        }
    }
    let_go(&m);
    return err;
}

long grant_op_map(struct vcpu *v, unsigned long *a)
{
    struct gnttab_map_grant_ref op[GRANT_BATCH];
    struct grant_peer peer = { NULL };
    long ret = 0;
    while ((u32)a[2]) {
        u32 n = MIN((u32)a[2], (u32)GRANT_BATCH);
        if (guest_read(v, op, a[1], n * sizeof(op[0]))) {
            ret = -EFAULT;
            break;
        }
        for (u32 i = 0; i < n; i++)
            op[i].status = (int16_t)map_one(v, &op[i], &peer);
        if (guest_write(v, a[1], op, n * sizeof(op[0]))) {
            ret = -EFAULT;              /* its mappings end with the domain */
            break;
        }
        a[1] += n * sizeof(op[0]);
        a[2] = (u32)a[2] - n;
        if (a[2] && hypercall_preempt(v)) {
            ret = -ERESTART;
            break;
        }
    }
    grant_peer_put(&peer);
    return ret;
}

/* --- unmap --- */

struct undo {
    struct grant_map m;         /* as taken */
    u32 handle;
    u16 left;                   /* flags that remain */
    bool taken;
};

/* Takes the mapping's entries away. GNTST_*; what follows is finish(). */
static int unmap_one(struct vcpu *v, u32 handle, u64 host_addr, u64 dev_bus_addr, const u64 *new_addr, struct undo *u)
{
    struct domain *d = v->domain;
    u->taken = handle_take(d->grants, handle, &u->m);
    if (!u->taken)
        return GNTST_bad_handle;
    u->handle = handle;
    u->left = u->m.flags;
    if (dev_bus_addr) {
        if (!(u->left & GNTMAP_device_map) || dev_bus_addr != (u64)u->m.mfn << PAGE_SHIFT)
            return GNTST_bad_dev_addr;
    }
    if (host_addr || new_addr) {
        int err = !(u->left & GNTMAP_host_map) ? GNTST_bad_virt_addr
                  : new_addr ? d->ops->grant_replace(v, host_addr, u->m.mfn, *new_addr, u->m.flags)
                             : d->ops->grant_unmap(v, host_addr, u->m.mfn, u->m.flags);
        if (err)
            return err;
        u->left &= ~GNTMAP_host_map;
    }
    if (dev_bus_addr)
        u->left &= ~GNTMAP_device_map;
    return GNTST_okay;
}

static void finish(struct domain *d, struct undo *u, u32 n)
{
    bool unmapped = false;
    for (u32 i = 0; i < n; i++)
        unmapped |= u[i].taken && ((u[i].left ^ u[i].m.flags) & GNTMAP_host_map);
    if (unmapped)
        flush(d);
    for (u32 i = 0; i < n; i++) {
        if (u[i].taken) {
            if (!(u[i].left & MAP_LIVE))
                let_go(&u[i].m);
            handle_put(d->grants, u[i].handle, u[i].left);
        }
    }
}

/* Both have one size, so arrays of either are arrays of this. */
union unmap_op {
    struct gnttab_unmap_grant_ref un;
    struct gnttab_unmap_and_replace re;
};
_Static_assert(sizeof(union unmap_op) == sizeof(struct gnttab_unmap_grant_ref) &&
               sizeof(union unmap_op) == sizeof(struct gnttab_unmap_and_replace), "one size");

static long unmap_batches(struct vcpu *v, unsigned long *a, bool replace)
{
    union unmap_op op[GRANT_BATCH];
    struct undo undo[GRANT_BATCH];
    while ((u32)a[2]) {
        u32 n = MIN((u32)a[2], (u32)GRANT_BATCH);
        if (guest_read(v, op, a[1], n * sizeof(op[0])))
            return -EFAULT;
        for (u32 i = 0; i < n; i++) {
            if (replace) {
                struct gnttab_unmap_and_replace *re = &op[i].re;
                re->status = (int16_t)unmap_one(v, re->handle, re->host_addr, 0, &re->new_addr, &undo[i]);
            } else {
                struct gnttab_unmap_grant_ref *un = &op[i].un;
                un->status = (int16_t)unmap_one(v, un->handle, un->host_addr, un->dev_bus_addr, NULL, &undo[i]);
            }
        }
        finish(v->domain, undo, n);
        if (guest_write(v, a[1], op, n * sizeof(op[0])))
            return -EFAULT;
        a[1] += n * sizeof(op[0]);
        a[2] = (u32)a[2] - n;
        if (a[2] && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}

long grant_op_unmap(struct vcpu *v, unsigned long *a)   { return unmap_batches(v, a, false); }
long grant_op_replace(struct vcpu *v, unsigned long *a) { return unmap_batches(v, a, true); }

/* --- the end of a domain; the audit --- */

/* The page tables that showed these frames are gone already (domain_kill). */
int grant_release_mappings(struct domain *d)
{
    struct grant_table *t = d->grants;
    while (t->release_next < t->nr_map_frames * MAP_PER_FRAME) {
        u32 handle = t->release_next++;
        struct grant_map m;
        if (handle_take(t, handle, &m)) {
            let_go(&m);
            handle_put(t, handle, 0);
        }
        if (handle % 64 == 63 && hypercall_preempt(current_vcpu()))
            return -ERESTART;
    }
    return 0;
}

void grant_for_each_mapping(struct domain *d, void (*fn)(void *arg, mfn_t mfn, bool write), void *arg)
{
    struct grant_table *t = d->grants;
    for (u32 i = 0; t && i < t->nr_map_frames * MAP_PER_FRAME; i++) {
        const struct grant_map *m = map_of(t, i);
        if (m->flags & MAP_LIVE)
            fn(arg, m->mfn, !(m->flags & GNTMAP_readonly));
    }
}

int grant_map_init(struct domain *d)
{
    struct grant_table *t = d->grants;
    spin_lock_init(&t->map_lock, LOCK_GRANT);
    t->max_map_frames = MIN(d->max_maptrack_frames, (u32)(MAP_DIRS * MAP_PER_DIR));
    t->map_free = HANDLE_NONE;
    return 0;
}

void grant_map_free(struct domain *d)
{
    struct grant_table *t = d->grants;
    for (u32 i = 0; i < t->nr_map_frames; i++)
        xfree(t->map_dir[i / MAP_PER_DIR][i % MAP_PER_DIR]);
    for (u32 i = 0; i < MAP_DIRS; i++)
        xfree(t->map_dir[i]);
}
