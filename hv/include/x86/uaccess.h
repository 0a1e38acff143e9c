/* SPDX-License-Identifier: MIT */
/*
 * Words of the guest's memory in the tables that are loaded; the address was range
 * checked, SMAP is lifted (user_access_begin). A fault goes to the label.
 */
#pragma once

#include "x86/machine.h"

#define EXTABLE(from, to)                                                         \
    "\n\t.pushsection .extable, \"a\", @progbits\n\t.balign 4\n\t"                \
    ".long " from " - .\n\t.long " to " - .\n\t.popsection"
#define UACCESS_FAULT(label) EXTABLE("1b", "%l[" #label "]")
// NOLINTBEGIN(bugprone-macro-parentheses): a label
#define user_put64(p, val, label) asm goto("1:\tmovq %0, %1" UACCESS_FAULT(label) \
             :: "r"((u64)(val)), "m"(*(u64 *)(p)) : "memory" : label)
#define user_get64(p, var, label) asm goto("1:\tmovq %1, %0" UACCESS_FAULT(label) \
             : "=r"(var) : "m"(*(const u64 *)(p)) : "memory" : label)
#define user_get32(p, var, label) asm goto("1:\tmovl %1, %0" UACCESS_FAULT(label) \
             : "=r"(var) : "m"(*(const u32 *)(p)) : "memory" : label)
// NOLINTEND(bugprone-macro-parentheses)

static inline void user_access_begin(void) { if (unlikely(cpu_has.smap)) stac(); }
static inline void user_access_end(void) { if (unlikely(cpu_has.smap)) clac(); }

/* Any number of bytes, in either direction: 0 or -EFAULT. */
static inline int user_copy(void *dst, const void *src, size_t n)
{
    int rc = -EFAULT;

    __asm__ volatile("mov %3, %%rcx\n\tshr $3, %%rcx\n1:\trep movsq\n\t"
                     "mov %3, %%rcx\n\tand $7, %%ecx\n2:\trep movsb\n\txor %0, %0\n3:"
                     EXTABLE("1b", "3b") EXTABLE("2b", "3b")
                     : "+&r"(rc), "+&D"(dst), "+&S"(src) : "r"(n) : "rcx", "memory", "cc");
    return rc;
}
