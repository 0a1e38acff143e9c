/* SPDX-License-Identifier: MIT */
/*
 * What a kernel file is wrapped in: the bzImage container and its compression
 * (lib/bzimage.c, lib/xz.c). Whole buffer to whole buffer; all input is hostile.
 * Every function returns NULL, or a static sentence that says why it cannot.
 */
#pragma once

#include "lib.h"

/* Little endian, aligned or not. */
static inline u32 load32(const u8 *p) { u32 v; __builtin_memcpy(&v, p, 4); return v; }

/* Unpacks one .xz stream. Nothing beyond out[out_cap - 1] is written; bytes between
 * *out_len and out_cap may be. Not reentrant: its working memory is static. */
const char *xz_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_cap, size_t *out_len);

struct kernel_payload {
    enum { KERNEL_ELF, KERNEL_XZ } kind;
    const u8 *data;             /* inside the file; for KERNEL_ELF the ELF file itself */
    size_t len;
    size_t unpacked_len;        /* what it will be unpacked, as the file claims */
};

/* Finds the ELF file in `file`: itself, or the payload of a Linux bzImage. */
const char *kernel_find_payload(const u8 *file, size_t len, struct kernel_payload *p);
