/* SPDX-License-Identifier: MIT */
/*
 * In a hypervisor's place: a multiboot image that prints the TSC as it finds it, 16
 * hexadecimal digits on COM1, and ends the machine by a triple fault. That is what the
 * firmware and QEMU's loader took: bench/run takes it off `boot`.
 */
        .code32
        .text
        .globl  _start
        .align  4
header: .long   0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
        .long   header, header, image_end, bss_end, _start
_start:
        rdtsc
        mov     %eax, %esi              /* edx:esi: the count */
        mov     $16, %ecx
1:      mov     %edx, %eax
        shr     $28, %eax
        cmp     $10, %eax
        jb      2f
        add     $('a' - '0' - 10), %eax
2:      add     $'0', %eax
        mov     %edx, %edi
        mov     $0x3f8, %edx
        out     %al, %dx
        mov     %edi, %edx
        shld    $4, %esi, %edx
        shl     $4, %esi
        loop    1b
        lidt    no_idt
        int3
no_idt: .word   0
        .long   0
image_end:
bss_end:
