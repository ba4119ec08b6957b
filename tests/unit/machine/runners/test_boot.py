"""What was built, found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import NotFound
from moby.core.platform import Platform
from moby.machine.runners import boot
from moby.machine.runners.boot import Boot, boot_of, efi_firmware
from moby.machine.runners.hardware import Disk


def test_kernel_and_ram_disk_by_their_prefix(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="m-kernel"):
        boot_of(tmp_path / "m")
    for end, text in (("kernel", "k"), ("initrd.img", "i"), ("cmdline", "console=ttyS0\n")):
        (tmp_path / f"m-{end}").write_text(text)
    assert boot_of(tmp_path / "m") == Boot(tmp_path / "m-kernel", tmp_path / "m-initrd.img", "console=ttyS0")


@pytest.mark.parametrize("kind", ["squashfs", "erofs", "iso"])
def test_a_root_on_a_read_only_disk(kind: str, tmp_path: Path) -> None:
    for end in ("kernel", f"{kind}-initrd.img", "cmdline"):
        (tmp_path / f"m-{end}").write_text(end)
    found = boot_of(tmp_path / f"m-{kind}.img")
    assert found.initrd == tmp_path / f"m-{kind}-initrd.img"
    assert found.disks == (Disk(tmp_path / f"m-{kind}.img", read_only=True),)


def test_disks_and_cds_and_the_firmware_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match=r"m\.iso"):
        boot_of(tmp_path / "m.iso")
    for name in ("m.iso", "m.qcow2", "m-bios.img", "m-efi.img", "m-efi-initrd.iso"):
        (tmp_path / name).touch()
    assert boot_of(tmp_path / "m.iso") == Boot(cds=(tmp_path / "m.iso",))
    assert boot_of(tmp_path / "m.qcow2") == Boot(disks=(Disk(tmp_path / "m.qcow2"),))
    assert boot_of(tmp_path / "m-bios.img").firmware is None
    amd64 = Platform("amd64", "linux")
    monkeypatch.setattr(boot, "_FIRMWARE", {"amd64": ((tmp_path / "gone", tmp_path / "ovmf"), "ovmf")})
    with pytest.raises(NotFound, match="no EFI firmware") as error:
        boot_of(tmp_path / "m-efi.img", amd64)
    assert error.value.hint == "apt-get install ovmf"
    (tmp_path / "ovmf").touch()
    for name in ("m-efi.img", "m-efi-initrd.iso"):
        assert boot_of(tmp_path / name, amd64).firmware == tmp_path / "ovmf"
    with pytest.raises(NotFound):
        efi_firmware(Platform("s390x", "linux"))
