/* SPDX-License-Identifier: MIT */
/*
 * Into the guest kernel and back: trap table, callbacks, bounce frames, iret, and
 * the change between a PV guest's kernel and user halves. Everything here belongs
 * to the current vCPU; no lock.
 *
 * A frame on the kernel's stack, from low addresses: rcx, r11, [ds, es, fs, gs for
 * the failsafe callback], [error code], rip, cs, rflags, rsp, ss. Bit 32 and up of
 * the cs slot hold the saved upcall mask; rflags.IF shows its inverse (xen-x86_64.h).
 */
#include "guest.h"
#include "hypercall.h"
#include "sched.h"
#include "arch.h"
#include "x86/desc.h"
#include "x86/pv.h"
#include "x86/uaccess.h"
#include <xen/callback.h>
#include <xen/nmi.h>

/* Guest kernel <-> guest user. */
static void toggle_mode(struct x86_vcpu *x)
{
    x->pv.kernel_mode = !x->pv.kernel_mode;
    __asm__ volatile("swapgs");
    tlb_write_cr3(pv_cr3(x));
}

/* What a frame is like: MASK_EVENTS is its trap table's own bit. */
enum { FROM_USER = 3, MASK_EVENTS = 4, ERROR_CODE = 8, SEGMENTS = 16 };
#define FRAME_WORDS 11          /* at most */

/* Builds the frame below sp and points the vCPU at `to`. */
static void push_frame(struct vcpu *v, struct cpu_user_regs *r, u64 to, unsigned kind,
                       u32 error_code, u64 sp)
{
    u64 *f = (u64 *)(sp & ~15UL), rflags = r->rflags;
    u8 mask = READ_ONCE(v->info->evtchn_upcall_mask);

    if (!guest_range_ok((u64)(f - FRAME_WORDS), 8UL * FRAME_WORDS))
        goto bad;
    user_access_begin();
    user_put64(&f[-1], r->ss, fault);
    user_put64(&f[-2], r->rsp, fault);
    user_put64(&f[-3], (rflags & ~(u64)(X86_IF | X86_IOPL)) | (mask ? 0 : X86_IF), fault);
    user_put64(&f[-4], (r->cs & ~3u) | (kind & FROM_USER) | (u64)mask << 32, fault);
    user_put64(&f[-5], r->rip, fault);
    f -= 5;
    if (kind & SEGMENTS) {
        user_put64(&f[-1], READ_SEG(gs), fault);
        user_put64(&f[-2], READ_SEG(fs), fault);
        user_put64(&f[-3], READ_SEG(es), fault);
        user_put64(&f[-4], READ_SEG(ds), fault);
        f -= 4;
    } else if (kind & ERROR_CODE) {
        user_put64(--f, error_code, fault);
    }
    user_put64(&f[-1], r->r11, fault);
    user_put64(&f[-2], r->rcx, fault);
    user_access_end();
    if (unlikely(!to)) {
        domain_crash(v->domain, "vCPU %u: no handler for vector %u (rip %lx, error %x)", v->id,
                     r->entry_vector, (unsigned long)r->rip, error_code);
        return;
    }
    if (kind & MASK_EVENTS)
        v->info->evtchn_upcall_mask = 1;
    r->rip = to;
    r->rsp = (u64)(f - 2);
    r->cs = FLAT_KERNEL_CS;
    r->ss = FLAT_KERNEL_SS;
    r->rflags = (rflags & ~(u64)(X86_AC | X86_VM | X86_RF | X86_NT | X86_IOPL | X86_TF)) | X86_IF;
    return;

fault:
    user_access_end();
bad:
    domain_crash(v->domain, "vCPU %u: no frame fits on the kernel stack at %lx (rip %lx)",
                 v->id, (unsigned long)sp, (unsigned long)r->rip);
}

static NOINLINE void bounce_user(struct vcpu *v, struct cpu_user_regs *r, u64 to, unsigned kind,
                                 u32 error_code)
{
    toggle_mode(xv(v));
    push_frame(v, r, to, kind | FROM_USER, error_code, xv(v)->pv.kernel_sp);
}

static inline void bounce(struct vcpu *v, struct cpu_user_regs *r, u64 to, unsigned kind, u32 error_code)
{
    if (xv(v)->pv.kernel_mode)
        push_frame(v, r, to, kind, error_code, r->rsp);
    else
        bounce_user(v, r, to, kind, error_code);
}

void pv_inject(struct vcpu *v, struct cpu_user_regs *r, unsigned vec, u32 error_code)
{
    const struct trap_info *t = &xv(v)->pv.traps[vec & 255];
    bool has_code = vec < 32 && ((1u << vec) & 0x60227d00u);    /* 8, 10-14, 17, 21, 29, 30 */

    bounce(v, r, t->address, (t->flags & MASK_EVENTS) | (has_code ? ERROR_CODE : 0), error_code);
}

void pv_inject_page_fault(struct vcpu *v, struct cpu_user_regs *r, u32 ec, u64 addr)
{
    v->info->arch.cr2 = addr;
    if (xv(v)->pv.kernel_mode)
        ec &= ~4u;              /* the guest's kernel is not its user */
    pv_inject(v, r, TRAP_PF, ec);
}

void pv_inject_soft(struct vcpu *v, struct cpu_user_regs *r, unsigned vec)
{
    const struct trap_info *t = &xv(v)->pv.traps[vec & 255];

    if (TI_GET_DPL(t) < (xv(v)->pv.kernel_mode ? 1 : 3)) {
        r->rip -= vec == TRAP_BP || vec == 4 ? 1 : 2;
        pv_inject(v, r, TRAP_GP, vec * 8 + 2);
        return;
    }
    bounce(v, r, t->address, t->flags & MASK_EVENTS, 0);
}

void pv_set_ts(struct vcpu *v, bool on)
{
    xv(v)->pv.cr0_ts = on;
    if (on)
        write_cr0(read_cr0() | CR0_TS);
    else
        __asm__ volatile("clts");
}

void pv_device_not_available(struct vcpu *v, struct cpu_user_regs *r)
{
    pv_set_ts(v, false);        /* as the ABI has it: cleared when the trap is taken */
    pv_inject(v, r, TRAP_NM, 0);
}

void pv_upcall(struct vcpu *v, struct cpu_user_regs *r)
{
    u64 to = xv(v)->pv.event.address;

    if (to)
        bounce(v, r, to, MASK_EVENTS, 0);
    else
        v->info->evtchn_upcall_mask = 1;    /* nobody to call: until it registers one */
}

static void system_call(struct vcpu *v, struct cpu_user_regs *r, const struct pv_callback *to,
                        bool allowed)
{
    if (allowed && to->address) {
        bounce(v, r, to->address, to->mask * MASK_EVENTS, 0);
    } else {
        r->rip -= 2;
        pv_inject(v, r, TRAP_UD, 0);
    }
}

void pv_syscall_from_user(struct vcpu *v, struct cpu_user_regs *r)
{
    system_call(v, r, &xv(v)->pv.syscall, true);
}

void pv_syscall32(struct vcpu *v, struct cpu_user_regs *r)
{
    system_call(v, r, &xv(v)->pv.syscall32, !xv(v)->pv.kernel_mode);
}

void pv_iret_failed(struct cpu_user_regs *r)
{
    struct vcpu *v = current_vcpu();
    const struct pv_callback *to = &xv(v)->pv.failsafe;

    r->entry_vector = TRAP_GP;
    bounce(v, r, to->address, to->mask * MASK_EVENTS | SEGMENTS, 0);
}

void pv_iret(struct vcpu *v, struct cpu_user_regs *r)
{
    const struct iret_context *p = (const struct iret_context *)r->rsp;
    u64 flags, cs, rflags, ss;

    if (!guest_range_ok(r->rsp, sizeof(*p)))
        goto bad;
    user_access_begin();
    user_get64(&p->rax, r->rax, fault);     /* the old ones of these are nobody's in this call */
    user_get64(&p->r11, r->r11, fault);
    user_get64(&p->rcx, r->rcx, fault);
    user_get64(&p->flags, flags, fault);
    user_get64(&p->rip, r->rip, fault);
    user_get64(&p->cs, cs, fault);
    user_get64(&p->rflags, rflags, fault);
    user_get64(&p->ss, ss, fault);
    user_get64(&p->rsp, r->rsp, fault);
    user_access_end();
    v->info->evtchn_upcall_mask = !(rflags & X86_IF);
    r->rflags = (rflags & ~(u64)(X86_IOPL | X86_VM | X86_NT)) | X86_IF | 2;
    if (unlikely(flags & VGCF_in_syscall)) {    /* the user's registers as sysret leaves them */
        r->r11 = r->rflags;
        r->rcx = r->rip;
    }
    r->cs = (u16)(cs | 3);              /* the guest's kernel runs in ring 3 as well */
    r->ss = (u16)(ss | 3);
    if ((cs & 3) == 3 && likely(xv(v)->pv.user_cr3))
        toggle_mode(xv(v));
    else if ((cs & 3) == 3)
        domain_crash(v->domain, "vCPU %u: iret to user mode without a user page table", v->id);
    return;

fault:
    user_access_end();
bad:
    domain_crash(v->domain, "vCPU %u: iret frame at %lx cannot be read", v->id, (unsigned long)p);
}

/* SOFTIRQ_NMI: the vCPU that runs here may have one to take. */
static void deliver_nmi(void)
{
    struct vcpu *v = current_vcpu();
    struct pv_vcpu *pv = &xv(v)->pv;

    if (v->is_idle || !__atomic_exchange_n(&pv->nmi_pending, false, __ATOMIC_SEQ_CST))
        return;
    if (pv->nmi.address)
        bounce(v, &cpu_top()->regs, pv->nmi.address, MASK_EVENTS, 0);
    else if (pv->traps[TRAP_NMI].address)
        pv_inject(v, &cpu_top()->regs, TRAP_NMI, 0);
}

void pv_init(void)
{
    softirq_register(SOFTIRQ_NMI, deliver_nmi);
}

void vcpu_send_nmi(struct vcpu *v)
{
    __atomic_store_n(&xv(v)->pv.nmi_pending, true, __ATOMIC_SEQ_CST);
    vcpu_unblock(v);
    softirq_raise_on(v->cpu, SOFTIRQ_NMI);
}

/* a: table of struct trap_info, ended by address 0; NULL clears. xen.h. */
long do_set_trap_table(struct vcpu *v, unsigned long *a)
{
    struct trap_info t, *table = xv(v)->pv.traps;

    if (!a[0]) {
        memset(table, 0, 256 * sizeof(t));
        return 0;
    }
    for (unsigned i = 0; i <= 256; i++, a[0] += sizeof(t)) {
        if (arg_read(v, &t, a[0]))
            return -EFAULT;
        if (!t.address || !va_canonical(t.address))
            return t.address ? -EINVAL : 0;
        t.cs |= 3;
        table[t.vector] = t;
    }
    return -EINVAL;
}

static long callback_set(struct vcpu *v, u16 type, u16 flags, u64 address)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    struct pv_callback cb = { address, flags & CALLBACKF_mask_events };

    if (!va_canonical(address))
        return -EINVAL;
    switch (type) {
    case CALLBACKTYPE_event:     pv->event = cb;     return 0;
    case CALLBACKTYPE_failsafe:  pv->failsafe = cb;  return 0;
    case CALLBACKTYPE_syscall:   pv->syscall = cb;   return 0;
    case CALLBACKTYPE_syscall32: pv->syscall32 = cb; return 0;
    case CALLBACKTYPE_nmi:       pv->nmi = cb;       return 0;
    }
    return -ENOSYS;             /* sysenter too: 32-bit programs then use int 0x80 */
}

/* a: event, failsafe, syscall addresses: the older form. */
long do_set_callbacks(struct vcpu *v, unsigned long *a)
{
    return callback_set(v, CALLBACKTYPE_event, 0, a[0]) ?:
           callback_set(v, CALLBACKTYPE_failsafe, 0, a[1]) ?:
           callback_set(v, CALLBACKTYPE_syscall, 0, a[2]);
}

/* a: CALLBACKOP_*, struct callback_register / _unregister. callback.h. */
long do_callback_op(struct vcpu *v, unsigned long *a)
{
    struct callback_register reg;
    struct callback_unregister unreg;

    if (a[0] == CALLBACKOP_register)
        return arg_read(v, &reg, a[1]) ?: callback_set(v, reg.type, reg.flags, reg.address);
    if (a[0] != CALLBACKOP_unregister)
        return -ENOSYS;
    if (arg_read(v, &unreg, a[1]))
        return -EFAULT;
    return unreg.type == CALLBACKTYPE_nmi ? callback_set(v, CALLBACKTYPE_nmi, 0, 0) :
           unreg.type <= CALLBACKTYPE_syscall32 ? -EINVAL : -ENOSYS;
}

/* a: XENNMI_*, argument. nmi.h. */
long do_nmi_op(struct vcpu *v, unsigned long *a)
{
    struct xennmi_callback cb;

    if (a[0] == XENNMI_unregister_callback)
        return callback_set(v, CALLBACKTYPE_nmi, 0, 0);
    if (a[0] != XENNMI_register_callback)
        return -ENOSYS;
    return v->id != 0 ? -EINVAL : arg_read(v, &cb, a[1]) ?:
           callback_set(v, CALLBACKTYPE_nmi, 0, cb.handler_address);
}

/* a: ss, sp of the guest kernel's stack for entries from its user mode. */
// cppcheck-suppress constParameter ; the type of all handlers
long do_stack_switch(struct vcpu *v, unsigned long *a)
{
    xv(v)->pv.kernel_ss = (u16)(a[0] | 3);
    xv(v)->pv.kernel_sp = a[1];
    return 0;
}

/* a: 1 sets TS, 0 clears it. */
long do_fpu_taskswitch(struct vcpu *v, unsigned long *a)
{
    pv_set_ts(v, a[0]);
    return 0;
}

/* iret is no ordinary call: entry.S takes it aside; elsewhere (multicall) it is refused. */
long do_iret(UNUSED struct vcpu *v, UNUSED unsigned long *a)
{
    return -ENOSYS;
}
