// links:
// SPDX-License-Identifier: MIT
/*
 * The boot loader's information, and what start-up makes of its memory map. The first byte
 * of the input: 1: multiboot 1, the rest lies in memory from MB1_AT on with the information
 * 0x500 bytes behind its beginning, as QEMU has it; 2: multiboot 2, the rest is the
 * information, in a piece of just its length.
 */
#include "fuzz.h"
#include "x86/layout.h"
#include <sys/mman.h>
static u8 *machine;
#undef DIRECT_MAP
#define DIRECT_MAP ((u64)machine)
#include "../../hv/x86/boot_info.c"

#define image_to_phys(p) 0x280000UL
#include "../../hv/x86/boot_mem.c"

#define MB1_AT   0x9000u
#define MB1_INFO 0x9500u
#define MB1_MAX  0x8000u
#define MB2_AT   0x1000u

static u64 handed_over;
void heap_add(mfn_t start, mfn_t end) { HOLDS(start <= end); handed_over += end - start; }

static void check(void)
{
    u64 last = 0, ram = 0;
    HOLDS(boot_info.nr_e820 <= E820_MAX && boot_info.nr_modules <= ARRAY_SIZE(boot_info.module));
    HOLDS(strnlen(boot_info.cmdline, sizeof(boot_info.cmdline)) < sizeof(boot_info.cmdline));
    for (unsigned i = 0; i < boot_info.nr_e820; i++) {
        const struct e820_range *e = &boot_info.e820[i];
        HOLDS(e->start >= last && e->len && e->start + e->len > e->start);
        last = e->start + e->len;
        ram += e->type == 1 ? e->len / PAGE_SIZE : 0;
    }
    nr_ranges = 0;
    handed_over = 0;
    boot_mem_init();
    heap_init();
    HOLDS(handed_over <= ram);
}

/* All that 32 bits can name is there, as in the early page tables. */
static void multiboot1(const u8 *data, size_t size)
{
    static u8 *all;
    if (!all) {
        all = mmap(NULL, GIB(4) + MIB(1), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        HOLDS(all != MAP_FAILED);
    }
    machine = all;
    memcpy(machine + MB1_AT, data, MIN(size, (size_t)MB1_MAX));
    MAY_PANIC(boot_info_init(MB1_LOADED, MB1_INFO));
    memset(machine + MB1_AT, 0, MB1_MAX);
}

static void multiboot2(const u8 *data, size_t size)
{
    if (size < 8) {
        return;
    }
    u8 *info = fuzz_copy(data, size);
    *(u32 *)info = (u32)size;
    machine = (u8 *)((u64)info - MB2_AT);
    MAY_PANIC(boot_info_init(MB2_LOADED, MB2_AT));
    free(info);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!size) {
        return 0;
    }
    memset(&boot_info, 0, sizeof(boot_info));
    if (data[0] == 1) {
        multiboot1(data + 1, size - 1);
    } else {
        multiboot2(data + 1, size - 1);
    }
    check();
    return 0;
}
