// SPDX-License-Identifier: MIT
/*
 * The 2-level event channel ABI: a pending and a mask bit per port in the shared info
 * page, and per vCPU a word that selects the words of pending bits to look at. The
 * bits are the guest's as much as ours: every change is atomic, nothing read from
 * them is trusted. Ports below EVTCHN_2L_NR_CHANNELS only (evtchn_alloc sees to it).
 * Called with a channel lock held that keeps the port open (evtchn_private.h).
 */
#include "evtchn_private.h"

void evtchn_2l_unmask(struct domain *d, u32 port, const struct evtchn *c)
{
    struct shared_info *s = d->shared_info;
    if (test_and_clear_bit(port, s->evtchn_mask) && test_bit(port, s->evtchn_pending))
        evtchn_2l_select(d, port, c);
}
