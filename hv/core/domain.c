// SPDX-License-Identifier: MIT
/*
 * Domains: the table of all of them, how one comes to be and how its memory goes.
 *
 * The table is read without a lock. Who creates domains (control_lock, or the boot
 * CPU) puts them in; what is dead is taken out under `reap_lock` (LOCK_DOMLIST). A
 * domain is there from its publication until its last reference has gone; then
 * SOFTIRQ_DOMAIN takes it out, waits until every CPU has left what it was doing (a
 * look-up runs with interrupts off, so an answered call proves that), and frees it.
 * References: the table's own until teardown is done, one while the domain owns pages,
 * and those of whoever works on it.
 */
#include "arch.h"
#include "evtchn.h"
#include "grant.h"
#include "mm.h"
#include "ranges.h"
#include "sched.h"

static struct domain *id_table[DOMID_LIMIT];
static unsigned long ids_used[ROUND_UP(DOMID_LIMIT, 64) / 64];  /* follows the table: to search it */
static u32 ids_end;             /* none beyond was ever used; control_lock */
static spinlock_t reap_lock = SPINLOCK_INIT(LOCK_DOMLIST);
static domid_t last_id;         /* chosen last; under control_lock */
static bool change_pending;     /* VIRQ_DOM_EXC is owed */

struct domain *dom0, *domain_xen, *domain_io, *domain_idle;

/* --- look-up --- */

static inline struct domain *table_get(domid_t id)
{
    if (id >= DOMID_LIMIT)
        return NULL;
    return __atomic_load_n(&id_table[index_nospec(id, DOMID_LIMIT)], __ATOMIC_ACQUIRE);
}

/* The first domain whose id is not smaller; NULL at the end. */
static struct domain *table_next(domid_t id)
{
    struct domain *d = NULL;
    u32 end = READ_ONCE(ids_end);
    for (; !d && (id = (domid_t)find_next_bit(ids_used, end, id)) < end; id++)
        d = table_get(id);
    return d;
}

static bool try_ref(struct domain *d)
{
    u32 refs = READ_ONCE(d->refs);
    do {
        if (refs == 0)
            return false;
    } while (!cas(&d->refs, &refs, refs + 1));
    return true;
}

struct domain *domain_get(domid_t id)
{
    struct domain *d = table_get(id);
    return d && try_ref(d) ? d : NULL;
}

void domain_ref(struct domain *d)
{
    u32 before = __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    BUG_ON(before == 0);
}

void domain_put(struct domain *d)
{
    u32 before = __atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL);
    BUG_ON(before == 0);
    if (before == 1)
        softirq_raise(SOFTIRQ_DOMAIN);
}

struct domain *domain_held(domid_t id)
{
    return id_table[id];
}

struct domain *domain_get_for(struct vcpu *v, domid_t id, int *err)
{
    struct domain *self = v->domain;
    bool own = id == DOMID_SELF || id == self->id;
    if (own)
        domain_ref(self);
    struct domain *d = own ? self : domain_get(id);
    *err = d ? 0 : -ESRCH;
    if (own || !d || domain_has(self, RIGHT_FOREIGN) || self->target == id)
        return d;
    *err = -EPERM;
    domain_put(d);
    return NULL;
}

struct domain *domain_get_from(domid_t id)
{
    struct domain *d = table_next(id);
    while (d && !try_ref(d))
        d = table_next(d->id + 1);
    return d;
}

struct domain *domain_get_next(struct domain *d)
{
    domid_t id = d->id + 1;
    domain_put(d);
    return domain_get_from(id);
}

u64 domains_step(u32 (*fn)(struct domain *d, u32 i), u64 at)
{
    struct domain *d = domain_get_from((domid_t)(at >> 32));
    if (!d)
        return 0;
    u32 next = fn(d, d->id == at >> 32 ? (u32)at : 0);
    at = (u64)(d->id + !next) << 32 | next;
    domain_put(d);
    return at;
}

/* --- creation --- */

/* A free id: `wanted`, or the next one after the id chosen last. */
static int choose_id(domid_t wanted, domid_t *id)
{
    if (wanted != DOMID_INVALID) {
        *id = wanted;
        if (wanted >= DOMID_LIMIT)
            return -EINVAL;
        return test_bit(index_nospec(wanted, DOMID_LIMIT), ids_used) ? -EEXIST : 0;
    }
    *id = (domid_t)find_next_zero_bit(ids_used, DOMID_LIMIT, last_id + 1u);
    if (*id == DOMID_LIMIT)
        *id = (domid_t)find_next_zero_bit(ids_used, DOMID_LIMIT, 1);
    last_id = *id % DOMID_LIMIT;
    return *id < DOMID_LIMIT ? 0 : -ENOMEM;
}

static struct domain *domain_alloc(domid_t id)
{
    struct domain *d = alloc_hv_page();     /* x86/domain.c: it fits, and what lies around it */
    if (!d)
        return NULL;
    d->id = id;
    d->refs = 1;
    d->target = DOMID_INVALID;
    d->page_first = d->page_last = d->page_hidden = PAGE_NONE;
    d->weight = 256;
    spin_lock_init(&d->lock, LOCK_DOMAIN);
    spin_lock_init(&d->page_lock, LOCK_PAGES);
    return d;
}

/* Upper bounds of what may be asked for. */
enum { MAX_MAPTRACK_FRAMES = 32768, MAX_EVTCHN_PORT = EVTCHN_FIFO_NR_CHANNELS - 1 };

/* Limits of a configuration; the machine's part is checked by arch_guest_kind. */
static int take_limits(struct domain *d, const struct xen_domctl_createdomain *c)
{
    int grants = c->max_grant_frames < 0 ? 64 : c->max_grant_frames;
    int maptrack = c->max_maptrack_frames < 0 ? 1024 : c->max_maptrack_frames;
    unsigned version = XEN_DOMCTL_GRANT_version(c->grant_opts);
    if (c->max_vcpus == 0 || c->max_vcpus > MAX_VCPUS || grants == 0 || grants > GRANT_FRAMES_MAX ||
        maptrack > MAX_MAPTRACK_FRAMES || version < 1 || version > 2 ||
        (c->grant_opts & ~XEN_DOMCTL_GRANT_version_mask)) {
        return -EINVAL;
    }
    if (c->cpupool_id != 0)
        return -ESRCH;
    d->max_vcpus = c->max_vcpus;
    d->max_evtchn_port = MIN(c->max_evtchn_port, (u32)MAX_EVTCHN_PORT);
    d->max_grant_frames = (u32)grants;
    d->max_maptrack_frames = (u32)maptrack;
    d->grant_version_max = version;
    d->ssidref = c->ssidref;
    d->xs_domain = c->flags & XEN_DOMCTL_CDF_xs_domain;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    return 0;
}

static int make_shared_info(struct domain *d)
{
    d->shared_info = alloc_shared_page(d);
    if (!d->shared_info)
        return -ENOMEM;
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
    wallclock_to_guest(d);
    return 0;
}

static int make_parts(struct domain *d)
{
    d->vcpu = xzalloc_array(struct vcpu *, d->max_vcpus);
    d->ioports = ranges_create();
    d->iomem = ranges_create();
    d->irq_caps = ranges_create();
    if (!d->vcpu || !d->ioports || !d->iomem || !d->irq_caps)
        return -ENOMEM;
    int err = make_shared_info(d) ?: evtchn_domain_init(d);
    return err ?: grant_domain_init(d) ?: arch_domain_init(d);
}

/* Everything that domain_create and vcpu_create made; also of a domain that was
 * never finished. Nobody can reach d any more, so interrupts may come in between. */
static void domain_free(struct domain *d)
{
    for (unsigned i = 0; i < d->max_vcpus; i++) {       /* timers have gone with domain_kill */
        struct vcpu *v = d->vcpu[i];
        if (!v)
            continue;
        sched_vcpu_destroy(v);
        xfree(v->info_own);
        arch_vcpu_free(v);
        arch_irq_window();
    }
    if (d->evtchn)
        evtchn_domain_free(d);
    if (d->grants)
        grant_domain_free(d);
    pirq_domain_destroy(d);
    free_shared_page(d->shared_info);
    ranges_destroy(d->ioports);
    ranges_destroy(d->iomem);
    ranges_destroy(d->irq_caps);
    xfree(d->policy);
    xfree(d->e820);
    xfree(d->vcpu);
    free_hv_page(d);
}

struct domain *domain_create(domid_t id, const struct xen_domctl_createdomain *c,
                             const struct guest_ops *ops, u32 rights, int *err)
{
    *err = choose_id(id, &id);
    struct domain *d = *err ? NULL : domain_alloc(id);
    if (!d) {
        *err = *err ?: -ENOMEM;
        return NULL;
    }
    d->ops = ops;
    d->rights = rights;
    d->pause_count = d->controller_pause_count = 1;
    *err = take_limits(d, c) ?: make_parts(d);
    if (*err) {
        d->max_vcpus = d->vcpu ? d->max_vcpus : 0;
        domain_free(d);
        return NULL;
    }
    __atomic_store_n(&id_table[id], d, __ATOMIC_RELEASE);
    set_bit(id, ids_used);
    WRITE_ONCE(ids_end, MAX(ids_end, id + 1u));
    if (id == 0)
        dom0 = d;
    return d;
}

struct vcpu_info *vcpu_info_default(struct vcpu *v)
{
    return v->info_own ? v->info_own : &v->domain->shared_info->vcpu_info[v->id];
}

struct vcpu *vcpu_create(struct domain *d, unsigned id)
{
    ASSERT(id < d->max_vcpus && !d->vcpu[id]);
    struct vcpu *v = arch_vcpu_alloc(d, id);
    if (!v)
        return NULL;
    bool own = id >= XEN_LEGACY_MAX_VCPUS;
    v->domain = d;
    v->id = id;
    v->pause_flags = VPF_DOWN;
    v->info_own = own ? xzalloc_type(struct vcpu_info) : NULL;
    if (own && !v->info_own) {
        arch_vcpu_free(v);
        return NULL;
    }
    v->info = vcpu_info_default(v);
    v->info->evtchn_upcall_mask = 1;
    sched_vcpu_init(v);
    vcpu_timers_init(v);        /* on the CPU that the scheduler has chosen */
    __atomic_store_n(&d->vcpu[id], v, __ATOMIC_RELEASE);
    return v;
}

/* The new place is in the guest's memory; what it said before moves along. */
int vcpu_register_info(struct vcpu *v, u64 gfn, u32 offset)
{
    struct domain *d = v->domain;
    bool fits = offset <= PAGE_SIZE - sizeof(struct vcpu_info);
    if (!fits || offset % __alignof__(struct vcpu_info) ||
        (v != current_vcpu() && !(READ_ONCE(v->pause_flags) & VPF_DOWN))) {
        return fits ? -EINVAL : -ENXIO;
    }
    struct page *pg = d->ops->get_gfn(d, gfn, true);
    if (!pg)
        return -EINVAL;
    with_lock (&d->lock) {
        if (!v->info_page && !d->is_dying) {
            struct vcpu_info *info = (void *)((char *)page_to_virt(pg) + offset);
            memcpy(info, v->info, sizeof(*info));
            v->info_page = pg;
            __atomic_store_n(&v->info, info, __ATOMIC_RELEASE);
            pg = NULL;
        }
    }
    if (pg) {
        d->ops->put_gfn(pg, true);
        return -EINVAL;
    }
    evtchn_vcpu_info_moved(v);
    return 0;
}

/* --- what the control plane sees --- */

void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    u32 flags = XEN_DOMINF_blocked;
    memset(info, 0, sizeof(*info));
    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    for_each_vcpu (d, v) {
        u32 why = READ_ONCE(v->pause_flags);
        info->cpu_time += vcpu_runstate_get(v, NULL);
        info->max_vcpu_id = v->id;
        if (!(why & VPF_DOWN)) {
            info->nr_online_vcpus++;
            flags &= (why & VPF_BLOCKED) ? ~0u : ~XEN_DOMINF_blocked;
            flags |= READ_ONCE(v->is_running) ? XEN_DOMINF_running : 0;
        }
    }
    flags |= d->is_dying ? XEN_DOMINF_dying : 0;
    flags |= d->controller_pause_count ? XEN_DOMINF_paused : 0;
    flags |= d->debugger_attached ? XEN_DOMINF_debugged : 0;
    flags |= d->xs_domain ? XEN_DOMINF_xs_domain : 0;
    if (d->is_shut_down)
        flags |= XEN_DOMINF_shutdown | (u32)d->shutdown_code << XEN_DOMINF_shutdownshift;
    info->domain = d->id;
    info->flags = flags;
    with_lock (&d->page_lock) {
        info->tot_pages = d->tot_pages;
        info->max_pages = d->max_pages;
    }
    info->ssidref = d->ssidref;
    memcpy(info->handle, d->handle, sizeof(info->handle));
    arch_domain_info(d, info);
}

/* --- the end of a domain's memory --- */

static void nothing(UNUSED void *arg) {}

void domains_grace_period(void)
{
    arch_call_cpus(cpus_online, nothing, NULL);
}

void domains_tell_change(void)
{
    WRITE_ONCE(change_pending, true);
    softirq_raise(SOFTIRQ_DOMAIN);
}

/* Takes a domain without references out of the table; NULL: there is none. A device
 * model's right over it must not pass to the next with its id. */
static struct domain *unpublish_dead(void)
{
    struct domain *d, *other;
    with_lock (&reap_lock) {
        d = table_next(0);
        while (d && __atomic_load_n(&d->refs, __ATOMIC_ACQUIRE))
            d = table_next(d->id + 1);
        for (other = table_next(0); d && other; other = table_next(other->id + 1)) {
            if (other->target == d->id)
                other->target = DOMID_INVALID;
        }
        if (d) {
            __atomic_store_n(&id_table[d->id], NULL, __ATOMIC_RELEASE);
            clear_bit(d->id, ids_used);     /* only now may the id be chosen again */
        }
    }
    // cppcheck-suppress uninitvar ; with_lock runs its body once
    return d;
}

static void domains_softirq(void)
{
    bool tell = __atomic_exchange_n(&change_pending, false, __ATOMIC_ACQ_REL);
    for (struct domain *d; (d = unpublish_dead()); tell = true) {
        domains_grace_period();
        domain_free(d);
    }
    if (tell)
        virq_global(VIRQ_DOM_EXC);
}

/* --- domains that are none --- */

void domains_init(void)
{
    softirq_register(SOFTIRQ_DOMAIN, domains_softirq);
    domain_xen = domain_alloc(DOMID_XEN);
    domain_io = domain_alloc(DOMID_IO);
    domain_idle = domain_alloc(DOMID_IDLE);
    if (!domain_xen || !domain_io || !domain_idle)
        panic("no memory for the special domains");
}
