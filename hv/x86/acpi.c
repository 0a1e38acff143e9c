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

struct sdt {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], oem_table[8];
    u32 oem_revision, creator, creator_revision;
} PACKED;

struct gas { u8 space, bit_width, bit_offset, access; u64 address; } PACKED;

static bool sums_to_zero(const void *p, u32 len)
{
    u8 sum = 0;
    for (u32 i = 0; i < len; i++)
        sum += ((const u8 *)p)[i];
    return sum == 0;
}

/* Fields of a table: zero where the table ends before them. */
static u64 field(const u8 *t, u32 len, u32 off, u32 size)
{
    u64 v = 0;
    if (off + size <= len)
        memcpy(&v, t + off, size);
    return v;
}

/* --- MADT --- */

static void add_cpu(u32 apic_id, u32 flags)
{
    if (apic_id == 0xffffffff || (apic_id == 0xff && !(flags & 1))) {
        return;                 /* a placeholder */
    }
    for (unsigned i = 0; i < acpi.nr_cpus; i++) {
        if (acpi.cpu[i].apic_id == apic_id) {
            return;             /* firmware may list a CPU as LAPIC and as x2APIC */
        }
    }
    if (acpi.nr_cpus == ARRAY_SIZE(acpi.cpu)) {
        printk(LOG_WARN, "ACPI: more than %u CPUs listed; APIC id %u is ignored\n",
               (unsigned)ARRAY_SIZE(acpi.cpu), apic_id);
        return;
    }
    acpi.cpu[acpi.nr_cpus].apic_id = apic_id;
    acpi.cpu[acpi.nr_cpus++].enabled = flags & 1;
}

static void add_iso(const u8 *e)
{
    if (acpi.nr_isos == ARRAY_SIZE(acpi.iso) || e[2] != 0 || e[3] > 15)
        return;
    u16 flags = (u16)field(e, 10, 8, 2);
    unsigned i = acpi.nr_isos++;
    acpi.iso[i].irq = e[3];
    acpi.iso[i].gsi = (u32)field(e, 10, 4, 4);
    acpi.iso[i].active_low = (flags & 3) == 3;          /* 0: as the bus (ISA): high */
    acpi.iso[i].level = ((flags >> 2) & 3) == 3;        /* 0: as the bus: edge */
}

static void parse_madt(const u8 *t, u32 len)
{
    acpi.lapic_addr = field(t, len, 36, 4);
    for (u32 off = 44; off + 2 <= len; ) {
        const u8 *e = t + off;
        u32 n = e[1];
        if (n < 2 || off + n > len) {
            printk(LOG_WARN, "ACPI: MADT entry at %u is broken; the rest is ignored\n", off);
            return;
        }
        if (e[0] == 0 && n >= 8) {
            add_cpu(e[3], (u32)field(e, n, 4, 4));
        } else if (e[0] == 1 && n >= 12) {
            if (acpi.nr_ioapics < ARRAY_SIZE(acpi.ioapic)) {
                unsigned i = acpi.nr_ioapics++;
                acpi.ioapic[i].id = e[2];
                acpi.ioapic[i].addr = field(e, n, 4, 4);
                acpi.ioapic[i].gsi_base = (u32)field(e, n, 8, 4);
            }
        } else if (e[0] == 2 && n >= 10) {
            add_iso(e);
        } else if (e[0] == 5 && n >= 12) {
            acpi.lapic_addr = field(e, n, 4, 8);
        } else if (e[0] == 9 && n >= 16) {
            add_cpu((u32)field(e, n, 4, 4), (u32)field(e, n, 8, 4));
        }
        off += n;
    }
}

/* --- FADT --- */

/* A port: the 64-bit form where it is given and is a port, else the old one. */
static u32 fadt_port(const u8 *t, u32 len, u32 gas_off, u32 old_off)
{
    struct gas g;
    if (gas_off + sizeof(g) <= len) {
        memcpy(&g, t + gas_off, sizeof(g));
        if (g.space == 1 && g.address && g.address <= 0xffff)
            return (u32)g.address;
    }
    u64 port = field(t, len, old_off, 4);
    return port <= 0xffff ? (u32)port : 0;
}

static void parse_fadt(const u8 *t, u32 len)
{
    u32 flags = (u32)field(t, len, 112, 4);
    acpi.pm1a_evt = fadt_port(t, len, 148, 56);
    acpi.pm1b_evt = fadt_port(t, len, 160, 60);
    acpi.pm1a_cnt = fadt_port(t, len, 172, 64);
    acpi.pm1b_cnt = fadt_port(t, len, 184, 68);
    acpi.pm_timer_port = field(t, len, 91, 1) == 4 ? fadt_port(t, len, 208, 76) : 0;
    acpi.pm_timer_32 = flags & (1u << 8);
    acpi.facs = field(t, len, 132, 8) ?: field(t, len, 36, 4);
    acpi.dsdt = field(t, len, 140, 8) ?: field(t, len, 40, 4);
    acpi.smi_cmd = field(t, len, 48, 4) <= 0xffff ? (u32)field(t, len, 48, 4) : 0;
    acpi.acpi_enable = (u8)field(t, len, 52, 1);
    acpi.has_8042 = t[8] < 3 || (field(t, len, 109, 2) & 2);
    if ((flags & (1u << 10)) && len >= 129) {
        struct gas g;
        memcpy(&g, t + 116, sizeof(g));
        if ((g.space == 1 && g.address <= 0xffff) || g.space == 0) {
            acpi.reset_kind = g.space;
            acpi.reset_addr = g.address;
            acpi.reset_value = t[128];
        }
    }
}

/* --- HPET, MCFG --- */

static void parse_hpet(const u8 *t, u32 len)
{
    if (field(t, len, 40, 1) == 0) {            /* in memory */
        acpi.hpet_addr = field(t, len, 44, 8);
    }
}

static void parse_mcfg(const u8 *t, u32 len)
{
    for (u32 off = 44; off + 16 <= len && acpi.nr_mcfg < ARRAY_SIZE(acpi.mcfg); off += 16) {
        u64 base = field(t, len, off, 8);
        u8 first = t[off + 10], last = t[off + 11];
        if (!base || (base & (MIB(1) - 1)) || first > last) {
            printk(LOG_WARN, "ACPI: MCFG entry %#llx is broken\n", (unsigned long long)base);
            continue;
        }
        acpi.mcfg[acpi.nr_mcfg].base = base;
        acpi.mcfg[acpi.nr_mcfg].segment = (u16)field(t, len, off + 8, 2);
        acpi.mcfg[acpi.nr_mcfg].bus_first = first;
        acpi.mcfg[acpi.nr_mcfg++].bus_last = last;
    }
}

/* --- finding the tables --- */

static const struct {
    char signature[5];
    u32 min_length;
    void (*parse)(const u8 *t, u32 len);
} parsers[] = {
    { "APIC", 44, parse_madt },
    { "FACP", 116, parse_fadt },
    { "HPET", 52, parse_hpet },
    { "MCFG", 44, parse_mcfg },
};

/* Maps a whole table; NULL (with a line in the log) when it is not one. */
static const struct sdt *map_table(paddr_t pa, u32 min_length)
{
    const struct sdt *h = pa ? map_firmware(pa, sizeof(*h)) : NULL;
    if (!h)
        return NULL;
    u32 len = h->length;
    if (len < sizeof(*h) || len < min_length || len > TABLE_MAX) {
        printk(LOG_WARN, "ACPI: table %.4s at %#llx has a length of %u: ignored\n",
               h->signature, (unsigned long long)pa, len);
        return NULL;
    }
    const struct sdt *t = map_firmware(pa, len);
    if (t && !sums_to_zero(t, len)) {
        printk(LOG_WARN, "ACPI: table %.4s at %#llx has a wrong checksum: ignored\n",
               t->signature, (unsigned long long)pa);
        return NULL;
    }
    return t;
}

static void parse_table(paddr_t pa)
{
    const struct sdt *h = pa ? map_firmware(pa, sizeof(*h)) : NULL;
    for (unsigned i = 0; h && i < ARRAY_SIZE(parsers); i++) {
        if (memcmp(h->signature, parsers[i].signature, 4) == 0) {
            const struct sdt *t = map_table(pa, parsers[i].min_length);
            if (t)
                parsers[i].parse((const u8 *)t, t->length);
        }
    }
}

static bool rsdp_ok(const u8 *p, size_t len)
{
    return len >= 20 && memcmp(p, "RSD PTR ", 8) == 0 && sums_to_zero(p, 20);
}

static const u8 *scan_rsdp(paddr_t from, size_t len)
{
    const u8 *p = map_firmware(from, len);
    for (size_t off = 0; p && off + 36 <= len; off += 16) {
        if (rsdp_ok(p + off, len - off))
            return p + off;
    }
    return NULL;
}

static const u8 *find_rsdp(void)
{
    if (rsdp_ok(boot_info.rsdp, sizeof(boot_info.rsdp)))
        return boot_info.rsdp;
    const u8 *bda = map_firmware(0x400, 0x100);     /* 0x40e: segment of the EBDA */
    paddr_t ebda = bda ? (paddr_t)field(bda, 0x100, 0xe, 2) << 4 : 0;
    const u8 *p = ebda >= 0x80000 && ebda < 0xa0000 ? scan_rsdp(ebda, 1024) : NULL;
    return p ?: scan_rsdp(0xe0000, 0x20000);
}

void acpi_init(void)
{
    acpi.reset_kind = 0xff;
    const u8 *rsdp = find_rsdp();
    if (!rsdp)
        panic("ACPI: no RSDP: Bulkhead needs a machine with ACPI tables");
    paddr_t xsdt = rsdp[15] >= 2 && field(rsdp, 36, 20, 4) >= 36 && sums_to_zero(rsdp, 36)
                 ? field(rsdp, 36, 24, 8) : 0;
    u32 entry = 8;
    const struct sdt *root = map_table(xsdt, sizeof(*root));
    if (!root) {
        entry = 4;
        root = map_table(field(rsdp, 36, 16, 4), sizeof(*root));
    }
    if (!root || memcmp(root->signature, entry == 8 ? "XSDT" : "RSDT", 4) != 0)
        panic("ACPI: the root table is broken");
    const u8 *t = (const u8 *)root;
    for (u32 off = sizeof(*root); off + entry <= root->length; off += entry)
        parse_table(field(t, root->length, off, entry));
    printk(LOG_INFO, "ACPI: %u CPUs, %u IO-APICs, LAPIC %#llx, PM timer %#x, HPET %#llx, MMCONFIG %#llx\n",
           acpi.nr_cpus, acpi.nr_ioapics, (unsigned long long)acpi.lapic_addr, acpi.pm_timer_port,
           (unsigned long long)acpi.hpet_addr,
           (unsigned long long)(acpi.nr_mcfg ? acpi.mcfg[0].base : 0));
    if (!acpi.nr_ioapics)
        panic("ACPI: no MADT with an IO-APIC: Bulkhead needs one");
}

/* --- power-off values --- */

/* A small integer constant of AML: 0, 1, or a byte. Advances *p. */
static bool aml_small(const u8 *t, u32 len, u32 *p, u8 *v)
{
    if (*p < len && t[*p] <= 1) {                           /* ZeroOp, OneOp */
        *v = t[(*p)++];
        return true;
    }
    if (*p + 1 < len && t[*p] == 0x0a) {                    /* BytePrefix */
        *v = t[*p + 1];
        *p += 2;
        return true;
    }
    return false;
}

/* Name (_S5_, Package (n) { a, b, ... }) in a piece of AML. */
static bool find_s5(const u8 *t, u32 len, u8 *a, u8 *b)
{
    for (u32 i = 1; i + 8 <= len; i++) {
        if (memcmp(t + i, "_S5_", 4) != 0 || t[i + 4] != 0x12 ||
            !(t[i - 1] == 0x08 || t[i - 1] == '\\')) {
            continue;
        }
        u32 p = i + 5 + 1 + (t[i + 5] >> 6) + 1;            /* PkgLength, NumElements */
        if (aml_small(t, len, &p, a)) {
            *b = *a;
            aml_small(t, len, &p, b);
            return *a < 8 && *b < 8;
        }
    }
    return false;
}

bool acpi_s5_values(u8 *a, u8 *b)
{
    const struct sdt *dsdt = map_table(acpi.dsdt, sizeof(*dsdt));
    return dsdt && memcmp(dsdt->signature, "DSDT", 4) == 0 &&
           find_s5((const u8 *)dsdt, dsdt->length, a, b);
}
