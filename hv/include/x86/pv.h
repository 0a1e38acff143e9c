/* SPDX-License-Identifier: MIT */
/*
 * PV guests: what the rest of x86 and the files of x86/pv ask of each other.
 */
#ifndef BH_X86_PV_H
#define BH_X86_PV_H

#include "x86/domain.h"

/* --- x86/pv/callback.c: into the guest kernel --- */
void pv_init(void);                                 /* once, at start-up */
/* Exception `vec` for the guest kernel, by its trap table; crashes the domain when the
 * kernel's stack cannot take the frame or there is no handler. */
void pv_inject(struct vcpu *v, struct cpu_user_regs *regs, unsigned vec, u32 error_code);
void pv_inject_page_fault(struct vcpu *v, struct cpu_user_regs *regs, u32 ec, u64 addr);
/* int n, int3, into: #GP when the trap table does not let the guest's mode use it. */
void pv_inject_soft(struct vcpu *v, struct cpu_user_regs *regs, unsigned vec);
void pv_upcall(struct vcpu *v);                     /* entry.S: events wait, unmasked */
void pv_iret(struct vcpu *v);                       /* entry.S: hypercall 23 */
void pv_iret_failed(struct cpu_user_regs *regs);    /* entry.S: frame refused by the CPU */
void pv_syscall_from_user(struct vcpu *v);          /* entry.S */
void pv_syscall32(struct vcpu *v);                  /* entry.S: from compatibility mode */
void pv_toggle_mode(struct x86_vcpu *x);            /* guest kernel <-> guest user */
void pv_device_not_available(struct vcpu *v, struct cpu_user_regs *regs);

/* --- x86/pv/emulate.c --- */
void pv_general_protection(struct vcpu *v, struct cpu_user_regs *regs);
/* Up to INSN_MAX bytes of code at rip in the loaded tables; how many there are. */
unsigned pv_fetch(u64 rip, u8 *buf);
/* Copies between Bulkhead and the loaded tables' addresses, range checked by the caller. */
int pv_copy_raw(void *dst, const void *src, size_t n);
bool pv_forced_cpuid(struct vcpu *v, struct cpu_user_regs *regs);   /* ud2 "xen" cpuid */

/* --- x86/pv/ptwrite.c: a guest wrote to one of its page tables directly --- */
bool pv_page_table_write(struct vcpu *v, struct cpu_user_regs *regs, u64 addr);

/* --- x86/pv/segment.c --- */
bool pv_ldt_fault(struct vcpu *v, struct cpu_user_regs *regs, u64 addr);
void pv_drop_descriptors(struct x86_vcpu *x);       /* GDT and LDT frames back */
void pv_drop_ldt(struct x86_vcpu *x);
int pv_set_gdt(struct x86_vcpu *x, const u64 *frames, unsigned entries);
/* Makes a descriptor harmless (ring 3, accessed); false: it cannot be. */
bool pv_descriptor_fix(u64 *desc);
int pv_set_debugreg(struct vcpu *v, unsigned reg, u64 value);
void pv_load_debugregs(struct x86_vcpu *x);

/* --- x86/pv/tables.c: page-table types. mmu_lock of the tables' domain held --- */
struct mmu {
    struct vcpu *v;         /* whose call this is: its restart slots are used */
    struct domain *d;       /* owner of the tables */
    struct domain *pg_dom;  /* owner of the frames that L1 entries may map */
    int budget;             /* tables that may still be walked before -ERESTART */
    bool locked;
    bool compare;           /* level 1 writes: only while the entry is still `expect` */
    pte_t expect;
};
#define MMU_BUDGET 4
/* Takes mmu_lock; finishes what an earlier, cut-short call of v left. 0 or -ERESTART
 * (then the lock is not held). */
int mmu_begin(struct mmu *m, struct vcpu *v, struct domain *d, struct domain *pg_dom);
void mmu_end(struct mmu *m);
/* A reference and a validated type reference of level 1..4 on frame mfn. -EINVAL,
 * -ERESTART (v remembers the place). */
int mmu_get_table(struct mmu *m, mfn_t mfn, unsigned level, struct page **out);
/* Puts both; what remains to be done is left to v for its next call. */
void mmu_put_table(struct mmu *m, struct page *pg);
/* One entry of a validated table of level `level`. 0, -EINVAL, -ERESTART; -EAGAIN when
 * m->compare is set and the entry has changed. */
int mmu_write_entry(struct mmu *m, struct page *table, pte_t *slot, unsigned level, pte_t val,
                    bool preserve_ad);
/* L1 entry that maps va in the top-level table `l4`; NULL: none. */
pte_t *mmu_walk(struct page *l4, u64 va, struct page **table);
int mmu_pin(struct mmu *m, mfn_t mfn, unsigned level);
int mmu_unpin(struct mmu *m, mfn_t mfn);
unsigned pt_level(u64 type);            /* 1..4, 0: not a page table */
/* Is pg a frame of m->d? */
bool mmu_owner(const struct mmu *m, const struct page *pg);
/* Ends what earlier calls of v left, without the lock: 0, or -ERESTART when time is up. */
int mmu_drain(struct vcpu *v);
/* v's cut-short work; 0 or -ERESTART. */
int mmu_finish(struct mmu *m);
int pv_relinquish(struct domain *d);

/* --- x86/pv/mmuext.c --- */
/* CPUs where vCPUs first, first+1, ... of d run, for the bits of the word. */
cpumask_t pv_vcpu_cpus(struct domain *d, u64 vcpus, unsigned first);
int pv_load_cr3(struct vcpu *v, mfn_t mfn, bool user);  /* set_context; v does not run */
void pv_fill_hypercall_page(void *va);

/* --- x86/pv/grant_map.c --- */
int pv_grant_map(struct vcpu *v, u64 addr, mfn_t mfn, u32 flags);
int pv_grant_unmap(struct vcpu *v, u64 addr, mfn_t mfn, u64 new_addr, u32 flags);

/* --- x86/tlb.c --- */
void tlb_write_cr3(u64 cr3);            /* stamps this CPU's flush and loads CR3 */

static inline u64 pv_cr3(const struct x86_vcpu *x)
{
    struct page *pg = x->pv.kernel_mode ? x->pv.cr3 : x->pv.user_cr3;
    return page_to_mfn(pg) << PAGE_SHIFT;
}
/* Can [addr, addr+n) be a guest's own? Not Bulkhead's slots, canonical, no wrap. */
static inline bool guest_range_ok(u64 addr, u64 n)
{
    u64 end;
    return !__builtin_add_overflow(addr, n, &end) &&
           (addr >= HYPERVISOR_VIRT_END || end <= 0x0000800000000000UL);
}

#endif
