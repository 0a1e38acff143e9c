/* SPDX-License-Identifier: MIT */
/* Between heap.c, frames.c and tlb.c. */
#pragma once

#include "mm.h"

/* A struct page's word: references, owner, PG_*. */
#define PAGE_WORD(flags, owner, refs) ((u64)(flags) << 48 | (u64)(u16)(owner) << 32 | (u32)(refs))
/* Frames without owner and references become free; any that a guest may have mapped
 * were last in use at tlb_clock `stamp`. */
void free_frames_stamped(struct page *pg, unsigned order, u64 stamp);
