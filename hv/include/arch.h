/* SPDX-License-Identifier: MIT */
/*
 * What `core` may ask of the machine. Nothing else of x86 is visible to it.
 */
#pragma once

#include "domain.h"

/* --- this CPU and the others (x86/smp.c, x86/apic.c) --- */
static inline void cpu_relax(void) { __builtin_ia32_pause(); }
/* Waits politely: answers TLB-flush requests of others. For every spin loop. */
void arch_spin_poll(void);
/* Makes `cpu` enter Bulkhead soon (and so look at its softirqs and upcalls). */
void arch_kick_cpu(unsigned cpu);
/* A moment with interrupts on, so that pending ones are taken: only at points
 * where no lock is held and no half-done state is visible. */
void arch_irq_window(void);
/* Runs fn(arg) on every CPU of mask, interrupts off, and waits; may include this one.
 * The caller holds no lock that others spin for (LOCK_CONTROL is only tried). */
void arch_call_cpus(cpumask_t mask, void (*fn)(void *), void *arg);

/* --- time (x86/time.c) --- */
s_time_t now(void);                         /* ns since start, monotonic across CPUs to ~1 us */
void arch_timer_program(s_time_t deadline); /* this CPU's one-shot timer; 0 = off; past = at once */
u64 wallclock_sec(void);                    /* Unix time now */
void wallclock_set(u64 sec, u32 nsec, s_time_t at); /* Unix time sec.nsec was at system time `at` */
void wallclock_to_guest(struct domain *d);  /* fills shared_info wc_* */
void vcpu_time_update(struct vcpu *v);      /* fills the vCPU's time record if it is stale */
u64 cpu_khz(void);

/* --- vCPUs and domains (x86/domain.c, x86/pv) --- */
int arch_domain_init(struct domain *d);
struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id);     /* zeroed; NULL: no memory */
void arch_vcpu_free(struct vcpu *v);
/* The kind of guest that a configuration asks for, its machine part checked; NULL
 * with *err -EOPNOTSUPP (a kind that is not offered) or -EINVAL. (x86/domctl.c) */
const struct guest_ops *arch_guest_kind(const struct xen_domctl_createdomain *config, int *err);
/* The machine's part of getdomaininfo: shared_info_frame, gpaddr_bits, arch_config. */
void arch_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);
/* Sub-operations of memory_op that know the machine (x86/memory.c); called with the
 * family's rules (core/memory.c). */
long arch_memory_op(struct vcpu *v, unsigned cmd, u64 arg);
/* Leaves prev (saves its registers and state) and takes next up: cpu_top()->regs,
 * ->curr, page tables, descriptors, segments. No state of prev is kept on the CPU.
 * Called by the scheduler only. */
void arch_context_switch(struct vcpu *prev, struct vcpu *next);
/* VCPUOP_send_nmi: marks an NMI for v and wakes or kicks it (x86/pv). */
void vcpu_send_nmi(struct vcpu *v);

/* --- machine (x86/...) --- */
NORETURN void arch_machine_restart(void);
NORETURN void arch_machine_power_off(void);
u64 dump_cpus(u64 cpu);             /* debug keys 'd' */
u64 irq_dump(u64 vector);           /* and 'i': a step of each (core/keyhandler.c) */
struct xenpf_enter_acpi_sleep;
long power_enter_sleep(const struct xenpf_enter_acpi_sleep *s);     /* x86/power.c */
