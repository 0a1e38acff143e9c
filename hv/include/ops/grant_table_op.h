/* SPDX-License-Identifier: MIT */
/*
 * GNTTABOP_* (xen/grant_table.h). Most report a GNTST_* status in each structure besides
 * the call's own error. op_<name> in core/ serves it.
 * OP(number, name, rights, note), NO_OP(number, name, error, why)
 * OP_AT(number, name, where its status goes, rights, note): about one table, whose domain
 *     is `dom` in its structure. Where `dom` is first, that means no status.
 * OP_ARRAY(number, name, does ops->grant_begin come first, rights, note)
 */
OP_ARRAY(GNTTABOP_map_grant_ref, map_grant_ref, true, RIGHT_NONE, "restartable")
OP_ARRAY(GNTTABOP_unmap_grant_ref, unmap_grant_ref, true, RIGHT_NONE, "restartable")
OP_AT(GNTTABOP_setup_table, setup_table, status, RIGHT_NONE, "restartable; of another domain: RIGHT_FOREIGN or its device model")
OP_AT(GNTTABOP_dump_table, dump_table, status, RIGHT_CONTROL, "GNTST_permission_denied without the right")
OP_ARRAY(GNTTABOP_transfer, transfer, false, RIGHT_NONE, "restartable")
OP_ARRAY(GNTTABOP_copy, copy, false, RIGHT_NONE, "restartable; a frame by number only of the caller's own")
OP_AT(GNTTABOP_query_size, query_size, status, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model")
OP_ARRAY(GNTTABOP_unmap_and_replace, unmap_and_replace, true, RIGHT_NONE, "restartable")
OP(GNTTABOP_set_version, set_version, RIGHT_NONE, "-EBUSY while a grant is in use")
OP_AT(GNTTABOP_get_status_frames, get_status_frames, status, RIGHT_NONE, "version 2")
OP_AT(GNTTABOP_get_version, get_version, dom, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model")
OP_ARRAY(GNTTABOP_swap_grant_ref, swap_grant_ref, false, RIGHT_NONE, "restartable")
NO_OP(GNTTABOP_cache_flush, cache_flush, EOPNOTSUPP, "x86 keeps caches coherent")
