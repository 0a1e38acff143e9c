/* SPDX-License-Identifier: MIT */
/* Page-table entries (AMD64 manual vol. 2, 5.3-5.4; Intel SDM vol. 3, 4.5). */
#pragma once

#include "mm.h"
#include "x86/layout.h"

typedef u64 pte_t;

#define PTE_P    (1UL << 0)
#define PTE_RW   (1UL << 1)
#define PTE_US   (1UL << 2)
#define PTE_PWT  (1UL << 3)
#define PTE_PCD  (1UL << 4)
#define PTE_A    (1UL << 5)
#define PTE_D    (1UL << 6)
#define PTE_PSE  (1UL << 7)         /* in L2, L3; PAT in L1 */
#define PTE_PAT  (1UL << 7)
#define PTE_G    (1UL << 8)
#define PTE_NX   (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL

/* Bulkhead's PAT, as the ABI fixes it for PV guests: WB WT UC- UC WC WP UC UC. */
#define HV_PAT   0x0000050100070406UL
#define PTE_CACHE_UC (PTE_PCD | PTE_PWT)

#define PTE_HV_RW (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define PTE_HV_RO (PTE_P | PTE_A | PTE_NX)
#define PTE_HV_RX (PTE_P | PTE_A)

static inline mfn_t pte_mfn(pte_t e) { return (e & PTE_ADDR) >> PAGE_SHIFT; }
static inline pte_t pte_make(mfn_t mfn, u64 flags) { return (mfn << PAGE_SHIFT) | flags; }
/* level 1..4: what an entry of it maps, and which one maps va */
static inline u64 pte_span(unsigned level) { return 1UL << (3 + 9 * level); }
static inline unsigned pt_index(u64 va, unsigned level) { return va >> (3 + 9 * level) & 511; }
static inline bool va_canonical(u64 va) { return (u64)((s64)(va << 16) >> 16) == va; }

/* x86/paging.c. Bulkhead's own tables: hv_l4 is the idle one and the template. */
extern pte_t *hv_l4;
extern paddr_t hv_cr3;
/* The entry of `level` for va (Bulkhead's slots only), tables made as needed; NULL: no memory. */
pte_t *hv_pte(u64 va, unsigned level);
/* Maps what is not RAM for ever; flags are PTE_*. NULL: no memory. */
void *map_physical(paddr_t pa, size_t len, u64 flags);
/* Device memory; cache: PTE_CACHE_UC or 0. */
#define ioremap(pa, len, cache) map_physical(pa, len, PTE_HV_RW | (cache))
/* ACPI tables and firmware data: cached, read only. */
#define map_firmware(pa, len) ((const void *)map_physical(pa, len, PTE_HV_RO))
