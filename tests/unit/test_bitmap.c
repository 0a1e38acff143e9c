// links:
#include "unit.h"

static unsigned long model(const unsigned long *m, unsigned long n, unsigned long from, bool want)
{
    for (unsigned long i = from; i < n; i++) {
        if ((bool)((m[i / 64] >> (i % 64)) & 1) == want) {
            return i;
        }
    }
    return n;
}

TEST(find_against_model)
{
    unsigned long m[4];
    unsigned seed = 1;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 4; i++) {
            m[i] = 0;
            for (unsigned b = 0; b < 64; b++) {
                seed = seed * 1103515245 + 12345;
                m[i] |= (unsigned long)((seed >> 16) % 100 < round / 2) << b;
            }
        }
        for (unsigned long n = 0; n <= 256; n += 13) {
            for (unsigned long from = 0; from <= 260; from += 7) {
                unsigned long none = from > n ? n : model(m, n, from, true);
                CHECK_EQ(find_next_bit(m, n, from), none);
                none = from > n ? n : model(m, n, from, false);
                CHECK_EQ(find_next_zero_bit(m, n, from), none);
            }
        }
    }
}

TEST(atomic_bits)
{
    unsigned long m[2] = { 0, 0 };
    CHECK(!test_and_set_bit(70, m));
    CHECK(test_and_set_bit(70, m));
    CHECK(test_bit(70, m) && !test_bit(6, m));
    CHECK(test_and_clear_bit(70, m));
    CHECK(!test_and_clear_bit(70, m));
    CHECK_EQ(ffs64(0x10), 4);
    CHECK_EQ(fls64(0x11), 4);
}

TEST(index_clamp)
{
    CHECK_EQ(index_nospec(3, 4), 3);
    CHECK_EQ(index_nospec(4, 4), 0);
    CHECK_EQ(index_nospec(~0UL, 4), 0);
    CHECK_EQ(index_nospec(0, 0), 0);
}
