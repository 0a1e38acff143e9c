// SPDX-License-Identifier: MIT
/* One vCPU's fuzzing: a step after the other, and the way back from exceptions. */
#include "fuzz.h"

struct fuzzer fuzzers[DOMU_VCPUS];
/* 4 is read-only: what runs over a list's end stops there. */
static u8 arguments[DOMU_VCPUS][6][PAGE_SIZE] ALIGNED(4096);

/* Returns 0; and 1 when an exception has come back here. */
extern int way_back(u64 jump[8]) __attribute__((returns_twice));
__asm__(".pushsection .text\n"
        "way_back:\n\t"
        "mov %rbx, (%rdi); mov %rbp, 8(%rdi); mov %r12, 16(%rdi); mov %r13, 24(%rdi)\n\t"
        "mov %r14, 32(%rdi); mov %r15, 40(%rdi); lea 8(%rsp), %rax; mov %rax, 48(%rdi)\n\t"
        "mov (%rsp), %rax; mov %rax, 56(%rdi); xor %eax, %eax; ret\n"
        ".popsection\n");

static volatile u64 vcpu1_at;               /* on its stack: the other vCPU reads it at any time */

static void on_trap(struct trap_regs *r)
{
    struct fuzzer *f = (u64)r - (vcpu1_at - 8192) < 12288 ? &fuzzers[1] : &fuzzers[0];
    if (r->vector == 2)
        return;                             /* an NMI that somebody has asked for: on it goes */
    if (!f->inside) {
        in_domu = f->dom0 ? false : in_domu;    /* true while dom0 copies itself: it would say it to nobody */
        print("FAIL fuzz: exception %lu error %#lx at %#lx rsp %#lx cr2 %#lx\n", r->vector, r->error, r->rip, r->rsp,
              my_info()->arch.cr2);
        power_off();
    }
    f->share->traps[f->vcpu]++;
    r->rbx = f->jump[0];
    r->rbp = f->jump[1];
    r->r12 = f->jump[2];
    r->r13 = f->jump[3];
    r->r14 = f->jump[4];
    r->r15 = f->jump[5];
    r->rsp = f->jump[6];
    r->rip = f->jump[7];
    r->rax = 1;
    r->cs = FLAT_KERNEL_CS & ~3UL;         /* as frames name the kernel */
    r->ss = FLAT_KERNEL_SS;
    r->rflags = 2;                          /* upcalls masked: vCPU 1 cannot take any */
}

void fuzzer_init(struct fuzzer *f, unsigned vcpu, bool dom0, struct share *share)
{
    memset(f, 0, sizeof(*f));
    f->vcpu = vcpu;
    f->dom0 = dom0;
    f->share = share;
    f->args = arguments[vcpu];
    if (vcpu == 1)
        vcpu1_at = (u64)__builtin_frame_address(0);
    map_mfn(arguments[vcpu][4], virt_to_mfn_of(arguments[vcpu][4]), PG_RO);
    f->random = share->seed * 0x9e3779b97f4a7c15UL + vcpu * 0xbf58476d1ce4e5b9UL + 1;
    for (unsigned i = 0; i < 8; i++) {
        next_random(f);
    }
    trap_hook = on_trap;
}

void fuzz(struct fuzzer *f, u32 n)
{
    volatile u32 step = 0;
    way_back(f->jump);
    f->inside = true;
    if (f->vcpu == 0)
        events_off();
    while (step < n) {
        step = step + 1;
        if (step % 1024 == 0)
            home_rebuild(f);
        else if (step % 256 == 0)
            home_mend(f);
        if (below(f, 8) == 0)
            one_act(f);
        else
            one_call(f);
    }
    f->inside = false;
}
