/* SPDX-License-Identifier: MIT */
/*
 * RAM before the frame allocator: the firmware's RAM without the first MiB, the
 * image and the loader's modules. Taken from the top, so that low memory stays for
 * those who need it. Start-up only, one CPU, no lock.
 */
#include "lib.h"
#include "x86/boot.h"
#include "x86/machine.h"

#define LOW_END MIB(1)
#define RAM_END (DIRECT_MAP_END - DIRECT_MAP)

static struct boot_range ranges[E820_MAX + 64];
static unsigned nr_ranges;

bool boot_ram_range(unsigned i, struct boot_range *r)
{
    for (unsigned k = 0; k < boot_info.nr_e820; k++) {
        const struct e820_range *e = &boot_info.e820[k];
        r->start = ROUND_UP(e->start, PAGE_SIZE);
        r->end = MIN(ROUND_DOWN(e->start + e->len, PAGE_SIZE), RAM_END);
        if (e->type == 1 && r->start < r->end && i-- == 0)
            return true;
    }
    return false;
}

static void add(paddr_t start, paddr_t end)
{
    if (start >= end)
        return;
    if (nr_ranges == ARRAY_SIZE(ranges)) {
        printk(LOG_WARN, "memory: too many ranges, %#lx-%#lx stays unused\n", start, end);
        return;
    }
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
    struct boot_range r;
    for (unsigned i = 0; boot_ram_range(i, &r); i++)
        add(MAX(r.start, LOW_END), r.end);
    reserve(IMAGE_PHYS, image_to_phys(image_end));
    for (unsigned i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.module[i];
        reserve(m->start, m->start + m->len);
    }
}

paddr_t boot_mem_alloc(u64 size, u64 align, paddr_t limit)
{
    unsigned best = nr_ranges;
    paddr_t at = 0;
    for (unsigned i = 0; i < nr_ranges; i++) {
        paddr_t end = limit ? MIN(ranges[i].end, limit) : ranges[i].end;
        if (end < size)
            continue;
        paddr_t p = ROUND_DOWN(end - size, align);
        if (p >= ranges[i].start && p > at) {
            best = i;
            at = p;
        }
    }
    if (best == nr_ranges)
        panic("not enough memory to start: %lu KiB wanted", size >> 10);
    add(at + size, ranges[best].end);
    ranges[best].end = at;
    return at;
}

const struct boot_range *boot_mem_range(unsigned i)
{
    return i < nr_ranges ? &ranges[i] : NULL;
}
