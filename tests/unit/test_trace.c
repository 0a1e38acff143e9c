// links: hv/core/trace.c
// SPDX-License-Identifier: MIT
/* The trace rings: the newest records, oldest first, of every CPU; torn ones left out. */
#define printk silent_printk
#include "unit.h"
#undef printk
#include "trace.h"

static char said[65536];
void printk(enum loglevel level, const char *fmt, ...) PRINTF(2, 3);
void printk(enum loglevel level, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(said);
    (void)level;
    va_start(ap, fmt);
    vsnprintf(said + n, sizeof(said) - n, fmt, ap);
    va_end(ap);
}

static unsigned lines(const char *word)
{
    unsigned n = 0;
    for (const char *s = said; (s = strstr(s, word)); s++) {
        n++;
    }
    return n;
}

static void dump(u32 n)
{
    for (u64 at = 0; (at = trace_dump(n, at)) != 0;) {
        u32 next = trace_rings[0].next;
        CHECK(trace_stopped);
        trace(TRACE_FATAL, 7, 7);               /* what happens meanwhile is not recorded */
        CHECK_EQ(trace_rings[0].next, next);
    }
    CHECK(!trace_stopped);
}

TEST(newest_of_every_cpu)
{
    nr_cpus = 3;
    said[0] = '\0';
    dump(10);
    CHECK_STR(said, "");
    test_cpu_top.cpu = &cpus[0];
    trace(TRACE_FATAL, 1, 2);
    cpus[2].id = 2;
    test_cpu_top.cpu = &cpus[2];
    for (unsigned i = 0; i < TRACE_RECORDS + 5u; i++) {
        trace(TRACE_HYPERCALL, i, 0x99);
    }
    test_cpu_top.cpu = &cpus[0];
    dump(TRACE_RECORDS);
    CHECK(strstr(said, "trace of CPU 0:\n"));
    CHECK(strstr(said, " FATAL: vector 1 at 0x2\n"));
    CHECK(!strstr(said, "trace of CPU 1:"));
    CHECK_EQ(lines("HYPERCALL: number "), TRACE_RECORDS);
    CHECK(!strstr(said, "number 4, first argument 0x99"));      /* overwritten */
    CHECK(strstr(said, "trace of CPU 2:\n") < strstr(said, "number 5, first argument 0x99"));
    said[0] = '\0';
    dump(2);
    CHECK_EQ(lines("HYPERCALL"), 2);
    trace_rings[0].record[0].event = NR_TRACE_EVENTS + 7;       /* torn */
    said[0] = '\0';
    dump(2);
    CHECK_EQ(lines("FATAL"), 0);
}
