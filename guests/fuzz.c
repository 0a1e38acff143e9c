// SPDX-License-Identifier: MIT
/*
 * The fuzzer's first domain. A batch: two domUs, copies of this guest, make hostile calls
 * on all their vCPUs, against Bulkhead and each other, while dom0 makes its own with all
 * rights: on itself as far as it can live with, on them without mercy. One that has broken
 * itself is ended and made again. Afterwards all are destroyed, dom0 lets go of everything,
 * and no frame may be amiss (audit: tests/guest/fuzz reads it) or gone (leak).
 *
 * Command line: seed=N calls=N (hypercalls in all), batch=N (the first), batches=N (at
 * most), each=N (calls of a vCPU in a batch). One batch alone: seed, batch, batches=1.
 */
#include "fuzz/fuzz.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

#define KIDS 2
#define HUNG_NS 60000000UL          /* without a call for so long: it waits, loops or is paused */
/* Pages that may be missing. What dom0 gives back is not nothing in pages: a slab of each of the ten
 * sizes, or two, stays for a small record among what has gone, which ones is chance (11 pages between
 * the batches of 650,000 calls, with no trend). A leak adds up. */
#define SLACK 16
#define LONG_NS 100000000UL         /* no call may take so long */
#define STUCK_NS 30000000000UL      /* nor so long with two CPUs, where time is the host's, which is not ours alone */
#define GENERATIONS 24              /* domUs of a batch at most */

static struct kid { struct domu d; bool alive; u32 seen; u64 seen_at; u32 generation; } kids[KIDS];
static struct share own ALIGNED(4096);      /* dom0's */
static struct {
    u64 calls, good, traps, domains, crashed, hung, refused;
} sum;
/* For which dom0 was kept from running, about: who hangs in Bulkhead may not live to tell it. */
static u64 longest_wait;
static u64 seed, calls_wanted, first_batch, batches, each, longest[CALLS_KNOWN];
static struct xen_domctl op;
static struct xen_sysctl sys;

/* --- calls that are meant --- */

static long control(unsigned cmd, domid_t id)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = id;
    return HC(domctl, &op);
}

static long system_call(unsigned cmd)
{
    sys.cmd = cmd;
    sys.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return HC(sysctl, &sys);
}

static void pause_for(u64 ns)
{
    struct sched_poll p = { .timeout = system_time() + ns };
    HC(sched_op, SCHEDOP_poll, &p);
}

/* Of the machine: free, and dom0's, which gives and takes some of its own. */
static u64 pages(void)
{
    memset(&sys, 0, sizeof(sys));
    system_call(XEN_SYSCTL_physinfo);
    u64 n = sys.u.physinfo.free_pages;
    control(XEN_DOMCTL_getdomaininfo, 0);
    return n + op.u.getdomaininfo.tot_pages;
}

static void debug_key(char key)
{
    memset(&sys, 0, sizeof(sys));
    set_xen_guest_handle(sys.u.debug_keys.keys, &key);
    sys.u.debug_keys.nr_keys = 1;
    system_call(XEN_SYSCTL_debug_keys);
}

/* --- in a domU --- */

static void kid_vcpu1(void *share)
{
    struct share *s = share;
    fuzzer_init(&fuzzers[1], 1, false, s);
    fuzz(&fuzzers[1], s->calls_wanted);
    vcpu1_stop();
}

static void kid_main(void *share)
{
    struct share *s = share;
    fuzzer_init(&fuzzers[0], 0, false, s);
    timing_init();
    grammar_init(false);
    home_init(&fuzzers[0]);
    if (s->vcpus > 1) {
        start_vcpu1(kid_vcpu1, s);
    }
    fuzz(&fuzzers[0], s->calls_wanted);
}

/* --- dom0's second vCPU: fuzzes while it may --- */

/* Each sets its own, then looks at the other's: only in that order do both not miss each other. */
static bool vcpu1_may, vcpu1_busy;
static bool look_at(bool *flag) { return __atomic_load_n(flag, __ATOMIC_SEQ_CST); }
static void set_to(bool *flag, bool value) { __atomic_store_n(flag, value, __ATOMIC_SEQ_CST); }

static void vcpu1_main(void *unused)
{
    (void)unused;
    struct fuzzer *f = &fuzzers[1];
    for (;;) {
        set_to(&vcpu1_busy, true);
        if (look_at(&vcpu1_may)) {
            fuzzer_init(f, 1, true, &own);
            f->random ^= (u64)own.calls[1] << 32;       /* or each time it would begin with the same calls */
            while (look_at(&vcpu1_may)) {
                if (own.calls[1] > 2 * each)
                    pause_for(200000);
                else
                    fuzz(f, 16);
            }
            home_rebuild(f);            /* no call of this vCPU holds another's tables */
        }
        set_to(&vcpu1_busy, false);
        pause_for(200000);
    }
}

static void vcpu1_stop_here(void)
{
    set_to(&vcpu1_may, false);
    while (look_at(&vcpu1_busy)) {
        HC(vcpu_op, VCPUOP_up, 1, 0);
        pause_for(50000);
    }
}

/* --- domUs --- */

static struct share *share_of(struct kid *k) { return k->d.page; }

/* A domU may have written anything there. */
static void take_counts(struct share *s)
{
    for (unsigned i = 0; i < DOMU_VCPUS; i++) {
        sum.calls += MIN(s->calls[i], (u32)each * 2);
        sum.good += MIN(s->good[i], (u32)each * 2);
        sum.traps += MIN(s->traps[i], (u32)each * 2);
        s->calls[i] = s->good[i] = s->traps[i] = 0;
    }
    for (unsigned i = 0; i < CALLS_KNOWN; i++) {
        u64 ns = s->longest[i];
        if (s->not_longest[i] == ~ns)
            longest[i] = MAX(longest[i], ns);
    }
}

/* Until nothing of it is left: what dom0 maps of it must have been let go. A vCPU of it that does
 * not come out of Bulkhead keeps this call waiting, so it is timed as well. */
static void destroy(domid_t id)
{
    long rc;
    do {
        timing_begin(&fuzzers[0]);
        rc = control(XEN_DOMCTL_destroydomain, id);
        timing_end(&fuzzers[0], __HYPERVISOR_domctl);
    } while (rc == -ERESTART || rc == -EAGAIN);
}

static void kid_end(struct kid *k)
{
    if (k->alive) {
        take_counts(share_of(k));
        destroy(k->d.id);
        map_mfn(k->d.page, k->d.page_own, PG_DATA);
    }
    k->alive = false;
}

/* The numbers by which a domain knows others, and Bulkhead. dom0, which may write them, is told
 * only those that a domU does not live on. */
static void introduce(struct share *s, domid_t self, unsigned skip)
{
    struct fuzzer *f = &fuzzers[0];
    s->self = self;
    for (unsigned i = 0; i < PEERS; i++) {
        s->peer[i] = i < KIDS && i != skip ? kids[i].d.id : i < KIDS ? 0 : kids[0].d.id + 2;
    }
    for (unsigned i = 0; i < PEER_FRAMES; i++) {
        struct kid *k = &kids[i % KIDS];
        void *toy = i & 8 ? home.pool[below(f, POOL)] : (void *)home.tab[below(f, TABS)];
        u64 pfn = self && one_in(f, 4) ? below(f, MAX(k->d.nr_pages, 1u)) : virt_to_pfn(toy) - DOMU_FIRST_PFN;
        s->peer_frame[i] = i % 8 == 7 ? below(f, 0x1000) : i % 8 == 6 ? home.pool_mfn[i % POOL]
                         : i % KIDS == skip || !k->d.nr_pages ? 0 : k->d.mfn[pfn];
    }
}

static bool kid_make(struct kid *k, u64 batch_seed, u32 wanted)
{
    unsigned i = k - kids;
    k->generation++;
    vcpu1_stop_here();
    home_mend(&fuzzers[0]);
    for (u8 *p = home.pool[0]; p < (u8 *)home.code; p += PAGE_SIZE) {
        if (!(*(volatile u64 *)pte_of((u64)p, 1) & PG_P))
            map_mfn(p, home.code_mfn, PG_RO);       /* it will be copied, so something must be there */
    }
    long rc = domu_create(&k->d, kid_main);
    sum.domains++;
    if (rc) {
        sum.refused++;
        destroy(k->d.id);
        return false;
    }
    struct share *s = share_of(k);
    s->seed = batch_seed * 31 + k->generation * KIDS + i;
    s->calls_wanted = wanted;
    s->vcpus = batch_seed % 4 ? 2 : 1;
    introduce(s, k->d.id, i);
    introduce(&own, 0, ~0u);
    k->alive = true;
    k->seen = ~0u;
    k->seen_at = system_time();
    control(XEN_DOMCTL_unpausedomain, k->d.id);
    set_to(&vcpu1_may, have_vcpu1());
    return true;
}

/* True: it still has something to do. */
static bool kid_look(struct kid *k)
{
    if (!k->alive)
        return false;
    struct share *s = share_of(k);
    u64 now = system_time();
    bool there = control(XEN_DOMCTL_getdomaininfo, k->d.id) == 0 && op.domain == k->d.id;
    u32 flags = there ? op.u.getdomaininfo.flags : XEN_DOMINF_dying;
    if (flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown)) {
        sum.crashed += (flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask) == SHUTDOWN_crash;
        return false;
    }
    if (flags & XEN_DOMINF_paused) {
        control(XEN_DOMCTL_unpausedomain, k->d.id);
    }
    u32 seen = s->calls[0] + s->traps[0];
    if (seen != k->seen) {
        k->seen = seen;
        k->seen_at = now;
    }
    if (now - k->seen_at > HUNG_NS) {
        sum.hung++;
        return false;
    }
    return true;
}

static void destroy_all(void)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        domid_t id = 1;
        unsigned n = 0;
        while (control(XEN_DOMCTL_getdomaininfo, id) == 0 && op.domain) {
            id = op.domain;
            destroy(id++);
            n++;
        }
        if (!n)
            return;
        pause_for(100000);
    }
    check_failed(__FILE__, __LINE__, "seed=%lu: a domain does not end", seed);
    debug_key('q');
    debug_key('g');
}

/* What Bulkhead allocates for dom0 once and keeps: pages of the table of domains, event
 * channels. (The grant table: home.c.) */
static void fill_up(void)
{
    for (u32 id = 300; id < DOMID_FIRST_RESERVED; id += 256) {
        memset(&op, 0, sizeof(op));
        op.u.createdomain = (struct xen_domctl_createdomain){
            .max_vcpus = 1, .max_evtchn_port = 63, .max_grant_frames = 1, .grant_opts = XEN_DOMCTL_GRANT_version(1),
        };
        if (control(XEN_DOMCTL_createdomain, (domid_t)id) == 0)
            destroy((domid_t)id);
    }
    for (unsigned i = 0; i < 1024; i++) {
        struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = 0 };
        HC(event_channel_op, EVTCHNOP_alloc_unbound, &a);
    }
    destroy_all();
}

static void dom0_limits(void)
{
    memset(&op, 0, sizeof(op));
    op.u.max_mem.max_memkb = (start_info->nr_pages + 512) << 2;
    control(XEN_DOMCTL_max_mem, 0);
}

static void batch(u64 nr)
{
    u64 mix = (seed * 1000003 + nr) * 0x9e3779b97f4a7c15UL;
    u64 batch_seed = mix ^ mix >> 29, until = sum.calls + each * 4;
    own.seed = batch_seed;
    own.self = 0;
    fuzzer_init(&fuzzers[0], 0, true, &own);
    for (unsigned i = 0; i < KIDS; i++) {
        kids[i].generation = 0;
        kid_make(&kids[i], batch_seed, (u32)each);
    }
    bool more = true;
    while (more) {
        more = false;
        u64 away = time_not_running(&fuzzers[0]), pause = own.calls[0] < each ? 0 : 200000;
        if (pause)
            pause_for(pause);
        else
            fuzz(&fuzzers[0], 24);
        away = time_not_running(&fuzzers[0]) - away;
        longest_wait = MAX(longest_wait, away - MIN(pause, away));
        for (unsigned i = 0; i < KIDS; i++) {
            struct kid *k = &kids[i];
            if (kid_look(k)) {
                more = true;
                continue;
            }
            bool done = k->alive && share_of(k)->calls[0] + share_of(k)->traps[0] >= each;
            kid_end(k);
            if (!done && k->generation < GENERATIONS && sum.calls < until) {
                more = kid_make(k, batch_seed, (u32)each) || more;
                more = true;
            }
        }
    }
    vcpu1_stop_here();
    for (unsigned i = 0; i < KIDS; i++) {
        kid_end(&kids[i]);
    }
    take_counts(&own);
    dom0_limits();
    home_leave(&fuzzers[0]);
    destroy_all();
}

/* --- the whole --- */

static u64 number(const char *name, u64 otherwise)
{
    const char *p = strstr((const char *)start_info->cmd_line, name);
    u64 v = 0;
    if (!p)
        return otherwise;
    for (p += strlen(name); *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (*p - '0');
    }
    return v;
}

static const char *const call_names[CALLS_KNOWN] = {
#define HYPERCALL(nr, name, ...) [nr] = #name,
#define NOT_IMPLEMENTED(nr, name, ...) [nr] = #name,
#include "hypercall_table.h"
};

TEST(fuzz)
{
    seed = number("seed=", 1);
    calls_wanted = number("calls=", 20000);
    first_batch = number("batch=", 0);
    batches = number("batches=", ~0UL);
    each = number("each=", 4000);
    print("fuzz: seed=%lu calls=%lu batch=%lu each=%lu, %u kinds of calls\n", seed, calls_wanted, first_batch, each,
          grammar_size());
    grammar_init(true);
    timing_init();
    own.seed = seed;
    fuzzer_init(&fuzzers[0], 0, true, &own);
    dom0_limits();
    home_init(&fuzzers[0]);
    fill_up();
    if (have_vcpu1()) {
        CHECK_EQ(start_vcpu1(vcpu1_main, NULL), 0);
    }
    u64 baseline = 0, last = first_batch + MIN(batches, 1UL << 40);
    for (u64 nr = first_batch; nr < last && sum.calls < calls_wanted; nr++) {
        batch(nr);
        u64 now = pages(), end = system_time() + 200000000UL;
        while (now + SLACK < baseline && system_time() < end) {
            pause_for(1000000);
            now = pages();
        }
        print("fuzz: seed=%lu batch=%lu: %lu calls, %lu good, %lu exceptions; %lu domains, %lu crashed, %lu stuck, "
              "%lu not made; %lu pages; %lu ms\n", seed, nr, sum.calls, sum.good, sum.traps, sum.domains, sum.crashed, sum.hung,
              sum.refused, now, system_time() / 1000000);
        debug_key('A');
        if (now + SLACK < baseline) {
            check_failed(__FILE__, __LINE__, "seed=%lu batch=%lu: %lu pages where %lu were", seed, nr, now, baseline);
            debug_key('q');
            debug_key('g');
            debug_key('e');
            baseline = now;
        }
        baseline = MAX(baseline, now);
    }
    for (unsigned i = 0; i < CALLS_KNOWN; i++) {
        if (longest[i])
            print("fuzz: longest %s %lu\n", call_names[i] ? call_names[i] : "?", longest[i]);
        CHECK(longest[i] < (have_vcpu1() ? STUCK_NS : LONG_NS));
    }
    print("fuzz: longest wait %lu\n", longest_wait);
    CHECK(longest_wait < (have_vcpu1() ? STUCK_NS : LONG_NS));
    CHECK(sum.calls >= calls_wanted || batches != ~0UL);
}
