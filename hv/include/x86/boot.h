/* SPDX-License-Identifier: MIT */
/*
 * Start-up only: the image's bounds, memory before the frame allocator, and what
 * the parts of start-up hand to each other. One CPU, no lock.
 */
#pragma once

#include "types.h"
#include "x86/layout.h"

/* hv.lds; all page-aligned except load_end. */
extern char image_start[], text_end[], rodata_end[], load_end[], image_end[];

static inline paddr_t image_to_phys(const void *p) { return (u64)p - IMAGE_BASE + IMAGE_PHYS; }
static inline void *phys_to_virt(paddr_t pa) { return (void *)(DIRECT_MAP + pa); }

/* --- x86/boot_mem.c: RAM that nobody has taken yet, from boot_info --- */
struct boot_range { paddr_t start, end; };  /* whole frames */
extern paddr_t boot_mem_limit;              /* of what may be taken: paging_init lifts it */
void boot_mem_init(void);
/* From the highest range; whole pages, at a multiple of 2 MiB when that is the size. Every
 * byte is `fill`. Stops the machine when there is none. */
void *boot_mem_filled(u64 size, int fill);
/* The next range of RAM above r, whole frames, above the first MiB or not; false: none. */
bool boot_next_ram(struct boot_range *r);
// NOLINTNEXTLINE(bugprone-macro-parentheses): r is declared
#define for_each_ram(r) for (struct boot_range r = { 0, 0 }; boot_next_ram(&r);)

/* --- x86/heap.c --- */
void heap_add(mfn_t start, mfn_t end);      /* frames [start, end) become free */
/* --- x86/m2p.c: allocates, maps and fills both views --- */
void m2p_init(void);
/* --- x86/paging.c: puts 2 MiB with every byte `fill` at va; the first frame --- */
mfn_t boot_back_2m(u64 va, int fill);

/* --- x86/setup.c, boot.S --- */
NORETURN void hv_start(u32 magic, paddr_t mbi);
extern char boot_stack[];
