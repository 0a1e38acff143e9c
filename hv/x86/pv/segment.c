/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's descriptor tables, segment bases and debug registers. Frames of a GDT
 * or LDT have type PT_DESC: each descriptor in them has been made harmless, and the
 * guest cannot write them but through update_descriptor.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/pv.h"

#define DESC_P   (1UL << 47)
#define DESC_S   (1UL << 44)    /* code or data, not a gate or a system segment */
#define DESC_DPL (3UL << 45)
#define DESC_A   (1UL << 40)

bool pv_descriptor_fix(u64 *desc)
{
    if (!(*desc & DESC_P))
        return true;
    if (!(*desc & DESC_S)) {
        return false;           /* gates, TSS, LDT: would lead into ring 0 */
    }
    /* Ring 3 whatever the guest says; accessed, so that the CPU never writes it. */
    *desc |= DESC_DPL | DESC_A;
    return true;
}

/* The frame becomes a descriptor page of d, or gets one more use as one. The caller
 * holds a reference. mmu_lock held. */
static int desc_page_get(struct page *pg)
{
    u64 old = READ_ONCE(pg->type), *d = page_to_virt(pg);

    if ((old & PT_COUNT_MASK) && (old & PT_TYPE_MASK) == PT_DESC) {
        WRITE_ONCE(pg->type, old + 1);
        return 0;
    }
    if ((old & PT_COUNT_MASK) ||
        !__atomic_compare_exchange_n(&pg->type, &old, PT_DESC | 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED)) {
        return -EINVAL;
    }
    tlb_flush_stale(pg->stamp);
    for (unsigned i = 0; i < 512; i++) {
        if (!pv_descriptor_fix(&d[i])) {
            WRITE_ONCE(pg->type, PT_NONE);
            return -EINVAL;
        }
    }
    WRITE_ONCE(pg->type, PT_DESC | PT_VALIDATED | 1);
    return 0;
}

static void desc_page_put(struct page *pg)
{
    u64 t = pg->type - 1;

    WRITE_ONCE(pg->type, t & PT_COUNT_MASK ? t : PT_NONE);
    put_page(pg);
}

static void drop_gdt(struct x86_vcpu *x)
{
    for (unsigned i = 0; i < ARRAY_SIZE(x->pv.gdt_frame); i++) {
        if (x->pv.gdt_frame[i] != INVALID_MFN) {
            desc_page_put(mfn_to_page(x->pv.gdt_frame[i]));
            x->pv.gdt_frame[i] = INVALID_MFN;
        }
    }
    x->pv.gdt_entries = 0;
}

void pv_drop_ldt(struct x86_vcpu *x)
{
    with_lock (&xd(x->v.domain)->pv.mmu_lock) {
        for (unsigned i = 0; i < ARRAY_SIZE(x->pv.ldt_page); i++) {
            if (x->pv.ldt_page[i]) {
                desc_page_put(x->pv.ldt_page[i]);
                x->pv.ldt_page[i] = NULL;
            }
        }
    }
    x->pv.ldt_entries = 0;
    x->pv.ldt_base = 0;
}

void pv_drop_descriptors(struct x86_vcpu *x)
{
    pv_drop_ldt(x);
    with_lock (&xd(x->v.domain)->pv.mmu_lock) {
        drop_gdt(x);
    }
}

int pv_set_gdt(struct x86_vcpu *x, const u64 *frames, unsigned entries)
{
    struct domain *d = x->v.domain;
    unsigned n = (entries + 511) / 512, i;
    int rc = 0;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    with_lock (&xd(d)->pv.mmu_lock) {
        for (i = 0; i < n; i++) {
            struct page *pg = mfn_to_page(frames[i]);
            if (!mfn_valid(frames[i]) || !get_page(pg, d)) {
                rc = -EINVAL;
                break;
            }
            if (desc_page_get(pg)) {
                put_page(pg);
                rc = -EINVAL;
                break;
            }
        }
        if (rc) {
            while (i--)
                desc_page_put(mfn_to_page(frames[i]));
        } else {
            drop_gdt(x);
            for (i = 0; i < n; i++)
                x->pv.gdt_frame[i] = frames[i];
            x->pv.gdt_entries = entries;
        }
    }
    if (!rc && &x->v == current_vcpu())
        desc_load_gdt(x);
    return rc;
}

/* a: frame list, number of descriptors. */
long do_set_gdt(struct vcpu *v, unsigned long *a)
{
    u64 frames[14];
    u64 n = (a[1] + 511) / 512;

    if (a[1] > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    if (guest_read(v, frames, a[0], n * 8))
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

    if ((a[0] & 7) || !mfn_valid(mfn) || !pv_descriptor_fix(&desc) || !get_page(pg, d))
        return -EINVAL;
    with_lock (&xd(d)->pv.mmu_lock) {
        u64 *slot = (u64 *)((char *)page_to_virt(pg) + (a[0] & ~PAGE_MASK));
        if ((pg->type & PT_TYPE_MASK) == PT_DESC && (pg->type & PT_COUNT_MASK)) {
            WRITE_ONCE(*slot, desc);
            rc = 0;
        } else if (!get_page_writable(pg)) {
            WRITE_ONCE(*slot, desc);
            put_page_writable(pg);
            rc = 0;
        }
    }
    put_page(pg);
    return rc;
}

/* A selector load touched a page of the LDT that is not shown yet. True: retry. */
bool pv_ldt_fault(struct vcpu *v, struct cpu_user_regs *regs, u64 addr)
{
    struct x86_vcpu *x = xv(v);
    u64 off = addr - LDT_WINDOW(cpu_id());
    unsigned i = (unsigned)(off >> PAGE_SHIFT);
    struct page *table, *pg = NULL;
    struct domain *d = v->domain;
    bool ok = false;

    (void)regs;
    if (off >= 0x10000 || off >= (u64)x->pv.ldt_entries * 8 || x->pv.ldt_page[i])
        return false;
    with_lock (&xd(d)->pv.mmu_lock) {
        pte_t *slot = mmu_walk(x->pv.cr3, x->pv.ldt_base + i * PAGE_SIZE, &table);
        pte_t e = slot ? READ_ONCE(*slot) : 0;
        if ((e & PTE_P) && mfn_valid(pte_mfn(e)) && get_page(mfn_to_page(pte_mfn(e)), d)) {
            pg = mfn_to_page(pte_mfn(e));
            if (desc_page_get(pg)) {
                put_page(pg);
            } else {
                x->pv.ldt_page[i] = pg;
                ok = true;
            }
        }
    }
    if (ok)
        desc_load_ldt(x);
    return ok;
}

/* a: SEGBASE_*, base address or selector. xen-x86_64.h. */
long do_set_segment_base(struct vcpu *v, unsigned long *a)
{
    (void)v;
    if (a[0] != SEGBASE_GS_USER_SEL && !va_canonical(a[1]))
        return -EINVAL;
    switch (a[0]) {
    case SEGBASE_FS:
        wrmsr(MSR_FS_BASE, a[1]);
        return 0;
    case SEGBASE_GS_USER:       /* the guest's kernel runs: its user's base is the other one */
        wrmsr(MSR_KERNEL_GS_BASE, a[1]);
        return 0;
    case SEGBASE_GS_KERNEL:
        wrmsr(MSR_GS_BASE, a[1]);
        return 0;
    case SEGBASE_GS_USER_SEL:
        (void)load_gs_swapped((u16)a[1]);       /* what the CPU refuses becomes null */
        return 0;
    }
    return -EINVAL;
}

/* ---- debug registers ---- */

int pv_set_debugreg(struct vcpu *v, unsigned reg, u64 value)
{
    struct pv_vcpu *pv = &xv(v)->pv;

    switch (reg) {
    case 0 ... 3:
        if (!guest_range_ok(value, 8))
            return -EPERM;
        break;
    case 6:
        value = (value & 0xe00f) | 0xffff0ff0;
        break;
    case 7:
        /* Neither I/O breakpoints nor GD; reserved bits as the CPU wants them. */
        value = (value & 0xffff03ff & ~0xdc00UL) | 0x400;
        for (unsigned i = 0; i < 4; i++) {
            if (((value >> (16 + 4 * i)) & 3) == 2)
                return -EPERM;
        }
        break;
    default:
        return -EINVAL;
    }
    pv->debugreg[reg] = value;
    if (v == current_vcpu()) {
        pv_load_debugregs(xv(v));
        if (reg == 7 && !(value & 0xff))
            __asm__ volatile("mov %0, %%db7" :: "r"(0x400UL));
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
    return a[0] > 7 ? -EINVAL : pv_set_debugreg(v, (unsigned)a[0], a[1]);
}

/* a: register. The value, or -EINVAL. */
long do_get_debugreg(struct vcpu *v, unsigned long *a)
{
    if (a[0] > 7 || a[0] == 4 || a[0] == 5)
        return -EINVAL;
    return (long)xv(v)->pv.debugreg[index_nospec(a[0], 8)];
}
