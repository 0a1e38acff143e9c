/* SPDX-License-Identifier: MIT */
/* The control plane's structures, made ready: what tests of domctl, sysctl and platform_op share. */
#ifndef CONTROL_H
#define CONTROL_H

#include "domu.h"
#include <xen/domctl.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

static struct xen_domctl dc;
static struct xen_sysctl sc;
static struct xen_platform_op pl;

static inline struct xen_domctl *domctl_for(unsigned cmd, domid_t dom)
{
    memset(&dc, 0, sizeof(dc));
    dc.cmd = cmd;
    dc.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    dc.domain = dom;
    return &dc;
}
static inline long domctl(unsigned cmd, domid_t dom)
{
    return HC(domctl, domctl_for(cmd, dom));
}
/* What dc holds, changed: DOMCTL (id, max_mem, u.max_mem.max_memkb = 4) */
#define DOMCTL(id, name, set) (domctl_for(XEN_DOMCTL_##name, id), dc.set, HC(domctl, &dc))

static inline struct xen_sysctl *sysctl_for(unsigned cmd)
{
    memset(&sc, 0, sizeof(sc));
    sc.cmd = cmd;
    sc.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return &sc;
}
static inline long sysctl(unsigned cmd) { return HC(sysctl, sysctl_for(cmd)); }
#define SYSCTL(name, set) (sysctl_for(XEN_SYSCTL_##name), sc.set, HC(sysctl, &sc))

static inline struct xen_platform_op *platform_for(unsigned cmd)
{
    memset(&pl, 0, sizeof(pl));
    pl.cmd = cmd;
    pl.interface_version = XENPF_INTERFACE_VERSION;
    return &pl;
}
static inline long platform(unsigned cmd) { return HC(platform_op, platform_for(cmd)); }
#define PLATFORM(name, set) (platform_for(XENPF_##name), pl.set, HC(platform_op, &pl))

#endif
