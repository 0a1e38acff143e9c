/* SPDX-License-Identifier: MIT */
/* Single instructions and the registers they reach. */
#pragma once

#include "types.h"

static inline u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return ((u64)d << 32) | a; }
static inline u64 rdmsr(u32 m) { u32 a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(m)); return ((u64)d << 32) | a; }
static inline void wrmsr(u32 m, u64 v) { __asm__ volatile("wrmsr" :: "c"(m), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
/* 0, or -EFAULT when the CPU has no such register (x86/entry.S). */
int rdmsr_safe(u32 m, u64 *v);
static inline u8 inb(u16 p) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline u16 inw(u16 p) { u16 v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline u32 inl(u16 p) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline void outb(u16 p, u8 v) { __asm__ volatile("outb %0, %1" :: "a"(v), "Nd"(p)); }
static inline void outw(u16 p, u16 v) { __asm__ volatile("outw %0, %1" :: "a"(v), "Nd"(p)); }
static inline void outl(u16 p, u32 v) { __asm__ volatile("outl %0, %1" :: "a"(v), "Nd"(p)); }
/* size 1, 2 or 4 */
static inline u32 port_in(u16 p, unsigned size) { return size == 1 ? inb(p) : size == 2 ? inw(p) : inl(p); }
static inline void port_out(u16 p, unsigned size, u32 v)
{
    size == 1 ? outb(p, (u8)v) : size == 2 ? outw(p, (u16)v) : outl(p, v);
}
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
#define DEFINE_CR(n)                                                                          \
    static inline u64 read_cr##n(void) { u64 v; __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v)); return v; } \
    static inline void write_cr##n(u64 v) { __asm__ volatile("mov %0, %%cr" #n :: "r"(v) : "memory"); }
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
#define READ_SEG(r) ({ u16 s_; __asm__ volatile("mov %%" #r ", %0" : "=r"(s_)); s_; })
static inline void invlpg(u64 va) { __asm__ volatile("invlpg (%0)" :: "r"(va) : "memory"); }
static inline void local_irq_disable(void) { __asm__ volatile("cli" ::: "memory"); }
static inline void stac(void) { __asm__ volatile("stac" ::: "memory"); }
static inline void clac(void) { __asm__ volatile("clac" ::: "memory"); }

#define MSR_TSC            0x10
#define MSR_APIC_BASE      0x1b
#define MSR_PAT            0x277
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC         0x800
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

enum {
    EFER_SCE = 1 << 0, EFER_NXE = 1 << 11, CR0_TS = 1 << 3,
    CR4_PGE = 1 << 7, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21,
    X86_TF = 1 << 8, X86_IF = 1 << 9, X86_DF = 1 << 10, X86_IOPL = 3 << 12, X86_NT = 1 << 14,
    X86_RF = 1 << 16, X86_VM = 1 << 17, X86_AC = 1 << 18
};
