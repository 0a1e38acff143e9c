/* SPDX-License-Identifier: MIT */
/* The run-state record in guest memory, read while it changes: with the update flag a reader
 * on another vCPU never takes half a record for a whole one. */
#include "tiny.h"

static volatile struct vcpu_runstate_info record ALIGNED(64);
static volatile u32 readings, torn;
static volatile bool stop, gone;

static u64 sum(const struct vcpu_runstate_info *r)
{
    return r->time[0] + r->time[1] + r->time[2] + r->time[3];
}

/* A whole reading: the times add up to the moment of entry, give or take the vCPU's birth. */
static struct vcpu_runstate_info take(void)
{
    struct vcpu_runstate_info r;
    do {
        r.state_entry_time = record.state_entry_time;
        barrier();
        r.state = record.state;
        for (unsigned i = 0; i < 4; i++) {
            r.time[i] = record.time[i];
        }
        barrier();
    } while ((r.state_entry_time & XEN_RUNSTATE_UPDATE) || record.state_entry_time != r.state_entry_time);
    return r;
}

/* vCPU 1 watches vCPU 0's record. */
static void watch(void *arg)
{
    struct vcpu_runstate_info last = take();
    (void)arg;
    while (!stop) {
        struct vcpu_runstate_info r = take();
        bool whole = r.state <= RUNSTATE_offline && r.state_entry_time >= last.state_entry_time;
        for (unsigned i = 0; i < 4; i++) {
            whole &= r.time[i] >= last.time[i];
        }
        whole &= sum(&r) - sum(&last) == r.state_entry_time - last.state_entry_time;
        torn += !whole;
        readings++;
        last = r;
    }
    gone = true;
    vcpu1_stop();
}

static void reg(volatile struct vcpu_runstate_info *at, long want)
{
    struct vcpu_register_runstate_memory_area a;
    a.addr.p = (u64)at;
    CHECK_EQ(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &a), want);
}

TEST(update_flag)
{
    CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    reg(&record, 0);
    CHECK_EQ(record.state_entry_time & XEN_RUNSTATE_UPDATE, 0);
    CHECK_EQ(record.state, RUNSTATE_running);
    struct vcpu_runstate_info before = take(), after;
    long port = evtchn_bind_virq(VIRQ_TIMER, 0);
    CHECK(port > 0);
    port_unmask((u32)port);
    bool two = have_vcpu1() && !start_vcpu1(watch, NULL);
    for (unsigned i = 0; i < 200 || (two && readings < 200 && i < 1000000); i++) {
        /* Asleep for a moment: off the CPU, and on again. */
        HC(set_timer_op, system_time() + 20000);
        HC(sched_op, SCHEDOP_block, 0);
        my_info()->evtchn_upcall_mask = 1;
    }
    after = take();
    stop = true;
    for (u64 end = system_time() + 20000000000UL; two && !gone && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    CHECK(!two || gone);
    CHECK_EQ(torn, 0);
    CHECK(after.state_entry_time > before.state_entry_time);
    CHECK(after.time[RUNSTATE_blocked] > before.time[RUNSTATE_blocked]);
    CHECK_EQ(sum(&after) - sum(&before), after.state_entry_time - before.state_entry_time);
}

TEST(an_area_that_goes_away)
{
    /* Its page unmapped: the account goes on, the record stays behind. */
    volatile struct vcpu_runstate_info *area = alloc_page();
    struct vcpu_runstate_info r;
    reg(area, 0);
    CHECK_EQ(area->state, RUNSTATE_running);
    u64 mfn = virt_to_mfn_of((void *)area);
    CHECK_EQ(HC(update_va_mapping, area, 0, UVMF_INVLPG), 0);
    HC(sched_op, SCHEDOP_yield, 0);
    CHECK_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 0, &r), 0);
    CHECK_EQ(r.state, RUNSTATE_running);
    CHECK_EQ(map_mfn((void *)area, mfn, PG_DATA), 0);
    reg(&record, 0);
}
