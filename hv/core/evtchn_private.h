/* SPDX-License-Identifier: MIT */
/*
 * Event channels: the records, shared by core/evtchn*.c only.
 *
 * Locks, in this order:
 *   evtchn_domain.lock (LOCK_EVTCHN)  which ports are in use, `closing`, which ABI, the
 *                                     FIFO array's growth
 *   evtchn.lock (LOCK_EVTCHN_PORT)    one channel's record. An interdomain connection is
 *                                     made and broken with both ends' locks held, so
 *                                     either one keeps it (and the peer domain) alive.
 *   fifo_vcpu.lock (LOCK_EVTCHN_Q)    one vCPU's FIFO queues
 *
 * A port becomes pending only while a channel lock is held that keeps it open: its own
 * or its peer's. Hence, when every port of a domain has been closed and `closing` keeps
 * new ones from being made, nobody touches its FIFO pages any more.
 */
#pragma once

#include "evtchn.h"

enum evtchn_state {
    EVT_FREE,           /* port 0 always */
    EVT_RESERVED,       /* on its way to or from another state, by one CPU */
    EVT_UNBOUND,        /* waits for a connection by remote_dom */
    EVT_INTERDOMAIN,    /* connected to port `id` of remote_dom, which is connected to this */
    EVT_PIRQ,           /* `id`: PIRQ */
    EVT_VIRQ,           /* `id`: VIRQ */
    EVT_IPI,
};
/* An open port's state, as EVTCHNOP_status tells it. */
#define EVT_STATUS(state) ((state) - EVT_RESERVED)
_Static_assert(EVT_STATUS(EVT_UNBOUND) == EVTCHNSTAT_unbound &&
               EVT_STATUS(EVT_IPI) == EVTCHNSTAT_ipi, "in order");

struct evtchn {
    spinlock_t lock;
    u8 state;           /* enum evtchn_state */
    u8 priority;        /* FIFO: 0 (highest) .. 15 */
    u16 vcpu;           /* whom it notifies; always an existing vCPU, or 0 */
    domid_t remote_dom;
    u32 id;
    u16 queue;          /* FIFO: where it was linked last; guarded by that vCPU's queue lock */
    u8 pending;         /* raised too early: FIFO without an event word yet, or a PIRQ while
                         * it is being bound; atomic */
};

#define EVTCHN_PER_BUCKET 128u

struct evtchn_domain {
    spinlock_t lock;
    bool closing;               /* no new ports: reset or the domain's end is at work */
    u32 nr_ports;               /* records that exist (whole buckets); grows only */
    u32 close_next;             /* how far the closing of all ports is */
    u32 raise_next;             /* and of an expand_array what was raised early; 0: at the end */
    unsigned long *used;        /* a bit per port */
    struct evtchn **bucket;
    struct evtchn_fifo *fifo;   /* NULL: 2-level ABI */
};

/* The record of a port that has one. */
static inline struct evtchn *evtchn_at(const struct evtchn_domain *e, u32 port)
{
    return &e->bucket[port / EVTCHN_PER_BUCKET][port % EVTCHN_PER_BUCKET];
}

/* The same of a port that a guest names, NULL if there is none. */
static inline struct evtchn *evtchn_of(const struct evtchn_domain *e, u32 port)
{
    u32 n = __atomic_load_n(&e->nr_ports, __ATOMIC_ACQUIRE);
    return unlikely(port >= n) ? NULL : evtchn_at(e, (u32)index_nospec(port, n));
}

/* The same, locked. */
static inline struct evtchn *evtchn_lock(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_of(d->evtchn, port);
    if (likely(c))
        spin_lock(&c->lock);
    return c;
}

/* Only if it is open. */
static inline struct evtchn *evtchn_lock_open(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_lock(d, port);
    if (c && unlikely(c->state <= EVT_RESERVED)) {
        spin_unlock(&c->lock);
        return NULL;
    }
    return c;
}

/* evtchn_fifo.c. A channel lock is held that keeps the port open (see above).
 * raise: true if the port was not pending before. */
bool evtchn_fifo_raise(struct domain *d, u32 port, struct evtchn *c);
void evtchn_fifo_unmask(struct domain *d, u32 port, struct evtchn *c);
void evtchn_fifo_clear(struct domain *d, u32 port, struct evtchn *c);
bool evtchn_fifo_is_pending(struct domain *d, u32 port, const struct evtchn *c);
/* f (or NULL) was d's until no port was in use and none to come. No lock held. */
void evtchn_fifo_free(struct domain *d, struct evtchn_fifo *f);
/* EVTCHNOP_init_control, EVTCHNOP_expand_array of d's own. */
int op_init_control(struct domain *d, void *arg);
int op_expand_array(struct domain *d, void *arg);

/* core/evtchn.c, for the operations */
int evtchn_send(struct domain *d, u32 port);                        /* 0, -EINVAL */
int evtchn_unmask(struct domain *d, u32 port);                      /* 0, -EINVAL */
void evtchn_raise(struct domain *d, u32 port, struct evtchn *c);    /* channel lock as above */
/* A new port in its first state, or -errno. EVT_RESERVED: the caller's to finish or release. */
int evtchn_alloc(struct domain *d, enum evtchn_state state, domid_t remote, u32 vcpu);
void evtchn_release(struct domain *d, u32 port);                    /* from EVT_RESERVED */
/* -EINVAL: not open; -EBUSY: another CPU is changing it. */
int evtchn_close(struct domain *d, u32 port);
bool virq_is_global(u32 virq);
bool virq_may_bind(const struct domain *d, u32 virq);
