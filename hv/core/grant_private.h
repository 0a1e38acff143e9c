/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: the records, shared by core/grant*.c only.
 *
 * A domain's table has two halves with a lock each (both LOCK_GRANT, never held
 * together):
 *   lock      the granting half: frames, version, and per entry how often it is in
 *             use (struct grant_active). Held for a few dozen instructions.
 *   map_lock  the mapping half: which grants of others this domain has mapped
 *             (struct grant_map, named by its handle).
 * While an entry is in use ("pinned") its flags in the guest's shared frame say so,
 * and what was granted is what stands in grant_active, whatever the guest writes
 * into the shared entry meanwhile. References on granted frames are taken and given
 * up with no lock held, between pin and unpin.
 *
 * A mapping keeps a pin of the entry, a reference (if writable also a writable type
 * reference) on the frame, and a reference on the granting domain: so a domain that
 * dies stays until the last of its grants is unmapped, and its id is not used anew.
 */
#pragma once

#include "grant.h"
#include <xen/grant_table.h>
#include <xen/memory.h>

#define V1_PER_FRAME     (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define V2_PER_FRAME     (PAGE_SIZE / sizeof(union grant_entry_v2))
#define STATUS_PER_FRAME (PAGE_SIZE / sizeof(grant_status_t))

/* What an entry grants. */
struct grant_use {
    u64 gfn;                /* transitive: the reference in domain tdom */
    domid_t tdom;
    u16 start, length;      /* bytes of the frame that may be used */
    bool whole, transitive; /* whole: may be mapped */
};

struct grant_active {
    struct grant_use use;
    u32 readers, writers;   /* uses; both 0: the rest means nothing */
    domid_t by;             /* who uses it */
};

/* One mapping. Free when flags has neither MAP_LIVE bit, then `ref` is the next free
 * handle. MAP_BUSY: a CPU is working on it. */
struct grant_map {
    u32 ref;
    u32 mfn;
    domid_t domid;          /* who grants; a reference on it is held */
    u16 flags;              /* GNTMAP_* below bit 15 */
    u32 pad;
};
#define MAP_LIVE       (GNTMAP_host_map | GNTMAP_device_map)
#define MAP_BUSY       0x8000u
#define MAP_PER_FRAME  (PAGE_SIZE / sizeof(struct grant_map))
#define MAP_PER_DIR    (PAGE_SIZE / sizeof(struct grant_map *))
#define MAP_DIRS       64
#define HANDLE_NONE    0xffffffffu

struct grant_table {
    spinlock_t lock;
    u32 version;
    u32 nr_frames;                  /* grows only, up to max_grant_frames */
    u32 nr_active;                  /* entries in use */
    void *shared[GRANT_FRAMES_MAX];                     /* frames that the guest sees */
    grant_status_t *status[GRANT_FRAMES_MAX];           /* those of status words, fewer */
    struct grant_active *active[GRANT_FRAMES_MAX];      /* V1_PER_FRAME per frame */

    spinlock_t map_lock;
    u32 nr_map_frames, max_map_frames;
    u32 map_free;                   /* first free handle or HANDLE_NONE */
    u32 release_next;               /* grant_release_mappings: how far it is */
    struct grant_map **map_dir[MAP_DIRS];
};

/* Entry `ref` of d is in use by domain `by` until grant_unpin with the same ref and
 * write: GNTST_okay or an error. */
int grant_pin(struct domain *d, u32 ref, domid_t by, bool write, struct grant_use *use);
void grant_unpin(struct domain *d, u32 ref, bool write);

u32 grant_status_frames(u32 frames);    /* that go with so many shared ones */
/* At least n frames, 16 at a time: 0, -EINVAL (over the limit), -ENOMEM, -ERESTART. */
int grant_grow_to(struct vcpu *v, struct domain *d, u32 n);
int grant_set_version(struct domain *d, u32 version);       /* 0, -errno */
int grant_swap(struct domain *d, u32 a, u32 b);             /* GNTST_* */
/* Entry ref of d accepts a frame from domain `by`: committed until _end. GNTST_*. */
int grant_transfer_begin(struct domain *d, u32 ref, domid_t by);
void grant_transfer_end(struct domain *d, u32 ref, mfn_t mfn, bool done);

void grant_map_free(struct domain *d);

#define GRANT_BATCH 16      /* operations read and written back at once */
/* n operations of an array, at most GRANT_BATCH: each gets its status. */
typedef void grant_batch_fn(struct vcpu *v, void *ops, u32 n);
grant_batch_fn op_map_grant_ref, op_unmap_grant_ref, op_unmap_and_replace, op_copy;
