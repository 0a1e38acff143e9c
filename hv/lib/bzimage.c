/* SPDX-License-Identifier: MIT */
/*
 * Finds the kernel proper in what a boot loader gave: an ELF file as it is, or the
 * payload of a Linux bzImage (boot protocol 2.08 and later,
 * Documentation/x86/boot.rst). Owns nothing; no lock.
 */
#include "unpack.h"

#define BZ_SETUP_SECTS    0x1f1
#define BZ_BOOT_FLAG      0x1fe
#define BZ_MAGIC          0x202
#define BZ_VERSION        0x206
#define BZ_PAYLOAD_OFFSET 0x248
#define BZ_PAYLOAD_LENGTH 0x24c
#define BZ_HEADER_END     0x250

static const u8 xz_magic[] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

static bool starts_with(const struct kernel_payload *p, const void *magic, size_t n)
{
    return p->len >= n && memcmp(p->data, magic, n) == 0;
}

static const char *payload_kind(struct kernel_payload *p)
{
    p->kind = KERNEL_ELF;
    p->unpacked_len = p->len;
    if (starts_with(p, "\177ELF", 4))
        return NULL;
    if (starts_with(p, xz_magic, sizeof(xz_magic))) {
        if (p->len < sizeof(xz_magic) + 4)
            return "the kernel file is cut short";
        /* Linux's build appends the unpacked length. */
        p->kind = KERNEL_XZ;
        p->len -= 4;
        p->unpacked_len = load32(p->data + p->len);
        return NULL;
    }
    return "the kernel is not compressed with xz (CONFIG_KERNEL_XZ), nothing else is unpacked";
}

const char *kernel_find_payload(const u8 *file, size_t len, struct kernel_payload *p)
{
    p->data = file;
    p->len = len;
    if (starts_with(p, "\177ELF", 4))
        return payload_kind(p);
    if (len < BZ_HEADER_END || memcmp(file + BZ_MAGIC, "HdrS", 4) != 0 ||
        file[BZ_BOOT_FLAG] != 0x55 || file[BZ_BOOT_FLAG + 1] != 0xaa)
        return "it is neither an ELF file nor a Linux bzImage";
    if ((file[BZ_VERSION] | file[BZ_VERSION + 1] << 8) < 0x208)
        return "the bzImage is too old (boot protocol before 2.08)";
    u64 sectors = file[BZ_SETUP_SECTS] ? file[BZ_SETUP_SECTS] : 4;
    u64 start = (sectors + 1) * 512 + load32(file + BZ_PAYLOAD_OFFSET);
    u64 size = load32(file + BZ_PAYLOAD_LENGTH);
    if (start > len || size > len - start)
        return "the bzImage is cut short";
    p->data = file + start;
    p->len = size;
    return payload_kind(p);
}
