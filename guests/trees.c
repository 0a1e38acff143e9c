/* SPDX-License-Identifier: MIT */
/*
 * Trees of page tables larger than what is done of them at a time: pinned, given up,
 * replaced, refused at their last entry, by two vCPUs at once. Afterwards every table must
 * be plain memory again, which a writable mapping shows.
 */
#define UNRECORDED          /* on Xen it does less */
#include "tiny.h"

#define L1S 12u

struct tree { u64 *l4, *l3, *l2, *l1[L1S], *data; };
static struct tree a, b;

static u64 mfn(const void *p) { return virt_to_mfn_of(p); }

static long ext(unsigned cmd, u64 arg)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = arg };
    return HC(mmuext_op, &op, 1, 0, DOMID_SELF);
}

static long update(void *table, unsigned i, u64 val)
{
    struct mmu_update u = { mfn(table) << 12 | i * 8, val };
    return HC(mmu_update, &u, 1, 0, DOMID_SELF);
}

static u64 *read_only(u64 *t) { CHECK_EQ(map_mfn(t, mfn(t), PG_RO), 0); return t; }

/* Tables filled while they are plain memory; top: one of the kernel's own entries beside it,
 * so that a CPU can run on it. */
static void make(struct tree *t)
{
    if (!t->data) {
        t->data = alloc_page();
        t->l4 = alloc_page();
        t->l3 = alloc_page();
        t->l2 = alloc_page();
        for (unsigned i = 0; i < L1S; i++) {
            t->l1[i] = alloc_page();
        }
    }
    for (unsigned i = 0; i < L1S; i++) {
        memset(t->l1[i], 0, PAGE_SIZE);
        t->l1[i][i] = mfn(t->data) << 12 | PG_DATA;
        t->l1[i][511] = mfn(t->data) << 12 | PG_RO;
        t->l2[i * 20] = mfn(t->l1[i]) << 12 | PG_TABLE;
        read_only(t->l1[i]);
    }
    t->l3[7] = mfn(t->l2) << 12 | PG_TABLE;
    memcpy(t->l4, (void *)start_info->pt_base, PAGE_SIZE);
    memset(&t->l4[256], 0, 16 * 8);
    t->l4[3] = mfn(t->l3) << 12 | PG_TABLE;
    read_only(t->l2);
    read_only(t->l3);
    read_only(t->l4);
}

/* How many of its tables are still tables. */
static unsigned still_typed(struct tree *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < L1S; i++) {
        n += map_mfn(t->l1[i], mfn(t->l1[i]), PG_DATA) < 0;
    }
    n += map_mfn(t->l2, mfn(t->l2), PG_DATA) < 0;
    n += map_mfn(t->l3, mfn(t->l3), PG_DATA) < 0;
    n += map_mfn(t->l4, mfn(t->l4), PG_DATA) < 0;
    return n;
}

TEST(pin_and_unpin)
{
    make(&a);
    for (unsigned round = 0; round < 5; round++) {
        CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)), 0);
        CHECK(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)) < 0);
        CHECK(map_mfn(a.l1[L1S - 1], mfn(a.l1[L1S - 1]), PG_DATA) < 0);
        CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
    }
    CHECK_EQ(still_typed(&a), 0);
}

TEST(refused_at_the_end)
{
    /* The last entry of the last table wants what nobody gets: one of the tables, writable. */
    make(&a);
    CHECK_EQ(map_mfn(a.l1[L1S - 1], mfn(a.l1[L1S - 1]), PG_DATA), 0);
    a.l1[L1S - 1][510] = mfn(a.l1[0]) << 12 | PG_DATA;
    read_only(a.l1[L1S - 1]);
    for (unsigned round = 0; round < 5; round++) {
        CHECK(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)) < 0);
        CHECK(ext(MMUEXT_NEW_BASEPTR, mfn(a.l4)) < 0);
        CHECK(ext(MMUEXT_NEW_USER_BASEPTR, mfn(a.l4)) < 0);
    }
    CHECK_EQ(still_typed(&a), 0);
    /* And in the upper levels: a large page, a wrong level. */
    make(&a);
    CHECK_EQ(map_mfn(a.l2, mfn(a.l2), PG_DATA), 0);
    a.l2[500] = mfn(a.data) << 12 | PG_TABLE | PG_PSE;
    read_only(a.l2);
    CHECK(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)) < 0);
    CHECK_EQ(map_mfn(a.l2, mfn(a.l2), PG_DATA), 0);
    a.l2[500] = mfn(a.l3) << 12 | PG_TABLE;
    read_only(a.l2);
    CHECK(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)) < 0);
    CHECK_EQ(map_mfn(a.l2, mfn(a.l2), PG_DATA), 0);
    a.l2[500] = 0;
    read_only(a.l2);
    CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
    CHECK_EQ(still_typed(&a), 0);
}

TEST(run_on_it)
{
    volatile u64 *seen_at = (u64 *)(3UL << 39 | 7UL << 30);       /* entry 0 of the first L1 */
    make(&a);
    make(&b);
    for (unsigned round = 0; round < 4; round++) {
        CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, mfn(a.l4)), 0);
        *seen_at = 0x1111 + round;
        CHECK_EQ(*a.data, 0x1111 + round);
        CHECK_EQ(ext(MMUEXT_NEW_USER_BASEPTR, mfn(b.l4)), 0);
        CHECK_EQ(ext(MMUEXT_NEW_BASEPTR, mfn((void *)start_info->pt_base)), 0);
        CHECK_EQ(ext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
        TRAPS("movq (%1), %%rax", "r"(seen_at));
        CHECK_EQ(seen.vector, 14);
    }
    CHECK_EQ(still_typed(&a), 0);
    CHECK_EQ(still_typed(&b), 0);
}

TEST(replaced)
{
    /* A subtree of a table in use gives way to another; both come and go whole. */
    make(&a);
    make(&b);
    CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)), 0);
    for (unsigned round = 0; round < 6; round++) {
        struct tree *t = round & 1 ? &a : &b;
        CHECK_EQ(update(a.l3, 7, mfn(t->l2) << 12 | PG_TABLE), 0);
    }
    /* Many in one call, and one that stops it in the middle. */
    static struct mmu_update u[60];
    u32 done = 0;
    for (unsigned i = 0; i < 60; i++) {
        u[i] = (struct mmu_update){ mfn(a.l3) << 12 | 7 * 8, mfn(i & 1 ? a.l2 : b.l2) << 12 | PG_TABLE };
    }
    CHECK_EQ(HC(mmu_update, u, 60, &done, DOMID_SELF), 0);
    CHECK_EQ(done, 60);
    u[40].val = mfn(a.l4) << 12 | PG_TABLE;
    CHECK(HC(mmu_update, u, 60, &done, DOMID_SELF) < 0);
    CHECK_EQ(done, 40);
    CHECK_EQ(update(a.l3, 7, 0), 0);
    CHECK_EQ(update(a.l4, 3, 0), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
    CHECK_EQ(still_typed(&a), 0);
    CHECK_EQ(still_typed(&b), 0);
}

TEST(same_frame_other_bits)
{
    make(&a);
    CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)), 0);
    CHECK_EQ(update(a.l3, 7, mfn(a.l2) << 12 | PG_P | PG_RW | PG_US), 0);       /* only bits change */
    struct mmu_update u = { mfn(a.l3) << 12 | 7 * 8 | MMU_PT_UPDATE_PRESERVE_AD, mfn(a.l2) << 12 | PG_P | PG_RW };
    CHECK_EQ(HC(mmu_update, &u, 1, 0, DOMID_SELF), 0);
    CHECK(update(a.l3, 7, mfn(a.l2) << 12 | PG_TABLE | PG_PSE) < 0);
    CHECK(update(a.l4, 256, mfn(a.l3) << 12 | PG_TABLE) < 0);                    /* Bulkhead's slots */
    CHECK(update(a.l4, 271, 0) < 0 || on_xen());
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
    CHECK_EQ(still_typed(&a), 0);
}

/* --- two vCPUs --- */

/* The second vCPU runs for ever and does one job after the other: again and again until
 * `stop`. */
static void (*volatile job)(void);
static volatile bool stop;
static volatile u32 turns, odd;

static void worker(void *arg)
{
    (void)arg;
    for (;;) {
        while (!job) {
            __asm__ volatile("pause");
        }
        for (; !stop || (turns & 1); turns++) {
            job();
        }
        job = NULL;
    }
}

static bool wait_while(bool (*what)(void))
{
    for (u64 end = system_time() + 20000000000UL; what() && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    return !what();
}

static bool no_turn(void) { return turns == 0; }
static bool busy(void) { return job != NULL; }

/* False: the machine has one CPU, or it is Xen, whose calls wait for each other too long here. */
static bool start(void (*fn)(void))
{
    static bool runs;
    if (!have_vcpu1()) {
        return false;
    }
    if (!runs) {
        CHECK_EQ(start_vcpu1(worker, NULL), 0);
        runs = true;
    }
    if (on_xen()) {
        return false;
    }
    stop = false;
    turns = odd = 0;
    job = fn;
    CHECK(wait_while(no_turn));
    return true;
}

static void finish(void)
{
    stop = true;
    CHECK(wait_while(busy));
    CHECK_EQ(odd, 0);
}

/* Pins and unpins the subtree that the other vCPU's tree shares. */
static void pin_l3(void)
{
    odd += ext(MMUEXT_PIN_L3_TABLE, mfn(a.l3)) || ext(MMUEXT_UNPIN_TABLE, mfn(a.l3));
}

static void replace_l2(void)
{
    odd += update(a.l3, 7, mfn(turns & 1 ? a.l2 : b.l2) << 12 | PG_TABLE) != 0;
}

TEST(pins_that_race)
{
    make(&a);
    if (!start(pin_l3)) {
        CHECK_EQ(still_typed(&a), 0);
        return;
    }
    for (unsigned i = 0; i < 60 || (turns < 20 && i < 100000); i++) {
        CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)), 0);
        CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
    }
    finish();
    CHECK_EQ(still_typed(&a), 0);
}

TEST(replacements_that_race)
{
    make(&a);
    make(&b);
    CHECK_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(a.l4)), 0);
    if (!start(replace_l2)) {
        CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
        CHECK_EQ(still_typed(&a) + still_typed(&b), 0);
        return;
    }
    for (unsigned i = 0; i < 60 || (turns < 20 && i < 100000); i++) {
        CHECK_EQ(ext(MMUEXT_PIN_L2_TABLE, mfn(b.l2)), 0);
        CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(b.l2)), 0);
    }
    finish();
    CHECK_EQ(update(a.l3, 7, 0), 0);
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(a.l4)), 0);
    CHECK_EQ(still_typed(&a), 0);
    CHECK_EQ(still_typed(&b), 0);
}

/* Both flip a bit that is software's in one entry, by plain locked writes. */
static volatile u64 *shared_entry;

static void flip_10(void)
{
    __asm__ volatile("lock btcq $10, %0" : "+m"(*shared_entry) :: "cc");
}

TEST(entry_writes_that_race)
{
    u64 *l1 = alloc_page(), *data = alloc_page();
    u64 want = mfn(data) << 12 | PG_RO;
    l1[5] = want;
    read_only(l1);
    CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    CHECK_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn(l1)), 0);
    shared_entry = &l1[5];
    if (start(flip_10)) {
        for (unsigned i = 0; i < 400 || ((turns < 200 || (i & 1)) && i < 1000000); i++) {
            __asm__ volatile("lock btcq $9, %0" : "+m"(*shared_entry) :: "cc");
        }
        finish();
        CHECK_EQ(*shared_entry & ~PG_G, want);
    }
    CHECK_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(l1)), 0);
    CHECK_EQ(map_mfn(l1, mfn(l1), PG_DATA), 0);
}
