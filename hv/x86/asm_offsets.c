/* SPDX-License-Identifier: MIT */
/*
 * Not linked: compiled to assembly, from which the build takes the offsets that
 * the .S files need, so that no layout is written down twice.
 */
#include "x86/domain.h"

#define DEFINE(sym, val) __asm__ volatile("\n.ascii \"->" #sym " %0\"" :: "i"(val))
#define OFFSET(sym, type, member) DEFINE(sym, offsetof(type, member))

USED static void asm_offsets(void)
{
    DEFINE(TOP_SIZE, sizeof(struct cpu_top));
    OFFSET(TOP_cpu, struct cpu_top, cpu);
    OFFSET(TOP_curr, struct cpu_top, curr);
    OFFSET(REGS_r10, struct cpu_user_regs, r10);
    OFFSET(REGS_rax, struct cpu_user_regs, rax);
    OFFSET(REGS_rdi, struct cpu_user_regs, rdi);
    OFFSET(REGS_rip, struct cpu_user_regs, rip);
    OFFSET(REGS_cs, struct cpu_user_regs, cs);
    OFFSET(REGS_es, struct cpu_user_regs, es);
    OFFSET(CPU_softirq, struct cpu, softirq);
    OFFSET(VCPU_is_idle, struct vcpu, is_idle);
    OFFSET(VCPU_info, struct vcpu, info);
    OFFSET(VCPU_kernel_mode, struct x86_vcpu, pv.kernel_mode);
    OFFSET(INFO_pending, struct vcpu_info, evtchn_upcall_pending);
    DEFINE(STACK_SIZE_asm, STACK_SIZE);
    DEFINE(ERESTART_asm, ERESTART);
    DEFINE(NR_HYPERCALLS_asm, 64);
}
