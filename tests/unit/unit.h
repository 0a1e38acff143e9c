/* SPDX-License-Identifier: MIT */
/*
 * Unit tests: how to add one
 *
 * 1. Write tests/unit/test_<subject>.c. Its first line names the hv/ sources that it
 *    links (none when it includes the .c itself to reach static functions):
 *        // links: hv/core/evtchn.c
 * 2. #include "unit.h" FIRST (before any libc header: Bulkhead's errno names are an
 *    enum and clash with <errno.h>), then Bulkhead's headers.
 * 3. Write TEST (name) { ... CHECK (cond); CHECK_EQ (a, b); ... } as often as you like.
 *    A test passes when none of its checks fails; a failed check does not leave it.
 * 4. Stub what the sources need from elsewhere in the test file itself. unit.h brings
 *    printk (silent), panic (ends the program, or the body of CHECK_PANICS), gprintk,
 *    test_cpu_top with cpus[0] as the current CPU, spin_lock_slow.
 *    hv/lib/string.c, printf.c and bitmap.c are always there; memcpy and its kin are
 *    the host's, so that the address sanitizer sees them.
 * 5. make check-unit            all of them, one summary line at the end
 *    build/unit/test_<subject>  one of them; with a word: only tests whose name has it
 *
 * Everything is built by gcc with -DUNIT_TEST -fsanitize=address,undefined.
 */
#ifndef UNIT_H
#define UNIT_H

#include "lib.h"
#include "cpu.h"
#include "domain.h"
#include "spinlock.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct unit_test { const char *name; void (*fn)(void); struct unit_test *next; };
static struct unit_test *unit_first, **unit_last = &unit_first;
static unsigned unit_failed_checks;
static const char *unit_current;
static jmp_buf unit_panic_jmp;
static bool unit_panic_expected UNUSED;

#define TEST(test_name)                                                           \
    static void test_##test_name(void);                                           \
    static struct unit_test unit_entry_##test_name = { #test_name, test_##test_name, NULL }; \
    __attribute__((constructor)) static void unit_register_##test_name(void)      \
    {                                                                             \
        *unit_last = &unit_entry_##test_name;                                     \
        unit_last = &unit_entry_##test_name.next;                                 \
    }                                                                             \
    static void test_##test_name(void)

#define CHECK(cond)                                                               \
    do {                                                                          \
        if (!(cond)) {                                                            \
            unit_failed_checks++;                                                 \
            printf("%s:%d: %s: failed: %s\n", __FILE__, __LINE__, unit_current, #cond); \
        }                                                                         \
    } while (0)

#define CHECK_EQ(a, b)                                                            \
    do {                                                                          \
        long long unit_a = (long long)(a), unit_b = (long long)(b);               \
        if (unit_a != unit_b) {                                                   \
            unit_failed_checks++;                                                 \
            printf("%s:%d: %s: %s is %lld (0x%llx), not %s = %lld (0x%llx)\n", __FILE__, __LINE__, \
                   unit_current, #a, unit_a, unit_a, #b, unit_b, unit_b);         \
        }                                                                         \
    } while (0)

#define CHECK_STR(a, b)                                                           \
    do {                                                                          \
        const char *unit_a = (a), *unit_b = (b);                                  \
        if (strcmp(unit_a, unit_b) != 0) {                                        \
            unit_failed_checks++;                                                 \
            printf("%s:%d: %s: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__,   \
                   unit_current, #a, unit_a, unit_b);                             \
        }                                                                         \
    } while (0)

/* The statement must reach panic () or a BUG_ON/ASSERT. */
#define CHECK_PANICS(statement)                                                   \
    do {                                                                          \
        unit_panic_expected = true;                                               \
        if (setjmp(unit_panic_jmp) == 0) {                                        \
            statement;                                                            \
            unit_failed_checks++;                                                 \
            printf("%s:%d: %s: no panic: %s\n", __FILE__, __LINE__, unit_current, #statement); \
        }                                                                         \
        unit_panic_expected = false;                                              \
    } while (0)

/* --- what Bulkhead's sources expect around them; weak, so that a test may bring its own --- */
#define UNIT_WEAK __attribute__((weak))

UNIT_WEAK struct cpu cpus[NR_CPUS];
UNIT_WEAK unsigned nr_cpus = 1;
UNIT_WEAK cpumask_t cpus_online = { 1 };
UNIT_WEAK _Thread_local struct cpu_top test_cpu_top = { .cpu = &cpus[0] };

UNIT_WEAK void printk(enum loglevel level, const char *fmt, ...) { (void)level; (void)fmt; }
UNIT_WEAK void gprintk(struct domain *d, enum loglevel level, const char *fmt, ...)
{
    (void)d; (void)level; (void)fmt;
}

#ifndef UNIT_NO_MAIN
UNIT_WEAK NORETURN void panic(const char *fmt, ...)
{
    if (unit_panic_expected) {
        longjmp(unit_panic_jmp, 1);
    }
    va_list ap;
    va_start(ap, fmt);
    printf("%s: panic: ", unit_current);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    fflush(stdout);
    exit(3);
}
#endif

/* One thread: a lock that is taken already is a deadlock. */
UNIT_WEAK void spin_lock_slow(spinlock_t *l)
{
    (void)l;
    panic("a lock was taken twice");
}

#ifndef UNIT_NO_MAIN
int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    for (struct unit_test *t = unit_first; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1])) {
            continue;
        }
        unit_failed_checks = 0;
        unit_current = t->name;
        t->fn();
        if (unit_failed_checks) {
            failed++;
        } else {
            passed++;
        }
    }
    const char *name = strrchr(argv[0], '/');
    printf("%s: %u passed, %u failed\n", name ? name + 1 : argv[0], passed, failed);
    return failed != 0;
}
#endif

#endif
