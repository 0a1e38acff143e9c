// SPDX-License-Identifier: MIT
/*
 * ACPI parsing: a good set of tables, then hostile ones: cut short, lengths that lie,
 * endless entries, random bytes. The address sanitizer watches every read, since each
 * mapping is a heap piece of just the length that was asked for.
 */
#include "unit.h"
#include "../../hv/x86/acpi.c"

struct boot_info boot_info;

/* Machine memory: 1 MiB at 0 and what tests put elsewhere. */
static u8 memory[0x110000];
static void *mappings[4096];
static unsigned nr_mappings;

void *map_physical(paddr_t pa, size_t len, u64 flags)
{
    if (pa + len < pa || pa + len > sizeof(memory) || nr_mappings == ARRAY_SIZE(mappings)) {
        return NULL;
    }
    (void)flags;
    void *p = malloc(len);
    memcpy(p, memory + pa, len);
    return mappings[nr_mappings++] = p;
}

static void put(u32 at, u64 v, unsigned n) { memcpy(memory + at, &v, n); }

static void seal(u32 at, u32 len, u32 sum_at)
{
    u8 sum = 0;
    memory[at + sum_at] = 0;
    for (u32 i = 0; i < len; i++) {
        sum += memory[at + i];
    }
    memory[at + sum_at] = (u8)-sum;
}

static void table(u32 at, const char *sig, u32 len)
{
    memcpy(memory + at, sig, 4);
    put(at + 4, len, 4);
    memory[at + 8] = 3;
    seal(at, len, 9);
}

#define RSDP 0xf0010
#define XSDT 0xe1000
#define MADT 0xe2000
#define FADT 0xe3000
#define MCFG 0xe4000
#define HPET 0xe5000
#define DSDT 0xe6000
#define MADT_LEN (44 + 8 + 12 + 10 + 16 + 12)

static void build(void)
{
    memset(memory, 0, sizeof(memory));
    memset(&acpi, 0, sizeof(acpi));
    memset(&boot_info, 0, sizeof(boot_info));
    while (nr_mappings) {
        free(mappings[--nr_mappings]);
    }
    memcpy(memory + RSDP, "RSD PTR ", 8);
    memory[RSDP + 15] = 2;
    put(RSDP + 20, 36, 4);
    put(RSDP + 24, XSDT, 8);
    seal(RSDP, 20, 8);
    seal(RSDP, 36, 32);
    put(XSDT + 36, MADT, 8);
    put(XSDT + 44, FADT, 8);
    put(XSDT + 52, MCFG, 8);
    put(XSDT + 60, HPET, 8);
    table(XSDT, "XSDT", 68);

    put(MADT + 36, 0xfee00000, 4);
    u32 e = MADT + 44;
    put(e, 0x0800, 2); memory[e + 2] = 1; memory[e + 3] = 7; put(e + 4, 1, 4); e += 8;
    put(e, 0x0c01, 2); memory[e + 2] = 4; put(e + 4, 0xfec00000, 4); put(e + 8, 0, 4); e += 12;
    put(e, 0x0a02, 2); memory[e + 3] = 9; put(e + 4, 20, 4); put(e + 8, 0xf, 2); e += 10;
    put(e, 0x1009, 2); put(e + 4, 300, 4); put(e + 8, 1, 4); e += 16;
    put(e, 0x0c05, 2); put(e + 4, 0x1fee00000, 8);
    table(MADT, "APIC", MADT_LEN);

    put(FADT + 36, 0xe7000, 4);
    put(FADT + 40, DSDT, 4);
    put(FADT + 48, 0xb2, 4); memory[FADT + 52] = 0xf1;
    put(FADT + 56, 0x600, 4);
    put(FADT + 64, 0x604, 4);
    put(FADT + 76, 0x608, 4);
    memory[FADT + 91] = 4;
    put(FADT + 112, (1 << 10) | (1 << 8), 4);
    memory[FADT + 116] = 1; put(FADT + 120, 0xcf9, 8); memory[FADT + 128] = 0xf;
    table(FADT, "FACP", 244);

    put(MCFG + 44, 0xb0000000, 8); memory[MCFG + 55] = 255;
    table(MCFG, "MCFG", 60);
    put(HPET + 44, 0xfed00000, 8);
    table(HPET, "HPET", 56);

    static const u8 s5[] = { 0x10, 0x20, 0x08, '_', 'S', '5', '_', 0x12, 0x07, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00 };
    memcpy(memory + DSDT + 36, s5, sizeof(s5));
    table(DSDT, "DSDT", 36 + sizeof(s5));
}

TEST(good_tables)
{
    u8 a, b;
    build();
    acpi_init();
    CHECK_EQ(acpi.nr_cpus, 2);
    CHECK_EQ(acpi.cpu_apic_id[0], 7);
    CHECK_EQ(acpi.cpu_apic_id[1], 300);
    CHECK_EQ(acpi.nr_ioapics, 1);
    CHECK_EQ(acpi.ioapic[0].addr, 0xfec00000);
    CHECK_EQ(acpi.nr_isos, 1);
    CHECK(acpi.iso[0].irq == 9 && acpi.iso[0].gsi == 20 && acpi.iso[0].level && acpi.iso[0].active_low);
    CHECK_EQ(acpi.lapic_addr, 0x1fee00000);
    CHECK_EQ(acpi.pm1a_cnt, 0x604);
    CHECK_EQ(acpi.pm_timer_port, 0x608);
    CHECK(acpi.reset_kind == 1 && acpi.reset_addr == 0xcf9 && acpi.reset_value == 0xf);
    CHECK_EQ(acpi.hpet_addr, 0xfed00000);
    CHECK(acpi.nr_mcfg == 1 && acpi.mcfg[0].bus_last == 255);
    CHECK(acpi_s5_values(&a, &b));
    CHECK(a == 5 && b == 1);
}

TEST(rsdt_and_ebda)
{
    build();
    memset(memory + RSDP, 0, 36);
    put(0x40e, 0x9fc0, 2);
    memcpy(memory + 0x9fc20, "RSD PTR ", 8);
    put(0x9fc20 + 16, XSDT, 4);
    seal(0x9fc20, 20, 8);
    put(XSDT + 36, MADT, 4);
    table(XSDT, "RSDT", 40);
    acpi_init();
    CHECK_EQ(acpi.nr_ioapics, 1);
    CHECK_EQ(acpi.pm1a_cnt, 0);
}

TEST(copy_from_the_loader)
{
    build();
    memcpy(boot_info.rsdp, memory + RSDP, 36);
    memset(memory + RSDP, 0, 36);
    acpi_init();
    CHECK_EQ(acpi.nr_ioapics, 1);
}

TEST(nothing_to_be_found)
{
    build();
    memset(memory + RSDP, 0, 36);
    CHECK_PANICS(acpi_init());
    build();
    memory[MADT + 50]++;                        /* checksum */
    CHECK_PANICS(acpi_init());
}

TEST(wrong_lengths)
{
    static const u32 tables[] = { XSDT, MADT, FADT, MCFG, HPET, DSDT };
    static const u32 lengths[] = { 0, 1, 35, 36, 37, 43, 44, 45, 51, 52, 100, 115, 116, 117, 128, 129, 130,
                                   0x1000, 0xffffff, MIB(4), 0x7fffffff, 0xffffffff };
    u8 a, b;
    for (unsigned t = 0; t < ARRAY_SIZE(tables); t++) {
        for (unsigned l = 0; l < ARRAY_SIZE(lengths); l++) {
            build();
            put(tables[t] + 4, lengths[l], 4);
            if (lengths[l] >= 36 && lengths[l] <= 0x1000) {
                seal(tables[t], lengths[l], 9);
            }
            unit_panic_expected = true;
            if (setjmp(unit_panic_jmp) == 0) {
                acpi_init();
                acpi_s5_values(&a, &b);
            }
            unit_panic_expected = false;
        }
    }
    CHECK(true);
}

TEST(endless_and_many_entries)
{
    build();
    put(MADT + 44, 0x0000, 2);                  /* an entry without length */
    seal(MADT, MADT_LEN, 9);
    CHECK_PANICS(acpi_init());                  /* the IO-APIC came after it */

    build();
    u32 n = 1000, e = MADT + 44;
    for (u32 i = 0; i < n; i++, e += 16) {
        put(e, 0x1009, 2);
        put(e + 4, i, 4);
        put(e + 8, 1, 4);
    }
    for (u32 i = 0; i < 40; i++, e += 12) {
        put(e, 0x0c01, 2);
    }
    for (u32 i = 0; i < 40; i++, e += 10) {
        put(e, 0x0a02, 2);
    }
    put(XSDT + 44, 0, 8);                       /* the other tables are overwritten */
    put(XSDT + 52, 0, 8);
    put(XSDT + 60, 0, 8);
    table(XSDT, "XSDT", 68);
    table(MADT, "APIC", e - MADT);
    acpi_init();
    CHECK_EQ(acpi.nr_cpus, ARRAY_SIZE(acpi.cpu_apic_id));
    CHECK_EQ(acpi.nr_ioapics, ARRAY_SIZE(acpi.ioapic));
    CHECK_EQ(acpi.nr_isos, ARRAY_SIZE(acpi.iso));
}

TEST(random_bytes)
{
    static const u32 tables[] = { XSDT, MADT, FADT, MCFG, HPET, DSDT };
    static const u32 lens[] = { 68, MADT_LEN, 244, 60, 56, 51 };
    u8 a, b;
    srand(2);
    for (unsigned round = 0; round < 3000; round++) {
        build();
        unsigned t = (unsigned)rand() % ARRAY_SIZE(tables);
        for (unsigned i = 0; i < 1 + (unsigned)rand() % 8; i++) {
            memory[tables[t] + 36 + (unsigned)rand() % (lens[t] - 36)] = (u8)rand();
        }
        seal(tables[t], lens[t], 9);
        unit_panic_expected = true;
        if (setjmp(unit_panic_jmp) == 0) {
            acpi_init();
            acpi_s5_values(&a, &b);
        }
        unit_panic_expected = false;
    }
    CHECK(true);
}
