/* SPDX-License-Identifier: MIT */
/*
 * Between the files of memory_op: memory.c (dispatch, what is asked and set),
 * reservation.c (a domain's memory grows and shrinks), exchange.c, resource.c.
 */
#ifndef BH_RESERVATION_H
#define BH_RESERVATION_H

#include "domain.h"
#include "mm.h"
#include <xen/memory.h>

/* A long operation on a list goes on where it stood: the number of elements done is
 * in the command word, above the command's 6 bits. (Guests pass 0 there.) */
#define MEMOP_BITS 6
#define MEMOP_MAX_ELEMENTS (~0UL >> MEMOP_BITS)

/* 2 MiB: what is allocated and cleared in one piece. */
#define EXTENT_ORDER_MAX 9

/* increase, decrease, populate: extents done in all, or -errno. a, start: as above. */
long memory_reservation(struct vcpu *v, unsigned long *a, unsigned cmd, u64 start);
long memory_exchange(struct vcpu *v, u64 arg);
long memory_acquire(struct vcpu *v, unsigned long *a, u64 start);
/* Undoes alloc_domain_pages and physmap_add. */
void extent_free(struct domain *d, u64 gfn, struct page *pg, unsigned order);
/* XENMEMF_* as the allocator's flags. */
static inline u32 extent_memf(u32 mem_flags)
{
    u32 bits = XENMEMF_get_address_bits(mem_flags);
    return bits && bits < 64 ? MEMF_BITS(bits) : 0;
}

#endif
