/* SPDX-License-Identifier: MIT */
/*
 * Spin locks: waiting, pairs, and in debug builds the check of the order. Each CPU
 * records the locks that it holds; only it looks at its record.
 */
#include "arch.h"
#include "lib.h"
#include "spinlock.h"

void spin_lock_init(spinlock_t *l, enum lock_rank rank)
{
    *l = (spinlock_t)SPINLOCK_INIT((u8)rank);
}

void spin_lock_slow(spinlock_t *l, u16 ticket)
{
    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        arch_spin_poll();
}

void spin_lock_pair(spinlock_t *a, spinlock_t *b)
{
    spinlock_t *first = a < b ? a : b, *second = a < b ? b : a;
    spin_lock(first);
    if (first != second) {
        lock_check_acquire(second, true);
        spin_lock_raw(second);
    }
}

void spin_unlock_pair(spinlock_t *a, spinlock_t *b)
{
    spin_unlock(a);
    if (a != b)
        spin_unlock(b);
}

#ifdef DEBUG
/* pair: the second of a pair, or got by a try that did not wait: any order is safe. */
void lock_check_acquire(spinlock_t *l, bool pair)
{
    struct cpu *c = this_cpu();
    for (u32 i = 0; i < c->lock_depth; i++) {
        spinlock_t *held = c->locks_held[i];
        if (held == l || (!pair && held->rank >= l->rank)) {
            c->lock_depth = 0;      /* the panic itself takes locks */
            panic("lock order: %p (rank %u) wanted while %p (rank %u) is held",
                  (void *)l, l->rank, (void *)held, held->rank);
        }
    }
    BUG_ON(c->lock_depth == ARRAY_SIZE(c->locks_held));
    c->locks_held[c->lock_depth++] = l;
}

void lock_check_release(spinlock_t *l)
{
    struct cpu *c = this_cpu();
    for (u32 i = c->lock_depth; i-- > 0;) {
        if (c->locks_held[i] == l) {
            for (; i + 1 < c->lock_depth; i++)
                c->locks_held[i] = c->locks_held[i + 1];
            c->lock_depth--;
            return;
        }
    }
    panic("lock %p (rank %u) is released by a CPU that does not hold it", (void *)l, l->rank);
}
#endif
