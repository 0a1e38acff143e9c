# SPDX-License-Identifier: MIT
"""The lines that a tiny guest wrote, out of a serial log in which the hypervisor's own lines may
come between any two characters of them. Used by tests/guest/run.

A guest ends its lines with "\\r\\r\\n" (print () of guests/lib/lib.c), the log with "\\r\\n". Bulkhead
begins a line of the log at the left margin, after a "\\r\\n" of its own if need be; Xen does not."""
import re

LOG = re.compile(r"\((?:BH|XEN|d\d+)\) [^\n]*\n")


def guest_lines(raw):
    """raw: the serial log with its carriage returns."""
    text = LOG.sub("", raw)
    # The log came between the two carriage returns: what is left of the end is a line of its own.
    text = text.replace("\r\n\r\n", "\r\r\n")
    *lines, _ = text.split("\r\r\n")
    # Xen puts a third carriage return before the end.
    return [line.replace("\r", "").replace("\n", "") for line in lines]
