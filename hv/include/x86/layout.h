/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory. The ABI gives a hypervisor the addresses from
 * 0xffff800000000000 to 0xffff87ffffffffff (top-level slots 256..271); everything
 * else belongs to the guest. The sixteen slots are the same in every top-level
 * table, guests' too, so a change below them is seen everywhere at once.
 *
 *   slot 256  0xffff800000000000  machine-to-physical table, guests may read it
 *   slot 257  0xffff808000000000  the same table, writable by Bulkhead
 *   slot 258  0xffff810000000000  frame table (struct page)
 *   slot 259  0xffff818000000000  device memory (ioremap)
 *   slot 260  0xffff820000000000  per-CPU descriptor windows (GDT and LDT)
 *   slot 261  0xffff828000000000  Bulkhead's image: text RX, rodata R, data RW
 *   slot 262  0xffff830000000000  direct map of all RAM, RW, never executable (to 271: 5 TiB)
 */
#pragma once

#define HV_SLOT_FIRST     256
#define HV_SLOT_LAST      271
#define M2P_RO            0xffff800000000000
#define M2P_RW            0xffff808000000000
#define FRAME_TABLE       0xffff810000000000
#define IOREMAP_BASE      0xffff818000000000
#define IOREMAP_SIZE      0x0000004000000000
#define DESC_WINDOW       0xffff820000000000
#define DESC_WINDOW_SIZE  0x20000   /* per CPU: 16 pages GDT, 16 pages LDT */
#define IMAGE_BASE        0xffff828000200000
#define IMAGE_PHYS        0x200000  /* loaded at 2 MiB; as far into its slot (boot.S) */
#define DIRECT_MAP        0xffff830000000000
#define DIRECT_MAP_END    0xffff880000000000

#define GDT_WINDOW(cpu)   (DESC_WINDOW + (unsigned long)(cpu) * DESC_WINDOW_SIZE)
#define LDT_WINDOW(cpu)   (GDT_WINDOW(cpu) + 0x10000)

/* Bulkhead's selectors lie on the reserved page 14 of every GDT (arch-x86/xen.h);
 * the ring-3 ones are the ABI's FLAT_RING3_*. */
#define HV_CS             0xe008
#define HV_DS             0xe010
#define HV_TSS            0xe040
#define HV_LDT            0xe050
