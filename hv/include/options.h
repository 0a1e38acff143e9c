/* SPDX-License-Identifier: MIT */
/*
 * Options of Bulkhead's command line. A row stands next to the variable that it
 * sets and is collected by the linker (section "options"):
 *
 *     static bool use_smep = true;
 *     OPTION_BOOL(use_smep, "smep", "supervisor-mode execution prevention");
 *
 * Rows of one name are all set: each user has its own variable. All are read once, by
 * options_parse, on the boot CPU before anything looks at them; no lock.
 */
#pragma once

#include "types.h"

enum option_kind { OPT_BOOL, OPT_INT, OPT_STR };

struct option {
    const char *name, *help;
    void *var;
    u32 size, kind;         /* bytes of the variable, enum option_kind */
} ALIGNED(32);

#define OPTION_ROW2(v, line, opt, help_, kind_) \
    static const struct option option_##line USED SECTION("options") = \
        { .name = (opt), .help = (help_), .var = &(v), .size = sizeof(v), .kind = (kind_) }
#define OPTION_ROW(v, line, opt, help, kind) OPTION_ROW2(v, line, opt, help, kind)

/* bool: `name`, `no-name`, `name=yes|on|true|enable|1`, `name=no|off|false|disable|0`. */
#define OPTION_BOOL(v, opt, help) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(v), bool), "bool expected"); \
    OPTION_ROW(v, __LINE__, opt, help, OPT_BOOL)
/* u32: `name=number`, decimal or 0x, with the suffixes k, M, G. */
#define OPTION_INT(v, opt, help) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(v), u32), "u32 expected"); \
    OPTION_ROW(v, __LINE__, opt, help, OPT_INT)
/* A char array: the text after `=` (cut to its size), "" for a bare `name`, "no" for `no-name`. */
#define OPTION_STR(v, opt, help) \
    _Static_assert(sizeof(v) > sizeof(void *), "char array expected"); \
    OPTION_ROW(v, __LINE__, opt, help, OPT_STR)

/* Reads the command line up to its end or "--"; quotes "..." keep blanks. What is
 * unknown or has a bad value is named in the log and otherwise ignored. */
void options_parse(const char *p);
/* The whole command line as it was given, for XENVER_commandline. */
extern char options_cmdline[1024];
/* 0: false word, 1: true word (see OPTION_BOOL), -1: neither. */
int parse_bool(const char *s);
