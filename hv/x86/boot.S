/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader's 32-bit protected mode to hv_start in 64-bit mode, and another
 * CPU's way from real mode to cpu_startup_ap. Owns the multiboot headers and the early
 * page tables: they map the first 4 GiB of the machine at 0, at the direct map and in
 * the image's slot, all writable and executable. The boot CPU leaves them in
 * paging_init; other CPUs pass through them.
 */
#include "asm_offsets.h"
#include "x86/layout.h"

#define PHYS(sym) ((sym) - (IMAGE_BASE - IMAGE_PHYS))
#define SLOT(va) (((va) >> 39) & 511)

#define MB1_MAGIC 0x1BADB002
#define MB1_FLAGS 0x00010003            /* page-aligned modules, memory map, addresses below */
#define MB2_MAGIC 0xE85250D6

#define BOOT_CS32 0x08
#define BOOT_DS   0x10
#define BOOT_CS64 0x18

        .section .multiboot, "ax", @progbits
        .balign 8
mb1_header:
        .long   MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
        .long   PHYS(mb1_header), IMAGE_PHYS
        .long   PHYS(load_end), PHYS(image_end), PHYS(boot_start)

/* A tag: its type, 1 if the loader may do without it, its words. */
.macro MB2_TAG type, optional, words:vararg
        .balign 8
1:      .short  \type, \optional
        .long   2f - 1b
        .long   \words
2:
.endm

        .balign 8
mb2_header:
        .long   MB2_MAGIC, 0, mb2_end - mb2_header
        .long   -(MB2_MAGIC + (mb2_end - mb2_header))
        MB2_TAG 1, 0, 1, 2, 3, 6        /* command line, loader, modules, memory map */
        MB2_TAG 1, 1, 8, 14, 15         /* framebuffer, RSDP old and new */
        MB2_TAG 2, 0, PHYS(mb2_header), IMAGE_PHYS, PHYS(load_end), PHYS(image_end)
        MB2_TAG 3, 0, PHYS(boot_start)  /* the entry */
        MB2_TAG 6, 0                    /* modules on page boundaries */
        MB2_TAG 0, 0
mb2_end:

        .section .text.boot, "ax", @progbits
        .code32
        .globl  boot_start
boot_start:                             /* the loader's segments are flat */
        cli
        cld
        mov     %eax, %ebp              /* the loader's magic number and information */
        mov     %ebx, %edi
        mov     $PHYS(text_no_long_mode), %esi
        mov     $0x80000000, %eax
        cpuid
        cmp     $0x80000001, %eax
        jb      complain
        mov     $0x80000001, %eax
        cpuid
        bt      $29, %edx
        jnc     complain
        mov     $PHYS(text_no_nx), %esi
        bt      $20, %edx
        jnc     complain
        lgdt    PHYS(gdt_pointer)

/* Every CPU, with boot_gdt loaded. */
enter_long_mode:
        mov     $BOOT_DS, %eax
        mov     %eax, %ss
        mov     $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     $PHYS(boot_l4), %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER: LME NXE SCE */
        rdmsr
        or      $0x901, %eax
        wrmsr
        mov     $0x80010033, %eax       /* PG WP NE ET MP PE */
        mov     %eax, %cr0
        ljmp    $BOOT_CS64, $PHYS(1f)
        .code64
1:      movabs  $1f, %rax
        jmp     *%rax
1:      mov     %edi, %esi
        mov     %ebp, %edi
        xor     %ebp, %ebp
        mov     hv_cr3(%rip), %rax
        test    %rax, %rax
        jnz     1f
        lea     boot_stack + STACK_SIZE_asm - 512(%rip), %rsp
        call    hv_start
1:      mov     %rax, %cr3              /* the boot CPU has made it: this is another one */
        mov     ap_stack(%rip), %rax
        test    %rax, %rax
        jz      halt                    /* given up before it came */
        lea     STACK_SIZE_asm - 512(%rax), %rsp
        call    cpu_startup_ap

        .code32
complain:
        mov     $0xb8000, %edi
1:      lodsb
        test    %al, %al
        jz      halt
        mov     $0x0f, %ah
        stosw
        mov     %eax, %ebx
        mov     $0x10000, %ecx          /* a serial port that is not there must not hang us */
        mov     $0x3fd, %edx
2:      in      %dx, %al
        test    $0x20, %al
        loopz   2b
        mov     $0x3f8, %edx
        mov     %ebx, %eax
        out     %al, %dx
        jmp     1b
halt:   hlt                             /* the same bytes in 64-bit mode */
        jmp     halt

        .section .rodata.boot, "a", @progbits
/* ---- another CPU's first instructions: smp.c copies them to a page below 1 MiB ---- */
        .code16
        .balign 16
        .globl  trampoline, trampoline_end
trampoline:
        cli
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   gdt_pointer - trampoline
        mov     $0x11, %eax             /* PE ET, caches on */
        mov     %eax, %cr0
        ljmpl   $BOOT_CS32, $PHYS(enter_long_mode)
gdt_pointer:
        .short  boot_gdt_end - boot_gdt - 1
        .long   PHYS(boot_gdt)
trampoline_end:

        .balign 8
boot_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      /* 32-bit code */
        .quad   0x00cf93000000ffff      /* data */
        .quad   0x00af9b000000ffff      /* 64-bit code */
boot_gdt_end:
text_no_long_mode:
        .asciz  "Bulkhead: this CPU has no 64-bit mode.\r\n"
text_no_nx:
        .asciz  "Bulkhead: this CPU has no no-execute pages (or the firmware has switched them off).\r\n"

        .section .data.boot, "aw", @progbits
        .balign 4096
boot_l4:
        .quad   PHYS(boot_l3) + 0x63    /* the machine at 0 */
        .fill   SLOT(IMAGE_BASE) - 1, 8, 0
        .quad   PHYS(boot_l3) + 0x63, PHYS(boot_l3) + 0x63      /* image, direct map */
        .fill   511 - SLOT(DIRECT_MAP), 8, 0
boot_l3:
        .irp    n, 0, 1, 2, 3
        .quad   PHYS(boot_l2) + 4096 * \n + 0x63
        .endr
        .fill   508, 8, 0
boot_l2:
        .set    n, 0
        .rept   4 * 512
        .quad   0x200000 * n + 0xe3     /* P RW A D PSE */
        .set    n, n + 1
        .endr

        .section .bss.stack, "aw", @nobits
        .balign STACK_SIZE_asm
        .globl  boot_stack
boot_stack:
        .skip   STACK_SIZE_asm

        .section .note.GNU-stack, "", @progbits
