/* SPDX-License-Identifier: MIT */
/*
 * The log: levels, prefixes, rate limits, and the ring that `xl dmesg` reads. Owns
 * the ring and the state of the output line; console_lock guards both and the UART.
 * It is the last lock of all, so printk may be called with any others held.
 */
#include "arch.h"
#include "console.h"
#include "options.h"

#define RING_MIN  (16u << 10)
#define RING_MAX  (128u << 10)
#define LINE_MAX  768           /* longest single printk; lies on the stack, also on an NMI's */
#define BURST     10            /* lines that a limited source may write ... */
#define REFILL    500000000L    /* ... then one each half second */

#ifdef DEBUG
static char opt_loglvl[32] = "all", opt_guest_loglvl[32] = "all";
#else
static char opt_loglvl[32] = "info", opt_guest_loglvl[32] = "none/warning";
#endif
OPTION_STR(opt_loglvl, "loglvl", "none|error|warning|info|debug|all[/level shown rate-limited]");
OPTION_STR(opt_guest_loglvl, "guest_loglvl", "as loglvl, for lines about guests");
static u32 opt_conring_size = 64u << 10;
OPTION_INT(opt_conring_size, "conring_size", "size of the console ring, 16k to 128k");

/* How many levels are shown always, and how many at a limited rate. */
static struct threshold { u8 always, limited; } host_levels = { 4, 4 }, guest_levels = { 4, 4 };

/* The guests' by domain id: one cannot silence another. */
static struct limiter { s_time_t last; u32 credit, missed; } host_limiter, guest_limiters[16];
static struct limiter *limiter_of(struct domain *d) { return &guest_limiters[d->id % 16]; }

static spinlock_t console_lock = SPINLOCK_INIT(LOCK_CONSOLE);
static struct cpu_top *lock_owner;
static bool lock_busted;
static u32 verbose;                 /* atomic count */

static char ring[RING_MAX];
static u32 ring_mask = RING_MIN - 1;
static u32 ring_first, ring_end;    /* positions run on and wrap at 2^32 */
static u32 ring_told;               /* ring_end as conring_news saw it last */
static char uart_last = '\n';        /* what the UART sent last */

bool console_lock_take(void)
{
    if (lock_busted || READ_ONCE(lock_owner) == cpu_top())
        return false;
    spin_lock(&console_lock);
    lock_owner = cpu_top();
    return true;
}

void console_lock_release(bool taken)
{
    if (taken) {
        lock_owner = NULL;
        spin_unlock(&console_lock);
    }
}

void printk_bust_lock(void) { lock_busted = true; }

void printk_verbose(bool on) { __atomic_add_fetch(&verbose, on ? 1u : -1u, __ATOMIC_RELAXED); }

/* --- the ring --- */

static void ring_put(char c)
{
    ring[ring_end++ & ring_mask] = c;
    if (ring_end - ring_first > ring_mask + 1)
        ring_first = ring_end - (ring_mask + 1);
}

u32 conring_start(void) { return READ_ONCE(ring_first); }

u32 conring_read(u32 *index, char *buf, u32 n)
{
    bool taken = console_lock_take();
    u32 i = *index, got = 0;
    /* Neither overwritten already nor not yet written: that would start anew. */
    if (ring_end - i > ring_end - ring_first)
        i = (int)(i - ring_end) > 0 ? ring_end : ring_first;
    while (got < n && i != ring_end) {
        u32 at = i & ring_mask, some = MIN(MIN(n - got, ring_end - i), ring_mask + 1 - at);
        memcpy(buf + got, ring + at, some);
        got += some;
        i += some;
    }
    *index = i;
    console_lock_release(taken);
    return got;
}

void conring_clear(u32 index)
{
    bool taken = console_lock_take();
    if (ring_end - index <= ring_end - ring_first)
        ring_first = index;
    console_lock_release(taken);
}

bool conring_news(void)
{
    u32 end = READ_ONCE(ring_end);
    return __atomic_exchange_n(&ring_told, end, __ATOMIC_RELAXED) != end;
}

/* --- output --- */

static void uart_text(char c)
{
    if (c == '\n' && uart_last != '\r')
        uart_putc('\r');
    uart_putc(c);
    uart_last = c;
}

void console_put(const char *s, size_t n, bool to_ring)
{
    bool uart = uart_port();
    for (size_t i = 0; i < n; i++) {
        if (to_ring && s[i] != '\0')
            ring_put(s[i]);
        if (uart)
            uart_text(s[i]);
    }
}

void printk_replay(void)
{
    for (u32 i = ring_first; i != ring_end; i++)
        uart_text(ring[i & ring_mask]);
}

/* Each line with its prefix, and at the left margin whatever dom0 has left there. */
static void log_lines(const char *prefix, const char *s)
{
    bool taken = console_lock_take();
    while (*s != '\0') {
        const char *end = strchr(s, '\n');
        size_t n = end ? (size_t)(end - s) : strlen(s);
        if (uart_last != '\n')
            console_put("\n", 1, false);
        console_put(prefix, strlen(prefix), true);
        console_put(s, n, true);
        console_put("\n", 1, true);
        s += n + (end != NULL);
    }
    console_lock_release(taken);
    if (console_is_ready() && !lock_busted)
        softirq_raise(SOFTIRQ_TASKLET);     /* VIRQ_CON_RING */
}

/* May a limited source write a line now? Not exact when CPUs race: no harm. */
static bool limiter_allows(struct limiter *l)
{
    s_time_t t = console_is_ready() ? now() : 0;
    s64 refill = (t - l->last) / REFILL;
    if (l->last == 0 || refill >= BURST) {
        l->credit = BURST;
        l->last = t;
    } else if (refill > 0) {
        l->credit = MIN(l->credit + (u32)refill, (u32)BURST);
        l->last += refill * REFILL;
    }
    if (l->credit == 0) {
        l->missed++;
        return false;
    }
    l->credit--;
    return true;
}

static void vlog(const char *prefix, enum loglevel level, const struct threshold *t,
                 struct limiter *l, const char *fmt, va_list ap)
{
    char buf[LINE_MAX];

    if (level >= t->always && !lock_busted && !READ_ONCE(verbose)) {
        if (level >= t->limited || !limiter_allows(l))
            return;
        if (l->missed) {
            snprintf(buf, sizeof(buf), "%u lines suppressed\n", l->missed);
            l->missed = 0;
            log_lines(prefix, buf);
        }
    }
    vsnprintf(buf, sizeof(buf), fmt, ap);
    log_lines(prefix, buf);
}

void printk(enum loglevel level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog("(BH) ", level, &host_levels, &host_limiter, fmt, ap);
    va_end(ap);
}

void gprintk(struct domain *d, enum loglevel level, const char *fmt, ...)
{
    char prefix[16];
    va_list ap;
    va_start(ap, fmt);
    snprintf(prefix, sizeof(prefix), "(BH) d%u: ", d->id);
    vlog(prefix, level, &guest_levels, limiter_of(d), fmt, ap);
    va_end(ap);
}

void console_guest_line(struct domain *d, const char *s)
{
    char prefix[16];
    if (!limiter_allows(limiter_of(d)))
        return;
    snprintf(prefix, sizeof(prefix), "(d%u) ", d->id);
    log_lines(prefix, s);
}

/* --- settings --- */

/* Number of levels shown by a name of n characters; -1: no such name. */
static int level_of(const char *s, size_t n)
{
    static const char *const names[] = { "none", "error", "warning", "info", "debug", "all" };
    for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
        if (word_is(names[i], s, n))
            return MIN(i, 4);
    }
    return -1;
}

static int set_threshold(struct threshold *t, const char *s)
{
    const char *slash = strchr(s, '/');
    int always = level_of(s, slash ? (size_t)(slash - s) : strlen(s));
    int limited = slash ? level_of(slash + 1, strlen(slash + 1)) : always;
    if (always < 0 || limited < 0) {
        printk(LOG_WARN, "console: \"%s\" is no log level\n", s);
        return -EINVAL;
    }
    t->always = (u8)always;
    t->limited = (u8)MAX(always, limited);
    return 0;
}

const char *printk_levels(bool guests)
{
    return guests ? opt_guest_loglvl : opt_loglvl;
}

int printk_set_levels(bool guests, const char *text)
{
    int err = set_threshold(guests ? &guest_levels : &host_levels, text);
    if (!err)
        strlcpy(guests ? opt_guest_loglvl : opt_loglvl, text, sizeof(opt_loglvl));
    return err;
}

void printk_init(void)
{
    set_threshold(&host_levels, opt_loglvl);
    set_threshold(&guest_levels, opt_guest_loglvl);
    u32 n = RING_MIN;
    while (n < opt_conring_size && n < RING_MAX)
        n *= 2;
    /* What has been written stays in its place as long as it has not wrapped. */
    if (n - 1 > ring_mask) {
        if (ring_end > ring_mask)
            ring_first = ring_end;
        ring_mask = n - 1;
    }
}
