/* SPDX-License-Identifier: MIT */
/*
 * The order of start-up, on the boot CPU, with interrupts off. Owns nothing.
 */
#include "console.h"
#include "options.h"
#include "policy.h"
#include "sched.h"
#include "x86/boot.h"
#include "x86/machine.h"
#include "x86/pv.h"

static void greet(void)
{
    printk(LOG_INFO, "Bulkhead: type-1 hypervisor with Xen's ABI 4.17, built by " BUILT_BY "\n");
    printk(LOG_INFO, "boot: by %s; command line: %s\n",
           boot_info.loader[0] ? boot_info.loader : "a loader without a name", boot_info.cmdline);
    u64 ram = 0;
    for (struct e820_range *e = boot_info.e820; e < boot_info.e820 + boot_info.nr_e820; e++) {
        ram += e->type == 1 ? e->len : 0;
        printk(LOG_DEBUG, "boot: memory %#013lx-%#013lx type %u\n", e->start, e->start + e->len, e->type);
    }
    printk(LOG_INFO, "boot: %lu MiB of RAM, %u modules\n", ram >> 20, boot_info.nr_modules);
}

/* dom0 has its kernel and initrd: their copies from the loader become free memory. */
static void free_modules(void)
{
    for (unsigned i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.module[i];
        /* Frames at the edges may hold something else; below 1 MiB nothing is ours. */
        mfn_t first = ROUND_UP(m->start, PAGE_SIZE) >> PAGE_SHIFT;
        mfn_t end = (m->start + m->len) >> PAGE_SHIFT;
        if (first >= MIB(1) >> PAGE_SHIFT && first < end)
            heap_add(first, end);
    }
}

void hv_start(u32 magic, paddr_t mbi)
{
    cpu_top()->cpu = &cpus[0];
    cpus[0].stack = boot_stack;

    boot_info_init(magic, mbi);
    options_parse(boot_info.cmdline);
    serial_init();
    greet();

    cpu_features_init();
    paging_init();
    heap_init();
    desc_init_cpu(0);
    printk(LOG_INFO, "memory: %lu MiB free, %lu KiB of Bulkhead's image\n", free_page_count() >> 8,
           (unsigned long)(image_end - image_start) >> 10);

    acpi_init();
    apic_init();
    cpus[0].apic_id = apic_id_self();
    ioapic_init();
    msi_init();
    time_init();

    timers_init();
    domains_init();
    policy_init();
    pv_init();
    sched_init();
    sched_cpu_init(0);
    console_init_irq();
    smp_init();

    struct domain *d = build_dom0();
    free_modules();
    printk(LOG_INFO, "memory: %lu MiB free, dom0 has %lu MiB\n", free_page_count() >> 8, d->tot_pages >> 8);
    console_endboot();
    BUG_ON(domain_controller_unpause(d));
    idle_loop_start();
}
