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

struct elf_phdr {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};

#define PT_LOAD_TYPE 1
#define PT_NOTE_TYPE 4
#define ET_EXEC      2
#define ET_DYN       3
#define EM_X86_64    62

static int fail(const char **why, const char *text)
{
    *why = text;
    return -EINVAL;
}

static bool inside(u64 offset, u64 size, u64 len)
{
    return offset <= len && size <= len - offset;
}

static int add_segment(struct elf_image *img, const struct elf_phdr *ph, const char **why)
{
    if (ph->memsz == 0)
        return 0;
    if (img->nr_segments == ELF_MAX_SEGMENTS)
        return fail(why, "the ELF file has too many segments");
    u64 end;
    if (ph->filesz > ph->memsz || __builtin_add_overflow(ph->paddr, ph->memsz, &end))
        return fail(why, "the ELF file has a damaged program header");
    img->segment[img->nr_segments++] = (struct elf_segment){
        ph->offset, ph->filesz, ph->memsz, ph->paddr, ph->vaddr, ph->flags
    };
    img->low = MIN(img->low, ph->paddr);
    img->high = MAX(img->high, end);
    return 0;
}

int elf_parse(const u8 *data, size_t len, struct elf_image *img, const char **why)
{
    struct elf_header h;
    if (len < sizeof(h))
        return fail(why, "the file is too short for an ELF file");
    memcpy(&h, data, sizeof(h));
    if (memcmp(h.ident, "\177ELF", 4) != 0) {
        return fail(why, "this is no ELF file");
    }
    if (h.ident[4] != 2 || h.ident[5] != 1 || h.machine != EM_X86_64)
        return fail(why, "the ELF file is not for x86-64");
    if (h.type != ET_EXEC && h.type != ET_DYN)
        return fail(why, "the ELF file is not an executable");
    if (h.phentsize != sizeof(struct elf_phdr) ||
        !inside(h.phoff, (u64)h.phnum * sizeof(struct elf_phdr), len)) {
        return fail(why, "the ELF file is cut short or its header is damaged");
    }
    memset(img, 0, sizeof(*img));
    img->data = data;
    img->len = len;
    img->entry = h.entry;
    img->low = ~0UL;
    for (unsigned i = 0; i < h.phnum; i++) {
        struct elf_phdr ph;
        memcpy(&ph, data + h.phoff + i * sizeof(ph), sizeof(ph));
        if (ph.type != PT_LOAD_TYPE && ph.type != PT_NOTE_TYPE)
            continue;
        if (!inside(ph.offset, ph.filesz, len))
            return fail(why, "the ELF file is cut short");
        if (ph.type == PT_LOAD_TYPE) {
            int rc = add_segment(img, &ph, why);
            if (rc)
                return rc;
        } else if (img->nr_notes < ARRAY_SIZE(img->note)) {
            img->note[img->nr_notes].offset = ph.offset;
            img->note[img->nr_notes++].size = ph.filesz;
        }
    }
    if (!img->nr_segments)
        return fail(why, "the ELF file has nothing to load");
    return 0;
}

/* --- notes -------------------------------------------------------------------- */

static const struct { const char *name; u8 bit; } feature_names[] = {
    { "writable_page_tables", XENFEAT_writable_page_tables },
    { "writable_descriptor_tables", XENFEAT_writable_descriptor_tables },
    { "auto_translated_physmap", XENFEAT_auto_translated_physmap },
    { "supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel },
    { "pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb },
    { "mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad },
    { "highmem_assist", XENFEAT_highmem_assist },
    { "gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits },
    { "hvm_callback_vector", XENFEAT_hvm_callback_vector },
    { "hvm_safe_pvclock", XENFEAT_hvm_safe_pvclock },
    { "hvm_pirqs", XENFEAT_hvm_pirqs },
    { "dom0", XENFEAT_dom0 },
};

/* "name|!name|...": ! means required. False: an unknown one is required. */
static bool parse_features(const char *s, struct xen_elf_notes *n)
{
    while (*s) {
        bool required = *s == '!';
        s += required;
        size_t len = 0, i;
        while (s[len] && s[len] != '|')
            len++;
        for (i = 0; i < ARRAY_SIZE(feature_names); i++) {
            if (strlen(feature_names[i].name) == len &&
                strncmp(feature_names[i].name, s, len) == 0) {
                break;
            }
        }
        if (i < ARRAY_SIZE(feature_names)) {
            n->features_supported |= 1u << feature_names[i].bit;
            if (required)
                n->features_required |= 1u << feature_names[i].bit;
        } else if (required) {
            return false;
        }
        s += len + (s[len] == '|');
    }
    return true;
}

/* A number of 4 or 8 bytes. */
static bool number(const u8 *desc, u32 size, u64 *v)
{
    *v = 0;
    if (size != 4 && size != 8)
        return false;
    memcpy(v, desc, size);
    return true;
}

/* A terminated string; longer ones than the place for them are cut. */
static bool string(const u8 *desc, u32 size, char *dst, size_t room)
{
    if (strnlen((const char *)desc, size) == size)
        return false;
    strlcpy(dst, (const char *)desc, room);
    return true;
}

static bool take_note(u32 type, const u8 *desc, u32 size, struct xen_elf_notes *n, const char **why)
{
    u64 value = 0;
    switch (type) {
    case XEN_ELFNOTE_ENTRY:          return number(desc, size, &n->entry);
    case XEN_ELFNOTE_HYPERCALL_PAGE: return number(desc, size, &n->hypercall_page);
    case XEN_ELFNOTE_VIRT_BASE:      return number(desc, size, &n->virt_base);
    case XEN_ELFNOTE_PADDR_OFFSET:   return number(desc, size, &n->paddr_offset);
    case XEN_ELFNOTE_INIT_P2M:       return number(desc, size, &n->init_p2m);
    case XEN_ELFNOTE_MOD_START_PFN:  return number(desc, size, &n->mod_start_pfn);
    case XEN_ELFNOTE_HV_START_LOW:   return number(desc, size, &n->hv_start_low);
    case XEN_ELFNOTE_SUSPEND_CANCEL: return number(desc, size, &n->suspend_cancel);
    case XEN_ELFNOTE_PHYS32_ENTRY:   return number(desc, size, &n->phys32_entry);
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        if (!number(desc, size, &value))
            return false;
        n->features_supported |= (u32)value;
        return true;
    case XEN_ELFNOTE_L1_MFN_VALID:
        return size >= 16 && number(desc, 8, &n->l1_mfn_mask) &&
               number(desc + 8, 8, &n->l1_mfn_value);
    case XEN_ELFNOTE_GUEST_OS:      return string(desc, size, n->guest_os, sizeof(n->guest_os));
    case XEN_ELFNOTE_GUEST_VERSION: return string(desc, size, n->guest_version, sizeof(n->guest_version));
    case XEN_ELFNOTE_XEN_VERSION:   return string(desc, size, n->xen_version, sizeof(n->xen_version));
    case XEN_ELFNOTE_LOADER:        return string(desc, size, n->loader, sizeof(n->loader));
    case XEN_ELFNOTE_PAE_MODE:
        n->pae_extended = size >= 3 && memcmp(desc, "yes", 3) == 0;
        return true;
    case XEN_ELFNOTE_FEATURES: {
        char text[512] = "";            /* Linux does not terminate it */
        if (size >= sizeof(text))
            return false;
        memcpy(text, desc, size);
        if (!parse_features(text, n)) {
            *why = "the kernel requires a feature that Bulkhead does not know";
            return false;
        }
        return true;
    }
    default:
        return true;
    }
}

/* The notes of one PT_NOTE segment. */
static int read_notes(const u8 *p, u64 left, struct xen_elf_notes *n, const char **why)
{
    *why = "the kernel's notes are damaged";
    while (left >= 12) {
        u32 head[3];    /* name's size, descriptor's size, type */
        memcpy(head, p, sizeof(head));
        u64 name = ROUND_UP((u64)head[0], 4), desc = ROUND_UP((u64)head[1], 4);
        p += 12;
        left -= 12;
        /* The last descriptor may lack its padding. */
        if (name > left || head[1] > left - name)
            return -EINVAL;
        if (head[0] == 4 && memcmp(p, "Xen", 4) == 0) {
            if (!take_note(head[2], p + name, head[1], n, why))
                return -EINVAL;
            if (head[2] < 32)
                n->present |= 1u << head[2];
        }
        u64 step = MIN(name + desc, left);
        p += step;
        left -= step;
    }
    return 0;
}

int elf_xen_notes(const struct elf_image *img, struct xen_elf_notes *n, const char **why)
{
    memset(n, 0, sizeof(*n));
    n->entry = img->entry;
    for (unsigned i = 0; i < img->nr_notes; i++) {
        int rc = read_notes(img->data + img->note[i].offset, img->note[i].size, n, why);
        if (rc)
            return rc;
    }
    if (!n->present)
        return fail(why, "the kernel has no Xen notes: it is not built for PV (CONFIG_XEN_PV)");
    if (has_note(n, XEN_ELFNOTE_XEN_VERSION) && strcmp(n->xen_version, "xen-3.0") != 0)
        return fail(why, "the kernel's XEN_VERSION note is not xen-3.0");
    if (has_note(n, XEN_ELFNOTE_LOADER) && strcmp(n->loader, "generic") != 0)
        return fail(why, "the kernel's LOADER note is not generic");
    *why = "";
    return 0;
}
