/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: one table (hypercall_table.h) makes the prototypes, the dispatcher,
 * the tracer's names and the book's appendix.
 *
 * A handler gets the calling vCPU and its six arguments as an array. It returns
 * a value >= 0 or a negative errno. Long work: when hypercall_preempt (v) says so,
 * the handler stores where it stands in a[] (or in the guest's own structures) and
 * returns -ERESTART; the guest then repeats the call with those arguments, also
 * when it is an entry of a multicall.
 */
#pragma once

#include "domain.h"

typedef long hypercall_fn(struct vcpu *v, unsigned long *a);

#define HYPERCALL(nr, name, handler, nargs, rights, note) hypercall_fn handler;
#define NOT_IMPLEMENTED(nr, name, err, note)
#include "hypercall_table.h"
#undef HYPERCALL
#undef NOT_IMPLEMENTED

/* Lets interrupts in for a moment (so: no lock held); true when the caller should
 * save its place and return -ERESTART: other work waits for this CPU or vCPU. */
bool hypercall_preempt(struct vcpu *v);

/* --- core/sysctl.c --- */
/* A list that takes long goes on where it was cut, if v comes back with the same buffer (what it
 * writes to; never NULL): with *done pieces of it, from *next on; else both stay as they are. */
void list_resume(struct vcpu *v, const void *buffer, u32 *done, u32 *next);
int list_cut(struct vcpu *v, const void *buffer, u32 done, u32 next);       /* -ERESTART */
/* As list_cut, if it is time; else 0. */
int list_preempt(struct vcpu *v, const void *buffer, u32 done, u32 next);

/*
 * A sub-operation table: ops with a command number. Each family has one X-macro
 * file in hv/include/ops/ (e.g. ops/sched_op.h) with rows
 *   OP(number, name, rights, note)          -- implemented
 *   NO_OP(number, name, err, note)          -- returns that error, and why
 * from which the book's appendix is made. Most families find their handlers in the rows too
 * (other kinds of rows, such as OP_AT with a place in the structure: see each file);
 * others have a switch.
 */
