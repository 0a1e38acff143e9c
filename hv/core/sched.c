/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: a run queue for each CPU, ordered by virtual time. A vCPU that
 * runs gets older the faster the smaller its weight is, and the youngest one runs
 * next, so running time is shared by weight. A vCPU that has slept comes back at
 * most a little younger than the rest, so nothing is saved up; if it did not have
 * more than its share it runs at once, for a moment, however many others wait or
 * are owed time. Virtual time is one scale for all CPUs: whose
 * queue lags behind is served worse than others, and gives vCPUs away to them.
 *
 * Locks. runqs[c].lock (LOCK_SCHED) guards queue c and everything that scheduling
 * knows of the vCPUs whose `cpu` is c; `cpu` itself changes under it. A second
 * queue's lock is only tried for, never waited for, while one is held.
 *
 * Handing over. A CPU decides under its lock to leave prev, saves it afterwards
 * without a lock, then clears prev->is_running. Until then prev may wait in that
 * CPU's own queue but in no other's: nobody takes a vCPU with is_running set, and
 * who wakes one sets `place` and leaves it to the CPU that is saving it (store and
 * load on both sides are fully ordered, so one of the two sees the other).
 * runq.leaving keeps prev from being freed until the last look at it.
 */
#include "arch.h"
#include "evtchn.h"
#include "mm.h"
#include "sched_private.h"

#define TIMESLICE      MS(5)
#define WAKE_BONUS     VT(MS(3))    /* how much younger than the rest a sleeper may come back */
#define DRIFT          VT(MS(50))   /* how far a queue may lag behind the furthest */
#define PUSH_LAG       VT(MS(8))    /* a lag to another CPU's runner that is worth a move */
#define BOOST          MS(1)        /* how long a sleeper that is not ahead runs before all others */
#define BALANCE_PERIOD MS(10)

struct runq runqs[NR_CPUS];
cpumask_t sched_online;             /* CPUs that take part; set during start-up */
u32 sched_ratelimit_us = 500;

static u64 idle_mask;               /* CPUs that found nothing to run; atomic, a hint */
static s64 vclock;                  /* the furthest queue's virtual time, about */

/* --- queues and virtual time --- */

struct runq *runq_lock(struct vcpu *v)
{
    for (;;) {
        u32 cpu = READ_ONCE(v->cpu);
        struct runq *q = &runqs[cpu];

        spin_lock(&q->lock);
        if (likely(v->cpu == cpu))
            return q;
        spin_unlock(&q->lock);
    }
}

static inline u64 allowed_cpus(const struct vcpu *v)
{
    return v->hard_affinity.bits & sched_online.bits;
}

static inline u64 preferred_cpus(const struct vcpu *v)
{
    u64 allowed = allowed_cpus(v), soft = allowed & v->soft_affinity.bits;

    return soft != 0 ? soft : allowed;
}

static inline struct vcpu *head_of(struct runq *q)
{
    return list_empty(&q->queue) ? NULL : list_entry(q->queue.next, struct vcpu, sched.queue);
}

/* What decides who comes first. */
static inline s64 rank_of(const struct vcpu *v)
{
    return v->sched.vtime - (v->sched.boost > 0 ? 2 * DRIFT : 0);
}

static inline bool before(const struct vcpu *a, const struct vcpu *b)
{
    return rank_of(a) - rank_of(b) < 0;
}

static void charge(struct vcpu *v, s_time_t t)
{
    s_time_t ran = t - v->sched.charged;

    if (v->is_idle || ran <= 0)
        return;
    v->sched.charged = t;
    v->sched.boost -= MIN(ran, v->sched.boost);
    v->sched.vtime += (s64)((u64)ran * VTIME_SCALE / READ_ONCE(v->domain->weight));
    cap_charge(v->domain, ran, t);
}

/* Brings the runner's account and the queue's virtual time up to t. */
static void runq_update(struct runq *q, s_time_t t)
{
    struct vcpu *c = q->curr, *h = head_of(q);
    s64 m = q->min;

    charge(c, t);
    if (h != NULL)
        m = h->sched.vtime;
    if (!c->is_idle && (h == NULL || c->sched.vtime - m < 0))
        m = c->sched.vtime;
    if (m - q->min > 0) {
        q->min = m;
        if (m - READ_ONCE(vclock) > 0)
            WRITE_ONCE(vclock, m);
    }
}

/* Puts v where its age belongs; the young end is searched last, since newcomers
 * are old more often. Equals keep their order of arrival. */
static void queue_insert(struct runq *q, struct vcpu *v)
{
    struct list *p = q->queue.prev;

    while (p != &q->queue && before(v, list_entry(p, struct vcpu, sched.queue)))
        p = p->prev;
    list_add(&v->sched.queue, p);
    v->sched.on_queue = true;
    v->sched.place = false;
    q->nr++;
}

static void queue_remove(struct runq *q, struct vcpu *v)
{
    list_del(&v->sched.queue);
    v->sched.on_queue = false;
    q->nr--;
}

/* v comes from sleep or from another queue: at most max_lag younger than all here,
 * and older by no more than it was where it comes from. */
static void queue_join(struct runq *q, struct vcpu *v, s64 max_lag, s64 lead)
{
    if (q->nr == 0 && q->curr->is_idle && q->min - (vclock - DRIFT) < 0) {
        q->min = vclock - DRIFT;        /* time did not stand still while the CPU idled */
    }
    if (v->sched.vtime - (q->min - max_lag) < 0)
        v->sched.vtime = q->min - max_lag;
    else if (v->sched.vtime - (q->min + MAX(lead, 0)) > 0)
        v->sched.vtime = q->min + MAX(lead, 0);
    queue_insert(q, v);
}

/* v has slept. */
static void wake_join(struct runq *q, struct vcpu *v, s64 lead)
{
    v->sched.boost = lead <= 0 ? BOOST : 0;
    queue_join(q, v, WAKE_BONUS, lead);
}

/* q's CPU shall look at its queue again at `when` at the latest. */
static void runq_arm(struct runq *q, s_time_t when)
{
    if (q->deadline == 0 || when < q->deadline) {
        q->deadline = when;
        timer_set(&q->timer, when);
    }
}

static void runq_timer(void *data)
{
    (void)data;
    softirq_raise(SOFTIRQ_SCHED);
}

/* v waits: an idle CPU that it may run on shall come and get it. */
static void call_idler(const struct vcpu *v)
{
    u64 idlers = READ_ONCE(idle_mask) & allowed_cpus(v);

    if (unlikely(idlers != 0))
        softirq_raise_on(ffs64(idlers), SOFTIRQ_SCHED);
}

/* v has just come to q: does the CPU, or an idle one, have to act? */
static void tickle(struct runq *q, struct vcpu *v, s_time_t t)
{
    struct vcpu *c = q->curr;

    if (c->is_idle) {
        softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
        return;
    }
    if (before(v, c)) {
        s_time_t when = c->sched.started + US(READ_ONCE(sched_ratelimit_us));

        if (t >= when)
            softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
        else
            runq_arm(q, when);
    } else {
        runq_arm(q, t + TIMESLICE);
    }
    /* The insertion is visible before the mask is read; an idler sets its bit
     * before it looks for work: one of the two finds the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    call_idler(v);
}

/* --- waking --- */

/* A CPU for v, which is runnable and nowhere: where it ran last if that is idle,
 * another idle one, the shortest queue; preferred ones first. */
static unsigned choose_cpu(const struct vcpu *v)
{
    u64 allowed = allowed_cpus(v), preferred = preferred_cpus(v);
    u64 idle = READ_ONCE(idle_mask);
    unsigned best;

    idle &= idle & preferred ? preferred : allowed;
    if (idle != 0) {
        best = (idle >> v->cpu) & 1 ? v->cpu : ffs64(idle);
        /* Claimed, so that the next one woken goes elsewhere. */
        __atomic_fetch_and(&idle_mask, ~(1UL << best), __ATOMIC_RELAXED);
        return best;
    }
    best = (preferred >> v->cpu) & 1 ? v->cpu : ffs64(preferred);
    for (u64 m = preferred; m != 0; m &= m - 1) {
        if (READ_ONCE(runqs[ffs64(m)].nr) < READ_ONCE(runqs[best].nr))
            best = ffs64(m);
    }
    return best;
}

/* Is a wake-up done without a place in a queue? v's queue is locked. */
static bool settled(struct runq *q, struct vcpu *v, s_time_t t)
{
    if (!vcpu_runnable(v) || v->sched.on_queue || q->curr == v || v->sched.parked)
        return true;
    if (READ_ONCE(v->is_running)) {
        /* Its last CPU is still saving it and will place it afterwards. */
        (void)__atomic_exchange_n(&v->sched.place, true, __ATOMIC_SEQ_CST);
        if (READ_ONCE(v->is_running))
            return true;
    }
    if (v->runstate_state != RUNSTATE_runnable)
        runstate_change(v, RUNSTATE_runnable, t);
    if (cap_exhausted(v->domain, t)) {
        v->sched.parked = true;
        cap_park(v->domain);
    }
    return v->sched.parked;
}

void vcpu_wake(struct vcpu *v)
{
    bool moved = false;
    s64 lead = 0;

    for (;;) {
        struct runq *q = runq_lock(v);
        s_time_t t;
        unsigned cpu;

        t = now();
        if (settled(q, v, t)) {
            runq_unlock(q);
            if (unlikely(moved)) {
                softirq_raise_on(q->cpu, SOFTIRQ_SCHED);    /* it may have been claimed in vain */
            }
            return;
        }
        runq_update(q, t);
        lead = moved ? lead : v->sched.vtime - q->min;
        cpu = moved && (allowed_cpus(v) >> v->cpu) & 1 ? v->cpu : choose_cpu(v);
        if (cpu == q->cpu) {
            wake_join(q, v, lead);
            tickle(q, v, t);
            runq_unlock(q);
            return;
        }
        /* Nowhere and not running: it is ours to move, then all is asked again. */
        WRITE_ONCE(v->cpu, cpu);
        runq_unlock(q);
        moved = true;
    }
}

void vcpu_unblock(struct vcpu *v)
{
    /* The event was made visible before, by an atomic operation; vcpu_block sets the
     * bit by one, then looks. */
    if (READ_ONCE(v->pause_flags) & VPF_BLOCKED) {
        __atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED, __ATOMIC_SEQ_CST);
        vcpu_wake(v);
    }
}

void sched_charge(struct vcpu *v)
{
    struct runq *q = runq_lock(v);

    runq_update(q, now());
    runq_unlock(q);
}

/* --- sleeping --- */

static u32 sleep_state(const struct vcpu *v)
{
    return READ_ONCE(v->pause_flags) & VPF_BLOCKED ? RUNSTATE_blocked : RUNSTATE_offline;
}

void vcpu_sleep_nosync(struct vcpu *v)
{
    struct runq *q = runq_lock(v);

    if (!vcpu_runnable(v)) {
        if (q->curr == v) {
            softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
        } else {
            if (v->sched.on_queue)
                queue_remove(q, v);
            if (v->runstate_state == RUNSTATE_runnable)
                runstate_change(v, sleep_state(v), now());
        }
    }
    runq_unlock(q);
}

void vcpu_sleep_sync(struct vcpu *v)
{
    ASSERT(v != current_vcpu());
    vcpu_sleep_nosync(v);
    while (__atomic_load_n(&v->is_running, __ATOMIC_ACQUIRE) && !vcpu_runnable(v)) {
        arch_spin_poll();
        arch_irq_window();      /* v's CPU may wait in arch_call_cpus for this one */
    }
}

void vcpu_block(struct vcpu *v)
{
    __atomic_fetch_or(&v->pause_flags, VPF_BLOCKED, __ATOMIC_SEQ_CST);
    if (vcpu_upcall_waiting(v))
        __atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED, __ATOMIC_SEQ_CST);
    else
        softirq_raise(SOFTIRQ_SCHED);
}

void vcpu_yield(struct vcpu *v)
{
    if (READ_ONCE(runqs[v->cpu].nr) != 0) {
        v->sched.yielded = true;
        softirq_raise(SOFTIRQ_SCHED);
    }
}

/* --- choosing what runs --- */

/* The youngest in q whose domain has time left; others met are parked. */
static struct vcpu *next_in_queue(struct runq *q, s_time_t t)
{
    struct vcpu *v;

    while ((v = head_of(q)) != NULL && cap_exhausted(v->domain, t)) {
        queue_remove(q, v);
        v->sched.parked = true;
        cap_park(v->domain);
    }
    return v;
}

/* May v, waiting in another CPU's locked queue, come to `cpu` now? */
static bool may_come(const struct vcpu *v, unsigned cpu, s_time_t t)
{
    return (allowed_cpus(v) >> cpu) & 1 && !v->is_running && !cap_exhausted(v->domain, t);
}

/* Takes a vCPU out of o (locked) for q (locked): the youngest that prefers q's CPU,
 * else the youngest that may run there. */
static struct vcpu *take_from(struct runq *o, struct runq *q, s_time_t t)
{
    struct vcpu *found = NULL;
    struct list *p;

    list_for_each (p, &o->queue) {
        struct vcpu *v = list_entry(p, struct vcpu, sched.queue);

        if (may_come(v, q->cpu, t)) {
            bool likes = (preferred_cpus(v) >> q->cpu) & 1;

            if (likes || found == NULL)
                found = v;
            if (likes)
                break;
        }
    }
    if (found != NULL) {
        queue_remove(o, found);
        WRITE_ONCE(found->cpu, q->cpu);
        queue_join(q, found, DRIFT, found->sched.vtime - o->min);
    }
    return found;
}

/* q's CPU has nothing to run: from the longest queues of others. What a lock that
 * is taken at this moment hides is pushed here by its owner sooner or later. */
static struct vcpu *steal(struct runq *q, s_time_t t)
{
    u64 left = sched_online.bits & ~(1UL << q->cpu);

    while (left != 0) {
        struct vcpu *v = NULL;
        struct runq *o = NULL;

        for (u64 m = left; m != 0; m &= m - 1) {
            struct runq *i = &runqs[ffs64(m)];

            if (READ_ONCE(i->nr) > (o != NULL ? READ_ONCE(o->nr) : 0))
                o = i;
        }
        if (o == NULL)
            break;
        left &= ~(1UL << o->cpu);
        for (unsigned i = 0; i < 4 && v == NULL; i++) {
            if (spin_trylock(&o->lock)) {
                v = take_from(o, q, t);
                spin_unlock(&o->lock);
                break;
            }
            arch_spin_poll();
        }
        if (v != NULL)
            return v;
    }
    return NULL;
}

/* Gives the CPU that is furthest ahead of our waiting vCPUs one of them. */
static void balance_push(struct runq *q, s_time_t t)
{
    s64 shift = vclock - DRIFT - q->min;
    struct list *p;

    q->next_balance = t + BALANCE_PERIOD;
    if (shift > 0) {
        /* Vain lag (of pinned vCPUs, say) is forgotten, for all here alike. */
        q->min += shift;
        list_for_each (p, &q->queue) {
            list_entry(p, struct vcpu, sched.queue)->sched.vtime += shift;
        }
        if (!q->curr->is_idle)
            q->curr->sched.vtime += shift;
    }
    for (u64 m = sched_online.bits & ~(1UL << q->cpu); m != 0; m &= m - 1) {
        struct runq *o = &runqs[ffs64(m)];

        if (!spin_trylock(&o->lock))
            continue;
        runq_update(o, t);
        list_for_each (p, &q->queue) {
            struct vcpu *v = list_entry(p, struct vcpu, sched.queue);
            bool idle = o->curr->is_idle && o->nr == 0;

            if (may_come(v, o->cpu, t) &&
                (idle || ((preferred_cpus(v) >> o->cpu & 1) && !o->curr->is_idle &&
                          o->curr->sched.vtime - v->sched.vtime > PUSH_LAG))) {
                queue_remove(q, v);
                WRITE_ONCE(v->cpu, o->cpu);
                queue_join(o, v, DRIFT, v->sched.vtime - q->min);
                tickle(o, v, t);
                spin_unlock(&o->lock);
                return;
            }
        }
        spin_unlock(&o->lock);
    }
}

static void account_idle(struct runq *q, const struct vcpu *next, s_time_t t)
{
    struct cpu *c = &cpus[q->cpu];

    if (next->is_idle) {
        c->idle_since = MAX(t, 1);
    } else if (c->idle_since != 0) {
        c->idle_ns += (u64)MAX(t - c->idle_since, 0);
        c->idle_since = 0;
    }
}

/* Whom to run after prev. `stay`: prev could go on. Takes it out of the queue. */
static struct vcpu *pick(struct runq *q, struct vcpu *prev, bool stay, s_time_t t)
{
    struct vcpu *next = next_in_queue(q, t);
    u64 bit = 1UL << q->cpu;

    if (stay) {
        if (next == NULL)
            return prev;
        if (prev->sched.yielded) {
            prev->sched.vtime = MAX(prev->sched.vtime - next->sched.vtime, 0) + next->sched.vtime;
            prev->sched.boost = 0;
        } else if (!before(next, prev) ||
                   t - prev->sched.started < US(READ_ONCE(sched_ratelimit_us))) {
            return prev;
        }
    }
    if (next == NULL) {
        __atomic_fetch_or(&idle_mask, bit, __ATOMIC_SEQ_CST);
        next = steal(q, t);
        if (next == NULL)
            return cpus[q->cpu].idle;
    }
    queue_remove(q, next);
    if (READ_ONCE(idle_mask) & bit)
        __atomic_fetch_and(&idle_mask, ~bit, __ATOMIC_RELAXED);
    return next;
}

/* prev is left: what becomes of it. True: it waits in this CPU's queue. */
static bool leave(struct runq *q, struct vcpu *prev, bool stay, s_time_t t)
{
    if (prev->is_idle)
        return false;
    if (!vcpu_runnable(prev)) {
        runstate_change(prev, sleep_state(prev), t);
        return false;
    }
    runstate_change(prev, RUNSTATE_runnable, t);
    if (stay) {
        queue_insert(q, prev);
        return true;
    }
    if (cap_exhausted(prev->domain, t)) {
        prev->sched.parked = true;
        cap_park(prev->domain);
    } else {
        prev->sched.place = true;       /* it may not run here any more */
    }
    return false;
}

/* Arms the timer for what ends next's turn, and offers who waits to idle CPUs. */
static void limit_turn(struct runq *q, struct vcpu *next, s_time_t t)
{
    s_time_t when = 0;

    if (next->is_idle)
        return;
    if (q->nr != 0) {
        struct vcpu *h = head_of(q);

        when = t + (next->sched.boost > 0 ? next->sched.boost : TIMESLICE);
        if (!h->is_running) {           /* else switch_to() does it */
            call_idler(h);
        }
        if (before(h, next)) {          /* held back by the rate limit only */
            when = MIN(when, next->sched.started + US(READ_ONCE(sched_ratelimit_us)));
        }
    }
    if (next->domain->cap != 0) {
        s_time_t end = t + cap_slice(next->domain, t);

        when = when == 0 ? end : MIN(when, end);
    }
    if (when != 0)
        runq_arm(q, when);
}

/* The part of a switch that needs no lock. */
static void switch_to(struct runq *q, struct vcpu *prev, struct vcpu *next, bool queued)
{
    if (prev->runstate_guest != 0 && prev->runstate_state == RUNSTATE_runnable) {
        vcpu_runstate_to_guest(prev);   /* so that its siblings see that it was preempted */
    }
    arch_context_switch(prev, next);
    (void)__atomic_exchange_n(&prev->is_running, false, __ATOMIC_SEQ_CST);
    if (READ_ONCE(prev->sched.place))
        vcpu_wake(prev);
    else if (queued)
        call_idler(prev);
    __atomic_store_n(&q->leaving, NULL, __ATOMIC_RELEASE);
    if (next->runstate_guest != 0)
        vcpu_runstate_to_guest(next);
}

/* SOFTIRQ_SCHED. */
static void schedule(void)
{
    struct runq *q = &runqs[cpu_id()];
    struct vcpu *prev = current_vcpu(), *next;
    s_time_t t = now();
    bool stay, queued = false;

    spin_lock(&q->lock);
    if (q->deadline != 0 && t >= q->deadline)
        q->deadline = 0;
    runq_update(q, t);
    stay = !prev->is_idle && vcpu_runnable(prev) && (allowed_cpus(prev) >> q->cpu & 1) &&
           !cap_exhausted(prev->domain, t);
    /* Before the choice: those who wait now have all left their CPUs. */
    if (q->nr + stay > 1 && t >= q->next_balance && sched_online.bits & (sched_online.bits - 1))
        balance_push(q, t);
    next = pick(q, prev, stay, t);
    prev->sched.yielded = false;
    if (next != prev) {
        queued = leave(q, prev, stay, t);
        runstate_change(next, RUNSTATE_running, t);
        next->sched.started = next->sched.charged = t;
        WRITE_ONCE(next->is_running, true);
        q->curr = next;
        q->leaving = prev;
        account_idle(q, next, t);
    }
    limit_turn(q, next, t);
    spin_unlock(&q->lock);
    if (next != prev)
        switch_to(q, prev, next, queued);
}

/* --- affinity --- */

int vcpu_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft)
{
    struct runq *q;
    bool move = false;

    if (hard != NULL && (hard->bits & sched_online.bits) == 0)
        return -EINVAL;
    q = runq_lock(v);
    if (hard != NULL && v->sched.pinned) {
        runq_unlock(q);
        return -EBUSY;
    }
    if (hard != NULL)
        v->hard_affinity = *hard;
    if (soft != NULL)
        v->soft_affinity = *soft;
    if (v->sched.on_queue) {            /* all CPUs may have changed for it: placed anew */
        queue_remove(q, v);
        move = true;
    } else if (q->curr == v && !(allowed_cpus(v) >> q->cpu & 1)) {
        softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
    }
    runq_unlock(q);
    if (move)
        vcpu_wake(v);
    return 0;
}

int vcpu_pin_override(struct vcpu *v, int cpu)
{
    cpumask_t mask;
    bool pinned = v->sched.pinned;

    if (cpu < 0) {
        if (!pinned)
            return -EINVAL;
        mask = v->sched.saved_affinity;
    } else {
        if (pinned)
            return -EBUSY;
        if (cpu >= NR_CPUS || !cpumask_test(sched_online, (unsigned)cpu))
            return -EINVAL;
        mask.bits = 1UL << cpu;
        v->sched.saved_affinity = v->hard_affinity;
    }
    v->sched.pinned = false;
    vcpu_set_affinity(v, &mask, NULL);
    v->sched.pinned = cpu >= 0;
    return 0;
}

/* --- life --- */

void sched_vcpu_init(struct vcpu *v)
{
    /* The first idle vCPU comes before any CPU is online. */
    u64 m = sched_online.bits ? sched_online.bits : 1;
    unsigned n = v->id % hweight64(m);

    while (n-- != 0)
        m &= m - 1;
    v->cpu = ffs64(m);
    if (v->domain->weight == 0)
        v->domain->weight = WEIGHT_DEFAULT;
    v->hard_affinity.bits = v->soft_affinity.bits = ~0UL;
    list_init(&v->sched.queue);
    v->sched.vtime = vclock - DRIFT;
    v->runstate_state = RUNSTATE_offline;
    v->runstate_entry = now();
}

void sched_vcpu_destroy(struct vcpu *v)
{
    struct runq *q = runq_lock(v);

    if (v->sched.on_queue)
        queue_remove(q, v);
    runq_unlock(q);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        while (__atomic_load_n(&runqs[i].leaving, __ATOMIC_ACQUIRE) == v)
            arch_spin_poll();
    }
}

void sched_cpu_init(unsigned cpu)
{
    struct runq *q = &runqs[cpu];
    struct vcpu *v = arch_vcpu_alloc(domain_idle, cpu);

    /* An idle vCPU is no guest's: it has no events, no timers, only a place to look at. */
    BUG_ON(v == NULL || (v->info = xzalloc_type(struct vcpu_info)) == NULL);
    v->domain = domain_idle;
    v->id = v->cpu = cpu;
    v->initialised = v->is_running = v->is_idle = true;
    v->hard_affinity.bits = v->soft_affinity.bits = 1UL << cpu;
    list_init(&v->sched.queue);
    v->runstate_state = RUNSTATE_running;
    v->runstate_entry = now();
    timer_init(&q->timer, runq_timer, NULL, cpu);
    q->curr = v;
    cpus[cpu].idle = v;
    cpus[cpu].idle_since = MAX(v->runstate_entry, 1);
    if (cpu == cpu_id())
        cpu_top()->curr = v;
    __atomic_fetch_or(&idle_mask, 1UL << cpu, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&sched_online.bits, 1UL << cpu, __ATOMIC_SEQ_CST);
}

void sched_init(void)
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        runqs[i] = (struct runq){ .cpu = i };
        spin_lock_init(&runqs[i].lock, LOCK_SCHED);
        list_init(&runqs[i].queue);
    }
    softirq_register(SOFTIRQ_SCHED, schedule);
}
