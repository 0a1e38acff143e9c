/* SPDX-License-Identifier: MIT */
/*
 * RAM before the frame allocator: the firmware's RAM without the first MiB, the
 * image and the loader's modules. Taken from the top, so that low memory stays for
 * those who need it. Start-up only, one CPU, no lock.
 */
#include "x86/boot.h"
#include "x86/machine.h"


paddr_t boot_mem_limit = GIB(4);            /* what the early tables reach */

static struct boot_range ranges[E820_MAX + 64];
static unsigned nr_ranges;

bool boot_next_ram(struct boot_range *r)
{
    const struct e820_range *e = boot_info.e820, *end = e + boot_info.nr_e820;
    for (paddr_t from = r->end; e < end; e++) {
        r->start = ROUND_UP(e->start, PAGE_SIZE);
        r->end = MIN(ROUND_DOWN(e->start + e->len, PAGE_SIZE), DIRECT_MAP_END - DIRECT_MAP);
        if (e->type == 1 && r->start >= from && r->start < r->end)
            return true;
    }
    return false;
}

static void add(paddr_t start, paddr_t end)
{
    if (start >= end)
        return;
    if (nr_ranges == ARRAY_SIZE(ranges))
        printk(LOG_WARN, "memory: too many ranges, %#lx-%#lx stays unused\n", start, end);
    else
        ranges[nr_ranges++] = (struct boot_range){ start, end };
}

/* Takes [start, end) out of what is free. */
static void reserve(paddr_t start, paddr_t end)
{
    start = ROUND_DOWN(start, PAGE_SIZE);
    end = ROUND_UP(end, PAGE_SIZE);
    for (unsigned i = 0, n = nr_ranges; i < n; i++) {
        struct boot_range r = ranges[i];
        if (start < r.end && end > r.start) {
            ranges[i].end = MAX(start, r.start);    /* may become empty */
            add(end, r.end);
        }
    }
}

void boot_mem_init(void)
{
    for_each_ram (r)
        add(MAX(r.start, MIB(1)), r.end);
    reserve(IMAGE_PHYS, image_to_phys(image_end));
    for (struct boot_module *m = boot_info.module; m < boot_info.module + boot_info.nr_modules; m++)
        reserve(m->start, m->start + m->len);
}

/* From the highest range that fits; align is a power of two. */
static paddr_t take(u64 size, u64 align)
{
    struct boot_range *best = NULL;
    paddr_t at = 0;
    for (struct boot_range *r = ranges; r < ranges + nr_ranges; r++) {
        paddr_t end = MIN(r->end, boot_mem_limit);
        paddr_t p = end < size ? 0 : ROUND_DOWN(end - size, align);
        if (p >= r->start && p > at) {
            best = r;
            at = p;
        }
    }
    if (!best)
        panic("not enough memory to start: %lu KiB wanted", size >> 10);
    add(at + size, best->end);
    best->end = at;
    return at;
}

void *boot_mem_filled(u64 size, int fill)
{
    return memset(phys_to_virt(take(size, MIN(size & -size, MIB(2)))), fill, size);
}

void heap_init(void)
{
    for (unsigned i = 0; i < nr_ranges; i++)
        heap_add(ranges[i].start >> PAGE_SHIFT, ranges[i].end >> PAGE_SHIFT);
}
