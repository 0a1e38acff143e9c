/* SPDX-License-Identifier: MIT */
/* guests/lib/domu.h itself: a domU runs, shares a page, uses its memory, ends, leaves nothing. */
#include "domu.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

static int prepared = 1;
static volatile u64 answer;

static u64 free_pages(void)
{
    static struct xen_sysctl sc = { .cmd = XEN_SYSCTL_physinfo, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    CHECK_EQ(HC(sysctl, &sc), 0);
    return sc.u.physinfo.free_pages;
}

static void side(void *page)
{
    volatile u64 *shared_with = page;
    CHECK(in_domu);
    CHECK_EQ(prepared, 42);             /* as its builder left it */
    prepared = 43;
    shared_with[0] = 0xbeef;
    for (u64 end = system_time() + 5000000000UL; !shared_with[1] && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    answer = shared_with[1] + 1;
}

TEST(two_sides)
{
    static struct domu d;
    u64 got;
    prepared = 42;
    CHECK_EQ(domu_create(&d, side), 0);
    volatile u64 *page = d.page;
    CHECK_EQ(page[0], 0);
    domu_start(&d);
    for (u64 end = system_time() + 5000000000UL; !page[0] && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    CHECK_EQ(page[0], 0xbeef);
    page[1] = 99;
    CHECK_EQ(domu_wait(&d), SHUTDOWN_poweroff);
    domu_read(&d, &got, (const void *)&answer, sizeof(got));
    CHECK_EQ(got, 100);
    CHECK_EQ(prepared, 42);             /* its memory is its own */
    domu_destroy(&d);
}

DOMU_TEST(memory_and_traps)
{
    u64 *a = alloc_page(), pfn = alloc_pfn();
    *a = 5;
    CHECK_EQ(((volatile u64 *)MACH2PHYS_VIRT_START)[P2M[pfn]], pfn);
    u64 own = virt_to_mfn_of(a);
    CHECK_EQ(map_mfn(a, P2M[pfn], PG_DATA), 0);
    CHECK(*(volatile u64 *)a != 5);
    CHECK_EQ(map_mfn(a, own, PG_DATA), 0);
    CHECK_EQ(*(volatile u64 *)a, 5);
    TRAPS("movq $1, 0x1000");
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.cr2, 0x1000);
}

DOMU_TEST(events)
{
    struct evtchn_bind_ipi b = { .vcpu = 0 };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
    port_unmask(b.port);
    events_on();
    struct evtchn_send s = { b.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &s), 0);
    CHECK_EQ(event_count[b.port], 1);
    events_off();
}

static volatile u32 seen_by_vcpu1;
static void second(void *arg)
{
    seen_by_vcpu1 = *(u32 *)arg;
    vcpu1_stop();
}

DOMU_TEST(its_second_vcpu)
{
    static u32 word = 7;
    CHECK_EQ(start_vcpu1(second, &word), 0);
    for (u64 end = system_time() + 5000000000UL; !seen_by_vcpu1 && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    CHECK_EQ(seen_by_vcpu1, 7);
}

static void refused(UNUSED void *page)
{
    static struct xen_domctl op = { .cmd = XEN_DOMCTL_pausedomain, .interface_version = XEN_DOMCTL_INTERFACE_VERSION };
    CHECK_EQ(HC(domctl, &op), -EPERM);
}

TEST(no_rights) { domu_run(refused); }

static void fault(UNUSED void *page)
{
    HC(set_trap_table, 0);
    *(volatile u64 *)0x1000 = 1;
}

TEST(its_crash_is_seen)
{
    static struct domu d;
    CHECK_EQ(domu_create(&d, fault), 0);
    domu_start(&d);
    CHECK_EQ(domu_wait(&d), SHUTDOWN_crash);
    domu_destroy(&d);
}

static void wrong(UNUSED void *page) { CHECK_EQ(prepared, 12345); }

/* A failed check in a domU counts; here it must. */
TEST(its_failures_count)
{
    unsigned before = failed_checks;
    domu_run(wrong);
    CHECK_EQ(failed_checks, before + 1);
    failed_checks = before;
}

TEST(leaves_nothing)
{
    domu_run(refused);
    u64 before = free_pages();
    for (unsigned i = 0; i < 5; i++) {
        domu_run(refused);
        for (u64 end = system_time() + 2000000000UL; free_pages() < before && system_time() < end;) {
            HC(sched_op, SCHEDOP_yield, 0);
        }
        CHECK(free_pages() >= before);
    }
}
