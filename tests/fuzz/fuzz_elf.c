// links: hv/lib/elf.c
// SPDX-License-Identifier: MIT
/* A kernel file and its notes: the input is the file. */
#include "fuzz.h"
#include "elf.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct elf_image img;
    static struct xen_elf_notes notes;
    u8 *file = fuzz_copy(data, size);
    if (!elf_parse(file, size, &img)) {
        HOLDS(img.nr_segments && img.nr_segments <= ELF_MAX_SEGMENTS && img.low < img.high);
        for (unsigned i = 0; i < img.nr_segments; i++) {
            const struct elf_segment *s = &img.segment[i];
            HOLDS(s->offset <= size && s->filesz <= size - s->offset && s->filesz <= s->memsz);
            HOLDS(s->paddr >= img.low && s->memsz <= img.high - s->paddr);
        }
        if (!elf_xen_notes(&img, &notes)) {
            HOLDS(notes.present);
            HOLDS(strnlen(notes.guest_os, sizeof(notes.guest_os)) < sizeof(notes.guest_os));
            HOLDS(strnlen(notes.loader, sizeof(notes.loader)) < sizeof(notes.loader));
        }
    }
    free(file);
    return 0;
}
