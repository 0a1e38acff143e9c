/* SPDX-License-Identifier: MIT */
/*
 * x86's part of domains and vCPUs, around the structures that core knows.
 */
#pragma once

#include "domain.h"
#include "x86/page.h"

struct pv_domain {
    spinlock_t mmu_lock;            /* LOCK_MMU: the domain's page tables, their types */
    cpumask_t active;               /* CPUs that may hold TLB entries of this domain (atomic) */
    u32 relinquish_at;              /* teardown: where the search for pinned tables goes on */
};

/* A callback address and whether it masks events on entry. */
struct pv_callback { u64 address; bool mask; };

struct pv_vcpu {
    struct trap_info *traps;        /* 256, a page */
    struct pv_callback event, failsafe, syscall, syscall32, nmi;
    u64 kernel_sp; u16 kernel_ss;
    bool kernel_mode;               /* guest kernel (true) or guest user */
    struct page *cr3, *user_cr3;    /* top-level tables, typed PT_L4; user may be NULL */
    u64 fs_base, gs_base_user, gs_base_kernel;  /* saved while not running */
    mfn_t gdt_frame[14]; u32 gdt_entries;   /* typed PT_DESC; 0: none */
    u64 ldt_base; u32 ldt_entries;          /* guest virtual; frames mapped on demand */
    mfn_t ldt_frame[16];            /* typed PT_DESC; 0: none */
    u64 debugreg[8];
    u8 iopl;
    u64 cr4_guest;
    bool cr0_ts;                    /* guest's virtual CR0.TS */
    struct page *partial;           /* restart: page whose validation this vCPU continues */
    struct page *deferred[6];       /* restart: pages whose last type reference is being put */
    u32 nr_deferred;
    bool nmi_pending;               /* atomic; delivered by SOFTIRQ_NMI */
    u64 iobmp; u32 iobmp_limit;     /* PHYSDEVOP_set_iobitmap: guest address, ports */
};

struct x86_vcpu {
    struct vcpu v;                  /* first */
    struct cpu_user_regs regs;      /* while not running; running: cpu_top()->regs */
    struct cpu *loaded_on;          /* that CPU's `loaded` tables are as this vCPU left them; or NULL */
    u8 *fpu;                        /* XSAVE/FXSAVE area, 64-byte aligned, own page(s) */
    struct vcpu_info *time_info;    /* x86/time.c: where and for which base the time record */
    u64 time_base, time_guest;      /* was last written */
    u32 time_version;
    struct pv_vcpu pv;
};

struct x86_domain {
    struct domain d;                /* first */
    struct pv_domain pv;
    u32 cf8;                        /* PCI configuration address latch */
    u8 cmos_index;
    struct page *eoi_map_page;      /* PHYSDEVOP_pirq_eoi_gmfn */
};

static inline struct x86_vcpu *xv(struct vcpu *v) { return (struct x86_vcpu *)v; }
static inline struct x86_domain *xd(struct domain *d) { return (struct x86_domain *)d; }
extern const struct guest_ops pv_ops;

/* x86/pv/emulate.c hands I/O over to x86/ioport.c: size 1, 2, 4; checked there
 * against the domain's permissions; what is denied reads all ones and is dropped. */
u32 guest_port_io(struct vcpu *v, u16 port, unsigned size, bool out, u32 value);
#define guest_port_in(v, port, size) guest_port_io(v, port, size, false, 0)
#define guest_port_out(v, port, size, value) guest_port_io(v, port, size, true, value)

/* The hardware domain gets all ports, device frames and interrupts that are not
 * Bulkhead's: fills d->ioports, iomem, irq_caps. 0 or -ENOMEM. */
int dom0_grant_hardware(struct domain *d);
/* May d map this frame that is not RAM (a page-table entry with no struct page)? */
bool guest_iomem_permitted(struct domain *d, mfn_t mfn);

/* x86/policy.c: CPUID and MSR policy of a domain. */
struct cpuid_regs { u32 a, b, c, d; };
void guest_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *r);
/* 0, or -EPERM: the guest gets #GP. */
int guest_rdmsr(struct vcpu *v, u32 msr, u64 *value);
int guest_wrmsr(struct vcpu *v, u32 msr, u64 value);

/* x86/pirq.c */
int pirq_domain_init(struct domain *d);         /* 0, -ENOMEM */
