/* SPDX-License-Identifier: MIT */
/*
 * Sets of numbers kept as sorted intervals (core/ranges.c): the I/O ports, machine
 * frames and interrupts that a domain may use.
 */
#pragma once

#include "types.h"

struct ranges;

struct ranges *ranges_create(void);         /* empty; NULL: no memory */
void ranges_destroy(struct ranges *s);      /* NULL is fine; nobody uses it any more */
/* Both ends belong to the interval. 0; -EINVAL when first > last; -ENOMEM (then
 * nothing has changed). Adding what is in, removing what is not, is no error. Changes
 * to one set come one at a time. */
int ranges_change(struct ranges *s, u64 first, u64 last, bool add);
#define ranges_add(s, first, last)    ranges_change(s, first, last, true)
#define ranges_remove(s, first, last) ranges_change(s, first, last, false)
/* Is the whole interval in the set? False for NULL (nothing is permitted). */
bool ranges_contains(struct ranges *s, u64 first, u64 last);
