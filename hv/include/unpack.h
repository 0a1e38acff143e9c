/* SPDX-License-Identifier: MIT */
/*
 * What a kernel file is wrapped in: the bzImage container and its compression
 * (lib/bzimage.c, lib/xz.c). Whole buffer to whole buffer; all input is hostile.
 * Every function returns 0, or a negative errno with *why set to a static sentence.
 */
#ifndef BH_UNPACK_H
#define BH_UNPACK_H

#include "lib.h"

/* Unpacks one .xz stream. Nothing beyond out[out_cap - 1] is written; bytes between
 * *out_len and out_cap may be. Not reentrant: its working memory is static.
 * -EINVAL: damaged or truncated; -EOPNOTSUPP: a valid file of a kind that we do not
 * read; -ENOSPC: out_cap is too small. */
int xz_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_cap, size_t *out_len,
              const char **why);

enum kernel_kind { KERNEL_ELF, KERNEL_XZ };

struct kernel_payload {
    enum kernel_kind kind;
    const u8 *data;             /* inside the file; for KERNEL_ELF the ELF file itself */
    size_t len;
    size_t unpacked_len;        /* what it will be unpacked, as the file claims */
};

/* Finds the ELF file in `file`: itself, or the payload of a Linux bzImage. */
int kernel_find_payload(const u8 *file, size_t len, struct kernel_payload *p, const char **why);

#endif
