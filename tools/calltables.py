# SPDX-License-Identifier: MIT
"""Reads the tables that make the dispatchers: hv/include/hypercall_table.h and
hv/include/ops/*.h. The preprocessor turns the ABI's names into numbers, so the headers of
libxen-dev must be installed. Used by tools/mkappendix and tests/guest/run."""
import ast
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = os.path.join(ROOT, "hv/include")
ABI_HEADERS = ["arch-x86/xen-mca", "callback", "domctl", "event_channel", "grant_table", "memory", "nmi", "physdev",
               "platform", "sched", "sysctl", "vcpu", "version"]
# Fields of each kind of row; the last one is a C string.
FIELDS = {
    "HYPERCALL": ("nr", "name", "handler", "nargs", "rights", "note"),
    "NOT_IMPLEMENTED": ("nr", "name", "error", "note"),
    "OP": ("nr", "name", "rights", "note"),
    "OP_AT": ("nr", "name", "field", "rights", "note"),
    "OP_ON": ("nr", "name", "type", "handler", "rights", "note"),
    "OP_PORT": ("nr", "name", "rights", "note"),
    "OP_ARRAY": ("nr", "name", "begin", "rights", "note"),
    "NO_OP": ("nr", "name", "error", "note"),
}


def die(text):
    sys.exit(f"calltables: {text}")


def split_arguments(text, where):
    """At commas outside quotes and parentheses."""
    parts, depth, quoted, last = [], 0, False, 0
    for i, c in enumerate(text):
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted and c in "()":
            depth += 1 if c == "(" else -1
        elif not quoted and c == "," and depth == 0:
            parts.append(text[last:i].strip())
            last = i + 1
    if quoted or depth:
        die(f"{where}: unbalanced")
    return parts + [text[last:].strip()]


def read_rows(path):
    with open(path) as f:
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), f.read(), flags=re.S)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{os.path.relpath(path, ROOT)}:{number}"
        line = line.strip()
        if not line:
            continue
        m = re.fullmatch(r"(\w+)\s*\((.*)\)", line)
        if not m or m[1] not in FIELDS:
            die(f"{where}: not a row: {line}")
        values = split_arguments(m[2], where)
        names = FIELDS[m[1]]
        if len(values) != len(names):
            die(f"{where}: {len(names)} fields expected")
        row = dict(zip(names, values), kind=m[1], where=where)
        row["note"] = ast.literal_eval(row["note"])
        rows.append(row)
    return rows


def find_numbers(rows):
    """Sets row["number"] of each row, by the preprocessor."""
    source = "#include \"types.h\"\n" + "".join(f"#include <xen/{h}.h>\n" for h in ABI_HEADERS)
    source += "".join(f"@@ {i} {row['nr']}\n" for i, row in enumerate(rows))
    cc = os.environ.get("CC", "gcc").split()
    run = subprocess.run([*cc, "-E", "-P", "-x", "c", "-D__XEN_TOOLS__", f"-I{INCLUDE}", "-"],
                         input=source, capture_output=True, text=True)
    if run.returncode:
        die(f"the preprocessor fails (libxen-dev installed?)\n{run.stderr}")
    for index, text in re.findall(r"^@@ (\d+) (.*)$", run.stdout, re.M):
        row = rows[int(index)]
        plain = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", text)
        if not re.fullmatch(r"[0-9a-fA-FxX\s()+*<|-]+", plain):
            die(f"{row['where']}: {row['nr']} is no number: {text}")
        row["number"] = eval(plain)     # digits and operators only, as just checked
    missing = [r["where"] for r in rows if "number" not in r]
    if missing:
        die(f"{missing[0]}: no number")


def load():
    """The rows of hypercalls, and {name: rows} of the families of sub-calls, all with numbers."""
    calls = read_rows(os.path.join(INCLUDE, "hypercall_table.h"))
    ops_dir = os.path.join(INCLUDE, "ops")
    families = {f[:-2]: read_rows(os.path.join(ops_dir, f)) for f in sorted(os.listdir(ops_dir)) if f.endswith(".h")}
    find_numbers(calls + [r for rows in families.values() for r in rows])
    for name, rows in [("the table of hypercalls", calls), *families.items()]:
        numbers = [r["number"] for r in rows]
        twice = {n for n in numbers if numbers.count(n) > 1}
        if twice:
            die(f"{name}: number {min(twice)} stands twice")
    return calls, families
