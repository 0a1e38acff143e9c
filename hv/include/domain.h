/* SPDX-License-Identifier: MIT */
/*
 * Domains and vCPUs: what every kind of guest shares. A domain's kind stands in
 * its `ops`; nothing in core asks which kind it is. The machine's part of both
 * lies around these structures (x86/include: struct x86_domain, x86_vcpu).
 */
#pragma once

#include "cpu.h"
#include "lib.h"
#include "spinlock.h"
#include "timer.h"
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define DOMID_LIMIT   DOMID_FIRST_RESERVED      /* ids 0 .. DOMID_LIMIT-1 */
#define MAX_VCPUS     128

struct domain;

/* What a domain may do beyond its own affairs: data, checked by the dispatcher
 * (hypercall_table.h) and by sub-operation tables. */
enum right {
    RIGHT_NONE     = 0,
    RIGHT_CONTROL  = 1 << 0,    /* create, change, destroy domains; sysctl */
    RIGHT_PLATFORM = 1 << 1,    /* platform_op: wall clock, power, firmware */
    RIGHT_HARDWARE = 1 << 2,    /* physdev_op, I/O ports, machine memory */
    RIGHT_CONSOLE  = 1 << 3,    /* the physical console */
    RIGHT_FOREIGN  = 1 << 4,    /* map and act for any other domain's memory, events, grants */
};

/* How a guest of a kind is reached (x86/pv/pv_ops.c; later x86/hvm). */
struct guest_ops {
    const char *name;           /* "pv" */
    /* Copy from/to the current vCPU's address space: all or -EFAULT. */
    int (*copy_from)(struct vcpu *v, void *dst, u64 src, size_t n);
    int (*copy_to)(struct vcpu *v, u64 dst, const void *src, size_t n);
    /* The frame behind a guest frame number (PV: machine frame), with a reference;
     * NULL if there is none or, for `write`, it may not be written. A page got for
     * write carries a writable type reference as well: release with put_gfn. */
    struct page *(*get_gfn)(struct domain *d, u64 gfn, bool write);
    void (*put_gfn)(struct page *pg, bool write);
    /* Guest-visible memory map changes: pages populated at gpfn (before they are the
     * domain's: else another vCPU could give them up meanwhile) / taken away. PV sets M2P;
     * HVM changes its P2M. Return 0 or -errno. */
    int (*physmap_add)(struct domain *d, u64 gfn, mfn_t mfn, unsigned order);
    void (*physmap_remove)(struct domain *d, u64 gfn, mfn_t mfn, unsigned order);
    /* Grant mapping of a frame of `owner` in the caller's address space: host_addr,
     * GNTMAP_* flags. 0, or a GNTST_* status (negative). The caller of the op holds its
     * own reference (and type reference if writable) on the frame and keeps it for
     * the mapping's lifetime; no grant lock may be held. */
    int (*grant_map)(struct vcpu *v, u64 host_addr, struct domain *owner, mfn_t mfn, u32 flags);
    /* new_addr, if not 0: the mapping there moves to host_addr. */
    int (*grant_unmap)(struct vcpu *v, u64 host_addr, mfn_t mfn, u64 new_addr, u32 flags);
    /* Before a batch of these: ends page-table work that v has left, so that they cannot
     * meet it. 0, or -ERESTART when time is up. */
    int (*grant_begin)(struct vcpu *v);
    /* After a batch of unmaps: no CPU keeps a translation that they took away. No lock
     * held. */
    void (*grant_flush)(struct domain *d);
    /* DOMCTL/VCPUOP contexts. c is hypervisor memory. 0 or -errno. */
    int (*set_context)(struct vcpu *v, const struct vcpu_guest_context *c);
    void (*get_context)(struct vcpu *v, struct vcpu_guest_context *c);
    void (*vcpu_reset)(struct vcpu *v);
    /* Gives up everything of this kind that holds frames (page tables, descriptor
     * tables): restartable, 0 when done, -ERESTART when time is up. */
    int (*relinquish)(struct domain *d);
};

/* Why a vCPU does not run: bits of vcpu->pause_flags (atomic). */
#define VPF_BLOCKED (1u << 0)   /* sched_op block/poll: until an event */
#define VPF_DOWN    (1u << 1)   /* not up */

struct sched_vcpu {             /* private to core/sched.c; guarded by the run queue's lock */
    struct list queue;          /* in a run queue while runnable and not running */
    s64 vtime;                  /* virtual run time: ns * 4096 / weight; wraps, compare differences */
    s_time_t started;           /* when it was last put on a CPU */
    s_time_t charged;           /* up to when its running time is in vtime */
    s_time_t boost;             /* ns that it may still run before all others */
    bool on_queue, yielded;
    bool place;                 /* runnable again or moved while it left a CPU: that CPU places it */
    bool parked;                /* runnable, but its domain's cap is used up */
    cpumask_t unpinned;         /* hard affinity before SCHEDOP_pin_override; 0: none in force */
};

struct vcpu {
    struct domain *domain;
    u32 id;
    u32 cpu;                    /* CPU it runs on, or ran on last */
    bool is_running;            /* on a CPU now (set by scheduler) */
    bool initialised, is_idle;  /* has a context; is a CPU's idle one */
    u32 pause_flags;            /* VPF_*, atomic */
    u32 pause_count;            /* atomic; runnable only when 0 (and domain's is 0) */

    struct sched_vcpu sched;
    cpumask_t hard_affinity, soft_affinity;
    struct vcpu_runstate_info runstate; /* guarded by the scheduler */
    u64 runstate_guest;         /* registered address (guest virtual) or 0 */
    u64 time_guest;             /* VCPUOP_register_vcpu_time_memory_area address or 0 */

    struct vcpu_info *info;     /* Bulkhead's mapping; never NULL: shared_info's, the
                                   registered page's, or a private dummy */
    struct page *info_page;     /* registered page (with references) or NULL */
    struct vcpu_info *info_own; /* the private dummy of ids >= 32 */

    struct timer singleshot, periodic, poll;
    s_time_t period;            /* of `periodic`, 0: off */
    u32 poll_port;              /* SCHEDOP_poll: the single port it waits for, or 0: several */
    bool context_busy;          /* atomic: a VCPUOP_initialise is at work */
    struct { u64 buffer; u32 done, next; } list;    /* a list for that buffer was cut (core/sysctl.c) */
    struct exchange *exchange;  /* XENMEM_exchange that was cut, core/exchange.c; or NULL */

    u32 virq_port[NR_VIRQS];    /* 0: unbound; atomic, reset by who closes it */
};

struct domain {
    domid_t id;
    u32 refs;                   /* atomic; the table holds one until the domain is dead */
    const struct guest_ops *ops;
    u32 rights;                 /* enum right */
    domid_t target;             /* a device model's subject: rights over it only; DOMID_INVALID */
    u32 vm_assist;              /* VMASST_TYPE_* bits */
    u8 handle[16];
    u32 ssidref;

    spinlock_t lock;            /* LOCK_DOMAIN */
    bool is_dying;              /* set under lock and page_lock; never unset */
    bool killing;               /* a CPU is in domain_kill (atomic) */
    bool audited;               /* paused by the frame audit, which has a reference */
    bool xs_domain;             /* XEN_DOMCTL_CDF_xs_domain: shown by getdomaininfo */
    u8 dying_stage;             /* core/domain.c: how far teardown is */
    bool is_shutting_down, is_shut_down;
    u8 shutdown_code;           /* SHUTDOWN_* */
    u8 shutdown_latched;        /* SCHEDOP_shutdown_code: that code + 1 is told instead; 0: none */
    bool debugger_attached, creation_finished;  /* the latter: first unpause seen */
    u32 controller_pause_count; /* pauses by the control plane */
    u32 pause_count;            /* atomic, sum of reasons; vCPUs run only when 0 */

    u32 max_vcpus;              /* slots in vcpu[] */
    struct vcpu **vcpu;         /* each may be NULL */

    /* memory: guarded by page_lock; core/memory.c and x86/frames.c */
    spinlock_t page_lock;       /* LOCK_PAGES */
    u32 page_first, page_last;  /* list of pages through struct page, PAGE_NONE */
    u32 page_hidden;            /* in it: from here on there may be hidden ones; PAGE_NONE */
    u64 tot_pages, max_pages;
    struct shared_info *shared_info;    /* an alloc_shared_page */
    void *e820; u32 e820_nr;    /* XENMEM_set_memory_map: struct e820entry[] (xmalloc) */

    struct evtchn_domain *evtchn;
    struct grant_table *grants;
    struct irq_domain *irqs;    /* PIRQs (x86/pirq.c), NULL: none allowed */
    u32 max_evtchn_port, max_grant_frames, max_maptrack_frames, grant_version_max;

    /* scheduling (core/sched.c) */
    u32 weight, cap;            /* credit2: weight 1..65535, cap in % of a CPU, 0 none */
    s_time_t cap_used;          /* up to when the cap's time is used up; atomic, see core/sched_cap.c */
    struct timer cap_timer;     /* wakes the vCPUs that the cap has parked */
    u64 poll_mask[MAX_VCPUS / 64];  /* vCPUs in SCHEDOP_poll, by id; atomic */
    struct timer watchdog[2];   /* SCHEDOP_watchdog; core/sched_op.c, guarded by `lock` */
    u8 watchdog_used;           /* bit per slot */

    s64 time_offset;            /* seconds added to the wall clock for this guest */
    u32 tsc_mode, tsc_khz, tsc_incarnation;
    struct cpu_policy *policy;  /* core-visible handle; core/policy.c */
    struct ranges *ioports, *iomem, *irq_caps;  /* permitted, core/ranges.c */
};

/* LOCK_CONTROL: one domctl or sysctl at a time. Got by spin_trylock; who does not
 * get it lets the guest repeat the call (-ERESTART). (core/domctl.c) */
extern spinlock_t control_lock;

/* --- core/domain.c: the table of domains, their creation and their memory --- */
/* Once, after the heap is there: the special domains. */
void domains_init(void);
/* Finds a domain and takes a reference; NULL if there is none. Takes no lock. A
 * dying domain is found until its last reference goes: look at is_dying, under the
 * lock that guards what you add to it. */
struct domain *domain_get(domid_t id);
/* The caller has a reference. For each domain with pages one is held while
 * tot_pages is not 0 (x86/frames.c). */
void domain_ref(struct domain *d);
/* Any context, any locks; a domain without references is freed later, from
 * SOFTIRQ_DOMAIN. */
void domain_put(struct domain *d);
/* Domain id, on which something that the caller keeps holds a reference (a connected port, a
 * mapping): takes no other. */
struct domain *domain_held(domid_t id);
/* DOMID_SELF or an id; checks that `v`'s domain may act on it (itself, RIGHT_FOREIGN,
 * its target); *err is -ESRCH or -EPERM on NULL. Takes a reference. */
struct domain *domain_get_for(struct vcpu *v, domid_t id, int *err);
/* First domain with id >= id, with a reference; NULL at the end. */
struct domain *domain_get_from(domid_t id);
/* The one after d, whose reference is given up. */
struct domain *domain_get_next(struct domain *d);
/* A step through all domains, first at 0, then at what it returned, until that is 0. fn (d, i)
 * does d's i-th part, from 0 on, and returns the number of the next, 0: there is none. */
u64 domains_step(u32 (*fn)(struct domain *d, u32 i), u64 at);
/* The first domain (the hardware domain) or NULL; DOMID_XEN, which owns pages that Bulkhead
 * shares; DOMID_IO, which owns what is not RAM; the idle vCPUs'. */
extern struct domain *dom0, *domain_xen, *domain_io, *domain_idle;

/* id DOMID_INVALID: chosen. The result is paused once (controller). *err on NULL. */
struct domain *domain_create(domid_t id, const struct xen_domctl_createdomain *c,
                             const struct guest_ops *ops, u32 rights, int *err);
/* NULL: no memory. Down, without a context. (sched_cpu_init makes idle ones.) */
struct vcpu *vcpu_create(struct domain *d, unsigned id);
int vcpu_register_info(struct vcpu *v, u64 gfn, u32 offset);    /* VCPUOP_register_vcpu_info */
/* What v->info is without a registered page. */
struct vcpu_info *vcpu_info_default(struct vcpu *v);
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);
/* Returns when every CPU has left whatever it did with a pointer that it got before
 * without a reference: the moment after which unpublished memory can be freed. No
 * lock held, except LOCK_CONTROL. */
void domains_grace_period(void);
/* VIRQ_DOM_EXC soon; any context, any locks. */
void domains_tell_change(void);

/* --- core/lifecycle.c: pause, shutdown, end --- */
/* Restartable teardown of a domain that domain_kill_start has marked: 0 done,
 * -ERESTART. No lock held. Peers see the states of DESIGN.md. */
int domain_kill(struct domain *d);
/* No vCPU of d runs and d is dying when it returns. The caller holds LOCK_CONTROL. */
void domain_kill_start(struct domain *d);
void domain_pause(struct domain *d);        /* counts; waits until no vCPU runs */
void domain_unpause(struct domain *d);
/* Stops all vCPUs and tells VIRQ_DOM_EXC; of dom0: stops or restarts the machine. */
void domain_shutdown(struct domain *d, u8 reason);
/* Undoes domain_shutdown (XEN_DOMCTL_resumedomain). */
void domain_resume(struct domain *d);
/* Pauses of the control plane: -EOVERFLOW, or -EINVAL when there is none to undo. */
int domain_controller_pause(struct domain *d);
int domain_controller_unpause(struct domain *d);
/* The guest broke its own state: logs why, once, and shuts it down as crashed; the
 * current vCPU returns to its guest no more. Any locks below LOCK_SCHED. */
void domain_crash(struct domain *d, const char *fmt, ...) PRINTF(2, 3);
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);

/* Runs body for each existing vCPU of d, as v. */
// NOLINTBEGIN(bugprone-macro-parentheses): v is declared
#define for_each_vcpu(d, v) \
    for (struct vcpu *v, **at_ = (d)->vcpu; at_ < (d)->vcpu + (d)->max_vcpus; at_++) \
        if ((v = *at_) != NULL)
// NOLINTEND(bugprone-macro-parentheses)

static inline bool domain_has(const struct domain *d, u32 rights)
{
    return (d->rights & rights) == rights;
}
static inline struct vcpu *domain_vcpu(struct domain *d, unsigned id)
{
    return id < d->max_vcpus ? d->vcpu[index_nospec(id, d->max_vcpus)] : NULL;
}

/* A line about what a guest did; level-limited by guest_loglvl and by rate. */
void gprintk(struct domain *d, enum loglevel level, const char *fmt, ...) PRINTF(3, 4);
