// links:
// SPDX-License-Identifier: MIT
/* Serial input and console_io: the switch, queues that are full, guests with and without the right. */
#include "unit.h"
#include "../../hv/core/console.c"

static char shown[4096], keys[64], guest_lines[512];
static unsigned virqs, ring_virqs, preempts;
static bool news, bad_address;
static void (*deferred)(void);

bool console_lock_take(void) { return true; }
void console_lock_release(bool taken) { CHECK(taken); }
void console_put(const char *s, size_t n, bool ring) { (void)ring; strncat(shown, s, n); }
void console_guest_line(struct domain *d, const char *s) { CHECK_EQ(d->id, 3); strcat(strcat(guest_lines, s), "|"); }
void printk_verbose(bool on) { (void)on; }
bool conring_news(void) { return news; }
u16 uart_port(void) { return 0x3f8; }
bool keyhandler_queue(const char *key, u32 n, u32 *ticket)
{
    strncat(keys, key, n);
    *ticket = 0;
    return true;
}
void softirq_register(enum softirq nr, void (*fn)(void)) { CHECK_EQ(nr, SOFTIRQ_TASKLET); deferred = fn; }
void virq_global(u32 virq) { virqs += virq == VIRQ_CONSOLE; ring_virqs += virq == VIRQ_CON_RING; }
bool hypercall_preempt(struct vcpu *v) { (void)v; return preempts && preempts--; }

static int copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    (void)v;
    return src < 4096 ? -EFAULT : (memcpy(dst, (void *)src, n), 0);
}
static int copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    (void)v;
    return dst < 4096 || bad_address ? -EFAULT : (memcpy((void *)dst, src, n), 0);
}
static const struct guest_ops ops = { .copy_from = copy_from, .copy_to = copy_to };
static struct domain dom = { .id = 3, .ops = &ops };
static struct vcpu vcpu = { .domain = &dom };

static void start(u32 rights)
{
    memset(&dom0_input, 0, sizeof(dom0_input));
    memset(&own_input, 0, sizeof(own_input));
    memset(shown, 0, sizeof(shown));
    memset(keys, 0, sizeof(keys));
    memset(guest_lines, 0, sizeof(guest_lines));
    cpus[0].softirq = 0;
    virqs = ring_virqs = preempts = switch_count = 0;
    input_is_ours = news = bad_address = false;
    opt_guest_console = false;
    dom.rights = rights;
    console_ready();
}

static void type(const char *s) { for (; *s; s++) console_receive(*s); }
static long io(u32 cmd, u64 n, const void *at)
{
    unsigned long a[6] = { cmd, n, (unsigned long)at };
    long rc;
    do {
        rc = do_console_io(&vcpu, a);
    } while (rc == -ERESTART);
    return rc;
}

TEST(the_switch)
{
    char buf[64] = "";
    start(RIGHT_CONSOLE);
    type("ab\x01\x01g\x01\x01\x01qA \n\x01\x01\x01z");
    CHECK_EQ(cpus[0].softirq, 1u << SOFTIRQ_TASKLET);
    deferred();
    CHECK_STR(keys, "qA");                      /* blanks and below are no keys */
    CHECK_EQ(virqs, 1);
    CHECK_EQ(io(CONSOLEIO_read, sizeof(buf), buf), 8);
    CHECK(!memcmp(buf, "ab\x01\x01g\x01\x01z", 8));
    CHECK_EQ(io(CONSOLEIO_read, sizeof(buf), buf), 0);
    news = true;
    deferred();
    CHECK_EQ(virqs, 1);
    CHECK_EQ(ring_virqs, 1);
}

TEST(full_queue_and_its_edge)
{
    static char buf[2 * QUEUE_SIZE];
    start(RIGHT_CONSOLE);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < QUEUE_SIZE + 100; i++) {
            console_receive((char)('a' + i % 26));
        }
        CHECK_EQ(io(CONSOLEIO_read, 10, buf), 10);
        CHECK_EQ(io(CONSOLEIO_read, sizeof(buf), buf + 10), QUEUE_SIZE - 10);
        for (unsigned i = 0; i < QUEUE_SIZE; i++) {
            CHECK_EQ(buf[i], (char)('a' + i % 26));
        }
    }
}

TEST(what_cannot_be_stored_stays)
{
    char buf[40] = "";
    start(RIGHT_CONSOLE);
    type("twenty characters...");
    CHECK_EQ(io(CONSOLEIO_read, 20, (void *)16), -EFAULT);
    bad_address = true;
    CHECK_EQ(io(CONSOLEIO_read, 20, buf), -EFAULT);
    bad_address = false;
    CHECK_EQ(io(CONSOLEIO_read, 40, buf), 20);
    CHECK_STR(buf, "twenty characters...");
}

TEST(writing)
{
    start(RIGHT_CONSOLE);
    preempts = 3;
    CHECK_EQ(io(CONSOLEIO_write, 70, "A text that is longer than sixteen characters, with\nmore than one line"), 0);
    CHECK_STR(shown, "A text that is longer than sixteen characters, with\nmore than one line");
    CHECK_EQ(preempts, 0);
    CHECK_EQ(io(CONSOLEIO_write, 10, (void *)16), -EFAULT);
    CHECK_EQ(io(CONSOLEIO_write, 0x80000000UL, shown), -E2BIG);
    CHECK_EQ(io(CONSOLEIO_write, 1UL << 40, shown), 0);         /* its low half counts */
    CHECK_EQ(io(7, 1, shown), -ENOSYS);
}

TEST(a_guest_without_the_right)
{
    start(0);
    CHECK_EQ(io(CONSOLEIO_write, 3, "abc"), -EPERM);
    CHECK_EQ(io(CONSOLEIO_read, 3, shown), -EPERM);
    opt_guest_console = true;
    CHECK_EQ(io(CONSOLEIO_write, 16, "one\x1b[2J\n\n\x01two\n3"), 0);
    CHECK_STR(guest_lines, "one[2J|two|3|");                    /* no control characters get through */
    CHECK_EQ(shown[0], 0);
}

TEST(end_of_boot) { start(0); console_endboot(); CHECK(console_is_ready()); }
