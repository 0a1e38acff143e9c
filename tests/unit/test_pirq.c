// links: hv/x86/irq.c hv/core/trace.c hv/x86/pirq.c hv/core/ranges.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
/*
 * PIRQs and the interrupts behind them: mapping, binding, sharing, arrival, EOI, the
 * EOI page, the end of a domain, and what a guest may get wrong. The IO-APIC and the
 * MSI capabilities are played by this file.
 */
#include "unit.h"
#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "ranges.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"
#include <xen/physdev.h>

/* --- the machine --- */
struct acpi_info acpi;
struct cpu_features cpu_has;
struct page *frame_table;
static struct page eoi_frame;
static unsigned long eoi_page[512];
static struct { bool masked; u32 dest; } pin[24];
static bool msi_masked[256];
struct gsi gsis[GSI_MAX];
static unsigned eois, fired, last_port, msi_programmed;
static struct domain *last_domain;
static bool page_held;
static struct pci_dev card = { .sbdf = 0x108, .msi_cap = 0x50, .msix_cap = 0x60 };
u32 nr_gsis = 24;

void *xzalloc(size_t size) { return calloc(1, size); }
void xfree(void *p) { free(p); }
void *mfn_to_virt(mfn_t mfn) { (void)mfn; return eoi_page; }
void arch_spin_poll(void) { panic("waits for ever"); }
void apic_eoi(void) { eois++; }
bool apic_in_service(u8 v) { (void)v; return false; }
void domain_ref(struct domain *d) { d->refs++; }
void domain_put(struct domain *d) { d->refs--; }
void evtchn_pirq_fire(struct domain *d, u32 port)
{
    CHECK_EQ(this_cpu()->lock_depth, 0);
    fired++;
    last_domain = d;
    last_port = port;
}
bool gsi_valid(u32 gsi) { return gsi < nr_gsis && gsi != 20; }
void ioapic_write(const struct irq_desc *desc)
{
    pin[desc->gsi].dest = desc->apic_id;
    pin[desc->gsi].masked = desc->masked;
}
int msi_setup(struct irq_desc *desc)
{
    if (desc->msix_entry >= 4) {
        return -EINVAL;
    }
    msi_masked[irq_vector(desc)] = true;
    msi_programmed++;
    return 0;
}
void msi_teardown(struct irq_desc *desc) { msi_masked[irq_vector(desc)] = true; msi_programmed--; }
void msi_write(const struct irq_desc *desc, bool enable)
{
    CHECK_EQ(enable, !desc->masked);
    msi_masked[irq_vector(desc)] = desc->masked;
}
struct pci_dev *pci_find_dev(u32 sbdf) { return sbdf == card.sbdf ? &card : NULL; }
int pci_get_dev(u32 sbdf, struct pci_dev **dev)
{
    *dev = pci_find_dev(sbdf);
    return *dev ? 0 : -EINVAL;
}

static struct page *get_gfn(struct domain *d, u64 gfn, bool write)
{
    (void)d;
    CHECK(write);
    page_held = gfn == 7;
    return gfn == 7 ? &eoi_frame : NULL;
}
static void put_gfn(struct page *pg, bool write) { (void)pg; CHECK(write); page_held = false; }
static const struct guest_ops ops = { .get_gfn = get_gfn, .put_gfn = put_gfn };

/* --- helpers --- */
static struct x86_domain hw, guest;
static struct x86_vcpu hw_v, guest_v;

static void start(void)
{
    memset(pin, 0, sizeof(pin));
    memset(gsis, 0, sizeof(gsis));
    memset(irq_descs, 0, sizeof(struct irq_desc) * 256);
    memset(eoi_page, 0xff, sizeof(eoi_page));
    eois = fired = msi_programmed = 0;
    nr_cpus = 2;
    cpus[1].id = 1;
    cpus[1].apic_id = 4;
    frame_table = &eoi_frame;
    gsis[16].level = gsis[17].level = true;
    for (unsigned i = 0; i < 2; i++) {
        struct x86_domain *x = i ? &guest : &hw;
        memset(x, 0, sizeof(*x));
        x->d.id = (domid_t)i;
        x->d.ops = &ops;
        x->d.rights = i ? 0 : RIGHT_HARDWARE;
        CHECK_EQ(pirq_domain_init(&x->d), 0);
    }
    memset(&hw_v, 0, sizeof(hw_v));
    memset(&guest_v, 0, sizeof(guest_v));
    hw_v.v.domain = &hw.d;
    guest_v.v.domain = &guest.d;
}

static void finish(void)
{
    pirq_domain_destroy(&hw.d);
    pirq_domain_destroy(&guest.d);
    CHECK_EQ(msi_programmed, 0);
    for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
        CHECK_EQ(irq_descs[v].kind, IRQ_FREE);
    }
    CHECK_EQ(hw.d.refs, 0);
    ranges_destroy(guest.d.irq_caps);
    guest.d.irq_caps = NULL;
}

static int map(struct x86_vcpu *by, struct x86_domain *d, int type, int index, int *pirq)
{
    struct physdev_map_pirq m = { .type = type, .index = index, .pirq = *pirq, .bus = 1, .devfn = 8 };
    int err = pirq_map(&by->v, &d->d, &m);
    *pirq = m.pirq;
    return err;
}

static int map_gsi(struct x86_vcpu *by, struct x86_domain *d, int gsi)
{
    int pirq = gsi;
    return map(by, d, MAP_PIRQ_TYPE_GSI, gsi, &pirq);
}

static void interrupt(u8 vector)
{
    irq_dispatch(&(struct cpu_user_regs){ .entry_vector = vector });
}

/* --- tests --- */
TEST(edge)
{
    start();
    CHECK_EQ(map_gsi(&hw_v, &hw, 4), 0);
    CHECK_EQ(map_gsi(&hw_v, &hw, 4), 0);            /* again: the same */
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 4, 33, false), 0);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 4, 34, false), -EEXIST);
    CHECK(!pin[4].masked);
    interrupt(gsis[4].vector);
    interrupt(gsis[4].vector);
    CHECK_EQ(fired, 2);
    CHECK_EQ(eois, 2);
    CHECK_EQ(last_port, 33);
    CHECK(!pin[4].masked);
    u8 v = gsis[4].vector;
    pirq_guest_unbind(&hw.d, 4);
    pirq_guest_unbind(&hw.d, 4);
    CHECK(pin[4].masked);
    interrupt(v);                                   /* one that was on its way */
    CHECK_EQ(fired, 2);
    CHECK_EQ(eois, 3);
    finish();
}

TEST(level_waits_for_eoi)
{
    u32 flags;
    start();
    CHECK_EQ(map_gsi(&hw_v, &hw, 16), 0);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 16, 5, true), 0);
    CHECK_EQ(pirq_status(&hw.d, 16, &flags), 0);
    CHECK_EQ(flags, XENIRQSTAT_needs_eoi | XENIRQSTAT_shared);
    interrupt(gsis[16].vector);
    CHECK(pin[16].masked);
    CHECK_EQ(pirq_eoi(&hw.d, 16), 0);
    CHECK(!pin[16].masked);
    CHECK_EQ(pirq_eoi(&hw.d, 16), 0);               /* once too often */
    CHECK(!pin[16].masked);
    interrupt(gsis[16].vector);
    pirq_guest_unbind(&hw.d, 16);                   /* without EOI */
    CHECK(pin[16].masked);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 16, 5, true), 0);
    CHECK(!pin[16].masked);
    finish();
}

TEST(shared_level)
{
    start();
    CHECK_EQ(map_gsi(&hw_v, &hw, 17), 0);
    CHECK_EQ(map_gsi(&hw_v, &guest, 17), 0);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 17, 1, true), 0);
    CHECK_EQ(pirq_guest_bind(&guest_v.v, 17, 2, false), -EBUSY);
    CHECK_EQ(pirq_guest_bind(&guest_v.v, 17, 2, true), 0);
    interrupt(gsis[17].vector);
    CHECK_EQ(fired, 2);
    pirq_eoi(&hw.d, 17);
    CHECK(pin[17].masked);
    pirq_eoi(&hw.d, 17);
    CHECK(pin[17].masked);
    pirq_domain_quiesce(&guest.d);                  /* dies without its EOI */
    CHECK(!pin[17].masked);
    interrupt(gsis[17].vector);
    CHECK_EQ(fired, 3);
    CHECK(last_domain == &hw.d);
    finish();
}

TEST(edge_is_not_shared)
{
    start();
    map_gsi(&hw_v, &hw, 4);
    map_gsi(&hw_v, &guest, 4);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 4, 1, true), 0);
    CHECK_EQ(pirq_guest_bind(&guest_v.v, 4, 1, true), -EBUSY);
    finish();
}

TEST(ours)
{
    start();
    CHECK_EQ(irq_bind_gsi(4, VEC_SERIAL), 0);
    CHECK_EQ(irq_bind_gsi(4, VEC_SERIAL), -EBUSY);
    CHECK_EQ(irq_bind_gsi(20, VEC_SERIAL), -EINVAL);
    CHECK_EQ(map_gsi(&hw_v, &hw, 4), 0);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 4, 1, true), -EBUSY);
    finish();
}

TEST(msi)
{
    int a = -1, b = -1, c = -1;
    start();
    CHECK_EQ(map(&hw_v, &hw, MAP_PIRQ_TYPE_MSI, -1, &a), 0);
    CHECK_EQ(map(&hw_v, &guest, MAP_PIRQ_TYPE_MSI_SEG, -1, &b), 0);
    CHECK(a == 24 && b == 24);
    CHECK_EQ(map(&hw_v, &hw, MAP_PIRQ_TYPE_MULTI_MSI, -1, &c), -EOPNOTSUPP);
    CHECK_EQ(map(&guest_v, &guest, MAP_PIRQ_TYPE_MSI, -1, &c), -EPERM);
    CHECK_EQ(pirq_guest_bind(&guest_v.v, (u32)b, 9, false), 0);
    u8 v = VEC_DEVICE_FIRST + 1;
    CHECK(!msi_masked[v]);
    interrupt(v);
    CHECK(last_domain == &guest.d && last_port == 9 && !msi_masked[v]);
    CHECK_EQ(pirq_unmap(&guest.d, (u32)b), 0);      /* while bound */
    CHECK_EQ(pirq_unmap(&guest.d, (u32)b), -EINVAL);
    CHECK(msi_masked[v]);
    pirq_guest_unbind(&guest.d, (u32)b);
    finish();
}

TEST(numbers_run_out)
{
    start();
    for (int i = 0; i < 32; i++) {
        CHECK_EQ(pirq_reserve(&guest.d), 24 + i);
    }
    CHECK_EQ(pirq_reserve(&guest.d), -ENOSPC);
    int p = -1, r = 25;
    CHECK_EQ(map(&hw_v, &guest, MAP_PIRQ_TYPE_MSI, -1, &p), -ENOSPC);
    CHECK_EQ(map(&hw_v, &guest, MAP_PIRQ_TYPE_MSI, -1, &r), 0);     /* one that it reserved */
    CHECK_EQ(pirq_guest_bind(&guest_v.v, 26, 1, false), -EINVAL);   /* reserved is not mapped */
    finish();
}

TEST(hostile_numbers)
{
    static const u32 bad[] = { 20, 24 + 512, 24 + 513, 0x7fffffff, 0x80000000, 0xffffffff };
    u32 flags;
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        int p = (int)bad[i];
        CHECK(map(&hw_v, &hw, MAP_PIRQ_TYPE_GSI, (int)bad[i], &p) != 0);
        CHECK_EQ(pirq_guest_bind(&hw_v.v, bad[i], 1, true), -EINVAL);
        CHECK_EQ(pirq_unmap(&hw.d, bad[i]), -EINVAL);
        CHECK_EQ(pirq_eoi(&hw.d, bad[i]), bad[i] < 24 + 512 ? 0 : -EINVAL);
        CHECK_EQ(pirq_status(&hw.d, bad[i], &flags), bad[i] < 24 + 512 ? 0 : -EINVAL);
        struct physdev_map_pirq m = { .type = MAP_PIRQ_TYPE_MSI, .pirq = -1, .bus = 1, .devfn = 8, .table_base = 1,
                                      .entry_nr = (int)bad[i] };
        CHECK_EQ(pirq_map(&hw_v.v, &hw.d, &m), -EINVAL);
        m = (struct physdev_map_pirq){ .type = (int)bad[i], .pirq = -1 };
        CHECK_EQ(pirq_map(&hw_v.v, &hw.d, &m), -EINVAL);
    }
    int taken = 5;
    CHECK_EQ(map(&hw_v, &hw, MAP_PIRQ_TYPE_GSI, 6, &taken), 0);     /* gsi 6 as pirq 5 */
    taken = 6;
    CHECK_EQ(map(&hw_v, &hw, MAP_PIRQ_TYPE_GSI, 6, &taken), -EEXIST);
    taken = 5;
    CHECK_EQ(map(&hw_v, &hw, MAP_PIRQ_TYPE_GSI, 7, &taken), -EBUSY);
    finish();
}

TEST(who_may)
{
    start();
    CHECK_EQ(map_gsi(&guest_v, &guest, 9), -EPERM);
    guest.d.irq_caps = ranges_create();
    ranges_add(guest.d.irq_caps, 9, 9);
    CHECK_EQ(map_gsi(&guest_v, &guest, 9), 0);
    CHECK_EQ(map_gsi(&guest_v, &guest, 10), -EPERM);
    finish();
}

TEST(eoi_page)
{
    start();
    map_gsi(&hw_v, &hw, 16);
    map_gsi(&hw_v, &hw, 4);
    pirq_guest_bind(&hw_v.v, 16, 1, true);
    CHECK_EQ(pirq_set_eoi_page(&hw.d, 8), -EINVAL);
    CHECK_EQ(pirq_set_eoi_page(&hw.d, 7), 0);
    CHECK_EQ(eoi_page[0] & 0xffffffff, 1u << 16);
    CHECK_EQ(pirq_set_eoi_page(&hw.d, 7), -EBUSY);
    pirq_guest_bind(&hw_v.v, 4, 1, true);
    CHECK_EQ(eoi_page[0] & 0xffffffff, 1u << 16);
    pirq_guest_unbind(&hw.d, 16);
    CHECK_EQ(eoi_page[0] & 0xffffffff, 0);
    page_held = true;
    hw.d.is_dying = true;
    pirq_domain_quiesce(&hw.d);
    CHECK(!page_held);
    CHECK_EQ(map_gsi(&hw_v, &hw, 4), -ESRCH);
    CHECK_EQ(pirq_set_eoi_page(&hw.d, 7), -EBUSY);
    CHECK(!page_held);
    finish();
}

TEST(vectors_run_out)
{
    start();
    for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
        if (v != 0x80) {        /* the guests' */
            CHECK_EQ(irq_vector(irq_alloc(IRQ_GSI, 0)), v);
        }
    }
    CHECK(!irq_alloc(IRQ_GSI, 0));
    map_gsi(&hw_v, &hw, 4);
    CHECK_EQ(pirq_guest_bind(&hw_v.v, 4, 1, true), -ENOSPC);
    int p = -1;
    CHECK_EQ(map(&hw_v, &hw, MAP_PIRQ_TYPE_MSI, -1, &p), -ENOSPC);
    memset(irq_descs, 0, sizeof(struct irq_desc) * 256);
    finish();
}

TEST(follows_the_vcpu)
{
    start();
    map_gsi(&hw_v, &hw, 4);
    pirq_guest_bind(&hw_v.v, 4, 1, true);
    CHECK_EQ(pin[4].dest, 0);
    pirq_set_cpu(&hw.d, 4, 1);
    CHECK_EQ(pin[4].dest, 4);
    CHECK(!pin[4].masked);
    finish();
}
