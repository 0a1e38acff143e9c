"""`make install` on a Debian that starts from its own disk with GRUB."""
import shutil
import subprocess

import pytest

from dom0 import DEBIAN_XEN, HV, REPO

# Debian on a disk with a partition table; $d is the empty disk, $f holds the files to install.
INSTALL = """set -e
d=$(realpath /dev/disk/by-id/virtio-new) f=$(realpath /dev/disk/by-id/virtio-files-part1)
echo 'start=2048, type=83, bootable' | sfdisk -q $d
udevadm settle
mkfs.ext4 -q -L installed ${d}1
mount ${d}1 /mnt
tar -C / --one-file-system --exclude=./var/lib/bulkhead --exclude=./tmp -cf - . | tar -C /mnt -xf -
mkdir -p /mnt/tmp /mnt/files
for m in dev proc sys; do mount --bind /$m /mnt/$m; done
mount -t vfat -o ro $f /mnt/files
echo 'LABEL=installed / ext4 noatime 0 0' >/mnt/etc/fstab
cat >/mnt/etc/default/grub <<'E'
GRUB_DISTRIBUTOR=Debian
GRUB_DEFAULT='Debian GNU/Linux, with Xen hypervisor'
GRUB_TIMEOUT=2
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND='serial --speed=115200'
GRUB_CMDLINE_LINUX_XEN_REPLACE='console=hvc0 quiet'
GRUB_CMDLINE_XEN='dom0_mem=1024M,max:1024M com1=115200,8n1 console=com1'
E
chroot /mnt grub-install --target=i386-pc $d
chroot /mnt sh -c 'cd /files && VERSION=1.2 sh ./install bulkhead'
umount /mnt/files /mnt/dev /mnt/proc /mnt/sys /mnt
"""


@pytest.mark.slow
@pytest.mark.skipif(DEBIAN_XEN, reason="Debian's Xen comes as a package")
def test_install(machine, tmp_path):
    """GRUB's menu offers the installed hypervisor and starts it (multiboot 2) with the disk's Linux."""
    disk, files = tmp_path / "disk.img", tmp_path / "files"
    files.mkdir()
    shutil.copy(HV, files / "bulkhead")
    shutil.copy(REPO / "packaging/grub/install", files)
    subprocess.run(["truncate", "-s", "3G", disk], check=True)
    m = machine("install-1", "-drive", f"file={disk},format=raw,if=none,id=new",
                "-device", "virtio-blk-pci,drive=new,serial=new",
                "-drive", f"file=fat:{files},format=raw,if=none,id=files,readonly=on",
                "-device", "virtio-blk-pci,drive=files,serial=files").boot()
    m.put("/tmp/install", INSTALL)
    out = m.out("sh /tmp/install", 900)
    assert "xen-bulkhead-1.2" in out, out
    m.poweroff()

    m = machine("install-2", HV="disk", ROOT=disk)
    m.wait("with Xen hypervisor")
    m.boot()
    assert "/dev/vda1" in m.out("findmnt -n -o SOURCE /")
    assert "Domain-0" in m.xl("list")
    assert "xen_version            : 4.17" in m.xl("info")
    assert "ulkhead" in m.hvlog()
    m.poweroff()
