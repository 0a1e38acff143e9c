// SPDX-License-Identifier: MIT
/*
 * The sub-operations of memory_op that know the machine: its memory map and where
 * the machine-to-physical table lies. Nothing here changes after start-up; no lock.
 */
#include "arch.h"
#include "guest.h"
#include "x86/machine.h"
#include <xen/memory.h>

/* A null buffer asks for the number of entries. */
static long op_machine_map(struct vcpu *v, u64 arg)
{
    struct xen_memory_map m;
    if (arg_read(v, &m, arg))
        return -EFAULT;
    if (!handle_null(m.buffer)) {
        if (m.nr_entries < boot_info.nr_e820)
            return -EINVAL;
        if (guest_write(v, (u64)m.buffer.p, boot_info.e820, boot_info.nr_e820 * sizeof(struct e820_range)))
            return -EFAULT;
    }
    m.nr_entries = boot_info.nr_e820;
    return arg_write_field(v, arg, &m, nr_entries);
}

#define M2P_CHUNK MIB(2)        /* of the table, as tools map it */
#define M2P_END   ROUND_UP(max_mfn * sizeof(u64), M2P_CHUNK)

/* Tools map all of the list. */
static long op_m2p_frames(struct vcpu *v, u64 arg)
{
    struct xen_machphys_mfn_list l;
    if (arg_read(v, &l, arg))
        return -EFAULT;
    u32 n = (u32)MIN((u64)l.max_extents, M2P_END / M2P_CHUNK);
    for (u32 i = 0; i < n; i++) {
        xen_pfn_t mfn = m2p_chunk_mfn(i);
        if (copy_to_handle(v, l.extent_start, i, &mfn, 1))
            return -EFAULT;
    }
    l.nr_extents = n;
    return arg_write_field(v, arg, &l, nr_extents);
}

long arch_memory_op(struct vcpu *v, unsigned cmd, u64 arg)
{
    if (cmd == XENMEM_machphys_mapping) {
        struct xen_machphys_mapping m = { M2P_RO, M2P_RO + M2P_END, .max_mfn = max_mfn - 1 };
        return arg_write(v, arg, &m);
    }
    return cmd == XENMEM_machphys_mfn_list ? op_m2p_frames(v, arg) : op_machine_map(v, arg);
}
