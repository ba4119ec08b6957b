"""What was built, found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from moby.core.errors import NotFound
from moby.core.platform import Platform
from moby.machine.runners import boot
from moby.machine.runners.boot import Boot, boot_of, efi_firmware, unpacked, with_variables
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


def test_a_ram_disk_is_unpacked_for_emulation(tmp_path: Path) -> None:
    packed = tmp_path / "initrd.img"
    packed.write_bytes(zstandard.ZstdCompressor().compress(b"content" * 1000))
    found = unpacked(Boot(initrd=packed), tmp_path, 512)
    assert found.initrd is not None
    assert found.initrd.read_bytes() == b"content" * 1000


@pytest.mark.parametrize("data", [b"", b"070701 plain", b"\x28\xb5\x2f\xfd broken"])
def test_what_cannot_be_unpacked_is_left_to_the_kernel(data: bytes, tmp_path: Path) -> None:
    given = Boot(initrd=tmp_path / "initrd.img")
    (tmp_path / "initrd.img").write_bytes(data)
    assert unpacked(given, tmp_path, 512) == given
    assert unpacked(Boot(), tmp_path, 512) == Boot()
    assert [path.name for path in tmp_path.iterdir()] == ["initrd.img"]


def test_what_the_memory_does_not_hold_twice_stays_packed(tmp_path: Path) -> None:
    packed = tmp_path / "initrd.img"
    packed.write_bytes(zstandard.ZstdCompressor().compress(bytes((2 << 20) + 1)))
    assert unpacked(Boot(initrd=packed), tmp_path, 8).initrd == packed
    assert unpacked(Boot(initrd=packed), tmp_path, 16).initrd == tmp_path / "initrd.plain"


def test_firmware_keeps_its_settings_in_the_machines_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, fresh = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
    monkeypatch.setattr(boot, "_CODE_AND_VARIABLES", {"amd64": ((str(code), str(fresh)),)})
    given, folder, platform = Boot(firmware=Path("OVMF.fd")), tmp_path / "state", Platform("amd64", "linux")
    folder.mkdir()
    assert with_variables(given, folder, platform) == given
    code.write_text("code")
    fresh.write_text("fresh")
    found = with_variables(given, folder, platform)
    assert (found.firmware, found.variables) == (code, folder / "efi-variables.fd")
    assert (folder / "efi-variables.fd").read_text() == "fresh"
    (folder / "efi-variables.fd").write_text("changed")
    with_variables(given, folder, platform)
    assert (folder / "efi-variables.fd").read_text() == "changed"
    assert with_variables(Boot(), folder, platform) == Boot()
