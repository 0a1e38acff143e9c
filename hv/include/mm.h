/* SPDX-License-Identifier: MIT */
/*
 * Machine frames: one struct page for each, and the allocators on them.
 *
 * The rule that everything rests on (after SOSP 2003, section 3.3.3): a frame has
 * an owner, a count of references, and one type with a count of uses in that type.
 * While the type count is not zero the type cannot change. A frame is never a page
 * table (or descriptor page) and mapped writable at the same time.
 */
#pragma once

#include "domain.h"

#define PAGE_NONE 0xffffffffu       /* end of a list of frames */

/* Type word. Count in the low 32 bits. */
#define PT_NONE       (0UL << 60)
#define PT_L1         (1UL << 60)
#define PT_L2         (2UL << 60)
#define PT_L3         (3UL << 60)
#define PT_L4         (4UL << 60)
#define PT_DESC       (5UL << 60)   /* GDT or LDT page */
#define PT_WRITABLE   (7UL << 60)
#define PT_TYPE_MASK  (7UL << 60)
#define PT_VALIDATED  (1UL << 59)
#define PT_PINNED     (1UL << 58)
#define PT_COUNT_MASK 0xffffffffUL
/* Of PT_WRITABLE only: counts the times it was taken, so that a compare-and-swap of the
 * word notices that it was taken and given up in between (x86/frames.c). */
#define PT_GEN_SHIFT  42
#define PT_GEN_MASK   (0x3fffUL << PT_GEN_SHIFT)
#define PT_GEN_CARRY  (1UL << 56)   /* where it runs over */

/* flags */
#define PG_ALLOCATED  1             /* owner holds its one reference */
#define PG_HV         2             /* Bulkhead's own (heap, stacks, image) */
#define PG_XENHEAP    4             /* Bulkhead's, shared with the owner: never freed by put_page */
#define PG_FREE       8             /* first frame of a free block; its order is in `type` */

struct page {
    union {     /* general references; the owner's domid, DOMID_INVALID: none; PG_* */
        struct { u32 refs; u16 owner, flags; };
        u64 word;                   /* the three together, for compare-and-swap */
    };
    u64 type;                       /* PT_* and count */
    u64 stamp;                      /* tlb_clock when it was last freed or lost its type */
    u32 next, prev;                 /* domain's page list, or the allocator's free list */
};
/* While a page is a partially validated table its progress lives in `type` bits 32..41. */
#define PT_DONE_SHIFT 32
#define PT_DONE_MASK  (0x3ffUL << PT_DONE_SHIFT)

extern struct page *frame_table;    /* indexed by MFN, valid where mfn_valid */
extern u64 max_mfn;                 /* highest RAM frame + 1 */
extern u64 ram_frames;              /* of them, those that are RAM, Bulkhead's own included */
extern unsigned long *ram_bitmap;   /* a bit for each frame below max_mfn that is RAM */
/* Is it RAM with a struct page? False for the first MiB, which is the firmware's. */
#ifdef UNIT_TEST
bool mfn_valid(mfn_t mfn);
void *mfn_to_virt(mfn_t mfn);
#else
static inline bool mfn_valid(mfn_t mfn)
{
    u64 i = index_nospec(mfn, max_mfn);
    return mfn < max_mfn && (ram_bitmap[i / 64] >> i % 64 & 1);
}
/* All RAM is mapped, writable and not executable, at DIRECT_MAP (x86/layout.h). */
#define DIRECT_MAP_BASE 0xffff830000000000UL    /* DIRECT_MAP of x86/layout.h, which checks it */
static inline void *mfn_to_virt(mfn_t mfn) { return (void *)(DIRECT_MAP_BASE + (mfn << PAGE_SHIFT)); }
#endif
static inline struct page *mfn_to_page(mfn_t mfn) { return &frame_table[mfn]; }
static inline mfn_t page_to_mfn(const struct page *p) { return (mfn_t)(p - frame_table); }

mfn_t virt_to_mfn(const void *va);  /* of direct-map addresses only */
static inline void *page_to_virt(const struct page *p) { return mfn_to_virt(page_to_mfn(p)); }

/* --- x86/heap.c: frames --- */
#define MEMF_ZERO       2
#define MEMF_UNOWNED    4           /* for assign_pages at once: not marked as Bulkhead's */
#define MEMF_BITS(n)    ((u32)(n) << 8)   /* machine addresses below 2^n; 0: no limit */
#define MEMF_GET_BITS(f) (((f) >> 8) & 0xff)
/* 2^order frames for Bulkhead itself (flags PG_HV); NULL: none. order <= 18. */
struct page *alloc_hv_pages(unsigned order, u32 memf);
void free_hv_pages(struct page *pg, unsigned order);
/* Gives existing unowned frames (of alloc_hv_pages, or one from steal_page) to d: on its list,
 * one reference each. -ENOMEM: beyond d->max_pages; -EINVAL: d is dying. Nobody gets a reference
 * on hidden ones before clear_hidden has cleared them. True: it has more to do. */
int assign_pages(struct domain *d, struct page *pg, unsigned order, bool hidden);
bool clear_hidden(struct domain *d);
u64 free_page_count(void);
u64 total_page_count(void);
/* Cleared frame for Bulkhead, one page: returns its virtual address or NULL. */
void *alloc_hv_page(void);
void free_hv_page(void *va);

/* --- core/slab.c: small pieces; zeroed --- */
void *xzalloc(size_t size);         /* up to 64 KiB; NULL: no memory */
void xfree(void *p);
#define xzalloc_array(T, n) ((T *)xzalloc(sizeof(T) * (size_t)(n)))
#define xzalloc_type(T)     ((T *)xzalloc(sizeof(T)))

/* --- x86/frames.c: references --- */
/* Takes a reference if pg is owned by d; false otherwise. */
bool get_page(struct page *pg, struct domain *d);
/* Drops one; the last one frees the frame (its owner must have given it up). */
void put_page(struct page *pg);
/* Writable type: for mappings and for Bulkhead's own writes. 0 or -EINVAL if the
 * frame has another type in use. The caller holds a reference. */
int get_page_writable(struct page *pg);
void put_page_writable(struct page *pg);
/* Frame mfn of d with a reference, for `write` with one of the writable type as well; NULL:
 * it is not d's or has another type in use. */
struct page *get_frame(struct domain *d, mfn_t mfn, bool write);
void put_frame(struct page *pg, bool write);
/* The owner gives the frame up: drops PG_ALLOCATED's reference and takes it off the
 * list; it is freed when the last mapping goes. False if it was given up already. */
bool domain_free_page(struct domain *d, struct page *pg);
/* Takes a frame that has no other references away from d (exchange, transfer):
 * it is then owned by nobody and off the list. 0 or -EINVAL. */
int steal_page(struct domain *d, struct page *pg);
void free_stolen_page(struct page *pg);
/* A cleared page of Bulkhead's that d may map (its id as owner, PG_XENHEAP; M2P invalid). NULL:
 * no memory. */
void *alloc_shared_page(struct domain *d);
void free_shared_page(void *va);            /* what is still mapped goes with its last mapping */
/* Frees d's pages one by one: restartable. */
int relinquish_pages(struct domain *d);

/* --- x86/tlb.c --- */
extern u64 tlb_clock;
/* Whole-TLB flush on all CPUs whose last flush is not newer than stamp. */
void tlb_flush_stale(u64 stamp);
/* Whole flush / one page on the CPUs of mask. */
void tlb_flush_mask(cpumask_t mask);
void tlb_flush_page_mask(cpumask_t mask, u64 va);

/* --- M2P: x86/m2p.c --- */
#define INVALID_M2P (~0UL)          /* of a valid frame: */
void m2p_set(mfn_t mfn, u64 gfn);
/* First frame of the idx-th 2 MiB of the table (a hole: of the one before it), owner
 * DOMID_XEN, may be mapped read-only; INVALID_MFN past the end. XENMEM_machphys_mfn_list. */
mfn_t m2p_chunk_mfn(unsigned idx);

/* --- frame audit: x86/pv/audit.c; a step of debug key 'A' (core/keyhandler.c) --- */
u64 audit_frames(u64 at);
