"""A machine under QEMU with Debian as dom0, driven over its serial console.

Everything goes through that one console, as a person would: commands are sent as lines and
their output is cut out between two marks. Lines of the hypervisor's own log that fall
between are dropped.
"""
import os
import pathlib
import random
import re
import threading
import time

import pexpect

REPO = pathlib.Path(__file__).resolve().parents[2]
HV = os.environ.get("HV", str(REPO / "build/bulkhead"))
DEBIAN_XEN = os.path.basename(HV).startswith("xen-")
LOGS = pathlib.Path(os.environ.get("SYSTEM_LOGS", REPO / "build/system-logs"))
# Emulation on a busy host is slow: these limits only end what hangs.
BOOT = 600
LIFE = 4 * 3600
STORE = "/var/lib/bulkhead"
HV_LINE = re.compile(r"\((?:XEN|HV|BH|bulkhead)\) [^\n]*\n")
AUDIT_END = r"audit: ((\d+) frames, (\d+) differences|not done[^\n]*|the control plane is busy)"
CTRL_A = "\x01\x01" * 3     # the switch of the serial input; QEMU's monitor takes the first of each two


class Died(Exception):
    """The machine does not answer any more; the text says where its log is."""


class Result:
    def __init__(self, status, out):
        self.status, self.out = status, out


def audit(child, keys=False, expect=None):
    """Has Bulkhead recount the references of all frames; a difference fails. Asked for in dom0's
    shell or, where there is none, with the debug key itself. Returns the last line."""
    expect = expect or (lambda pattern: child.expect(pattern, timeout=120))
    for _ in range(20):
        if keys:
            child.send(CTRL_A)
            expect("serial input to Bulkhead")
            child.send("A")
        else:
            child.sendline("xl debug-keys A")
        expect(AUDIT_END)
        line, frames, differences = child.match.group(0, 2, 3)
        before = child.before
        if keys:
            child.send(CTRL_A)
            expect("serial input to dom0")
        if "busy" not in line:
            break
        time.sleep(1)
    assert frames and int(frames) > 0, line
    assert differences == "0", f"{line}\n{before[-1500:]}"
    Machine.audits += 1
    return line


class Machine:
    audits = 0          # of all machines
    unaudited = True    # this boot of this machine

    def __init__(self, name, *arguments, **options):
        """arguments: for QEMU; options: the environment of tools/run (MACHINE, DISK, SMP, HV_ARGS, ...)."""
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        env = dict(os.environ, HV=HV) | {k: str(v) for k, v in options.items()}
        # Debian's Xen, from its package or by tools/debian-xen: it has no audit.
        self.xen = os.path.basename(env["HV"]).split("-")[0] == "xen"
        self.child = pexpect.spawn(str(REPO / "tools/run"), list(arguments), env=env, encoding="utf-8",
                                   codec_errors="replace", timeout=BOOT, maxread=65536)
        self.child.logfile_read = open(self.log, "w", encoding="utf-8")
        self.child.delaybeforesend = None
        # tools/run becomes QEMU (exec), so this process is QEMU.
        self.watchdog = threading.Timer(LIFE, self.child.kill, [9])
        self.watchdog.daemon = True
        self.watchdog.start()

    def wait(self, pattern, timeout=BOOT):
        try:
            return self.child.expect(pattern, timeout=timeout)
        except (pexpect.EOF, pexpect.TIMEOUT) as e:
            tail = self.child.before[-1500:] if isinstance(self.child.before, str) else ""
            why = "ended" if isinstance(e, pexpect.EOF) else f"silent for {timeout} s"
            raise Died(f"waiting for {pattern!r}: {why}; log {self.log}\n{tail}") from None

    def boot(self):
        self.wait(r"root@dom0:~# ")
        self.unaudited = True
        self.child.sendline("dmesg -n 1; stty -echo cols 200; PS1='dom0> ' TERM=dumb")
        self.wait(r"\ndom0> ")
        return self

    def run(self, command, timeout=180, check=True, raw=False):
        """Runs a shell command in dom0. With check, a status other than 0 fails the test;
        with raw, lines that look like the hypervisor's stay in."""
        mark = f"{random.randrange(1 << 32):08x}"
        if len(command) > 60 or "\n" in command:
            self.load(command)
            command = 'eval "$c"'
        self.child.sendline(f"echo B{mark}; {command}; echo E{mark} $?")
        self.wait(f"B{mark}\\s*\n", timeout)
        self.wait(f"E{mark} (\\d+)", timeout)
        out = self.child.before.replace("\r", "").replace("dom0> ", "")
        result = Result(int(self.child.match.group(1)), (out if raw else HV_LINE.sub("", out)).strip())
        self.wait(r"dom0> ", timeout)
        if check:
            assert result.status == 0, f"{command}\nstatus {result.status}\n{result.out}"
        return result

    def load(self, text):
        """Puts a long text into dom0's shell variable c, in pieces that each wait for the prompt:
        the hypervisor holds about 128 typed bytes (Debian's Xen drops what comes too fast)."""
        escape = {"\\": "\\\\", "'": "\\'", "\n": "\\n"}
        self.child.sendline("c=")
        self.wait("dom0> ", 60)
        for i in range(0, len(text), 60):
            piece = "".join(escape.get(ch, ch) for ch in text[i:i + 60])
            self.child.sendline(f"c=$c$'{piece}'")
            self.wait("dom0> ", 60)

    def out(self, command, timeout=180):
        return self.run(command, timeout).out

    def xl(self, arguments, timeout=180):
        """An xl command that must succeed and must not print an error."""
        out = self.out("xl " + arguments, timeout)
        assert "error" not in out.lower(), f"xl {arguments}\n{out}"
        return out

    def put(self, path, text):
        self.run(f"cat >{path} <<'_EOF'\n{text}\n_EOF")

    def guest(self, name, wait=True, kernel="vmlinux", extra="", memory=128, vcpus=1, disk=(),
              vif=0, root=False, **options):
        """Makes and creates a PV guest and waits for its shell.

        Without root it lives in its initrd and needs no disk; with root, xvda is the shared
        read-only Debian. vif is the number of network cards, or a list of xl's vif strings.
        """
        disk = list(disk)
        if root:
            disk.insert(0, f"{STORE}/guest.img,raw,xvda,ro")
        else:
            extra += " bh.root=none"
        if isinstance(vif, int):
            vif = ["bridge=xenbr0"] * vif
        config = {"name": name, "kernel": f"{STORE}/{kernel}", "ramdisk": f"{STORE}/initrd",
                  "extra": f"console=hvc0 quiet {extra}", "memory": memory, "vcpus": vcpus,
                  "disk": disk, "vif": vif, **options}
        lines = [f"{k} = {v!r}".replace("'", '"') for k, v in config.items() if v is not None]
        self.put(f"/tmp/{name}.cfg", "\n".join(lines))
        self.run(f"rm -f /var/log/xen/console/guest-{name}.log")
        # libxl gives a hotplug script 10 s, however slow the emulation is: that alone is
        # tried again, any other error is one.
        for last in (False, False, True):
            result = self.run(f"xl create -q /tmp/{name}.cfg", 400, check=False)
            if last or "killing execution of /etc/xen/scripts" not in result.out:
                break
            self.run(f"xl destroy {name}", check=False)
            self.run("sleep 5")
        assert result.status == 0 and "error" not in result.out.lower(), result.out
        if wait:
            self.gx(name, "true", 240)

    def gx(self, name, command, timeout=180, check=True):
        """Runs a command in a guest, through its console; returns what it printed."""
        quoted = command.replace("'", "'\\''")
        result = self.run(f"gx {name} '{quoted}' {timeout}", timeout + 60, check=False)
        if check:
            assert result.status == 0, \
                f"in {name}: {command}\nstatus {result.status}\n{result.out}"
            return result.out
        return result

    def console_log(self, name):
        return self.run(f"cat /var/log/xen/console/guest-{name}.log", check=False).out

    def until(self, command, test, timeout=180, what=""):
        """Repeats a command in dom0 until test(its output); the output is returned."""
        end = time.time() + timeout
        while True:
            out = self.run(command, check=False).out
            if test(out):
                return out
            assert time.time() < end, f"{what or command}: not within {timeout} s\n{out}"
            time.sleep(1)

    def domains(self):
        """name -> (domid, memory in MiB, vCPUs, state, seconds of CPU)"""
        table = {}
        for line in self.out("xl list").splitlines():
            f = line.split()
            if len(f) == 6 and f[1].isdigit():
                table[f[0]] = (int(f[1]), int(f[2]), int(f[3]), f[4], float(f[5]))
        return table

    def gone(self, name, timeout=120):
        """Waits until no domain of that name is left, not even as a zombie."""
        end = time.time() + timeout
        while any(n in (name, "(null)") for n in self.domains()):
            assert time.time() < end, f"{name} is still there:\n{self.out('xl list')}"
            time.sleep(0.5)

    def free_pages(self):
        return int(self.out("freepages").split()[-1])

    def hvlog(self):
        """The hypervisor's log, as xl shows it."""
        return self.run("xl dmesg", 60, raw=True).out

    def audit(self, keys=False):
        """The frame audit (Debian's Xen has none); keys: without dom0's help."""
        line = None
        if not self.xen:
            line = audit(self.child, keys, lambda pattern: self.wait(pattern, 120))
            if not keys:
                self.run("true")
        self.unaudited = False
        return line

    def last_audit(self):
        """The audit before a machine is taken away, by whatever way it still answers."""
        if self.child.isalive() and not self.xen:    # else the test has ended it, after an audit
            if self.alive():
                self.clean()
                self.audit()
            else:
                self.audit(keys=True)
        assert self.xen or not self.unaudited, f"{self.log}: it ended without a frame audit"

    def clean(self):
        """Ends every guest that a test left."""
        names = [n for n in self.domains() if n != "Domain-0"]
        for n in names:
            self.run(f"xl destroy {n}", check=False)
        end = time.time() + 60
        while len(self.domains()) > 1 and time.time() < end:
            time.sleep(0.5)
        self.run("losetup -D; rm -f /tmp/*.img /tmp/*.cfg", check=False)

    def alive(self):
        try:
            self.child.sendline("")
            self.wait(r"dom0> ", 60)
            while self.child.expect([r"dom0> ", pexpect.TIMEOUT], timeout=1) == 0:
                pass
            return self.run("true", 60).status == 0
        except (Died, pexpect.EOF, OSError):
            return False

    def reboot(self):
        self.audit()
        self.child.sendline("reboot")
        return self.boot()

    def poweroff(self):
        self.audit()
        self.child.sendline("poweroff")
        try:
            self.child.expect(pexpect.EOF, timeout=BOOT)
        except pexpect.TIMEOUT:
            raise Died(f"poweroff did not end QEMU; log {self.log}") from None
        self.close()

    def close(self):
        self.watchdog.cancel()
        if self.child.isalive():
            self.child.kill(9)
        self.child.close(force=True)
