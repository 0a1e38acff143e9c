// links: hv/core/memory.c hv/core/reservation.c hv/core/exchange.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* memory_op over a modelled frame table: owners and counts must come out right. */
#include "unit.h"
#include "arch.h"
#include "grant.h"
#include "hypercall.h"
#include "mm.h"
#include <xen/memory.h>

#define FRAMES 4096u
static struct page frames[FRAMES];
struct page *frame_table = frames;
u64 max_mfn = FRAMES;
static u64 m2p[FRAMES];
static u64 preempt_every, preempt_count;
static struct domain self, other;
static struct vcpu me = { .domain = &self };
static const struct guest_ops ops;

static bool is_free(u64 m) { return frames[m].flags == PG_FREE; }

/* Frames of the upper half lie above 2^23 bytes. */
static struct page *take(unsigned order, u32 memf, u16 owner, u16 flags)
{
    u64 n = 1UL << order, limit = MEMF_GET_BITS(memf) ? 1UL << (MEMF_GET_BITS(memf) - PAGE_SHIFT) : FRAMES;
    limit = MIN(limit, (u64)FRAMES);
    for (u64 m = 0; m + n <= limit; m += n) {
        u64 k = 0;
        while (k < n && is_free(m + k)) {
            k++;
        }
        if (k == n) {
            for (k = 0; k < n; k++) {
                frames[m + k] = (struct page){ .refs = 1, .owner = owner, .flags = flags };
            }
            return &frames[m];
        }
    }
    return NULL;
}
static void release(struct page *pg) { *pg = (struct page){ .flags = PG_FREE, .owner = DOMID_INVALID }; }

struct page *alloc_hv_pages(unsigned order, u32 memf) { return take(order, memf, DOMID_INVALID, PG_HV); }
void free_hv_pages(struct page *pg, unsigned order)
{
    for (u64 k = 0; k < 1UL << order; k++) {
        CHECK_EQ(pg[k].flags, PG_HV);
        release(pg + k);
    }
}
int assign_pages(struct domain *d, struct page *pg, unsigned order, bool hidden)
{
    if (d->is_dying || d->tot_pages + (1UL << order) > d->max_pages) {
        return -ENOMEM;
    }
    for (u64 k = 0; k < 1UL << order; k++) {
        CHECK(pg[k].owner == DOMID_INVALID);
        pg[k] = (struct page){ .refs = !hidden, .owner = d->id, .flags = PG_ALLOCATED };
    }
    d->tot_pages += 1UL << order;
    return 0;
}
/* Hidden frames become visible, 64 at a time. */
bool clear_hidden(struct domain *d)
{
    u64 n = 0;
    for (u64 m = 0; m < FRAMES && n < 64; m++) {
        if (frames[m].owner == d->id && frames[m].flags == PG_ALLOCATED && !frames[m].refs) {
            frames[m].refs = 1;
            n++;
        }
    }
    return n == 64;
}
bool get_page(struct page *pg, struct domain *d)
{
    return pg->owner == d->id && pg->refs && ++pg->refs;
}
void put_page(struct page *pg)
{
    if (--pg->refs == 0) {
        release(pg);
    }
}
bool domain_free_page(struct domain *d, struct page *pg)
{
    if (pg->owner != d->id || pg->flags != PG_ALLOCATED) {
        return false;
    }
    d->tot_pages--;
    pg->owner = DOMID_INVALID;
    pg->flags = 0;
    if (--pg->refs == 0) {
        release(pg);
    }
    return true;
}
int steal_page(struct domain *d, struct page *pg)
{
    if (pg->owner != d->id || pg->flags != PG_ALLOCATED || pg->refs != 1) {
        return -EINVAL;
    }
    d->tot_pages--;
    *pg = (struct page){ .owner = DOMID_INVALID };
    return 0;
}
void free_stolen_page(struct page *pg)
{
    CHECK_EQ(pg->refs, 0);
    m2p[pg - frames] = INVALID_M2P;
    release(pg);
}
u64 free_page_count(void)
{
    u64 n = 0;
    for (u64 m = 0; m < FRAMES; m++) {
        n += is_free(m);
    }
    return n;
}
void m2p_set(mfn_t mfn, u64 gfn) { m2p[mfn] = gfn; }
void *xzalloc(size_t n) { return calloc(1, n); }
void xfree(void *p) { free(p); }
void arch_spin_poll(void) { }
void arch_irq_window(void) { }
long arch_memory_op(struct vcpu *v, unsigned cmd, u64 arg) { (void)v; (void)cmd; (void)arg; return 77; }
bool hypercall_preempt(struct vcpu *v) { (void)v; return preempt_every && ++preempt_count % preempt_every == 0; }
u32 grant_max_frames(struct domain *d, u32 id) { (void)d; return id ? 0 : 64; }
static u32 grant_frames;
int grant_prepare_frames(struct vcpu *v, struct domain *d, u32 id, u32 n)
{
    (void)d; (void)id;
    for (; grant_frames < n; grant_frames += 16) {
        if (hypercall_preempt(v)) {
            return -ERESTART;
        }
    }
    return 0;
}
int grant_put_frames(struct vcpu *v, struct domain *d, u32 id, u32 first, u32 n, const void *list)
{
    (void)d; (void)id;
    for (u32 i = 0; i < n; i++) {
        u64 mfn = 1000 + first + i;
        if (first + i >= grant_frames) {
            return -EINVAL;
        }
        if (v->domain->ops->copy_to(v, (u64)list + i * 8, &mfn, 8)) {
            return -EFAULT;
        }
    }
    return 0;
}
static int domain_refs;
struct domain *domain_get_for(struct vcpu *v, domid_t id, int *err)
{
    struct domain *d = id == DOMID_SELF || id == v->domain->id ? v->domain : id == other.id ? &other : NULL;
    if (!d) {
        *err = -ESRCH;
    }
    domain_refs += d != NULL;
    return d;
}
void domain_put(struct domain *d) { (void)d; domain_refs--; }
static int op_copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    (void)v;
    if (src < 4096) {
        return -EFAULT;
    }
    memcpy(dst, (void *)src, n);
    return 0;
}
static int op_copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    (void)v;
    if (dst < 4096) {
        return -EFAULT;
    }
    memcpy((void *)dst, src, n);
    return 0;
}
static struct page *op_get_gfn(struct domain *d, u64 gfn, bool write)
{
    (void)write;
    if (gfn >= FRAMES || frames[gfn].owner != d->id || !frames[gfn].refs) {
        return NULL;
    }
    frames[gfn].refs++;
    return &frames[gfn];
}
static void op_put_gfn(struct page *pg, bool write)
{
    (void)write;
    if (--pg->refs == 0) {
        release(pg);
    }
}
static int op_add(struct domain *d, u64 gfn, mfn_t mfn, unsigned order)
{
    (void)d;
    for (u64 k = 0; k < 1UL << order; k++) {
        m2p[mfn + k] = gfn + k;
    }
    return 0;
}
static void op_remove(struct domain *d, u64 gfn, mfn_t mfn)
{
    (void)gfn;
    op_add(d, 0, mfn, 0);
    m2p[mfn] = INVALID_M2P;
}
static const struct guest_ops ops = {
    .copy_from = op_copy_from, .copy_to = op_copy_to, .get_gfn = op_get_gfn, .put_gfn = op_put_gfn,
    .physmap_add = op_add, .physmap_remove = op_remove,
};

static void start(void)
{
    memset(&self, 0, sizeof(self));
    memset(&other, 0, sizeof(other));
    self.ops = other.ops = &ops;
    self.id = 3;
    other.id = 5;
    self.max_pages = other.max_pages = FRAMES;
    self.rights = RIGHT_CONTROL | RIGHT_FOREIGN | RIGHT_HARDWARE;
    spin_lock_init(&self.lock, LOCK_DOMAIN);
    spin_lock_init(&other.lock, LOCK_DOMAIN);
    for (u64 m = 0; m < FRAMES; m++) {
        release(&frames[m]);
        m2p[m] = INVALID_M2P;
    }
    preempt_every = preempt_count = grant_frames = 0;
    domain_refs = 0;
}

/* Repeats what is to be continued, as a guest does. */
static unsigned repeats;
static long call(unsigned cmd, void *arg)
{
    unsigned long a[6] = { cmd, (unsigned long)arg };
    long rc;
    for (repeats = 0; (rc = do_memory_op(&me, a)) == -ERESTART; repeats++) {
    }
    CHECK_EQ(domain_refs, 0);
    return rc;
}

static xen_pfn_t list[1024];
static struct xen_memory_reservation res(u64 nr, unsigned order)
{
    return (struct xen_memory_reservation){ .extent_start = { list }, .nr_extents = nr, .extent_order = order, .domid = DOMID_SELF };
}

TEST(populate_and_give_back)
{
    start();
    struct xen_memory_reservation r = res(100, 0);
    for (unsigned i = 0; i < 100; i++) {
        list[i] = 5000 + i;
    }
    preempt_every = 2;
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 100);
    CHECK(repeats > 0);
    CHECK_EQ(self.tot_pages, 100);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(m2p[list[i]], 5000 + i);
        CHECK_EQ(frames[list[i]].owner, 3);
    }
    frames[list[10]].refs++;            /* mapped: given up, not free */
    CHECK_EQ(call(XENMEM_decrease_reservation, &r), 100);
    CHECK_EQ(self.tot_pages, 0);
    CHECK(m2p[list[10]] == INVALID_M2P);
    CHECK_EQ(free_page_count(), FRAMES - 1);
    CHECK_EQ(call(XENMEM_decrease_reservation, &r), 0);
}

/* Cut in the clearing and within extents; a frame that is mapped stays until it is not. */
TEST(large_extents_in_pieces)
{
    start();
    struct xen_memory_reservation r = res(3, 9);
    for (unsigned i = 0; i < 3; i++) {
        list[i] = 10000 + i * 512;
    }
    preempt_every = 1;
    repeats = 0;
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 3);
    CHECK(repeats >= 3 * 8);
    CHECK_EQ(self.tot_pages, 3 * 512);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(m2p[list[i] + 511], 10000 + i * 512 + 511);
        CHECK_EQ(frames[list[i] + 511].refs, 1);
    }
    repeats = 0;
    CHECK_EQ(call(XENMEM_decrease_reservation, &r), 3);
    CHECK(repeats >= 3 * 15);
    CHECK_EQ(self.tot_pages, 0);
    CHECK_EQ(free_page_count(), FRAMES);
    r.nr_extents = ~0UL;
    CHECK_EQ(call(XENMEM_decrease_reservation, &r), 0);
    preempt_every = 0;
}

TEST(limits_of_a_reservation)
{
    start();
    struct xen_memory_reservation r = res(4, 10);
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 0);
    r = res(10, 0);
    self.max_pages = 7;
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 7);
    r.nr_extents = ~0UL;
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 0);
    r = res(10, 0);
    CHECK_EQ(call(XENMEM_populate_physmap | 1000 << 6, &r), 1000);
    r.domid = 99;
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 0);
    CHECK_EQ(call(XENMEM_populate_physmap, (void *)8), 0);
    r = res(1, 0);
    r.extent_start.p = (void *)8;
    self.max_pages = 100;
    CHECK_EQ(call(XENMEM_increase_reservation, &r), 0);
    CHECK_EQ(self.tot_pages, 7);        /* taken back: its address could not be told */
    r = res(2, 9);
    r.domid = other.id;
    list[0] = 0;
    list[1] = 512;
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 2);
    CHECK_EQ(other.tot_pages, 1024);
    list[0] = 4000;                     /* not the caller's */
    r = res(1, 0);
    CHECK_EQ(call(XENMEM_decrease_reservation, &r), 0);
}

static struct xen_memory_exchange exchange_of(u64 in, unsigned in_order, u64 out, unsigned out_order, unsigned bits)
{
    static xen_pfn_t out_list[1024];
    for (unsigned i = 0; i < MIN(out, (u64)ARRAY_SIZE(out_list)); i++) {
        out_list[i] = 7000 + ((u64)i << out_order);
    }
    struct xen_memory_exchange x = { .in = res(in, in_order), .out = res(out, out_order) };
    x.out.extent_start.p = out_list;
    x.out.mem_flags = XENMEMF_address_bits(bits);
    return x;
}

TEST(exchange_small_for_large)
{
    start();
    (void)take(11, 0, DOMID_INVALID, PG_HV);    /* the lower half is used */
    struct xen_memory_reservation r = res(128, 0);
    for (unsigned i = 0; i < 128; i++) {
        list[i] = 100 + i;
    }
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 128);
    u64 free_before = free_page_count();
    struct xen_memory_exchange x = exchange_of(128, 0, 2, 6, 23);
    CHECK_EQ(call(XENMEM_exchange, &x), -ENOMEM);
    CHECK_EQ(x.nr_exchanged, 0);
    CHECK_EQ(m2p[list[5]], 105);
    free_hv_pages(&frames[1024], 7);
    preempt_every = 1;
    CHECK_EQ(call(XENMEM_exchange, &x), 0);
    CHECK_EQ(repeats, 20);              /* each 16 frames taken and freed, after each chunk, and in its clearing */
    CHECK_EQ(x.nr_exchanged, 128);
    CHECK_EQ(self.tot_pages, 128);
    CHECK_EQ(free_page_count(), free_before + 128);
    CHECK(x.out.extent_start.p[1] < 2048);
    CHECK_EQ(m2p[x.out.extent_start.p[1] + 63], 7127);
    CHECK(m2p[list[5]] == INVALID_M2P);
    /* And back: one large for many small ones. */
    list[0] = x.out.extent_start.p[0];
    x = exchange_of(1, 6, 64, 0, 0);
    CHECK_EQ(call(XENMEM_exchange, &x), 0);
    CHECK_EQ(x.nr_exchanged, 1);
    CHECK_EQ(self.tot_pages, 128);
    CHECK_EQ(free_page_count(), free_before + 128);
    CHECK_EQ(m2p[x.out.extent_start.p[63]], 7063);
}

TEST(exchange_is_all_or_nothing)
{
    start();
    struct xen_memory_reservation r = res(64, 0);
    for (unsigned i = 0; i < 64; i++) {
        list[i] = 100 + i;
    }
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 64);
    u64 free_before = free_page_count();
    frames[list[50]].refs++;            /* still mapped */
    struct xen_memory_exchange x = exchange_of(64, 0, 1, 6, 0);
    CHECK_EQ(call(XENMEM_exchange, &x), -EINVAL);
    CHECK_EQ(x.nr_exchanged, 0);
    CHECK_EQ(self.tot_pages, 64);
    CHECK_EQ(free_page_count(), free_before);
    CHECK_EQ(m2p[list[3]], 103);
    CHECK_EQ(frames[list[3]].owner, 3);
    frames[list[50]].refs--;
    self.is_dying = true;               /* gets nothing, loses nothing to nobody */
    CHECK_EQ(call(XENMEM_exchange, &x), -ENOMEM);
    CHECK_EQ(free_page_count() + self.tot_pages, FRAMES);
    self.is_dying = false;
    x = exchange_of(64, 0, 2, 6, 0);
    CHECK_EQ(call(XENMEM_exchange, &x), -EINVAL);
    x = exchange_of(64, 0, 1, 6, 0);
    x.nr_exchanged = 65;
    CHECK_EQ(call(XENMEM_exchange, &x), -EINVAL);
    x.nr_exchanged = 3;
    CHECK_EQ(call(XENMEM_exchange, &x), -EINVAL);
    x = exchange_of(1UL << 55, 9, 1UL << 55, 9, 0);
    CHECK_EQ(call(XENMEM_exchange, &x), -EINVAL);
    x = exchange_of(1, 10, 1, 10, 0);
    CHECK_EQ(call(XENMEM_exchange, &x), -EPERM);
}

TEST(exchange_one_for_one)
{
    start();
    struct xen_memory_reservation r = res(5, 0);
    CHECK_EQ(call(XENMEM_populate_physmap, &r), 5);
    struct xen_memory_exchange x = exchange_of(5, 0, 5, 0, 0);
    preempt_every = 1;
    CHECK_EQ(call(XENMEM_exchange, &x), 0);
    CHECK_EQ(repeats, 5);               /* a chunk is a frame, and it can be cut after each */
    CHECK_EQ(x.nr_exchanged, 5);
}

/* Cut after each 16 frames; how far it is stays with the vCPU. */
TEST(exchange_left_halfway)
{
    struct xen_memory_reservation r = res(64, 0);
    for (unsigned cuts = 1; cuts < 12; cuts++) {
        start();
        for (unsigned i = 0; i < 64; i++) {
            list[i] = 100 + i;
        }
        CHECK_EQ(call(XENMEM_populate_physmap, &r), 64);
        struct xen_memory_exchange x = exchange_of(64, 0, 1, 6, 0), second = exchange_of(1, 0, 1, 0, 0);
        u64 free_before = free_page_count();
        int refs_before = domain_refs;
        preempt_every = 1;
        long rc = -ERESTART;
        for (unsigned i = 0; i < cuts && rc == -ERESTART; i++) {
            rc = memory_exchange(&me, (u64)&x);
            CHECK(rc == -ERESTART || rc == 0);
            CHECK_EQ(domain_refs - refs_before, rc != 0);
        }
        if (cuts % 2) {                 /* another one instead */
            do {
                rc = memory_exchange(&me, (u64)&second);
            } while (rc == -ERESTART);
            CHECK_EQ(rc, second.nr_exchanged == 1 ? 0 : -EINVAL);   /* the frame may have gone by then */
        } else {                        /* the end */
            while (exchange_abandon(&me)) {
            }
        }
        CHECK(!me.exchange);
        CHECK_EQ(domain_refs, refs_before);
        CHECK_EQ(self.tot_pages, 64);
        CHECK_EQ(free_page_count(), free_before);
    }
}

TEST(questions)
{
    start();
    struct xen_memory_domain m = { DOMID_SELF };
    struct shared_info si = { .arch.max_pfn = 1000 };
    self.shared_info = &si;
    self.tot_pages = 9;
    self.max_pages = ~0UL;
    CHECK_EQ(call(XENMEM_current_reservation, &m), 9);
    CHECK(call(XENMEM_maximum_reservation, &m) > 0);
    CHECK_EQ(call(XENMEM_maximum_gpfn, &m), 999);
    si.arch.max_pfn = 0;
    CHECK_EQ(call(XENMEM_maximum_gpfn, &m), 0);
    si.arch.max_pfn = ~0UL;
    CHECK(call(XENMEM_maximum_gpfn, &m) > 0);
    CHECK_EQ(call(XENMEM_maximum_ram_page, NULL), FRAMES);
    CHECK_EQ(call(XENMEM_get_vnumainfo, NULL), -EOPNOTSUPP);
    CHECK_EQ(call(XENMEM_get_sharing_freed_pages, NULL), 0);
    CHECK_EQ(call(63, NULL), -ENOSYS);
    CHECK_EQ(call(XENMEM_machphys_mapping, NULL), 77);
    self.rights = 0;
    CHECK_EQ(call(XENMEM_machine_memory_map, NULL), -EPERM);
    struct xen_memory_reservation r = { .nr_extents = 5, .domid = DOMID_SELF };
    CHECK_EQ(call(XENMEM_claim_pages, &r), -EPERM);
    self.rights = RIGHT_CONTROL;
    CHECK_EQ(call(XENMEM_claim_pages, &r), -EINVAL);        /* it has more */
    r.nr_extents = self.tot_pages + 1;
    CHECK_EQ(call(XENMEM_claim_pages, &r), 0);
    r.nr_extents = FRAMES + 10;
    CHECK_EQ(call(XENMEM_claim_pages, &r), -ENOMEM);
    r.nr_extents = 0;
    CHECK_EQ(call(XENMEM_claim_pages, &r), 0);
}

TEST(memory_map)
{
    static u8 buf[64], map[64] = { 1, 2, 3, [41] = 9 };
    start();
    struct xen_memory_map m = { .nr_entries = 3, .buffer = { buf } };
    CHECK_EQ(call(XENMEM_memory_map, &m), -ENOSYS);
    struct xen_foreign_memory_map f = { .domid = DOMID_SELF, .map = { .nr_entries = 3, .buffer = { map } } };
    CHECK_EQ(call(XENMEM_set_memory_map, &f), 0);
    m.nr_entries = 2;
    CHECK_EQ(call(XENMEM_memory_map, &m), 0);
    CHECK(!memcmp(buf, map, 40) && buf[41] == 0);
    m.nr_entries = 100;
    CHECK_EQ(call(XENMEM_memory_map, &m), 0);
    CHECK_EQ(m.nr_entries, 3);
    CHECK_EQ(buf[41], 9);
    f.map.buffer.p = (void *)8;
    CHECK_EQ(call(XENMEM_set_memory_map, &f), -EFAULT);
    f.map.nr_entries = 129;
    CHECK_EQ(call(XENMEM_set_memory_map, &f), -EINVAL);
    CHECK_EQ(self.e820_nr, 3);
    f.map.nr_entries = 0;
    CHECK_EQ(call(XENMEM_set_memory_map, &f), 0);
    CHECK_EQ(call(XENMEM_memory_map, &m), -ENOSYS);
}

TEST(resource)
{
    start();
    struct xen_mem_acquire_resource r = { .domid = 5, .type = XENMEM_resource_grant_table };
    CHECK_EQ(call(XENMEM_acquire_resource, &r), 0);
    CHECK_EQ(r.nr_frames, 64);
    r.frame_list.p = list;
    r.frame = 4;
    r.nr_frames = 60;
    preempt_every = 2;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), 0);
    CHECK(repeats > 0);
    CHECK_EQ(list[0], 1004);
    CHECK_EQ(list[59], 1063);
    r.nr_frames = 61;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), -EINVAL);
    r.frame = ~0UL;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), -EINVAL);
    r.frame = 0;
    r.type = 0;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), -EOPNOTSUPP);
    r.type = XENMEM_resource_grant_table;
    r.pad = 1;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), -EINVAL);
    r.pad = 0;
    r.domid = DOMID_SELF;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), -ESRCH);
    r.domid = self.id;
    CHECK_EQ(call(XENMEM_acquire_resource, &r), -EPERM);
}
