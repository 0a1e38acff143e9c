// SPDX-License-Identifier: MIT
/*
 * The 2-level event channel ABI: a pending and a mask bit per port in the shared info
 * page, and per vCPU a word that selects the words of pending bits to look at. The
 * bits are the guest's as much as ours: every change is atomic, nothing read from
 * them is trusted. Ports below EVTCHN_2L_NR_CHANNELS only (evtchn_alloc sees to it).
 * Called with a channel lock held that keeps the port open (evtchn_private.h).
 */
#include "evtchn_private.h"

static void select_port(struct domain *d, u32 port, const struct evtchn *c)
{
    struct vcpu *v = d->vcpu[READ_ONCE(c->vcpu)];
    if (v && !test_and_set_bit(port / 64, &v->info->evtchn_pending_sel)) {
        vcpu_mark_events_pending(v);
    }
}

bool evtchn_2l_raise(struct domain *d, u32 port, const struct evtchn *c)
{
    struct shared_info *s = d->shared_info;
    ASSERT(port < EVTCHN_2L_NR_CHANNELS);
    if (test_and_set_bit(port, s->evtchn_pending)) {
        return false;
    }
    if (!test_bit(port, s->evtchn_mask)) {
        select_port(d, port, c);
    }
    return true;
}

void evtchn_2l_unmask(struct domain *d, u32 port, const struct evtchn *c)
{
    struct shared_info *s = d->shared_info;
    if (test_and_clear_bit(port, s->evtchn_mask) && test_bit(port, s->evtchn_pending)) {
        select_port(d, port, c);
    }
}
