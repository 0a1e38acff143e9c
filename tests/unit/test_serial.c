// links: hv/drivers/ns16550.c
// SPDX-License-Identifier: MIT
/* com1= and com2=. */
#include "unit.h"
#include "console.h"
#include "arch.h"
#include "x86/machine.h"

void printk_init(void) { }
void printk_replay(void) { }
void console_receive(char c) { (void)c; }
void console_ready(void) { }
void irq_set_handler(u8 vector, void (*fn)(void)) { (void)vector; (void)fn; }
int irq_bind_gsi(u32 gsi, u8 vector) { (void)gsi; (void)vector; return 0; }
u32 isa_irq_to_gsi(u8 irq) { return irq; }
void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu) { (void)t; (void)fn; (void)data; (void)cpu; }
void timer_set(struct timer *t, s_time_t expires) { (void)t; (void)expires; }
s_time_t now(void) { return 0; }

static const struct uart_config standard = {
    .baud = 115200, .clock = 1843200, .data = 8, .stop = 1, .parity = 'n', .base = 0x3f8, .irq = 4,
};

TEST(accepted)
{
    struct uart_config c = standard;
    CHECK(uart_parse("", &c));
    CHECK(!memcmp(&c, &standard, sizeof(c)));
    CHECK(uart_parse("9600,7e2", &c));
    CHECK_EQ(c.baud, 9600);
    CHECK_EQ(c.data, 7);
    CHECK_EQ(c.parity, 'e');
    CHECK_EQ(c.stop, 2);
    c = standard;
    CHECK(uart_parse("38400/3686400,8n1,0x2f8,3", &c));
    CHECK_EQ(c.clock, 3686400);
    CHECK_EQ(c.base, 0x2f8);
    CHECK_EQ(c.irq, 3);
    c = standard;
    CHECK(uart_parse("auto", &c));
    CHECK_EQ(c.baud, 0);
    c = standard;
    CHECK(uart_parse("115200,,0xe000", &c));
    CHECK_EQ(c.base, 0xe000);
    CHECK(uart_parse("115200,8n1,,5", &c));
    CHECK_EQ(c.irq, 5);
    CHECK_EQ(c.base, 0xe000);
    CHECK(uart_parse(",,0x3f8,", &c));
    CHECK_EQ(c.base, 0x3f8);
    CHECK_EQ(c.irq, 5);
}

TEST(refused)
{
    static const char *const bad[] = {
        "x", "0", "115200,9n1", "115200,8", "115200,8n", "115200,8x1", "115200,8n3", "115200/",
        "115200,8n1,0", "115200,8n1,,16", "115200,,,,", "115200,8n1,0x10000", "115200,8n1,0x3f8,16", "115200,8n1,0x3f8,4,",
        "115200,8n1,0x3f8,4,x", "99999999999", "115200 8n1", "115200,8n1,zzz",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct uart_config c = standard;
        bool ok = uart_parse(bad[i], &c);
        if (ok) {
            printf("accepted: %s\n", bad[i]);
        }
        CHECK(!ok);
        CHECK(!memcmp(&c, &standard, sizeof(c)));
    }
}
