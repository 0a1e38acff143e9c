/* SPDX-License-Identifier: MIT */
/*
 * The freestanding ground floor: strings, formatting, bits, lists.
 * Nothing here knows of domains or of the machine; it also compiles on the host.
 */
#pragma once

#include "types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
bool word_is(const char *word, const char *s, size_t n);    /* is word the n characters at s? */
/* Copies at most size-1 characters and always terminates; returns strlen (src). */
size_t strlcpy(char *dst, const char *src, size_t size);
/* Parses a number (0x.., decimal); *end is set past it. */
u64 parse_u64(const char *s, const char **end);
/* As parse_u64, with an optional suffix k, M, G, T (powers of 1024). */
u64 parse_size(const char *s, const char **end);

/* %d %u %x %c %s %% with - 0 #, width, .precision of strings, and l ll z: no others. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

/* Log levels of printk; `loglvl=` and `guest_loglvl=` choose what is shown. */
enum loglevel { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };
void printk(enum loglevel level, const char *fmt, ...) PRINTF(2, 3);
/* Stops the machine: registers, symbolised stack, last trace records. */
NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);

/* ASSERT is for what Bulkhead promises itself, never for what a guest sends. */
#ifdef DEBUG
#define DEBUG_BUILD 1
#else
#define DEBUG_BUILD 0
#endif
/* BUG_ON stays in release builds. */
#define BUG_ON(c) \
    do { if (unlikely(c)) panic("%s:%d: bug: %s", __FILE__, __LINE__, #c); } while (0)
#define ASSERT(c) \
    do { if (DEBUG_BUILD && unlikely(!(c))) \
        panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c); } while (0)

/* Bit operations on arrays of unsigned long; the atomic ones are full barriers. */
static inline bool test_bit(unsigned long nr, const void *p)
{
    return (READ_ONCE(((const unsigned long *)p)[nr / 64]) >> (nr % 64)) & 1;
}

static inline bool test_and_set_bit(unsigned long nr, void *p)
{
    unsigned long m = 1UL << (nr % 64);
    return __atomic_fetch_or(&((unsigned long *)p)[nr / 64], m, __ATOMIC_SEQ_CST) & m;
}

static inline bool test_and_clear_bit(unsigned long nr, void *p)
{
    unsigned long m = 1UL << (nr % 64);
    return __atomic_fetch_and(&((unsigned long *)p)[nr / 64], ~m, __ATOMIC_SEQ_CST) & m;
}

static inline void set_bit(unsigned long nr, void *p)   { test_and_set_bit(nr, p); }
static inline void clear_bit(unsigned long nr, void *p) { test_and_clear_bit(nr, p); }

static inline unsigned ffs64(u64 x) { return (unsigned)__builtin_ctzll(x); }       /* x != 0 */
static inline unsigned fls64(u64 x) { return 63u - (unsigned)__builtin_clzll(x); } /* x != 0 */

/* First set / first clear bit at or after `from` in a bitmap of n bits, n if none. */
unsigned long find_bit(const unsigned long *map, unsigned long n, unsigned long from,
                       unsigned long flip);
#define find_next_bit(map, n, from)      find_bit(map, n, from, 0)
#define find_next_zero_bit(map, n, from) find_bit(map, n, from, ~0UL)

/* Clamps an index that a guest chose, also against speculation: 0 when idx >= n. */
static inline unsigned long index_nospec(unsigned long idx, unsigned long n)
{
    unsigned long mask;
    __asm__("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(idx), "r"(n) : "cc");
    return idx & mask;
}

/* Doubly linked list: an empty head points at itself. */
struct list { struct list *next, *prev; };

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_add(struct list *n, struct list *h)
{
    n->prev = h; n->next = h->next; h->next->prev = n; h->next = n;
}
static inline void list_del(struct list *n)
{
    n->prev->next = n->next; n->next->prev = n->prev; list_init(n);
}

#define list_entry(p, type, member) container_of(p, type, member)
