// links:
// SPDX-License-Identifier: MIT
/* Debug keys in pieces: what is printed, in which order, when others have their turn. */
#define printk silent_printk
#include "unit.h"
#undef printk
static void say(const char *fmt, ...) PRINTF(1, 2);
#define printk(level, ...) say(__VA_ARGS__)
#include "console.h"
#include "trace.h"
#include "../../hv/core/keyhandler.c"

static char said[8192];
static s_time_t clock_ns, set_to;
static struct timer *set;
static unsigned verbose_now, audit_steps;

static void say(const char *fmt, ...)
{
    size_t n = strlen(said);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(said + n, sizeof(said) - n, fmt, ap);
    va_end(ap);
    CHECK(verbose_now);
    clock_ns += 5000;
}

s_time_t now(void) { return clock_ns; }
void timer_set(struct timer *t, s_time_t when) { set = t; set_to = when; }
bool console_lock_take(void) { return true; }
void console_lock_release(bool taken) { CHECK(taken); }
void printk_verbose(bool on) { verbose_now += on ? 1u : -1u; }
u64 audit_frames(u64 at)
{
    clock_ns += 15000;
    return ++audit_steps % 10 ? at + 1 : 0;
}
static struct vcpu_info info;
static struct vcpu vcpus[2] = { { .id = 0, .info = &info }, { .id = 1, .info = &info } };
static struct vcpu *slots[3] = { &vcpus[0], NULL, &vcpus[1] };
static struct domain doms[2] = { { .id = 0, .max_vcpus = 3, .vcpu = slots }, { .id = 5 } };
u64 domains_step(u32 (*fn)(struct domain *d, u32 i), u64 at)
{
    if (at >> 32 > 1)
        return 0;
    u32 next = fn(&doms[at >> 32], (u32)at);
    return next ? at >> 32 << 32 | next : (at >> 32) + 1 << 32;
}
u32 evtchn_dump(struct domain *d, u32 port) { say("e%u.%u\n", d->id, port); return 0; }
u32 grant_dump(struct domain *d, u32 ref) { say("g%u.%u\n", d->id, ref); return 0; }
u64 trace_dump(u32 n, u64 at) { say("T%u.%lu\n", n, (unsigned long)at); return 0; }
u64 sched_dump(u64 cpu) { say("r%lu\n", (unsigned long)cpu); return (cpu + 1) % 3; }
u64 dump_cpus(u64 cpu) { say("d%lu\n", (unsigned long)cpu); return 0; }
u64 irq_dump(u64 vector) { say("i%lu\n", (unsigned long)vector); return 0; }
u64 total_page_count(void) { return 512; }
u64 free_page_count(void) { return 256; }
u64 wallclock_sec(void) { return 77; }
u64 cpu_khz(void) { return 1000; }
NORETURN void arch_machine_restart(void) { panic("restart"); }

static u32 press(const char *text)
{
    u32 ticket = 0;
    said[0] = '\0';
    CHECK(keyhandler_queue(text, (u32)strlen(text), &ticket));
    CHECK_EQ(set_to, clock_ns);
    return ticket;
}

static unsigned pieces(u32 ticket)
{
    unsigned n = 0;
    for (; !keyhandler_done(ticket); n++) {
        s_time_t start = clock_ns;
        CHECK(set && set_to >= clock_ns);
        struct timer *t = set;
        clock_ns = set_to;
        set = NULL;
        t->fn(t->data);
        CHECK(clock_ns - start < 3 * PIECE);
    }
    CHECK(!set);
    return n;
}

TEST(what_they_print)
{
    pieces(press("mt"));
    CHECK_STR(said, "'m' pressed: memory\nmemory: 512 pages, 256 free (1 MiB of 2 MiB)\n"
                    "'t' pressed: time\ntime: 15000 ns since start, wall clock 77 s, 1000 kHz\n");
    pieces(press("\x01\xff"));
    CHECK_STR(said, "no debug key 0x1: 'h' lists them\nno debug key 0xff: 'h' lists them\n");
    pieces(press("rdiegT"));
    CHECK(strstr(said, "run queues\nr0\nr1\nr2\n'd' pressed: registers of what runs on each CPU\nd0\n'i'"));
    CHECK(strstr(said, "i0\n'e' pressed: event channels\ne0.0\ne5.0\n'g' pressed: grant tables\ng0.0\ng5.0\n'T'"));
    pieces(press("h"));
    CHECK(strstr(said, " key 'A': audit of all frames\n key 'C': crash Bulkhead\n"));
    pieces(press("q"));
    CHECK(strstr(said, "domain 0: ") < strstr(said, "  vcpu 0: ") && strstr(said, "  vcpu 1: ") < strstr(said, "domain 5: "));
}

TEST(others_have_their_turn)
{
    CHECK(pieces(press("AhA")) > 10);
    CHECK_EQ(audit_steps, 20);
    CHECK_EQ(verbose_now, 0);
    u32 ticket = press("m");
    struct timer *late = set;
    pieces(ticket);
    said[0] = '\0';
    late->fn(late->data);               /* set once more than there was to do */
    CHECK_STR(said, "");
}

TEST(no_room)
{
    char many[QUEUE_SIZE];
    u32 ticket, first;
    memset(many, 't', sizeof(many));
    CHECK(keyhandler_queue(many, QUEUE_SIZE - 1, &first));
    CHECK(!keyhandler_queue(many, 2, &ticket));
    CHECK(keyhandler_queue(many, 1, &ticket));
    CHECK_EQ(ticket, first + 1);
    CHECK(!keyhandler_queue(many, 1, &ticket));
    CHECK(keyhandler_queue(many, 0, &ticket));
    CHECK(!keyhandler_done(first));
    pieces(ticket);
    CHECK(keyhandler_done(first));
}

TEST(ends)
{
    press("C");
    CHECK_PANICS(set->fn(set->data));
    queue.tail = queue.head;
    press("R");
    CHECK_PANICS(set->fn(set->data));
}
