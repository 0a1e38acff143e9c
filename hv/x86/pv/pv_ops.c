/* SPDX-License-Identifier: MIT */
/*
 * struct guest_ops of PV guests: their memory is reached through the page tables
 * that are loaded, their frame numbers are machine frames, their contexts are
 * struct vcpu_guest_context.
 */
#include "arch.h"
#include "guest.h"
#include "mm.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/machine.h"
#include "x86/pv.h"
#include "x86/uaccess.h"

int pv_copy_raw(void *dst, const void *src, size_t n)
{
    int rc;

    user_access_begin();
    rc = (int)copy_fixup(dst, src, n);
    user_access_end();
    return rc;
}

/* Guest addresses mean those of its kernel: when its user mode is loaded (a record is
 * written in passing), the kernel's tables are taken for the moment. */
static int copy_kernel(struct vcpu *v, void *dst, const void *src, size_t n)
{
    struct x86_vcpu *x = xv(v);
    int rc;

    if (likely(x->pv.kernel_mode))
        return pv_copy_raw(dst, src, n);
    tlb_write_cr3(page_to_mfn(x->pv.cr3) << PAGE_SHIFT);
    rc = pv_copy_raw(dst, src, n);
    tlb_write_cr3(pv_cr3(x));
    return rc;
}

static int pv_copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    u32 word;

    if (!guest_range_ok(src, n))
        return -EFAULT;
    if (n == 4 && likely(xv(v)->pv.kernel_mode)) {      /* ports, domain ids: most of the small ones */
        user_access_begin();
        user_get32(src, word, fault);
        user_access_end();
        *(u32 *)dst = word;
        return 0;
    }
    return copy_kernel(v, dst, (const void *)src, n);
fault:
    user_access_end();
    return -EFAULT;
}

static int pv_copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    if (!guest_range_ok(dst, n))
        return -EFAULT;
    if (n == 8 && likely(xv(v)->pv.kernel_mode)) {      /* results, counts */
        user_access_begin();
        user_put64(dst, *(const u64 *)src, fault);
        user_access_end();
        return 0;
    }
    return copy_kernel(v, (void *)dst, src, n);
fault:
    user_access_end();
    return -EFAULT;
}

static struct page *pv_get_gfn(struct domain *d, u64 gfn, bool write)
{
    struct page *pg = mfn_to_page(gfn);

    if (!mfn_valid(gfn) || !get_page(pg, d))
        return NULL;
    if (write && get_page_writable(pg)) {
        put_page(pg);
        return NULL;
    }
    return pg;
}

static void pv_put_gfn(struct page *pg, bool write)
{
    if (write)
        put_page_writable(pg);
    put_page(pg);
}

static int pv_physmap_add(struct domain *d, u64 gfn, mfn_t mfn, unsigned order)
{
    for (u64 i = 0; i < 1UL << order; i++) {
        struct page *pg = mfn_to_page(mfn + i);
        if (get_page(pg, d)) {      /* another vCPU may have given it up already */
            m2p_set(mfn + i, gfn + i);
            put_page(pg);
        }
    }
    return 0;
}

static void pv_physmap_remove(struct domain *d, u64 gfn, mfn_t mfn, unsigned order)
{
    (void)d;
    (void)gfn;
    for (u64 i = 0; i < 1UL << order; i++)
        m2p_set(mfn + i, INVALID_M2P);
}

static void pv_grant_flush(struct domain *d)
{
    tlb_flush_mask(xd(d)->pv.active);
}

static int check_context(const struct vcpu_guest_context *c)
{
    if (!va_canonical(c->user_regs.rip) || !va_canonical(c->event_callback_eip) ||
        !va_canonical(c->failsafe_callback_eip) || !va_canonical(c->syscall_callback_eip) ||
        !va_canonical(c->fs_base) || !va_canonical(c->gs_base_kernel) ||
        !va_canonical(c->gs_base_user)) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < 256; i++) {
        if (!va_canonical(c->trap_ctxt[i].address))
            return -EINVAL;
    }
    return 0;
}

static void set_registers(struct x86_vcpu *x, const struct vcpu_guest_context *c)
{
    struct cpu_user_regs *r = &x->regs;

    *r = c->user_regs;
    x->pv.iopl = (r->rflags >> 12) & 3;     /* virtual: the real one stays 0 */
    r->rflags = (r->rflags & ~(u64)(X86_IOPL | X86_VM | X86_NT | X86_RF)) | X86_IF | 2;
    r->cs |= 3;
    r->ss |= 3;
    r->entry_vector = 0;
    r->error_code = 0;
    x->pv.kernel_mode = c->flags & VGCF_in_kernel;
    x->pv.kernel_ss = (u16)c->kernel_ss;
    x->pv.kernel_sp = c->kernel_sp;
    x->pv.fs_base = c->fs_base;
    x->pv.gs_base_kernel = c->gs_base_kernel;
    x->pv.gs_base_user = c->gs_base_user;
    x->pv.cr0_ts = c->ctrlreg[0] & CR0_TS;
    x->pv.event = (struct pv_callback){ c->event_callback_eip, true };
    x->pv.failsafe = (struct pv_callback){ c->failsafe_callback_eip,
                                           c->flags & VGCF_failsafe_disables_events };
    x->pv.syscall = (struct pv_callback){ c->syscall_callback_eip,
                                          c->flags & VGCF_syscall_disables_events };
    for (unsigned i = 0; i < 256; i++) {
        x->pv.traps[i] = c->trap_ctxt[i];
        x->pv.traps[i].vector = (u8)i;
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
    int rc = check_context(c);

    if (rc)
        return rc;
    if (!(c->flags & VGCF_in_kernel) && !user)
        return -EINVAL;
    rc = pv_load_cr3(v, xen_cr3_to_pfn(c->ctrlreg[3]), false);
    if (!rc && user)
        rc = pv_load_cr3(v, user, true);
    if (!rc)
        rc = pv_set_gdt(x, c->gdt_frames, (unsigned)MIN(c->gdt_ents, 0xffffUL));
    if (rc)
        return rc;
    pv_drop_ldt(x);
    x->pv.ldt_base = c->ldt_base & PAGE_MASK;
    x->pv.ldt_entries = c->ldt_ents <= 8192 && guest_range_ok(c->ldt_base, c->ldt_ents * 8)
                            ? (u32)c->ldt_ents : 0;
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

    memset(c, 0, sizeof(*c));
    memcpy(&c->fpu_ctxt, x->fpu, sizeof(c->fpu_ctxt));
    c->flags = VGCF_i387_valid | (x->pv.kernel_mode ? VGCF_in_kernel : 0) |
               (v->pause_flags & VPF_DOWN ? 0 : VGCF_online) |
               (x->pv.failsafe.mask ? VGCF_failsafe_disables_events : 0) |
               (x->pv.syscall.mask ? VGCF_syscall_disables_events : 0);
    c->user_regs = x->regs;
    for (unsigned i = 0; i < 256; i++)
        c->trap_ctxt[i] = x->pv.traps[i];
    c->ldt_base = x->pv.ldt_base;
    c->ldt_ents = x->pv.ldt_entries;
    for (unsigned i = 0; i * 512 < x->pv.gdt_entries; i++)
        c->gdt_frames[i] = x->pv.gdt_frame[i];
    c->gdt_ents = x->pv.gdt_entries;
    c->kernel_ss = x->pv.kernel_ss;
    c->kernel_sp = x->pv.kernel_sp;
    c->ctrlreg[0] = 0x80050033 | (x->pv.cr0_ts ? CR0_TS : 0);
    c->ctrlreg[3] = x->pv.cr3 ? xen_pfn_to_cr3(page_to_mfn(x->pv.cr3)) : 0;
    c->ctrlreg[1] = x->pv.user_cr3 ? xen_pfn_to_cr3(page_to_mfn(x->pv.user_cr3)) : 0;
    memcpy(c->debugreg, x->pv.debugreg, sizeof(c->debugreg));
    c->event_callback_eip = x->pv.event.address;
    c->failsafe_callback_eip = x->pv.failsafe.address;
    c->syscall_callback_eip = x->pv.syscall.address;
    c->vm_assist = v->domain->vm_assist;
    c->fs_base = x->pv.fs_base;
    c->gs_base_kernel = x->pv.gs_base_kernel;
    c->gs_base_user = x->pv.gs_base_user;
    c->user_regs.rflags &= ~(u64)X86_IF;
    if (!v->info->evtchn_upcall_mask)
        c->user_regs.rflags |= X86_IF;
}

static void pv_vcpu_reset(struct vcpu *v)
{
    pv_drop_descriptors(xv(v));
}

const struct guest_ops pv_ops = {
    .name = "pv",
    .copy_from = pv_copy_from,
    .copy_to = pv_copy_to,
    .get_gfn = pv_get_gfn,
    .put_gfn = pv_put_gfn,
    .physmap_add = pv_physmap_add,
    .physmap_remove = pv_physmap_remove,
    .grant_map = pv_grant_map,
    .grant_unmap = pv_grant_unmap,
    .grant_begin = mmu_drain,
    .grant_flush = pv_grant_flush,
    .set_context = pv_set_context,
    .get_context = pv_get_context,
    .vcpu_reset = pv_vcpu_reset,
    .relinquish = pv_relinquish,
};

/* hypercall page: entry n at n * 32: mov $n, %eax; syscall, rcx and r11 kept. */
void pv_fill_hypercall_page(void *va)
{
    static const u8 call[] = { 0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05,
                               0x41, 0x5b, 0x59, 0xc3 };
    static const u8 iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05 };
    u8 *p = va;

    memset(p, 0xcc, PAGE_SIZE);
    for (unsigned n = 0; n < PAGE_SIZE / 32; n++, p += 32) {
        if (n == __HYPERVISOR_iret) {
            memcpy(p, iret, sizeof(iret));
        } else {
            memcpy(p, call, sizeof(call));
            p[4] = (u8)n;
        }
    }
}
