/* SPDX-License-Identifier: MIT */
/*
 * Host fuzzers: how to add one
 *
 * 1. Write tests/fuzz/fuzz_<subject>.c with LLVMFuzzerTestOneInput. Its first line names the
 *    hv/ sources that it links, as in tests/unit/unit.h, which brings the same stubs.
 * 2. HOLDS (what must be true of every input). MAY_PANIC (statement) for what is allowed to
 *    stop the machine with a clear line: not by a BUG_ON or an ASSERT.
 * 3. Real inputs into tests/fuzz/seeds/<subject>/ (tests/fuzz/mkseeds). An input that has
 *    once crashed it stays there for good.
 *
 * Built by clang with libFuzzer and the address and undefined-behaviour sanitizers.
 */
#ifndef FUZZ_H
#define FUZZ_H

#define UNIT_NO_MAIN        /* nor its panic */
#include "unit.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define HOLDS(cond)                                                               \
    do {                                                                          \
        if (!(cond)) {                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                              \
        }                                                                         \
    } while (0)

#define MAY_PANIC(statement)                                                      \
    do {                                                                          \
        unit_panic_expected = true;                                               \
        if (setjmp(unit_panic_jmp) == 0) {                                        \
            statement;                                                            \
        }                                                                         \
        unit_panic_expected = false;                                              \
    } while (0)

NORETURN void panic(const char *fmt, ...)
{
    bool own = strstr(fmt, "bug: ") || strstr(fmt, "assertion failed");
    if (unit_panic_expected && !own) {
        longjmp(unit_panic_jmp, 1);
    }
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    abort();
}

/* A copy in its own allocation, so that the sanitizer sees a byte too far. */
UNUSED static u8 *fuzz_copy(const u8 *data, size_t size)
{
    u8 *p = malloc(size + !size);
    memcpy(p, data, size);
    return p;
}

#endif
