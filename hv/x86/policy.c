/* SPDX-License-Identifier: MIT */
/*
 * CPUID policies: what the CPUs have (raw), what a PV guest may see at most, what it
 * sees if nobody chooses, and what the toolstack chose. Owns the three of the machine,
 * written once at start; a domain's own is written before it runs (control_lock): so
 * readers need no lock.
 */
#include "domctl.h"
#include "guest.h"
#include "x86/cpu_policy.h"
#include "x86/machine.h"

#define BASIC_LAST     0xd
#define EXTENDED_FIRST 0x80000000u
#define EXTENDED_MOST  0x80000021u      /* that any policy may have */
#define EXTENDED_LAST  (cpu_has.amd ? EXTENDED_MOST : 0x80000008u)
#define COMMON_1D      0x0183f3ffu      /* bits of 1.edx that AMD repeats in 0x80000001.edx */
#define BIT_HYPERVISOR (1u << 31)       /* word 1 */
#define BIT_ITSC       (1u << 8)        /* word 7 */

static struct cpu_policy raw, pv_max, pv_default;

enum reg { A, B, C, D };
#define NO_SUB XEN_CPUID_NO_SUBLEAF
static const struct { u32 leaf, sub; enum reg reg; } word_at[FEATURE_WORDS] = {
    { 1, NO_SUB, D }, { 1, NO_SUB, C }, { 0x80000001, NO_SUB, D }, { 0x80000001, NO_SUB, C },
    { 0xd, 1, A }, { 7, 0, B }, { 7, 0, C }, { 0x80000007, NO_SUB, D }, { 0x80000008, NO_SUB, B },
    { 7, 0, D }, { 7, 1, A }, { 0x80000021, NO_SUB, A }, { 7, 1, B }, { 7, 2, D }, { 7, 1, C },
    { 7, 1, D }, { ~0u, 0, A }, { ~0u, 0, A }, { 0x80000021, NO_SUB, C },
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
/* Features that need XSAVE: at all, with the state of AVX, of AVX-512. */
static const struct { u64 xcr0; u32 bits[FEATURE_WORDS]; } needs_states[] = {
    { 0x1, { [1] = 1u << 26, [4] = ~0u } },
    { 0x6, { [1] = 1u << 12 | 1u << 28 | 1u << 29, [3] = 1u << 11 | 1u << 16, [5] = 1u << 5,
             [6] = 1u << 9 | 1u << 10, [10] = 1u << 4 } },
    { 0xe6, { [5] = 0xdc230000, [6] = 0x00005842, [9] = 0x0000000c, [10] = 1u << 5 } },
};

/* --- the list --- */

/* Where the basic leaves stand, and how many subleaves they may have; 0: they have none. */
static const u8 first_slot[BASIC_LAST + 1] = { 0, 1, 2, 3, 4, 10, 11, 12, 15, 16, 17, 18, 20, 21 };
static const u8 nr_subleaves[BASIC_LAST + 1] = { [4] = 6, [7] = 3, [0xb] = 2, [0xd] = 63 };

bool policy_has_subleaves(u32 leaf)
{
    return leaf <= BASIC_LAST && nr_subleaves[index_nospec(leaf, BASIC_LAST + 1)];
}

/* POLICY_SLOTS: no policy may have that leaf. */
static u32 slot_of(u32 leaf, u32 sub)
{
    u32 basic = (u32)index_nospec(leaf, BASIC_LAST + 1);
    if (policy_has_subleaves(leaf))
        return sub < nr_subleaves[basic] ? first_slot[basic] + sub : POLICY_SLOTS;
    if (sub == NO_SUB && leaf <= BASIC_LAST)
        return first_slot[basic];
    return sub == NO_SUB && leaf >= EXTENDED_FIRST && leaf <= EXTENDED_MOST
        ? EXTENDED_SLOT + leaf - EXTENDED_FIRST : POLICY_SLOTS;
}

/* An empty slot is like no leaf that may stand there: all zero. */
const xen_cpuid_leaf_t *policy_find(const struct cpu_policy *p, u32 leaf, u32 sub)
{
    u32 slot = slot_of(leaf, sub);
    if (slot == POLICY_SLOTS)
        return NULL;
    const xen_cpuid_leaf_t *l = &p->leaf[index_nospec(slot, POLICY_SLOTS)];
    return l->leaf == leaf && l->subleaf == sub ? l : NULL;
}

static void policy_put(struct cpu_policy *p, const xen_cpuid_leaf_t *l)
{
    p->nr += !policy_find(p, l->leaf, l->subleaf);
    p->leaf[slot_of(l->leaf, l->subleaf)] = *l;
}

static u32 *leaf_reg(xen_cpuid_leaf_t *l, enum reg r)
{
    return r == A ? &l->a : r == B ? &l->b : r == C ? &l->c : &l->d;
}

/* Where a word of the featureset stands; NULL: its leaf is not there. */
static u32 *feature_reg(const struct cpu_policy *p, unsigned word)
{
    const xen_cpuid_leaf_t *l = policy_find(p, word_at[word].leaf, word_at[word].sub);
    return l ? leaf_reg((xen_cpuid_leaf_t *)l, word_at[word].reg) : NULL;
}

static u32 feature_word(const struct cpu_policy *p, unsigned word)
{
    const u32 *bits = feature_reg(p, word);
    return bits ? *bits & ~(word == 2 ? COMMON_1D : 0) : 0;
}

/* --- the machine's policies --- */

static void read_leaf(struct cpu_policy *p, u32 leaf, u32 sub)
{
    u32 r[4];
    cpuid(leaf, sub == NO_SUB ? 0 : sub, r);
    policy_put(p, &(xen_cpuid_leaf_t){ leaf, sub, r[A], r[B], r[C], r[D] });
}

static void read_machine(struct cpu_policy *p)
{
    u32 r[4];
    cpuid(0, 0, r);
    u32 last = MIN(r[A], (u32)BASIC_LAST);
    for (u32 leaf = 0; leaf <= last; leaf++) {
        cpuid(leaf, 0, r);
        u64 states = (u64)r[D] << 32 | r[A];
        u64 which = leaf == 0xd ? states | 3 : leaf == 7 ? (2u << MIN(r[A], 2u)) - 1 : ~0ul;
        for (u32 i = 0; i < nr_subleaves[leaf]; i++) {
            if ((which >> i) & 1)
                read_leaf(p, leaf, i);
        }
        if (!nr_subleaves[leaf])
            read_leaf(p, leaf, NO_SUB);
    }
    cpuid(EXTENDED_FIRST, 0, r);
    for (u32 leaf = EXTENDED_FIRST; leaf <= MIN(r[A], EXTENDED_LAST); leaf++)
        read_leaf(p, leaf, NO_SUB);
}

/* What a guest sees of leaves besides the feature words (which are clamped); of those
 * that are not here (MWAIT, thermal, PMU, SVM, SEV, ...): nothing. The APIC id in leaf 1
 * is the vCPU's. */
#define ALL { ~0u, ~0u, ~0u, ~0u }
static const struct { u32 first, last, keep[4]; } shown[] = {
    { 0, 0, ALL }, { 1, 1, { ~0u, 0x00ffffff, ~0u, ~0u } }, { 2, 2, ALL }, { 4, 4, ALL },
    { 7, 7, ALL }, { 0xd, 0xd, ALL }, { 0x80000000, 0x80000006, ALL },
    { 0x80000007, 0x80000007, { 0, 0, 0, ~0u } }, { 0x80000008, 0x80000008, { ~0u, ~0u, ~0u, 0 } },
    { 0x80000019, 0x80000019, ALL }, { 0x8000001a, 0x8000001a, { ~0u, 0, ~0u, 0 } },
    { 0x80000021, 0x80000021, { ~0u, 0, ~0u, 0 } },
};

static void filter_leaf(xen_cpuid_leaf_t *l)
{
    static const u32 nothing[4] = { 0 };
    const u32 *keep = nothing;
    for (unsigned i = 0; i < ARRAY_SIZE(shown); i++) {
        if (l->leaf >= shown[i].first && l->leaf <= shown[i].last)
            keep = shown[i].keep;
    }
    for (enum reg r = A; r <= D; r++)
        *leaf_reg(l, r) &= keep[r];
    if (l->leaf == 0) {
        l->a = MIN(l->a, (u32)BASIC_LAST);
    } else if (l->leaf == 7 && l->subleaf == 0) {
        l->a = MIN(l->a, 2u);
    } else if (l->leaf == EXTENDED_FIRST) {
        l->a = MIN(l->a, EXTENDED_LAST);
    } else if (l->leaf == 0xd && l->subleaf == 0) {
        l->a = (u32)cpu_has.xcr0;
        l->d = (u32)(cpu_has.xcr0 >> 32);
    } else if (l->leaf == 0xd && l->subleaf == 1) {
        l->c = l->d = 0;                /* no supervisor states */
    } else if (l->leaf == 0xd && !((cpu_has.xcr0 >> l->subleaf) & 1)) {
        l->a = l->b = l->c = 0;
    }
}

/* Leaves nothing in p that a PV guest may not see; AMD's copy of word 0 in word 2 is made
 * anew. */
static void limit_to_pv(struct cpu_policy *p)
{
    for (u32 i = 0; i < POLICY_SLOTS; i++)
        filter_leaf(&p->leaf[i]);
    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        u32 *bits = feature_reg(p, w), most = feature_word(&raw, w) & pv_allowed[w];
        for (unsigned i = 0; i < ARRAY_SIZE(needs_states); i++) {
            if (~cpu_has.xcr0 & needs_states[i].xcr0)
                most &= ~needs_states[i].bits[w];
        }
        if (w == 7 && !cpu_has.tsc_invariant)
            most &= ~BIT_ITSC;
        if (!bits)
            continue;
        *bits &= most;
        if (w == 1)
            *bits |= BIT_HYPERVISOR;
        if (w == 2 && cpu_has.amd)
            *bits |= feature_word(p, 0) & COMMON_1D;
    }
}

void policy_init(void)
{
    read_machine(&raw);
    pv_max = raw;
    limit_to_pv(&pv_max);
    pv_default = pv_max;
    /* A guest that may move to another machine should not rely on it. */
    u32 *power = feature_reg(&pv_default, 7);
    if (power)
        *power &= ~BIT_ITSC;
}

/* --- a domain's --- */

const struct cpu_policy *policy_of(const struct domain *d)
{
    return d->policy ?: domain_has(d, RIGHT_HARDWARE) ? &pv_max : &pv_default;
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
        if (l.leaf == XEN_CPUID_LEAF(0) || l.leaf == XEN_CPUID_LEAF(0x100))
            continue;       /* limits of the hypervisor's own leaves: they stay */
        bool in_range = slot_of(l.leaf, l.subleaf) != POLICY_SLOTS;
        if (!in_range || !leaf_within_max(&l)) {
            p->err_leaf = l.leaf;
            p->err_subleaf = l.subleaf;
            return in_range ? -EINVAL : -ERANGE;
        }
        policy_put(to, &l);
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

long domctl_set_cpu_policy(struct domctl *c)
{
    struct xen_domctl_cpu_policy *p = &c->op.u.cpu_policy;
    p->err_leaf = p->err_subleaf = p->err_msr = ~0u;
    if (c->d == c->caller->domain)
        return -EINVAL;
    if (c->d->creation_finished)
        return -EEXIST;
    if (p->nr_leaves > POLICY_MAX_LEAVES || p->nr_msrs > POLICY_MAX_MSRS)
        return -E2BIG;
    struct cpu_policy *new = xzalloc(sizeof(*new));
    if (!new)
        return -ENOMEM;
    *new = *policy_of(c->d);
    long rc = read_leaves(c->caller, new, p) ?: check_msrs(c->caller, p);
    limit_to_pv(new);
    xfree(rc ? new : c->d->policy);
    if (!rc)
        c->d->policy = new;
    return rc;
}

/* Copies the list out; *nr is the room, then the number. */
static long put_leaves(const struct cpu_policy *p, xen_cpuid_leaf_t *to, u32 *nr)
{
    u32 room = *nr;
    *nr = to ? p->nr : POLICY_MAX_LEAVES;
    if (!to || room < p->nr)
        return to ? -ENOBUFS : 0;
    for (const xen_cpuid_leaf_t *l = p->leaf; l < p->leaf + POLICY_SLOTS; l++) {
        bool empty = !l->leaf && !l->subleaf;
        if (!empty && guest_write(current_vcpu(), (u64)to++, l, sizeof(*l)))
            return -EFAULT;
    }
    return 0;
}

long domctl_get_cpu_policy(struct domctl *c)
{
    struct xen_domctl_cpu_policy *p = &c->op.u.cpu_policy;
    p->nr_msrs = 0;
    return put_leaves(policy_of(c->d), p->leaves.p, &p->nr_leaves);
}

/* --- sysctl --- */

/* By the indices of get_cpu_policy, of get_cpu_featureset; NULL: HVM guests'. */
#define NR_POLICIES 6
static const struct cpu_policy *const by_index[2][NR_POLICIES] = {
    { &raw, &raw /* host */, &pv_max, NULL, &pv_default, NULL },
    { &raw, &raw /* host */, &pv_default, NULL, &pv_max, NULL },
};

static long choose(bool featureset, u32 index, const struct cpu_policy **chosen)
{
    *chosen = by_index[featureset][index_nospec(index, NR_POLICIES)];
    return index >= NR_POLICIES ? -EINVAL : *chosen ? 0 : -EOPNOTSUPP;
}

long sysctl_get_cpu_policy(struct xen_sysctl_cpu_policy *p)
{
    const struct cpu_policy *from;
    long rc = choose(false, p->index, &from);
    if (rc || p->_rsvd)
        return rc ?: -EINVAL;
    p->nr_msrs = handle_null(p->msrs) ? POLICY_MAX_MSRS : 0;
    return put_leaves(from, p->leaves.p, &p->nr_leaves);
}

long sysctl_get_cpu_featureset(struct xen_sysctl_cpu_featureset *f)
{
    const struct cpu_policy *from;
    u32 room = f->nr_features;
    long rc = choose(true, f->index, &from);
    if (rc)
        return rc;
    if (!handle_null(f->features)) {
        u32 words[FEATURE_WORDS];
        for (unsigned w = 0; w < FEATURE_WORDS; w++)
            words[w] = feature_word(from, w);
        if (copy_to_handle(current_vcpu(), f->features, 0, words, MIN(room, (u32)FEATURE_WORDS)))
            return -EFAULT;
        rc = room < FEATURE_WORDS ? -ENOBUFS : 0;
    }
    f->nr_features = FEATURE_WORDS;
    return rc;
}

/* --- the machine's shape --- */

/* How many low bits of an APIC id name the thread, and the thread and core. */
struct shape { u32 threads, cores, thread_bits, package_bits; };

static u32 bits_for(u32 n)
{
    return n > 1 ? fls64(n - 1) + 1 : 0;
}

static struct shape machine_shape(void)
{
    const xen_cpuid_leaf_t *smt = policy_find(&raw, 0xb, 0), *core = policy_find(&raw, 0xb, 1);
    struct shape s = { .threads = 1 };
    u32 logical = 1;
    if (cpu_has.amd) {
        u32 r[4];
        cpuid(0x80000008, 0, r);
        logical = (r[C] & 0xff) + 1;
        s.package_bits = (r[C] >> 12) & 0xf ? (r[C] >> 12) & 0xf : bits_for(logical);
        if (feature_word(&raw, 3) & (1u << 22)) {           /* TOPOEXT */
            cpuid(0x8000001e, 0, r);
            s.threads = ((r[B] >> 8) & 0xff) + 1;
            s.thread_bits = bits_for(s.threads);
        }
    } else if (smt && core) {
        s.threads = MAX(smt->b & 0xffff, 1u);
        s.thread_bits = smt->a & 0x1f;
        s.package_bits = core->a & 0x1f;
        logical = MAX(core->b & 0xffff, 1u);
    }
    s.cores = MAX(logical / s.threads, 1u);
    return s;
}

void policy_physinfo(struct xen_sysctl_physinfo *pi)
{
    struct shape s = machine_shape();
    pi->threads_per_core = s.threads;
    pi->cores_per_socket = s.cores;
    for (unsigned w = 0; w < ARRAY_SIZE(pi->hw_cap); w++)
        pi->hw_cap[w] = feature_word(&raw, w);
}

void policy_cpu_topology(unsigned cpu, struct xen_sysctl_cputopo *t)
{
    struct shape s = machine_shape();
    u32 id = cpus[cpu].apic_id, package_bits = MAX(s.package_bits, s.thread_bits);
    t->core = (id & ((1u << package_bits) - 1)) >> s.thread_bits;
    t->socket = id >> package_bits;
    t->node = 0;
}

void policy_cpu_version(struct xenpf_pcpu_version *pv)
{
    memcpy(pv->vendor_id, cpu_has.vendor, sizeof(pv->vendor_id));
    pv->family = cpu_has.family;
    pv->model = cpu_has.model;
    pv->stepping = cpu_has.stepping;
}
