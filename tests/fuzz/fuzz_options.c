// links: hv/core/options.c
// SPDX-License-Identifier: MIT
/* The command line: rows of every kind, the input is the line. */
#include "fuzz.h"
#include "options.h"

static bool flag, other, twin_a;
static u32 number, twin_b;
static struct { char before[8], text[12], behind[8]; } room;
OPTION_BOOL(flag, "flag", "a flag");
OPTION_BOOL(other, "two_words", "another");
OPTION_INT(number, "number", "32 bits");
OPTION_STR(room.text, "text", "words");
OPTION_BOOL(twin_a, "twin", "one of two");
OPTION_INT(twin_b, "twin", "the other");

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const char zero[8];
    char *line = malloc(size + 1);
    memcpy(line, data, size);
    line[size] = '\0';
    flag = other = twin_a = false;
    number = twin_b = 0;
    memset(&room, 0, sizeof(room));
    options_parse(line);
    HOLDS(strnlen(room.text, sizeof(room.text)) < sizeof(room.text));
    HOLDS(!memcmp(room.before, zero, 8) && !memcmp(room.behind, zero, 8));
    HOLDS(strnlen(options_cmdline, sizeof(options_cmdline)) < sizeof(options_cmdline));
    HOLDS(!strncmp(options_cmdline, line, sizeof(options_cmdline) - 1));
    int truth = parse_bool(line);
    HOLDS(truth >= -1 && truth <= 1);
    free(line);
    return 0;
}
