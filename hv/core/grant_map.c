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

/* Takes a live mapping for the caller alone: its record, which nobody else changes until
 * handle_put. NULL: there is none, or it is taken. */
static inline struct grant_map *handle_take(struct grant_table *t, u32 handle)
{
    with_lock (&t->map_lock) {
        u32 n = t->nr_map_frames * (u32)MAP_PER_FRAME;
        struct grant_map *m = handle < n ? map_of(t, (u32)index_nospec(handle, n)) : NULL;
        if (m && (m->flags & MAP_LIVE) && !(m->flags & MAP_BUSY)) {
            m->flags |= MAP_BUSY;
            return m;
        }
    }
    return NULL;
}

/* Ends what handle_take began: with live flags it stays, without it is free. */
static void handle_put(struct grant_table *t, u32 handle, struct grant_map *m)
{
    with_lock (&t->map_lock) {
        m->flags &= ~MAP_BUSY;
        if (!(m->flags & MAP_LIVE)) {
            m->flags = 0;
            m->ref = t->map_free;
            t->map_free = handle;
        }
    }
}

/* --- what a mapping holds --- */

static void let_go(const struct grant_map *m)
{
    struct domain *rd = domain_held(m->domid);
    bool write = !(m->flags & GNTMAP_readonly);
    rd->ops->put_gfn(mfn_to_page(m->mfn), write);
    grant_unpin(rd, m->ref, write);
    domain_put(rd);
}

/* Pins entry op->ref of rd and takes its frame for m, whose the caller's reference on rd is
 * then. GNTST_*. */
static int take_frame(struct domain *d, struct domain *rd, const struct gnttab_map_grant_ref *op,
                      struct grant_map *m)
{
    bool write = !(op->flags & GNTMAP_readonly);
    struct grant_use use;
    int err = READ_ONCE(rd->is_dying) ? GNTST_bad_domain : grant_pin(rd, op->ref, d->id, write, &use);
    if (err)
        return err;
    struct page *pg = use.whole ? rd->ops->get_gfn(rd, use.gfn, write) : NULL;
    if (!pg) {
        grant_unpin(rd, op->ref, write);
        return use.whole ? GNTST_bad_page : GNTST_general_error;
    }
    *m = (struct grant_map){ .ref = op->ref, .mfn = (u32)page_to_mfn(pg), .domid = rd->id,
                             .flags = (u16)op->flags & ~MAP_BUSY };
    return GNTST_okay;
}

/* --- map --- */

static int map_one(struct vcpu *v, struct gnttab_map_grant_ref *op)
{
    struct domain *d = v->domain;
    if (!(op->flags & MAP_LIVE))
        return GNTST_bad_gntref;
    struct domain *rd = domain_get(op->dom);
    if (!rd)
        return GNTST_bad_domain;
    struct grant_map m;
    int err = take_frame(d, rd, op, &m);
    if (err) {
        domain_put(rd);
        return err;
    }
    bool host = op->flags & GNTMAP_host_map;
    if (host)
        err = d->ops->grant_map(v, op->host_addr, rd, m.mfn, op->flags);
    if (!err) {
        op->handle = handle_new(d->grants, &m);
        if (op->handle != HANDLE_NONE) {
            op->dev_bus_addr = (u64)m.mfn << PAGE_SHIFT;
            return GNTST_okay;
        }
        err = GNTST_no_space;
        if (host) {
            /* The entry has references of its own: should it have changed already,
             * nothing of ours depends on it. */
            d->ops->grant_unmap(v, op->host_addr, m.mfn, 0, op->flags);
            d->ops->grant_flush(d);
        }
    }
    let_go(&m);
    return err;
}

void op_map_grant_ref(struct vcpu *v, void *ops, u32 n)
{
    struct gnttab_map_grant_ref *op = ops;
    for (u32 i = 0; i < n; i++)
        op[i].status = (int16_t)map_one(v, &op[i]);
}

/* --- unmap --- */

/* The two structures differ in the second field only: dev_bus_addr or new_addr. */
#define UNMAP_AT(op, field) offsetof(struct gnttab_unmap_##op, field)
_Static_assert(UNMAP_AT(grant_ref, dev_bus_addr) == UNMAP_AT(and_replace, new_addr) &&
               UNMAP_AT(grant_ref, handle) == UNMAP_AT(and_replace, handle) &&
               UNMAP_AT(grant_ref, status) == UNMAP_AT(and_replace, status), "one layout");

/* Takes the entries of m away, which is the caller's: its flags say what remains. GNTST_*. */
static int unmap_one(struct vcpu *v, const struct gnttab_unmap_grant_ref *op, bool replace,
                     struct grant_map *m)
{
    u64 dev = replace ? 0 : op->dev_bus_addr, new_addr = replace ? op->dev_bus_addr : 0;
    if (dev && (m->flags & GNTMAP_device_map) && dev != (u64)m->mfn << PAGE_SHIFT)
        return GNTST_bad_dev_addr;
    if (op->host_addr || replace) {
        if (!(m->flags & GNTMAP_host_map))
            return GNTST_bad_virt_addr;
        int err = v->domain->ops->grant_unmap(v, op->host_addr, m->mfn, new_addr, m->flags);
        if (err)
            return err;
        m->flags &= ~GNTMAP_host_map;
    }
    if (dev)
        m->flags &= ~GNTMAP_device_map;
    return GNTST_okay;
}

static void unmap_batch(struct vcpu *v, struct gnttab_unmap_grant_ref *op, u32 n, bool replace)
{
    struct domain *d = v->domain;
    struct grant_map *m[GRANT_BATCH];
    bool unmapped = false;
    for (u32 i = 0; i < n; i++) {
        m[i] = handle_take(d->grants, op[i].handle);
        op[i].status = GNTST_bad_handle;
        if (!m[i])
            continue;
        op[i].status = (int16_t)unmap_one(v, &op[i], replace, m[i]);
        unmapped |= op[i].status == GNTST_okay;
    }
    if (unmapped)
        d->ops->grant_flush(d);
    for (u32 i = 0; i < n; i++) {
        if (!m[i])
            continue;
        if (!(m[i]->flags & MAP_LIVE))
            let_go(m[i]);
        handle_put(d->grants, op[i].handle, m[i]);
    }
}

void op_unmap_grant_ref(struct vcpu *v, void *ops, u32 n)   { unmap_batch(v, ops, n, false); }
void op_unmap_and_replace(struct vcpu *v, void *ops, u32 n) { unmap_batch(v, ops, n, true); }

/* --- the end of a domain; the audit --- */

/* The page tables that showed these frames are gone already (domain_kill). */
int grant_release_mappings(struct domain *d)
{
    struct grant_table *t = d->grants;
    while (t->release_next < t->nr_map_frames * MAP_PER_FRAME) {
        u32 handle = t->release_next++;
        struct grant_map *m = handle_take(t, handle);
        if (m) {
            let_go(m);
            m->flags &= ~MAP_LIVE;
            handle_put(t, handle, m);
        }
        if (handle % 64 == 63 && hypercall_preempt(current_vcpu()))
            return -ERESTART;
    }
    return 0;
}

bool grant_for_each_mapping(struct domain *d, u32 frame, void (*fn)(void *, mfn_t, bool), void *arg)
{
    struct grant_table *t = d->grants;
    if (!t || frame >= t->nr_map_frames)
        return false;
    for (u32 i = 0; i < MAP_PER_FRAME; i++) {
        const struct grant_map *m = map_of(t, frame * MAP_PER_FRAME + i);
        if (m->flags & MAP_LIVE)
            fn(arg, m->mfn, !(m->flags & GNTMAP_readonly));
    }
    return true;
}

void grant_map_free(struct domain *d)
{
    struct grant_table *t = d->grants;
    for (u32 i = 0; i < t->nr_map_frames; i++) {
        xfree(t->map_dir[i / MAP_PER_DIR][i % MAP_PER_DIR]);
        arch_irq_window();
    }
    for (u32 i = 0; i < MAP_DIRS; i++)
        xfree(t->map_dir[i]);
}
