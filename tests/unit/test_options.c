// links: hv/core/options.c
// SPDX-License-Identifier: MIT
/* The command line. */
#define printk silent_printk
#include "unit.h"
#undef printk
#include "options.h"

static bool flag, other;
static u32 number, size;
static char text[12];
static bool twin_a; static u32 twin_b;
OPTION_BOOL(flag, "flag", "a flag");
OPTION_BOOL(other, "two_words", "another");
OPTION_INT(number, "number", "32 bits");
OPTION_INT(size, "size", "bytes");
OPTION_STR(text, "text", "words");
OPTION_BOOL(twin_a, "twin", "one of two");
OPTION_INT(twin_b, "twin", "the other");

static char said[1024];
void printk(enum loglevel level, const char *fmt, ...) PRINTF(2, 3);
void printk(enum loglevel level, const char *fmt, ...)
{
    va_list ap;
    (void)level;
    va_start(ap, fmt);
    size_t n = strlen(said);
    vsnprintf(said + n, sizeof(said) - n, fmt, ap);
    va_end(ap);
}

static void parse(const char *s)
{
    flag = other = twin_a = false;
    number = twin_b = 7;
    size = 7;
    strlcpy(text, "before", sizeof(text));
    said[0] = '\0';
    options_parse(s);
}

TEST(flags)
{
    static const char *const on[] = { "flag", "flag=1", "flag=yes", "flag=on", "flag=true", "flag=enable", "no-flag=0" };
    static const char *const off[] = { "flag no-flag", "flag flag=0", "flag flag=no", "flag flag=off",
                                       "flag flag=false", "flag flag=disable", "flag no-flag=1" };
    for (unsigned i = 0; i < ARRAY_SIZE(on); i++) {
        parse(on[i]);
        CHECK(flag);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
        parse(off[i]);
        CHECK(!flag);
    }
    parse("two-words");
    CHECK(other);
    CHECK_STR(said, "");
    parse("flag=maybe");
    CHECK(!flag);
    CHECK(strstr(said, "\"flag=maybe\""));
}

TEST(numbers)
{
    parse("number=0x10 size=3M");
    CHECK_EQ(number, 16);
    CHECK_EQ(size, 3 << 20);
    parse("number=4294967296 size=12Q number= number");
    CHECK_EQ(number, 7);
    CHECK_EQ(size, 7);
    CHECK(strstr(said, "number=4294967296") && strstr(said, "size=12Q") && strstr(said, "\"number\"") &&
          strstr(said, "\"number=\""));
    parse("no-number");
    CHECK_EQ(number, 0);
}

TEST(texts)
{
    parse("text=\"a b\"");
    CHECK_STR(text, "a b");
    parse("text=more-than-it-can-hold");
    CHECK_STR(text, "more-than-i");
    parse("text");
    CHECK_STR(text, "");
    parse("no-text");
    CHECK_STR(text, "no");
    parse("text=a=b");
    CHECK_STR(text, "a=b");
}

TEST(walk)
{
    parse("  \t flag   bogus=3 fla flagg no-bogus  ");
    CHECK(flag);
    CHECK(strstr(said, "\"bogus=3\"") && strstr(said, "\"fla\"") && strstr(said, "\"flagg\"") &&
          strstr(said, "\"no-bogus\""));
    parse("number=1 -- number=2 bogus");
    CHECK_EQ(number, 1);
    CHECK_STR(said, "");
    CHECK_STR(options_cmdline, "number=1 -- number=2 bogus");
    parse("\"unfinished quote");
    parse("");
    CHECK_STR(said, "");
}

TEST(two_rows_of_one_name)
{
    parse("twin=1");
    CHECK(twin_a);
    CHECK_EQ(twin_b, 1);
}

TEST(long_words)
{
    static char line[4000];
    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, "text=", 5);
    parse(line);
    CHECK_EQ(strlen(text), sizeof(text) - 1);
    CHECK_EQ(strlen(options_cmdline), sizeof(options_cmdline) - 1);
}
