"""Fixtures: one booted machine serves all tests that only use dom0's shell (a boot takes the
better part of a minute); it is replaced when a test has broken it. The quick tests run by
default, all of them with FULL=1 or -m slow.
"""
import os

import pytest

from dom0 import DEBIAN_XEN, Machine

# pytest-xdist: each worker has a shared machine of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: runs only with FULL=1 or -m slow")
    config.addinivalue_line("markers", "no_audit(reason): nothing is left that could audit its frames")


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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        item.passed = report.passed


@pytest.fixture(autouse=True)
def audited(request):
    """After every test the frames have been audited, or it says why they cannot be."""
    before = Machine.audits
    yield
    count = Machine.audits - before
    request.node.user_properties.append(("audits", count))
    if getattr(request.node, "passed", False) and not DEBIAN_XEN:
        assert count or request.node.get_closest_marker("no_audit"), "no frame audit after this test"


@pytest.fixture
def dom0(request, holder, audited):
    """The shared machine; after the test its guests are ended and the frames audited."""
    machine = holder.get()
    yield machine
    if machine.alive():
        machine.clean()
        machine.audit()
    elif getattr(request.node, "passed", False):  # else that says it, and the next test gets a new machine
        pytest.fail(f"dom0 does not answer after this test; log {machine.log}")


@pytest.fixture
def machine(request, audited):
    """Makes machines of one's own: machine("name", MACHINE="pc", ...). Each is audited before it
    is powered off, rebooted or taken away."""
    made = []

    def make(name, *arguments, **options):
        made.append(Machine(name, *arguments, **options))
        return made[-1]

    yield make
    try:
        for m in made:
            if getattr(request.node, "passed", False):
                m.last_audit()
    finally:
        for m in made:
            m.close()


def pytest_terminal_summary(terminalreporter):
    count = sum(n for reports in terminalreporter.stats.values() for r in reports
                if getattr(r, "when", "") == "teardown" for k, n in r.user_properties if k == "audits")
    terminalreporter.write_line(f"frame audits: {count}")


def pytest_sessionfinish(session, exitstatus):
    """COUNTS=file: `passed failed skipped`, for the last line of make check."""
    path = os.environ.get("COUNTS")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if path and reporter:
        n = {k: len(reporter.stats.get(k, [])) for k in ("passed", "failed", "error", "skipped")}
        with open(path, "w") as f:
            print(n["passed"], n["failed"] + n["error"], n["skipped"], file=f)
