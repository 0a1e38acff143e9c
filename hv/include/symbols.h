/* SPDX-License-Identifier: MIT */
/* Names of Bulkhead's own functions (x86/symbols.c; the table is made by the link). */
#pragma once

#include "types.h"

/* The function that addr lies in, and how far; NULL: not in Bulkhead's text. */
const char *symbol_lookup(u64 addr, u64 *offset);
/* The idx-th function by address; false past the last. */
bool symbol_get(unsigned idx, u64 *addr, const char **name);
