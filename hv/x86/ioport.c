// SPDX-License-Identifier: MIT
/*
 * Guests' accesses to ports, and who may use which ports, device frames and interrupts.
 * The hardware domain gets everything that is not Bulkhead's. A few ports are shared
 * and looked at: PCI configuration (a private address latch, MSI settings kept), the RTC
 * (a private index), PM1 control (no sleep behind Bulkhead's back). Permissions have
 * their own locks (core/ranges.c); the latches belong to the domain and need none: a
 * guest that races with itself gets what hardware would give it.
 */
#include "console.h"
#include "mm.h"
#include "ranges.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"
#include "x86/rtc.h"

#define PM1_SLP_EN 0x2000

static u32 ones(unsigned size)
{
    return ~0u >> (32 - 8 * size);
}

static u32 port_in(u16 port, unsigned size)
{
    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, unsigned size, u32 value)
{
    if (size == 1)
        outb(port, (u8)value);
    else if (size == 2)
        outw(port, (u16)value);
    else
        outl(port, value);
}

/* --- ports that are looked at --- */

/* The last access of size bytes at port lies within first..last. */
static bool within(u16 port, unsigned size, u16 first, u16 last)
{
    return port >= first && port + size - 1 <= last;
}

static bool is_pci_port(u16 port)
{
    return port >= 0xcf8 && port <= 0xcff;
}

static bool is_rtc_port(u16 port, unsigned size)
{
    return port <= 0x71 && port + size - 1 >= 0x70;
}

/* Does the domain's latch name a register? Writes it to bus, devfn, reg. */
static bool pci_selected(struct domain *d, u16 port, u8 *bus, u8 *devfn, u32 *reg)
{
    u32 latch = READ_ONCE(xd(d)->cf8);
    *bus = (u8)(latch >> 16);
    *devfn = (u8)(latch >> 8);
    *reg = (latch & 0xfc) | (port & 3);
    return latch >> 31;
}

static u32 pci_port_in(struct domain *d, u16 port, unsigned size)
{
    u8 bus, devfn;
    u32 reg;
    if (port == 0xcf8 && size == 4)
        return xd(d)->cf8;
    if (within(port, size, 0xcfc, 0xcff) && pci_selected(d, port, &bus, &devfn, &reg))
        return pci_read(0, bus, devfn, reg, size);
    return ones(size);
}

static void pci_port_out(struct domain *d, u16 port, unsigned size, u32 value)
{
    u8 bus, devfn;
    u32 reg;
    if (port == 0xcf8 && size == 4)
        WRITE_ONCE(xd(d)->cf8, value & 0x80fffffc);
    else if (within(port, size, 0xcfc, 0xcff) && pci_selected(d, port, &bus, &devfn, &reg))
        pci_guest_write(bus, devfn, reg, size, value);
}

static u32 rtc_port_in(struct domain *d, u16 port)
{
    u8 v = xd(d)->cmos_index;
    if (port == 0x71) {
        with_lock (&rtc_lock) {
            v = rtc_read(v);
        }
    }
    return v;
}

static void rtc_port_out(struct domain *d, u16 port, u8 value)
{
    if (port == 0x70) {
        xd(d)->cmos_index = value & 0x7f;       /* bit 7 masks NMIs: not the guest's */
        return;
    }
    with_lock (&rtc_lock) {
        outb(0x70, xd(d)->cmos_index);
        outb(0x71, value);
    }
}

/* PM1 control at `base`: the bit that puts the machine to sleep stays 0. */
static u32 without_sleep(u32 base, u16 port, unsigned size, u32 value)
{
    for (unsigned i = 0; i < size; i++) {
        if (base && (u32)port + i == base + 1)
            value &= ~((u32)(PM1_SLP_EN >> 8) << (8 * i));
    }
    return value;
}

/* --- a guest's access --- */

bool guest_port_permitted(struct domain *d, u16 port, unsigned size)
{
    if (is_pci_port(port))
        return domain_has(d, RIGHT_HARDWARE) && within(port, size, 0xcf8, 0xcff);
    return ranges_contains(d->ioports, port, (u64)port + size - 1);
}

u32 guest_port_in(struct vcpu *v, u16 port, unsigned size)
{
    struct domain *d = v->domain;
    if (!guest_port_permitted(d, port, size))
        return ones(size);
    if (is_pci_port(port))
        return pci_port_in(d, port, size);
    if (is_rtc_port(port, size))
        return size == 1 ? rtc_port_in(d, port) : ones(size);
    return port_in(port, size);
}

void guest_port_out(struct vcpu *v, u16 port, unsigned size, u32 value)
{
    struct domain *d = v->domain;
    if (!guest_port_permitted(d, port, size))
        return;
    if (is_pci_port(port)) {
        pci_port_out(d, port, size, value);
    } else if (is_rtc_port(port, size)) {
        if (size == 1) {                /* a wider access would bypass the index */
            rtc_port_out(d, port, (u8)value);
        }
    } else {
        value = without_sleep(acpi.pm1a_cnt, port, size, value);
        port_out(port, size, without_sleep(acpi.pm1b_cnt, port, size, value));
    }
}

/* --- what the hardware domain gets --- */

static int grant_ports(struct ranges *r)
{
    static const struct { u16 first, last; } ours[] = {
        { 0x20, 0x21 }, { 0xa0, 0xa1 },         /* PICs */
        { 0x40, 0x43 }, { 0x61, 0x61 },         /* PIT; its gate and output */
        { 0xcf8, 0xcff },                       /* PCI configuration: guest_port_in/out; reset */
    };
    int err = ranges_add(r, 0, 0xffff);
    for (unsigned i = 0; !err && i < ARRAY_SIZE(ours); i++)
        err = ranges_remove(r, ours[i].first, ours[i].last);
    if (!err && uart_port())
        err = ranges_remove(r, uart_port(), uart_port() + UART_PORTS - 1);
    return err;
}

static int grant_frames(struct ranges *r)
{
    int err = ranges_add(r, 0, (1UL << (cpu_has.phys_bits - PAGE_SHIFT)) - 1);
    err = err ?: ranges_remove(r, 0xfee00, 0xfeeff);        /* local APIC, MSI window */
    err = err ?: ranges_remove(r, acpi.lapic_addr >> PAGE_SHIFT, acpi.lapic_addr >> PAGE_SHIFT);
    for (unsigned i = 0; !err && i < acpi.nr_ioapics; i++) {
        mfn_t mfn = acpi.ioapic[i].addr >> PAGE_SHIFT;
        err = ranges_remove(r, mfn, mfn);
    }
    return err;
}

static int grant_irqs(struct ranges *r)
{
    int err = 0;
    for (u32 gsi = 0; !err && gsi < nr_gsis; gsi++) {
        if (gsi_valid(gsi) && !gsi_is_ours(gsi))
            err = ranges_add(r, gsi, gsi);
    }
    return err;
}

int dom0_grant_hardware(struct domain *d)
{
    d->ioports = d->ioports ?: ranges_create();
    d->iomem = d->iomem ?: ranges_create();
    d->irq_caps = d->irq_caps ?: ranges_create();
    if (!d->ioports || !d->iomem || !d->irq_caps)
        return -ENOMEM;
    int err = grant_ports(d->ioports);
    err = err ?: grant_frames(d->iomem);
    return err ?: grant_irqs(d->irq_caps);
}

/* --- device frames --- */

bool guest_iomem_permitted(struct domain *d, mfn_t mfn)
{
    return !mfn_valid(mfn) && ranges_contains(d->iomem, mfn, mfn);
}
