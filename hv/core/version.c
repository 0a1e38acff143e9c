/* SPDX-License-Identifier: MIT */
/*
 * xen_version: what Bulkhead says about itself. Owns nothing but constants; no lock.
 */
#include "guest.h"
#include "hypercall.h"
#include "options.h"
#include <xen/features.h>
#include <xen/version.h>

#define ABI_VERSION  ((4 << 16) | 17)
#define FEATURE(f)   (1u << XENFEAT_##f)
/* What PV guests count on; other kinds get their own set with their kind. */
#define PV_FEATURES  (FEATURE(mmu_pt_update_preserve_ad) | FEATURE(highmem_assist) | \
    FEATURE(gnttab_map_avail_bits) | FEATURE(memory_op_vnode_supported) | FEATURE(direct_mapped))
#define DOM0_FEATURES (FEATURE(dom0) | FEATURE(pae_pgdir_above_4gb))

static long get_features(struct vcpu *v, u64 arg)
{
    struct xen_feature_info fi;
    if (arg_read(v, &fi, arg))
        return -EFAULT;
    if (fi.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -EINVAL;
    fi.submap = PV_FEATURES;
    if (v->domain->vm_assist & (1u << VMASST_TYPE_pae_extended_cr3))
        fi.submap |= FEATURE(pae_pgdir_above_4gb);
    if (domain_has(v->domain, RIGHT_HARDWARE))
        fi.submap |= DOM0_FEATURES;
    return arg_write_field(v, arg, &fi, submap);
}

/* Text in a field of the ABI's size, padded with zeroes. */
static long put_text(struct vcpu *v, u64 arg, const char *text, size_t size)
{
    char buf[1024] = "";
    strlcpy(buf, text, size);
    return guest_write(v, arg, buf, size);
}

static long compile_info(struct vcpu *v, u64 arg)
{
    struct xen_compile_info ci = {
        .compiler = BUILT_BY,
        .compile_by = "bulkhead",
        .compile_date = __DATE__ " " __TIME__,
    };
    return arg_write(v, arg, &ci);
}

/* a: command, address of its argument. xen/version.h. */
long do_xen_version(struct vcpu *v, unsigned long *a)
{
    u64 arg = a[1];
    /* First, since Linux makes this call to have its pending events delivered. */
    if (likely((u32)a[0] == XENVER_version))
        return ABI_VERSION;
    switch ((u32)a[0]) {
    case XENVER_extraversion:
        return put_text(v, arg, ".7-bulkhead", XEN_EXTRAVERSION_LEN);
    case XENVER_compile_info:
        return compile_info(v, arg);
    case XENVER_capabilities:
        return put_text(v, arg, "xen-3.0-x86_64 ", XEN_CAPABILITIES_INFO_LEN);
    case XENVER_changeset:
        return put_text(v, arg, "bulkhead", XEN_CHANGESET_INFO_LEN);
    case XENVER_platform_parameters: {
        struct xen_platform_parameters p = { .virt_start = HYPERVISOR_VIRT_START };
        return arg_write(v, arg, &p);
    }
    case XENVER_get_features:
        return get_features(v, arg);
    case XENVER_pagesize:
        return arg ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle:
        return guest_write(v, arg, v->domain->handle, sizeof(v->domain->handle));
    case XENVER_commandline:
        return put_text(v, arg, domain_has(v->domain, RIGHT_CONTROL) ? options_cmdline : "<denied>",
                        sizeof(xen_commandline_t));
#define OP(number, name, rights, note)
#define NO_OP(number, name, error, note) case number: return -(error);
#include "ops/xen_version.h"
    default:
        return -ENOSYS;
    }
}
