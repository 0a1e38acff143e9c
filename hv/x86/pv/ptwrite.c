/* SPDX-License-Identifier: MIT */
/*
 * A guest kernel wrote to one of its level 1 tables as if it were plain memory
 * (VMASST writable_pagetables): the write is carried out as an entry update. Linux
 * does this tens of thousands of times a boot, mostly with xchg. mmu_lock guards it.
 */
#include "x86/insn.h"
#include "x86/pv.h"

/* RESULT: CF PF AF ZF SF OF */
enum { EFLAGS_CF = 1, EFLAGS_PF = 4, EFLAGS_ZF = 0x40, EFLAGS_SF = 0x80, EFLAGS_RESULT = 0x8d5 };

/* The value that the operation leaves in memory; false: not one that is carried out. */
static bool result(const struct insn *in, struct cpu_user_regs *r, u64 old, u64 *new, u64 *flags)
{
    u64 src = in->has_imm ? (u64)in->imm : insn_reg_read(in, r, in->reg);
    /* Which one of its group stands in the ModRM byte, or in these bits of the opcode. */
    unsigned op = in->has_imm ? in->reg & 7 : (in->opcode >> 3) & 7;
    u64 bit = 1UL << (src & (in->size * 8u - 1));

    *flags = r->rflags & ~(u64)EFLAGS_RESULT;
    switch (in->opcode) {
    case 0x86 ... 0x89: case 0xc6: case 0xc7:               /* xchg, mov */
        *new = src;
        *flags = r->rflags;
        return !in->has_imm || op == 0;
    case 0x0fb0: case 0x0fb1:                               /* cmpxchg */
        if (insn_reg_read(in, r, 0) == old)
            *flags |= EFLAGS_ZF;
        *new = *flags & EFLAGS_ZF ? src : old;
        return true;
    case 0x0fab: case 0x0fb3: case 0x0fbb: case 0x0fba:     /* bts, btr, btc */
        *flags |= (old & bit) ? EFLAGS_CF : 0;
        *new = op == 5 ? old | bit : op == 6 ? old & ~bit : old ^ bit;
        return op >= 5;
    case 0x08: case 0x09: case 0x20: case 0x21: case 0x30: case 0x31:
    case 0x80: case 0x81: case 0x83:                        /* or, and, xor */
        if (op != 1 && op != 4 && op != 6)
            return false;
        *new = op == 1 ? old | src : op == 4 ? old & src : old ^ src;
        break;
    default:
        return false;
    }
    *new &= insn_mask(in);
    *flags |= (*new ? 0 : EFLAGS_ZF) | ((*new >> (8 * in->size - 1)) & 1 ? EFLAGS_SF : 0) |
              (__builtin_parity((unsigned)(*new & 0xff)) ? 0 : EFLAGS_PF);
    return true;
}

static int write_once(struct mmu *m, pte_t *slot, unsigned shift, const struct insn *in,
                      struct cpu_user_regs *r)
{
    u64 part = insn_mask(in), flags, new;
    pte_t old = READ_ONCE(*slot);
    u64 mem = (old >> shift) & part;

    if (!result(in, r, mem, &new, &flags))
        return -EINVAL;
    m->compare = true;
    m->expect = old;
    int rc = mmu_write_entry(m, slot, 1, (old & ~(part << shift)) | (new & part) << shift, false);
    if (rc)
        return rc;
    /* The register that receives the old value: of xchg, of a cmpxchg that has not matched. */
    if (in->opcode == 0x86 || in->opcode == 0x87)
        insn_reg_write(in, r, in->reg, mem);
    else if ((in->opcode == 0x0fb0 || in->opcode == 0x0fb1) && !(flags & EFLAGS_ZF))
        insn_reg_write(in, r, 0, mem);
    r->rflags = flags;
    r->rip += in->len;
    return 0;
}

bool pv_page_table_write(struct vcpu *v, struct cpu_user_regs *regs, u64 addr)
{
    struct insn in;
    struct mmu m;
    u8 code[INSN_BUF] = { 0 };

    if (!insn_decode(&in, code, pv_fetch(regs->rip, code)) || !in.has_modrm || in.mod == 3 ||
        (addr & 7) + in.size > 8) {
        return false;
    }
    if (mmu_begin(&m, v, v->domain, v->domain))
        return true;            /* earlier work goes first: the instruction comes again */
    pte_t *map = mmu_walk(v, addr), *slot = NULL;
    if (map && (*map & PTE_P) && !(*map & PTE_RW))
        slot = mmu_slot(&m, pte_mfn(*map) << PAGE_SHIFT | (addr & ~PAGE_MASK));
    int rc = slot ? -EAGAIN : -EINVAL;
    while (rc == -EAGAIN)
        rc = write_once(&m, slot, (addr & 7) * 8, &in, regs);
    mmu_end(&m);
    return rc == 0;
}
