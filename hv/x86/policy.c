/* SPDX-License-Identifier: MIT */
/*
 * CPUID policies: what the CPUs have (raw), what a PV guest may see at most, what it
 * sees if nobody chooses, and what the toolstack chose. Owns the three of the machine,
 * written once at start; a domain's own is written before it runs (control_lock): so
 * readers need no lock.
 */
#include "guest.h"
#include "mm.h"
#include "x86/cpu_policy.h"
#include "x86/machine.h"

#define BASIC_LAST     0xd
#define EXTENDED_FIRST 0x80000000u
#define EXTENDED_LAST  (cpu_has.amd ? 0x80000021u : 0x80000008u)
#define COMMON_1D      0x0183f3ffu      /* bits of 1.edx that AMD repeats in 0x80000001.edx */
#define BIT_HYPERVISOR (1u << 31)       /* word 1 */
#define BIT_ITSC       (1u << 8)        /* word 7 */

static struct cpu_policy raw, pv_max, pv_default;

enum reg { A, B, C, D };
static const struct { u32 leaf, sub; enum reg reg; } word_at[FEATURE_WORDS] = {
    { 1, XEN_CPUID_NO_SUBLEAF, D }, { 1, XEN_CPUID_NO_SUBLEAF, C },
    { 0x80000001, XEN_CPUID_NO_SUBLEAF, D }, { 0x80000001, XEN_CPUID_NO_SUBLEAF, C },
    { 0xd, 1, A }, { 7, 0, B }, { 7, 0, C },
    { 0x80000007, XEN_CPUID_NO_SUBLEAF, D }, { 0x80000008, XEN_CPUID_NO_SUBLEAF, B },
    { 7, 0, D }, { 7, 1, A }, { 0x80000021, XEN_CPUID_NO_SUBLEAF, A },
    { 7, 1, B }, { 7, 2, D }, { 7, 1, C }, { 7, 1, D },
    { ~0u, 0, A }, { ~0u, 0, A }, { 0x80000021, XEN_CPUID_NO_SUBLEAF, C },
};

/*
 * What a PV guest may use. Not there: what needs ring 0 or a CR4 bit that is Bulkhead's
 * (VME, PSE, PGE, MTRR, PCID, SMEP, SMAP, UMIP, PKU, CET, FSGSBASE, x2APIC, VMX, SVM,
 * MONITOR), what needs an MSR that guests have not got (SPEC_CTRL and its kin, TSC_AUX
 * with RDTSCP and RDPID, DBEXT, DS, TSC deadline), TSX, and what is not known.
 */
static const u32 pv_allowed[FEATURE_WORDS] = {
    0x1fc9cbf5, 0xf6d83203, 0xe2500800, 0x002109e3, 0x00000007, 0xfdaf0328, 0x02005f43,
    BIT_ITSC, 0x24000005, 0x0000441c, 0x00001c30, 0x60000064, 0, 0x00000020, 0, 0, 0, 0, 0x00000006,
};
/* Features that need XSAVE with the state of AVX, of AVX-512. */
static const u32 needs_avx[FEATURE_WORDS] = {
    [1] = 1u << 12 | 1u << 28 | 1u << 29, [3] = 1u << 11 | 1u << 16, [5] = 1u << 5,
    [6] = 1u << 9 | 1u << 10, [10] = 1u << 4,
};
static const u32 needs_avx512[FEATURE_WORDS] = {
    [5] = 0xdc230000, [6] = 0x00005842, [9] = 0x0000000c, [10] = 1u << 5,
};
#define BIT_XSAVE    (1u << 26)     /* word 1 */
#define XCR0_AVX     0x6
#define XCR0_AVX512  0xe6

/* --- the list --- */

bool policy_has_subleaves(u32 leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

/* Place of the first entry that is not before (leaf, sub). */
static u32 lower_bound(const struct cpu_policy *p, u32 leaf, u32 sub)
{
    u64 key = (u64)leaf << 32 | sub;
    u32 lo = 0, hi = p->nr;
    while (lo < hi) {
        u32 mid = (lo + hi) / 2;
        if (((u64)p->leaf[mid].leaf << 32 | p->leaf[mid].subleaf) < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const xen_cpuid_leaf_t *policy_find(const struct cpu_policy *p, u32 leaf, u32 sub)
{
    u32 low = leaf & 0x7fffffff;
    u32 i = low < 32 ? p->at[leaf >> 31][low] : lower_bound(p, leaf, sub);
    for (; i < p->nr && p->leaf[i].leaf == leaf; i++) {
        if (p->leaf[i].subleaf == sub)
            return &p->leaf[i];
    }
    return NULL;
}

/* Inserts or replaces; false: full. */
static bool policy_put(struct cpu_policy *p, const xen_cpuid_leaf_t *l)
{
    u32 i = lower_bound(p, l->leaf, l->subleaf);
    if (i == p->nr || p->leaf[i].leaf != l->leaf || p->leaf[i].subleaf != l->subleaf) {
        if (p->nr == POLICY_MAX_LEAVES)
            return false;
        memmove(&p->leaf[i + 1], &p->leaf[i], (p->nr - i) * sizeof(*l));
        p->nr++;
    }
    p->leaf[i] = *l;
    for (u32 n = 0; n < 32; n++) {
        p->at[0][n] = (u8)lower_bound(p, n, 0);
        p->at[1][n] = (u8)lower_bound(p, 0x80000000u + n, 0);
    }
    return true;
}

static u32 *leaf_reg(xen_cpuid_leaf_t *l, enum reg r)
{
    return r == A ? &l->a : r == B ? &l->b : r == C ? &l->c : &l->d;
}

static u32 feature_word(const struct cpu_policy *p, unsigned word)
{
    const xen_cpuid_leaf_t *l = policy_find(p, word_at[word].leaf, word_at[word].sub);
    u32 bits = l ? *leaf_reg((xen_cpuid_leaf_t *)l, word_at[word].reg) : 0;
    return word == 2 ? bits & ~COMMON_1D : bits;
}

/* Nothing beyond `most` stays; AMD's copy of word 0 in word 2 is made anew. */
static void clamp_features(struct cpu_policy *p, const u32 most[FEATURE_WORDS])
{
    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        xen_cpuid_leaf_t *l = (xen_cpuid_leaf_t *)policy_find(p, word_at[w].leaf, word_at[w].sub);
        if (l) {
            u32 *r = leaf_reg(l, word_at[w].reg);
            *r &= most[w];
            if (w == 2 && cpu_has.amd)
                *r |= feature_word(p, 0) & COMMON_1D;
            if (w == 1)
                *r |= BIT_HYPERVISOR;
        }
    }
}

/* --- the machine's policies --- */

static void read_leaf(struct cpu_policy *p, u32 leaf, u32 sub)
{
    u32 r[4];
    cpuid(leaf, sub == XEN_CPUID_NO_SUBLEAF ? 0 : sub, r);
    policy_put(p, &(xen_cpuid_leaf_t){ leaf, sub, r[A], r[B], r[C], r[D] });
}

static void read_subleaves(struct cpu_policy *p, u32 leaf)
{
    u32 r[4];
    u64 states;

    cpuid(leaf, 0, r);
    switch (leaf) {
    case 4:
        for (u32 i = 0; i < 6; i++)
            read_leaf(p, leaf, i);
        break;
    case 7:
        for (u32 i = 0; i <= MIN(r[A], 2u); i++)
            read_leaf(p, leaf, i);
        break;
    case 0xb:
        read_leaf(p, leaf, 0);
        read_leaf(p, leaf, 1);
        break;
    default:
        states = ((u64)r[D] << 32 | r[A]) >> 2;
        read_leaf(p, leaf, 0);
        read_leaf(p, leaf, 1);
        for (u32 i = 2; i < 63; i++, states >>= 1) {
            if (states & 1)
                read_leaf(p, leaf, i);
        }
    }
}

static void read_machine(struct cpu_policy *p)
{
    u32 r[4];

    cpuid(0, 0, r);
    for (u32 leaf = 0; leaf <= MIN(r[A], (u32)BASIC_LAST); leaf++) {
        if (policy_has_subleaves(leaf))
            read_subleaves(p, leaf);
        else
            read_leaf(p, leaf, XEN_CPUID_NO_SUBLEAF);
    }
    cpuid(EXTENDED_FIRST, 0, r);
    for (u32 leaf = EXTENDED_FIRST; leaf <= MIN(r[A], EXTENDED_LAST); leaf++)
        read_leaf(p, leaf, XEN_CPUID_NO_SUBLEAF);
}

/* What a guest sees of a leaf besides the feature words (which are clamped). */
static void filter_leaf(xen_cpuid_leaf_t *l)
{
    u64 xcr0 = cpu_has.xsave ? cpu_has.xcr0 : 0;

    switch (l->leaf) {
    case 0:
        l->a = MIN(l->a, (u32)BASIC_LAST);
        break;
    case 1:
        l->b &= 0x00ffffff;                 /* the APIC id is the vCPU's */
        break;
    case 2:
    case 4:
        break;
    case 7:
        l->a = l->subleaf == 0 ? MIN(l->a, 2u) : l->a;
        break;
    case 0xd:
        if (l->subleaf == 0) {
            l->a = (u32)xcr0;
            l->d = (u32)(xcr0 >> 32);
        } else if (l->subleaf == 1) {
            l->c = l->d = 0;                /* no supervisor states */
        } else if (!((xcr0 >> l->subleaf) & 1)) {
            l->a = l->b = l->c = 0;
        }
        break;
    case 0x80000000:
        l->a = MIN(l->a, EXTENDED_LAST);
        break;
    case 0x80000001 ... 0x80000006:
    case 0x80000019:
        break;
    case 0x80000007:
        l->a = l->b = l->c = 0;
        break;
    case 0x80000008:
        l->d = 0;
        break;
    case 0x8000001a:
    case 0x80000021:
        l->b = l->d = 0;
        break;
    default:                                /* MWAIT, thermal, PMU, SVM, SEV, ... */
        l->a = l->b = l->c = l->d = 0;
    }
}

static void pv_features(u32 most[FEATURE_WORDS])
{
    u64 xcr0 = cpu_has.xsave ? cpu_has.xcr0 : 0;

    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        most[w] = feature_word(&raw, w) & pv_allowed[w];
        if ((xcr0 & XCR0_AVX) != XCR0_AVX)
            most[w] &= ~needs_avx[w];
        if ((xcr0 & XCR0_AVX512) != XCR0_AVX512)
            most[w] &= ~needs_avx512[w];
    }
    if (!xcr0) {
        most[1] &= ~BIT_XSAVE;
        most[4] = 0;
    }
    most[1] |= BIT_HYPERVISOR;
    if (!cpu_has.tsc_invariant)
        most[7] &= ~BIT_ITSC;
}

void policy_init(void)
{
    u32 most[FEATURE_WORDS];

    read_machine(&raw);
    pv_max = raw;
    for (u32 i = 0; i < pv_max.nr; i++)
        filter_leaf(&pv_max.leaf[i]);
    pv_features(most);
    clamp_features(&pv_max, most);
    pv_default = pv_max;
    most[7] &= ~BIT_ITSC;       /* a guest that may move to another machine should not rely on it */
    clamp_features(&pv_default, most);
}

/* --- a domain's --- */

const struct cpu_policy *policy_of(const struct domain *d)
{
    if (d->policy)
        return d->policy;
    return domain_has(d, RIGHT_HARDWARE) ? &pv_max : &pv_default;
}

void policy_domain_free(struct domain *d)
{
    xfree(d->policy);
    d->policy = NULL;
}

/* May a policy have that leaf at all? */
static bool leaf_in_range(const xen_cpuid_leaf_t *l)
{
    static const u32 last_sub[] = { [4] = 5, [7] = 2, [0xb] = 1, [0xd] = 62 };

    if (l->leaf <= BASIC_LAST && policy_has_subleaves(l->leaf))
        return l->subleaf <= last_sub[l->leaf];
    return l->subleaf == XEN_CPUID_NO_SUBLEAF &&
           (l->leaf <= BASIC_LAST || (l->leaf >= EXTENDED_FIRST && l->leaf <= 0x80000021));
}

/* Limits on the number of leaves that the machine (or Bulkhead) sets. */
static bool leaf_within_max(const xen_cpuid_leaf_t *l)
{
    bool limit = l->leaf == 0 || l->leaf == EXTENDED_FIRST || (l->leaf == 7 && l->subleaf == 0);
    const xen_cpuid_leaf_t *most = limit ? policy_find(&pv_max, l->leaf, l->subleaf) : NULL;
    return !limit || l->a <= (most ? most->a : 0);
}

static long read_leaves(struct vcpu *v, struct cpu_policy *to, struct xen_domctl_cpu_policy *p)
{
    for (u32 i = 0; i < p->nr_leaves; i++) {
        xen_cpuid_leaf_t l;
        if (copy_from_handle(v, &l, p->leaves, i, 1))
            return -EFAULT;
        if (l.leaf == XEN_CPUID_LEAF(0) || l.leaf == XEN_CPUID_LEAF(0x100)) {
            continue;       /* limits of the hypervisor's own leaves: they stay */
        }
        if (!leaf_in_range(&l) || !leaf_within_max(&l)) {
            p->err_leaf = l.leaf;
            p->err_subleaf = l.subleaf;
            return leaf_in_range(&l) ? -EINVAL : -ERANGE;
        }
        if (!policy_put(to, &l))
            return -E2BIG;
    }
    return 0;
}

/* Both MSRs that a policy may name are zero for everybody. */
static long check_msrs(struct vcpu *v, struct xen_domctl_cpu_policy *p)
{
    for (u32 i = 0; i < p->nr_msrs; i++) {
        xen_msr_entry_t m;
        if (copy_from_handle(v, &m, p->msrs, i, 1))
            return -EFAULT;
        if (m.flags || (m.idx != 0xce && m.idx != 0x10a) || m.val) {
            p->err_msr = m.idx;
            return -EINVAL;
        }
    }
    return 0;
}

long policy_domctl_set(struct vcpu *v, struct domain *d, struct xen_domctl_cpu_policy *p)
{
    struct cpu_policy *new;
    u32 most[FEATURE_WORDS];
    long rc;

    p->err_leaf = p->err_subleaf = p->err_msr = ~0u;
    if (p->nr_leaves > POLICY_MAX_LEAVES || p->nr_msrs > POLICY_MAX_MSRS)
        return -E2BIG;
    if (d->creation_finished)
        return -EEXIST;
    new = xzalloc(sizeof(*new));
    if (!new)
        return -ENOMEM;
    *new = *policy_of(d);
    rc = read_leaves(v, new, p);
    rc = rc ? rc : check_msrs(v, p);
    if (rc) {
        xfree(new);
        return rc;
    }
    for (u32 i = 0; i < new->nr; i++)
        filter_leaf(&new->leaf[i]);
    pv_features(most);
    clamp_features(new, most);
    xfree(d->policy);
    d->policy = new;
    return 0;
}

/* Copies the list out; *nr is the room, then the number. */
static long put_leaves(struct vcpu *v, const struct cpu_policy *p, xen_cpuid_leaf_t *to, u32 *nr)
{
    u32 room = *nr;

    if (!to) {
        *nr = POLICY_MAX_LEAVES;
        return 0;
    }
    *nr = p->nr;
    if (room < p->nr)
        return -ENOBUFS;
    return guest_write(v, (u64)to, p->leaf, p->nr * sizeof(p->leaf[0]));
}

long policy_domctl_get(struct vcpu *v, struct domain *d, struct xen_domctl_cpu_policy *p)
{
    p->nr_msrs = 0;
    return put_leaves(v, policy_of(d), p->leaves.p, &p->nr_leaves);
}

/* --- sysctl --- */

long policy_sysctl_get(struct vcpu *v, struct xen_sysctl_cpu_policy *p)
{
    const struct cpu_policy *from;

    switch (p->index) {
    case XEN_SYSCTL_cpu_policy_raw:
    case XEN_SYSCTL_cpu_policy_host:
        from = &raw;
        break;
    case XEN_SYSCTL_cpu_policy_pv_max:
        from = &pv_max;
        break;
    case XEN_SYSCTL_cpu_policy_pv_default:
        from = &pv_default;
        break;
    case XEN_SYSCTL_cpu_policy_hvm_max:
    case XEN_SYSCTL_cpu_policy_hvm_default:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
    if (p->_rsvd)
        return -EINVAL;
    p->nr_msrs = handle_null(p->msrs) ? POLICY_MAX_MSRS : 0;
    return put_leaves(v, from, p->leaves.p, &p->nr_leaves);
}

long policy_sysctl_featureset(struct vcpu *v, struct xen_sysctl_cpu_featureset *f)
{
    const struct cpu_policy *from;
    u32 words[FEATURE_WORDS], n;

    switch (f->index) {
    case XEN_SYSCTL_cpu_featureset_raw:
    case XEN_SYSCTL_cpu_featureset_host:
        from = &raw;
        break;
    case XEN_SYSCTL_cpu_featureset_pv:
        from = &pv_default;
        break;
    case XEN_SYSCTL_cpu_featureset_pv_max:
        from = &pv_max;
        break;
    case XEN_SYSCTL_cpu_featureset_hvm:
    case XEN_SYSCTL_cpu_featureset_hvm_max:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
    if (handle_null(f->features)) {
        f->nr_features = FEATURE_WORDS;
        return 0;
    }
    for (unsigned w = 0; w < FEATURE_WORDS; w++)
        words[w] = feature_word(from, w);
    n = MIN(f->nr_features, (u32)FEATURE_WORDS);
    if (copy_to_handle(v, f->features, 0, words, n))
        return -EFAULT;
    bool cut = f->nr_features < FEATURE_WORDS;
    f->nr_features = FEATURE_WORDS;
    return cut ? -ENOBUFS : 0;
}

/* --- the machine's shape --- */

/* How many low bits of an APIC id name the thread, and the thread and core. */
static void topology_shifts(unsigned *thread, unsigned *package, u32 *threads, u32 *cores)
{
    u32 r[4], max[4], logical = 1;

    *threads = 1;
    *thread = 0;
    cpuid(0, 0, max);
    if (cpu_has.amd) {
        u32 id_bits;
        cpuid(0x80000008, 0, r);
        logical = (r[C] & 0xff) + 1;
        id_bits = (r[C] >> 12) & 0xf;
        if (feature_word(&raw, 3) & (1u << 22)) {           /* TOPOEXT */
            cpuid(0x8000001e, 0, r);
            *threads = ((r[B] >> 8) & 0xff) + 1;
            *thread = *threads > 1 ? fls64(*threads - 1) + 1 : 0;
        }
        *package = id_bits ? id_bits : logical > 1 ? fls64(logical - 1) + 1 : 0;
    } else {
        *package = 0;
        if (max[A] >= 0xb) {
            cpuid(0xb, 0, r);
            *threads = MAX(r[B] & 0xffff, 1u);
            *thread = r[A] & 0x1f;
            cpuid(0xb, 1, r);
            *package = r[A] & 0x1f;
            logical = MAX(r[B] & 0xffff, 1u);
        }
    }
    *cores = MAX(logical / *threads, 1u);
}

void policy_physinfo(struct xen_sysctl_physinfo *pi)
{
    unsigned thread, package;

    topology_shifts(&thread, &package, &pi->threads_per_core, &pi->cores_per_socket);
    for (unsigned w = 0; w < ARRAY_SIZE(pi->hw_cap); w++)
        pi->hw_cap[w] = feature_word(&raw, w);
}

void policy_cpu_topology(unsigned cpu, struct xen_sysctl_cputopo *t)
{
    unsigned thread, package;
    u32 threads, cores, id = cpus[cpu].apic_id;

    topology_shifts(&thread, &package, &threads, &cores);
    package = MAX(package, thread);
    t->core = (id & ((1u << package) - 1)) >> thread;
    t->socket = id >> package;
    t->node = 0;
}

void policy_cpu_version(struct xenpf_pcpu_version *pv)
{
    memcpy(pv->vendor_id, cpu_has.vendor, sizeof(pv->vendor_id));
    pv->family = cpu_has.family;
    pv->model = cpu_has.model;
    pv->stepping = cpu_has.stepping;
}
