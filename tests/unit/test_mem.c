// links:
/* The memory primitives, under other names so that the host's stay in use. */
#include "unit.h"
#define memcpy hv_memcpy
#define memmove hv_memmove
#define memset hv_memset
#define memcmp hv_memcmp
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#include "../../hv/lib/mem.c"

static u8 a[256], b[256], want[256];

static void fill(void)
{
    for (unsigned i = 0; i < 256; i++) {
        a[i] = want[i] = (u8)i;
        b[i] = 0xee;
    }
}

TEST(copy_every_length_and_alignment)
{
    for (unsigned off = 0; off < 9; off++) {
        for (unsigned n = 0; n < 70; n++) {
            fill();
            CHECK(memcpy(b + off, a + 3, n) == b + off);
            for (unsigned i = 0; i < 256; i++) {
                u8 w = i >= off && i < off + n ? a[3 + i - off] : 0xee;
                if (b[i] != w) {
                    CHECK_EQ(b[i], w);
                }
            }
        }
    }
}

TEST(move_overlapping)
{
    for (int shift = -20; shift <= 20; shift++) {
        for (unsigned n = 0; n < 70; n++) {
            fill();
            memmove(a + 100 + shift, a + 100, n);
            for (unsigned i = 0; i < n; i++) {
                want[100 + shift + (int)i] = (u8)(100 + i);
            }
            CHECK(memcmp(a, want, 256) == 0);
            __builtin_memcpy(want, a, 0);
        }
    }
}

TEST(set)
{
    for (unsigned n = 0; n < 70; n++) {
        fill();
        memset(b + 1, 0x1a5, n);
        CHECK_EQ(b[0], 0xee);
        CHECK_EQ(b[n + 1], 0xee);
        for (unsigned i = 0; i < n; i++) {
            CHECK_EQ(b[1 + i], 0xa5);
        }
    }
}

TEST(compare)
{
    for (unsigned n = 1; n < 40; n++) {
        for (unsigned at = 0; at < n; at++) {
            fill();
            a[at] = 0x80;
            want[at] = 0x7f;
            CHECK(memcmp(a, want, n) > 0);
            CHECK(memcmp(want, a, n) < 0);
            CHECK(memcmp(want, a, at) == 0);
        }
    }
}
