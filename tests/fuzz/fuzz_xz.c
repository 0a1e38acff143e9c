// links:
// SPDX-License-Identifier: MIT
/*
 * Decompression. The first byte of the input says from where: 0: a whole .xz file; 1: the
 * same with its checksums put right, since a fuzzer does not guess them; 2: LZMA2 chunks
 * alone; 3: plain bytes for the x86 filter. The second byte (times 256): room for the output.
 */
#include "fuzz.h"
#include "../../hv/lib/xz.c"

static void put_right(u8 *file, size_t size)
{
    if (size < 16) {
        return;
    }
    store32(file + 8, crc32(file + 6, 2));
    size_t head = file[12] * 4u;
    if (head && head + 16 <= size) {
        store32(file + 12 + head, crc32(file + 12, head));
    }
    u8 *foot = file + size - 12;
    size_t index = ((size_t)load32(foot + 4) + 1) * 4;
    if (index >= 8 && index <= size - 12) {
        store32(foot - 4, crc32(foot - index, index - 4));
    }
    store32(foot, crc32(foot + 4, 6));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    unsigned mode = data[0] % 4;
    size_t cap = data[1] * 256u, len;
    data += 2;
    size -= 2;
    u8 *in = fuzz_copy(data, size), *out = malloc(cap + !cap);
    tables_init();
    if (mode == 1) {
        put_right(in, size);
    }
    if (mode < 2) {
        const char *why = xz_unpack(in, size, out, cap, &len);
        HOLDS(len <= cap);
        HOLDS(!why || *why);
    } else if (mode == 2) {
        struct span b = { in, in + size, out, out + cap };
        const char *why = lzma2_unpack(&lzma, &b);
        HOLDS(why || (b.in <= b.in_end && b.out <= b.out_end));
    } else {
        x86_unfilter(in, size);
    }
    free(in);
    free(out);
    return 0;
}
