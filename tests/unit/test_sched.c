// links: hv/core/sched.c hv/core/sched_cap.c hv/core/runstate.c hv/core/timer.c hv/core/softirq.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/*
 * The scheduler in a simulated machine: CPUs with one-shot timers, vCPUs that spin or
 * that run a little and sleep, and a clock that goes from event to event.
 */
#include "unit.h"
#include "arch.h"
#include "evtchn.h"
#include "../../hv/core/sched_private.h"
#include <xen/sysctl.h>

#define SEC MS(1000)

/* --- the machine --- */
static s_time_t clock_now;
static s_time_t hardware[NR_CPUS];
static struct vcpu *on_cpu[NR_CPUS];        /* cpu_top()->curr of each */
static unsigned switches;
static s_time_t skew[NR_CPUS];              /* how wrong each CPU's clock is */

s_time_t now(void) { return clock_now + skew[cpu_id()]; }
void arch_timer_program(s_time_t t) { hardware[cpu_id()] = t; }
void arch_kick_cpu(unsigned cpu) { (void)cpu; }     /* every CPU is looked at anyway */
void arch_spin_poll(void) { }
void arch_irq_window(void) { }

/* --- guests: `burst` ns of work each `period`, or spinning --- */
struct guest {
    struct vcpu v;
    s_time_t burst, period;         /* period 0: spins */
    s_time_t left, put_on, wake_at, woken_at, worst, sum;
    unsigned wakes;
    u64 mark;
};
static struct domain doms[64];
static struct guest guests[64];
static struct vcpu *vcpu_slot[64][4];
static unsigned nr_guests, nr_doms;
struct domain *domain_idle = &doms[63];
static struct vcpu idle_vcpu[NR_CPUS];
static struct vcpu_info info;

struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id)
{
    (void)d;
    idle_vcpu[id] = (struct vcpu){ 0 };
    on_cpu[id] = &idle_vcpu[id];
    return &idle_vcpu[id];
}
void *xzalloc(size_t n) { return n == sizeof(info) ? &info : NULL; }

static struct guest *guest_of(struct vcpu *v) { return container_of(v, struct guest, v); }

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
    switches++;
    CHECK(test_cpu_top.curr == prev && prev != next);
    CHECK(prev->is_running && next->is_running);
    for (unsigned i = 0; i < nr_cpus; i++) {
        CHECK(on_cpu[i] != next);
    }
    if (!prev->is_idle && guest_of(prev)->period) {
        guest_of(prev)->left -= clock_now - guest_of(prev)->put_on;
    }
    if (!next->is_idle) {
        struct guest *g = guest_of(next);

        g->put_on = clock_now;
        if (g->woken_at) {
            s_time_t late = clock_now - g->woken_at;

            g->worst = MAX(g->worst, late);
            g->sum += late;
            g->wakes++;
            g->woken_at = 0;
        }
    }
    test_cpu_top.curr = next;
    on_cpu[cpu_id()] = next;
}

static void be(unsigned cpu)
{
    test_cpu_top.cpu = &cpus[cpu];
    test_cpu_top.curr = on_cpu[cpu];
}

static void machine(unsigned n)
{
    clock_now = SEC;
    nr_cpus = n;
    nr_guests = nr_doms = 0;
    switches = 0;
    memset(doms, 0, sizeof(doms));
    memset(guests, 0, sizeof(guests));
    memset(vcpu_slot, 0, sizeof(vcpu_slot));
    memset(skew, 0, sizeof(skew));
    memset(hardware, 0, sizeof(hardware));
    cpus_online.bits = n < 64 ? (1UL << n) - 1 : ~0UL;
    sched_ratelimit_us = 500;
    for (unsigned i = 0; i < n; i++) {
        cpus[i] = (struct cpu){ .id = i };
        be(i);
        if (i == 0) {
            timers_init();
            sched_init();
        }
        sched_cpu_init(i);
    }
}

static struct domain *new_domain(u32 weight, u32 cap)
{
    struct domain *d = &doms[nr_doms];

    d->id = (domid_t)(nr_doms + 1);
    d->max_vcpus = 4;
    d->vcpu = vcpu_slot[nr_doms++];
    d->weight = weight;
    timer_init(&d->cap_timer, cap_unpark, d, 0);
    d->cap = cap;
    return d;
}

static struct guest *new_vcpu(struct domain *d, s_time_t burst, s_time_t period, u64 mask)
{
    struct guest *g = &guests[nr_guests++];
    unsigned id = 0;

    while (d->vcpu[id]) {
        id++;
    }
    be(0);
    g->burst = g->left = burst;
    g->period = period;
    g->wake_at = INT64_MAX;
    g->v.domain = d;
    g->v.id = id;
    g->v.info = &info;
    sched_vcpu_init(&g->v);
    d->vcpu[id] = &g->v;
    if (mask) {
        cpumask_t m = { mask };

        CHECK_EQ(vcpu_set_affinity(&g->v, &m, NULL), 0);
    }
    vcpu_wake(&g->v);
    return g;
}

static struct guest *spinner(u32 weight, u32 cap, u64 mask)
{
    return new_vcpu(new_domain(weight, cap), 0, 0, mask);
}

static void run_softirqs(void)
{
    bool more;

    do {
        more = false;
        for (unsigned i = 0; i < nr_cpus; i++) {
            be(i);
            if (cpus[i].softirq) {
                more = true;
                softirq_run();
                CHECK_EQ(cpus[i].lock_depth, 0);
            }
        }
    } while (more);
}

static s_time_t next_event(void)
{
    s_time_t t = INT64_MAX;

    for (unsigned i = 0; i < nr_cpus; i++) {
        struct vcpu *v = on_cpu[i];

        if (hardware[i]) {
            t = MIN(t, hardware[i] - skew[i]);
        }
        if (!v->is_idle && guest_of(v)->period) {
            t = MIN(t, guest_of(v)->put_on + guest_of(v)->left);
        }
    }
    for (unsigned i = 0; i < nr_guests; i++) {
        t = MIN(t, guests[i].wake_at);
    }
    return MAX(t, clock_now);
}

/* No CPU idles while a vCPU that it may run waits; queues are in order. */
static void check_queues(void)
{
    for (unsigned c = 0; c < nr_cpus; c++) {
        unsigned n = 0;
        s64 last = 0;

        CHECK(runqs[c].curr == on_cpu[c]);
        for_each_waiting (v, &runqs[c]) {
            CHECK(v->cpu == c && v->sched.on_queue && !v->is_running && vcpu_runnable(v));
            CHECK_EQ(v->runstate.state, RUNSTATE_runnable);
            s64 rank = v->sched.vtime - (v->sched.boost > 0 ? VT(MS(100)) : 0);
            CHECK(n == 0 || rank - last >= 0);
            last = rank;
            n++;
            for (unsigned i = 0; i < nr_cpus; i++) {
                CHECK(!on_cpu[i]->is_idle || !cpumask_test(v->hard_affinity, i) ||
                      cap_exhausted(v->domain, clock_now));
            }
        }
        CHECK_EQ(n, runqs[c].nr);
    }
}

static void run_for(s_time_t ns)
{
    s_time_t end = clock_now + ns;

    run_softirqs();
    for (;;) {
        s_time_t t = next_event();

        if (t > end) {
            break;
        }
        clock_now = t;
        for (unsigned i = 0; i < nr_cpus; i++) {
            struct vcpu *v = on_cpu[i];

            be(i);
            if (hardware[i] && hardware[i] - skew[i] <= t) {
                hardware[i] = 0;
                softirq_raise(SOFTIRQ_TIMER);
            }
            if (!v->is_idle && guest_of(v)->period && guest_of(v)->put_on + guest_of(v)->left <= t) {
                struct guest *g = guest_of(v);

                g->left = g->burst;
                g->put_on = t;
                g->wake_at = t + g->period;
                vcpu_block(v);
            }
        }
        be(0);
        for (unsigned i = 0; i < nr_guests; i++) {
            if (guests[i].wake_at <= t) {
                guests[i].wake_at = INT64_MAX;
                guests[i].woken_at = guests[i].v.pause_flags & VPF_BLOCKED ? t : 0;
                vcpu_unblock(&guests[i].v);
            }
        }
        run_softirqs();
        check_queues();
    }
    clock_now = end;
}

static void mark_all(void)
{
    be(0);
    for (unsigned i = 0; i < nr_guests; i++) {
        guests[i].mark = vcpu_runstate_get(&guests[i].v, NULL);
        guests[i].worst = guests[i].sum = guests[i].wakes = 0;
    }
}

/* Running time since the mark, in per mille of a CPU over ns. */
static long share(struct guest *g, s_time_t ns)
{
    be(0);
    return (long)((s_time_t)(vcpu_runstate_get(&g->v, NULL) - g->mark) * 1000 / ns);
}

#define NEAR(a, b, tolerance) CHECK(labs((long)(a) - (long)(b)) <= (tolerance) || \
        (printf("  %s is %ld, not about %ld\n", #a, (long)(a), (long)(b)), 0))

/* --- the tests --- */

TEST(one_cpu_by_weight)
{
    machine(1);
    struct guest *a = spinner(256, 0, 0), *b = spinner(512, 0, 0), *c = spinner(256, 0, 0);
    run_for(SEC);
    mark_all();
    run_for(4 * SEC);
    NEAR(share(a, 4 * SEC), 250, 5);
    NEAR(share(b, 4 * SEC), 500, 5);
    NEAR(share(c, 4 * SEC), 250, 5);
}

TEST(extreme_weights)
{
    machine(1);
    struct guest *a = spinner(1, 0, 0), *b = spinner(65535, 0, 0);
    run_for(10 * SEC);
    NEAR(share(b, 10 * SEC), 1000, 5);
    CHECK(share(a, 10 * SEC) < 5);
}

TEST(idle_accounting)
{
    machine(2);
    struct guest *a = spinner(256, 0, 1);
    struct guest *b = new_vcpu(new_domain(256, 0), MS(1), MS(3), 2);
    u64 idle0 = cpu_idle_ns(0), idle1 = cpu_idle_ns(1);
    run_for(4 * SEC);
    CHECK_EQ(share(a, 4 * SEC), 1000);
    NEAR(share(b, 4 * SEC), 250, 2);
    CHECK_EQ(cpu_idle_ns(0) - idle0, 0);
    NEAR((cpu_idle_ns(1) - idle1) / MS(1), 3000, 5);
}

TEST(alone_has_no_tick)
{
    machine(1);
    spinner(256, 0, 0);
    run_for(MS(100));
    CHECK_EQ(hardware[0], 0);
    CHECK_EQ(switches, 1);
}

TEST(three_on_two_cpus)
{
    machine(2);
    struct guest *g[3];
    for (unsigned i = 0; i < 3; i++) {
        g[i] = spinner(256, 0, 0);
    }
    run_for(SEC);
    mark_all();
    run_for(6 * SEC);
    for (unsigned i = 0; i < 3; i++) {
        NEAR(share(g[i], 6 * SEC), 667, 25);
    }
}

TEST(weights_across_cpus)
{
    machine(2);
    /* weights 512, 256, 256 on two CPUs: 1, 1/2, 1/2 */
    struct guest *a = spinner(512, 0, 0), *b = spinner(256, 0, 0), *c = spinner(256, 0, 0);
    run_for(SEC);
    mark_all();
    run_for(6 * SEC);
    NEAR(share(a, 6 * SEC), 1000, 30);
    NEAR(share(b, 6 * SEC), 500, 30);
    NEAR(share(c, 6 * SEC), 500, 30);
    /* 512, 512, 256: 0.8, 0.8, 0.4 */
    machine(2);
    a = spinner(512, 0, 0), b = spinner(512, 0, 0), c = spinner(256, 0, 0);
    run_for(SEC);
    mark_all();
    run_for(6 * SEC);
    NEAR(share(a, 6 * SEC), 800, 40);
    NEAR(share(b, 6 * SEC), 800, 40);
    NEAR(share(c, 6 * SEC), 400, 40);
}

TEST(many_on_eight_cpus)
{
    machine(8);
    struct guest *g[20];
    for (unsigned i = 0; i < 20; i++) {
        g[i] = spinner(256, 0, 0);
    }
    run_for(SEC);
    mark_all();
    run_for(10 * SEC);
    for (unsigned i = 0; i < 20; i++) {
        NEAR(share(g[i], 10 * SEC), 400, 30);
    }
}

TEST(caps)
{
    static const u32 cap[] = { 1, 10, 25, 50, 90 };
    for (unsigned i = 0; i < ARRAY_SIZE(cap); i++) {
        machine(1);
        struct guest *a = spinner(256, cap[i], 0);
        run_for(10 * SEC);
        NEAR(share(a, 10 * SEC), cap[i] * 10, 2 + cap[i] / 10);
    }
    /* one domain, two vCPUs, two CPUs: 60 % for both together; the rest to another */
    machine(2);
    struct domain *d = new_domain(256, 60);
    struct guest *a = new_vcpu(d, 0, 0, 0), *b = new_vcpu(d, 0, 0, 0), *c = spinner(256, 0, 0);
    run_for(10 * SEC);
    NEAR(share(a, 10 * SEC) + share(b, 10 * SEC), 600, 12);
    CHECK(share(c, 10 * SEC) > 700);        /* disturbed only while both run */
}

TEST(cap_changed_while_running)
{
    machine(1);
    struct guest *a = spinner(256, 0, 0);
    struct xen_domctl_scheduler_op op = { .sched_id = XEN_SCHEDULER_CREDIT2,
                                          .cmd = XEN_DOMCTL_SCHEDOP_putinfo };
    run_for(SEC);
    op.u.credit2.weight = 512;
    op.u.credit2.cap = 20;
    be(0);
    CHECK_EQ(sched_adjust_domain(a->v.domain, &op), 0);
    mark_all();
    run_for(5 * SEC);
    NEAR(share(a, 5 * SEC), 200, 5);
    op.u.credit2.weight = 0;        /* unchanged */
    op.u.credit2.cap = 0;
    be(0);
    CHECK_EQ(sched_adjust_domain(a->v.domain, &op), 0);
    mark_all();
    run_for(SEC);
    NEAR(share(a, SEC), 1000, 1);
    op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    CHECK_EQ(sched_adjust_domain(a->v.domain, &op), 0);
    CHECK_EQ(op.u.credit2.weight, 512);
    CHECK_EQ(op.u.credit2.cap, 0);
    op.cmd = XEN_DOMCTL_SCHEDOP_getvcpuinfo;
    CHECK_EQ(sched_adjust_domain(a->v.domain, &op), -EINVAL);
    op.sched_id = XEN_SCHEDULER_CREDIT;
    CHECK_EQ(sched_adjust_domain(a->v.domain, &op), -EINVAL);
}

TEST(global_parameters)
{
    struct xen_sysctl_scheduler_op op = { .sched_id = XEN_SCHEDULER_CREDIT2,
                                          .cmd = XEN_SYSCTL_SCHEDOP_putinfo };
    machine(1);
    op.u.sched_credit2.ratelimit_us = 99;
    CHECK_EQ(sched_adjust_global(&op), -EINVAL);
    op.u.sched_credit2.ratelimit_us = 500001;
    CHECK_EQ(sched_adjust_global(&op), -EINVAL);
    op.u.sched_credit2.ratelimit_us = 1000;
    CHECK_EQ(sched_adjust_global(&op), 0);
    op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    op.u.sched_credit2.ratelimit_us = 0;
    CHECK_EQ(sched_adjust_global(&op), 0);
    CHECK_EQ(op.u.sched_credit2.ratelimit_us, 1000);
    op.cpupool_id = 1;
    CHECK_EQ(sched_adjust_global(&op), -ESRCH);
}

TEST(wakeups_beside_spinners)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        machine(n);
        for (unsigned i = 0; i < 16; i++) {
            spinner(256, 0, 0);
        }
        struct guest *dom0 = new_vcpu(new_domain(256, 0), US(80), MS(2), 0);
        struct guest *ping = new_vcpu(new_domain(256, 0), US(50), MS(10), 0);
        run_for(SEC);
        mark_all();
        run_for(10 * SEC);
        CHECK(ping->wakes > 900);
        CHECK(dom0->wakes > 3000);
        CHECK(ping->worst <= US(1200) || (printf("  %lld\n", (long long)ping->worst), 0));
        CHECK(dom0->worst <= US(1200) || (printf("  %lld\n", (long long)dom0->worst), 0));
        CHECK(ping->sum / ping->wakes < US(400));
    }
}

TEST(sleepers_do_not_save_up)
{
    machine(1);
    struct guest *a = spinner(256, 0, 0);
    struct guest *b = new_vcpu(new_domain(256, 0), MS(30), MS(500), 0);
    run_for(MS(10));
    mark_all();
    /* b's bursts share with a: no longer monopoly than the bonus and a slice */
    run_for(20 * SEC);
    NEAR(share(b, 20 * SEC), 53, 6);
    CHECK(share(a, 20 * SEC) > 930);
}

TEST(affinity)
{
    machine(4);
    struct guest *g[4];
    for (unsigned i = 0; i < 4; i++) {
        g[i] = spinner(256, 0, 8);          /* all on CPU 3 */
    }
    run_for(4 * SEC);
    for (unsigned i = 0; i < 4; i++) {
        NEAR(share(g[i], 4 * SEC), 250, 10);
        CHECK_EQ(g[i]->v.cpu, 3);
    }
    cpumask_t all = { ~0UL }, none = { 0x10 }, two = { 4 };
    be(0);
    CHECK_EQ(vcpu_set_affinity(&g[0]->v, &none, NULL), -EINVAL);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(vcpu_set_affinity(&g[i]->v, &all, NULL), 0);
    }
    run_for(SEC);
    mark_all();
    run_for(SEC);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(share(g[i], SEC), 1000);   /* they have spread */
    }
    be(1);                                  /* a running one is moved */
    CHECK_EQ(vcpu_set_affinity(&g[0]->v, &two, NULL), 0);
    run_for(MS(20));
    CHECK_EQ(g[0]->v.cpu, 2);
    be(0);
    CHECK_EQ(vcpu_pin_override(&g[0]->v, -1), -EINVAL);
    CHECK_EQ(vcpu_pin_override(&g[0]->v, 4), -EINVAL);
    CHECK_EQ(vcpu_pin_override(&g[0]->v, 1), 0);
    CHECK_EQ(vcpu_pin_override(&g[0]->v, 1), -EBUSY);
    CHECK_EQ(vcpu_set_affinity(&g[0]->v, &all, NULL), -EBUSY);
    CHECK_EQ(vcpu_set_affinity(&g[0]->v, NULL, &all), 0);
    run_for(MS(20));
    CHECK_EQ(g[0]->v.cpu, 1);
    be(0);
    CHECK_EQ(vcpu_pin_override(&g[0]->v, -1), 0);
    CHECK_EQ(g[0]->v.hard_affinity.bits, 4);
    run_for(MS(20));                        /* a running one has gone back by itself */
    CHECK_EQ(g[0]->v.cpu, 2);
    be(0);
    CHECK_EQ(vcpu_pin_override(&g[0]->v, -1), -EINVAL);
    CHECK_EQ(vcpu_set_affinity(&g[0]->v, &all, NULL), 0);
}

TEST(soft_affinity_is_a_preference)
{
    machine(2);
    struct guest *a = spinner(256, 0, 0), *b = spinner(256, 0, 0);
    cpumask_t one = { 2 };
    be(0);
    CHECK_EQ(vcpu_set_affinity(&a->v, NULL, &one), 0);
    CHECK_EQ(vcpu_set_affinity(&b->v, NULL, &one), 0);
    run_for(SEC);
    mark_all();
    run_for(SEC);           /* no CPU stays idle for a preference */
    CHECK_EQ(share(a, SEC), 1000);
    CHECK_EQ(share(b, SEC), 1000);
}

TEST(pinned_crowd_does_not_stop_the_clock)
{
    machine(2);
    for (unsigned i = 0; i < 8; i++) {
        spinner(256, 0, 1);
    }
    struct guest *a = spinner(256, 0, 2);
    run_for(20 * SEC);
    /* a newcomer on either CPU gets its share, no more and no less */
    struct guest *c = spinner(256, 0, 1), *e = spinner(256, 0, 2);
    mark_all();
    run_for(5 * SEC);
    NEAR(share(c, 5 * SEC), 111, 15);
    NEAR(share(a, 5 * SEC), 500, 15);
    NEAR(share(e, 5 * SEC), 500, 15);
}

/* The account with the state that still lasts. */
static void account(struct vcpu *v, struct vcpu_runstate_info *r)
{
    vcpu_runstate_get(v, r);
    r->time[r->state] += (u64)clock_now - r->state_entry_time;
}

TEST(pause_and_runstates)
{
    machine(1);
    struct guest *a = spinner(256, 0, 0), *b = spinner(256, 0, 0);
    struct vcpu_runstate_info r0, r;
    run_for(MS(50));
    be(0);
    account(&a->v, &r0);
    u64 t0 = (u64)clock_now;
    a->v.pause_count = 1;
    vcpu_sleep_nosync(&a->v);
    run_for(MS(100));
    CHECK(!a->v.is_running);
    be(0);
    account(&a->v, &r);
    CHECK_EQ(r.state, RUNSTATE_offline);
    CHECK_EQ(r.time[RUNSTATE_offline] - r0.time[RUNSTATE_offline], MS(100));
    a->v.pause_count = 0;
    vcpu_wake(&a->v);
    run_for(MS(200));
    be(0);
    account(&a->v, &r);
    u64 sum = 0, sum0 = 0;
    for (unsigned i = 0; i < 4; i++) {
        sum += r.time[i];
        sum0 += r0.time[i];
    }
    CHECK_EQ(sum - sum0, (u64)clock_now - t0);      /* not a nanosecond is lost */
    NEAR((r.time[RUNSTATE_running] - r0.time[RUNSTATE_running]) / MS(1), 100, 8);
    CHECK(share(b, MS(350)) > 500);
    be(0);
    a->v.pause_flags = VPF_DOWN;
    vcpu_sleep_nosync(&a->v);
    run_for(MS(1));
    be(0);
    vcpu_sleep_sync(&a->v);
    sched_vcpu_destroy(&a->v);
    CHECK(!a->v.sched.on_queue);
}

TEST(blocking_sees_events)
{
    machine(1);
    struct guest *a = spinner(256, 0, 0);
    run_for(MS(1));
    be(0);
    info.evtchn_upcall_pending = 1;
    info.evtchn_upcall_mask = 0;
    vcpu_block(&a->v);
    CHECK_EQ(a->v.pause_flags, 0);
    info.evtchn_upcall_pending = 0;
    vcpu_block(&a->v);
    vcpu_unblock(&a->v);            /* between the call and the switch */
    run_for(MS(1));
    CHECK(on_cpu[0] == &a->v);
    be(0);
    vcpu_block(&a->v);
    run_for(MS(1));
    CHECK(on_cpu[0]->is_idle);
    CHECK_EQ(a->v.runstate.state, RUNSTATE_blocked);
    be(0);
    vcpu_unblock(&a->v);
    run_for(0);
    CHECK(on_cpu[0] == &a->v);
}

TEST(yield)
{
    machine(1);
    struct guest *a = spinner(256, 0, 0);
    run_for(MS(1));
    unsigned n = switches;
    be(0);
    vcpu_yield(&a->v);              /* to nobody: costs nothing */
    CHECK_EQ(cpus[0].softirq, 0);
    struct guest *b = spinner(256, 0, 0);
    run_for(US(100));
    struct vcpu *first = on_cpu[0];
    be(0);
    vcpu_yield(first);
    run_softirqs();
    CHECK(on_cpu[0] != first);
    CHECK(on_cpu[0] == &a->v || on_cpu[0] == &b->v);
    CHECK(switches > n);
}

TEST(clocks_that_differ)
{
    machine(4);
    for (unsigned i = 0; i < 4; i++) {
        skew[i] = (s_time_t)i * 900;
    }
    for (unsigned i = 0; i < 6; i++) {
        spinner(256, 0, 0);
        new_vcpu(new_domain(256, 0), US(30), US(170), 0);
    }
    run_for(SEC);
    mark_all();
    run_for(2 * SEC);
    for (unsigned i = 0; i < nr_guests; i++) {
        CHECK(share(&guests[i], 2 * SEC) > 40);
    }
}

TEST(storm_of_everything)
{
    unsigned seed = 99;
    machine(4);
    for (unsigned i = 0; i < 8; i++) {
        struct domain *d = new_domain(64u << (i % 4), i % 3 == 0 ? 30 : 0);
        new_vcpu(d, 0, 0, 0);
        new_vcpu(d, US(20) * (i + 1), US(300), 0);
    }
    for (unsigned n = 0; n < 3000; n++) {
        seed = seed * 1103515245 + 12345;
        struct guest *g = &guests[(seed >> 16) % nr_guests];
        cpumask_t m = { ((seed >> 8) & 15) ? (seed >> 8) & 15 : 15 };

        be((seed >> 4) % 4);
        switch ((seed >> 24) % 6) {
        case 0: vcpu_set_affinity(&g->v, &m, NULL); break;
        case 1: vcpu_set_affinity(&g->v, NULL, &m); break;
        case 2: g->v.pause_count = 1; vcpu_sleep_nosync(&g->v); break;
        case 3: g->v.pause_count = 0; vcpu_wake(&g->v); break;
        case 4: vcpu_wake(&g->v); break;
        default: vcpu_unblock(&g->v); break;
        }
        run_for(US(200) + (seed >> 12) % 512 * 1000);
    }
    for (unsigned i = 0; i < nr_guests; i++) {
        cpumask_t all = { ~0UL };

        be(0);
        guests[i].v.pause_count = 0;
        CHECK_EQ(vcpu_set_affinity(&guests[i].v, &all, &all), 0);
        vcpu_wake(&guests[i].v);
    }
    mark_all();
    run_for(3 * SEC);
    for (unsigned i = 0; i < nr_guests; i++) {
        CHECK(share(&guests[i], 3 * SEC) > 5 || (printf("  %u: %ld\n", i, share(&guests[i], 3 * SEC)), 0));
    }
}
