// SPDX-License-Identifier: MIT
/*
 * Numbers that hurt: valid ones more often than not, or nothing would ever get far; else
 * limits, their neighbours, what belongs to others, and noise. dom0 names nothing that it
 * lives on, or one call's success would be its end (and the machine's).
 */
#include "fuzz.h"

#define PORTS 16
#define HANDLES 16
static u32 ports[PORTS], handles[HANDLES];
static unsigned nr_ports, nr_handles;

u64 next_random(struct fuzzer *f)           /* xorshift64* */
{
    u64 x = f->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    f->random = x;
    return x * 0x2545f4914f6cdd1dUL;
}

u32 below(struct fuzzer *f, u32 n)
{
    return (u32)((next_random(f) >> 32) * n >> 32);
}

void note_port(u32 port) { ports[nr_ports++ % PORTS] = port; }
void note_handle(u32 handle) { handles[nr_handles++ % HANDLES] = handle; }

u64 boundary(struct fuzzer *f)
{
    u64 v = 1UL << below(f, 64);
    switch (below(f, 8)) {
    case 0: return 0;
    case 1: return v - 1;
    case 2: return v;
    case 3: return v + 1;
    case 4: return ~v;
    case 5: return ~0UL - below(f, 4);
    case 6: return 0xffffffffUL - below(f, 3) + below(f, 3);
    default: return next_random(f) >> below(f, 64);
    }
}

static u64 small(struct fuzzer *f, u32 n)
{
    u32 r = below(f, 64);
    return r < 56 ? below(f, n) : r < 60 ? below(f, 600) : boundary(f);
}

/* A frame that dom0 lives on. */
static bool vital(struct fuzzer *f, u64 mfn)
{
    u64 pfn = f->dom0 && mfn < 0x100000 ? ((volatile u64 *)MACH2PHYS_VIRT_START)[mfn] : ~0UL;
    return pfn < start_info->nr_pages && P2M[pfn] == mfn;
}

static u64 low_frame(struct fuzzer *f, u32 limit)
{
    u64 mfn = below(f, limit);
    return vital(f, mfn) ? home.pool_mfn[0] : mfn;
}

static u64 frame(struct fuzzer *f)
{
    u32 r = below(f, 128);
    if (r < 72)
        return home.pool_mfn[below(f, POOL)];
    if (r < 100)
        return home.tab_mfn[below(f, TABS)];
    if (r < 114)
        return f->share->peer_frame[below(f, PEER_FRAMES)];
    if (r < 118)
        return home.grant_mfn[below(f, GRANT_FRAMES)];
    if (r < 120)
        return low_frame(f, 0x1000);        /* low memory: firmware and Bulkhead */
    if (r < 126 || f->dom0)
        return r == 126 ? low_frame(f, 0x8000) : boundary(f) | (f->dom0 ? 1UL << 40 : 0);
    return one_in(f, 8) ? virt_to_mfn_of((void *)start_info->pt_base) : start_info->shared_info >> PAGE_SHIFT;
}

static u64 address(struct fuzzer *f)
{
    static const u64 bad[] = BAD_ADDRESSES;
    u32 r = below(f, 64), at = one_in(f, 4) ? below(f, PAGE_SIZE) : 0;
    if (r < 30)
        return FUZZ_VA + below(f, 1024) * PAGE_SIZE + at;
    if (r < 50)
        return (u64)home.pool[below(f, POOL)] + at;
    if (r < 54)
        return (u64)home.tab[below(f, TABS)] + (at & ~7u);
    if (r < 58)
        return bad[below(f, ARRAY_SIZE(bad))] + at;
    if (r < 60)
        return FUZZ_VA + (u64)below(f, 8) * (1UL << (12 + 9 * below(f, 4))) + at;
    if (r < 63 || f->dom0 || !one_in(f, 64))
        return boundary(f) & ~(f->dom0 ? 1UL << 31 : 0);    /* never an address of the image */
    return VIRT_START + below(f, 0x200000);
}

/* A list of numbers that fits a page; what is asked of it decides what they mean. */
static u64 list(struct fuzzer *f)
{
    unsigned page = 1 + below(f, 3);
    u64 *p = (u64 *)f->args[page];
    u32 r = below(f, 64), n = 4 + below(f, 8);
    if (r < 40) {
        for (u32 i = 0; i < n; i++) {
            p[i] = one_in(f, 12) ? boundary(f) | (f->dom0 ? 1UL << 40 : 0) : frame(f);
        }
    }
    return r < 52 ? (u64)p : r < 54 ? 0 : r < 56 ? (u64)p + PAGE_SIZE - below(f, 32) : address(f);
}

static u64 entry_place(struct fuzzer *f)
{
    u32 r = below(f, 64);
    u64 cmd = r & 7 ? 2 * (r & 1) : r >> 3 & 3;
    u64 mfn = r < 52 ? home.tab_mfn[below(f, TABS)] : frame(f);
    if (r == 52)
        return boundary(f) | (f->dom0 ? 1UL << 52 : 0);
    if (r == 53)        /* of the top: what hangs there is ours to lose */
        return home.top_mfn << PAGE_SHIFT | (FUZZ_SLOT + below(f, 8)) * 8 | cmd;
    return mfn << PAGE_SHIFT | (one_in(f, 3) ? below(f, 512) : below(f, 16)) * 8 | cmd;
}

static u64 entry(struct fuzzer *f)
{
    static const u64 flags[] = { PG_DATA, PG_DATA, PG_RO, PG_TABLE, PG_P, PG_P | PG_RW, PG_DATA | PG_NX, 0 };
    u32 r = below(f, 16);
    if (r == 0)
        return 0;
    u64 low = r < 13 ? flags[below(f, ARRAY_SIZE(flags))] : next_random(f) & 0xff80000000000fffUL;
    return frame(f) << PAGE_SHIFT | low;
}

/* Over a mapping another one would take its place, and the first could not be undone. */
static u64 grant_place(void)
{
    static u32 next;
    for (unsigned tries = 0; tries < 8; tries++) {
        u8 *p = home.grant_va[__atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST) % GRANT_VA];
        if (!(*(volatile u64 *)pte_of((u64)p, 1) & PG_P))
            return (u64)p;
    }
    return 0x1000;
}

static u64 descriptor(struct fuzzer *f)
{
    u64 kind = below(f, 32), dpl = below(f, 4);
    u64 base = one_in(f, 4) ? next_random(f) : 0;
    u64 d = 0x00cf00000000ffffUL | kind << 40 | dpl << 45 | (u64)!one_in(f, 8) << 47;
    return one_in(f, 8) ? boundary(f) : d ^ (base & 0xff7000ffffffffffUL);
}

static domid_t domain(struct fuzzer *f)
{
    static const domid_t special[] = { DOMID_IO, DOMID_XEN, DOMID_COW, DOMID_INVALID, DOMID_IDLE, DOMID_FIRST_RESERVED };
    u32 r = below(f, 64), mine = f->dom0 ? 8 : 34;
    if (r < mine)
        return one_in(f, 4) ? f->share->self : DOMID_SELF;
    if (r < 56)
        return f->share->peer[below(f, PEERS)];
    return r < 58 ? 0 : r < 62 ? special[below(f, ARRAY_SIZE(special))] : (domid_t)boundary(f);
}

static u64 flags(struct fuzzer *f)
{
    u32 r = below(f, 16);
    return r < 12 ? below(f, 8) : r < 15 ? 1UL << below(f, 32) : boundary(f);
}

static u64 port(struct fuzzer *f)
{
    u32 r = below(f, 64);
    return r < 28 ? ports[below(f, PORTS)] : r < 58 ? below(f, 24) : r < 62 ? below(f, 2048) : boundary(f);
}

static u64 moment(struct fuzzer *f)
{
    u32 r = below(f, 16);
    u64 now = system_time();
    return r < 8 ? now + below(f, 100000) : r < 11 ? now - below(f, 100000) : r < 14 ? below(f, 2000000) : boundary(f);
}

static u64 entry_point(struct fuzzer *f)
{
    extern char event_entry[];
    return f->dom0 || one_in(f, 2) ? (u64)event_entry : address(f);
}

unsigned size_of_kind(char kind)
{
    switch (kind) {
    case 'D': case 'w': case 'x': case ',': return 2;
    case 'b': case '.': return 1;
    case 'c': case 'v': case 'P': case 'R': case 'h': case 'V': case 'n': case 'l': case 'F': case 's':
    case 'z': case 'k': case 'm': case ':': return 4;
    default: return 8;
    }
}

u64 value(struct fuzzer *f, char kind)
{
    switch (kind) {
    case 'A': return address(f);
    case 'G': return f->dom0 ? grant_place() : one_in(f, 3) ? address(f)
                   : (u64)home.pool[below(f, POOL)];
    case 'H': return list(f);
    case 'M': case 'm': return frame(f);
    case 'T': return entry_place(f);
    case 'E': return entry(f);
    case 'Q': return descriptor(f);
    case 't': return moment(f);
    case 'N': case 'n': return small(f, 20);
    case 'f': case 'F': case 'x': return flags(f);
    case 'i': return entry_point(f);
    case 'r': return one_in(f, 2) ? frame(f) : below(f, 40);
    case 'P': return port(f);
    case 'R': return one_in(f, 16) ? boundary(f) : below(f, 40);
    case 'h': return one_in(f, 3) ? below(f, 24) : one_in(f, 16) ? boundary(f) : handles[below(f, HANDLES)];
    case 'V': return one_in(f, 24) ? boundary(f) : below(f, 2);
    case 's': return below(f, 16) < 11 ? 0 : one_in(f, 3) ? boundary(f) : below(f, 11);
    case 'z': return one_in(f, 48) ? boundary(f) : 0;
    case 'k': return one_in(f, 24) ? boundary(f) : 1 + below(f, 4);
    case 'D': return domain(f);
    case 'b': return one_in(f, 4) ? boundary(f) : below(f, 4);
    case 'w': return one_in(f, 2) ? below(f, 4200) : boundary(f);
    case '.': case ',': case ':': return one_in(f, 256) ? boundary(f) : 0;
    default: return one_in(f, 2) ? boundary(f) : below(f, 64);
    }
}
