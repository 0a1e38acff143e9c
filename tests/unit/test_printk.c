// links: hv/core/printk.c hv/core/options.c
// SPDX-License-Identifier: MIT
/* The log: prefixes, levels, rate limits, the ring. */
#include "unit.h"
#include "arch.h"
#include "console.h"
#include "options.h"

static char wire[1 << 20];
static size_t wire_len;
static bool present = true, is_ready;
static s_time_t clock_now = 1;

u16 uart_port(void) { return present ? 0x3f8 : 0; }
void uart_putc(char c) { if (wire_len < sizeof(wire) - 1) { wire[wire_len++] = c; wire[wire_len] = 0; } }
bool console_is_ready(void) { return is_ready; }
s_time_t now(void) { return clock_now; }
void lock_check_acquire(spinlock_t *l, bool pair) { (void)l; (void)pair; }
void lock_check_release(spinlock_t *l) { (void)l; }

static void start(const char *cmdline)
{
    wire_len = 0;
    wire[0] = 0;
    is_ready = true;
    clock_now += 1000000000000L;
    options_parse(cmdline);
    printk_init();
    char buf[256];
    u32 index = conring_start();
    while (conring_read(&index, buf, sizeof(buf))) {
    }
    conring_clear(index);
    conring_news();
}

static unsigned count(const char *what)
{
    unsigned n = 0;
    for (const char *p = wire; (p = strstr(p, what)) != NULL; p++) {
        n++;
    }
    return n;
}

TEST(prefix_of_each_line)
{
    start("loglvl=all guest_loglvl=all");
    printk(LOG_INFO, "one\ntwo\n");
    CHECK_STR(wire, "(BH) one\r\n(BH) two\r\n");
    wire_len = 0;
    printk(LOG_INFO, "three\n\nand more");
    CHECK_STR(wire, "(BH) three\r\n(BH) \r\n(BH) and more\r\n");
    wire_len = 0;
    console_put("login: ", 7, false);
    printk(LOG_INFO, "x\n");
    CHECK_STR(wire, "login: \r\n(BH) x\r\n");
    wire_len = 0;
    struct domain d = { .id = 5 };
    gprintk(&d, LOG_ERR, "bad\n");
    console_guest_line(&d, "hello");
    CHECK_STR(wire, "(BH) d5: bad\r\n(d5) hello\r\n");
}

TEST(levels)
{
    start("loglvl=warning guest_loglvl=none");
    struct domain d = { .id = 1 };
    printk(LOG_ERR, "e\n");
    printk(LOG_WARN, "w\n");
    printk(LOG_INFO, "i\n");
    gprintk(&d, LOG_ERR, "g\n");
    CHECK_STR(wire, "(BH) e\r\n(BH) w\r\n");
    wire_len = 0;
    printk_verbose(true);
    printk(LOG_DEBUG, "d\n");
    printk_verbose(false);
    printk(LOG_DEBUG, "d\n");
    CHECK_STR(wire, "(BH) d\r\n");
    start("loglvl=nonsense");       /* named, and the old one stays */
    CHECK_EQ(count("nonsense"), 1);
}

TEST(rate_limit)
{
    start("loglvl=all guest_loglvl=none/warning");
    struct domain a = { .id = 1 }, b = { .id = 2 };
    for (unsigned i = 0; i < 1000; i++) {
        gprintk(&a, LOG_WARN, "noise\n");
    }
    CHECK_EQ(count("noise"), 10);
    gprintk(&a, LOG_INFO, "never\n");
    CHECK_EQ(count("never"), 0);
    gprintk(&b, LOG_WARN, "other\n");           /* one cannot silence another */
    CHECK_EQ(count("other"), 1);
    clock_now += 600000000;                     /* one more line may be written */
    gprintk(&a, LOG_WARN, "noise\n");
    gprintk(&a, LOG_WARN, "noise\n");
    CHECK_EQ(count("noise"), 11);
    CHECK_EQ(count("990 lines suppressed"), 1);
}

TEST(ring)
{
    char buf[256], line[64];
    start("loglvl=all conring_size=16k");
    u32 index = conring_start(), from = index;
    printk(LOG_INFO, "abc\n");
    u32 n = conring_read(&index, buf, sizeof(buf));
    CHECK_EQ(n, 9);
    CHECK(!memcmp(buf, "(BH) abc\n", 9));
    CHECK_EQ(index, from + 9);
    CHECK_EQ(conring_read(&index, buf, sizeof(buf)), 0);
    CHECK(conring_news());
    CHECK(!conring_news());
    index += 1000;                              /* not written yet: nothing, and back to the end */
    CHECK_EQ(conring_read(&index, buf, sizeof(buf)), 0);
    CHECK_EQ(index, from + 9);
    index = from;
    conring_clear(from + 4);
    CHECK_EQ(conring_read(&index, buf, sizeof(buf)), 5);
    CHECK(!memcmp(buf, " abc\n", 5));
    conring_clear(from + 100000);               /* outside: ignored */
    index = conring_start();
    CHECK_EQ(conring_read(&index, buf, sizeof(buf)), 5);

    for (unsigned i = 0; i < 20000; i++) {      /* round and round; old positions jump to the oldest */
        printk(LOG_INFO, "%06u\n", i);
    }
    index = from;
    unsigned total = 0;
    while ((n = conring_read(&index, buf, sizeof(buf))) != 0) {
        total += n;
    }
    CHECK(total >= 16384 && total <= 128u << 10 && (total & (total - 1)) == 0);
    index -= 12;
    CHECK_EQ(conring_read(&index, line, 12), 12);
    CHECK(!memcmp(line, "(BH) 019999\n", 12));
}

TEST(ring_grows_with_its_content)
{
    char buf[32];
    start("loglvl=all");
    u32 index = conring_start();
    printk(LOG_INFO, "kept?\n");
    options_parse("conring_size=128k");
    printk_init();
    u32 n = conring_read(&index, buf, sizeof(buf));
    CHECK(n == 0 || n >= 11);       /* all of it, or (after a wrap) nothing: never garbage */
    for (unsigned i = 0; i < 30000; i++) {
        printk(LOG_INFO, "%06u\n", i);
    }
    index = conring_start();
    unsigned total = 0;
    while ((n = conring_read(&index, buf, sizeof(buf))) != 0) {
        total += n;
    }
    CHECK_EQ(total, 128 << 10);
}

TEST(nested_and_busted)
{
    start("loglvl=error");
    bool taken = console_lock_take();
    CHECK(taken);
    CHECK(!console_lock_take());    /* an NMI on this CPU prints without it */
    printk(LOG_ERR, "nested\n");
    console_lock_release(taken);
    CHECK_EQ(count("nested"), 1);
}
