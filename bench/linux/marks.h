/* SPDX-License-Identifier: MIT */
/*
 * The marks (bench/mark.h) that bench/linux sets: their numbers, and marks whose number is known
 * only when the program runs, from a table of all of them with a return each.
 */
#ifndef MARKS_H
#define MARKS_H

#include "../mark.h"

#define MARK_CREATE 1           /* from `io create` to the guest's first instruction */
#define MARK_UP MARK_SERIES     /* from power-on or `io create` to the first program of that Linux */
#define MARK_DISK 16            /* io disk: and the following */
#define MARK_NET 32             /* io net */
#define MARK_LAT 64             /* lat, unless told another */
#define MARKS 256

#ifndef __ASSEMBLER__
__asm__(".pushsection .text\n"
        ".macro marks magic\n\t"
        ".set mark_nr, 0\n\t"
        ".rept 256\n\t"
        ".balign 16\n\t"
        ".byte 0x0f, 0x1f, 0x84, 0x00\n\t"
        ".long \\magic + mark_nr\n\t"
        "ret\n\t"
        ".set mark_nr, mark_nr + 1\n\t"
        ".endr\n\t"
        ".endm\n"
        "marks_begin: marks 0x4b420000\n"
        "marks_end: marks 0x4b421000\n"
        ".popsection");
_Static_assert(MARK_MAGIC == 0x4b420000 && MARK_IS_END == 0x1000 && MARKS <= MARK_ROWS, "the table above");
extern char marks_begin[][16], marks_end[][16];

static inline void mark_begin(unsigned n) { ((void (*)(void))marks_begin[n])(); }
static inline void mark_end(unsigned n) { ((void (*)(void))marks_end[n])(); }
#endif
#endif
