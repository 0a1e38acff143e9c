/* SPDX-License-Identifier: MIT */
/* What serves domctl in core/domctl.c and x86/domctl.c: a handler for each row of the table. */
#pragma once

#include "domain.h"

/* A call while it is served. */
struct domctl {
    struct vcpu *caller;
    struct domain *d;           /* its subject, with a reference; NULL: it has none */
    struct vcpu *v;             /* of an OP_AT: the vCPU of d that it names */
    struct xen_domctl op;
    long (*handler)(struct domctl *c);
};

/* Called with control_lock held. 0, -errno, or -ERESTART: again with what c->op says now. */
#define OP(nr, name, rights, note) long domctl_##name(struct domctl *c);
#define OP_AT(nr, name, field, rights, note) OP(nr, name, rights, note)
#define NO_OP(nr, name, err, note)
#include "ops/domctl.h"
#undef OP
#undef OP_AT
#undef NO_OP

/* Writes a set of CPUs or nodes as large as the caller's bitmap: 0, -EINVAL, -EFAULT. */
int bitmap_write(struct vcpu *v, const struct xenctl_bitmap *b, u64 bits);
