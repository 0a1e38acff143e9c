/* SPDX-License-Identifier: MIT */
/*
 * CPUID and MSRs as a guest meets them. Owns nothing: reads the domain's policy,
 * which does not change while it runs; no lock.
 */
#include "arch.h"
#include "mm.h"
#include "x86/cpu_policy.h"
#include "x86/domain.h"
#include "x86/machine.h"

#define MSR_PLATFORM_ID    0x17
#define MSR_UCODE_LEVEL    0x8b
#define MSR_PLATFORM_INFO  0xce
#define MSR_MCG_CAP        0x179
#define MSR_MCG_CTL        0x17b
#define MSR_MISC_ENABLE    0x1a0
#define MSR_MC0_CTL        0x400
#define MSR_MC_LAST        0x47f
#define MSR_K7_EVNTSEL0    0xc0010000
#define MSR_K7_PERFCTR3    0xc0010007
#define MSR_HWCR           0xc0010015
#define MSR_INT_PENDING    0xc0010055
#define MSR_DE_CFG         0xc0011029

#define APIC_BASE_BSP      (1u << 8)
#define APIC_BASE_ENABLE   (1u << 11)
#define EFER_LME_LMA       0x500
#define MISC_FAST_STRING   (1u << 0)
#define MISC_NO_BTS_PEBS   (3u << 11)
#define HWCR_TSC_FREQ_SEL  (1u << 24)
#define DE_CFG_LFENCE      (1u << 1)

#define XSTATE_HEADER_END  576u     /* legacy area and header; SDM vol. 1, 13.4 */

/* Bytes of the XSAVE area for the states of xcr0, in the standard or compacted form. */
static u32 xstate_size(const struct cpu_policy *p, u64 xcr0, bool compacted)
{
    u32 size = XSTATE_HEADER_END;

    for (u32 i = 2; i < 63; i++) {
        const xen_cpuid_leaf_t *l = (xcr0 >> i) & 1 ? policy_find(p, 0xd, i) : NULL;
        if (!l)
            continue;
        if (compacted)
            size = (l->c & 2 ? ROUND_UP(size, 64u) : size) + l->a;
        else
            size = MAX(size, l->b + l->a);
    }
    return size;
}

static void xstate_leaf(struct vcpu *v, const struct cpu_policy *p, u32 subleaf, struct cpuid_regs *r)
{
    u64 all = (u64)r->d << 32 | r->a, now_on = xv(v)->xcr0 ? xv(v)->xcr0 : 1;

    if (!cpu_has.xsave) {
        *r = (struct cpuid_regs){ 0 };
    } else if (subleaf == 0) {
        r->b = xstate_size(p, now_on & all, false);
        r->c = xstate_size(p, all, false);
    } else if (subleaf == 1) {
        r->b = r->a & 0xa ? xstate_size(p, now_on, true) : 0;
    }
}

/* Leaf 0x40000003: the guest's clock. */
static void time_leaf(struct vcpu *v, u32 subleaf, struct cpuid_regs *r)
{
    const struct domain *d = v->domain;

    switch (subleaf) {
    case 0:
        r->a = cpu_has.tsc_invariant ? 2 : 0;
        r->b = d->tsc_mode;
        r->c = d->tsc_khz ? d->tsc_khz : (u32)cpu_khz();
        r->d = d->tsc_incarnation;
        break;
    case 1:     /* the offset is 0: system time counts from Bulkhead's start for all */
        r->c = v->info->time.tsc_to_system_mul;
        r->d = (u32)v->info->time.tsc_shift;
        break;
    case 2:
        r->a = (u32)cpu_khz();
        break;
    }
}

static void hypervisor_leaf(struct vcpu *v, u32 n, u32 subleaf, struct cpuid_regs *r)
{
    switch (n) {
    case 0:
        r->a = XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES);
        r->b = XEN_CPUID_SIGNATURE_EBX;
        r->c = XEN_CPUID_SIGNATURE_ECX;
        r->d = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        r->a = 4 << 16 | 17;
        break;
    case 2:
        r->a = 1;
        r->b = 0x40000000;
        r->c = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        time_leaf(v, subleaf, r);
        break;
    case 5:
        if (subleaf == 0)
            r->b = fls64(MAX(max_mfn, (u64)1 << 20) - 1) + 1 + PAGE_SHIFT;
        break;
    }
}

void guest_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *r)
{
    const struct cpu_policy *p = policy_of(v->domain);
    const xen_cpuid_leaf_t *l;

    *r = (struct cpuid_regs){ 0 };
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < XEN_CPUID_FIRST_LEAF + 0x10000) {
        hypervisor_leaf(v, leaf - XEN_CPUID_FIRST_LEAF, subleaf, r);
        return;
    }
    l = policy_find(p, leaf & 0x80000000, XEN_CPUID_NO_SUBLEAF);
    if (!l || leaf > l->a)
        return;
    l = policy_find(p, leaf, policy_has_subleaves(leaf) ? subleaf : XEN_CPUID_NO_SUBLEAF);
    if (l)
        *r = (struct cpuid_regs){ l->a, l->b, l->c, l->d };
    switch (leaf) {
    case 1:
        r->b |= (v->id * 2) << 24;
        if (r->c & (1u << 26)) {
            r->c |= 1u << 27;       /* OSXSAVE: Bulkhead's own CR4 has it, and so has the guest */
        }
        break;
    case 0xb:
        r->d = v->id * 2;
        r->c = subleaf & 0xff;
        break;
    case 0xd:
        xstate_leaf(v, p, subleaf, r);
        break;
    }
}

/* A register of the machine that guests may see through a mask; 0 if it has none. */
static u64 host_msr(u32 msr, u64 mask)
{
    u64 value;
    return rdmsr_safe(msr, &value) ? 0 : value & mask;
}

static bool is_machine_check(u32 msr)
{
    return (msr >= MSR_MCG_CAP && msr <= MSR_MCG_CTL) || (msr >= MSR_MC0_CTL && msr <= MSR_MC_LAST);
}

static bool is_k7_counter(u32 msr)
{
    return cpu_has.amd && msr >= MSR_K7_EVNTSEL0 && msr <= MSR_K7_PERFCTR3;
}

int guest_rdmsr(struct vcpu *v, u32 msr, u64 *value)
{
    *value = 0;
    if (is_machine_check(msr) || is_k7_counter(msr)) {
        return 0;                   /* no banks, no counters */
    }
    switch (msr) {
    case MSR_TSC:
        *value = rdtsc();
        return 0;
    case MSR_APIC_BASE:
        *value = 0xfee00000 | APIC_BASE_ENABLE | (v->id == 0 ? APIC_BASE_BSP : 0);
        return 0;
    case MSR_PAT:
        *value = HV_PAT;
        return 0;
    case MSR_EFER:
        *value = EFER_SCE | EFER_LME_LMA | EFER_NXE;
        return 0;
    case MSR_UCODE_LEVEL:
        *value = host_msr(msr, ~0ul);
        return 0;
    case MSR_PLATFORM_ID:
    case MSR_PLATFORM_INFO:
        return cpu_has.intel ? 0 : -EPERM;
    case MSR_MISC_ENABLE:
        *value = MISC_NO_BTS_PEBS | MISC_FAST_STRING;
        return cpu_has.intel ? 0 : -EPERM;
    case MSR_HWCR:
        *value = host_msr(msr, HWCR_TSC_FREQ_SEL);
        return cpu_has.amd ? 0 : -EPERM;
    case MSR_DE_CFG:
        *value = host_msr(msr, DE_CFG_LFENCE);
        return cpu_has.amd ? 0 : -EPERM;
    case MSR_INT_PENDING:
        return cpu_has.amd ? 0 : -EPERM;
    default:
        return -EPERM;
    }
}

int guest_wrmsr(struct vcpu *v, u32 msr, u64 value)
{
    u64 old;

    if (is_machine_check(msr) || is_k7_counter(msr)) {
        return 0;                   /* dropped */
    }
    switch (msr) {
    case MSR_UCODE_LEVEL:           /* writing 0 is how its level is asked for */
    case MSR_MISC_ENABLE:
    case MSR_HWCR:
    case MSR_DE_CFG:
        return guest_rdmsr(v, msr, &old);
    case MSR_APIC_BASE:
    case MSR_PAT:
    case MSR_EFER:                  /* no change, no harm */
        return guest_rdmsr(v, msr, &old) || old != value ? -EPERM : 0;
    default:
        return -EPERM;
    }
}
