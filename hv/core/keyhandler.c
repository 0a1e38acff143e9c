/* SPDX-License-Identifier: MIT */
/*
 * Debug keys. Owns the table from keys to functions, a constant: no lock. A function runs
 * on any CPU with no lock held, what it prints is shown at every level, and two runs of it
 * may overlap. What has no limit lets interrupts in after each line.
 */
#include "arch.h"
#include "console.h"
#include "evtchn.h"
#include "grant.h"
#include "keyhandler.h"
#include "mm.h"
#include "sched.h"
#include "trace.h"

static void key_help(void);

static void for_each_domain(void (*fn)(struct domain *d))
{
    for (struct domain *d = domain_get_from(0); d; d = domain_get_next(d)) {
        fn(d);
        arch_irq_window();
    }
}

static void dump_domain(struct domain *d)
{
    printk(LOG_INFO, "domain %u: %s%s%s pages %lu of %lu, rights 0x%x, references %u, paused %u\n",
           d->id, d->ops ? d->ops->name : "-", d->is_dying ? " dying" : "",
           d->is_shut_down ? " shut down" : "", d->tot_pages, d->max_pages, d->rights,
           READ_ONCE(d->refs), READ_ONCE(d->pause_count));
    for_each_vcpu(d, v) {
        printk(LOG_INFO, "  vcpu %u: cpu %u%s%s%s%s, affinity 0x%lx, upcall pending %u mask %u\n",
               v->id, v->cpu, v->is_running ? " running" : "",
               v->pause_flags & VPF_BLOCKED ? " blocked" : "",
               v->pause_flags & VPF_DOWN ? " down" : "",
               READ_ONCE(v->pause_count) ? " paused" : "", v->hard_affinity.bits,
               v->info->evtchn_upcall_pending, v->info->evtchn_upcall_mask);
        arch_irq_window();
    }
}

static void key_domains(void) { for_each_domain(dump_domain); }
static void key_events(void)  { for_each_domain(evtchn_dump); }
static void key_grants(void)  { for_each_domain(grant_dump); }
static void key_audit(void)   { audit_frames(); }
static void key_trace(void)   { trace_dump(TRACE_RECORDS); }
static void key_crash(void)   { panic("asked for by debug key"); }

static void key_memory(void)
{
    printk(LOG_INFO, "memory: %lu pages, %lu free (%lu MiB of %lu MiB)\n", total_page_count(),
           free_page_count(), free_page_count() >> 8, total_page_count() >> 8);
}

static void key_time(void)
{
    printk(LOG_INFO, "time: %ld ns since start, wall clock %lu s, %lu kHz\n", now(),
           wallclock_sec(), cpu_khz());
}

static const struct { void (*fn)(void); const char *help; } keys[128] = {
    ['h'] = { key_help, "this list" },
    ['r'] = { sched_dump, "run queues" },
    ['e'] = { key_events, "event channels" },
    ['g'] = { key_grants, "grant tables" },
    ['q'] = { key_domains, "domains and vCPUs" },
    ['m'] = { key_memory, "memory" },
    ['t'] = { key_time, "time" },
    ['T'] = { key_trace, "last trace records" },
    ['A'] = { key_audit, "audit of all frames" },
    ['C'] = { key_crash, "crash Bulkhead" },
    ['R'] = { arch_machine_restart, "reboot the machine" },
    ['d'] = { dump_cpus, "registers of what runs on each CPU" },
    ['i'] = { irq_dump, "interrupts" },
};

static void key_help(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i].fn)
            printk(LOG_INFO, " key '%c': %s\n", i, keys[i].help);
    }
}

void keyhandler_run(char c)
{
    unsigned i = (u8)c;

    printk_verbose(true);
    if (i < ARRAY_SIZE(keys) && keys[i].fn) {
        printk(LOG_INFO, "'%c' pressed: %s\n", c, keys[i].help);
        keys[i].fn();
    } else {
        printk(LOG_INFO, "no debug key 0x%x: 'h' lists them\n", i);
    }
    printk_verbose(false);
    arch_irq_window();
}
