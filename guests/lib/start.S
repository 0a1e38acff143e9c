/* SPDX-License-Identifier: MIT */
/* Entry, notes, and the ways in from the hypervisor: exceptions and the upcall. */

#include <xen/elfnote.h>
#include <xen/xen.h>

.macro note type:req desc:vararg
    .pushsection .note.xen, "a", @note
    .align 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \desc
2:  .align 4
    .popsection
.endm

note XEN_ELFNOTE_GUEST_OS, .asciz "bulkhead-test"
note XEN_ELFNOTE_GUEST_VERSION, .asciz "1"
note XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
note XEN_ELFNOTE_LOADER, .asciz "generic"
note XEN_ELFNOTE_ENTRY, .quad _start
note XEN_ELFNOTE_VIRT_BASE, .quad VIRT_BASE
note XEN_ELFNOTE_PADDR_OFFSET, .quad 0
note XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page
note XEN_ELFNOTE_FEATURES, .asciz "!writable_page_tables|pae_pgdir_above_4gb"
note XEN_ELFNOTE_SUPPORTED_FEATURES, .long (1 << 11)
note XEN_ELFNOTE_PAE_MODE, .asciz "yes"
note XEN_ELFNOTE_L1_MFN_VALID, .quad 1, 1
note XEN_ELFNOTE_SUSPEND_CANCEL, .long 1

    .text
    .globl _start
_start:
    mov     %rsp, boot_rsp(%rip)
    lea     stack_end(%rip), %rsp
    xor     %ebp, %ebp
    mov     %rsi, %rdi
    cld
    call    guest_start
    ud2

/* A further vCPU: its stack holds function and argument. */
    .globl vcpu_entry
vcpu_entry:
    xor     %ebp, %ebp
    pop     %rax
    pop     %rdi
    call    *%rax
    ud2

/* Frame at entry: rcx, r11, [error code], rip, cs, rflags, rsp, ss. */
.macro trap_entry nr has_error
    .align 16
trap_\nr:
    .if \has_error
    mov     (%rsp), %rcx
    mov     8(%rsp), %r11
    add     $16, %rsp
    .else
    mov     (%rsp), %rcx
    mov     8(%rsp), %r11
    add     $8, %rsp
    movq    $0, (%rsp)
    .endif
    push    $\nr
    jmp     trap_common
.endm

.irp n, 0,1,2,3,4,5,6,7,9,16,18,19,0x80
    trap_entry \n 0
.endr
.irp n, 8,10,11,12,13,14,17,21
    trap_entry \n 1
.endr

    .globl event_entry, failsafe_entry, syscall_entry
event_entry:
    mov     (%rsp), %rcx
    mov     8(%rsp), %r11
    add     $8, %rsp
    movq    $0, (%rsp)
    push    $0x100
    jmp     trap_common
/* ds, es, fs, gs lie below the frame here. */
failsafe_entry:
    mov     (%rsp), %rcx
    mov     8(%rsp), %r11
    add     $0x28, %rsp
    movq    $0, (%rsp)
    push    $0x101
    jmp     trap_common
syscall_entry:
    mov     (%rsp), %rcx
    mov     8(%rsp), %r11
    add     $8, %rsp
    movq    $0, (%rsp)
    push    $0x102

trap_common:
    push    %rax
    push    %rcx
    push    %rdx
    push    %rbx
    push    %rbp
    push    %rsi
    push    %rdi
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    cld
    mov     %rsp, %rdi
    mov     %rsp, %rbx
    and     $-16, %rsp
    call    trap_handler
    mov     %rbx, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdi
    pop     %rsi
    pop     %rbp
    pop     %rbx
    pop     %rdx
    pop     %rcx
    pop     %rax
    add     $16, %rsp
    push    $0                      /* flags */
    push    %rcx
    push    %r11
    push    %rax
    mov     $__HYPERVISOR_iret, %eax
    syscall
    ud2

/* enter_user(rip, rsp): leaves the guest kernel; comes back through a trap handler
 * that switches the stack to `user_return`. */
    .globl enter_user, leave_user
enter_user:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, user_return(%rip)
    push    $FLAT_USER_SS
    push    %rsi
    push    $0x200
    push    $FLAT_USER_CS
    push    %rdi
    push    $0
    push    $0
    push    $0
    push    $0
    mov     $__HYPERVISOR_iret, %eax
    syscall
    ud2
leave_user:
    mov     user_return(%rip), %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

    .section .rodata
    .globl trap_entries
.macro trap_row nr ring
    .byte   \nr, \ring
    .word   FLAT_KERNEL_CS, 0, 0
    .quad   trap_\nr
.endm
    .align 8
trap_entries:
.irp n, 0,1,2,5,6,7,8,9,10,11,12,13,14,16,17,18,19
    trap_row \n 0
.endr
.irp n, 3,4,0x80
    trap_row \n 3
.endr
    .fill   16, 1, 0

    .bss
    .align 4096
    .globl boot_rsp, user_return, stack_end
stack:
    .skip 32768
stack_end:
boot_rsp:
    .quad 0
user_return:
    .quad 0

    .section .text.hypercall_page, "ax"
    .align 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096

    .section .note.GNU-stack, "", @progbits
