/* SPDX-License-Identifier: MIT */
/*
 * EVTCHNOP_* (xen/event_channel.h): OP(number, name, rights, note), NO_OP(number, name,
 * error, why), OP_AT(number, name, where the answer goes, rights, note), and OP_PORT(number,
 * name, rights, note), whose structure is a port. op_<name> in core/ serves it, an OP_PORT
 * evtchn_<name>.
 */
OP_AT(EVTCHNOP_bind_interdomain, bind_interdomain, local_port, RIGHT_NONE, "the remote port must wait for the caller")
OP_AT(EVTCHNOP_bind_virq, bind_virq, port, RIGHT_NONE, "global VIRQs: RIGHT_CONTROL (CONSOLE: RIGHT_CONSOLE) or their handler")
OP_AT(EVTCHNOP_bind_pirq, bind_pirq, port, RIGHT_NONE, "the domain must hold the PIRQ")
OP_PORT(EVTCHNOP_close, close, RIGHT_NONE, "")
OP_PORT(EVTCHNOP_send, send, RIGHT_NONE, "")
OP_AT(EVTCHNOP_status, status, status, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model")
OP_AT(EVTCHNOP_alloc_unbound, alloc_unbound, port, RIGHT_NONE, "in another domain: RIGHT_FOREIGN or its device model")
OP_AT(EVTCHNOP_bind_ipi, bind_ipi, port, RIGHT_NONE, "")
OP(EVTCHNOP_bind_vcpu, bind_vcpu, RIGHT_NONE, "")
OP_PORT(EVTCHNOP_unmask, unmask, RIGHT_NONE, "")
OP(EVTCHNOP_reset, reset, RIGHT_NONE, "of another domain: RIGHT_FOREIGN or its device model; restartable")
OP_AT(EVTCHNOP_init_control, init_control, link_bits, RIGHT_NONE, "switches the domain to the FIFO ABI")
OP(EVTCHNOP_expand_array, expand_array, RIGHT_NONE, "restartable")
OP(EVTCHNOP_set_priority, set_priority, RIGHT_NONE, "-ENOSYS with the 2-level ABI")
NO_OP(14, reset_cont, ENOSYS, "private to Xen: Bulkhead restarts reset itself")
