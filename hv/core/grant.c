// SPDX-License-Identifier: MIT
/*
 * Grant tables, the granting half: frames shared with the guest, the versions of
 * their entries, and which entries are in use by whom. Owns d->grants; the rules and
 * the locks are in grant_private.h, everything here but init and end takes d's
 * grants->lock.
 *
 * The shared entries are the guest's to write at any time. Version 1 says in-use by
 * compare-and-swap of flags and domain id in one word. Version 2 says it in a status
 * word of our own, and looks at the flags once more afterwards: a guest that withdraws
 * a grant clears its flags first and looks at the status then, so one of the two sees
 * the other. Tries are bounded: a guest that keeps flipping its entry gets an error.
 */
#include "arch.h"
#include "grant_private.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

#define TRIES 16

/* An entry of version n has n words of 8 bytes. Both begin with flags (low half) and
 * domain id. */
union entry {
    u32 header;
    struct grant_entry_v1 v1;
    union grant_entry_v2 v2;
};

static union entry *entry_of(const struct grant_table *t, u32 ref)
{
    size_t at = (size_t)ref * 8 * t->version;
    return (union entry *)((char *)t->shared[at / PAGE_SIZE] + at % PAGE_SIZE);
}

static u32 nr_refs(const struct grant_table *t)
{
    return t->nr_frames * (u32)(t->version == 1 ? V1_PER_FRAME : V2_PER_FRAME);
}

u32 grant_status_frames(u32 frames)
{
    return (u32)((frames * V2_PER_FRAME + STATUS_PER_FRAME - 1) / STATUS_PER_FRAME);
}

static struct grant_active *active_of(const struct grant_table *t, u32 ref)
{
    return &t->active[ref / V1_PER_FRAME][ref % V1_PER_FRAME];
}

static grant_status_t *status_of(const struct grant_table *t, u32 ref)
{
    return t->status[ref / STATUS_PER_FRAME] + ref % STATUS_PER_FRAME;
}

static void set_frame(const struct grant_table *t, u32 ref, u64 frame)
{
    union entry *e = entry_of(t, ref);
    if (t->version == 1)
        WRITE_ONCE(e->v1.frame, (u32)frame);
    else
        WRITE_ONCE(e->v2.full_page.frame, frame);
}

/* --- saying that an entry is in use --- */

/* May `by` use an entry as the bits say? */
static bool permits(u32 header, domid_t by, u16 bits, bool transitive_too)
{
    u32 type = header & GTF_type_mask;
    return (type == GTF_permit_access || (transitive_too && type == GTF_transitive)) &&
           header >> 16 == by && !((bits & GTF_writing) && (header & GTF_readonly));
}

static bool claim_v1(u32 *word, domid_t by, u16 bits)
{
    u32 old = READ_ONCE(*word);
    for (int i = 0; i < TRIES && permits(old, by, bits, false); i++) {
        if (cas(word, &old, old | bits))
            return true;
    }
    return false;
}

static NOINLINE bool claim_v2(const u32 *word, grant_status_t *status, domid_t by, u16 bits, u32 *header)
{
    for (int i = 0; i < TRIES; i++) {
        *header = READ_ONCE(*word);
        if (!permits(*header, by, bits, true))
            return false;
        __atomic_fetch_or(status, bits, __ATOMIC_SEQ_CST);
        if (READ_ONCE(*word) == *header)
            return true;
        __atomic_fetch_and(status, (u16)~bits, __ATOMIC_SEQ_CST);
    }
    return false;
}

/* What entry ref grants, read after it was claimed. */
static bool read_entry(const union entry *e, u32 version, u32 header, struct grant_use *use)
{
    *use = (struct grant_use){ .length = PAGE_SIZE, .whole = true };
    if (version == 1) {
        use->gfn = READ_ONCE(e->v1.frame);
    } else if ((header & GTF_type_mask) == GTF_transitive) {
        use->whole = false;
        use->transitive = true;
        use->tdom = READ_ONCE(e->v2.transitive.trans_domid);
        use->gfn = READ_ONCE(e->v2.transitive.gref);
    } else {
        use->gfn = READ_ONCE(e->v2.full_page.frame);
        if (header & GTF_sub_page) {
            use->whole = false;
            use->start = READ_ONCE(e->v2.sub_page.page_off);
            use->length = READ_ONCE(e->v2.sub_page.length);
        }
    }
    return use->start + use->length <= (int)PAGE_SIZE;
}

static inline void unclaim(struct grant_table *t, u32 ref, u16 bits)
{
    u16 *flags = t->version == 1 ? &entry_of(t, ref)->v1.flags : status_of(t, ref);
    __atomic_fetch_and(flags, (u16)~bits, __ATOMIC_SEQ_CST);
}

/* One more use of an entry: only what it does not yet say needs the shared entry. */
static bool claim(struct grant_table *t, u32 ref, domid_t by, bool write, struct grant_active *act)
{
    bool used = act->readers | act->writers;
    if (used) {
        if (act->by != by || act->readers == ~0u || act->writers == ~0u)
            return false;
        if (!write || act->writers)
            return true;
    }
    u16 bits = (used ? 0 : GTF_reading) | (write ? GTF_writing : 0);
    union entry *e = entry_of(t, ref);
    u32 header = 0, version = t->version;
    bool good = version == 1 ? claim_v1(&e->header, by, bits)
                             : claim_v2(&e->header, status_of(t, ref), by, bits, &header);
    if (!good || used)
        return good;
    if (!read_entry(e, version, header, &act->use)) {
        unclaim(t, ref, bits);
        return false;
    }
    act->by = by;
    t->nr_active++;
    return true;
}

int grant_pin(struct domain *d, u32 ref, domid_t by, bool write, struct grant_use *use)
{
    struct grant_table *t = d->grants;
    with_lock (&t->lock) {
        u32 n = nr_refs(t);
        if (ref >= n)
            return GNTST_bad_gntref;
        ref = (u32)index_nospec(ref, n);
        struct grant_active *act = active_of(t, ref);
        if (!claim(t, ref, by, write, act))
            return GNTST_general_error;
        write ? act->writers++ : act->readers++;
        *use = act->use;
    }
    return GNTST_okay;
}

void grant_unpin(struct domain *d, u32 ref, bool write)
{
    struct grant_table *t = d->grants;
    spin_lock(&t->lock);
    struct grant_active *act = active_of(t, ref);
    ASSERT(write ? act->writers : act->readers);
    write ? act->writers-- : act->readers--;
    u16 bits = write && !act->writers ? GTF_writing : 0;
    if (!(act->readers | act->writers)) {
        bits |= GTF_reading;
        t->nr_active--;
    }
    if (bits)
        unclaim(t, ref, bits);
    spin_unlock(&t->lock);
}

int grant_swap(struct domain *d, u32 a, u32 b)
{
    struct grant_table *t = d->grants;
    with_lock (&t->lock) {
        u32 n = nr_refs(t);
        if (a >= n || b >= n)
            return GNTST_bad_gntref;
        a = (u32)index_nospec(a, n);
        b = (u32)index_nospec(b, n);
        const struct grant_active *aa = active_of(t, a), *ab = active_of(t, b);
        if (aa->readers | aa->writers | ab->readers | ab->writers)
            return GNTST_eagain;
        u64 *wa = (u64 *)entry_of(t, a), *wb = (u64 *)entry_of(t, b);
        for (u32 i = 0; i < t->version; i++) {
            u64 word = wa[i];
            wa[i] = wb[i];
            wb[i] = word;
        }
    }
    return GNTST_okay;
}

/* --- transfers --- */

int grant_transfer_begin(struct domain *d, u32 ref, domid_t by)
{
    struct grant_table *t = d->grants;
    with_lock (&t->lock) {
        u32 n = nr_refs(t), want = GTF_accept_transfer | (u32)by << 16;
        if (ref >= n)
            return GNTST_general_error;
        u32 *word = &entry_of(t, (u32)index_nospec(ref, n))->header;
        if (!cas(word, &want, want | GTF_transfer_committed))
            return GNTST_general_error;
        t->nr_active++;                 /* the version stays */
    }
    return GNTST_okay;
}

void grant_transfer_end(struct domain *d, u32 ref, mfn_t mfn, bool done)
{
    struct grant_table *t = d->grants;
    with_lock (&t->lock) {
        u32 *word = &entry_of(t, ref)->header;
        if (done) {
            set_frame(t, ref, mfn);
            __atomic_fetch_or(word, GTF_transfer_completed, __ATOMIC_SEQ_CST);
        } else {
            __atomic_fetch_and(word, ~GTF_transfer_committed, __ATOMIC_SEQ_CST);
        }
        t->nr_active--;
    }
}

/* --- frames and versions --- */

/* Status words come along, whether or not version 2 is in force. lock held. */
static int grow(struct domain *d, u32 n)
{
    struct grant_table *t = d->grants;
    for (u32 i = t->nr_frames; i < n; i = ++t->nr_frames) {
        grant_status_t **status = &t->status[i * V2_PER_FRAME / STATUS_PER_FRAME];
        *status = *status ?: alloc_shared_page(d);
        t->active[i] = t->active[i] ?: xzalloc_array(struct grant_active, V1_PER_FRAME);
        t->shared[i] = *status && t->active[i] ? alloc_shared_page(d) : NULL;
        if (!t->shared[i])
            return -ENOMEM;
    }
    return 0;
}

int grant_grow_to(struct vcpu *v, struct domain *d, u32 n)
{
    struct grant_table *t = d->grants;
    if (n > d->max_grant_frames)
        return -EINVAL;
    for (;;) {
        with_lock (&t->lock) {
            int err = grow(d, MIN(n, t->nr_frames + 16));
            if (err || t->nr_frames >= n)
                return err;
        }
        if (hypercall_preempt(v))
            return -ERESTART;
    }
}

/* The first few entries live on in the other version; no entry is in use. */
static int convert(struct domain *d, u32 version)
{
    struct grant_table *t = d->grants;
    struct { u32 header; u64 frame; } keep[GNTTAB_NR_RESERVED_ENTRIES];
    for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        const union entry *e = entry_of(t, i);
        u32 header = READ_ONCE(e->header), type = header & GTF_type_mask;
        u64 frame = t->version == 1 ? READ_ONCE(e->v1.frame) : READ_ONCE(e->v2.full_page.frame);
        // cppcheck-suppress knownConditionTrueFalse ; not with version 2
        if (version == 1 && (type == GTF_transitive || frame != (u32)frame ||
                             (type == GTF_permit_access && (header & GTF_sub_page)))) {
            return -EINVAL;             /* cannot be said in version 1 */
        }
        keep[i].header = header & ~(GTF_reading | GTF_writing);
        keep[i].frame = frame;
    }
    for (u32 i = 0; i < t->nr_frames; i++)
        memset(t->shared[i], 0, PAGE_SIZE);
    for (u32 i = 0; i < grant_status_frames(t->nr_frames); i++)
        memset(t->status[i], 0, PAGE_SIZE);
    t->version = version;
    for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        set_frame(t, i, keep[i].frame);
        __atomic_store_n(&entry_of(t, i)->header, keep[i].header, __ATOMIC_RELEASE);
    }
    return 0;
}

int grant_set_version(struct domain *d, u32 version)
{
    if (version != 1 && version != 2)
        return -EINVAL;
    if (version > d->grant_version_max)
        return -ENOSYS;
    struct grant_table *t = d->grants;
    int err = 0;
    with_lock (&t->lock)
        err = t->version == version ? 0 : t->nr_active ? -EBUSY : convert(d, version);
    return err;
}

u32 grant_max_frames(struct domain *d, u32 id)
{
    bool status = id == XENMEM_resource_grant_table_id_status;
    return status ? grant_status_frames(d->max_grant_frames) : d->max_grant_frames;
}

int grant_prepare_frames(struct vcpu *v, struct domain *d, u32 id, u32 n)
{
    struct grant_table *t = d->grants;
    if (id == XENMEM_resource_grant_table_id_status) {
        if (READ_ONCE(t->version) != 2)
            return -EINVAL;
        n = (u32)MIN(n * STATUS_PER_FRAME / V2_PER_FRAME, (unsigned long)d->max_grant_frames);
    }
    return grant_grow_to(v, d, n);
}

int grant_put_frames(struct vcpu *v, struct domain *d, u32 id, u32 first, u32 n, const void *list)
{
    struct grant_table *t = d->grants;
    bool status = id == XENMEM_resource_grant_table_id_status;
    for (u32 i = 0; i < n; i++) {
        u64 mfn = 0;
        with_lock (&t->lock) {
            u32 have = status ? grant_status_frames(t->nr_frames) : t->nr_frames;
            if (first + i >= have || (status && t->version != 2))
                return -EINVAL;
            u32 at = (u32)index_nospec(first + i, have);
            mfn = virt_to_mfn(status ? t->status[at] : t->shared[at]);
        }
        if (guest_write(v, (u64)list + i * sizeof(mfn), &mfn, sizeof(mfn)))
            return -EFAULT;
    }
    return 0;
}

/* --- the table's beginning and end --- */

int grant_domain_init(struct domain *d)
{
    struct grant_table *t = xzalloc_type(struct grant_table);
    if (!t)
        return -ENOMEM;
    d->grants = t;
    spin_lock_init(&t->lock, LOCK_GRANT);
    spin_lock_init(&t->map_lock, LOCK_GRANT);
    t->version = 1;
    t->max_map_frames = MIN(d->max_maptrack_frames, (u32)(MAP_DIRS * MAP_PER_DIR));
    t->map_free = HANDLE_NONE;
    return grant_grow_to(NULL, d, 1);           /* in one step: no vCPU is asked for its time */
}

/* No reference to d is left, so nobody has a grant of d mapped. */
void grant_domain_free(struct domain *d)
{
    struct grant_table *t = d->grants;
    ASSERT(t->nr_active == 0);
    for (u32 i = 0; i < GRANT_FRAMES_MAX; i++) {
        free_shared_page(t->shared[i]);
        free_shared_page(t->status[i]);
        xfree(t->active[i]);
        arch_irq_window();
    }
    grant_map_free(d);
    xfree(t);
    d->grants = NULL;
}

u32 grant_dump(struct domain *d, u32 ref)
{
    struct grant_table *t = d->grants;
    u32 n = t ? nr_refs(t) : 0;
    if (t && ref == 0) {
        printk(LOG_INFO,
               "d%u: grant table version %u, %u/%u frames, %u entries in use, %u maptrack frames\n",
               d->id, t->version, t->nr_frames, d->max_grant_frames, t->nr_active, t->nr_map_frames);
    }
    while (ref < n) {
        struct grant_active act = *active_of(t, ref++);     /* as it is just now */
        if (act.readers | act.writers) {
            printk(LOG_INFO, "  %6u by d%u: gfn %lx, %u readers, %u writers\n", ref - 1, act.by,
                   act.use.gfn, act.readers, act.writers);
            break;
        }
        if (ref % 64 == 0)
            break;
    }
    return ref < n ? ref : 0;
}
