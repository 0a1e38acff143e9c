"""dom0 on every kind of machine, disk and card; power-off and reboot."""
import pytest

from dom0 import DEBIAN_XEN


def look_around(m):
    """The disk carries data, the card carries packets, every vCPU works."""
    m.run("dd if=/dev/urandom of=/root/f bs=1M count=8 conv=fsync 2>/dev/null && "
          "sha256sum /root/f >/root/sum && echo 3 >/proc/sys/vm/drop_caches && sha256sum -c /root/sum")
    m.until("ping -c 2 -W 2 10.0.2.2", lambda out: " 0% packet loss" in out, 60)
    m.run("for c in /sys/devices/system/cpu/cpu[0-9]*; do taskset -c ${c##*cpu} true || exit 1; done")
    assert "Domain-0" in m.xl("list")


@pytest.mark.parametrize("kind, disk, nic", [
    ("q35", "ahci", "e1000e"),
    ("q35", "nvme", "virtio"),
    pytest.param("pc", "ahci", "e1000", marks=pytest.mark.slow),
    pytest.param("pc", "nvme", "e1000e", marks=pytest.mark.slow),
])
def test_boot(machine, kind, disk, nic):
    m = machine(f"boot-{kind}-{disk}-{nic}", MACHINE=kind, DISK=disk, NIC=nic).boot()
    look_around(m)
    m.poweroff()


def test_reboot(machine):
    """On pc with virtio: reboot comes back, power-off ends QEMU."""
    m = machine("reboot-pc-virtio", MACHINE="pc").boot()
    look_around(m)
    m.reboot()
    m.poweroff()


@pytest.mark.slow
@pytest.mark.parametrize("smp, mem", [(1, "2G"), (4, "4G"), (8, "8G")])
def test_sizes(machine, smp, mem):
    m = machine(f"size-{smp}-{mem}", SMP=smp, MEM=mem).boot()
    look_around(m)
    assert m.out("nproc") == str(smp)
    assert f"nr_cpus                : {smp}" in m.xl("info")
    m.poweroff()


@pytest.mark.slow
def test_one_gibibyte(machine):
    m = machine("size-1G", MEM="1G", HV_ARGS="dom0_mem=512M,max:512M").boot()
    look_around(m)
    m.poweroff()


@pytest.mark.slow
@pytest.mark.skipif(DEBIAN_XEN, reason="Debian's Xen scrubs 64 GiB, which the host may not have")
def test_much_memory(machine):
    m = machine("size-64G", MEM="64G").boot()
    look_around(m)
    m.poweroff()


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["Haswell-noTSX,-smap", "Skylake-Client-noTSX-IBRS,-smap", "EPYC,-smap"])
def test_cpu_models(machine, cpu):
    m = machine(f"cpu-{cpu.split(',')[0]}", CPU=cpu).boot()
    look_around(m)
    m.poweroff()


def test_dom0_mem_and_vcpus(machine):
    """The command line's dom0_mem and dom0_max_vcpus bind; dom0 survives with one vCPU."""
    m = machine("dom0-options", DISK="virtio", HV_ARGS="dom0_mem=768M,max:768M dom0_max_vcpus=1").boot()
    assert m.domains()["Domain-0"][1:3] == (768, 1)
    assert m.out("nproc") == "1"
    m.poweroff()


def test_clean_boot(dom0):
    """Nothing failed on the way: no unit, no kernel complaint."""
    assert "0 loaded units" in dom0.out("systemctl --failed --no-pager")
    assert dom0.run("dmesg | grep -E 'BUG:|WARNING:|Oops|Call Trace|soft lockup'", check=False).out == ""


def test_clocks(dom0):
    """clock_gettime through the vDSO: there, monotonic across CPUs, in step with the kernel's."""
    assert "[vdso]" in dom0.out("cat /proc/self/maps")
    dom0.put("/tmp/clocks.py", """
import os, time
R = range(20000)
for clock in (time.CLOCK_MONOTONIC, time.CLOCK_REALTIME, time.CLOCK_BOOTTIME):
    last = 0
    for i in R:
        if i % 500 == 0:
            os.sched_setaffinity(0, {i // 500 % os.cpu_count()})
        now = time.clock_gettime_ns(clock)
        assert now >= last, (clock, last, now)
        last = now
up = float(open('/proc/uptime').read().split()[0])
assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - up) < 1, up
print('clocks good')
""")
    assert "clocks good" in dom0.out("python3 /tmp/clocks.py", 240)
    before, after = dom0.out("cut -d. -f1 /proc/uptime; sleep 5; cut -d. -f1 /proc/uptime").split()
    assert 4 <= int(after) - int(before) < 30
