/* SPDX-License-Identifier: MIT */
/* Printing of the trace rings (trace.h). Owns them; no lock. */
#include "trace.h"

struct trace_ring trace_rings[NR_CPUS];
bool trace_stopped;

static const char *const formats[] = {
#define X(name, fmt) #name ": " fmt,
    TRACE_EVENTS(X)
#undef X
};

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
u64 trace_dump(u32 n, u64 at)
{
    u32 cpu = (u32)(at >> 32), i = (u32)at;
    const struct trace_ring *r = &trace_rings[cpu];
    u32 end = r->next, have = MIN(MIN(end, (u32)TRACE_RECORDS), n);
    struct trace_record e = r->record[(end - have + i) % TRACE_RECORDS];

    if (have && i == 0)
        printk(LOG_INFO, "trace of CPU %u:\n", cpu);
    if (have && e.event < NR_TRACE_EVENTS) {
        char text[96];
        snprintf(text, sizeof(text), formats[e.event], e.a, e.b);
        printk(LOG_INFO, "  %lu %s\n", e.tsc, text);
    }
    at = i + 1 < have ? at + 1 : (cpu + 1ul) % nr_cpus << 32;
    trace_stopped = at != 0;
    return at;
}
