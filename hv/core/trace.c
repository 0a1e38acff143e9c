/* SPDX-License-Identifier: MIT */
/* Printing of the trace rings (trace.h). Owns them; no lock. */
#include "trace.h"

struct trace_ring trace_rings[NR_CPUS];

static const char *const formats[] = {
#define X(name, fmt) #name ": " fmt,
    TRACE_EVENTS(X)
#undef X
};

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void trace_dump(unsigned n)
{
    for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
        const struct trace_ring *r = &trace_rings[cpu];
        u32 end = READ_ONCE(r->next), have = MIN(MIN(end, (u32)TRACE_RECORDS), n);
        if (have)
            printk(LOG_INFO, "trace of CPU %u:\n", cpu);
        for (u32 i = end - have; i != end; i++) {
            struct trace_record e = r->record[i % TRACE_RECORDS];
            char text[96];
            if (e.event >= NR_TRACE_EVENTS)
                continue;
            snprintf(text, sizeof(text), formats[e.event], e.a, e.b);
            printk(LOG_INFO, "  %lu %s\n", e.tsc, text);
        }
    }
}
