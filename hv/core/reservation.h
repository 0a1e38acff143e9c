/* SPDX-License-Identifier: MIT */
/*
 * Between the files of memory_op: memory.c (dispatch, what is asked and set),
 * reservation.c (a domain's memory grows and shrinks), exchange.c.
 */
#pragma once

#include "hypercall.h"
#include "mm.h"
#include <xen/memory.h>

/* A long operation on a list goes on where it stood: the number of elements (reservations:
 * frames) done is in the command word, above the command's 6 bits. (Guests pass 0 there.) */
#define MEMOP_BITS 6
#define MEMOP_CMD  ((1u << MEMOP_BITS) - 1)
#define MEMOP_MAX_ELEMENTS (~0UL >> MEMOP_BITS)

/* 2 MiB: what is allocated in one piece. */
#define EXTENT_ORDER_MAX 9

/* A call about the domain that its structure names, when both have been looked up. */
struct memop {
    struct vcpu *v;
    struct domain *d;
    unsigned long *a;           /* the hypercall's arguments */
    unsigned cmd;
    u64 start;                  /* how far it is, as above */
    union {
        struct xen_memory_domain domain;
        struct xen_memory_reservation res;
        struct xen_foreign_memory_map map;
        struct xen_mem_acquire_resource resource;
    };
};

/* Ends a call for now, when i elements are done: -ERESTART. */
static inline long memop_restart(struct memop *m, u64 i)
{
    m->a[0] = m->cmd | i << MEMOP_BITS;
    return -ERESTART;
}

/* increase, decrease, populate: extents done in all, or -errno. */
long memory_reservation(struct memop *m);
long memory_exchange(struct vcpu *v, u64 arg);
/* v will not go on with the exchange that it has begun, if any: 0 or -ERESTART. v is
 * current, or does not run any more. */
int exchange_abandon(struct vcpu *v);
/* Larger extents are hidden at first, and cleared in pieces. */
static inline bool extent_large(unsigned order) { return order > 4; }
/* What the allocator is to do for an extent. */
static inline u32 extent_memf(const struct xen_memory_reservation *r)
{
    u32 bits = XENMEMF_get_address_bits(r->mem_flags);
    return (bits && bits < 64 ? MEMF_BITS(bits) : 0) | (extent_large(r->extent_order) ? 0 : MEMF_ZERO);
}
/* Clears what is hidden of d, as long as nothing else waits: 0 or -ERESTART. */
static inline int clear_extents(struct vcpu *v, struct domain *d)
{
    while (READ_ONCE(d->page_hidden) != PAGE_NONE && clear_hidden(d)) {
        if (hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}
