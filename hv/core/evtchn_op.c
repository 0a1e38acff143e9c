// SPDX-License-Identifier: MIT
/*
 * event_channel_op: what guests ask of event channels. Each operation reads its
 * structure once, checks, changes the channel (core/evtchn.c), and writes the answer;
 * a port whose number cannot be told to the guest is closed again.
 */
#include "evtchn_private.h"
#include "guest.h"
#include "hypercall.h"

/* A reserved port gets its state. */
static void set_state(struct evtchn *c, enum evtchn_state state, u32 id, u32 vcpu)
{
    spin_lock(&c->lock);
    c->id = id;
    c->vcpu = (u16)vcpu;
    c->state = state;
    spin_unlock(&c->lock);
}

/* Tells the guest its new port. */
static long give_port(struct vcpu *v, struct domain *d, u64 addr, u32 port)
{
    int err = arg_write(v, addr, &port);
    if (err)
        evtchn_close(d, port);
    return err;
}

static long op_alloc_unbound(struct vcpu *v, u64 arg)
{
    struct evtchn_alloc_unbound op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = 0;
    struct domain *d = domain_get_for(v, op.dom, &err);
    if (!d)
        return err;
    struct evtchn *c;
    u32 port;
    err = evtchn_alloc(d, &port, &c);
    if (!err) {
        c->remote_dom = op.remote_dom == DOMID_SELF ? v->domain->id : op.remote_dom;
        set_state(c, EVT_UNBOUND, 0, 0);
        err = (int)give_port(v, d, arg + offsetof(struct evtchn_alloc_unbound, port), port);
    }
    domain_put(d);
    return err;
}

/* Connects the reserved port of d with rport of rd, if that one waits for d. */
static int connect(struct domain *d, u32 port, struct evtchn *c, struct domain *rd, u32 rport)
{
    struct evtchn *rc = evtchn_of(rd->evtchn, rport);
    if (!rc)
        return -EINVAL;
    spin_lock_pair(&c->lock, &rc->lock);
    int err = rc->state == EVT_UNBOUND && rc->remote_dom == d->id ? 0 : -EINVAL;
    if (!err) {
        rc->id = port;
        rc->state = EVT_INTERDOMAIN;
        c->remote_dom = rd->id;
        c->id = rport;
        c->state = EVT_INTERDOMAIN;
        /* The peer may have sent before there was anybody: look once. */
        evtchn_raise(d, port, c);
    }
    spin_unlock_pair(&c->lock, &rc->lock);
    return err;
}

static long op_bind_interdomain(struct vcpu *v, u64 arg)
{
    struct evtchn_bind_interdomain op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = v->domain;
    struct domain *rd = domain_get(op.remote_dom == DOMID_SELF ? d->id : op.remote_dom);
    if (!rd)
        return -ESRCH;
    struct evtchn *c;
    u32 port;
    int err = evtchn_alloc(d, &port, &c);
    if (!err) {
        err = connect(d, port, c, rd, op.remote_port);
        if (err)
            evtchn_release(d, port, c);
        else
            err = (int)give_port(v, d, arg + offsetof(struct evtchn_bind_interdomain, local_port), port);
    }
    domain_put(rd);
    return err;
}

static bool may_bind_virq(const struct domain *d, u32 virq)
{
    u32 right = virq == VIRQ_CONSOLE || virq == VIRQ_CON_RING ? RIGHT_CONSOLE : RIGHT_CONTROL;
    return !virq_is_global(virq) || domain_has(d, right) || virq_handled_by(virq, d);
}

static long op_bind_virq(struct vcpu *v, u64 arg)
{
    struct evtchn_bind_virq op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = v->domain;
    if (op.virq >= NR_VIRQS || (virq_is_global(op.virq) && op.vcpu != 0))
        return -EINVAL;
    u32 virq = (u32)index_nospec(op.virq, NR_VIRQS);
    struct vcpu *on = domain_vcpu(d, op.vcpu);
    if (!on)
        return -ENOENT;
    if (!may_bind_virq(d, virq))
        return -EPERM;
    struct evtchn *c;
    u32 port;
    int err = evtchn_alloc(d, &port, &c);
    if (err)
        return err;
    with_lock (&d->evtchn->lock) {
        err = on->virq_port[virq] ? -EEXIST : 0;
        if (!err)
            WRITE_ONCE(on->virq_port[virq], port);
    }
    if (err) {
        evtchn_release(d, port, c);
        return err;
    }
    set_state(c, EVT_VIRQ, virq, on->id);
    return give_port(v, d, arg + offsetof(struct evtchn_bind_virq, port), port);
}

static long op_bind_ipi(struct vcpu *v, u64 arg)
{
    struct evtchn_bind_ipi op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = v->domain;
    struct vcpu *on = domain_vcpu(d, op.vcpu);
    if (!on)
        return -ENOENT;
    struct evtchn *c;
    u32 port;
    int err = evtchn_alloc(d, &port, &c);
    if (err)
        return err;
    set_state(c, EVT_IPI, 0, on->id);
    return give_port(v, d, arg + offsetof(struct evtchn_bind_ipi, port), port);
}

static long op_bind_pirq(struct vcpu *v, u64 arg)
{
    struct evtchn_bind_pirq op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct domain *d = v->domain;
    if (op.pirq >= pirq_limit(d))
        return -EINVAL;
    struct evtchn *c;
    u32 port;
    int err = evtchn_alloc(d, &port, &c);
    if (err)
        return err;
    /* Reserved while it is bound, so that nobody closes it half-way. */
    err = pirq_guest_bind(v, op.pirq, port, op.flags & BIND_PIRQ__WILL_SHARE);
    if (err) {
        evtchn_release(d, port, c);
        return err;
    }
    set_state(c, EVT_PIRQ, op.pirq, 0);
    spin_lock(&c->lock);
    if (c->state == EVT_PIRQ && __atomic_exchange_n(&c->pending, 0, __ATOMIC_SEQ_CST)) {
        evtchn_raise(d, port, c);       /* it came while it was being bound */
    }
    spin_unlock(&c->lock);
    return give_port(v, d, arg + offsetof(struct evtchn_bind_pirq, port), port);
}

static long op_status(struct vcpu *v, u64 arg)
{
    struct evtchn_status op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = 0;
    struct domain *d = domain_get_for(v, op.dom, &err);
    if (!d)
        return err;
    struct evtchn *c = evtchn_of(d->evtchn, op.port);
    if (c) {
        spin_lock(&c->lock);
        op.vcpu = c->vcpu;
        switch (c->state) {
        case EVT_UNBOUND:
            op.status = EVTCHNSTAT_unbound;
            op.u.unbound.dom = c->remote_dom;
            break;
        case EVT_INTERDOMAIN:
            op.status = EVTCHNSTAT_interdomain;
            op.u.interdomain.dom = c->remote_dom;
            op.u.interdomain.port = c->id;
            break;
        case EVT_PIRQ:
            op.status = EVTCHNSTAT_pirq;
            op.u.pirq = c->id;
            break;
        case EVT_VIRQ:
            op.status = EVTCHNSTAT_virq;
            op.u.virq = c->id;
            break;
        case EVT_IPI:
            op.status = EVTCHNSTAT_ipi;
            break;
        default:
            op.status = EVTCHNSTAT_closed;
            op.vcpu = 0;
        }
        spin_unlock(&c->lock);
    }
    domain_put(d);
    return c ? arg_write(v, arg, &op) : -EINVAL;
}

static long op_bind_vcpu(struct vcpu *v, u64 arg)
{
    struct evtchn_bind_vcpu op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct vcpu *to = domain_vcpu(v->domain, op.vcpu);
    if (!to)
        return -ENOENT;
    struct evtchn *c = evtchn_of(v->domain->evtchn, op.port);
    if (!c)
        return -EINVAL;
    long err = -EINVAL;
    spin_lock(&c->lock);
    if (c->state == EVT_UNBOUND || c->state == EVT_INTERDOMAIN || c->state == EVT_PIRQ ||
        (c->state == EVT_VIRQ && virq_is_global(c->id))) {
        WRITE_ONCE(c->vcpu, (u16)to->id);
        err = 0;
    }
    bool pirq = !err && c->state == EVT_PIRQ;
    u32 id = c->id;
    spin_unlock(&c->lock);
    if (pirq)
        pirq_set_cpu(v->domain, id, READ_ONCE(to->cpu));
    return err;
}

static long op_set_priority(struct vcpu *v, u64 arg)
{
    struct evtchn_set_priority op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    struct evtchn_domain *e = v->domain->evtchn;
    struct evtchn *c = evtchn_of(e, op.port);
    if (!c || op.priority > EVTCHN_FIFO_PRIORITY_MIN)
        return -EINVAL;
    long err = -EINVAL;
    spin_lock(&c->lock);
    if (c->state > EVT_RESERVED) {
        err = READ_ONCE(e->fifo) ? 0 : -ENOSYS;
        if (!err)
            WRITE_ONCE(c->priority, (u8)op.priority);
    }
    spin_unlock(&c->lock);
    return err;
}

static long op_reset(struct vcpu *v, u64 arg)
{
    struct evtchn_reset op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = 0;
    struct domain *d = domain_get_for(v, op.dom, &err);
    if (d) {
        /* Only a domain's own reset ends its FIFO ABI, as the ABI says. */
        err = evtchn_reset_ports(d, d == v->domain);
        domain_put(d);
    }
    return err;
}

static long op_init_control(struct vcpu *v, u64 arg)
{
    struct evtchn_init_control op;
    if (arg_read(v, &op, arg))
        return -EFAULT;
    int err = evtchn_fifo_init_control(v->domain, &op);
    return err ? err : arg_write_field(v, arg, &op, link_bits);
}

static long op_expand_array(struct vcpu *v, u64 arg)
{
    struct evtchn_expand_array op;
    return arg_read(v, &op, arg) ? -EFAULT : evtchn_fifo_expand_array(v->domain, op.array_gfn);
}

long do_event_channel_op(struct vcpu *v, unsigned long *a)
{
    u64 arg = a[1];
    evtchn_port_t port;
    if (likely((u32)a[0] == EVTCHNOP_send)) {   /* nearly always */
        return arg_read(v, &port, arg) ? -EFAULT : evtchn_send(v->domain, port);
    }
    switch ((u32)a[0]) {
    case EVTCHNOP_unmask:
        return arg_read(v, &port, arg) ? -EFAULT : evtchn_unmask(v->domain, port);
    case EVTCHNOP_close:
        return arg_read(v, &port, arg) ? -EFAULT : evtchn_close(v->domain, port);
    case EVTCHNOP_alloc_unbound:
        return op_alloc_unbound(v, arg);
    case EVTCHNOP_bind_interdomain:
        return op_bind_interdomain(v, arg);
    case EVTCHNOP_bind_virq:
        return op_bind_virq(v, arg);
    case EVTCHNOP_bind_pirq:
        return op_bind_pirq(v, arg);
    case EVTCHNOP_bind_ipi:
        return op_bind_ipi(v, arg);
    case EVTCHNOP_status:
        return op_status(v, arg);
    case EVTCHNOP_bind_vcpu:
        return op_bind_vcpu(v, arg);
    case EVTCHNOP_reset:
        return op_reset(v, arg);
    case EVTCHNOP_init_control:
        return op_init_control(v, arg);
    case EVTCHNOP_expand_array:
        return op_expand_array(v, arg);
    case EVTCHNOP_set_priority:
        return op_set_priority(v, arg);
    default:
        return -ENOSYS;
    }
}
