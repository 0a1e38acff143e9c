// SPDX-License-Identifier: MIT
/*
 * Calls made from the tables that make Bulkhead's dispatcher: each line of
 * hypercall_table.h and ops/ becomes a line here, with its shape (shapes.h). Left out are
 * those whose purpose is to stop the machine or its fuzzer: see `left_out`; `tame` keeps
 * others from doing that by the way.
 */
#include "fuzz.h"
#include <xen/callback.h>
#include <xen/domctl.h>
#include <xen/hypfs.h>
#include <xen/nmi.h>
#include <xen/platform.h>
#include <xen/sysctl.h>
#include "shapes.h"

struct sub { u64 nr; const char *name, *shape; u8 weight; };

/* --- tables of sub-operations --- */

#define OP(nr, name, ...) { nr, #name, SHAPE(name), 8 },
#define OP_AT(nr, name, ...) OP(nr, name)
#define OP_ON(nr, name, ...) OP(nr, name)
#define OP_PORT(nr, name, ...) OP(nr, name)
#define OP_ARRAY(nr, name, ...) OP(nr, name)
#define NO_OP(nr, name, ...) { nr, #name, "qqqq", 1 },
#define SHAPE(name) SHAPE_platform_op_##name
static struct sub subs_platform_op[] = {
#include "ops/platform_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_memory_op_##name
static struct sub subs_memory_op[] = {
#include "ops/memory_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_xen_version_##name
static struct sub subs_xen_version[] = {
#include "ops/xen_version.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_console_io_##name
static struct sub subs_console_io[] = {
#include "ops/console_io.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_grant_table_op_##name
static struct sub subs_grant_table_op[] = {
#include "ops/grant_table_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_vm_assist_##name
static struct sub subs_vm_assist[] = {
#include "ops/vm_assist.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_vcpu_op_##name
static struct sub subs_vcpu_op[] = {
#include "ops/vcpu_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_mmuext_op_##name
static struct sub subs_mmuext_op[] = {
#include "ops/mmuext_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_nmi_op_##name
static struct sub subs_nmi_op[] = {
#include "ops/nmi_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_sched_op_##name
static struct sub subs_sched_op[] = {
#include "ops/sched_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_callback_op_##name
static struct sub subs_callback_op[] = {
#include "ops/callback_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_event_channel_op_##name
static struct sub subs_event_channel_op[] = {
#include "ops/event_channel_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_physdev_op_##name
static struct sub subs_physdev_op[] = {
#include "ops/physdev_op.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_sysctl_##name
static struct sub subs_sysctl[] = {
#include "ops/sysctl.h"
};
#undef SHAPE
#define SHAPE(name) SHAPE_domctl_##name
static struct sub subs_domctl[] = {
#include "ops/domctl.h"
};
#undef SHAPE
/* Calls without sub-operations: one line each. */
#define ALONE(name, shape, weight) static struct sub subs_##name[] = { { 0, "", shape, weight } };
ALONE(set_trap_table, SHAPE_set_trap_table, 8)
ALONE(mmu_update, SHAPE_mmu_update, 60)
ALONE(set_gdt, "", 12)
ALONE(stack_switch, "", 4)
ALONE(set_callbacks, "", 4)
ALONE(fpu_taskswitch, "", 4)
ALONE(set_debugreg, "", 6)
ALONE(get_debugreg, "", 4)
ALONE(update_descriptor, "", 12)
ALONE(multicall, "", 24)
ALONE(update_va_mapping, "", 48)
ALONE(set_timer_op, "", 8)
ALONE(update_va_mapping_otherdomain, "", 24)
ALONE(iret, "", 0)                          /* acts.c: it does not come back */
ALONE(set_segment_base, "", 8)
ALONE(hypfs_op, "", 8)

/* --- the table of calls --- */

static const struct call_kind { u8 nr; const char *name, *args; struct sub *subs; u32 nr_subs; } kinds[] = {
#define HYPERCALL(nr, name, ...) { nr, #name, ARGS_##name, subs_##name, ARRAY_SIZE(subs_##name) },
#define NOT_IMPLEMENTED(nr, name, ...) { nr, #name, "qqqqq", NULL, 0 },
#include "hypercall_table.h"
};

/* dom0 is the machine's operating system, and its console is what the runner reads. */
static const struct { const char *call, *sub, *why; bool domu_too; } left_out[] = {
    { "sched_op", "shutdown", "stops the machine", false },
    { "platform_op", "enter_acpi_sleep", "stops the machine", false },
    { "sysctl", "debug_keys", "has keys that stop the machine; the audit's is pressed after each batch", false },
    { "console_io", "write", "would write into the log that is judged", true },
    { "hypfs_op", "", "changes what is logged (a domU is refused anyway)", false },
    { "nmi_op", "register_callback", "its handler is called at any time: noise there is dom0's end", false },
    { "set_trap_table", "", "the same", false },
    { "vcpu_op", "register_vcpu_info", "dom0 could not mask its upcalls any more", false },
    { "vcpu_op", "initialise", "dom0's second vCPU is in use", false },
    { "vcpu_op", "down", "nobody would wake dom0", false },
    { "sched_op", "block", "the same", false },
    { "sched_op", "watchdog", "restarts the machine when its time is up", false },
    { "domctl", "set_virq_handler", "VIRQs would not come back to dom0", false },
};

static struct choice { u8 kind, sub; } choices[4096];
static struct sub none = { 0, "", "", 1 };
static unsigned nr_choices;

static u8 weight_of(const struct call_kind *k, const struct sub *s, bool dom0)
{
    for (unsigned i = 0; i < ARRAY_SIZE(left_out); i++) {
        if (!strcmp(k->name, left_out[i].call) && !strcmp(s->name, left_out[i].sub) &&
            (dom0 || left_out[i].domu_too)) {
            return 0;
        }
    }
    if (!strcmp(s->name, "block") || !strcmp(s->name, "down") || !strcmp(s->name, "poll"))
        return 1;                   /* they cost time */
    bool control = k->nr == __HYPERVISOR_sysctl || k->nr == __HYPERVISOR_domctl || k->nr == __HYPERVISOR_platform_op;
    if (control && !dom0)
        return 1;                   /* refused by right alone */
    bool grants = k->nr == __HYPERVISOR_grant_table_op || k->nr == __HYPERVISOR_event_channel_op;
    return grants ? s->weight * 2 : s->weight;
}

void grammar_init(bool dom0)
{
    nr_choices = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct sub *subs = kinds[i].subs ? kinds[i].subs : &none;
        for (u32 k = 0; k < MAX(kinds[i].nr_subs, 1u); k++) {
            for (u8 n = weight_of(&kinds[i], &subs[k], dom0); n > 0 && nr_choices < ARRAY_SIZE(choices); n--)
                choices[nr_choices++] = (struct choice){ (u8)i, (u8)k };
        }
    }
}

unsigned grammar_size(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        n += MAX(kinds[i].nr_subs, 1u);
    return n;
}

/* --- arguments --- */

struct call { const struct call_kind *kind; const struct sub *sub; u64 a[6]; u8 *arg; bool exchange; };

static u32 version_of(u8 nr)
{
    return nr == __HYPERVISOR_domctl ? XEN_DOMCTL_INTERFACE_VERSION
         : nr == __HYPERVISOR_sysctl ? XEN_SYSCTL_INTERFACE_VERSION : XENPF_INTERFACE_VERSION;
}

static size_t fill(struct fuzzer *f, const struct call_kind *k, const struct sub *s, u8 *to)
{
    u8 *p = to;
    for (const char *c = s->shape; *c; c++) {
        u64 v = *c == 'c' ? s->nr : *c == 'v' ? version_of(k->nr) : value(f, *c);
        memcpy(p, &v, size_of_kind(*c));
        p += size_of_kind(*c);
    }
    /* Not dom0's: one byte makes another frame of a frame, and may be what is left out. */
    if (p > to && !f->dom0 && one_in(f, 96)) {
        to[below(f, p - to)] = (u8)boundary(f);
    }
    return ROUND_UP(p - to, 8);
}

/* An array of structures; each of mmuext_op's has its own sub-operation. 0: no call's shape. */
static u32 fill_array(struct fuzzer *f, const struct call_kind *k, const struct sub *s, u8 *to, size_t room)
{
    u32 n = one_in(f, 24) ? below(f, 60) : below(f, 4), made = 0;
    size_t size = 0;
    for (u8 *p = to; made < n && p + size <= to + room - 64; p += size, made++) {
        if (k->nr == __HYPERVISOR_mmuext_op && made) {
            s = &k->subs[below(f, k->nr_subs)];
        }
        size = fill(f, k, s, p);
        if (!size)
            break;
    }
    return made;
}

/* A context that may be right in all but a few words. */
static void fill_context(struct fuzzer *f, struct vcpu_guest_context *c)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel | VGCF_online;
    c->user_regs.rip = c->event_callback_eip = c->failsafe_callback_eip = value(f, 'i');
    c->user_regs.rsp = c->kernel_sp = value(f, 'A');
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = c->kernel_ss = FLAT_KERNEL_SS;
    c->user_regs.rflags = 0x200;
    c->ctrlreg[0] = 0x80050033;
    c->ctrlreg[3] = one_in(f, 2) ? home.top_mfn << PAGE_SHIFT : value(f, 'M') << PAGE_SHIFT;
    c->gdt_ents = value(f, 'z');
    for (u32 n = below(f, 3); n > 0; n--) {
        ((u64 *)c)[below(f, sizeof(*c) / 8)] = boundary(f);
    }
}

/* Frames that nobody maps can be exchanged: those of some pages of the pool. One in four is
 * refused in the midst of a chunk. */
static u32 exchanged_from[DOMU_VCPUS];

static void fill_exchange(struct fuzzer *f, struct xen_memory_exchange *x)
{
    u32 order = below(f, 3), extents = 1 + below(f, 3), n = extents << order, from = below(f, POOL - 12);
    xen_pfn_t *in = (xen_pfn_t *)f->args[1], *out = (xen_pfn_t *)f->args[2];
    for (u32 i = 0; i < n; i++) {
        map_mfn(home.pool[from + i], 0, 0);
        in[i] = home.pool_mfn[from + i];
        out[i] = virt_to_pfn(home.pool[from]) + (i << order);
    }
    if (one_in(f, 4)) {
        in[below(f, n)] = home.tab_mfn[0];
    }
    memset(x, 0, sizeof(*x));
    x->in.domid = x->out.domid = DOMID_SELF;
    x->in.nr_extents = n;
    x->out.nr_extents = extents;
    x->out.extent_order = order;
    set_xen_guest_handle(x->in.extent_start, in);
    set_xen_guest_handle(x->out.extent_start, out);
    exchanged_from[f->vcpu] = from;
}

/* The pool has those frames instead. */
static void take_exchanged(struct fuzzer *f, const struct xen_memory_exchange *x)
{
    const xen_pfn_t *out = (xen_pfn_t *)f->args[2];
    u32 order = x->out.extent_order, from = exchanged_from[f->vcpu];
    for (u32 i = 0; order < 3 && i < x->nr_exchanged && from + i < POOL; i++) {
        home.pool_mfn[from + i] = out[i >> order] + (i & ((1u << order) - 1));
    }
}

static char path[][24] = { "/", "/params", "/params/loglvl", "/params/", "//", "/params/loglvl/x", "" };

/* What would stop the fuzzer itself, or only make it wait. */
static void tame(struct fuzzer *f, struct call *c)
{
    const char *name = c->sub->name;
    u8 nr = c->kind->nr;
    u64 soon = system_time() + below(f, 20000);
    if (nr == __HYPERVISOR_sched_op && !strcmp(name, "block")) {
        HC(set_timer_op, soon);
    } else if (nr == __HYPERVISOR_sched_op && !strcmp(name, "poll")) {
        ((struct sched_poll *)c->arg)->timeout = soon;
        c->a[1] = (u64)c->arg;
    } else if (nr == __HYPERVISOR_sched_op && !strcmp(name, "shutdown") && !one_in(f, 64)) {
        c->a[1] = 0x1000;           /* its end would come too soon too often */
    } else if (nr == __HYPERVISOR_vcpu_op && !strcmp(name, "down")) {
        c->a[1] = !f->vcpu;
    } else if (nr == __HYPERVISOR_memory_op && !strcmp(name, "exchange") && !one_in(f, 4)) {
        fill_exchange(f, (void *)c->arg);
        c->exchange = true;
    } else if (nr == __HYPERVISOR_vcpu_op && !strcmp(name, "initialise")) {
        fill_context(f, (void *)f->args[0]);
        c->a[2] = (u64)f->args[0];
    } else if (nr == __HYPERVISOR_mmuext_op && !one_in(f, 16)) {
        for (struct mmuext_op *op = (void *)c->arg; op < (struct mmuext_op *)c->arg + 4; op++) {
            op->arg1.mfn = op->cmd == MMUEXT_NEW_BASEPTR ? home.top_mfn : op->arg1.mfn;
        }
    } else if (nr == __HYPERVISOR_set_gdt && one_in(f, 2)) {
        c->a[1] = below(f, 3) * 512;
    }
}

#define MAPS_MAX 12UL

/* A number that is not dom0's, even where no domU could be made. */
static domid_t domu_id(struct fuzzer *f, unsigned i) { return f->share->peer[i] ?: DOMID_INVALID; }

/* The same for dom0, which rules over the machine. */
static void tame_dom0(struct fuzzer *f, struct call *c)
{
    const char *name = c->sub->name;
    struct xen_domctl *d = (void *)c->arg;
    u8 nr = c->kind->nr;
    if (nr == __HYPERVISOR_mmuext_op) {
        for (struct mmuext_op *op = (void *)c->arg; op < (struct mmuext_op *)c->arg + 64; op++) {
            op->arg1.mfn = op->cmd == MMUEXT_NEW_BASEPTR ? home.top_mfn : op->arg1.mfn;
        }
    } else if (nr == __HYPERVISOR_sched_op && !strcmp(name, "remote_shutdown")) {
        struct sched_remote_shutdown *r = (void *)c->arg;
        r->domain_id = r->domain_id == DOMID_SELF || !r->domain_id ? domu_id(f, 0) : r->domain_id;
    } else if (nr == __HYPERVISOR_domctl && !strcmp(name, "ioport_permission")) {
        d->u.ioport_permission.first_port = 0x80 + d->u.ioport_permission.first_port % 16;     /* harmless ones */
        d->u.ioport_permission.nr_ports %= 16;
    } else if (nr == __HYPERVISOR_domctl && !strcmp(name, "iomem_permission")) {
        d->u.iomem_permission.first_mfn = 0xfd000 + d->u.iomem_permission.first_mfn % 256;     /* nothing is there */
        d->u.iomem_permission.nr_mfns %= 256;
    } else if (nr == __HYPERVISOR_domctl && !strcmp(name, "createdomain")) {
        d->domain = one_in(f, 2) ? 0 : 10 + below(f, 40);
    } else if (nr == __HYPERVISOR_domctl && !strcmp(name, "scheduler_op") && (!d->domain || d->domain == DOMID_SELF)) {
        d->domain = domu_id(f, 0);      /* a cap of dom0's own is only time */
    } else if (nr == __HYPERVISOR_sysctl && !strcmp(name, "scheduler_op")) {
        ((struct xen_sysctl *)c->arg)->u.scheduler_op.u.sched_credit2.ratelimit_us %= 2000;     /* up to 500 ms: others wait */
    } else if (nr == __HYPERVISOR_domctl && !strcmp(name, "set_target") && d->u.set_target.target % DOMID_SELF == 0) {
        d->u.set_target.target = domu_id(f, 1);         /* who has dom0 as its target may shut it down */
    } else if (nr == __HYPERVISOR_domctl && (!strcmp(name, "setvcpucontext") || !strcmp(name, "hypercall_init"))) {
        fill_context(f, (void *)f->args[1]);
        d->domain = d->domain && d->domain != DOMID_SELF ? d->domain : domu_id(f, 0);
    } else if (nr == __HYPERVISOR_memory_op && (!strcmp(name, "decrease_reservation") || !strcmp(name, "exchange"))) {
        ((struct xen_memory_reservation *)c->arg)->extent_order = 0;        /* beside the pool lies what it lives on */
        c->a[1] = (u64)c->arg;
    } else if (nr == __HYPERVISOR_grant_table_op && !strcmp(name, "map_grant_ref")) {
        c->a[1] = (u64)c->arg;              /* home.c must find all that come to be, and undoes them */
        c->a[2] = MIN(c->a[2], MAPS_MAX);
        for (struct gnttab_map_grant_ref *m = (void *)c->arg; m < (struct gnttab_map_grant_ref *)c->arg + MAPS_MAX; m++) {
            m->flags = (m->flags & (GNTMAP_readonly | GNTMAP_device_map | GNTMAP_application_map)) | GNTMAP_host_map;
            m->status = 1;
            m->host_addr = value(f, 'G');
        }
    }
}

static void prepare(struct fuzzer *f, struct call *c, u8 *arg, size_t room)
{
    struct choice ch = choices[below(f, nr_choices)];
    const struct call_kind *kind = &kinds[ch.kind];
    const struct sub *sub = kind->subs ? &kind->subs[ch.sub] : &none;
    u32 n = 0;
    *c = (struct call){ .kind = kind, .sub = sub, .arg = arg };
    memset(arg, 0, 16);
    if (strchr(kind->args, '#')) {
        n = fill_array(f, kind, sub, arg, room);
    } else {
        fill(f, kind, sub, arg);
    }
    u64 *a = c->a;
    for (const char *p = kind->args; *p; p++, a++) {
        switch (*p) {
        case '*': *a = one_in(f, 48) ? value(f, 'A') : (u64)arg; break;
        case '#': *a = one_in(f, 64) ? boundary(f) : n; break;
        case '@': *a = one_in(f, 96) ? boundary(f) | (f->dom0 ? 0x1000 : 0) : sub->nr; break;
        case 'p': *a = one_in(f, 16) ? value(f, 'H') : (u64)path[below(f, ARRAY_SIZE(path))]; break;
        default: *a = value(f, *p); break;
        }
    }
    tame(f, c);
    if (f->dom0) {
        tame_dom0(f, c);
    }
}

/* --- after a call --- */

/* What came back, for later calls; and nothing the next exception needs may be amiss. */
static void look(struct fuzzer *f, const struct call *c, long rc)
{
    const char *name = c->sub->name;
    switch (c->kind->nr) {
    case __HYPERVISOR_set_trap_table:
    case __HYPERVISOR_set_callbacks:
    case __HYPERVISOR_callback_op:
    case __HYPERVISOR_set_debugreg:
        callbacks_mend();
        break;
    case __HYPERVISOR_set_gdt:
        if (one_in(f, 2))
            HC(set_gdt, f->args[1], 0);
        break;
    case __HYPERVISOR_vcpu_op:
        if (!strcmp(name, "register_runstate_memory_area"))
            runstate_mend(0), runstate_mend(1);
        else if (!strcmp(name, "down"))
            HC(vcpu_op, VCPUOP_up, !f->vcpu, 0);
        break;
    case __HYPERVISOR_event_channel_op:
        if (rc == 0 && (!strncmp(name, "bind_", 5) || !strncmp(name, "alloc", 5)))
            note_port(*(u32 *)(c->arg + (!strcmp(name, "bind_ipi") || !strncmp(name, "alloc", 5) ? 4 : 8)));
        break;
    case __HYPERVISOR_memory_op:
        if (!strcmp(name, "exchange") && c->a[1] == (u64)c->arg && c->exchange)
            take_exchanged(f, (void *)c->arg);
        break;
    case __HYPERVISOR_grant_table_op:
        if (!strcmp(name, "map_grant_ref") && (rc == 0 || f->dom0) && c->a[1] == (u64)c->arg) {
            for (u64 i = 0; i < MIN(c->a[2], MAPS_MAX); i++) {
                grant_mapped(f, (struct gnttab_map_grant_ref *)c->arg + i);
            }
        }
        break;
    }
}

/* --- how long a call takes --- */

/* Asked for, since the record in the guest's memory may have been sent elsewhere by the call. */
u64 time_not_running(struct fuzzer *f)
{
    static struct vcpu_runstate_info info[DOMU_VCPUS];
    struct vcpu_runstate_info *r = &info[f->vcpu];
    HC(vcpu_op, VCPUOP_get_runstate_info, f->vcpu, r);
    return r->time[RUNSTATE_runnable] + r->time[RUNSTATE_blocked] + r->time[RUNSTATE_offline];
}

static u32 tick_mul;
static signed char tick_shift;

void timing_init(void)
{
    tick_mul = my_info()->time.tsc_to_system_mul;
    tick_shift = my_info()->time.tsc_shift;
}

static u64 ns(u64 ticks)
{
    ticks = tick_shift < 0 ? ticks >> -tick_shift : ticks << tick_shift;
    return (u64)(((unsigned __int128)ticks * tick_mul) >> 32);
}

/* The account is read within what is measured: what it says was spent there. */
void timing_begin(struct fuzzer *f)
{
    f->call_start = rdtsc();
    f->call_away = time_not_running(f);
    f->call_upcalls = upcalls;
}

/* Not a domU's own time: upcalls, without end where its masks and records are broken. */
void timing_end(struct fuzzer *f, u8 nr)
{
    u64 *longest = &f->share->longest[nr % CALLS_KNOWN];
    if (upcalls == f->call_upcalls && ns(rdtsc() - f->call_start) > *longest) {
        u64 away = time_not_running(f) - f->call_away, took = ns(rdtsc() - f->call_start);
        *longest = MAX(*longest, took - MIN(away, took));
        f->share->not_longest[nr % CALLS_KNOWN] = ~*longest;
    }
}

static long make(struct fuzzer *f, struct call *c)
{
    timing_begin(f);
    u64 start = f->call_start;
    long rc = hypercall(c->kind->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
    if (f->call_start == start) {   /* else it is back by an NMI's handler of any bytes, on another stack */
        timing_end(f, c->kind->nr);
    }
    f->share->calls[f->vcpu]++;
    f->share->good[f->vcpu] += rc >= 0;
    return rc;
}

#define MULTI_MAX 8

static void multicall(struct fuzzer *f, struct call *c)
{
    static struct call inner[DOMU_VCPUS][MULTI_MAX];
    multicall_entry_t *m = (void *)f->args[5];       /* where no call of it writes */
    u32 n = below(f, MULTI_MAX + 1);
    for (u32 i = 0; i < n; i++) {
        prepare(f, &inner[f->vcpu][i], f->args[0] + 64 + i * 480, 480);
        m[i].op = one_in(f, 64) && !f->dom0 ? boundary(f) : inner[f->vcpu][i].kind->nr;
        memcpy((void *)m[i].args, inner[f->vcpu][i].a, sizeof(m[i].args));
    }
    c->a[0] = one_in(f, 48) ? value(f, 'A') : (u64)m;
    c->a[1] = one_in(f, 48) ? (f->dom0 ? 1UL << 40 : boundary(f)) : n;
    make(f, c);
    for (u32 i = 0; i < n; i++) {
        look(f, &inner[f->vcpu][i], (long)m[i].result);
    }
    callbacks_mend();
}

void one_call(struct fuzzer *f)
{
    struct call c;
    prepare(f, &c, f->args[0], PAGE_SIZE);
    if (c.kind->nr == __HYPERVISOR_multicall) {
        multicall(f, &c);
    } else {
        look(f, &c, make(f, &c));
    }
}
