/* SPDX-License-Identifier: MIT */
/*
 * Which results of which calls were really seen: HC () of tiny.h comes through here. A row
 * for each call and sub-call, from the tables that make the dispatcher. After each test the
 * rows that it touched are printed as "seen: call op result ...", in numbers;
 * tests/guest/conformance.py gives them names and holds them against what must be seen.
 */
#include "record.h"
#include "tiny.h"
#include <xen/hypfs.h>
#include <xen/nmi.h>
#include <xen/platform.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/arch-x86/xen-mca.h>

enum { CALL_ITSELF = -1, OTHER_OP = -2, OTHER_CALL = -1 };

static const struct row { s32 call, op; } rows[] = {
    { OTHER_CALL, CALL_ITSELF },
#define HYPERCALL(nr, ...) { nr, CALL_ITSELF },
#define NOT_IMPLEMENTED(nr, ...) { nr, CALL_ITSELF },
#include "hypercall_table.h"
#define OP(nr, ...) { CALL, nr },
#define OP_AT OP
#define OP_ON OP
#define OP_PORT OP
#define OP_ARRAY OP
#define NO_OP OP
#define CALL __HYPERVISOR_callback_op
#include "ops/callback_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_console_io
#include "ops/console_io.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_domctl
#include "ops/domctl.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_event_channel_op
#include "ops/event_channel_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_grant_table_op
#include "ops/grant_table_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_memory_op
#include "ops/memory_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_mmuext_op
#include "ops/mmuext_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_nmi_op
#include "ops/nmi_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_physdev_op
#include "ops/physdev_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_platform_op
#include "ops/platform_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_sched_op
#include "ops/sched_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_sysctl
#include "ops/sysctl.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_vcpu_op
#include "ops/vcpu_op.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_vm_assist
#include "ops/vm_assist.h"
    { CALL, OTHER_OP },
#undef CALL
#define CALL __HYPERVISOR_xen_version
#include "ops/xen_version.h"
    { CALL, OTHER_OP },
#undef CALL
#undef OP
#undef OP_AT
#undef OP_ON
#undef OP_PORT
#undef OP_ARRAY
#undef NO_OP
};

/* Where the structures of grant_table_op have their status; size 0: they have none. */
static const struct { u16 size, status; } grant_op[] = {
#define OP(nr, name, ...)
#define NO_OP(nr, name, ...)
#define OP_AT(nr, name, field, ...) \
    [nr] = { offsetof(struct gnttab_##name, field) ? sizeof(struct gnttab_##name) : 0, offsetof(struct gnttab_##name, field) },
#define OP_ARRAY(nr, name, ...) [nr] = { sizeof(struct gnttab_##name), offsetof(struct gnttab_##name, status) },
#include "ops/grant_table_op.h"
};

/* Results as bits: 0 success, errno, then GNTST_* statuses, then a short count. */
enum { BIT_STATUS = 128, BIT_SHORT = 160, BITS = 192 };

static u64 results[ARRAY_SIZE(rows)][BITS / 64];

static void note(unsigned row, unsigned bit)
{
    __atomic_fetch_or(&results[row][bit / 64], 1UL << bit % 64, __ATOMIC_RELAXED);
}

static unsigned find(u64 call, s64 op)
{
    unsigned other = 0;
    for (unsigned i = 1; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].call == (s64)call && rows[i].op == op)
            return i;
        if (rows[i].call == (s64)call && rows[i].op == OTHER_OP) {
            other = i;
        }
    }
    return other;
}

/* May the recorder look at it itself? */
static bool readable(u64 va, u64 n)
{
    for (u64 at = va & ~(PAGE_SIZE - 1); at < va + n; at += PAGE_SIZE) {
        const u64 *e = at >= VIRT_START && at < VIRT_START + MIB(32) && start_info ? pte_of(at, 1) : NULL;
        if (!e || !(*e & PG_P))
            return false;
    }
    return va + n > va;
}

static s64 op_of(unsigned nr, u64 a, u64 b)
{
    switch (nr) {
    case __HYPERVISOR_callback_op: case __HYPERVISOR_console_io: case __HYPERVISOR_event_channel_op:
    case __HYPERVISOR_grant_table_op: case __HYPERVISOR_nmi_op: case __HYPERVISOR_physdev_op:
    case __HYPERVISOR_sched_op: case __HYPERVISOR_vcpu_op: case __HYPERVISOR_xen_version:
        return (u32)a;
    case __HYPERVISOR_memory_op:
        return a & 63;
    case __HYPERVISOR_vm_assist:
        return (u32)b;
    case __HYPERVISOR_mmuext_op:        /* of one at a time: whose error would it be? */
        return (u32)b == 1 && readable(a, 4) ? (s64)*(u32 *)a : CALL_ITSELF;
    case __HYPERVISOR_platform_op: case __HYPERVISOR_sysctl: case __HYPERVISOR_domctl:
        return readable(a, 4) ? (s64)*(u32 *)a : CALL_ITSELF;
    default:
        return CALL_ITSELF;
    }
}

/* The elements of a reservation that were asked for. */
static u64 extents(unsigned nr, s64 op, u64 arg)
{
    const struct xen_memory_reservation *r = (void *)arg;
    bool counts = nr == __HYPERVISOR_memory_op && (op == XENMEM_populate_physmap ||
                  op == XENMEM_increase_reservation || op == XENMEM_decrease_reservation);
    return counts && readable(arg, sizeof(*r)) ? r->nr_extents : 0;
}

/* Each structure's own result, or the call's. */
static void note_grants(unsigned row, u32 op, u64 arg, u64 count)
{
    u64 size = op < ARRAY_SIZE(grant_op) ? grant_op[op].size : 0;
    if (!size || !count || !readable(arg, size * count)) {
        note(row, 0);
        return;
    }
    for (u64 i = 0; i < count; i++) {
        int16_t status = *(int16_t *)(arg + i * size + grant_op[op].status);
        note(row, BIT_STATUS + (status <= 0 && status > -31 ? -status : 31));
    }
}

long recorded_hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    s64 op = op_of(nr, a, b);
    u64 want = extents(nr, op, b);
    unsigned row = find(nr, op);
    long rc = hypercall(nr, a, b, c, d, e, f);
    if (rc < 0 && nr != __HYPERVISOR_get_debugreg) {
        note(row, rc > -127 ? -rc : 127);
    } else if (rc < 0) {
        note(row, rc == -EINVAL || rc == -ENODEV ? -rc : 0);        /* the value can be any */
    } else if (want && (u64)rc < want) {
        note(row, BIT_SHORT);
    } else if (nr == __HYPERVISOR_grant_table_op) {
        note_grants(row, op, b, c);
    } else {
        note(row, 0);
    }
    return rc;
}

void record_result(unsigned nr, s64 op, long rc) { note(find(nr, op), rc < 0 ? -rc : 0); }

void record_merge(struct domu *d)
{
    static u64 theirs[ARRAY_SIZE(results)][BITS / 64];
    domu_read(d, theirs, results, sizeof(theirs));
    for (unsigned i = 0; i < ARRAY_SIZE(results); i++) {
        for (unsigned k = 0; k < BITS / 64; k++) {
            results[i][k] |= theirs[i][k];
        }
    }
}

void record_clear(void) { memset(results, 0, sizeof(results)); }

bool unrecorded __attribute__((weak));

void record_print(void)
{
    if (unrecorded)
        return;
    static u64 was[BITS / 64];
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char line[200];
        int n = snprintf(line, sizeof(line), "seen: %d %d", rows[i].call, rows[i].op), empty = n;
        memcpy(was, results[i], sizeof(was));
        for (unsigned bit = 0; bit < BITS && n < 180; bit++) {
            if ((was[bit / 64] >> bit % 64) & 1) {
                n += snprintf(line + n, sizeof(line) - n, " %u", bit);
            }
        }
        if (n != empty) {
            print("%s\n", line);
        }
    }
    record_clear();
}
