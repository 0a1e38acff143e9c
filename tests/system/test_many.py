"""Many guests, many lives, and shares of the CPU."""
import os
import re

import pytest


def rounds(dom0, count, **guest):
    free = None
    for i in range(count):
        dom0.guest("round", **guest)
        if i % 2:
            dom0.xl("destroy round")
        else:
            dom0.xl("shutdown -w round", 120)
        dom0.gone("round")
        if free is None:  # the first round may leave what is kept for reuse (dom0's rings, tables)
            free = settled(dom0)
    assert settled(dom0) == free


def settled(dom0):
    """The free pages, when teardown and dom0's own ballooning have come to rest."""
    last = None
    while (now := dom0.free_pages()) != last:
        last = now
        dom0.run("sleep 2")
    return now


def test_rounds(dom0):
    """Create and end: every page comes back. ROUNDS=200 for the long form."""
    rounds(dom0, int(os.environ.get("ROUNDS", "6")), vif=1,
           disk=["/var/lib/bulkhead/guest.img,raw,xvda,ro"])


@pytest.mark.slow
def test_many_rounds(dom0):
    rounds(dom0, int(os.environ.get("ROUNDS", "200")))


@pytest.mark.slow
def test_sixteen(dom0):
    """Sixteen guests at once, each with a disk and a card, all answering."""
    names = [f"m{i}" for i in range(16)]
    for i, n in enumerate(names):
        dom0.guest(n, wait=False, root=True, memory=128, vif=1, extra=f"bh.ip=10.0.2.{120 + i}")
    for i, n in enumerate(names):
        dom0.gx(n, "true", 600)
        dom0.run(f"ping -c 2 -W 10 10.0.2.{120 + i}")
    assert len(dom0.domains()) == 17
    for n in names:
        dom0.xl(f"destroy {n}")
    for n in names:
        dom0.gone(n)


def ping_beside(dom0, spinners):
    dom0.guest("ping", root=True, memory=192, vif=1, extra="bh.ip=10.0.2.110")
    for i in range(spinners):
        dom0.guest(f"s{i}", wait=False, memory=128, extra="bh.run=while,:;do,:;done")
    for i in range(spinners):
        dom0.until(f"cat /var/log/xen/console/guest-s{i}.log", lambda out: "guest: ready" in out, 600)
    out = dom0.out("ping -c 20 -i 0.5 -W 10 10.0.2.110", 300)
    print(out.splitlines()[-1])
    assert " 0% packet loss" in out
    dom0.xl("list")


def test_ping_beside_spinners(dom0):
    """Spinning guests on every CPU spoil nobody's wake-up: no ping is lost, dom0 answers."""
    ping_beside(dom0, 4)


@pytest.mark.slow
def test_ping_beside_sixteen(dom0):
    ping_beside(dom0, 16)


def used(dom0, names, seconds):
    """CPU seconds that each guest used in that time."""
    before = dom0.domains()
    dom0.run(f"sleep {seconds}", seconds * 10 + 60)
    after = dom0.domains()
    return [after[n][4] - before[n][4] for n in names]


def test_weights_and_caps(dom0):
    """Two spinners on one CPU share it by weight; a cap holds one down though the CPU is free."""
    for n in ("w1", "w2"):
        dom0.guest(n, memory=128, extra="bh.run=while,:;do,:;done", wait=False, cpus="1")
    for n in ("w1", "w2"):
        dom0.until(f"cat /var/log/xen/console/guest-{n}.log", lambda out: "guest: ready" in out)
    dom0.xl("sched-credit2 -d w2 -w 768")
    assert re.search(r"^w2\s+\d+\s+768\s+0", dom0.xl("sched-credit2"), re.M)
    a, b = used(dom0, ("w1", "w2"), 20)
    print("weights 256, 768:", a, b)
    assert 1.8 < b / a < 5, (a, b)
    dom0.xl("sched-credit2 -d w2 -w 256")
    dom0.xl("sched-credit2 -d w1 -c 20")
    a, b = used(dom0, ("w1", "w2"), 15)
    print("cap 20, none:", a, b)
    assert a < b / 2, (a, b)
    dom0.xl("pause w2")
    (a,) = used(dom0, ("w1",), 10)
    print("cap 20 alone, 10 s:", a)
    assert 0.5 < a < 6, a
