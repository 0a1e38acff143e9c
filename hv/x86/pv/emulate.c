/* SPDX-License-Identifier: MIT */
/*
 * Instructions that a PV kernel, in ring 3, cannot execute: I/O, control and debug
 * registers, MSRs, interrupt flag, cpuid in its forced form. What is not allowed
 * goes back to the guest as #GP. All of it concerns the current vCPU; no lock.
 */
#include "guest.h"
#include "x86/desc.h"
#include "x86/insn.h"
#include "x86/pv.h"
#include "x86/uaccess.h"

#define CR4_GUEST_MASK (CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | 0x7f)

unsigned pv_fetch(u64 rip, u8 *buf)
{
    unsigned n = INSN_MAX;

    /* Code lies in the tables that are loaded, kernel's or user's. */
    while (n && (!guest_range_ok(rip, n) || pv_copy_raw(buf, (const void *)rip, n)))
        n = n > 8 ? 8 : n - 1;
    return n;
}

/* May the guest, in its present mode, use ports [port, port + size)? */
static bool io_allowed(struct vcpu *v, u16 port, unsigned size)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    u8 bits[2] = { 0 };

    if (pv->iopl >= (pv->kernel_mode ? 1 : 3))
        return true;
    return pv->iobmp && (u32)port + size <= pv->iobmp_limit &&
           !guest_read(v, bits, pv->iobmp + port / 8, (port & 7) + size > 8 ? 2 : 1) &&
           !(((bits[0] | bits[1] << 8) >> (port & 7)) & ((1u << size) - 1));
}

/* ins, outs: one element, or as many as fit before other work waits. True: rip moves on. */
static bool string_io(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    s64 step = r->rflags & 0x400 ? -(s64)in->size : in->size;
    bool out = in->opcode >= 0x6e;
    u64 *reg = out ? &r->rsi : &r->rdi;

    for (unsigned n = 0; !in->rep || r->rcx; n++) {
        void *at = (void *)*reg;
        u32 val = 0;
        if (n == 256)
            return false;               /* the instruction is not done: it comes back here */
        /* The tables that are loaded decide, so that user mode cannot reach the kernel's. What
         * comes in is written twice, or a port would be read for a place that cannot be. */
        if (!guest_range_ok(*reg, in->size) ||
            (out ? pv_copy_raw(&val, at, in->size) : pv_copy_raw(at, &val, in->size))) {
            pv_inject_page_fault(v, r, out ? 4 : 6, *reg);
            return false;
        }
        if (out) {
            guest_port_out(v, (u16)r->rdx, in->size, val);
        } else {
            val = guest_port_in(v, (u16)r->rdx, in->size);
            (void)pv_copy_raw(at, &val, in->size);
        }
        *reg += (u64)step;
        if (!in->rep)
            break;
        r->rcx--;
    }
    return true;
}

static bool read_cr(struct vcpu *v, unsigned cr, u64 *to)
{
    const struct pv_vcpu *pv = &xv(v)->pv;

    if (cr == 1 || cr > 4)
        return false;
    *to = cr == 0 ? (read_cr0() & ~(u64)CR0_TS) | (pv->cr0_ts ? CR0_TS : 0) :
          cr == 2 ? v->info->arch.cr2 :
          cr == 3 ? xen_pfn_to_cr3(page_to_mfn(pv->cr3)) :
                    pv->cr4_guest | (read_cr4() & CR4_GUEST_MASK);
    return true;
}

static bool write_cr(struct vcpu *v, unsigned cr, u64 val)
{
    if (cr == 0)
        pv_set_ts(v, val & CR0_TS);     /* only TS is the guest's */
    else if (cr == 2)
        v->info->arch.cr2 = val;
    else if (cr == 4)
        xv(v)->pv.cr4_guest = val & CR4_GUEST_MASK;
    else
        return false;
    return true;
}

static bool do_rdmsr(struct vcpu *v, struct cpu_user_regs *r)
{
    u32 msr = (u32)r->rcx;
    u64 val;

    if (msr >= MSR_FS_BASE && msr <= MSR_KERNEL_GS_BASE)        /* and between them MSR_GS_BASE */
        val = rdmsr(msr);
    else if (guest_rdmsr(v, msr, &val))
        return false;
    r->rax = (u32)val;
    r->rdx = val >> 32;
    return true;
}

static bool do_wrmsr(struct vcpu *v, struct cpu_user_regs *r)
{
    u64 val = (u32)r->rax | r->rdx << 32;
    u32 msr = (u32)r->rcx;

    if (msr < MSR_FS_BASE || msr > MSR_KERNEL_GS_BASE)
        return guest_wrmsr(v, msr, val) == 0;
    if (!va_canonical(val))
        return false;
    wrmsr(msr, val);
    return true;
}

/* The CPU keeps all of its states on; the guest uses fewer. False: not ones that it may name. */
static bool xsetbv(const struct cpu_user_regs *r)
{
    u64 val = (u32)r->rax | r->rdx << 32;

    return !(u32)r->rcx && cpu_has.xsave && (val & 1) && !(val & ~cpu_has.xcr0) && (val & 6) != 4;
}

/* The guest kernel's privileged instructions. False: it gets #GP. */
static bool privileged(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    u64 *gpr = insn_reg(r, in->rm);

    switch (in->opcode) {
    case 0xfa: case 0xfb:       /* cli, sti: no effect, as on the ABI's other implementation */
        return xv(v)->pv.iopl >= 1;
    case 0x0f01:
        return in->mod == 3 && in->reg == 2 && in->rm == 1 && xsetbv(r);
    case 0x0f06:                /* clts */
        pv_set_ts(v, false);
        return true;
    case 0x0f08: case 0x0f09:
        if (domain_has(v->domain, RIGHT_HARDWARE))
            __asm__ volatile("wbinvd" ::: "memory");
        return true;
    case 0x0f20: return read_cr(v, in->reg, gpr);
    case 0x0f21:
        if (in->reg < 8)
            *gpr = xv(v)->pv.debugreg[in->reg];
        return in->reg < 8;
    case 0x0f22: return write_cr(v, in->reg, *gpr);
    case 0x0f23: return pv_set_debugreg(v, in->reg, *gpr) == 0;
    case 0x0f30: return do_wrmsr(v, r);
    case 0x0f32: return do_rdmsr(v, r);
    }
    return false;
}

/* False: not allowed. Moves rip on when the instruction is done. */
static bool emulate(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    u16 port = in->opcode >= 0xe4 && in->opcode <= 0xe7 ? (u8)in->imm : (u16)r->rdx;

    if (in->lock)
        return false;
    switch (in->opcode) {
    case 0x6c ... 0x6f: case 0xe4 ... 0xe7: case 0xec ... 0xef:
        if (!io_allowed(v, port, in->size))
            return false;
        if (in->opcode <= 0x6f && !string_io(v, r, in))
            return true;
        if (in->opcode > 0x6f && (in->opcode & 2))
            guest_port_out(v, port, in->size, (u32)insn_reg_read(in, r, 0));
        else if (in->opcode > 0x6f)
            insn_reg_write(in, r, 0, guest_port_in(v, port, in->size));
        break;
    default:
        if (!xv(v)->pv.kernel_mode || !privileged(v, r, in))
            return false;
    }
    r->rip += in->len;
    r->rflags &= ~(u64)X86_RF;
    return true;
}

void pv_general_protection(struct vcpu *v, struct cpu_user_regs *r)
{
    struct insn in;
    u8 code[INSN_BUF] = { 0 };
    u32 ec = r->error_code;

    /* int n that the IDT refused: the instruction itself says which. */
    if ((ec & 2) && pv_fetch(r->rip, code) >= 2 && code[0] == 0xcd) {
        r->rip += 2;
        r->entry_vector = code[1];
        pv_inject_soft(v, r, code[1]);
    } else if (ec || !insn_decode(&in, code, pv_fetch(r->rip, code)) || !emulate(v, r, &in)) {
        pv_inject(v, r, TRAP_GP, ec);
    }
}

/* Code as the loaded tables show it: ud2 "xen" cpuid, whose two halves share a byte. */
static bool is_forced_cpuid(u64 rip)
{
    u32 head, tail;

    if (!guest_range_ok(rip, 7))
        return false;
    user_access_begin();
    user_get32(rip, head, fault);
    user_get32(rip + 3, tail, fault);
    user_access_end();
    return head == 0x65780b0f && tail == 0xa20f6e65;
fault:
    user_access_end();
    return false;
}

void pv_invalid_opcode(struct vcpu *v, struct cpu_user_regs *r)
{
    struct cpuid_regs c;

    if (!is_forced_cpuid(r->rip))
        return pv_inject(v, r, TRAP_UD, 0);
    guest_cpuid(v, (u32)r->rax, (u32)r->rcx, &c);
    r->rax = c.a;
    r->rbx = c.b;
    r->rcx = c.c;
    r->rdx = c.d;
    r->rip += 7;
}
