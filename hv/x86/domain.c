/* SPDX-License-Identifier: MIT */
/*
 * x86's part of domains and vCPUs: their memory, the switch from one vCPU to
 * another on a CPU, FPU state. The scheduler calls arch_context_switch with
 * interrupts off; everything else is called by the owner of the object.
 */
#include "arch.h"
#include "trace.h"
#include "x86/desc.h"
#include "x86/machine.h"
#include "x86/pv.h"

_Static_assert(sizeof(struct x86_domain) <= PAGE_SIZE && sizeof(struct x86_vcpu) <= PAGE_SIZE,
               "a page each");

int arch_domain_init(struct domain *d)
{
    spin_lock_init(&xd(d)->pv.mmu_lock, LOCK_MMU);
    xd(d)->pv.relinquish_at = PAGE_NONE;
    return pirq_domain_init(d);
}

struct vcpu *arch_vcpu_alloc(struct domain *d, UNUSED unsigned id)
{
    struct x86_vcpu *x = alloc_hv_page();
    if (!x || d->id == DOMID_IDLE)
        return x ? &x->v : NULL;
    x->fpu = alloc_hv_page();
    x->pv.traps = alloc_hv_page();
    if (!x->fpu || !x->pv.traps) {
        arch_vcpu_free(&x->v);
        return NULL;
    }
    *(u16 *)x->fpu = 0x37f;             /* FCW and MXCSR after reset: SDM vol. 1, 13.6 */
    *(u32 *)(x->fpu + 24) = 0x1f80;
    x->pv.kernel_mode = true;
    return &x->v;
}

void arch_vcpu_free(struct vcpu *v)
{
    if (xv(v)->fpu)
        free_hv_page(xv(v)->fpu);
    if (xv(v)->pv.traps)
        free_hv_page(xv(v)->pv.traps);
    free_hv_page(v);
}

/* XSAVE's instructions take the set of states in EDX:EAX, the others do not look at it. */
#define FPU_ASM(insn, x) __asm__(insn " (%0)" :: "r"((x)->fpu), "a"(~0u), "d"(~0u) : "memory")

static void save_state(struct x86_vcpu *x)
{
    u64 gs = rdmsr(MSR_GS_BASE), other = rdmsr(MSR_KERNEL_GS_BASE);
    x->regs = cpu_top()->regs;
    x->regs.ds = READ_SEG(ds);
    x->regs.es = READ_SEG(es);
    x->regs.fs = READ_SEG(fs);
    x->regs.gs = READ_SEG(gs);
    x->pv.fs_base = rdmsr(MSR_FS_BASE);
    x->pv.gs_base_kernel = x->pv.kernel_mode ? gs : other;
    x->pv.gs_base_user = x->pv.kernel_mode ? other : gs;
    __asm__ volatile("clts");
    if (cpu_has.xsave)
        FPU_ASM("xsave64", x);
    else
        FPU_ASM("fxsave64", x);
    if (x->pv.debugreg[7] & 0xff)
        __asm__ volatile("mov %0, %%db7" :: "r"(0x400UL));
}

/* A selector that the new tables refuse becomes null. */
#define LOAD_SEG(x, seg) \
    do { if ((x)->regs.seg | READ_SEG(seg)) load_##seg((x)->regs.seg); } while (0)

static void load_segments(struct x86_vcpu *x)
{
    LOAD_SEG(x, ds);
    LOAD_SEG(x, es);
    LOAD_SEG(x, fs);
    LOAD_SEG(x, gs);
    wrmsr(MSR_FS_BASE, x->pv.fs_base);
    wrmsr(MSR_GS_BASE, x->pv.kernel_mode ? x->pv.gs_base_kernel : x->pv.gs_base_user);
    wrmsr(MSR_KERNEL_GS_BASE, x->pv.kernel_mode ? x->pv.gs_base_user : x->pv.gs_base_kernel);
}

/* The tables of x, NULL: of nobody, take the place of those that are loaded. Who flushes x's
 * entries meanwhile finds it loaded here, or has changed the tables before they are. */
static void load_tables(struct x86_vcpu *x)
{
    struct cpu *c = this_cpu();
    struct domain *old = c->loaded ? c->loaded->domain : NULL, *d = x ? x->v.domain : NULL;
    c->loaded = x ? &x->v : NULL;
    if (x) {
        set_bit(c->id, &xd(d)->pv.active.bits);
        WRITE_ONCE(x->loaded_on, c);
    }
    tlb_write_cr3(x ? pv_cr3(x) : hv_cr3);
    desc_load_gdt(x);
    desc_load_ldt(x);
    if (old && old != d)
        clear_bit(c->id, &xd(old)->pv.active.bits);
}

void tlb_leave_tables(void)
{
    load_tables(NULL);
}

static void load_state(struct x86_vcpu *x)
{
    if (this_cpu()->loaded != &x->v || x->loaded_on != this_cpu())
        load_tables(x);
    cpu_top()->regs = x->regs;
    load_segments(x);
    __asm__ volatile("clts");
    if (cpu_has.xsave)
        FPU_ASM("xrstor64", x);
    else
        FPU_ASM("fxrstor64", x);
    if (x->pv.cr0_ts)
        write_cr0(read_cr0() | CR0_TS);
    pv_load_debugregs(x);
    if (x->pv.nmi_pending)
        softirq_raise(SOFTIRQ_NMI);
    vcpu_time_update(&x->v);
}

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
    trace(TRACE_SWITCH, next->domain->id, next->id);
    if (!prev->is_idle)
        save_state(xv(prev));
    cpu_top()->curr = next;
    if (!next->is_idle)
        load_state(xv(next));
}
