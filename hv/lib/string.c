/* SPDX-License-Identifier: MIT */
/*
 * Strings and the parsing of numbers. No state, no lock.
 */
#include "lib.h"

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b || !*a)
            return (u8)*a - (u8)*b;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strstr(const char *hay, const char *needle)
{
    size_t n = strlen(needle);
    for (;; hay++) {
        if (strncmp(hay, needle, n) == 0)
            return (char *)hay;
        if (!*hay)
            return NULL;
    }
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
    if (end)
        *end = s;
    return overflow ? ~0UL : value;
}

u64 parse_size(const char *s, const char **end)
{
    const char *p;
    u64 value = parse_u64(s, &p);
    unsigned shift = 0;
    switch (p > s ? *p | 0x20 : 0) {
    case 't': shift = 40; break;
    case 'g': shift = 30; break;
    case 'm': shift = 20; break;
    case 'k': shift = 10; break;
    }
    if (shift) {
        p++;
        value = value > ~0UL >> shift ? ~0UL : value << shift;
    }
    if (end)
        *end = p;
    return value;
}
