/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of another CPU: smp.c copies this page below 1 MiB; the
 * CPU starts at its first byte in real mode and leaves it for ap_start32 (boot.S).
 */
#include "x86/layout.h"

#define PHYS(sym) ((sym) - (IMAGE_BASE - IMAGE_PHYS))

        .section .rodata.trampoline, "a", @progbits
        .code16
        .balign 16
        .globl  trampoline, trampoline_end
trampoline:
        cli
        cld
        mov     %cs, %ax
        mov     %ax, %ds
        /* The table's own address depends on where this page lies. */
        movzwl  %ax, %eax
        shl     $4, %eax
        add     $(gdt - trampoline), %eax
        mov     %eax, gdt_pointer - trampoline + 2
        lgdtl   gdt_pointer - trampoline
        mov     $0x11, %eax             /* PE ET, caches on */
        mov     %eax, %cr0
        ljmpl   *(entry - trampoline)
        .balign 4
entry:  .long   PHYS(trampoline_32)
        .short  0x08
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        .short  gdt_pointer - gdt - 1
        .long   0
trampoline_end:

        .section .text.boot, "ax", @progbits
        .code32
trampoline_32:
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        jmp     ap_start32

        .section .note.GNU-stack, "", @progbits
