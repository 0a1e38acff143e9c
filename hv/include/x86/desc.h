/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables and the entry code's C side (x86/desc.c, x86/traps.c, entry.S).
 */
#pragma once

#include "domain.h"

struct x86_vcpu;

enum {
    TRAP_DB = 1, TRAP_NMI, TRAP_BP, TRAP_OF, TRAP_UD = 6, TRAP_NM, TRAP_DF, TRAP_GP = 13, TRAP_PF,
    TRAP_MC = 18, TRAP_SYSCALL = 0x100
};

/* Points this CPU's GDT window at a vCPU's descriptor frames (NULL: none), and its LDT. */
void desc_load_gdt(struct x86_vcpu *x);
void desc_load_ldt(struct x86_vcpu *x);

/* Called by entry.S. */
void trap_from_guest(struct cpu_user_regs *regs);
void trap_from_hv(struct cpu_user_regs *regs);
void trap_on_ist(struct cpu_user_regs *regs);
void hypercall_restart(const unsigned long *a);

/* entry.S */
extern const char idt_stubs[], syscall_stubs[], syscall32_stubs[];
NORETURN void ret_to_guest(void);
/* A selector of the guest's; null instead when the CPU refuses it. */
void load_ds(u16 sel);
void load_es(u16 sel);
void load_fs(u16 sel);
void load_gs(u16 sel);
void load_gs_swapped(u16 sel);
