/* SPDX-License-Identifier: MIT */
/* Exceptions, user mode, emulated instructions, segments, descriptors, debug registers. */
#include "record.h"
#include "tiny.h"

TEST(exceptions)
{
    TRAPS("ud2");
    CHECK_EQ(seen.vector, 6);
    CHECK_EQ(seen.cs & 3, 0);           /* 0: the guest's kernel, as its frames tell it */
    TRAPS("xor %%eax, %%eax; xor %%edx, %%edx; div %%eax", "i"(0));
    CHECK_EQ(seen.vector, 0);
    TRAPS("movq (%1), %%rax", "r"(0x1000UL));
    CHECK_EQ(seen.vector, 14);
    CHECK_EQ(seen.cr2, 0x1000);
    TRAPS("movq (%1), %%rax", "r"(0x8000000000000000UL));
    CHECK_EQ(seen.vector, 13);
    TRAPS("int3");
    CHECK_EQ(seen.vector, 3);
    TRAPS("int $0x80");
    CHECK_EQ(seen.vector, 0x80);
    TRAPS("int $0x81");
    CHECK_EQ(seen.vector, 13);
    CHECK(seen.error == 0x81 * 8 + 2 || seen.error == 0x81 * 16 + 2);   /* QEMU 7.2 errs */
}

TEST(hypervisor_memory)
{
    static const u64 bad[] = { 0xffff808000000000, 0xffff810000000000, 0xffff820000000000, 0xffff828000000000,
                               0xffff830000000000, 0xffff87fffffff000 };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        TRAPS("movq (%1), %%rax", "r"(bad[i]));
        CHECK_EQ(seen.vector, 14);
        TRAPS("movq %%rax, (%1)", "r"(bad[i]));
        CHECK_EQ(seen.vector, 14);
    }
    TRAPS("movq (%1), %%rax", "r"(MACH2PHYS_VIRT_START));
    CHECK_EQ(seen.vector, -1);
    TRAPS("movq %%rax, (%1)", "r"(MACH2PHYS_VIRT_START));
    CHECK_EQ(seen.vector, 14);
}

TEST(privileged_instructions)
{
    if (on_xen()) {                     /* Bulkhead blocks, as after SCHEDOP_block */
        TRAPS("hlt");
        CHECK_EQ(seen.vector, 13);
    }
    TRAPS("lidt (%1)", "r"(start_info));
    CHECK_EQ(seen.vector, 13);
    TRAPS("mov %%rax, %%cr8");
    CHECK_EQ(seen.vector, 13);
    u64 cr0, cr3, cr4;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    CHECK(cr0 & 1);
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    CHECK_EQ(cr3 >> 12, virt_to_mfn_of((void *)start_info->pt_base));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    CHECK(cr4 & 0x20);
    __asm__ volatile("clts");
    u32 a, d;
    __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080));
    CHECK((a & 0x500) == 0x500);
    TRAPS("mov $0x12345678, %%ecx; rdmsr");
    CHECK_EQ(seen.vector, 13);
    TRAPS("mov $0xc0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr");
    CHECK(seen.vector == 13 || seen.vector == -1);
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
}

TEST(cpuid)
{
    u32 a = 1, b, c = 0, d;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    CHECK(d & (1u << 25));              /* SSE */
    a = 0x40000000;
    c = 0;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    CHECK_EQ(b, 0x566e6558);            /* "XenVMMXenVMM" */
    CHECK_EQ(c, 0x65584d4d);
    CHECK_EQ(d, 0x4d4d566e);
    CHECK(a >= 0x40000002 && a < 0x40000100);
    a = 0x40000001;
    c = 0;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    CHECK_EQ(a, 0x40011);
}

TEST(ports)
{
    struct physdev_set_iopl iopl = { 1 };
    CHECK_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    iopl.iopl = 4;
    CHECK(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl) < 0);
    u8 v;
    __asm__ volatile("outb %%al, $0x70" :: "a"(0));
    __asm__ volatile("inb $0x71, %0" : "=a"(v));
    CHECK((v & 0xf) <= 9);              /* seconds, BCD */
    u32 id;
    __asm__ volatile("outl %0, %1" :: "a"(0x80000000u), "Nd"((u16)0xcf8));
    __asm__ volatile("inl %1, %0" : "=a"(id) : "Nd"((u16)0xcfc));
    CHECK(id != 0 && id != ~0u);        /* the host bridge */
    /* Bulkhead's own serial port is out of reach. */
    u8 lsr;
    __asm__ volatile("inb %1, %0" : "=a"(lsr) : "Nd"((u16)0x3fd));
    CHECK_EQ(lsr, 0xff);
}

/* --- user mode --- */
static u64 user_l4_mfn;
static volatile u64 user_vector, user_cs, user_error, user_cr2;

static void from_user(struct trap_regs *r)
{
    user_vector = r->vector;
    user_cs = r->cs;
    user_error = r->error;
    user_cr2 = my_info()->arch.cr2;
    leave_user();
}

/* Maps n copies of the kernel's low tables for user mode: same tables, another top. */
static void make_user_l4(void)
{
    u64 *l4 = alloc_page(), *old = (u64 *)start_info->pt_base;
    for (unsigned i = 0; i < 512; i++) {
        l4[i] = i >= 256 && i < 272 ? 0 : old[i];
    }
    map_mfn(l4, virt_to_mfn_of(l4), PG_RO);
    struct mmuext_op op = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = virt_to_mfn_of(l4) };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    op.cmd = MMUEXT_NEW_USER_BASEPTR;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    user_l4_mfn = virt_to_mfn_of(l4);
}

extern char user_syscall[], user_ud[], user_read_m2p[], user_int80[], user_cli[];
__asm__(".pushsection .text\n"
        "user_syscall: mov $0x1234, %eax; syscall\n"
        "user_ud: ud2\n"
        "user_read_m2p: mov $0xffff800000000000, %rax; mov (%rax), %rax; ud2\n"
        "user_int80: int $0x80\n"
        "user_cli: cli; ud2\n"
        ".popsection\n");

TEST(user_mode)
{
    make_user_l4();
    u8 *stack = alloc_page();
    struct xen_dummy { void *at; u64 vector; } cases[] = {
        { user_syscall, 0x102 }, { user_ud, 6 }, { user_int80, 0x80 }, { user_cli, 13 },
    };
    struct mmuext_op none = { .cmd = 99 };
    (void)none;
    trap_hook = from_user;
    /* The kernel stack that exceptions from user mode use. */
    u64 *kstack = alloc_page();
    CHECK_EQ(HC(stack_switch, FLAT_KERNEL_SS, (u64)kstack + 4096), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        user_vector = 0xdead;
        enter_user((u64)cases[i].at, (u64)stack + 4096);
        CHECK_EQ(user_vector, cases[i].vector);
        record_result(__HYPERVISOR_iret, -1, user_vector == cases[i].vector ? 0 : -EINVAL);
        /* Kernel and user both run in ring 3; which it was is told by the selector. */
        CHECK_EQ(user_cs & 3, 3);
    }
    enter_user((u64)user_read_m2p, (u64)stack + 4096);
    if (!on_xen()) {
        CHECK_EQ(user_vector, 14);      /* the M2P table is not for user mode */
    }
    trap_hook = NULL;
    struct mmuext_op op = { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = 0 };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    op.cmd = MMUEXT_UNPIN_TABLE;
    op.arg1.mfn = user_l4_mfn;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
}

TEST(segment_bases)
{
    u64 v = 0;
    static u64 cell = 0x4242;
    CHECK_EQ(HC(set_segment_base, SEGBASE_FS, (u64)&cell), 0);
    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    CHECK_EQ(v, 0x4242);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_KERNEL, (u64)&cell), 0);
    __asm__ volatile("mov %%gs:0, %0" : "=r"(v));
    CHECK_EQ(v, 0x4242);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_USER, 0x1234000), 0);
    CHECK(HC(set_segment_base, SEGBASE_FS, 0x0000800000000000) < 0);
    CHECK(HC(set_segment_base, SEGBASE_GS_KERNEL, 1UL << 63) < 0);
    CHECK(HC(set_segment_base, 77, 0) < 0);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
    HC(set_segment_base, SEGBASE_GS_USER_SEL, 0xfff8);
    CHECK_EQ(HC(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
    CHECK_EQ(HC(set_segment_base, SEGBASE_FS, 0), 0);
}

TEST(descriptor_tables)
{
    u64 *gdt = alloc_page(), *ldt = alloc_page();
    gdt[3] = 0x00cff3000000ffff;        /* data, ring 3 */
    unsigned long frames[1] = { virt_to_mfn_of(gdt) };
    CHECK(HC(set_gdt, frames, 512) < 0);                /* still mapped writable */
    CHECK_EQ(map_mfn(gdt, virt_to_mfn_of(gdt), PG_RO), 0);
    CHECK_EQ(HC(set_gdt, frames, 512), 0);
    u16 sel = 3 * 8 + 3, got;
    __asm__ volatile("mov %1, %%es; mov %%es, %0" : "=r"(got) : "r"(sel));
    CHECK_EQ(got, sel);
    __asm__ volatile("mov %0, %%es" :: "r"(0));
    CHECK_EQ(HC(update_descriptor, (frames[0] << 12) + 4 * 8, 0x00cff3000000ffff), 0);
    CHECK_EQ(gdt[4], 0x00cff3000000ffff);
    /* A call gate to ring 0 and a ring-0 code segment are made harmless or refused. */
    HC(update_descriptor, (frames[0] << 12) + 5 * 8, 0x00008c0000080000);
    CHECK(gdt[5] == 0 || (gdt[5] >> 16 & 3) == 3);
    HC(update_descriptor, (frames[0] << 12) + 6 * 8, 0x00af9b000000ffff);
    CHECK(gdt[6] == 0 || (gdt[6] >> 45 & 3) != 0);
    CHECK(HC(update_descriptor, 0x200000, 0) < 0);
    CHECK(HC(update_descriptor, 1UL << 50, 0) < 0);
    CHECK(HC(update_descriptor, (frames[0] << 12) + 3, 0) < 0);
    CHECK(HC(set_gdt, 0x1000UL, 512) < 0);
    CHECK(HC(set_gdt, frames, ~0UL) < 0);
    CHECK(HC(set_gdt, frames, 8192) < 0);               /* Bulkhead's own entries */
    unsigned long bad[1] = { 1UL << 40 };
    CHECK(HC(set_gdt, bad, 512) < 0);
    ldt[1] = 0x00cff3000000ffff;
    CHECK_EQ(map_mfn(ldt, virt_to_mfn_of(ldt), PG_RO), 0);
    struct mmuext_op op = { .cmd = MMUEXT_SET_LDT, .arg1.linear_addr = (u64)ldt, .arg2.nr_ents = 512 };
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    sel = 1 * 8 + 4 + 3;
    __asm__ volatile("mov %1, %%es; mov %%es, %0" : "=r"(got) : "r"(sel));
    CHECK_EQ(got, sel);
    __asm__ volatile("mov %0, %%es" :: "r"(0));
    op.arg2.nr_ents = 0;
    CHECK_EQ(HC(mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    op.arg2.nr_ents = 9000;
    CHECK(HC(mmuext_op, &op, 1, 0, DOMID_SELF) < 0);
    CHECK_EQ(HC(set_gdt, frames, 0), 0);
    CHECK_EQ(map_mfn(ldt, virt_to_mfn_of(ldt), PG_DATA), 0);
    CHECK_EQ(map_mfn(gdt, virt_to_mfn_of(gdt), PG_DATA), 0);
}

TEST(debug_registers)
{
    CHECK_EQ(HC(set_debugreg, 0, 0x1000), 0);
    CHECK_EQ(HC(get_debugreg, 0), 0x1000);
    CHECK_EQ(HC(set_debugreg, 0, 0), 0);
    CHECK(HC(set_debugreg, 1, 0xffff830000000000) < 0);     /* not on Bulkhead */
    CHECK(HC(set_debugreg, 9, 0) < 0);
    CHECK(HC(get_debugreg, 99) < 0);
    CHECK_EQ(HC(set_debugreg, 7, 0), 0);
    /* A watch on data of ours fires. */
    static volatile u64 cell;
    CHECK_EQ(HC(set_debugreg, 0, (u64)&cell), 0);
    CHECK_EQ(HC(set_debugreg, 7, 0x90101 | 1), 0);          /* write, 4 or 8 bytes */
    TRAPS("movq $1, (%1)", "r"(&cell));
    CHECK_EQ(seen.vector, 1);
    CHECK_EQ(HC(set_debugreg, 7, 0), 0);
}

TEST(fpu)
{
    u64 out = 0;
    __asm__ volatile("movq %1, %%xmm3; movq %%xmm3, %0" : "=r"(out) : "r"(0x123456789abcdefUL));
    CHECK_EQ(out, 0x123456789abcdef);
    CHECK_EQ(HC(fpu_taskswitch, 1), 0);
    TRAPS("movq %%xmm3, %%rax");
    CHECK_EQ(seen.vector, 7);
    CHECK_EQ(HC(fpu_taskswitch, 0), 0);
    HC(sched_op, SCHEDOP_yield, 0);
    __asm__ volatile("movq %%xmm3, %0" : "=r"(out));
    CHECK_EQ(out, 0x123456789abcdef);
}

TEST(callbacks_hostile)
{
    static const u64 bad[] = BAD_ADDRESSES;
    struct callback_register r = { 99, 0, 0x1000 };
    CHECK(HC(callback_op, CALLBACKOP_register, &r) < 0);
    r.type = CALLBACKTYPE_event;
    r.address = 0x0000800000000000;
    CHECK(HC(callback_op, CALLBACKOP_register, &r) < 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(HC(callback_op, CALLBACKOP_register, bad[i]), -EFAULT);
        CHECK_EQ(HC(set_trap_table, bad[i]), -EFAULT);
    }
    CHECK_EQ(HC(callback_op, 99, &r), -ENOSYS);
    struct trap_info t[2] = { { 200, 3, FLAT_KERNEL_CS, 0x0000800000000000 }, { 0, 0, 0, 0 } };
    CHECK(HC(set_trap_table, t) < 0);
    CHECK(HC(stack_switch, FLAT_KERNEL_SS, 0x0000800000000000) <= 0);
}
