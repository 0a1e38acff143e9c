/* SPDX-License-Identifier: MIT */
/*
 * Spin locks. The whole hypervisor runs with interrupts off (they are taken in
 * guests, in the idle loop and at preemption points only), so a lock needs no
 * interrupt-saving form. A CPU that waits here answers TLB-flush requests, so a
 * holder may wait for such answers (x86/tlb.c).
 *
 * The order: a lock may be taken only while all held locks have a smaller rank.
 * Two locks of one rank: only with spin_lock_pair, which orders by address.
 * Debug builds check it.
 */
#pragma once

#include "types.h"

enum lock_rank {
    LOCK_CONTROL,   /* control plane: one domctl/sysctl at a time (core/domctl.c) */
    LOCK_DOMLIST,   /* dead domains are taken out of the table */
    LOCK_DOMAIN,    /* struct domain: lifecycle, limits */
    LOCK_MMU,       /* a PV domain's page tables and page types */
    LOCK_GRANT,     /* a domain's grant table */
    LOCK_PAGES,     /* a domain's list of pages and its totals */
    LOCK_HEAP,      /* frame allocator */
    LOCK_SLAB,      /* small allocator */
    LOCK_EVTCHN,    /* a domain's event channels */
    LOCK_EVTCHN_PORT, /* one event channel */
    LOCK_EVTCHN_Q,  /* FIFO queue of a vCPU */
    LOCK_IRQ,       /* interrupt descriptors, IO-APICs, MSI, PIRQs (x86/irq.c) */
    LOCK_PCI,       /* PCI configuration space, list of devices (x86/pci.c) */
    LOCK_SCHED,     /* a run queue */
    LOCK_TIMER,     /* a CPU's timers */
    LOCK_TIME,      /* wall clock, calibration */
    LOCK_SMP,       /* IPI mailboxes */
    LOCK_RANGES,    /* a set of permitted ports, frames, interrupts */
    LOCK_CONSOLE,   /* console ring, serial port */
};

typedef struct spinlock {
    bool locked;
    u8 rank;            /* enum lock_rank */
} spinlock_t;

#define SPINLOCK_INIT(r) { .rank = (r) }
static inline void spin_lock_init(spinlock_t *l, u8 rank) { *l = (spinlock_t){ .rank = rank }; }

void spin_lock_slow(spinlock_t *l);
#ifdef DEBUG
void lock_check_acquire(spinlock_t *l, bool any_order);
void lock_check_release(spinlock_t *l);
#else
static inline void lock_check_acquire(spinlock_t *l, bool any_order) { (void)l; (void)any_order; }
static inline void lock_check_release(spinlock_t *l) { (void)l; }
#endif

static inline bool spin_lock_got(spinlock_t *l)
{
    return !__atomic_exchange_n(&l->locked, true, __ATOMIC_ACQUIRE);
}

static inline void spin_lock(spinlock_t *l)
{
    lock_check_acquire(l, false);
    if (unlikely(!spin_lock_got(l)))
        spin_lock_slow(l);
}

static inline void spin_unlock(spinlock_t *l)
{
    lock_check_release(l);
    __atomic_store_n(&l->locked, false, __ATOMIC_RELEASE);
}

static inline bool spin_trylock(spinlock_t *l)
{
    if (READ_ONCE(l->locked) || !spin_lock_got(l))
        return false;
    lock_check_acquire(l, true);
    return true;
}

/* Takes two locks of one rank (or one lock, when a == b) in address order. */
void spin_lock_pair(spinlock_t *a, spinlock_t *b);
void spin_unlock_pair(spinlock_t *a, spinlock_t *b);

/* with_lock (&d->lock) { ... } -- the lock is released however the block is left. */
static inline void with_lock_end(spinlock_t **l) { spin_unlock(*l); }
#define with_lock(l)                                                                      \
    for (spinlock_t *held_ __attribute__((cleanup(with_lock_end), unused)) = (spin_lock(l), (l)), \
         *end_ = NULL; !end_; end_ = (spinlock_t *)~0UL)
