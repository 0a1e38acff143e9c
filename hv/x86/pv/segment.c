/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's descriptor tables, segment bases and debug registers. Frames of a GDT
 * or LDT have type PT_DESC: each descriptor in them has been made harmless, and the
 * guest cannot write them but through update_descriptor.
 */
#include "guest.h"
#include "hypercall.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/pv.h"

#define DESC_P   (1UL << 47)
#define DESC_S   (1UL << 44)    /* code or data, not a gate or a system segment */
#define DESC_DPL (3UL << 45)
#define DESC_A   (1UL << 40)

/* Makes a descriptor harmless (ring 3, accessed); false: it cannot be. */
static bool descriptor_fix(u64 *desc)
{
    if ((*desc & (DESC_P | DESC_S)) == DESC_P)
        return false;           /* gates, TSS, LDT: would lead into ring 0 */
    /* Ring 3 whatever the guest says; accessed, so that the CPU never writes it. */
    if (*desc & DESC_P)
        *desc |= DESC_DPL | DESC_A;
    return true;
}

/* A reference on d's frame, which becomes a descriptor page or gets one more use as one.
 * 0 or -EINVAL. mmu_lock held. */
static int desc_frame_get(struct domain *d, mfn_t mfn)
{
    struct page *pg = mfn_to_page(mfn);

    if (!mfn_valid(mfn) || !get_page(pg, d))
        return -EINVAL;
    u64 old = READ_ONCE(pg->type);
    if ((old & PT_COUNT_MASK) && (old & PT_TYPE_MASK) == PT_DESC) {
        WRITE_ONCE(pg->type, old + 1);
        return 0;
    }
    if (!(old & PT_COUNT_MASK) &&
        cas(&pg->type, &old, PT_DESC | 1)) {
        unsigned i = 0;
        tlb_flush_stale(pg->stamp);
        while (i < 512 && descriptor_fix((u64 *)page_to_virt(pg) + i))
            i++;
        WRITE_ONCE(pg->type, i == 512 ? PT_DESC | PT_VALIDATED | 1 : PT_NONE);
        if (i == 512)
            return 0;
    }
    put_page(pg);
    return -EINVAL;
}

static void desc_frame_put(mfn_t mfn)
{
    struct page *pg = mfn_to_page(mfn);
    u64 t = pg->type - 1;

    WRITE_ONCE(pg->type, t & PT_COUNT_MASK ? t : PT_NONE);
    put_page(pg);
}

/* Gives back those of a vCPU's table that are there. mmu_lock held. */
static void drop_frames(mfn_t *frame, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (frame[i])
            desc_frame_put(frame[i]);
        frame[i] = 0;
    }
}

void pv_drop_ldt(struct x86_vcpu *x)
{
    with_lock (&xd(x->v.domain)->pv.mmu_lock)
        drop_frames(x->pv.ldt_frame, ARRAY_SIZE(x->pv.ldt_frame));
    x->pv.ldt_entries = 0;
    x->pv.ldt_base = 0;
}

void pv_drop_descriptors(struct vcpu *v)
{
    struct pv_vcpu *pv = &xv(v)->pv;

    pv_drop_ldt(xv(v));
    xv(v)->loaded_on = NULL;
    with_lock (&xd(v->domain)->pv.mmu_lock)
        drop_frames(pv->gdt_frame, ARRAY_SIZE(pv->gdt_frame));
    pv->gdt_entries = 0;
}

int pv_set_gdt(struct x86_vcpu *x, const u64 *frames, unsigned entries)
{
    struct pv_vcpu *pv = &x->pv;
    unsigned n = (entries + 511) / 512, i = 0;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    with_lock (&xd(x->v.domain)->pv.mmu_lock) {
        while (i < n && !desc_frame_get(x->v.domain, frames[i]))
            i++;
        if (i < n) {
            while (i--)
                desc_frame_put(frames[i]);
            return -EINVAL;
        }
        drop_frames(pv->gdt_frame, ARRAY_SIZE(pv->gdt_frame));
        memcpy(pv->gdt_frame, frames, n * sizeof(mfn_t));
        pv->gdt_entries = entries;
    }
    if (&x->v == current_vcpu())
        desc_load_gdt(x);
    return 0;
}

/* a: frame list, number of descriptors. */
long do_set_gdt(struct vcpu *v, unsigned long *a)
{
    u64 frames[14];

    if (a[1] > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    if (guest_read(v, frames, a[0], (a[1] + 511) / 512 * 8))
        return -EFAULT;
    return pv_set_gdt(xv(v), frames, (unsigned)a[1]);
}

/* a: machine address of the descriptor, new value. */
long do_update_descriptor(struct vcpu *v, unsigned long *a)
{
    struct domain *d = v->domain;
    mfn_t mfn = a[0] >> PAGE_SHIFT;
    struct page *pg = mfn_to_page(mfn);
    u64 desc = a[1];
    long rc = -EINVAL;

    if ((a[0] & 7) || !mfn_valid(mfn) || !descriptor_fix(&desc) || !get_page(pg, d))
        return -EINVAL;
    with_lock (&xd(d)->pv.mmu_lock) {
        bool in_use = (pg->type & PT_TYPE_MASK) == PT_DESC && (pg->type & PT_COUNT_MASK);
        if (in_use || !get_page_writable(pg)) {
            WRITE_ONCE(*maddr_word(a[0]), desc);
            if (!in_use)
                put_page_writable(pg);
            rc = 0;
        }
    }
    put_page(pg);
    return rc;
}

/* A selector load touched a page of the LDT that is not shown yet. True: retry. */
bool pv_ldt_fault(struct vcpu *v, u64 addr)
{
    struct pv_vcpu *pv = &xv(v)->pv;
    u64 off = addr - LDT_WINDOW(cpu_id()), i = off >> PAGE_SHIFT;

    if (off >= 0x10000 || off >= (u64)pv->ldt_entries * 8 || pv->ldt_frame[i])
        return false;
    with_lock (&xd(v->domain)->pv.mmu_lock) {
        const pte_t *slot = mmu_walk(v, pv->ldt_base + i * PAGE_SIZE);
        pte_t e = slot ? READ_ONCE(*slot) : 0;
        if (!(e & PTE_P) || desc_frame_get(v->domain, pte_mfn(e)))
            return false;
        pv->ldt_frame[i] = pte_mfn(e);
    }
    desc_load_ldt(xv(v));
    return true;
}

/* a: SEGBASE_*, base address or selector. xen-x86_64.h. */
long do_set_segment_base(UNUSED struct vcpu *v, unsigned long *a)
{
    /* The guest's kernel runs: its user's base is the other one. */
    static const u32 msr[] = { [SEGBASE_FS] = MSR_FS_BASE, [SEGBASE_GS_KERNEL] = MSR_GS_BASE,
                               [SEGBASE_GS_USER] = MSR_KERNEL_GS_BASE };

    if (a[0] == SEGBASE_GS_USER_SEL) {
        (void)load_gs_swapped((u16)a[1]);       /* what the CPU refuses becomes null */
        return 0;
    }
    if (a[0] >= ARRAY_SIZE(msr) || !va_canonical(a[1]))
        return -EINVAL;
    wrmsr(msr[index_nospec(a[0], ARRAY_SIZE(msr))], a[1]);
    return 0;
}

/* ---- debug registers ---- */

int pv_set_debugreg(struct vcpu *v, unsigned reg, u64 value)
{
    if (reg > 7 || reg == 4 || reg == 5)
        return -ENODEV;
    if (reg == 6)
        value = (value & 0xe00f) | 0xffff0ff0;
    else if (reg == 7)      /* no GD; reserved bits as the CPU wants them */
        value = (value & 0xffff03ff) | 0x400;
    /* No I/O breakpoints: R/Wn of 2. */
    if (reg == 7 ? (value >> 1) & ~value & 0x11110000 : reg < 4 && !guest_range_ok(value, 8))
        return -EPERM;
    xv(v)->pv.debugreg[reg] = value;
    if (v == current_vcpu()) {
        __asm__ volatile("mov %0, %%db7" :: "r"(0x400UL));     /* off, if that was all */
        pv_load_debugregs(xv(v));
    }
    return 0;
}

void pv_load_debugregs(struct x86_vcpu *x)
{
    const u64 *dr = x->pv.debugreg;

    if (dr[7] & 0xff) {
        __asm__ volatile("mov %0, %%db0" :: "r"(dr[0]));
        __asm__ volatile("mov %0, %%db1" :: "r"(dr[1]));
        __asm__ volatile("mov %0, %%db2" :: "r"(dr[2]));
        __asm__ volatile("mov %0, %%db3" :: "r"(dr[3]));
        __asm__ volatile("mov %0, %%db6" :: "r"(dr[6] | 0xffff0ff0));
        __asm__ volatile("mov %0, %%db7" :: "r"(dr[7]));
    }
}

/* a: register 0..3, 6, 7; value. */
long do_set_debugreg(struct vcpu *v, unsigned long *a)
{
    return a[0] > 7 ? -ENODEV : pv_set_debugreg(v, (unsigned)a[0], a[1]);
}

/* a: register. The value, or -EINVAL. */
long do_get_debugreg(struct vcpu *v, unsigned long *a)
{
    return a[0] > 7 || a[0] == 4 || a[0] == 5 ? -EINVAL :
           (long)xv(v)->pv.debugreg[index_nospec(a[0], 8)];
}
