/* SPDX-License-Identifier: MIT */
/*
 * Exceptions. One of a guest goes to the emulator, the page-table writer or back
 * to the guest; one of ours either has a place to go on (.extable) or stops the
 * machine. No lock.
 */
#include "x86/desc.h"
#include "x86/machine.h"
#include "x86/pv.h"
#include "console.h"
#include "trace.h"

struct extable_entry { int32_t at, to; };   /* relative to their own places */
extern const struct extable_entry extable_start[], extable_end[];

static void clear_dr6(void)
{
    __asm__ volatile("mov %0, %%db6" :: "r"(0xffff0ff0UL));
}

void trap_from_hv(struct cpu_user_regs *regs)
{
    for (const struct extable_entry *e = extable_start; e < extable_end; e++) {
        if ((u64)&e->at + (s64)e->at != regs->rip)
            continue;
        /* A selector of the guest's LDT, loaded for it, may want a page that is not shown yet. */
        if (regs->entry_vector != TRAP_PF || !pv_ldt_fault(current_vcpu(), read_cr2()))
            regs->rip = (u64)&e->to + (s64)e->to;
        return;
    }
    fatal_trap(regs);
}

void trap_on_ist(struct cpu_user_regs *regs)
{
    if (regs->entry_vector == TRAP_DB)
        clear_dr6();    /* a guest's breakpoint that hit our entry code: not ours to take */
    else if (regs->entry_vector == TRAP_NMI)
        panic_poll();   /* if not for a panic: no word of it, the log's lock may be held here */
    else
        fatal_trap(regs);
}

static NOINLINE void guest_debug(struct vcpu *v, struct cpu_user_regs *regs)
{
    __asm__ volatile("mov %%db6, %0" : "=r"(xv(v)->pv.debugreg[6]));
    clear_dr6();
    pv_inject(v, regs, TRAP_DB, 0);
}

static NOINLINE void guest_page_fault(struct vcpu *v, struct cpu_user_regs *regs)
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
    u32 vec = regs->entry_vector;

    if (cpu_has.smap)
        clac();         /* the guest's AC flag came along */
    trace(TRACE_EXCEPTION, vec, regs->rip);
    if (vec == TRAP_PF)
        guest_page_fault(v, regs);
    else if (vec == TRAP_GP)
        pv_general_protection(v, regs);
    else if (vec == 0x80 || vec == TRAP_BP || vec == TRAP_OF)
        pv_inject_soft(v, regs, vec);
    else if (vec == TRAP_NM)
        pv_device_not_available(v, regs);
    else if (vec == TRAP_DB)
        guest_debug(v, regs);
    else if (vec == TRAP_UD)
        pv_invalid_opcode(v, regs);
    else
        pv_inject(v, regs, vec, regs->error_code);
}
