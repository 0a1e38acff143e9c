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
#define BOOST          MS(1)        /* how long a sleeper not ahead runs before all others */
#define BALANCE_PERIOD MS(10)

struct runq runqs[NR_CPUS];
u32 sched_ratelimit_us = 500;

static u64 idle_mask;               /* CPUs that found nothing to run; atomic, a hint */
static s64 vclock;                  /* the furthest queue's virtual time, about */

/* --- queues and virtual time --- */

struct runq *runq_lock(struct vcpu *v)
{
    for (;;) {
        struct runq *q = &runqs[READ_ONCE(v->cpu)];

        spin_lock(&q->lock);
        if (likely(q->cpu == v->cpu))
            return q;
        spin_unlock(&q->lock);
    }
}

static inline u64 other_cpus(const struct runq *q) { return cpus_online.bits & ~(1UL << q->cpu); }

static u64 allowed_cpus(const struct vcpu *v) { return v->hard_affinity.bits & cpus_online.bits; }

static inline u64 preferred_cpus(const struct vcpu *v)
{
    u64 allowed = allowed_cpus(v), soft = allowed & v->soft_affinity.bits;

    return soft != 0 ? soft : allowed;
}

static inline bool in(u64 set, unsigned cpu) { return (set >> cpu) & 1; }

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

/* When v, which runs, may be preempted: a turn has a shortest length. */
static inline s_time_t turn_limit(const struct vcpu *v)
{
    return v->sched.started + US(READ_ONCE(sched_ratelimit_us));
}

/* Brings the runner's account and the queue's virtual time up to t. */
static void runq_update(struct runq *q, s_time_t t)
{
    struct vcpu *c = q->curr, *h = head_of(q);

    charge(c, t);
    s64 m = h != NULL ? h->sched.vtime : q->min;
    if (!c->is_idle && (h == NULL || c->sched.vtime - m < 0))
        m = c->sched.vtime;
    q->min += MAX(m - q->min, 0);
    if (q->min - READ_ONCE(vclock) > 0)
        WRITE_ONCE(vclock, q->min);
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
    if (q->nr == 0 && q->curr->is_idle)     /* time did not stand still while the CPU idled */
        q->min += MAX(vclock - DRIFT - q->min, 0);
    s64 ahead = MIN(v->sched.vtime - q->min, MAX(lead, 0));
    v->sched.vtime = q->min + MAX(ahead, -max_lag);
    queue_insert(q, v);
}

/* q's CPU shall look at its queue again at `when` at the latest. (The timer is set
 * here only; when it goes off meanwhile, the CPU is about to look.) */
static void runq_arm(struct runq *q, s_time_t when)
{
    if (!timer_armed(&q->timer) || when < q->timer.expires)
        timer_set(&q->timer, when);
}

static void runq_timer(void *data UNUSED) { softirq_raise(SOFTIRQ_SCHED); }

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
    const struct vcpu *c = q->curr;
    s_time_t when = before(v, c) ? turn_limit(c) : t + TIMESLICE;

    if (c->is_idle || t >= when)
        softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
    else
        runq_arm(q, when);
    if (c->is_idle)
        return;
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
    u64 allowed = allowed_cpus(v), preferred = preferred_cpus(v), idle = READ_ONCE(idle_mask);

    idle &= (idle & preferred) ? preferred : allowed;
    u64 from = idle != 0 ? idle : preferred;
    unsigned best = in(from, v->cpu) ? v->cpu : ffs64(from);
    if (idle != 0) {
        clear_bit(best, &idle_mask);    /* claimed, so that the next one woken goes elsewhere */
        return best;
    }
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
    if (v->runstate.state != RUNSTATE_runnable)
        runstate_change(v, RUNSTATE_runnable, t);
    if (cap_exhausted(v->domain, t))
        cap_park(v);
    return v->sched.parked;
}

void vcpu_wake(struct vcpu *v)
{
    s64 lead = 0;

    for (bool moved = false;; moved = true) {
        struct runq *q = runq_lock(v);
        s_time_t t = now();

        if (settled(q, v, t)) {
            runq_unlock(q);
            if (unlikely(moved))
                softirq_raise_on(q->cpu, SOFTIRQ_SCHED);    /* it may have been claimed in vain */
            return;
        }
        runq_update(q, t);
        lead = moved ? lead : v->sched.vtime - q->min;
        unsigned cpu = moved && in(allowed_cpus(v), v->cpu) ? v->cpu : choose_cpu(v);
        if (cpu == q->cpu) {
            v->sched.boost = lead <= 0 ? BOOST : 0;
            queue_join(q, v, WAKE_BONUS, lead);
            tickle(q, v, t);
            runq_unlock(q);
            return;
        }
        /* Nowhere and not running: it is ours to move, then all is asked again. */
        WRITE_ONCE(v->cpu, cpu);
        runq_unlock(q);
    }
}

void sched_charge(struct vcpu *v)
{
    struct runq *q = runq_lock(v);

    runq_update(q, now());
    runq_unlock(q);
}

/* --- sleeping --- */

/* The run state of v when it does not run. */
static int rest_state(const struct vcpu *v)
{
    return vcpu_runnable(v) ? RUNSTATE_runnable :
           (READ_ONCE(v->pause_flags) & VPF_BLOCKED) ? RUNSTATE_blocked : RUNSTATE_offline;
}

void vcpu_sleep_nosync(struct vcpu *v)
{
    struct runq *q = runq_lock(v);

    if (!vcpu_runnable(v) && q->curr == v) {
        softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
    } else if (!vcpu_runnable(v)) {
        if (v->sched.on_queue)
            queue_remove(q, v);
        if (v->runstate.state == RUNSTATE_runnable)
            runstate_change(v, rest_state(v), now());
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

/* Moves a waiting vCPU between two locked queues. To an idle CPU: the youngest that
 * prefers it, else the youngest that may run there; else one that likes to be there and
 * is well behind whom that CPU runs. */
static struct vcpu *transfer(struct runq *from, struct runq *to, bool idle, s_time_t t)
{
    struct vcpu *found = NULL;

    for_each_waiting (v, from) {
        bool likes = in(preferred_cpus(v), to->cpu);
        bool good = idle ? likes || found == NULL
                         : likes && to->curr->sched.vtime - v->sched.vtime > PUSH_LAG;

        if (good && in(allowed_cpus(v), to->cpu) && !v->is_running &&
            !cap_exhausted(v->domain, t)) {
            found = v;
            if (likes)
                break;
        }
    }
    if (found != NULL) {
        queue_remove(from, found);
        WRITE_ONCE(found->cpu, to->cpu);
        queue_join(to, found, DRIFT, found->sched.vtime - from->min);
    }
    return found;
}

/* q's CPU has nothing to run: from the longest queues of others. What a lock that
 * is taken at this moment hides is pushed here by its owner sooner or later. */
static struct vcpu *steal(struct runq *q, s_time_t t)
{
    struct vcpu *v = NULL;

    for (u64 left = other_cpus(q); left != 0 && v == NULL;) {
        struct runq *o = &runqs[ffs64(left)];
        unsigned tries = 4;

        for (u64 m = left; m != 0; m &= m - 1) {
            if (READ_ONCE(runqs[ffs64(m)].nr) > READ_ONCE(o->nr))
                o = &runqs[ffs64(m)];
        }
        if (READ_ONCE(o->nr) == 0)
            break;
        left &= ~(1UL << o->cpu);
        while (!spin_trylock(&o->lock) && --tries != 0)
            arch_spin_poll();
        if (tries != 0) {
            v = transfer(o, q, true, t);
            spin_unlock(&o->lock);
        }
    }
    return v;
}

/* Looks for a CPU that is ahead of our waiting vCPUs, to give it one of them. */
static void balance_push(struct runq *q, s_time_t t)
{
    s64 shift = MAX(vclock - DRIFT - q->min, 0);

    q->next_balance = t + BALANCE_PERIOD;
    /* Vain lag (of pinned vCPUs, say) is forgotten, for all here alike. */
    q->min += shift;
    q->curr->sched.vtime += shift;
    for_each_waiting (v, q)
        v->sched.vtime += shift;
    struct vcpu *v = NULL;
    for (u64 m = other_cpus(q); m != 0 && v == NULL; m &= m - 1) {
        struct runq *o = &runqs[ffs64(m)];

        if (!spin_trylock(&o->lock))
            continue;
        runq_update(o, t);
        if (!o->curr->is_idle || o->nr == 0)
            v = transfer(q, o, o->curr->is_idle, t);
        if (v != NULL)
            tickle(o, v, t);
        spin_unlock(&o->lock);
    }
}

/* Whom to run after prev. `stay`: prev could go on. Takes it out of the queue; others met
 * whose domain has no time left are parked. */
static struct vcpu *pick(struct runq *q, struct vcpu *prev, bool stay, s_time_t t)
{
    struct vcpu *next;

    while ((next = head_of(q)) != NULL && cap_exhausted(next->domain, t)) {
        queue_remove(q, next);
        cap_park(next);
    }
    if (stay && next != NULL && prev->sched.yielded) {
        prev->sched.vtime += MAX(next->sched.vtime - prev->sched.vtime, 0);
        prev->sched.boost = 0;
    } else if (stay && (next == NULL || !before(next, prev) || t < turn_limit(prev))) {
        return prev;
    }
    if (next == NULL) {
        set_bit(q->cpu, &idle_mask);
        next = steal(q, t);
        if (next == NULL)
            return cpus[q->cpu].idle;
    }
    queue_remove(q, next);
    if (test_bit(q->cpu, &idle_mask))
        clear_bit(q->cpu, &idle_mask);
    return next;
}

/* prev is left: what becomes of it. */
static void leave(struct runq *q, struct vcpu *prev, bool stay, s_time_t t)
{
    int state = rest_state(prev);

    runstate_change(prev, state, t);
    if (prev->is_idle || state != RUNSTATE_runnable)
        return;
    if (stay)
        queue_insert(q, prev);
    else
        prev->sched.place = true;       /* it may not run here any more, or its cap is used up */
}

/* Arms the timer for what ends next's turn, and offers who waits to idle CPUs. */
static void limit_turn(struct runq *q, struct vcpu *next, s_time_t t)
{
    s_time_t when = INT64_MAX;

    if (q->nr != 0) {
        struct vcpu *h = head_of(q);

        when = t + (next->sched.boost > 0 ? next->sched.boost : TIMESLICE);
        if (!h->is_running)             /* else switch_to() does it */
            call_idler(h);
        if (before(h, next))            /* held back by the rate limit only */
            when = MIN(when, turn_limit(next));
    }
    if (next->domain->cap != 0)
        when = MIN(when, t + cap_slice(next->domain, t));
    if (when != INT64_MAX)
        runq_arm(q, when);
}

/* The part of a switch that needs no lock. */
static void switch_to(struct runq *q, struct vcpu *prev, struct vcpu *next)
{
    if (prev->runstate_guest != 0 && prev->runstate.state == RUNSTATE_runnable)
        vcpu_runstate_to_guest(prev);   /* so that its siblings see that it was preempted */
    arch_context_switch(prev, next);
    (void)__atomic_exchange_n(&prev->is_running, false, __ATOMIC_SEQ_CST);
    if (READ_ONCE(prev->sched.place))
        vcpu_wake(prev);
    else if (READ_ONCE(prev->sched.on_queue))
        call_idler(prev);
    __atomic_store_n(&q->leaving, NULL, __ATOMIC_RELEASE);
    if (next->runstate_guest != 0)
        vcpu_runstate_to_guest(next);
}

/* SOFTIRQ_SCHED. */
static void schedule(void)
{
    struct runq *q = &runqs[cpu_id()];
    struct vcpu *prev = current_vcpu();
    s_time_t t = now();

    spin_lock(&q->lock);
    runq_update(q, t);
    bool stay = !prev->is_idle && vcpu_runnable(prev) && in(allowed_cpus(prev), q->cpu) &&
                !cap_exhausted(prev->domain, t);
    /* Before the choice: those who wait now have all left their CPUs. */
    if (q->nr + stay > 1 && t >= q->next_balance && other_cpus(q) != 0)
        balance_push(q, t);
    struct vcpu *next = pick(q, prev, stay, t);
    prev->sched.yielded = false;
    if (next != prev) {
        leave(q, prev, stay, t);
        runstate_change(next, RUNSTATE_running, t);
        next->sched.started = next->sched.charged = t;
        WRITE_ONCE(next->is_running, true);
        q->curr = next;
        q->leaving = prev;
    }
    if (!next->is_idle)
        limit_turn(q, next, t);
    spin_unlock(&q->lock);
    if (next != prev)
        switch_to(q, prev, next);
}

/* --- affinity --- */

/* The affinity of v in q (locked, let go here) is another: a place in a queue is chosen
 * anew, and a CPU that v may not use any more is left. */
static int affinity_changed(struct runq *q, struct vcpu *v)
{
    bool move = v->sched.on_queue;

    if (move)
        queue_remove(q, v);
    else if (q->curr == v && !in(allowed_cpus(v), q->cpu))
        softirq_raise_on(q->cpu, SOFTIRQ_SCHED);
    runq_unlock(q);
    if (move)
        vcpu_wake(v);
    return 0;
}

int vcpu_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft)
{
    if (hard != NULL && (hard->bits & cpus_online.bits) == 0)
        return -EINVAL;
    struct runq *q = runq_lock(v);
    if (hard != NULL && v->sched.unpinned.bits != 0) {
        runq_unlock(q);
        return -EBUSY;
    }
    if (hard != NULL)
        v->hard_affinity = *hard;
    if (soft != NULL)
        v->soft_affinity = *soft;
    return affinity_changed(q, v);
}

int vcpu_pin_override(struct vcpu *v, int cpu)
{
    bool pin = cpu >= 0;

    if (pin && (cpu >= NR_CPUS || !cpumask_test(cpus_online, (unsigned)cpu)))
        return -EINVAL;
    struct runq *q = runq_lock(v);
    if (pin == (v->sched.unpinned.bits != 0)) {
        runq_unlock(q);
        return pin ? -EBUSY : -EINVAL;
    }
    if (pin) {
        v->sched.unpinned = v->hard_affinity;
        v->hard_affinity.bits = 1UL << cpu;
    } else {
        v->hard_affinity = v->sched.unpinned;
        v->sched.unpinned.bits = 0;
    }
    return affinity_changed(q, v);
}

/* --- life --- */

void sched_vcpu_init(struct vcpu *v)
{
    v->cpu = v->id % nr_cpus;
    v->hard_affinity.bits = v->soft_affinity.bits = ~0UL;
    v->sched.vtime = vclock - DRIFT;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = (u64)now();
}

void sched_vcpu_destroy(struct vcpu *v)
{
    BUG_ON(v->sched.on_queue);
    for (unsigned i = 0; i < nr_cpus; i++) {
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
    v->runstate.state = RUNSTATE_running;
    v->runstate.state_entry_time = (u64)now();
    timer_init(&q->timer, runq_timer, NULL, cpu);
    q->curr = v;
    cpus[cpu].idle = cpu_top()->curr = v;
    set_bit(cpu, &idle_mask);
}

void sched_init(void)
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        runqs[i] = (struct runq){ .cpu = i, .lock = SPINLOCK_INIT(LOCK_SCHED) };
        list_init(&runqs[i].queue);
    }
    softirq_register(SOFTIRQ_SCHED, schedule);
}
