/* SPDX-License-Identifier: MIT */
/*
 * The only way to guest memory named by guest virtual addresses: copies of the
 * current vCPU's address space, each byte read once. All return 0 or -EFAULT.
 */
#pragma once

#include "domain.h"

static inline int guest_read(struct vcpu *v, void *dst, u64 src, size_t n)
{
    return v->domain->ops->copy_from(v, dst, src, n);
}
static inline int guest_write(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    return v->domain->ops->copy_to(v, dst, src, n);
}

/* Typed forms over the ABI's handles: `h` is a XEN_GUEST_HANDLE, `p` points to its type.
 * The offset counts elements and must not let the byte offset wrap: it is checked. */
#define handle_addr(h, off) ((u64)(h).p + (u64)(off) * sizeof(*(h).p))
#define copy_from_handle(v, ptr, h, off, nr)                                      \
    ({ (void)((ptr) == (__typeof__((h).p))0);                                     \
       handle_span_ok(off, nr, sizeof(*(ptr)))                                    \
           ? guest_read(v, ptr, handle_addr(h, off), (size_t)(nr) * sizeof(*(ptr))) : -EFAULT; })
#define copy_to_handle(v, h, off, ptr, nr)                                        \
    ({ (void)((ptr) == (__typeof__((h).p))0);                                     \
       handle_span_ok(off, nr, sizeof(*(ptr)))                                    \
           ? guest_write(v, handle_addr(h, off), ptr, (size_t)(nr) * sizeof(*(ptr))) : -EFAULT; })
#define handle_null(h) ((h).p == NULL)

static inline bool handle_span_ok(u64 off, u64 nr, size_t size)
{
    return off < (1UL << 40) && nr < (1UL << 30) && size < (1UL << 20);
}

/* Structures named by a plain argument of a hypercall. */
#define arg_read(v, p, addr)  guest_read(v, p, addr, sizeof(*(p)))
#define arg_write(v, addr, p) guest_write(v, addr, p, sizeof(*(p)))
/* Writes one field of a guest structure of type T back. */
#define arg_write_field(v, addr, p, field)                                        \
    guest_write(v, (addr) + offsetof(__typeof__(*(p)), field), &(p)->field, sizeof((p)->field))
