/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher. entry.S calls hypercall_fns[] for a PV guest's `syscall`;
 * multicall does the same for each of its entries. No lock.
 */
#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "trace.h"
#include "x86/desc.h"
#include "x86/domain.h"

/* A call that needs a right goes through its checker, the others directly; where all
 * events are traced (debug builds), every call does. */
#define HYPERCALL(nr, name, handler, nargs, right, note)                 \
    static UNUSED long checked_##name(struct vcpu *v, unsigned long *a)  \
    {                                                                    \
        trace(TRACE_HYPERCALL, nr, a[0]);                                \
        long rc = domain_has(v->domain, right) ? handler(v, a) : -EPERM; \
        trace(TRACE_RESULT, nr, (u64)rc);                                \
        return rc;                                                       \
    }
#define NOT_IMPLEMENTED(nr, name, err, note)                             \
    static long refused_##name(UNUSED struct vcpu *v, UNUSED unsigned long *a) \
    {                                                                    \
        return -(err);                                                   \
    }
#include "hypercall_table.h"
NOT_IMPLEMENTED(none, no_such_call, ENOSYS, "")
#undef HYPERCALL
#undef NOT_IMPLEMENTED

extern hypercall_fn *const hypercall_fns[64];   /* for entry.S, which needs the last one to be none */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
hypercall_fn *const hypercall_fns[64] = {
    [0 ... 63] = refused_no_such_call,
#define HYPERCALL(nr, name, handler, nargs, right, note) \
    [nr] = (right) == RIGHT_NONE && !DEBUG_BUILD ? (handler) : checked_##name,
#define NOT_IMPLEMENTED(nr, name, err, note) [nr] = refused_##name,
#include "hypercall_table.h"
};
#pragma GCC diagnostic pop

bool hypercall_preempt(struct vcpu *v)
{
    arch_irq_window();
    return this_cpu()->softirq || vcpu_upcall_waiting(v);
}

/* -ERESTART: the guest repeats its `syscall` (two bytes) with the arguments in a[]. */
void hypercall_restart(const unsigned long *a)
{
    struct cpu_user_regs *r = &cpu_top()->regs;
    r->rdi = a[0];
    r->rsi = a[1];
    r->rdx = a[2];
    r->r10 = a[3];
    r->r8 = a[4];
    r->r9 = a[5];
    r->rip -= 2;
}

/* Sets of calls. Only those that neither nest nor replace the registers may be entries. */
#define CALL(name) (1UL << __HYPERVISOR_##name)
#define MULTICALL_ALLOWED (~(CALL(multicall) | CALL(iret)))
/* Entries that never take long: they may go without a look at what else waits. */
#define BRIEF (CALL(update_va_mapping) | CALL(stack_switch) | CALL(fpu_taskswitch) | \
               CALL(update_descriptor) | CALL(set_segment_base) | CALL(xen_version))

static bool in_set(u64 op, u64 set)
{
    return op < 64 && ((set >> op) & 1);
}

#define MULTICALL_BATCH 8u

/* Reads up to MULTICALL_BATCH entries; how many, 0: not even one can be read. */
static u32 read_entries(struct vcpu *v, struct multicall_entry *e, u64 at, u32 left)
{
    u32 n = MIN(left, MULTICALL_BATCH);
    if (!guest_read(v, e, at, n * sizeof(*e)))
        return n;
    return n > 1 && !guest_read(v, e, at, sizeof(*e));
}

/* a: list of struct multicall_entry, their number. xen.h, "Multicall". */
long do_multicall(struct vcpu *v, unsigned long *a)
{
    struct multicall_entry batch[MULTICALL_BATCH];
    while ((u32)a[1]) {
        u32 n = read_entries(v, batch, a[0], (u32)a[1]);
        if (!n)
            return -EFAULT;
        for (struct multicall_entry *e = batch; e < batch + n; e++) {
            e->result = likely(in_set(e->op, MULTICALL_ALLOWED))
                ? (u64)hypercall_fns[index_nospec(e->op, 64)](v, e->args) : (u64)-ENOSYS;
            if (unlikely((long)e->result == -ERESTART))
                return arg_write(v, a[0], e) ? -EFAULT : -ERESTART;
            if (arg_write_field(v, a[0], e, result))
                return -EFAULT;
            a[0] += sizeof(*e);
            a[1] = (u32)a[1] - 1;
            if (unlikely(v->domain->is_shutting_down) ||
                (!in_set(e->op, BRIEF) && (u32)a[1] && hypercall_preempt(v))) {
                return (u32)a[1] ? -ERESTART : 0;
            }
        }
        if ((u32)a[1] && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}
