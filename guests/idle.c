/* SPDX-License-Identifier: MIT */
/* An idle CPU keeps a guest's tables: nobody sees what they were. */
#include "tiny.h"

#define MS 1000000UL

static volatile u32 stage;

static bool stage_reached(u32 wanted)
{
    u64 end = system_time() + 3000 * MS;
    while (stage != wanted && system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    return stage == wanted;
}

/* A vCPU that waits may have its tables left on an idle CPU: what is changed meanwhile, and
 * flushed for it, it sees when it comes back, there or on another CPU. */
static volatile u64 *moving;
static volatile u64 moving_seen;
static evtchn_port_t moving_port;

static void poll_for(evtchn_port_t port, u64 until)
{
    struct sched_poll p = { .nr_ports = 1, .timeout = until };
    set_xen_guest_handle(p.ports, &port);
    HC(sched_op, SCHEDOP_poll, &p);
}

/* Undone first: an override that is in force is not replaced. */
static void pin_to(int cpu)
{
    struct sched_pin_override pin = { .pcpu = -1 };
    (void)HC(sched_op, SCHEDOP_pin_override, &pin);
    pin.pcpu = cpu;
    CHECK_EQ(HC(sched_op, SCHEDOP_pin_override, &pin), 0);
}

static void vcpu1_looks(UNUSED void *arg)
{
    for (u32 round = 0; stage != 100; round++) {
        u64 here = *moving;
        pin_to((round / 2) % 2);
        moving_seen = *moving == here ? here : 0;       /* there */
        stage = round + 1000;
        poll_for(moving_port, 0);
        port_clear(moving_port);
    }
    stage = 101;
    vcpu1_stop();
}

static long flush_for_vcpu1(unsigned cmd)
{
    unsigned long mask = 2;
    struct mmuext_op op = { .cmd = cmd, .arg1.linear_addr = (u64)moving };
    set_xen_guest_handle_raw(op.arg2.vcpumask, (void *)&mask);
    return HC(mmuext_op, &op, 1, 0, DOMID_SELF);
}

TEST(changes_while_idle)
{
    static const unsigned flushes[] = { MMUEXT_INVLPG_MULTI, MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_ALL,
                                        MMUEXT_TLB_FLUSH_ALL };
    if (!have_vcpu1()) {
        return;
    }
    u64 *pages[3] = { alloc_page(), alloc_page(), alloc_page() };
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        *pages[i] = 10 + i;
    }
    moving = alloc_page();
    struct evtchn_bind_ipi b = { .vcpu = 1 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
    moving_port = b.port;
    set_bit(b.port, shared->evtchn_mask);
    evtchn_port_t nothing = (u32)evtchn_bind_virq(VIRQ_TIMER, 0);
    set_bit(nothing, shared->evtchn_mask);
    port_clear(nothing);
    stage = 0;
    CHECK_EQ(map_mfn((void *)moving, virt_to_mfn_of(pages[0]), PG_RO), 0);
    pin_to(1);          /* vCPU 1 is alone on CPU 0 */
    CHECK_EQ(start_vcpu1(vcpu1_looks, NULL), 0);
    CHECK(stage_reached(1000));
    CHECK_EQ(moving_seen, 10);
    for (u32 round = 1; round <= 48; round++) {
        poll_for(nothing, system_time() + MS);          /* both CPUs idle */
        u64 entry = virt_to_mfn_of(pages[round % 3]) << PAGE_SHIFT | PG_RO;
        CHECK_EQ(HC(update_va_mapping, (u64)moving, entry, UVMF_NONE), 0);
        CHECK_EQ(flush_for_vcpu1(flushes[round / 4 % ARRAY_SIZE(flushes)]), 0);
        struct evtchn_send s = { moving_port };
        CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &s), 0);
        CHECK(stage_reached(1000 + round));
        CHECK_EQ(moving_seen, 10 + round % 3);
    }
    stage = 100;
    struct evtchn_send s = { moving_port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &s), 0);
    CHECK(stage_reached(101));
}
