/* SPDX-License-Identifier: MIT */
/* xen_version (core/version.c): OP(number, name, rights, note), NO_OP(number, name, errno, why) */
OP(XENVER_version, version, RIGHT_NONE, "4.17: whose ABI this is")
OP(XENVER_extraversion, extraversion, RIGHT_NONE, "")
OP(XENVER_compile_info, compile_info, RIGHT_NONE, "")
OP(XENVER_capabilities, capabilities, RIGHT_NONE, "")
OP(XENVER_changeset, changeset, RIGHT_NONE, "")
OP(XENVER_platform_parameters, platform_parameters, RIGHT_NONE, "")
OP(XENVER_get_features, get_features, RIGHT_NONE, "")
OP(XENVER_pagesize, pagesize, RIGHT_NONE, "")
OP(XENVER_guest_handle, guest_handle, RIGHT_NONE, "")
OP(XENVER_commandline, commandline, RIGHT_NONE, "without RIGHT_CONTROL it reads <denied>")
NO_OP(XENVER_build_id, build_id, ENODATA, "the image carries no build id")
