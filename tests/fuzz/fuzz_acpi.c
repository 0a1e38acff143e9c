// links:
// SPDX-License-Identifier: MIT
/*
 * The firmware's tables. Input: a byte (bit 0: sums are put right, since a fuzzer does not
 * guess them), an RSDP of 36 bytes, and what lies in memory from TABLES on. Each mapping
 * is a piece of its own of just the length that was asked for.
 */
#include "fuzz.h"
#include "../../hv/x86/acpi.c"

#define TABLES 0x100000

struct boot_info boot_info;
static const u8 *memory;
static size_t memory_size;
static bool put_right;
static void *mappings[8192];
static unsigned nr_mappings;

static void seal(u8 *p, u32 len, u32 sum_at)
{
    p[sum_at] = 0;
    u8 sum = 0;
    for (u32 i = 0; i < len; i++) {
        sum = (u8)(sum + p[i]);
    }
    p[sum_at] = (u8)-sum;
}

void *map_physical(paddr_t pa, size_t len, u64 flags)
{
    (void)flags;
    if (pa + len < pa || pa + len > TABLES + memory_size || nr_mappings == ARRAY_SIZE(mappings)) {
        return NULL;
    }
    u8 *p = calloc(1, len);
    for (size_t i = 0; i < len; i++) {
        p[i] = pa + i < TABLES ? 0 : memory[pa + i - TABLES];
    }
    if (put_right && pa >= TABLES && len >= HEADER) {
        seal(p, len, 9);
    }
    return mappings[nr_mappings++] = p;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u8 a, b;
    if (size < 1 + RSDP) {
        return 0;
    }
    memset(&acpi, 0, sizeof(acpi));
    memset(&boot_info, 0, sizeof(boot_info));
    memcpy(boot_info.rsdp, data + 1, RSDP);
    put_right = data[0] & 1;
    if (put_right) {
        memcpy(boot_info.rsdp, "RSD PTR ", 8);
        seal(boot_info.rsdp, 20, 8);
        seal(boot_info.rsdp, RSDP, 32);
    }
    memory = data + 1 + RSDP;
    memory_size = size - 1 - RSDP;
    MAY_PANIC(acpi_init());
    if (acpi_s5_values(&a, &b)) {
        HOLDS(a < 8 && b < 8);
    }
    HOLDS(acpi.nr_cpus <= ARRAY_SIZE(acpi.cpu_apic_id) && acpi.nr_ioapics <= ARRAY_SIZE(acpi.ioapic));
    HOLDS(acpi.nr_isos <= ARRAY_SIZE(acpi.iso) && acpi.nr_mcfg <= ARRAY_SIZE(acpi.mcfg));
    HOLDS(acpi.pm1a_cnt <= 0xffff && acpi.pm1b_cnt <= 0xffff && acpi.pm_timer_port <= 0xffff);
    while (nr_mappings) {
        free(mappings[--nr_mappings]);
    }
    return 0;
}
