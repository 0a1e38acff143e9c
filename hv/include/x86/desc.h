/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables and the entry code's C side (x86/desc.c, x86/traps.c, entry.S).
 */
#ifndef BH_X86_DESC_H
#define BH_X86_DESC_H

#include "domain.h"

struct x86_vcpu;

#define TRAP_DB 1
#define TRAP_NMI 2
#define TRAP_BP 3
#define TRAP_UD 6
#define TRAP_NM 7
#define TRAP_DF 8
#define TRAP_GP 13
#define TRAP_PF 14
#define TRAP_MC 18
#define TRAP_SYSCALL 0x100

/* Points this CPU's GDT window at a vCPU's descriptor frames (NULL: none), and its LDT. */
void desc_load_gdt(struct x86_vcpu *x);
void desc_load_ldt(struct x86_vcpu *x);

/* Called by entry.S. */
void trap_from_guest(struct cpu_user_regs *regs);
void trap_from_hv(struct cpu_user_regs *regs);
void trap_on_ist(struct cpu_user_regs *regs);
void hypercall_restart(unsigned long *a);
/* Where a fault at rip goes on; 0: nowhere, it is our bug. */
u64 extable_lookup(u64 rip);

/* entry.S */
extern const char idt_stubs[], syscall_stubs[], syscall32_stubs[];
NORETURN void ret_to_guest(void);
long copy_fixup(void *dst, const void *src, size_t n);
long load_ds(u16 sel);
long load_es(u16 sel);
long load_fs(u16 sel);
long load_gs(u16 sel);
long load_gs_swapped(u16 sel);

#endif
