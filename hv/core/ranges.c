// SPDX-License-Identifier: MIT
/*
 * Sets of numbers as sorted, disjoint, non-adjacent intervals in one array: small
 * sets, looked up on every emulated port access, changed by the control plane.
 * Changes come one at a time (from domctl, under LOCK_CONTROL, or at start) and make a
 * new array. Each set has a lock, LOCK_RANGES, the last one of any path, for the moment
 * when it takes the old one's place, and for those who look.
 */
#include "ranges.h"
#include "mm.h"

struct range { u64 first, last; };

struct ranges {
    spinlock_t lock;
    u32 nr;
    struct range *r;
};

#define RANGES_MAX 2048         /* intervals: 32 KiB */

struct ranges *ranges_create(void)
{
    struct ranges *s = xzalloc_type(struct ranges);
    if (s)
        spin_lock_init(&s->lock, LOCK_RANGES);
    return s;
}

void ranges_destroy(struct ranges *s)
{
    if (s)
        xfree(s->r);
    xfree(s);
}

int ranges_change(struct ranges *s, u64 first, u64 last, bool add)
{
    struct range *old = s->r, x = { first, last };
    if (first > last)
        return -EINVAL;
    struct range *new = s->nr < RANGES_MAX ? xzalloc_array(struct range, s->nr + 1) : NULL;
    if (!new)
        return -ENOMEM;
    /* What is added becomes one with what it touches. */
    u64 from = add && first > 0 ? first - 1 : first, to = add && last < ~0UL ? last + 1 : last;
    u32 n = 0, i = 0;
    for (; i < s->nr && old[i].last < from; i++)
        new[n++] = old[i];
    for (; i < s->nr && old[i].first <= to; i++) {
        x.first = MIN(x.first, old[i].first);
        x.last = MAX(x.last, old[i].last);
    }
    /* x is now all that the change concerns. */
    if (add)
        new[n++] = x;
    if (!add && x.first < first)
        new[n++] = (struct range){ x.first, first - 1 };
    if (!add && x.last > last)
        new[n++] = (struct range){ last + 1, x.last };
    while (i < s->nr)
        new[n++] = old[i++];
    with_lock (&s->lock) {
        s->r = new;
        s->nr = n;
    }
    xfree(old);
    return 0;
}

bool ranges_contains(struct ranges *s, u64 first, u64 last)
{
    if (!s || first > last)
        return false;
    bool in = false;
    with_lock (&s->lock) {
        for (u32 i = 0; i < s->nr && s->r[i].first <= first && !in; i++)
            in = s->r[i].last >= last;
    }
    return in;
}
