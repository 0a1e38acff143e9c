/* SPDX-License-Identifier: MIT */
/* Sub-operations of callback_op (x86/pv/callback.c). Numbers: xen/callback.h. */
OP(CALLBACKOP_register, register, RIGHT_NONE, "event, failsafe, syscall, syscall32, nmi; sysenter: ENOSYS")
OP(CALLBACKOP_unregister, unregister, RIGHT_NONE, "nmi; of the others: EINVAL")
