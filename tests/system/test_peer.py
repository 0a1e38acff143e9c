"""What `xl` says and how it ends, beside Debian's Xen: the same dom0, the same guests and the
same commands on both. Compared are status, all of stderr, and the shape of stdout."""
import base64
import gzip
import json
import re
import subprocess

import pytest

from dom0 import DEBIAN_XEN, LOGS, REPO, STORE

# A line is a command with what of its stdout is compared:
#   -    nothing (it is the log, or times)     all   everything, numbers apart
#   col  the first word of each line           key   what stands before each colon
#   set  the lines in any order, once each
# g is a guest with 2 vCPUs, a disk and a card; nosuch is none, nor is 77.
COMMANDS = """
key xl info
key xl info -n
- xl dmesg
all xl uptime -s nosuch
- create xl create /tmp/g.cfg
all xl create /tmp/g.cfg
all xl create /tmp/nosuch.cfg
all xl create -n /tmp/g.cfg
all xl create /tmp/huge.cfg
all xl create /tmp/wide.cfg
all xl create /tmp/nokernel.cfg
all xl create /tmp/text.cfg
all xl create /tmp/nodisk.cfg
all xl create /tmp/nopool.cfg
all xl create /tmp/nocpu.cfg
all xl create /tmp/syntax.cfg
all xl create /tmp/hvm.cfg
all xl create /tmp/pvh.cfg
- (xl destroy pvh; xl destroy hvm) >/tmp/n 2>&1 || true
- xl create -p /tmp/p.cfg
all xl domname nosuch
all xl destroy p
- console xl create -c /tmp/p.cfg
- console xl console p
all xl console nosuch
all xl destroy p
wait g
col xl list
col xl list g
col xl list -v
col xl list -Z
col xl list -n
col xl list -c
all xl list nosuch
all xl list 77
all xl list -l g
all xl list -l Domain-0
all xl list -l nosuch
col xl vm-list
col xl vcpu-list
col xl vcpu-list g
all xl vcpu-list nosuch
col xl uptime
col xl uptime -s
all xl uptime nosuch
all xl domid g
all xl domid nosuch
all xl domname 0
all xl domname 77
all xl domname x
all xl claims
all xl sharing
all xl sharing g
col xentop -b -i 1
col xentop -b -i 1 -f -n -x -v -r
set xenstore-ls -f /local/domain
col xenstore-ls -p /vm
all xl pause g
col xl list g
all xl unpause g
all xl unpause g
all xl pause nosuch
all xl unpause nosuch
all xl pause 77
all xl pause 0
all xl unpause 0
all xl destroy 0
all xl reboot nosuch
all xl shutdown nosuch
all xl destroy nosuch
all xl rename g h
all xl rename h g
all xl rename nosuch h
all xl rename g Domain-0
all xl vcpu-set g 1
all xl vcpu-set g 2
all xl vcpu-set g 0
all xl vcpu-set g 3
all xl vcpu-set g x
all xl vcpu-set nosuch 1
all xl vcpu-pin g 0 1
all xl vcpu-pin g 0 all
all xl vcpu-pin g all 0-1 0
all xl vcpu-pin g 0 - 1
all xl vcpu-pin g 0 9
all xl vcpu-pin g 0 x
all xl vcpu-pin g 7 1
all xl vcpu-pin g all all all
all xl vcpu-pin nosuch 0 1
all xl vcpu-pin -f g 0 1
all xl vcpu-pin -f g 0 all
all xl vcpu-pin Domain-0 0 all
all xl mem-set g 100
all xl mem-set g 128
all xl mem-set g 99999
all xl mem-set g x
all xl mem-set nosuch 100
all xl mem-max g 200
all xl mem-max g 128
all xl mem-max g 1
all xl mem-max g x
all xl mem-max nosuch 100
all xl sched-credit2
all xl sched-credit2 -d g
all xl sched-credit2 -d g -w 512
all xl sched-credit2 -d g -c 50
all xl sched-credit2 -d g -w 256 -c 0
all xl sched-credit2 -d g -w 0
all xl sched-credit2 -d g -w 70000
all xl sched-credit2 -d g -c 70000
all xl sched-credit2 -d g -c 100
all xl sched-credit2 -d g -c 0
all xl sched-credit2 -d nosuch -w 1
all xl sched-credit2 -s
all xl sched-credit2 -s -p Pool-0 -r 1000
all xl sched-credit2 -s -p Pool-0 -r 99999999
all xl sched-credit2 -s -p nosuch
all xl sched-credit2 -p Pool-0
all xl sched-credit
all xl sched-credit -d g
all xl sched-credit -s
all xl sched-rtds
all xl sched-rtds -d g
all xl cpupool-list
all xl cpupool-list -c
all xl cpupool-list nosuch
all xl cpupool-create 'name="p"'
all xl cpupool-create 'name="p"'
all xl cpupool-list p
all xl cpupool-migrate g p
all xl cpupool-rename p q
all xl cpupool-destroy q
all xl cpupool-create 'name="r"' 'sched="nosuch"'
all xl cpupool-destroy Pool-0
all xl cpupool-destroy nosuch
all xl cpupool-migrate g Pool-0
all xl cpupool-migrate g nosuch
all xl cpupool-cpu-remove Pool-0 1
all xl cpupool-cpu-add Pool-0 1
all xl cpupool-cpu-add Pool-0 1
all xl cpupool-cpu-remove Pool-0 9
all xl cpupool-cpu-add nosuch 1
all xl debug-keys q
all xl debug-keys ht
all xl debug-keys
all xl trigger g nmi
all xl trigger g nmi 0
all xl trigger g nmi 9
all xl trigger g reset
all xl trigger g init
all xl trigger g power
all xl trigger g sleep
all xl trigger g s3resume
all xl trigger g nosuch
all xl trigger nosuch nmi
all xl sysrq g h
all xl sysrq g hh
all xl sysrq nosuch h
all xl set-parameters loglvl=info
all xl set-parameters nosuch=1
all xl set-parameters loglvl=loud
all xl set-parameters guest_loglvl=info/all
all xl set-parameters
set xenhypfs ls /
set xenhypfs ls /params
all xenhypfs cat /params/nosuch
col xl block-list g
all xl block-list nosuch
all hotplug xl block-attach g file:/tmp/b.img xvdd w
col xl block-list g
all xl block-detach g xvdd
all xl block-detach g xvdz
all xl block-attach g file:/tmp/nosuch.img xvde w
all xl block-attach nosuch file:/tmp/b.img xvdd w
col xl network-list g
all xl network-list nosuch
all hotplug xl network-attach g bridge=xenbr0
col xl network-list g
all xl network-detach g 1
all xl network-detach g 9
all xl network-attach nosuch
all xl network-attach g nosuch=1
all xl channel-list g
all xl vtpm-list g
all xl vkb-list g
all xl vdispl-list g
all xl vsnd-list g
all xl usbctrl-list g
all xl usb-list g
all xl pci-list g
all xl pci-assignable-list
all xl pci-attach g 00:1f.9
all xl pci-attach g 00:1e.0
all xl pci-detach g 00:1e.0
all xl cd-insert g xvdd /tmp/b.img
all xl vncviewer g
all xl qemu-monitor-command g info
all xl config-update g /tmp/g.cfg
all xl psr-hwinfo
all xl psr-hwinfo -m
all xl psr-hwinfo -a
all xl psr-cmt-show cache-occupancy
all xl psr-cmt-attach g
all xl psr-cmt-detach g
all xl psr-cat-show
all xl psr-cat-set g 1
all xl psr-mba-show
all xl psr-mba-set g 10
all xl getenforce
all xl setenforce 1
all xl loadpolicy /tmp/b.img
all xl tmem-list
all xl nosuch
all xl remus nosuch localhost
all xl restore /tmp/nosuch
all xl restore /tmp/b.img
all xl save nosuch /tmp/save
all xl dump-core nosuch /tmp/core
all xl dump-core g /tmp/core
all xl reboot g
wait g
all xl shutdown -w g
- while xl domid g; do sleep 1; done >/tmp/n 2>&1
- create xl create /tmp/g.cfg
wait g
all xl save g /tmp/save
all xl destroy g
all xl domid g
"""

# Where the two differ, and why: limits that the README names, or what is no error.
POOLS, GUESTS = "one CPU pool has all", "no PVH and no HVM guests"
DIFFERENCES = {
    "xl info -n": "a PCI device is near the one node; Xen does not say what is near without _PXM",
    "xl create /tmp/hvm.cfg": GUESTS,
    "xl create /tmp/pvh.cfg": GUESTS,
    "xl cpupool-create 'name=\"p\"'": POOLS,
    "xl cpupool-create 'name=\"p\"' again": POOLS,
    "xl cpupool-list p": POOLS,
    "xl cpupool-migrate g p": POOLS,
    "xl cpupool-rename p q": POOLS,
    "xl cpupool-destroy q": POOLS,
    "xl cpupool-cpu-remove Pool-0 1": POOLS,
    "xl cpupool-cpu-add Pool-0 1": POOLS,
    "xl cpupool-cpu-add Pool-0 1 again": POOLS,
    "xenhypfs ls /": "only what can be set while the machine runs",
    "xenhypfs ls /params": "log levels only",
}

MEMORY = "memory = 96"
CONFIGS = {
    "g": f'vcpus = 2\nmemory = 128\ndisk = [ "/tmp/d.img,raw,xvdb,w" ]\nvif = [ "bridge=xenbr0" ]',
    "p": MEMORY,
    "huge": "memory = 999999",
    "wide": f"{MEMORY}\nvcpus = 9000",
    "nokernel": f'{MEMORY}\nkernel = "/tmp/nosuch"',
    "text": f'{MEMORY}\nkernel = "/etc/passwd"',
    "nodisk": f'{MEMORY}\ndisk = [ "/tmp/nosuch.img,raw,xvdb,w" ]',
    "nopool": f'{MEMORY}\npool = "nosuch"',
    "nocpu": f'{MEMORY}\ncpus = "9"',
    "syntax": "memory = [",
    "hvm": f'{MEMORY}\ntype = "hvm"',
    "pvh": f'{MEMORY}\ntype = "pvh"',
}
# Runs in dom0, all commands at one go: typing each would take longer than running it.
RUNNER = """
import base64, gzip, json, subprocess, sys, time
def run(command, limit, feed=None):
    start = time.time()
    with open("/tmp/o", "w+b") as out, open("/tmp/e", "w+b") as err:
        p = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=out, stderr=err)
        try:
            try:
                while feed and p.poll() is None and time.time() - start < limit:
                    time.sleep(2)
                    p.stdin.write(feed)
                    p.stdin.flush()
                p.stdin.close()
            except BrokenPipeError:
                pass
            status = p.wait(limit)
        except subprocess.TimeoutExpired:
            p.kill()
            status = "endless"
        return [status] + [open(f, errors="replace").read() for f in ("/tmp/o", "/tmp/e")] + [round(time.time() - start, 1)]
seen = []
for line in open("/tmp/commands").read().splitlines():
    shape, command = line.split(" ", 1)
    word, _, rest = command.partition(" ")
    for again in (1, 1, 0):
        if shape == "wait":     # a guest that begins again has another console
            for _ in range(9):
                r = run("gx %s true 20 2>&1" % command, 60)
                if r[0] == 0:
                    break
        elif word == "console":
            r = run(rest, 60, bytes([29]))
        else:
            r = run(rest if word in ("create", "hotplug") else command, 200 if "create" in command else 90)
        # A hotplug script has 10 s, however slow the emulation is: that alone is tried again.
        if not again or "killing execution of /etc/xen/scripts" not in r[2]:
            break
        time.sleep(5)
        if word == "create":
            run("xl destroy g", 60)
    seen.append(r)
    print("#", line, r, flush=True)     # for the log
print("=====")
print(base64.encodebytes(gzip.compress(json.dumps(seen).encode())).decode())
"""


def send(m, path, text):
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    m.run(f"echo {packed} | base64 -d | gunzip >{path}", 300)


def prepare(m):
    files = ""
    for name, text in CONFIGS.items():
        first = f'name = "{name}"\nkernel = "{STORE}/vmlinux"\nramdisk = "{STORE}/initrd"\n' \
                'extra = "console=hvc0 quiet bh.root=none"\n'
        files += f"cat >/tmp/{name}.cfg <<'_EOF'\n{first}{text}\n_EOF\n"
    files += "truncate -s 16M /tmp/b.img /tmp/d.img\n"
    files += f"cat >/tmp/commands <<'_EOF'\n{COMMANDS.strip()}\n_EOF\n"
    files += f"cat >/tmp/runner.py <<'_EOF'\n{RUNNER}\n_EOF\n"
    send(m, "/tmp/files", files)
    m.run("sh /tmp/files")


def plain(text):
    """Without numbers, names made of them, and the width of columns."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID", text)
    text = re.sub(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC", text, flags=re.I)
    text = re.sub(r"0x[0-9a-f]+|\d+([.:]\d+)*", "N", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip()]


SHAPES = {
    "-": lambda text: [],
    "all": plain,
    "set": lambda text: sorted(set(plain(text))),
    "col": lambda text: [line.split()[0] for line in plain(text)],
    "key": lambda text: [line.split(":")[0].strip() for line in plain(text)],
}


def look(m):
    """Every command's status, stderr, and shape of stdout, by its line and place."""
    prepare(m)
    results = json.loads(gzip.decompress(base64.b64decode(
        m.out("python3 /tmp/runner.py", 3600).split("=====")[-1])))
    (LOGS / f"{m.log.stem}.json").write_text(json.dumps(results, indent=0))
    seen = {}
    for line, (status, out, err, took) in zip(COMMANDS.strip().splitlines(), results, strict=True):
        shape, key = line.split(" ", 1)
        if shape == "wait":
            assert status == 0, (line, out, err)
            continue
        while key in seen:
            key += " again"
        seen[key] = {"status": status, "err": plain(err), "out": SHAPES[shape](out)}
    return seen


@pytest.mark.slow
@pytest.mark.skipif(DEBIAN_XEN, reason="compares with it")
def test_xl_beside_xen(dom0, machine):
    xen = subprocess.run([REPO / "tools/debian-xen"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    ours = look(dom0)
    m = machine("peer-xen", HV=xen).boot()
    theirs = look(m)
    m.close()
    wrong = []
    for key in ours:
        same = ours[key] == theirs[key]
        if same == (key in DIFFERENCES):
            wrong.append(f"{key}: " + ("does not differ any more" if same else
                         f"\n  Xen      {theirs[key]}\n  Bulkhead {ours[key]}"))
    assert not wrong, "\n".join(wrong)
