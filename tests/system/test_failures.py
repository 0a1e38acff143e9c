"""What goes wrong: bad kernels, guests that break themselves, a crash of Bulkhead's own, and
the keys and lines that tell about it."""
import re
import subprocess

import pytest

from dom0 import CTRL_A, DEBIAN_XEN, HV, REPO

ours = pytest.mark.skipif(DEBIAN_XEN, reason="what Bulkhead's own log says")

# The smallest PV kernel: an ELF with Xen's notes whose code is the bytes given in hex.
TINY_ELF = '''
import struct, sys
code = bytes.fromhex(sys.argv[2])
def note(kind, desc):
    return struct.pack("<3I4s", 4, len(desc), kind, b"Xen") + desc + bytes(-len(desc) % 4)
base = 0xffffffff80000000
notes = (note(1, struct.pack("<Q", base + 0x100000)) + note(3, struct.pack("<Q", base)) + note(4, bytes(8))
         + note(5, b"xen-3.0\\0") + note(6, b"tiny\\0") + note(8, b"generic\\0"))
at = 64 + 2 * 56
def header(kind, offset, size):
    return struct.pack("<2I6Q", kind, 7, offset, base + 0x100000, 0x100000, size, size, 4096 if kind == 1 else 4)
data = (b"\\x7fELF\\2\\1\\1" + bytes(9) + struct.pack("<2HI3QI6H", 2, 62, 1, base + 0x100000, 64, 0, 0, 64, 56, 2, 64, 0, 0)
        + header(1, 4096, len(code)) + header(4, at, len(notes)) + notes)
open(sys.argv[1], "wb").write(data.ljust(4096, b"\\0") + code)
'''


@ours
@pytest.mark.no_audit("Bulkhead stops the machine with this message")
@pytest.mark.parametrize("name, message", [
    ("none", "no kernel: the boot loader gave no module"),
    ("text", "dom0: .*kernel"),
    ("empty", "dom0: .*kernel"),
    ("truncated", "dom0: .*(short|damaged)"),
    ("short-elf", "dom0: .*short"),
    ("no-notes", "no Xen notes"),
])
def test_bad_dom0_kernel(tmp_path, name, message):
    """What is no kernel for dom0 gets a clear line, not a triple fault."""
    image = REPO / "build/image"
    kernel = tmp_path / name
    vmlinuz = (image / "vmlinuz").read_bytes()
    if name == "short-elf":
        whole = subprocess.run([REPO / "tools/vmlinux-of", image / "vmlinuz"], check=True, stdout=subprocess.PIPE).stdout
        kernel.write_bytes(whole[:5000000])
    else:
        kernel.write_bytes({"none": b"", "text": b"no kernel\n" * 1000, "empty": b"\0",
                            "truncated": vmlinuz[:3000000],
                            "no-notes": open("/bin/true", "rb").read()}[name])
    modules = [] if name == "none" else ["-initrd", str(kernel)]
    run = subprocess.run(
        ["timeout", "300", "qemu-system-x86_64", "-machine", "q35", "-cpu", "qemu64", "-m", "1G", "-nodefaults",
         "-display", "none", "-vga", "none", "-serial", "stdio", "-no-reboot", "-kernel", HV,
         "-append", "com1=115200,8n1 console=com1", *modules],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    assert run.returncode != 124, run.stdout[-1000:]
    assert re.search(message, run.stdout), run.stdout[-1500:]


BROKEN = {
    "ud2": "0f0b",                          # an exception without a handler
    "stack": "31e45050",                    # no stack, then a push
    "jump": "b800000000ffe0",               # to nowhere
    "iret": "b81700000031e40f05",           # hypercall iret without a frame
    "tables": "48b800000000008000000f22d80f0b",     # cr3 of what is no table
}


def test_broken_guests(dom0):
    """Guests that break their own state die alone, and the log says why."""
    dom0.guest("beside")
    dom0.put("/tmp/elf.py", TINY_ELF)
    for name, code in BROKEN.items():
        dom0.run(f"python3 /tmp/elf.py /tmp/b.img {code}")
        dom0.put("/tmp/b.cfg", f'name = "{name}"\nkernel = "/tmp/b.img"\nmemory = 32\non_crash = "preserve"\n')
        dom0.xl("create -q /tmp/b.cfg")
        dom0.until(f"xl list {name}", lambda out: re.search(r"---sc?-|----c-", out), 60)
    log = dom0.hvlog()
    for name in BROKEN:
        domid = dom0.domains()[name][0]
        assert DEBIAN_XEN or re.search(rf"d{domid}\b.*crash", log, re.I), (name, log[-1500:])
        dom0.xl(f"destroy {name}")
    dom0.gx("beside", "true")


@ours
def test_switch_input(dom0):
    """Ctrl-a three times: keys go to Bulkhead, and back."""
    c = dom0.child
    c.send(CTRL_A)
    dom0.wait("serial input to Bulkhead")
    c.send("h")
    dom0.wait("key 'A': audit of all frames")
    c.send("q")
    dom0.wait(r"domain 0: .*pages")
    c.send("Z")
    dom0.wait("no debug key 0x5a")
    c.send(CTRL_A)
    dom0.wait("serial input to dom0")
    assert dom0.out("echo $((6 * 7))") == "42"
    dom0.audit(keys=True)
    assert dom0.out("echo $((6 * 7))") == "42"


@ours
def test_crash_and_options(machine):
    """An option that does not exist is named; a crash shows registers, functions and trace records."""
    m = machine("crash", HV_ARGS="noreboot nosuchthing=1 guest_loglvl=all").boot()
    assert re.search("nosuchthing", m.hvlog())
    m.audit()   # the last that there can be
    m.child.sendline("xl debug-keys C")
    m.wait("Bulkhead has failed on CPU")
    m.wait("asked for by debug key")
    m.wait(r"cr0 [0-9a-f]+  cr2 [0-9a-f]+  cr3 [0-9a-f]+")
    m.wait(r"key_crash\+0x")
    m.wait(r"timer_softirq\+0x")        # a timer works the keys off
    m.wait("trace of CPU 0:")
    m.wait("the machine stands still")
    m.close()
