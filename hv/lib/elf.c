/* SPDX-License-Identifier: MIT */
/*
 * ELF64 files and their Xen notes. Owns nothing; no lock. Every offset and size of the
 * file is checked against its length before it is used.
 */
#include "elf.h"
#include <xen/elfnote.h>
#include <xen/features.h>

struct elf_header {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_phdr { u32 type, flags; u64 offset, vaddr, paddr, filesz, memsz, align; };

#define PT_LOAD_TYPE 1
#define PT_NOTE_TYPE 4
#define ET_EXEC      2
#define ET_DYN       3
#define EM_X86_64    62

static bool inside(u64 offset, u64 size, u64 len)
{
    return offset <= len && size <= len - offset;
}

static const char *add_segment(struct elf_image *img, const struct elf_phdr *ph)
{
    u64 end;
    if (ph->memsz == 0)
        return NULL;
    if (img->nr_segments == ELF_MAX_SEGMENTS)
        return "the ELF file has too many segments";
    if (ph->filesz > ph->memsz || __builtin_add_overflow(ph->paddr, ph->memsz, &end))
        return "the ELF file has a damaged program header";
    img->segment[img->nr_segments++] =
        (struct elf_segment){ ph->offset, ph->filesz, ph->memsz, ph->paddr };
    img->low = MIN(img->low, ph->paddr);
    img->high = MAX(img->high, end);
    return NULL;
}

const char *elf_parse(const u8 *data, size_t len, struct elf_image *img)
{
    struct elf_header h;
    if (len < sizeof(h))
        return "the file is too short for an ELF file";
    memcpy(&h, data, sizeof(h));
    if (memcmp(h.ident, "\177ELF", 4) != 0)
        return "this is no ELF file";
    if (h.ident[4] != 2 || h.ident[5] != 1 || h.machine != EM_X86_64)
        return "the ELF file is not for x86-64";
    if (h.type != ET_EXEC && h.type != ET_DYN)
        return "the ELF file is not an executable";
    if (h.phentsize != sizeof(struct elf_phdr) ||
        !inside(h.phoff, (u64)h.phnum * sizeof(struct elf_phdr), len))
        return "the ELF file is cut short or its header is damaged";
    *img = (struct elf_image){ .data = data, .entry = h.entry, .low = ~0UL };
    for (unsigned i = 0; i < h.phnum; i++) {
        struct elf_phdr ph;
        memcpy(&ph, data + h.phoff + i * sizeof(ph), sizeof(ph));
        if (ph.type != PT_LOAD_TYPE && ph.type != PT_NOTE_TYPE)
            continue;
        if (!inside(ph.offset, ph.filesz, len))
            return "the ELF file is cut short";
        if (ph.type == PT_LOAD_TYPE) {
            const char *why = add_segment(img, &ph);
            if (why)
                return why;
        } else if (img->nr_notes < ARRAY_SIZE(img->note)) {
            img->note[img->nr_notes].offset = ph.offset;
            img->note[img->nr_notes++].size = ph.filesz;
        }
    }
    return img->nr_segments ? NULL : "the ELF file has nothing to load";
}

/* --- notes -------------------------------------------------------------------- */

static const char notes_damaged[] = "the kernel's notes are damaged";

#define FEATURE(name) [XENFEAT_##name] = #name
static const char *const feature_names[] = {
    FEATURE(writable_page_tables), FEATURE(writable_descriptor_tables), FEATURE(dom0),
    FEATURE(auto_translated_physmap), FEATURE(supervisor_mode_kernel), FEATURE(highmem_assist),
    FEATURE(pae_pgdir_above_4gb), FEATURE(mmu_pt_update_preserve_ad), FEATURE(hvm_pirqs),
    FEATURE(gnttab_map_avail_bits), FEATURE(hvm_callback_vector), FEATURE(hvm_safe_pvclock),
};

/* "name|!name|...": ! means required. False: an unknown one is required. */
static bool parse_features(const char *s, u32 *features)
{
    while (*s) {
        bool required = *s == '!';
        s += required;
        const char *end = strchr(s, '|');
        size_t len = end ? (size_t)(end - s) : strlen(s);
        unsigned i = 0;
        while (i < ARRAY_SIZE(feature_names) && !word_is(feature_names[i], s, len))
            i++;
        if (i < ARRAY_SIZE(feature_names))
            *features |= 1u << i;
        else if (required)
            return false;
        s += len + (end != NULL);
    }
    return true;
}

/* The notes that are one number (room 0) or a string, and where they go. */
#define NOTE(type, field, room) { XEN_ELFNOTE_##type, room, offsetof(struct xen_elf_notes, field) }
#define NUMBER(type, field) NOTE(type, field, 0)
#define STRING(type, field) NOTE(type, field, sizeof(((struct xen_elf_notes *)0)->field))
static const struct { u16 type, room; size_t offset; } plain_notes[] = {
    NUMBER(ENTRY, entry), NUMBER(HYPERCALL_PAGE, hypercall_page), NUMBER(VIRT_BASE, virt_base),
    NUMBER(PADDR_OFFSET, paddr_offset), NUMBER(INIT_P2M, init_p2m), STRING(GUEST_OS, guest_os),
    NUMBER(MOD_START_PFN, mod_start_pfn), NUMBER(SUPPORTED_FEATURES, feature_bits),
    STRING(GUEST_VERSION, guest_version), STRING(XEN_VERSION, xen_version), STRING(LOADER, loader),
};

static const char *take_note(u32 type, const u8 *desc, u32 size, struct xen_elf_notes *n)
{
    for (unsigned i = 0; i < ARRAY_SIZE(plain_notes); i++) {
        u8 *to = (u8 *)n + plain_notes[i].offset;
        if (plain_notes[i].type != type)
            continue;
        if (plain_notes[i].room) {      /* longer strings than the place for them are cut */
            if (strnlen((const char *)desc, size) == size)
                return notes_damaged;
            strlcpy((char *)to, (const char *)desc, plain_notes[i].room);
        } else {
            if (size != 4 && size != 8)
                return notes_damaged;
            memset(to, 0, sizeof(u64));
            memcpy(to, desc, size);
        }
    }
    if (type == XEN_ELFNOTE_FEATURES) {
        char text[512] = "";            /* Linux does not terminate it */
        if (size >= sizeof(text))
            return notes_damaged;
        memcpy(text, desc, size);
        if (!parse_features(text, &n->features))
            return "the kernel requires a feature that Bulkhead does not know";
    }
    if (type < 32)
        n->present |= 1u << type;
    return NULL;
}

/* The notes of one PT_NOTE segment. */
static const char *read_notes(const u8 *p, u64 left, struct xen_elf_notes *n)
{
    while (left >= 12) {
        u32 head[3];    /* name's size, descriptor's size, type */
        memcpy(head, p, sizeof(head));
        u64 name = ROUND_UP((u64)head[0], 4), desc = ROUND_UP((u64)head[1], 4);
        p += 12;
        left -= 12;
        /* The last descriptor may lack its padding. */
        if (name > left || head[1] > left - name)
            return notes_damaged;
        if (head[0] == 4 && memcmp(p, "Xen", 4) == 0) {
            const char *why = take_note(head[2], p + name, head[1], n);
            if (why)
                return why;
        }
        u64 step = MIN(name + desc, left);
        p += step;
        left -= step;
    }
    return NULL;
}

const char *elf_xen_notes(const struct elf_image *img, struct xen_elf_notes *n)
{
    *n = (struct xen_elf_notes){ .entry = img->entry };
    for (unsigned i = 0; i < img->nr_notes; i++) {
        const char *why = read_notes(img->data + img->note[i].offset, img->note[i].size, n);
        if (why)
            return why;
    }
    n->features |= (u32)n->feature_bits;
    if (!n->present)
        return "the kernel has no Xen notes: it is not built for PV (CONFIG_XEN_PV)";
    if (has_note(n, XEN_ELFNOTE_XEN_VERSION) && strcmp(n->xen_version, "xen-3.0") != 0)
        return "the kernel's XEN_VERSION note is not xen-3.0";
    if (has_note(n, XEN_ELFNOTE_LOADER) && strcmp(n->loader, "generic") != 0)
        return "the kernel's LOADER note is not generic";
    return NULL;
}
