/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer guest. guests/fuzz.c: the first domain, which makes the domUs of a batch and
 * judges; values.c: numbers that hurt; grammar.c: calls from the tables of hv/include and
 * shapes.h; acts.c: all that is no call; home.c: what a domain plays with, made and mended.
 *
 * Every choice comes from a fuzzer's own generator, so a seed says what a vCPU will do;
 * what comes back from Bulkhead is used only as a number among others (ports, handles).
 */
#ifndef FUZZ_H
#define FUZZ_H

#undef RECORD                   /* its calls are not for the table of what tests have seen */
#include "domu.h"

#define CALLS_KNOWN 64          /* hypercall numbers */
#define PEER_FRAMES 64
#define PEERS 3

/* Shared by the first domain and a domU: struct domu's page. */
struct share {
    u64 seed;
    u32 calls_wanted;                       /* of each vCPU */
    u32 vcpus;
    volatile u32 calls[DOMU_VCPUS];         /* made so far */
    volatile u32 traps[DOMU_VCPUS];         /* exceptions and refused instructions */
    volatile u32 good[DOMU_VCPUS];          /* calls that returned no error */
    u64 longest[CALLS_KNOWN];               /* ns in one call while its vCPU ran */
    u64 not_longest[CALLS_KNOWN];           /* its complement: else it was written over, and says nothing */
    domid_t self, peer[PEERS];              /* any of peer may be a domain that is no more */
    u32 peer_frame[PEER_FRAMES];            /* of theirs and of Bulkhead */
};

struct fuzzer {
    u64 random;
    unsigned vcpu;
    u64 call_start, call_away;              /* of the call that it is in */
    u32 call_upcalls;
    bool dom0, inside;                      /* inside: exceptions are what is asked for */
    u64 jump[8];                            /* rbx rbp r12-r15 rsp rip: where exceptions lead */
    u8 (*args)[PAGE_SIZE];                  /* 0: arguments, 1..3: what they point to, 5: multicalls */
    struct share *share;
};

#define POOL 32             /* pages for anything */
#define TABS 8              /* page tables: L1, L1, L2, L3, then what has been none yet */
#define GRANT_FRAMES 2
#define GRANT_VA 256        /* places where dom0 maps grants, and nothing else: empty when nothing is mapped */
/* The tables hang under the top's entries from FUZZ_SLOT on. */
#define FUZZ_SLOT 2UL
#define FUZZ_VA (FUZZ_SLOT << 39)
struct home {
    u8 pool[POOL][PAGE_SIZE] ALIGNED(4096);
    u64 tab[TABS][512] ALIGNED(4096);
    u8 grants[GRANT_FRAMES][PAGE_SIZE] ALIGNED(4096);
    u8 code[DOMU_VCPUS][PAGE_SIZE] ALIGNED(4096);
    u64 pool_mfn[POOL], tab_mfn[TABS], grant_mfn[GRANT_FRAMES], top_mfn, code_mfn;
    u8 *grant_va[GRANT_VA];
};
extern struct home home;
extern struct fuzzer fuzzers[DOMU_VCPUS];

/* --- values.c --- */
u64 next_random(struct fuzzer *f);
u32 below(struct fuzzer *f, u32 n);
static inline bool one_in(struct fuzzer *f, u32 n) { return below(f, n) == 0; }
u64 boundary(struct fuzzer *f);
/* A number of a kind; the letters are those of shapes.h. */
u64 value(struct fuzzer *f, char kind);
unsigned size_of_kind(char kind);
void note_port(u32 port);
void note_handle(u32 handle);

static inline u64 rdtsc(void)
{
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

/* --- grammar.c --- */
void grammar_init(bool dom0);
void one_call(struct fuzzer *f);
u64 time_not_running(struct fuzzer *f);       /* by the account of its vCPU */
void timing_init(void);                     /* while nothing is broken yet */
/* Around a call, into share->longest. */
void timing_begin(struct fuzzer *f);
void timing_end(struct fuzzer *f, u8 nr);
unsigned grammar_size(void);

/* --- acts.c --- */
void one_act(struct fuzzer *f);

/* --- home.c --- */
void home_init(struct fuzzer *f);
void home_mend(struct fuzzer *f);           /* pages and tables as they should be */
void home_rebuild(struct fuzzer *f);        /* tables with new entries */
void home_leave(struct fuzzer *f);          /* dom0: nothing of others is held */
void callbacks_mend(void);
void runstate_mend(unsigned vcpu);
/* dom0's grant mappings, so that they end with the batch. */
void grant_mapped(struct fuzzer *f, const struct gnttab_map_grant_ref *m);

/* --- run.c --- */
void fuzzer_init(struct fuzzer *f, unsigned vcpu, bool dom0, struct share *share);
/* n calls or acts; exceptions come back to it. */
void fuzz(struct fuzzer *f, u32 n);

#endif
