/* SPDX-License-Identifier: MIT */
/*
 * Timers. Each CPU keeps its armed timers in a skew heap whose links lie in the timers
 * themselves, so arming needs no memory and has no limit; to set a timer, or to take
 * one out, costs O(log n) amortised. A CPU's heap and the timers in it are guarded by
 * its lock (LOCK_TIMER); a timer's function runs from SOFTIRQ_TIMER without it.
 *
 * The CPU's one-shot hardware timer is set again only when an earlier deadline
 * comes in; when the earliest timer is stopped or put off, the hardware fires once
 * for nothing, which is cheaper than a write to it each time.
 */
#include "arch.h"

struct timer_cpu {
    spinlock_t lock;            /* LOCK_TIMER */
    struct timer *root;         /* the earliest */
    s_time_t programmed;        /* what the hardware is set to; 0: off */
} ALIGNED(64);

static struct timer_cpu timer_cpus[NR_CPUS];

/* Joins two heaps to one at *at. On the way down the children of each node change
 * sides: that keeps the way short the next time. */
static inline void heap_join(struct timer **at, struct timer *a, struct timer *b)
{
    while (a != NULL && b != NULL) {
        struct timer *first = b->expires < a->expires ? b : a;

        b = first == a ? b : a;
        a = first->right;
        first->right = first->left;
        if (first->right != NULL)
            first->right->back = &first->right;
        first->back = at;
        *at = first;
        at = &first->left;
    }
    *at = a != NULL ? a : b;
    if (*at != NULL)
        (*at)->back = at;
}

/* Disarms t, whose heap is locked. */
static void disarm(struct timer *t)
{
    if (t->back != NULL)
        heap_join(t->back, t->left, t->right);
    t->back = NULL;
}

/* Locks the heap that t belongs to. */
static struct timer_cpu *timer_lock(struct timer *t)
{
    for (;;) {
        u32 cpu = READ_ONCE(t->cpu);
        struct timer_cpu *tc = &timer_cpus[cpu];

        spin_lock(&tc->lock);
        if (likely(t->cpu == cpu))
            return tc;
        spin_unlock(&tc->lock);
    }
}

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu)
{
    *t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
}

void timer_set(struct timer *t, s_time_t expires)
{
    struct timer_cpu *tc = timer_lock(t);

    disarm(t);
    t->expires = MAX(expires, 1);       /* 0 would mean "off" to the hardware */
    t->left = t->right = NULL;
    heap_join(&tc->root, tc->root, t);
    if (tc->root == t && (tc->programmed == 0 || t->expires < tc->programmed)) {
        if (t->cpu == cpu_id()) {
            tc->programmed = t->expires;
            arch_timer_program(t->expires);
        } else {
            softirq_raise_on(t->cpu, SOFTIRQ_TIMER);
        }
    }
    spin_unlock(&tc->lock);
}

void timer_set_here(struct timer *t, s_time_t expires)
{
    if (unlikely(READ_ONCE(t->cpu) != cpu_id())) {
        struct timer_cpu *tc = timer_lock(t);

        disarm(t);
        WRITE_ONCE(t->cpu, cpu_id());
        spin_unlock(&tc->lock);
    }
    timer_set(t, expires);
}

void timer_stop(struct timer *t)
{
    if (timer_armed(t)) {
        struct timer_cpu *tc = timer_lock(t);

        disarm(t);
        spin_unlock(&tc->lock);
    }
}

void timer_kill(struct timer *t)
{
    do {
        timer_stop(t);
        while (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE) != 0)
            arch_spin_poll();
    } while (timer_armed(t));   /* its function armed it again */
    /* Whoever took it out of the heap has let the lock go. */
    spin_unlock(&timer_lock(t)->lock);
}

/* Runs what is due by now, then sets the hardware to the next deadline. */
static void timer_softirq(void)
{
    struct timer_cpu *tc = &timer_cpus[cpu_id()];
    s_time_t t0 = now();
    struct timer *t;

    spin_lock(&tc->lock);
    while ((t = tc->root) != NULL && t->expires <= t0) {
        /* `running` first: whoever sees the timer unarmed sees this call, too. */
        __atomic_add_fetch(&t->running, 1, __ATOMIC_ACQ_REL);
        disarm(t);
        spin_unlock(&tc->lock);
        t->fn(t->data);
        /* After this the timer may be gone: timer_kill waits for it. */
        __atomic_sub_fetch(&t->running, 1, __ATOMIC_RELEASE);
        spin_lock(&tc->lock);
    }
    /* Also when the deadline is the old one: the hardware may have fired early. */
    if (t != NULL || tc->programmed != 0) {
        tc->programmed = t != NULL ? t->expires : 0;
        arch_timer_program(tc->programmed);
    }
    spin_unlock(&tc->lock);
}

void timers_init(void)
{
    for (unsigned i = 0; i < NR_CPUS; i++)
        timer_cpus[i] = (struct timer_cpu){ .lock = SPINLOCK_INIT(LOCK_TIMER) };
    softirq_register(SOFTIRQ_TIMER, timer_softirq);
}
