// SPDX-License-Identifier: MIT
/*
 * event_channel_op: what guests ask of event channels. The dispatcher reads an
 * operation's structure once, finds the domain that it is about, and writes the answer;
 * a port whose number cannot be told to the guest is closed again. The operations check
 * and change the channel (core/evtchn.c); they return a new port, 0, or -errno.
 */
#include "evtchn_private.h"
#include "guest.h"
#include "hypercall.h"

/* A reserved port gets its state, or goes back if there was an error. */
static int finish_port(struct domain *d, int port, enum evtchn_state state, u32 id, int err)
{
    if (err) {
        evtchn_release(d, (u32)port);
        return err;
    }
    struct evtchn *c = evtchn_lock(d, (u32)port);
    BUG_ON(!c);
    c->id = id;
    c->state = state;
    if (__atomic_exchange_n(&c->pending, 0, __ATOMIC_SEQ_CST))
        evtchn_raise(d, (u32)port, c);  /* a PIRQ that came while it was being bound */
    spin_unlock(&c->lock);
    return port;
}

static int op_alloc_unbound(struct domain *d, void *arg)
{
    const struct evtchn_alloc_unbound *op = arg;
    domid_t remote = op->remote_dom == DOMID_SELF ? current_vcpu()->domain->id : op->remote_dom;
    return evtchn_alloc(d, EVT_UNBOUND, remote, 0);
}

/* Connects the reserved port of d with rport of rd, if that one waits for d. */
static int connect(struct domain *d, u32 port, struct domain *rd, u32 rport)
{
    struct evtchn *c = evtchn_of(d->evtchn, port), *rc = evtchn_of(rd->evtchn, rport);
    if (!c || !rc)
        return -EINVAL;
    spin_lock_pair(&c->lock, &rc->lock);
    bool waits = rc->state == EVT_UNBOUND && rc->remote_dom == d->id;
    if (waits) {
        rc->id = port;
        c->id = rport;
        rc->state = c->state = EVT_INTERDOMAIN;
        /* The peer may have sent before there was anybody: look once. */
        evtchn_raise(d, port, c);
    }
    spin_unlock_pair(&c->lock, &rc->lock);
    return waits ? 0 : -EINVAL;
}

static int op_bind_interdomain(struct domain *d, void *arg)
{
    const struct evtchn_bind_interdomain *op = arg;
    struct domain *rd = domain_get(op->remote_dom == DOMID_SELF ? d->id : op->remote_dom);
    if (!rd)
        return -ESRCH;
    int port = evtchn_alloc(d, EVT_RESERVED, rd->id, 0);
    int err = port < 0 ? port : connect(d, (u32)port, rd, op->remote_port);
    if (port > 0 && err)
        evtchn_release(d, (u32)port);
    domain_put(rd);
    return err ?: port;
}

static int op_bind_virq(struct domain *d, void *arg)
{
    const struct evtchn_bind_virq *op = arg;
    if (op->virq >= NR_VIRQS || (virq_is_global(op->virq) && op->vcpu != 0))
        return -EINVAL;
    u32 virq = (u32)index_nospec(op->virq, NR_VIRQS);
    struct vcpu *on = domain_vcpu(d, op->vcpu);
    if (!on)
        return -ENOENT;
    if (!virq_may_bind(d, virq))
        return -EPERM;
    int port = evtchn_alloc(d, EVT_RESERVED, DOMID_INVALID, on->id);
    if (port < 0)
        return port;
    u32 none = 0;
    int err = cas(&on->virq_port[virq], &none, (u32)port) ? 0 : -EEXIST;
    return finish_port(d, port, EVT_VIRQ, virq, err);
}

static int op_bind_ipi(struct domain *d, void *arg)
{
    const struct evtchn_bind_ipi *op = arg;
    return domain_vcpu(d, op->vcpu) ? evtchn_alloc(d, EVT_IPI, DOMID_INVALID, op->vcpu) : -ENOENT;
}

static int op_bind_pirq(struct domain *d, void *arg)
{
    const struct evtchn_bind_pirq *op = arg;
    int port = evtchn_alloc(d, EVT_RESERVED, DOMID_INVALID, 0);
    if (port < 0)
        return port;
    /* Reserved while it is bound, so that nobody closes it half-way. */
    bool share = op->flags & BIND_PIRQ__WILL_SHARE;
    int err = pirq_guest_bind(current_vcpu(), op->pirq, (u32)port, share);
    return finish_port(d, port, EVT_PIRQ, op->pirq, err);
}

static int op_status(struct domain *d, void *arg)
{
    struct evtchn_status *op = arg;
    struct evtchn *c = evtchn_lock(d, op->port);
    if (!c)
        return -EINVAL;
    bool open = c->state > EVT_RESERVED;
    op->status = open ? EVT_STATUS(c->state) : EVTCHNSTAT_closed;
    op->vcpu = open ? c->vcpu : 0;
    if (c->state == EVT_UNBOUND || c->state == EVT_INTERDOMAIN) {
        op->u.interdomain.dom = c->remote_dom;  /* where u.unbound.dom is too */
        op->u.interdomain.port = c->id;
    } else if (open) {
        op->u.virq = c->id;                     /* where u.pirq is too */
    }
    spin_unlock(&c->lock);
    return 0;
}

static int op_bind_vcpu(struct domain *d, void *arg)
{
    const struct evtchn_bind_vcpu *op = arg;
    struct vcpu *to = domain_vcpu(d, op->vcpu);
    if (!to)
        return -ENOENT;
    struct evtchn *c = evtchn_lock_open(d, op->port);
    if (!c)
        return -EINVAL;
    bool moves = c->state != EVT_IPI && (c->state != EVT_VIRQ || virq_is_global(c->id));
    bool pirq = c->state == EVT_PIRQ;
    u32 id = c->id;
    if (moves)
        WRITE_ONCE(c->vcpu, (u16)to->id);
    spin_unlock(&c->lock);
    if (pirq)
        pirq_set_cpu(d, id, READ_ONCE(to->cpu));
    return moves ? 0 : -EINVAL;
}

static int op_set_priority(struct domain *d, void *arg)
{
    const struct evtchn_set_priority *op = arg;
    bool valid = op->priority <= EVTCHN_FIFO_PRIORITY_MIN;
    if (!READ_ONCE(d->evtchn->fifo))
        return -ENOSYS;
    struct evtchn *c = valid ? evtchn_lock_open(d, op->port) : NULL;
    if (!c)
        return -EINVAL;
    WRITE_ONCE(c->priority, (u8)op->priority);
    spin_unlock(&c->lock);
    return 0;
}

static int op_reset(struct domain *d, void *arg UNUSED)
{
    return evtchn_domain_close(d);
}

/* at: where the answer goes, a new port or more; 0: there is none. */
static long serve(struct vcpu *v, u64 arg, int (*fn)(struct domain *, void *), u32 size, u32 at)
{
    union {                             /* the largest two */
        struct evtchn_status status;
        struct evtchn_init_control init_control;
    } op;
    if (guest_read(v, &op, arg, size))
        return -EFAULT;
    /* These name their domain, first of all. */
    bool names_dom = fn == op_alloc_unbound || fn == op_status || fn == op_reset;
    int err = 0;
    struct domain *d = domain_get_for(v, names_dom ? op.status.dom : DOMID_SELF, &err);
    if (!d)
        return err;
    int port = fn(d, &op);
    if (port > 0)
        *(evtchn_port_t *)((char *)&op + at) = (u32)port;
    if (port >= 0 && at && guest_write(v, arg, &op, size)) {
        evtchn_close(d, (u32)port);     /* 0 is none */
        port = -EFAULT;
    }
    domain_put(d);
    return MIN(port, 0);
}

long do_event_channel_op(struct vcpu *v, unsigned long *a)
{
    evtchn_port_t port;
    /* send is what counts: compared first. */
    switch (__builtin_expect((u32)a[0], EVTCHNOP_send)) {
#define OP_PORT(nr, name, rights, note) \
    case nr: return arg_read(v, &port, a[1]) ? -EFAULT : evtchn_##name(v->domain, port);
#define OP(nr, name, rights, note) \
    case nr: return serve(v, a[1], op_##name, sizeof(struct evtchn_##name), 0);
#define OP_AT(nr, name, field, rights, note) \
    case nr: return serve(v, a[1], op_##name, sizeof(struct evtchn_##name), \
                          offsetof(struct evtchn_##name, field));
#define NO_OP(nr, name, err, note) case nr: return -(err);
#include "ops/event_channel_op.h"
    default:
        return -ENOSYS;
    }
}
