/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs: their start, and calls between CPUs.
 *
 * CPUs are started one after the other by INIT and STARTUP; what the next one needs
 * lies on its stack. cpus[] and nr_cpus change only then. call_lock guards the one call
 * in progress; who waits for it, holding no lock, answers calls meanwhile.
 */
#include "arch.h"
#include "console.h"
#include "options.h"
#include "sched.h"
#include "x86/boot.h"
#include "x86/machine.h"

/* How long to wait for a CPU after the first STARTUP (SDM vol. 3, 9.4.4.1) and after the
 * second: an emulator may not run it at once. */
static const s_time_t startup_ns[] = { 200000, 5000000000LL };

struct cpu cpus[NR_CPUS];
unsigned nr_cpus = 1;
cpumask_t cpus_online = { 1 };

static u32 max_cpus = NR_CPUS;
OPTION_INT(max_cpus, "maxcpus", "use at most so many CPUs");
static bool no_smp;
OPTION_BOOL(no_smp, "nosmp", "use the boot CPU only");

extern const char trampoline[], trampoline_end[];
char *ap_stack;             /* for boot.S: of the CPU being started; NULL: none */

static spinlock_t call_lock = SPINLOCK_INIT(LOCK_SMP);
static void (*call_fn)(void *arg);
static void *call_arg;
static u64 call_todo;       /* CPUs that have not done it yet; atomic */

/* --- between CPUs --- */

void arch_spin_poll(void)
{
    tlb_answer();
    panic_poll();
    cpu_relax();
}

void arch_irq_window(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}

void arch_kick_cpu(unsigned cpu)
{
    if (cpu != cpu_id() && cpumask_test(cpus_online, cpu))
        apic_send_ipi(cpus[cpu].apic_id, VEC_KICK);
}

static void call_answer(void)
{
    u64 self = 1UL << cpu_id();
    if (__atomic_load_n(&call_todo, __ATOMIC_ACQUIRE) & self) {
        call_fn(call_arg);
        __atomic_fetch_and(&call_todo, ~self, __ATOMIC_SEQ_CST);
    }
}

void arch_call_cpus(cpumask_t mask, void (*fn)(void *), void *arg)
{
    u64 self = 1UL << cpu_id(), others = mask.bits & cpus_online.bits & ~self;
    while (!spin_trylock(&call_lock)) {
        call_answer();
        arch_spin_poll();
    }
    call_fn = fn;
    call_arg = arg;
    __atomic_store_n(&call_todo, others, __ATOMIC_RELEASE);
    for (u64 rest = others; rest; rest &= rest - 1)
        apic_send_ipi(cpus[ffs64(rest)].apic_id, VEC_CALL);
    if (mask.bits & self)
        fn(arg);
    while (__atomic_load_n(&call_todo, __ATOMIC_ACQUIRE))
        arch_spin_poll();
    spin_unlock(&call_lock);
}

/* --- start --- */

/* The C entry of another CPU: on its own stack, interrupts off. */
void cpu_startup_ap(void)
{
    struct cpu *c = this_cpu();
    cpu_features_apply();
    desc_init_cpu(c->id);
    apic_init_cpu();
    time_init_cpu();
    sched_cpu_init(c->id);
    cpu_top()->curr = c->idle;
    tlb_write_cr3(read_cr3());
    set_bit(c->id, &cpus_online.bits);
    idle_loop_start();
}

static bool start_cpu(unsigned cpu, u32 apic_id, paddr_t page)
{
    struct cpu *c = &cpus[cpu];
    struct page *stack = alloc_hv_pages(STACK_ORDER, MEMF_ZERO);
    if (!stack)
        return false;
    c->id = cpu;
    c->apic_id = apic_id;
    c->stack = page_to_virt(stack);
    ((struct cpu_top *)(c->stack + STACK_SIZE) - 1)->cpu = c;
    __atomic_store_n(&ap_stack, c->stack, __ATOMIC_SEQ_CST);
    apic_send_ipi(apic_id, IPI_INIT);
    for (unsigned i = 0; i < ARRAY_SIZE(startup_ns); i++) {
        apic_send_ipi(apic_id, IPI_STARTUP((u32)(page >> PAGE_SHIFT)));
        s_time_t end = now() + startup_ns[i];
        do {
            time_sync_answer();
            arch_spin_poll();
            if (test_bit(cpu, &cpus_online.bits))
                return true;
        } while (now() < end);
    }
    /* Its stack stays: it might still come. */
    __atomic_store_n(&ap_stack, NULL, __ATOMIC_SEQ_CST);
    printk(LOG_WARN, "CPU: the one with APIC id %u does not answer and is left out\n", apic_id);
    return false;
}

void smp_init(void)
{
    u32 limit = no_smp || !max_cpus ? 1 : MIN(max_cpus, (u32)NR_CPUS);
    paddr_t page = 0;           /* the highest frame of RAM below 640 KiB */
    for_each_ram (r) {
        if (r.start < 0xa0000)
            page = MIN(r.end, 0xa0000UL) - PAGE_SIZE;
    }
    irq_set_handler(VEC_FLUSH, tlb_answer);
    irq_set_handler(VEC_CALL, call_answer);
    if (!page) {
        printk(LOG_WARN, "CPU: no memory below 640 KiB, other CPUs cannot start\n");
        return;
    }
    memcpy(phys_to_virt(page), trampoline, (size_t)(trampoline_end - trampoline));
    for (unsigned i = 0; i < acpi.nr_cpus && nr_cpus < limit; i++) {
        u32 id = acpi.cpu_apic_id[i];
        if (id != cpus[0].apic_id && start_cpu(nr_cpus, id, page))
            nr_cpus++;
    }
    printk(LOG_INFO, "CPU: %u in use\n", nr_cpus);
}
