/* SPDX-License-Identifier: MIT */
/*
 * What a first domain finds at its start, by what its command line says that it was given
 * (tests/guest/boot): "initrd" (bytes that count up), "p2m" (a list of its own place,
 * LIST), "pages=N", "vcpus=N".
 */
#include "tiny.h"

#define LIST 0xffffff8000000000UL
#define INITRD_SIZE 70001u

static bool told(const char *word) { return strstr((const char *)start_info->cmd_line, word) != NULL; }

static u64 told_number(const char *word)
{
    const char *s = strstr((const char *)start_info->cmd_line, word), *end;
    return s ? parse_size(s + strlen(word), &end) : 0;
}

TEST(frames)
{
    unsigned bad = 0;
    for (u64 pfn = 0; pfn < start_info->nr_pages; pfn++) {
        bad += ((u64 *)MACH2PHYS_VIRT_START)[P2M[pfn]] != pfn;
    }
    CHECK_EQ(bad, 0);
    if (told("pages=")) {
        CHECK_EQ(start_info->nr_pages, told_number("pages="));
    }
}

TEST(list)
{
    if (told("p2m")) {
        CHECK_EQ(start_info->mfn_list, LIST);
        CHECK(start_info->first_p2m_pfn != 0);
        CHECK(start_info->nr_p2m_frames >= start_info->nr_pages / 512 + 3);
    } else {
        CHECK(on_xen() || start_info->first_p2m_pfn == 0);
        CHECK(start_info->mfn_list > VIRT_START && start_info->mfn_list < start_info->pt_base);
    }
}

TEST(initrd)
{
    if (!told("initrd")) {
        CHECK_EQ(start_info->mod_len, 0);
        return;
    }
    bool by_frames = start_info->flags & SIF_MOD_START_PFN;
    unsigned bad = 0;
    CHECK_EQ(by_frames, told("p2m"));
    CHECK_EQ(start_info->mod_len, INITRD_SIZE);
    u8 *window = alloc_page();
    for (u32 i = 0; i < INITRD_SIZE; i++) {
        if (by_frames && i % PAGE_SIZE == 0) {
            CHECK_EQ(map_mfn(window, P2M[start_info->mod_start + i / PAGE_SIZE], PG_RO), 0);
        }
        bad += (by_frames ? window[i % PAGE_SIZE] : ((u8 *)start_info->mod_start)[i]) != (u8)(i * 7 + i / 256);
    }
    CHECK_EQ(bad, 0);
}

TEST(vcpus)
{
    u32 up = 0;
    while (HC(vcpu_op, VCPUOP_is_up, up, 0) >= 0) {
        up++;
    }
    if (told("vcpus=")) {
        CHECK_EQ(up, told_number("vcpus="));
    }
    CHECK(up >= 1);
}

TEST(leftovers_are_zero)
{
    /* Behind the boot stack, up to the end of what is mapped, and the stack itself. */
    u64 stack = start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE;
    CHECK_EQ(*(u64 *)boot_rsp, stack + PAGE_SIZE);
    for (u64 *p = (u64 *)stack; p < (u64 *)(stack + PAGE_SIZE - 512); p++) {
        if (*p) {
            CHECK_EQ(*p, 0);
            break;
        }
    }
}
