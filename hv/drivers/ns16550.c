/* SPDX-License-Identifier: MIT */
/*
 * The serial port of a PC (National's 16550 and all that behave like it). Output
 * is synchronous with a bounded wait; input comes by interrupt, or by a timer when
 * the interrupt cannot be had. Owns the one UART that is the console; the console
 * lock guards it.
 */
#include "arch.h"
#include "console.h"
#include "options.h"
#include "x86/machine.h"

enum { RBR, THR = 0, DLL = 0, IER = 1, DLM = 1, FCR, LCR, MCR, LSR, MSR, SCR };
#define IER_RX      1
#define FCR_ON      0x07        /* FIFOs on and emptied, interrupt for each character */
#define LCR_DLAB    0x80
#define MCR_ON      0x0b        /* DTR, RTS, and OUT2: lets the interrupt out */
#define LSR_DR      0x01
#define LSR_THRE    0x20
#define FIFO_SIZE   16
#define WAIT_READS  100000      /* of LSR, each about 1 us on a real bus */
#define POLL_PERIOD 20000000L

static char opt_com1[48], opt_com2[48], opt_console[64] = "com1,vga";
OPTION_STR(opt_com1, "com1", "baud[/clock][,DPS[,base[,irq]]] of the first serial port");
OPTION_STR(opt_com2, "com2", "as com1, of the second");
OPTION_STR(opt_console, "console", "com1, com2, vga (ignored) or none, comma separated");

static struct uart_config uart;     /* base 0: none */
static unsigned room;               /* characters the FIFO surely takes */
static bool stuck;                  /* the last wait was in vain: do not wait again */
static struct timer poll_timer;

static u8 uart_in(unsigned reg) { return inb((u16)(uart.base + reg)); }
static void uart_out(unsigned reg, u8 v) { outb((u16)(uart.base + reg), v); }

/* A number up to max at *s, which moves behind it. */
static bool number(const char **s, u32 max, u32 *n)
{
    const char *start = *s;
    u64 v = parse_u64(start, s);
    *n = (u32)v;
    return *s > start && v <= max;
}

/* Does a field that is not empty begin behind a comma here? Then s moves to it. */
static bool next_field(const char **s)
{
    if (**s != ',')
        return false;
    ++*s;
    return **s != ',' && **s != '\0';
}

bool uart_parse(const char *s, struct uart_config *c)
{
    struct uart_config n = *c;

    if (!strncmp(s, "auto", 4)) {
        n.baud = 0;
        s += 4;
    } else if (*s != ',' && *s != '\0' && (!number(&s, 115200 * 8, &n.baud) || n.baud == 0)) {
        return false;
    }
    if (*s == '/') {
        s++;
        if (!number(&s, ~0u, &n.clock))
            return false;
    }
    if (next_field(&s)) {
        if (s[0] < '5' || s[0] > '8' || !s[1] || !strchr("noems", s[1]) ||
            (s[2] != '1' && s[2] != '2'))
            return false;
        n.data = (u8)(s[0] - '0');
        n.parity = s[1];
        n.stop = (u8)(s[2] - '0');
        s += 3;
    }
    if ((next_field(&s) && (!number(&s, 0xfff8, &n.base) || n.base == 0)) ||
        (next_field(&s) && !number(&s, 15, &n.irq)) || *s != '\0')
        return false;
    *c = n;
    return true;
}

static void uart_setup(void)
{
    static const char parities[] = "oems";
    const char *parity = strchr(parities, uart.parity);
    u8 lcr = (u8)((uart.data - 5) | (uart.stop == 2 ? 4 : 0) |
                  (parity ? 0x08 | (parity - parities) << 4 : 0));
    uart_out(IER, 0);
    if (uart.baud) {
        u32 divisor = MAX(uart.clock / 16 / uart.baud, 1u);
        uart_out(LCR, lcr | LCR_DLAB);
        uart_out(DLL, (u8)divisor);
        uart_out(DLM, (u8)(divisor >> 8));
    }
    uart_out(LCR, lcr);
    uart_out(FCR, FCR_ON);
    uart_out(MCR, MCR_ON);
}

/* Is there a UART at all? Its scratch register remembers. */
static bool uart_probe(void)
{
    uart_out(SCR, 0x5a);
    if (uart_in(SCR) != 0x5a)
        return false;
    uart_out(SCR, 0xa5);
    return uart_in(SCR) == 0xa5;
}

/* Is `name` one of the words of the option? */
static bool console_names(const char *name)
{
    for (const char *p = opt_console; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (!strncmp(p, name, 4) && (p[4] == '\0' || p[4] == ','))
            return true;
    }
    return false;
}

void serial_init(void)
{
    bool first = console_names("com1");
    const char *opt = first ? opt_com1 : opt_com2;
    struct uart_config c = { .baud = 115200, .clock = 1843200, .data = 8, .parity = 'n', .stop = 1,
                             .base = first ? 0x3f8 : 0x2f8, .irq = first ? 4 : 3 };

    printk_init();
    if (!first && !console_names("com2"))
        return;
    if (!uart_parse(opt, &c))
        printk(LOG_WARN, "command line: \"%s\" does not describe a serial port; using "
                         "115200,8n1\n", opt);
    uart = c;
    if (!uart_probe()) {
        uart.base = 0;
        printk(LOG_WARN, "no serial port at 0x%x\n", c.base);
        return;
    }
    uart_setup();
    printk_replay();
}

u16 uart_port(void) { return (u16)uart.base; }

void uart_putc(char c)
{
    for (unsigned i = stuck ? 1 : WAIT_READS; i > 0 && room == 0; i--) {
        if (uart_in(LSR) & LSR_THRE)
            room = FIFO_SIZE;
        else
            cpu_relax();
    }
    stuck = room == 0;
    if (stuck)
        return;
    room--;
    uart_out(THR, (u8)c);
}

/* Interrupt, and timer as its stand-in. Bounded: a babbling line may not keep the CPU. */
static void uart_receive(void)
{
    for (unsigned i = 0; i < 4 * FIFO_SIZE && (uart_in(LSR) & LSR_DR); i++)
        console_receive((char)uart_in(RBR));
}

static void uart_poll(UNUSED void *data)
{
    uart_receive();
    timer_set(&poll_timer, now() + POLL_PERIOD);
}

void console_init_irq(void)
{
    console_ready();
    if (!uart.base)
        return;
    irq_set_handler(VEC_SERIAL, uart_receive);
    if (irq_bind_gsi(isa_irq_to_gsi((u8)uart.irq), VEC_SERIAL) == 0) {
        uart_receive();         /* what came before would hold the interrupt back */
        uart_out(IER, IER_RX);
    } else {
        printk(LOG_WARN, "serial port: no interrupt, polling\n");
        timer_init(&poll_timer, uart_poll, NULL, 0);
        uart_poll(NULL);
    }
}
