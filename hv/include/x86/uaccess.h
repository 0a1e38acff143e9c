/* SPDX-License-Identifier: MIT */
/*
 * Words of the guest's memory in the tables that are loaded; the address was range
 * checked, SMAP is lifted (user_access_begin). A fault goes to the label.
 */
#ifndef BH_X86_UACCESS_H
#define BH_X86_UACCESS_H

#include "x86/machine.h"

#define UACCESS_FAULT(label)                                                      \
    "\n\t.pushsection .extable, \"a\", @progbits\n\t.balign 4\n\t"                \
    ".long 1b - .\n\t.long %l[" #label "] - .\n\t.popsection"
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

#endif
