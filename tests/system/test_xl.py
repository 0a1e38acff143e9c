"""Every xl command of daily use, on guests without disks."""
import re

import pytest

from dom0 import DEBIAN_XEN


def test_info(dom0):
    info = dict(re.findall(r"^(\S+)\s*: (.*)$", dom0.xl("info"), re.M))
    assert info["xen_version"].startswith("4.17")
    assert info["nr_cpus"] == "2"
    assert int(info["total_memory"]) > 4000
    assert 0 < int(info["free_memory"]) < int(info["total_memory"])
    assert "xen-3.0-x86_64" in info["xen_caps"]
    assert info["xen_scheduler"] == "credit2"


def test_dmesg_and_debug_keys(dom0):
    assert len(dom0.hvlog()) > 500
    dom0.xl("debug-keys h")
    assert re.search(r"'h'|key", dom0.hvlog())


def test_set_parameters(dom0):
    """Log levels change while the machine runs; what is no level or no parameter is refused."""
    dom0.xl("set-parameters loglvl=error")
    assert dom0.out("xenhypfs cat /params/loglvl").startswith("error")
    dom0.xl("set-parameters loglvl=info")
    for bad in ("loglvl=loud", "nosuch=1"):
        assert dom0.run(f"xl set-parameters {bad}", check=False).status != 0


@pytest.mark.skipif(DEBIAN_XEN, reason="Debian's Xen has no frame audit")
def test_frame_audit(dom0):
    dom0.guest("a", vif=1)
    assert "0 differences" in dom0.audit()


def test_list_and_looking(dom0):
    """One guest, looked at by everything that only looks."""
    dom0.guest("look", vcpus=2, vif=1)
    assert dom0.domains()["look"][1:3] == (128, 2)
    assert len(re.findall(r"^look ", dom0.xl("vcpu-list"), re.M)) == 2
    assert re.search(r"look\s+\d+", dom0.xl("uptime"))
    assert "Pool-0" in dom0.xl("cpupool-list")
    assert re.search(r"^look\s+\d+\s+256\s+0", dom0.xl("sched-credit2"), re.M)
    assert re.search(r"^\s+look\s", dom0.out("xentop -b -i 1"), re.M)
    assert 'name = "look"' in dom0.out("xenstore-ls")
    assert "vif" in dom0.xl("network-list look") or "/local/domain" in dom0.xl("network-list look")
    assert '"look"' in dom0.xl("list -l look")
    assert dom0.xl("domname $(xl domid look)") == "look"


def test_create_console(dom0):
    """create -c attaches at once; Ctrl-] leaves; console attaches again."""
    dom0.guest("con")
    dom0.xl("destroy con")
    dom0.gone("con")
    c = dom0.child
    c.sendline("stty echo; xl create -c /tmp/con.cfg")
    dom0.wait("guest: ready")
    c.send("echo hel''lo\r")
    dom0.wait("hello")
    c.send("\x1d")
    dom0.wait("dom0> ")
    c.sendline("xl console con")
    c.send("\r echo hel''lo $((6*7))\r")
    dom0.wait("hello 42")
    c.send("\x1d")
    dom0.wait("dom0> ")
    c.sendline("stty -echo")
    dom0.wait("dom0> ")
    dom0.gx("con", "true")


def test_pause(dom0):
    dom0.guest("p")
    dom0.gx("p", "(while :; do :; done) & true")
    dom0.xl("pause p")
    assert "p" in dom0.domains()["p"][3]
    before = dom0.domains()["p"][4]
    dom0.run("sleep 3")
    assert dom0.domains()["p"][4] == before
    dom0.xl("unpause p")
    assert "p" not in dom0.domains()["p"][3]
    dom0.until("xl list p", lambda out: float(out.split()[-1]) > before)


def test_shutdown_reboot_destroy(dom0):
    dom0.guest("life")
    first = dom0.domains()["life"][0]
    dom0.xl("reboot life")
    dom0.until("xl domid life", lambda out: out.isdigit() and int(out) != first)
    dom0.gx("life", "true")
    dom0.xl("shutdown -w life")
    dom0.gone("life")
    dom0.guest("life")
    dom0.xl("destroy life")
    dom0.gone("life")


def test_rename(dom0):
    dom0.guest("n1")
    dom0.xl("rename n1 n2")
    assert "n2" in dom0.domains() and "n1" not in dom0.domains()


def test_vcpus(dom0):
    dom0.guest("v", vcpus=2)
    assert dom0.gx("v", "nproc").strip() == "2"
    dom0.xl("vcpu-set v 1")
    dom0.until("gx v nproc", lambda out: out.strip() == "1", 60)
    dom0.xl("vcpu-set v 2")
    # The kernel only adds the CPU; switching it on is for the guest's udev, which is not there.
    dom0.gx("v", "while ! echo 1 >/sys/devices/system/cpu/cpu1/online; do sleep 1; done 2>/dev/null")
    dom0.until("gx v nproc", lambda out: out.strip() == "2", 60)
    dom0.xl("vcpu-pin v 0 1")
    dom0.xl("vcpu-pin v 1 all 0")
    lines = [l.split() for l in dom0.xl("vcpu-list v").splitlines()[1:]]
    assert lines[0][6:9] == ["1", "/", "all"] or lines[0][-3:] == ["1", "/", "all"], lines
    assert lines[1][-3:] == ["all", "/", "0"], lines
    dom0.gx("v", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    assert [l.split()[3] for l in dom0.xl("vcpu-list v").splitlines()[1:]][0] == "1"


def test_balloon(dom0):
    """mem-set down and up: the guest gives the memory back, gets it again, and uses it."""
    dom0.guest("b", memory=320, root=True)
    free = dom0.free_pages()
    full = int(dom0.gx("b", "awk '/MemTotal/{print $2}' /proc/meminfo"))
    dom0.xl("mem-set b 200")
    dom0.until("xl list b", lambda out: out.split()[-4] == "200", 90)
    # The frames arrive with the target, some are in flight.
    assert dom0.free_pages() - free > 100 * 256
    assert int(dom0.gx("b", "awk '/MemTotal/{print $2}' /proc/meminfo")) < full - 100 * 1024
    dom0.xl("mem-set b 320")
    dom0.until("xl list b", lambda out: out.split()[-4] == "320", 90)
    dom0.gx("b", "mount -t tmpfs -o size=90% t /mnt && dd if=/dev/urandom of=/mnt/f bs=1M count=150 "
                 "&& cat /mnt/f /mnt/f | sha256sum && rm /mnt/f")
    dom0.xl("mem-set b 240")
    dom0.until("xl list b", lambda out: out.split()[-4] == "240", 90)


@pytest.mark.parametrize("action", ["destroy", "restart", "preserve"])
def test_on_crash(dom0, action):
    """A guest kernel's panic, and what xl then does."""
    dom0.guest("c", on_crash=action)
    domid = dom0.domains()["c"][0]
    dom0.gx("c", "(sleep 1; echo c >/proc/sysrq-trigger) & true")
    if action == "destroy":
        dom0.gone("c")
    elif action == "restart":
        dom0.until("xl domid c", lambda out: out.isdigit() and int(out) != domid)
        dom0.gx("c", "true")
    else:
        dom0.until("xl list c", lambda out: re.search(r"---sc?-|----c-", out))
        assert dom0.domains()["c"][0] == domid
    assert "sysrq triggered crash" in dom0.console_log("c").lower() or action == "restart"


@pytest.mark.parametrize("event, action", [("reboot", "destroy"), ("poweroff", "restart")])
def test_on_end(dom0, event, action):
    dom0.guest("e", **{f"on_{event}": action})
    domid = dom0.domains()["e"][0]
    dom0.gx("e", f"(sleep 1; /sbin/{event}) & true")
    if action == "destroy":
        dom0.gone("e")
    else:
        dom0.until("xl domid e", lambda out: out.isdigit() and int(out) != domid)
        dom0.gx("e", "true")


def test_bad_kernels(dom0):
    """What is no kernel is refused with an error, and nothing is left."""
    dom0.guest("warm", wait=False)
    dom0.xl("destroy warm")
    dom0.gone("warm")
    free = dom0.free_pages()
    for name, make in {
            "truncated": "head -c 3000000 /var/lib/bulkhead/vmlinuz",
            "short-elf": "head -c 5000000 /var/lib/bulkhead/vmlinux",
            "text": "seq 100000",
            "no-notes": "cat /bin/busybox"}.items():
        dom0.run(f"{make} >/tmp/{name}.img")
        dom0.put("/tmp/bad.cfg", f'name = "bad"\nkernel = "/tmp/{name}.img"\nmemory = 64\n')
        result = dom0.run("xl create -q /tmp/bad.cfg", check=False)
        assert result.status != 0, f"{name} was accepted:\n{result.out}"
        dom0.gone("bad")
    assert dom0.free_pages() == free


def test_cpuid_from_config(dom0):
    """xl's cpuid= reaches the guest's policy (PV kernels ask by the forced form)."""
    dom0.guest("id1")
    assert re.search(r"flags.*\bcx16\b", dom0.gx("id1", "grep flags /proc/cpuinfo | head -1"))
    dom0.guest("id2", cpuid="host,cmpxchg16=0")
    assert not re.search(r"flags.*\bcx16\b", dom0.gx("id2", "grep flags /proc/cpuinfo | head -1"))


def test_debian_vmlinuz(dom0):
    """The kernel file exactly as Debian ships it, by the demonstration guest's configuration."""
    dom0.xl("create -q /var/lib/bulkhead/demo.cfg", 240)
    assert "ready" in dom0.until("cat /var/log/xen/console/guest-demo.log", lambda out: "guest: ready" in out)
    assert dom0.gx("demo", "uname -r").strip() == dom0.out("uname -r")
    dom0.run("ping -c 3 10.0.2.100")


def test_grub(dom0):
    """GRUB's own PV kernel reads its menu from the guest's disk and starts Linux from there."""
    dom0.run("cp /var/lib/bulkhead/grub.img /tmp/g.img")
    dom0.put("/tmp/grub.cfg", 'name = "grub"\nkernel = "/usr/lib/grub-xen/grub-x86_64-xen.bin"\n'
                              'memory = 256\ndisk = [ "/tmp/g.img,raw,xvda,w" ]\n')
    dom0.xl("create -q /tmp/grub.cfg")
    assert "bh.by=grub" in dom0.gx("grub", "cat /proc/cmdline", 300)


def test_guest_clocks(dom0):
    """A guest's clock runs with dom0's, and its vDSO never steps back."""
    dom0.guest("t", vcpus=2)
    there = int(dom0.gx("t", "date +%s").split()[-1])
    here = int(dom0.out("date +%s"))
    assert abs(here - there) < 30
    dom0.gx("t", "last=0; i=0; while [ $i -lt 300 ]; do now=$(cut -d' ' -f1 /proc/uptime | tr -d .); "
                 "[ $now -ge $last ] || exit 1; last=$now; i=$((i+1)); done", 300)
