// SPDX-License-Identifier: MIT
/*
 * GNTTABOP_copy: bytes from one frame to another, each side a frame of the caller's
 * own or one granted to it (also a part of one, or through a third domain). Holds no
 * lock while it copies: a pin keeps the grant, a reference keeps the frame, and both
 * are kept from one operation of a batch to the next that names the same side.
 */
#include "grant_private.h"
#include "mm.h"

struct side {
    bool write;                 /* the destination */
    bool gref;
    domid_t domid;              /* as named, with name: what the side stands for */
    u64 name;                   /* grant reference or frame number */
    struct page *pg;            /* NULL: nothing is held */
    u8 *va;
    struct domain *owner;       /* of pg */
    struct grant_use use;       /* frame and bytes that may be touched */
    struct domain *peer;        /* whose grant it is; stays for the next one */
    struct domain *via;         /* a transitive grant's final domain, with a reference */
    u32 via_ref;
    bool pinned;
};

static void side_release(struct side *s)
{
    if (s->pg)
        s->owner->ops->put_gfn(s->pg, s->write);
    if (s->via) {
        grant_unpin(s->via, s->via_ref, s->write);
        domain_put(s->via);
    }
    if (s->pinned)
        grant_unpin(s->peer, (u32)s->name, s->write);
    s->pg = NULL;
}

/* The granted entry of a transitive grant: its granter uses it as if it were the caller. */
static int pin_via(struct side *s)
{
    struct domain *td = domain_get(s->use.tdom);
    if (!td)
        return GNTST_general_error;
    s->via_ref = (u32)s->use.gfn;
    int err = td->is_dying ? GNTST_general_error
                           : grant_pin(td, s->via_ref, s->owner->id, s->write, &s->use);
    if (err) {
        domain_put(td);
        return err;
    }
    s->owner = s->via = td;
    return s->use.transitive ? GNTST_general_error : GNTST_okay;   /* one step only */
}

static int side_grant(struct domain *d, struct side *s)
{
    domid_t id = s->domid == DOMID_SELF ? d->id : s->domid;
    if (!s->peer || s->peer->id != id) {
        if (s->peer)
            domain_put(s->peer);
        s->peer = domain_get(id);
    }
    s->owner = s->peer;
    if (!s->owner || READ_ONCE(s->owner->is_dying))
        return GNTST_bad_domain;
    int err = grant_pin(s->owner, (u32)s->name, d->id, s->write, &s->use);
    s->pinned = !err;
    return !err && s->use.transitive ? pin_via(s) : err;
}

static NOINLINE int side_acquire(struct vcpu *v, struct side *s, domid_t domid, u64 name, bool gref)
{
    if (s->pg)
        side_release(s);
    s->pinned = false;
    s->via = NULL;
    s->gref = gref;
    s->domid = domid;
    s->name = name;
    s->owner = v->domain;
    s->use = (struct grant_use){ .gfn = name, .length = PAGE_SIZE };
    int err = gref ? side_grant(v->domain, s)
                   : domid == DOMID_SELF ? GNTST_okay : GNTST_permission_denied;
    if (!err) {
        s->pg = s->owner->ops->get_gfn(s->owner, s->use.gfn, s->write);
        err = s->pg ? GNTST_okay : GNTST_bad_page;
    }
    if (err)
        side_release(s);
    else
        s->va = page_to_virt(s->pg);
    return err;
}

/* Holds what p names from now on. */
static inline int side_hold(struct vcpu *v, struct side *s, const struct gnttab_copy_ptr *p, bool gref)
{
    u64 name = gref ? p->u.ref : p->u.gmfn;
    return s->pg && s->gref == gref && s->domid == p->domid && s->name == name
        ? GNTST_okay : side_acquire(v, s, p->domid, name, gref);
}

static bool inside(const struct side *s, u32 offset, u32 len)
{
    return offset >= s->use.start && offset + len <= (u32)s->use.start + s->use.length;
}

static int copy_one(struct vcpu *v, const struct gnttab_copy *op, struct side *from,
                    struct side *to)
{
    u32 so = op->source.offset, to_off = op->dest.offset, len = op->len;
    if (so + len > PAGE_SIZE || to_off + len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    int err = side_hold(v, from, &op->source, op->flags & GNTCOPY_source_gref);
    err = err ?: side_hold(v, to, &op->dest, op->flags & GNTCOPY_dest_gref);
    if (err)
        return err;
    if (!inside(from, so, len) || !inside(to, to_off, len))
        return GNTST_general_error;
    if (from->pg == to->pg)
        memmove(to->va + to_off, from->va + so, len);
    else
        memcpy(to->va + to_off, from->va + so, len);
    return GNTST_okay;
}

/* Nothing is held over a restart or for long. */
void op_copy(struct vcpu *v, void *ops, u32 n)
{
    struct gnttab_copy *op = ops;
    struct side side[2];
    for (u32 i = 0; i < 2; i++) {
        side[i].write = i;
        side[i].pg = NULL;
        side[i].peer = NULL;
    }
    for (u32 i = 0; i < n; i++)
        op[i].status = (int16_t)copy_one(v, &op[i], &side[0], &side[1]);
    for (u32 i = 0; i < 2; i++) {
        if (side[i].pg)
            side_release(&side[i]);
        if (side[i].peer)
            domain_put(side[i].peer);
    }
}
