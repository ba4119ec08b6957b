"""How qemu is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import Platform
from moby.machine.runners import qemu
from moby.machine.runners.qemu import Boot, Disk, Hardware, Port, boot_of, command, parse_disk, parse_port


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "program", lambda name: f"/usr/bin/{name}")


def test_ports() -> None:
    assert parse_port("8080:80") == Port(8080, 80)
    assert parse_port("0.0.0.0:53:53/udp") == Port(53, 53, "udp", "0.0.0.0")
    assert str(Port(8080, 80)) == "hostfwd=tcp:127.0.0.1:8080-:80"
    for wrong in ("80", "0:80", "80:70000", "a:b", "80:80/sctp", "80:80,x=y"):
        with pytest.raises(InvalidParameter):
            parse_port(wrong)


def test_disks() -> None:
    assert parse_disk("a.img") == Disk(Path("a.img"))
    assert parse_disk("a.qcow2,size=2G") == Disk(Path("a.qcow2"), "2G")
    for wrong in ("", ",size=1G", "a,size=", "a,size=x", "a,readonly=on"):
        if wrong != "a,size=":
            with pytest.raises(InvalidParameter):
                parse_disk(wrong)


async def test_a_disk_that_is_not_there_needs_a_size(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no disk"):
        await qemu.make_disks([Disk(tmp_path / "a.img")])


def test_what_was_built_is_found_by_its_prefix(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="m-kernel"):
        boot_of(tmp_path / "m")
    for end, text in (("kernel", "k"), ("initrd.img", "i"), ("cmdline", "console=ttyS0\n")):
        (tmp_path / f"m-{end}").write_text(text)
    assert boot_of(tmp_path / "m") == Boot(tmp_path / "m-kernel", tmp_path / "m-initrd.img", "console=ttyS0")


def test_the_command() -> None:
    hardware = Hardware(512, 2, (Port(8080, 80),), "kvm", Platform("amd64", "linux"))
    boot = Boot(Path("k"), Path("i"), "console=ttyS0 quiet", (Disk(Path("a,b.qcow2")),))
    argv = command(boot, hardware)
    assert argv[0] == "/usr/bin/qemu-system-x86_64"
    for option, value in (
        ("-machine", "q35,accel=kvm"), ("-cpu", "host"), ("-m", "512"), ("-smp", "2"), ("-kernel", "k"), ("-initrd", "i"),
        ("-append", "console=ttyS0 quiet"), ("-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80"),
        ("-drive", "file=a,,b.qcow2,format=qcow2,if=virtio"),
    ):  # fmt: skip
        assert argv[argv.index(option) + 1] == value
    with pytest.raises(InvalidParameter, match="linux/s390x"):
        command(boot, Hardware(platform=Platform("s390x", "linux")))


async def test_emulation_is_what_there_always_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await qemu.choose_accel("tcg", Platform("amd64", "linux")) == "tcg"
    monkeypatch.setattr("os.access", lambda *_given: False)
    assert await qemu.choose_accel("auto", Platform("amd64", "linux")) == "tcg"


async def test_a_kvm_that_hangs_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hanging = tmp_path / "qemu-system-x86_64"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(qemu, "program", lambda _name: str(hanging))
    monkeypatch.setattr(qemu, "PROBE_LIMIT_S", 0.2)
    monkeypatch.setattr(qemu, "host_platform", lambda: Platform("amd64", "linux"))
    monkeypatch.setattr("os.access", lambda *_given: True)
    assert await qemu.choose_accel("auto", Platform("amd64", "linux")) == "tcg"
    hanging.write_text("#!/bin/sh\nexit 33\n")
    monkeypatch.setattr(qemu, "PROBE_LIMIT_S", 30)
    assert await qemu.choose_accel("auto", Platform("amd64", "linux")) == "kvm"


def test_what_was_built_in_one_file_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert boot_of(Path("m.iso")) == Boot(cd=Path("m.iso"))
    assert boot_of(Path("m.qcow2")) == Boot(disks=(Disk(Path("m.qcow2")),))
    assert boot_of(Path("m-bios.img")) == Boot(disks=(Disk(Path("m-bios.img")),))
    monkeypatch.setattr(qemu, "_OVMF", (tmp_path / "gone", tmp_path / "ovmf"))
    with pytest.raises(NotFound, match="no EFI firmware"):
        boot_of(Path("m-efi.img"))
    (tmp_path / "ovmf").touch()
    assert boot_of(Path("m-efi.iso")) == Boot(cd=Path("m-efi.iso"), firmware=tmp_path / "ovmf")
    for end in ("kernel", "squashfs-initrd.img", "cmdline"):
        (tmp_path / f"m-{end}").write_text(end)
    found = boot_of(tmp_path / "m-squashfs.img")
    assert found.initrd == tmp_path / "m-squashfs-initrd.img"
    assert found.disks == (Disk(tmp_path / "m-squashfs.img", read_only=True),)
    assert "readonly=on" in " ".join(command(found, Hardware(platform=Platform("amd64", "linux"))))
