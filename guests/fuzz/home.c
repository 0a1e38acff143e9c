// SPDX-License-Identifier: MIT
/*
 * What a fuzzing domain plays with, and what it does so that it can go on: pages, page
 * tables under entries of the top that nothing else uses, grant frames; all of them made
 * whole again now and then, and for dom0 given back at the end of a batch.
 */
#include "fuzz.h"

struct home home;
static struct vcpu_runstate_info runstate[DOMU_VCPUS] ALIGNED(64);

static long ext(unsigned cmd, u64 mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };
    return HC(mmuext_op, &op, 1, 0, DOMID_SELF);
}

static long set_entry(u64 table_mfn, u64 i, u64 val)
{
    struct mmu_update u = { table_mfn << PAGE_SHIFT | i * 8, val };
    return HC(mmu_update, &u, 1, 0, DOMID_SELF);
}

/* --- one page --- */

/* The entry that maps a page of the image; its tables are never played with. */
static u64 *image_entry(const void *p) { return pte_of((u64)p, 1); }

static u64 mapped_mfn(const void *p)
{
    u64 e = *(volatile u64 *)image_entry(p);
    return e & PG_P ? (e & 0x000ffffffffff000UL) >> PAGE_SHIFT : 0;
}

/* Its frame back to its place, writable; a new frame if that one is not ours any more. */
static void page_mend(void *p, u64 *mfn)
{
    u64 want = *mfn << PAGE_SHIFT | PG_DATA;
    if (((*(volatile u64 *)image_entry(p) ^ want) & (0x000ffffffffff000UL | PG_P | PG_RW)) == 0)
        return;
    if (map_mfn(p, *mfn, PG_DATA) == 0)
        return;
    ext(MMUEXT_UNPIN_TABLE, *mfn);          /* it may have become a table */
    if (map_mfn(p, *mfn, PG_DATA) == 0)
        return;
    if (map_mfn(p, *mfn, PG_RO) == 0)
        return;                             /* ours, in some other use: next time */
    xen_pfn_t pfn = virt_to_pfn(p);
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
    set_xen_guest_handle(r.extent_start, &pfn);
    if (HC(memory_op, XENMEM_populate_physmap, &r) == 1) {
        *mfn = pfn;
        map_mfn(p, pfn, PG_DATA);
    }
}

/* --- tables --- */

enum { TAB_L1, TAB_L1B, TAB_L2, TAB_L3 };

static void tables_hang(void)
{
    for (unsigned i = 0; i < 4; i++) {
        map_mfn(home.tab[i], home.tab_mfn[i], PG_RO);
    }
    set_entry(home.top_mfn, FUZZ_SLOT, home.tab_mfn[TAB_L3] << PAGE_SHIFT | PG_TABLE);
}

static void tables_drop(void)
{
    for (unsigned i = 0; i < 8; i++) {
        set_entry(home.top_mfn, FUZZ_SLOT + i, 0);
    }
    for (unsigned i = 0; i < TABS; i++) {
        ext(MMUEXT_UNPIN_TABLE, home.tab_mfn[i]);
    }
    for (unsigned i = 0; i < POOL; i++) {
        ext(MMUEXT_UNPIN_TABLE, home.pool_mfn[i]);
    }
    ext(MMUEXT_TLB_FLUSH_ALL, 0);
}

static void events_end(void)
{
    struct evtchn_reset r = { DOMID_SELF };
    while (HC(event_channel_op, EVTCHNOP_reset, &r) == -ERESTART) {
    }
}

void home_rebuild(struct fuzzer *f)
{
    tables_drop();
    if (f->dom0)
        events_end();               /* or Bulkhead's records of them would grow, and stay */
    struct mmuext_op ldt = { .cmd = MMUEXT_SET_LDT };
    HC(mmuext_op, &ldt, 1, 0, DOMID_SELF);
    HC(set_gdt, f->args[1], 0);
    ext(MMUEXT_NEW_USER_BASEPTR, 0);
    for (unsigned i = 0; i < TABS; i++) {
        page_mend(home.tab[i], &home.tab_mfn[i]);
    }
    home_mend(f);
    for (unsigned t = 0; t < TABS; t++) {
        if (mapped_mfn(home.tab[t]) != home.tab_mfn[t] || !(*image_entry(home.tab[t]) & PG_RW))
            return;                         /* not whole: without tables until the next time */
        memset(home.tab[t], 0, PAGE_SIZE);
    }
    for (unsigned i = 0; i < 24; i++) {
        u64 flags = one_in(f, 3) ? PG_RO : PG_DATA;
        home.tab[TAB_L1][i] = home.pool_mfn[below(f, POOL)] << PAGE_SHIFT | flags;
        home.tab[TAB_L1B][i] = home.pool_mfn[below(f, POOL)] << PAGE_SHIFT | flags;
    }
    home.tab[TAB_L2][0] = home.tab_mfn[TAB_L1] << PAGE_SHIFT | PG_TABLE;
    home.tab[TAB_L2][1] = home.tab_mfn[TAB_L1B] << PAGE_SHIFT | PG_TABLE;
    home.tab[TAB_L3][0] = home.tab_mfn[TAB_L2] << PAGE_SHIFT | PG_TABLE;
    tables_hang();
}

void home_mend(struct fuzzer *f)
{
    for (unsigned i = 0; i < POOL; i++) {
        page_mend(home.pool[i], &home.pool_mfn[i]);
    }
    callbacks_mend();
    runstate_mend(f->vcpu);
    if (!f->vcpu && HC(vcpu_op, VCPUOP_is_up, 1, 0) == 0) {
        HC(vcpu_op, VCPUOP_up, 1, 0);
    }
    note_port((u32)evtchn_bind_virq(VIRQ_TIMER, f->vcpu));
}

/* --- callbacks, runstates --- */

void callbacks_mend(void)
{
    extern char trap_entries[], event_entry[], failsafe_entry[], syscall_entry[];
    HC(set_debugreg, 7, 0);
    HC(set_trap_table, trap_entries);
    HC(set_callbacks, event_entry, failsafe_entry, syscall_entry);
}

void runstate_mend(unsigned vcpu)
{
    struct vcpu_register_runstate_memory_area r = { .addr.v = &runstate[vcpu] };
    HC(vcpu_op, VCPUOP_register_runstate_memory_area, vcpu, &r);
}

/* --- dom0's grant mappings --- */

#define MAPPED_MAX 512
static struct mapped { u64 at, bus; u32 handle; } mapped[MAPPED_MAX];
static volatile u32 nr_mapped;

static void unmap(const struct mapped *m)
{
    struct gnttab_unmap_grant_ref u = { .host_addr = m->at, .dev_bus_addr = m->bus, .handle = m->handle };
    HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1);
}

void grant_mapped(struct fuzzer *f, const struct gnttab_map_grant_ref *m)
{
    if (m->status != GNTST_okay)
        return;
    note_handle(m->handle);
    if (!f->dom0)
        return;
    struct mapped now = { m->flags & GNTMAP_host_map ? m->host_addr : 0,
                          m->flags & GNTMAP_device_map ? m->dev_bus_addr : 0, m->handle };
    u32 i = __atomic_fetch_add(&nr_mapped, 1, __ATOMIC_SEQ_CST);
    if (i < MAPPED_MAX)
        mapped[i] = now;
    else
        unmap(&now);
}

/* --- beginning and end --- */

/* dom0's table gets all its frames now, so that it does not grow later. */
static u64 grant_table_frame(struct fuzzer *f, unsigned i)
{
    static xen_pfn_t frames[64];
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = f->dom0 ? 64 : GRANT_FRAMES };
    set_xen_guest_handle(s.frame_list, frames);
    HC(grant_table_op, GNTTABOP_setup_table, &s, 1);
    return frames[i];
}

void home_init(struct fuzzer *f)
{
    home.code_mfn = mapped_mfn(home.code);
    home.top_mfn = virt_to_mfn_of((void *)start_info->pt_base);
    for (unsigned i = 0; i < POOL; i++) {
        home.pool_mfn[i] = mapped_mfn(home.pool[i]);
    }
    for (unsigned i = 0; i < TABS; i++) {
        home.tab_mfn[i] = mapped_mfn(home.tab[i]);
    }
    for (unsigned i = 0; f->dom0 && i < GRANT_VA; i++) {
        home.grant_va[i] = alloc_page();
        map_mfn(home.grant_va[i], 0, 0);
    }
    for (unsigned i = 0; i < GRANT_FRAMES; i++) {
        home.grant_mfn[i] = grant_table_frame(f, i);
        map_mfn(home.grants[i], home.grant_mfn[i], PG_DATA);
    }
    home_rebuild(f);
}

/* Between batches nothing moves: what dom0 holds of other domains it can let go. */
void home_leave(struct fuzzer *f)
{
    for (u32 i = 0; i < MIN(nr_mapped, (u32)MAPPED_MAX); i++) {
        unmap(&mapped[i]);
    }
    nr_mapped = 0;
    for (int pirq = 0; pirq < 64; pirq++) {
        struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = pirq };
        HC(physdev_op, PHYSDEVOP_unmap_pirq, &u);
    }
    memset(home.grants, 0, sizeof(home.grants));
    for (unsigned round = 0; round < 3; round++) {
        home_rebuild(f);
    }
    struct xen_foreign_memory_map none = { .domid = DOMID_SELF };
    HC(memory_op, XENMEM_set_memory_map, &none);
    struct xen_memory_reservation claim = { .domid = DOMID_SELF };
    HC(memory_op, XENMEM_claim_pages, &claim);
}
