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
#include "mm.h"

#define TRIES 16

u32 grant_nr_refs(const struct grant_table *t)
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

static struct grant_entry_v1 *entry_v1(const struct grant_table *t, u32 ref)
{
    return (struct grant_entry_v1 *)t->shared[ref / V1_PER_FRAME] + ref % V1_PER_FRAME;
}

static union grant_entry_v2 *entry_v2(const struct grant_table *t, u32 ref)
{
    return (union grant_entry_v2 *)t->shared[ref / V2_PER_FRAME] + ref % V2_PER_FRAME;
}

static grant_status_t *status_of(const struct grant_table *t, u32 ref)
{
    return t->status[ref / STATUS_PER_FRAME] + ref % STATUS_PER_FRAME;
}

/* Flags (low half) and domain id of an entry of either version. */
static u32 *header_of(const struct grant_table *t, u32 ref)
{
    return t->version == 1 ? (u32 *)entry_v1(t, ref) : (u32 *)entry_v2(t, ref);
}

/* --- saying that an entry is in use --- */

static int check_header(u32 header, domid_t by, bool write, bool transitive_too)
{
    u32 type = header & GTF_type_mask;
    bool good = type == GTF_permit_access || (transitive_too && type == GTF_transitive);
    return good && header >> 16 == by && !(write && (header & GTF_readonly)) ? GNTST_okay : GNTST_general_error;
}

static int claim_v1(struct grant_table *t, u32 ref, domid_t by, bool write)
{
    u32 *word = header_of(t, ref), old = READ_ONCE(*word);
    for (int i = 0; i < TRIES; i++) {
        int err = check_header(old, by, write, false);
        if (err)
            return err;
        if (__atomic_compare_exchange_n(word, &old, old | GTF_reading | (write ? GTF_writing : 0), false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            return GNTST_okay;
        }
    }
    return GNTST_general_error;
}

static int claim_v2(struct grant_table *t, u32 ref, domid_t by, bool write, u16 already, u32 *header)
{
    const u32 *word = header_of(t, ref);
    grant_status_t *status = status_of(t, ref);
    u16 bits = GTF_reading | (write ? GTF_writing : 0);
    for (int i = 0; i < TRIES; i++) {
        *header = READ_ONCE(*word);
        int err = check_header(*header, by, write, true);
        if (err)
            return err;
        __atomic_fetch_or(status, bits, __ATOMIC_SEQ_CST);
        if (READ_ONCE(*word) == *header)
            return GNTST_okay;
        __atomic_fetch_and(status, (u16)~(bits & ~already), __ATOMIC_SEQ_CST);
    }
    return GNTST_general_error;
}

/* What entry ref grants, read after it was claimed. */
static int read_entry(struct grant_table *t, u32 ref, u32 header, struct grant_active *act)
{
    act->start = 0;
    act->length = PAGE_SIZE;
    act->whole = true;
    act->transitive = false;
    if (t->version == 1) {
        act->gfn = READ_ONCE(entry_v1(t, ref)->frame);
        return GNTST_okay;
    }
    union grant_entry_v2 *e = entry_v2(t, ref);
    if ((header & GTF_type_mask) == GTF_transitive) {
        act->whole = false;
        act->transitive = true;
        act->tdom = READ_ONCE(e->transitive.trans_domid);
        act->gfn = READ_ONCE(e->transitive.gref);
        return GNTST_okay;
    }
    act->gfn = READ_ONCE(e->full_page.frame);
    if (header & GTF_sub_page) {
        act->whole = false;
        act->start = READ_ONCE(e->sub_page.page_off);
        act->length = READ_ONCE(e->sub_page.length);
        return act->start + act->length <= (int)PAGE_SIZE ? GNTST_okay : GNTST_general_error;
    }
    return GNTST_okay;
}

static void unclaim(struct grant_table *t, u32 ref, u16 bits)
{
    u16 *flags = t->version == 1 ? &entry_v1(t, ref)->flags : status_of(t, ref);
    __atomic_fetch_and(flags, (u16)~bits, __ATOMIC_SEQ_CST);
}

/* One more use of an entry: only what it does not yet say needs the shared entry. */
static int claim(struct grant_table *t, u32 ref, domid_t by, bool write, struct grant_active *act)
{
    bool used = act->readers | act->writers;
    u32 header = 0;
    if (used) {
        if (act->by != by || act->readers == ~0u || act->writers == ~0u)
            return GNTST_general_error;
        if (!write || act->writers)
            return GNTST_okay;
    }
    int err = t->version == 1 ? claim_v1(t, ref, by, write)
                              : claim_v2(t, ref, by, write, used ? GTF_reading : 0, &header);
    if (err || used)
        return err;
    err = read_entry(t, ref, header, act);
    if (err) {
        unclaim(t, ref, GTF_reading | GTF_writing);
        return err;
    }
    act->by = by;
    t->nr_active++;
    return GNTST_okay;
}

int grant_pin(struct domain *d, u32 ref, domid_t by, bool write, struct grant_use *use)
{
    struct grant_table *t = d->grants;
    int err = GNTST_bad_gntref;
    spin_lock(&t->lock);
    u32 n = grant_nr_refs(t);
    if (ref < n) {
        ref = (u32)index_nospec(ref, n);
        struct grant_active *act = active_of(t, ref);
        err = claim(t, ref, by, write, act);
        if (!err) {
            write ? act->writers++ : act->readers++;
            *use = (struct grant_use){ .gfn = act->gfn, .start = act->start, .length = act->length,
                                       .whole = act->whole, .transitive = act->transitive, .tdom = act->tdom };
        }
    }
    spin_unlock(&t->lock);
    return err;
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
    int err = GNTST_okay;
    with_lock (&t->lock) {
        u32 n = grant_nr_refs(t);
        if (a >= n || b >= n) {
            err = GNTST_bad_gntref;
            break;
        }
        a = (u32)index_nospec(a, n);
        b = (u32)index_nospec(b, n);
        struct grant_active *aa = active_of(t, a), *ab = active_of(t, b);
        if (aa->readers | aa->writers | ab->readers | ab->writers) {
            err = GNTST_eagain;
        } else if (t->version == 1) {
            struct grant_entry_v1 e = *entry_v1(t, a);
            *entry_v1(t, a) = *entry_v1(t, b);
            *entry_v1(t, b) = e;
        } else {
            union grant_entry_v2 e = *entry_v2(t, a);
            *entry_v2(t, a) = *entry_v2(t, b);
            *entry_v2(t, b) = e;
        }
    }
    return err;
}

/* --- transfers --- */

int grant_transfer_begin(struct domain *d, u32 ref, domid_t by)
{
    struct grant_table *t = d->grants;
    int err = GNTST_bad_gntref;
    with_lock (&t->lock) {
        u32 n = grant_nr_refs(t);
        if (ref >= n)
            break;
        u32 *word = header_of(t, (u32)index_nospec(ref, n)), old = READ_ONCE(*word);
        for (int i = 0; i < TRIES && err; i++) {
            if ((old & 0xffff) != GTF_accept_transfer || old >> 16 != by)
                break;
            if (__atomic_compare_exchange_n(word, &old, old | GTF_transfer_committed, false,
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
                err = GNTST_okay;
                t->nr_active++;         /* the version stays */
            }
        }
    }
    return err;
}

void grant_transfer_end(struct domain *d, u32 ref, mfn_t mfn, bool done)
{
    struct grant_table *t = d->grants;
    with_lock (&t->lock) {
        if (!done) {
            __atomic_fetch_and(header_of(t, ref), ~GTF_transfer_committed, __ATOMIC_SEQ_CST);
        } else {
            if (t->version == 1)
                WRITE_ONCE(entry_v1(t, ref)->frame, (u32)mfn);
            else
                WRITE_ONCE(entry_v2(t, ref)->full_page.frame, mfn);
            __atomic_fetch_or(header_of(t, ref), GTF_transfer_completed, __ATOMIC_SEQ_CST);
        }
        t->nr_active--;
    }
}

/* --- frames and versions --- */

static void *new_shared_frame(struct domain *d)
{
    void *va = alloc_hv_page();
    if (va)
        share_hv_page(mfn_to_page(virt_to_mfn(va)), d);
    return va;
}

static int grow_status(struct domain *d, u32 n)
{
    struct grant_table *t = d->grants;
    for (; t->nr_status < n; t->nr_status++) {
        t->status[t->nr_status] = new_shared_frame(d);
        if (!t->status[t->nr_status])
            return -ENOMEM;
    }
    return 0;
}

int grant_grow(struct domain *d, u32 n)
{
    struct grant_table *t = d->grants;
    if (n > t->max_frames)
        return -EINVAL;
    if (t->version == 2 && grow_status(d, grant_status_frames(n)))
        return -ENOMEM;
    while (t->nr_frames < n) {
        u32 i = t->nr_frames;
        t->active[i] = xzalloc_array(struct grant_active, V1_PER_FRAME);
        t->shared[i] = t->active[i] ? new_shared_frame(d) : NULL;
        if (!t->shared[i]) {
            xfree(t->active[i]);
            t->active[i] = NULL;
            return -ENOMEM;
        }
        t->nr_frames++;
    }
    return 0;
}

/* The first few entries live on in the other version; no entry is in use. */
static int convert(struct domain *d, u32 version)
{
    struct grant_table *t = d->grants;
    struct { u16 flags; domid_t domid; u64 frame; } keep[GNTTAB_NR_RESERVED_ENTRIES];
    for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        u32 header = READ_ONCE(*header_of(t, i));
        keep[i].flags = (u16)header & ~(GTF_reading | GTF_writing);
        keep[i].domid = (domid_t)(header >> 16);
        keep[i].frame = t->version == 1 ? entry_v1(t, i)->frame : READ_ONCE(entry_v2(t, i)->full_page.frame);
        u32 type = header & GTF_type_mask;
        if (version == 1 && (type == GTF_transitive || keep[i].frame != (u32)keep[i].frame ||
                             (type == GTF_permit_access && (header & GTF_sub_page)))) {
            return -EINVAL;             /* cannot be said in version 1 */
        }
    }
    if (version == 2 && grow_status(d, grant_status_frames(t->nr_frames)))
        return -ENOMEM;
    for (u32 i = 0; i < t->nr_frames; i++)
        memset(t->shared[i], 0, PAGE_SIZE);
    for (u32 i = 0; i < t->nr_status; i++)
        memset(t->status[i], 0, PAGE_SIZE);
    t->version = version;
    for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        if (version == 1)
            entry_v1(t, i)->frame = (u32)keep[i].frame;
        else
            entry_v2(t, i)->full_page.frame = keep[i].frame;
        __atomic_store_n(header_of(t, i), keep[i].flags | (u32)keep[i].domid << 16, __ATOMIC_RELEASE);
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
    with_lock (&t->lock) {
        err = t->version == version ? 0 : t->nr_active ? -EBUSY : convert(d, version);
    }
    return err;
}

int grant_get_frame(struct domain *d, u32 id, u32 idx, mfn_t *mfn)
{
    struct grant_table *t = d->grants;
    int err = 0;
    with_lock (&t->lock) {
        if (id == XENMEM_resource_grant_table_id_shared) {
            err = idx >= t->max_frames ? -EINVAL : grant_grow(d, idx + 1);
            *mfn = err ? INVALID_MFN : virt_to_mfn(t->shared[idx]);
        } else if (id == XENMEM_resource_grant_table_id_status) {
            err = t->version != 2 || idx >= t->max_status ? -EINVAL : 0;
            err = err ? err : grant_grow(d, (u32)MIN((idx + 1) * STATUS_PER_FRAME / V2_PER_FRAME,
                                                     (unsigned long)t->max_frames));
            *mfn = err ? INVALID_MFN : virt_to_mfn(t->status[idx]);
        } else {
            err = -EINVAL;
        }
    }
    return err;
}

u32 grant_max_frames(struct domain *d, u32 id)
{
    return id == XENMEM_resource_grant_table_id_shared   ? d->grants->max_frames
           : id == XENMEM_resource_grant_table_id_status ? d->grants->max_status : 0;
}

/* --- the table's beginning and end --- */

int grant_domain_init(struct domain *d)
{
    struct grant_table *t = xzalloc_type(struct grant_table);
    if (!t)
        return -ENOMEM;
    d->grants = t;
    spin_lock_init(&t->lock, LOCK_GRANT);
    t->version = 1;
    t->max_frames = d->max_grant_frames;
    t->max_status = grant_status_frames(t->max_frames);
    t->shared = xzalloc_array(void *, t->max_frames);
    t->active = xzalloc_array(struct grant_active *, t->max_frames);
    t->status = xzalloc_array(grant_status_t *, t->max_status);
    int err = t->shared && t->active && t->status ? grant_map_init(d) : -ENOMEM;
    if (!err) {
        with_lock (&t->lock) {
            err = grant_grow(d, 1);
        }
    }
    if (err)
        grant_domain_free(d);
    return err;
}

static void free_shared_frame(void *va)
{
    unshare_hv_page(mfn_to_page(virt_to_mfn(va)));
}

/* No reference to d is left, so nobody has a grant of d mapped. */
void grant_domain_free(struct domain *d)
{
    struct grant_table *t = d->grants;
    ASSERT(t->nr_active == 0);
    for (u32 i = 0; i < t->nr_frames; i++) {
        free_shared_frame(t->shared[i]);
        xfree(t->active[i]);
    }
    for (u32 i = 0; i < t->nr_status; i++)
        free_shared_frame(t->status[i]);
    grant_map_free(d);
    xfree(t->shared);
    xfree(t->active);
    xfree(t->status);
    xfree(t);
    d->grants = NULL;
}

void grant_dump(struct domain *d)
{
    struct grant_table *t = d->grants;
    if (!t)
        return;
    printk(LOG_INFO, "d%u: grant table version %u, %u/%u frames, %u entries in use, %u maptrack frames\n", d->id,
           t->version, t->nr_frames, t->max_frames, t->nr_active, t->nr_map_frames);
    with_lock (&t->lock) {
        for (u32 ref = 0, shown = 0; ref < grant_nr_refs(t) && shown < t->nr_active; ref++) {
            struct grant_active *act = active_of(t, ref);
            if (act->readers | act->writers) {
                printk(LOG_INFO, "  %6u by d%u: gfn %lx, %u readers, %u writers\n", ref, act->by, act->gfn,
                       act->readers, act->writers);
                shown++;
            }
        }
    }
}
