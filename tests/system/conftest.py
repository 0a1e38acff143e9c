"""Fixtures: one booted machine serves all tests that only use dom0's shell (a boot takes the
better part of a minute); it is replaced when a test has broken it. The quick tests run by
default, all of them with FULL=1 or -m slow.
"""
import os
import re
import time

import pytest

from dom0 import DEBIAN_XEN, Machine

# pytest-xdist: each worker has a shared machine of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: runs only with FULL=1 or -m slow")


def pytest_runtest_logreport(report):
    """A run takes minutes: say at once why a test failed, not at the end."""
    if report.failed:
        print(f"\n{report.longreprtext}", flush=True)


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr or os.environ.get("FULL"):
        return
    quick = [i for i in items if not i.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=[i for i in items if i not in quick])
    items[:] = quick


class Holder:
    machine = None
    boots = 0

    def get(self):
        if self.machine and not self.machine.alive():
            self.machine.close()
            self.machine = None
        if not self.machine:
            self.boots += 1
            machine = Machine(f"shared-{WORKER}{self.boots}")
            try:
                self.machine = machine.boot()
            except BaseException:
                machine.close()
                raise
        return self.machine


@pytest.fixture(scope="session")
def holder():
    h = Holder()
    yield h
    if h.machine:
        h.machine.close()


def audit(machine):
    """The frame audit's last line, or None where the hypervisor has none (Debian's Xen)."""
    if DEBIAN_XEN:
        return None
    machine.run("xl debug-keys A")
    time.sleep(1)
    lines = [l for l in machine.hvlog().splitlines() if "audit:" in l]
    return lines[-1] if lines else None


@pytest.fixture
def dom0(holder):
    """The shared machine; after the test its guests are ended and the frames audited."""
    machine = holder.get()
    yield machine
    if not machine.alive():
        return  # the test itself has failed; the next one gets a new machine
    machine.clean()
    line = audit(machine)
    if line and "differences" in line:
        assert re.search(r"\b0 differences", line), line


@pytest.fixture
def machine():
    """Makes machines of one's own: machine("name", MACHINE="pc", ...)."""
    made = []

    def make(name, *arguments, **options):
        made.append(Machine(name, *arguments, **options))
        return made[-1]

    yield make
    for m in made:
        m.close()


def pytest_sessionfinish(session, exitstatus):
    """COUNTS=file: `passed failed skipped`, for the last line of make check."""
    path = os.environ.get("COUNTS")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if path and reporter:
        n = {k: len(reporter.stats.get(k, [])) for k in ("passed", "failed", "error", "skipped")}
        with open(path, "w") as f:
            print(n["passed"], n["failed"] + n["error"], n["skipped"], file=f)
