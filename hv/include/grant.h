/* SPDX-License-Identifier: MIT */
/*
 * Grant tables (core/grant.c, grant_map.c, grant_copy.c, grant_op.c).
 */
#pragma once

#include "domain.h"

#define GRANT_FRAMES_MAX 128    /* what a domain may be given: 65,536 entries of version 1 */

int grant_domain_init(struct domain *d);    /* 0, -ENOMEM: then grant_domain_free, if d->grants */
/* Ends all of d's mappings of others' frames: restartable (0, -ERESTART). */
int grant_release_mappings(struct domain *d);
/* At the very end, when no reference to d is left: others' mappings of its frames hold
 * one each. */
void grant_domain_free(struct domain *d);
/* XENMEM_acquire_resource of d's grant table or of its status frames; id is either of
 * XENMEM_resource_grant_table_id_*. How many frames there may be. */
u32 grant_max_frames(struct domain *d, u32 id);
/* The table grows so that frames 0..n-1 exist: 0, -EINVAL, -ENOMEM, -ERESTART. */
int grant_prepare_frames(struct vcpu *v, struct domain *d, u32 id, u32 n);
/* Writes the machine frames of n of them as 8-byte numbers to the guest: 0, -EINVAL, -EFAULT. */
int grant_put_frames(struct vcpu *v, struct domain *d, u32 id, u32 first, u32 n, const void *list);
u32 grant_dump(struct domain *d, u32 ref);  /* debug key 'g' */
/* For the audit: calls fn for each mapping in that frame of d's maptrack, with the frame mapped.
 * False: there is no such frame of it. */
bool grant_for_each_mapping(struct domain *d, u32 frame, void (*fn)(void *arg, mfn_t mfn, bool write), void *arg);
