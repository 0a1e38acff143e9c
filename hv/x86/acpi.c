// SPDX-License-Identifier: MIT
/*
 * The firmware's ACPI tables, as far as a hypervisor needs them: CPUs and interrupt
 * controllers (MADT), ports for power and the PM timer (FADT), HPET, MMCONFIG (MCFG).
 * `acpi` is filled on the boot CPU at start and constant afterwards: no lock. What the
 * firmware says is checked like a guest's word: lengths before reads, counts clamped.
 */
#include "x86/machine.h"

struct acpi_info acpi;

#define TABLE_MAX MIB(4)        /* longer tables are taken for rubbish */
#define HEADER    36u           /* signature, length (at 4), revision (at 8), checksum, ... */

static bool sums_to_zero(const u8 *p, u32 len)
{
    u8 sum = 0;
    for (u32 i = 0; i < len; i++)
        sum += p[i];
    return sum == 0;
}

static u64 number(const u8 *p, u32 size)
{
    u64 v = 0;
    memcpy(&v, p, size);
    return v;
}

static u32 length_of(const u8 *table)
{
    return (u32)number(table + 4, 4);
}

/* Fields of a table: zero where the table ends before them. */
static u64 field(const u8 *t, u32 off, u32 size)
{
    return off + size <= length_of(t) ? number(t + off, size) : 0;
}

/* --- MADT --- */

static void add_cpu(u32 apic_id, u32 flags)
{
    if (apic_id == 0xffffffff || !(flags & 1))
        return;                 /* a placeholder, or switched off */
    for (unsigned i = 0; i < acpi.nr_cpus; i++) {
        if (acpi.cpu_apic_id[i] == apic_id)
            return;             /* firmware may list a CPU as LAPIC and as x2APIC */
    }
    if (acpi.nr_cpus == ARRAY_SIZE(acpi.cpu_apic_id)) {
        printk(LOG_WARN, "ACPI: more than %u CPUs listed; APIC id %u is ignored\n",
               acpi.nr_cpus, apic_id);
    } else {
        acpi.cpu_apic_id[acpi.nr_cpus++] = apic_id;
    }
}

static void add_iso(u8 bus, u8 irq, u32 gsi, u32 flags)
{
    if (acpi.nr_isos == ARRAY_SIZE(acpi.iso) || bus != 0 || irq > 15)
        return;
    acpi.iso[acpi.nr_isos++] = (struct acpi_iso){       /* flags 0: as the bus (ISA): high, edge */
        .irq = irq, .gsi = gsi, .active_low = (flags & 3) == 3, .level = (flags >> 2 & 3) == 3,
    };
}

static void parse_madt(const u8 *t)
{
    u32 len = length_of(t), n;
    acpi.lapic_addr = field(t, 36, 4);
    for (u32 off = 44; off + 2 <= len; off += n) {
        const u8 *e = t + off;
        n = e[1];
        if (n < 2 || off + n > len) {
            printk(LOG_WARN, "ACPI: MADT entry at %u is broken; the rest is ignored\n", off);
            return;
        }
        u32 a = field(t, off + 4, 4), b = field(t, off + 8, 4);
        if (e[0] == 0 && n >= 8)
            add_cpu(e[3], a);
        else if (e[0] == 1 && n >= 12 && acpi.nr_ioapics < ARRAY_SIZE(acpi.ioapic))
            acpi.ioapic[acpi.nr_ioapics++] = (struct acpi_ioapic){ .addr = a, .gsi_base = b };
        else if (e[0] == 2 && n >= 10)
            add_iso(e[2], e[3], a, e[8]);
        else if (e[0] == 5 && n >= 12)
            acpi.lapic_addr = (u64)b << 32 | a;
        else if (e[0] == 9 && n >= 16)
            add_cpu(a, b);
    }
}

/* --- FADT --- */

/* A port: the 64-bit form (a generic address) where it is given and is a port, else the
 * old one. */
static u32 fadt_port(const u8 *t, u32 gas_off, u32 old_off)
{
    u64 port = field(t, gas_off, 1) == 1 ? field(t, gas_off + 4, 8) : 0;
    if (!port || port > 0xffff)
        port = field(t, old_off, 4);
    return port <= 0xffff ? (u32)port : 0;
}

static void parse_fadt(const u8 *t)
{
    acpi.pm1a_evt = fadt_port(t, 148, 56);
    acpi.pm1a_cnt = fadt_port(t, 172, 64);
    acpi.pm1b_cnt = fadt_port(t, 184, 68);
    acpi.pm_timer_port = field(t, 91, 1) == 4 ? fadt_port(t, 208, 76) : 0;
    acpi.dsdt = field(t, 140, 8) ?: field(t, 40, 4);
    acpi.smi_cmd = field(t, 48, 4) <= 0xffff ? field(t, 48, 4) : 0;
    acpi.acpi_enable = (u8)field(t, 52, 1);
    acpi.has_8042 = t[8] < 3 || (field(t, 109, 2) & 2);
    acpi.reset_addr = field(t, 120, 8);
    acpi.reset_value = (u8)field(t, 128, 1);
    u8 space = (u8)field(t, 116, 1);
    bool works = (field(t, 112, 4) & (1u << 10)) && length_of(t) >= 129 &&
                 (space == 0 || (space == 1 && acpi.reset_addr <= 0xffff));
    acpi.reset_kind = works ? space : 0xff;
}

/* --- HPET, MCFG --- */

static void parse_hpet(const u8 *t)
{
    if (field(t, 40, 1) == 0)
        acpi.hpet_addr = field(t, 44, 8);       /* in memory */
}

static void parse_mcfg(const u8 *t)
{
    u32 len = length_of(t);
    for (u32 off = 44; off + 16 <= len && acpi.nr_mcfg < ARRAY_SIZE(acpi.mcfg); off += 16) {
        u64 base = field(t, off, 8);
        u8 first = t[off + 10], last = t[off + 11];
        if (!base || (base & (MIB(1) - 1)) || first > last) {
            printk(LOG_WARN, "ACPI: MCFG entry %#lx is broken\n", base);
            continue;
        }
        acpi.mcfg[acpi.nr_mcfg++] = (struct acpi_mcfg){ base, field(t, off + 8, 2), first, last };
    }
}

/* --- finding the tables --- */

static const struct {
    char signature[5];
    u32 min_length;
    void (*parse)(const u8 *t);
} parsers[] = {
    { "APIC", 44, parse_madt }, { "FACP", 116, parse_fadt },
    { "HPET", 52, parse_hpet }, { "MCFG", 44, parse_mcfg },
};

/* Maps a whole table; NULL when it is another one or (with a line in the log) broken. */
static const u8 *map_table(paddr_t pa, const char *signature, u32 min_length)
{
    const u8 *t = pa ? map_firmware(pa, HEADER) : NULL;
    if (!t || memcmp(t, signature, 4) != 0)
        return NULL;
    u32 len = length_of(t);
    if (len < min_length || len > TABLE_MAX) {
        printk(LOG_WARN, "ACPI: table %s at %#lx is %u bytes long: ignored\n", signature, pa, len);
        return NULL;
    }
    t = map_firmware(pa, len);
    if (t && !sums_to_zero(t, len)) {
        printk(LOG_WARN, "ACPI: table %s at %#lx has a wrong checksum: ignored\n", signature, pa);
        return NULL;
    }
    return t;
}

#define RSDP 36u                /* bytes, from version 2 on; before, 20 */

static bool rsdp_ok(const u8 *p)
{
    return p && memcmp(p, "RSD PTR ", 8) == 0 && sums_to_zero(p, 20);
}

static const u8 *scan_rsdp(paddr_t from, size_t len)
{
    const u8 *p = map_firmware(from, len);
    for (size_t off = 0; p && off + RSDP <= len; off += 16) {
        if (rsdp_ok(p + off))
            return p + off;
    }
    return NULL;
}

static const u8 *find_rsdp(void)
{
    if (rsdp_ok(boot_info.rsdp))
        return boot_info.rsdp;
    const u8 *bda = map_firmware(0x400, 0x100);     /* 0x40e: segment of the EBDA */
    paddr_t ebda = bda ? number(bda + 0xe, 2) << 4 : 0;
    const u8 *p = ebda >= 0x80000 && ebda < 0xa0000 ? scan_rsdp(ebda, 1024) : NULL;
    return p ?: scan_rsdp(0xe0000, 0x20000);
}

void acpi_init(void)
{
    acpi.reset_kind = 0xff;
    const u8 *rsdp = find_rsdp();
    if (!rsdp)
        panic("ACPI: no RSDP: Bulkhead needs a machine with ACPI tables");
    bool v2 = rsdp[15] >= 2 && number(rsdp + 20, 4) >= RSDP && sums_to_zero(rsdp, RSDP);
    const u8 *xsdt = v2 ? map_table(number(rsdp + 24, 8), "XSDT", HEADER) : NULL;
    const u8 *root = xsdt ?: map_table(number(rsdp + 16, 4), "RSDT", HEADER);
    if (!root)
        panic("ACPI: the root table is broken");
    u32 entry = xsdt ? 8 : 4;
    for (u32 off = HEADER; off + entry <= length_of(root); off += entry) {
        for (unsigned i = 0; i < ARRAY_SIZE(parsers); i++) {
            const u8 *t = map_table(field(root, off, entry), parsers[i].signature,
                                    parsers[i].min_length);
            if (t)
                parsers[i].parse(t);
        }
    }
    printk(LOG_INFO, "ACPI: %u CPUs, %u IO-APICs, LAPIC %#lx, PM timer %#x, HPET %#lx, MMCONFIG "
           "%#lx\n", acpi.nr_cpus, acpi.nr_ioapics, acpi.lapic_addr, acpi.pm_timer_port,
           acpi.hpet_addr, acpi.nr_mcfg ? acpi.mcfg[0].base : 0);
    if (!acpi.nr_ioapics)
        panic("ACPI: no MADT with an IO-APIC: Bulkhead needs one");
}

/* --- power-off values --- */

/* A small integer constant of AML: 0, 1, or a byte. Advances *p. */
static bool aml_small(const u8 *t, u32 *p, u8 *v)
{
    u32 prefix = *p < length_of(t) && t[*p] == 0x0a;        /* BytePrefix; or ZeroOp, OneOp */
    u32 at = *p + prefix;
    if (at >= length_of(t) || (!prefix && t[at] > 1))
        return false;
    *v = t[at];
    *p = at + 1;
    return true;
}

/* Name (_S5_, Package (n) { a, b, ... }) in the DSDT's AML. */
bool acpi_s5_values(u8 *a, u8 *b)
{
    const u8 *t = map_table(acpi.dsdt, "DSDT", HEADER);
    for (u32 i = 1; t && i + 8 <= length_of(t); i++) {
        bool name = t[i - 1] == 0x08 || t[i - 1] == '\\';
        if (!name || memcmp(t + i, "_S5_", 4) != 0 || t[i + 4] != 0x12)
            continue;
        u32 p = i + 5 + 1 + (t[i + 5] >> 6) + 1;            /* PkgLength, NumElements */
        if (aml_small(t, &p, a)) {
            *b = *a;
            aml_small(t, &p, b);
            return *a < 8 && *b < 8;
        }
    }
    return false;
}
