/* SPDX-License-Identifier: MIT */
/* What x86/policy.c and x86/policy_guest.c share. */
#pragma once

#include "policy.h"
#include <xen/arch-x86/cpuid.h>

/* CPUID by leaf and subleaf: a slot for each that there may be, in their order; which ones
 * are there stands in the slots. Leaves without subleaves have XEN_CPUID_NO_SUBLEAF; what
 * depends on the vCPU (APIC id, sizes for its XCR0) is filled in by guest_cpuid. No MSR
 * differs from zero in any policy. */
#define POLICY_SLOTS  118
#define EXTENDED_SLOT 84    /* leaf 0x80000000; leaf 0 is the first */
struct cpu_policy {
    u32 nr;             /* of the slots that are not empty */
    xen_cpuid_leaf_t leaf[POLICY_SLOTS];
};

/* Words of a featureset: arch-x86/cpufeatureset.h. 16 and 17 are an MSR that no
 * guest is shown. */
#define FEATURE_WORDS 19

const struct cpu_policy *policy_of(const struct domain *d);
/* NULL: not there, all zero. */
const xen_cpuid_leaf_t *policy_find(const struct cpu_policy *p, u32 leaf, u32 subleaf);
bool policy_has_subleaves(u32 leaf);
