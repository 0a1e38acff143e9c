/* SPDX-License-Identifier: MIT */
/*
 * The first domain, built from the boot loader's modules: a PV kernel (module 0, its
 * command line behind the file's name) and an initrd (module 1, optional). What the
 * kernel finds at its start is the ABI's "Start-of-day memory layout" (xen/xen.h) and
 * what its ELF notes ask for (xen/elfnote.h).
 *
 * Memory comes first, in a few large chunks whose contents are not cleared; the kernel
 * is unpacked into their far end and copied to its place from there. Tables, p2m list
 * and start_info are written through the direct map; then the tables are validated
 * like any that a guest pins. Boot CPU only, the domain does not run: no locks.
 * A bad image stops the machine with one line that says what is wrong.
 */
#include "elf.h"
#include "options.h"
#include "sched.h"
#include "unpack.h"
#include "x86/machine.h"
#include "x86/pv.h"
#include <xen/elfnote.h>
#include <xen/features.h>

static char opt_mem[64];
OPTION_STR(opt_mem, "dom0_mem", "dom0's memory: SIZE, min:SIZE, max:SIZE; -SIZE: all but that");
static u32 opt_vcpus;
OPTION_INT(opt_vcpus, "dom0_max_vcpus", "dom0's vCPUs; default: as many as CPUs");
static bool opt_pin;
OPTION_BOOL(opt_pin, "dom0_vcpus_pin", "each of dom0's vCPUs stays on its own CPU");

#define MAX_CHUNKS    256
#define CHUNK_ORDER   18            /* largest: 1 GiB */
#define MIN_PAGES     (MIB(16) >> PAGE_SHIFT)
#define KERNEL_MAX    GIB(1)
#define PTE_GUEST_RW  (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

/* Frames that follow each other both ways. */
static struct chunk { u64 pfn, mfn, nr; } chunks[MAX_CHUNKS];

/* A supply of frames for page tables. */
struct pool { u64 next, end; };

static struct {
    struct domain *d;
    unsigned nr_chunks;
    u64 nr_pages, initrd_len;
    struct elf_image elf;
    struct xen_elf_notes notes;
    u64 buffer_pfn;                 /* the unpacked kernel lies here and above */
    /* The layout: virtual addresses, [v_start, v_end) maps the frames from 0 on. */
    u64 v_start, v_end, kernel, kernel_end, initrd_va, p2m, start_info, tables, stack, nr_tables;
    u64 initrd_pfn, p2m_pfn;        /* first frame of each */
    u64 p2m_frames, p2m_tables;     /* of the list, of the tables that map it elsewhere */
    u64 end_pfn;                    /* behind everything */
    pte_t *l4;
} b;

/* why: what is wrong with the kernel; NULL: nothing. */
static void refuse_if(const char *why)
{
    if (why)
        panic("dom0: the kernel cannot be used: %s. Check the module lines of the boot loader.",
              why);
}

/* --- memory ------------------------------------------------------------------- */

/* A size with or without unit; KiB without, as Xen has it. */
static u64 read_size(const char **s)
{
    const char *start = *s;
    u64 v = parse_size(start, s);
    bool unit = *s > start && ((*s)[-1] | 0x20) >= 'g';
    return unit ? v : MIN(v, ~0UL >> 10) << 10;
}

/* How many pages dom0 gets of `avail`; *max is its limit. */
static u64 memory_wanted(u64 avail, u64 *max)
{
    u64 modules = 0, size = 0, min = 0, less = ~0UL;
    for (unsigned i = 0; i < boot_info.nr_modules; i++)
        modules += boot_info.module[i].len >> PAGE_SHIFT;
    *max = 0xffffffff;
    for (const char *s = opt_mem; *s; s += *s == ',') {
        u64 *to = *s == '-' ? &less : strncmp(s, "min:", 4) == 0 ? &min
                : strncmp(s, "max:", 4) == 0 ? max : &size;
        s += to == &less ? 1 : to == &size ? 0 : 4;
        const char *before = s;
        *to = read_size(&s) >> PAGE_SHIFT;
        if (s == before || (*s && *s != ',')) {
            printk(LOG_WARN, "dom0: dom0_mem=%s: \"%s\" is not understood\n", opt_mem, before);
            break;
        }
    }
    /* Kept back for Bulkhead by default; the modules' memory will be free, too. */
    u64 keep = MIN(avail / 16, MIB(128) >> PAGE_SHIFT);
    keep = MAX(keep - MIN(keep, modules), MIB(4) >> PAGE_SHIFT);
    u64 most = avail - MIN(avail, keep);
    // cppcheck-suppress knownConditionTrueFalse ; *to may be it
    if (less != ~0UL)
        size = avail - MIN(avail, less);
    u64 want = MIN(MAX(size ? size : most, min), *max);
    if (want > most)
        printk(LOG_WARN, "dom0: %lu MiB asked for, %lu MiB given\n", want >> 8, most >> 8);
    return MIN(want, most);
}

/* nr_pages frames in chunks as large as there are. */
static void populate(u64 want)
{
    unsigned order = CHUNK_ORDER;
    u64 pfn = 0;
    while (pfn < want) {
        order = MIN(order, fls64(want - pfn));
        struct page *pg = alloc_hv_pages(order, MEMF_UNOWNED);
        if (!pg && order-- > 0)
            continue;
        if (!pg)
            break;
        BUG_ON(assign_pages(b.d, pg, order, false));
        u64 mfn = page_to_mfn(pg);
        struct chunk *last = b.nr_chunks ? &chunks[b.nr_chunks - 1] : NULL;
        if (last && last->mfn + last->nr == mfn) {
            last->nr += 1UL << order;
        } else if (b.nr_chunks < MAX_CHUNKS) {
            chunks[b.nr_chunks++] = (struct chunk){ pfn, mfn, 1UL << order };
        } else {
            /* Scattered beyond sense: what dom0 does not know of it gets back. */
            for (u64 i = 0; i < 1UL << order; i++)
                domain_free_page(b.d, pg + i);
            break;
        }
        pfn += 1UL << order;
    }
    b.nr_pages = pfn;
    if (pfn < MIN_PAGES)
        panic("dom0: only %lu KiB of memory: too little (dom0_mem=%s)", pfn << 2, opt_mem);
}

static const struct chunk *chunk_of(u64 pfn)
{
    static const struct chunk *last = chunks;
    if (pfn - last->pfn >= last->nr) {
        for (last = chunks; pfn - last->pfn >= last->nr; last++)
            BUG_ON(last + 1 == chunks + b.nr_chunks);
    }
    return last;
}

static mfn_t pfn_to_mfn(u64 pfn)
{
    const struct chunk *c = chunk_of(pfn);
    return c->mfn + (pfn - c->pfn);
}

static void *pfn_to_virt(u64 pfn) { return mfn_to_virt(pfn_to_mfn(pfn)); }
static u64 va_to_pfn(u64 va) { return (va - b.v_start) >> PAGE_SHIFT; }

/* Copies to dom0's memory at pseudo-physical address pa; src NULL: zeros. */
static void put(u64 pa, const void *src, u64 len)
{
    while (len) {
        const struct chunk *c = chunk_of(pa >> PAGE_SHIFT);
        u64 n = MIN(len, ((c->pfn + c->nr) << PAGE_SHIFT) - pa);
        u8 *to = (u8 *)pfn_to_virt(pa >> PAGE_SHIFT) + (pa & ~PAGE_MASK);
        if (src) {
            memcpy(to, src, n);
            src = (const u8 *)src + n;
        } else {
            memset(to, 0, n);
        }
        pa += n;
        len -= n;
    }
}

/* --- the image ---------------------------------------------------------------- */

/* `len` bytes in one piece at the far end of dom0's memory. */
static u8 *take_buffer(u64 len)
{
    u64 pages = len / PAGE_SIZE + 1;
    for (unsigned i = b.nr_chunks; i-- > 0;) {
        if (chunks[i].nr >= pages) {
            b.buffer_pfn = chunks[i].pfn + chunks[i].nr - pages;
            return pfn_to_virt(b.buffer_pfn);
        }
    }
    panic("dom0: the kernel unpacks to %lu MiB, too much for dom0's memory (dom0_mem=%s)",
          len >> 20, opt_mem);
}

static const u8 *module_data(const struct boot_module *m)
{
    return (const u8 *)mfn_to_virt(m->start >> PAGE_SHIFT) + (m->start & ~PAGE_MASK);
}

static void read_kernel(void)
{
    const struct boot_module *m = &boot_info.module[0];
    struct kernel_payload p;
    refuse_if(kernel_find_payload(module_data(m), m->len, &p));
    b.buffer_pfn = b.nr_pages;
    if (p.kind == KERNEL_XZ) {
        u8 *to = take_buffer(p.unpacked_len);
        refuse_if(xz_unpack(p.data, p.len, to, p.unpacked_len, &p.len));
        p.data = to;
    }
    printk(LOG_INFO, "dom0: kernel of %lu KiB, %lu KiB unpacked\n", m->len >> 10, p.len >> 10);
    refuse_if(elf_parse(p.data, p.len, &b.elf));
    refuse_if(elf_xen_notes(&b.elf, &b.notes));
    const struct xen_elf_notes *n = &b.notes;
    if (has_note(n, XEN_ELFNOTE_SUPPORTED_FEATURES) && !(n->features & (1u << XENFEAT_dom0)))
        refuse_if("it is not built to be dom0 (CONFIG_XEN_DOM0)");
    if (b.elf.low < n->paddr_offset || b.elf.high - n->paddr_offset > KERNEL_MAX ||
        (n->virt_base & ~PAGE_MASK))
        refuse_if("its addresses make no sense");
    printk(LOG_INFO, "dom0: %s %s, entry %#lx, virtual base %#lx, features %#x\n", n->guest_os,
           n->guest_version, n->entry, n->virt_base, n->features);
}

/* --- the layout --------------------------------------------------------------- */

/* Page tables of levels 1 to 3 that [start, end) needs. */
static u64 tables_for(u64 start, u64 end)
{
    u64 n = 0;
    for (unsigned shift = 21; shift <= 39; shift += 9)
        n += ((end - 1) >> shift) - (start >> shift) + 1;
    return n;
}

static bool inside_image(u64 va, u64 len)
{
    return va >= b.kernel && va < b.kernel_end && len <= b.kernel_end - va;
}

static void place(void)
{
    const struct xen_elf_notes *n = &b.notes;
    u64 initrd_size = ROUND_UP(b.initrd_len, PAGE_SIZE);
    u64 p2m_size = ROUND_UP(b.nr_pages * sizeof(u64), PAGE_SIZE);
    bool own_p2m = has_note(n, XEN_ELFNOTE_INIT_P2M);

    b.v_start = n->virt_base;
    b.kernel = n->virt_base + b.elf.low - n->paddr_offset;
    b.kernel_end = n->virt_base + b.elf.high - n->paddr_offset;
    u64 at = ROUND_UP(b.kernel_end, PAGE_SIZE);
    if (!n->mod_start_pfn && b.initrd_len) {
        b.initrd_va = at;
        b.initrd_pfn = va_to_pfn(at);
        at += initrd_size;
    }
    b.p2m_frames = p2m_size >> PAGE_SHIFT;
    if (!own_p2m) {
        b.p2m = at;
        b.p2m_pfn = va_to_pfn(at);
        at += p2m_size;
    }
    b.start_info = at;
    b.tables = at + PAGE_SIZE;
    /* What follows takes less than a GiB. */
    if (b.tables <= b.v_start || !guest_range_ok(b.v_start, b.tables - b.v_start + GIB(1)))
        refuse_if("it wants to be at an impossible address");
    do {
        b.nr_tables++;
        b.stack = b.tables + b.nr_tables * PAGE_SIZE;
        b.v_end = ROUND_UP(b.stack + PAGE_SIZE + (512 << 10), MIB(4));
    } while (b.nr_tables < 1 + tables_for(b.v_start, b.v_end));

    b.end_pfn = va_to_pfn(b.v_end);
    if (n->mod_start_pfn && b.initrd_len) {
        b.initrd_pfn = b.end_pfn;
        b.end_pfn += initrd_size >> PAGE_SHIFT;
    }
    if (own_p2m) {
        b.p2m = n->init_p2m;
        b.p2m_pfn = b.end_pfn;
        b.p2m_tables = tables_for(b.p2m, b.p2m + p2m_size);
        b.end_pfn += b.p2m_frames + b.p2m_tables;
        if ((b.p2m & ~PAGE_MASK) || !guest_range_ok(b.p2m, p2m_size) ||
            (b.p2m < b.v_end && b.p2m + p2m_size > b.v_start))
            refuse_if("it wants the p2m list at an impossible address");
    }
    if (!inside_image(n->entry, 1) ||
        (has_note(n, XEN_ELFNOTE_HYPERCALL_PAGE) &&
         ((n->hypercall_page & ~PAGE_MASK) || !inside_image(n->hypercall_page, PAGE_SIZE))))
        refuse_if("its entry point or hypercall page lies outside");
    if (b.end_pfn > b.buffer_pfn) {
        panic("dom0: kernel and initrd need %lu MiB, dom0 has %lu MiB (dom0_mem=%s)",
              (b.end_pfn + b.nr_pages - b.buffer_pfn) >> 8, b.nr_pages >> 8, opt_mem);
    }
}

static void show_layout(void)
{
    printk(LOG_INFO, "dom0: virtual memory arrangement:\n");
    printk(LOG_INFO, " loaded kernel %#lx-%#lx\n", b.kernel, b.kernel_end);
    if (b.initrd_va) {
        printk(LOG_INFO, " initrd        %#lx-%#lx\n", b.initrd_va, b.initrd_va + b.initrd_len);
    } else if (b.initrd_len) {
        printk(LOG_INFO, " initrd        not mapped, frames %#lx-%#lx\n", b.initrd_pfn,
               b.initrd_pfn + (ROUND_UP(b.initrd_len, PAGE_SIZE) >> PAGE_SHIFT));
    }
    printk(LOG_INFO, " p2m list      %#lx-%#lx\n", b.p2m, b.p2m + b.nr_pages * sizeof(u64));
    printk(LOG_INFO, " start info    %#lx\n", b.start_info);
    printk(LOG_INFO, " page tables   %#lx-%#lx\n", b.tables, b.stack);
    printk(LOG_INFO, " boot stack    %#lx-%#lx\n", b.stack, b.stack + PAGE_SIZE);
    printk(LOG_INFO, " whole         %#lx-%#lx\n", b.v_start, b.v_end);
}

/* --- filling it --------------------------------------------------------------- */

static void load_image(void)
{
    for (unsigned i = 0; i < b.elf.nr_segments; i++) {
        const struct elf_segment *s = &b.elf.segment[i];
        u64 pa = s->paddr - b.notes.paddr_offset;
        put(pa, b.elf.data + s->offset, s->filesz);
        put(pa + s->filesz, NULL, s->memsz - s->filesz);
    }
    if (b.initrd_len)
        put(b.initrd_pfn << PAGE_SHIFT, module_data(&boot_info.module[1]), b.initrd_len);
    if (has_note(&b.notes, XEN_ELFNOTE_HYPERCALL_PAGE))
        pv_fill_hypercall_page(pfn_to_virt(va_to_pfn(b.notes.hypercall_page)));
}

/* Both directions: dom0's list, and the machine-to-physical table. */
static void fill_p2m(void)
{
    u64 *m2p = (u64 *)M2P_RW, *p2m = NULL;
    for (unsigned i = 0; i < b.nr_chunks; i++) {
        u64 pfn = chunks[i].pfn, end = pfn + chunks[i].nr, mfn = chunks[i].mfn;
        for (; pfn < end; pfn++, mfn++) {
            if (!p2m || pfn % 512 == 0)
                p2m = pfn_to_virt(b.p2m_pfn + pfn / 512);
            p2m[pfn % 512] = mfn;
            m2p[mfn] = pfn;
        }
    }
    for (u64 pfn = b.nr_pages; p2m && pfn % 512; pfn++)
        p2m[pfn % 512] = INVALID_MFN;
}

/* The level-1 table for va, made with those above it from `from`. */
static pte_t *table_for(u64 va, struct pool *from)
{
    pte_t *t = b.l4;
    for (unsigned level = 4; level > 1; level--) {
        pte_t *e = &t[pt_index(va, level)];
        if (!*e) {
            BUG_ON(from->next == from->end);
            *e = pte_make(pfn_to_mfn(from->next++), PTE_GUEST_RW);
        }
        t = mfn_to_virt(pte_mfn(*e));
    }
    return t;
}

/* Maps n frames from pfn on at va; page tables read-only. */
static void map_frames(u64 va, u64 pfn, u64 n, struct pool *from)
{
    u64 first = va_to_pfn(b.tables);
    pte_t *l1 = NULL;
    for (u64 end = pfn + n; pfn < end; pfn++, va += PAGE_SIZE) {
        if (!l1 || pt_index(va, 1) == 0)
            l1 = table_for(va, from);
        bool table = pfn - first < b.nr_tables;
        l1[pt_index(va, 1)] = pte_make(pfn_to_mfn(pfn), PTE_GUEST_RW & ~(table ? PTE_RW : 0));
    }
}

/* nr empty tables. The numbers are for the worst: those left over stay zeros, and dom0's. */
static struct pool make_pool(u64 pfn, u64 nr)
{
    put(pfn << PAGE_SHIFT, NULL, nr << PAGE_SHIFT);
    return (struct pool){ pfn, pfn + nr };
}

static void build_tables(void)
{
    struct pool boot = make_pool(va_to_pfn(b.tables), b.nr_tables);
    b.l4 = pfn_to_virt(boot.next++);
    map_frames(b.v_start, 0, va_to_pfn(b.v_end), &boot);
    if (b.p2m_tables) {
        struct pool p2m = make_pool(b.p2m_pfn + b.p2m_frames, b.p2m_tables);
        map_frames(b.p2m, b.p2m_pfn, b.p2m_frames, &p2m);
    }
}

/* The screen as the loader left it: EGA text, or 8:8:8 graphics. 0: unknown. */
static u32 describe_screen(struct dom0_vga_console_info *c)
{
    const struct framebuffer *i = &boot_info.fb;
    if (i->type == 2 && i->width) {
        c->video_type = XEN_VGATYPE_TEXT_MODE_3;
        c->u.text_mode_3 = (__typeof__(c->u.text_mode_3)){
            .font_height = 16, .columns = (u16)i->width, .rows = (u16)i->height };
        return sizeof(*c);
    }
    if (i->type != 1 || i->bpp != 32)
        return 0;
    c->video_type = XEN_VGATYPE_VESA_LFB;
    c->u.vesa_lfb = (__typeof__(c->u.vesa_lfb)){
        .width = (u16)i->width, .height = (u16)i->height, .bytes_per_line = (u16)i->pitch,
        .lfb_base = (u32)i->addr, .ext_lfb_base = (u32)(i->addr >> 32),
        .lfb_size = (u32)(((u64)i->pitch * i->height + 0xffff) >> 16), .bits_per_pixel = 32,
        .red_pos = 16, .green_pos = 8, .blue_pos = 0, .rsvd_pos = 24,
        .red_size = 8, .green_size = 8, .blue_size = 8, .rsvd_size = 8,
    };
    return sizeof(*c);
}

static void fill_start_info(void)
{
    struct start_info *s = pfn_to_virt(va_to_pfn(b.start_info));
    memset(s, 0, PAGE_SIZE);
    *s = (struct start_info){
        .magic = "xen-3.0-x86_64", .nr_pages = b.nr_pages, .mfn_list = b.p2m,
        .shared_info = virt_to_mfn(b.d->shared_info) << PAGE_SHIFT,
        .flags = SIF_PRIVILEGED | SIF_INITDOMAIN | SIF_VIRT_P2M_4TOOLS |
                 (b.initrd_len && !b.initrd_va ? SIF_MOD_START_PFN : 0),
        .console.dom0 = { sizeof(*s), describe_screen((void *)(s + 1)) },
        .pt_base = b.tables, .nr_pt_frames = b.nr_tables, .mod_len = b.initrd_len,
        .mod_start = b.initrd_va ? b.initrd_va : b.initrd_pfn,
    };
    strlcpy((char *)s->cmd_line, boot_info.module[0].cmdline, sizeof(s->cmd_line));
    if (b.p2m_tables) {
        s->first_p2m_pfn = b.p2m_pfn;
        s->nr_p2m_frames = b.p2m_frames + b.p2m_tables;
    }
}

/* --- the domain --------------------------------------------------------------- */

static void create_domain(void)
{
    struct xen_domctl_createdomain config = {
        .max_evtchn_port = ~0u, .max_grant_frames = -1, .max_maptrack_frames = -1,
        .grant_opts = XEN_DOMCTL_GRANT_version(2),
    };
    config.max_vcpus = MIN(opt_vcpus ?: nr_cpus, (unsigned)MAX_VCPUS);
    int err;
    b.d = domain_create(0, &config, &pv_ops, RIGHT_CONTROL | RIGHT_PLATFORM | RIGHT_HARDWARE |
                        RIGHT_CONSOLE | RIGHT_FOREIGN, &err);
    if (!b.d)
        panic("dom0: cannot be created (error %d)", err);
    for (unsigned i = 0; i < config.max_vcpus; i++) {
        struct vcpu *v = vcpu_create(b.d, i);
        if (!v)
            panic("dom0: no memory for vCPU %u", i);
        cpumask_t own = { 1UL << i % nr_cpus }, any = { ~0UL };
        if (opt_pin && vcpu_set_affinity(v, &own, &any))
            printk(LOG_WARN, "dom0: vCPU %u cannot be pinned\n", i);
    }
    if (dom0_grant_hardware(b.d))
        panic("dom0: no memory for its permissions");
}

/* The tables become a guest's like any other: validated, and pinned as the ABI has it
 * for the ones that a domain starts with. */
static void pin_tables(struct vcpu *v, mfn_t l4)
{
    struct mmu m;
    int rc;
    do {
        rc = mmu_begin(&m, v, b.d, b.d) ?: mmu_pin(&m, l4, 4);
        mmu_end(&m);
    } while (rc == -ERESTART);
    if (rc)
        panic("dom0: its first page tables are refused (error %d)", rc);
}

static void start_vcpu(struct vcpu *v)
{
    static struct vcpu_guest_context c = {
        .flags = VGCF_in_kernel | VGCF_online, .kernel_ss = FLAT_KERNEL_SS,
        .user_regs = { .cs = FLAT_KERNEL_CS, .ss = FLAT_KERNEL_SS, .rflags = X86_IF },
    };
    mfn_t l4 = virt_to_mfn(b.l4);
    pin_tables(v, l4);
    c.user_regs.rip = b.notes.entry;
    c.user_regs.rsp = b.stack + PAGE_SIZE;
    c.user_regs.rsi = b.start_info;
    c.kernel_sp = c.user_regs.rsp;
    c.ctrlreg[3] = xen_pfn_to_cr3(l4);
    int rc;
    do {
        rc = b.d->ops->set_context(v, &c);
    } while (rc == -ERESTART);
    if (rc)
        panic("dom0: its first registers are refused (error %d)", rc);
    v->initialised = true;
    __atomic_fetch_and(&v->pause_flags, ~VPF_DOWN, __ATOMIC_SEQ_CST);
}

struct domain *build_dom0(void)
{
    if (!boot_info.nr_modules) {
        panic("dom0: no kernel: the boot loader gave no module. GRUB: add module2 lines with "
              "kernel and initrd; QEMU: -initrd \"vmlinuz arguments,initrd\"");
    }
    create_domain();
    u64 max, want = memory_wanted(free_page_count(), &max);
    b.d->max_pages = 0xffffffff;
    populate(want);
    b.d->max_pages = MAX(max, b.nr_pages);
    if (boot_info.nr_modules > 1)
        b.initrd_len = boot_info.module[1].len;
    read_kernel();
    place();
    show_layout();
    load_image();
    fill_p2m();
    build_tables();
    fill_start_info();
    put(b.stack - b.v_start, NULL, PAGE_SIZE);
    start_vcpu(b.d->vcpu[0]);
    printk(LOG_INFO, "dom0: %lu MiB in %u pieces, %u vCPUs\n", b.nr_pages >> 8, b.nr_chunks,
           b.d->max_vcpus);
    return b.d;
}
