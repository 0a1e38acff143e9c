/* SPDX-License-Identifier: MIT */
/*
 * The end: a broken invariant or an exception of our own. Stops the other CPUs and
 * prints the message, registers, a symbolised stack and the last trace records.
 * Owns who is panicking (atomic); takes no lock and breaks the console's.
 */
#include "arch.h"
#include "console.h"
#include "options.h"
#include "symbols.h"
#include "trace.h"
#include "x86/domain.h"
#include "x86/machine.h"

#define REBOOT_SECONDS 5
#define STACK_LINES    24
#define TRACE_LAST     24
#define STARS          "****************************************\n"

bool opt_noreboot;
OPTION_BOOL(opt_noreboot, "noreboot", "after a crash, stand still instead of rebooting");

static struct cpu_top *panic_owner;     /* whose CPU prints; NULL: all is well */

void halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* --- printing --- */

struct symbol_text { char text[80]; };

/* " function+offset", or nothing. */
static struct symbol_text symbol(u64 addr)
{
    struct symbol_text s = { "" };
    u64 offset;
    const char *name = symbol_lookup(addr, &offset);
    if (name)
        snprintf(s.text, sizeof(s.text), " %s+0x%lx", name, offset);
    return s;
}

static void dump_regs(const struct cpu_user_regs *r)
{
    printk(LOG_ERR,
           "rip %04x:%016lx%s\nrsp %04x:%016lx  rflags %08lx\n"
           "rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n"
           "rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n"
           "r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n"
           "r13 %016lx  r14 %016lx  r15 %016lx\n",
           r->cs, r->rip, r->cs & 3 ? "" : symbol(r->rip).text, r->ss, r->rsp, r->rflags, r->rax,
           r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->r8, r->r9, r->r10, r->r11, r->r12,
           r->r13, r->r14, r->r15);
}

/* Does [addr, addr+16) lie in this CPU's stack block? */
static bool on_stack(u64 addr)
{
    u64 top = (u64)(cpu_top() + 1);
    return addr % 8 == 0 && addr >= top - STACK_SIZE && addr <= top - 16;
}

static void print_return(u64 a) { printk(LOG_ERR, "  %016lx%s\n", a, symbol(a).text); }

/* Debug builds keep frame pointers; otherwise whatever looks like a return address. */
static void dump_stack(u64 rsp, u64 rbp)
{
    unsigned lines = 0;
    u64 offset;

    printk(LOG_ERR, "stack at %016lx:\n", rsp);
    u64 last = rsp;
    for (; DEBUG_BUILD && on_stack(rbp) && rbp >= last && lines < STACK_LINES; lines++) {
        print_return(((u64 *)rbp)[1]);
        last = rbp + 8;
        rbp = *(u64 *)rbp;
    }
    if (lines)
        return;
    for (; on_stack(rsp) && lines < STACK_LINES; rsp += 8) {
        u64 word = *(u64 *)rsp;
        if (symbol_lookup(word, &offset) && offset) {
            print_return(word);
            lines++;
        }
    }
}

/* --- stopping --- */

void panic_poll(void)
{
    struct cpu_top *owner = READ_ONCE(panic_owner);
    if (unlikely(owner && owner != cpu_top()))
        halt_forever();
}

static NORETURN void stop_machine(void)
{
    if (opt_noreboot) {
        printk(LOG_ERR, "noreboot: the machine stands still\n");
        halt_forever();
    }
    printk(LOG_ERR, "reboot in %u seconds\n", REBOOT_SECONDS);
    u64 start = rdtsc(), ticks = MAX(cpu_khz(), 1000000ul) * 1000 * REBOOT_SECONDS;
    while (rdtsc() - start < ticks)
        cpu_relax();
    arch_machine_restart();
}

/* Who comes first prints; others stop; who comes again while printing gives up. */
static void panic_begin(void)
{
    __asm__ volatile("cli");
    if (!__sync_bool_compare_and_swap(&panic_owner, NULL, cpu_top())) {
        panic_poll();
        printk(LOG_ERR, "panic while panicking\n");
        stop_machine();
    }
    for (unsigned i = 0; i < nr_cpus; i++) {
        if (cpumask_test(cpus_online, i) && &cpus[i] != this_cpu())
            apic_send_ipi(cpus[i].apic_id, IPI_NMI);
    }
    printk_bust_lock();
    printk(LOG_ERR, STARS "Bulkhead has failed on CPU %u:\n", this_cpu() ? this_cpu()->id : 0);
}

static NORETURN void panic_end(u64 rsp, u64 rbp)
{
    struct vcpu *v = current_vcpu();

    printk(LOG_ERR, "cr0 %08lx  cr2 %016lx  cr3 %016lx  cr4 %08lx\n",
           read_cr0(), read_cr2(), read_cr3(), read_cr4());
    if (v && !v->is_idle)
        printk(LOG_ERR, "current: domain %u vCPU %u\n", v->domain->id, v->id);
    dump_stack(rsp, rbp);
    for (u64 at = 0; (at = trace_dump(TRACE_LAST, at)) != 0;)
        ;
    printk(LOG_ERR, STARS);
    stop_machine();
}

NORETURN void panic(const char *fmt, ...)
{
    char buf[256];
    va_list ap;
    u64 rbp = (u64)__builtin_frame_address(0);

    panic_begin();
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    printk(LOG_ERR, "%s\n", buf);
    panic_end(rbp, rbp);
}

NORETURN void fatal_trap(struct cpu_user_regs *r)
{
    static const char *const names[] = {
        "divide error", "debug", "NMI", "breakpoint", "overflow", "bounds", "invalid opcode",
        "no FPU", "double fault", "", "invalid TSS", "segment not present", "stack fault",
        "general protection", "page fault", "", "FPU error", "alignment", "machine check",
        "SIMD error", "virtualisation", "control protection",
    };
    unsigned vector = r->entry_vector;

    if (!READ_ONCE(panic_owner))
        trace(TRACE_FATAL, vector, r->rip);
    panic_begin();
    printk(LOG_ERR, "exception %u (%s), error code 0x%x\n", vector,
           vector < ARRAY_SIZE(names) ? names[vector] : "?", r->error_code);
    dump_regs(r);
    panic_end(r->rsp, r->rbp);
}

/* --- debug keys --- */

static void dump_this_cpu(UNUSED void *arg)
{
    struct vcpu *v = current_vcpu();
    if (v->is_idle) {
        printk(LOG_INFO, "CPU %u: idle\n", cpu_id());
        return;
    }
    printk(LOG_INFO, "CPU %u: domain %u vCPU %u\n", cpu_id(), v->domain->id, v->id);
    dump_regs(&cpu_top()->regs);
}

u64 dump_cpus(u64 cpu)
{
    arch_call_cpus((cpumask_t){ cpus_online.bits & 1ul << cpu }, dump_this_cpu, NULL);
    return (cpu + 1) % nr_cpus;
}
