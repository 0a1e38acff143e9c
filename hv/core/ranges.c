// SPDX-License-Identifier: MIT
/*
 * Sets of numbers as sorted, disjoint, non-adjacent intervals in one array: small
 * sets, looked up on every emulated port access, changed by the control plane.
 * Each set has its own lock, LOCK_RANGES, the last one of any path; memory is got
 * before it is taken.
 */
#include "ranges.h"
#include "mm.h"
#include "spinlock.h"

struct range { u64 first, last; };

struct ranges {
    spinlock_t lock;
    u32 nr, room;
    struct range *r;
};

#define RANGES_ROOM_MAX 2048    /* intervals: a slab piece of 32 KiB */

struct ranges *ranges_create(void)
{
    struct ranges *s = xzalloc_type(struct ranges);
    if (s)
        spin_lock_init(&s->lock, LOCK_RANGES);
    return s;
}

void ranges_destroy(struct ranges *s)
{
    if (s) {
        xfree(s->r);
        xfree(s);
    }
}

/* Returns with the lock held and room for one interval more, or -ENOMEM without it. */
static int lock_with_room(struct ranges *s)
{
    spin_lock(&s->lock);
    while (s->nr == s->room) {
        u32 room = s->room ? s->room * 2 : 8;
        spin_unlock(&s->lock);
        struct range *n = room > RANGES_ROOM_MAX ? NULL : xzalloc_array(struct range, room);
        if (!n)
            return -ENOMEM;
        spin_lock(&s->lock);
        struct range *old = n;
        if (room > s->room) {
            if (s->nr)
                memcpy(n, s->r, s->nr * sizeof(*n));
            old = s->r;
            s->r = n;
            s->room = room;
        }
        if (old) {      /* freeing takes locks that come before ours */
            spin_unlock(&s->lock);
            xfree(old);
            spin_lock(&s->lock);
        }
    }
    return 0;
}

/* Index of the first interval that ends at or after x. */
static u32 find(const struct ranges *s, u64 x)
{
    u32 lo = 0, hi = s->nr;
    while (lo < hi) {
        u32 mid = (lo + hi) / 2;
        if (s->r[mid].last < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Replaces the intervals [from, to) by n new ones (n <= to - from + 1). */
static void replace(struct ranges *s, u32 from, u32 to, const struct range *with, u32 n)
{
    if (to < s->nr)
        memmove(&s->r[from + n], &s->r[to], (s->nr - to) * sizeof(*s->r));
    for (u32 i = 0; i < n; i++)
        s->r[from + i] = with[i];
    s->nr = s->nr - (to - from) + n;
}

int ranges_add(struct ranges *s, u64 first, u64 last)
{
    if (first > last)
        return -EINVAL;
    int err = lock_with_room(s);
    if (err)
        return err;
    /* Everything that overlaps or touches becomes one. */
    u32 from = find(s, first ? first - 1 : 0), to = from;
    struct range n = { first, last };
    while (to < s->nr && (s->r[to].first <= last || s->r[to].first - 1 == last)) {
        n.first = MIN(n.first, s->r[to].first);
        n.last = MAX(n.last, s->r[to].last);
        to++;
    }
    replace(s, from, to, &n, 1);
    spin_unlock(&s->lock);
    return 0;
}

int ranges_remove(struct ranges *s, u64 first, u64 last)
{
    if (first > last)
        return -EINVAL;
    int err = lock_with_room(s);
    if (err)
        return err;
    u32 from = find(s, first), to = from, n = 0;
    struct range rest[2];
    while (to < s->nr && s->r[to].first <= last)
        to++;
    if (to > from) {
        if (s->r[from].first < first)
            rest[n++] = (struct range){ s->r[from].first, first - 1 };
        if (s->r[to - 1].last > last)
            rest[n++] = (struct range){ last + 1, s->r[to - 1].last };
        replace(s, from, to, rest, n);
    }
    spin_unlock(&s->lock);
    return 0;
}

bool ranges_contains(struct ranges *s, u64 first, u64 last)
{
    if (!s || first > last)
        return false;
    spin_lock(&s->lock);
    u32 i = find(s, first);
    bool in = i < s->nr && s->r[i].first <= first && s->r[i].last >= last;
    spin_unlock(&s->lock);
    return in;
}
