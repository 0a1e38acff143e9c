/* SPDX-License-Identifier: MIT */
/*
 * sysctl: the control plane's view of the whole machine. Owns nothing; each
 * sub-operation asks the part that does. No lock, but control_lock for what sets.
 */
#include "arch.h"
#include "console.h"
#include "domctl.h"
#include "guest.h"
#include "hypercall.h"
#include "keyhandler.h"
#include "mm.h"
#include "policy.h"
#include "sched.h"

#define DEBUG_KEYS_MAX 32
#define DISTANCE_HERE  10       /* to a node's own memory, as ACPI's SLIT counts */

void list_resume(struct vcpu *v, const void *buffer, u32 *done, u32 *next)
{
    if (buffer && v->list.buffer == (u64)buffer) {
        *done = v->list.done;
        *next = v->list.next;
    }
    v->list.buffer = 0;
}

int list_cut(struct vcpu *v, const void *buffer, u32 done, u32 next)
{
    v->list.buffer = (u64)buffer;
    v->list.done = done;
    v->list.next = next;
    return -ERESTART;
}

int list_preempt(struct vcpu *v, const void *buffer, u32 done, u32 next)
{
    if (!buffer || !hypercall_preempt(v))
        return 0;
    return list_cut(v, buffer, done, next);
}

static long sysctl_readconsole(struct xen_sysctl_readconsole *r)
{
    struct vcpu *v = current_vcpu();
    u32 index = conring_start(), done = 0;
    if (r->incremental && (int32_t)(r->index - index) > 0)
        index = r->index;
    list_resume(v, r->buffer.p, &done, &index);
    while (done < r->count) {
        char buf[1024];
        u32 n = conring_read(&index, buf, MIN(r->count - done, (u32)sizeof(buf)));
        if (n == 0)
            break;
        if (copy_to_handle(v, r->buffer, done, buf, n))
            return -EFAULT;
        done += n;
        if (list_preempt(v, r->buffer.p, done, index))
            return -ERESTART;
    }
    r->index = index;
    r->count = done;
    if (r->clear)
        conring_clear(index);
    return 0;
}

static long sysctl_physinfo(struct xen_sysctl_physinfo *pi)
{
    memset(pi, 0, sizeof(*pi));
    policy_physinfo(pi);
    pi->nr_cpus = nr_cpus;
    pi->max_cpu_id = nr_cpus - 1;
    pi->nr_nodes = 1;
    pi->cpu_khz = (u32)cpu_khz();
    pi->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 |
                       XEN_SYSCTL_PHYSCAP_gnttab_v2;
    pi->total_pages = ram_frames;
    pi->free_pages = free_page_count();
    pi->max_mfn = max_mfn - 1;
    return 0;
}

static long sysctl_sched_id(struct xen_sysctl_sched_id *s)
{
    s->sched_id = XEN_SCHEDULER_CREDIT2;
    return 0;
}

static long sysctl_get_cpu_levelling_caps(struct xen_sysctl_cpu_levelling_caps *c)
{
    c->caps = 0;
    return 0;
}

static long sysctl_getdomaininfolist(struct xen_sysctl_getdomaininfolist *l)
{
    struct vcpu *v = current_vcpu();
    u32 n = 0, first = l->first_domain;
    int err = 0;
    list_resume(v, l->buffer.p, &n, &first);
    struct domain *d = domain_get_from((domid_t)first);
    while (d && !err && n < l->max_domains) {
        struct xen_domctl_getdomaininfo info;
        domain_info(d, &info);
        err = copy_to_handle(v, l->buffer, n, &info, 1);
        n++;
        d = domain_get_next(d);
        if (d && !err)
            err = list_preempt(v, l->buffer.p, n, d->id);
    }
    if (d)
        domain_put(d);
    l->num_domains = n;
    return err;
}

/* Repeated until the keys are queued, and then until they have acted. */
static long sysctl_debug_keys(const struct xen_sysctl_debug_keys *k)
{
    struct vcpu *v = current_vcpu();
    char keys[DEBUG_KEYS_MAX];
    u32 queued = 0, ticket = 0;
    if (k->nr_keys > sizeof(keys))
        return -E2BIG;
    list_resume(v, k->keys.p, &queued, &ticket);
    if (!queued) {
        if (k->nr_keys && (!k->keys.p || guest_read(v, keys, (u64)k->keys.p, k->nr_keys)))
            return -EFAULT;
        queued = keyhandler_queue(keys, k->nr_keys, &ticket);
    }
    return queued && keyhandler_done(ticket) ? 0 : list_cut(v, k->keys.p, queued, ticket);
}

static long sysctl_getcpuinfo(struct xen_sysctl_getcpuinfo *g)
{
    u32 n = MIN(g->max_cpus, nr_cpus);
    for (u32 i = 0; i < n; i++) {
        struct xen_sysctl_cpuinfo ci = { .idletime = cpu_idle_ns(i) };
        if (copy_to_handle(current_vcpu(), g->info, i, &ci, 1))
            return -EFAULT;
    }
    g->nr_cpus = n;
    return 0;
}

static long sysctl_availheap(struct xen_sysctl_availheap *h)
{
    h->avail_bytes = h->node > 0 ? 0 : free_page_count() << PAGE_SHIFT;
    return 0;
}

static long sysctl_cputopoinfo(struct xen_sysctl_cputopoinfo *c)
{
    u32 n = handle_null(c->cputopo) ? 0 : MIN(c->num_cpus, nr_cpus);
    for (u32 i = 0; i < n; i++) {
        struct xen_sysctl_cputopo t;
        policy_cpu_topology(i, &t);
        if (copy_to_handle(current_vcpu(), c->cputopo, i, &t, 1))
            return -EFAULT;
    }
    c->num_cpus = nr_cpus;
    return 0;
}

static long sysctl_numainfo(struct xen_sysctl_numainfo *n)
{
    struct xen_sysctl_meminfo mem = {
        .memsize = ram_frames << PAGE_SHIFT, .memfree = free_page_count() << PAGE_SHIFT,
    };
    u32 here = DISTANCE_HERE;
    if (n->num_nodes > 0 &&
        ((!handle_null(n->meminfo) && copy_to_handle(current_vcpu(), n->meminfo, 0, &mem, 1)) ||
         (!handle_null(n->distance) && copy_to_handle(current_vcpu(), n->distance, 0, &here, 1)))) {
        return -EFAULT;
    }
    n->num_nodes = 1;
    return 0;
}

/* The caller repeats it for what num_devs says was not done. */
static long sysctl_pcitopoinfo(struct xen_sysctl_pcitopoinfo *p)
{
    u32 n = MIN(p->num_devs, 64u), node = 0;
    if (handle_null(p->devs) || handle_null(p->nodes) || n == 0)
        return -EINVAL;
    for (u32 i = 0; i < n; i++) {
        struct physdev_pci_device dev;
        if (copy_from_handle(current_vcpu(), &dev, p->devs, i, 1) ||
            copy_to_handle(current_vcpu(), p->nodes, i, &node, 1)) {
            return -EFAULT;
        }
    }
    p->num_devs = n;
    return 0;
}

/* --- CPU pools: there is one, with every CPU and every domain --- */

static long sysctl_cpupool_op(struct xen_sysctl_cpupool_op *c)
{
    if (c->op == XEN_SYSCTL_CPUPOOL_OP_INFO) {
        if (c->cpupool_id != 0)
            return -ENOENT;
        c->sched_id = XEN_SCHEDULER_CREDIT2;
        c->n_dom = 0;
        for (struct domain *d = domain_get_from(0); d; d = domain_get_next(d))
            c->n_dom++;
        return bitmap_write(current_vcpu(), &c->cpumap, cpus_online.bits);
    }
    if (c->op == XEN_SYSCTL_CPUPOOL_OP_FREEINFO)
        return bitmap_write(current_vcpu(), &c->cpumap, 0);
    if (c->op == XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN && c->cpupool_id == 0) {  /* where it is */
        struct domain *d = domain_get(c->domid);
        if (d)
            domain_put(d);
        return d ? 0 : -ESRCH;
    }
    return c->op >= XEN_SYSCTL_CPUPOOL_OP_CREATE && c->op <= XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN
        ? -EOPNOTSUPP : -ENOSYS;
}

static long sysctl_scheduler_op(struct xen_sysctl_scheduler_op *s)
{
    if (!spin_trylock(&control_lock))
        return -ERESTART;
    long rc = sched_adjust_global(s);
    spin_unlock(&control_lock);
    return rc;
}

static long dispatch(struct domain *caller, struct xen_sysctl *op)
{
    switch (op->cmd) {
#define OP(nr, name, rights, note) OP_AT(nr, name, name, rights, note)
#define OP_AT(nr, name, field, rights, note) \
    case nr: return domain_has(caller, rights) ? sysctl_##name(&op->u.field) : -EPERM;
#define NO_OP(nr, name, err, note) case nr: return -(err);
#include "ops/sysctl.h"
    default:
        return -ENOSYS;
    }
}

/* a: address of a struct xen_sysctl. xen/sysctl.h. */
long do_sysctl(struct vcpu *v, unsigned long *a)
{
    struct xen_sysctl op;
    if (arg_read(v, &op, a[0]))
        return -EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -EACCES;
    long rc = dispatch(v->domain, &op);
    /* -ENOBUFS: how much there would be is told all the same. */
    if ((rc == 0 || rc == -ENOBUFS) && arg_write_field(v, a[0], &op, u))
        return -EFAULT;
    return rc;
}
