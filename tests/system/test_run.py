"""The README's first command."""
import pexpect
import pytest

from dom0 import BOOT, DEBIAN_XEN, LOGS, REPO, audit


@pytest.mark.skipif(DEBIAN_XEN, reason="make run boots Bulkhead")
def test_make_run():
    """`make run` ends at dom0's shell, with a guest, and says how to reach it and how to leave."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOGS / "make-run.log", "w", encoding="utf-8") as log:
        c = pexpect.spawn("make", ["-C", str(REPO), "run"], encoding="utf-8", codec_errors="replace", timeout=BOOT)
        c.logfile_read = log
        try:
            c.expect("Waiting for the demonstration guest")
            c.expect(r"demo +\d+ +\d+ +\d")
            c.expect("The guest's console: xl console demo")
            c.expect("To leave: poweroff")
            c.expect("root@dom0:~# ")
            # The guest's kernel may still be starting; quotes keep the echo from matching.
            c.sendline("until ping -c 1 -W 2 10.0.2.100; do sleep 1; done; echo it ''answers")
            c.expect("it answers")
            audit(c)
            c.sendline("poweroff")
            c.expect(pexpect.EOF)
        finally:
            c.close(force=True)
        assert c.exitstatus == 0
