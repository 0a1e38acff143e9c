/* SPDX-License-Identifier: MIT */
/*
 * Timers. Each CPU keeps its armed timers in a pairing heap whose links lie in
 * the timers themselves, so arming needs no memory and has no limit: a timer that
 * is not the earliest costs a few instructions to set, the earliest costs
 * O(log n) amortised to take out. A CPU's heap and the timers in it are guarded by
 * its lock (LOCK_TIMER); a timer's function runs from SOFTIRQ_TIMER without it.
 *
 * The CPU's one-shot hardware timer is set again only when an earlier deadline
 * comes in; when the earliest timer is stopped or put off, the hardware fires once
 * for nothing, which is cheaper than a write to it each time.
 */
#include "timer.h"
#include "arch.h"
#include "cpu.h"
#include "lib.h"
#include "spinlock.h"

struct timer_cpu {
    spinlock_t lock;            /* LOCK_TIMER */
    struct timer *root;         /* the earliest */
    s_time_t programmed;        /* what the hardware is set to; 0: off */
} ALIGNED(64);

static struct timer_cpu timer_cpus[NR_CPUS];

/* --- the heap: a node's `back` is the address of the pointer that points to it --- */

/* Joins two heaps; the later root becomes the other's first child. The result's
 * `back` and `next` are the caller's to set. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    struct timer *first = b->expires < a->expires ? b : a, *child = first == a ? b : a;

    child->next = first->child;
    if (child->next != NULL)
        child->next->back = &child->next;
    child->back = &first->child;
    first->child = child;
    return first;
}

static void set_root(struct timer_cpu *tc, struct timer *t)
{
    tc->root = t;
    t->back = &tc->root;
    t->next = NULL;
}

/* Makes one heap of a list of siblings: in pairs, then the pairs from the last on. */
static struct timer *combine(struct timer *first)
{
    struct timer *pairs = NULL, *all = NULL, *a, *b;

    while ((a = first) != NULL) {
        b = a->next;
        first = b != NULL ? b->next : NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while ((a = pairs) != NULL) {
        pairs = a->next;
        all = meld(all, a);
    }
    return all;
}

/* Disarms t if it is armed. */
static void heap_remove(struct timer_cpu *tc, struct timer *t)
{
    if (t->back == NULL)
        return;
    *t->back = t->next;
    if (t->next != NULL)
        t->next->back = t->back;
    t->back = NULL;
    if (t->child != NULL)
        set_root(tc, meld(tc->root, combine(t->child)));
}

/* --- arming --- */

/* Locks the heap that t belongs to. */
static struct timer_cpu *timer_lock(struct timer *t)
{
    for (;;) {
        struct timer_cpu *tc = &timer_cpus[READ_ONCE(t->cpu)];

        spin_lock(&tc->lock);
        if (likely(tc == &timer_cpus[t->cpu]))
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

    heap_remove(tc, t);
    t->expires = MAX(expires, 1);       /* 0 would mean "off" to the hardware */
    t->child = NULL;
    set_root(tc, meld(tc->root, t));
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

        heap_remove(tc, t);
        WRITE_ONCE(t->cpu, cpu_id());
        spin_unlock(&tc->lock);
    }
    timer_set(t, expires);
}

void timer_stop(struct timer *t)
{
    if (timer_armed(t)) {
        struct timer_cpu *tc = timer_lock(t);

        heap_remove(tc, t);
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
        void (*fn)(void *) = t->fn;
        void *data = t->data;

        /* `running` first: whoever sees the timer unarmed sees this call, too. */
        __atomic_add_fetch(&t->running, 1, __ATOMIC_ACQ_REL);
        heap_remove(tc, t);
        spin_unlock(&tc->lock);
        fn(data);
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
