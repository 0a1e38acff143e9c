// SPDX-License-Identifier: MIT
/*
 * GNTTABOP_copy: bytes from one frame to another, each side a frame of the caller's
 * own or one granted to it (also a part of one, or through a third domain). Holds no
 * lock while it copies: a pin keeps the grant, a reference keeps the frame, and both
 * are kept from one operation of a batch to the next that names the same side.
 */
#include "arch.h"
#include "grant_private.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

struct side {
    bool write;                 /* the destination */
    bool gref;
    u16 start, length;          /* bytes that may be touched */
    domid_t domid;              /* as named, with name: what the side stands for */
    u64 name;                   /* grant reference or frame number */
    struct page *pg;            /* NULL: nothing is held */
    u8 *va;
    struct domain *owner;       /* of pg */
    struct grant_peer peer;
    struct domain *via;         /* a transitive grant's final domain, with a reference */
    u32 via_ref;
};

static void side_release(struct side *s)
{
    if (!s->pg)
        return;
    s->owner->ops->put_gfn(s->pg, s->write);
    s->pg = NULL;
    if (s->via) {
        grant_unpin(s->via, s->via_ref, s->write);
        domain_put(s->via);
        s->via = NULL;
    }
    if (s->gref)
        grant_unpin(s->peer.d, (u32)s->name, s->write);
}

/* The granted entry of a transitive grant: rd uses it as if it were the caller. */
static int pin_via(struct side *s, struct domain *rd, struct grant_use *use)
{
    struct domain *td = domain_get(use->tdom);
    if (!td)
        return GNTST_general_error;
    s->via_ref = (u32)use->gfn;
    int err = td->is_dying ? GNTST_general_error : grant_pin(td, s->via_ref, rd->id, s->write, use);
    if (!err && use->transitive) {      /* one step only */
        grant_unpin(td, s->via_ref, s->write);
        err = GNTST_general_error;
    }
    if (err) {
        domain_put(td);
        return err;
    }
    s->via = td;
    return GNTST_okay;
}

static int side_grant(struct domain *d, struct side *s)
{
    struct domain *rd = grant_peer_get(&s->peer, s->domid == DOMID_SELF ? d->id : s->domid);
    if (!rd)
        return GNTST_bad_domain;
    struct grant_use use;
    u32 ref = (u32)s->name;
    int err = grant_pin(rd, ref, d->id, s->write, &use);
    if (err)
        return err;
    err = use.transitive ? pin_via(s, rd, &use) : GNTST_okay;
    if (!err) {
        s->owner = s->via ? s->via : rd;
        s->start = use.start;
        s->length = use.length;
        s->pg = s->owner->ops->get_gfn(s->owner, use.gfn, s->write);
        if (s->pg)
            return GNTST_okay;
        err = GNTST_bad_page;
        if (s->via) {
            grant_unpin(s->via, s->via_ref, s->write);
            domain_put(s->via);
            s->via = NULL;
        }
    }
    grant_unpin(rd, ref, s->write);
    return err;
}

/* Holds what p names from now on. */
static int side_acquire(struct vcpu *v, struct side *s, const struct gnttab_copy_ptr *p, bool gref)
{
    u64 name = gref ? p->u.ref : p->u.gmfn;
    if (s->pg && s->gref == gref && s->domid == p->domid && s->name == name)
        return GNTST_okay;
    side_release(s);
    s->gref = gref;
    s->domid = p->domid;
    s->name = name;
    int err = GNTST_okay;
    if (gref) {
        err = side_grant(v->domain, s);
    } else if (p->domid != DOMID_SELF) {
        err = GNTST_permission_denied;
    } else {
        s->owner = v->domain;
        s->start = 0;
        s->length = PAGE_SIZE;
        s->pg = s->owner->ops->get_gfn(s->owner, name, s->write);
        err = s->pg ? GNTST_okay : GNTST_bad_page;
    }
    if (!err)
        s->va = page_to_virt(s->pg);
    return err;
}

static bool inside(const struct side *s, u32 offset, u32 len)
{
    return offset >= s->start && offset + len <= (u32)s->start + s->length;
}

static int copy_one(struct vcpu *v, const struct gnttab_copy *op, struct side *from, struct side *to)
{
    u32 so = op->source.offset, to_off = op->dest.offset, len = op->len;
    if (so + len > PAGE_SIZE || to_off + len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    int err = side_acquire(v, from, &op->source, op->flags & GNTCOPY_source_gref);
    err = err ? err : side_acquire(v, to, &op->dest, op->flags & GNTCOPY_dest_gref);
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

long grant_op_copy(struct vcpu *v, unsigned long *a)
{
    struct gnttab_copy op[GRANT_BATCH];
    struct side from = { .write = false }, to = { .write = true };
    long ret = 0;
    while ((u32)a[2]) {
        u32 n = MIN((u32)a[2], (u32)GRANT_BATCH);
        if (guest_read(v, op, a[1], n * sizeof(op[0]))) {
            ret = -EFAULT;
            break;
        }
        for (u32 i = 0; i < n; i++)
            op[i].status = (int16_t)copy_one(v, &op[i], &from, &to);
        side_release(&from);            /* nothing is held over a restart or for long */
        side_release(&to);
        if (guest_write(v, a[1], op, n * sizeof(op[0]))) {
            ret = -EFAULT;
            break;
        }
        a[1] += n * sizeof(op[0]);
        a[2] = (u32)a[2] - n;
        if (a[2] && hypercall_preempt(v)) {
            ret = -ERESTART;
            break;
        }
    }
    grant_peer_put(&from.peer);
    grant_peer_put(&to.peer);
    return ret;
}
