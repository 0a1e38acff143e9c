// links: hv/lib/elf.c
#include "unit.h"
#include "elf.h"
#include <xen/elfnote.h>
#include <xen/features.h>

static u8 file[4096];
static size_t notes_len;
static struct elf_image img;
static struct xen_elf_notes notes;
static const char *why;

#define NOTES_AT 512

static void put16(size_t at, u64 v) { memcpy(file + at, &v, 2); }
static void put32(size_t at, u64 v) { memcpy(file + at, &v, 4); }
static void put64(size_t at, u64 v) { memcpy(file + at, &v, 8); }

static void phdr(unsigned i, u32 type, u64 offset, u64 vaddr, u64 paddr, u64 filesz, u64 memsz)
{
    size_t at = 64 + i * 56;
    put32(at, type);
    put64(at + 8, offset);
    put64(at + 16, vaddr);
    put64(at + 24, paddr);
    put64(at + 32, filesz);
    put64(at + 40, memsz);
}

static void note(u32 type, const void *desc, u32 size)
{
    size_t at = NOTES_AT + notes_len;
    put32(at, 4);
    put32(at + 4, size);
    put32(at + 8, type);
    memcpy(file + at + 12, "Xen", 4);
    memcpy(file + at + 16, desc, size);
    notes_len += 16 + ROUND_UP(size, 4u);
    put64(64 + 56 + 32, notes_len);
}
static void note_number(u32 type, u64 v) { note(type, &v, 8); }
static void note_string(u32 type, const char *s) { note(type, s, (u32)strlen(s) + 1); }

static void fresh(void)
{
    memset(file, 0, sizeof(file));
    notes_len = 0;
    memcpy(file, "\177ELF\2\1\1", 7);
    put16(16, 2);
    put16(18, 62);
    put64(24, 0x1234);
    put64(32, 64);
    put16(54, 56);
    put16(56, 2);
    phdr(0, 1, 0x800, 0xffffffff81000000, 0x1000000, 0x100, 0x2000);
    phdr(1, 4, NOTES_AT, 0, 0, 0, 0);
}

/* From its own allocation of n bytes. */
static bool parse(size_t n)
{
    u8 *copy = malloc(n + !n);
    memcpy(copy, file, n);
    why = elf_parse(copy, n, &img);
    if (!why) {
        why = elf_xen_notes(&img, &notes);
    }
    free(copy);
    return !why;
}

TEST(kernel_like_linux)
{
    fresh();
    note_string(XEN_ELFNOTE_GUEST_OS, "linux");
    note_string(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    note_string(XEN_ELFNOTE_LOADER, "generic");
    note_number(XEN_ELFNOTE_VIRT_BASE, 0xffffffff80000000);
    note_number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    note_number(XEN_ELFNOTE_ENTRY, 0xffffffff830791c0);
    note_string(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb");
    u32 n32 = 0x8801;
    note(XEN_ELFNOTE_SUPPORTED_FEATURES, &n32, 4);
    u64 valid[2] = { 1, 1 };
    note(XEN_ELFNOTE_L1_MFN_VALID, valid, 16);
    note_string(XEN_ELFNOTE_PAE_MODE, "yes");
    n32 = 1;
    note(XEN_ELFNOTE_MOD_START_PFN, &n32, 4);
    CHECK(parse(sizeof(file)));
    CHECK_EQ(img.nr_segments, 1);
    CHECK_EQ(img.low, 0x1000000);
    CHECK_EQ(img.high, 0x1002000);
    CHECK_EQ(notes.entry, 0xffffffff830791c0);
    CHECK_EQ(notes.virt_base, 0xffffffff80000000);
    CHECK_EQ(notes.init_p2m, 0x8000000000);
    CHECK_EQ(notes.mod_start_pfn, 1);
    CHECK_EQ(notes.features, 0x8801 | 1 << XENFEAT_pae_pgdir_above_4gb | 1 << XENFEAT_writable_page_tables);
    CHECK_STR(notes.guest_os, "linux");
    CHECK(has_note(&notes, XEN_ELFNOTE_INIT_P2M) && !has_note(&notes, XEN_ELFNOTE_HYPERCALL_PAGE));
}

TEST(bad_headers)
{
    static const struct { size_t at; u8 value; } bad[] = {
        { 0, 'x' }, { 4, 1 }, { 5, 2 }, { 16, 1 }, { 18, 3 }, { 32, 0xff }, { 38, 1 }, { 54, 32 },
        { 57, 0xff }, { 64 + 11, 1 }, { 64 + 15, 0x80 }, { 64 + 39, 0x80 }, { 64 + 31, 0xff },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fresh();
        note_number(XEN_ELFNOTE_ENTRY, 1);
        CHECK(parse(sizeof(file)));
        file[bad[i].at] = bad[i].value;
        if (bad[i].at == 64 + 31) {
            put64(64 + 24, ~0UL - 10);
        }
        CHECK(!parse(sizeof(file)));
        CHECK(*why != 0);
    }
    fresh();
    put64(64 + 40, 0x80);       /* filesz > memsz */
    CHECK(!parse(sizeof(file)));
    fresh();
    put64(64 + 40, 0);
    CHECK(!parse(sizeof(file)));
}

TEST(cut_short)
{
    fresh();
    note_string(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    CHECK(parse(0x900));
    for (size_t n = 0; n < 0x900; n++) {
        CHECK(!parse(n));
    }
}

TEST(bad_notes)
{
    fresh();
    CHECK(!parse(sizeof(file)));     /* none at all */
    fresh();
    note_string(XEN_ELFNOTE_XEN_VERSION, "xen-4.0");
    CHECK(!parse(sizeof(file)));
    fresh();
    note_string(XEN_ELFNOTE_LOADER, "other");
    CHECK(!parse(sizeof(file)));
    fresh();
    note(XEN_ELFNOTE_LOADER, "gene", 4);        /* not terminated */
    CHECK(!parse(sizeof(file)));
    fresh();
    note(XEN_ELFNOTE_ENTRY, "abc", 3);
    CHECK(!parse(sizeof(file)));
    fresh();
    note_string(XEN_ELFNOTE_FEATURES, "dom0|!flying");
    CHECK(!parse(sizeof(file)));
    fresh();
    note_string(XEN_ELFNOTE_FEATURES, "dom0|flying|");
    CHECK(parse(sizeof(file)));
    fresh();
    note_number(XEN_ELFNOTE_ENTRY, 1);
    put32(NOTES_AT, 0xfffffff0);                /* name too long */
    CHECK(!parse(sizeof(file)));
    fresh();
    note_number(XEN_ELFNOTE_ENTRY, 1);
    put32(NOTES_AT + 4, 0xffffffff);            /* descriptor too long */
    CHECK(!parse(sizeof(file)));
}

TEST(random_damage)
{
    unsigned seed = 7;
    for (unsigned i = 0; i < 20000; i++) {
        fresh();
        note_string(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb");
        note_number(XEN_ELFNOTE_ENTRY, 1);
        note_string(XEN_ELFNOTE_GUEST_OS, "a guest with quite a long name, longer than the place");
        for (unsigned k = 0; k < 4; k++) {
            seed = seed * 1103515245 + 12345;
            file[(seed >> 8) % (NOTES_AT + notes_len)] = (u8)(seed >> 20);
        }
        parse(0x900);
    }
}
