/* SPDX-License-Identifier: MIT */
/* Sub-operations of sched_op (core/sched_op.c). Numbers: xen/sched.h. */
OP(SCHEDOP_yield, yield, RIGHT_NONE, "")
OP(SCHEDOP_block, block, RIGHT_NONE, "unmasks upcalls first")
OP(SCHEDOP_shutdown, shutdown, RIGHT_NONE, "")
OP(SCHEDOP_poll, poll, RIGHT_NONE, "at most 128 ports")
OP(SCHEDOP_remote_shutdown, remote_shutdown, RIGHT_CONTROL, "or the caller is the domain's device model")
OP(SCHEDOP_shutdown_code, shutdown_code, RIGHT_NONE, "")
OP(SCHEDOP_watchdog, watchdog, RIGHT_NONE, "two slots for a domain")
OP(SCHEDOP_pin_override, pin_override, RIGHT_HARDWARE, "")
