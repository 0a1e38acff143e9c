/* SPDX-License-Identifier: MIT */
/*
 * Tiny PV guests: how to add one
 *
 * guests/<name>.c: #include "tiny.h", then TEST (name) { CHECK (cond); CHECK_EQ (a, b); }
 * as often as you like. `make guests` links it with guests/lib to build/guests/<name>;
 * tests/guest/run boots it as the first domain and reads its lines: PASS/FAIL name, and
 * at the end "guest: N passed, N failed", then it powers the machine off.
 *
 * A guest has two vCPUs where the machine has two CPUs, all of dom0's rights, and runs
 * with events masked unless it calls events_on (). The same binaries run on Debian's
 * Xen: a test states what the ABI says, not what Bulkhead does. Where the two differ
 * rightly: SAYS (), on_xen ().
 *
 * What each HC () returned is noted (record.c) and held against tests/guest/conformance.txt.
 * A guest that calls at random defines UNRECORDED before it includes this.
 */
#ifndef TINY_H
#define TINY_H

#include "lib.h"
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* --- hypercalls --- */
static inline long hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long ret;
    __asm__ volatile("syscall" : "=a"(ret), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "a"((u64)nr) : "rcx", "r11", "memory");
    return ret;
}
/* The same, with a note of what was called and returned: what HC means in guests/. */
long recorded_hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
#if defined(RECORD) && !defined(UNRECORDED)
#define HYPERCALL_BY recorded_hypercall
#elif defined(UNRECORDED)
bool unrecorded = true;         /* nor what guests/lib calls for it (record.c) */
#define HYPERCALL_BY hypercall
#else
#define HYPERCALL_BY hypercall
#endif
#define HC_PICK(_1, _2, _3, _4, _5, _6, _7, n, ...) n
#define HC1(nr) HYPERCALL_BY(nr, 0, 0, 0, 0, 0, 0)
#define HC2(nr, a) HYPERCALL_BY(nr, (u64)(a), 0, 0, 0, 0, 0)
#define HC3(nr, a, b) HYPERCALL_BY(nr, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define HC4(nr, a, b, c) HYPERCALL_BY(nr, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define HC5(nr, a, b, c, d) HYPERCALL_BY(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define HC6(nr, a, b, c, d, e) HYPERCALL_BY(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), 0)
/* HC (mmu_update, req, 1, NULL, DOMID_SELF): arguments of any integer or pointer type. */
#define HC(name, ...) HC_PICK(0, ##__VA_ARGS__, 0, HC6, HC5, HC4, HC3, HC2, HC1)(__HYPERVISOR_##name, ##__VA_ARGS__)

/* Addresses that no call may take: not mapped, Bulkhead's own, not canonical, wrapping. */
#define BAD_ADDRESSES { 0x1000UL, 0xffff830000000000UL, 0xffff820000000000UL, \
                        0x0000800000000000UL, 0x8000000000000000UL, 0xfffffffffffffff0UL, \
                        0xffff87fffffffff8UL }

/* --- results --- */
struct test { const char *name; void (*fn)(void); };
#define TEST(n)                                                                   \
    static void test_##n(void);                                                   \
    static const struct test entry_##n USED SECTION(".tests") = { #n, test_##n }; \
    static void test_##n(void)
void check_failed(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);
#define CHECK(c) do { if (!(c)) check_failed(__FILE__, __LINE__, "%s", #c); } while (0)
#define CHECK_EQ(a, b)                                                            \
    do {                                                                          \
        long a_ = (long)(a), b_ = (long)(b);                                      \
        if (a_ != b_) check_failed(__FILE__, __LINE__, "%s is %ld (%#lx), not %s = %ld (%#lx)", \
                                   #a, a_, a_, #b, b_, b_);                       \
    } while (0)
/* Where Xen rightly says something else: tests/guest/differences.txt has it and why. */
#define SAYS(rc, what) do { long rc_ = (rc); if (!on_xen()) CHECK_EQ(rc_, what); } while (0)
void print(const char *fmt, ...) PRINTF(1, 2);
NORETURN void power_off(void);
char *strstr(const char *hay, const char *needle);
bool on_xen(void);              /* Debian's Xen, not Bulkhead */

/* --- for guests/lib alone --- */
void guest_init(struct start_info *si);
extern unsigned failed_checks;
extern bool in_domu;            /* a domU of domu.h: print () collects its text here: */
#define DOMU_TEXT 8192
extern char domu_text[DOMU_TEXT];

/* --- start-up data --- */
extern struct start_info *start_info;
extern struct shared_info *shared;
extern char hypercall_page[], boot_rsp[];
#define VIRT_START 0xffffffff80000000UL
#define P2M ((volatile xen_pfn_t *)start_info->mfn_list)

/* --- memory: everything from VIRT_START to boot_end is mapped 1:1 to pfns --- */
void *alloc_page(void);         /* mapped, writable, zeroed; never given back */
u64 alloc_pfn(void);            /* a page of ours that is mapped nowhere */
static inline u64 virt_to_pfn(const void *p) { return ((u64)p - VIRT_START) >> PAGE_SHIFT; }
static inline u64 virt_to_mfn_of(const void *p) { return P2M[virt_to_pfn(p)]; }
#define PG_P  1UL
#define PG_RW 2UL
#define PG_US 4UL
#define PG_A  0x20UL
#define PG_D  0x40UL
#define PG_PSE 0x80UL
#define PG_G  0x100UL         /* a hypervisor may set it in L1 entries */
#define PG_NX (1UL << 63)
#define PG_DATA  (PG_P | PG_RW | PG_US | PG_A | PG_D)
#define PG_RO    (PG_P | PG_US | PG_A | PG_D)
#define PG_TABLE (PG_P | PG_RW | PG_US | PG_A | PG_D)
/* The entry of the current tables for va at a level; NULL: none. Read it through this
 * pointer, change it by hypercalls (or writes: emulated). */
u64 *pte_of(u64 va, unsigned level);
u64 pte_maddr(u64 va, unsigned level);      /* machine address of that entry */
/* Maps frame mfn at va (a fresh page's address from alloc_page). 0 or error. */
long map_mfn(void *va, u64 mfn, u64 flags);

/* --- exceptions --- */
struct trap_regs {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
};
/* The last one taken by TRAPS. vector -1: none was. */
extern volatile struct trap_seen { s64 vector; u64 error, rip, rflags, cs, cr2; } seen;
extern volatile u64 trap_resume;
extern void (*volatile trap_hook)(struct trap_regs *r);     /* else: called first; NULL: none */
/* Runs the instruction text; an exception goes to `seen` and resumes behind it. */
#define TRAPS(text, ...)                                                          \
    do {                                                                          \
        seen.vector = -1;                                                         \
        u64 r_;                                                                   \
        __asm__ volatile("lea 1f(%%rip), %0\n\tmov %0, trap_resume(%%rip)\n\t"    \
                         text "\n1:\tmovq $0, trap_resume(%%rip)"                 \
                         : "=&r"(r_) : __VA_ARGS__ : "memory", "cc", "rax", "rcx", "rdx"); \
    } while (0)
void enter_user(u64 rip, u64 rsp);
void leave_user(void);

/* --- events (2-level until a guest changes it) --- */
static inline struct vcpu_info *my_info(void) { return &shared->vcpu_info[0]; }
extern volatile u32 event_count[4096];      /* by port, counted by the upcall */
extern volatile u32 upcalls;
void events_on(void);           /* unmask the upcall, take what waits */
void events_off(void);
void port_unmask(u32 port);     /* and the ports of a test must be unmasked */
bool port_pending(u32 port);
void port_clear(u32 port);
long evtchn_bind_virq(u32 virq, u32 vcpu);  /* port or error */
u64 system_time(void);          /* ns, from vcpu 0's time record */
bool wait_event(u32 port, u64 ns);          /* until event_count[port] != 0; events on */

/* --- the second vCPU --- */
/* Starts vCPU 1 in fn (arg); 0 or the error of VCPUOP_initialise/up. */
long start_vcpu1(void (*fn)(void *), void *arg);
NORETURN void vcpu1_stop(void); /* its end: down for ever */
bool have_vcpu1(void);

#endif
