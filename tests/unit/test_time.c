// SPDX-License-Identifier: MIT
/* Time: the scale for any frequency, the calendar, guests' records and the wall clock. */
#include "unit.h"
#include "../../hv/x86/time.c"

struct acpi_info acpi;
struct cpu_features cpu_has;
static struct domain dom;
static struct shared_info shared;

void *map_physical(paddr_t pa, size_t len, u64 flags) { (void)pa; (void)len; (void)flags; return NULL; }
void apic_timer_measure_start(void) {}
u32 apic_timer_measure_count(void) { return 0; }
void apic_timer_set_hz(u64 hz) { (void)hz; }
void lock_check_acquire(spinlock_t *l, bool pair) { (void)l; (void)pair; }
void lock_check_release(spinlock_t *l) { (void)l; }
struct domain *domain_get_from(domid_t id) { return id == 0 ? &dom : NULL; }
struct domain *domain_get_next(struct domain *d) { (void)d; return NULL; }

/* The guest's memory for its time record: the version must be odd while it changes. */
static struct vcpu_time_info guest_record;
static unsigned guest_writes;
static bool guest_faults;
static int copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    (void)v;
    if (guest_faults) {
        return -EFAULT;
    }
    CHECK_EQ(dst, 0x1000);
    memcpy(&guest_record, src, n);
    if (++guest_writes % 3) {
        CHECK(guest_record.version & 1);
    } else {
        CHECK(!(guest_record.version & 1));
    }
    return 0;
}
static const struct guest_ops ops = { .copy_to = copy_to };

TEST(scale)
{
    static const u64 hz[] = { 1000000, 33333333, 999999999, 1000000000, 1000000001, 1999999999, 2000000000,
                              2000000001, 2596150000, 3999999999, 5000000000, 9999999999 };
    for (unsigned i = 0; i < ARRAY_SIZE(hz); i++) {
        set_frequency(hz[i]);
        for (u64 s = 1; s < 1000000; s *= 10) {
            u64 ns = ticks_to_ns(hz[i] * s), want = s * NS_PER_SEC;
            u64 off = ns > want ? ns - want : want - ns;
            CHECK(off <= want / 100000000 + 10);
        }
        CHECK_EQ(cpu_khz(), hz[i] / 1000);
    }
}

TEST(calendar)
{
    for (u64 day = 0; day < 200000; day += 13) {
        /* civil date from days, by counting */
        u64 left = day;
        u32 y = 1970, m = 1;
        static const u8 len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        for (;; y++) {
            u32 n = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 366 : 365;
            if (left < n) {
                break;
            }
            left -= n;
        }
        for (;; m++) {
            u32 n = len[m - 1] + (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
            if (left < n) {
                break;
            }
            left -= n;
        }
        CHECK_EQ(days_since_epoch(y, m, (u32)left + 1), day);
    }
}

TEST(wall_clock)
{
    dom.shared_info = &shared;
    dom.time_offset = -3600;
    shared.wc_version = 6;
    wallclock_set(1800000000, 500, 400);
    CHECK_EQ(shared.wc_version, 8);
    CHECK_EQ(shared.wc_sec, 1800000000 - 3600);
    CHECK_EQ(shared.wc_sec_hi, 0);
    CHECK_EQ(shared.wc_nsec, 100);
    shared.wc_version = 0xffffffff;                 /* whatever the guest wrote there */
    wallclock_set(1ULL << 33, 0, 0);
    CHECK_EQ(shared.wc_version, 0);
    CHECK_EQ(shared.wc_sec_hi, 1);
    /* what cannot be is ignored */
    wallclock_set(1ULL << 34, 0, 0);
    wallclock_set(5, 1000000000, 0);
    wallclock_set(5, 0, -1);
    wallclock_set(5, 0, 6000000000);
    wallclock_set(~0ULL, ~0u, (s_time_t)(1ULL << 63));
    CHECK_EQ(shared.wc_version, 0);
}

TEST(guest_record)
{
    static struct x86_vcpu x;
    static struct vcpu_info info, moved;
    dom.ops = &ops;
    x.v.domain = &dom;
    x.v.info = &info;
    test_cpu_top.curr = &x.v;
    set_frequency(2000000000);
    tsc_base_of[0] = 1000;
    vcpu_time_update(&x.v);
    CHECK(info.time.version && !(info.time.version & 1));
    CHECK_EQ(info.time.tsc_timestamp, 1000);
    CHECK_EQ(info.time.tsc_to_system_mul, tsc_mul);
    u32 version = info.time.version;
    vcpu_time_update(&x.v);
    CHECK_EQ(info.time.version, version);           /* nothing new */
    x.v.info = &moved;
    vcpu_time_update(&x.v);
    CHECK_EQ(moved.time.tsc_timestamp, 1000);
    x.v.time_guest = 0x1000;
    guest_faults = true;
    vcpu_time_update(&x.v);
    guest_faults = false;
    vcpu_time_update(&x.v);                         /* tried again */
    CHECK_EQ(guest_writes, 3);
    CHECK_EQ(guest_record.tsc_timestamp, 1000);
    vcpu_time_update(&x.v);
    CHECK_EQ(guest_writes, 3);
    tsc_base_of[0] = 2000;                          /* as on another CPU */
    vcpu_time_update(&x.v);
    CHECK_EQ(moved.time.tsc_timestamp, 2000);
    CHECK_EQ(guest_record.tsc_timestamp, 2000);
}
