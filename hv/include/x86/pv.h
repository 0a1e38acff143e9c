/* SPDX-License-Identifier: MIT */
/*
 * PV guests: what the rest of x86 and the files of x86/pv ask of each other.
 */
#pragma once

#include "x86/domain.h"

/* --- x86/pv/callback.c: into the guest kernel --- */
void pv_init(void);                                 /* once, at start-up */
/* Exception `vec` for the guest kernel, by its trap table; crashes the domain when the
 * kernel's stack cannot take the frame or there is no handler. */
void pv_inject(struct vcpu *v, struct cpu_user_regs *regs, unsigned vec, u32 error_code);
void pv_inject_page_fault(struct vcpu *v, struct cpu_user_regs *regs, u32 ec, u64 addr);
/* int n, int3, into: #GP when the trap table does not let the guest's mode use it. */
void pv_inject_soft(struct vcpu *v, struct cpu_user_regs *regs, unsigned vec);
/* entry.S: events wait, unmasked; hypercall 23; a frame that the CPU refused; system calls
 * of the guest's user mode, also from compatibility mode. */
void pv_upcall(struct vcpu *v, struct cpu_user_regs *regs);
void pv_iret(struct vcpu *v, struct cpu_user_regs *regs);
void pv_iret_failed(struct cpu_user_regs *regs);
void pv_syscall_from_user(struct vcpu *v, struct cpu_user_regs *regs);
void pv_syscall32(struct vcpu *v, struct cpu_user_regs *regs);
void pv_set_ts(struct vcpu *v, bool on);            /* the guest's CR0.TS; v is current */
void pv_device_not_available(struct vcpu *v, struct cpu_user_regs *regs);

/* --- x86/pv/emulate.c --- */
void pv_general_protection(struct vcpu *v, struct cpu_user_regs *regs);
/* Up to INSN_MAX bytes of code at rip in the loaded tables; how many there are. */
unsigned pv_fetch(u64 rip, u8 *buf);
/* Copies between Bulkhead and the loaded tables' addresses, range checked by the caller. */
int pv_copy_raw(void *dst, const void *src, size_t n);
/* #UD, or the forced form of cpuid. */
void pv_invalid_opcode(struct vcpu *v, struct cpu_user_regs *regs);

/* --- x86/pv/ptwrite.c: a guest wrote to one of its page tables directly --- */
bool pv_page_table_write(struct vcpu *v, struct cpu_user_regs *regs, u64 addr);

/* --- x86/pv/segment.c --- */
bool pv_ldt_fault(struct vcpu *v, u64 addr);
void pv_drop_descriptors(struct vcpu *v);           /* GDT and LDT frames back */
void pv_drop_ldt(struct x86_vcpu *x);
int pv_set_gdt(struct x86_vcpu *x, const u64 *frames, unsigned entries);
int pv_set_debugreg(struct vcpu *v, unsigned reg, u64 value);
void pv_load_debugregs(struct x86_vcpu *x);

/* --- x86/pv/tables.c: page-table types. mmu_lock of the tables' domain held --- */
struct mmu {
    struct vcpu *v;         /* whose call this is: its restart slots are used */
    struct domain *d;       /* owner of the tables */
    struct domain *pg_dom;  /* owner of the frames that L1 entries may map */
    int budget;             /* what may still be done before -ERESTART, in entries */
    bool locked, compare;   /* compare, level 1 writes: only while the entry is still `expect` */
    pte_t expect;
};
#define MMU_BUDGET 384      /* and one table more: at most about 80,000 instructions */
#define MMU_TABLE  64       /* what a table costs without its entries */
/* Does some of what earlier calls of v left; there is some. 0 or -ERESTART. */
int mmu_finish(struct vcpu *v, int *budget);
/* Takes mmu_lock; finishes what an earlier, cut-short call of v left. 0 or -ERESTART
 * (then the lock is not held). */
static inline int mmu_begin(struct mmu *m, struct vcpu *v, struct domain *d, struct domain *pg_dom)
{
    *m = (struct mmu){ .v = v, .d = d, .pg_dom = pg_dom, .budget = MMU_BUDGET };
    if (unlikely(xv(v)->pv.nr_deferred) && mmu_finish(v, &m->budget))
        return -ERESTART;
    spin_lock(&xd(d)->pv.mmu_lock);
    m->locked = true;
    return 0;
}
static inline void mmu_end(struct mmu *m)
{
    if (m->locked) {
        m->locked = false;
        spin_unlock(&xd(m->d)->pv.mmu_lock);
    }
}
/* A reference and a validated type reference of level 1..4 on frame mfn. 0, -EINVAL,
 * -ERESTART (v remembers the place). */
int mmu_get_table(struct mmu *m, mfn_t mfn, unsigned level);
/* Puts both; what remains to be done is left to v for its next call. */
void mmu_put_table(struct mmu *m, struct page *pg);
/* One entry of a validated table of level `level`. 0, -EINVAL, -ERESTART; -EAGAIN when
 * m->compare is set and the entry has changed. */
int mmu_write_entry(struct mmu *m, pte_t *slot, unsigned level, pte_t val, bool preserve_ad);
/* L1 entry that maps va in v's kernel's tables; NULL: none, or not a guest's address. */
pte_t *mmu_walk(struct vcpu *v, u64 va);
int mmu_pin(struct mmu *m, mfn_t mfn, unsigned level);
int mmu_unpin(struct mmu *m, mfn_t mfn);
unsigned pt_entries_held(u64 type);     /* its first ones, that hold references */
/* Ends what earlier calls of v left, without the lock: 0, or -ERESTART when time is up. */
int mmu_drain(struct vcpu *v);
int pv_relinquish(struct domain *d);

/* --- x86/pv/mmu.c --- */
/* The end of mmu_update and mmuext_op: `done` requests more are done, `left` are left. The
 * guest is told how many in all; that number travels in the unused half of the count. */
long pv_batch_end(struct vcpu *v, unsigned long *a, u32 done, u32 left, long rc);

/* --- x86/pv/mmuext.c --- */
/* The CPUs on which the vCPUs of the guest's bitmap at addr run. 0 or -EFAULT. */
int pv_read_vcpu_cpus(struct vcpu *v, u64 addr, cpumask_t *cpus);
int pv_load_cr3(struct vcpu *v, mfn_t mfn, bool user);  /* set_context; v does not run */
void pv_fill_hypercall_page(void *va);

/* --- x86/pv/grant_map.c --- */
int pv_grant_map(struct vcpu *v, u64 addr, struct domain *owner, mfn_t mfn, u32 flags);
int pv_grant_unmap(struct vcpu *v, u64 addr, mfn_t mfn, u64 new_addr, u32 flags);

/* --- x86/tlb.c --- */

static inline u64 pv_cr3(const struct x86_vcpu *x)
{
    return page_to_mfn(x->pv.kernel_mode ? x->pv.cr3 : x->pv.user_cr3) << PAGE_SHIFT;
}
/* 1..4, 0: not a page table */
static inline unsigned pt_level(u64 type)
{
    unsigned l = (unsigned)((type & PT_TYPE_MASK) >> 60);
    return l <= 4 ? l : 0;
}
/* Is pg a frame of m->d? */
static inline bool mmu_owner(const struct mmu *m, const struct page *pg)
{
    return pg->owner == m->d->id;
}
static inline bool slot_is_hv(unsigned level, unsigned i)
{
    return level == 4 && i >= HV_SLOT_FIRST && i <= HV_SLOT_LAST;
}
/* Is it enough to look at where a copy, which goes upwards, begins? If that is not in
 * Bulkhead's slots it meets them never: before them it faults, in what is not canonical. */
static inline bool guest_start_ok(u64 addr)
{
    _Static_assert(HYPERVISOR_VIRT_END - HYPERVISOR_VIRT_START == 1UL << 43, "aligned to its size");
    return addr >> 43 != HYPERVISOR_VIRT_START >> 43;
}
/* The aligned word of 8 bytes at a machine address. */
static inline u64 *maddr_word(u64 maddr)
{
    return (u64 *)((char *)mfn_to_virt(maddr >> PAGE_SHIFT) + (maddr & ~PAGE_MASK & ~7UL));
}
/* The entry at machine address maddr, of a validated L1 table of m->d; NULL: it is not. */
static inline pte_t *mmu_slot(const struct mmu *m, u64 maddr)
{
    const struct page *pg = mfn_to_page(maddr >> PAGE_SHIFT);

    return mfn_valid(maddr >> PAGE_SHIFT) && mmu_owner(m, pg) && pt_level(pg->type) == 1 &&
           (pg->type & PT_VALIDATED) ? maddr_word(maddr) : NULL;
}
/* Can [addr, addr+n) be a guest's own? Canonical and not Bulkhead's slots: one range, which
 * begins behind those and goes on through address 0 to the end of the lower half. */
static inline bool guest_range_ok(u64 addr, u64 n)
{
    const u64 size = 0x0000800000000000UL - HYPERVISOR_VIRT_END;
    return n <= size && addr - HYPERVISOR_VIRT_END <= size - n;
}
