/* SPDX-License-Identifier: MIT */
/*
 * A second domain for tests: a PV domU without rights that runs a function of the same
 * binary on a copy of the guest's memory as it stands (so what the caller has prepared in
 * static variables is there too), on pages and tables of its own.
 *
 *     DOMU_TEST (no_rights) { CHECK_EQ (HC (domctl, &op), -EPERM); }
 *
 * is a test whose body runs there: its failed checks count for the test. Or by hand, when
 * both sides do something:
 *
 *     static struct domu d;
 *     domu_create (&d, side);     made and paused; side (page) will run in it; 0 or an error
 *     ... d.id, d.page (shared with it), d.mfn[] ...
 *     domu_start (&d);            it runs
 *     domu_wait (&d);             SHUTDOWN_* of its end, or -ETIME; tells its failed checks
 *     domu_destroy (&d);          everything is given back
 *
 * In the domU TEST's tools work: CHECK, print (kept, shown by domu_wait), alloc_page,
 * alloc_pfn, TRAPS, events, start_vcpu1. It has DOMU_VCPUS vCPUs, and ends when its
 * function returns or it shuts itself down. Not more than one of its builder's vCPUs at
 * a time may call these functions.
 */
#ifndef DOMU_H
#define DOMU_H

#include "tiny.h"

#define DOMU_VCPUS 2
#define DOMU_PAGES_MAX 512
#define DOMU_FIRST_PFN 0x100UL          /* where the image is linked */

struct domu {
    domid_t id;
    unsigned nr_pages;                  /* it has pfns DOMU_FIRST_PFN .. + nr_pages */
    void *page;                         /* mapped here and there: fn's argument */
    u64 page_own;                       /* our frame that lay there before */
    xen_pfn_t mfn[DOMU_PAGES_MAX];      /* its frames, from DOMU_FIRST_PFN on */
};

long domu_create(struct domu *d, void (*fn)(void *page));
void domu_start(struct domu *d);
long domu_wait(struct domu *d);
void domu_destroy(struct domu *d);
extern unsigned domu_grant_version;     /* the highest that the next one may use: 2 */
/* Copies from the domU's variable (of this binary) at `from`. */
void domu_read(struct domu *d, void *to, const void *from, size_t n);
/* All of the above: a test's body in a domU. */
void domu_run(void (*fn)(void *page));

#define DOMU_TEST(n)                                            \
    static void domu_##n(void *page);                           \
    TEST(n) { domu_run(domu_##n); }                             \
    static void domu_##n(UNUSED void *page)

#endif
