/* SPDX-License-Identifier: MIT */
/*
 * Debug keys. Owns the queue of those that wait, guarded by the console lock, and the table
 * of what they do. A timer of CPU 0 takes one after the other, in steps of a line or a few,
 * for at most PIECE at a time: however much there is to print, nobody waits longer for his
 * CPU. A step runs with no lock held, and what it prints is shown at every level.
 */
#include "arch.h"
#include "console.h"
#include "evtchn.h"
#include "grant.h"
#include "keyhandler.h"
#include "mm.h"
#include "sched.h"
#include "timer.h"
#include "trace.h"

#define QUEUE_SIZE 64           /* power of two */
#define PIECE      20000        /* ns; as much between two pieces is for others */

static struct { u32 head, tail; char key[QUEUE_SIZE]; } queue;  /* tail: the timer's function alone */

/* --- what they do: a step from `at` on, first 0; where to go on, 0: done --- */

static u64 key_help(u64 at);

static u32 dump_domain(struct domain *d, u32 at)
{
    struct vcpu *v = at ? domain_vcpu(d, at - 1) : NULL;

    if (at == 0) {
        printk(LOG_INFO, "domain %u: %s%s%s pages %lu of %lu, rights 0x%x, references %u, paused %u\n",
               d->id, d->ops ? d->ops->name : "-", d->is_dying ? " dying" : "",
               d->is_shut_down ? " shut down" : "", d->tot_pages, d->max_pages, d->rights,
               READ_ONCE(d->refs), READ_ONCE(d->pause_count));
    }
    if (v) {
        printk(LOG_INFO, "  vcpu %u: cpu %u%s%s%s%s, affinity 0x%lx, upcall pending %u mask %u\n",
               v->id, v->cpu, v->is_running ? " running" : "",
               v->pause_flags & VPF_BLOCKED ? " blocked" : "",
               v->pause_flags & VPF_DOWN ? " down" : "",
               READ_ONCE(v->pause_count) ? " paused" : "", v->hard_affinity.bits,
               v->info->evtchn_upcall_pending, v->info->evtchn_upcall_mask);
    }
    return at < d->max_vcpus ? at + 1 : 0;
}

static u64 key_domains(u64 at) { return domains_step(dump_domain, at); }
static u64 key_events(u64 at)  { return domains_step(evtchn_dump, at); }
static u64 key_grants(u64 at)  { return domains_step(grant_dump, at); }
static u64 key_trace(u64 at)   { return trace_dump(TRACE_RECORDS, at); }
static u64 key_crash(UNUSED u64 at)   { panic("asked for by debug key"); }
static u64 key_restart(UNUSED u64 at) { arch_machine_restart(); }

static u64 key_memory(UNUSED u64 at)
{
    printk(LOG_INFO, "memory: %lu pages, %lu free (%lu MiB of %lu MiB)\n", total_page_count(),
           free_page_count(), free_page_count() >> 8, total_page_count() >> 8);
    return 0;
}

static u64 key_time(UNUSED u64 at)
{
    printk(LOG_INFO, "time: %ld ns since start, wall clock %lu s, %lu kHz\n", now(),
           wallclock_sec(), cpu_khz());
    return 0;
}

static const struct { u64 (*fn)(u64 at); const char *help; } keys[128] = {
    ['h'] = { key_help, "this list" },
    ['r'] = { sched_dump, "run queues" },
    ['e'] = { key_events, "event channels" },
    ['g'] = { key_grants, "grant tables" },
    ['q'] = { key_domains, "domains and vCPUs" },
    ['m'] = { key_memory, "memory" },
    ['t'] = { key_time, "time" },
    ['T'] = { key_trace, "last trace records" },
    ['A'] = { audit_frames, "audit of all frames" },
    ['C'] = { key_crash, "crash Bulkhead" },
    ['R'] = { key_restart, "reboot the machine" },
    ['d'] = { dump_cpus, "registers of what runs on each CPU" },
    ['i'] = { irq_dump, "interrupts" },
};

static u64 key_help(u64 at)
{
    if (keys[at].fn)
        printk(LOG_INFO, " key '%c': %s\n", (int)at, keys[at].help);
    return (at + 1) % ARRAY_SIZE(keys);
}

/* --- the queue --- */

static u64 step(u8 key, u64 at)
{
    if (key >= ARRAY_SIZE(keys) || !keys[key].fn) {
        printk(LOG_INFO, "no debug key 0x%x: 'h' lists them\n", key);
        return 0;
    }
    if (at == 0)
        printk(LOG_INFO, "'%c' pressed: %s\n", key, keys[key].help);
    return keys[key].fn(at);
}

static void work(void *timer)
{
    static u64 at;
    u32 tail = queue.tail;
    s_time_t end = now() + PIECE;

    printk_verbose(true);
    while (tail != __atomic_load_n(&queue.head, __ATOMIC_ACQUIRE) && now() < end) {
        at = step((u8)queue.key[tail % QUEUE_SIZE], at);
        if (at == 0)
            __atomic_store_n(&queue.tail, ++tail, __ATOMIC_RELEASE);
    }
    printk_verbose(false);
    if (tail != READ_ONCE(queue.head))
        timer_set(timer, now() + PIECE);
}

bool keyhandler_queue(const char *key, u32 n, u32 *ticket)
{
    static struct timer timer = { .fn = work, .data = &timer };
    bool taken = console_lock_take();
    u32 head = queue.head;
    bool fits = n <= QUEUE_SIZE - (head - __atomic_load_n(&queue.tail, __ATOMIC_ACQUIRE));

    for (u32 i = 0; fits && i < n; i++)
        queue.key[head++ % QUEUE_SIZE] = key[i];
    __atomic_store_n(&queue.head, head, __ATOMIC_RELEASE);
    console_lock_release(taken);
    *ticket = head;
    timer_set(&timer, now());
    return fits;
}

bool keyhandler_done(u32 ticket)
{
    return (s32)(__atomic_load_n(&queue.tail, __ATOMIC_ACQUIRE) - ticket) >= 0;
}
