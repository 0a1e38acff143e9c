/* SPDX-License-Identifier: MIT */
/*
 * Soft interrupts: work that a CPU does on its way out to a guest or to idle. A
 * CPU's pending bits are set by anybody, atomically, and taken by the CPU itself;
 * no lock. A handler runs with interrupts off and no lock held; it may raise
 * further ones, which are served before the CPU leaves.
 */
#include "arch.h"

static void (*handlers[NR_SOFTIRQS])(void);

void softirq_register(enum softirq nr, void (*fn)(void)) { handlers[nr] = fn; }

void softirq_raise_on(unsigned cpu, enum softirq nr)
{
    /* A full barrier: what the handler is to see was written before. */
    u32 old = __atomic_fetch_or(&cpus[cpu].softirq, 1u << nr, __ATOMIC_SEQ_CST);

    /* With a bit pending already the CPU is inside Bulkhead or was kicked before;
     * it looks at the word again before it leaves. */
    if (!old && cpu != cpu_id())
        arch_kick_cpu(cpu);
}

void softirq_run(void)
{
    struct cpu *c = this_cpu();

    while (READ_ONCE(c->softirq) != 0) {
        for (u32 m = __atomic_exchange_n(&c->softirq, 0, __ATOMIC_SEQ_CST); m != 0; m &= m - 1) {
            void (*fn)(void) = handlers[__builtin_ctz(m)];

            if (likely(fn != NULL))
                fn();
        }
    }
}
