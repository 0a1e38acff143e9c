/* SPDX-License-Identifier: MIT */
/*
 * The marks (bench/mark.h) that bench/linux sets: their numbers, and marks whose number is known
 * only when the program runs, from a table of all of them with a return each.
 */
#ifndef MARKS_H
#define MARKS_H

#include "../mark.h"

/* One pass each: from power-on to dom0's first program, from `io create` to a Linux guest's; from
 * power-on to the first guest, which is not counted, from `io create` to the second. */
#define MARK_UP MARK_SERIES
#define MARK_CREATE (MARK_SERIES + 1)
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
