/* SPDX-License-Identifier: MIT */
/*
 * Instructions that a PV kernel, in ring 3, cannot execute: I/O, control and debug
 * registers, MSRs, interrupt flag, cpuid in its forced form. What is not allowed
 * goes back to the guest as #GP. All of it concerns the current vCPU; no lock.
 */
#include "arch.h"
#include "guest.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/insn.h"
#include "x86/machine.h"
#include "x86/pv.h"
#include "x86/uaccess.h"

#define CR4_GUEST_MASK (CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | 0x7f)

unsigned pv_fetch(u64 rip, u8 *buf)
{
    for (unsigned n = INSN_MAX; n; n = n > 8 ? 8 : n - 1) {
        /* Code lies in the tables that are loaded, kernel's or user's. */
        if (guest_range_ok(rip, n) && !pv_copy_raw(buf, (const void *)rip, n))
            return n;
    }
    return 0;
}

/* May the guest, in its present mode, use ports [port, port + size)? */
static bool io_allowed(struct vcpu *v, u16 port, unsigned size)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    u8 bits[2] = { 0 };

    if (pv->iopl >= (pv->kernel_mode ? 1 : 3))
        return true;
    if (!pv->iobmp || (u32)port + size > pv->iobmp_limit ||
        guest_read(v, bits, pv->iobmp + port / 8, (port & 7) + size > 8 ? 2 : 1)) {
        return false;
    }
    return !(((bits[0] | bits[1] << 8) >> (port & 7)) & ((1u << size) - 1));
}

/* ins, outs: one element, or as many as fit before other work waits. True: rip moves on. */
static bool string_io(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in, bool *fault)
{
    unsigned size = in->opcode & 1 ? (in->opsize16 ? 2 : 4) : 1;
    bool out = in->opcode >= 0x6e;
    s64 step = r->rflags & 0x400 ? -(s64)size : (s64)size;

    *fault = false;
    for (unsigned n = 0; !in->rep || r->rcx; n++) {
        u64 addr = out ? r->rsi : r->rdi;
        u32 val = 0;
        if (n == 512) {
            return false;               /* the instruction is not done: it comes back here */
        }
        /* The tables that are loaded decide, so that user mode cannot reach the kernel's. */
        if (out) {
            if (!guest_range_ok(addr, size) || pv_copy_raw(&val, (const void *)addr, size)) {
                *fault = true;
            } else {
                guest_port_out(v, (u16)r->rdx, size, val);
                r->rsi += (u64)step;
            }
        } else {
            if (!guest_range_ok(addr, size) || pv_copy_raw((void *)addr, &val, size)) {
                *fault = true;
            } else {
                val = guest_port_in(v, (u16)r->rdx, size);
                (void)pv_copy_raw((void *)addr, &val, size);
                r->rdi += (u64)step;
            }
        }
        if (*fault) {
            pv_inject_page_fault(v, r, out ? 4 : 6, addr);
            return false;
        }
        if (!in->rep)
            break;
        r->rcx--;
    }
    return true;
}

static bool port_io(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    unsigned size = in->opcode & 1 ? (in->opsize16 ? 2 : 4) : 1;
    u16 port = in->opcode & 8 ? (u16)r->rdx : (u8)in->imm;

    if (!io_allowed(v, port, size))
        return false;
    if (in->opcode & 2)
        guest_port_out(v, port, size, (u32)insn_reg_read(in, r, 0, size));
    else
        insn_reg_write(in, r, 0, size, guest_port_in(v, port, size));
    return true;
}

static bool read_cr(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    u64 *to = insn_reg(r, in->rm);

    switch (in->reg) {
    case 0:
        *to = (read_cr0() & ~(u64)CR0_TS) | (pv->cr0_ts ? CR0_TS : 0);
        return true;
    case 2:
        *to = v->info->arch.cr2;
        return true;
    case 3:
        *to = xen_pfn_to_cr3(page_to_mfn(pv->cr3));
        return true;
    case 4:
        *to = pv->cr4_guest | (read_cr4() & CR4_GUEST_MASK);
        return true;
    }
    return false;
}

static bool write_cr(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    u64 val = *insn_reg(r, in->rm);

    switch (in->reg) {
    case 0:         /* only TS is the guest's */
        pv->cr0_ts = val & CR0_TS;
        write_cr0((read_cr0() & ~(u64)CR0_TS) | (pv->cr0_ts ? CR0_TS : 0));
        return true;
    case 2:
        v->info->arch.cr2 = val;
        return true;
    case 4:
        pv->cr4_guest = val & CR4_GUEST_MASK;
        return true;
    }
    return false;
}

static bool do_rdmsr(struct vcpu *v, struct cpu_user_regs *r)
{
    u64 val;

    switch ((u32)r->rcx) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        val = rdmsr((u32)r->rcx);
        break;
    default:
        if (guest_rdmsr(v, (u32)r->rcx, &val))
            return false;
    }
    r->rax = (u32)val;
    r->rdx = val >> 32;
    return true;
}

static bool do_wrmsr(struct vcpu *v, struct cpu_user_regs *r)
{
    u64 val = (u32)r->rax | r->rdx << 32;

    switch ((u32)r->rcx) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!va_canonical(val))
            return false;
        wrmsr((u32)r->rcx, val);
        return true;
    }
    return guest_wrmsr(v, (u32)r->rcx, val) == 0;
}

static bool debug_register(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    u64 *gpr = insn_reg(r, in->rm);

    if (in->reg > 7)
        return false;
    if (in->opcode == 0x0f23)
        return pv_set_debugreg(v, in->reg, *gpr) == 0;
    *gpr = xv(v)->pv.debugreg[in->reg];
    return true;
}

static bool group_0f01(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    (void)v;
    if (in->mod == 3 && in->reg == 2 && in->rm == 1) {          /* xsetbv */
        u64 val = (u32)r->rax | r->rdx << 32;
        if ((u32)r->rcx || !cpu_has.xsave || !(val & 1) || (val & ~cpu_has.xcr0) ||
            (val & 6) == 4) {
            return false;
        }
        return true;        /* the CPU keeps all of its states on; the guest uses fewer */
    }
    return false;
}

/* The guest kernel's privileged instructions. False: it gets #GP. */
static bool privileged(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in)
{
    switch (in->opcode) {
    case 0xfa:      /* cli, sti: no effect, as on the ABI's other implementation */
    case 0xfb:
        return xv(v)->pv.iopl >= 1;
    case 0x0f06:
        xv(v)->pv.cr0_ts = false;
        __asm__ volatile("clts");
        return true;
    case 0x0f08:
    case 0x0f09:
        if (domain_has(v->domain, RIGHT_HARDWARE))
            __asm__ volatile("wbinvd" ::: "memory");
        return true;
    case 0x0f20: return read_cr(v, r, in);
    case 0x0f22: return write_cr(v, r, in);
    case 0x0f21:
    case 0x0f23: return debug_register(v, r, in);
    case 0x0f30: return do_wrmsr(v, r);
    case 0x0f32: return do_rdmsr(v, r);
    case 0x0f01: return group_0f01(v, r, in);
    }
    return false;
}

static bool emulate(struct vcpu *v, struct cpu_user_regs *r, const struct insn *in, bool *done)
{
    bool fault;

    *done = true;
    if (in->lock)
        return false;
    switch (in->opcode) {
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return port_io(v, r, in);
    case 0x6c ... 0x6f:
        if (!io_allowed(v, (u16)r->rdx, in->opcode & 1 ? (in->opsize16 ? 2 : 4) : 1))
            return false;
        *done = string_io(v, r, in, &fault);
        return true;
    }
    return xv(v)->pv.kernel_mode && privileged(v, r, in);
}

void pv_general_protection(struct vcpu *v, struct cpu_user_regs *r)
{
    struct insn in;
    u8 code[INSN_MAX];
    u32 ec = r->error_code;
    bool done;

    if (ec & 2) {
        /* int n that the IDT refused: the instruction itself says which. */
        if (pv_fetch(r->rip, code) >= 2 && code[0] == 0xcd) {
            r->rip += 2;
            r->entry_vector = code[1];
            pv_inject_soft(v, r, code[1]);
            return;
        }
    } else if (ec == 0 && insn_decode(&in, code, pv_fetch(r->rip, code)) &&
               emulate(v, r, &in, &done)) {
        if (done) {
            r->rip += in.len;
            r->rflags &= ~(u64)X86_RF;
        }
        return;
    }
    pv_inject(v, r, TRAP_GP, ec);
}

/* Code as the loaded tables show it, 8 bytes of which the last may be missing. */
static bool is_forced_cpuid(u64 rip)
{
    u64 a;

    if (guest_range_ok(rip, 8)) {
        user_access_begin();
        user_get64(rip, a, slow);
        user_access_end();
        return (a & ~(0xffUL << 56)) == 0xa20f6e65780b0fUL;     /* ud2 "xen" cpuid */
    }
    return false;
slow:
    user_access_end();
    u8 code[INSN_MAX];
    static const u8 pattern[] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
    return pv_fetch(rip, code) >= sizeof(pattern) && !memcmp(code, pattern, sizeof(pattern));
}

bool pv_forced_cpuid(struct vcpu *v, struct cpu_user_regs *r)
{
    struct cpuid_regs c;

    if (!is_forced_cpuid(r->rip))
        return false;
    guest_cpuid(v, (u32)r->rax, (u32)r->rcx, &c);
    r->rax = c.a;
    r->rbx = c.b;
    r->rcx = c.c;
    r->rdx = c.d;
    r->rip += 7;
    return true;
}
