/* SPDX-License-Identifier: MIT */
/*
 * How a guest of ours delimits and names its rows. The figure is what tools/plugin/count.c
 * counts between the marks; where nothing waits, the guest's own reading of the TSC, which
 * under -icount counts instructions too, must say the same (bench/run compares). Lines:
 *   bench: group NAME             heading of what follows
 *   bench: row N NAME [tsc T]     a row: median of its passes
 *   bench: hv N NAME              a row of which only the hypervisor's part is meant
 *   bench: series N NAME          its passes are the points of a line
 *   bench: value V UNIT NAME      a figure that is not counted in instructions
 */
#ifndef BENCH_H
#define BENCH_H

#include "mark.h"

#define ROUNDS 200

extern u64 tsc_overhead;        /* of two readings with the two marks between them */
extern u32 sample[ROUNDS];
u64 median(void);               /* of sample[], which it sorts */
void calibrate(void);           /* sets tsc_overhead */

static inline u64 tsc(void)
{
    u64 t;
    __asm__ volatile("rdtsc; shl $32, %%rdx; or %%rdx, %0" : "=a"(t) :: "rdx", "memory");
    return t;
}

#define GROUP(name) print("bench: group %s\n", name)

/* `n` is the round's number: values that must change from one to the next alternate by it. */
#define SAMPLE(row, before, op, after)                                            \
    for (unsigned n = 0; n < ROUNDS; n++) {                                       \
        before;                                                                   \
        u64 t_ = tsc();                                                           \
        MARK_BEGIN(row);                                                          \
        op;                                                                       \
        MARK_END(row);                                                            \
        sample[n] = (u32)(tsc() - t_);                                            \
        after;                                                                    \
    }
/* Each use has a row of its own. ROW_BASE: the file's first. */
#define BENCH3(name, before, op, after)                                           \
    do {                                                                          \
        enum { row_ = ROW_BASE + __COUNTER__ };                                   \
        SAMPLE(row_, before, op, after)                                           \
        print("bench: row %u %s tsc %lu\n", row_, name, median() - tsc_overhead); \
    } while (0)
#define BENCH(name, op) BENCH3(name, (void)0, op, (void)0)
/* One that waits: time passes that nothing runs in, or the TSC is read elsewhere. kind: row, hv. */
#define BENCH_WAITS(kind, name, rounds, before, op, after)                        \
    do {                                                                          \
        enum { row_ = ROW_BASE + __COUNTER__ };                                   \
        for (unsigned n = 0; n < (rounds); n++) {                                 \
            before;                                                               \
            MARK_BEGIN(row_);                                                     \
            op;                                                                   \
            MARK_END(row_);                                                       \
            after;                                                                \
        }                                                                         \
        print("bench: " #kind " %u %s\n", row_, name);                            \
    } while (0)

#endif
