/* SPDX-License-Identifier: MIT */
/*
 * TLB flushes. tlb_clock counts whole flushes of guests' entries on any CPU; a CPU's
 * tlb_stamp is its count at its last one. A frame whose stamp is older than a CPU's
 * is unknown to that CPU's TLB. A CPU on Bulkhead's own tables holds no guest entries
 * and has the stamp TLB_CLEAN. An idle CPU keeps the tables of who ran last, who is likely
 * to come back, until somebody wants a whole flush of it: then it leaves them.
 *
 * Requests to other CPUs go through a mailbox per CPU, without a lock: `what` is the
 * page wanted (or everything), `asked` counts requests, `served` those done. Who
 * waits answers its own mailbox meanwhile, so two CPUs may wait for each other.
 */
#include "arch.h"
#include "x86/machine.h"

#define TLB_CLEAN ~0UL
#define WHAT_NONE 1UL       /* no page address */
#define WHAT_ALL  2UL

static struct mailbox {
    u64 what;
    u32 asked, served;
} ALIGNED(64) mailbox[NR_CPUS] = { [0 ... NR_CPUS - 1] = { .what = WHAT_NONE } };

u64 tlb_clock = 1;

void tlb_write_cr3(u64 cr3)
{
    struct cpu *c = this_cpu();
    bool own = cr3 == hv_cr3;
    if (!own)
        WRITE_ONCE(c->tlb_stamp, __atomic_add_fetch(&tlb_clock, 1, __ATOMIC_SEQ_CST));
    write_cr3(cr3);
    if (own)
        WRITE_ONCE(c->tlb_stamp, TLB_CLEAN);
}

static NOINLINE void flush_all(void)
{
    if (this_cpu()->loaded && current_vcpu()->is_idle)
        tlb_leave_tables();
    else
        tlb_write_cr3(read_cr3());
}

static inline void flush_here(u64 what)
{
    if (!(what & (WHAT_NONE | WHAT_ALL)))
        invlpg(what);
    else if (what == WHAT_ALL)
        flush_all();
}

void tlb_answer(void)
{
    struct mailbox *m = &mailbox[cpu_id()];
    u32 asked = __atomic_load_n(&m->asked, __ATOMIC_ACQUIRE);
    if (asked == m->served)
        return;
    flush_here(__atomic_exchange_n(&m->what, WHAT_NONE, __ATOMIC_SEQ_CST));
    __atomic_store_n(&m->served, asked, __ATOMIC_RELEASE);
}

/* The value of `served` that will answer it. */
static u32 post(unsigned cpu, u64 what)
{
    struct mailbox *m = &mailbox[cpu];
    u64 old = READ_ONCE(m->what), new;
    do {
        new = old == WHAT_NONE || old == what ? what : WHAT_ALL;
    } while (!cas(&m->what, &old, new));
    u32 ticket = __atomic_add_fetch(&m->asked, 1, __ATOMIC_SEQ_CST);
    apic_send_ipi(cpus[cpu].apic_id, VEC_FLUSH);
    return ticket;
}

/* Asks all CPUs of the set but this one, then waits for them. */
static NOINLINE void flush_others(u64 set, u64 what)
{
    u32 ticket[NR_CPUS];
    set &= READ_ONCE(cpus_online.bits);
    for (u64 rest = set; rest; rest &= rest - 1) {
        unsigned cpu = ffs64(rest);
        ticket[cpu] = post(cpu, what);
    }
    for (; set; set &= set - 1) {
        unsigned cpu = ffs64(set);
        // cppcheck-suppress uninitvar ; the first loop was over the same set
        while ((s32)(__atomic_load_n(&mailbox[cpu].served, __ATOMIC_ACQUIRE) - ticket[cpu]) < 0)
            arch_spin_poll();
    }
}

static void flush_set(u64 set, u64 what)
{
    u64 self = 1UL << cpu_id();
    if (set & self)
        flush_here(what);
    set &= ~self;
    if (set)
        flush_others(set, what);
}

void tlb_flush_stale(u64 stamp)
{
    u64 set = 0;
    for (unsigned i = 0; i < nr_cpus; i++)
        set |= (u64)(READ_ONCE(cpus[i].tlb_stamp) <= stamp) << i;
    if (unlikely(set))
        flush_set(set, WHAT_ALL);
}

void tlb_flush_mask(cpumask_t mask)
{
    flush_set(mask.bits, WHAT_ALL);
}

void tlb_flush_page_mask(cpumask_t mask, u64 va)
{
    flush_set(mask.bits, va & PAGE_MASK);
}
