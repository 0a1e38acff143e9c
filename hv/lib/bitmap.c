/* SPDX-License-Identifier: MIT */
/*
 * Searching arrays of unsigned long for bits. No state; the caller keeps others away
 * or lives with a stale answer.
 */
#include "lib.h"

/* First bit at or after `from` whose value differs from `flip`'s bits. */
static unsigned long find_bit(const unsigned long *map, unsigned long n, unsigned long from,
                              unsigned long flip)
{
    if (from >= n)
        return n;
    unsigned long i = from / 64;
    unsigned long word = (READ_ONCE(map[i]) ^ flip) & (~0UL << (from % 64));
    while (!word) {
        if (++i * 64 >= n)
            return n;
        word = READ_ONCE(map[i]) ^ flip;
    }
    unsigned long bit = i * 64 + ffs64(word);
    return MIN(bit, n);
}

unsigned long find_next_bit(const unsigned long *map, unsigned long n, unsigned long from)
{
    return find_bit(map, n, from, 0);
}

unsigned long find_next_zero_bit(const unsigned long *map, unsigned long n, unsigned long from)
{
    return find_bit(map, n, from, ~0UL);
}
