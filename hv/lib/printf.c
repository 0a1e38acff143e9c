/* SPDX-License-Identifier: MIT */
/*
 * Formatting: %d %u %x %X %o %c %s %p %% with flags - 0 # and space or +, width,
 * .precision, * for both, and h hh l ll z. No state, no lock. Output beyond the buffer
 * is counted and dropped; the result is always terminated when there is a buffer.
 */
#include "lib.h"

struct out { char *buf; size_t size, len; };

struct spec {
    bool left, zero, alt;
    char sign;              /* '+', ' ' or 0: what stands before a number >= 0 */
    int width, precision;   /* precision -1: none given */
};

static inline void put(struct out *o, char c)
{
    if (o->len < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_many(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
    if (!s)
        s = "(null)";
    int n = (int)strnlen(s, sp->precision >= 0 ? (size_t)sp->precision : 4096);
    if (!sp->left)
        put_many(o, ' ', sp->width - n);
    for (int i = 0; i < n; i++)
        put(o, s[i]);
    if (sp->left)
        put_many(o, ' ', sp->width - n);
}

/* sign: '-', '+', ' ' or 0. */
static void put_number(struct out *o, const struct spec *sp, u64 v, char sign, unsigned base, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24];
    int n = 0;
    const char *prefix = sp->alt && v && base == 16 ? (upper ? "0X" : "0x") : "";
    bool octal = sp->alt && base == 8;
    if (!v && sp->precision)
        tmp[n++] = '0';
    for (; v; v /= base)
        tmp[n++] = digits[v % base];
    if (octal && (!n || tmp[n - 1] != '0'))
        tmp[n++] = '0';
    int fixed = (sign != 0) + (int)strlen(prefix);
    int zeros = sp->precision > n ? sp->precision - n : 0;
    if (sp->zero && !sp->left && sp->precision < 0 && sp->width > fixed + n)
        zeros = sp->width - fixed - n;
    int pad = sp->width - fixed - zeros - n;
    if (!sp->left)
        put_many(o, ' ', pad);
    if (sign)
        put(o, sign);
    for (; *prefix; prefix++)
        put(o, *prefix);
    put_many(o, '0', zeros);
    while (n)
        put(o, tmp[--n]);
    if (sp->left)
        put_many(o, ' ', pad);
}

/* Reads decimal digits; what is absurd is cut to 4096. */
static const char *read_count(const char *fmt, int *count)
{
    int n = 0;
    for (; *fmt >= '0' && *fmt <= '9'; fmt++)
        n = MIN(n * 10 + (*fmt - '0'), 4096);
    *count = n;
    return fmt;
}

static const char *read_flags(const char *fmt, struct spec *sp)
{
    for (;; fmt++) {
        switch (*fmt) {
        case '-': sp->left = true; break;
        case '0': sp->zero = true; break;
        case '#': sp->alt = true; break;
        case '+': sp->sign = '+'; break;
        case ' ': sp->sign = sp->sign ? sp->sign : ' '; break;
        default: return fmt;
        }
    }
}

/* Length modifiers: -2 hh, -1 h, 0 int, 1 long and all else of 64 bits. */
static const char *read_length(const char *fmt, int *length)
{
    *length = 0;
    for (;; fmt++) {
        if (*fmt == 'h')
            --*length;
        else if (*fmt == 'l' || *fmt == 'z' || *fmt == 'j' || *fmt == 't')
            *length = 1;
        else
            return fmt;
    }
}

static u64 narrow_unsigned(u64 v, int length)
{
    return length > 0 ? v : length == 0 ? (u32)v : length == -1 ? (u16)v : (u8)v;
}

static s64 narrow_signed(u64 v, int length)
{
    return length > 0 ? (s64)v : length == 0 ? (int32_t)v : length == -1 ? (int16_t)v : (int8_t)v;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out out = { buf, size, 0 }, *o = &out;
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(o, *fmt);
            continue;
        }
        const char *start = fmt;
        struct spec sp = { .precision = -1 };
        int length;
        fmt = read_flags(fmt + 1, &sp);
        if (*fmt == '*') {
            fmt++;
            sp.width = va_arg(ap, int);
            if (sp.width < 0) {
                sp.left = true;
                sp.width = sp.width < -4096 ? 4096 : -sp.width;
            }
        } else {
            fmt = read_count(fmt, &sp.width);
        }
        if (*fmt == '.') {
            fmt++;
            if (*fmt == '*') {
                fmt++;
                sp.precision = va_arg(ap, int);
            } else {
                fmt = read_count(fmt, &sp.precision);
            }
        }
        fmt = read_length(fmt, &length);
        switch (*fmt) {
        case 'd':
        case 'i': {
            s64 v = narrow_signed(length > 0 ? va_arg(ap, u64) : (u64)va_arg(ap, int), length);
            put_number(o, &sp, v < 0 ? -(u64)v : (u64)v, v < 0 ? '-' : sp.sign, 10, false);
            break;
        }
        case 'u':
        case 'x':
        case 'X':
        case 'o': {
            u64 v = narrow_unsigned(length > 0 ? va_arg(ap, u64) : va_arg(ap, unsigned), length);
            put_number(o, &sp, v, 0, *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16, *fmt == 'X');
            break;
        }
        case 'p':
            sp.alt = true;
            put_number(o, &sp, (uintptr_t)va_arg(ap, void *), 0, 16, false);
            break;
        case 'c': {
            char s[2] = { (char)va_arg(ap, int), 0 };
            if (!s[0]) {        /* a zero is a character too, not an empty string */
                sp.precision = -1;
                put(o, 0);
                break;
            }
            sp.precision = -1;
            put_string(o, &sp, s);
            break;
        }
        case 's':
            put_string(o, &sp, va_arg(ap, const char *));
            break;
        case '%':
            put(o, '%');
            break;
        default:                /* not ours: shown as it stands */
            while (start <= fmt && *start)
                put(o, *start++);
            fmt = start - 1;
        }
    }
    if (size)
        buf[MIN(o->len, size - 1)] = 0;
    return (int)o->len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
