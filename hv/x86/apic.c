// SPDX-License-Identifier: MIT
/*
 * The local APIC of each CPU, by MMIO (xAPIC) or by MSRs (x2APIC): interprocessor
 * interrupts, end of interrupt, the one-shot timer. Every CPU touches only its own,
 * with interrupts off: no lock. Registers: Intel SDM vol. 3, chapter 11.
 */
#include "arch.h"
#include "x86/machine.h"

enum {
    APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SVR = 0xf0,
    APIC_ISR = 0x100, APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320, APIC_LVT_THERMAL = 0x330, APIC_LVT_PERF = 0x340,
    APIC_LVT_LINT0 = 0x350, APIC_LVT_LINT1 = 0x360, APIC_LVT_ERROR = 0x370,
    APIC_TMICT = 0x380, APIC_TMCCT = 0x390, APIC_TDCR = 0x3e0,
    SVR_ENABLE = 0x100, LVT_MASKED = 1 << 16, LVT_TSC_DEADLINE = 2 << 17, TDCR_DIVIDE_1 = 0xb,
    ICR_ASSERT = 1 << 14, ICR_BUSY = 1 << 12, BASE_ENABLE = 1 << 11, BASE_X2APIC = 1 << 10,
};
#define TICKS_MAX           0xffffffffu
#define FAR                 (1UL << 40)         /* some minutes of any TSC */

static volatile u32 *mmio;
static u64 ticks_per_ns_32;     /* of the TSC or of the LAPIC timer; 32.32 fixed point */

static u32 apic_read(u32 reg)
{
    return cpu_has.x2apic ? (u32)rdmsr(MSR_X2APIC + (reg >> 4)) : mmio[reg / 4];
}

static void apic_write(u32 reg, u32 v)
{
    if (cpu_has.x2apic)
        wrmsr(MSR_X2APIC + (reg >> 4), v);
    else
        mmio[reg / 4] = v;
}

void apic_eoi(void) { apic_write(APIC_EOI, 0); }

u32 apic_id_self(void)
{
    u32 id = apic_read(APIC_ID);
    return cpu_has.x2apic ? id : id >> 24;
}

bool apic_in_service(u8 vector)
{
    return (apic_read(APIC_ISR + vector / 32 * 0x10) >> (vector % 32)) & 1;
}

void apic_send_ipi(u32 apic_id, u32 what)
{
    if (cpu_has.x2apic) {
        /* WRMSR here does not wait for earlier stores, which the receiver is to see. */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (u64)apic_id << 32 | ICR_ASSERT | what);
        return;
    }
    while (mmio[APIC_ICR / 4] & ICR_BUSY)
        cpu_relax();
    mmio[APIC_ICR_HIGH / 4] = apic_id << 24;
    mmio[APIC_ICR / 4] = ICR_ASSERT | what;
}

/* --- the timer --- */

void arch_timer_program(s_time_t deadline)
{
    s_time_t left = deadline ? deadline - now() : 0;
    if (deadline && left <= 0) {
        softirq_raise(SOFTIRQ_TIMER);
        return;
    }
    /* Too far away: fires early, and is programmed again. */
    unsigned __int128 ticks = (unsigned __int128)(u64)left * ticks_per_ns_32 >> 32;
    if (cpu_has.tsc_deadline)
        wrmsr(MSR_TSC_DEADLINE, deadline ? rdtsc() + (ticks > FAR ? FAR : (u64)ticks) : 0);
    else
        apic_write(APIC_TMICT, !deadline ? 0 : ticks >= TICKS_MAX ? TICKS_MAX : (u32)ticks + 1);
}

static void timer_interrupt(void) { softirq_raise(SOFTIRQ_TIMER); }
void apic_timer_measure_start(void) { apic_write(APIC_TMICT, TICKS_MAX); }
u32 apic_timer_measure_count(void) { return TICKS_MAX - apic_read(APIC_TMCCT); }

void apic_timer_set_hz(u64 hz)
{
    apic_write(APIC_TMICT, 0);
    ticks_per_ns_32 = ((cpu_has.tsc_deadline ? cpu_khz() : hz / 1000) << 32) / 1000000;
    if (!cpu_has.tsc_deadline)
        printk(LOG_INFO, "APIC: timer runs at %lu kHz\n", hz / 1000);
}

/* --- start --- */

static void error_interrupt(void)
{
    static u32 seen;
    apic_write(APIC_ESR, 0);
    u32 esr = apic_read(APIC_ESR);
    if (seen++ < 20)
        printk(LOG_WARN, "APIC: CPU %u reports error %#x\n", cpu_id(), esr);
}

void apic_init_cpu(void)
{
    u64 base = rdmsr(MSR_APIC_BASE) | BASE_ENABLE;
    wrmsr(MSR_APIC_BASE, base);             /* x2APIC may only be entered from enabled xAPIC */
    if (cpu_has.x2apic)
        wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
    unsigned lvts = (apic_read(APIC_VERSION) >> 16) & 0xff;
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_MASKED);
    if (lvts >= 4)
        apic_write(APIC_LVT_PERF, LVT_MASKED);
    if (lvts >= 5)
        apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
    for (unsigned i = 256; i-- > 0; ) {     /* the firmware's left in service, highest first */
        if (apic_in_service((u8)i))
            apic_eoi();
    }
    apic_write(APIC_ESR, 0);
    apic_write(APIC_LVT_ERROR, VEC_APIC_ERROR);
    apic_write(APIC_TDCR, TDCR_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, VEC_TIMER | (cpu_has.tsc_deadline ? LVT_TSC_DEADLINE : 0));
    __asm__ volatile("mfence" ::: "memory");    /* before the first write of the deadline MSR */
}

void apic_init(void)
{
    if (!cpu_has.x2apic) {
        paddr_t pa = rdmsr(MSR_APIC_BASE) & PTE_ADDR;
        mmio = ioremap(pa, PAGE_SIZE, PTE_CACHE_UC);
        if (!mmio)
            panic("APIC: no memory to map the local APIC");
        acpi.lapic_addr = pa;               /* the register is right where the table is wrong */
    }
    irq_set_handler(VEC_TIMER, timer_interrupt);
    irq_set_handler(VEC_APIC_ERROR, error_interrupt);
    apic_init_cpu();
    printk(LOG_INFO, "APIC: %s, boot CPU has id %u, timer by %s\n",
           cpu_has.x2apic ? "x2APIC" : "xAPIC", apic_id_self(),
           cpu_has.tsc_deadline ? "TSC deadline" : "count");
}
