/* SPDX-License-Identifier: MIT */
/*
 * Reading ELF64 executables and the notes by which a kernel says how a hypervisor is
 * to start it (xen/elfnote.h). Pure: no memory is taken; all input is hostile. The
 * image keeps pointing into the file's bytes.
 */
#pragma once

#include "lib.h"

#define ELF_MAX_SEGMENTS 16

/* One PT_LOAD segment; its file bytes are known to lie inside the file, and
 * filesz <= memsz, and paddr + memsz does not wrap. */
struct elf_segment { u64 offset, filesz, memsz, paddr; };

struct elf_image {
    const u8 *data;
    unsigned nr_segments;
    struct elf_segment segment[ELF_MAX_SEGMENTS];
    u64 entry, low, high;           /* low, high: of all segments, first paddr and end */
    unsigned nr_notes;              /* PT_NOTE segments */
    struct { u64 offset, size; } note[8];
};

/* NULL, or a static sentence that says why it cannot. */
const char *elf_parse(const u8 *data, size_t len, struct elf_image *img);

struct xen_elf_notes {
    u32 present;                    /* bit n: a note of type n was there */
    u64 entry;                      /* virtual; the ELF header's when there is no note */
    u64 virt_base;                  /* virtual address of pseudo-physical 0; default 0 */
    u64 paddr_offset;               /* taken off the segments' paddr; default 0 */
    u64 hypercall_page;             /* virtual */
    u64 init_p2m;                   /* virtual */
    u64 mod_start_pfn;              /* not 0: the initrd need not be mapped */
    u64 feature_bits;               /* as the note with the number has them */
    u32 features;                   /* bits XENFEAT_*, string and number together */
    char guest_os[32], guest_version[32], xen_version[32], loader[32];
};

static inline bool has_note(const struct xen_elf_notes *n, unsigned type)
{
    return (n->present >> type) & 1;
}

/* Reads the notes of img. NULL, or why not: none there, a note that matters is damaged,
 * or they ask for what we do not know. */
const char *elf_xen_notes(const struct elf_image *img, struct xen_elf_notes *n);
