/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs, two domains, a domain's life, a hundred domains: all on one CPU, so each
 * passing of an event is a change of vCPU, and all that the machine does in between counts.
 */
#include "pv.h"
#include "domu.h"
#include <xen/domctl.h>

#define ROW_BASE 200

/* --- events back and forth --- */

static void event_handler(const void *entry)
{
    struct callback_register event = { CALLBACKTYPE_event, 0, (u64)entry };
    CHECK_EQ(HC(callback_op, CALLBACKOP_register, &event), 0);
}

static void send(u32 port)
{
    struct evtchn_send s = { port };
    HC(event_channel_op, EVTCHNOP_send, &s);
}

/* Until the handler has counted further; returns with events on. */
static void await(const volatile u32 *events, u32 was)
{
    while (*events == was) {
        HC(sched_op, SCHEDOP_block, 0);
    }
}

static u32 bind_ipi(u32 vcpu)
{
    struct evtchn_bind_ipi b = { .vcpu = vcpu };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
    CHECK(b.port < 64);
    port_unmask(b.port);
    return b.port;
}

static volatile bool stop;
static u32 to_vcpu0, to_vcpu1;

static void echo_vcpu1(UNUSED void *arg)
{
    event_handler(lean_event1);
    for (u32 n = 0; ; n++) {
        send(to_vcpu0);
        await(&lean_events1, n);
        if (stop) {
            vcpu1_stop();
        }
    }
}

TEST(two_vcpus)
{
    GROUP("Two vCPUs, two domains, on one CPU");
    event_handler(lean_event);
    to_vcpu0 = bind_ipi(0);
    to_vcpu1 = bind_ipi(1);
    u32 was = lean_events;
    CHECK_EQ(start_vcpu1(echo_vcpu1, NULL), 0);
    await(&lean_events, was);
    events_off();
    BENCH_WAITS(row, "round_trip_vcpus", ROUNDS, was = lean_events,
                send(to_vcpu1); await(&lean_events, was), events_off());
    stop = true;
    send(to_vcpu1);
    while (HC(vcpu_op, VCPUOP_is_up, 1, 0) == 1) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
}

/* --- a domU that answers --- */

struct link { volatile u32 port, ready; };      /* in the page that both have */
enum { ROW_CREATE = 300, ROW_NTH_CREATE = MARK_SERIES };

static void echo_domain(void *page)
{
    MARK_END(ROW_CREATE);
    struct link *l = page;
    struct evtchn_bind_interdomain b = { .remote_dom = 0, .remote_port = l->port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &b), 0);
    CHECK(b.local_port < 64);
    event_handler(lean_event);
    shared->evtchn_pending[0] = 0;      /* what binding raises */
    my_info()->evtchn_pending_sel = 0;
    my_info()->evtchn_upcall_pending = 0;
    port_unmask(b.local_port);
    for (u32 n = lean_events; ; n++) {
        l->ready = 1;
        await(&lean_events, n);
        send(b.local_port);
    }
}

/* Makes and starts it; returns our port to it, once it waits. */
static u32 create(struct domu *d)
{
    MARK_BEGIN(ROW_CREATE);
    CHECK_EQ(domu_create(d, echo_domain), 0);
    struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = d->id };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
    struct link *l = d->page;
    l->port = a.port;
    domu_start(d);
    for (u64 end = system_time() + 5000000000UL; !l->ready && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    CHECK(l->ready);
    CHECK(a.port < 64);
    port_unmask(a.port);
    return a.port;
}

static void close_port(u32 port)
{
    struct evtchn_close c = { port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &c), 0);
}

static void let_time_pass(u64 ns)
{
    HC(set_timer_op, system_time() + ns);
    HC(sched_op, SCHEDOP_block, 0);
    events_off();
}

static struct domu one;

TEST(two_domains)
{
    event_handler(lean_event);
    u32 port = create(&one), was;
    BENCH_WAITS(row, "round_trip_domains", ROUNDS, was = lean_events,
                send(port); await(&lean_events, was), events_off());
    close_port(port);
    domu_destroy(&one);
}

/* --- a domain's life: of making one, the guest's own copying is left out --- */

static struct xen_domctl op;

static long control(unsigned cmd, domid_t id)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = id;
    return HC(domctl, &op);
}

/* Until the last of it is gone, in the background: asks now and then. */
static void destroy(domid_t id)
{
    while (control(XEN_DOMCTL_destroydomain, id) == -ERESTART) {
    }
    while (control(XEN_DOMCTL_getdomaininfo, id) == 0 && op.domain == id) {
        let_time_pass(100000);
    }
}

static void forget(const struct domu *d, u32 port)
{
    close_port(port);
    map_mfn(d->page, d->page_own, PG_DATA);
}

/* 64 MiB without contents, paused, as a toolstack makes it before it fills it. */
#define BIG_PAGES 16384UL
static domid_t create_big(void)
{
    static xen_pfn_t mfn[BIG_PAGES >> 9];
    memset(&op, 0, sizeof(op));
    op.u.createdomain = (struct xen_domctl_createdomain){
        .max_vcpus = 1, .max_evtchn_port = 1023, .max_grant_frames = 32, .max_maptrack_frames = 1024,
        .grant_opts = XEN_DOMCTL_GRANT_version(2),
    };
    CHECK_EQ(control(XEN_DOMCTL_createdomain, 0), 0);
    domid_t id = op.domain;
    memset(&op, 0, sizeof(op));
    op.u.max_mem.max_memkb = BIG_PAGES << 2;
    CHECK_EQ(control(XEN_DOMCTL_max_mem, id), 0);
    op.u.max_vcpus.max = 1;
    CHECK_EQ(control(XEN_DOMCTL_max_vcpus, id), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(mfn); i++) {
        mfn[i] = (u64)i << 9;
    }
    struct xen_memory_reservation r = { .nr_extents = ARRAY_SIZE(mfn), .extent_order = 9, .domid = id };
    set_xen_guest_handle(r.extent_start, mfn);
    CHECK_EQ(HC(memory_op, XENMEM_populate_physmap, &r), ARRAY_SIZE(mfn));
    return id;
}

TEST(life)
{
    enum { TIMES = 10 };
    GROUP("A domain's life");
    event_handler(lean_event);
    u32 port = 0;
    BENCH_WAITS(hv, "destroy_tiny", TIMES, port = create(&one); forget(&one, port), destroy(one.id), (void)0);
    print("bench: hv %u create_tiny\n", ROW_CREATE);

    domid_t id = 0;
    let_time_pass(20000000);
    u64 was = free_pages();
    BENCH_WAITS(hv, "create_64MiB", TIMES, (void)0, id = create_big(),
                if (!n) {
                    print("bench: value %ld KiB kept_per_64MiB_guest\n", (long)(was - free_pages() - BIG_PAGES) << 2);
                }
                destroy(id));
    BENCH_WAITS(hv, "destroy_64MiB", TIMES, id = create_big(), destroy(id), (void)0);
    /* Memory is cleared in either, or between the two. */
    BENCH_WAITS(hv, "create_destroy_64MiB", TIMES, (void)0, id = create_big(); destroy(id), (void)0);
}

/* --- a hundred at once: what the n-th costs --- */

TEST(hundred)
{
    enum { N = 100 };
    static struct { struct domu d; domid_t id[N]; } many;
    GROUP("series: 100 tiny guests at once");
    event_handler(lean_event);
    for (unsigned i = 0; i < N; i++) {
        MARK_BEGIN(ROW_NTH_CREATE);
        u32 port = create(&many.d), was = lean_events;
        MARK_END(ROW_NTH_CREATE);
        many.id[i] = many.d.id;
        send(port);                     /* once in vain: then it surely waits */
        await(&lean_events, was++);
        events_off();
        MARK_BEGIN(ROW_NTH_CREATE + 1);
        send(port);
        await(&lean_events, was);
        events_off();
        MARK_END(ROW_NTH_CREATE + 1);
        forget(&many.d, port);
    }
    for (unsigned i = N; i--;) {
        MARK_BEGIN(ROW_NTH_CREATE + 2);
        destroy(many.id[i]);
        MARK_END(ROW_NTH_CREATE + 2);
    }
    print("bench: series %u create\n", ROW_NTH_CREATE);
    print("bench: series %u round_trip\n", ROW_NTH_CREATE + 1);
    print("bench: series %u destroy\n", ROW_NTH_CREATE + 2);
}
