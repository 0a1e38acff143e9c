/* SPDX-License-Identifier: MIT */
/* vm_assist types (core/vm_assist.c): OP(number, name, rights, note), NO_OP(number, name, errno, why) */
OP(VMASST_TYPE_4gb_segments, 4gb_segments, RIGHT_NONE, "kept; means nothing to 64-bit guests")
OP(VMASST_TYPE_4gb_segments_notify, 4gb_segments_notify, RIGHT_NONE, "kept; means nothing to 64-bit guests")
OP(VMASST_TYPE_writable_pagetables, writable_pagetables, RIGHT_NONE, "writes to page tables are emulated in any case")
OP(VMASST_TYPE_pae_extended_cr3, pae_extended_cr3, RIGHT_NONE, "shows up as a feature")
OP(VMASST_TYPE_runstate_update_flag, runstate_update_flag, RIGHT_NONE, "")
NO_OP(VMASST_TYPE_architectural_iopl, architectural_iopl, EINVAL, "PHYSDEVOP_set_iopl serves; Linux does not ask")
NO_OP(VMASST_TYPE_m2p_strict, m2p_strict, EINVAL, "guest user mode has page tables of its own; Linux does not ask")
