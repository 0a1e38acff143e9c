// links:
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#include "unit.h"

/* The host's own, found under its real name. */
extern int host_vsnprintf(char *, size_t, const char *, va_list) __asm__("vsnprintf");
static char got[256], want[256];

static void same(const char *fmt, ...)
{
    va_list a, b;
    va_start(a, fmt);
    va_copy(b, a);
    int n = vsnprintf(got, sizeof(got), fmt, a);
    int m = host_vsnprintf(want, sizeof(want), fmt, b);
    va_end(b);
    va_end(a);
    CHECK_STR(got, want);
    CHECK_EQ(n, m);
}

TEST(integers)
{
    same("%d %i %u", -5, 7, 4000000000u);
    same("%5d|%-5d|%05d|%+d|% d", 42, 42, 42, 42, 42);
    same("%.3d|%8.3d|%-8.3d|%08.3d", 7, 7, 7, 7);
    same("%x %X %#x %#X %#o %o", 0xabcdu, 0xabcdu, 0xabcdu, 0xabcdu, 8u, 8u);
    same("%#x %#o %.0d|", 0u, 0u, 0);
    same("%lx %llu %zu %ld", 0xffffffffffffffffUL, 18446744073709551615ULL, (size_t)1 << 40, -1L);
    same("%hhu %hhx %hd %hhd", 0x1ff, 0x1ff, 0x18000, 0x180);
    same("%ld %d", (long)(1UL << 63), (int)0x80000000);
    same("%016lx|%#018lx", 0x1234UL, 0x1234UL);
    same("%*d|%-*d|%.*d|%*d", 6, 1, 6, 2, 4, 3, -6, 4);
}

TEST(strings)
{
    same("%s|%10s|%-10s|%.2s|%10.2s|%.*s", "abc", "abc", "abc", "abc", "abc", 1, "xyz");
    same("%c%c|%5c|%-5c|", 'a', 'b', 'c', 'd');
    same("100%%");
    same("%s", "");
    snprintf(got, sizeof(got), "%s", (char *)NULL);
    CHECK_STR(got, "(null)");
    same("%p", (void *)0x1234);
}

TEST(bounds)
{
    char b[4] = "zzz";
    CHECK_EQ(snprintf(b, sizeof(b), "%d", 123456), 6);
    CHECK_STR(b, "123");
    CHECK_EQ(snprintf(b, 1, "abc"), 3);
    CHECK_STR(b, "");
    b[0] = 'q';
    CHECK_EQ(snprintf(b, 0, "abc"), 3);
    CHECK_EQ(b[0], 'q');
    CHECK_EQ(snprintf(NULL, 0, "%99999999d", 1), 4096);
    snprintf(got, sizeof(got), "a%");
    snprintf(got, sizeof(got), "%k %5", 1);
}
