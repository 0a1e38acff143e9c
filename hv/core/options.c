/* SPDX-License-Identifier: MIT */
/*
 * The command line's options. Owns nothing but the walk over the rows that
 * options.h collects; start-up only, no lock.
 */
#include "options.h"
#include "lib.h"

#ifdef UNIT_TEST
extern const struct option options_start[] __asm__("__start_options");
extern const struct option options_end[] __asm__("__stop_options");
#else
extern const struct option options_start[] __asm__("__options_start");
extern const struct option options_end[] __asm__("__options_end");
#endif

char options_cmdline[1024];

#define OPTION_MAX 256      /* longest single option, characters */

int parse_bool(const char *s)
{
    static const char *const no[] = { "no", "off", "false", "disable", "0" };
    static const char *const yes[] = { "yes", "on", "true", "enable", "1" };
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++) {
        if (!strcmp(s, no[i]))
            return 0;
        if (!strcmp(s, yes[i]))
            return 1;
    }
    return -1;
}

/* Xen's manual writes some names with '-' and some with '_': either will do. */
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '-' ? '_' : a[i], y = b[i] == '-' ? '_' : b[i];
        if (x != y || x == '\0') {
            return false;
        }
    }
    return b[n] == '\0';
}

static bool set_number(const struct option *o, const char *value)
{
    const char *end = value;
    u64 n = o->kind == OPT_INT ? parse_u64(value, &end) : parse_size(value, &end);
    if (end == value || *end != '\0') {
        return false;
    }
    if (o->size == 8)
        *(u64 *)o->var = n;
    else if (n <= 0xffffffffu)
        *(u32 *)o->var = (u32)n;
    else
        return false;
    return true;
}

/* value NULL: the bare name. */
static bool set_option(const struct option *o, const char *value, bool negated)
{
    int truth;
    switch (o->kind) {
    case OPT_BOOL:
        truth = value ? parse_bool(value) : 1;
        if (truth < 0)
            return false;
        *(bool *)o->var = (truth != 0) != negated;
        return true;
    case OPT_INT:
    case OPT_SIZE:
        if (negated)
            return !value && set_number(o, "0");
        return value && set_number(o, value);
    default:
        if (negated && value)
            return false;
        strlcpy(o->var, negated ? "no" : value ? value : "", o->size);
        return true;
    }
}

/* Sets every row of that name. Was there one? */
static bool set_named(const char *name, size_t n, const char *word, const char *value, bool negated)
{
    bool found = false;
    for (const struct option *o = options_start; o < options_end; o++) {
        if (same_name(name, o->name, n)) {
            found = true;
            if (!set_option(o, value, negated))
                printk(LOG_WARN, "command line: bad value in \"%s\" (%s)\n", word, o->help);
        }
    }
    return found;
}

static void parse_one(const char *word)
{
    const char *eq = strchr(word, '=');
    size_t n = eq ? (size_t)(eq - word) : strlen(word);
    const char *value = eq ? eq + 1 : NULL;

    if (!set_named(word, n, word, value, false) &&
        !(n > 3 && !strncmp(word, "no-", 3) && set_named(word + 3, n - 3, word, value, true))) {
        printk(LOG_WARN, "command line: unknown option \"%s\"\n", word);
    }
}

void options_parse(const char *p)
{
    strlcpy(options_cmdline, p, sizeof(options_cmdline));
    for (;;) {
        char word[OPTION_MAX];
        size_t n = 0;
        bool quoted = false;
        while (*p == ' ' || *p == '\t') {
            p++;
        }
        if (*p == '\0') {
            return;
        }
        for (; *p != '\0' && (quoted || (*p != ' ' && *p != '\t')); p++) {
            if (*p == '"')
                quoted = !quoted;
            else if (n < sizeof(word) - 1)
                word[n++] = *p;
        }
        word[n] = '\0';
        if (!strcmp(word, "--"))
            return;
        if (n)
            parse_one(word);
    }
}
