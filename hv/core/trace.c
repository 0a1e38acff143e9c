/* SPDX-License-Identifier: MIT */
/* Printing of the trace rings (trace.h). Owns them; no lock. */
#include "trace.h"
#include "lib.h"

struct trace_ring trace_rings[NR_CPUS];

static const char *const formats[] = {
#define X(name, fmt) #name "\0" fmt,
    TRACE_EVENTS(X)
#undef X
};

static void print_record(const struct trace_record *e)
{
    const char *name = formats[e->event];
    const char *fmt = name + strlen(name) + 1;
    char args[96];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(args, sizeof(args), fmt, e->a, e->b);
#pragma GCC diagnostic pop
    printk(LOG_INFO, "  %lu %s: %s\n", e->tsc, name, args);
}

void trace_dump_cpu(unsigned cpu, unsigned n)
{
    const struct trace_ring *r = &trace_rings[cpu];
    u32 end = READ_ONCE(r->next);
    u32 have = MIN(MIN(end, (u32)TRACE_RECORDS), n);

    if (have)
        printk(LOG_INFO, "trace of CPU %u:\n", cpu);
    for (u32 i = end - have; i != end; i++) {
        struct trace_record e = r->record[i % TRACE_RECORDS];
        if (e.event < NR_TRACE_EVENTS)
            print_record(&e);
    }
}

void trace_dump(void)
{
    for (unsigned i = 0; i < nr_cpus; i++)
        trace_dump_cpu(i, TRACE_RECORDS);
}
