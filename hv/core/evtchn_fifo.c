// SPDX-License-Identifier: MIT
/*
 * The FIFO event channel ABI: one word per port in pages that the guest gives
 * (expand_array), and per vCPU a control block with the heads of 16 queues, one per
 * priority, which are linked through the words. Bulkhead appends at a queue's tail,
 * the guest takes from its head without telling anybody: a tail whose word is no more
 * LINKED means that the guest has emptied the queue, and a new head is published.
 *
 * fifo_vcpu.lock guards a vCPU's queues; c->queue (where a port was linked last) is
 * guarded by that vCPU's lock. A port that was the tail of one queue and is now linked
 * to another must stop being the first one's tail: both locks are held for that.
 *
 * The guest can write all of this memory at any time. Of it we follow nothing: tails
 * are port numbers of our own, below the array's end for as long as the array exists.
 * Changes are by compare-and-swap with few tries; a guest that defeats them loses its
 * own events. A well-behaved guest changes a word once per event (it clears PENDING
 * or LINKED or sets MASKED), and while BUSY is set it does not clear MASKED.
 */
#include "evtchn_private.h"
#include "hypercall.h"
#include "mm.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define FIFO_PAGES     (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)
#define W_PENDING      (1u << EVTCHN_FIFO_PENDING)
#define W_MASKED       (1u << EVTCHN_FIFO_MASKED)
#define W_LINKED       (1u << EVTCHN_FIFO_LINKED)
#define W_BUSY         (1u << EVTCHN_FIFO_BUSY)
#define W_LINK         ((u32)EVTCHN_FIFO_LINK_MASK)
#define TRIES          8

#define QUEUE(vcpu, priority) ((u16)((vcpu) << 4 | (priority)))
#define QUEUE_VCPU(q)         ((q) >> 4)
#define QUEUE_PRIORITY(q)     ((q) & 15)

struct fifo_vcpu {
    spinlock_t lock;
    struct evtchn_fifo_control_block *control;  /* NULL: none yet */
    u32 tail[EVTCHN_FIFO_MAX_QUEUES];           /* port linked last; 0: none */
};

struct evtchn_fifo {                /* has the pages of words and control, all got for write */
    u32 nr_pages;                   /* grows only */
    event_word_t *words[FIFO_PAGES];
    struct fifo_vcpu vcpu[MAX_VCPUS];
};

static event_word_t *word_of(const struct evtchn_fifo *f, u32 port)
{
    u32 i = port / WORDS_PER_PAGE, n = __atomic_load_n(&f->nr_pages, __ATOMIC_ACQUIRE);
    return i < n ? &f->words[i][port % WORDS_PER_PAGE] : NULL;
}

/* PENDING, not MASKED, not LINKED -> LINKED with no successor. True: it is ours to link. */
static bool claim(event_word_t *w)
{
    u32 old = READ_ONCE(*w);
    for (int i = 0; i < TRIES; i++) {
        if ((old & (W_PENDING | W_MASKED | W_LINKED)) != W_PENDING)
            return false;
        if (cas(w, &old, (old | W_LINKED) & ~W_LINK))
            return true;
    }
    return false;
}

/* Makes `port` the successor of a tail. False: the tail is linked no more. */
static bool append(event_word_t *w, u32 port)
{
    u32 old = READ_ONCE(*w);
    for (int i = 0; i < TRIES && (old & W_LINKED); i++) {
        if (cas(w, &old, (old & ~(W_LINK | W_BUSY)) | port))
            return true;
        if (i == 0)
            old = __atomic_or_fetch(w, W_BUSY, __ATOMIC_SEQ_CST);   /* hold off its unmasking */
    }
    if (old & W_BUSY)
        __atomic_and_fetch(w, ~W_BUSY, __ATOMIC_SEQ_CST);
    return false;
}

/* Puts a claimed port at the end of queue q of a vCPU; true if that queue needs service.
 * Its lock held. */
static bool enqueue(const struct evtchn_fifo *f, struct fifo_vcpu *e, unsigned q, u32 port)
{
    u32 tail = e->tail[q];
    /* The port itself as tail: it was claimed, so it had been taken off. */
    event_word_t *last = tail && tail != port ? word_of(f, tail) : NULL;
    e->tail[q] = port;
    if (last && append(last, port))
        return false;
    WRITE_ONCE(e->control->head[q], port);
    return !(__atomic_fetch_or(&e->control->ready, 1u << q, __ATOMIC_SEQ_CST) & (1u << q));
}

/* Links a pending port to the queue that it belongs to now. */
static void link_port(struct domain *d, struct evtchn_fifo *f, u32 port, struct evtchn *c,
                      event_word_t *w)
{
    for (int i = 0; i < TRIES; i++) {
        u16 old = READ_ONCE(c->queue), q = QUEUE(READ_ONCE(c->vcpu), READ_ONCE(c->priority));
        struct fifo_vcpu *e = &f->vcpu[QUEUE_VCPU(q)], *oe = &f->vcpu[QUEUE_VCPU(old)];
        if (e == oe)
            spin_lock(&e->lock);
        else
            spin_lock_pair(&e->lock, &oe->lock);
        bool same = c->queue == old, upcall = false;
        if (same && e->control && claim(w)) {
            if (old != q && oe->tail[QUEUE_PRIORITY(old)] == port)
                oe->tail[QUEUE_PRIORITY(old)] = 0;
            c->queue = q;
            upcall = enqueue(f, e, QUEUE_PRIORITY(q), port);
        }
        if (e == oe)
            spin_unlock(&e->lock);
        else
            spin_unlock_pair(&e->lock, &oe->lock);
        if (upcall)
            vcpu_mark_events_pending(d->vcpu[QUEUE_VCPU(q)]);
        if (same)
            return;
    }
    gprintk(d, LOG_DEBUG, "port %u moves between queues too fast\n", port);
}

bool evtchn_fifo_raise(struct domain *d, u32 port, struct evtchn *c)
{
    struct evtchn_fifo *f = d->evtchn->fifo;
    event_word_t *w = word_of(f, port);
    if (unlikely(!w)) {
        /* Kept until expand_array, which publishes the page before it looks here. */
        __atomic_store_n(&c->pending, 1, __ATOMIC_SEQ_CST);
        w = word_of(f, port);
        if (!w || !__atomic_exchange_n(&c->pending, 0, __ATOMIC_SEQ_CST))
            return true;
    }
    u32 old = __atomic_fetch_or(w, W_PENDING, __ATOMIC_SEQ_CST);
    if (!(old & (W_MASKED | W_LINKED)))
        link_port(d, f, port, c, w);
    return !(old & W_PENDING);
}

void evtchn_fifo_unmask(struct domain *d, u32 port, struct evtchn *c)
{
    struct evtchn_fifo *f = d->evtchn->fifo;
    event_word_t *w = word_of(f, port);
    if (w) {
        u32 old = __atomic_fetch_and(w, ~W_MASKED, __ATOMIC_SEQ_CST);
        if ((old & (W_PENDING | W_LINKED)) == W_PENDING)
            link_port(d, f, port, c, w);
    }
}

void evtchn_fifo_clear(struct domain *d, u32 port, struct evtchn *c)
{
    event_word_t *w = word_of(d->evtchn->fifo, port);
    __atomic_store_n(&c->pending, 0, __ATOMIC_RELAXED);
    if (w)
        __atomic_and_fetch(w, ~W_PENDING, __ATOMIC_SEQ_CST);
}

bool evtchn_fifo_is_pending(struct domain *d, u32 port, const struct evtchn *c)
{
    const event_word_t *w = word_of(d->evtchn->fifo, port);
    return w ? READ_ONCE(*w) & W_PENDING : READ_ONCE(c->pending);
}

/* --- control --- */

/* The first control block: the domain leaves the 2-level ABI. What is pending there
 * stays so until its event words come. d->evtchn->lock held. */
static void switch_to_fifo(struct domain *d, struct evtchn_fifo *f)
{
    struct evtchn_domain *e = d->evtchn;
    u32 n = MIN(e->nr_ports, (u32)EVTCHN_2L_NR_CHANNELS);
    __atomic_store_n(&e->fifo, f, __ATOMIC_SEQ_CST);
    for (u32 port = 1; port < n; port++) {
        if (test_bit(port, d->shared_info->evtchn_pending))
            __atomic_store_n(&evtchn_of(e, port)->pending, 1, __ATOMIC_RELAXED);
    }
}

static struct evtchn_fifo *new_fifo(void)
{
    struct evtchn_fifo *f = xzalloc_type(struct evtchn_fifo);
    for (u32 i = 0; f && i < MAX_VCPUS; i++)
        spin_lock_init(&f->vcpu[i].lock, LOCK_EVTCHN_Q);
    return f;
}

int op_init_control(struct domain *d, void *arg)
{
    struct evtchn_init_control *op = arg;
    struct evtchn_domain *e = d->evtchn;
    if (!domain_vcpu(d, op->vcpu))
        return -ENOENT;
    if (op->offset % 8 || op->offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block))
        return -EINVAL;
    struct page *pg = d->ops->get_gfn(d, op->control_gfn, true);
    if (!pg)
        return -EINVAL;
    struct evtchn_fifo *f = READ_ONCE(e->fifo) ? NULL : new_fifo();
    int err = 0;
    with_lock (&e->lock) {
        struct fifo_vcpu *v = e->fifo ? &e->fifo->vcpu[op->vcpu] : f ? &f->vcpu[op->vcpu] : NULL;
        err = !v ? -ENOMEM : v->control ? -EINVAL : e->closing ? -EBUSY : 0;
        if (err)
            break;
        if (!e->fifo) {
            switch_to_fifo(d, f);
            f = NULL;
        }
        with_lock (&v->lock)
            v->control = (void *)((char *)page_to_virt(pg) + op->offset);
    }
    xfree(f);
    if (err)
        d->ops->put_gfn(pg, true);
    op->link_bits = EVTCHN_FIFO_LINK_BITS;
    return err;
}

/* Ports that were raised before their words existed, up to the end of the array. No lock
 * held: each port's own lock keeps it open. */
static int raise_kept(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;
    struct evtchn *c;
    for (u32 port = e->raise_next; port && (c = evtchn_lock(d, port)); port = e->raise_next) {
        if (c->state > EVT_RESERVED && __atomic_exchange_n(&c->pending, 0, __ATOMIC_SEQ_CST))
            evtchn_raise(d, port, c);
        spin_unlock(&c->lock);
        e->raise_next = ((port + 1) % WORDS_PER_PAGE) ? port + 1 : 0;
        if (port % 64 == 0 && hypercall_preempt(current_vcpu()))
            return -ERESTART;
    }
    e->raise_next = 0;
    return 0;
}

int op_expand_array(struct domain *d, void *arg)
{
    const struct evtchn_expand_array *op = arg;
    struct evtchn_domain *e = d->evtchn;
    struct page *pg = d->ops->get_gfn(d, op->array_gfn, true);
    if (!pg)
        return -EINVAL;
    int err = 0;
    bool again = false;         /* the page is there already: a call that was cut goes on */
    with_lock (&e->lock) {
        struct evtchn_fifo *f = e->fifo;
        u32 n = f ? f->nr_pages : 0;
        again = e->raise_next && n && f->words[n - 1] == page_to_virt(pg);
        err = !f ? -EOPNOTSUPP : e->closing ? -EBUSY : n == FIFO_PAGES && !again ? -ENOSPC : 0;
        if (err || again)
            break;
        e->raise_next = MAX(n * (u32)WORDS_PER_PAGE, 1u);
        f->words[n] = page_to_virt(pg);
        __atomic_store_n(&f->nr_pages, n + 1, __ATOMIC_SEQ_CST);
    }
    if (err || again)
        d->ops->put_gfn(pg, true);
    return err ?: raise_kept(d);
}

static void for_each_page(const struct evtchn_fifo *f, void (*fn)(void *, mfn_t, bool), void *arg)
{
    for (u32 i = 0; f && i < f->nr_pages; i++)
        fn(arg, virt_to_mfn(f->words[i]), true);
    for (u32 i = 0; f && i < MAX_VCPUS; i++) {
        if (f->vcpu[i].control)
            fn(arg, virt_to_mfn(f->vcpu[i].control), true);
    }
}

static void put_page_of(void *d, mfn_t mfn, bool write)
{
    ((struct domain *)d)->ops->put_gfn(mfn_to_page(mfn), write);
}

void evtchn_fifo_free(struct domain *d, struct evtchn_fifo *f)
{
    for_each_page(f, put_page_of, d);
    xfree(f);
}

void evtchn_for_each_page(struct domain *d, void (*fn)(void *arg, mfn_t mfn, bool write), void *arg)
{
    if (d->evtchn)
        for_each_page(d->evtchn->fifo, fn, arg);
}
