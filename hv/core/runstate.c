/* SPDX-License-Identifier: MIT */
/*
 * Run states: the account of a vCPU's time (xen/vcpu.h) and its copy in guest
 * memory. The account is guarded by the lock of the vCPU's run queue.
 */
#include "sched_private.h"
#include "arch.h"
#include "guest.h"

u64 vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct runq *q = runq_lock(v);
    struct vcpu_runstate_info r = v->runstate;

    runq_unlock(q);
    if (out != NULL)
        *out = r;
    r.time[r.state] += (u64)MAX(now() - (s_time_t)r.state_entry_time, 0);
    return r.time[RUNSTATE_running];
}

u64 cpu_idle_ns(unsigned cpu)
{
    struct vcpu *idle = cpus[cpu].idle;     /* NULL: the CPU did not start */

    return idle != NULL ? vcpu_runstate_get(idle, NULL) : 0;
}

void vcpu_runstate_to_guest(struct vcpu *v)
{
    u64 va = READ_ONCE(v->runstate_guest);
    /* No lock: the account of the current vCPU changes on this CPU only. */
    struct vcpu_runstate_info r = v->runstate;

    /* An address that has become bad is the guest's own loss. */
    if (!(v->domain->vm_assist & (1u << VMASST_TYPE_runstate_update_flag))) {
        (void)arg_write(v, va, &r);
        return;
    }
    /* The flag is up while the record changes, so that another vCPU that reads it
     * tries again. x86 keeps stores in order. */
    u64 at = va + offsetof(struct vcpu_runstate_info, state_entry_time), entry = r.state_entry_time;
    r.state_entry_time |= XEN_RUNSTATE_UPDATE;
    if (guest_write(v, at, &r.state_entry_time, sizeof(entry)) == 0 && arg_write(v, va, &r) == 0)
        (void)guest_write(v, at, &entry, sizeof(entry));
}
