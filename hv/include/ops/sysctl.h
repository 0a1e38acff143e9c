/* SPDX-License-Identifier: MIT */
/*
 * sysctl: OP(number, name, rights, note), NO_OP(number, name, errno, why), and
 * OP_AT(number, name, its part of struct xen_sysctl if that is not `name`, rights, note).
 * sysctl_<name> serves it, in core/sysctl.c or x86/policy.c.
 */
OP(XEN_SYSCTL_readconsole, readconsole, RIGHT_CONTROL, "")
OP(XEN_SYSCTL_physinfo, physinfo, RIGHT_CONTROL, "")
OP(XEN_SYSCTL_sched_id, sched_id, RIGHT_CONTROL, "credit2's parameters are what ours takes")
OP(XEN_SYSCTL_getdomaininfolist, getdomaininfolist, RIGHT_CONTROL, "")
OP(XEN_SYSCTL_debug_keys, debug_keys, RIGHT_CONTROL, "at most 32 at once, else E2BIG")
OP(XEN_SYSCTL_getcpuinfo, getcpuinfo, RIGHT_CONTROL, "")
OP(XEN_SYSCTL_availheap, availheap, RIGHT_CONTROL, "all free memory: no account by address width")
OP(XEN_SYSCTL_cputopoinfo, cputopoinfo, RIGHT_CONTROL, "")
OP(XEN_SYSCTL_numainfo, numainfo, RIGHT_CONTROL, "one node")
OP(XEN_SYSCTL_pcitopoinfo, pcitopoinfo, RIGHT_CONTROL, "one node: every device is near it")
OP(XEN_SYSCTL_cpupool_op, cpupool_op, RIGHT_CONTROL, "INFO and FREEINFO of pool 0; what would change pools: EOPNOTSUPP")
OP(XEN_SYSCTL_scheduler_op, scheduler_op, RIGHT_CONTROL, "pool 0 only, else ESRCH")
OP_AT(XEN_SYSCTL_get_cpu_levelling_caps, get_cpu_levelling_caps, cpu_levelling_caps, RIGHT_CONTROL, "none: CPUID is neither masked nor faulting")
OP_AT(XEN_SYSCTL_get_cpu_featureset, get_cpu_featureset, cpu_featureset, RIGHT_CONTROL, "EOPNOTSUPP for HVM")
OP_AT(XEN_SYSCTL_get_cpu_policy, get_cpu_policy, cpu_policy, RIGHT_CONTROL, "EOPNOTSUPP for HVM")
NO_OP(XEN_SYSCTL_tbuf_op, tbuf_op, ENOSYS, "no trace buffers for tools")
NO_OP(XEN_SYSCTL_perfc_op, perfc_op, ENOSYS, "no performance counters")
NO_OP(XEN_SYSCTL_get_pmstat, get_pmstat, ENODEV, "no power management by Bulkhead")
NO_OP(XEN_SYSCTL_cpu_hotplug, cpu_hotplug, EOPNOTSUPP, "the set of CPUs is fixed at start")
NO_OP(XEN_SYSCTL_pm_op, pm_op, ENODEV, "no power management by Bulkhead")
NO_OP(XEN_SYSCTL_page_offline_op, page_offline_op, EOPNOTSUPP, "bad memory is not taken out of use")
NO_OP(XEN_SYSCTL_lockprof_op, lockprof_op, ENOSYS, "no lock profiling")
NO_OP(XEN_SYSCTL_coverage_op, coverage_op, EOPNOTSUPP, "not by this call")
NO_OP(XEN_SYSCTL_psr_cmt_op, psr_cmt_op, ENODEV, "no cache monitoring")
NO_OP(XEN_SYSCTL_psr_alloc, psr_alloc, ENODEV, "no cache allocation")
NO_OP(XEN_SYSCTL_livepatch_op, livepatch_op, EOPNOTSUPP, "no live patching")
