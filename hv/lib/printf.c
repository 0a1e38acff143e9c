/* SPDX-License-Identifier: MIT */
/*
 * Formatting: %d %u %x %c %s %% with flags - 0 #, width, .precision of strings, and
 * l ll z. No state, no lock. Output beyond the buffer is counted and dropped; the result
 * is always terminated when there is a buffer.
 */
#include "lib.h"

#define ZEROS_MAX 64        /* most digits with those that the flag 0 puts before them */

struct out { char *buf; size_t size, len; };

/* width and precision are both cut to 4096 */
struct spec { bool left, zero, alt; int width, precision; };

static void put(struct out *o, char c)
{
    if (o->len < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_padded(struct out *o, const struct spec *sp, const char *s, int n)
{
    int pad = sp->width - n;
    for (; !sp->left && pad > 0; pad--)
        put(o, ' ');
    while (n-- > 0)
        put(o, *s++);
    for (; pad > 0; pad--)
        put(o, ' ');
}

static void put_number(struct out *o, const struct spec *sp, u64 v, bool minus, unsigned base)
{
    char tmp[ZEROS_MAX + 3];
    char *end = tmp + sizeof(tmp), *p = end;
    bool prefix = sp->alt && v && base == 16;
    int digits = sp->zero && !sp->left ? MIN(sp->width, ZEROS_MAX) - minus - 2 * prefix : 1;
    for (; v || end - p < MAX(digits, 1); v /= base)
        *--p = "0123456789abcdef"[v % base];
    if (prefix) {
        *--p = 'x';
        *--p = '0';
    }
    if (minus)
        *--p = '-';
    put_padded(o, sp, p, (int)(end - p));
}

static const char *read_count(const char *fmt, int *count)
{
    for (*count = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
        *count = MIN(*count * 10 + (*fmt - '0'), 4096);
    return fmt;
}

/* What stands between the % and the letter. *wide: the argument has 64 bits. */
static const char *read_spec(const char *fmt, struct spec *sp, bool *wide)
{
    *sp = (struct spec){ .precision = 4096 };
    for (; *fmt == '-' || *fmt == '0' || *fmt == '#'; fmt++) {
        sp->left |= *fmt == '-';
        sp->zero |= *fmt == '0';
        sp->alt |= *fmt == '#';
    }
    fmt = read_count(fmt, &sp->width);
    if (*fmt == '.')
        fmt = read_count(fmt + 1, &sp->precision);
    for (*wide = false; *fmt == 'l' || *fmt == 'z'; fmt++)
        *wide = true;
    return fmt;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = { buf, size, 0 };
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        const char *start = fmt;
        struct spec sp;
        bool wide;
        fmt = read_spec(fmt + 1, &sp, &wide);
        switch (*fmt) {
        case 'd': {
            s64 v = wide ? va_arg(ap, s64) : va_arg(ap, int);
            put_number(&o, &sp, v < 0 ? -(u64)v : (u64)v, v < 0, 10);
            break;
        }
        case 'u':
        case 'x':
            put_number(&o, &sp, wide ? va_arg(ap, u64) : va_arg(ap, unsigned), false,
                       *fmt == 'u' ? 10 : 16);
            break;
        case 'c':
            put_padded(&o, &sp, &(char){ (char)va_arg(ap, int) }, 1);
            break;
        case 's': {
            const char *s = va_arg(ap, const char *) ?: "(null)";
            put_padded(&o, &sp, s, (int)strnlen(s, (size_t)sp.precision));
            break;
        }
        case '%':
            put(&o, '%');
            break;
        default:                /* not ours: shown as it stands */
            while (start <= fmt && *start)
                put(&o, *start++);
            fmt = start - 1;
        }
    }
    if (size)
        buf[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
