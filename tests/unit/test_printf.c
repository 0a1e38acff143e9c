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
    same("%d %d %u", -5, 7, 4000000000u);
    same("%5d|%-5d|%05d|%-05d|%05d|%5d", 42, 42, 42, 42, -42, -42);
    same("%x %#x %8x|%-8x|%#8x", 0xabcdu, 0xabcdu, 0xabcdu, 0xabcdu, 0xabcdu);
    same("%#x %x %d %04x", 0u, 0u, 0, 0u);
    same("%lx %llu %zu %ld", 0xffffffffffffffffUL, 18446744073709551615ULL, (size_t)1 << 40, -1L);
    same("%ld %d", (long)(1UL << 63), (int)0x80000000);
    same("%016lx|%#018lx|%#013lx|%064lx|%-20lx|", 0x1234UL, 0x1234UL, 0x1234UL, ~0UL, 0x1234UL);
}

TEST(strings)
{
    same("%s|%10s|%-10s|%.2s|%10.2s|%.0s|%.9s", "abc", "abc", "abc", "abc", "abc", "xyz", "xyz");
    same("%c%c|%5c|%-5c|", 'a', 'b', 'c', 'd');
    same("100%%");
    same("%s", "");
    snprintf(got, sizeof(got), "%s", (char *)NULL);
    CHECK_STR(got, "(null)");
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
    CHECK_EQ(snprintf(NULL, 0, "%099999999d|%#0999lx", -1, ~0UL), 4096 + 1 + 999);
    snprintf(got, sizeof(got), "a%");
    snprintf(got, sizeof(got), "%k %5", 1);
}
