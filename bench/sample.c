/* SPDX-License-Identifier: MIT */
/* The TSC's side of bench.h. */
#include "lib.h"
#include "bench.h"

u64 tsc_overhead;
u32 sample[ROUNDS];

u64 median(void)
{
    for (unsigned i = 1; i < ROUNDS; i++) {
        u32 s = sample[i];
        unsigned j = i;
        for (; j && sample[j - 1] > s; j--) {
            sample[j] = sample[j - 1];
        }
        sample[j] = s;
    }
    return sample[ROUNDS / 2];
}

void calibrate(void)
{
    SAMPLE(MARK_SERIES - 1, (void)0, (void)0, (void)0)
    tsc_overhead = median();
}
