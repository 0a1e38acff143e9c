/* SPDX-License-Identifier: MIT */
/*
 * Decoding of the few x86-64 instructions that Bulkhead carries out for a PV guest.
 * Pure logic: bytes in, fields out. AMD64 manual vol. 3, chapter 1.
 */
#pragma once

#include "types.h"

#define INSN_MAX 15
#define INSN_BUF 32         /* what the decoder reads: zero behind the code */

struct insn {
    u8 len;                 /* bytes, all parts */
    bool lock, rep, opsize16, has_modrm, has_imm;
    u16 opcode;             /* one byte, or 0x0f00 | second byte */
    u8 rex, mod, reg, rm;   /* reg and rm with REX's bits */
    s64 imm;
    u8 size;                /* of the operation: 1, 2, 4, 8 (even opcodes: 1; I/O: up to 4) */
};

/* Decodes the n bytes of code in buf. False: cut off, or not one of the known instructions. */
bool insn_decode(struct insn *in, const u8 buf[INSN_BUF], unsigned n);
/* The register that number 0..15 names (64 bits). */
u64 *insn_reg(struct cpu_user_regs *r, unsigned nr);
/* Reads and writes a register operand of in->size; byte registers ah..bh without REX. */
u64 insn_reg_read(const struct insn *in, struct cpu_user_regs *r, unsigned nr);
void insn_reg_write(const struct insn *in, struct cpu_user_regs *r, unsigned nr, u64 value);
/* The bits of an operand. */
static inline u64 insn_mask(const struct insn *in) { return ~0UL >> (64 - 8 * in->size); }
