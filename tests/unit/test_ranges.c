// links: hv/core/ranges.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* Interval sets: by hand at the edges, and against a bitmap at random. */
#include "unit.h"
#include "ranges.h"
#include "mm.h"

static bool no_memory;
void *xzalloc(size_t size) { return no_memory ? NULL : calloc(1, size); }
void xfree(void *p) { CHECK_EQ(this_cpu()->lock_depth, 0); free(p); }
void arch_spin_poll(void);
void arch_spin_poll(void) { panic("waits for ever"); }

TEST(empty)
{
    struct ranges *r = ranges_create();
    CHECK(!ranges_contains(r, 0, 0));
    CHECK(!ranges_contains(NULL, 0, 0));
    CHECK_EQ(ranges_remove(r, 0, ~0ULL), 0);
    CHECK_EQ(ranges_add(r, 2, 1), -EINVAL);
    CHECK_EQ(ranges_remove(r, 2, 1), -EINVAL);
    ranges_destroy(r);
    ranges_destroy(NULL);
}

TEST(whole)
{
    struct ranges *r = ranges_create();
    CHECK_EQ(ranges_add(r, 0, ~0ULL), 0);
    CHECK(ranges_contains(r, 0, ~0ULL));
    CHECK_EQ(ranges_add(r, 5, 7), 0);
    CHECK_EQ(ranges_remove(r, ~0ULL, ~0ULL), 0);
    CHECK_EQ(ranges_remove(r, 0, 0), 0);
    CHECK(!ranges_contains(r, 0, 1));
    CHECK(ranges_contains(r, 1, ~0ULL - 1));
    CHECK(!ranges_contains(r, 1, ~0ULL));
    CHECK(!ranges_contains(r, 9, 8));
    CHECK_EQ(ranges_add(r, ~0ULL, ~0ULL), 0);
    CHECK(ranges_contains(r, 1, ~0ULL));
    CHECK_EQ(ranges_remove(r, 1, 4), 0);
    CHECK_EQ(ranges_add(r, 0, 0), 0);       /* the two ends do not touch */
    CHECK(!ranges_contains(r, 0, 1) && ranges_contains(r, 0, 0) && ranges_contains(r, 5, ~0ULL));
    ranges_destroy(r);
}

TEST(neighbours_join)
{
    struct ranges *r = ranges_create();
    ranges_add(r, 10, 19);
    ranges_add(r, 30, 39);
    CHECK(!ranges_contains(r, 10, 39));
    ranges_add(r, 20, 29);
    CHECK(ranges_contains(r, 10, 39));
    CHECK(!ranges_contains(r, 9, 10));
    CHECK(!ranges_contains(r, 39, 40));
    ranges_destroy(r);
}

TEST(no_memory_changes_nothing)
{
    struct ranges *r = ranges_create();
    no_memory = true;
    CHECK_EQ(ranges_add(r, 1, 2), -ENOMEM);
    no_memory = false;
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(ranges_add(r, i * 10, i * 10 + 5), 0);
    }
    no_memory = true;
    CHECK_EQ(ranges_remove(r, 2, 3), -ENOMEM);
    CHECK(ranges_contains(r, 0, 5));
    CHECK_EQ(ranges_add(r, 200, 200), -ENOMEM);
    CHECK(!ranges_contains(r, 200, 200));
    no_memory = false;
    ranges_destroy(r);
}

TEST(bounded)
{
    struct ranges *r = ranges_create();
    int err = 0;
    u64 n = 0;
    for (; n < 100000 && !err; n++) {
        err = ranges_add(r, 2 * n, 2 * n);
    }
    CHECK_EQ(err, -ENOMEM);
    CHECK(n < 5000);
    ranges_destroy(r);
}

TEST(random_against_bitmap)
{
    enum { N = 200 };
    bool set[N] = { false };
    struct ranges *r = ranges_create();
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        u64 a = (u64)rand() % N, b = a + (u64)rand() % (N - a);
        bool add = rand() & 1;
        CHECK_EQ(add ? ranges_add(r, a, b) : ranges_remove(r, a, b), 0);
        for (u64 i = a; i <= b; i++) {
            set[i] = add;
        }
        a = (u64)rand() % N;
        b = a + (u64)rand() % (N - a);
        bool want = true;
        for (u64 i = a; i <= b; i++) {
            want &= set[i];
        }
        CHECK_EQ(ranges_contains(r, a, b), want);
    }
    ranges_destroy(r);
}
