/* SPDX-License-Identifier: MIT */
/*
 * Who talks through the console: dom0 or Bulkhead. Owns the queues of serial input,
 * the Ctrl-a switch and console_io. The console lock guards the queues; what they
 * lead to (event channels, debug keys) is done later from a softirq with no lock.
 */
#include "console.h"
#include "evtchn.h"
#include "guest.h"
#include "hypercall.h"
#include "keyhandler.h"
#include "options.h"

#define SWITCH_KEY   '\x01'     /* Ctrl-a, three times */
#define CHUNK        16      /* a UART's FIFO: so long may interrupts stay off */
#define QUEUE_SIZE   1024       /* power of two */

static bool opt_guest_console = DEBUG_BUILD;
OPTION_BOOL(opt_guest_console, "guest_console", "show what guests write to the physical console");
static bool opt_console_to_ring;
OPTION_BOOL(opt_console_to_ring, "console_to_ring", "copy dom0's console to the console ring");

/* Accepted without effect: what GRUB's scripts for Xen put on every command line, and habits. */
static char opt_ignored[16];
OPTION_STR(opt_ignored, "placeholder", "accepted");
OPTION_STR(opt_ignored, "real-mode", "accepted; the BIOS is never called");
OPTION_STR(opt_ignored, "edd", "accepted; the BIOS is never called");
OPTION_STR(opt_ignored, "sync_console", "accepted; output is always synchronous");
OPTION_STR(opt_ignored, "watchdog", "accepted; there is no NMI watchdog");

struct queue { u32 head, tail; char c[QUEUE_SIZE]; };   /* head: next to write */
static struct queue dom0_input, own_input;
static u32 switch_count;
static bool ready, input_is_ours;
static bool tell_switch, tell_dom0;     /* for the softirq */

static void queue_put(struct queue *q, char c)
{
    if (q->head - q->tail < QUEUE_SIZE)     /* full: what comes is lost, as on a wire */
        q->c[q->head++ % QUEUE_SIZE] = c;
}

bool console_is_ready(void) { return READ_ONCE(ready); }

void console_receive(char c)
{
    bool taken = console_lock_take();
    switch_count = c == SWITCH_KEY ? switch_count + 1 : 0;
    if (switch_count == 3) {
        switch_count = 0;
        input_is_ours = !input_is_ours;
        tell_switch = true;
    } else {
        queue_put(input_is_ours ? &own_input : &dom0_input, c);
        tell_dom0 |= !input_is_ours;
    }
    console_lock_release(taken);
    if (ready)
        softirq_raise(SOFTIRQ_TASKLET);
}

static void say_who_has_input(void)
{
    printk_verbose(true);
    printk(LOG_INFO, "*** serial input to %s (Ctrl-a three times switches it to %s)\n",
           input_is_ours ? "Bulkhead: h lists the keys" : "dom0",
           input_is_ours ? "dom0" : "Bulkhead");
    printk_verbose(false);
}

/* The next character for Bulkhead, -1: none. */
static int next_key(void)
{
    bool taken = console_lock_take();
    struct queue *q = &own_input;
    int c = q->head != q->tail ? q->c[q->tail++ % QUEUE_SIZE] & 0x7f : -1;
    console_lock_release(taken);
    return c;
}

/* SOFTIRQ_TASKLET: what may not be done under locks or in an interrupt. */
static void console_deferred(void)
{
    bool taken = console_lock_take();
    bool say = tell_switch, virq = tell_dom0;
    tell_switch = tell_dom0 = false;
    console_lock_release(taken);

    if (say)
        say_who_has_input();
    for (int c; (c = next_key()) >= 0; ) {
        if (c > ' ')
            keyhandler_queue(&(char){ (char)c }, 1, &(u32){ 0 });
    }
    if (virq)
        virq_global(VIRQ_CONSOLE);
    if (conring_news())
        virq_global(VIRQ_CON_RING);
}

void console_ready(void)
{
    softirq_register(SOFTIRQ_TASKLET, console_deferred);
    ready = true;
}

void console_endboot(void)
{
    if (uart_port())
        say_who_has_input();
}

/* --- console_io --- */

/* Output of a guest that has no console right: printable characters, by lines. */
static void write_as_guest(struct domain *d, const char *s, size_t n)
{
    char line[CHUNK + 1];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= ' ' && s[i] < 127)
            line[len++] = s[i];
        if ((s[i] == '\n' || i + 1 == n) && len) {
            line[len] = '\0';
            console_guest_line(d, line);
            len = 0;
        }
    }
}

static long console_write(struct vcpu *v, unsigned long *a)
{
    struct domain *d = v->domain;
    bool owner = domain_has(d, RIGHT_CONSOLE);

    if (!owner && !opt_guest_console)
        return -EPERM;
    while (a[1] > 0) {
        char buf[CHUNK];
        size_t n = MIN(a[1], (unsigned long)sizeof(buf));
        if (guest_read(v, buf, a[2], n))
            return -EFAULT;
        if (owner) {
            bool taken = console_lock_take();
            console_put(buf, n, opt_console_to_ring);
            console_lock_release(taken);
        } else {
            write_as_guest(d, buf, n);
        }
        a[1] -= n;
        a[2] += n;
        if (a[1] > 0 && hypercall_preempt(v))
            return -ERESTART;
    }
    return 0;
}

/* Characters leave the queue only when the guest has them. */
static long console_read(struct vcpu *v, u64 buffer, u64 count)
{
    struct queue *q = &dom0_input;
    u64 done = 0;

    if (!domain_has(v->domain, RIGHT_CONSOLE))
        return -EPERM;
    while (done < count && done < QUEUE_SIZE) {
        char buf[CHUNK];
        bool taken = console_lock_take();
        u32 tail = q->tail, n = (u32)MIN(MIN((u64)(q->head - tail), count - done), (u64)CHUNK);
        for (u32 i = 0; i < n; i++)
            buf[i] = q->c[(tail + i) % QUEUE_SIZE];
        console_lock_release(taken);
        if (n == 0)
            break;
        if (guest_write(v, buffer + done, buf, n))
            return done ? (long)done : -EFAULT;
        taken = console_lock_take();
        // cppcheck-suppress knownConditionTrueFalse ; the lock was free meanwhile
        if (q->tail == tail) {      /* else another vCPU of dom0 has read them */
            q->tail = tail + n;
            done += n;
        }
        console_lock_release(taken);
    }
    return (long)done;
}

/* a: command, count, address of the characters. xen.h, "Commands to
 * HYPERVISOR_console_io". The count is at most 2 GiB - 1. */
long do_console_io(struct vcpu *v, unsigned long *a)
{
    a[0] = (u32)a[0];
    a[1] = (u32)a[1];
    if (a[1] > 0x7fffffff)
        return -E2BIG;
    if (a[0] == CONSOLEIO_write)
        return console_write(v, a);
    return a[0] == CONSOLEIO_read ? console_read(v, a[2], a[1]) : -ENOSYS;
}
