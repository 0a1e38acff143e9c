#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The figures of `make bench`: one form for all who measure, one table, one picture.

bench/figures.py [FILE]            prints the table (default: the committed bench/figures.csv)
bench/figures.py --write           makes docs/appendix-figures.md and docs/figures/bench*.svg from it
bench/figures.py --check           writes nothing; fails when they are not what would be written
bench/figures.py --against FILE    FILE's figures against the committed ones, as bench-check does
bench/figures.py --take FILE...    replaces the committed figures of FILE's groups by FILE's, then --write

A file of figures has one line for each row in each column (FIELDS). To measure something:
make Figures, from the plugin's counts by Counts.figure(), and write() them."""
import argparse
import csv
import os
import sys
import tempfile
from dataclasses import astuple, dataclass

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from svg import Figure as Picture       # noqa: E402

COMMITTED = os.path.join(ROOT, "bench/figures.csv")
APPENDIX = "docs/appendix-figures.md"
COLUMNS = ("Bulkhead", "Xen", "Xen, spec-ctrl=no", "bare")
OURS, THEIRS, PLAIN, BARE = COLUMNS
TOLERANCE = 0.02
SERIES = "series: "             # a group of rows that are the points of one line of a plot
EVENTS = ("switches", "flushes", "interrupts", "locked", "MSRs")
COMPARED = EVENTS[:3]


@dataclass
class Figure:
    group: str                  # heading in the table
    row: str
    unit: str                   # instructions, hypervisor's instructions, KiB ...: one of a row
    column: str                 # one of COLUMNS
    figure: int
    switches: int = 0           # of the whole operation: entries into the hypervisor (bare: the kernel)
    flushes: int = 0            # loads of CR3, writes of CR4, invlpg
    interrupts: int = 0
    locked: int = 0             # operations
    MSRs: int = 0               # read and written


FIELDS = tuple(Figure.__annotations__)


class Counts:
    """What tools/plugin/count.c wrote between marks: the end of a whole run depends on the host."""
    def __init__(self, path):
        self.rows = {}          # name: {(cpu, place): {counter: number}}
        with open(path, newline="") as f:
            for line in csv.DictReader(f):
                row, _, cpu, place = (line.pop(k) for k in ("row", "times", "cpu", "place"))
                if row != "all":
                    self.rows.setdefault(row, {})[cpu, place] = {k: int(v) for k, v in line.items()}

    def __eq__(self, other):
        return self.rows == other.rows

    def sum(self, row, counter, places=("user", "kernel", "hv"), cpu=None):
        return sum(n[counter] for (c, place), n in self.rows.get(row, {}).items()
                   if place in places and cpu in (None, c))

    def figure(self, row, group, name, column, hv_only=False):
        """The median over a row's passes ("7"), or one pass of a series ("2050.3")."""
        own = ("kernel",) if column == BARE else ("hv",)
        row = row if "." in row else row + ".median"
        if row not in self.rows:
            raise KeyError(f"{name}: row {row} was not counted")
        return Figure(group, name, "hypervisor's instructions" if hv_only else "instructions", column,
                      self.sum(row, "insns", own if hv_only else ("user", "kernel", "hv")),
                      self.sum(row, "entries", own),
                      sum(self.sum(row, c, own) for c in ("cr3", "cr4", "invlpg")),
                      self.sum(row, "interrupts", own), self.sum(row, "locked", own),
                      self.sum(row, "rdmsr", own) + self.sum(row, "wrmsr", own))


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, newline="") as f:
        return [Figure(*(line[k] for k in FIELDS[:4]), *(int(line.get(k) or 0) for k in FIELDS[4:]))
                for line in csv.DictReader(f)]


def write(path, figures):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(FIELDS)
        out.writerows(astuple(x) for x in figures)


def by_row(figures):
    """{(group, row): {column: Figure}} in the order of first appearance."""
    rows = {}
    for x in figures:
        rows.setdefault((x.group, x.row), {})[x.column] = x
    return rows


# --- against the committed figures ---

def comparable(figures):
    """{(group, row): {kind: number}} of Bulkhead's: of a series its median, and events only of what is short."""
    rows, series = {}, {}
    for x in figures:
        if x.column != OURS:
            continue
        if x.group.startswith(SERIES):
            series.setdefault((x.group, x.row.rsplit(" at ", 1)[0]), []).append(x.figure)
        else:
            events = COMPARED if x.unit == "instructions" else ()
            rows[x.group, x.row] = {x.unit: x.figure, **{k: getattr(x, k) for k in events}}
    rows.update({key: {"median": sorted(points)[len(points) // 2]} for key, points in series.items()})
    return rows


def compare(new, committed):
    """Bulkhead's rows against the committed ones of the same groups: ([regressions], [improvements], rows)."""
    ours, known = comparable(new), comparable(committed)
    groups = {group for group, _ in ours}
    worse = [f"{row}: not measured any more" for group, row in known if group in groups and (group, row) not in ours]
    better = []
    for (group, row), kinds in ours.items():
        if (group, row) not in known:
            worse.append(f"{row}: has no committed figure")
            continue
        for kind, n in kinds.items():
            was = known[group, row].get(kind, 0)
            text = f"{row}: {kind} {was:,} -> {n:,}" + (f" ({(n - was) * 100 / was:+.1f} %)" if was else "")
            if n > was * (1 + TOLERANCE):
                worse.append(text)
            elif n < was * (1 - TOLERANCE):
                better.append(text)
    return worse, better, len(ours)


# --- the table ---

def ratio(a, b):
    return f"{a.figure / b.figure:.2f}" if a and b and b.figure else ""


def cells(row):
    """Text of one line: figures, ratios, events (Bulkhead's, and Xen's if it has another number)."""
    ours, theirs = row.get(OURS), row.get(THEIRS)
    out = [f"{row[c].figure:,}" if c in row else "" for c in COLUMNS]
    out[3:3] = [ratio(ours, theirs), ratio(ours, row.get(PLAIN))]
    for kind in EVENTS:
        a, b = (getattr(x, kind) if x else None for x in (ours, theirs))
        out.append(f"{a:,} / {b:,}" if a is not None and b is not None and a != b else f"{a if a is not None else b:,}")
    if "instructions" not in next(iter(row.values())).unit:
        out[-len(EVENTS):] = [""] * len(EVENTS)
    return out


HEAD = ["", OURS, THEIRS, PLAIN, "ratio", "ratio, spec-ctrl=no", BARE, *EVENTS]


def groups_of(figures):
    """{group: [(row, {column: Figure})]} without the series."""
    groups = {}
    for (group, row), columns in by_row(figures).items():
        if not group.startswith(SERIES):
            groups.setdefault(group, []).append((row, columns))
    return groups


def label(row, columns):
    unit = next(iter(columns.values())).unit
    return row if unit == "instructions" else f"{row} ({unit})"


def print_table(figures):
    for group, rows in groups_of(figures).items():
        lines = [[label(*r), *cells(r[1])] for r in rows]
        widths = [max(len(line[i]) for line in lines + [HEAD]) for i in range(len(HEAD))]
        print(f"\n{group}")
        for line in [HEAD, *lines]:
            print("  " + line[0].ljust(widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(line[1:], widths[1:])))


def markdown(figures):
    out = ["# Appendix: figures", "",
           "Made by `bench/figures.py` from `bench/figures.csv`, which `make bench` measures: instructions for each",
           "operation unless a row says otherwise; `ratio`: Bulkhead's by Xen's; switches and what follows: how many in an",
           "operation, Bulkhead's / Xen's, or one number where they are equal. What the columns and rows mean, and what",
           "they cannot show: [Measuring](measuring.md).", ""]
    for group, rows in groups_of(figures).items():
        out += [f"## {group}", "", "|".join(["", *HEAD, ""]), "|---|" + "--:|" * (len(HEAD) - 1)]
        out += ["|" + "|".join([label(*r), *cells(r[1])]) + "|" for r in rows] + [""]
    return "\n".join(out)


# --- the pictures ---

def draw_ratios(figures, directory, name, title, of_linux):
    rows = [(group, *r) for group, g in groups_of(figures).items() for r in g
            if OURS in r[1] and THEIRS in r[1] and group.startswith("Linux") == of_linux
            and (r[1][OURS].unit != "of these" or r[0].endswith(": hypervisor"))]
    left, wide, high = 240, 370, 17
    groups = list(dict.fromkeys(group for group, *_ in rows))
    f = Picture(name, 900, 96 + high * len(rows) + 26 * len(groups), title)
    f.text(20, 26, title + ": less is better", "t")
    f.text(20, 46, "Bar: Xen as it comes. Stroke: Xen with spec-ctrl=no. Dot: bare hardware, as a share of Xen too.", "s")
    y, top, group = 70, 60, None
    body = []
    for of, row, columns in rows:
        if of != group:
            group = of
            body.append(("text", 20, y + 14, group, "t"))
            y += 26
        ours, theirs = columns[OURS].figure, columns[THEIRS].figure
        share = ours / theirs if theirs else 0
        body.append(("text", left - 8, y + 11, row, "s e"))
        f.parts.append(f'<rect class="box hv" style="rx:2" x="{left}" y="{y + 2}" width="{min(share, 1.1) * wide:.1f}" '
                       f'height="{high - 5}"/>')
        if PLAIN in columns and columns[PLAIN].figure:
            x = left + min(ours / columns[PLAIN].figure, 1.1) * wide
            body.append(("line", x, y + 1, x, y + high - 2))
        if BARE in columns and theirs:
            f.parts.append(f'<circle class="n" cx="{left + min(columns[BARE].figure / theirs, 1.1) * wide:.1f}" '
                           f'cy="{y + high / 2 - 0.5:g}" r="3.5"/>')
        body += [("text", left + 1.12 * wide, y + 11, f"{share:.2f}", "s"),
                 ("text", left + 1.21 * wide, y + 11, f"{ours:,} of {theirs:,}", "s")]
        y += high
    for kind, *args in body:
        if kind == "text":
            f.text(*args)
        else:
            f.parts.append('<path class="a" style="marker-end:none" d="M{:.1f} {} L{:.1f} {}"/>'.format(*args))
    for share in (0.5, 1):
        x = left + share * wide
        f.parts.append(f'<path class="a d" style="marker-end:none;stroke-width:.8" d="M{x:g} {top} L{x:g} {y}"/>')
        f.text(x, y + 14, f"{share:g}", "s m")
    f.parts.append("<style>.e { text-anchor: end }</style>")
    f.write(directory)


def draw_series(figures, directory):
    """One picture for each group of series: rows "line at x", e.g. "create at 17"."""
    groups = {}
    for x in figures:
        if x.group.startswith(SERIES):
            line, at = x.row.rsplit(" at ", 1)
            groups.setdefault(x.group[len(SERIES):], {}).setdefault((line, x.column), []).append((int(at), x.figure))
    for title, lines in groups.items():
        names = list(dict.fromkeys(name for name, _ in lines))
        f = Picture("bench-" + "-".join(title.split()[:2]).lower(), 860, 60 + 190 * len(names), title)
        f.text(20, 26, title + ", in instructions of the hypervisor", "t")
        for i, name in enumerate(names):
            columns = {c: points for (n, c), points in lines.items() if n == name and c in (OURS, THEIRS)}
            end = max(x for points in columns.values() for x, _ in points)
            most = max(y for points in columns.values() for _, y in points) * 1.1
            x0, y0, w, h = 110, 60 + 190 * i + 140, 560, 130
            f.text(x0, y0 - h - 8, name, "t")
            f.parts.append(f'<path class="a" style="marker-end:none;stroke-width:1" d="M{x0} {y0 - h} V{y0} H{x0 + w}"/>')
            for share in (0, 0.5, 1):
                f.text(x0 - 70, y0 - h * share + 4, f"{most * share:,.0f}", "s")
            for at in (1, end // 2, end):
                f.text(x0 + w * at / end, y0 + 15, str(at), "s m")
            label_at = 0
            for column, points in sorted(columns.items(), key=lambda c: -c[1][-1][1]):
                path = " L".join(f"{x0 + w * x / end:.1f} {y0 - h * y / most:.1f}" for x, y in points)
                style = "" if column == OURS else " d"
                f.parts.append(f'<path class="a{style}" style="marker-end:none" d="M{path}"/>')
                label_at = max(label_at + 14, y0 - h * points[-1][1] / most + 4)
                f.text(x0 + w + 10, label_at, f"{column}: {points[-1][1]:,}", "s")
        f.write(directory)


# --- the commands ---

def products(figures):
    """{path in the tree: content} of everything that is made from the figures."""
    with tempfile.TemporaryDirectory() as tmp:
        share = "Bulkhead's instructions as a share of those of Debian's Xen 4.17"
        draw_ratios(figures, tmp, "bench", share, False)
        draw_ratios(figures, tmp, "bench-linux", share + ", Linux included", True)
        draw_series(figures, tmp)
        out = {}
        for name in sorted(os.listdir(tmp)):
            with open(os.path.join(tmp, name)) as f:
                out["docs/figures/" + name] = f.read()
    out[APPENDIX] = markdown(figures)
    return out


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--write", action="store_true")
    p.add_argument("--check", action="store_true")
    p.add_argument("--against", metavar="FILE")
    p.add_argument("--take", metavar="FILE", nargs="+")
    p.add_argument("file", nargs="?", default=COMMITTED)
    a = p.parse_args()
    committed = read(COMMITTED)
    if a.against:
        worse, better, rows = compare(read(a.against), committed)
        for text in better:
            print(f"better: {text}")
        if better:
            print(f"to keep what is better:  bench/figures.py --take {os.path.relpath(a.against)}")
        for text in worse:
            print(f"FAIL {text}")
        print(f"{rows} rows, {len(worse)} regressions, {len(better)} improvements")
        sys.exit(bool(worse))
    if a.take:
        new = [x for path in a.take for x in read(path)]
        measured = {(x.group, x.column) for x in new}
        kept = [x for x in committed if (x.group, x.column) not in measured]
        order = list(dict.fromkeys(x.group for x in committed + new))
        rows = list(by_row(new + kept))
        committed = sorted(kept + new, key=lambda x: (order.index(x.group), rows.index((x.group, x.row)),
                                                      COLUMNS.index(x.column)))
        write(COMMITTED, committed)
    if a.take or a.write or a.check:
        stale = []
        for path, content in products(committed).items():
            full = os.path.join(ROOT, path)
            if a.check:
                if not os.path.exists(full) or open(full).read() != content:
                    stale.append(path)
            else:
                with open(full, "w") as f:
                    f.write(content)
        for path in stale:
            print(f"{path} is not what bench/figures.csv says: run  bench/figures.py --write")
        sys.exit(bool(stale))
    print_table(read(a.file))


if __name__ == "__main__":
    main()
