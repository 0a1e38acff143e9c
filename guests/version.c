/* SPDX-License-Identifier: MIT */
/* xen_version, unknown hypercalls, multicall, vm_assist, the hypercall page, start_info. */
#include "tiny.h"

TEST(start_info)
{
    CHECK(strncmp(start_info->magic, "xen-3.0-x86_64", 14) == 0);
    CHECK((start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) == (SIF_PRIVILEGED | SIF_INITDOMAIN));
    CHECK((start_info->pt_base & 0xfff) == 0 && start_info->nr_pt_frames > 3);
    CHECK((start_info->shared_info & 0xfff) == 0);
    CHECK_EQ(start_info->mod_len, 0);
    u64 rsp = *(u64 *)boot_rsp;
    CHECK_EQ(rsp, start_info->pt_base + (start_info->nr_pt_frames + 1) * PAGE_SIZE);
    /* Both directions agree, for all of it. */
    unsigned bad = 0;
    for (u64 pfn = 0; pfn < start_info->nr_pages; pfn++) {
        bad += ((u64 *)MACH2PHYS_VIRT_START)[P2M[pfn]] != pfn;
    }
    CHECK_EQ(bad, 0);
    CHECK(shared->vcpu_info[0].evtchn_upcall_mask == 1 && shared->vcpu_info[31].evtchn_upcall_mask == 1);
    CHECK(shared->wc_sec != 0);
}

TEST(version_numbers)
{
    CHECK_EQ(HC(xen_version, XENVER_version, 0), 0x40011);
    CHECK_EQ(HC(xen_version, XENVER_pagesize, 0), 4096);
    char extra[16], caps[1024];
    CHECK_EQ(HC(xen_version, XENVER_extraversion, extra), 0);
    CHECK(strnlen(extra, 16) < 16);
    CHECK_EQ(HC(xen_version, XENVER_capabilities, caps), 0);
    CHECK(strstr(caps, "xen-3.0-x86_64") != NULL);
    struct xen_platform_parameters p;
    CHECK_EQ(HC(xen_version, XENVER_platform_parameters, &p), 0);
    CHECK_EQ(p.virt_start, 0xffff800000000000);
    u8 handle[16];
    CHECK_EQ(HC(xen_version, XENVER_guest_handle, handle), 0);
    char changeset[64];
    CHECK_EQ(HC(xen_version, XENVER_changeset, changeset), 0);
    static char cmdline[1024];
    CHECK_EQ(HC(xen_version, XENVER_commandline, cmdline), 0);
}

TEST(features)
{
    struct xen_feature_info f = { .submap_idx = 0 };
    CHECK_EQ(HC(xen_version, XENVER_get_features, &f), 0);
    u32 want = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_gnttab_map_avail_bits |
               1u << XENFEAT_dom0;
    u32 never = 1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap |
                1u << XENFEAT_hvm_callback_vector;
    CHECK_EQ(f.submap & want, want);
    CHECK_EQ(f.submap & never, 0);
    f.submap_idx = XENFEAT_NR_SUBMAPS;
    CHECK_EQ(HC(xen_version, XENVER_get_features, &f), -EINVAL);
    f.submap_idx = ~0u;
    CHECK_EQ(HC(xen_version, XENVER_get_features, &f), -EINVAL);
}

TEST(version_hostile)
{
    static const u64 bad[] = BAD_ADDRESSES;
    CHECK_EQ(HC(xen_version, 99, 0), -ENOSYS);
    CHECK_EQ(HC(xen_version, ~0UL, 0), -ENOSYS);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(HC(xen_version, XENVER_extraversion, bad[i]), -EFAULT);
        CHECK_EQ(HC(xen_version, XENVER_capabilities, bad[i]), -EFAULT);
        CHECK_EQ(HC(xen_version, XENVER_get_features, bad[i]), -EFAULT);
    }
}

TEST(unknown_hypercalls)
{
    static const u64 unknown[] = { 11, 38, 43, 47, 56, 63, 64, 127, 1000, 0xffffffffUL, 1UL << 32, ~0UL };
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        long rc;
        __asm__ volatile("syscall" : "=a"(rc) : "a"(unknown[i]) : "rcx", "r11", "memory");
        if (unknown[i] != 1UL << 32) {      /* may be taken as its low half */
            CHECK_EQ(rc, -ENOSYS);
        }
    }
    CHECK_EQ(HC(xsm_op, 0), -ENOSYS);
    CHECK_EQ(HC(sched_op_compat, 99, 0), -ENOSYS);
}

TEST(registers_survive)
{
    u64 rbx = 0x1111, r12 = 0x2222, rdi = XENVER_version, rsi = 0;
    register u64 r15 __asm__("r15") = 0x3333;
    long rc;
    __asm__ volatile("syscall" : "=a"(rc), "+b"(rbx), "+D"(rdi), "+S"(rsi), "+r"(r12), "+r"(r15)
                     : "a"((u64)__HYPERVISOR_xen_version) : "rcx", "r11", "rdx", "r8", "r9", "r10", "memory");
    CHECK(rbx == 0x1111 && r12 == 0x2222 && r15 == 0x3333);
    CHECK_EQ(rc, 0x40011);
}

TEST(hypercall_page_works)
{
    long rc;
    __asm__ volatile("call *%[f]" : "=a"(rc) : [f] "r"(hypercall_page + __HYPERVISOR_xen_version * 32),
                     "D"((u64)XENVER_version), "S"(0UL) : "rcx", "r11", "rdx", "r8", "r9", "r10", "memory");
    CHECK_EQ(rc, 0x40011);
}

TEST(multicall)
{
    struct multicall_entry m[5];
    memset(m, 0x5a, sizeof(m));
    m[0].op = __HYPERVISOR_xen_version;
    m[0].args[0] = XENVER_version;
    m[1].op = 63;
    m[2].op = __HYPERVISOR_xen_version;
    m[2].args[0] = XENVER_pagesize;
    m[2].args[1] = 0;
    m[3].op = __HYPERVISOR_multicall;
    m[3].args[0] = (u64)m;
    m[3].args[1] = 1;
    CHECK_EQ(HC(multicall, m, 4), 0);
    CHECK_EQ(m[0].result, 0x40011);
    CHECK_EQ(m[1].result, -ENOSYS);
    CHECK_EQ(m[2].result, 4096);
    CHECK_EQ(m[4].op, 0x5a5a5a5a5a5a5a5aUL);
    CHECK_EQ(HC(multicall, m, 0), 0);
}

TEST(multicall_hostile)
{
    static const u64 bad[] = BAD_ADDRESSES;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK(HC(multicall, bad[i], 1) < 0);
        CHECK(HC(multicall, bad[i], 1000000) < 0);
    }
    /* The list runs out of mapped memory after the first entry. */
    struct multicall_entry *last = (struct multicall_entry *)((char *)alloc_page() + PAGE_SIZE) - 1;
    void *behind = alloc_page();
    CHECK_EQ(HC(update_va_mapping, behind, 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    last->op = __HYPERVISOR_xen_version;
    last->args[0] = XENVER_version;
    CHECK_EQ(HC(multicall, last, 2), -EFAULT);
    CHECK_EQ(last->result, 0x40011);
    CHECK_EQ(HC(update_va_mapping, behind, P2M[virt_to_pfn(behind)] << 12 | PG_DATA, UVMF_INVLPG), 0);
}

TEST(vm_assist)
{
    CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    struct xen_feature_info f = { .submap_idx = 0 };
    CHECK_EQ(HC(xen_version, XENVER_get_features, &f), 0);
    CHECK(f.submap & (1u << XENFEAT_pae_pgdir_above_4gb));
    CHECK_EQ(HC(vm_assist, VMASST_CMD_disable, VMASST_TYPE_pae_extended_cr3), 0);
    CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, 99), -EINVAL);
    CHECK_EQ(HC(vm_assist, VMASST_CMD_enable, ~0UL), -EINVAL);
    CHECK(HC(vm_assist, 7, 0) < 0);
}
