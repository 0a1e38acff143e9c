/* SPDX-License-Identifier: MIT */
/* console_io (core/console.c): OP(number, name, rights, note) */
OP(CONSOLEIO_write, write, RIGHT_NONE, "without RIGHT_CONSOLE -EPERM, unless guest_console is on")
OP(CONSOLEIO_read, read, RIGHT_CONSOLE, "")
