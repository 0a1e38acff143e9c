/* SPDX-License-Identifier: MIT */
/*
 * Spin locks: waiting, pairs, and in debug builds the check of the order. Each CPU
 * records the locks that it holds; only it looks at its record.
 *
 * Who waits gets the lock in no order. Where the machine is itself virtual and its
 * CPUs take turns on fewer real ones, a queue of tickets stands still whenever the CPU
 * at its head has no turn, although others could go on; here one that runs gets the
 * lock, and its pauses tell the host below when its turn is of no use. The price is
 * that chance alone bounds a wait. It bounds it well: no lock stays free for less than
 * some tens of ns before the same CPU wants it again, a waiter looks at least every
 * 2 us or so, so even one who contends with CPUs that do nothing else gets it after some
 * dozens of turns of theirs; and turns are short.
 */
#include "arch.h"

#define PAUSES_MAX 32u          /* between two looks: about 2 us */

void spin_lock_slow(spinlock_t *l)
{
    unsigned pauses = 1;

    do {
        for (unsigned i = 0; i < pauses; i++)
            arch_spin_poll();
        pauses = MIN(2 * pauses, PAUSES_MAX);
    } while (READ_ONCE(l->locked) || !spin_lock_got(l));
}

void spin_lock_pair(spinlock_t *a, spinlock_t *b)
{
    spinlock_t *first = a < b ? a : b, *second = a < b ? b : a;

    spin_lock(first);
    if (first != second) {
        lock_check_acquire(second, true);
        if (unlikely(!spin_lock_got(second)))
            spin_lock_slow(second);
    }
}

void spin_unlock_pair(spinlock_t *a, spinlock_t *b)
{
    spin_unlock(a);
    if (a != b)
        spin_unlock(b);
}

#ifdef DEBUG
/* any_order: the second of a pair, or got by a try that did not wait. */
void lock_check_acquire(spinlock_t *l, bool any_order)
{
    struct cpu *c = this_cpu();
    for (u32 i = 0; i < c->lock_depth; i++) {
        spinlock_t *held = c->locks_held[i];
        if (held == l || (!any_order && held->rank >= l->rank)) {
            c->lock_depth = 0;      /* the panic itself takes locks */
            panic("lock order: %lx (rank %u) wanted while %lx (rank %u) is held",
                  (u64)l, l->rank, (u64)held, held->rank);
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
            c->locks_held[i] = c->locks_held[--c->lock_depth];
            return;
        }
    }
    panic("lock %lx (rank %u) is released by a CPU that does not hold it", (u64)l, l->rank);
}
#endif
