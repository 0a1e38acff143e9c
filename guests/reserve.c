/* SPDX-License-Identifier: MIT */
/* memory_op: each sub-call's success and its errors, on ourselves and on another domain. */
#include "control.h"

#define NOWHERE ((void *)0x1000)

static struct domu d;

static long mem(unsigned op, void *arg) { return HC(memory_op, op, arg); }

static void side(UNUSED void *p) {}

TEST(questions)
{
    CHECK_EQ(domu_create(&d, side), 0);
    CHECK(HC(memory_op, XENMEM_maximum_ram_page, 0) > 0);
    struct xen_memory_domain md = { d.id };
    CHECK_EQ(mem(XENMEM_current_reservation, &md), d.nr_pages);
    CHECK_EQ(mem(XENMEM_maximum_reservation, &md), d.nr_pages + 256);
    CHECK(mem(XENMEM_maximum_gpfn, &md) >= 0);
    CHECK_EQ(HC(memory_op, XENMEM_get_sharing_freed_pages, 0), 0);
    CHECK_EQ(HC(memory_op, XENMEM_get_sharing_shared_pages, 0), 0);
    struct xen_machphys_mapping m;
    CHECK_EQ(mem(XENMEM_machphys_mapping, &m), 0);
    CHECK_EQ(m.v_start, MACH2PHYS_VIRT_START);
    static xen_pfn_t frames[8];
    struct xen_machphys_mfn_list l = { .max_extents = 8 };
    set_xen_guest_handle(l.extent_start, frames);
    CHECK_EQ(mem(XENMEM_machphys_mfn_list, &l), 0);
    CHECK(l.nr_extents > 0 && frames[0]);
    set_xen_guest_handle_raw(l.extent_start, NOWHERE);
    CHECK_EQ(mem(XENMEM_machphys_mfn_list, &l), -EFAULT);
}

TEST(maps)
{
    static struct { u64 start, size; u32 type; } PACKED map[128];
    struct xen_memory_map m = { .nr_entries = 128 };
    set_xen_guest_handle_raw(m.buffer, (void *)map);
    CHECK_EQ(mem(XENMEM_machine_memory_map, &m), 0);
    CHECK(m.nr_entries > 1);
    m.nr_entries = 1;
    SAYS(mem(XENMEM_machine_memory_map, &m), -EINVAL);
    mem(XENMEM_machine_memory_map, &m);
    m.nr_entries = 128;
    set_xen_guest_handle_raw(m.buffer, NOWHERE);
    CHECK_EQ(mem(XENMEM_machine_memory_map, &m), -EFAULT);
    set_xen_guest_handle_raw(m.buffer, (void *)map);
    CHECK_EQ(mem(XENMEM_memory_map, &m), -ENOSYS);          /* dom0 was given none */
    struct xen_foreign_memory_map f = { .domid = DOMID_SELF, .map.nr_entries = 2 };
    set_xen_guest_handle_raw(f.map.buffer, (void *)map);
    CHECK_EQ(mem(XENMEM_set_memory_map, &f), 0);
    m.nr_entries = 128;
    CHECK_EQ(mem(XENMEM_memory_map, &m), 0);
    CHECK_EQ(m.nr_entries, 2);
    set_xen_guest_handle_raw(m.buffer, NOWHERE);
    CHECK_EQ(mem(XENMEM_memory_map, &m), -EFAULT);
    set_xen_guest_handle_raw(f.map.buffer, NOWHERE);
    CHECK_EQ(mem(XENMEM_set_memory_map, &f), -EFAULT);
    f.map.nr_entries = 100000;
    CHECK_EQ(mem(XENMEM_set_memory_map, &f), -EINVAL);
    f.map.nr_entries = 0;
    set_xen_guest_handle_raw(f.map.buffer, (void *)map);
    CHECK_EQ(mem(XENMEM_set_memory_map, &f), 0);
    struct xen_reserved_device_memory_map r = { .nr_entries = 0 };
    CHECK_EQ(mem(XENMEM_reserved_device_memory_map, &r), 0);
}

#define RESERVE(op, id, n, ord, list) ({ struct xen_memory_reservation r = { .nr_extents = n, .extent_order = ord, .domid = id }; \
    set_xen_guest_handle_raw(r.extent_start, (void *)(list)); mem(XENMEM_##op, &r); })

TEST(reservations)
{
    xen_pfn_t pfn[4] = { 0x5000, 0x5001, 0x5002, 0x5003 }, mfn[4];
    memcpy(mfn, pfn, sizeof(pfn));
    CHECK_EQ(RESERVE(populate_physmap, d.id, 4, 0, mfn), 4);
    CHECK(mfn[0] != pfn[0]);
    CHECK_EQ(RESERVE(decrease_reservation, d.id, 4, 0, mfn), 4);
    CHECK_EQ(RESERVE(decrease_reservation, d.id, 4, 0, mfn), 0);         /* not its any more */
    CHECK_EQ(RESERVE(increase_reservation, d.id, 2, 0, mfn), 2);
    CHECK_EQ(RESERVE(decrease_reservation, d.id, 2, 0, mfn), 2);
    CHECK_EQ(RESERVE(increase_reservation, d.id, 100000, 0, NULL), 256);          /* its limit */
    CHECK_EQ(RESERVE(increase_reservation, d.id, 1, 0, NULL), 0);
    memcpy(mfn, pfn, sizeof(pfn));
    CHECK_EQ(RESERVE(populate_physmap, d.id, 4, 0, mfn), 0);
    CHECK_EQ(RESERVE(populate_physmap, d.id, 1, 20, mfn), 0);
    CHECK_EQ(RESERVE(populate_physmap, d.id, 1, 0, NOWHERE), 0);
    CHECK_EQ(RESERVE(decrease_reservation, d.id, 1, 0, NOWHERE), 0);
    CHECK_EQ(RESERVE(populate_physmap, d.id, 0, 0, mfn), 0);
    CHECK_EQ(RESERVE(increase_reservation, d.id, 0, 0, mfn), 0);
    CHECK_EQ(RESERVE(decrease_reservation, d.id, 0, 0, mfn), 0);
}

TEST(claims)
{
    CHECK_EQ(DOMCTL(d.id, max_mem, u.max_mem.max_memkb = (d.nr_pages + 512) * 4), 0);
    CHECK_EQ(RESERVE(claim_pages, d.id, d.nr_pages + 512, 0, NULL), 0);
    CHECK_EQ(RESERVE(claim_pages, d.id, 1, 0, NULL), -EINVAL);           /* it has more */
    CHECK_EQ(RESERVE(claim_pages, d.id, 0, 0, NULL), 0);
    CHECK_EQ(RESERVE(claim_pages, d.id, d.nr_pages + 513, 0, NULL), -EINVAL);     /* its limit */
    CHECK_EQ(RESERVE(claim_pages, d.id, 1, 1, NULL), -EINVAL);
    CHECK_EQ(DOMCTL(d.id, max_mem, u.max_mem.max_memkb = 1UL << 32), 0);
    CHECK_EQ(RESERVE(claim_pages, d.id, 1UL << 28, 0, NULL), -ENOMEM);
    xen_pfn_t pfn = 1;
    CHECK_EQ(RESERVE(claim_pages, d.id, 1, 0, &pfn), -EINVAL);
    struct xen_pod_target p = { .target_pages = 10, .domid = d.id };
    CHECK_EQ(mem(XENMEM_get_pod_target, &p), -EINVAL);
    CHECK_EQ(mem(XENMEM_set_pod_target, &p), -EINVAL);
}

static long exchange(struct xen_memory_exchange x, xen_pfn_t *in, xen_pfn_t *out)
{
    set_xen_guest_handle(x.in.extent_start, in);
    set_xen_guest_handle(x.out.extent_start, out);
    return mem(XENMEM_exchange, &x);
}

#define EXCHANGE(n_in, o_in, n_out, o_out) \
    ((struct xen_memory_exchange){ .in = { .nr_extents = n_in, .extent_order = o_in, .domid = DOMID_SELF }, \
                                   .out = { .nr_extents = n_out, .extent_order = o_out, .domid = DOMID_SELF } })

TEST(exchanges)
{
    u64 first = alloc_pfn();
    xen_pfn_t in[4] = { P2M[first] }, out[4] = { first };
    CHECK_EQ(exchange(EXCHANGE(1, 0, 1, 0), in, out), 0);
    P2M[first] = in[0] = out[0];
    CHECK_EQ(exchange(EXCHANGE(2, 0, 1, 0), in, out), -EINVAL);
    CHECK_EQ(exchange(EXCHANGE(1, 0, 2, 1), in, out), -EINVAL);
    struct xen_memory_exchange x = EXCHANGE(1, 0, 1, 0);
    x.nr_exchanged = 5;
    CHECK_EQ(exchange(x, in, out), -EINVAL);
    x = EXCHANGE(1, 0, 1, 0);
    x.out.domid = d.id;
    CHECK_EQ(exchange(x, in, out), -EINVAL);
    CHECK_EQ(exchange(EXCHANGE(1, 30, 1, 30), in, out), -EPERM);
    CHECK_EQ(exchange(EXCHANGE(1, 0, 1, 0), (void *)NOWHERE, out), -EFAULT);
    in[0] = 1UL << 40;
    out[0] = first;
    CHECK_EQ(exchange(EXCHANGE(1, 0, 1, 0), in, out), -EINVAL);
    in[0] = virt_to_mfn_of((void *)start_info->pt_base);
    CHECK_EQ(exchange(EXCHANGE(1, 0, 1, 0), in, out), -EINVAL);
}

#define ACQUIRE(dom, t, i, f, n, list) ({ struct xen_mem_acquire_resource r = { .domid = dom, .type = t, .id = i, \
    .nr_frames = n, .frame = f }; set_xen_guest_handle_raw(r.frame_list, (void *)(list)); long rc = mem(XENMEM_acquire_resource, &r); \
    size = r.nr_frames; rc; })

TEST(resources)
{
    static xen_pfn_t list[64];
    u32 size;
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 0, NULL), 0);
    CHECK_EQ(size, 4);
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 2, list), 0);
    CHECK(list[0] && list[1]);
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 3, 2, list), -EINVAL);
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_status, 0, 1, list), -EINVAL);
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, 99, 0, 1, list), -EINVAL);
    CHECK_EQ(ACQUIRE(d.id, 99, 0, 0, 1, list), -EOPNOTSUPP);
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, 0, 0, 1, NULL), -EINVAL);
    CHECK_EQ(ACQUIRE(d.id, XENMEM_resource_grant_table, 0, 0, 1, NOWHERE), -EFAULT);
    CHECK_EQ(ACQUIRE(DOMID_SELF, XENMEM_resource_grant_table, 0, 0, 1, list), -ESRCH);
    CHECK_EQ(ACQUIRE(0, XENMEM_resource_grant_table, 0, 0, 1, list), -EPERM);
}

/* A domain that its toolstack gave no map, and one that has one. */
DOMU_TEST(of_a_domu)
{
    static xen_pfn_t frames[8];
    struct xen_memory_map m = { .nr_entries = 0 };
    CHECK_EQ(mem(XENMEM_memory_map, &m), -ENOSYS);
    struct xen_machphys_mfn_list l = { .max_extents = 8 };
    set_xen_guest_handle(l.extent_start, frames);
    CHECK_EQ(mem(XENMEM_machphys_mfn_list, &l), 0);
    struct xen_reserved_device_memory_map r = { .nr_entries = 0 };
    CHECK_EQ(mem(XENMEM_reserved_device_memory_map, &r), 0);
    xen_pfn_t mfn = P2M[alloc_pfn()];
    CHECK_EQ(RESERVE(decrease_reservation, DOMID_SELF, 1, 0, &mfn), 1);
    mfn = 0x4000;
    CHECK_EQ(RESERVE(populate_physmap, DOMID_SELF, 1, 0, &mfn), 1);
}

TEST(end) { domu_destroy(&d); }
