/* SPDX-License-Identifier: MIT */
/*
 * The measuring code without a hypervisor: a multiboot image's way into 64-bit mode, at
 * the addresses of the tiny guests, and handlers as short as the CPU allows.
 */
        .set    VIRT, VIRT_BASE
        .code32
        .text
        .globl  _start
        .align  4
header: .long   0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
        .long   header - VIRT, header - VIRT, 0, image_end - VIRT, _start - VIRT
_start:
        mov     $(top - VIRT), %eax     /* 4 GiB one to one; the first again at VIRT */
        mov     %eax, %cr3
        mov     $(level2 - VIRT), %edi
        mov     $0xe7, %eax             /* present, writable, user, accessed, dirty, 2 MiB */
1:      mov     %eax, (%edi)
        movl    $0, 4(%edi)
        add     $8, %edi
        add     $0x200000, %eax
        jnc     1b
        mov     $0x6a0, %eax            /* PAE, PGE, SSE's two */
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx
        mov     $0xd01, %eax            /* LME, NXE, SCE */
        xor     %edx, %edx
        wrmsr
        mov     $0x80010033, %eax
        mov     %eax, %cr0
        lgdt    gdt_pointer - VIRT
        ljmp    $8, $(low64 - VIRT)
        .code64
low64:  movabs  $high64, %rax
        jmp     *%rax
high64: lgdt    gdt_pointer_high
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $stack_end, %rsp
        call    bare_start
        ud2

/* --- handlers --- */
        .globl  on_skip2, on_skip2_error, on_return, on_interrupt, on_syscall, on_leave
on_skip2_error:
        add     $8, %rsp
on_skip2:
        addq    $2, (%rsp)
        iretq
on_interrupt:
        incl    interrupts
        movl    $0, 0xffffffffc02000b0  /* APIC: end of interrupt */
on_return:
        iretq
on_syscall:
        sysretq

/* run_user(fn): runs it in ring 3, by its low address, until its ud2. */
        .globl  run_user
run_user:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, kernel_rsp
        sub     $VIRT, %rdi
        push    $0x1b
        push    $user_stack_end
        push    $2
        push    $0x23
        push    %rdi
        iretq
on_leave:
        mov     kernel_rsp, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

        .data
        .globl  gdt, idt_pointer
        .align  8
gdt:    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
        .quad   0, 0                    /* 0x28: the TSS */
        .quad   0                       /* 0x38: to be written to */
gdt_pointer:
        .word   8 * 8 - 1
        .long   gdt - VIRT
        .long   0
gdt_pointer_high:
        .word   8 * 8 - 1
        .quad   gdt
idt_pointer:
        .word   256 * 16 - 1
        .quad   idt
        .align  4096
        .globl  top
top:    .quad   low3 - VIRT + 7
        .fill   510, 8, 0
        .quad   high3 - VIRT + 7
low3:   .quad   level2 - VIRT + 7, level2 - VIRT + 0x1007, level2 - VIRT + 0x2007, level2 - VIRT + 0x3007
        .fill   508, 8, 0
high3:  .fill   510, 8, 0
        .quad   level2 - VIRT + 7, level2_high - VIRT + 7
level2_high:
        .globl  level2_high
        .quad   0, 0xfee000e7           /* an L1 table that bare.c sets; the APIC */
        .fill   510, 8, 0
kernel_rsp:
        .quad   0

        .bss
        .align  4096
level2: .skip   4 * 4096
        .skip   16384
stack_end:
        .globl  stack_end
        .skip   16384
user_stack_end:
        .section .note.GNU-stack, "", @progbits
