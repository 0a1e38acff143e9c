/* SPDX-License-Identifier: MIT */
/*
 * The symbol table that the second link adds (tools/symbols): offsets of functions
 * from the image's start, sorted, and where their names lie. Constant, no lock.
 */
#include "symbols.h"
#include "lib.h"
#include "x86/boot.h"

extern const u32 symbol_count, symbol_offsets[], symbol_names[];
extern const char symbol_text[];

bool symbol_get(unsigned idx, u64 *addr, const char **name)
{
    if (idx >= symbol_count)
        return false;
    idx = (unsigned)index_nospec(idx, symbol_count);
    *addr = (u64)image_start + symbol_offsets[idx];
    *name = symbol_text + symbol_names[idx];
    return true;
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
    u64 at = addr - (u64)image_start;
    unsigned low = 0, high = symbol_count;

    if (at >= (u64)(text_end - image_start) || !high || at < symbol_offsets[0])
        return NULL;
    while (high - low > 1) {
        unsigned mid = (low + high) / 2;
        if (symbol_offsets[mid] <= at)
            low = mid;
        else
            high = mid;
    }
    *offset = at - symbol_offsets[low];
    return symbol_text + symbol_names[low];
}
