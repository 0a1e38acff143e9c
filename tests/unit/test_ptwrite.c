// links: hv/x86/pv/insn.c
// SPDX-License-Identifier: MIT
/*
 * Writes to page tables that are carried out for the guest: the same instruction, with the
 * same registers and the same memory, once by ptwrite.c and once by this machine's CPU.
 */
#include "unit.h"
#include "x86/pv.h"
static pte_t *table_entry(u64 maddr);
static int begin(struct mmu *m, struct vcpu *v, struct domain *d, struct domain *pg_dom);
static void end(struct mmu *m);
#define mmu_slot(m, maddr) table_entry(maddr)
#define mmu_begin begin
#define mmu_end end
#include "../../hv/x86/pv/ptwrite.c"
#include <sys/mman.h>

/* --- the guest's memory: one entry, behind what looks like a read-only mapping --- */
static pte_t entry;
static pte_t mapping = PTE_P | PTE_US;
static u8 code[INSN_BUF];
static unsigned code_len, again, begun, ended;
static int refused;
static bool no_slot, busy;

unsigned pv_fetch(u64 rip, u8 *buf)
{
    CHECK_EQ(rip, 0x401000);
    memcpy(buf, code, code_len);
    return code_len;
}

static int begin(struct mmu *m, struct vcpu *v, struct domain *d, struct domain *pg_dom)
{
    (void)v; (void)pg_dom;
    memset(m, 0, sizeof(*m));
    m->d = d;
    begun++;
    return busy ? -ERESTART : 0;
}

static void end(struct mmu *m) { (void)m; ended++; }
pte_t *mmu_walk(struct vcpu *v, u64 va) { (void)v; (void)va; return no_slot ? NULL : &mapping; }
static pte_t *table_entry(u64 maddr) { CHECK(maddr < 8); return &entry; }

int mmu_write_entry(struct mmu *m, pte_t *slot, unsigned level, pte_t val, bool preserve_ad)
{
    (void)preserve_ad;
    CHECK_EQ(level, 1);
    CHECK(m->compare);
    if (again) {
        again--;
        *slot ^= 0x1000;            /* another vCPU has been here */
        return -EAGAIN;
    }
    CHECK_EQ(m->expect, *slot);
    if (!refused) {
        *slot = val;
    }
    return refused;
}

/* --- the CPU --- */
static u8 *jit;
struct state { u64 rax, rcx, rdx, rbx, rsi, r8, flags, at; };
void on_cpu(struct state *s, const void *code);
__asm__(".pushsection .text\n"
        "on_cpu: push %rbx\n push %rbp\n push %r12\n mov %rdi, %rbp\n mov %rsi, %r12\n"
        "mov 0(%rbp), %rax\n mov 8(%rbp), %rcx\n mov 16(%rbp), %rdx\n mov 24(%rbp), %rbx\n"
        "mov 32(%rbp), %rsi\n mov 40(%rbp), %r8\n mov 56(%rbp), %rdi\n"
        "push 48(%rbp)\n popfq\n call *%r12\n pushfq\n pop 48(%rbp)\n"
        "mov %rax, 0(%rbp)\n mov %rcx, 8(%rbp)\n mov %rdx, 16(%rbp)\n mov %rbx, 24(%rbp)\n"
        "mov %rsi, 32(%rbp)\n mov %r8, 40(%rbp)\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".popsection");

static void run_on_cpu(struct state *s)
{
    if (!jit) {
        jit = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    memcpy(jit, code, code_len);
    jit[code_len] = 0xc3;
    on_cpu(s, jit);
}

static u64 seed = 88172645463325252UL;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static struct cpu_user_regs regs;
static bool write_at(unsigned offset)
{
    static struct domain d;
    static struct vcpu v = { .domain = &d };
    return pv_page_table_write(&v, &regs, 0x7000 + offset);
}

/* The instruction in `code`, whose operand has `size` bytes at `offset` of the entry. */
static void compare(unsigned size, unsigned offset, u64 defined)
{
    struct state s = { rnd(), rnd(), rnd(), rnd(), rnd(), rnd(), (rnd() & EFLAGS_RESULT) | 0x202, 0 };
    u64 memory[2] = { rnd(), rnd() }, before;
    if (rnd() % 3 == 0) {
        memory[0] &= s.rcx;             /* results of zero and matches must come up, too */
    }
    if (rnd() % 3 == 0) {
        memcpy((u8 *)memory + offset, &s.rax, size);
    }
    before = entry = memory[0];
    s.at = (u64)memory + offset;
    regs = (struct cpu_user_regs){ .rax = s.rax, .rcx = s.rcx, .rdx = s.rdx, .rbx = s.rbx, .rsi = s.rsi,
                                   .r8 = s.r8, .rflags = s.flags, .rip = 0x401000 };
    run_on_cpu(&s);
    bool good = write_at(offset);
    CHECK(good);
    CHECK_EQ(entry, memory[0]);
    CHECK_EQ(regs.rax, s.rax);
    CHECK_EQ(regs.rcx, s.rcx);
    CHECK_EQ(regs.rdx, s.rdx);
    CHECK_EQ(regs.rbx, s.rbx);
    CHECK_EQ(regs.rsi, s.rsi);
    CHECK_EQ(regs.r8, s.r8);
    CHECK_EQ(regs.rflags & defined, s.flags & defined);
    CHECK_EQ(regs.rip, 0x401000 + code_len);
    if (unit_failed_checks) {
        printf("  code %02x %02x %02x %02x %02x, %u bytes at %u of %llx, rax %llx\n", code[0], code[1], code[2],
               code[3], code[4], size, offset, (long long)before, (long long)regs.rax);
    }
}

#define NO_AF (EFLAGS_RESULT & ~0x10UL)

/* Prefixes for the size, the opcode (even: bytes), ModRM for [rdi], an immediate. */
static void build(unsigned size, bool lock, unsigned op, unsigned reg, unsigned imm)
{
    unsigned n = 0;
    if (lock) {
        code[n++] = 0xf0;
    }
    if (size == 2) {
        code[n++] = 0x66;
    }
    if (size == 8 || reg == 8) {
        code[n++] = (u8)(0x40 | (size == 8 ? 8 : 0) | (reg == 8 ? 4 : 0));
    }
    if (op > 0xff) {
        code[n++] = 0x0f;
    }
    code[n++] = (u8)op;
    code[n++] = (u8)((reg & 7) << 3 | 7);
    for (unsigned i = 0; i < imm; i++) {
        code[n++] = (u8)rnd();
    }
    code_len = n;
}

static void all_sizes(unsigned op, bool lock, const unsigned *reg, unsigned imm, u64 defined)
{
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned r = 0; reg[r] != 99; r++) {
            for (unsigned size = 1; size <= 8; size *= 2) {
                if (((op & 1) == 0) != (size == 1) && op != 0x10ba) {
                    continue;
                }
                if (op == 0x10ba && size == 1) {
                    continue;
                }
                build(size, lock, op, reg[r], imm > 1 ? MIN(size, 4u) : imm);
                compare(size, (unsigned)rnd() % (9 - size), defined);
            }
        }
    }
}

static const unsigned registers[] = { 0, 1, 2, 3, 6, 8, 99 };
static const unsigned high_bytes[] = { 4, 5, 6, 7, 99 };     /* ah, ch, dh, bh */

TEST(moves)
{
    static const unsigned zero[] = { 0, 99 };
    all_sizes(0x86, false, registers, 0, EFLAGS_RESULT);
    all_sizes(0x87, true, registers, 0, EFLAGS_RESULT);
    all_sizes(0x88, false, registers, 0, EFLAGS_RESULT);
    all_sizes(0x89, false, registers, 0, EFLAGS_RESULT);
    all_sizes(0xc6, false, zero, 1, EFLAGS_RESULT);
    all_sizes(0xc7, false, zero, 4, EFLAGS_RESULT);
}

TEST(logic)
{
    static const unsigned ops[] = { 0x08, 0x09, 0x20, 0x21, 0x30, 0x31 }, groups[] = { 1, 4, 6, 99 };
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        all_sizes(ops[i], i & 1, registers, 0, NO_AF);
    }
    all_sizes(0x80, true, groups, 1, NO_AF);
    all_sizes(0x81, false, groups, 4, NO_AF);
    all_sizes(0x83, true, groups, 1, NO_AF);
}

TEST(bits)
{
    static const unsigned groups[] = { 5, 6, 7, 99 };
    all_sizes(0x10ba, true, groups, 1, EFLAGS_CF);
    /* A register's number may name a bit outside; the entry's own are what is carried out. */
    for (unsigned round = 0; round < 200; round++) {
        static const unsigned ops[] = { 0x10ab, 0x10b3, 0x10bb };
        for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
            build(8, true, ops[i], 1, 0);
            regs = (struct cpu_user_regs){ .rcx = rnd() % 64, .rip = 0x401000, .rflags = 2 };
            struct state s = { .rcx = regs.rcx, .flags = 2 };
            u64 memory = entry = rnd();
            s.at = (u64)&memory;
            run_on_cpu(&s);
            CHECK(write_at(0));
            CHECK_EQ(entry, memory);
            CHECK_EQ(regs.rflags & EFLAGS_CF, s.flags & EFLAGS_CF);
        }
    }
}

TEST(compare_and_exchange)
{
    all_sizes(0x10b0, true, registers, 0, EFLAGS_ZF);
    all_sizes(0x10b1, true, registers, 0, EFLAGS_ZF);
}

TEST(high_byte_registers)
{
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; high_bytes[i] != 99; i++) {
            build(1, false, 0x86, high_bytes[i], 0);
            compare(1, (unsigned)rnd() % 8, EFLAGS_RESULT);
        }
    }
}

TEST(not_carried_out)
{
    static const struct { u8 bytes[8]; u8 n, offset; } no[] = {
        { { 0x48, 0x01, 0x0f }, 3, 0 },                 /* add */
        { { 0x48, 0x89, 0xcf }, 3, 0 },                 /* between registers */
        { { 0x48, 0x89, 0x0f }, 3, 4 },                 /* over the entry's end */
        { { 0x48, 0x83, 0x07, 0x01 }, 4, 0 },           /* add immediate */
        { { 0xc6, 0x0f, 0x01 }, 3, 0 },                 /* group 11, but /1 */
        { { 0x48, 0x0f, 0xba, 0x27, 0x01 }, 5, 0 },     /* bt: writes nothing */
        { { 0xfa }, 1, 0 },                             /* no operand in memory */
        { { 0x0f, 0x01, 0x0f }, 3, 0 },                 /* sidt */
        { { 0x48, 0x89 }, 2, 0 },                       /* cut off */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++) {
        memcpy(code, no[i].bytes, code_len = no[i].n);
        regs = (struct cpu_user_regs){ .rip = 0x401000, .rcx = 1, .rflags = 2 };
        entry = 0x123000;
        CHECK(!write_at(no[i].offset));
        CHECK_EQ(entry, 0x123000);
        CHECK_EQ(regs.rip, 0x401000);
    }
}

TEST(refusals_and_races)
{
    begun = ended = 0;
    build(8, false, 0x89, 1, 0);
    regs = (struct cpu_user_regs){ .rip = 0x401000, .rcx = 0x55000, .rflags = 2 };
    entry = 0x1000;
    again = 3;
    CHECK(write_at(0));                                 /* tries again until it is alone */
    CHECK_EQ(entry, 0x55000);
    CHECK_EQ(again, 0);
    regs.rip = 0x401000;
    refused = -EINVAL;
    CHECK(!write_at(0));
    CHECK_EQ(regs.rip, 0x401000);
    refused = 0;
    no_slot = true;
    CHECK(!write_at(0));
    no_slot = false;
    mapping = PTE_P | PTE_US | PTE_RW;                  /* writable: it is no table */
    CHECK(!write_at(0));
    mapping = 0;
    CHECK(!write_at(0));
    mapping = PTE_P | PTE_US;
    CHECK_EQ(begun, ended);
    busy = true;
    CHECK(write_at(0));                                 /* the instruction comes again */
    CHECK_EQ(regs.rip, 0x401000);
    busy = false;
}
