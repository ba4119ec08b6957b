"""How qemu is called."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import Platform
from moby.machine.runners import qemu
from moby.machine.runners.boot import Boot
from moby.machine.runners.hardware import Disk, Hardware, Network, Port, Share
from moby.machine.runners.qemu import command, servers

AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "program", lambda name: f"/usr/bin/{name}")


def pairs(argv: list[str]) -> set[tuple[str, str]]:
    """Each option with what follows it."""
    return set(itertools.pairwise(argv))


def test_the_command() -> None:
    hardware = Hardware(512, 2, (Port(8080, 80),), "kvm", AMD64)
    disks = (Disk(Path("a,b.qcow2")), Disk(Path("r.img"), read_only=True))
    argv = command(Boot(Path("k"), Path("i"), "console=ttyS0 quiet", disks), hardware, state=Path("/s,t"))
    assert argv[0] == "/usr/bin/qemu-system-x86_64"
    assert pairs(argv) >= {
        ("-machine", "q35,accel=kvm"), ("-cpu", "host"), ("-m", "512"), ("-smp", "2"), ("-kernel", "k"), ("-initrd", "i"),
        ("-append", "console=ttyS0 quiet"), ("-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80"),
        ("-drive", "file=a,,b.qcow2,format=qcow2,if=virtio"), ("-drive", "file=r.img,format=raw,if=virtio,readonly=on"),
        ("-serial", "mon:stdio"), ("-qmp", "unix:/s,,t/qmp,server=on,wait=off"),
    }  # fmt: skip
    with pytest.raises(InvalidParameter, match="linux/s390x"):
        command(Boot(), Hardware(platform=Platform("s390x", "linux")))


def test_an_emulated_kernel_does_not_wait_for_its_timer() -> None:
    boot = Boot(Path("k"), cmdline="quiet")
    assert ("-append", "quiet no_timer_check") in pairs(command(boot, Hardware(platform=AMD64)))
    assert ("-append", "quiet") in pairs(command(boot, Hardware(platform=ARM64)))
    assert ("-append", "quiet") in pairs(command(boot, Hardware(accel="kvm", platform=AMD64)))


def test_disks_of_scsi_share_their_bus() -> None:
    disks = (
        Disk(Path("a.img"), bus="scsi"),
        Disk(Path("b.img")),
        Disk(Path("c.img"), bus="scsi", read_only=True),
    )
    argv = command(Boot(disks=disks), Hardware(platform=ARM64))
    assert argv.count("virtio-scsi-pci,id=scsi") == 1
    assert pairs(argv) >= {
        ("-drive", "file=a.img,format=raw,if=none,id=disk0"), ("-device", "scsi-hd,bus=scsi.0,drive=disk0"),
        ("-drive", "file=b.img,format=raw,if=virtio"),
        ("-drive", "file=c.img,format=raw,if=none,id=disk2,readonly=on"), ("-device", "scsi-hd,bus=scsi.0,drive=disk2"),
    }  # fmt: skip


def test_cds_are_where_a_machine_looks_for_them() -> None:
    amd64 = command(Boot(cds=(Path("m.iso"),), firmware=Path("f")), Hardware(platform=AMD64))
    assert pairs(amd64) >= {("-drive", "file=m.iso,format=raw,media=cdrom,readonly=on"), ("-bios", "f")}
    arm64 = command(Boot(cds=(Path("m.iso"),)), Hardware(platform=ARM64))
    assert ("-device", "scsi-cd,bus=scsi0.0,drive=cd0") in pairs(arm64)
    assert arm64[0] == "/usr/bin/qemu-system-aarch64"


def test_firmware_that_keeps_its_settings_is_flash() -> None:
    argv = command(Boot(firmware=Path("CODE"), variables=Path("a,b")), Hardware(platform=AMD64))
    assert pairs(argv) >= {
        ("-drive", "if=pflash,format=raw,unit=0,readonly=on,file=CODE"),
        ("-drive", "if=pflash,format=raw,unit=1,file=a,,b"),
    }
    assert "-bios" not in argv


def test_networks() -> None:
    tap = command(Boot(), Hardware(platform=AMD64, network=Network("tap", "tap0", "52:54:00:00:00:01")))
    assert pairs(tap) >= {
        ("-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no"),
        ("-device", "virtio-net-pci,netdev=net,mac=52:54:00:00:00:01"),
    }
    assert "-netdev" not in command(Boot(), Hardware(platform=AMD64, network=Network("none")))


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = (Share(Path("/data"), "data"), Share(Path("/more"), "more", "9p", read_only=True))
    argv = command(Boot(), Hardware(256, platform=AMD64, shares=shares), state=tmp_path)
    assert pairs(argv) >= {
        ("-chardev", f"socket,id=share0,path={tmp_path}/share0"),
        ("-device", "vhost-user-fs-pci,chardev=share0,tag=data"),
        ("-object", "memory-backend-memfd,id=memory,size=256M,share=on"),
        ("-virtfs", "local,path=/more,mount_tag=more,security_model=mapped-xattr,readonly=on"),
    }
    server = tmp_path / "virtiofsd"
    monkeypatch.setattr(qemu, "_VIRTIOFSD", (server,))
    with pytest.raises(NotFound, match="virtiofsd is not installed"):
        servers(shares, tmp_path)
    server.touch()
    assert servers(shares, tmp_path) == [
        [str(server), f"--socket-path={tmp_path}/share0", "-o", "source=/data", "-o", "sandbox=chroot"]
    ]


def test_vsock_needs_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", lambda _path: False)
    with pytest.raises(NotFound, match="there is no /dev/vhost-vsock"):
        command(Boot(), Hardware(platform=AMD64, vsock=7))
    monkeypatch.setattr("os.path.exists", lambda _path: True)
    argv = command(Boot(), Hardware(platform=AMD64, vsock=7))
    assert ("-device", "vhost-vsock-pci,guest-cid=7") in pairs(argv)


def test_more_devices_and_a_window() -> None:
    given = Hardware(platform=AMD64, usb=True, devices=("usb-host,vendorid=0x1234",), window=True)
    argv = command(Boot(), given)
    assert pairs(argv) >= {
        ("-device", name) for name in ("qemu-xhci", "usb-host,vendorid=0x1234", "virtio-vga")
    }
    assert argv.index("qemu-xhci") < argv.index("usb-host,vendorid=0x1234")
    assert "-display" not in argv
    assert ("-display", "none") in pairs(command(Boot(), Hardware(platform=AMD64)))


def test_a_bridge_of_the_host() -> None:
    network = Network("bridge", "br0", "52:54:00:00:00:01")
    assert pairs(command(Boot(), Hardware(platform=AMD64, network=network))) >= {
        ("-netdev", "bridge,id=net,br=br0"), ("-device", "virtio-net-pci,netdev=net,mac=52:54:00:00:00:01"),
    }  # fmt: skip
