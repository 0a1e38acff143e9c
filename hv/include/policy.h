/* SPDX-License-Identifier: MIT */
/*
 * CPUID and MSR policies (x86/policy.c, x86/policy_guest.c): what the machine has, what
 * a guest may see at most and by default, and what the toolstack has chosen for a
 * domain. guest_cpuid, guest_rdmsr and guest_wrmsr stand in x86/domain.h.
 */
#pragma once

#include "domain.h"
#include <xen/platform.h>
#include <xen/sysctl.h>

#define POLICY_MAX_LEAVES 128   /* what a caller's buffer must hold */
#define POLICY_MAX_MSRS   2

/* Once, after cpu_features_init. */
void policy_init(void);

/* XEN_SYSCTL_get_cpu_policy, XEN_SYSCTL_get_cpu_featureset. -ENOBUFS: cut short, p is
 * to be copied back nevertheless. */
long sysctl_get_cpu_policy(struct xen_sysctl_cpu_policy *p);
long sysctl_get_cpu_featureset(struct xen_sysctl_cpu_featureset *f);

/* The machine for XEN_SYSCTL_physinfo: threads, cores, hw_cap. */
void policy_physinfo(struct xen_sysctl_physinfo *pi);
void policy_cpu_topology(unsigned cpu, struct xen_sysctl_cputopo *t);
void policy_cpu_version(struct xenpf_pcpu_version *pv);
