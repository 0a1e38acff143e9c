/* SPDX-License-Identifier: MIT */
/* event_channel_op: every sub-operation, 2-level delivery, hostile arguments; then FIFO. */
#include "tiny.h"

static u32 alloc_unbound(domid_t remote)
{
    struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = remote };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
    CHECK(a.port > 0 && a.port < 4096);
    return a.port;
}

static long close_port(u32 port)
{
    struct evtchn_close c = { port };
    return HC(event_channel_op, EVTCHNOP_close, &c);
}

static long send(u32 port)
{
    struct evtchn_send s = { port };
    return HC(event_channel_op, EVTCHNOP_send, &s);
}

static u32 bind_ipi(u32 vcpu)
{
    struct evtchn_bind_ipi b = { .vcpu = vcpu };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
    return b.port;
}

static u32 status(u32 port)
{
    struct evtchn_status s = { .dom = DOMID_SELF, .port = port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_status, &s), 0);
    return s.status;
}

TEST(interdomain_with_itself)
{
    u32 a = alloc_unbound(DOMID_SELF);
    CHECK_EQ(status(a), EVTCHNSTAT_unbound);
    struct evtchn_bind_interdomain b = { .remote_dom = DOMID_SELF, .remote_port = a };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &b), 0);
    CHECK_EQ(status(a), EVTCHNSTAT_interdomain);
    CHECK_EQ(status(b.local_port), EVTCHNSTAT_interdomain);
    /* Binding raises one event at the one who binds. */
    CHECK(port_pending(b.local_port));
    port_clear(b.local_port);
    CHECK_EQ(send(b.local_port), 0);
    CHECK(port_pending(a) && !port_pending(b.local_port));
    port_clear(a);
    CHECK_EQ(send(a), 0);
    CHECK(port_pending(b.local_port));
    port_clear(b.local_port);
    /* A second binder is refused. */
    struct evtchn_bind_interdomain again = { .remote_dom = DOMID_SELF, .remote_port = a };
    CHECK(HC(event_channel_op, EVTCHNOP_bind_interdomain, &again) < 0);
    CHECK_EQ(close_port(a), 0);
    CHECK_EQ(status(b.local_port), EVTCHNSTAT_unbound);
    CHECK_EQ(close_port(b.local_port), 0);
    CHECK_EQ(status(a), EVTCHNSTAT_closed);
    CHECK_EQ(close_port(a), -EINVAL);
    CHECK_EQ(send(a), -EINVAL);
}

TEST(upcall_delivery)
{
    u32 port = bind_ipi(0);
    port_unmask(port);
    event_count[port] = 0;
    events_on();
    u32 before = upcalls;
    CHECK_EQ(send(port), 0);
    CHECK_EQ(event_count[port], 1);
    CHECK_EQ(upcalls, before + 1);
    events_off();
    CHECK_EQ(send(port), 0);
    CHECK_EQ(event_count[port], 1);     /* masked: waits */
    CHECK(my_info()->evtchn_upcall_pending);
    CHECK(port_pending(port));
    events_on();
    CHECK_EQ(event_count[port], 2);
    events_off();
    /* A masked port sets its bit and nothing else; unmasking delivers. */
    set_bit(port, shared->evtchn_mask);
    events_on();
    CHECK_EQ(send(port), 0);
    CHECK_EQ(event_count[port], 2);
    CHECK(port_pending(port));
    port_unmask(port);
    CHECK_EQ(event_count[port], 3);
    events_off();
    CHECK_EQ(close_port(port), 0);
}

TEST(many_events_one_upcall)
{
    u32 port[40];
    for (unsigned i = 0; i < 40; i++) {
        port[i] = bind_ipi(0);
        port_unmask(port[i]);
        event_count[port[i]] = 0;
    }
    u32 before = upcalls;
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(send(port[i]), 0);
    }
    events_on();
    events_off();
    CHECK_EQ(upcalls, before + 1);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(event_count[port[i]], 1);
        CHECK_EQ(close_port(port[i]), 0);
    }
}

TEST(virqs)
{
    struct evtchn_bind_virq b = { .virq = VIRQ_TIMER, .vcpu = 0 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &b), 0);
    CHECK_EQ(status(b.port), EVTCHNSTAT_virq);
    struct evtchn_bind_virq again = b;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &again), -EEXIST);
    again.virq = NR_VIRQS;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &again), -EINVAL);
    again.virq = ~0u;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &again), -EINVAL);
    again.virq = VIRQ_DEBUG;
    again.vcpu = 1000;
    CHECK(HC(event_channel_op, EVTCHNOP_bind_virq, &again) < 0);
    again.virq = VIRQ_DOM_EXC;      /* not of a vCPU: only vCPU 0 may */
    again.vcpu = 1;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &again), -EINVAL);
    CHECK_EQ(send(b.port), -EINVAL);
    CHECK_EQ(close_port(b.port), 0);
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &b), 0);
    CHECK_EQ(close_port(b.port), 0);
}

TEST(bind_vcpu)
{
    if (!have_vcpu1()) {
        return;
    }
    u32 port = alloc_unbound(DOMID_SELF), ipi = bind_ipi(1);
    struct evtchn_bind_vcpu b = { .port = port, .vcpu = 1 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_vcpu, &b), 0);
    struct evtchn_status s = { .dom = DOMID_SELF, .port = port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_status, &s), 0);
    CHECK_EQ(s.vcpu, 1);
    b.vcpu = 12345;
    CHECK(HC(event_channel_op, EVTCHNOP_bind_vcpu, &b) < 0);
    b.vcpu = 0;
    b.port = ipi;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_vcpu, &b), -EINVAL);
    CHECK_EQ(close_port(port), 0);
    CHECK_EQ(close_port(ipi), 0);
}

TEST(ports_out_of_range)
{
    static const u32 bad[] = { 0, 1000, 4095, 4096, 131071, 131072, 0x7fffffff, 0xffffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(close_port(bad[i]), -EINVAL);
        CHECK_EQ(send(bad[i]), -EINVAL);
        struct evtchn_unmask u = { bad[i] };
        long rc = HC(event_channel_op, EVTCHNOP_unmask, &u);
        CHECK(rc == -EINVAL || (rc == 0 && bad[i] < 4096));
        struct evtchn_bind_vcpu b = { .port = bad[i], .vcpu = 0 };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_vcpu, &b), -EINVAL);
        struct evtchn_bind_interdomain d = { .remote_dom = DOMID_SELF, .remote_port = bad[i] };
        CHECK(HC(event_channel_op, EVTCHNOP_bind_interdomain, &d) < 0);
    }
    struct evtchn_bind_ipi ipi = { .vcpu = ~0u };
    CHECK(HC(event_channel_op, EVTCHNOP_bind_ipi, &ipi) < 0);
    struct evtchn_alloc_unbound a = { .dom = 77, .remote_dom = 0 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), -ESRCH);
    struct evtchn_bind_interdomain d = { .remote_dom = 77, .remote_port = 1 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &d), -ESRCH);
    struct evtchn_status s = { .dom = DOMID_SELF, .port = ~0u };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_status, &s), -EINVAL);
}

TEST(bad_addresses)
{
    static const u64 bad[] = BAD_ADDRESSES;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned op = 0; op <= EVTCHNOP_set_priority; op++) {
            CHECK(HC(event_channel_op, op, bad[i]) < 0);
        }
    }
    CHECK_EQ(HC(event_channel_op, 999, 0), -ENOSYS);
    CHECK_EQ(HC(event_channel_op, ~0UL, 0), -ENOSYS);
}

TEST(every_port)
{
    static u32 port[4096];
    unsigned n = 0;
    for (;; n++) {
        struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
        long rc = HC(event_channel_op, EVTCHNOP_alloc_unbound, &a);
        if (rc) {
            CHECK_EQ(rc, -ENOSPC);
            break;
        }
        if (n == 4096) {
            CHECK(!"more than 4096 ports");
            break;
        }
        port[n] = a.port;
    }
    CHECK(n > 4000);
    while (n) {
        CHECK_EQ(close_port(port[--n]), 0);
    }
}

/* --- FIFO --- */
static event_word_t *words;
static struct evtchn_fifo_control_block *control;

TEST(fifo_set_up)
{
    static const u64 bad_gfn[] = { ~0UL, 1UL << 40, 0xfee00 };
    control = alloc_page();
    words = alloc_page();
    struct evtchn_init_control c = { .control_gfn = virt_to_mfn_of(control), .offset = 0, .vcpu = 0 };
    for (unsigned i = 0; i < ARRAY_SIZE(bad_gfn); i++) {
        struct evtchn_init_control x = c;
        x.control_gfn = bad_gfn[i];
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &x), -EINVAL);
        x = c;
        x.vcpu = 999;
        CHECK(HC(event_channel_op, EVTCHNOP_init_control, &x) < 0);
        x = c;
        x.offset = 4090;
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &x), -EINVAL);
        x = c;
        x.offset = 4;
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &x), -EINVAL);
    }
    /* A page table is no place for it. */
    struct evtchn_init_control t = c;
    t.control_gfn = virt_to_mfn_of((void *)start_info->pt_base);
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &t), -EINVAL);
    struct evtchn_expand_array e = { .array_gfn = virt_to_mfn_of(words) };
    CHECK(HC(event_channel_op, EVTCHNOP_expand_array, &e) < 0);
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_init_control, &c), 0);
    CHECK_EQ(c.link_bits, EVTCHN_FIFO_LINK_BITS);
    CHECK(HC(event_channel_op, EVTCHNOP_init_control, &c) < 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad_gfn); i++) {
        struct evtchn_expand_array x = { .array_gfn = bad_gfn[i] };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_expand_array, &x), -EINVAL);
    }
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_expand_array, &e), 0);
}

static void fifo_clear(void)
{
    my_info()->evtchn_upcall_pending = 0;
    control->ready = 0;
}

TEST(fifo_order)
{
    u32 port[5];
    for (unsigned i = 0; i < 5; i++) {
        port[i] = bind_ipi(0);
        words[port[i]] = 0;
    }
    fifo_clear();
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(send(port[i]), 0);
        CHECK(words[port[i]] & (1u << EVTCHN_FIFO_PENDING));
        CHECK(words[port[i]] & (1u << EVTCHN_FIFO_LINKED));
    }
    CHECK(my_info()->evtchn_upcall_pending);
    CHECK_EQ(control->ready, 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    CHECK_EQ(control->head[EVTCHN_FIFO_PRIORITY_DEFAULT], port[0]);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(words[port[i]] & ((1u << EVTCHN_FIFO_LINK_BITS) - 1), port[i + 1]);
    }
    CHECK_EQ(words[port[4]] & ((1u << EVTCHN_FIFO_LINK_BITS) - 1), 0);
    /* Sent again while it is linked: only pending. */
    CHECK_EQ(send(port[2]), 0);
    CHECK_EQ(words[port[2]] & ((1u << EVTCHN_FIFO_LINK_BITS) - 1), port[3]);
    for (unsigned i = 0; i < 5; i++) {
        words[port[i]] = 0;
    }
    fifo_clear();
    /* Masked: pending, not linked. */
    words[port[0]] = 1u << EVTCHN_FIFO_MASKED;
    CHECK_EQ(send(port[0]), 0);
    CHECK_EQ(words[port[0]], 1u << EVTCHN_FIFO_MASKED | 1u << EVTCHN_FIFO_PENDING);
    port_unmask(port[0]);
    CHECK_EQ(words[port[0]], 1u << EVTCHN_FIFO_PENDING | 1u << EVTCHN_FIFO_LINKED);
    words[port[0]] = 0;
    fifo_clear();
    /* Priorities. */
    struct evtchn_set_priority p = { .port = port[1], .priority = 3 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_set_priority, &p), 0);
    p.priority = EVTCHN_FIFO_PRIORITY_MIN + 1;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_set_priority, &p), -EINVAL);
    p.port = ~0u;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_set_priority, &p), -EINVAL);
    CHECK_EQ(send(port[1]), 0);
    CHECK_EQ(control->ready, 1u << 3);
    CHECK_EQ(control->head[3], port[1]);
    words[port[1]] = 0;
    fifo_clear();
}

TEST(fifo_hostile_words)
{
    u32 a = bind_ipi(0), b = bind_ipi(0);
    static const u32 junk[] = { 0xffffffff, 0x1fffffff, 0x20000000, 0x3fffffff, 0x2001ffff, 0x7fffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(junk); i++) {
        words[a] = junk[i];
        words[b] = junk[i];
        control->head[7] = junk[i];
        CHECK_EQ(send(a), 0);
        CHECK_EQ(send(b), 0);
        words[a] = junk[ARRAY_SIZE(junk) - 1 - i];
        CHECK_EQ(send(b), 0);
        port_unmask(a);
    }
    words[a] = words[b] = 0;
    CHECK_EQ(close_port(a), 0);
    CHECK_EQ(close_port(b), 0);
}

TEST(reset)
{
    struct evtchn_reset r = { .dom = DOMID_SELF };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_reset, &r), 0);
    r.dom = 99;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_reset, &r), -ESRCH);
    /* 2-level again. */
    u32 port = bind_ipi(0);
    port_clear(port);
    set_bit(port, shared->evtchn_mask);
    CHECK_EQ(send(port), 0);
    CHECK(port_pending(port));
    port_clear(port);
    CHECK_EQ(close_port(port), 0);
}
