/* SPDX-License-Identifier: MIT */
/*
 * What the CPU itself takes for what the rows of pv.c do for a guest: the limit. Rows bear
 * the same names; those that mean nothing without a hypervisor are not here.
 */
#include "lib.h"
#include "bench.h"

#define ROW_BASE 0
#define APIC 0xffffffffc0200000UL
enum { ROW_SYSCALL = 150, ROW_USER_FAULT, ROW_USER_INT80 };
enum { STAR = 0xc0000081, LSTAR, FMASK = 0xc0000084, FS_BASE = 0xc0000100 };

extern char on_skip2[], on_skip2_error[], on_return[], on_interrupt[], on_syscall[], on_leave[], stack_end[];
extern u64 gdt[], top[], level2_high[];
extern const struct idt_pointer idt_pointer;
void run_user(void (*fn)(void));
NORETURN void bare_start(void);

volatile u32 interrupts;
struct gate { u16 low, cs; u8 ist, type; u16 middle; u32 high, zero; } idt[256];
static struct { u32 zero; u64 rsp0, rest[11]; u32 end; } PACKED tss;
static u64 page[512] ALIGNED(4096), other[512] ALIGNED(4096), level1[512] ALIGNED(4096), top2[512] ALIGNED(4096);
static u64 *volatile hole = (u64 *)0xffffffffc0000000;      /* level1[0] */

static u64 phys(const void *p) { return (u64)p - VIRT_BASE; }
static void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" :: "a"(v), "d"(port)); }
static void apic_write(u32 reg, u32 v) { *(volatile u32 *)(APIC + reg) = v; }

static void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" :: "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)));
}

static void print(const char *fmt, ...)
{
    char buf[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    for (const char *c = buf; *c; c++) {
        outb(0x3f8, (u8)*c);
    }
}

/* hv/lib wants one. */
void panic(const char *fmt, ...)
{
    print("panic: %s\n", fmt);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

static void gate(unsigned vector, const void *handler)
{
    u64 at = (u64)handler;
    idt[vector] = (struct gate){ (u16)at, 8, 0, 0xee, (u16)(at >> 16), (u32)(at >> 32), 0 };
}

static void init(void)
{
    tss.rsp0 = (u64)stack_end - 4096;           /* below it what run_user() keeps is safe */
    u64 at = (u64)&tss, size = sizeof(tss) - 1;
    gdt[5] = size | (at & 0xffffff) << 16 | 0x89UL << 40 | (at >> 24 & 0xff) << 56;
    gdt[6] = at >> 32;
    __asm__ volatile("lidt idt_pointer; ltr %w0" :: "r"(0x28));
    wrmsr(STAR, 8UL << 32 | 0x13UL << 48);
    wrmsr(LSTAR, (u64)on_syscall);
    wrmsr(FMASK, 0);
    level2_high[0] = phys(level1) | 7;
    memcpy(top2, top, sizeof(top2));
    apic_write(0xf0, 0x1ff);                    /* on */
    apic_write(0x3e0, 0xb);                     /* timer: count each tick, vector 0x41, once */
    apic_write(0x320, 0x41);
    gate(14, on_skip2_error);
    gate(0x80, on_return);
    gate(0x40, on_interrupt);
    gate(0x41, on_interrupt);
}

static void user_syscalls(void)
{
    SAMPLE(ROW_SYSCALL, (void)0, __asm__ volatile("syscall" ::: "rax", "rcx", "r11", "memory"), (void)0)
    __asm__ volatile("ud2");
}

static void user_faults(void)
{
    SAMPLE(ROW_USER_FAULT, (void)0, __asm__ volatile("movb (%0), %%al" :: "a"(hole) : "memory"), (void)0)
    __asm__ volatile("ud2");
}

static void user_int80s(void)
{
    SAMPLE(ROW_USER_INT80, (void)0, __asm__ volatile("int $0x80" ::: "memory"), (void)0)
    __asm__ volatile("ud2");
}

static void user(unsigned row, const char *name, void (*fn)(void))
{
    gate(6, on_leave);
    run_user(fn);
    print("bench: row %u %s tsc %lu\n", row, name, median() - tsc_overhead);
}

static void exceptions(void)
{
    u32 a, b, c, d;
    gate(6, on_skip2);
    BENCH("ud_bounce", __asm__ volatile("ud2" ::: "memory"));
    BENCH("pf_bounce", __asm__ volatile("movb (%0), %%al" :: "a"(hole) : "memory"));
    BENCH("int80_bounce", __asm__ volatile("int $0x80" ::: "memory"));
    BENCH("cpuid_forced", a = 1; c = 0; __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)));
    BENCH("rdmsr_emulated", __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080)));
    BENCH("mov_from_cr0", u64 r; __asm__ volatile("mov %%cr0, %0" : "=r"(r)));
    BENCH("clts", __asm__ volatile("clts"));
    BENCH("inb_emulated", __asm__ volatile("inb $0x80, %%al" : "=a"(a)));
    user(ROW_SYSCALL, "user_syscall", user_syscalls);
    user(ROW_USER_FAULT, "user_pf_bounce", user_faults);
    user(ROW_USER_INT80, "user_int80_bounce", user_int80s);
}

static void page_tables(void)
{
    volatile u64 *pte = &level1[1];
    u64 entry[2] = { phys(page) | 0x67, phys(other) | 0x67 }, base[2] = { phys(top2), phys(top) };
    void *at = (void *)((u64)hole + PAGE_SIZE);
    BENCH("update_va_mapping", *pte = entry[n & 1]; __asm__ volatile("invlpg (%0)" :: "r"(at) : "memory"));
    BENCH("mmu_update_1", *pte = entry[n & 1]);
    BENCH("mmu_update_16", for (unsigned i = 0; i < 16; i++) { pte[i] = entry[n & 1]; });
    BENCH("pte_write_mov", *pte = entry[n & 1]);
    BENCH("pte_write_xchg", __atomic_exchange_n(pte, entry[n & 1], __ATOMIC_SEQ_CST));
    BENCH("new_baseptr", __asm__ volatile("mov %0, %%cr3" :: "r"(base[n & 1]) : "memory"));
    BENCH("process_switch", __asm__ volatile("mov %0, %%cr3" :: "r"(base[n & 1]) : "memory");
          tss.rsp0 = (u64)stack_end - 4096; wrmsr(FS_BASE, 0x1000));
    BENCH("set_segment_base_fs", wrmsr(FS_BASE, 0x1000));
    BENCH("update_descriptor", *(volatile u64 *)&gdt[7] = 0x00cff3000000ffffUL - (n & 1));
    BENCH("grant_copy_4096", u64 *to = page; u64 *from = other; u64 words = 512;
          __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) :: "memory"));
}

static void events(void)
{
    BENCH3("evtchn_send_upcall", __asm__ volatile("sti"), u32 was = interrupts; apic_write(0x300, 0x40040);
           while (interrupts == was) { barrier(); }, __asm__ volatile("cli"));
    BENCH("set_timer_far", apic_write(0x380, 1000000000));
    BENCH_WAITS(row, "timer_to_upcall", ROUNDS, (void)0,
                apic_write(0x380, 50000); __asm__ volatile("sti; hlt; cli" ::: "memory"), (void)0);
}

void bare_start(void)
{
    init();
    calibrate();
    exceptions();
    page_tables();
    events();
    print("guest: 1 passed, 0 failed\n");
    panic("end");
}
