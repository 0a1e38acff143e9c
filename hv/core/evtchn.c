// SPDX-License-Identifier: MIT
/*
 * Event channels: the records of every domain's ports, how a port is taken and given
 * back, connections between domains, and everything that makes a port pending. Owns
 * d->evtchn and v->evtchn; who guards what stands in evtchn_private.h. The calls of
 * guests are in evtchn_op.c.
 *
 * What always holds:
 * - A record changes its state only under its lock. EVT_RESERVED belongs to the CPU
 *   that set it: others leave it alone until that CPU sets another state.
 * - If X is EVT_INTERDOMAIN to port p of domain D, then D's p is EVT_INTERDOMAIN to X,
 *   and D's event channels exist: whoever breaks the pair holds both locks, and a
 *   domain's end breaks all its pairs before its records go. So the domain id in a
 *   record may be looked up without a reference while the record's lock is held.
 * - The survivor of a pair is EVT_UNBOUND and waits for the same domain id.
 * - Breaking a pair needs a reference on the peer's domain, taken without any lock,
 *   and then looks again under both locks. Two domains that die at once meet there:
 *   the first makes the other's end EVT_UNBOUND, the second closes an unbound port.
 */
#include "arch.h"
#include "evtchn_private.h"
#include "hypercall.h"
#include "mm.h"
#include "sched.h"

/* Who gets each global VIRQ, inverted: what nobody has set means dom0. */
static domid_t virq_handler_inv[NR_VIRQS];
#define VIRQ_TO_DOM0 ((domid_t)~0)

/* --- delivery --- */

void vcpu_mark_events_pending(struct vcpu *v)
{
    /* The exchange orders the pending bit before it and the look at v after it. */
    if (__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        return;
    vcpu_unblock(v);
    if (READ_ONCE(v->is_running)) {
        u32 cpu = READ_ONCE(v->cpu);
        if (cpu != cpu_id())
            arch_kick_cpu(cpu);
    }
}

inline void evtchn_raise(struct domain *d, u32 port, struct evtchn *c)
{
    bool fresh = false;
    if (!READ_ONCE(d->evtchn->fifo)) {
        fresh = evtchn_2l_raise(d, port, c);    /* a full barrier */
    }
    if (READ_ONCE(d->evtchn->fifo)) {           /* perhaps since a moment ago: say it there too */
        fresh |= evtchn_fifo_raise(d, port, c);
    }
    if (fresh)
        vcpus_poll_wake(d, port);
}

int evtchn_send(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_of(d->evtchn, port);
    if (!c)
        return -EINVAL;
    int err = 0;
    spin_lock(&c->lock);
    switch (c->state) {
    case EVT_INTERDOMAIN: {
        struct domain *rd = domain_owner(c->remote_dom);
        evtchn_raise(rd, c->id, evtchn_of(rd->evtchn, c->id));
        break;
    }
    case EVT_IPI:
        evtchn_raise(d, port, c);
        break;
    case EVT_UNBOUND:           /* whoever binds it will find its own end pending */
        break;
    default:
        err = -EINVAL;
    }
    spin_unlock(&c->lock);
    return err;
}

int evtchn_unmask(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_of(d->evtchn, port);
    if (!c)
        return -EINVAL;
    spin_lock(&c->lock);
    u8 state = c->state;
    u32 id = c->id;
    if (state > EVT_RESERVED) {
        if (READ_ONCE(d->evtchn->fifo))
            evtchn_fifo_unmask(d, port, c);
        else
            evtchn_2l_unmask(d, port, c);
    }
    spin_unlock(&c->lock);
    if (state == EVT_PIRQ)
        pirq_eoi(d, id);
    return state > EVT_RESERVED ? 0 : -EINVAL;
}

int evtchn_is_pending(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_of(d->evtchn, port);
    if (!c)
        return -EINVAL;
    int pending = -EINVAL;
    spin_lock(&c->lock);
    if (c->state > EVT_RESERVED) {
        pending = READ_ONCE(d->evtchn->fifo) ? evtchn_fifo_is_pending(d, port, c)
                                             : test_bit(port, d->shared_info->evtchn_pending);
    }
    spin_unlock(&c->lock);
    return pending;
}

void evtchn_vcpu_info_moved(struct vcpu *v)
{
    __atomic_store_n(&v->info->evtchn_pending_sel, ~0UL, __ATOMIC_RELAXED);
    vcpu_mark_events_pending(v);
}

static void raise_if(struct domain *d, u32 port, enum evtchn_state state, u32 id)
{
    struct evtchn *c = port ? evtchn_of(d->evtchn, port) : NULL;
    if (c) {
        spin_lock(&c->lock);
        if (c->state == state && c->id == id)
            evtchn_raise(d, port, c);
        spin_unlock(&c->lock);
    }
}

void evtchn_pirq_fire(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_of(d->evtchn, port);
    if (c) {
        spin_lock(&c->lock);
        if (c->state == EVT_PIRQ) {
            evtchn_raise(d, port, c);
        } else if (c->state == EVT_RESERVED) {
            c->pending = 1;             /* whoever binds it will raise it */
        }
        spin_unlock(&c->lock);
    }
}

/* --- VIRQs --- */

bool virq_is_global(u32 virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

bool virq_handled_by(u32 virq, const struct domain *d)
{
    domid_t id = (domid_t)~READ_ONCE(virq_handler_inv[virq]);
    return id == d->id || (id == VIRQ_TO_DOM0 && d == dom0);
}

void virq_to_vcpu(struct vcpu *v, unsigned virq)
{
    ASSERT(virq < NR_VIRQS);
    raise_if(v->domain, READ_ONCE(v->virq_port[virq]), EVT_VIRQ, virq);
}

void virq_to_domain(struct domain *d, unsigned virq)
{
    struct vcpu *v = d->max_vcpus ? d->vcpu[0] : NULL;
    if (v)
        virq_to_vcpu(v, virq);
}

void virq_global(unsigned virq)
{
    ASSERT(virq < NR_VIRQS);
    domid_t id = (domid_t)~READ_ONCE(virq_handler_inv[virq]);
    struct domain *d = id == VIRQ_TO_DOM0 ? NULL : domain_get(id);
    if (d) {
        virq_to_domain(d, virq);
        domain_put(d);
    } else if (dom0) {
        virq_to_domain(dom0, virq);
    }
}

int virq_set_handler(struct domain *d, unsigned virq)
{
    if (virq >= NR_VIRQS || !virq_is_global(virq))
        return -EINVAL;
    with_lock (&d->evtchn->lock) {
        if (d->evtchn->closing) {       /* else it would stay on after d's end */
            return -EBUSY;
        }
        WRITE_ONCE(virq_handler_inv[virq], (domid_t)~d->id);
    }
    return 0;
}

static void virq_forget_handler(const struct domain *d)
{
    for (unsigned i = 0; i < NR_VIRQS; i++) {
        domid_t mine = (domid_t)~d->id;
        __atomic_compare_exchange_n(&virq_handler_inv[i], &mine, 0, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
}

/* --- ports --- */

/* More records, after the nr that the caller saw. No lock held: this allocates. */
static int add_bucket(struct evtchn_domain *e, u32 nr)
{
    struct evtchn *b = xzalloc_array(struct evtchn, EVTCHN_PER_BUCKET);
    if (!b)
        return -ENOMEM;
    for (u32 i = 0; i < EVTCHN_PER_BUCKET; i++)
        spin_lock_init(&b[i].lock, LOCK_EVTCHN_PORT);
    spin_lock(&e->lock);
    if (e->nr_ports == nr) {
        e->bucket[nr / EVTCHN_PER_BUCKET] = b;
        __atomic_store_n(&e->nr_ports, nr + EVTCHN_PER_BUCKET, __ATOMIC_RELEASE);
        b = NULL;
    }
    spin_unlock(&e->lock);
    xfree(b);                   /* another CPU was first */
    return 0;
}

/* The lowest port that is not in use becomes used; *nr: how many there are if it has
 * no record yet (-ERESTART). */
static int take_port(struct evtchn_domain *e, u32 *port, u32 *nr)
{
    int err = 0;
    spin_lock(&e->lock);
    u32 limit = MIN(e->max_port + 1, e->fifo ? (u32)EVTCHN_FIFO_NR_CHANNELS : (u32)EVTCHN_2L_NR_CHANNELS);
    u32 p = (u32)find_next_zero_bit(e->used, limit, 1);
    *nr = e->nr_ports;
    if (e->closing || p >= limit) {
        err = e->closing ? -EBUSY : -ENOSPC;
    } else if (p >= e->nr_ports) {
        err = -ERESTART;
    } else {
        e->used[p / 64] |= 1UL << (p % 64);
        *port = p;
    }
    spin_unlock(&e->lock);
    return err;
}

int evtchn_alloc(struct domain *d, u32 *port, struct evtchn **out)
{
    struct evtchn_domain *e = d->evtchn;
    u32 nr;
    int err;
    while ((err = take_port(e, port, &nr)) == -ERESTART) {
        err = add_bucket(e, nr);
        if (err)
            break;
    }
    if (err)
        return err;
    struct evtchn *c = evtchn_of(e, *port);
    spin_lock(&c->lock);
    c->state = EVT_RESERVED;
    c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    c->vcpu = 0;
    c->remote_dom = DOMID_INVALID;
    c->id = 0;
    c->pending = 0;
    spin_unlock(&c->lock);
    *out = c;
    return 0;
}

void evtchn_release(struct domain *d, u32 port, struct evtchn *c)
{
    struct evtchn_domain *e = d->evtchn;
    spin_lock(&c->lock);
    if (READ_ONCE(e->fifo))
        evtchn_fifo_clear(d, port, c);
    else
        clear_bit(port, d->shared_info->evtchn_pending);
    c->state = EVT_FREE;
    spin_unlock(&c->lock);
    spin_lock(&e->lock);
    e->used[port / 64] &= ~(1UL << (port % 64));
    spin_unlock(&e->lock);
}

/* Breaks the pair of c (of d) and rport of domain rid, if it is still there: c is then
 * EVT_RESERVED, the peer waits for d's id. False: c has changed, look again. */
static bool disconnect(struct domain *d, struct evtchn *c, domid_t rid, u32 rport)
{
    struct domain *rd = domain_get(rid);
    struct evtchn *rc = rd ? evtchn_of(rd->evtchn, rport) : NULL;
    bool same = false;
    if (rc) {
        spin_lock_pair(&c->lock, &rc->lock);
        same = c->state == EVT_INTERDOMAIN && c->remote_dom == rid && c->id == rport;
        if (same) {
            ASSERT(rc->state == EVT_INTERDOMAIN && rc->remote_dom == d->id);
            c->state = EVT_RESERVED;
            rc->state = EVT_UNBOUND;
            rc->remote_dom = d->id;
            rc->id = 0;
        }
        spin_unlock_pair(&c->lock, &rc->lock);
    }
    if (rd)
        domain_put(rd);
    return same;
}

static void unbind_virq(struct domain *d, u32 vcpu, u32 virq)
{
    struct vcpu *v = d->vcpu[virq_is_global(virq) ? 0 : vcpu];
    with_lock (&d->evtchn->lock) {
        WRITE_ONCE(v->virq_port[virq], 0);
    }
}

int evtchn_close(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_of(d->evtchn, port);
    if (!c || port == 0)
        return -EINVAL;
    u8 state;
    u32 id, vcpu;
    for (;;) {                  /* again only if the peer has changed it meanwhile */
        spin_lock(&c->lock);
        state = c->state;
        id = c->id;
        vcpu = c->vcpu;
        domid_t rid = c->remote_dom;
        if (state > EVT_RESERVED && state != EVT_INTERDOMAIN)
            c->state = EVT_RESERVED;
        spin_unlock(&c->lock);
        if (state <= EVT_RESERVED)
            return state == EVT_FREE ? -EINVAL : -EBUSY;
        if (state != EVT_INTERDOMAIN || disconnect(d, c, rid, id))
            break;
    }
    if (state == EVT_VIRQ)
        unbind_virq(d, vcpu, id);
    else if (state == EVT_PIRQ)
        pirq_guest_unbind(d, id);
    evtchn_release(d, port, c);
    return 0;
}

/* --- reset, end --- */

/* Closes all ports of d, which is `closing`. 0 or -ERESTART. Several CPUs may do it
 * at once: each port is closed by one of them. */
static int close_all(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;
    for (;;) {
        u32 port = 0;
        with_lock (&e->lock) {
            port = (u32)find_next_bit(e->used, e->nr_ports, e->close_next);
            e->close_next = port;
        }
        if (port >= e->nr_ports)
            return 0;
        /* A port that another CPU is working on stays in `used` until that is done. */
        bool busy = evtchn_close(d, port) != 0;
        if ((busy || port % 16 == 0) && hypercall_preempt(current_vcpu()))
            return -ERESTART;
    }
}

/* All ports are closed, unless another CPU that does the same has finished and new
 * ones are open again. */
static void finish_closing(struct domain *d, bool fifo)
{
    struct evtchn_domain *e = d->evtchn;
    struct evtchn_fifo *f = NULL;
    with_lock (&e->lock) {
        if (e->closing && find_next_bit(e->used, e->nr_ports, 1) >= e->nr_ports) {
            f = fifo ? evtchn_fifo_detach(d) : NULL;
            e->closing = d->is_dying;
        }
    }
    if (f)
        evtchn_fifo_free(d, f);
}

static void start_closing(struct domain *d)
{
    with_lock (&d->evtchn->lock) {
        if (!d->evtchn->closing) {
            d->evtchn->closing = true;
            d->evtchn->close_next = 1;
        }
    }
}

int evtchn_reset_ports(struct domain *d, bool fifo)
{
    start_closing(d);
    int err = close_all(d);
    if (!err)
        finish_closing(d, fifo);
    return err;
}

int evtchn_domain_close(struct domain *d)
{
    ASSERT(d->is_dying);
    start_closing(d);
    virq_forget_handler(d);
    return evtchn_reset_ports(d, true);
}

int evtchn_domain_init(struct domain *d)
{
    struct evtchn_domain *e = xzalloc_type(struct evtchn_domain);
    if (!e)
        return -ENOMEM;
    spin_lock_init(&e->lock, LOCK_EVTCHN);
    e->max_port = MIN(d->max_evtchn_port, EVTCHN_FIFO_NR_CHANNELS - 1u);
    e->used = xzalloc_array(unsigned long, ROUND_UP(e->max_port + 1, EVTCHN_PER_BUCKET) / 64);
    e->bucket = xzalloc_array(struct evtchn *, e->max_port / EVTCHN_PER_BUCKET + 1);
    d->evtchn = e;
    if (!e->used || !e->bucket || add_bucket(e, 0)) {
        evtchn_domain_free(d);
        return -ENOMEM;
    }
    e->bucket[0][0].state = EVT_RESERVED;   /* port 0 is never valid */
    return 0;
}

void evtchn_domain_free(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;
    for (u32 i = 0; e->bucket && i < e->nr_ports / EVTCHN_PER_BUCKET; i++)
        xfree(e->bucket[i]);
    xfree(e->bucket);
    xfree(e->used);
    xfree(e);
    d->evtchn = NULL;
}

int evtchn_vcpu_init(struct vcpu *v)
{
    v->evtchn = xzalloc_type(struct evtchn_vcpu);
    if (!v->evtchn)
        return -ENOMEM;
    spin_lock_init(&v->evtchn->lock, LOCK_EVTCHN_Q);
    return 0;
}

void evtchn_vcpu_free(struct vcpu *v)
{
    xfree(v->evtchn);
    v->evtchn = NULL;
}

void evtchn_dump(struct domain *d)
{
    static const char *const names[] = { "free", "reserved", "unbound", "interdomain", "pirq", "virq", "ipi" };
    struct evtchn_domain *e = d->evtchn;
    if (!e)
        return;
    printk(LOG_INFO, "d%u: event channels, %s\n", d->id, e->fifo ? "FIFO" : "2-level");
    for (u32 port = 1; port < e->nr_ports; port++) {
        struct evtchn *c = evtchn_of(e, port);
        if (c->state != EVT_FREE) {
            int pending = evtchn_is_pending(d, port);
            printk(LOG_INFO, "  %4u %-11s vcpu %u%s, priority %u, remote d%u, %u\n", port, names[c->state],
                   c->vcpu, pending > 0 ? ", pending" : "", c->priority, c->remote_dom, c->id);
        }
    }
}
