// links: hv/x86/policy.c hv/x86/policy_guest.c
// SPDX-License-Identifier: MIT
/* CPUID and MSR policies, made from the CPU that runs the test. */
#include "unit.h"
#include "arch.h"
#include "domctl.h"
#include "mm.h"
#include "x86/cpu_policy.h"
#include "x86/domain.h"
#include "x86/machine.h"

struct cpu_features cpu_has;
u64 max_mfn = 1 << 20;
u64 cpu_khz(void) { return 2000000; }
void *xzalloc(size_t n) { return calloc(1, n); }
void xfree(void *p) { free(p); }
int rdmsr_safe(u32 m, u64 *v) { (void)m; *v = ~0ul; return 0; }

static int copy_from(struct vcpu *v, void *dst, u64 src, size_t n) { (void)v; memcpy(dst, (void *)src, n); return 0; }
static int copy_to(struct vcpu *v, u64 dst, const void *src, size_t n) { (void)v; memcpy((void *)dst, src, n); return 0; }
static const struct guest_ops ops = { .copy_from = copy_from, .copy_to = copy_to };
static struct domain dom0_d = { .id = 0, .rights = RIGHT_HARDWARE | RIGHT_CONTROL, .ops = &ops };
static struct domain dom_u = { .id = 3, .ops = &ops };
static struct vcpu_info info;
static struct x86_vcpu v0 = { .v = { .domain = &dom0_d, .info = &info } };
static struct x86_vcpu v3 = { .v = { .domain = &dom_u, .id = 3, .info = &info } };

static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES + 1];

static long call(long (*handler)(struct domctl *), struct xen_domctl_cpu_policy *p)
{
    struct domctl c = { .caller = &v0.v, .d = &dom_u, .op.u.cpu_policy = *p };
    long rc = handler(&c);
    *p = c.op.u.cpu_policy;
    return rc;
}

static void start(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    cpu_has.amd = r[1] == 0x68747541;       /* Auth */
    cpu_has.intel = r[1] == 0x756e6547;     /* Genu */
    cpuid(1, 0, r);
    cpu_has.xsave = (r[2] >> 26) & 1;
    cpu_has.tsc_invariant = true;
    if (cpu_has.xsave) {
        cpuid(0xd, 0, r);
        cpu_has.xcr0 = r[0] & 7;
    }
    test_cpu_top.curr = &v0.v;
    policy_init();
    xfree(dom_u.policy);
    dom_u.policy = NULL;
    dom_u.creation_finished = false;
}

static u32 get(u32 index)
{
    struct xen_sysctl_cpu_policy p = { .index = index, .nr_leaves = POLICY_MAX_LEAVES };
    p.leaves.p = leaves;
    CHECK_EQ(sysctl_get_cpu_policy(&p), 0);
    return p.nr_leaves;
}

static xen_cpuid_leaf_t *find(u32 n, u32 leaf, u32 sub)
{
    for (u32 i = 0; i < n; i++) {
        if (leaves[i].leaf == leaf && leaves[i].subleaf == sub) {
            return &leaves[i];
        }
    }
    return NULL;
}

TEST(lists_are_sorted)
{
    start();
    for (u32 index = 0; index < 5; index++) {
        if (index == XEN_SYSCTL_cpu_policy_hvm_max) {
            continue;
        }
        u32 n = get(index);
        CHECK(n > 4 && n <= POLICY_MAX_LEAVES);
        for (u32 i = 1; i < n; i++) {
            u64 a = (u64)leaves[i - 1].leaf << 32 | leaves[i - 1].subleaf;
            u64 b = (u64)leaves[i].leaf << 32 | leaves[i].subleaf;
            CHECK(a < b);
        }
    }
}

TEST(sysctl_errors)
{
    start();
    struct xen_sysctl_cpu_policy p = { .index = 0 };
    CHECK_EQ(sysctl_get_cpu_policy(&p), 0);          /* size query */
    CHECK_EQ(p.nr_leaves, POLICY_MAX_LEAVES);
    CHECK_EQ(p.nr_msrs, POLICY_MAX_MSRS);
    p.leaves.p = leaves;
    p.nr_leaves = 3;
    CHECK_EQ(sysctl_get_cpu_policy(&p), -ENOBUFS);
    CHECK(p.nr_leaves > 3);
    p._rsvd = 1;
    CHECK_EQ(sysctl_get_cpu_policy(&p), -EINVAL);
    p._rsvd = 0;
    p.index = XEN_SYSCTL_cpu_policy_hvm_default;
    CHECK_EQ(sysctl_get_cpu_policy(&p), -EOPNOTSUPP);
    p.index = 6;
    CHECK_EQ(sysctl_get_cpu_policy(&p), -EINVAL);
}

TEST(featuresets)
{
    u32 words[32];
    start();
    struct xen_sysctl_cpu_featureset f = { .index = XEN_SYSCTL_cpu_featureset_host };
    CHECK_EQ(sysctl_get_cpu_featureset(&f), 0);
    CHECK_EQ(f.nr_features, FEATURE_WORDS);
    f.features.p = words;
    f.nr_features = 32;
    CHECK_EQ(sysctl_get_cpu_featureset(&f), 0);
    CHECK_EQ(f.nr_features, FEATURE_WORDS);
    u32 r[4];
    cpuid(7, 0, r);
    CHECK_EQ(words[5], r[1]);
    f.nr_features = 2;
    CHECK_EQ(sysctl_get_cpu_featureset(&f), -ENOBUFS);
    f.index = XEN_SYSCTL_cpu_featureset_pv_max;
    f.nr_features = 32;
    CHECK_EQ(sysctl_get_cpu_featureset(&f), 0);
    CHECK_EQ(words[5] & (1u << 7 | 1u << 20 | 1u << 0 | 1u << 10), 0);     /* SMEP SMAP FSGSBASE INVPCID */
    f.index = XEN_SYSCTL_cpu_featureset_hvm;
    CHECK_EQ(sysctl_get_cpu_featureset(&f), -EOPNOTSUPP);
}

TEST(what_a_pv_guest_sees)
{
    struct cpuid_regs r;
    start();
    guest_cpuid(&v3.v, 1, 0, &r);
    CHECK_EQ(r.b >> 24, 6);
    CHECK(r.c & (1u << 31));                            /* HYPERVISOR */
    CHECK_EQ(r.c & (1u << 3 | 1u << 5 | 1u << 17 | 1u << 21 | 1u << 24), 0);
    CHECK_EQ((r.c >> 27) & 1, (r.c >> 26) & 1);         /* OSXSAVE goes with XSAVE */
    CHECK_EQ(r.d & (1u << 3 | 1u << 12 | 1u << 13), 0); /* PSE MTRR PGE */
    CHECK_EQ(r.d & (1u << 6 | 1u << 8 | 1u << 24 | 1u << 26), 1u << 6 | 1u << 8 | 1u << 24 | 1u << 26);
    guest_cpuid(&v3.v, 0x80000001, 0, &r);
    CHECK_EQ(r.d & (1u << 11 | 1u << 20 | 1u << 29), 1u << 11 | 1u << 20 | 1u << 29);
    CHECK_EQ(r.c & (1u << 2), 0);                       /* SVM */
    guest_cpuid(&v3.v, 5, 0, &r);
    CHECK_EQ(r.a | r.b | r.c | r.d, 0);
    guest_cpuid(&v3.v, 0x8000000a, 0, &r);
    CHECK_EQ(r.a | r.b | r.c | r.d, 0);
    guest_cpuid(&v3.v, 0xffffffff, 0, &r);
    CHECK_EQ(r.a | r.b | r.c | r.d, 0);
    guest_cpuid(&v3.v, 7, 0x1234, &r);
    CHECK_EQ(r.a | r.b | r.c | r.d, 0);
    guest_cpuid(&v3.v, 0x80000007, 0, &r);
    CHECK_EQ(r.d & (1u << 8), 0);                       /* ITSC: dom0 only */
    if (cpu_has.xsave) {
        guest_cpuid(&v3.v, 0xd, 0, &r);
        CHECK_EQ(r.a, cpu_has.xcr0);
        CHECK(r.c >= 576);
        CHECK_EQ(r.b, r.c);                             /* all states are on */
    }
}

TEST(hypervisor_leaves)
{
    struct cpuid_regs r;
    start();
    guest_cpuid(&v3.v, 0x40000000, 0, &r);
    CHECK_EQ(r.a, 0x40000005);
    CHECK(!memcmp(&r.b, "XenVMMXenVMM", 12));
    guest_cpuid(&v3.v, 0x40000001, 0, &r);
    CHECK_EQ(r.a, 0x40011);
    guest_cpuid(&v3.v, 0x40000005, 0, &r);
    CHECK_EQ(r.b, 32);
    for (u32 leaf = 0x40000100; leaf <= 0x4000ff00; leaf += 0x100) {
        guest_cpuid(&v3.v, leaf, 0, &r);
        CHECK_EQ(r.a | r.b | r.c | r.d, 0);
    }
}

TEST(toolstack_sets_a_policy)
{
    struct cpuid_regs r;
    start();
    u32 n = get(XEN_SYSCTL_cpu_policy_pv_default);
    struct xen_domctl_cpu_policy p = { .nr_leaves = n };
    p.leaves.p = leaves;
    CHECK_EQ(call(domctl_set_cpu_policy, &p), 0);  /* unmodified */
    CHECK(dom_u.policy != NULL);

    /* A feature less, and one more than there may be. */
    find(n, 7, 0)->b = 1u << 7 | 1u << 20;
    find(n, 1, XEN_CPUID_NO_SUBLEAF)->d &= ~(1u << 23);
    CHECK_EQ(call(domctl_set_cpu_policy, &p), 0);
    guest_cpuid(&v3.v, 7, 0, &r);
    CHECK_EQ(r.b, 0);
    guest_cpuid(&v3.v, 1, 0, &r);
    CHECK_EQ(r.d & (1u << 23), 0);

    struct xen_domctl_cpu_policy g = { .nr_leaves = POLICY_MAX_LEAVES };
    g.leaves.p = leaves;
    CHECK_EQ(call(domctl_get_cpu_policy, &g), 0);
    CHECK_EQ(find(g.nr_leaves, 7, 0)->b, 0);
    CHECK_EQ(call(domctl_set_cpu_policy, &g), 0);  /* as restore does */
    xfree(dom_u.policy);
    dom_u.policy = NULL;
}

TEST(toolstack_errors)
{
    start();
    u32 n = get(XEN_SYSCTL_cpu_policy_pv_default);
    struct xen_domctl_cpu_policy p = { .nr_leaves = n };
    p.leaves.p = leaves;
    leaves[0].a = 0x100;
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -EINVAL);
    CHECK_EQ(p.err_leaf, 0);
    leaves[0] = (xen_cpuid_leaf_t){ .leaf = 0x1000, .subleaf = XEN_CPUID_NO_SUBLEAF };
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -ERANGE);
    CHECK_EQ(p.err_leaf, 0x1000);
    leaves[0] = (xen_cpuid_leaf_t){ .leaf = 0xd, .subleaf = 63 };
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -ERANGE);
    CHECK_EQ(p.err_subleaf, 63);
    leaves[0] = (xen_cpuid_leaf_t){ .leaf = 2, .subleaf = 0 };
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -ERANGE);
    p.nr_leaves = POLICY_MAX_LEAVES + 1;
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -E2BIG);
    p.nr_leaves = 0;
    xen_msr_entry_t m = { .idx = 0x10a, .val = 1 };
    p.msrs.p = &m;
    p.nr_msrs = 1;
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -EINVAL);
    CHECK_EQ(p.err_msr, 0x10a);
    CHECK(dom_u.policy == NULL);                        /* nothing was changed by all these */
    p.nr_msrs = 0;
    dom_u.creation_finished = true;
    CHECK_EQ(call(domctl_set_cpu_policy, &p), -EEXIST);
}

TEST(any_leaves_at_all)
{
    unsigned seed = 1;
    start();
    for (unsigned round = 0; round < 2000; round++) {
        struct xen_domctl_cpu_policy p = { .nr_leaves = 1 + round % POLICY_MAX_LEAVES };
        p.leaves.p = leaves;
        for (u32 i = 0; i < p.nr_leaves; i++) {
            u32 *w = (u32 *)&leaves[i];
            for (unsigned k = 0; k < 6; k++) {
                seed = seed * 1103515245 + 12345;
                w[k] = seed ^ seed >> 16;
            }
            leaves[i].leaf = (seed >> 8) % 2 ? leaves[i].leaf % 0xe : 0x80000000 + leaves[i].leaf % 0x22;
            leaves[i].subleaf = policy_has_subleaves(leaves[i].leaf) ? leaves[i].subleaf % 64 : ~0u;
            if (leaves[i].leaf == 0 || leaves[i].leaf == 0x80000000 || leaves[i].leaf == 7) {
                leaves[i].a = 0;
            }
        }
        call(domctl_set_cpu_policy, &p);
        for (u32 leaf = 0; leaf < 0x10; leaf++) {
            struct cpuid_regs r;
            for (u32 sub = 0; sub < 64; sub += 7) {
                guest_cpuid(&v3.v, leaf, sub, &r);
                CHECK(leaf != 7 || sub || !(r.b & (1u << 7 | 1u << 20)));
            }
        }
    }
    xfree(dom_u.policy);
    dom_u.policy = NULL;
}

TEST(msrs)
{
    u64 x;
    start();
    CHECK_EQ(guest_rdmsr(&v3.v, MSR_PAT, &x), 0);
    CHECK_EQ(x, HV_PAT);
    CHECK_EQ(guest_wrmsr(&v3.v, MSR_PAT, HV_PAT), 0);
    CHECK_EQ(guest_wrmsr(&v3.v, MSR_PAT, 0), -EPERM);
    CHECK_EQ(guest_rdmsr(&v0.v, MSR_APIC_BASE, &x), 0);
    CHECK_EQ(x, 0xfee00900);
    CHECK_EQ(guest_rdmsr(&v3.v, MSR_APIC_BASE, &x), 0);
    CHECK_EQ(x, 0xfee00800);
    for (u32 m = 0x400; m < 0x408; m++) {
        CHECK_EQ(guest_rdmsr(&v3.v, m, &x), 0);
        CHECK_EQ(x, 0);
        CHECK_EQ(guest_wrmsr(&v3.v, m, 0), 0);
    }
    CHECK_EQ(guest_rdmsr(&v3.v, 0x48, &x), -EPERM);
    CHECK_EQ(guest_rdmsr(&v3.v, 0xc0000103, &x), -EPERM);
    CHECK_EQ(guest_wrmsr(&v3.v, MSR_STAR, 0), -EPERM);
    CHECK_EQ(guest_wrmsr(&v3.v, 0x12345678, 0), -EPERM);
}

TEST(shape)
{
    struct xen_sysctl_physinfo pi = { 0 };
    struct xen_sysctl_cputopo t;
    start();
    policy_physinfo(&pi);
    CHECK(pi.threads_per_core >= 1 && pi.cores_per_socket >= 1);
    policy_cpu_topology(0, &t);
    CHECK_EQ(t.node, 0);
    CHECK_EQ(t.core, 0);
}
