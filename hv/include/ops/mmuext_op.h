/* SPDX-License-Identifier: MIT */
/*
 * Sub-operations of mmuext_op (x86/pv/mmuext.c). "own domain only": else EPERM; the
 * others also on a domain that the caller may act for. Numbers: xen/xen.h.
 */
OP(MMUEXT_PIN_L1_TABLE, PIN_L1_TABLE, RIGHT_NONE, "restartable, as are all pins")
OP(MMUEXT_PIN_L2_TABLE, PIN_L2_TABLE, RIGHT_NONE, "")
OP(MMUEXT_PIN_L3_TABLE, PIN_L3_TABLE, RIGHT_NONE, "")
OP(MMUEXT_PIN_L4_TABLE, PIN_L4_TABLE, RIGHT_NONE, "")
OP(MMUEXT_UNPIN_TABLE, UNPIN_TABLE, RIGHT_NONE, "restartable")
OP(MMUEXT_NEW_BASEPTR, NEW_BASEPTR, RIGHT_NONE, "own domain only; of the calling vCPU; restartable")
OP(MMUEXT_TLB_FLUSH_LOCAL, TLB_FLUSH_LOCAL, RIGHT_NONE, "own domain only; this CPU")
OP(MMUEXT_INVLPG_LOCAL, INVLPG_LOCAL, RIGHT_NONE, "own domain only; this CPU")
OP(MMUEXT_TLB_FLUSH_MULTI, TLB_FLUSH_MULTI, RIGHT_NONE, "own domain only; the CPUs where the vCPUs of a bitmap run")
OP(MMUEXT_INVLPG_MULTI, INVLPG_MULTI, RIGHT_NONE, "own domain only; the same")
OP(MMUEXT_TLB_FLUSH_ALL, TLB_FLUSH_ALL, RIGHT_NONE, "own domain only; the CPUs that may have entries of the domain")
OP(MMUEXT_INVLPG_ALL, INVLPG_ALL, RIGHT_NONE, "own domain only; the same")
OP(MMUEXT_FLUSH_CACHE, FLUSH_CACHE, RIGHT_HARDWARE, "without the right: EACCES")
OP(MMUEXT_SET_LDT, SET_LDT, RIGHT_NONE, "own domain only; of the calling vCPU; at a page's start, up to 8192 entries")
OP(MMUEXT_NEW_USER_BASEPTR, NEW_USER_BASEPTR, RIGHT_NONE, "own domain only; of the calling vCPU; 0: none; restartable")
OP(MMUEXT_CLEAR_PAGE, CLEAR_PAGE, RIGHT_NONE, "")
OP(MMUEXT_COPY_PAGE, COPY_PAGE, RIGHT_NONE, "")
OP(MMUEXT_FLUSH_CACHE_GLOBAL, FLUSH_CACHE_GLOBAL, RIGHT_HARDWARE, "of this CPU; without the right: EINVAL")
NO_OP(MMUEXT_MARK_SUPER, MARK_SUPER, EOPNOTSUPP, "no superpages for PV guests")
NO_OP(MMUEXT_UNMARK_SUPER, UNMARK_SUPER, EOPNOTSUPP, "no superpages for PV guests")
