// links:
#include "unit.h"

TEST(compare)
{
    CHECK(strcmp("abc", "abc") == 0);
    CHECK(strcmp("abc", "abd") < 0);
    CHECK(strcmp("abc", "ab") > 0);
    CHECK(strcmp("\xff", "a") > 0);
    CHECK(strncmp("abcx", "abcy", 3) == 0);
    CHECK(strncmp("abcx", "abcy", 4) < 0);
    CHECK(strncmp("a", "a", 100) == 0);
    CHECK(strncmp("a", "b", 0) == 0);
}

TEST(lengths_and_search)
{
    CHECK_EQ(strlen(""), 0);
    CHECK_EQ(strlen("four"), 4);
    CHECK_EQ(strnlen("four", 2), 2);
    CHECK_EQ(strnlen("four", 9), 4);
    const char *s = "dom0_mem=1G dom0";
    CHECK(strchr(s, '=') == s + 8);
    CHECK(strchr(s, 'z') == NULL);
    CHECK(strchr(s, 0) == s + strlen(s));
    CHECK(word_is("dom0", s + 12, 4));
    CHECK(word_is("dom0", s, 4));
    CHECK(!word_is("dom0", s, 5) && !word_is("dom0", s, 3) && !word_is("domU", s, 4));
}

TEST(bounded_copy)
{
    char buf[5];
    CHECK_EQ(strlcpy(buf, "abc", sizeof(buf)), 3);
    CHECK_STR(buf, "abc");
    CHECK_EQ(strlcpy(buf, "abcdefg", sizeof(buf)), 7);
    CHECK_STR(buf, "abcd");
    CHECK_EQ(strlcpy(NULL, "abc", 0), 3);
}

TEST(numbers)
{
    const char *end;
    const char *s = "1234,";
    CHECK_EQ(parse_u64(s, &end), 1234);
    CHECK(end == s + 4);
    CHECK_EQ(parse_u64("0x1F", &end), 0x1f);
    CHECK_EQ(parse_u64("0X1f", &end), 0x1f);
    s = "0xg";
    CHECK_EQ(parse_u64(s, &end), 0);
    CHECK(end == s + 1);
    s = "-1";
    CHECK_EQ(parse_u64(s, &end), 0);
    CHECK(end == s);
    CHECK(parse_u64("18446744073709551615", &end) == ~0UL);
    CHECK(parse_u64("18446744073709551616", &end) == ~0UL);
    CHECK(parse_u64("0xffffffffffffffff", &end) == ~0UL);
    CHECK(parse_u64("0x1ffffffffffffffff", &end) == ~0UL);
}

TEST(sizes)
{
    const char *end;
    const char *s = "512M,max:1G";
    CHECK_EQ(parse_size(s, &end), 512 << 20);
    CHECK(end == s + 4);
    CHECK_EQ(parse_size("2g", &end), 2UL << 30);
    CHECK_EQ(parse_size("3k", &end), 3072);
    CHECK_EQ(parse_size("1T", &end), 1UL << 40);
    CHECK_EQ(parse_size("77", &end), 77);
    CHECK(parse_size("99999999999G", &end) == ~0UL);
    s = "M";
    CHECK_EQ(parse_size(s, &end), 0);
    CHECK(end == s);
}
