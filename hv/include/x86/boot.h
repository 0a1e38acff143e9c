/* SPDX-License-Identifier: MIT */
/*
 * Start-up only: the image's bounds, memory before the frame allocator, and what
 * the parts of start-up hand to each other. One CPU, no lock.
 */
#ifndef BH_X86_BOOT_H
#define BH_X86_BOOT_H

#include "types.h"
#include "x86/layout.h"

/* hv.lds; all page-aligned except load_end. */
extern char image_start[], text_end[], rodata_end[], load_end[], image_end[];

static inline paddr_t image_to_phys(const void *p) { return (u64)p - IMAGE_BASE + IMAGE_PHYS; }
static inline void *phys_to_virt(paddr_t pa) { return (void *)(DIRECT_MAP + pa); }

/* --- x86/boot_mem.c: RAM that nobody has taken yet, from boot_info --- */
struct boot_range { paddr_t start, end; };  /* whole frames */
void boot_mem_init(void);
/* From the highest range below `limit` (0: anywhere); align is a power of two, both
 * multiples of 4 KiB. Not cleared. Stops the machine when there is none. */
paddr_t boot_mem_alloc(u64 size, u64 align, paddr_t limit);
/* What is left, for heap_init; NULL past the end. */
const struct boot_range *boot_mem_range(unsigned i);
/* The i-th range of RAM, whole frames, above the first MiB or not; false past the end. */
bool boot_ram_range(unsigned i, struct boot_range *r);

/* --- x86/heap.c --- */
void heap_add(mfn_t start, mfn_t end);      /* frames [start, end) become free */
/* --- x86/m2p.c: allocates, maps and fills both views --- */
void m2p_init(void);
/* --- x86/paging.c --- */
void map_large(u64 va, paddr_t pa, u64 len, u64 flags);     /* 2 MiB pieces; boot only */

/* --- x86/setup.c, boot.S --- */
NORETURN void hv_start(u32 magic, paddr_t mbi);
extern char boot_stack[];

#endif
