/* SPDX-License-Identifier: MIT */
/*
 * Strings and the parsing of numbers. No state, no lock.
 */
#include "lib.h"

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n])
        n++;
    return n;
}

size_t strlen(const char *s) { return strnlen(s, ~0UL); }

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b || !*a)
            return (u8)*a - (u8)*b;
    }
    return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, ~0UL); }

bool word_is(const char *word, const char *s, size_t n)
{
    return strlen(word) == n && strncmp(word, s, n) == 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++) {
        if (!*s)
            return NULL;
    }
    return (char *)s;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t len = strlen(src);
    if (size) {
        size_t n = MIN(len, size - 1);
        memcpy(dst, src, n);
        dst[n] = 0;
    }
    return len;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* A number too large for 64 bits becomes the largest one. */
u64 parse_u64(const char *s, const char **end)
{
    unsigned base = 10;
    if (s[0] == '0' && (s[1] | 0x20) == 'x' && digit_value(s[2]) < 16) {
        base = 16;
        s += 2;
    }
    u64 value = 0;
    bool overflow = false;
    for (; digit_value(*s) < base; s++) {
        overflow |= __builtin_mul_overflow(value, (u64)base, &value);
        overflow |= __builtin_add_overflow(value, (u64)digit_value(*s), &value);
    }
    *end = s;
    return overflow ? ~0UL : value;
}

u64 parse_size(const char *s, const char **end)
{
    static const char units[] = "kmgt";
    u64 value = parse_u64(s, end);
    const char *unit = *end > s ? strchr(units, **end | 0x20) : NULL;
    if (!unit)
        return value;
    unsigned shift = 10 * (unsigned)(unit - units + 1);
    ++*end;
    return value > ~0UL >> shift ? ~0UL : value << shift;
}
