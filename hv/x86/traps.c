/* SPDX-License-Identifier: MIT */
/*
 * Exceptions. One of a guest goes to the emulator, the page-table writer or back
 * to the guest; one of ours either has a place to go on (.extable) or stops the
 * machine. No lock.
 */
#include "arch.h"
#include "lib.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/domain.h"
#include "x86/machine.h"
#include "x86/pv.h"
#include "console.h"
#include "trace.h"

struct extable_entry { int32_t at, to; };   /* relative to their own places */
extern const struct extable_entry extable_start[], extable_end[];

u64 extable_lookup(u64 rip)
{
    for (const struct extable_entry *e = extable_start; e < extable_end; e++) {
        if ((u64)&e->at + (s64)e->at == rip)
            return (u64)&e->to + (s64)e->to;
    }
    return 0;
}

void trap_from_hv(struct cpu_user_regs *regs)
{
    u64 to = extable_lookup(regs->rip);

    /* A selector of the guest's LDT, loaded for it, may want a page that is not shown yet. */
    if (to && regs->entry_vector == TRAP_PF && pv_ldt_fault(current_vcpu(), read_cr2()))
        return;
    if (!to)
        fatal_trap(regs);
    regs->rip = to;
}

void trap_on_ist(struct cpu_user_regs *regs)
{
    switch (regs->entry_vector) {
    case TRAP_DB:       /* a guest's breakpoint that hit our entry code: not ours to take */
        __asm__ volatile("mov %0, %%db6" :: "r"(0xffff0ff0UL));
        return;
    case TRAP_NMI:
        if (panic_nmi(regs))
            return;
        return;         /* somebody else's; no word of it: the log's lock may be held here */
    default:
        fatal_trap(regs);
    }
}

static void guest_debug(struct vcpu *v, struct cpu_user_regs *regs)
{
    u64 dr6;
    __asm__ volatile("mov %%db6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%db6" :: "r"(0xffff0ff0UL));
    xv(v)->pv.debugreg[6] = dr6;
    pv_inject(v, regs, TRAP_DB, 0);
}

static void guest_page_fault(struct vcpu *v, struct cpu_user_regs *regs)
{
    u64 addr = read_cr2();
    u32 ec = regs->error_code;

    if (addr >= HYPERVISOR_VIRT_START && addr < HYPERVISOR_VIRT_END) {
        if (pv_ldt_fault(v, addr))
            return;
    } else if ((ec & 0xb) == 3 && (ec & 0x10) == 0 && xv(v)->pv.kernel_mode &&
               pv_page_table_write(v, regs, addr)) {
        return;
    }
    pv_inject_page_fault(v, regs, ec, addr);
}

void trap_from_guest(struct cpu_user_regs *regs)
{
    struct vcpu *v = current_vcpu();

    if (cpu_has.smap) {
        clac();         /* the guest's AC flag came along */
    }
    trace(TRACE_EXCEPTION, regs->entry_vector, regs->rip);
    switch (regs->entry_vector) {
    case TRAP_PF:
        guest_page_fault(v, regs);
        break;
    case TRAP_GP:
        pv_general_protection(v, regs);
        break;
    case TRAP_UD:
        if (!pv_forced_cpuid(v, regs))
            pv_inject(v, regs, TRAP_UD, 0);
        break;
    case TRAP_NM:
        pv_device_not_available(v, regs);
        break;
    case TRAP_DB:
        guest_debug(v, regs);
        break;
    case TRAP_BP:
    case 4:
    case 0x80:
        pv_inject_soft(v, regs, regs->entry_vector);
        break;
    case TRAP_NMI:
    case TRAP_DF:
    case TRAP_MC:
        fatal_trap(regs);
    default:
        pv_inject(v, regs, regs->entry_vector, regs->error_code);
    }
}
