/* SPDX-License-Identifier: MIT */
/*
 * The ways into Bulkhead and out of it. Every entry from a guest leaves the
 * guest's registers in cpu_top()->regs, at the end of this CPU's stack; interrupts
 * stay off until the guest runs again. The way out is one: ret_to_guest.
 */
#include "asm_offsets.h"

#define TRAP_SYSCALL 0x100

        .section .text.entry, "ax", @progbits

.macro SAVE_GPRS
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
.endm

.macro RESTORE_GPRS
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
.endm

/* reg := this CPU's struct cpu_top */
.macro GET_TOP reg
        mov     %rsp, \reg
        or      $(STACK_SIZE_asm - 1), \reg
        sub     $(TOP_SIZE - 1), \reg
.endm

.macro EXTABLE from, to
        .pushsection .extable, "a", @progbits
        .balign 4
        .long   \from - .
        .long   \to - .
        .popsection
.endm

/* ---- exceptions and interrupts: one stub per vector ---- */
        .balign 16
        .globl  idt_stubs
idt_stubs:
        .set    vec, 0
        .rept   256
        .balign 16
        /* Vectors whose frame has an error code from the CPU: 8, 10-14, 17, 21, 29, 30. */
        .if     !((vec == 8) || ((vec >= 10) && (vec <= 14)) || (vec == 17) || (vec == 21) || (vec == 29) || (vec == 30))
        push    $0
        .endif
        movl    $vec, 4(%rsp)
        .if     (vec >= 32) && (vec != 0x80)
        jmp     interrupt_entry
        .elseif (vec == 1)
        jmp     debug_entry
        .elseif ((vec == 2) || (vec == 8) || (vec == 18))
        jmp     ist_entry
        .else
        jmp     exception_entry
        .endif
        .set    vec, vec + 1
        .endr

exception_entry:
        SAVE_GPRS
        cld
        mov     %rsp, %rdi
        testb   $3, REGS_cs(%rsp)
        jz      exception_from_hv
        call    trap_from_guest
        jmp     ret_to_guest

exception_from_hv:
        call    trap_from_hv
        RESTORE_GPRS
        add     $8, %rsp
        iretq

interrupt_entry:
        SAVE_GPRS
        cld
        movzbl  REGS_entry_vector(%rsp), %edi
        mov     %rsp, %rsi
        call    irq_dispatch
        testb   $3, REGS_cs(%rsp)
        jnz     ret_to_guest
        RESTORE_GPRS
        add     $8, %rsp
        iretq

/* NMI, double fault, machine check: own stacks; nothing of the way out is done. */
ist_entry:
        SAVE_GPRS
        cld
        mov     %rsp, %rdi
        call    trap_on_ist
        RESTORE_GPRS
        add     $8, %rsp
        iretq

/* #DB may hit the first instruction of the syscall entry (mov-ss shadow), so it has
 * a stack of its own; from a guest it moves over to the ordinary one. */
debug_entry:
        testb   $3, 16(%rsp)
        jz      ist_entry
        push    %rax
        push    %rcx
        lea     16(%rsp), %rax          /* error/vector, rip, cs, rflags, rsp, ss */
        mov     %rsp, %rcx
        or      $(STACK_SIZE_asm - 1), %rcx
        sub     $(TOP_SIZE - 1 - REGS_es), %rcx
        pushq   40(%rax)
        popq    -8(%rcx)
        pushq   32(%rax)
        popq    -16(%rcx)
        pushq   24(%rax)
        popq    -24(%rcx)
        pushq   16(%rax)
        popq    -32(%rcx)
        pushq   8(%rax)
        popq    -40(%rcx)
        pushq   (%rax)
        popq    -48(%rcx)
        lea     -48(%rcx), %rax
        mov     (%rsp), %rcx
        push    %rax
        mov     16(%rsp), %rax
        pop     %rsp
        jmp     exception_entry

/* ---- syscall: a stub per CPU finds that CPU's stack without a free register ---- */
.macro SYSCALL_STUBS entry
        .set    n, 0
        .rept   64
        .balign 32
        mov     %rsp, syscall_area + 16 * n(%rip)
        mov     syscall_area + 16 * n + 8(%rip), %rsp
        push    $0xe02b                 /* FLAT_RING3_SS64, and its 32-bit form */
        pushq   syscall_area + 16 * n(%rip)
        jmp     \entry
        .set    n, n + 1
        .endr
.endm

        .balign 32
        .globl  syscall_stubs
syscall_stubs:
        SYSCALL_STUBS syscall_entry
        .balign 32
        .globl  syscall32_stubs         /* from compatibility mode */
syscall32_stubs:
        SYSCALL_STUBS syscall32_entry

        .balign 16
syscall_entry:
        push    %r11
        push    $0xe033                 /* FLAT_RING3_CS64 */
        push    %rcx
        push    $0
        movl    $TRAP_SYSCALL, 4(%rsp)
        SAVE_GPRS
        mov     (TOP_curr)(%rsp), %rdi  /* rsp is cpu_top: regs come first */
        cmpb    $0, VCPU_kernel_mode(%rdi)
        je      syscall_from_user
        cmp     $23, %eax               /* iret replaces all registers */
        je      hypercall_iret
        push    %r9
        push    %r8
        push    %r10
        push    %rdx
        push    %r12                    /* replaced below: keeps the order of a[] */
        push    %r12
        mov     REGS_rdi+48(%rsp), %rcx
        mov     %rcx, (%rsp)
        mov     %rsi, 8(%rsp)
        mov     %rsp, %rsi
        cmp     $NR_HYPERCALLS_asm, %rax
        jae     1f
        sbb     %rcx, %rcx              /* all ones: the bound holds under speculation too */
        and     %rcx, %rax
        lea     hypercall_fns(%rip), %rcx
        call    *(%rcx, %rax, 8)
        cmp     $-ERESTART_asm, %rax
        je      hypercall_again
2:      add     $48, %rsp
        mov     %rax, REGS_rax(%rsp)

        /* The short way out when nothing else waits: sysret. */
        mov     TOP_cpu(%rsp), %rcx
        mov     TOP_curr(%rsp), %rdx
        cmpl    $0, CPU_softirq(%rcx)
        jne     ret_to_guest
        mov     VCPU_info(%rdx), %rax
        cmpw    $1, INFO_pending(%rax)  /* pending and, in the next byte, not masked */
        je      ret_to_guest
        mov     REGS_rip(%rsp), %rcx    /* sysret to a non-canonical address would fault here */
        sar     $47, %rcx
        inc     %rcx
        cmp     $1, %rcx
        ja      ret_to_guest
        RESTORE_GPRS
        mov     8(%rsp), %rcx
        mov     24(%rsp), %r11
        mov     32(%rsp), %rsp
        sysretq

syscall32_entry:
        push    %r11
        push    $0xe023                 /* FLAT_RING3_CS32 */
        push    %rcx
        push    $0
        movl    $TRAP_SYSCALL, 4(%rsp)
        SAVE_GPRS
        mov     TOP_curr(%rsp), %rdi
        call    pv_syscall32
        jmp     ret_to_guest

1:      mov     $-38, %rax              /* -ENOSYS */
        jmp     2b

hypercall_again:
        mov     %rsp, %rdi
        call    hypercall_restart
        add     $48, %rsp
        jmp     ret_to_guest

hypercall_iret:
        call    pv_iret
        jmp     ret_to_guest

syscall_from_user:
        call    pv_syscall_from_user
        jmp     ret_to_guest

/* ---- the way out ---- */
        .globl  ret_to_guest
ret_to_guest:
        mov     TOP_cpu(%rsp), %rbx
        cmpl    $0, CPU_softirq(%rbx)
        jne     do_softirq
        mov     TOP_curr(%rsp), %rdi
        cmpb    $0, VCPU_is_idle(%rdi)
        jne     do_idle
        mov     VCPU_info(%rdi), %rax
        cmpb    $0, INFO_pending(%rax)
        jne     do_upcall
restore_guest:
        RESTORE_GPRS
        add     $8, %rsp
iret_insn:
        iretq
        EXTABLE iret_insn, iret_failed

do_softirq:
        call    softirq_run
        jmp     ret_to_guest

do_upcall:
        cmpb    $0, INFO_pending+1(%rax)
        jne     restore_guest
        call    pv_upcall
        jmp     ret_to_guest

do_idle:
        sti
        hlt
        cli
        jmp     ret_to_guest

/* The guest's own frame was not one that iret takes: rebuild it, tell the guest. */
iret_failed:
        push    $0
        SAVE_GPRS
        mov     %rsp, %rdi
        call    pv_iret_failed
        jmp     ret_to_guest

/* Start-up code ends here: drop its stack, become the idle vCPU. */
        .globl  idle_loop_start
idle_loop_start:
        GET_TOP %rsp
        jmp     ret_to_guest

/* ---- copies that may fault: rdi dst, rsi src, rdx bytes; 0 or -EFAULT ---- */
        .globl  copy_fixup
copy_fixup:
        mov     %rdx, %rcx
        shr     $3, %rcx
        and     $7, %edx
3:      rep movsq
        mov     %edx, %ecx
4:      rep movsb
        xor     %eax, %eax
        ret
5:      mov     $-14, %rax
        ret
        EXTABLE 3b, 5b
        EXTABLE 4b, 5b

/* rdi dst or src, 8 bytes */
        .globl  rdmsr_safe
rdmsr_safe:                            /* edi msr, rsi *value */
        mov     %edi, %ecx
6:      rdmsr
        shl     $32, %rdx
        or      %rdx, %rax
        mov     %rax, (%rsi)
        xor     %eax, %eax
        ret
        EXTABLE 6b, 5b

/* Loads a guest's selector, null when the CPU refuses it. 0 or -EFAULT. */
.macro LOAD_SEG name, reg
        .globl  \name
\name:
        xor     %eax, %eax
8:      mov     %edi, %\reg
        ret
9:      mov     %eax, %\reg
        mov     $-14, %rax
        ret
        EXTABLE 8b, 9b
.endm
        LOAD_SEG load_ds, ds
        LOAD_SEG load_es, es
        LOAD_SEG load_fs, fs

/* The other GS: its selector is loaded with the bases swapped. */
        .globl  load_gs_swapped
load_gs_swapped:
        xor     %eax, %eax
        swapgs
10:     mov     %edi, %gs
        swapgs
        ret
11:     mov     %eax, %gs
        swapgs
        mov     $-14, %rax
        ret
        EXTABLE 10b, 11b
        LOAD_SEG load_gs, gs

        .section .note.GNU-stack, "", @progbits
