/* SPDX-License-Identifier: MIT */
/*
 * The ways into Bulkhead and out of it. Every entry from a guest leaves the
 * guest's registers in cpu_top()->regs, at the end of this CPU's stack; interrupts
 * stay off until the guest runs again. The way out is one: ret_to_guest.
 */
#include "asm_offsets.h"

#define TRAP_SYSCALL 0x100

        .section .text.entry, "ax", @progbits
        .globl  idt_stubs, syscall_stubs, syscall32_stubs, ret_to_guest, idle_loop_start
        .globl  rdmsr_safe, load_ds, load_es, load_fs, load_gs, load_gs_swapped

.macro SAVE_GPRS
        .irp    reg, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
        push    %\reg
        .endr
.endm

.macro RESTORE_GPRS
        .irp    reg, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
        pop     %\reg
        .endr
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

/* handler(regs) */
.macro TRAP handler
        SAVE_GPRS
        cld
        mov     %rsp, %rdi
        call    \handler
.endm

exception_entry:
        testb   $3, 16(%rsp)            /* cs */
        jz      exception_from_hv
        TRAP    trap_from_guest
        jmp     ret_to_guest

interrupt_entry:
        TRAP    irq_dispatch
        testb   $3, REGS_cs(%rsp)
        jnz     ret_to_guest
return_to_hv:
        RESTORE_GPRS
        add     $8, %rsp
        iretq

exception_from_hv:
        TRAP    trap_from_hv
        jmp     return_to_hv

/* NMI, double fault, machine check: own stacks; nothing of the way out is done. */
ist_entry:
        TRAP    trap_on_ist
        jmp     return_to_hv

/* #DB may hit the first instruction of the syscall entry (mov-ss shadow), so it has
 * a stack of its own; from a guest it moves over to the ordinary one. */
debug_entry:
        testb   $3, 16(%rsp)
        jz      ist_entry
        SAVE_GPRS
        cld
        mov     %rsp, %rsi
        GET_TOP %rsp
        mov     %rsp, %rdi
        mov     $(REGS_es / 8), %ecx
        rep movsq
        mov     %rsp, %rdi
        call    trap_from_guest
        jmp     ret_to_guest

/* ---- syscall: a stub per CPU finds that CPU's stack without a free register ---- */
.macro SYSCALL_STUBS name, entry
        .balign 32
\name:
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
        SYSCALL_STUBS syscall_stubs, syscall_entry
        SYSCALL_STUBS syscall32_stubs, syscall32_entry  /* from compatibility mode */

/* The rest of the frame, the guest's code selector being cs; rdi := the vCPU */
.macro SYSCALL_FRAME cs
        push    %r11
        push    $\cs
        push    %rcx
        push    $0
        movl    $TRAP_SYSCALL, 4(%rsp)
        SAVE_GPRS
        mov     TOP_curr(%rsp), %rdi    /* rsp is cpu_top: regs come first */
.endm

        .balign 16
syscall_entry:
        SYSCALL_FRAME 0xe033            /* FLAT_RING3_CS64 */
        cmpb    $0, VCPU_kernel_mode(%rdi)
        je      syscall_from_user
        cmp     $23, %eax               /* iret replaces all registers */
        je      hypercall_iret
        .irp    reg, r9, r8, r10, rdx, rsi
        push    %\reg
        .endr
        pushq   REGS_rdi + 40(%rsp)
        mov     %rsp, %rsi
        mov     $(NR_HYPERCALLS_asm - 1), %ecx  /* the last one is none: -ENOSYS */
        cmp     %rcx, %rax
        cmova   %rcx, %rax              /* not a jump: the bound holds under speculation too */
        lea     hypercall_fns(%rip), %rcx
        call    *(%rcx, %rax, 8)
        cmp     $-ERESTART_asm, %rax
        je      hypercall_again
        add     $48, %rsp
        mov     %rax, REGS_rax(%rsp)

        /* The short way out when nothing else waits: sysret. No call changes a register of
         * the guest but rax on this way, so what C keeps is in place. */
        mov     TOP_cpu(%rsp), %rcx
        mov     TOP_curr(%rsp), %rdx
        cmpl    $0, CPU_softirq(%rcx)
        jne     ret_to_guest
        mov     VCPU_info(%rdx), %rax
        cmpw    $1, INFO_pending(%rax)  /* pending and, in the next byte, not masked */
        je      ret_to_guest
        cmpl    $0x8000, REGS_rip + 4(%rsp)     /* behind a syscall at the last address below the */
        je      ret_to_guest                    /* hole: sysret would fault in here */
        add     $REGS_r10, %rsp
        .irp    reg, r10, r9, r8, rax, rcx, rdx, rsi, rdi
        pop     %\reg
        .endr
        mov     8(%rsp), %rcx
        mov     24(%rsp), %r11
        mov     32(%rsp), %rsp
        sysretq

syscall32_entry:
        SYSCALL_FRAME 0xe023            /* FLAT_RING3_CS32 */
        mov     %rsp, %rsi
        call    pv_syscall32
        jmp     ret_to_guest

hypercall_again:
        mov     %rsp, %rdi
        call    hypercall_restart
        add     $48, %rsp
        jmp     ret_to_guest

hypercall_iret:
        mov     %rsp, %rsi
        call    pv_iret
        jmp     ret_to_guest

syscall_from_user:
        mov     %rsp, %rsi
        call    pv_syscall_from_user
        /* falls through */

/* ---- the way out ---- */
ret_to_guest:
        mov     TOP_cpu(%rsp), %rbx
        cmpl    $0, CPU_softirq(%rbx)
        jne     do_softirq
        mov     TOP_curr(%rsp), %rdi
        mov     VCPU_info(%rdi), %rax
        cmpb    $0, INFO_pending(%rax)
        jne     do_upcall
restore_guest:
        RESTORE_GPRS
        add     $8, %rsp
iret_insn:
        iretq
        EXTABLE iret_insn, iret_failed

do_upcall:
        cmpb    $0, INFO_pending+1(%rax)
        jne     restore_guest
        mov     %rsp, %rsi
        call    pv_upcall               /* masks events */
        cmpl    $0, CPU_softirq(%rbx)
        je      restore_guest

do_softirq:
        call    softirq_run             /* only here may the idle vCPU become the current one */
        mov     TOP_curr(%rsp), %rdi
        cmpb    $0, VCPU_is_idle(%rdi)
        je      ret_to_guest
do_idle:
        sti                             /* nothing is pending; what comes now interrupts hlt */
        hlt
        cli
        jmp     do_softirq

/* The guest's own frame was not one that iret takes: rebuild it, tell the guest. */
iret_failed:
        push    $0
        SAVE_GPRS
        mov     %rsp, %rdi
        call    pv_iret_failed
        jmp     ret_to_guest

/* Start-up code ends here: drop its stack, become the idle vCPU. */
idle_loop_start:
        GET_TOP %rsp
        jmp     do_softirq

/* ---- instructions that may fault ---- */
rdmsr_safe:                             /* edi msr, rsi *value */
        mov     %edi, %ecx
6:      rdmsr
        shl     $32, %rdx
        or      %rdx, %rax
        mov     %rax, (%rsi)
        xor     %eax, %eax
        ret
5:      mov     $-14, %rax              /* -EFAULT */
        ret
        EXTABLE 6b, 5b

/* Loads a guest's selector, null when the CPU refuses it. */
.macro LOAD_SEG name, reg, swap
\name:
        \swap
7:      mov     %edi, %\reg
        \swap
        ret
8:      xor     %edi, %edi
        jmp     7b
        EXTABLE 7b, 8b
.endm
        LOAD_SEG load_ds, ds
        LOAD_SEG load_es, es
        LOAD_SEG load_fs, fs
        LOAD_SEG load_gs, gs
        LOAD_SEG load_gs_swapped, gs, swapgs    /* the other one, with the bases swapped */

        .section .note.GNU-stack, "", @progbits
