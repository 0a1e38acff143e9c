/* SPDX-License-Identifier: MIT */
/*
 * A guest kernel wrote to one of its level 1 tables as if it were plain memory
 * (VMASST writable_pagetables): the write is carried out as an entry update. Linux
 * does this tens of thousands of times a boot, mostly with xchg. mmu_lock guards it.
 */
#include "guest.h"
#include "mm.h"
#include "x86/insn.h"
#include "x86/pv.h"

#define EFLAGS_CF 1u
#define EFLAGS_ZF 0x40u
#define EFLAGS_RESULT 0x8d5u    /* CF PF AF ZF SF OF */

/* The value that the operation leaves in memory; false: not one that is carried out. */
static bool result(const struct insn *in, struct cpu_user_regs *r, u64 old, u64 *new, u64 *flags)
{
    u64 src = insn_reg_read(in, r, in->reg, in->size);
    unsigned bit;

    *flags = r->rflags & ~(u64)EFLAGS_RESULT;
    switch (in->opcode) {
    case 0x86: case 0x87: case 0x88: case 0x89:
        *new = src;
        *flags = r->rflags;
        return true;
    case 0xc6: case 0xc7:
        *new = (u64)in->imm;
        *flags = r->rflags;
        return (in->reg & 7) == 0;
    case 0x08: case 0x09: *new = old | src; break;
    case 0x20: case 0x21: *new = old & src; break;
    case 0x30: case 0x31: *new = old ^ src; break;
    case 0x80: case 0x81: case 0x83:
        switch (in->reg & 7) {
        case 1: *new = old | (u64)in->imm; break;
        case 4: *new = old & (u64)in->imm; break;
        case 6: *new = old ^ (u64)in->imm; break;
        default: return false;
        }
        break;
    case 0x0fb0: case 0x0fb1:
        if (insn_reg_read(in, r, 0, in->size) == old) {
            *new = src;
            *flags |= EFLAGS_ZF;
        } else {
            *new = old;
        }
        return true;
    case 0x0fab: case 0x0fb3: case 0x0fbb: case 0x0fba:
        bit = (unsigned)(in->opcode == 0x0fba ? (u64)in->imm : src) & (in->size * 8u - 1);
        *flags |= (old >> bit) & 1 ? EFLAGS_CF : 0;
        switch (in->opcode == 0x0fba ? in->reg & 7 : in->opcode == 0x0fab ? 5
                                                   : in->opcode == 0x0fb3 ? 6 : 7) {
        case 5: *new = old | 1UL << bit; return true;
        case 6: *new = old & ~(1UL << bit); return true;
        case 7: *new = old ^ 1UL << bit; return true;
        }
        return false;
    default:
        return false;
    }
    *new &= in->size == 8 ? ~0UL : (1UL << (8 * in->size)) - 1;
    *flags |= *new ? 0 : EFLAGS_ZF;
    *flags |= (*new >> (8 * in->size - 1)) & 1 ? 0x80 : 0;
    *flags |= __builtin_parity((unsigned)(*new & 0xff)) ? 0 : 4;
    return true;
}

/* Registers that receive the old value. */
static void write_back(const struct insn *in, struct cpu_user_regs *r, u64 old, u64 flags)
{
    if (in->opcode == 0x86 || in->opcode == 0x87)
        insn_reg_write(in, r, in->reg, in->size, old);
    else if ((in->opcode == 0x0fb0 || in->opcode == 0x0fb1) && !(flags & EFLAGS_ZF))
        insn_reg_write(in, r, 0, in->size, old);
    r->rflags = flags;
    r->rip += in->len;
}

static int write_once(struct mmu *m, struct page *table, pte_t *slot, unsigned shift,
                      const struct insn *in, struct cpu_user_regs *r)
{
    u64 part = in->size == 8 ? ~0UL : (1UL << (8 * in->size)) - 1, flags, new;
    pte_t old = READ_ONCE(*slot);
    u64 mem = (old >> shift) & part;
    int rc;

    if (!result(in, r, mem, &new, &flags))
        return -EINVAL;
    m->compare = true;
    m->expect = old;
    rc = mmu_write_entry(m, table, slot, 1, (old & ~(part << shift)) | (new & part) << shift, false);
    if (!rc)
        write_back(in, r, mem, flags);
    return rc;
}

bool pv_page_table_write(struct vcpu *v, struct cpu_user_regs *regs, u64 addr)
{
    struct x86_vcpu *x = xv(v);
    struct page *map_table, *table;
    struct insn in;
    struct mmu m;
    pte_t *map;
    u8 code[INSN_MAX];
    unsigned n = pv_fetch(regs->rip, code);
    int rc = -EINVAL;

    if (!insn_decode(&in, code, n) || !in.has_modrm || in.mod == 3 ||
        (addr & 7) + in.size > 8) {
        return false;
    }
    if (mmu_begin(&m, v, v->domain, v->domain)) {
        return true;            /* earlier work goes first: the instruction comes again */
    }
    map = mmu_walk(x->pv.cr3, addr, &map_table);
    if (map && (*map & PTE_P) && !(*map & PTE_RW) && mfn_valid(pte_mfn(*map))) {
        table = mfn_to_page(pte_mfn(*map));
        if (mmu_owner(&m, table) && pt_level(table->type) == 1 &&
            (table->type & PT_VALIDATED)) {
            pte_t *slot = (pte_t *)((char *)page_to_virt(table) + (addr & ~PAGE_MASK & ~7UL));
            do {
                rc = write_once(&m, table, slot, (addr & 7) * 8, &in, regs);
            } while (rc == -EAGAIN);
        }
    }
    mmu_end(&m);
    return rc == 0;
}
