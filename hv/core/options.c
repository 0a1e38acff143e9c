/* SPDX-License-Identifier: MIT */
/*
 * The command line's options. Owns nothing but the walk over the rows that
 * options.h collects; start-up only, no lock.
 */
#include "options.h"
#include "lib.h"

// NOLINTNEXTLINE(bugprone-reserved-identifier): names that the linker gives
extern const struct option __start_options[], __stop_options[];

char options_cmdline[1024];

int parse_bool(const char *s)
{
    static const char *const words[] = { "no", "yes", "off", "on", "false", "true",
                                         "disable", "enable", "0", "1" };
    for (int i = 0; i < (int)ARRAY_SIZE(words); i++) {
        if (!strcmp(s, words[i]))
            return i % 2;
    }
    return -1;
}

/* Xen's manual writes some names with '-' and some with '_': either will do. */
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i] && !(strchr("-_", a[i]) && b[i] && strchr("-_", b[i])))
            return false;
    }
    return b[n] == '\0';
}

/* value NULL: the bare name. */
static bool set_option(const struct option *o, const char *value, bool negated)
{
    if (o->kind == OPT_BOOL) {
        int truth = value ? parse_bool(value) : 1;
        if (truth >= 0)
            *(bool *)o->var = truth != negated;
        return truth >= 0;
    }
    if (negated && value)
        return false;
    if (o->kind == OPT_STR) {
        strlcpy(o->var, negated ? "no" : value ? value : "", o->size);
        return true;
    }
    const char *start = negated ? "0" : value ? value : "", *end;
    u64 n = parse_size(start, &end);
    if (end == start || *end != '\0' || n > 0xffffffffu)
        return false;
    *(u32 *)o->var = (u32)n;
    return true;
}

/* Sets every row of that name. Was there one? */
static bool set_named(const char *name, size_t n, const char *word, const char *value, bool negated)
{
    bool found = false;
    for (const struct option *o = __start_options; o < __stop_options; o++) {
        bool same = same_name(name, o->name, n);
        found |= same;
        if (same && !set_option(o, value, negated))
            printk(LOG_WARN, "command line: bad value in \"%s\" (%s)\n", word, o->help);
    }
    return found;
}

static void parse_one(const char *word)
{
    const char *eq = strchr(word, '='), *value = eq ? eq + 1 : NULL;
    size_t n = eq ? (size_t)(eq - word) : strlen(word);

    if (!set_named(word, n, word, value, false) &&
        !(n > 3 && !strncmp(word, "no-", 3) && set_named(word + 3, n - 3, word, value, true)))
        printk(LOG_WARN, "command line: unknown option \"%s\"\n", word);
}

void options_parse(const char *p)
{
    strlcpy(options_cmdline, p, sizeof(options_cmdline));
    while (*p != '\0') {
        char word[256] = "";        /* a longer option is cut */
        size_t n = 0;
        bool quoted = false;
        while (*p == ' ' || *p == '\t')
            p++;
        for (; *p != '\0' && (quoted || (*p != ' ' && *p != '\t')); p++) {
            if (*p == '"')
                quoted = !quoted;
            else if (n < sizeof(word) - 1)
                word[n++] = *p;
        }
        if (!strcmp(word, "--"))
            return;
        if (n)
            parse_one(word);
    }
}
