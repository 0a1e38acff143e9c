/* SPDX-License-Identifier: MIT */
/*
 * The decoder of x86/insn.h. It knows the shapes of the instructions that a PV
 * kernel may not execute itself and of those that write page-table entries; others
 * are refused. No state, no lock.
 */
#include "lib.h"
#include "x86/insn.h"

u64 *insn_reg(struct cpu_user_regs *r, unsigned nr)
{
    static const u16 offset[16] = {
        offsetof(struct cpu_user_regs, rax), offsetof(struct cpu_user_regs, rcx),
        offsetof(struct cpu_user_regs, rdx), offsetof(struct cpu_user_regs, rbx),
        offsetof(struct cpu_user_regs, rsp), offsetof(struct cpu_user_regs, rbp),
        offsetof(struct cpu_user_regs, rsi), offsetof(struct cpu_user_regs, rdi),
        offsetof(struct cpu_user_regs, r8),  offsetof(struct cpu_user_regs, r9),
        offsetof(struct cpu_user_regs, r10), offsetof(struct cpu_user_regs, r11),
        offsetof(struct cpu_user_regs, r12), offsetof(struct cpu_user_regs, r13),
        offsetof(struct cpu_user_regs, r14), offsetof(struct cpu_user_regs, r15),
    };
    return (u64 *)((char *)r + offset[nr & 15]);
}

static u64 size_mask(unsigned size)
{
    return size == 8 ? ~0UL : (1UL << (8 * size)) - 1;
}

u64 insn_reg_read(const struct insn *in, struct cpu_user_regs *r, unsigned nr, unsigned size)
{
    if (size == 1 && !in->rex && nr >= 4 && nr < 8)
        return (*insn_reg(r, nr - 4) >> 8) & 0xff;
    return *insn_reg(r, nr) & size_mask(size);
}

void insn_reg_write(const struct insn *in, struct cpu_user_regs *r, unsigned nr, unsigned size,
                    u64 value)
{
    u64 *p = insn_reg(r, nr), mask = size_mask(size);

    if (size == 1 && !in->rex && nr >= 4 && nr < 8) {
        p = insn_reg(r, nr - 4);
        *p = (*p & ~0xff00UL) | (value & 0xff) << 8;
    } else if (size == 4) {
        *p = (u32)value;        /* 32-bit results clear the upper half */
    } else {
        *p = (*p & ~mask) | (value & mask);
    }
}

/* Bytes of an immediate, -1: the opcode is not known; *modrm: it has a ModRM byte. */
static int shape(u16 op, unsigned opsize, bool *modrm)
{
    *modrm = true;
    switch (op) {
    case 0x08: case 0x09: case 0x20: case 0x21: case 0x30: case 0x31:
    case 0x86: case 0x87: case 0x88: case 0x89:
    case 0x0f01: case 0x0f20: case 0x0f21: case 0x0f22: case 0x0f23:
    case 0x0fab: case 0x0fb0: case 0x0fb1: case 0x0fb3: case 0x0fbb:
        return 0;
    case 0x80: case 0x83: case 0xc6: case 0x0fba:
        return 1;
    case 0x81: case 0xc7:
        return opsize == 2 ? 2 : 4;
    }
    *modrm = false;
    switch (op) {
    case 0x6c: case 0x6d: case 0x6e: case 0x6f:
    case 0xec: case 0xed: case 0xee: case 0xef:
    case 0xfa: case 0xfb:
    case 0x0f06: case 0x0f08: case 0x0f09: case 0x0f30: case 0x0f32: case 0x0f33:
        return 0;
    case 0xcd: case 0xe4: case 0xe5: case 0xe6: case 0xe7:
        return 1;
    }
    return -1;
}

/* Skips prefixes; returns how many bytes they are. */
static unsigned prefixes(struct insn *in, const u8 *buf, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        switch (buf[i]) {
        case 0x66: in->opsize16 = true; break;
        case 0xf0: in->lock = true; break;
        case 0xf2: in->repne = true; break;
        case 0xf3: in->rep = true; break;
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: break;
        default:
            if ((buf[i] & 0xf0) == 0x40) {      /* REX counts only right before the opcode */
                in->rex = buf[i];
                return i + 1;
            }
            return i;
        }
    }
    return i;
}

bool insn_decode(struct insn *in, const u8 *buf, unsigned n)
{
    unsigned at, opsize;
    bool modrm;
    int imm;

    memset(in, 0, sizeof(*in));
    n = MIN(n, (unsigned)INSN_MAX);
    at = prefixes(in, buf, n);
    if (at >= n)
        return false;
    in->opcode = buf[at++];
    if (in->opcode == 0x0f) {
        if (at >= n)
            return false;
        in->opcode = 0x0f00 | buf[at++];
    }
    opsize = in->rex & 8 ? 8 : in->opsize16 ? 2 : 4;
    imm = shape(in->opcode, opsize, &modrm);
    if (imm < 0)
        return false;
    /* Odd opcodes of the pairs work on words; bit tests on words always. */
    in->size = (in->opcode & 1) || in->opcode == 0x0fba ? (u8)opsize : 1;
    if (modrm) {
        if (at >= n)
            return false;
        in->has_modrm = true;
        in->mod = buf[at] >> 6;
        in->reg = (u8)(((buf[at] >> 3) & 7) | (in->rex & 4) << 1);
        in->rm = (u8)((buf[at] & 7) | (in->rex & 1) << 3);
        at++;
        if (in->mod != 3) {
            unsigned disp = in->mod == 1 ? 1 : in->mod == 2 ? 4 : 0;
            if ((in->rm & 7) == 4) {
                if (at >= n)
                    return false;
                if (in->mod == 0 && (buf[at] & 7) == 5)
                    disp = 4;
                at++;
            } else if (in->mod == 0 && (in->rm & 7) == 5) {
                disp = 4;
            }
            at += disp;
        }
    }
    if (at + (unsigned)imm > n)
        return false;
    for (int i = 0; i < imm; i++)
        in->imm |= (s64)((u64)buf[at + i] << (8 * i));
    if (imm && imm < 8) {
        unsigned sh = 64 - 8 * (unsigned)imm;
        in->imm = (s64)((u64)in->imm << sh) >> sh;
    }
    in->len = (u8)(at + (unsigned)imm);
    return true;
}
