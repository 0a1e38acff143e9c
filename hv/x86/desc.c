/* SPDX-License-Identifier: MIT */
/*
 * GDT, IDT, TSS and the syscall registers of each CPU.
 *
 * A CPU's GDT is a window of 16 pages at a fixed address: pages 0..13 show the
 * descriptor frames of the PV vCPU that runs there, page 14 holds Bulkhead's own
 * descriptors and the ABI's flat ring-3 ones. A second window shows the LDT. Only
 * the owning CPU changes its windows, so no lock is needed.
 */
#include "x86/boot.h"
#include "x86/desc.h"
#include "x86/domain.h"
#include "x86/machine.h"

struct tss {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap_base;
} PACKED ALIGNED(128);

struct gate { u16 off_low, sel; u8 ist, attr; u16 off_mid; u32 off_high, reserved; };

struct desc_ptr { u16 limit; u64 base; } PACKED;

static struct gate idt[256] ALIGNED(16);
static struct tss tss[NR_CPUS];
static char zero_page[PAGE_SIZE] ALIGNED(4096);   /* where a GDT window shows no frame */
/* entry.S: scratch for the guest's stack pointer, and the CPU's own. */
struct syscall_area { u64 guest_rsp, hv_rsp; } syscall_area[NR_CPUS];

static pte_t *window[NR_CPUS];  /* the entries of a CPU's windows: 16 of the GDT, 16 of the LDT */
static u8 gdt_shown[NR_CPUS];   /* window pages that show guest frames */
static bool ldt_shown[NR_CPUS];

_Static_assert(sizeof(struct gate) == 16, "IDT gate");
_Static_assert(sizeof(struct cpu_user_regs) == 200, "ABI");

static void idt_init(void)
{
    static const u8 ist[256] = { [TRAP_NMI] = 1, [TRAP_DF] = 2, [TRAP_MC] = 3, [TRAP_DB] = 4 };
    for (unsigned v = 0; v < 256; v++) {
        u64 addr = (u64)idt_stubs + 16UL * v;
        /* 0x80: the old system call of 32-bit user programs */
        bool user = v == TRAP_BP || v == TRAP_OF || v == 0x80;
        idt[v] = (struct gate){
            .off_low = (u16)addr, .off_mid = (u16)(addr >> 16), .off_high = (u32)(addr >> 32),
            .sel = HV_CS, .ist = ist[v], .attr = user ? 0xee : 0x8e,
        };
    }
}

/* Two words at g: a descriptor of ours for `size` bytes at base. */
static void system_descriptor(u64 *g, u64 base, u64 size, u64 type)
{
    g[0] = (size - 1) | (base & 0xffffff) << 16 | type << 40 | (base >> 24 & 0xff) << 56;
    g[1] = base >> 32;
}

/* Page 0..31 of this CPU's windows. */
static void show(unsigned cpu, unsigned page, pte_t e)
{
    pte_t *p = &window[cpu][page];
    if (*p != e) {
        *p = e;
        invlpg(GDT_WINDOW(cpu) + page * PAGE_SIZE);
    }
}

static pte_t zero_pte(void)
{
    return pte_make(image_to_phys(zero_page) >> PAGE_SHIFT, PTE_HV_RO);
}

static void window_init(unsigned cpu)
{
    u64 *page = alloc_hv_page();
    window[cpu] = hv_pte(GDT_WINDOW(cpu), 1);   /* one table: the windows do not straddle 2 MiB */
    if (!page || !window[cpu])
        panic("no memory for the descriptor tables of CPU %u", cpu);
    for (unsigned i = 0; i < 14; i++)
        show(cpu, i, zero_pte());
    /* Page 14 holds the entries from FIRST_RESERVED_GDT_ENTRY. */
    u64 *g = page - FIRST_RESERVED_GDT_ENTRY;
    g[HV_CS / 8] = 0x00af9b000000ffffUL;                /* ring 0 code, 64 bit */
    g[HV_DS / 8] = 0x00cf93000000ffffUL;                /* ring 0 data */
    g[FLAT_RING3_CS32 / 8] = 0x00cffb000000ffffUL;
    g[FLAT_RING3_SS64 / 8] = 0x00cff3000000ffffUL;
    g[FLAT_RING3_CS64 / 8] = 0x00affb000000ffffUL;
    system_descriptor(&g[HV_TSS / 8], (u64)&tss[cpu], sizeof(struct tss), 0x89);
    show(cpu, 14, pte_make(virt_to_mfn(page), PTE_HV_RW));
}

void desc_init_cpu(unsigned cpu)
{
    struct desc_ptr gdtr = { 15 * PAGE_SIZE - 1, GDT_WINDOW(cpu) };
    struct desc_ptr idtr = { sizeof(idt) - 1, (u64)idt };

    if (!cpu)
        idt_init();
    window_init(cpu);
    /* Both push the frame of an entry from a guest: it ends before es. */
    tss[cpu].rsp[0] = syscall_area[cpu].hv_rsp = (u64)&cpu_top()->regs.es;
    for (unsigned i = 0; i < 4; i++)    /* NMI, #DF, #MC, #DB */
        tss[cpu].ist[i] = (u64)this_cpu()->stack + (i + 1) * PAGE_SIZE;
    tss[cpu].iomap_base = sizeof(struct tss);
    __asm__ volatile("lgdt %0\n\tlidt %1" :: "m"(gdtr), "m"(idtr));
    __asm__ volatile("pushq %0\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tlretq\n1:"
                     :: "i"(HV_CS) : "rax", "memory");
    __asm__ volatile("mov %0, %%ss\n\tmov %1, %%ds\n\tmov %1, %%es\n\tmov %1, %%fs\n\tmov %1, %%gs"
                     :: "r"(HV_DS), "r"(0));
    __asm__ volatile("ltr %w0\n\tlldt %w1" :: "r"(HV_TSS), "r"(0));
    wrmsr(MSR_STAR, (u64)FLAT_RING3_CS32 << 48 | (u64)HV_CS << 32);
    wrmsr(MSR_LSTAR, (u64)syscall_stubs + 32UL * cpu);
    wrmsr(MSR_CSTAR, (u64)syscall32_stubs + 32UL * cpu);
    for (u32 msr = 0x174; msr <= 0x176; msr++)
        wrmsr(msr, 0);          /* sysenter faults, whatever ran here before */
    wrmsr(MSR_SFMASK, X86_TF | X86_IF | X86_DF | X86_IOPL | X86_NT | X86_RF | X86_VM | X86_AC);
}

void desc_load_gdt(struct x86_vcpu *x)
{
    unsigned cpu = cpu_id(), n = x ? (x->pv.gdt_entries + 511) / 512 : 0;

    for (unsigned i = 0; i < MAX(n, (unsigned)gdt_shown[cpu]); i++)
        show(cpu, i, i < n ? pte_make(x->pv.gdt_frame[i], PTE_HV_RW) : zero_pte());
    gdt_shown[cpu] = (u8)n;
}

void desc_load_ldt(struct x86_vcpu *x)
{
    unsigned cpu = cpu_id();
    bool any = x && x->pv.ldt_entries;

    if (!any && !ldt_shown[cpu])
        return;
    for (unsigned i = 0; i < 16; i++)
        show(cpu, 16 + i, any && x->pv.ldt_frame[i] ? pte_make(x->pv.ldt_frame[i], PTE_HV_RW) : 0);
    ldt_shown[cpu] = any;
    if (any) {
        /* The limit bounds the selectors; pages come on demand (pv/segment.c). */
        system_descriptor((u64 *)(GDT_WINDOW(cpu) + HV_LDT), LDT_WINDOW(cpu),
                          8UL * x->pv.ldt_entries, 0x82);
    }
    __asm__ volatile("lldt %w0" :: "r"(any ? HV_LDT : 0));
}
