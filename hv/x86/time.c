// SPDX-License-Identifier: MIT
/*
 * Time. The TSC is the clock, measured once at start against HPET or PM timer;
 * system time is (TSC - base) scaled, by just the formula that the ABI gives to guests,
 * so a guest's clock and ours agree to the last bit and a guest's record never has to
 * be renewed. CPUs whose TSCs are out of step get an offset. The scale is constant after
 * start. time_lock (LOCK_TIME) guards the wall clock.
 */
#include "arch.h"
#include "guest.h"
#include "x86/domain.h"
#include "x86/machine.h"

#define NS_PER_SEC      1000000000ULL
#define WINDOW_NS       5000000ULL      /* of the measurement: 5 ms, within about 50 ppm */
#define PM_HZ           3579545ULL

static u32 tsc_mul;                     /* ns = (ticks << shift) * mul >> 32; 0: not yet known */
static int8_t tsc_shift;
static u64 tsc_hz;
static u64 tsc_base_of[NR_CPUS];        /* system time 0 by the TSC of each CPU */
static bool tsc_stable;                 /* all TSCs are in step and never stop */

static spinlock_t time_lock = SPINLOCK_INIT(LOCK_TIME);
static u64 wall_base;                   /* Unix time in ns at system time 0 */

/* --- the clock --- */

static inline u64 ticks_to_ns(u64 ticks)
{
    ticks = tsc_shift < 0 ? ticks >> -tsc_shift : ticks << tsc_shift;
    return (u64)((unsigned __int128)ticks * tsc_mul >> 32);
}

s_time_t now(void)
{
    /* Another CPU's base may be a few ticks ahead of this one's first reading. */
    s64 ticks = (s64)(rdtsc() - tsc_base_of[cpu_id()]);
    return ticks > 0 ? (s_time_t)ticks_to_ns((u64)ticks) : 0;
}

u64 cpu_khz(void) { return tsc_hz / 1000; }

static void set_frequency(u64 hz)
{
    tsc_hz = hz;
    for (tsc_shift = 0; hz > 2 * NS_PER_SEC; tsc_shift--)
        hz >>= 1;
    for (; hz <= NS_PER_SEC; tsc_shift++)
        hz <<= 1;
    tsc_mul = (u32)((NS_PER_SEC << 32) / hz);
}

/* --- measuring the TSC --- */

/* Of each counter: its frequency once it runs (0: it cannot be used), and its value. */

static volatile u32 *hpet;

static u64 start_hpet(void)
{
    hpet = acpi.hpet_addr ? ioremap(acpi.hpet_addr, 0x400, PTE_CACHE_UC) : NULL;
    u32 period = hpet ? hpet[1] : 0;    /* femtoseconds */
    if (period < 100000 || period > 100000000)
        return 0;
    hpet[0x10 / 4] |= 1;                /* the counter runs */
    return 1000000000000000ULL / period;
}

static u32 read_hpet(void) { return hpet[0xf0 / 4]; }
static u32 read_pm(void) { return inl((u16)acpi.pm_timer_port); }

static u64 start_pm(void)
{
    u32 first = acpi.pm_timer_port ? read_pm() : 0;
    for (unsigned i = 0; acpi.pm_timer_port && i < 100; i++) {
        if (read_pm() != first)
            return PM_HZ;
    }
    return 0;
}

static const struct reference {
    const char *name;
    u32 mask;
    u64 (*start)(void);
    u32 (*read)(void);
} references[] = {                      /* the best first */
    { "HPET", ~0u, start_hpet, read_hpet },
    { "PM timer", 0xffffff, start_pm, read_pm },
};

/* Reads a counter and the TSC at one moment: of a few tries the least disturbed one
 * (by SMIs, by an emulator's host) counts. */
static u32 read_with_tsc(u32 (*read)(void), u64 *tsc)
{
    u64 best = ~0ULL;
    u32 value = 0;
    for (unsigned i = 0; i < 5; i++) {
        u64 before = rdtsc();
        u32 v = read();
        u64 took = rdtsc() - before;
        if (took < best) {
            best = took;
            value = v;
            *tsc = before + took / 2;
        }
    }
    return value;
}

/* Hz of the TSC, and of the LAPIC timer, by a counter that runs at `hz`. */
static u64 measure(const struct reference *r, u64 hz, u64 *apic_hz)
{
    u64 t0 = 0, t1 = 0, u0 = 0, u1 = 0, want = hz * WINDOW_NS / NS_PER_SEC;
    apic_timer_measure_start();
    u32 c0 = read_with_tsc(r->read, &t0);
    u32 a0 = read_with_tsc(apic_timer_measure_count, &u0);
    while (((r->read() - c0) & r->mask) < want)
        cpu_relax();
    u32 ticks = (read_with_tsc(r->read, &t1) - c0) & r->mask;
    u32 apic_ticks = read_with_tsc(apic_timer_measure_count, &u1) - a0;
    u64 tsc = (t1 - t0) * hz / ticks;
    *apic_hz = apic_ticks * tsc / (u1 - u0);
    return tsc;
}

/* Newer Intel CPUs say it: leaf 0x15. 0: not known. */
static u64 tsc_hz_by_cpuid(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    if (r[0] < 0x15 || !cpu_has.intel)
        return 0;
    cpuid(0x15, 0, r);
    return r[0] && r[1] && r[2] ? (u64)r[2] * r[1] / r[0] : 0;
}

static void find_frequency(void)
{
    const struct reference *r = references;
    u64 reference_hz, apic_hz;
    while (!(reference_hz = r->start())) {
        if (++r == references + ARRAY_SIZE(references))
            panic("time: neither an HPET nor ACPI's PM timer counts: Bulkhead needs one of them");
    }
    u64 hz = measure(r, reference_hz, &apic_hz), said = tsc_hz_by_cpuid();
    if (said && said - said / 100 < hz && hz < said + said / 100)
        hz = said;
    if (hz < 1000000)
        panic("time: the TSC does not run (%lu Hz by the %s)", hz, r->name);
    set_frequency(hz);
    apic_timer_set_hz(apic_hz);
    printk(LOG_INFO, "time: TSC runs at %lu kHz by the %s\n", hz / 1000, r->name);
}

/* --- the RTC --- */

static u8 rtc_read(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static void rtc_sample(u8 t[7])
{
    /* seconds, minutes, hours, day, month, year, century */
    static const u8 regs[7] = { 0, 2, 4, 7, 8, 9, 0x32 };
    for (unsigned i = 0; i < 2000 && (rtc_read(0x0a) & 0x80); i++)
        cpu_relax();                    /* an update is under way: at most 2 ms */
    for (unsigned i = 0; i < 7; i++)
        t[i] = rtc_read(regs[i]);
}

/* Days from 1970 to a day of the Gregorian calendar. The year is taken to begin in March,
 * so that the leap day is its last one. */
static u64 days_since_epoch(u32 y, u32 m, u32 d)
{
    if (m <= 2) {
        m += 12;
        y--;
    }
    return (u64)y * 365 + y / 4 - y / 100 + y / 400 + (153 * m - 457) / 5 + d - 719469;
}

/* Unix time; not waiting for a second's edge, which costs up to a second: half a
 * second is added instead, so that the error is at most that. */
static u64 rtc_unix_time(void)
{
    u8 a[7] = { 0 }, b[7];      /* 0: gcc's analyzer does not see that all are read */
    unsigned tries = 5;
    do {
        rtc_sample(a);
        rtc_sample(b);
    } while (memcmp(a, b, sizeof(a)) != 0 && --tries);
    u8 format = rtc_read(0x0b);
    bool h24 = format & 2, pm = a[2] & 0x80;
    a[2] &= 0x7f;
    for (unsigned i = 0; i < 7 && !(format & 4); i++)
        a[i] = (a[i] & 15) + (a[i] >> 4) * 10;              /* BCD */
    u32 hour = h24 ? a[2] : a[2] % 12 + (pm ? 12 : 0);
    u32 year = (a[6] >= 19 && a[6] <= 22 ? a[6] : a[5] < 70 ? 20 : 19) * 100 + a[5];
    if (a[0] > 59 || a[1] > 59 || hour > 23 || a[3] < 1 || a[3] > 31 || a[4] < 1 || a[4] > 12 ||
        year < 1970) {
        printk(LOG_WARN, "time: the RTC holds no valid time\n");
        return 0;
    }
    return days_since_epoch(year, a[4], a[3]) * 86400 + hour * 3600UL + a[1] * 60UL + a[0];
}

/* --- the wall clock --- */

u64 wallclock_sec(void) { return (READ_ONCE(wall_base) + (u64)now()) / NS_PER_SEC; }

void wallclock_to_guest(struct domain *d)
{
    struct shared_info *si = d->shared_info;
    with_lock (&time_lock) {
        u64 sec = wall_base / NS_PER_SEC + (u64)d->time_offset;
        u32 version = READ_ONCE(si->wc_version) | 1;
        WRITE_ONCE(si->wc_version, version);
        barrier();
        WRITE_ONCE(si->wc_sec, (u32)sec);
        WRITE_ONCE(si->wc_sec_hi, (u32)(sec >> 32));
        WRITE_ONCE(si->wc_nsec, (u32)(wall_base % NS_PER_SEC));
        barrier();
        WRITE_ONCE(si->wc_version, version + 1);
    }
}

void wallclock_set(u64 sec, u32 nsec, s_time_t at)
{
    if (sec >= 1ULL << 34 || nsec >= NS_PER_SEC || at < 0 || (u64)at > sec * NS_PER_SEC + nsec)
        return;                         /* a time before 1970 at start, or beyond our ns */
    with_lock (&time_lock)
        WRITE_ONCE(wall_base, sec * NS_PER_SEC + nsec - (u64)at);
    for (struct domain *d = domain_get_from(0); d; d = domain_get_next(d))
        wallclock_to_guest(d);
}

/* --- the guests' time records --- */

/* Readers on other CPUs see an odd version while the record changes. */
static void write_record(struct vcpu_time_info *t, struct vcpu_time_info src)
{
    src.version = READ_ONCE(t->version) | 1;
    WRITE_ONCE(t->version, src.version);
    barrier();
    *t = src;
    barrier();
    WRITE_ONCE(t->version, src.version + 1);
}

/* The same in the guest's own memory (VCPUOP_register_vcpu_time_memory_area). */
static bool write_guest_record(struct vcpu *v, struct vcpu_time_info *t)
{
    u64 to = v->time_guest;
    t->version--;
    if (guest_write(v, to, &t->version, sizeof(t->version)) || guest_write(v, to, t, sizeof(*t)))
        return false;
    t->version++;
    return guest_write(v, to, &t->version, sizeof(t->version)) == 0;
}

void vcpu_time_update(struct vcpu *v)
{
    struct x86_vcpu *x = xv(v);
    u64 base = tsc_base_of[cpu_id()];
    if (x->time_info == v->info && x->time_base == base && x->time_guest == v->time_guest)
        return;
    struct vcpu_time_info t = {
        .version = x->time_version += 2,
        .tsc_timestamp = base, .tsc_to_system_mul = tsc_mul, .tsc_shift = tsc_shift,
        .flags = tsc_stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0,
    };
    write_record(&v->info->time, t);
    x->time_info = v->info;
    if (v->time_guest && (v != current_vcpu() || !write_guest_record(v, &t)))
        return;                         /* not reachable now: again next time */
    x->time_guest = v->time_guest;
    x->time_base = base;
}

/* --- other CPUs --- */

static struct {
    u32 question ALIGNED(64);           /* counts up */
    u32 answered ALIGNED(64);           /* the question that tsc answers */
    u64 tsc;
} tsc_sync;

void time_sync_answer(void)
{
    u32 q = __atomic_load_n(&tsc_sync.question, __ATOMIC_ACQUIRE);
    if (q != tsc_sync.answered) {
        tsc_sync.tsc = rdtsc();
        __atomic_store_n(&tsc_sync.answered, q, __ATOMIC_RELEASE);
    }
}

/* Asks the boot CPU for its TSC a few times. In step means that each answer lies
 * between our own readings before and after. */
void time_init_cpu(void)
{
    u64 best = ~0ULL, offset = 0;
    bool in_step = true;
    for (unsigned i = 0; i < 16; i++) {
        u64 before = rdtsc();
        u32 q = tsc_sync.question + 1;
        __atomic_store_n(&tsc_sync.question, q, __ATOMIC_RELEASE);
        while (__atomic_load_n(&tsc_sync.answered, __ATOMIC_ACQUIRE) != q)
            cpu_relax();
        u64 theirs = tsc_sync.tsc, after = rdtsc();
        in_step &= before <= theirs && theirs <= after;
        if (after - before < best) {
            best = after - before;
            offset = before + best / 2 - theirs;
        }
    }
    tsc_base_of[cpu_id()] = tsc_base_of[0] + (in_step ? 0 : offset);
    if (!in_step && tsc_stable) {
        tsc_stable = false;
        printk(LOG_WARN, "time: CPU %u's TSC is %ld ticks off; guests are told not to trust it\n",
               cpu_id(), (s64)offset);
    }
}

void time_init(void)
{
    u32 r[4];
    find_frequency();
    u64 base = rdtsc();
    for (unsigned i = 0; i < NR_CPUS; i++)
        tsc_base_of[i] = base;
    cpuid(1, 0, r);
    tsc_stable = cpu_has.tsc_invariant || (r[2] >> 31);     /* an emulator's TSC never stops */
    u64 t = rtc_unix_time();
    wall_base = t * NS_PER_SEC + NS_PER_SEC / 2;
    printk(LOG_INFO, "time: RTC says %lu seconds since 1970\n", t);
}
