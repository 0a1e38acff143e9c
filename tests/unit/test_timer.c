// links: hv/core/timer.c hv/core/softirq.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* Timers: order, setting again, stopping, two CPUs, what the hardware is told. */
#include "unit.h"
#include "arch.h"
#include "timer.h"

static s_time_t clock_now;
static s_time_t hardware[2];        /* what each CPU's timer is programmed to */
static unsigned programs, kicks;

s_time_t now(void) { return clock_now; }
void arch_timer_program(s_time_t t) { hardware[cpu_id()] = t; programs++; }
void arch_kick_cpu(unsigned cpu) { (void)cpu; kicks++; }
void arch_spin_poll(void) { panic("waits for ever"); }

static void start(void)
{
    nr_cpus = 2;
    cpus[0].id = 0;
    cpus[1].id = 1;
    cpus[0].softirq = cpus[1].softirq = 0;
    test_cpu_top.cpu = &cpus[0];
    clock_now = 1000;
    hardware[0] = hardware[1] = 0;
    programs = kicks = 0;
    timers_init();
}

static void fire_on(unsigned cpu)
{
    struct cpu *was = test_cpu_top.cpu;

    test_cpu_top.cpu = &cpus[cpu];
    softirq_raise(SOFTIRQ_TIMER);
    softirq_run();
    test_cpu_top.cpu = was;
}

static struct timer *fired[4096];
static unsigned nr_fired;
static void note(void *data) { fired[nr_fired++] = data; }

TEST(order_of_many)
{
    enum { N = 1000 };
    static struct timer t[N];
    unsigned seed = 7, armed = 0;

    start();
    for (unsigned i = 0; i < N; i++) {
        timer_init(&t[i], note, &t[i], 0);
    }
    /* set, set again, stop, in a random order */
    for (unsigned n = 0; n < 20000; n++) {
        seed = seed * 1103515245 + 12345;
        struct timer *x = &t[(seed >> 16) % N];

        if ((seed >> 8) % 4 == 0) {
            timer_stop(x);
            CHECK(!timer_armed(x));
        } else {
            timer_set(x, 2000 + (seed >> 4) % 100000);
            CHECK(timer_armed(x));
        }
        if (n % 1000 == 999) {      /* and some expire on the way */
            nr_fired = 0;
            clock_now += 3000;
            fire_on(0);
            for (unsigned i = 0; i < nr_fired; i++) {
                CHECK(fired[i]->expires <= clock_now);
                CHECK(i == 0 || fired[i - 1]->expires <= fired[i]->expires);
            }
        }
    }
    for (unsigned i = 0; i < N; i++) {
        armed += timer_armed(&t[i]);
    }
    nr_fired = 0;
    clock_now = 1000000;
    fire_on(0);
    CHECK_EQ(nr_fired, armed);
    for (unsigned i = 1; i < nr_fired; i++) {
        CHECK(fired[i - 1]->expires <= fired[i]->expires);
    }
    CHECK_EQ(hardware[0], 0);
}

TEST(hardware_only_for_the_earliest)
{
    static struct timer a, b, c;

    start();
    timer_init(&a, note, &a, 0);
    timer_init(&b, note, &b, 0);
    timer_init(&c, note, &c, 0);
    timer_set(&a, 5000);
    CHECK_EQ(hardware[0], 5000);
    timer_set(&b, 9000);
    CHECK_EQ(programs, 1);
    timer_set(&c, 3000);
    CHECK_EQ(hardware[0], 3000);
    CHECK_EQ(programs, 2);
    timer_stop(&c);                 /* the hardware may fire for nothing */
    CHECK_EQ(programs, 2);
    nr_fired = 0;
    clock_now = 3000;
    fire_on(0);
    CHECK_EQ(nr_fired, 0);
    CHECK_EQ(hardware[0], 5000);
    clock_now = 4999;               /* fired a little early: must be set again */
    programs = 0;
    fire_on(0);
    CHECK_EQ(nr_fired, 0);
    CHECK_EQ(programs, 1);
    CHECK_EQ(hardware[0], 5000);
    timer_set(&a, 0);               /* past and 0: at once, not "off" */
    CHECK_EQ(hardware[0], 1);
    fire_on(0);
    CHECK_EQ(nr_fired, 1);
    CHECK_EQ(hardware[0], 9000);
}

TEST(another_cpu)
{
    static struct timer a;

    start();
    timer_init(&a, note, &a, 1);
    timer_set(&a, 5000);
    CHECK_EQ(hardware[0], 0);
    CHECK_EQ(kicks, 1);
    CHECK(cpus[1].softirq != 0);
    fire_on(1);
    CHECK_EQ(hardware[1], 5000);
    timer_set_here(&a, 6000);
    CHECK_EQ(a.cpu, 0);
    CHECK_EQ(hardware[0], 6000);
    test_cpu_top.cpu = &cpus[1];
    timer_set_here(&a, 6500);       /* armed, it moves */
    test_cpu_top.cpu = &cpus[0];
    CHECK_EQ(a.cpu, 1);
    nr_fired = 0;
    clock_now = 7000;
    fire_on(0);
    CHECK_EQ(nr_fired, 0);
    fire_on(1);
    CHECK_EQ(nr_fired, 1);
    CHECK_EQ(hardware[1], 0);
    timer_kill(&a);
}

static struct timer again;
static unsigned rounds;
static void rearm(void *data)
{
    CHECK_EQ(again.running, 1);
    rounds++;
    timer_set(data, clock_now + 10);
}

TEST(arms_itself)
{
    start();
    timer_init(&again, rearm, &again, 0);
    timer_set(&again, 1500);
    for (clock_now = 1500; clock_now < 1600; clock_now += 10) {
        fire_on(0);
    }
    CHECK_EQ(rounds, 10);
    CHECK_EQ(hardware[0], 1600);
    timer_kill(&again);
    CHECK(!timer_armed(&again));
}

static unsigned order, seen_timer, seen_sched;
static void soft_sched(void)
{
    seen_sched = ++order;
    if (order < 3) {
        softirq_raise(SOFTIRQ_TASKLET);
        softirq_raise_on(1, SOFTIRQ_SCHED);
        softirq_raise_on(1, SOFTIRQ_TIMER);
    }
}
static void soft_tasklet(void) { seen_timer = ++order; }

TEST(softirqs)
{
    start();
    softirq_register(SOFTIRQ_SCHED, soft_sched);
    softirq_register(SOFTIRQ_TASKLET, soft_tasklet);
    softirq_raise_on(0, SOFTIRQ_SCHED);
    CHECK_EQ(kicks, 0);             /* this CPU needs no kick */
    softirq_run();
    CHECK_EQ(seen_sched, 1);
    CHECK_EQ(seen_timer, 2);        /* raised by a handler, served in the same run */
    CHECK_EQ(cpus[0].softirq, 0);
    CHECK_EQ(kicks, 1);             /* one kick for two bits */
    CHECK_EQ(cpus[1].softirq, 1u << SOFTIRQ_SCHED | 1u << SOFTIRQ_TIMER);
}
