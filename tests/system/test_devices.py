"""Split drivers: data through blkfront and netfront, verified."""
import pytest

FIO = ("fio --ioengine=libaio --direct=1 --iodepth=8 --verify=crc32c --verify_fatal=1 "
       "--output-format=terse --minimal")


def fio(dom0, name, device, size="16M"):
    for job in (f"--name=seq --rw=write --bs=64k --size={size}",
                f"--name=rand --rw=randwrite --bs=4k --size={size} --io_size=8M --norandommap=0",
                f"--name=flush --rw=randwrite --bs=4k --size=4M --fsync=16",
                f"--name=odd --rw=randrw --bsrange=512-44k --blockalign=512 --size={size} --io_size=8M"):
        dom0.gx(name, f"{FIO} --filename={device} {job} >/run/fio || {{ cat /run/fio; false; }}", 400)


def test_disks(dom0):
    """A file and a block device behind blkback, several disks, and data that comes back whole."""
    dom0.run("truncate -s 64M /tmp/f.img /tmp/p.img && losetup /dev/loop7 /tmp/p.img")
    dom0.guest("d", root=True, memory=192,
               disk=["/tmp/f.img,raw,xvdb,w", "phy:/dev/loop7,xvdc,w"])
    fio(dom0, "d", "/dev/xvdb")
    fio(dom0, "d", "/dev/xvdc")
    # What the guest wrote is what dom0 reads.
    dom0.gx("d", "dd if=/dev/urandom of=/dev/xvdb bs=1M count=16 conv=fsync")
    there = dom0.gx("d", "dd if=/dev/xvdb bs=1M count=16 iflag=direct 2>/dev/null | sha256sum").split()[-2]
    dom0.xl("shutdown -w d")
    dom0.gone("d")
    assert dom0.out("head -c 16777216 /tmp/f.img | sha256sum").split()[0] == there


def test_read_only(dom0):
    dom0.run("truncate -s 16M /tmp/r.img; sha256sum </tmp/r.img >/tmp/r.sum")
    dom0.guest("r", disk=["/tmp/r.img,raw,xvdb,ro"])
    result = dom0.gx("r", "echo x | dd of=/dev/xvdb bs=512 conv=sync,fsync", check=False)
    assert result.status != 0
    assert dom0.gx("r", "cat /sys/block/xvdb/ro").split()[-1] == "1"
    dom0.xl("destroy r")
    dom0.run("[ \"$(sha256sum </tmp/r.img)\" = \"$(cat /tmp/r.sum)\" ]")


def test_hotplug(dom0):
    """Disks and cards come and go while the guest runs."""
    dom0.run("truncate -s 16M /tmp/h.img")
    dom0.guest("h", root=True, memory=192)
    for _ in range(2):
        dom0.xl("block-attach h file:/tmp/h.img xvdd w")
        dom0.until("gx h 'cat /proc/partitions'", lambda out: "xvdd" in out, 60)
        dom0.gx("h", "dd if=/dev/zero of=/dev/xvdd bs=1M count=16 conv=fsync")
        dom0.xl("block-detach h xvdd")
        dom0.until("gx h 'cat /proc/partitions'", lambda out: "xvdd" not in out, 60)
    dom0.xl("network-attach h bridge=xenbr0")
    dom0.until("gx h 'ls /sys/class/net'", lambda out: "eth0" in out, 60)
    dom0.xl("network-detach h 0")
    dom0.until("gx h 'ls /sys/class/net'", lambda out: "eth0" not in out, 60)


def test_network(dom0):
    """iperf3 both ways and a file both ways, with its sum."""
    dom0.guest("net", root=True, memory=192, vif=2, extra="bh.ip=10.0.2.101")
    dom0.run("ping -c 3 10.0.2.101")
    assert "eth1" in dom0.gx("net", "ip -br link")
    dom0.gx("net", "iperf3 -s -D; sleep 2")
    for way in ("", "-R"):
        dom0.run(f"iperf3 -c 10.0.2.101 -n 24M {way}", 300)
    dom0.run(f"iperf3 -c 10.0.2.101 -u -b 4M -t 3", 120)
    dom0.run("dd if=/dev/urandom of=/tmp/n.img bs=1M count=16 2>/dev/null")
    want = dom0.out("sha256sum </tmp/n.img").split()[0]
    dom0.gx("net", "(nc -l -p 9000 >/tmp/n </dev/null; nc -l -p 9001 </tmp/n -N) >/dev/null 2>&1 & sleep 1")
    dom0.run("nc -N 10.0.2.101 9000 </tmp/n.img", 240)
    dom0.until("nc 10.0.2.101 9001 </dev/null >/tmp/n2.img; sha256sum </tmp/n2.img",
               lambda out: want in out, 120, "the file's way back")
    assert want in dom0.gx("net", "sha256sum </tmp/n")


@pytest.mark.slow
def test_guest_to_guest(dom0):
    dom0.guest("g1", root=True, memory=192, vif=1, extra="bh.ip=10.0.2.101")
    dom0.guest("g2", root=True, memory=192, vif=1, extra="bh.ip=10.0.2.102")
    dom0.gx("g1", "iperf3 -s -D; sleep 2")
    for way in ("", "-R", "--bidir"):
        dom0.gx("g2", f"iperf3 -c 10.0.2.101 -n 16M {way}", 400)


@pytest.mark.slow
def test_fio_long(dom0):
    """Four jobs over several vCPUs and two disks at once."""
    dom0.run("truncate -s 256M /tmp/f.img /tmp/p.img && losetup /dev/loop7 /tmp/p.img")
    dom0.guest("d", root=True, memory=256, vcpus=2,
               disk=["/tmp/f.img,raw,xvdb,w", "phy:/dev/loop7,xvdc,w"])
    for rw, bs in (("write", "256k"), ("randwrite", "4k"), ("randrw", "16k")):
        dom0.gx("d", f"{FIO} --rw={rw} --bs={bs} --size=32M "
                     "--name=a --filename=/dev/xvdb --name=b --filename=/dev/xvdb --offset=64M "
                     "--name=c --filename=/dev/xvdc --name=d --filename=/dev/xvdc --offset=64M >/run/fio "
                     "|| { cat /run/fio; false; }", 900)
