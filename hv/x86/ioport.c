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
#include "ranges.h"
#include "x86/domain.h"
#include "x86/irq.h"
#include "x86/pci.h"

static spinlock_t rtc_lock = SPINLOCK_INIT(LOCK_TIME);      /* an access by ports 0x70 and 0x71 */

static u32 ones(unsigned size)
{
    return ~0u >> (32 - 8 * size);
}

/* --- ports that are looked at --- */

static bool is_pci_port(u16 port)
{
    return port >= 0xcf8 && port <= 0xcff;
}

/* Like guest_port_io, for these ports only. */
static u32 pci_port_io(struct domain *d, u16 port, unsigned size, bool out, u32 value)
{
    u32 latch = READ_ONCE(xd(d)->cf8);
    if (port == 0xcf8 && size == 4) {
        if (out)
            WRITE_ONCE(xd(d)->cf8, value & 0x80fffffc);
        return latch;
    }
    if (port < 0xcfc || !(latch >> 31))
        return ones(size);
    if (!out)
        return pci_guest_read(latch, port, size);
    pci_guest_write(latch, port, size, value);
    return 0;
}

static u32 rtc_port_io(struct domain *d, u16 port, bool out, u8 value)
{
    if (port == 0x70 && out)
        xd(d)->cmos_index = value & 0x7f;       /* bit 7 masks NMIs: not the guest's */
    if (port == 0x70)
        return xd(d)->cmos_index;
    with_lock (&rtc_lock) {
        outb(0x70, xd(d)->cmos_index);
        if (out)
            outb(0x71, value);
        else
            value = inb(0x71);
    }
    return value;
}

/* PM1 control: the bit that puts the machine to sleep, in the second byte, stays 0. */
static u32 without_sleep(u16 port, unsigned size, u32 value)
{
    for (unsigned i = 0; i < size; i++) {
        u32 pm1 = (u32)port + i - 1;
        if (pm1 && (pm1 == acpi.pm1a_cnt || pm1 == acpi.pm1b_cnt))
            value &= ~((u32)(PM1_SLP_EN >> 8) << (8 * i));
    }
    return value;
}

/* --- a guest's access --- */

static bool guest_port_permitted(struct domain *d, u16 port, unsigned size)
{
    if (is_pci_port(port))
        return domain_has(d, RIGHT_HARDWARE) && is_pci_port((u16)(port + size - 1));
    return ranges_contains(d->ioports, port, (u64)port + size - 1);
}

u32 guest_port_io(struct vcpu *v, u16 port, unsigned size, bool out, u32 value)
{
    struct domain *d = v->domain;
    if (!guest_port_permitted(d, port, size))
        return ones(size);
    if (is_pci_port(port))
        return pci_port_io(d, port, size, out, value);
    if (port <= 0x71 && port + size - 1 >= 0x70)        /* a wider one would bypass the index */
        return size == 1 ? rtc_port_io(d, port, out, (u8)value) : ones(size);
    if (!out)
        return port_in(port, size);
    port_out(port, size, without_sleep(port, size, value));
    return 0;
}

/* --- what the hardware domain gets --- */

int dom0_grant_hardware(struct domain *d)
{
    static const struct { u16 first, last; } ours[] = {
        /* PICs; PIT, its gate and output; PCI configuration (guest_port_io) and reset */
        { 0x20, 0x21 }, { 0xa0, 0xa1 }, { 0x40, 0x43 }, { 0x61, 0x61 }, { 0xcf8, 0xcff },
    };
    int err = ranges_add(d->ioports, 0, 0xffff);
    for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
        err = err ?: ranges_remove(d->ioports, ours[i].first, ours[i].last);
    if (uart_port())
        err = err ?: ranges_remove(d->ioports, uart_port(), uart_port() + UART_PORTS - 1);
    err = err ?: ranges_add(d->iomem, 0, (1UL << (cpu_has.phys_bits - PAGE_SHIFT)) - 1);
    err = err ?: ranges_remove(d->iomem, 0xfee00, 0xfeeff);     /* local APIC, MSI window */
    for (unsigned i = 0; i <= acpi.nr_ioapics; i++) {           /* and the local APIC's frame */
        mfn_t mfn = (i ? acpi.ioapic[i - 1].addr : acpi.lapic_addr) >> PAGE_SHIFT;
        err = err ?: ranges_remove(d->iomem, mfn, mfn);
    }
    for (u32 gsi = 0; gsi < nr_gsis; gsi++) {
        if (gsi_valid(gsi) && !gsis[gsi].ours)
            err = err ?: ranges_add(d->irq_caps, gsi, gsi);
    }
    return err;
}

/* --- device frames --- */

bool guest_iomem_permitted(struct domain *d, mfn_t mfn)
{
    return !mfn_valid(mfn) && ranges_contains(d->iomem, mfn, mfn);
}
