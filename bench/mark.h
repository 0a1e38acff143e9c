/* SPDX-License-Identifier: MIT */
/*
 * Marks for tools/plugin/count.c: MARK_BEGIN(row) and MARK_END(row) are one no-operation
 * instruction each, legal in any ring, whose displacement names the row. The plugin counts
 * what runs between them, in whatever domain, and not the marks. `row`: a constant, 0 to
 * 4095; from MARK_SERIES on every pass is told, for plots.
 */
#ifndef MARK_H
#define MARK_H

#define MARK_MAGIC 0x4b420000   /* upper half: a mark; bit 12: an end; below: the row */
#define MARK_IS_END 0x1000
#define MARK_ROWS 4096
#define MARK_SERIES 2048

#define MARK_(disp) __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" :: "i"(disp) : "memory")
#define MARK_BEGIN(row) MARK_(MARK_MAGIC | (row))
#define MARK_END(row) MARK_(MARK_MAGIC | MARK_IS_END | (row))

#endif
