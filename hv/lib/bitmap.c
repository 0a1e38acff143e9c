/* SPDX-License-Identifier: MIT */
/*
 * Searching arrays of unsigned long for bits. No state; the caller keeps others away
 * or lives with a stale answer.
 */
#include "lib.h"

/* First bit at or after `from` whose value differs from `flip`'s bits. */
unsigned long find_bit(const unsigned long *map, unsigned long n, unsigned long from,
                       unsigned long flip)
{
    unsigned long keep = ~0UL << (from % 64);
    for (unsigned long i = from / 64; i * 64 < n; i++, keep = ~0UL) {
        unsigned long word = (READ_ONCE(map[i]) ^ flip) & keep;
        if (word)
            return MIN(i * 64 + ffs64(word), n);
    }
    return n;
}
