/* SPDX-License-Identifier: MIT */
/*
 * The console: log (core/printk.c), serial input and console_io (core/console.c),
 * the UART below both (drivers/ns16550.c), and what a panic prints (x86/panic.c).
 * Start-up calls stand in x86/machine.h.
 */
#pragma once

#include "domain.h"

/* --- core/printk.c --- */
/* Guards the ring, the state of the output line, the UART and the input queues:
 * last of all ranks. console_lock_take returns false when this CPU holds it already
 * (a fault or NMI inside printk) or after a panic: then do not release it. */
bool console_lock_take(void);
void console_lock_release(bool taken);
/* Characters of dom0 or of Bulkhead to the UART as they are, \n made \r\n.
 * Lock held. ring: also into the ring of `xl dmesg`. */
void console_put(const char *s, size_t n, bool ring);
/* A line of a domain that wrote to the physical console: "(dN) text". */
void console_guest_line(struct domain *d, const char *s);
/* Start-up, so without the lock: takes loglvl, guest_loglvl and conring_size into use. */
void printk_init(void);
/* What is logged of Bulkhead's lines, or of those about guests, as loglvl= has it (at most 31
 * characters). control_lock. -EINVAL: no such level. */
const char *printk_levels(bool guests);
int printk_set_levels(bool guests, const char *text);
void printk_replay(void);           /* likewise: what the ring holds goes to the UART, it is new */
/* While on, every level is shown (debug keys answer). Counts. */
void printk_verbose(bool on);
/* After this no lock is taken any more and every level is shown. */
void printk_bust_lock(void);
/* Copies up to n characters of the ring from position *index (moved to the oldest one
 * still there) to buf, moves *index behind them and returns their number. */
u32 conring_read(u32 *index, char *buf, u32 n);
u32 conring_start(void);            /* position of the oldest character */
void conring_clear(u32 index);      /* forgets what lies before index */
/* Writes anything new in the ring since the last call? (for VIRQ_CON_RING) */
bool conring_news(void);

/* --- core/console.c --- */
/* A character has come in; from the UART's interrupt or timer. */
void console_receive(char c);
void console_ready(void);           /* interrupts and softirqs work: start deferring to them */
bool console_is_ready(void);
void console_endboot(void);         /* dom0 starts: says who gets the input */

/* --- drivers/ns16550.c --- */
struct uart_config { u32 baud, clock, base, irq; u8 data, stop; char parity; };
/* "baud[/clock][,DPS[,base[,irq]]]", baud "auto" leaves the UART's own; fields that
 * are not named keep their values. False: not understood. */
bool uart_parse(const char *s, struct uart_config *c);
void uart_putc(char c);             /* waits a bounded time; console lock held */
/* First of the UART's ports, which are Bulkhead's and no domain's; 0: there is none. */
#define UART_PORTS 8
u16 uart_port(void);

/* --- x86/panic.c --- */
extern bool opt_noreboot;           /* after a crash, and when dom0 restarts: stand still */
/* An exception of our own that has no fix-up. */
NORETURN void fatal_trap(struct cpu_user_regs *regs);
/* For CPUs that spin with interrupts off, and for an NMI: stops here if another CPU panics. */
void panic_poll(void);
