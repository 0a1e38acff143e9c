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
        struct range *old = room > RANGES_ROOM_MAX ? NULL : xzalloc_array(struct range, room);
        if (!old)
            return -ENOMEM;
        spin_lock(&s->lock);
        if (room > s->room) {
            struct range *new = old;
            for (u32 i = 0; i < s->nr; i++)
                new[i] = s->r[i];
            old = s->r;
            s->r = new;
            s->room = room;
        }
        spin_unlock(&s->lock);
        xfree(old);             /* takes locks that come before ours */
        spin_lock(&s->lock);
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

static int change(struct ranges *s, u64 first, u64 last, bool add)
{
    if (first > last)
        return -EINVAL;
    int err = lock_with_room(s);
    if (err)
        return err;
    /* The intervals [from, to) overlap this one, or touch it and become one with it. */
    u32 from = find(s, add && first ? first - 1 : first), to = from, n = 0;
    while (to < s->nr && (s->r[to].first <= last || (add && s->r[to].first - 1 == last)))
        to++;
    u64 lowest = from < to ? MIN(s->r[from].first, first) : first;
    u64 highest = from < to ? MAX(s->r[to - 1].last, last) : last;
    struct range with[2];
    if (add)
        with[n++] = (struct range){ lowest, highest };
    if (!add && lowest < first)
        with[n++] = (struct range){ lowest, first - 1 };
    if (!add && highest > last)
        with[n++] = (struct range){ last + 1, highest };
    memmove(&s->r[from + n], &s->r[to], (s->nr - to) * sizeof(*s->r));
    memcpy(&s->r[from], with, n * sizeof(*with));
    s->nr += n - (to - from);
    spin_unlock(&s->lock);
    return 0;
}

int ranges_add(struct ranges *s, u64 first, u64 last)
{
    return change(s, first, last, true);
}

int ranges_remove(struct ranges *s, u64 first, u64 last)
{
    return change(s, first, last, false);
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
