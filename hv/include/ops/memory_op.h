/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_*: OP(number, name, rights, note), NO_OP(number, name, error, why), and
 * OP_ON(number, name, its structure, which names a domain, what serves it, rights, note).
 * Numbers: xen/memory.h. Rights over another domain are checked by domain_get_for
 * besides. ARCH in a note: the switch in x86/memory.c serves it.
 */
OP_ON(XENMEM_increase_reservation, increase_reservation, xen_memory_reservation, memory_reservation, RIGHT_NONE, "restartable")
OP_ON(XENMEM_decrease_reservation, decrease_reservation, xen_memory_reservation, memory_reservation, RIGHT_NONE, "restartable")
OP(XENMEM_maximum_ram_page, maximum_ram_page, RIGHT_NONE, "")
OP_ON(XENMEM_current_reservation, current_reservation, xen_memory_domain, op_ask, RIGHT_NONE, "")
OP_ON(XENMEM_maximum_reservation, maximum_reservation, xen_memory_domain, op_ask, RIGHT_NONE, "")
OP(XENMEM_machphys_mfn_list, machphys_mfn_list, RIGHT_NONE, "ARCH")
OP_ON(XENMEM_populate_physmap, populate_physmap, xen_memory_reservation, memory_reservation, RIGHT_NONE, "extents up to 2 MiB; restartable")
NO_OP(XENMEM_add_to_physmap, add_to_physmap, EOPNOTSUPP, "PV guests keep their own P2M")
OP(XENMEM_memory_map, memory_map, RIGHT_NONE, "ENOSYS when the toolstack has set none")
OP(XENMEM_machine_memory_map, machine_memory_map, RIGHT_HARDWARE, "ARCH")
OP(XENMEM_exchange, exchange, RIGHT_NONE, "chunks up to 2 MiB (beyond 64 KiB: RIGHT_HARDWARE, else EPERM); restartable")
OP(XENMEM_machphys_mapping, machphys_mapping, RIGHT_NONE, "ARCH")
OP_ON(XENMEM_set_memory_map, set_memory_map, xen_foreign_memory_map, op_set_memory_map, RIGHT_NONE, "")
OP_ON(XENMEM_maximum_gpfn, maximum_gpfn, xen_memory_domain, op_ask, RIGHT_NONE, "PV: what the guest says in shared_info")
NO_OP(XENMEM_remove_from_physmap, remove_from_physmap, EOPNOTSUPP, "PV guests keep their own P2M")
NO_OP(XENMEM_set_pod_target, set_pod_target, EINVAL, "PV guests are not populated on demand")
NO_OP(XENMEM_get_pod_target, get_pod_target, EINVAL, "PV guests are not populated on demand")
OP(XENMEM_get_sharing_freed_pages, get_sharing_freed_pages, RIGHT_NONE, "0: no memory sharing")
OP(XENMEM_get_sharing_shared_pages, get_sharing_shared_pages, RIGHT_NONE, "0: no memory sharing")
NO_OP(XENMEM_paging_op, paging_op, EOPNOTSUPP, "no paging of guests")
NO_OP(XENMEM_access_op, access_op, EOPNOTSUPP, "no introspection")
NO_OP(XENMEM_sharing_op, sharing_op, EOPNOTSUPP, "no memory sharing")
NO_OP(XENMEM_add_to_physmap_batch, add_to_physmap_batch, EOPNOTSUPP, "PV guests keep their own P2M")
OP_ON(XENMEM_claim_pages, claim_pages, xen_memory_reservation, op_claim, RIGHT_CONTROL, "")
NO_OP(XENMEM_machphys_compat_mfn_list, machphys_compat_mfn_list, EOPNOTSUPP, "no 32-bit PV guests")
NO_OP(XENMEM_get_vnumainfo, get_vnumainfo, EOPNOTSUPP, "no virtual NUMA; xl save needs just this error")
OP(XENMEM_reserved_device_memory_map, reserved_device_memory_map, RIGHT_NONE, "none are reserved")
OP_ON(XENMEM_acquire_resource, acquire_resource, xen_mem_acquire_resource, op_acquire, RIGHT_NONE, "grant tables; restartable")
