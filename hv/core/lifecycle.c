// SPDX-License-Identifier: MIT
/*
 * What happens to a domain in its life: pause, shutdown, crash, and its end.
 *
 * Pause counts and the shutdown flags are atomic, so that a domain can be stopped
 * with any lock held that comes before LOCK_SCHED. Who waits for a vCPU to leave its
 * CPU holds control_lock: two who wait for each other's vCPU would wait for ever.
 * domain_kill is guarded by `killing`.
 */
#include "arch.h"
#include "console.h"
#include "evtchn.h"
#include "grant.h"
#include "mm.h"
#include "reservation.h"
#include "sched.h"

/* --- pause --- */

void vcpu_pause(struct vcpu *v)
{
    __atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
    if (v != current_vcpu())
        vcpu_sleep_sync(v);
}

void vcpu_unpause(struct vcpu *v)
{
    if (__atomic_sub_fetch(&v->pause_count, 1, __ATOMIC_SEQ_CST) == 0)
        vcpu_wake(v);
}

static void domain_pause_nosync(struct domain *d)
{
    __atomic_fetch_add(&d->pause_count, 1, __ATOMIC_SEQ_CST);
    for_each_vcpu (d, v)
        vcpu_sleep_nosync(v);
}

void domain_pause(struct domain *d)
{
    domain_pause_nosync(d);
    for_each_vcpu (d, v) {
        if (v != current_vcpu())
            vcpu_sleep_sync(v);
    }
}

void domain_unpause(struct domain *d)
{
    if (__atomic_sub_fetch(&d->pause_count, 1, __ATOMIC_SEQ_CST) == 0) {
        for_each_vcpu (d, v)
            vcpu_wake(v);
    }
}

#define CONTROLLER_PAUSES_MAX 255

int domain_controller_pause(struct domain *d)
{
    with_lock (&d->lock) {
        if (d->controller_pause_count == CONTROLLER_PAUSES_MAX)
            return -EOVERFLOW;
        d->controller_pause_count++;
    }
    domain_pause(d);
    return 0;
}

int domain_controller_unpause(struct domain *d)
{
    with_lock (&d->lock) {
        if (d->controller_pause_count == 0)
            return -EINVAL;
        d->controller_pause_count--;
        d->creation_finished = true;
        wallclock_to_guest(d);          /* its builder has cleared the shared page */
    }
    domain_unpause(d);
    return 0;
}

/* --- shutdown --- */

/* dom0 is the machine's operating system: its end is the machine's. */
static NORETURN void machine_end(u8 reason)
{
    static const char *const names[] = {
        "power off", "reboot", "suspend", "crash", "watchdog", "soft reset"
    };
    const char *name = reason < ARRAY_SIZE(names) ? names[reason] : "unknown reason";
    printk(LOG_WARN, "dom0 shut down: %s\n", name);
    if (reason == SHUTDOWN_poweroff)
        arch_machine_power_off();
    if (opt_noreboot)
        printk(LOG_WARN, "halted (noreboot)\n");
    while (opt_noreboot)
        arch_spin_poll();
    arch_machine_restart();
}

void domain_shutdown(struct domain *d, u8 reason)
{
    if (d == dom0)
        machine_end(reason);
    if (__atomic_exchange_n(&d->is_shutting_down, true, __ATOMIC_ACQ_REL))
        return;
    d->shutdown_code = d->shutdown_latched ? d->shutdown_latched - 1 : reason;
    domain_pause_nosync(d);
    __atomic_store_n(&d->is_shut_down, true, __ATOMIC_RELEASE);
    if (current_vcpu()->domain == d)
        softirq_raise(SOFTIRQ_SCHED);
    domains_tell_change();
}

void domain_resume(struct domain *d)
{
    if (__atomic_exchange_n(&d->is_shut_down, false, __ATOMIC_ACQ_REL)) {
        d->shutdown_code = d->shutdown_latched = 0;
        __atomic_store_n(&d->is_shutting_down, false, __ATOMIC_RELEASE);
        domain_unpause(d);
    }
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    if (!READ_ONCE(d->is_shutting_down)) {
        char why[160];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(why, sizeof(why), fmt, ap);
        va_end(ap);
        struct vcpu *v = current_vcpu();
        printk(LOG_ERR, "d%u crashed (CPU %u runs d%uv%u): %s\n", d->id, cpu_id(),
               v->domain->id, v->id, why);
    }
    domain_shutdown(d, SHUTDOWN_crash);
}

/* --- the end --- */

/* An event's raiser on another CPU may still hold v->info: the pages are given up
 * only after everybody has left what he was doing. */
static int release_vcpu_info(struct domain *d)
{
    for_each_vcpu (d, v)
        __atomic_store_n(&v->info, vcpu_info_default(v), __ATOMIC_RELEASE);
    domains_grace_period();
    for_each_vcpu (d, v) {
        if (v->info_page) {
            d->ops->put_gfn(v->info_page, true);
            v->info_page = NULL;
        }
    }
    return 0;
}

static int release_exchanges(struct domain *d)
{
    int err = 0;
    for_each_vcpu (d, v)
        err = err ?: exchange_abandon(v);
    return err;
}

static int silence(struct domain *d)
{
    for_each_vcpu (d, v)
        vcpu_timers_destroy(v);
    pirq_domain_quiesce(d);
    return 0;
}

static int release_tables(struct domain *d)
{
    return d->ops->relinquish(d);
}

/* In this order; each is repeated while it returns -ERESTART. */
static int (*const kill_stages[])(struct domain *d) = {
    silence,                    /* its interrupts and devices fall silent */
    release_tables,             /* page tables, descriptor tables: nothing of others is mapped */
    grant_release_mappings,     /* its grant mappings end, so granters see them free only now */
    evtchn_domain_close,        /* its event channels close: peers' ports wait for its id */
    release_vcpu_info,          /* Bulkhead writes into its memory no more */
    release_exchanges,          /* frames on their way to it */
    relinquish_pages,           /* its own pages */
};

void domain_kill_start(struct domain *d)
{
    bool again = d->is_dying;   /* set nowhere else; control_lock */
    with_lock (&d->lock) {
        with_lock (&d->page_lock)
            d->is_dying = true;
    }
    if (!again)
        domain_pause(d);
}

int domain_kill(struct domain *d)
{
    if (__atomic_exchange_n(&d->killing, true, __ATOMIC_ACQUIRE))
        return -ERESTART;
    int err = 0;
    while (!err && d->dying_stage < ARRAY_SIZE(kill_stages)) {
        err = kill_stages[d->dying_stage](d);
        if (!err && ++d->dying_stage == ARRAY_SIZE(kill_stages)) {
            domains_tell_change();
            domain_put(d);      /* the table's; the caller has his own */
        }
    }
    __atomic_store_n(&d->killing, false, __ATOMIC_RELEASE);
    return err;
}
