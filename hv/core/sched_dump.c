/* SPDX-License-Identifier: MIT */
/*
 * Debug key 'r': the run queues, of each what lies at its head, under its lock.
 */
#include "arch.h"
#include "sched_private.h"

static void dump_vcpu(const char *what, const struct vcpu *v, const struct runq *q)
{
    printk(LOG_INFO, "  %s d%uv%u weight %u cap %u vtime %lld us flags %x pause %u/%u\n", what,
           v->domain->id, v->id, v->domain->weight, v->domain->cap,
           (long long)(v->sched.vtime - q->min) / VT(US(1)), v->pause_flags, v->pause_count,
           v->domain->pause_count);
}

u64 sched_dump(u64 cpu)
{
    struct runq *q = &runqs[cpu];

    if (cpu == 0) {
        printk(LOG_INFO, "scheduler: now %lld us, rate limit %u us\n",
               (long long)now() / 1000, sched_ratelimit_us);
    }
    if (cpumask_test(cpus_online, (unsigned)cpu)) {
        printk(LOG_INFO, "CPU %u: %u waiting, idle %llu ms\n", q->cpu, q->nr,
               (unsigned long long)cpu_idle_ns(q->cpu) / 1000000);
        with_lock (&q->lock) {
            unsigned left = 8;
            dump_vcpu("runs ", q->curr, q);
            for_each_waiting (v, q) {
                if (left-- == 0)
                    break;
                dump_vcpu("waits", v, q);
            }
        }
    }
    return (cpu + 1) % nr_cpus;
}
