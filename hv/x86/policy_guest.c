/* SPDX-License-Identifier: MIT */
/*
 * CPUID and MSRs as a guest meets them. Owns nothing: reads the domain's policy,
 * which does not change while it runs; no lock.
 */
#include "arch.h"
#include "x86/cpu_policy.h"
#include "x86/domain.h"
#include "x86/machine.h"

enum {
    MSR_PLATFORM_ID = 0x17, MSR_UCODE_LEVEL = 0x8b, MSR_PLATFORM_INFO = 0xce, MSR_MCG_CAP = 0x179,
    MSR_MCG_CTL = 0x17b, MSR_MISC_ENABLE = 0x1a0, MSR_MC0_CTL = 0x400, MSR_MC_LAST = 0x47f,
    MSR_K7_EVNTSEL0 = 0xc0010000, MSR_K7_PERFCTR3 = 0xc0010007, MSR_HWCR = 0xc0010015,
    MSR_INT_PENDING = 0xc0010055, MSR_DE_CFG = 0xc0011029,
};
/* Bits of EFER, MSR_APIC_BASE, MISC_ENABLE, HWCR, DE_CFG. */
enum {
    EFER_LME_LMA = 0x500, APIC_BASE_BSP = 1 << 8, APIC_BASE_ENABLE = 1 << 11, MISC_FAST_STRING = 1,
    MISC_NO_BTS_PEBS = 3 << 11, HWCR_TSC_FREQ_SEL = 1 << 24, DE_CFG_LFENCE = 1 << 1,
};

#define XSTATE_HEADER_END  576u     /* legacy area and header; SDM vol. 1, 13.4 */

/* Bytes of the XSAVE area for the states of xcr0, in the standard or compacted form. */
static u32 xstate_size(const struct cpu_policy *p, u64 xcr0, bool compacted)
{
    u32 size = XSTATE_HEADER_END;
    for (u32 i = 2; i < 63; i++) {
        const xen_cpuid_leaf_t *l = (xcr0 >> i) & 1 ? policy_find(p, 0xd, i) : NULL;
        if (l && compacted)
            size = (l->c & 2 ? ROUND_UP(size, 64u) : size) + l->a;
        else if (l)
            size = MAX(size, l->b + l->a);
    }
    return size;
}

/* A guest's XCR0 changes nothing: the CPU keeps all states on. */
static void xstate_leaf(const struct cpu_policy *p, u32 sub, struct cpuid_regs *r)
{
    if (!cpu_has.xsave)
        *r = (struct cpuid_regs){ 0 };
    else if (sub == 0)
        r->b = r->c = xstate_size(p, cpu_has.xcr0, false);
    else if (sub == 1)
        r->b = r->a & 0xa ? xstate_size(p, cpu_has.xcr0, true) : 0;
}

/* Leaf 0x40000003: the guest's clock. */
static void time_leaf(struct vcpu *v, u32 subleaf, struct cpuid_regs *r)
{
    const struct domain *d = v->domain;
    const struct vcpu_time_info *t = &v->info->time;
    if (subleaf == 0)
        *r = (struct cpuid_regs){ cpu_has.tsc_invariant ? 2 : 0, d->tsc_mode,
                                  d->tsc_khz ? d->tsc_khz : (u32)cpu_khz(), d->tsc_incarnation };
    else if (subleaf == 1)      /* no offset: system time counts from Bulkhead's start for all */
        *r = (struct cpuid_regs){ 0, 0, t->tsc_to_system_mul, (u32)t->tsc_shift };
    else if (subleaf == 2)
        r->a = (u32)cpu_khz();
}

static void hypervisor_leaf(struct vcpu *v, u32 n, u32 subleaf, struct cpuid_regs *r)
{
    static const struct cpuid_regs constant[] = {
        { XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES), XEN_CPUID_SIGNATURE_EBX,
          XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX },
        { .a = 4 << 16 | 17 },
        { 1, 0x40000000, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0 },
    };
    if (n < ARRAY_SIZE(constant))
        *r = constant[index_nospec(n, ARRAY_SIZE(constant))];
    else if (n == 3)
        time_leaf(v, subleaf, r);
    else if (n == 5 && subleaf == 0)
        r->b = fls64(MAX(max_mfn, (u64)1 << 20) - 1) + 1 + PAGE_SHIFT;
}

void guest_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *r)
{
    const struct cpu_policy *p = policy_of(v->domain);
    *r = (struct cpuid_regs){ 0 };
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < XEN_CPUID_FIRST_LEAF + 0x10000) {
        hypervisor_leaf(v, leaf - XEN_CPUID_FIRST_LEAF, subleaf, r);
        return;
    }
    if (leaf > p->leaf[leaf >> 31 ? EXTENDED_SLOT : 0].a)
        return;
    if (!policy_has_subleaves(leaf))
        subleaf = XEN_CPUID_NO_SUBLEAF;
    const xen_cpuid_leaf_t *l = policy_find(p, leaf, subleaf);
    if (l)
        *r = (struct cpuid_regs){ l->a, l->b, l->c, l->d };
    if (leaf == 1) {
        r->b |= (v->id * 2) << 24;
        r->c |= (r->c & 1u << 26) << 1;     /* OSXSAVE: in Bulkhead's own CR4, and so the guest's */
    } else if (leaf == 0xb) {
        r->d = v->id * 2;
        r->c = subleaf & 0xff;
    } else if (leaf == 0xd) {
        xstate_leaf(p, subleaf, r);
    }
}

/* --- MSRs --- */

enum makers { ANY, INTEL, AMD };
enum writes { REFUSED, UNCHANGED, DROPPED };    /* UNCHANGED: no change, no harm */

static const struct guest_msr {
    u32 first, last;
    enum makers on;
    enum writes writes;
    u64 value, host_mask;   /* what it reads as, with these bits of the machine's register */
} msrs[] = {
    { MSR_EFER, MSR_EFER, ANY, UNCHANGED, EFER_SCE | EFER_LME_LMA | EFER_NXE, 0 },
    { MSR_TSC, MSR_TSC, ANY, REFUSED, 0, 0 },
    { MSR_APIC_BASE, MSR_APIC_BASE, ANY, UNCHANGED, 0xfee00000 | APIC_BASE_ENABLE, 0 },
    { MSR_PAT, MSR_PAT, ANY, UNCHANGED, HV_PAT, 0 },
    { MSR_UCODE_LEVEL, MSR_UCODE_LEVEL, ANY, DROPPED, 0, ~0ul },   /* 0 is written to ask for it */
    { MSR_PLATFORM_ID, MSR_PLATFORM_ID, INTEL, REFUSED, 0, 0 },
    { MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, INTEL, REFUSED, 0, 0 },
    { MSR_MISC_ENABLE, MSR_MISC_ENABLE, INTEL, DROPPED, MISC_NO_BTS_PEBS | MISC_FAST_STRING, 0 },
    { MSR_HWCR, MSR_HWCR, AMD, DROPPED, 0, HWCR_TSC_FREQ_SEL },
    { MSR_DE_CFG, MSR_DE_CFG, AMD, DROPPED, 0, DE_CFG_LFENCE },
    { MSR_INT_PENDING, MSR_INT_PENDING, AMD, REFUSED, 0, 0 },
    { MSR_MCG_CAP, MSR_MCG_CTL, ANY, DROPPED, 0, 0 },               /* no banks */
    { MSR_MC0_CTL, MSR_MC_LAST, ANY, DROPPED, 0, 0 },
    { MSR_K7_EVNTSEL0, MSR_K7_PERFCTR3, AMD, DROPPED, 0, 0 },       /* no counters */
};

/* NULL: guests on this machine have not got it. */
static const struct guest_msr *find_msr(u32 msr)
{
    for (const struct guest_msr *m = msrs; m < msrs + ARRAY_SIZE(msrs); m++) {
        if (msr >= m->first && msr <= m->last)
            return m->on == ANY || (m->on == AMD ? cpu_has.amd : cpu_has.intel) ? m : NULL;
    }
    return NULL;
}

int guest_rdmsr(struct vcpu *v, u32 msr, u64 *value)
{
    const struct guest_msr *m = find_msr(msr);
    u64 host;
    *value = 0;
    if (!m)
        return -EPERM;
    *value = msr == MSR_TSC ? rdtsc() : m->value;
    if (msr == MSR_APIC_BASE && v->id == 0)
        *value |= APIC_BASE_BSP;
    if (m->host_mask && !rdmsr_safe(msr, &host))
        *value |= host & m->host_mask;
    return 0;
}

int guest_wrmsr(struct vcpu *v, u32 msr, u64 value)
{
    const struct guest_msr *m = find_msr(msr);
    u64 old;
    if (!m || m->writes == REFUSED)
        return -EPERM;
    return m->writes == DROPPED || (!guest_rdmsr(v, msr, &old) && old == value) ? 0 : -EPERM;
}
