/* SPDX-License-Identifier: MIT */
/* vcpu_op, timers, time, sched_op, runstates. */
#include "tiny.h"

#define MS 1000000UL

static long timer_port;

TEST(time_record)
{
    volatile struct vcpu_time_info *t = &my_info()->time;
    CHECK(t->tsc_to_system_mul != 0 && !(t->version & 1));
    u64 last = system_time();
    CHECK(last > 0);
    for (unsigned i = 0; i < 1000; i++) {
        u64 now = system_time();
        CHECK((s64)(now - last) >= 0);
        last = now;
    }
}

TEST(singleshot)
{
    timer_port = evtchn_bind_virq(VIRQ_TIMER, 0);
    CHECK(timer_port > 0);
    port_unmask((u32)timer_port);
    /* A PV guest may start with a tick of 10 ms. */
    CHECK_EQ(HC(vcpu_op, VCPUOP_stop_periodic_timer, 0, 0), 0);
    struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = system_time() + 5 * MS };
    event_count[timer_port] = 0;
    u64 start = system_time();
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), 0);
    CHECK(wait_event((u32)timer_port, 1000 * MS));
    CHECK(system_time() - start >= 5 * MS - MS / 10);
    /* In the past: at once; with the flag an error is allowed too. */
    event_count[timer_port] = 0;
    s.timeout_abs_ns = 1;
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), 0);
    CHECK(wait_event((u32)timer_port, 100 * MS));
    s.flags = VCPU_SSHOTTMR_future;
    event_count[timer_port] = 0;
    long rc = HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s);
    CHECK(rc == -ETIME || rc == 0);
    wait_event((u32)timer_port, 50 * MS);
    /* Stopped: never. */
    s.flags = 0;
    s.timeout_abs_ns = system_time() + 5 * MS;
    event_count[timer_port] = 0;
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), 0);
    CHECK_EQ(HC(vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0), 0);
    bool in_time = system_time() < s.timeout_abs_ns;        /* else the host has left us no turn */
    CHECK(!wait_event((u32)timer_port, 20 * MS) || !in_time);
    /* Another vCPU's timer is not ours. */
    CHECK(HC(vcpu_op, VCPUOP_set_singleshot_timer, 1, &s) < 0);
    CHECK(HC(vcpu_op, VCPUOP_stop_singleshot_timer, 1, 0) < 0);
}

TEST(set_timer_op)
{
    event_count[timer_port] = 0;
    CHECK_EQ(HC(set_timer_op, system_time() + 2 * MS), 0);
    CHECK(wait_event((u32)timer_port, 1000 * MS));
    CHECK_EQ(HC(set_timer_op, 0), 0);
    /* Absurdly far, as a confused guest might: no harm. */
    CHECK_EQ(HC(set_timer_op, ~0UL >> 1), 0);
    CHECK_EQ(HC(set_timer_op, ~0UL), 0);
    CHECK_EQ(HC(set_timer_op, 0), 0);
}

TEST(periodic)
{
    struct vcpu_set_periodic_timer p = { .period_ns = 2 * MS };
    event_count[timer_port] = 0;
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_periodic_timer, 0, &p), 0);
    u64 end = system_time() + 1000 * MS;
    events_on();
    while (event_count[timer_port] < 5 && system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    events_off();
    CHECK(event_count[timer_port] >= 5);
    p.period_ns = 1;
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_periodic_timer, 0, &p), -EINVAL);
    CHECK_EQ(HC(vcpu_op, VCPUOP_stop_periodic_timer, 0, 0), 0);
}

TEST(block_until_timer)
{
    struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = system_time() + 10 * MS };
    u64 start = system_time();
    event_count[timer_port] = 0;
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), 0);
    /* Blocking unmasks. */
    CHECK_EQ(HC(sched_op, SCHEDOP_block, 0), 0);
    CHECK_EQ(my_info()->evtchn_upcall_mask, 0);
    CHECK(event_count[timer_port] >= 1);
    CHECK(system_time() - start >= 9 * MS);
    events_off();
}

TEST(poll)
{
    evtchn_port_t port = (u32)timer_port;
    struct sched_poll p = { .nr_ports = 1, .timeout = 0 };
    set_xen_guest_handle(p.ports, &port);
    set_bit(port, shared->evtchn_mask);
    port_clear(port);
    struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = system_time() + 5 * MS };
    CHECK_EQ(HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s), 0);
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), 0);
    CHECK(port_pending(port));
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), 0);        /* pending already */
    port_clear(port);
    u64 start = system_time();
    p.timeout = start + 5 * MS;
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), 0);        /* time is up */
    CHECK(system_time() - start >= 4 * MS);
    p.timeout = 1;
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), 0);        /* long past */
    p.nr_ports = 129;
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), -EINVAL);
    p.nr_ports = ~0u;
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), -EINVAL);
    p.nr_ports = 1;
    port = 4095;
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), 0 - EINVAL);
    port = ~0u;
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), -EINVAL);
    p.nr_ports = 2;
    set_xen_guest_handle(p.ports, (evtchn_port_t *)0x1000);
    CHECK_EQ(HC(sched_op, SCHEDOP_poll, &p), -EFAULT);
    port_unmask((u32)timer_port);
}

TEST(sched_hostile)
{
    static const u64 bad[] = BAD_ADDRESSES;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(HC(sched_op, SCHEDOP_shutdown, bad[i]), -EFAULT);
        CHECK_EQ(HC(sched_op, SCHEDOP_poll, bad[i]), -EFAULT);
        CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, bad[i]), -EFAULT);
        CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, bad[i]), -EFAULT);
    }
    CHECK_EQ(HC(sched_op, 99, 0), -ENOSYS);
    struct sched_remote_shutdown r = { .domain_id = 55, .reason = 0 };
    CHECK_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &r), -ESRCH);
    struct sched_watchdog w = { .id = 9, .timeout = 10 };
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), -EINVAL);
    w.id = 1;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), -EINVAL);     /* not set yet */
    w.id = 0;
    w.timeout = 30;
    long id = HC(sched_op, SCHEDOP_watchdog, &w);
    CHECK(id == 1 || id == 2);
    w.id = (u32)id;
    w.timeout = 0;
    CHECK_EQ(HC(sched_op, SCHEDOP_watchdog, &w), 0);
    CHECK_EQ(HC(sched_op, SCHEDOP_yield, 0), 0);
}

static struct vcpu_runstate_info area ALIGNED(64);

TEST(runstate)
{
    struct vcpu_runstate_info r;
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 0, &r), 0);
    CHECK_EQ(r.state, RUNSTATE_running);
    CHECK(r.time[RUNSTATE_running] > 0);
    struct vcpu_register_runstate_memory_area reg;
    reg.addr.v = &area;
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &reg), 0);
    CHECK_EQ(area.state, RUNSTATE_running);
    CHECK(area.state_entry_time != 0);
    u64 blocked = area.time[RUNSTATE_blocked];
    /* A slow machine may let the time pass before the block: again then, with more. */
    for (u64 wait = 5 * MS; area.time[RUNSTATE_blocked] < blocked + 3 * MS && wait < 1000 * MS; wait *= 2) {
        struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = system_time() + wait };
        HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &s);
        HC(sched_op, SCHEDOP_block, 0);
        events_off();
    }
    CHECK(area.time[RUNSTATE_blocked] >= blocked + 3 * MS);
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 0, 0x1000), -EFAULT);
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 200, &r), -ENOENT);
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, ~0UL, &r), -ENOENT);
    CHECK_EQ(HC(vcpu_op, 77, 0, &r), -ENOSYS);
}

TEST(time_area)
{
    static struct vcpu_time_info t ALIGNED(64);
    struct vcpu_register_time_memory_area reg;
    reg.addr.v = &t;
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, &reg), 0);
    CHECK(t.tsc_to_system_mul == my_info()->time.tsc_to_system_mul);
}

/* --- the second vCPU --- */
static volatile u32 vcpu1_stage;
static volatile u64 vcpu1_cs;

static void vcpu1_main(void *arg)
{
    u16 cs;
    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    vcpu1_cs = cs;
    vcpu1_stage = (u32)(u64)arg;
    while (vcpu1_stage != 100) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    vcpu1_stage = 101;
    vcpu1_stop();
}

static bool stage_reached(u32 stage)
{
    u64 end = system_time() + 3000 * MS;
    while (vcpu1_stage != stage && system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    return vcpu1_stage == stage;
}

TEST(second_vcpu)
{
    CHECK_EQ(HC(vcpu_op, VCPUOP_is_up, 0, 0), 1);
    if (!have_vcpu1()) {
        return;
    }
    CHECK_EQ(HC(vcpu_op, VCPUOP_is_up, 1, 0), 0);
    CHECK_EQ(HC(vcpu_op, VCPUOP_up, 1, 0), -EINVAL);        /* no context yet */
    CHECK_EQ(HC(vcpu_op, VCPUOP_initialise, 1, 0x1000), -EFAULT);
    static struct vcpu_guest_context c;
    memset(&c, 0xff, sizeof(c));
    CHECK(HC(vcpu_op, VCPUOP_initialise, 1, &c) < 0);
    memset(&c, 0, sizeof(c));
    CHECK(HC(vcpu_op, VCPUOP_initialise, 1, &c) < 0);       /* frame 0 is no page table */
    CHECK_EQ(start_vcpu1(vcpu1_main, (void *)7), 0);
    CHECK(stage_reached(7));
    CHECK_EQ(vcpu1_cs, FLAT_KERNEL_CS);
    CHECK_EQ(HC(vcpu_op, VCPUOP_is_up, 1, 0), 1);
    CHECK_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), -EEXIST);
    /* An event for it reaches its own record. */
    struct evtchn_bind_ipi b = { .vcpu = 1 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
    port_unmask(b.port);
    shared->vcpu_info[1].evtchn_upcall_pending = 0;
    struct evtchn_send s = { b.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &s), 0);
    CHECK(shared->vcpu_info[1].evtchn_upcall_pending);
    struct evtchn_close cl = { b.port };
    HC(event_channel_op, EVTCHNOP_close, &cl);
    vcpu1_stage = 100;
    CHECK(stage_reached(101));
    u64 end = system_time() + 1000 * MS;
    while (HC(vcpu_op, VCPUOP_is_up, 1, 0) != 0 && system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    CHECK_EQ(HC(vcpu_op, VCPUOP_is_up, 1, 0), 0);
}

TEST(vcpu_op_of_nobody)
{
    static const u64 ids[] = { 127, 128, 8191, 0xffffffff, ~0UL };
    struct vcpu_runstate_info r;
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        for (unsigned op = 0; op < 14; op++) {
            CHECK(HC(vcpu_op, op, ids[i], &r) < 0);
        }
    }
}

TEST(register_vcpu_info)
{
    if (!have_vcpu1()) {
        return;
    }
    struct vcpu_info *page = alloc_page();
    struct vcpu_register_vcpu_info r = { .mfn = virt_to_mfn_of(page), .offset = 4090 };
    CHECK(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &r) < 0);
    r.offset = 0;
    r.mfn = 1UL << 40;
    CHECK(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &r) < 0);
    r.mfn = virt_to_mfn_of((void *)start_info->pt_base);
    CHECK(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &r) < 0);
    r.mfn = virt_to_mfn_of(page);
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &r), 0);
    CHECK_EQ(page->evtchn_pending_sel, ~0UL);
    CHECK(page->evtchn_upcall_pending);
    CHECK(HC(vcpu_op, VCPUOP_register_vcpu_info, 1, &r) < 0);   /* once only */
    /* Bulkhead writes there: it is no page table for as long. */
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = virt_to_mfn_of(page) };
    map_mfn(page, virt_to_mfn_of(page), PG_RO);
    CHECK(HC(mmuext_op, &pin, 1, 0, DOMID_SELF) < 0);
}
