// links: hv/core/domain.c hv/core/lifecycle.c hv/core/domctl.c hv/core/ranges.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* Domains' life, their references and the control plane's calls over a modelled machine. */
#include "unit.h"
#include "arch.h"
#include "domctl.h"
#include "evtchn.h"
#include "grant.h"
#include "hypercall.h"
#include "mm.h"
#include "policy.h"
#include "ranges.h"
#include "sched.h"

/* --- the modelled rest of Bulkhead --- */
static long live;               /* allocations that were not freed */
static long fail_after = -1;    /* allocations that still succeed */
static unsigned virqs, graces, restarts_left;
static char stages[64];
static void (*domain_softirq)(void);
bool opt_noreboot;
static struct page frames[64];
struct page *frame_table = frames;
static char shared_pages[64][PAGE_SIZE] __attribute__((aligned(4096)));
static u64 next_frame;
static const struct guest_ops ops;

static void *take(size_t n)
{
    if (fail_after == 0) {
        return NULL;
    }
    fail_after -= fail_after > 0;
    live++;
    return calloc(1, n);
}
static void give(void *p) { if (p) { live--; free(p); } }
static void stage(char c)
{
    size_t n = strlen(stages);
    if (n < sizeof(stages) - 1) {
        stages[n] = c;
        stages[n + 1] = 0;
    }
}

void *xzalloc(size_t n) { return take(n); }
void xfree(void *p) { give(p); }
static u64 page_free;           /* frames not in use, by bit */
void *alloc_hv_page(void)
{
    if (fail_after == 0) {
        return NULL;
    }
    fail_after -= fail_after > 0;
    for (next_frame = 1; next_frame < 64; next_frame++) {
        if (!(page_free >> next_frame & 1)) {
            page_free |= 1UL << next_frame;
            live++;
            memset(shared_pages[next_frame], 0, PAGE_SIZE);
            return shared_pages[next_frame];
        }
    }
    return NULL;
}
mfn_t virt_to_mfn(const void *p) { return (mfn_t)(((const char *)p - shared_pages[0]) / (long)PAGE_SIZE); }
void *mfn_to_virt(mfn_t m) { return shared_pages[m]; }
void free_hv_page(void *va) { page_free &= ~(1UL << virt_to_mfn(va)); live--; }
void *alloc_shared_page(struct domain *d)
{
    void *va = alloc_hv_page();
    if (va) {
        frames[virt_to_mfn(va)].owner = d->id;
    }
    return va;
}
void free_shared_page(void *va)
{
    if (va) {
        free_hv_page(va);
    }
}
int arch_domain_init(struct domain *d) { (void)d; return 0; }
void pirq_domain_destroy(struct domain *d) { (void)d; }
struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id) { (void)d; (void)id; return take(sizeof(struct vcpu)); }
void arch_vcpu_free(struct vcpu *v) { give(v); }
void pirq_domain_quiesce(struct domain *d) { (void)d; stage('d'); }
void arch_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *i) { (void)d; (void)i; }
#define ARCH_DOMCTL(name) long domctl_##name(struct domctl *c) { (void)c; return -ENOSYS; }
ARCH_DOMCTL(hypercall_init)
ARCH_DOMCTL(sendtrigger)
ARCH_DOMCTL(set_address_size)
ARCH_DOMCTL(get_address_size)
ARCH_DOMCTL(set_ext_vcpucontext)
ARCH_DOMCTL(get_ext_vcpucontext)
ARCH_DOMCTL(getpageframeinfo3)
ARCH_DOMCTL(setvcpuextstate)
ARCH_DOMCTL(getvcpuextstate)
ARCH_DOMCTL(get_vcpu_msrs)
ARCH_DOMCTL(set_vcpu_msrs)
ARCH_DOMCTL(get_cpu_policy)
ARCH_DOMCTL(set_cpu_policy)
const struct guest_ops *arch_guest_kind(const struct xen_domctl_createdomain *c, int *err)
{
    *err = -EOPNOTSUPP;
    return c->flags & XEN_DOMCTL_CDF_hvm ? NULL : &ops;
}
void arch_call_cpus(cpumask_t m, void (*fn)(void *), void *arg) { (void)m; (void)fn; (void)arg; graces++; }
void arch_spin_poll(void) { }
void arch_irq_window(void) { }
void arch_machine_restart(void) { panic("restart"); }
void arch_machine_power_off(void) { panic("power off"); }
s_time_t now(void) { return 1000; }
u64 cpu_khz(void) { return 2000000; }
void wallclock_to_guest(struct domain *d) { (void)d; }
int evtchn_domain_init(struct domain *d) { d->evtchn = take(8); return d->evtchn ? 0 : -ENOMEM; }
void evtchn_domain_free(struct domain *d) { give(d->evtchn); }
void evtchn_vcpu_info_moved(struct vcpu *v) { v->info->evtchn_pending_sel = ~0UL; }
int grant_domain_init(struct domain *d) { d->grants = take(8); return d->grants ? 0 : -ENOMEM; }
void grant_domain_free(struct domain *d) { give(d->grants); }
static int stage_step(char c)
{
    stage(c);
    if (restarts_left) {
        restarts_left--;
        return -ERESTART;
    }
    return 0;
}
int grant_release_mappings(struct domain *d) { (void)d; return stage_step('g'); }
int evtchn_domain_close(struct domain *d) { (void)d; return stage_step('e'); }
int relinquish_pages(struct domain *d) { (void)d; return stage_step('p'); }
static int op_relinquish(struct domain *d) { (void)d; return stage_step('t'); }
void sched_vcpu_init(struct vcpu *v) { v->hard_affinity.bits = v->soft_affinity.bits = ~0UL; }
void sched_vcpu_destroy(struct vcpu *v) { (void)v; }
void vcpu_timers_init(struct vcpu *v) { (void)v; }
void vcpu_timers_destroy(struct vcpu *v) { (void)v; }
u64 vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *o) { (void)v; (void)o; return 7; }
long sched_adjust_domain(struct domain *d, struct xen_domctl_scheduler_op *o) { (void)d; (void)o; return 0; }
int vcpu_set_affinity(struct vcpu *v, const cpumask_t *h, const cpumask_t *s)
{
    if (!(h->bits & 1)) {
        return -EINVAL;
    }
    v->hard_affinity = *h;
    v->soft_affinity = *s;
    return 0;
}
static unsigned woken, slept;
void vcpu_wake(struct vcpu *v) { (void)v; woken++; }
void vcpu_sleep_nosync(struct vcpu *v) { (void)v; slept++; }
void vcpu_sleep_sync(struct vcpu *v) { (void)v; }
int virq_set_handler(struct domain *d, unsigned virq) { (void)d; return virq < NR_VIRQS ? 0 : -EINVAL; }
void virq_global(unsigned virq) { virqs += virq == VIRQ_DOM_EXC; }
void softirq_register(enum softirq nr, void (*fn)(void)) { if (nr == SOFTIRQ_DOMAIN) { domain_softirq = fn; } }
bool hypercall_preempt(struct vcpu *v) { (void)v; return false; }
int exchange_abandon(struct vcpu *v);
int exchange_abandon(struct vcpu *v) { (void)v; return 0; }

static int op_copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    (void)v;
    if (src < 4096) {
        return -EFAULT;
    }
    memcpy(dst, (void *)src, n);
    return 0;
}
static int op_copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    (void)v;
    if (dst < 4096) {
        return -EFAULT;
    }
    memcpy((void *)dst, src, n);
    return 0;
}
static unsigned gfn_refs;
static struct page *op_get_gfn(struct domain *d, u64 gfn, bool write)
{
    (void)d; (void)write;
    if (gfn < 40 || gfn >= 64) {
        return NULL;
    }
    gfn_refs++;
    return &frames[gfn];
}
static void op_put_gfn(struct page *pg, bool write) { (void)pg; (void)write; gfn_refs--; }
static int op_set_context(struct vcpu *v, const struct vcpu_guest_context *c) { (void)v; return c->user_regs.rip ? 0 : -EINVAL; }
static void op_get_context(struct vcpu *v, struct vcpu_guest_context *c) { (void)v; c->user_regs.rip = 5; }
static void op_vcpu_reset(struct vcpu *v) { (void)v; }
static const struct guest_ops ops = {
    .copy_from = op_copy_from, .copy_to = op_copy_to, .get_gfn = op_get_gfn, .put_gfn = op_put_gfn,
    .set_context = op_set_context, .get_context = op_get_context, .vcpu_reset = op_vcpu_reset,
    .relinquish = op_relinquish,
};

/* --- helpers --- */
static struct vcpu *me;         /* dom0's vCPU 0, the caller */

static void run_softirq(void)
{
    while (test_cpu_top.cpu->softirq & (1u << SOFTIRQ_DOMAIN)) {
        test_cpu_top.cpu->softirq &= ~(1u << SOFTIRQ_DOMAIN);
        domain_softirq();
    }
}

static const struct xen_domctl_createdomain small = {
    .max_vcpus = 2, .max_evtchn_port = 1023, .max_grant_frames = -1, .max_maptrack_frames = -1, .grant_opts = 1,
};

static void start(void)
{
    int err;
    if (me) {
        return;
    }
    domains_init();
    struct domain *d = domain_create(0, &small, &ops, RIGHT_CONTROL | RIGHT_FOREIGN | RIGHT_HARDWARE, &err);
    me = vcpu_create(d, 0);
    test_cpu_top.curr = me;
    domain_controller_unpause(d);
}

static struct xen_domctl op;
static long call(u32 cmd, domid_t id)
{
    unsigned long a[6] = { (unsigned long)&op };
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = id;
    long rc = do_domctl(me, a);
    run_softirq();
    return rc;
}

static domid_t make(void)
{
    memset(&op, 0, sizeof(op));
    op.u.createdomain = small;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, DOMID_INVALID), 0);
    domid_t id = op.domain;
    op.u.max_vcpus.max = 2;
    CHECK_EQ(call(XEN_DOMCTL_max_vcpus, id), 0);
    return id;
}

static void destroy(domid_t id)
{
    CHECK_EQ(call(XEN_DOMCTL_destroydomain, id), 0);
    CHECK(domain_get(id) == NULL);
}

/* --- tests --- */

TEST(ids_increase_and_are_not_reused_at_once)
{
    start();
    domid_t a = make(), b = make();
    CHECK_EQ(b, a + 1);
    destroy(a);
    domid_t c = make();
    CHECK_EQ(c, b + 1);
    memset(&op, 0, sizeof(op));
    op.u.createdomain = small;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, b), -EEXIST);
    op.u.createdomain = small;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, 4711), 0);
    CHECK_EQ(op.domain, 4711);
    destroy(4711);
    destroy(b);
    destroy(c);
}

TEST(rounds_give_everything_back)
{
    start();
    destroy(make());
    long before = live;
    for (unsigned i = 0; i < 200; i++) {
        destroy(make());
    }
    CHECK_EQ(live, before);
}

TEST(every_failed_allocation_is_undone)
{
    start();
    domid_t keep = make();
    long before = live;
    bool ok = false;
    for (long n = 0; n < 60 && !ok; n++) {
        memset(&op, 0, sizeof(op));
        op.u.createdomain = small;
        fail_after = n;
        long rc = call(XEN_DOMCTL_createdomain, DOMID_INVALID);
        if (rc == 0) {
            domid_t id = op.domain;
            op.u.max_vcpus.max = 2;
            rc = call(XEN_DOMCTL_max_vcpus, id);
            ok = rc == 0;
            fail_after = -1;
            destroy(id);
        }
        CHECK(ok || rc == -ENOMEM);
        fail_after = -1;
        CHECK_EQ(live, before);
    }
    CHECK(ok);
    destroy(keep);
}

TEST(teardown_in_order_and_restartable)
{
    start();
    domid_t id = make();
    struct domain *d = domain_get(id);
    CHECK_EQ(vcpu_register_info(d->vcpu[1], 45, 64), 0);
    CHECK_EQ(gfn_refs, 1);
    restarts_left = 3;
    stages[0] = 0;
    virqs = 0;
    CHECK_EQ(call(XEN_DOMCTL_destroydomain, id), 0);
    CHECK_STR(stages, "dttttgep");
    CHECK_EQ(gfn_refs, 0);
    CHECK_EQ(virqs, 1);
    /* Dead, but seen until the last reference goes. */
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, id), 0);
    CHECK_EQ(op.domain, id);
    CHECK(op.u.getdomaininfo.flags & XEN_DOMINF_dying);
    CHECK_EQ(call(XEN_DOMCTL_destroydomain, id), 0);
    domain_put(d);
    run_softirq();
    CHECK_EQ(virqs, 2);
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, id), -ESRCH);
}

TEST(vcpu_info_moves_once)
{
    start();
    domid_t id = make();
    struct domain *d = domain_get(id);
    struct vcpu *v = d->vcpu[1];
    CHECK_EQ(v->info->evtchn_upcall_mask, 1);
    CHECK_EQ(vcpu_register_info(v, 45, PAGE_SIZE - 56), -ENXIO);
    CHECK_EQ(vcpu_register_info(v, 45, 4), -EINVAL);
    CHECK_EQ(vcpu_register_info(v, 3, 0), -EINVAL);
    CHECK_EQ(vcpu_register_info(v, 45, PAGE_SIZE - 64), 0);
    CHECK_EQ(v->info->evtchn_upcall_mask, 1);
    CHECK(v->info->evtchn_pending_sel == ~0UL);
    CHECK_EQ(vcpu_register_info(v, 46, 0), -EINVAL);
    CHECK_EQ(gfn_refs, 1);
    v = d->vcpu[0];
    v->pause_flags = 0;         /* up, and not the caller: refused */
    CHECK_EQ(vcpu_register_info(v, 46, 0), -EINVAL);
    domain_put(d);
    destroy(id);
}

TEST(pauses_count)
{
    start();
    domid_t id = make();
    struct domain *d = domain_get(id);
    CHECK_EQ(d->pause_count, 1);
    CHECK(!d->creation_finished);
    CHECK_EQ(call(XEN_DOMCTL_pausedomain, id), 0);
    CHECK_EQ(d->pause_count, 2);
    CHECK_EQ(call(XEN_DOMCTL_unpausedomain, id), 0);
    woken = 0;
    CHECK_EQ(call(XEN_DOMCTL_unpausedomain, id), 0);
    CHECK_EQ(woken, 2);
    CHECK(d->creation_finished);
    CHECK_EQ(call(XEN_DOMCTL_unpausedomain, id), -EINVAL);
    for (unsigned i = 0; i < 255; i++) {
        CHECK_EQ(call(XEN_DOMCTL_pausedomain, id), 0);
    }
    CHECK_EQ(call(XEN_DOMCTL_pausedomain, id), -EOVERFLOW);
    CHECK_EQ(call(XEN_DOMCTL_pausedomain, 0), -EINVAL);
    domain_put(d);
    destroy(id);
}

TEST(shutdown_is_told_and_undone)
{
    start();
    domid_t id = make();
    struct domain *d = domain_get(id);
    CHECK_EQ(call(XEN_DOMCTL_unpausedomain, id), 0);
    virqs = 0;
    domain_shutdown(d, SHUTDOWN_suspend);
    domain_crash(d, "a crash of what is shut down says %d", 1);
    run_softirq();
    CHECK_EQ(virqs, 1);
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, id), 0);
    CHECK(op.u.getdomaininfo.flags & XEN_DOMINF_shutdown);
    CHECK_EQ(op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift, SHUTDOWN_suspend);
    CHECK_EQ(d->pause_count, 1);
    CHECK_EQ(call(XEN_DOMCTL_resumedomain, id), 0);
    CHECK_EQ(d->pause_count, 0);
    CHECK_EQ(call(XEN_DOMCTL_resumedomain, id), 0);
    CHECK_EQ(d->pause_count, 0);
    domain_crash(d, "bad");
    CHECK_EQ(d->shutdown_code, SHUTDOWN_crash);
    domain_put(d);
    destroy(id);
    CHECK_PANICS(domain_shutdown(me->domain, SHUTDOWN_poweroff));
}

static char walked[256], want[64];
static domid_t goes;
static u32 walk(struct domain *d, u32 i)
{
    size_t n = strlen(walked);
    snprintf(walked + n, sizeof(walked) - n, "%u.%u ", d->id, i);
    if (i == 1 && goes) {
        destroy(goes);
        goes = 0;
    }
    return d->id && i < 2 ? i + 1 : 0;
}

TEST(steps_through_all)
{
    start();
    domid_t a = make(), b = make(), c = make();
    goes = b;                                   /* the next one, while it is at a */
    for (u64 at = 0; (at = domains_step(walk, at)) != 0;)
        ;
    snprintf(want, sizeof(want), "0.0 %u.0 %u.1 %u.2 %u.0 %u.1 %u.2 ", a, a, a, c, c, c);
    CHECK_STR(walked, want);
    walked[0] = '\0';
    u64 at = domains_step(walk, (u64)a << 32 | 1);
    destroy(a);                                 /* where it stands: on with the next, from its start */
    CHECK_EQ(at, (u64)a << 32 | 2);
    at = domains_step(walk, at);
    snprintf(want, sizeof(want), "%u.1 %u.0 ", a, c);
    CHECK_STR(walked, want);
    destroy(c);
    CHECK(domains_step(walk, at) == 0);
}

TEST(info_finds_the_next)
{
    start();
    domid_t a = make(), b = make();
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, 1), 0);
    CHECK_EQ(op.domain, a);
    CHECK_EQ(op.u.getdomaininfo.domain, a);
    CHECK_EQ(op.u.getdomaininfo.max_vcpu_id, 1);
    CHECK_EQ(op.u.getdomaininfo.nr_online_vcpus, 0);
    CHECK_EQ(op.u.getdomaininfo.cpu_time, 14);
    CHECK(op.u.getdomaininfo.flags & XEN_DOMINF_paused);
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, (domid_t)(a + 1)), 0);
    CHECK_EQ(op.domain, b);
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, (domid_t)(b + 1)), -ESRCH);
    CHECK_EQ(call(XEN_DOMCTL_getdomaininfo, 0), 0);
    CHECK_EQ(op.domain, 0);
    destroy(a);
    destroy(b);
}

TEST(bad_calls)
{
    unsigned long a[6] = { (unsigned long)&op };
    start();
    op.interface_version = 0x14;
    CHECK_EQ(do_domctl(me, a), -EACCES);
    a[0] = 8;
    CHECK_EQ(do_domctl(me, a), -EFAULT);
    CHECK_EQ(call(9999, 0), -ENOSYS);
    CHECK_EQ(call(6, 0), -ENOSYS);
    CHECK_EQ(call(XEN_DOMCTL_gethvmcontext, 0), -EOPNOTSUPP);
    CHECK_EQ(call(XEN_DOMCTL_pausedomain, 999), -ESRCH);
    CHECK_EQ(call(XEN_DOMCTL_pausedomain, DOMID_XEN), -ESRCH);
    CHECK_EQ(call(XEN_DOMCTL_destroydomain, 0), -EINVAL);
    me->domain->rights = 0;
    CHECK_EQ(call(XEN_DOMCTL_pausedomain, 0), -EPERM);
    me->domain->rights = RIGHT_CONTROL | RIGHT_FOREIGN | RIGHT_HARDWARE;
    memset(&op, 0, sizeof(op));
    op.u.createdomain = small;
    op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, DOMID_INVALID), -EOPNOTSUPP);
    op.u.createdomain = small;
    op.u.createdomain.max_vcpus = MAX_VCPUS + 1;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, DOMID_INVALID), -EINVAL);
    op.u.createdomain = small;
    op.u.createdomain.max_grant_frames = 0x7fffffff;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, DOMID_INVALID), -EINVAL);
    op.u.createdomain = small;
    op.u.createdomain.grant_opts = 0x11;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, DOMID_INVALID), -EINVAL);
    op.u.createdomain = small;
    op.u.createdomain.cpupool_id = 3;
    CHECK_EQ(call(XEN_DOMCTL_createdomain, DOMID_INVALID), -ESRCH);
    domid_t id = make();
    op.u.getvcpuinfo.vcpu = 2;
    CHECK_EQ(call(XEN_DOMCTL_getvcpuinfo, id), -EINVAL);
    op.u.max_vcpus.max = 3;
    CHECK_EQ(call(XEN_DOMCTL_max_vcpus, id), -EINVAL);
    destroy(id);
}

TEST(affinity_maps)
{
    u8 hard[16], soft[16];
    start();
    domid_t id = make();
    memset(hard, 0xff, sizeof(hard));
    memset(soft, 0xff, sizeof(soft));
    memset(&op, 0, sizeof(op));
    op.u.vcpuaffinity.vcpu = 1;
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    op.u.vcpuaffinity.cpumap_hard.bitmap.p = hard;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 100;
    op.u.vcpuaffinity.cpumap_soft.bitmap.p = soft;
    op.u.vcpuaffinity.cpumap_soft.nr_bits = 3;
    CHECK_EQ(call(XEN_DOMCTL_setvcpuaffinity, id), 0);
    CHECK_EQ(hard[0], 1);               /* CPUs that are on line */
    CHECK_EQ(hard[12], 0);
    CHECK_EQ(hard[13], 0xff);           /* beyond the map */
    CHECK_EQ(soft[0], 1);
    CHECK_EQ(soft[1], 0xff);
    CHECK_EQ(call(XEN_DOMCTL_getvcpuaffinity, id), 0);
    CHECK_EQ(hard[7], 0xff);
    CHECK_EQ(hard[8], 0);
    CHECK_EQ(soft[0], 7);
    hard[0] = 2;
    memset(hard + 1, 0, 15);
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    CHECK_EQ(call(XEN_DOMCTL_setvcpuaffinity, id), -EINVAL);
    op.u.vcpuaffinity.flags = 0;
    CHECK_EQ(call(XEN_DOMCTL_setvcpuaffinity, id), -EINVAL);
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = ~0u;
    CHECK_EQ(call(XEN_DOMCTL_getvcpuaffinity, id), -EINVAL);
    destroy(id);
}

TEST(contexts)
{
    static struct vcpu_guest_context c;
    start();
    domid_t id = make();
    struct domain *d = domain_get(id);
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.ctxt.p = &c;
    CHECK_EQ(call(XEN_DOMCTL_getvcpucontext, id), -ENODATA);
    CHECK_EQ(call(XEN_DOMCTL_setvcpucontext, id), -EINVAL);
    c.user_regs.rip = 1;
    c.flags = VGCF_online;
    CHECK_EQ(call(XEN_DOMCTL_setvcpucontext, id), 0);
    CHECK_EQ(d->vcpu[0]->pause_flags, 0);
    CHECK(d->vcpu[0]->initialised);
    CHECK_EQ(call(XEN_DOMCTL_getvcpucontext, id), 0);
    CHECK_EQ(c.user_regs.rip, 5);
    CHECK(c.flags & VGCF_online);
    op.u.vcpucontext.ctxt.p = NULL;
    CHECK_EQ(call(XEN_DOMCTL_setvcpucontext, id), 0);
    CHECK(!d->vcpu[0]->initialised);
    CHECK_EQ(d->vcpu[0]->pause_flags, VPF_DOWN);
    CHECK_EQ(d->pause_count, 1);
    domain_put(d);
    destroy(id);
}

TEST(rights_over_others)
{
    int err = 0;
    start();
    domid_t a = make(), b = make();
    struct domain *da = domain_get(a), *db = domain_get(b);
    CHECK(domain_get_for(da->vcpu[0], b, &err) == NULL);
    CHECK_EQ(err, -EPERM);
    CHECK(domain_get_for(da->vcpu[0], 3000, &err) == NULL);
    CHECK_EQ(err, -ESRCH);
    CHECK(domain_get_for(da->vcpu[0], DOMID_SELF, &err) == da);
    CHECK(domain_get_for(da->vcpu[0], a, &err) == da);
    op.u.set_target.target = b;
    CHECK_EQ(call(XEN_DOMCTL_set_target, a), 0);
    CHECK_EQ(call(XEN_DOMCTL_set_target, a), -EEXIST);
    CHECK(domain_get_for(da->vcpu[0], b, &err) == db);
    domain_put(db);
    domain_put(db);
    destroy(b);
    CHECK_EQ(da->target, DOMID_INVALID);
    for (unsigned i = 0; i < 3; i++) {
        domain_put(da);
    }
    destroy(a);
}

TEST(permissions)
{
    start();
    domid_t id = make();
    struct domain *d = domain_get(id);
    memset(&op, 0, sizeof(op));
    op.u.ioport_permission.first_port = 0x3f8;
    op.u.ioport_permission.nr_ports = 8;
    op.u.ioport_permission.allow_access = 1;
    /* Whatever other rights the caller has: only what is its own can be handed on. */
    CHECK_EQ(call(XEN_DOMCTL_ioport_permission, id), -EPERM);
    CHECK_EQ(ranges_add(me->domain->ioports, 0x3f0, 0x3ff), 0);
    CHECK_EQ(call(XEN_DOMCTL_ioport_permission, id), 0);
    CHECK(ranges_contains(d->ioports, 0x3f8, 0x3ff));
    op.u.ioport_permission.nr_ports = 0x10000;
    CHECK_EQ(call(XEN_DOMCTL_ioport_permission, id), -EINVAL);
    op.u.ioport_permission.nr_ports = 0xffffffff;
    CHECK_EQ(call(XEN_DOMCTL_ioport_permission, id), -EINVAL);
    op.u.ioport_permission.nr_ports = 9;
    CHECK_EQ(call(XEN_DOMCTL_ioport_permission, id), -EPERM);
    op.u.ioport_permission.nr_ports = 8;
    op.u.ioport_permission.allow_access = 0;
    CHECK_EQ(call(XEN_DOMCTL_ioport_permission, id), 0);
    CHECK(!ranges_contains(d->ioports, 0x3f8, 0x3f8));
    memset(&op, 0, sizeof(op));
    op.u.iomem_permission.first_mfn = 1UL << 40;
    op.u.iomem_permission.nr_mfns = ~0UL;
    CHECK_EQ(call(XEN_DOMCTL_iomem_permission, id), -EINVAL);
    domain_put(d);
    destroy(id);
}
