/* SPDX-License-Identifier: MIT */
/*
 * GNTTABOP_* (xen/grant_table.h); the switch is in core/grant_op.c. Most report a
 * GNTST_* status in each structure besides the call's own error.
 * OP(number, name, rights, note), NO_OP(number, name, error, why)
 */
OP(GNTTABOP_map_grant_ref, map_grant_ref, RIGHT_NONE, "restartable")
OP(GNTTABOP_unmap_grant_ref, unmap_grant_ref, RIGHT_NONE, "restartable")
OP(GNTTABOP_setup_table, setup_table, RIGHT_NONE, "restartable; of another domain: RIGHT_FOREIGN or its device model")
OP(GNTTABOP_dump_table, dump_table, RIGHT_CONTROL, "GNTST_permission_denied without the right")
OP(GNTTABOP_transfer, transfer, RIGHT_NONE, "restartable")
OP(GNTTABOP_copy, copy, RIGHT_NONE, "restartable; a frame by number only of the caller's own")
OP(GNTTABOP_query_size, query_size, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model")
OP(GNTTABOP_unmap_and_replace, unmap_and_replace, RIGHT_NONE, "restartable")
OP(GNTTABOP_set_version, set_version, RIGHT_NONE, "-EBUSY while a grant is in use")
OP(GNTTABOP_get_status_frames, get_status_frames, RIGHT_NONE, "version 2")
OP(GNTTABOP_get_version, get_version, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model")
OP(GNTTABOP_swap_grant_ref, swap_grant_ref, RIGHT_NONE, "restartable")
NO_OP(GNTTABOP_cache_flush, cache_flush, EOPNOTSUPP, "x86 keeps caches coherent")
