/* SPDX-License-Identifier: MIT */
/*
 * What each CPU did last: a ring of small records that panic and debug key 'T'
 * print. Events that are rare are recorded always, the frequent ones in debug
 * builds only (the test below is decided by the compiler). No lock: each CPU
 * writes its own ring; a reader of another CPU's may see a torn record.
 */
#pragma once

#include "cpu.h"
#include "lib.h"

/* X(name, format of a and b). Frequent ones first. */
#define TRACE_EVENTS(X)                                    \
    X(HYPERCALL, "number %lu, first argument 0x%lx")       \
    X(RESULT,    "hypercall %lu gave 0x%lx")               \
    X(EXCEPTION, "vector %lu at 0x%lx")                    \
    X(SWITCH,    "to domain %lu vCPU %lu")                   \
    X(IRQ,       "vector 0x%lx, rip 0x%lx")                \
    X(FATAL,     "vector %lu at 0x%lx")

enum trace_event {
#define X(name, fmt) TRACE_##name,
    TRACE_EVENTS(X)
#undef X
    NR_TRACE_EVENTS
};
#define TRACE_FIRST_RARE TRACE_FATAL

#define TRACE_RECORDS (DEBUG_BUILD ? 256 : 32)

struct trace_ring {
    u32 next;
    struct trace_record { u64 tsc, a, b; u32 event; } record[TRACE_RECORDS];
};
extern struct trace_ring trace_rings[NR_CPUS];
extern bool trace_stopped;

static inline void trace(enum trace_event event, u64 a, u64 b)
{
    if ((!DEBUG_BUILD && event < TRACE_FIRST_RARE) || trace_stopped)
        return;
    struct trace_ring *r = &trace_rings[cpu_id()];
    struct trace_record *e = &r->record[r->next++ % TRACE_RECORDS];
    *e = (struct trace_record){ .tsc = __builtin_ia32_rdtsc(), .a = a, .b = b, .event = event };
}

/* A step of the dump of the last n records of every CPU, oldest first: at is 0, then what it
 * returned, until that is 0 (core/keyhandler.c). Nothing is recorded meanwhile. */
u64 trace_dump(u32 n, u64 at);
