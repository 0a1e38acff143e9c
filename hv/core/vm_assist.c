/* SPDX-License-Identifier: MIT */
/*
 * vm_assist: a guest switches on what it wants of Bulkhead's help. The bits live in
 * domain->vm_assist and are changed atomically; no lock.
 */
#include "hypercall.h"

static long assist_type(u64 type)
{
    switch (type) {
#define OP(number, name, rights, note) case number: return number;
#define NO_OP(number, name, error, note) case number: return -(error);
#include "ops/vm_assist.h"
    default:
        return -EINVAL;
    }
}

/* a: VMASST_CMD_*, VMASST_TYPE_*. */
long do_vm_assist(struct vcpu *v, unsigned long *a)
{
    long type = assist_type((u32)a[1]);
    if (type < 0)
        return type;
    if ((u32)a[0] == VMASST_CMD_enable)
        __atomic_fetch_or(&v->domain->vm_assist, 1u << type, __ATOMIC_RELAXED);
    else if ((u32)a[0] == VMASST_CMD_disable)
        __atomic_fetch_and(&v->domain->vm_assist, ~(1u << type), __ATOMIC_RELAXED);
    else
        return -ENOSYS;
    return 0;
}
