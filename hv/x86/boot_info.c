/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader says, multiboot 1 and 2 in one form. The loader's structures
 * may lie anywhere below 4 GiB and are overwritten later, so everything is copied.
 * The loader is trusted, its lengths are still kept within bounds. Start-up only.
 */
#include "x86/boot.h"
#include "x86/machine.h"

#define MB1_LOADED 0x2BADB002u
#define MB2_LOADED 0x36d76289u

struct boot_info boot_info;

/* Multiboot 1, section 3.3. */
struct mb1_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    u32 mmap_length, mmap_addr, drives[2], config_table, boot_loader_name, apm_table, vbe[4];
    struct framebuffer fb;
} PACKED;
enum { MB1_MEMORY = 1, MB1_CMDLINE = 4, MB1_MODS = 8, MB1_MMAP = 0x40, MB1_LOADER = 0x200, MB1_FB = 0x1000 };
struct mb1_mod { u32 start, end, string, reserved; };
struct mb1_mmap { u32 size; u64 addr, len; u32 type; } PACKED;

/* Multiboot 2, section 3.6. */
struct mb2_tag { u32 type, size; };
struct mb2_mod { struct mb2_tag tag; u32 start, end; char string[]; };
struct mb2_mmap_entry { u64 addr, len; u32 type, reserved; };
struct mb2_mmap { struct mb2_tag tag; u32 entry_size, version; };
struct mb2_fb { struct mb2_tag tag; struct framebuffer fb; } PACKED;
enum { MB2_END, MB2_CMDLINE, MB2_LOADER, MB2_MODULE, MB2_MMAP = 6, MB2_FB = 8, MB2_RSDP_OLD = 14, MB2_RSDP = 15 };

/* GRUB gives the arguments alone (and Debian's scripts a word "placeholder" before
 * them), others the file's name first. */
static const char *skip_name(const char *s)
{
    bool grub = !strncmp(boot_info.loader, "GRUB", 4);
    const char *end = strchr(s, ' ');
    size_t n = end ? (size_t)(end - s) : strlen(s);

    if (!grub || (n == 11 && !strncmp(s, "placeholder", 11)))
        s += n;
    while (*s == ' ')
        s++;
    return s;
}

static void add_module(u32 start, u32 end, const char *string)
{
    if (boot_info.nr_modules == ARRAY_SIZE(boot_info.module) || end < start) {
        printk(LOG_WARN, "boot: module at %#x is left out\n", start);
        return;
    }
    struct boot_module *m = &boot_info.module[boot_info.nr_modules++];
    m->start = start;
    m->len = end - start;
    strlcpy(m->cmdline, string, sizeof(m->cmdline));
}

static void add_memory(u64 start, u64 len, u32 type)
{
    unsigned n = boot_info.nr_e820;
    struct e820_range *e = boot_info.e820, *last = n ? &e[n - 1] : NULL;
    if (!type || !len || start + len < start || start >> 52)     /* no CPU has more bits */
        return;
    if (last && last->type == type && last->start + last->len == start) {
        last->len += len;
    } else if (n == E820_MAX) {
        printk(LOG_WARN, "boot: too many memory ranges, %#lx+%#lx is left out\n", start, len);
    } else {
        e[n] = (struct e820_range){ start, len, type };
        boot_info.nr_e820++;
    }
}

/* Sorted and without overlaps: where ranges overlap the less usable (higher) type counts. */
static void tidy_memory(void)
{
    static struct e820_range in[E820_MAX];
    const struct e820_range *in_end = in + boot_info.nr_e820;
    memcpy(in, boot_info.e820, sizeof(in));
    boot_info.nr_e820 = 0;
    for (u64 at = 0, next; at != ~0UL; at = next) {
        u32 type = 0;
        next = ~0UL;            /* where something starts or ends */
        for (const struct e820_range *e = in; e < in_end; e++) {
            u64 end = e->start + e->len;
            if (e->start > at) {
                next = MIN(next, e->start);
            } else if (end > at) {
                next = MIN(next, end);
                type = MAX(type, e->type);
            }
        }
        add_memory(at, next - at, type);
    }
}

static void read_mb1(const struct mb1_info *b)
{
    u32 mods = b->flags & MB1_MODS ? MIN(b->mods_count, 64u) : 0;
    u32 map_len = b->flags & MB1_MMAP ? MIN(b->mmap_length, 0x10000u) : 0;

    if (b->flags & MB1_LOADER)
        strlcpy(boot_info.loader, phys_to_virt(b->boot_loader_name), sizeof(boot_info.loader));
    if (b->flags & MB1_CMDLINE)
        strlcpy(boot_info.cmdline, skip_name(phys_to_virt(b->cmdline)), sizeof(boot_info.cmdline));
    for (u32 i = 0; i < mods; i++) {
        const struct mb1_mod *m = (const struct mb1_mod *)phys_to_virt(b->mods_addr) + i;
        add_module(m->start, m->end, m->string ? skip_name(phys_to_virt(m->string)) : "");
    }
    for (u32 at = 0; at + sizeof(struct mb1_mmap) <= map_len;) {
        const struct mb1_mmap *m = phys_to_virt(b->mmap_addr + at);
        add_memory(m->addr, m->len, m->type);
        at += MIN(MAX(m->size, 20u), 0x10000u) + 4;
    }
    if (b->flags & MB1_FB)
        boot_info.fb = b->fb;
}

/* The text at `from` bytes into the tag, empty when it does not end there. */
static const char *tag_text(const struct mb2_tag *t, u32 from)
{
    const char *s = (const char *)t + from;
    return t->size > from && strnlen(s, t->size - from) < t->size - from ? s : "";
}

static void read_mb2_memory(const struct mb2_mmap *m)
{
    if (m->tag.size < sizeof(*m) || m->entry_size < sizeof(struct mb2_mmap_entry))
        return;
    for (u32 at = sizeof(*m); m->tag.size - at >= m->entry_size; at += m->entry_size) {
        const struct mb2_mmap_entry *e = (const void *)((const char *)m + at);
        add_memory(e->addr, e->len, e->type);
    }
}

static void read_mb2_tag(const struct mb2_tag *t)
{
    const struct mb2_mod *m = (const void *)t;
    if (t->type == MB2_LOADER)
        strlcpy(boot_info.loader, tag_text(t, sizeof(*t)), sizeof(boot_info.loader));
    else if (t->type == MB2_CMDLINE)
        strlcpy(boot_info.cmdline, skip_name(tag_text(t, sizeof(*t))), sizeof(boot_info.cmdline));
    else if (t->type == MB2_MODULE && t->size >= sizeof(*m))
        add_module(m->start, m->end, skip_name(tag_text(t, sizeof(*m))));
    else if (t->type == MB2_MMAP)
        read_mb2_memory((const void *)t);
    else if (t->type == MB2_FB && t->size >= sizeof(struct mb2_fb))
        boot_info.fb = ((const struct mb2_fb *)t)->fb;
    else if (t->type == MB2_RSDP || (t->type == MB2_RSDP_OLD && !boot_info.rsdp[0]))
        memcpy(boot_info.rsdp, t + 1, MIN(t->size - sizeof(*t), sizeof(boot_info.rsdp)));
}

/* The tag at `at` bytes into the information, NULL at the end. */
static const struct mb2_tag *tag_at(const u32 *b, u64 at)
{
    const struct mb2_tag *t = (const struct mb2_tag *)((const char *)b + at);
    return at + sizeof(*t) <= b[0] && t->type != MB2_END && t->size >= sizeof(*t) &&
           at + t->size <= b[0] ? t : NULL;
}

static void read_mb2(const u32 *b)
{
    /* The loader's name first: the others are read by it. */
    for (unsigned round = 0; round < 2; round++) {
        const struct mb2_tag *t;
        for (u64 at = 8; (t = tag_at(b, at)) != NULL; at += ROUND_UP((u64)t->size, 8)) {
            if ((t->type == MB2_LOADER) == (round == 0))
                read_mb2_tag(t);
        }
    }
}

void boot_info_init(u32 magic, paddr_t mbi)
{
    if (magic == MB1_LOADED)
        read_mb1(phys_to_virt(mbi));
    else if (magic == MB2_LOADED)
        read_mb2(phys_to_virt(mbi));
    else
        panic("not started by a multiboot loader (magic number %#x)", magic);
    if (!boot_info.nr_e820)
        panic("the boot loader gives no memory map");
    tidy_memory();
}
