/* SPDX-License-Identifier: MIT */
/*
 * Event channels (core/evtchn.c, evtchn_op.c, evtchn_fifo.c).
 */
#pragma once

#include "domain.h"

int evtchn_domain_init(struct domain *d);   /* 0, -ENOMEM: then evtchn_domain_free, if d->evtchn */
/* Closes every port (at d's end, or for a reset); peers' ports stay theirs, unbound and
 * waiting for the same domain id. Restartable: 0 or -ERESTART. */
int evtchn_domain_close(struct domain *d);
void evtchn_domain_free(struct domain *d);              /* at the very end */

/* Hypervisor-side notifications. VIRQ numbers of xen.h. Locks below LOCK_EVTCHN_PORT
 * may be held. */
void virq_to_vcpu(struct vcpu *v, unsigned virq);       /* per-vCPU VIRQs */
void virq_global(unsigned virq);                        /* to whoever handles it: dom0 or set_virq_handler */
int virq_set_handler(struct domain *d, unsigned virq);  /* XEN_DOMCTL_set_virq_handler */
/* A PIRQ bound to `port` of d has fired. Callable from interrupt handlers. */
void evtchn_pirq_fire(struct domain *d, u32 port);
/* (Whoever makes a port pending also calls vcpus_poll_wake(d, port) of sched.h.) */
/* Is the port pending? For SCHEDOP_poll: 1, 0, or -EINVAL if there is no such port. */
int evtchn_is_pending(struct domain *d, u32 port);
/* The state on a vCPU's (re)registration of vcpu_info: all pending, as the ABI says. */
void evtchn_vcpu_info_moved(struct vcpu *v);
/* For the audit: each page that event channels hold a writable reference on. */
void evtchn_for_each_page(struct domain *d, void (*fn)(void *arg, mfn_t mfn, bool write), void *arg);
/* Debug key 'e'; no lock held. */
u32 evtchn_dump(struct domain *d, u32 port);
/* Makes v see that events are pending: sets its upcall-pending byte (after a
 * pending bit was set) and wakes or kicks it. (x86/pv through ops later.) */
void vcpu_mark_events_pending(struct vcpu *v);
/* True when an unmasked upcall waits: the vCPU must not block. */
static inline bool vcpu_upcall_waiting(const struct vcpu *v)
{
    return READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask);
}

/* What x86/pirq.c gives to event channels. d: caller; 0 or -errno. */
int pirq_guest_bind(struct vcpu *v, u32 nr, u32 port, bool will_share);
void pirq_guest_unbind(struct domain *d, u32 nr);       /* a number that was bound once */
int pirq_eoi(struct domain *d, u32 nr);                 /* also on EVTCHNOP_unmask of its port */
/* EVTCHNOP_bind_vcpu of a PIRQ port: the interrupt follows the vCPU to its CPU. */
void pirq_set_cpu(struct domain *d, u32 nr, unsigned cpu);
/* First step of a domain's end: unbinds and unmaps all for ever, gives the EOI page back;
 * before d's frames are relinquished. May be called again. */
void pirq_domain_quiesce(struct domain *d);
void pirq_domain_destroy(struct domain *d);             /* at the very end: frees */
