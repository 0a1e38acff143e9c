// SPDX-License-Identifier: MIT
/*
 * What a guest does without a call: writes to its page tables, shared pages and grants,
 * instructions that Bulkhead emulates or refuses, segments, frames for iret. An exception
 * ends an act and comes back to fuzz ().
 */
#include "fuzz.h"

extern char trap_entries[], event_entry[];

/* --- memory that Bulkhead reads --- */

static void write_table(struct fuzzer *f)
{
    u64 *t = home.tab[below(f, TABS)] + (one_in(f, 3) ? below(f, 512) : below(f, 16));
    u64 v = value(f, 'E'), old = *(volatile u64 *)t;
    u8 *byte = (u8 *)t + below(f, 8);
    switch (below(f, 10)) {
    case 0: case 1: *(volatile u64 *)t = v; break;
    case 2: __asm__ volatile("xchg %0, (%1)" : "+r"(v) : "r"(t) : "memory"); break;
    case 3: __asm__ volatile("lock cmpxchg %1, (%2)" : "+a"(old) : "r"(v), "r"(t) : "memory"); break;
    case 4: __asm__ volatile("lock andb %b0, (%1)" :: "q"(v), "r"(byte) : "memory"); break;
    case 5: __asm__ volatile("lock orb %b0, (%1)" :: "q"(v), "r"(byte) : "memory"); break;
    case 6: __asm__ volatile("lock btr %0, (%1)" :: "r"((u64)below(f, 64)), "r"(t) : "memory"); break;
    case 7: *(volatile u32 *)byte = (u32)v; break;          /* may cross the entry's end */
    case 8: *(volatile u16 *)byte = (u16)v; break;
    default: __asm__ volatile("lock xorq %0, (%1)" :: "r"(v), "r"(t) : "memory"); break;
    }
}

static void write_grant(struct fuzzer *f)
{
    u32 ref = below(f, 40);
    struct grant_entry_v1 *v1 = (void *)home.grants[0];
    union grant_entry_v2 *v2 = (void *)home.grants[0];
    static const u16 types[] = { GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly,
                                 GTF_accept_transfer, GTF_permit_access | GTF_sub_page, GTF_transitive, GTF_invalid };
    u16 flags = one_in(f, 16) ? (u16)boundary(f) : types[below(f, ARRAY_SIZE(types))];
    domid_t peer = (domid_t)(one_in(f, 4) ? value(f, 'D') : one_in(f, 3) ? f->share->self : f->share->peer[below(f, PEERS)]);
    if (one_in(f, 2)) {
        v1[ref].domid = peer;
        v1[ref].frame = (u32)value(f, 'M');
        barrier();
        v1[ref].flags = flags;
    } else {
        v2[ref].full_page.frame = value(f, 'M');
        if (flags == GTF_transitive) {
            v2[ref].transitive.gref = (u32)value(f, 'R');
            v2[ref].transitive.trans_domid = f->share->peer[below(f, PEERS)];
        }
        v2[ref].hdr.domid = peer;
        barrier();
        v2[ref].hdr.flags = flags;
    }
}

/* A block of entries for everybody, so that peers find something to map. */
static void offer_grants(struct fuzzer *f)
{
    struct grant_entry_v1 *v1 = (void *)home.grants[0];
    for (u32 ref = below(f, 32), n = below(f, 9); n > 0; n--, ref++) {
        v1[ref].domid = f->share->peer[below(f, PEERS)];
        v1[ref].frame = (u32)home.pool_mfn[below(f, POOL)];
        barrier();
        v1[ref].flags = one_in(f, 4) ? GTF_accept_transfer : one_in(f, 4) ? GTF_permit_access | GTF_readonly
                                                                         : GTF_permit_access;
    }
}

static void write_shared(struct fuzzer *f)
{
    u64 i = one_in(f, 2) ? 0 : below(f, 64), v = one_in(f, 2) ? boundary(f) : next_random(f);
    switch (below(f, 4)) {
    case 0: shared->evtchn_pending[i] = v; break;
    case 1: shared->evtchn_mask[i] = v; break;
    case 2: shared->vcpu_info[f->vcpu].evtchn_pending_sel = v; break;
    default: shared->vcpu_info[0].evtchn_upcall_pending = (u8)v; break;
    }
}

static void write_pool(struct fuzzer *f)
{
    if (f->dom0)
        return;                     /* who knows what of the machine lies there */
    u64 *p = (u64 *)home.pool[below(f, POOL)];
    for (u32 n = below(f, 16); n > 0; n--) {
        p[below(f, 512)] = one_in(f, 2) ? value(f, 'E') : one_in(f, 2) ? value(f, 'Q') : boundary(f);
    }
}

/* --- instructions --- */

static void touch(struct fuzzer *f)
{
    volatile u64 *p = (u64 *)value(f, 'A');
    if (one_in(f, 3) && !f->dom0)
        *p = next_random(f);
    else
        (void)*p;
}

static void ports(struct fuzzer *f)
{
    u16 port = f->dom0 ? 0x80 : (u16)(one_in(f, 2) ? below(f, 0x1000) : boundary(f));
    u32 v = (u32)next_random(f);
    u64 at = value(f, 'A'), n = below(f, 6);
    switch (below(f, 8)) {
    case 0: __asm__ volatile("inb %1, %b0" : "+a"(v) : "d"(port)); break;
    case 1: __asm__ volatile("inw %1, %w0" : "+a"(v) : "d"(port)); break;
    case 2: __asm__ volatile("inl %1, %0" : "+a"(v) : "d"(port)); break;
    case 3: __asm__ volatile("outb %b0, %1" :: "a"(v), "d"(port)); break;
    case 4: __asm__ volatile("outw %w0, %1" :: "a"(v), "d"(port)); break;
    case 5: __asm__ volatile("outl %0, %1" :: "a"(v), "d"(port)); break;
    case 6:
        at = f->dom0 ? FUZZ_VA + (at & 0xfffff) : at;
        __asm__ volatile("rep insb" : "+D"(at), "+c"(n) : "d"(port) : "memory");
        break;
    default: __asm__ volatile("rep outsl" : "+S"(at), "+c"(n) : "d"(port) : "memory"); break;
    }
}

static void msrs(struct fuzzer *f)
{
    static const u32 known[] = { 0x10, 0x1b, 0x8b, 0x174, 0x175, 0x176, 0x17a, 0x1a0, 0x1d9, 0x277, 0x2ff, 0x48, 0x49,
                                 0x6e0, 0x800, 0x830, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0010010, 0xc0010015, 0xc0010114, 0x40000000 };
    u32 msr = one_in(f, 3) ? (u32)boundary(f) : known[below(f, ARRAY_SIZE(known))];
    u64 v = boundary(f);
    u32 lo = (u32)v, hi = v >> 32;
    if (one_in(f, 2))
        __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    else if (!f->dom0 || msr < 0xc0000100 || msr > 0xc0000102)
        __asm__ volatile("wrmsr" :: "c"(msr), "a"(lo), "d"(hi));
}

static void privileged(struct fuzzer *f)
{
    u64 v = boundary(f);
    u32 a = (u32)v, b, c = (u32)boundary(f), d;
    switch (below(f, 20)) {
    case 0: __asm__ volatile("mov %%cr0, %0; mov %0, %%cr0" : "=r"(v)); break;
    case 1: __asm__ volatile("mov %0, %%cr0" :: "r"(v | 1)); break;
    case 2: __asm__ volatile("mov %0, %%cr4" :: "r"(v)); break;
    case 3: __asm__ volatile("mov %%cr2, %0; mov %0, %%cr2" : "=r"(v)); break;
    case 4: __asm__ volatile("mov %0, %%cr3" :: "r"(v)); break;
    case 5: __asm__ volatile("mov %%cr8, %0" : "=r"(v)); break;
    case 6: __asm__ volatile("clts"); break;
    case 7: __asm__ volatile("invlpg (%0)" :: "r"(value(f, 'A'))); break;
    case 8: __asm__ volatile("wbinvd"); break;
    case 9: __asm__ volatile("lgdt (%0)" :: "r"(f->args[1])); break;
    case 10: __asm__ volatile("ltr %w0" :: "r"(v)); break;
    case 11: __asm__ volatile("mov %%dr6, %0; mov %0, %%dr6" : "=r"(v)); break;
    case 12: __asm__ volatile("mov %0, %%dr7" :: "r"(v & ~0xffUL)); break;
    case 13: __asm__ volatile("xsetbv" :: "a"(a), "d"(0), "c"(c & 1)); break;
    case 14: __asm__ volatile("rdpmc" : "=a"(a), "=d"(d) : "c"(c)); break;
    case 15: __asm__ volatile("lmsw %w0" :: "r"(v)); break;
    case 16:
        if (f->vcpu == 0)                   /* the other cannot take upcalls */
            __asm__ volatile("cli; sti; cli" ::: "memory");
        break;
    case 17: __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); break;
    case 18: __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); break;
    default: __asm__ volatile("pushf; or %0, (%%rsp); popf; pushf; andq $0xffffffffffffb8ff, (%%rsp); popf" :: "r"(v & 0x3f7fd5) : "memory", "cc"); break;
    }
    if (f->vcpu == 0)
        my_info()->evtchn_upcall_mask = 1;
}

static void interrupts(struct fuzzer *f)
{
    switch (below(f, 5)) {
    case 0: __asm__ volatile("int3"); break;
    case 1: __asm__ volatile("int $0x80"); break;
    case 2: __asm__ volatile("int $0x81"); break;
    case 3: __asm__ volatile("int $0x02"); break;
    default: __asm__ volatile("ud2"); break;
    }
}

static void segments(struct fuzzer *f)
{
    u16 sel = (u16)(one_in(f, 2) ? boundary(f) : below(f, 8) * 8 + below(f, 8));
    switch (below(f, 3)) {
    case 0: __asm__ volatile("mov %0, %%ds; mov %1, %%ds" :: "r"(sel), "r"(0)); break;
    case 1: __asm__ volatile("mov %0, %%es; mov %1, %%es" :: "r"(sel), "r"(0)); break;
    default: __asm__ volatile("mov %0, %%fs; mov %1, %%fs" :: "r"(sel), "r"(0)); break;
    }
}

/* Bytes that begin as what Bulkhead decodes does. Registers hold places of the fuzzer's. */
static void odd_code(struct fuzzer *f)
{
    static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x65, 0x40, 0x48, 0x4c, 0x41, 0x4f };
    static const u8 plain[] = { 0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, 0xfa, 0xfb, 0xcc,
                                0xcd, 0x86, 0x87, 0x88, 0x89, 0x08, 0x20, 0x30, 0x80, 0x81, 0x83, 0xc6, 0xc7, 0xf4 };
    static const u8 two[] = { 0x01, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30, 0x32, 0x33, 0xa2, 0xab, 0xb0, 0xb1,
                              0xb3, 0xba, 0xbb, 0xc7, 0x0b, 0x31 };
    u8 *code = home.code[f->vcpu], *p = code;
    if (f->dom0)
        return;                             /* it may be what switches the machine off */
    for (u32 n = below(f, 4); n > 0; n--) {
        *p++ = prefixes[below(f, ARRAY_SIZE(prefixes))];
    }
    if (one_in(f, 2)) {
        *p++ = 0x0f;
        *p++ = two[below(f, ARRAY_SIZE(two))];
    } else {
        *p++ = plain[below(f, ARRAY_SIZE(plain))];
    }
    for (u32 n = 0; n < 8; n++) {
        *p++ = one_in(f, 3) ? 0 : (u8)next_random(f);
    }
    memset(p, 0x0f, 2);                     /* ud2 */
    p[1] = 0x0b;
    u64 at = one_in(f, 2) ? (u64)home.tab[below(f, TABS)] + below(f, 16) * 8 : value(f, 'A');
    u64 di = value(f, 'A'), si = value(f, 'A'), ax = value(f, 'E'), dx = below(f, 0x100), cx = below(f, 8);
    /* Behind the page lies the next one: at the end of it bytes may be missing. */
    __asm__ volatile("push %%rbx; push %%rbp; mov %5, %%rbx; mov %5, %%rbp; call *%4; pop %%rbp; pop %%rbx"
                     : "+D"(di), "+S"(si), "+d"(dx), "+c"(cx) : "r"(code), "r"(at), "a"(ax)
                     : "memory", "cc", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15");
}

static void odd_iret(struct fuzzer *f)
{
    static const u16 cs[] = { FLAT_USER_CS, FLAT_USER_CS32, 0, 8, 0xe030, 0xffff, FLAT_KERNEL_CS32 };
    u64 flags = (one_in(f, 2) ? 0x202 : boundary(f) & ~0x100UL) & ~(f->vcpu ? 0x200UL : 0);
    u64 sel = f->dom0 || !one_in(f, 100) ? FLAT_KERNEL_CS & ~3UL : cs[below(f, ARRAY_SIZE(cs))];
    u64 ss = f->dom0 || !one_in(f, 100) ? FLAT_KERNEL_SS : below(f, 0x10000);
    u64 ret_flags = one_in(f, 4) && !f->dom0 ? boundary(f) & ~(u64)VGCF_in_syscall : 0;
    u64 rip = !f->dom0 && one_in(f, 100) ? value(f, 'A') : 0;
    __asm__ volatile("mov %%rsp, %%rdx; lea 1f(%%rip), %%rax; test %4, %4; cmovnz %4, %%rax\n\t"
                     "push %0; push %%rdx; push %1; push %2; push %%rax\n\t"
                     "push %3; push $0; push $0; push $0; mov %5, %%eax; syscall; ud2\n"
                     "1: pushq $2; popf"
                     :: "r"(ss), "r"(flags), "r"(sel), "r"(ret_flags), "r"(rip), "i"(__HYPERVISOR_iret)
                     : "rax", "rcx", "rdx", "r11", "memory", "cc");
    if (f->vcpu == 0)
        my_info()->evtchn_upcall_mask = 1;
}

/* Upcalls let in for a moment: only where the library can take them. */
static void let_events_in(struct fuzzer *f)
{
    if (f->vcpu == 0) {
        events_on();
        events_off();
    }
}

void one_act(struct fuzzer *f)
{
    static void (*const acts[])(struct fuzzer *f) = {
        write_table, write_table, write_table, write_grant, write_grant, offer_grants, write_shared, write_pool,
        touch, ports, msrs, privileged, interrupts, segments, odd_code, odd_iret, let_events_in,
    };
    acts[below(f, ARRAY_SIZE(acts))](f);
}
