/* SPDX-License-Identifier: MIT */
/* Builds, runs and ends a domU that is a copy of this guest: see domu.h. */
#include "domu.h"
#include "record.h"
#include <xen/domctl.h>

#define HEAP_PAGES 64           /* alloc_page */
#define UNMAPPED_PAGES 16       /* alloc_pfn */
#define WAIT_NS 10000000000UL
#define SLOTS 512UL

extern char image_start[], image_end[], stack_end[], vcpu_entry[], event_entry[], failsafe_entry[];

unsigned domu_grant_version = 2;
static struct xen_domctl op;
static u8 scratch[PAGE_SIZE] ALIGNED(4096);     /* contents in the making */
static void (*volatile body)(void *page);       /* what the domU runs: copied with the rest */
static struct start_info *volatile domu_info;
static void *volatile domu_page;
static u64 stack[2048] ALIGNED(16);             /* where it starts */

/* --- small helpers --- */

static long control(unsigned cmd, domid_t id)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = id;
    return HC(domctl, &op);
}

static xen_pfn_t frame(const struct domu *d, u64 pfn)
{
    return d->mfn[pfn - DOMU_FIRST_PFN];
}

static void *va_of(u64 pfn) { return (void *)(VIRT_START + (pfn << PAGE_SHIFT)); }

/* A page of ours for a moment or longer over a frame of the domU. */
static long map_foreign(const struct domu *d, void *va, u64 pfn, u64 flags)
{
    return HC(update_va_mapping_otherdomain, va, frame(d, pfn) << PAGE_SHIFT | flags, UVMF_INVLPG | UVMF_LOCAL, d->id);
}

static u8 *window(void)
{
    static u8 *page;
    if (!page) {
        page = alloc_page();
    }
    return page;
}

static void close_window(void) { map_mfn(window(), virt_to_mfn_of(window()), PG_DATA); }

static long fill(const struct domu *d, u64 pfn, const void *from)
{
    long rc = map_foreign(d, window(), pfn, PG_DATA);
    if (!rc) {
        memcpy(window(), from, PAGE_SIZE);
    }
    return rc;
}

void domu_read(struct domu *d, void *to, const void *from, size_t n)
{
    while (n) {
        size_t offset = (u64)from & (PAGE_SIZE - 1), part = MIN(n, PAGE_SIZE - offset);
        CHECK_EQ(map_foreign(d, window(), virt_to_pfn(from), PG_RO), 0);
        memcpy(to, window() + offset, part);
        to = (u8 *)to + part;
        from = (const u8 *)from + part;
        n -= part;
    }
    close_window();
}

/* --- what it looks like inside --- */

/* Its pfns in order; tables: top, L3, L2, then one L1 for each 2 MiB. */
struct layout { u64 image, info, p2m, page, tables, heap, unmapped, end, nr_l1; };

static struct layout plan(void)
{
    struct layout l = { .image = virt_to_pfn(image_start) };
    l.nr_l1 = (DOMU_FIRST_PFN + DOMU_PAGES_MAX + SLOTS - 1) / SLOTS;
    l.info = virt_to_pfn(image_end);
    l.p2m = l.info + 1;
    l.page = l.p2m + l.nr_l1;       /* as many entries in a page as in a table */
    l.tables = l.page + 1;
    l.heap = l.tables + 3 + l.nr_l1 + 1;        /* tiny.h's start skips a page */
    l.unmapped = l.heap + HEAP_PAGES;
    l.end = l.unmapped + UNMAPPED_PAGES;
    return l;
}

static long fill_tables(const struct domu *d, const struct layout *l)
{
    u64 *t = (u64 *)scratch, pfn = l->tables;
    long rc = 0;
    for (u64 i = 0; i < l->nr_l1 && !rc; i++) {
        memset(t, 0, PAGE_SIZE);
        for (u64 k = 0; k < SLOTS; k++) {
            u64 p = i * SLOTS + k;
            bool is_table = p >= l->tables && p < l->tables + 3 + l->nr_l1;
            if (p >= l->image && p < l->unmapped) {
                t[k] = frame(d, p) << PAGE_SHIFT | (is_table ? PG_RO : PG_DATA);
            }
        }
        rc = fill(d, pfn + 3 + i, t);
    }
    memset(t, 0, PAGE_SIZE);
    for (u64 i = 0; i < l->nr_l1; i++) {
        t[i] = frame(d, pfn + 3 + i) << PAGE_SHIFT | PG_TABLE;
    }
    rc = rc ?: fill(d, pfn + 2, t);
    memset(t, 0, PAGE_SIZE);
    t[510] = frame(d, pfn + 2) << PAGE_SHIFT | PG_TABLE;
    rc = rc ?: fill(d, pfn + 1, t);
    memset(t, 0, PAGE_SIZE);
    t[511] = frame(d, pfn + 1) << PAGE_SHIFT | PG_TABLE;
    return rc ?: fill(d, pfn, t);
}

static long fill_data(const struct domu *d, const struct layout *l)
{
    long rc = 0;
    xen_pfn_t *p2m = (xen_pfn_t *)scratch;
    for (u64 p = 0; p < (l->page - l->p2m) * SLOTS && !rc; p += SLOTS) {
        for (u64 k = 0; k < SLOTS; k++) {
            p2m[k] = p + k >= l->image && p + k < l->end ? frame(d, p + k) : ~0UL;
        }
        rc = fill(d, l->p2m + p / SLOTS, p2m);
    }
    struct start_info *si = (void *)scratch;
    memset(si, 0, PAGE_SIZE);
    strlcpy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    si->nr_pages = d->nr_pages;
    si->shared_info = op.u.getdomaininfo.shared_info_frame << PAGE_SHIFT;
    si->mfn_list = (u64)va_of(l->p2m);
    si->pt_base = (u64)va_of(l->tables);
    si->nr_pt_frames = 3 + l->nr_l1;
    rc = rc ?: fill(d, l->info, si);
    memset(scratch, 0, PAGE_SIZE);
    rc = rc ?: fill(d, l->page, scratch);
    /* The image last: with the variables that the domU starts from. */
    in_domu = true;
    domu_info = va_of(l->info);
    domu_page = va_of(l->page);
    for (u64 p = l->image; p < l->info && !rc; p++) {
        rc = fill(d, p, va_of(p));
    }
    in_domu = false;
    return rc;
}

/* --- its life, from outside --- */

static void domu_begin(UNUSED void *unused)
{
    failed_checks = 0;
    record_clear();
    trap_hook = NULL;
    guest_init(domu_info);
    body(domu_page);
    power_off();
}

static long set_context(const struct domu *d, const struct layout *l)
{
    static struct vcpu_guest_context c;
    memset(&c, 0, sizeof(c));
    c.flags = VGCF_in_kernel | VGCF_online;
    c.user_regs.rip = (u64)vcpu_entry;
    c.user_regs.rsp = (u64)&stack[ARRAY_SIZE(stack) - 4];
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = 0x200;
    c.kernel_ss = FLAT_KERNEL_SS;
    c.kernel_sp = (u64)stack_end;
    c.event_callback_eip = (u64)event_entry;
    c.failsafe_callback_eip = (u64)failsafe_entry;
    c.ctrlreg[0] = 0x80050033;
    c.ctrlreg[3] = xen_pfn_to_cr3(frame(d, l->tables));
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.vcpu = 0;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
    return control(XEN_DOMCTL_setvcpucontext, d->id);
}

static long create_empty(struct domu *d)
{
    memset(&op, 0, sizeof(op));
    op.u.createdomain = (struct xen_domctl_createdomain){
        .max_vcpus = DOMU_VCPUS, .max_evtchn_port = 1023, .max_grant_frames = 4, .max_maptrack_frames = 4,
        .grant_opts = XEN_DOMCTL_GRANT_version(domu_grant_version),
    };
    long rc = control(XEN_DOMCTL_createdomain, 0);
    if (rc)
        return rc;
    d->id = op.domain;
    memset(&op, 0, sizeof(op));
    op.u.max_mem.max_memkb = (d->nr_pages + 256) << 2;
    rc = control(XEN_DOMCTL_max_mem, d->id);
    op.u.max_vcpus.max = DOMU_VCPUS;
    rc = rc ?: control(XEN_DOMCTL_max_vcpus, d->id);
    for (unsigned i = 0; i < d->nr_pages; i++) {
        d->mfn[i] = DOMU_FIRST_PFN + i;         /* its M2P entries are made from these */
    }
    struct xen_memory_reservation r = { .nr_extents = d->nr_pages, .domid = d->id };
    set_xen_guest_handle(r.extent_start, d->mfn);
    if (!rc && HC(memory_op, XENMEM_populate_physmap, &r) != d->nr_pages) {
        rc = -ENOMEM;
    }
    return rc ?: control(XEN_DOMCTL_getdomaininfo, d->id);
}

long domu_create(struct domu *d, void (*fn)(void *page))
{
    struct layout l = plan();
    void *page = d->page;           /* of a domU before this one in the same place */
    memset(d, 0, sizeof(*d));
    d->nr_pages = l.end - l.image;
    if (l.image != DOMU_FIRST_PFN || d->nr_pages > DOMU_PAGES_MAX)
        return -E2BIG;
    window();
    d->page = page ? page : alloc_page();
    d->page_own = virt_to_mfn_of(d->page);
    long rc = create_empty(d);
    if (rc)
        return rc;
    body = fn;
    stack[ARRAY_SIZE(stack) - 4] = (u64)domu_begin;     /* vcpu_entry takes it from there */
    rc = fill_data(d, &l) ?: fill_tables(d, &l);
    close_window();
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = frame(d, l.tables) };
    rc = rc ?: HC(mmuext_op, &pin, 1, 0, d->id);
    rc = rc ?: map_foreign(d, d->page, l.page, PG_DATA);
    return rc ?: set_context(d, &l);
}

void domu_start(struct domu *d) { CHECK_EQ(control(XEN_DOMCTL_unpausedomain, d->id), 0); }

long domu_wait(struct domu *d)
{
    static char text[DOMU_TEXT];
    u64 end = system_time() + WAIT_NS;
    do {
        HC(sched_op, SCHEDOP_yield, 0);
        CHECK_EQ(control(XEN_DOMCTL_getdomaininfo, d->id), 0);
    } while (!(op.u.getdomaininfo.flags & XEN_DOMINF_shutdown) && system_time() < end);
    unsigned failures;
    domu_read(d, &failures, &failed_checks, sizeof(failures));
    domu_read(d, text, domu_text, sizeof(text));
    for (char *line = text, *end; (end = strstr(line, "\n")); line = end + 1) {
        *end = 0;
        print("%s\n", line);
    }
    failed_checks += failures;
    record_merge(d);
    if (!(op.u.getdomaininfo.flags & XEN_DOMINF_shutdown))
        return -ETIME;
    return op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

/* The last of its memory goes in the background: until then it is there, dying. */
void domu_destroy(struct domu *d)
{
    long rc;
    map_mfn(d->page, d->page_own, PG_DATA);
    do {
        rc = control(XEN_DOMCTL_destroydomain, d->id);
    } while (rc == -ERESTART || rc == -EAGAIN);
    CHECK_EQ(rc, 0);
    u64 end = system_time() + WAIT_NS;
    while (control(XEN_DOMCTL_getdomaininfo, d->id) == 0 && op.domain == d->id && system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
}

void domu_run(void (*fn)(void *page))
{
    static struct domu d;
    long rc = domu_create(&d, fn);
    CHECK_EQ(rc, 0);
    if (!rc) {
        domu_start(&d);
        CHECK_EQ(domu_wait(&d), SHUTDOWN_poweroff);
    }
    if (d.id) {
        domu_destroy(&d);
    }
}
