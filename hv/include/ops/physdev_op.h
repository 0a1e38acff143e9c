/* SPDX-License-Identifier: MIT */
/*
 * Sub-operations of physdev_op (x86/physdev.c): OP_AT(number, name, its argument's member
 * of union physdev_arg, rights, note), NO_OP(number, name, error, why). Rights: of the
 * caller; GSI and foreign-domain checks are made besides. Numbers: xen/physdev.h.
 */
OP_AT(PHYSDEVOP_irq_status_query, irq_status_query, status, RIGHT_NONE, "does the PIRQ need an EOI, may it be shared")
OP_AT(PHYSDEVOP_set_iopl, set_iopl, iopl, RIGHT_NONE, "of the calling vCPU")
OP_AT(PHYSDEVOP_set_iobitmap, set_iobitmap, iobitmap, RIGHT_NONE, "of the calling vCPU; up to 65536 ports")
OP_AT(PHYSDEVOP_apic_read, apic_read, apic, RIGHT_HARDWARE, "IO-APIC registers")
NO_OP(PHYSDEVOP_apic_write, apic_write, EPERM, "the IO-APICs are Bulkhead's")
OP_AT(PHYSDEVOP_alloc_irq_vector, alloc_irq_vector, irq, RIGHT_HARDWARE, "checks the GSI; the vector is Bulkhead's affair and reported as 0")
NO_OP(PHYSDEVOP_free_irq_vector, free_irq_vector, ENOSYS, "vectors are Bulkhead's affair; as on Xen")
OP_AT(PHYSDEVOP_eoi, eoi, eoi, RIGHT_NONE, "ends a level-triggered PIRQ; no effect on others")
OP_AT(PHYSDEVOP_map_pirq, map_pirq, map, RIGHT_NONE, "GSI: the caller holds it; MSI, MSI_SEG: RIGHT_HARDWARE; MULTI_MSI: EOPNOTSUPP")
OP_AT(PHYSDEVOP_unmap_pirq, unmap_pirq, unmap, RIGHT_NONE, "unbinds it first")
OP_AT(PHYSDEVOP_manage_pci_add, manage_pci_add, old, RIGHT_HARDWARE, "old form of pci_device_add")
OP_AT(PHYSDEVOP_manage_pci_remove, manage_pci_remove, old, RIGHT_HARDWARE, "old form of pci_device_remove")
NO_OP(PHYSDEVOP_pirq_eoi_gmfn_v1, pirq_eoi_gmfn_v1, ENOSYS, "would unmask ports on eoi; kernels since 2011 use v2")
OP_AT(PHYSDEVOP_restore_msi, restore_msi, old, RIGHT_HARDWARE, "segment 0")
OP_AT(PHYSDEVOP_manage_pci_add_ext, manage_pci_add_ext, old, RIGHT_HARDWARE, "old form of pci_device_add")
OP_AT(PHYSDEVOP_setup_gsi, setup_gsi, gsi, RIGHT_HARDWARE, "trigger and polarity; EEXIST when known already")
OP_AT(PHYSDEVOP_get_free_pirq, get_free_pirq, free_pirq, RIGHT_NONE, "reserves a number for map_pirq")
OP_AT(PHYSDEVOP_pci_mmcfg_reserved, pci_mmcfg_reserved, mmcfg, RIGHT_HARDWARE, "EIO when the firmware's MCFG says otherwise, ENODEV when nothing")
OP_AT(PHYSDEVOP_pci_device_add, pci_device_add, pci_add, RIGHT_HARDWARE, "")
OP_AT(PHYSDEVOP_pci_device_remove, pci_device_remove, pci, RIGHT_HARDWARE, "")
OP_AT(PHYSDEVOP_restore_msi_ext, restore_msi_ext, pci, RIGHT_HARDWARE, "")
OP_AT(PHYSDEVOP_pirq_eoi_gmfn_v2, pirq_eoi_gmfn_v2, eoi_page, RIGHT_NONE, "a bit for each PIRQ that needs eoi; EBUSY the second time")
OP_AT(PHYSDEVOP_dbgp_op, dbgp_op, dbgp, RIGHT_HARDWARE, "Bulkhead uses no debug port: nothing to prepare")
OP_AT(PHYSDEVOP_prepare_msix, prepare_msix, pci, RIGHT_HARDWARE, "ENODEV without the capability")
OP_AT(PHYSDEVOP_release_msix, release_msix, pci, RIGHT_HARDWARE, "")
NO_OP(PHYSDEVOP_IRQ_UNMASK_NOTIFY, irq_unmask_notify, ENOSYS, "obsolete; eoi serves")
