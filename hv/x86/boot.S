/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader's 32-bit protected mode to hv_start in 64-bit mode. Owns the
 * multiboot headers and the early page tables: they map the first 4 GiB of the
 * machine at 0 and at the direct map, and the image at its place, all writable and
 * executable. The boot CPU leaves them in paging_init; other CPUs pass through them.
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

        .balign 8
mb2_header:
        .long   MB2_MAGIC, 0, mb2_end - mb2_header
        .long   -(MB2_MAGIC + (mb2_end - mb2_header))
        .balign 8                       /* information request: must be understood */
1:      .short  1, 0
        .long   2f - 1b
        .long   1, 2, 3, 6              /* command line, loader, modules, memory map */
2:      .balign 8                       /* ... and, where there are any, */
1:      .short  1, 1
        .long   2f - 1b
        .long   8, 14, 15               /* framebuffer, RSDP old and new */
2:      .balign 8                       /* addresses */
1:      .short  2, 0
        .long   2f - 1b
        .long   PHYS(mb2_header), IMAGE_PHYS, PHYS(load_end), PHYS(image_end)
2:      .balign 8                       /* entry */
1:      .short  3, 0
        .long   2f - 1b
        .long   PHYS(boot_start)
2:      .balign 8                       /* modules on page boundaries */
1:      .short  6, 0
        .long   2f - 1b
2:      .balign 8
        .short  0, 0
        .long   8
mb2_end:

        .section .text.boot, "ax", @progbits
        .code32
        .globl  boot_start
boot_start:
        cli
        cld
        lgdt    PHYS(boot_gdt_pointer)
        ljmp    $BOOT_CS32, $PHYS(1f)
1:      mov     $BOOT_DS, %ecx
        mov     %ecx, %ds
        mov     %ecx, %es
        mov     %ecx, %ss
        mov     $PHYS(boot_stack + STACK_SIZE_asm - 512), %esp
        mov     %eax, %ebp              /* the loader's magic number and information */
        mov     %ebx, %esi

        mov     $0x80000000, %eax
        cpuid
        cmp     $0x80000001, %eax
        jb      no_long_mode
        mov     $0x80000001, %eax
        cpuid
        bt      $29, %edx
        jnc     no_long_mode
        bt      $20, %edx
        jnc     no_nx

        /* Entries of 2 MiB for 4 GiB, then for the image's GiB. */
        mov     $PHYS(boot_l2), %edi
        mov     $0xe3, %eax             /* P RW A D PSE */
1:      mov     %eax, (%edi)
        movl    $0, 4(%edi)
        add     $8, %edi
        add     $0x200000, %eax
        jnc     1b
        mov     $PHYS(boot_l2_image), %edi
        mov     $(IMAGE_PHYS + 0xe3), %eax
        mov     $256, %ecx
2:      mov     %eax, (%edi)
        movl    $0, 4(%edi)
        add     $8, %edi
        add     $0x200000, %eax
        dec     %ecx
        jnz     2b

        call    enter_long_mode
        ljmp    $BOOT_CS64, $PHYS(1f)
        .code64
1:      movabs  $1f, %rax
        jmp     *%rax
1:      lgdt    boot_gdt_pointer64(%rip)
        lea     boot_stack + STACK_SIZE_asm - 512(%rip), %rsp
        mov     %ebp, %edi
        mov     %esi, %esi
        xor     %ebp, %ebp
        call    hv_start
        ud2

        /* Turns paging on with the early tables: compatibility mode on return. */
        .code32
enter_long_mode:
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
        ret

no_long_mode:
        mov     $PHYS(text_no_long_mode), %esi
        jmp     complain
no_nx:  mov     $PHYS(text_no_nx), %esi
complain:
        mov     $0xb8000, %edi
1:      lodsb
        test    %al, %al
        jz      3f
        movb    %al, (%edi)
        movb    $0x0f, 1(%edi)
        add     $2, %edi
        mov     %al, %bl
        mov     $0x10000, %ecx          /* a serial port that is not there must not hang us */
        mov     $0x3fd, %edx
2:      in      %dx, %al
        test    $0x20, %al
        loopz   2b
        mov     $0x3f8, %edx
        mov     %bl, %al
        out     %al, %dx
        jmp     1b
3:      cli
        hlt
        jmp     3b

/* ---- other CPUs come here from the trampoline, in 32-bit mode with flat segments ---- */
        .globl  ap_start32
ap_start32:
        lgdt    PHYS(boot_gdt_pointer)
        mov     $PHYS(ap_early_stack), %esp
        call    enter_long_mode
        ljmp    $BOOT_CS64, $PHYS(1f)
        .code64
1:      movabs  $1f, %rax
        jmp     *%rax
1:      lgdt    boot_gdt_pointer64(%rip)
        mov     ap_cr3(%rip), %rax
        mov     %rax, %cr3
        mov     ap_stack_top(%rip), %rsp
        mov     ap_cpu(%rip), %edi
        xor     %ebp, %ebp
        call    cpu_startup_ap
        ud2

        .section .rodata.boot, "a", @progbits
        .balign 8
boot_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      /* 32-bit code */
        .quad   0x00cf93000000ffff      /* data */
        .quad   0x00af9b000000ffff      /* 64-bit code */
boot_gdt_pointer:
        .short  . - boot_gdt - 1
        .long   PHYS(boot_gdt)
boot_gdt_pointer64:
        .short  boot_gdt_pointer - boot_gdt - 1
        .quad   boot_gdt
text_no_long_mode:
        .asciz  "Bulkhead: this CPU has no 64-bit mode.\r\n"
text_no_nx:
        .asciz  "Bulkhead: this CPU has no no-execute pages (or the firmware has switched them off).\r\n"

        .section .data.boot, "aw", @progbits
        .balign 4096
boot_l4:
        .quad   PHYS(boot_l3) + 0x63    /* the machine at 0 */
        .fill   SLOT(IMAGE_BASE) - 1, 8, 0
        .quad   PHYS(boot_l3_image) + 0x63
        .quad   PHYS(boot_l3) + 0x63    /* direct map */
        .fill   511 - SLOT(DIRECT_MAP), 8, 0
boot_l3:
        .set    n, 0
        .rept   4
        .quad   PHYS(boot_l2) + 4096 * n + 0x63
        .set    n, n + 1
        .endr
        .fill   508, 8, 0
boot_l3_image:
        .quad   PHYS(boot_l2_image) + 0x63
        .fill   511, 8, 0

        .section .bss.stack, "aw", @nobits
        .balign STACK_SIZE_asm
        .globl  boot_stack
boot_stack:
        .skip   STACK_SIZE_asm
        .balign 4096
boot_l2:
        .skip   4 * 4096
boot_l2_image:
        .skip   4096
        .skip   64
ap_early_stack:

        .section .note.GNU-stack, "", @progbits
