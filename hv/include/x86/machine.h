/* SPDX-License-Identifier: MIT */
/*
 * The machine: boot information, CPUs' features, APICs, interrupts, power.
 */
#pragma once

#include "domain.h"
#include "x86/asm.h"
#include "x86/page.h"

/* --- boot information (x86/boot_info.c): multiboot 1 and 2 in one form --- */
struct boot_module { paddr_t start; u64 len; char cmdline[1024]; };
/* As the BIOS call INT 0x15, EAX=0xE820 gives it; type: 1 RAM, 2 reserved, 3 ACPI, 4 NVS, 5 bad. */
struct e820_range { u64 start, len; u32 type; } PACKED;
#define E820_MAX 128
struct framebuffer { u64 addr; u32 pitch, width, height; u8 bpp, type; } PACKED;    /* multiboot's */
struct boot_info {
    char cmdline[2048], loader[64];
    struct boot_module module[8];
    unsigned nr_modules;
    struct e820_range e820[E820_MAX];       /* sorted, not overlapping, as the firmware said */
    unsigned nr_e820;
    u8 rsdp[36];                            /* the loader's copy; zeros: it gave none */
    struct framebuffer fb;
};
extern struct boot_info boot_info;

/* --- options (core/options.c): `name`, `name=value`, `no-name` on the command line ---
 * Each row registers itself: OPTION_STR/OPTION_INT/OPTION_BOOL (variable, "name", "help").
 * Unknown ones are named in the log. */

/* --- the order of start-up: x86/setup.c --- */
void boot_info_init(u32 magic, paddr_t mbi);    /* panics with a clear line on a wrong loader */
void paging_init(void);             /* final page tables: W^X, direct map, frame table, M2P */
void heap_init(void);               /* frames into the allocator */
void desc_init_cpu(unsigned cpu);   /* GDT, IDT, TSS, syscall entry of this CPU (x86/desc.c) */
void cpu_features_init(void);       /* boot CPU: what there is, sets CR4 (x86/features.c) */
void cpu_features_apply(void);      /* other CPUs: CR0, CR4, EFER, PAT the same */
void acpi_init(void);
void apic_init(void);               /* boot CPU; apic_init_cpu on others */
void apic_init_cpu(void);
void ioapic_init(void);
void msi_init(void);
void time_init(void);
void time_init_cpu(void);
void smp_init(void);                /* brings every CPU up to its idle loop */
void serial_init(void);
void console_init_irq(void);        /* the UART's interrupt, after ioapic_init */
struct domain *build_dom0(void);    /* x86/pv/dom0.c: panics with a clear line on a bad image */

struct cpu_features {
    bool smep, smap, xsave, x2apic, tsc_deadline, tsc_invariant, page1g, amd, intel;
    u8 phys_bits, family, model, stepping;
    char vendor[13], brand[49];
    u64 xcr0;
};
extern struct cpu_features cpu_has;

/* --- ACPI (x86/acpi.c) --- */
struct acpi_info {
    u32 cpu_apic_id[NR_CPUS * 2]; unsigned nr_cpus;     /* those that are enabled */
    struct acpi_ioapic { u32 gsi_base; paddr_t addr; } ioapic[16]; unsigned nr_ioapics;
    struct acpi_iso { u8 irq; u32 gsi; bool active_low, level; } iso[32]; unsigned nr_isos;
    paddr_t lapic_addr, hpet_addr, dsdt;
    u32 pm_timer_port, pm1a_cnt, pm1b_cnt, pm1a_evt;    /* 0: none */
    u8 reset_kind, reset_value; u64 reset_addr; /* FADT reset register; kind 1: port, 0: memory, 0xff none */
    struct acpi_mcfg { paddr_t base; u16 segment; u8 bus_first, bus_last; } mcfg[8]; unsigned nr_mcfg;
    u32 smi_cmd; u8 acpi_enable;        /* port and value that switch ACPI mode on; 0: none */
    bool has_8042;
};
extern struct acpi_info acpi;
/* Bits of the PM1 control registers, and of the event register's status (WAK_STS). */
enum { PM1_SCI_EN = 1, PM1_SLP_TYP = 0x1c00, PM1_SLP_EN = 0x2000, PM1_WAK_STS = 0x8000 };
/* SLP_TYP values of the soft-off state from the DSDT; false: not found. */
bool acpi_s5_values(u8 *a, u8 *b);

/* --- local APIC and IPIs (x86/apic.c) --- */
void apic_eoi(void);
bool apic_in_service(u8 vector);
u32 apic_id_self(void);
/* The LAPIC timer's count goes down at the bus's frequency: x86/time.c measures it
 * and tells (Hz). Not needed with a TSC deadline timer. */
void apic_timer_measure_start(void);
u32 apic_timer_measure_count(void);         /* ticks since measure_start */
void apic_timer_set_hz(u64 hz);
/* Sends a vector, or one of: */
enum { IPI_NMI = 4 << 8, IPI_INIT = 5 << 8 };   /* NMI: for panic, stops a CPU wherever it is */
#define IPI_STARTUP(page) (6u << 8 | (page))    /* page: number of the frame to start at */
void apic_send_ipi(u32 apic_id, u32 what);

NORETURN void halt_forever(void);       /* this CPU (x86/panic.c) */

/* Vectors. Interrupts enter Bulkhead with these; device vectors lie between. */
enum {
    VEC_DEVICE_FIRST = 0x30, VEC_DEVICE_LAST = 0xdf, VEC_SERIAL = 0xf0,
    VEC_FLUSH = 0xf8, VEC_KICK, VEC_CALL,   /* TLB flush requests; just enter; arch_call_cpus */
    VEC_APIC_ERROR, VEC_TIMER, VEC_SPURIOUS = 0xff,
};
/* entry.S calls this for every vector >= 0x20 with interrupts off. x86/irq.c */
void irq_dispatch(struct cpu_user_regs *regs);
/* Bulkhead's own handlers, fixed vectors; runs with interrupts off. */
void irq_set_handler(u8 vector, void (*fn)(void));
/* Bulkhead takes a GSI for itself: handler by irq_set_handler (vector) before. The
 * trigger and polarity are the firmware's for ISA interrupts, else level and low.
 * 0, -EINVAL (no such pin), -EBUSY. */
int irq_bind_gsi(u32 gsi, u8 vector);
u32 isa_irq_to_gsi(u8 irq);                 /* after acpi_init */

/* --- time (x86/time.c), besides arch.h's --- */
/* Another CPU's time_init_cpu () compares its TSC with the boot CPU's: the boot CPU
 * calls this again and again while it waits for the other one. Cheap. */
void time_sync_answer(void);

/* --- x86/smp.c, x86/tlb.c --- */
void tlb_answer(void);              /* this CPU: serve pending flush requests */
void tlb_write_cr3(u64 cr3);        /* for every change of it: flushes guests' entries on this CPU */
void tlb_leave_tables(void);        /* an idle CPU takes Bulkhead's own; x86/domain.c */
void cpu_startup_ap(void);  /* the C entry of another CPU */

/* --- x86/desc.c, entry.S (PV's and everybody's way in and out) --- */
NORETURN void idle_loop_start(void);    /* leaves start-up code: this CPU takes part in scheduling */
