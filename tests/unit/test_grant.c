// links: hv/core/grant.c hv/core/grant_map.c hv/core/grant_copy.c hv/core/grant_op.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
#include "unit.h"
#include "arch.h"
#include "grant.h"
#include "hypercall.h"
#include "mm.h"
#include <xen/grant_table.h>
#include <xen/memory.h>

/* --- the world around: domain i owns frames 32*i .. 32*i+31; hypervisor frames after --- */
#define NDOM 4
#define PER_DOM 32
#define NPAGES 400
static struct domain doms[NDOM];
static struct vcpu vcpus[NDOM];
static char ram[NPAGES][4096] ALIGNED(4096);
static struct page frames[NPAGES];
static u32 writable[NPAGES];
static bool hv_used[NPAGES];
struct page *frame_table = frames;
u64 max_mfn = NPAGES, tlb_clock;
static unsigned flushes, preempts, mapped, fail_map, nr_free_stolen, assigned_to;
static bool fail_writes;

void *mfn_to_virt(mfn_t mfn) { return ram[mfn]; }
mfn_t virt_to_mfn(const void *va) { return (mfn_t)(((const char *)va - ram[0]) / 4096); }
bool mfn_valid(mfn_t mfn) { return mfn < NPAGES; }
static unsigned fail_at;        /* the n-th allocation from now fails; 0: none */
static bool fails(void) { return fail_at && !--fail_at; }
void *xzalloc(size_t n) { return fails() ? NULL : calloc(1, n); }
void xfree(void *p) { free(p); }
void arch_spin_poll(void) { panic("a lock was taken twice"); }
void arch_irq_window(void) { }
bool hypercall_preempt(struct vcpu *v) { (void)v; return preempts && preempts--; }
static u32 list_next;
void list_resume(struct vcpu *v, const void *buffer, u32 *done, u32 *next)
{
    CHECK(buffer);
    (void)v;
    (void)done;
    *next = list_next ?: *next;
    list_next = 0;
}
int list_preempt(struct vcpu *v, const void *buffer, u32 done, u32 next)
{
    CHECK(buffer && !done);
    if (!hypercall_preempt(v))
        return 0;
    list_next = next;
    return -ERESTART;
}
struct domain *domain_held(domid_t id) { return id < NDOM && doms[id].refs ? &doms[id] : NULL; }
struct domain *domain_get(domid_t id)
{
    struct domain *d = domain_held(id);
    if (d) {
        d->refs++;
    }
    return d;
}
void domain_ref(struct domain *d) { d->refs++; }
void domain_put(struct domain *d) { CHECK(d->refs); d->refs--; }
struct domain *domain_get_for(struct vcpu *v, domid_t id, int *err)
{
    if (id == DOMID_SELF) {
        id = v->domain->id;
    }
    *err = id != v->domain->id && !(v->domain->rights & RIGHT_FOREIGN) ? -EPERM : -ESRCH;
    return *err == -EPERM ? NULL : domain_get(id);
}
void *alloc_hv_page(void)
{
    if (fails()) {
        return NULL;
    }
    for (unsigned i = NDOM * PER_DOM; i < NPAGES; i++) {
        if (!hv_used[i]) {
            hv_used[i] = true;
            memset(ram[i], 0, 4096);
            return ram[i];
        }
    }
    return NULL;
}
void *alloc_shared_page(struct domain *d)
{
    void *va = alloc_hv_page();
    if (va) {
        frames[virt_to_mfn(va)].owner = d->id;
    }
    return va;
}
void free_shared_page(void *va)
{
    if (va) {
        hv_used[virt_to_mfn(va)] = false;
    }
}
static int grant_begin(struct vcpu *v) { (void)v; return 0; }
static void grant_flush(struct domain *d) { (void)d; flushes++; }
int steal_page(struct domain *d, struct page *pg)
{
    if (pg->owner != d->id || pg->refs || pg - frames >= NDOM * PER_DOM) {
        return -EINVAL;
    }
    pg->owner = DOMID_INVALID;
    return 0;
}
void free_stolen_page(struct page *pg) { (void)pg; nr_free_stolen++; }
int assign_pages(struct domain *d, struct page *pg, unsigned order, bool hidden)
{
    (void)order; (void)hidden;
    pg->owner = d->id;
    assigned_to = d->id;
    return 0;
}

static int copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    (void)v;
    if (src < 4096) {
        return -EFAULT;
    }
    memcpy(dst, (void *)src, n);
    return 0;
}
static int copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    (void)v;
    if (dst < 4096 || fail_writes) {
        return -EFAULT;
    }
    memcpy((void *)dst, src, n);
    return 0;
}
static struct page *get_gfn(struct domain *d, u64 gfn, bool write)
{
    if (gfn >= NPAGES || frames[gfn].owner != d->id) {
        return NULL;
    }
    frames[gfn].refs++;
    writable[gfn] += write;
    return &frames[gfn];
}
static void put_gfn(struct page *pg, bool write)
{
    CHECK(pg->refs && writable[pg - frames] >= write);
    pg->refs--;
    writable[pg - frames] -= write;
}
static int op_map(struct vcpu *v, u64 addr, struct domain *owner, mfn_t mfn, u32 flags)
{
    (void)v; (void)addr; (void)owner; (void)mfn; (void)flags;
    if (fail_map) {
        return GNTST_general_error;
    }
    mapped++;
    return 0;
}
static int op_unmap(struct vcpu *v, u64 addr, mfn_t mfn, u64 new_addr, u32 flags)
{
    (void)v; (void)mfn; (void)new_addr; (void)flags;
    if (addr == 0xbad) {
        return GNTST_general_error;
    }
    mapped--;
    return 0;
}
static void physmap_remove(struct domain *d, u64 gfn, mfn_t mfn, unsigned order UNUSED)
{
    (void)d; (void)gfn; (void)mfn;
}
static const struct guest_ops ops = { .copy_from = copy_from, .copy_to = copy_to, .get_gfn = get_gfn, .put_gfn = put_gfn,
    .grant_map = op_map, .grant_unmap = op_unmap, .grant_begin = grant_begin,
    .grant_flush = grant_flush, .physmap_remove = physmap_remove };

static void setup(void)
{
    memset(doms, 0, sizeof(doms));
    memset(frames, 0, sizeof(frames));
    memset(writable, 0, sizeof(writable));
    memset(hv_used, 0, sizeof(hv_used));
    memset(ram, 0, sizeof(ram));
    flushes = preempts = mapped = fail_map = nr_free_stolen = 0;
    fail_writes = false;
    for (unsigned i = 0; i < NDOM; i++) {
        doms[i] = (struct domain){ .id = (domid_t)i, .refs = 1, .ops = &ops, .max_grant_frames = 8,
                                   .max_maptrack_frames = 3, .grant_version_max = 2,
                                   .rights = i == 0 ? RIGHT_FOREIGN : 0 };
        vcpus[i] = (struct vcpu){ .domain = &doms[i] };
        for (unsigned k = 0; k < PER_DOM; k++) {
            frames[i * PER_DOM + k].owner = (u16)i;
        }
        CHECK_EQ(grant_domain_init(&doms[i]), 0);
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < NDOM; i++) {
        doms[i].is_dying = true;
        while (grant_release_mappings(&doms[i])) {
        }
    }
    for (unsigned i = 0; i < NDOM; i++) {
        CHECK_EQ(doms[i].refs, 1);
        grant_domain_free(&doms[i]);
    }
    for (unsigned i = 0; i < NPAGES; i++) {
        CHECK_EQ(frames[i].refs, 0);
        CHECK_EQ(writable[i], 0);
        CHECK(!hv_used[i]);
    }
}

static long call(unsigned dom, unsigned cmd, void *arg, unsigned count)
{
    unsigned long a[6] = { cmd, (unsigned long)arg, count };
    test_cpu_top.curr = &vcpus[dom];
    long r;
    do {
        r = do_grant_table_op(&vcpus[dom], a);
    } while (r == -ERESTART);
    return r;
}
static void *shared(unsigned dom, unsigned idx)
{
    mfn_t mfn;
    CHECK_EQ(grant_prepare_frames(&vcpus[dom], &doms[dom], XENMEM_resource_grant_table_id_shared, idx + 1), 0);
    CHECK_EQ(grant_put_frames(&vcpus[dom], &doms[dom], XENMEM_resource_grant_table_id_shared, idx, 1, &mfn), 0);
    return ram[mfn];
}
static struct grant_entry_v1 *v1(unsigned dom, u32 ref) { return (struct grant_entry_v1 *)shared(dom, ref / 512) + ref % 512; }
static union grant_entry_v2 *v2(unsigned dom, u32 ref) { return (union grant_entry_v2 *)shared(dom, ref / 256) + ref % 256; }
static u16 *status_word(unsigned dom, u32 ref)
{
    mfn_t mfn;
    CHECK_EQ(grant_prepare_frames(&vcpus[dom], &doms[dom], XENMEM_resource_grant_table_id_status, ref / 2048 + 1), 0);
    CHECK_EQ(grant_put_frames(&vcpus[dom], &doms[dom], XENMEM_resource_grant_table_id_status, ref / 2048, 1, &mfn), 0);
    return (u16 *)ram[mfn] + ref % 2048;
}
static void grant1(unsigned dom, u32 ref, domid_t to, u32 frame, u16 flags)
{
    *v1(dom, ref) = (struct grant_entry_v1){ .flags = GTF_permit_access | flags, .domid = to, .frame = frame };
}
static struct gnttab_map_grant_ref map(unsigned dom, domid_t from, u32 ref, u32 flags)
{
    struct gnttab_map_grant_ref op = { .host_addr = 0x1000, .flags = flags, .ref = ref, .dom = from, .status = 77 };
    CHECK_EQ(call(dom, GNTTABOP_map_grant_ref, &op, 1), 0);
    return op;
}
static int unmap(unsigned dom, u32 handle, u64 host, u64 dev)
{
    struct gnttab_unmap_grant_ref op = { .handle = handle, .host_addr = host, .dev_bus_addr = dev };
    CHECK_EQ(call(dom, GNTTABOP_unmap_grant_ref, &op, 1), 0);
    return op.status;
}
static int set_version(unsigned dom, u32 version)
{
    struct gnttab_set_version op = { .version = version };
    return (int)call(dom, GNTTABOP_set_version, &op, 1);
}

/* --- version 1 --- */

TEST(map_and_unmap)
{
    setup();
    grant1(1, 5, 0, PER_DOM + 3, 0);
    struct gnttab_map_grant_ref a = map(0, 1, 5, GNTMAP_host_map), b = map(0, 1, 5, GNTMAP_host_map | GNTMAP_readonly);
    CHECK_EQ(a.status, GNTST_okay);
    CHECK_EQ(b.status, GNTST_okay);
    CHECK_EQ(a.handle, 0);
    CHECK_EQ(b.handle, 1);
    CHECK_EQ(a.dev_bus_addr, (PER_DOM + 3) * 4096);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access | GTF_reading | GTF_writing);
    CHECK_EQ(frames[PER_DOM + 3].refs, 2);
    CHECK_EQ(writable[PER_DOM + 3], 1);
    CHECK_EQ(doms[1].refs, 3);
    CHECK_EQ(unmap(0, a.handle, 0xbad, 0), GNTST_general_error);
    CHECK_EQ(unmap(0, a.handle, 0x1000, 0), GNTST_okay);
    CHECK_EQ(flushes, 1);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access | GTF_reading);
    CHECK_EQ(unmap(0, a.handle, 0x1000, 0), GNTST_bad_handle);
    CHECK_EQ(unmap(0, 2, 0x1000, 0), GNTST_bad_handle);
    CHECK_EQ(unmap(0, 0xffffffff, 0x1000, 0), GNTST_bad_handle);
    CHECK_EQ(unmap(1, b.handle, 0x1000, 0), GNTST_bad_handle);
    CHECK_EQ(unmap(0, b.handle, 0x1000, 0), GNTST_okay);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access);
    CHECK_EQ(mapped, 0);
    teardown();
}

TEST(map_refused)
{
    setup();
    grant1(1, 5, 0, PER_DOM + 3, GTF_readonly);
    CHECK_EQ(map(0, 1, 5, GNTMAP_host_map).status, GNTST_general_error);
    CHECK_EQ(map(0, 1, 5, GNTMAP_readonly).status, GNTST_bad_gntref);
    CHECK_EQ(map(0, 9, 5, GNTMAP_host_map).status, GNTST_bad_domain);
    CHECK_EQ(map(0, 1, 512, GNTMAP_host_map).status, GNTST_bad_gntref);
    CHECK_EQ(map(0, 1, 0xffffffff, GNTMAP_host_map).status, GNTST_bad_gntref);
    CHECK_EQ(map(0, 1, 6, GNTMAP_host_map).status, GNTST_general_error);
    CHECK_EQ(map(2, 1, 5, GNTMAP_host_map | GNTMAP_readonly).status, GNTST_general_error);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access | GTF_readonly);
    grant1(1, 7, 0, 3, 0);                          /* a frame that is not its own */
    CHECK_EQ(map(0, 1, 7, GNTMAP_host_map).status, GNTST_bad_page);
    CHECK_EQ(v1(1, 7)->flags, GTF_permit_access);
    grant1(1, 8, 0, PER_DOM, 0);
    fail_map = 1;
    CHECK_EQ(map(0, 1, 8, GNTMAP_host_map).status, GNTST_general_error);
    fail_map = 0;
    CHECK_EQ(v1(1, 8)->flags, GTF_permit_access);
    CHECK_EQ(frames[PER_DOM].refs, 0);
    /* in use by one domain: not by another, whatever the entry says now */
    CHECK_EQ(map(0, 1, 8, GNTMAP_host_map).status, GNTST_okay);
    v1(1, 8)->domid = 2;
    v1(1, 8)->frame = PER_DOM + 1;
    CHECK_EQ(map(2, 1, 8, GNTMAP_host_map).status, GNTST_general_error);
    CHECK_EQ(map(0, 1, 8, GNTMAP_host_map).status, GNTST_okay);
    CHECK_EQ(frames[PER_DOM].refs, 2);
    doms[1].is_dying = true;
    CHECK_EQ(map(0, 1, 8, GNTMAP_host_map).status, GNTST_bad_domain);
    teardown();
}

TEST(device_and_host_halves)
{
    setup();
    grant1(1, 5, 0, PER_DOM + 3, 0);
    u32 h = map(0, 1, 5, GNTMAP_host_map | GNTMAP_device_map).handle;
    CHECK_EQ(unmap(0, h, 0, 0x1000), GNTST_bad_dev_addr);
    CHECK_EQ(unmap(0, h, 0x1000, 0), GNTST_okay);
    CHECK_EQ(frames[PER_DOM + 3].refs, 1);
    CHECK_EQ(unmap(0, h, 0x1000, 0), GNTST_bad_virt_addr);
    CHECK_EQ(unmap(0, h, 0, (PER_DOM + 3) * 4096), GNTST_okay);
    CHECK_EQ(unmap(0, h, 0, (PER_DOM + 3) * 4096), GNTST_bad_handle);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access);
    struct gnttab_map_grant_ref m = map(0, 1, 5, GNTMAP_host_map);
    struct gnttab_unmap_and_replace r = { .host_addr = 0x1000, .new_addr = 0x2000, .handle = m.handle };
    CHECK_EQ(call(0, GNTTABOP_unmap_and_replace, &r, 1), 0);
    CHECK_EQ(r.status, GNTST_okay);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access);
    teardown();
}

TEST(maptrack_is_bounded_and_dies_with_the_domain)
{
    setup();
    static struct gnttab_map_grant_ref op[800];
    grant1(1, 5, 0, PER_DOM + 3, 0);
    for (unsigned i = 0; i < 800; i++) {
        op[i] = (struct gnttab_map_grant_ref){ .host_addr = 0x1000, .flags = GNTMAP_host_map, .ref = 5, .dom = 1 };
    }
    preempts = 7;
    CHECK_EQ(call(0, GNTTABOP_map_grant_ref, op, 800), 0);
    CHECK_EQ(preempts, 0);
    unsigned good = 0;
    for (unsigned i = 0; i < 800; i++) {
        good += op[i].status == GNTST_okay;
        CHECK(op[i].status == GNTST_okay || op[i].status == GNTST_no_space);
    }
    CHECK_EQ(good, 768);
    CHECK_EQ(mapped, 768);
    CHECK_EQ(frames[PER_DOM + 3].refs, 768);
    CHECK_EQ(unmap(0, op[100].handle, 0x1000, 0), GNTST_okay);
    CHECK_EQ(map(0, 1, 5, GNTMAP_host_map).handle, op[100].handle);
    /* both die at once; the granter's frame stays until the mapper lets go */
    doms[0].is_dying = doms[1].is_dying = true;
    CHECK_EQ(grant_release_mappings(&doms[1]), 0);
    CHECK_EQ(frames[PER_DOM + 3].refs, 768);
    preempts = 2;
    CHECK_EQ(grant_release_mappings(&doms[0]), -ERESTART);
    CHECK(frames[PER_DOM + 3].refs && frames[PER_DOM + 3].refs < 768);
    teardown();
}

static unsigned seen;
static void count(void *arg, mfn_t mfn, bool write) { seen += (mfn == *(mfn_t *)arg) + 100u * write; }

TEST(audit_sees_mappings)
{
    setup();
    grant1(1, 5, 0, PER_DOM + 3, 0);
    map(0, 1, 5, GNTMAP_host_map);
    map(0, 1, 5, GNTMAP_device_map | GNTMAP_readonly);
    mfn_t mfn = PER_DOM + 3;
    seen = 0;
    CHECK(grant_for_each_mapping(&doms[0], 0, count, &mfn));
    CHECK_EQ(seen, 102);
    CHECK(!grant_for_each_mapping(&doms[0], 1000, count, &mfn));
    CHECK(!grant_for_each_mapping(&(struct domain){ .id = 9 }, 0, count, &mfn));
    teardown();
}

/* --- copies --- */

static int copy(unsigned dom, struct gnttab_copy op)
{
    CHECK_EQ(call(dom, GNTTABOP_copy, &op, 1), 0);
    return op.status;
}
#define SRC_GREF(d_, r_, o_) .source = { .u.ref = (r_), .domid = (d_), .offset = (o_) }
#define SRC_OWN(f_, o_) .source = { .u.gmfn = (f_), .domid = DOMID_SELF, .offset = (o_) }
#define DST_GREF(d_, r_, o_) .dest = { .u.ref = (r_), .domid = (d_), .offset = (o_) }
#define DST_OWN(f_, o_) .dest = { .u.gmfn = (f_), .domid = DOMID_SELF, .offset = (o_) }

TEST(copies)
{
    setup();
    grant1(1, 5, 0, PER_DOM + 3, GTF_readonly);
    grant1(1, 6, 0, PER_DOM + 4, 0);
    memset(ram[PER_DOM + 3], 'x', 4096);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 5, 16), DST_OWN(2, 4000), .len = 96, .flags = 1 }), GNTST_okay);
    CHECK_EQ(ram[2][4000], 'x');
    CHECK_EQ(ram[2][3999], 0);
    CHECK_EQ(ram[2][4095], 'x');
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_OWN(2, 4000), DST_GREF(1, 6, 0), .len = 8, .flags = 2 }), GNTST_okay);
    CHECK_EQ(ram[PER_DOM + 4][7], 'x');
    CHECK_EQ(ram[PER_DOM + 4][8], 0);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 5, 0), DST_GREF(1, 6, 0), .len = 4096, .flags = 3 }), GNTST_okay);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_OWN(2, 0), DST_GREF(1, 5, 0), .len = 8, .flags = 2 }), GNTST_general_error);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_OWN(2, 1), DST_GREF(1, 6, 0), .len = 4096, .flags = 2 }), GNTST_bad_copy_arg);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_OWN(2, 0), DST_GREF(1, 6, 65535), .len = 65535, .flags = 2 }), GNTST_bad_copy_arg);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_OWN(PER_DOM, 0), DST_OWN(1, 0), .len = 8 }), GNTST_bad_page);
    CHECK_EQ(copy(0, (struct gnttab_copy){ .source = { .u.gmfn = PER_DOM, .domid = 1 }, DST_OWN(1, 0), .len = 8 }),
             GNTST_permission_denied);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(7, 0, 0), DST_OWN(1, 0), .len = 8, .flags = 1 }), GNTST_bad_domain);
    CHECK_EQ(v1(1, 5)->flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(v1(1, 6)->flags, GTF_permit_access);
    /* a batch that names one side again and again, restarted */
    static struct gnttab_copy op[100];
    for (unsigned i = 0; i < 100; i++) {
        op[i] = (struct gnttab_copy){ SRC_GREF(1, 5 + (i & 1), i), DST_OWN(3, i), .len = 1, .flags = 1, .status = 1 };
    }
    preempts = 3;
    CHECK_EQ(call(0, GNTTABOP_copy, op, 100), 0);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(op[i].status, 0);
    }
    CHECK_EQ(ram[3][99], 'x');
    CHECK_EQ(doms[1].refs, 1);
    fail_writes = true;
    CHECK_EQ(call(0, GNTTABOP_copy, op, 1), -EFAULT);
    teardown();
}

TEST(version_2)
{
    setup();
    grant1(1, 1, 0, PER_DOM + 1, 0);                /* reserved entries live on */
    grant1(1, 9, 0, PER_DOM + 2, 0);
    u32 h = map(0, 1, 9, GNTMAP_host_map).handle;
    CHECK_EQ(set_version(1, 2), -EBUSY);
    unmap(0, h, 0x1000, 0);
    CHECK_EQ(set_version(1, 3), -EINVAL);
    CHECK_EQ(set_version(1, 2), 0);
    CHECK_EQ(v2(1, 1)->full_page.frame, PER_DOM + 1);
    CHECK_EQ(v2(1, 1)->hdr.flags, GTF_permit_access);
    CHECK_EQ(v2(1, 9)->hdr.flags, 0);
    h = map(0, 1, 1, GNTMAP_host_map).handle;
    CHECK_EQ(*status_word(1, 1), GTF_reading | GTF_writing);
    CHECK_EQ(v2(1, 1)->hdr.flags, GTF_permit_access);
    CHECK_EQ(set_version(1, 1), -EBUSY);
    CHECK_EQ(unmap(0, h, 0x1000, 0), 0);
    CHECK_EQ(*status_word(1, 1), 0);
    /* part of a page: to copy, not to map */
    *v2(1, 20) = (union grant_entry_v2){ .sub_page = { .hdr = { GTF_permit_access | GTF_sub_page, 0 },
                                                       .page_off = 100, .length = 50, .frame = PER_DOM + 5 } };
    CHECK_EQ(map(0, 1, 20, GNTMAP_host_map).status, GNTST_general_error);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 20, 100), DST_OWN(1, 0), .len = 50, .flags = 1 }), GNTST_okay);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 20, 101), DST_OWN(1, 0), .len = 50, .flags = 1 }), GNTST_general_error);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 20, 99), DST_OWN(1, 0), .len = 2, .flags = 1 }), GNTST_general_error);
    v2(1, 20)->sub_page.length = 4000;
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 20, 100), DST_OWN(1, 0), .len = 50, .flags = 1 }), GNTST_general_error);
    CHECK_EQ(*status_word(1, 20), 0);
    /* through domain 2: it grants to 1, which lets 0 use it */
    grant1(2, 30, 1, 2 * PER_DOM + 7, 0);
    strcpy(ram[2 * PER_DOM + 7], "far");
    *v2(1, 21) = (union grant_entry_v2){ .transitive = { .hdr = { GTF_transitive, 0 }, .trans_domid = 2, .gref = 30 } };
    CHECK_EQ(map(0, 1, 21, GNTMAP_host_map).status, GNTST_general_error);
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 21, 0), DST_OWN(1, 0), .len = 4, .flags = 1 }), GNTST_okay);
    CHECK_STR(ram[1], "far");
    CHECK_EQ(v1(2, 30)->flags, GTF_permit_access);
    CHECK_EQ(*status_word(1, 21), 0);
    *v2(1, 22) = (union grant_entry_v2){ .transitive = { .hdr = { GTF_transitive, 0 }, .trans_domid = 1, .gref = 22 } };
    CHECK_EQ(copy(0, (struct gnttab_copy){ SRC_GREF(1, 22, 0), DST_OWN(1, 0), .len = 4, .flags = 1 }), GNTST_general_error);
    *v2(1, 22) = (union grant_entry_v2){ .transitive = { .hdr = { GTF_transitive, 1 }, .trans_domid = 1, .gref = 22 } };
    CHECK_EQ(copy(1, (struct gnttab_copy){ SRC_GREF(1, 22, 0), DST_OWN(PER_DOM, 0), .len = 4, .flags = 1 }), GNTST_general_error);
    CHECK_EQ(*status_word(1, 22), 0);
    CHECK_EQ(set_version(1, 1), 0);
    CHECK_EQ(v1(1, 1)->frame, PER_DOM + 1);
    CHECK_EQ(v1(1, 20)->flags, 0);
    doms[1].grant_version_max = 1;
    CHECK_EQ(set_version(1, 2), -ENOSYS);
    teardown();
}

/* --- the table --- */

TEST(tables_grow)
{
    setup();
    xen_pfn_t list[16] = { 0 };
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = 3 };
    op.frame_list.p = list;
    CHECK_EQ(call(1, GNTTABOP_setup_table, &op, 1), 0);
    CHECK_EQ(op.status, GNTST_okay);
    CHECK(list[0] && list[2] && !list[3]);
    CHECK_EQ(frames[list[2]].owner, 1);
    memset(list, 0, sizeof(list));
    op.nr_frames = 2;                               /* never fewer than there are */
    call(1, GNTTABOP_setup_table, &op, 1);
    CHECK(list[1] && !list[2]);
    op.nr_frames = 9;
    call(1, GNTTABOP_setup_table, &op, 1);
    CHECK_EQ(op.status, GNTST_general_error);
    op = (struct gnttab_setup_table){ .dom = 0, .nr_frames = 1 };
    call(1, GNTTABOP_setup_table, &op, 1);
    CHECK_EQ(op.status, GNTST_permission_denied);
    op.dom = 7;
    call(0, GNTTABOP_setup_table, &op, 1);
    CHECK_EQ(op.status, GNTST_bad_domain);
    op.dom = 1;
    call(0, GNTTABOP_setup_table, &op, 1);
    CHECK_EQ(op.status, GNTST_bad_virt_addr);
    struct gnttab_query_size q = { .dom = 1 };
    CHECK_EQ(call(0, GNTTABOP_query_size, &q, 1), 0);
    CHECK_EQ(q.nr_frames, 3);
    CHECK_EQ(q.max_nr_frames, 8);
    mfn_t mfn;
    CHECK_EQ(grant_put_frames(&vcpus[1], &doms[1], 0, 8, 1, &mfn), -EINVAL);
    CHECK_EQ(grant_put_frames(&vcpus[1], &doms[1], 1, 0, 1, &mfn), -EINVAL);
    CHECK_EQ(grant_prepare_frames(&vcpus[1], &doms[1], 0, 9), -EINVAL);
    CHECK_EQ(grant_prepare_frames(&vcpus[1], &doms[1], 1, 1), -EINVAL);
    CHECK_EQ(set_version(1, 2), 0);
    uint64_t st[2];
    struct gnttab_get_status_frames s = { .nr_frames = 1, .dom = DOMID_SELF };
    s.frame_list.p = st;
    CHECK_EQ(call(1, GNTTABOP_get_status_frames, &s, 1), 0);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(frames[st[0]].owner, 1);
    s.nr_frames = 2;
    call(1, GNTTABOP_get_status_frames, &s, 1);
    CHECK_EQ(s.status, GNTST_general_error);
    struct gnttab_get_version ver = { .dom = 1 };
    CHECK_EQ(call(0, GNTTABOP_get_version, &ver, 1), 0);
    CHECK_EQ(ver.version, 2);
    CHECK_EQ(call(2, GNTTABOP_get_version, &ver, 1), -EPERM);
    teardown();
}

TEST(swap_and_transfer)
{
    setup();
    grant1(1, 9, 0, 40, 0);
    grant1(1, 10, 2, 41, GTF_readonly);
    struct gnttab_swap_grant_ref sw = { .ref_a = 9, .ref_b = 10 };
    CHECK_EQ(call(1, GNTTABOP_swap_grant_ref, &sw, 1), 0);
    CHECK_EQ(sw.status, 0);
    CHECK_EQ(v1(1, 9)->domid, 2);
    CHECK_EQ(v1(1, 10)->frame, 40);
    map(0, 1, 10, GNTMAP_host_map);
    call(1, GNTTABOP_swap_grant_ref, &sw, 1);
    CHECK_EQ(sw.status, GNTST_eagain);
    sw.ref_b = 600;
    call(1, GNTTABOP_swap_grant_ref, &sw, 1);
    CHECK_EQ(sw.status, GNTST_bad_gntref);

    *v1(2, 11) = (struct grant_entry_v1){ .flags = GTF_accept_transfer, .domid = 1 };
    struct gnttab_transfer tr = { .mfn = 3, .domid = 2, .ref = 11 };
    CHECK_EQ(call(1, GNTTABOP_transfer, &tr, 1), 0);
    CHECK_EQ(tr.status, GNTST_bad_page);            /* not its own */
    tr.mfn = 40;
    call(1, GNTTABOP_transfer, &tr, 1);
    CHECK_EQ(tr.status, GNTST_bad_page);            /* granted and mapped */
    tr.mfn = 50;
    call(1, GNTTABOP_transfer, &tr, 1);
    CHECK_EQ(tr.status, GNTST_okay);
    CHECK_EQ(assigned_to, 2);
    CHECK_EQ(v1(2, 11)->frame, 50);
    CHECK_EQ(v1(2, 11)->flags, GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    tr.mfn = 51;
    call(1, GNTTABOP_transfer, &tr, 1);
    CHECK_EQ(tr.status, GNTST_general_error);
    CHECK_EQ(nr_free_stolen, 1);
    CHECK_EQ(frames[51].owner, DOMID_INVALID);
    teardown();
}

TEST(errors)
{
    setup();
    struct gnttab_dump_table du = { .dom = DOMID_SELF };
    CHECK_EQ(call(1, GNTTABOP_dump_table, &du, 1), 0);
    CHECK_EQ(du.status, GNTST_permission_denied);
    CHECK_EQ(call(1, GNTTABOP_cache_flush, NULL, 1), -EOPNOTSUPP);
    CHECK_EQ(call(1, 13, NULL, 1), -ENOSYS);
    CHECK_EQ(call(1, GNTTABOP_map_grant_ref, NULL, 0x80000000u), -EINVAL);
    for (unsigned cmd = 0; cmd < GNTTABOP_cache_flush; cmd++) {
        CHECK_EQ(call(1, cmd, NULL, 1), -EFAULT);
    }
    CHECK_EQ(call(1, GNTTABOP_map_grant_ref, NULL, 0), 0);
    CHECK_EQ(call(1, GNTTABOP_setup_table, NULL, 2), -EINVAL);
    teardown();
}

/* --- no memory (what is not given back the leak checker tells) --- */

TEST(failed_allocations)
{
    setup();
    unsigned needed = 0;
    for (bool made = false; !made;) {
        struct domain d = { .id = 3, .refs = 1, .ops = &ops, .max_grant_frames = 4, .max_maptrack_frames = 3,
                            .grant_version_max = 2 };
        fail_at = ++needed;
        made = grant_domain_init(&d) == 0;
        if (made) {
            CHECK(fail_at);                     /* it was not reached */
            grant_domain_free(&d);
        } else {
            CHECK_EQ(fail_at, 0);
            if (d.grants) {
                grant_domain_free(&d);
            }
        }
        fail_at = 0;
    }
    CHECK_EQ(needed, 5);                        /* the fifth was not reached */
    /* A table that cannot grow stays as it is, and grows when there is memory again. */
    for (unsigned n = 1; n <= 2; n++) {
        unsigned long list[4];
        struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 + n };
        set_xen_guest_handle(s.frame_list, list);
        fail_at = n;
        CHECK_EQ(call(1, GNTTABOP_setup_table, &s, 1), 0);
        CHECK(s.status != GNTST_okay);
        CHECK_EQ(call(1, GNTTABOP_setup_table, &s, 1), 0);
        CHECK_EQ(s.status, GNTST_okay);
    }
    /* No record for a mapping: of its directory, of its frame. */
    grant1(1, 5, 0, PER_DOM + 3, 0);
    for (unsigned n = 1; n <= 2; n++) {
        fail_at = n;
        CHECK(map(0, 1, 5, GNTMAP_host_map).status != GNTST_okay);
        CHECK_EQ(fail_at, 0);
        CHECK_EQ(v1(1, 5)->flags, GTF_permit_access);
        CHECK_EQ(mapped, 0);
    }
    struct gnttab_map_grant_ref m = map(0, 1, 5, GNTMAP_host_map);
    CHECK_EQ(m.status, GNTST_okay);
    CHECK_EQ(unmap(0, m.handle, 0x1000, 0), GNTST_okay);
    teardown();
}

TEST(sizes_and_dump)
{
    setup();
    CHECK_EQ(grant_max_frames(&doms[1], XENMEM_resource_grant_table_id_shared), 8);
    CHECK_EQ(grant_max_frames(&doms[1], XENMEM_resource_grant_table_id_status), 1);
    grant1(1, 6, 0, PER_DOM + 3, 0);
    grant1(1, 400, 0, PER_DOM + 4, GTF_readonly);
    struct gnttab_map_grant_ref a = map(0, 1, 6, GNTMAP_host_map), b = map(0, 1, 400, GNTMAP_host_map | GNTMAP_readonly);
    u32 at = 0, steps = 0;
    while ((at = grant_dump(&doms[1], at)) != 0)
        steps++;
    CHECK(steps > 2);
    CHECK_EQ(grant_dump(&doms[1], 70000), 0);       /* of a dump of another one */
    struct gnttab_dump_table du = { .dom = doms[1].id };
    doms[0].rights |= RIGHT_CONTROL;
    preempts = 2;
    CHECK_EQ(call(0, GNTTABOP_dump_table, &du, 1), 0);
    CHECK_EQ(du.status, GNTST_okay);
    CHECK_EQ(preempts, 0);
    doms[0].rights &= ~RIGHT_CONTROL;
    CHECK_EQ(unmap(0, a.handle, 0x1000, 0), GNTST_okay);
    CHECK_EQ(unmap(0, b.handle, 0x1000, 0), GNTST_okay);
    CHECK_EQ(grant_dump(&(struct domain){ .id = 9 }, 0), 0);
    teardown();
}
