/* SPDX-License-Identifier: MIT */
/*
 * The decoder of x86/insn.h. It knows the shapes of the instructions that a PV
 * kernel may not execute itself and of those that write page-table entries; others
 * are refused. No state, no lock.
 */
#include "x86/insn.h"

u64 *insn_reg(struct cpu_user_regs *r, unsigned nr)
{
#define AT(reg) offsetof(struct cpu_user_regs, reg)
    static const u8 offset[16] = {
        AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi),
        AT(r8),  AT(r9),  AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15),
    };
    return (u64 *)((char *)r + offset[nr & 15]);
}

/* ah, ch, dh, bh: bits 8 to 15 of the registers four numbers lower. */
static bool high_byte(const struct insn *in, unsigned nr)
{
    return in->size == 1 && !in->rex && nr >= 4 && nr < 8;
}

u64 insn_reg_read(const struct insn *in, struct cpu_user_regs *r, unsigned nr)
{
    return (high_byte(in, nr) ? *insn_reg(r, nr - 4) >> 8 : *insn_reg(r, nr)) & insn_mask(in);
}

void insn_reg_write(const struct insn *in, struct cpu_user_regs *r, unsigned nr, u64 value)
{
    unsigned shift = high_byte(in, nr) ? 8 : 0;
    u64 *p = insn_reg(r, shift ? nr - 4 : nr), mask = insn_mask(in);

    value &= mask;
    /* 32-bit results clear the upper half. */
    *p = in->size == 4 ? value : (*p & ~(mask << shift)) | value << shift;
}

#define MODRM 8     /* has that byte */

/* Bytes of an immediate, and MODRM; -1: the opcode is not known. */
static int shape(u16 op, unsigned opsize)
{
    switch (op) {
    case 0x08: case 0x09: case 0x20: case 0x21: case 0x30: case 0x31: case 0x86 ... 0x89:
    case 0x0f01: case 0x0f20 ... 0x0f23:
    case 0x0fab: case 0x0fb0: case 0x0fb1: case 0x0fb3: case 0x0fbb:
        return MODRM;
    case 0x80: case 0x83: case 0xc6: case 0x0fba:
        return MODRM | 1;
    case 0x81: case 0xc7:
        return MODRM | (opsize == 2 ? 2 : 4);
    case 0x6c ... 0x6f: case 0xec ... 0xef: case 0xfa: case 0xfb:
    case 0x0f06: case 0x0f08: case 0x0f09: case 0x0f30: case 0x0f32: case 0x0f33:
        return 0;
    case 0xcd: case 0xe4 ... 0xe7:
        return 1;
    }
    return -1;
}

/* Skips prefixes; returns how many bytes they are. */
static unsigned prefixes(struct insn *in, const u8 *buf)
{
    for (unsigned i = 0; ; i++) {
        switch (buf[i]) {
        case 0x66: in->opsize16 = true; break;
        case 0xf0: in->lock = true; break;
        case 0xf3: in->rep = true; break;
        case 0xf2: case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: break;
        default:
            if ((buf[i] & 0xf0) != 0x40)
                return i;
            in->rex = buf[i];       /* counts only right before the opcode */
            return i + 1;
        }
    }
}

/* The ModRM byte at p; returns how many bytes it, SIB and displacement are. */
static unsigned modrm(struct insn *in, const u8 *p)
{
    unsigned b = p[0], mod = b >> 6;
    bool sib = mod != 3 && (b & 7) == 4;

    in->has_modrm = true;
    in->mod = (u8)mod;
    in->reg = (u8)(((b >> 3) & 7) | (in->rex & 4) << 1);
    in->rm = (u8)((b & 7) | (in->rex & 1) << 3);
    return sib + (mod == 1 ? 2 : mod == 2 || (mod == 0 && (p[sib] & 7) == 5) ? 5 : 1);
}

bool insn_decode(struct insn *in, const u8 buf[INSN_BUF], unsigned n)
{
    *in = (struct insn){ 0 };
    unsigned at = prefixes(in, buf);    /* ends with the code: zero is no prefix */
    in->opcode = buf[at++];
    if (in->opcode == 0x0f)
        in->opcode = 0x0f00 | buf[at++];
    unsigned opsize = in->rex & 8 ? 8 : in->opsize16 ? 2 : 4;
    int kind = shape(in->opcode, opsize);
    if (kind < 0)
        return false;
    /* Odd opcodes of the pairs work on words; bit tests on words always. */
    in->size = (in->opcode & 1) || in->opcode == 0x0fba ? (u8)opsize : 1;
    if (kind & MODRM)
        at += modrm(in, buf + at);
    else
        in->size = MIN(in->size, 4);
    unsigned imm = (unsigned)kind & 7;
    in->has_imm = imm;
    if (imm && (buf[at + imm - 1] & 0x80))
        in->imm = -1;
    in->len = (u8)(at + imm);
    for (unsigned i = in->len; i-- > at; )
        in->imm = in->imm * 256 + buf[i];
    return in->len <= n;
}
