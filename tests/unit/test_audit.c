// links: hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/* The frame audit finds nothing where every count is right, and each single wrong one. */
#include "unit.h"
#include "mm.h"
#include "x86/domain.h"
#include "x86/frames.h"
#include "x86/pv.h"

#define FRAMES 64u
static struct page pages[FRAMES + 1];          /* the last: the audit's own */
struct page *frame_table = pages;
u64 max_mfn = FRAMES, tlb_clock;
static char memory[FRAMES][PAGE_SIZE] ALIGNED(4096);
static char room[8192];
static bool no_memory;
static unsigned paused, resumed, freed;
spinlock_t control_lock;
struct domain *dom0;

bool mfn_valid(mfn_t mfn) { return mfn && mfn < FRAMES; }
void *mfn_to_virt(mfn_t mfn) { return memory[mfn]; }
struct page *alloc_hv_pages(unsigned order, u32 flags)
{
    CHECK((PAGE_SIZE << order) >= sizeof(room) && flags == 0);
    memset(room, 0x5a, sizeof(room));
    return no_memory ? NULL : &pages[FRAMES];
}
void free_hv_pages(struct page *pg, unsigned order) { CHECK(pg == &pages[FRAMES]); (void)order; freed++; }
void domain_pause(struct domain *d) { CHECK_EQ(d->refs, 3); paused++; }
void domain_unpause(struct domain *d) { CHECK_EQ(d->refs, 3); resumed++; }
void domain_ref(struct domain *d) { d->refs++; }
void domain_put(struct domain *d) { d->refs--; }
#define page_to_virt(pg) ((pg) == &pages[FRAMES] ? (void *)room : (void *)memory[(pg) - pages])
#define virt_to_mfn(p) ((void)(p), FRAMES)

static struct x86_domain dom;
static struct x86_vcpu vcpus[2];
static struct vcpu *slots[2] = { &vcpus[0].v, &vcpus[1].v };
u64 domains_step(u32 (*fn)(struct domain *d, u32 i), u64 at)
{
    if (at >> 32 > 7)
        return 0;
    dom.d.refs++;
    u32 next = fn(&dom.d, at >> 32 == 7 ? (u32)at : 0);
    dom.d.refs--;
    return (next ? 7ul : 8ul) << 32 | next;
}

/* What is mapped by grants, and what event channels hold. */
static mfn_t granted, event_page;
bool grant_for_each_mapping(struct domain *d, u32 frame, void (*fn)(void *arg, mfn_t mfn, bool write), void *arg)
{
    (void)d;
    if (frame > 1)
        return false;
    fn(arg, granted, frame == 0);
    return true;
}
void evtchn_for_each_page(struct domain *d, void (*fn)(void *arg, mfn_t mfn, bool write), void *arg)
{
    (void)d;
    fn(arg, event_page, true);
}
void arch_spin_poll(void) {}
unsigned pt_entries_held(u64 type) { return type & PT_VALIDATED ? 512 : 2; }
#include "../../hv/x86/pv/audit.c"

#define LEVEL_TYPE(level) ((level) * PT_L1)
enum { L4 = 10, L3, L2, L1, DATA, READ, GDT, LDT, INFO, GRANTED, EVENT, PARTIAL, DEFERRED, OWN, IDLE };

static void use(mfn_t mfn, u64 type, u32 refs, u32 uses)
{
    pages[mfn].owner = 7;
    pages[mfn].flags = PG_ALLOCATED;
    pages[mfn].refs = refs + 1;
    pages[mfn].type = type | uses;
}

static void entry(mfn_t table, unsigned i, mfn_t to, u64 flags)
{
    ((pte_t *)memory[table])[i] = (pte_t)to << 12 | PTE_P | PTE_US | flags;
}

static void scene(void)
{
    memset(pages, 0, sizeof(pages));
    memset(memory, 0, sizeof(memory));
    memset(&dom, 0, sizeof(dom));
    memset(vcpus, 0, sizeof(vcpus));
    for (unsigned i = 0; i < FRAMES; i++) {
        pages[i].flags = PG_FREE;
    }
    dom.d.id = 7;
    dom.d.refs = 1;
    dom.d.max_vcpus = 2;
    dom.d.vcpu = slots;
    for (unsigned i = 0; i < 2; i++) {
        slots[i]->domain = &dom.d;
    }
    vcpus[0].pv.cr3 = &pages[L4];
    vcpus[1].pv.user_cr3 = &pages[L4];
    vcpus[0].pv.gdt_frame[2] = GDT;
    vcpus[1].pv.ldt_frame[0] = LDT;
    vcpus[1].v.info_page = &pages[INFO];
    vcpus[0].pv.partial = &pages[PARTIAL];
    vcpus[0].pv.deferred[0] = &pages[DEFERRED];
    vcpus[0].pv.nr_deferred = 1;
    granted = GRANTED;
    event_page = EVENT;
    entry(L4, 0, L3, PTE_RW);
    entry(L4, HV_SLOT_FIRST, DATA, PTE_RW);         /* Bulkhead's: not counted */
    entry(L3, 5, L2, PTE_RW);
    entry(L2, 6, L1, PTE_RW);
    entry(L1, 1, DATA, PTE_RW);
    entry(L1, 2, DATA, PTE_RW);
    entry(L1, 3, READ, 0);
    entry(L1, 4, L1, 0);
    entry(PARTIAL, 0, L1, PTE_RW);                  /* of two entries that it holds so far */
    entry(PARTIAL, 9, L1, PTE_RW);
    use(L4, LEVEL_TYPE(4) | PT_VALIDATED | PT_PINNED, 3, 3);
    use(L3, LEVEL_TYPE(3) | PT_VALIDATED, 1, 1);
    use(L2, LEVEL_TYPE(2) | PT_VALIDATED, 1, 1);
    use(L1, LEVEL_TYPE(1) | PT_VALIDATED, 3, 2);
    use(PARTIAL, LEVEL_TYPE(2), 1, 1);
    use(DEFERRED, LEVEL_TYPE(1) | PT_VALIDATED, 1, 1);
    use(DATA, PT_WRITABLE, 2, 2);
    use(READ, PT_NONE, 1, 0);
    use(GDT, PT_DESC, 1, 1);
    use(LDT, PT_DESC, 1, 1);
    use(INFO, PT_WRITABLE, 1, 1);
    use(GRANTED, PT_WRITABLE, 2, 1);
    use(EVENT, PT_WRITABLE, 1, 1);
    use(OWN, PT_WRITABLE, 1, 1);
    pages[OWN].flags |= PG_XENHEAP | PG_HV;
    use(IDLE, PT_NONE, 0, 0);
    paused = resumed = freed = 0;
}

/* The whole of it; what it has found. */
static unsigned long audit(void)
{
    for (u64 at = 0; (at = audit_frames(at)) != 0;)
        ;
    return differences;
}

TEST(nothing_wrong)
{
    scene();
    test_cpu_top.curr = slots[0];
    CHECK_EQ(audit(), 0);
    CHECK_EQ(paused, 1);
    CHECK_EQ(resumed, 1);
    CHECK_EQ(dom.d.refs, 1);
    CHECK(!dom.d.audited);
    CHECK_EQ(freed, 1);
    CHECK(spin_trylock(&control_lock));
    spin_unlock(&control_lock);
}

TEST(each_wrong_count)
{
    test_cpu_top.curr = slots[0];
    for (mfn_t mfn = L4; mfn <= IDLE; mfn++) {
        scene();
        pages[mfn].refs++;
        CHECK_EQ(audit(), 1);
        scene();
        pages[mfn].refs--;      /* an owner's only one may be missing: a frame in the making */
        CHECK_EQ(audit(), mfn != IDLE);
        scene();
        pages[mfn].type++;
        CHECK_EQ(audit(), (pages[mfn].type & PT_TYPE_MASK) != PT_NONE);
    }
}

TEST(what_changed_behind_its_back)
{
    test_cpu_top.curr = slots[1];
    scene();
    entry(L1, 1, READ, PTE_RW);
    CHECK_EQ(audit(), 2);
    scene();
    vcpus[1].pv.user_cr3 = NULL;
    CHECK_EQ(audit(), 1);
    scene();
    pages[L4].type &= ~PT_PINNED;
    CHECK_EQ(audit(), 1);
    scene();
    granted = FRAMES + 5;                           /* no RAM: not counted */
    CHECK_EQ(audit(), 1);
    scene();
    for (mfn_t mfn = 20; mfn < FRAMES; mfn++) {
        use(mfn, PT_WRITABLE, 9, 9);                /* more than it names one by one */
    }
    CHECK(audit() > 20);
}

TEST(no_room)
{
    scene();
    no_memory = true;
    CHECK_EQ(audit(), ~0UL);
    no_memory = false;
    CHECK_EQ(freed, 0);
    CHECK_EQ(paused, 0);
    max_mfn = (CHUNKS_MAX + 1ul) << CHUNK_SHIFT;    /* more than it has pointers for */
    for (unsigned i = 0; i < CHUNKS_MAX; i++)
        chunks[i] = (void *)room;
    CHECK_EQ(make_room((u64)CHUNKS_MAX << CHUNK_SHIFT), 0);
    memset(chunks, 0, sizeof(chunks));
    max_mfn = FRAMES;
    CHECK_EQ(audit(), 0);
}

/* Somebody else waits for vCPUs to stop: it tries again, and lets others work meanwhile. */
TEST(while_others_pause)
{
    test_cpu_top.curr = slots[0];
    scene();
    CHECK(spin_trylock(&control_lock));
    u64 at = 0;
    for (unsigned i = 0; i < 20; i++)
        at = audit_frames(at);
    CHECK(at != 0);
    CHECK_EQ(paused, 0);
    CHECK_EQ(dom.d.refs, 1);
    spin_unlock(&control_lock);
    while ((at = audit_frames(at)) != 0)
        ;
    CHECK_EQ(differences, 0);
    CHECK_EQ(paused + resumed, 2);
    CHECK_EQ(freed, 1);
}
