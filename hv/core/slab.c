/* SPDX-License-Identifier: MIT */
/*
 * Small pieces of memory. A slab is one frame with a header and pieces of one size
 * behind it; what does not fit into half a frame gets whole frames (so it starts a
 * page, as no piece of a slab does). Slabs with a free piece stand in their size's
 * list; slab_lock guards lists and headers. An empty slab goes back to the heap.
 */
#include "mm.h"

#define SIZE_MAX_SMALL 1008
#define LARGE_ORDER_MAX 4       /* 64 KiB */

struct slab {
    struct list link;           /* in its size's list while a piece is free */
    void *free;                 /* the free pieces: each points to the next */
    u16 class, used, magic;
};
#define SLAB_MAGIC 0x51ab

static const u16 sizes[] = { 32, 64, 96, 128, 192, 256, 384, 496, 672, SIZE_MAX_SMALL };
static struct list partial[ARRAY_SIZE(sizes)];
static spinlock_t slab_lock = SPINLOCK_INIT(LOCK_SLAB);

_Static_assert(sizeof(struct slab) == 32, "pieces start at 32, aligned to 16");

static void slab_put(struct slab *s, void *p)
{
    *(void **)p = s->free;
    s->free = p;
}

static void *slab_alloc(size_t size)
{
    struct slab *s = NULL;
    unsigned c = 0;
    while (sizes[c] < size)
        c++;
    for (;;) {
        with_lock (&slab_lock) {
            if (!partial[c].next)
                list_init(&partial[c]);
            if (s)
                list_add(&s->link, &partial[c]);
            if (!list_empty(&partial[c])) {
                s = list_entry(partial[c].next, struct slab, link);
                void *p = s->free;
                s->free = *(void **)p;
                s->used++;
                if (!s->free)
                    list_del(&s->link);
                return p;
            }
        }
        struct page *pg = alloc_hv_pages(0, 0);     /* the heap's lock comes before ours */
        if (!pg)
            return NULL;
        s = page_to_virt(pg);
        *s = (struct slab){ .class = (u16)c, .magic = SLAB_MAGIC };
        for (size_t at = sizeof(*s); at + sizes[c] <= PAGE_SIZE; at += sizes[c])
            slab_put(s, (char *)s + at);
    }
}

void *xzalloc(size_t size)
{
    if (size <= SIZE_MAX_SMALL) {
        void *p = slab_alloc(size);
        return p ? memset(p, 0, ROUND_UP(size, 8)) : NULL;
    }
    unsigned order = size > PAGE_SIZE ? fls64((size - 1) >> PAGE_SHIFT) + 1 : 0;
    struct page *pg = order <= LARGE_ORDER_MAX ? alloc_hv_pages(order, MEMF_ZERO) : NULL;
    if (!pg)
        return NULL;
    pg->type = order;
    return page_to_virt(pg);
}

void xfree(void *p)
{
    struct slab *s = (struct slab *)((u64)p & PAGE_MASK), *empty = NULL;
    if (!p)
        return;
    if ((void *)s == p) {
        struct page *pg = mfn_to_page(virt_to_mfn(p));
        unsigned order = (unsigned)pg->type;
        pg->type = 0;
        free_hv_pages(pg, order);
        return;
    }
    BUG_ON(s->magic != SLAB_MAGIC || ((char *)p - (char *)s - sizeof(*s)) % sizes[s->class]);
    with_lock (&slab_lock) {
        if (!s->free)
            list_add(&s->link, &partial[s->class]);
        slab_put(s, p);
        if (--s->used == 0) {
            list_del(&s->link);
            s->magic = 0;
            empty = s;
        }
    }
    if (empty)
        free_hv_page(empty);
}
