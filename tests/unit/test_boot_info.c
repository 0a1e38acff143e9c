// links:
// SPDX-License-Identifier: MIT
/* What the loader says: both protocols, sorted and cut memory ranges, memory taken
 * before the allocator. Machine addresses are offsets into `machine` here. */
#include "unit.h"
#include "x86/layout.h"
static char *machine;
#undef DIRECT_MAP
#define DIRECT_MAP ((u64)machine)
#include "../../hv/x86/boot_info.c"

#define MACHINE_SIZE MIB(16)

/* boot_mem.c asks for the end of the image. */
#define image_to_phys(p) 0x280000UL
#include "../../hv/x86/boot_mem.c"

static u64 handed_over;
void heap_add(mfn_t start, mfn_t end) { handed_over += (end - start) << PAGE_SHIFT; }

static char *at(u32 pa) { return machine + pa; }

static void start(void)
{
    if (!machine) {
        machine = calloc(1, MACHINE_SIZE);
    }
    memset(machine, 0, 0x8000);
    memset(&boot_info, 0, sizeof(boot_info));
}

static u32 put_text(u32 pa, const char *s)
{
    strcpy(at(pa), s);
    return pa;
}

static void mb1(const char *loader, const char *cmdline, const char *mod)
{
    start();
    struct mb1_info *b = (void *)at(0x1000);
    *b = (struct mb1_info){ .flags = MB1_MEMORY | MB1_CMDLINE | MB1_MODS | MB1_MMAP | MB1_LOADER,
                            .cmdline = put_text(0x2000, cmdline), .mods_count = 1, .mods_addr = 0x3000,
                            .mmap_addr = 0x4000, .boot_loader_name = put_text(0x2800, loader) };
    *(struct mb1_mod *)at(0x3000) = (struct mb1_mod){ 0x300000, 0x300123, put_text(0x2a00, mod), 0 };
    struct mb1_mmap *m = (void *)at(0x4000);
    m[0] = (struct mb1_mmap){ 20, 0x100000, 0xf00000, 1 };
    m[1] = (struct mb1_mmap){ 20, 0, 0x9fc00, 1 };
    m[2] = (struct mb1_mmap){ 20, 0x9fc00, 0x400, 2 };
    b->mmap_length = 3 * sizeof(*m);
}

TEST(multiboot1_qemu)
{
    mb1("qemu", "/some/where/bulkhead dom0_mem=1G  x", "/some/vmlinuz root=/dev/vda");
    boot_info_init(MB1_LOADED, 0x1000);
    CHECK_STR(boot_info.cmdline, "dom0_mem=1G  x");
    CHECK_EQ(boot_info.nr_modules, 1);
    CHECK_STR(boot_info.module[0].cmdline, "root=/dev/vda");
    CHECK_EQ(boot_info.module[0].start, 0x300000);
    CHECK_EQ(boot_info.module[0].len, 0x123);
    CHECK_EQ(boot_info.nr_e820, 3);
    CHECK_EQ(boot_info.e820[0].start, 0);
    CHECK_EQ(boot_info.e820[2].start, 0x100000);
}

TEST(names_and_placeholders)
{
    mb1("GRUB 2.06", "placeholder a b", "c d");
    boot_info_init(MB1_LOADED, 0x1000);
    CHECK_STR(boot_info.cmdline, "a b");
    CHECK_STR(boot_info.module[0].cmdline, "c d");
    mb1("GRUB 2.06", "placeholders", "");
    boot_info_init(MB1_LOADED, 0x1000);
    CHECK_STR(boot_info.cmdline, "placeholders");
    CHECK_STR(boot_info.module[0].cmdline, "");
    mb1("qemu", "bulkhead", "vmlinuz");
    boot_info_init(MB1_LOADED, 0x1000);
    CHECK_STR(boot_info.cmdline, "");
    CHECK_STR(boot_info.module[0].cmdline, "");
}

static char *tag(char *p, u32 type, const void *data, u32 n)
{
    *(struct mb2_tag *)p = (struct mb2_tag){ type, n + 8 };
    memcpy(p + 8, data, n);
    return p + ROUND_UP(n + 8, 8u);
}

TEST(multiboot2)
{
    start();
    char *p = at(0x1008);
    p = tag(p, MB2_CMDLINE, "placeholder x=1", 16);
    p = tag(p, MB2_RSDP, "RSD PTR new .............", 25);
    p = tag(p, MB2_RSDP_OLD, "RSD PTR old ........", 20);
    struct { u32 start, end; char s[8]; } mod = { 0x400000, 0x500000, "k=v" };
    p = tag(p, MB2_MODULE, &mod, sizeof(mod));
    struct { u32 size, version; struct mb2_mmap_entry e[2]; } map =
        { 24, 0, { { 0, MIB(16), 1, 0 }, { 0xa0000, 0x60000, 2, 0 } } };
    p = tag(p, MB2_MMAP, &map, sizeof(map));
    p = tag(p, MB2_LOADER, "GRUB 2.06", 10);
    p = tag(p, MB2_END, "", 0);
    *(u32 *)at(0x1000) = (u32)(p - at(0x1000));
    boot_info_init(MB2_LOADED, 0x1000);
    CHECK_STR(boot_info.loader, "GRUB 2.06");
    CHECK_STR(boot_info.cmdline, "x=1");
    CHECK_STR(boot_info.module[0].cmdline, "k=v");
    CHECK(!memcmp(boot_info.rsdp, "RSD PTR new", 11));
    CHECK_EQ(boot_info.nr_e820, 3);             /* the reserved range cuts the RAM */
    CHECK_EQ(boot_info.e820[0].len, 0xa0000);
    CHECK_EQ(boot_info.e820[1].type, 2);
    CHECK_EQ(boot_info.e820[2].start, 0x100000);
    CHECK_EQ(boot_info.e820[2].len, MIB(15));
}

TEST(wrong_loader)
{
    start();
    CHECK_PANICS(boot_info_init(0x12345678, 0x1000));
    CHECK_PANICS(boot_info_init(MB1_LOADED, 0x1000));       /* no memory map */
    *(u32 *)at(0x1000) = 16;
    CHECK_PANICS(boot_info_init(MB2_LOADED, 0x1000));
}

TEST(damaged_tags_end_the_walk)
{
    srand(3);
    for (volatile unsigned i = 0; i < 2000; i++) {
        start();
        u32 *b = (u32 *)at(0x1000);
        for (unsigned k = 0; k < 64; k++) {
            b[k] = rand() % 3 ? (u32)rand() % 64 : (u32)rand();
        }
        b[0] = 256;
        unit_panic_expected = true;
        if (setjmp(unit_panic_jmp) == 0) {
            boot_info_init(MB2_LOADED, 0x1000);
        }
        unit_panic_expected = false;
        CHECK(boot_info.nr_e820 <= E820_MAX);
    }
}

/* Every byte has the worst type that the firmware gave it. */
TEST(memory_ranges_at_random)
{
    srand(4);
    for (unsigned round = 0; round < 3000; round++) {
        u8 want[64] = { 0 }, got[64] = { 0 };
        memset(&boot_info, 0, sizeof(boot_info));
        for (unsigned i = 0, n = 1 + (unsigned)rand() % 8; i < n; i++) {
            u32 s = (u32)rand() % 64, l = (u32)rand() % (65 - s), type = 1 + (u32)rand() % 5;
            add_memory(s, l, type);
            for (u32 k = s; k < s + l; k++) {
                want[k] = MAX(want[k], (u8)type);
            }
        }
        tidy_memory();
        u64 last = 0;
        for (unsigned i = 0; i < boot_info.nr_e820; i++) {
            const struct e820_range *e = &boot_info.e820[i];
            CHECK(e->start >= last && e->len);
            last = e->start + e->len;
            for (u64 k = e->start; k < last && k < 64; k++) {
                got[k] = (u8)e->type;
            }
        }
        CHECK(!memcmp(want, got, 64));
    }
}

TEST(memory_before_the_allocator)
{
    mb1("qemu", "", "");
    boot_info_init(MB1_LOADED, 0x1000);
    add_memory(GIB(4), MIB(64), 1);
    boot_mem_init();
    u64 free = 0;
    for (const struct boot_range *r = ranges; r < ranges + nr_ranges; r++) {
        free += r->end - r->start;
        CHECK(r->start >= MIB(1));
        CHECK(r->end <= 0x200000 || r->start >= 0x280000);
        CHECK(r->end <= 0x300000 || r->start >= 0x301000);
    }
    CHECK_EQ(free, MIB(15) - 0x80000 - 0x1000 + MIB(64));
    CHECK_EQ(take(0x1000, 0x1000), MIB(16) - 0x1000);       /* what the early tables reach */
    memset(at(MIB(16) - 0x2000), 0xaa, 0x1000);
    CHECK(boot_mem_filled(0x1000, 0x55) == at(MIB(16) - 0x2000));
    CHECK_EQ(*at(MIB(16) - 0x2000), 0x55);
    CHECK_EQ(*at(MIB(16) - 0x1001), 0x55);
    CHECK(boot_mem_filled(0x200000, 0) == at(MIB(12)));
    boot_mem_limit = ~0UL;
    CHECK_EQ(take(0x1000, 0x1000), GIB(4) + MIB(64) - 0x1000);
    CHECK_EQ(take(0x200000, 0x200000), GIB(4) + MIB(60));
    CHECK_EQ(take(0x1000, 0x1000), GIB(4) + MIB(64) - 0x2000);      /* the rest above it */
    CHECK_PANICS(take(MIB(64), 0x1000));
    heap_init();
    CHECK_EQ(handed_over, free - MIB(4) - 4 * 0x1000);
    boot_mem_limit = MIB(1);
    CHECK_PANICS(take(0x1000, 0x1000));
}
