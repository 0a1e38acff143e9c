/* SPDX-License-Identifier: MIT */
/* Sub-operations of nmi_op (x86/pv/callback.c). Numbers: xen/nmi.h. */
OP(XENNMI_register_callback, register_callback, RIGHT_NONE, "of vCPU 0 only")
OP(XENNMI_unregister_callback, unregister_callback, RIGHT_NONE, "of the calling vCPU")
