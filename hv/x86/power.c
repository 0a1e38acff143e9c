// SPDX-License-Identifier: MIT
/*
 * The machine's end: soft-off through the PM1 control registers and reset through
 * whatever works. The caller is the only one who does it; the other CPUs may run on,
 * the machine's end is theirs too.
 */
#include "arch.h"
#include "x86/machine.h"
#include <xen/platform.h>

static void wait_ms(unsigned ms)
{
    s_time_t until = now() + (s_time_t)ms * 1000000;
    for (unsigned long spins = 0; now() < until && spins < 100000000; spins++)
        cpu_relax();
}

/* --- soft-off --- */

/* Values of PM1a and PM1b control with the sleep type in place. */
static void soft_off(u16 a, u16 b)
{
    if (acpi.pm1a_evt)
        outw((u16)acpi.pm1a_evt, PM1_WAK_STS);          /* or it would wake up at once */
    for (unsigned enable = 0; enable <= PM1_SLP_EN; enable += PM1_SLP_EN) {
        outw((u16)acpi.pm1a_cnt, (u16)((a & ~PM1_SLP_EN) | enable));
        if (acpi.pm1b_cnt)
            outw((u16)acpi.pm1b_cnt, (u16)((b & ~PM1_SLP_EN) | enable));
    }
    wait_ms(2000);
}

long power_enter_sleep(const struct xenpf_enter_acpi_sleep *s)
{
    if (s->sleep_state < 1 || s->sleep_state > 5)
        return -EINVAL;
    if (s->sleep_state != 5 || s->flags || !acpi.pm1a_cnt)
        return -EOPNOTSUPP;
    printk(LOG_INFO, "power: off, as the hardware domain asks\n");
    soft_off(s->val_a, s->val_b);
    return -EIO;
}

void arch_machine_power_off(void)
{
    u8 a, b;
    local_irq_disable();
    if (acpi.pm1a_cnt && acpi_s5_values(&a, &b)) {
        /* In legacy mode (no operating system has taken ACPI over yet) they may be deaf. */
        if (acpi.smi_cmd && acpi.acpi_enable && !(inw((u16)acpi.pm1a_cnt) & PM1_SCI_EN)) {
            outb((u16)acpi.smi_cmd, acpi.acpi_enable);
            for (unsigned i = 0; i < 300 && !(inw((u16)acpi.pm1a_cnt) & PM1_SCI_EN); i++)
                wait_ms(1);
        }
        u16 va = inw((u16)acpi.pm1a_cnt) & ~PM1_SLP_TYP;
        u16 vb = acpi.pm1b_cnt ? inw((u16)acpi.pm1b_cnt) & ~PM1_SLP_TYP : 0;
        soft_off(va | (u16)(a << 10), vb | (u16)(b << 10));
    }
    printk(LOG_ERR, "power: this machine cannot be switched off by software\n");
    halt_forever();
}

/* --- reset --- */

void arch_machine_restart(void)
{
    static const struct { u16 limit; u64 base; } PACKED none = { 0, 0 };
    volatile u8 *p = acpi.reset_kind == 0 ? ioremap(acpi.reset_addr, 1, PTE_CACHE_UC) : NULL;
    local_irq_disable();
    if (acpi.reset_kind == 1)
        outb((u16)acpi.reset_addr, acpi.reset_value);
    else if (p)
        *p = acpi.reset_value;
    wait_ms(50);
    if (acpi.has_8042) {                /* the keyboard's controller */
        for (unsigned i = 0; i < 1000 && (inb(0x64) & 2); i++)
            wait_ms(1);
        outb(0x64, 0xfe);
        wait_ms(50);
    }
    u8 v = inb(0xcf9) & ~6;             /* the chipset: */
    outb(0xcf9, v | 2);                 /* hard reset, then the edge of bit 2 */
    wait_ms(1);
    outb(0xcf9, v | 6);
    wait_ms(50);
    __asm__ volatile("lidt %0\n\tint3" :: "m"(none));       /* triple fault */
    halt_forever();
}
