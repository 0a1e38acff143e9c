/* SPDX-License-Identifier: MIT */
/*
 * struct guest_ops of PV guests: their memory is reached through the page tables
 * that are loaded, their frame numbers are machine frames, their contexts are
 * struct vcpu_guest_context.
 */
#include "x86/desc.h"
#include "x86/pv.h"
#include "x86/uaccess.h"

int pv_copy_raw(void *dst, const void *src, size_t n)
{
    user_access_begin();
    int rc = user_copy(dst, src, n);
    user_access_end();
    return rc;
}

/* Guest addresses mean those of its kernel: when its user mode is loaded (a record is
 * written in passing), the kernel's tables are taken for the moment. */
static int copy_switched(struct vcpu *v, void *dst, const void *src, size_t n)
{
    if (xv(v)->pv.kernel_mode)
        return pv_copy_raw(dst, src, n);
    tlb_write_cr3(page_to_mfn(xv(v)->pv.cr3) << PAGE_SHIFT);
    int rc = pv_copy_raw(dst, src, n);
    tlb_write_cr3(pv_cr3(xv(v)));
    return rc;
}

/* Nothing has to be switched for a copy. */
static bool at_hand(struct vcpu *v)
{
    return likely(xv(v)->pv.kernel_mode) && likely(!cpu_has.smap);
}

static int pv_copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    if (!guest_start_ok(src))
        return -EFAULT;
    if (!at_hand(v))
        return copy_switched(v, dst, (const void *)src, n);
    if (n == 4)                 /* ports: the most frequent */
        user_get32(src, *(u32 *)dst, fault);
    else if (n == 8)
        user_get64(src, *(u64 *)dst, fault);
    else
        return user_copy(dst, (const void *)src, n);
    return 0;
fault:
    return -EFAULT;
}

static int pv_copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    if (!guest_start_ok(dst))
        return -EFAULT;
    if (!at_hand(v))
        return copy_switched(v, (void *)dst, src, n);
    if (n != 8)
        return user_copy((void *)dst, src, n);
    user_put64(dst, *(const u64 *)src, fault);  /* results: the most frequent */
    return 0;
fault:
    return -EFAULT;
}

static int pv_physmap_add(UNUSED struct domain *d, u64 gfn, mfn_t mfn, unsigned order)
{
    for (u64 i = 0; i < 1UL << order; i++)
        m2p_set(mfn + i, gfn + i);
    return 0;
}

static void pv_physmap_remove(UNUSED struct domain *d, UNUSED u64 gfn, mfn_t mfn, unsigned order)
{
    for (u64 i = 0; i < 1UL << order; i++)
        m2p_set(mfn + i, INVALID_M2P);
}

static void pv_grant_flush(struct domain *d)
{
    tlb_flush_mask(xd(d)->pv.active);
}

static int check_context(const struct vcpu_guest_context *c)
{
    bool ok = va_canonical(c->user_regs.rip) && va_canonical(c->event_callback_eip) &&
              va_canonical(c->failsafe_callback_eip) && va_canonical(c->syscall_callback_eip) &&
              va_canonical(c->fs_base) && va_canonical(c->gs_base_kernel) &&
              va_canonical(c->gs_base_user) &&
              ((c->flags & VGCF_in_kernel) || xen_cr3_to_pfn(c->ctrlreg[1]));

    for (unsigned i = 0; i < 256; i++)
        ok = ok && va_canonical(c->trap_ctxt[i].address);
    return ok ? 0 : -EINVAL;
}

static void set_registers(struct x86_vcpu *x, const struct vcpu_guest_context *c)
{
    struct cpu_user_regs *r = &x->regs;
    struct pv_vcpu *pv = &x->pv;

    *r = c->user_regs;
    pv->iopl = (r->rflags >> 12) & 3;       /* virtual: the real one stays 0 */
    r->rflags = (r->rflags & ~(u64)(X86_IOPL | X86_VM | X86_NT | X86_RF)) | X86_IF | 2;
    r->cs |= 3;
    r->ss |= 3;
    r->entry_vector = 0;
    r->error_code = 0;
    pv->kernel_mode = c->flags & VGCF_in_kernel;
    pv->kernel_ss = (u16)c->kernel_ss;
    pv->kernel_sp = c->kernel_sp;
    pv->fs_base = c->fs_base;
    pv->gs_base_kernel = c->gs_base_kernel;
    pv->gs_base_user = c->gs_base_user;
    pv->cr0_ts = c->ctrlreg[0] & CR0_TS;
    pv->event = (struct pv_callback){ c->event_callback_eip, true };
    pv->failsafe = (struct pv_callback){ c->failsafe_callback_eip,
                                         c->flags & VGCF_failsafe_disables_events };
    pv->syscall = (struct pv_callback){ c->syscall_callback_eip,
                                        c->flags & VGCF_syscall_disables_events };
    for (unsigned i = 0; i < 256; i++) {
        pv->traps[i] = c->trap_ctxt[i];
        pv->traps[i].vector = (u8)i;
    }
    if (c->flags & VGCF_i387_valid) {
        memcpy(x->fpu, &c->fpu_ctxt, sizeof(c->fpu_ctxt));
        *(u32 *)(x->fpu + 24) &= 0xffff;                /* MXCSR: reserved bits fault */
        memset(x->fpu + 512, 0, 64);
        *(u64 *)(x->fpu + 512) = cpu_has.xsave ? 3 : 0; /* XSTATE_BV: x87, SSE */
    }
}

/* v does not run. Restartable: page tables, then the GDT, then the rest. */
static int pv_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct x86_vcpu *x = xv(v);
    mfn_t user = xen_cr3_to_pfn(c->ctrlreg[1]);
    int rc = check_context(c) ?: pv_load_cr3(v, xen_cr3_to_pfn(c->ctrlreg[3]), false) ?:
             (user ? pv_load_cr3(v, user, true) : 0) ?:
             pv_set_gdt(x, c->gdt_frames, (unsigned)MIN(c->gdt_ents, 0xffffUL));

    if (rc)
        return rc;
    pv_drop_ldt(x);
    x->pv.ldt_base = c->ldt_base & PAGE_MASK;
    if (c->ldt_ents <= 8192 && guest_range_ok(c->ldt_base, c->ldt_ents * 8))
        x->pv.ldt_entries = (u32)c->ldt_ents;
    set_registers(x, c);
    for (unsigned i = 0; i < 8; i++)
        (void)pv_set_debugreg(v, i, c->debugreg[i]);
    if (v->id == 0 && !v->initialised)
        v->domain->vm_assist |= (u32)c->vm_assist;
    return 0;
}

static void pv_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
    struct x86_vcpu *x = xv(v);
    const struct pv_vcpu *pv = &x->pv;

    memset(c, 0, sizeof(*c));
    memcpy(&c->fpu_ctxt, x->fpu, sizeof(c->fpu_ctxt));
    c->flags = VGCF_i387_valid | (pv->kernel_mode ? VGCF_in_kernel : 0) |
               ((v->pause_flags & VPF_DOWN) ? 0 : VGCF_online) |
               (pv->failsafe.mask ? VGCF_failsafe_disables_events : 0) |
               (pv->syscall.mask ? VGCF_syscall_disables_events : 0);
    c->user_regs = x->regs;
    c->user_regs.rflags = (x->regs.rflags & ~(u64)X86_IF) |
                          (v->info->evtchn_upcall_mask ? 0 : X86_IF);
    memcpy(c->trap_ctxt, pv->traps, sizeof(c->trap_ctxt));
    c->ldt_base = pv->ldt_base;
    c->ldt_ents = pv->ldt_entries;
    memcpy(c->gdt_frames, pv->gdt_frame, sizeof(pv->gdt_frame));
    c->gdt_ents = pv->gdt_entries;
    c->kernel_ss = pv->kernel_ss;
    c->kernel_sp = pv->kernel_sp;
    c->ctrlreg[0] = 0x80050033 | (pv->cr0_ts ? CR0_TS : 0);
    c->ctrlreg[3] = pv->cr3 ? xen_pfn_to_cr3(page_to_mfn(pv->cr3)) : 0;
    c->ctrlreg[1] = pv->user_cr3 ? xen_pfn_to_cr3(page_to_mfn(pv->user_cr3)) : 0;
    memcpy(c->debugreg, pv->debugreg, sizeof(c->debugreg));
    c->event_callback_eip = pv->event.address;
    c->failsafe_callback_eip = pv->failsafe.address;
    c->syscall_callback_eip = pv->syscall.address;
    c->vm_assist = v->domain->vm_assist;
    c->fs_base = pv->fs_base;
    c->gs_base_kernel = pv->gs_base_kernel;
    c->gs_base_user = pv->gs_base_user;
}

const struct guest_ops pv_ops = {
    .name = "pv", .copy_from = pv_copy_from, .copy_to = pv_copy_to,
    .get_gfn = get_frame, .put_gfn = put_frame,
    .physmap_add = pv_physmap_add, .physmap_remove = pv_physmap_remove,
    .grant_map = pv_grant_map, .grant_unmap = pv_grant_unmap, .grant_begin = mmu_drain,
    .grant_flush = pv_grant_flush, .set_context = pv_set_context, .get_context = pv_get_context,
    .vcpu_reset = pv_drop_descriptors, .relinquish = pv_relinquish,
};

/* hypercall page: entry n at n * 32: mov $n, %eax; syscall, rcx and r11 kept. */
void pv_fill_hypercall_page(void *va)
{
    static const u8 call[] = { 0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05,
                               0x41, 0x5b, 0x59, 0xc3 };
    static const u8 iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05 };
    u8 (*entry)[32] = va;

    memset(va, 0xcc, PAGE_SIZE);
    for (unsigned n = 0; n < PAGE_SIZE / 32; n++) {
        memcpy(entry[n], call, sizeof(call));
        entry[n][4] = (u8)n;
    }
    memset(entry[__HYPERVISOR_iret], 0xcc, 32);
    memcpy(entry[__HYPERVISOR_iret], iret, sizeof(iret));
}
