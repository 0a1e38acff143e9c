/* SPDX-License-Identifier: MIT */
/*
 * GDT, IDT, TSS and the syscall registers of each CPU.
 *
 * A CPU's GDT is a window of 16 pages at a fixed address: pages 0..13 show the
 * descriptor frames of the PV vCPU that runs there, page 14 holds Bulkhead's own
 * descriptors and the ABI's flat ring-3 ones. A second window shows the LDT. Only
 * the owning CPU changes its windows, so no lock is needed.
 */
#include "mm.h"
#include "x86/asm.h"
#include "x86/desc.h"
#include "x86/domain.h"
#include "x86/layout.h"
#include "x86/machine.h"

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, iomap_base;
} PACKED ALIGNED(128);

struct gate { u16 off_low, sel; u8 ist, attr; u16 off_mid; u32 off_high, reserved; };

struct desc_ptr { u16 limit; u64 base; } PACKED;

static struct gate idt[256] ALIGNED(16);
static struct tss tss[NR_CPUS];
static char zero_page[PAGE_SIZE] ALIGNED(4096);   /* where a GDT window shows no frame */
/* entry.S: scratch for the guest's stack pointer, and the CPU's own. */
struct syscall_area { u64 guest_rsp, hv_rsp; };
extern struct syscall_area syscall_area[NR_CPUS];
struct syscall_area syscall_area[NR_CPUS];

static mfn_t zero_mfn;
static u8 gdt_shown[NR_CPUS];   /* window pages that show guest frames */
static u8 ldt_shown[NR_CPUS];

_Static_assert(sizeof(struct gate) == 16, "IDT gate");
_Static_assert(sizeof(struct cpu_user_regs) == 200, "ABI");

static void gate_set(unsigned vec, unsigned ist, unsigned dpl)
{
    u64 addr = (u64)idt_stubs + 16 * vec;
    idt[vec] = (struct gate){
        .off_low = (u16)addr, .off_mid = (u16)(addr >> 16), .off_high = (u32)(addr >> 32),
        .sel = HV_CS, .ist = (u8)ist, .attr = (u8)(0x8e | dpl << 5),
    };
}

static void idt_init(void)
{
    for (unsigned v = 0; v < 256; v++)
        gate_set(v, 0, 0);
    gate_set(TRAP_NMI, 1, 0);
    gate_set(TRAP_DF, 2, 0);
    gate_set(TRAP_MC, 3, 0);
    gate_set(TRAP_DB, 4, 0);
    gate_set(TRAP_BP, 0, 3);
    gate_set(4, 0, 3);          /* #OF */
    gate_set(0x80, 0, 3);       /* the old system call of 32-bit user programs */
}

static void gdt_fill(u64 *g, unsigned cpu)
{
    u64 base = (u64)&tss[cpu];
    unsigned first = HV_CS / 8;         /* page 14 holds entries from FIRST_RESERVED_GDT_ENTRY */
    g -= FIRST_RESERVED_GDT_ENTRY;
    g[first] = 0x00af9b000000ffffUL;                    /* ring 0 code, 64 bit */
    g[HV_DS / 8] = 0x00cf93000000ffffUL;                /* ring 0 data */
    g[FLAT_RING3_CS32 / 8] = 0x00cffb000000ffffUL;
    g[FLAT_RING3_SS64 / 8] = 0x00cff3000000ffffUL;
    g[FLAT_RING3_CS64 / 8] = 0x00affb000000ffffUL;
    g[HV_TSS / 8] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89UL << 40 |
                    (base >> 24 & 0xff) << 56;
    g[HV_TSS / 8 + 1] = base >> 32;
    base = LDT_WINDOW(cpu);
    g[HV_LDT / 8] = 0xffff | (base & 0xffffff) << 16 | 0x82UL << 40 | (base >> 24 & 0xff) << 56;
    g[HV_LDT / 8 + 1] = base >> 32;
}

static mfn_t image_mfn(const void *p)
{
    return ((u64)p - IMAGE_BASE + IMAGE_PHYS) >> PAGE_SHIFT;
}

static void window_init(unsigned cpu)
{
    u64 *page = alloc_hv_page();
    if (!page || hv_map(GDT_WINDOW(cpu), zero_mfn, 1, PTE_HV_RW))
        panic("no memory for the descriptor tables of CPU %u", cpu);
    for (unsigned i = 0; i < 14; i++) {
        if (hv_map(GDT_WINDOW(cpu) + i * PAGE_SIZE, zero_mfn, 1, PTE_HV_RO))
            panic("no memory for the descriptor tables of CPU %u", cpu);
    }
    gdt_fill(page, cpu);
    if (hv_map(GDT_WINDOW(cpu) + 14 * PAGE_SIZE, virt_to_mfn(page), 1, PTE_HV_RW) ||
        hv_map(LDT_WINDOW(cpu), zero_mfn, 1, PTE_HV_RO)) {
        panic("no memory for the descriptor tables of CPU %u", cpu);
    }
    hv_unmap(LDT_WINDOW(cpu), 1);
}

static void syscall_init(unsigned cpu, u64 stack_end)
{
    syscall_area[cpu].hv_rsp = stack_end - sizeof(struct cpu_top) +
                               offsetof(struct cpu_user_regs, es);
    wrmsr(MSR_STAR, (u64)FLAT_RING3_CS32 << 48 | (u64)HV_CS << 32);
    wrmsr(MSR_LSTAR, (u64)syscall_stubs + 32 * cpu);
    wrmsr(MSR_CSTAR, (u64)syscall32_stubs + 32 * cpu);
    for (u32 msr = 0x174; msr <= 0x176; msr++) {
        wrmsr(msr, 0);          /* sysenter faults, whatever ran here before */
    }
    wrmsr(MSR_SFMASK, X86_IF | X86_TF | X86_NT | X86_AC | X86_RF | X86_VM | 0x400 | X86_IOPL);
}

void desc_init_cpu(unsigned cpu)
{
    struct desc_ptr gdtr = { 15 * PAGE_SIZE - 1, GDT_WINDOW(cpu) };
    struct desc_ptr idtr = { sizeof(idt) - 1, (u64)idt };
    u64 stack = (u64)cpu_top() + sizeof(struct cpu_top) - STACK_SIZE;

    if (!zero_mfn) {
        zero_mfn = image_mfn(zero_page);
        idt_init();
    }
    window_init(cpu);
    tss[cpu].rsp[0] = stack + STACK_SIZE - sizeof(struct cpu_top) +
                      offsetof(struct cpu_user_regs, es);
    for (unsigned i = 0; i < 4; i++) {  /* NMI, #DF, #MC, #DB */
        tss[cpu].ist[i] = stack + (i + 1) * PAGE_SIZE;
    }
    tss[cpu].iomap_base = sizeof(struct tss);
    __asm__ volatile("lgdt %0" :: "m"(gdtr));
    __asm__ volatile("lidt %0" :: "m"(idtr));
    __asm__ volatile("pushq %0\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tlretq\n1:"
                     :: "i"(HV_CS) : "rax", "memory");
    __asm__ volatile("mov %0, %%ss\n\tmov %1, %%ds\n\tmov %1, %%es\n\tmov %1, %%fs\n\tmov %1, %%gs"
                     :: "r"(HV_DS), "r"(0));
    __asm__ volatile("ltr %w0" :: "r"(HV_TSS));
    __asm__ volatile("lldt %w0" :: "r"(0));
    syscall_init(cpu, stack + STACK_SIZE);
}

void desc_load_gdt(struct x86_vcpu *x)
{
    unsigned cpu = cpu_id();
    unsigned n = x ? (x->pv.gdt_entries + 511) / 512 : 0;

    for (unsigned i = 0; i < MAX(n, (unsigned)gdt_shown[cpu]); i++) {
        u64 va = GDT_WINDOW(cpu) + i * PAGE_SIZE;
        pte_t *p = hv_pte(va);
        pte_t e = i < n ? pte_make(x->pv.gdt_frame[i], PTE_HV_RW) : pte_make(zero_mfn, PTE_HV_RO);
        if (*p != e) {
            *p = e;
            invlpg(va);
        }
    }
    gdt_shown[cpu] = (u8)n;
}

void desc_load_ldt(struct x86_vcpu *x)
{
    unsigned cpu = cpu_id();
    bool any = x && x->pv.ldt_entries;

    if (!any && !ldt_shown[cpu])
        return;
    for (unsigned i = 0; i < 16; i++) {
        u64 va = LDT_WINDOW(cpu) + i * PAGE_SIZE;
        pte_t *p = hv_pte(va);
        pte_t e = any && x->pv.ldt_frame[i] ? pte_make(x->pv.ldt_frame[i], PTE_HV_RW) : 0;
        if (*p != e) {
            *p = e;
            invlpg(va);
        }
    }
    ldt_shown[cpu] = any;
    if (any) {
        /* The limit bounds the selectors; pages come on demand (pv/segment.c). */
        u64 *d = (u64 *)(GDT_WINDOW(cpu) + HV_LDT);
        u64 limit = (u64)x->pv.ldt_entries * 8 - 1;
        d[0] = (d[0] & ~0x000f00000000ffffUL & ~(0x7UL << 40)) | (limit & 0xffff) | 0x82UL << 40;
    }
    __asm__ volatile("lldt %w0" :: "r"(any ? HV_LDT : 0));
}
