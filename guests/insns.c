/* SPDX-License-Identifier: MIT */
/* Instructions that Bulkhead carries out for the kernel: ports and strings of them, control and
 * debug registers, MSRs, code at the end of a page. */
#include "tiny.h"

#define POST 0x80       /* a port that takes everything */
#define CMOS 0x70

static void iopl(u32 level)
{
    struct physdev_set_iopl op = { level };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &op), 0);
}

static u8 cmos(u8 at)
{
    u8 v;
    __asm__ volatile("outb %b1, $0x70; inb $0x71, %b0" : "=a"(v) : "a"(at));
    return v;
}

/* Two pages that follow each other; with nothing behind the first one. */
static u8 *page_before_a_hole(void)
{
    u8 *a = alloc_page(), *b = alloc_page();
    while (b != a + PAGE_SIZE) {
        a = b;
        b = alloc_page();
    }
    CHECK_EQ(HC(update_va_mapping, b, 0, UVMF_INVLPG), 0);
    return a;
}

TEST(port_sizes)
{
    u32 in = 0;
    u64 whole = ~0UL;
    iopl(1);
    __asm__ volatile("outl %0, %1" :: "a"(0x80000000u), "Nd"((u16)0xcf8));
    __asm__ volatile("inl %1, %0" : "=a"(in) : "Nd"((u16)0xcfc));
    u16 low;
    u8 lowest;
    __asm__ volatile("inw %1, %0" : "=a"(low) : "Nd"((u16)0xcfc));
    __asm__ volatile("inb %1, %0" : "=a"(lowest) : "Nd"((u16)0xcfc));
    CHECK_EQ(low, (u16)in);
    CHECK_EQ(lowest, (u8)in);
    /* A byte or a word leaves the rest of the register, 32 bits clear it. */
    __asm__ volatile("inb %%dx, %%al" : "+a"(whole) : "d"(0xcfc));
    CHECK_EQ(whole, 0xffffffffffffff00 | lowest);
    __asm__ volatile("inl %%dx, %%eax" : "+a"(whole) : "d"(0xcfc));
    CHECK_EQ(whole, in);
    __asm__ volatile("outw %0, $0x80; outl %k0, $0x80; outb %b0, $0x80; outw %0, %%dx" :: "a"((u16)0x1234), "d"(POST));
    __asm__ volatile("inw $0x80, %w0; inl $0x80, %0" : "=a"(in));
}

TEST(strings)
{
    static u8 bytes[2048];
    u64 di = (u64)bytes, si = (u64)bytes, n = 8;
    u8 status = cmos(10);
    iopl(1);
    memset(bytes, 0xee, sizeof(bytes));
    __asm__ volatile("outb %b0, $0x70" :: "a"(11));
    u8 b11 = cmos(11);
    __asm__ volatile("rep insb" : "+D"(di), "+c"(n) : "d"(CMOS + 1) : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(di, (u64)bytes + 8);
    CHECK(bytes[0] == b11 && bytes[7] == b11 && bytes[8] == 0xee);
    di = (u64)bytes + 16;
    __asm__ volatile("insw; insl" : "+D"(di) : "d"(0xcfc) : "memory");
    CHECK_EQ(di, (u64)bytes + 22);
    CHECK_EQ(bytes[22], 0xee);
    /* Backwards. */
    di = (u64)bytes + 40;
    n = 4;
    __asm__ volatile("std; rep insb; cld" : "+D"(di), "+c"(n) : "d"(CMOS + 1) : "memory");
    CHECK_EQ(di, (u64)bytes + 36);
    CHECK(bytes[40] == b11 && bytes[37] == b11 && bytes[36] == 0xee && bytes[41] == 0xee);
    /* None, and more than are done at a time. */
    n = 0;
    di = 0x1000;
    __asm__ volatile("rep insb" : "+D"(di), "+c"(n) : "d"(CMOS + 1) : "memory");
    CHECK_EQ(di, 0x1000);
    n = sizeof(bytes);
    __asm__ volatile("rep outsb" : "+S"(si), "+c"(n) : "d"(POST) : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(si, (u64)bytes + sizeof(bytes));
    n = 600;
    si = (u64)bytes;
    __asm__ volatile("rep outsw" : "+S"(si), "+c"(n) : "d"(POST) : "memory");
    CHECK_EQ(si, (u64)bytes + 1200);
    __asm__ volatile("outsl" : "+S"(si) : "d"(POST) : "memory");
    CHECK_EQ(si, (u64)bytes + 1204);
    CHECK_EQ(cmos(10) & 0x7f, status & 0x7f);
}

TEST(strings_to_nowhere)
{
    static const u64 bad[] = { 0x1000, 0xffff830000000000, 0xffff820000000000 };
    iopl(1);
    for (unsigned i = 0; i < (on_xen() ? 1 : ARRAY_SIZE(bad)); i++) {     /* Xen's own: #GP there */
        TRAPS("mov $0x71, %%edx; mov %1, %%rdi; insb", "r"(bad[i]), "D"(0UL));
        CHECK_EQ(seen.vector, 14);
        CHECK_EQ(seen.cr2, bad[i]);
        CHECK_EQ(seen.error & 2, 2);
        TRAPS("mov $0x80, %%edx; mov %1, %%rsi; outsb", "r"(bad[i]), "S"(0UL));
        CHECK_EQ(seen.vector, 14);
        CHECK_EQ(seen.error & 2, 0);
    }
    /* What was done before the fault stays done. */
    u8 *end = page_before_a_hole() + PAGE_SIZE - 3;
    u64 left, at;
    __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, trap_resume(%%rip); mov $10, %%ecx; rep outsb\n1:\t"
                     "movq $0, trap_resume(%%rip)" : "=c"(left), "=S"(at) : "S"(end), "d"(POST) : "rax", "memory");
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.cr2, (u64)end + 3);
}

TEST(port_permissions)
{
    u8 *map = alloc_page();
    struct physdev_set_iobitmap op = { .nr_ports = 1024 };
    iopl(0);
    memset(map, 0xff, PAGE_SIZE);
    TRAPS("outb %%al, $0x80", "i"(0));
    CHECK_EQ(seen.vector, 13);
    set_xen_guest_handle(op.bitmap, map);
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iobitmap, &op), 0);
    TRAPS("outb %%al, $0x80", "i"(0));
    CHECK_EQ(seen.vector, 13);
    map[POST / 8] = 0xfe;
    TRAPS("outb %%al, $0x80", "i"(0));
    CHECK_EQ(seen.vector, -1);
    TRAPS("outw %%ax, $0x80", "i"(0));
    CHECK_EQ(seen.vector, 13);
    map[POST / 8] = 0xfc;
    TRAPS("outw %%ax, $0x80", "i"(0));
    CHECK_EQ(seen.vector, -1);
    map[POST / 8] = 0x7f;               /* over the edge of a byte */
    map[POST / 8 + 1] = 0xfe;
    TRAPS("outw %%ax, $0x87", "i"(0));
    CHECK_EQ(seen.vector, -1);
    map[POST / 8 + 1] = 0xff;
    TRAPS("outw %%ax, $0x87", "i"(0));
    CHECK_EQ(seen.vector, 13);
    memset(map, 0, PAGE_SIZE);
    TRAPS("mov $0x3ff, %%edx; inb %%dx, %%al", "i"(0));
    CHECK_EQ(seen.vector, -1);
    TRAPS("mov $0x400, %%edx; inb %%dx, %%al", "i"(0));
    CHECK_EQ(seen.vector, 13);
    TRAPS("mov $0x3ff, %%edx; inw %%dx, %%ax", "i"(0));
    CHECK_EQ(seen.vector, 13);
    op.nr_ports = 0;
    op.bitmap.p = NULL;
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iobitmap, &op), 0);
    iopl(1);
}

TEST(interrupt_flag)
{
    /* With the right to ports they do nothing; without it they are not for this mode. */
    iopl(1);
    TRAPS("cli; sti", "i"(0));
    CHECK_EQ(seen.vector, -1);
    if (!on_xen()) {
        iopl(0);
        TRAPS("cli", "i"(0));
        CHECK_EQ(seen.vector, 13);
        TRAPS("sti", "i"(0));
        CHECK_EQ(seen.vector, 13);
        iopl(1);
    }
}

TEST(control_registers)
{
    u64 v = 0x123456000, back;
    __asm__ volatile("mov %0, %%cr2" :: "r"(v));
    __asm__ volatile("mov %%cr2, %0" : "=r"(back));
    CHECK_EQ(back, v);
    CHECK_EQ(my_info()->arch.cr2, v);
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    CHECK_EQ(v & 8, 0);
    __asm__ volatile("mov %0, %%cr0" :: "r"(v | 8));            /* task switched: the FPU traps */
    __asm__ volatile("mov %%cr0, %0" : "=r"(back));
    CHECK_EQ(back, v | 8);
    TRAPS("movq %%xmm3, %%rax");
    CHECK_EQ(seen.vector, 7);
    __asm__ volatile("clts");
    __asm__ volatile("mov %%cr0, %0" : "=r"(back));
    CHECK_EQ(back, v);
    TRAPS("movq %%xmm3, %%rax");
    CHECK_EQ(seen.vector, -1);
    __asm__ volatile("mov %%cr4, %%r9; mov %%r9, %%cr4; mov %%cr4, %0" : "=r"(v) :: "r9");
    CHECK(v & 0x20);
    TRAPS("mov %%cr3, %%rax; mov %%rax, %%cr3");                /* only by MMUEXT_NEW_BASEPTR */
    if (!on_xen()) {
        CHECK_EQ(seen.vector, 13);
    }
    TRAPS("mov %%cr8, %%rax");
    CHECK_EQ(seen.vector, 13);
}

TEST(debug_registers)
{
    u64 v;
    __asm__ volatile("mov %0, %%dr1; mov %%dr1, %0" : "=r"(v) : "0"(0x5000UL));
    CHECK_EQ(v, 0x5000);
    CHECK_EQ(HC(get_debugreg, 1), 0x5000);
    __asm__ volatile("mov %0, %%dr1" :: "r"(0UL));
    TRAPS("mov %1, %%dr2", "r"(0xffff830000000000UL));
    CHECK_EQ(seen.vector, 13);
    __asm__ volatile("mov %%dr6, %0" : "=r"(v));
    __asm__ volatile("mov %%dr7, %0" : "=r"(v));
}

static u64 rdmsr_at(u32 msr)
{
    u32 a = 0, d = 0;
    __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(msr));
    return (u64)d << 32 | a;
}

static void wrmsr_at(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" :: "a"((u32)v), "d"((u32)(v >> 32)), "c"(msr));
}

TEST(segment_bases_by_msr)
{
    static u64 cell = 0x1122334455667788;
    u64 v;
    wrmsr_at(0xc0000100, (u64)&cell);
    CHECK_EQ(rdmsr_at(0xc0000100), (u64)&cell);
    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    CHECK_EQ(v, cell);
    wrmsr_at(0xc0000100, 0);
    wrmsr_at(0xc0000101, (u64)&cell);
    CHECK_EQ(rdmsr_at(0xc0000101), (u64)&cell);
    __asm__ volatile("mov %%gs:0, %0" : "=r"(v));
    CHECK_EQ(v, cell);
    wrmsr_at(0xc0000101, 0);
    wrmsr_at(0xc0000102, 0x1234000);
    CHECK_EQ(rdmsr_at(0xc0000102), 0x1234000);
    wrmsr_at(0xc0000102, 0);
    TRAPS("mov $0xc0000100, %%ecx; xor %%eax, %%eax; mov $0x8000, %%edx; wrmsr");
    CHECK_EQ(seen.vector, 13);
}

TEST(caches)
{
    TRAPS("wbinvd");
    CHECK_EQ(seen.vector, -1);
    TRAPS("xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%eax, %%eax; xsetbv");      /* no bit at all */
    CHECK(seen.vector == 13 || seen.vector == 6);
    TRAPS("lgdt (%1)", "r"(start_info));
    CHECK_EQ(seen.vector, 13);
    TRAPS("ltr %%ax");
    CHECK_EQ(seen.vector, 13);
    TRAPS("invlpg (%1)", "r"(start_info));
    CHECK_EQ(seen.vector, on_xen() ? seen.vector : 13);
    TRAPS("mov $0x10, %%ecx; rdpmc");
    CHECK(seen.vector == 13 || seen.vector == -1);
}

static long xsetbv(u32 nr, u64 v)
{
    TRAPS("mov %1, %%ecx; mov %2, %%eax; mov %3, %%edx; xsetbv", "r"(nr), "r"((u32)v), "r"((u32)(v >> 32)));
    return seen.vector;
}

TEST(extended_states)
{
    u32 a = 1, b, c = 0, d;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 27)) {              /* OSXSAVE: this CPU has none (tests/guest/run --cpu) */
        CHECK(xsetbv(0, 3) > 0);
        return;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    u64 all = (u64)d << 32 | a;
    CHECK((all & 3) == 3);
    CHECK_EQ(xsetbv(0, all), -1);
    CHECK_EQ(xsetbv(0, 3), -1);
    CHECK_EQ(xsetbv(0, 2), 13);         /* without x87 */
    CHECK_EQ(xsetbv(0, 5), 13);         /* AVX without SSE */
    CHECK_EQ(xsetbv(0, all | 1UL << 61), 13);
    CHECK_EQ(xsetbv(1, all), 13);
    CHECK_EQ(xsetbv(0, all), -1);
}

/* Runs the n bytes of code in front of what jumps back (by r15), or of the page's end. */
static void at_page_end(const void *code, u32 n, bool back)
{
    static const u8 jmp_r15[] = { 0x41, 0xff, 0xe7 };
    static u8 *page;
    if (!page) {
        page = page_before_a_hole();
    }
    u8 *at = page + PAGE_SIZE - n - (back ? 3 : 0);
    memset(page, 0xcc, PAGE_SIZE);
    memcpy(at, code, n);
    if (back) {
        memcpy(at + n, jmp_r15, 3);
    }
    seen.vector = -1;
    __asm__ volatile("lea 1f(%%rip), %%r15; mov %%r15, trap_resume(%%rip); jmp *%0\n"
                     "1:\tmovq $0, trap_resume(%%rip)"
                     :: "r"(at) : "rax", "rbx", "rcx", "rdx", "r15", "memory", "cc");
}

TEST(code_at_the_end_of_a_page)
{
    static const u8 clts[] = { 0x0f, 0x06 }, cpuid[] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 },
                    cut[] = { 0x0f }, half[] = { 0x0f, 0x0b, 'x', 'e' };
    iopl(1);
    at_page_end(clts, 2, true);
    CHECK_EQ(seen.vector, -1);
    at_page_end(clts, 2, false);        /* done; then there is nothing to fetch */
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.rip & 0xfff, 0);
    at_page_end(cpuid, 7, true);
    CHECK_EQ(seen.vector, -1);
    at_page_end(cpuid, 7, false);
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.rip & 0xfff, 0);
    at_page_end(half, 4, false);
    CHECK_EQ(seen.vector, on_xen() ? 14 : 6);   /* Xen reads on */
    at_page_end(cut, 1, false);
    CHECK_EQ(seen.vector, 14);
}
