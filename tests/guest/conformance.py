# SPDX-License-Identifier: MIT
"""What the tiny guests saw of each call, held against what must be seen (conformance.txt)
and against what they saw on Debian's Xen (differences.txt). Used by tests/guest/run.

A guest prints, before the verdict of a test, "seen: CALL OP RESULT ..." for each call that
the test made: numbers of guests/lib/record.c. Rows are named call or call.subcall after
the dispatcher's tables; call.other stands for all numbers that no table names."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../tools"))
from calltables import load  # noqa: E402

ABI = "/usr/include/xen"
SHORT, STATUS = 160, 128        # as in record.c
# Tests wait with these; how often, and whether at all, is a matter of time.
WAITING = {"sched_op.yield", "domctl.getdomaininfo"}


def read(path):
    with open(path) as f:
        return f.read()


def result_names():
    names = {int(n): e for e, n in re.findall(r"XEN_ERRNO\((\w+),\s*(\d+)\)", read(f"{ABI}/errno.h"))}
    names.update({STATUS - int(n): s for s, n in
                  re.findall(r"#define\s+(GNTST_\w+)\s+\(?(-?\d+)\)?", read(f"{ABI}/grant_table.h"))})
    return {**names, 0: "0", SHORT: "short"}


class Conformance:
    def __init__(self):
        calls, families = load()
        self.results = result_names()
        self.rows = {(-1, -1): "other"}         # numbers of call and sub-call -> name
        self.refused = {}                       # name -> the error that the tables promise
        numbers = {r["name"]: r["number"] for r in calls}
        # Where the sub-call is in a register it is always known.
        in_memory = {"domctl", "mmuext_op", "platform_op", "sysctl"}
        for family, rows in [("", calls), *families.items()]:
            for r in rows:
                if r["name"] in families.keys() - in_memory:
                    continue
                name = f"{family}.{r['name']}" if family else r["name"]
                self.rows[(numbers[family], r["number"]) if family else (r["number"], -1)] = name
                if "error" in r:
                    self.refused[name] = r["error"]
            if family:
                self.rows[numbers[family], -2] = f"{family}.other"
        self.must, self.may = self.read_table(os.path.join(HERE, "conformance.txt"))

    def read_table(self, path):
        """{row: results that must be seen}, {row: results that may be}."""
        must, may, every = {}, {}, {}
        known = set(self.results.values())
        for number, line in enumerate(read(path).splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            name, _, text = line.partition(":")
            results = text.split()
            wrong = [r for r in results if r.rstrip("?") not in known]
            family = name[:-2] if name.endswith(".*") else None
            if wrong or name in must or (family is None and name not in self.rows.values()):
                sys.exit(f"{path}:{number}: {'no such result: ' + wrong[0] if wrong else 'no such row, or twice'}")
            (every if family else must)[family or name] = {r for r in results if not r.endswith("?")}
            may[name] = {r.rstrip("?") for r in results}
        for name in list(self.rows.values()):
            family = name.partition(".")[0]
            if name != family and not name.endswith(".other") and family in every:
                if name in must or name in self.refused:
                    must.setdefault(name, set()).update(every[family])
                    may.setdefault(name, set()).update(may[family + ".*"])
            if name in self.refused:
                must.setdefault(name, set()).add(self.refused[name])
                may.setdefault(name, set()).add(self.refused[name])
        return must, may

    def parse(self, lines):
        """{test: {row: results}}, {test: verdict} of a guest's lines."""
        seen, verdicts, now = {}, {}, {}
        for line in lines:
            if m := re.match(r"seen: (-?\d+) (-?\d+)((?: \d+)+)$", line):
                now[self.rows[int(m[1]), int(m[2])]] = {self.results[int(r)] for r in m[3].split()}
            elif m := re.match(r"(PASS|FAIL) (\w+)$", line):
                seen[m[2]], verdicts[m[2]], now = now, m[1], {}
        return seen, verdicts

    def problems(self, total):
        """What the table does not say or the guests did not see. total: {row: results}."""
        for name in self.rows.values():
            seen = total.get(name, set())
            if name not in self.must:
                yield f"{name}: no line in conformance.txt; seen: {' '.join(sorted(seen)) or 'nothing'}"
                continue
            if missing := self.must[name] - seen:
                yield f"{name}: not seen: {' '.join(sorted(missing))}"
            if extra := seen - self.must[name] - self.may[name]:
                yield f"{name}: seen, not in conformance.txt: {' '.join(sorted(extra))}"


def differences(ours, theirs):
    """Of two {guest: (seen, verdicts)}: {what differs: (only here, only on Xen)}."""
    found = {}
    for guest, (seen, verdicts) in ours.items():
        seen_there, verdicts_there = theirs.get(guest, ({}, {}))
        for test, verdict in verdicts.items():
            if verdicts_there.get(test) != verdict:
                found[f"test {guest}.{test}"] = {verdict}, {verdicts_there.get(test, "nothing")}
            there = seen_there.get(test, {})
            for row in seen[test].keys() | there.keys():
                a, b = (s - {"0"} if row in WAITING else s for s in (seen[test].get(row, set()), there.get(row, set())))
                if a != b:
                    here, xen = found.setdefault(row, (set(), set()))
                    here |= a - b
                    xen |= b - a
    return found


def by_tables(names, row, here):
    """Is it a difference because the call is not implemented here? The table has the reason."""
    return row in names.refused and here <= {names.refused[row], "EPERM"}


def as_line(name, here, xen):
    return f"{name}: " + "; ".join(f"{who} {' '.join(sorted(r))}" for who, r in (("here", here), ("xen", xen)) if r)


def accepted(path):
    """The lines of differences.txt: reasons, and below each the indented differences."""
    lines, reason = {}, False
    for number, line in enumerate(read(path).splitlines(), 1):
        if line.startswith("    "):
            name, here, xen = re.fullmatch(r"([\w. ]+?):(?: here ([\w ]+?))?;?(?: xen ([\w ]+))?", line.strip()).groups()
            if not reason or name in lines:
                sys.exit(f"{path}:{number}: no reason, or twice")
            lines[name] = set((here or "").split()), set((xen or "").split())
        elif not line.startswith("#"):
            reason = bool(line.strip())
    return lines
