// links: hv/core/sched.c hv/core/sched_cap.c hv/core/runstate.c hv/core/timer.c hv/core/softirq.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/*
 * The scheduler under real races: threads play CPUs, whose guests block, wake each
 * other, yield, change affinities, pause and unpause, and come and go. A vCPU that
 * two CPUs run at once, one that is taken before it is saved, one that is touched
 * after its end (by the address sanitizer) and a wake-up that is lost are found.
 */
#include "unit.h"
#include "arch.h"
#include "evtchn.h"
#include "../../hv/core/sched_private.h"
#include <pthread.h>
int sched_yield(void);        /* hv/include/sched.h hides the host's header */
#include <time.h>

#define GUESTS 24
#define NOBODY (~0u)

struct guest {
    struct vcpu v;
    struct vcpu_info info;
    u32 owner;                  /* CPU that has its state; NOBODY: saved */
    u64 saved;                  /* its only register: a counter */
};

static struct domain doms[GUESTS + 1];
static struct vcpu *slots[GUESTS + 1][1];
static struct guest *guests[GUESTS];
static struct guest *visitor;               /* comes and goes */
static struct vcpu idle_vcpu[NR_CPUS];
static struct vcpu_info idle_info;
struct domain idle_domain, *domain_idle = &idle_domain;
static struct { u32 kicked; s_time_t timer; char pad[48]; } cpu_state[NR_CPUS];
static spinlock_t control = SPINLOCK_INIT(LOCK_CONTROL);
static bool quiet, finish;
static unsigned faults;
static u64 total_switches, total_wakes, total_visits;
static _Thread_local u64 reg;               /* the running guest's counter */
static _Thread_local u32 seed;

static u32 rnd(u32 n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void fault(const char *what)
{
    if (__atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST) < 10) {
        printf("  CPU %u: %s\n", cpu_id(), what);
    }
}

s_time_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (s_time_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
void arch_timer_program(s_time_t t) { cpu_state[cpu_id()].timer = t; }
void arch_kick_cpu(unsigned cpu) { __atomic_store_n(&cpu_state[cpu].kicked, 1, __ATOMIC_SEQ_CST); }
void arch_spin_poll(void) { sched_yield(); }
void arch_irq_window(void) { }
void *xzalloc(size_t n) { (void)n; return &idle_info; }
struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id) { (void)d; return &idle_vcpu[id]; }

static struct guest *guest_of(struct vcpu *v) { return container_of(v, struct guest, v); }

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
    u32 nobody = NOBODY;

    __atomic_fetch_add(&total_switches, 1, __ATOMIC_RELAXED);
    if (!prev->is_idle) {
        struct guest *g = guest_of(prev);

        if (rnd(4) == 0) {
            sched_yield();      /* saving takes its time */
        }
        if (g->owner != cpu_id()) {
            fault("leaves a vCPU that is not its own");
        }
        g->saved = reg;
        __atomic_store_n(&g->owner, NOBODY, __ATOMIC_RELEASE);
    }
    if (rnd(8) == 0) {
        sched_yield();
    }
    if (!next->is_idle) {
        struct guest *g = guest_of(next);

        if (!__atomic_compare_exchange_n(&g->owner, &nobody, cpu_id(), false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            fault("takes a vCPU that another CPU has");
        }
        reg = g->saved;
    }
    test_cpu_top.curr = next;
}

static void send(struct guest *g)
{
    __atomic_fetch_add(&total_wakes, 1, __ATOMIC_RELAXED);
    if (!__atomic_exchange_n(&g->info.evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST)) {
        vcpu_unblock(&g->v);
        if (READ_ONCE(g->v.is_running)) {
            arch_kick_cpu(READ_ONCE(g->v.cpu));
        }
    }
}

static void pause_sync(struct guest *g)
{
    if (!spin_trylock(&control)) {
        return;
    }
    __atomic_fetch_add(&g->v.pause_count, 1, __ATOMIC_SEQ_CST);
    if (&g->v != current_vcpu()) {
        vcpu_sleep_sync(&g->v);
        if (__atomic_load_n(&g->owner, __ATOMIC_ACQUIRE) != NOBODY) {
            fault("a paused vCPU is on a CPU");
        }
    } else {
        vcpu_sleep_nosync(&g->v);
    }
    if (__atomic_sub_fetch(&g->v.pause_count, 1, __ATOMIC_SEQ_CST) == 0) {
        vcpu_wake(&g->v);
    }
    spin_unlock(&control);
}

static struct guest *make_guest(struct domain *d)
{
    struct guest *g = calloc(1, sizeof(*g));

    g->v.domain = d;
    g->v.info = &g->info;
    d->weight = 256;
    g->owner = NOBODY;
    sched_vcpu_init(&g->v);
    return g;
}

/* One vCPU is made, runs a moment, is stopped and freed. */
static void visit(void)
{
    if (!spin_trylock(&control)) {
        return;
    }
    if (visitor == NULL) {
        visitor = make_guest(&doms[GUESTS]);
        vcpu_wake(&visitor->v);
        total_visits++;
    } else if (&visitor->v != current_vcpu() && visitor->saved > 2) {
        visitor->v.pause_count = 1;
        vcpu_sleep_sync(&visitor->v);
        sched_vcpu_destroy(&visitor->v);
        memset(visitor, 0x5a, sizeof(*visitor));
        free(visitor);
        visitor = NULL;
    }
    spin_unlock(&control);
}

/* What the running guest does next: one hypercall. */
static void guest_step(struct vcpu *v)
{
    struct guest *me = guest_of(v), *other = guests[rnd(GUESTS)];
    cpumask_t mask = { rnd(1u << nr_cpus) };

    reg++;
    __atomic_store_n(&me->info.evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    if (READ_ONCE(quiet)) {
        vcpu_block(v);
        return;
    }
    if (v->domain == &doms[GUESTS]) {
        vcpu_yield(v);
        return;
    }
    switch (rnd(16)) {
    case 0: case 1: case 2: case 3: case 4: vcpu_block(v); break;
    case 5: case 6: case 7: case 8: send(other); break;
    case 9: vcpu_yield(v); break;
    case 10: vcpu_set_affinity(&other->v, &mask, NULL); break;
    case 11: vcpu_set_affinity(&other->v, NULL, &mask); break;
    case 12: pause_sync(other); break;
    case 13: visit(); break;
    case 14:
        __atomic_fetch_add(&other->v.pause_count, 1, __ATOMIC_SEQ_CST);
        vcpu_sleep_nosync(&other->v);
        sched_yield();
        if (__atomic_sub_fetch(&other->v.pause_count, 1, __ATOMIC_SEQ_CST) == 0) {
            vcpu_wake(&other->v);
        }
        break;
    default: vcpu_runstate_get(&other->v, NULL); break;
    }
}

static void interrupts(unsigned cpu)
{
    if (cpu_state[cpu].timer != 0 && now() >= cpu_state[cpu].timer) {
        cpu_state[cpu].timer = 0;
        softirq_raise(SOFTIRQ_TIMER);
    }
}

/* hlt: a kick or the timer ends it, not the softirq word. */
static void halt(unsigned cpu)
{
    while (!READ_ONCE(finish)) {
        if (__atomic_exchange_n(&cpu_state[cpu].kicked, 0, __ATOMIC_SEQ_CST)) {
            return;
        }
        if (cpu_state[cpu].timer != 0 && now() >= cpu_state[cpu].timer) {
            return;
        }
        sched_yield();
    }
}

static void *cpu_thread(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg;

    test_cpu_top.cpu = &cpus[cpu];
    test_cpu_top.curr = cpus[cpu].idle;
    seed = cpu * 7919 + 1;
    while (!READ_ONCE(finish)) {
        struct vcpu *v;

        interrupts(cpu);
        while (READ_ONCE(cpus[cpu].softirq)) {
            softirq_run();
        }
        v = current_vcpu();
        if (v->is_idle) {
            halt(cpu);
        } else {
            /* A guest computes until an interrupt; its calls enter Bulkhead, too. */
            if (rnd(3) == 0) {
                sched_yield();
            }
            guest_step(v);
        }
    }
    return NULL;
}

static bool all_quiet(void)
{
    for (unsigned i = 0; i < nr_cpus; i++) {
        if (!READ_ONCE(runqs[i].curr)->is_idle || READ_ONCE(runqs[i].nr)) {
            return false;
        }
    }
    for (unsigned i = 0; i < GUESTS; i++) {
        if (READ_ONCE(guests[i]->info.evtchn_upcall_pending)) {
            return false;
        }
    }
    return true;
}

static void race(unsigned n, s_time_t ns)
{
    pthread_t t[NR_CPUS];
    cpumask_t all = { ~0UL };
    s_time_t end;

    nr_cpus = n;
    memset(doms, 0, sizeof(doms));
    memset(cpus, 0, sizeof(struct cpu) * n);
    memset(cpu_state, 0, sizeof(cpu_state));
    memset(idle_vcpu, 0, sizeof(idle_vcpu));
    faults = 0;
    quiet = finish = false;
    total_switches = total_wakes = total_visits = 0;
    cpus_online.bits = n < 64 ? (1UL << n) - 1 : ~0UL;
    test_cpu_top.cpu = &cpus[0];
    timers_init();
    sched_init();
    for (unsigned i = 0; i < n; i++) {
        cpus[i].id = i;
        sched_cpu_init(i);
    }
    for (unsigned i = 0; i <= GUESTS; i++) {
        doms[i].id = (domid_t)i;
        doms[i].vcpu = slots[i];
        doms[i].max_vcpus = i < GUESTS;
        doms[i].cap = i % 6 == 5 ? 30 : 0;
        timer_init(&doms[i].cap_timer, cap_unpark, &doms[i], i % n);
    }
    for (unsigned i = 0; i < GUESTS; i++) {
        guests[i] = make_guest(&doms[i]);
        slots[i][0] = &guests[i]->v;
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_create(&t[i], NULL, cpu_thread, (void *)(uintptr_t)i);
    }
    /* This thread is CPU 63: it looks on, and stands for a device that interrupts. */
    cpus[63] = (struct cpu){ .id = 63 };
    test_cpu_top.cpu = &cpus[63];
    test_cpu_top.curr = &idle_vcpu[63];
    for (unsigned i = 0; i < GUESTS; i++) {
        vcpu_wake(&guests[i]->v);
    }
    /* On a busy host longer, until enough has happened. */
    for (end = now() + ns; faults == 0 && now() < end + 60 * MS(1000) &&
                           (now() < end || READ_ONCE(total_switches) <= 1000);) {
        send(guests[rnd(GUESTS)]);
        usleep(200);
    }
    WRITE_ONCE(quiet, true);
    for (unsigned i = 0; i < GUESTS; i++) {
        vcpu_set_affinity(&guests[i]->v, &all, &all);
        send(guests[i]);        /* whoever sleeps must still hear this */
    }
    for (end = now() + 20 * MS(1000); now() < end && !all_quiet(); usleep(1000)) {
    }
    CHECK(all_quiet());
    if (!all_quiet()) {
        for (unsigned i = 0; i < GUESTS; i++) {
            struct vcpu *v = &guests[i]->v;
            printf("  guest %u: cpu %u running %d queued %d place %d parked %d flags %x pause %u pending %u state %u\n",
                   i, v->cpu, v->is_running, v->sched.on_queue, v->sched.place, v->sched.parked,
                   v->pause_flags, v->pause_count, guests[i]->info.evtchn_upcall_pending, v->runstate.state);
        }
    }
    WRITE_ONCE(finish, true);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
        CHECK_EQ(cpus[i].lock_depth, 0);
    }
    CHECK_EQ(faults, 0);
    CHECK(total_switches > 1000);
    if (getenv("VERBOSE")) {
        printf("%u CPUs: %llu switches, %llu events, %llu visits\n", n, (unsigned long long)total_switches,
               (unsigned long long)total_wakes, (unsigned long long)total_visits);
    }
    for (unsigned i = 0; i < GUESTS; i++) {
        CHECK(guests[i]->saved > 0);
        timer_kill(&doms[i].cap_timer);
        free(guests[i]);
    }
    free(visitor);
    visitor = NULL;
}

TEST(two_cpus) { race(2, MS(1000)); }
TEST(three_cpus) { race(3, MS(1000)); }
TEST(eight_cpus) { race(8, MS(1000)); }
