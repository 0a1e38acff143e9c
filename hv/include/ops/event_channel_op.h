/* SPDX-License-Identifier: MIT */
/*
 * EVTCHNOP_* (xen/event_channel.h); the table is in core/evtchn_op.c.
 * OP(number, name, rights, note), NO_OP(number, name, error, why)
 */
OP(EVTCHNOP_bind_interdomain, bind_interdomain, RIGHT_NONE, "the remote port must wait for the caller")
OP(EVTCHNOP_bind_virq, bind_virq, RIGHT_NONE, "global VIRQs: RIGHT_CONTROL (CONSOLE: RIGHT_CONSOLE) or their handler")
OP(EVTCHNOP_bind_pirq, bind_pirq, RIGHT_NONE, "the domain must hold the PIRQ")
OP(EVTCHNOP_close, close, RIGHT_NONE, "")
OP(EVTCHNOP_send, send, RIGHT_NONE, "")
OP(EVTCHNOP_status, status, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model")
OP(EVTCHNOP_alloc_unbound, alloc_unbound, RIGHT_NONE, "in another domain: RIGHT_FOREIGN or its device model")
OP(EVTCHNOP_bind_ipi, bind_ipi, RIGHT_NONE, "")
OP(EVTCHNOP_bind_vcpu, bind_vcpu, RIGHT_NONE, "")
OP(EVTCHNOP_unmask, unmask, RIGHT_NONE, "")
OP(EVTCHNOP_reset, reset, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model; restartable")
OP(EVTCHNOP_init_control, init_control, RIGHT_NONE, "switches the domain to the FIFO ABI")
OP(EVTCHNOP_expand_array, expand_array, RIGHT_NONE, "")
OP(EVTCHNOP_set_priority, set_priority, RIGHT_NONE, "-ENOSYS with the 2-level ABI")
NO_OP(14, reset_cont, ENOSYS, "private to Xen: Bulkhead restarts reset itself")
