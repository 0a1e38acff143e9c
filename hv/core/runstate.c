/* SPDX-License-Identifier: MIT */
/*
 * Run states: the account of a vCPU's time (xen/vcpu.h) and its copy in guest
 * memory. The account is guarded by the lock of the vCPU's run queue.
 */
#include "sched_private.h"
#include "arch.h"
#include "guest.h"

static void fill(const struct vcpu *v, struct vcpu_runstate_info *out)
{
    *out = (struct vcpu_runstate_info){ .state = (int)v->runstate_state,
                                        .state_entry_time = (u64)v->runstate_entry };
    for (unsigned i = 0; i < 4; i++)
        out->time[i] = v->runstate_time[i];
}

u64 vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct runq *q = runq_lock(v);
    s_time_t here = MAX(now() - v->runstate_entry, 0);
    u64 ran = v->runstate_time[RUNSTATE_running];

    if (v->runstate_state == RUNSTATE_running)
        ran += (u64)here;
    if (out != NULL) {
        fill(v, out);
        out->time[v->runstate_state] += (u64)here;
    }
    runq_unlock(q);
    return ran;
}

void vcpu_runstate_to_guest(struct vcpu *v)
{
    u64 va = READ_ONCE(v->runstate_guest), entry, at;
    struct vcpu_runstate_info r;

    if (va == 0)
        return;
    /* No lock: the account of the current vCPU changes on this CPU only. An address
     * that has become bad is the guest's own loss. */
    fill(v, &r);
    if (!(v->domain->vm_assist & (1u << VMASST_TYPE_runstate_update_flag))) {
        (void)arg_write(v, va, &r);
        return;
    }
    /* The flag is up while the record changes, so that another vCPU that reads it
     * tries again. x86 keeps stores in order. */
    at = va + offsetof(struct vcpu_runstate_info, state_entry_time);
    entry = r.state_entry_time;
    r.state_entry_time |= XEN_RUNSTATE_UPDATE;
    if (guest_write(v, at, &r.state_entry_time, sizeof(entry)) == 0 && arg_write(v, va, &r) == 0)
        (void)guest_write(v, at, &entry, sizeof(entry));
}

u64 cpu_idle_ns(unsigned cpu)
{
    struct runq *q = &runqs[cpu];
    u64 ns;

    spin_lock(&q->lock);
    ns = cpus[cpu].idle_ns;
    if (cpus[cpu].idle_since != 0) {
        s_time_t t = now();

        ns += (u64)MAX(t - cpus[cpu].idle_since, 0);
    }
    spin_unlock(&q->lock);
    return ns;
}
