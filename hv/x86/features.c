/* SPDX-License-Identifier: MIT */
/*
 * What the CPU has, and the control registers that Bulkhead runs with. The boot
 * CPU's values are applied to every other CPU. Written at start only, no lock.
 */
#include "options.h"
#include "x86/machine.h"

#define CR0_RUN  0x80010033UL   /* PG WP NE ET MP PE; caches on, TS off */
#define CR4_RUN  0x000000e0UL   /* PGE MCE PAE */
#define XCR0_KNOWN 7            /* x87, SSE, AVX */
#define EFER_BASE 0x500         /* LMA LME */

struct cpu_features cpu_has;
static u64 run_cr4;

static bool use_smep = true;
OPTION_BOOL(use_smep, "smep", "no execution of guests' pages in Bulkhead");
static char smap_text[16];
OPTION_STR(smap_text, "smap", "no access to guests' pages by accident; off under QEMU's TCG unless smap=1");

/* Zeros for a leaf that the CPU does not have. */
static void leaf(u32 n, u32 r[4])
{
    cpuid(n & 0xffff0000, 0, r);
    if (n > r[0])
        memset(r, 0, 4 * sizeof(*r));
    else
        cpuid(n, 0, r);
}

static bool under_tcg(void)
{
    u32 r[4];
    leaf(1, r);
    if (!(r[2] >> 31))
        return false;
    cpuid(0x40000000, 0, r);
    return !memcmp(&r[1], "TCGTCGTCGTCG", 12);
}

static void read_features(void)
{
    u32 r[4];
    leaf(0, r);
    memcpy(cpu_has.vendor, (u32[]){ r[1], r[3], r[2] }, 12);
    cpu_has.amd = !strcmp(cpu_has.vendor, "AuthenticAMD") || !strcmp(cpu_has.vendor, "HygonGenuine");
    cpu_has.intel = !strcmp(cpu_has.vendor, "GenuineIntel");

    leaf(1, r);
    cpu_has.stepping = r[0] & 15;
    u32 family = r[0] >> 8 & 15;
    cpu_has.family = family + (family == 15 ? r[0] >> 20 & 0xff : 0);
    cpu_has.model = (r[0] >> 4 & 15) | (family >= 6 ? r[0] >> 12 & 0xf0 : 0);
    cpu_has.x2apic = r[2] >> 21 & 1;
    cpu_has.tsc_deadline = r[2] >> 24 & 1;
    cpu_has.xsave = r[2] >> 26 & 1;
    if (!(r[3] >> 16 & 1))
        panic("this CPU has no page attribute table");
    leaf(7, r);
    cpu_has.smep = r[1] >> 7 & 1;
    cpu_has.smap = r[1] >> 20 & 1;
    leaf(0xd, r);
    cpu_has.xcr0 = cpu_has.xsave ? r[0] & XCR0_KNOWN : 0;

    leaf(0x80000001, r);
    cpu_has.page1g = r[3] >> 26 & 1;
    for (u32 i = 0; i < 3; i++) {
        leaf(0x80000002 + i, r);
        memcpy(cpu_has.brand + 16UL * i, r, 16);
    }
    leaf(0x80000007, r);
    cpu_has.tsc_invariant = r[3] >> 8 & 1;
    leaf(0x80000008, r);
    cpu_has.phys_bits = (u8)r[0] ?: 36;
}

void cpu_features_apply(void)
{
    write_cr0(CR0_RUN);
    write_cr4(run_cr4);
    wrmsr(MSR_EFER, EFER_BASE | EFER_SCE | EFER_NXE);
    wrmsr(MSR_PAT, HV_PAT);
    if (cpu_has.xsave)
        __asm__ volatile("xsetbv" :: "c"(0), "a"((u32)cpu_has.xcr0), "d"((u32)(cpu_has.xcr0 >> 32)));
}

static void choose_smap(void)
{
    int asked = smap_text[0] ? parse_bool(smap_text) : -1;
    if (asked < 0 && cpu_has.smap && under_tcg()) {
        printk(LOG_INFO, "CPU: SMAP stays off, QEMU's emulation of it is wrong (smap=1 to use it)\n");
        asked = 0;
    }
    cpu_has.smap &= asked != 0;
    cpu_has.smep &= use_smep;
}

void cpu_features_init(void)
{
    read_features();
    choose_smap();
    run_cr4 = CR4_RUN | CR4_OSFXSR | CR4_OSXMMEXCPT | (cpu_has.smep ? CR4_SMEP : 0) |
              (cpu_has.smap ? CR4_SMAP : 0) | (cpu_has.xsave ? CR4_OSXSAVE : 0);
    cpu_features_apply();
    printk(LOG_INFO, "CPU: %s (%s, family %u model %u stepping %u)%s%s%s%s%s\n",
           cpu_has.brand, cpu_has.vendor, cpu_has.family, cpu_has.model, cpu_has.stepping,
           cpu_has.smep ? ", SMEP" : "", cpu_has.smap ? ", SMAP" : "", cpu_has.xsave ? ", XSAVE" : "",
           cpu_has.x2apic ? ", x2APIC" : "", cpu_has.tsc_deadline ? ", TSC deadline" : "");
}
