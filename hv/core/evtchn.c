// SPDX-License-Identifier: MIT
/*
 * Event channels: the records of every domain's ports, how a port is taken and given
 * back, connections between domains, and everything that makes a port pending. Owns
 * d->evtchn; who guards what stands in evtchn_private.h. The calls of guests are in
 * evtchn_op.c.
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

/* Who gets each global VIRQ: dom0, if nobody was set. */
static domid_t virq_handler[NR_VIRQS];

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

/* The 2-level ABI: a pending and a mask bit per port in the shared info page, and per
 * vCPU a word that selects the words of pending bits to look at. The bits are the guest's
 * as much as ours: every change is atomic, nothing read from them is trusted. Ports below
 * EVTCHN_2L_NR_CHANNELS only (take_port sees to it). */
static inline void select_2l(struct domain *d, u32 port, const struct evtchn *c)
{
    struct vcpu *v = d->vcpu[READ_ONCE(c->vcpu)];
    if (v && !test_and_set_bit(port / 64, &v->info->evtchn_pending_sel))
        vcpu_mark_events_pending(v);
}

/* True if the port was not pending before. */
static inline bool raise_2l(struct domain *d, u32 port, const struct evtchn *c)
{
    ASSERT(port < EVTCHN_2L_NR_CHANNELS);
    if (test_and_set_bit(port, d->shared_info->evtchn_pending))
        return false;
    if (!test_bit(port, d->shared_info->evtchn_mask))
        select_2l(d, port, c);
    return true;
}

inline void evtchn_raise(struct domain *d, u32 port, struct evtchn *c)
{
    bool fresh = false;
    if (!READ_ONCE(d->evtchn->fifo))
        fresh = raise_2l(d, port, c);           /* a full barrier */
    if (READ_ONCE(d->evtchn->fifo))             /* perhaps since a moment ago: say it there too */
        fresh |= evtchn_fifo_raise(d, port, c);
    if (fresh)
        vcpus_poll_wake(d, port);
}

int evtchn_send(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_lock(d, port);
    if (!c)
        return -EINVAL;
    int err = 0;
    if (c->state == EVT_INTERDOMAIN) {
        struct domain *rd = domain_held(c->remote_dom);
        evtchn_raise(rd, c->id, evtchn_at(rd->evtchn, c->id));
    } else if (c->state == EVT_IPI) {
        evtchn_raise(d, port, c);
    } else if (c->state != EVT_UNBOUND) {       /* whoever binds that one finds its end pending */
        err = -EINVAL;
    }
    spin_unlock(&c->lock);
    return err;
}

int evtchn_unmask(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_lock_open(d, port);
    if (!c)
        return -EINVAL;
    struct shared_info *s = d->shared_info;
    bool pirq = c->state == EVT_PIRQ;
    u32 id = c->id;
    if (READ_ONCE(d->evtchn->fifo))
        evtchn_fifo_unmask(d, port, c);
    else if (test_and_clear_bit(port, s->evtchn_mask) && test_bit(port, s->evtchn_pending))
        select_2l(d, port, c);
    spin_unlock(&c->lock);
    if (pirq)
        pirq_eoi(d, id);
    return 0;
}

int evtchn_is_pending(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_lock_open(d, port);
    if (!c)
        return -EINVAL;
    int pending = READ_ONCE(d->evtchn->fifo) ? evtchn_fifo_is_pending(d, port, c)
                                             : test_bit(port, d->shared_info->evtchn_pending);
    spin_unlock(&c->lock);
    return pending;
}

void evtchn_vcpu_info_moved(struct vcpu *v)
{
    __atomic_store_n(&v->info->evtchn_pending_sel, ~0UL, __ATOMIC_RELAXED);
    vcpu_mark_events_pending(v);
}

void evtchn_pirq_fire(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_lock(d, port);
    if (!c)
        return;
    if (c->state == EVT_PIRQ)
        evtchn_raise(d, port, c);
    else if (c->state == EVT_RESERVED)
        c->pending = 1;                 /* whoever binds it will raise it */
    spin_unlock(&c->lock);
}

/* --- VIRQs --- */

bool virq_is_global(u32 virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

bool virq_may_bind(const struct domain *d, u32 virq)
{
    u32 right = virq == VIRQ_CONSOLE || virq == VIRQ_CON_RING ? RIGHT_CONSOLE : RIGHT_CONTROL;
    return !virq_is_global(virq) || domain_has(d, right) || READ_ONCE(virq_handler[virq]) == d->id;
}

void virq_to_vcpu(struct vcpu *v, unsigned virq)
{
    ASSERT(virq < NR_VIRQS);
    u32 port = READ_ONCE(v->virq_port[virq]);       /* none: port 0, which is never open */
    struct evtchn *c = evtchn_lock(v->domain, port);
    if (!c)
        return;
    if (c->state == EVT_VIRQ && c->id == virq)
        evtchn_raise(v->domain, port, c);
    spin_unlock(&c->lock);
}

void virq_global(unsigned virq)
{
    ASSERT(virq < NR_VIRQS);
    struct domain *d = domain_get(READ_ONCE(virq_handler[virq]));
    if (!d)
        return;
    struct vcpu *v = domain_vcpu(d, 0);
    if (v)
        virq_to_vcpu(v, virq);
    domain_put(d);
}

int virq_set_handler(struct domain *d, unsigned virq)
{
    if (virq >= NR_VIRQS || !virq_is_global(virq))
        return -EINVAL;
    with_lock (&d->evtchn->lock) {
        if (d->evtchn->closing)         /* else it would stay on after d's end */
            return -EBUSY;
        WRITE_ONCE(virq_handler[virq], d->id);
    }
    return 0;
}

static void virq_forget_handler(const struct domain *d)
{
    for (unsigned i = 0; i < NR_VIRQS; i++) {
        domid_t mine = d->id;
        cas(&virq_handler[i], &mine, 0);
    }
}

/* --- ports --- */

static struct evtchn *new_bucket(void)
{
    struct evtchn *b = xzalloc_array(struct evtchn, EVTCHN_PER_BUCKET);
    for (u32 i = 0; b && i < EVTCHN_PER_BUCKET; i++)
        spin_lock_init(&b[i].lock, LOCK_EVTCHN_PORT);
    return b;
}

/* The lowest port that is not in use becomes used. If it has no record yet, *spare
 * becomes its bucket; without one: -ERESTART. */
static int take_port(struct domain *d, struct evtchn **spare)
{
    struct evtchn_domain *e = d->evtchn;
    int port = 0;
    with_lock (&e->lock) {
        u32 all = d->max_evtchn_port + 1, limit = e->fifo ? all : MIN(all, (u32)EVTCHN_2L_NR_CHANNELS);
        port = (int)find_next_zero_bit(e->used, limit, 1);
        if (e->closing)
            return -EBUSY;
        if ((u32)port >= limit)
            return -ENOSPC;
        if ((u32)port >= e->nr_ports) {
            if (!*spare)
                return -ERESTART;
            e->bucket[e->nr_ports / EVTCHN_PER_BUCKET] = *spare;
            *spare = NULL;
            __atomic_store_n(&e->nr_ports, e->nr_ports + EVTCHN_PER_BUCKET, __ATOMIC_RELEASE);
        }
        e->used[port / 64] |= 1UL << (port % 64);
    }
    return port;
}

int evtchn_alloc(struct domain *d, enum evtchn_state state, domid_t remote, u32 vcpu)
{
    struct evtchn *spare = NULL;
    int port = take_port(d, &spare);
    if (port == -ERESTART) {            /* memory is allocated without the lock */
        spare = new_bucket();
        port = spare ? take_port(d, &spare) : -ENOMEM;
        xfree(spare);                   /* another CPU was first */
    }
    if (port < 0)
        return port;
    struct evtchn *c = evtchn_lock(d, (u32)port);
    BUG_ON(!c);
    c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    c->vcpu = (u16)vcpu;
    c->remote_dom = remote;
    c->id = 0;
    c->pending = 0;
    c->state = (u8)state;
    spin_unlock(&c->lock);
    return port;
}

void evtchn_release(struct domain *d, u32 port)
{
    struct evtchn_domain *e = d->evtchn;
    struct evtchn *c = evtchn_lock(d, port);
    BUG_ON(!c);
    if (READ_ONCE(e->fifo))
        evtchn_fifo_clear(d, port, c);
    else
        clear_bit(port, d->shared_info->evtchn_pending);
    c->state = EVT_FREE;
    spin_unlock(&c->lock);
    with_lock (&e->lock)
        e->used[port / 64] &= ~(1UL << (port % 64));
}

/* Breaks the pair of c (of d) and port was->id of domain was->remote_dom, if it is still
 * there: c is then EVT_RESERVED, the peer waits for d's id. False: c has changed, look
 * again. */
static bool disconnect(struct domain *d, struct evtchn *c, const struct evtchn *was)
{
    struct domain *rd = domain_get(was->remote_dom);
    if (!rd)
        return false;
    struct evtchn *rc = evtchn_of(rd->evtchn, was->id);
    bool same = false;
    if (rc) {
        spin_lock_pair(&c->lock, &rc->lock);
        same = c->state == EVT_INTERDOMAIN && c->remote_dom == was->remote_dom && c->id == was->id;
        if (same) {
            ASSERT(rc->state == EVT_INTERDOMAIN && rc->remote_dom == d->id);
            c->state = EVT_RESERVED;
            rc->state = EVT_UNBOUND;
            rc->id = 0;
        }
        spin_unlock_pair(&c->lock, &rc->lock);
    }
    domain_put(rd);
    return same;
}

int evtchn_close(struct domain *d, u32 port)
{
    struct evtchn *c, was;
    do {                        /* again only if the peer has changed it meanwhile */
        c = evtchn_lock(d, port);
        if (!c)
            return -EINVAL;
        was = *c;
        if (was.state > EVT_RESERVED && was.state != EVT_INTERDOMAIN)
            c->state = EVT_RESERVED;
        spin_unlock(&c->lock);
        if (was.state <= EVT_RESERVED)
            return was.state == EVT_FREE ? -EINVAL : -EBUSY;
    } while (was.state == EVT_INTERDOMAIN && !disconnect(d, c, &was));
    // cppcheck-suppress uninitvar ; the loop has run once
    if (was.state == EVT_VIRQ)
        WRITE_ONCE(d->vcpu[virq_is_global(was.id) ? 0 : was.vcpu]->virq_port[was.id], 0);
    else if (was.state == EVT_PIRQ)
        pirq_guest_unbind(d, was.id);
    evtchn_release(d, port);
    return 0;
}

/* --- reset, end --- */

/* The next port to close. 0: there is none; the closing is over, and *f is to be freed. */
static u32 next_to_close(struct domain *d, struct evtchn_fifo **f)
{
    struct evtchn_domain *e = d->evtchn;
    with_lock (&e->lock) {
        if (!e->closing)            /* another CPU has finished; there may be new ones */
            return 0;
        e->close_next = (u32)find_next_bit(e->used, e->nr_ports, e->close_next);
        if (e->close_next < e->nr_ports)
            return e->close_next;
        /* A reset by another domain leaves the FIFO ABI, as the ABI says. */
        if (d->is_dying || d == current_vcpu()->domain) {
            *f = e->fifo;
            e->fifo = NULL;
        }
        e->closing = d->is_dying;
    }
    return 0;
}

/* Several CPUs may do it at once: each port is closed by one of them. */
int evtchn_domain_close(struct domain *d)
{
    struct evtchn_fifo *f = NULL;
    with_lock (&d->evtchn->lock) {
        if (!d->evtchn->closing)
            d->evtchn->close_next = 1;
        d->evtchn->closing = true;
    }
    if (d->is_dying)
        virq_forget_handler(d);
    for (u32 port; (port = next_to_close(d, &f)) != 0; ) {
        /* A port that another CPU is working on stays in `used` until that is done. */
        bool busy = evtchn_close(d, port) != 0;
        if ((busy || port % 16 == 0) && hypercall_preempt(current_vcpu()))
            return -ERESTART;
    }
    evtchn_fifo_free(d, f);
    return 0;
}

int evtchn_domain_init(struct domain *d)
{
    struct evtchn_domain *e = xzalloc_type(struct evtchn_domain);
    if (!e)
        return -ENOMEM;
    spin_lock_init(&e->lock, LOCK_EVTCHN);
    e->used = xzalloc_array(unsigned long, ROUND_UP(d->max_evtchn_port + 1, EVTCHN_PER_BUCKET) / 64);
    e->bucket = xzalloc_array(struct evtchn *, d->max_evtchn_port / EVTCHN_PER_BUCKET + 1);
    d->evtchn = e;
    return e->used && e->bucket ? 0 : -ENOMEM;
}

void evtchn_domain_free(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;
    for (u32 i = 0; e->bucket && i < e->nr_ports / EVTCHN_PER_BUCKET; i++) {
        xfree(e->bucket[i]);
        arch_irq_window();
    }
    xfree(e->bucket);
    xfree(e->used);
    xfree(e);
    d->evtchn = NULL;
}

u32 evtchn_dump(struct domain *d, u32 port)
{
    static const char names[][12] = { "free", "reserved", "unbound", "interdomain", "pirq", "virq",
                                      "ipi" };
    struct evtchn_domain *e = d->evtchn;
    u32 n = e ? e->nr_ports : 0;
    if (e && port == 0)
        printk(LOG_INFO, "d%u: event channels, %s\n", d->id, e->fifo ? "FIFO" : "2-level");
    while (++port < n && evtchn_at(e, port)->state == EVT_FREE && port % 64 != 0)
        ;
    if (port >= n)
        return 0;
    struct evtchn *c = evtchn_at(e, port);
    if (c->state != EVT_FREE) {
        const char *pending = evtchn_is_pending(d, port) > 0 ? ", pending" : "";
        printk(LOG_INFO, "  %4u %-11s vcpu %u%s, priority %u, remote d%u, %u\n", port,
               names[c->state], c->vcpu, pending, c->priority, c->remote_dom, c->id);
    }
    return port;
}
