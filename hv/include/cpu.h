/* SPDX-License-Identifier: MIT */
/*
 * Physical CPUs as `core` sees them. Every CPU has one stack block, STACK_SIZE
 * aligned; `struct cpu_top` lies at its very end, and its address follows from
 * any stack pointer inside the block: no segment register is needed.
 */
#pragma once

#include "types.h"

#define NR_CPUS     64          /* most physical CPUs that Bulkhead uses */
#define STACK_ORDER 3
#define STACK_SIZE  (PAGE_SIZE << STACK_ORDER)

/* A set of physical CPUs. */
typedef struct { u64 bits; } cpumask_t;
static inline bool cpumask_test(cpumask_t m, unsigned cpu) { return (m.bits >> cpu) & 1; }

/* Known to entry.S by generated offsets (x86/asm_offsets.c). */
struct cpu_top {
    struct cpu_user_regs regs;  /* the guest's registers while Bulkhead runs */
    struct cpu *cpu;
    struct vcpu *curr;          /* whose registers `regs` are; the idle vCPU's are empty */
};

/* Work that is done on the way out to a guest, by priority. */
enum softirq {
    SOFTIRQ_TIMER,
    SOFTIRQ_SCHED,
    SOFTIRQ_NMI,                /* a guest's virtual NMI waits (x86/pv/callback.c) */
    SOFTIRQ_TASKLET,            /* rare deferred work: console input, VIRQs, teardown */
    SOFTIRQ_DOMAIN,             /* core/domain.c: dead domains are freed, VIRQ_DOM_EXC */
    NR_SOFTIRQS
};

struct cpu {
    u32 softirq;                /* pending bits; set by anyone (atomic), cleared by this CPU */
    u32 id;                     /* 0..nr_cpus-1, dense */
    u32 apic_id;
    struct vcpu *idle;          /* this CPU's idle vCPU (domain DOMID_IDLE) */
    char *stack;                /* base of the stack block */
    u64 tlb_stamp;              /* tlb_clock at this CPU's last whole flush (x86/tlb.c) */
    struct vcpu *loaded;        /* whose tables are, also while it idles; NULL: Bulkhead's (x86/domain.c) */
#ifdef DEBUG
    u32 lock_depth;
    struct spinlock *locks_held[16];
#endif
};

extern struct cpu cpus[NR_CPUS];
extern unsigned nr_cpus;        /* CPUs found; ids 0..nr_cpus-1; fixed after SMP bring-up */
extern cpumask_t cpus_online;   /* of them, those that run; set during bring-up (atomic) */

#ifdef UNIT_TEST
extern _Thread_local struct cpu_top test_cpu_top;   /* a thread can play a CPU */
static inline struct cpu_top *cpu_top(void) { return &test_cpu_top; }
#else
static inline struct cpu_top *cpu_top(void)
{
    unsigned long sp;
    __asm__("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu_top *)((sp | (STACK_SIZE - 1)) + 1) - 1;
}
#endif

static inline struct cpu *this_cpu(void) { return cpu_top()->cpu; }
static inline unsigned cpu_id(void) { return this_cpu()->id; }
static inline struct vcpu *current_vcpu(void) { return cpu_top()->curr; }

/* Marks work for another CPU and makes it leave its guest or its sleep. */
void softirq_raise_on(unsigned cpu, enum softirq nr);
static inline void softirq_raise(enum softirq nr)
{
    __atomic_fetch_or(&this_cpu()->softirq, 1u << nr, __ATOMIC_RELAXED);
}
/* Runs this CPU's pending work until none is left. Called by the exit path with
 * no lock held; may switch the current vCPU (then cpu_top()->regs are the new one's). */
void softirq_run(void);
void softirq_register(enum softirq nr, void (*fn)(void));
