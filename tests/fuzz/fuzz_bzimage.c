// links: hv/lib/bzimage.c hv/lib/xz.c
// SPDX-License-Identifier: MIT
/* dom0's kernel file as the loader brings it: the container, then what is inside. */
#include "fuzz.h"
#include "unpack.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct kernel_payload p;
    u8 *file = fuzz_copy(data, size);
    if (!kernel_find_payload(file, size, &p)) {
        HOLDS(p.data >= file && p.data <= file + size && p.len <= size - (size_t)(p.data - file));
        size_t cap = MIN(p.unpacked_len, (size_t)MIB(1)), len;
        if (p.kind == KERNEL_XZ) {
            u8 *out = malloc(cap + !cap);
            xz_unpack(p.data, p.len, out, cap, &len);
            HOLDS(len <= cap);
            free(out);
        } else {
            HOLDS(p.unpacked_len == p.len);
        }
    }
    free(file);
    return 0;
}
