/* SPDX-License-Identifier: MIT */
/*
 * Basic types and compiler helpers; the ABI's headers come from libxen-dev.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything is in one image: addresses are taken directly, not through a table. */
#ifndef UNIT_TEST
#pragma GCC visibility push(hidden)
#endif

/* The ABI's errno names, unprefixed (xen/errno.h lets the includer choose). */
#define XEN_ERRNO(name, value) name = (value),
enum errno_value {
#include <xen/errno.h>
    ERESTART = 85,  /* internal: the call is to be continued (a multicall entry may show it meanwhile) */
};

#include <xen/xen.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
typedef u64 paddr_t;          /* machine address, bytes */
typedef u64 mfn_t;            /* machine frame number */
typedef s64 s_time_t;         /* nanoseconds since Bulkhead's start */

#ifdef __clang__
#define BUILT_BY "clang " __clang_version__
#else
#define BUILT_BY "gcc " __VERSION__
#endif

#define INVALID_MFN   (~0UL)
#define PAGE_SHIFT    12
#define PAGE_SIZE     4096UL
#define PAGE_MASK     (~(PAGE_SIZE - 1))
#define GIB(x)        ((u64)(x) << 30)
#define MIB(x)        ((u64)(x) << 20)

#define ALIGNED(n)    __attribute__((aligned(n)))
#define PACKED        __attribute__((packed))
#define NOINLINE      __attribute__((noinline))
#define NORETURN      __attribute__((noreturn))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define SECTION(s)    __attribute__((section(s)))
#define USED          __attribute__((used))
#define UNUSED        __attribute__((unused))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define barrier()     __asm__ volatile("" ::: "memory")

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b)     ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define ROUND_UP(x, n)   (((x) + (n) - 1) & ~((__typeof__(x))(n) - 1))
#define ROUND_DOWN(x, n) ((x) & ~((__typeof__(x))(n) - 1))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

/* Read or write exactly once: for memory that others write at the same time. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
/* *p becomes new if it is *old: true. Else *old is what it is instead: false. */
#define cas(p, old, new) \
    __atomic_compare_exchange_n(p, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
