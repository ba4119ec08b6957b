"""This file is about what is booted: kernel and RAM disk, a disk, a CD, and the firmware that each needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from moby.core.errors import NotFound
from moby.core.platform import Platform, host_platform
from moby.host.files import translation, write_atomic
from moby.machine.runners.hardware import FORMATS, Disk

_ZSTD = b"\x28\xb5\x2f\xfd"
_READ_ONLY = ("squashfs", "erofs", "iso")
_FIRMWARE = {
    "amd64": (("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF_CODE_4M.fd"), "ovmf"),
    "arm64": (
        ("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "/usr/share/AAVMF/AAVMF_CODE.fd"),
        "qemu-efi-aarch64",
    ),
}


# Firmware that keeps its settings apart, and how those are before the first start.
_CODE_AND_VARIABLES = {
    "amd64": (
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ),
    "arm64": (("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),),
}


@dataclass(frozen=True, slots=True)
class Boot:
    """What to boot: kernel, RAM disk and command line, or a disk, or a CD.

    `variables` is a file that the firmware keeps its settings in.
    """

    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""
    disks: tuple[Disk, ...] = ()
    cds: tuple[Path, ...] = ()
    firmware: Path | None = None
    variables: Path | None = None


def boot_of(path: Path, platform: Platform | None = None) -> Boot:
    """What `moby build` wrote: the prefix of kernel and RAM disk, or a disk, CD or root. Raises NotFound."""
    path = path.absolute()
    for kind in _READ_ONLY:
        if path.name.endswith(f"-{kind}.img"):
            prefix = path.with_name(path.name.removesuffix(f"-{kind}.img"))
            return replace(_kernel_boot(prefix, f"{kind}-initrd.img"), disks=(Disk(path, read_only=True),))
    if path.suffix != ".iso" and path.suffix not in FORMATS:
        return _kernel_boot(path, "initrd.img")
    if not path.exists():
        raise NotFound(f"there is no {path}")
    firmware = efi_firmware(platform) if "-efi" in path.stem else None
    if path.suffix == ".iso":
        return Boot(cds=(path,), firmware=firmware)
    return Boot(disks=(Disk(path),), firmware=firmware)


def _kernel_boot(prefix: Path, disk: str) -> Boot:
    files = [prefix.with_name(f"{prefix.name}-{end}") for end in ("kernel", disk, "cmdline")]
    for path in files:
        if not path.exists():
            raise NotFound(f"there is no {path}", hint="moby build -f kernel+initrd")
    return Boot(files[0], files[1], files[2].read_text().strip())


def unpacked(boot: Boot, folder: Path, memory: int) -> Boot:
    """The same with its RAM disk unpacked here: processors that are emulated take half a second for that.

    Only what fits into a quarter of `memory`, in MiB: the machine holds it twice for a moment.
    """
    plain = folder / "initrd.plain"
    with translation(f"cannot unpack {boot.initrd}"):
        if boot.initrd is None or not _unpack(boot.initrd, plain, memory * (1 << 20) // 4):
            plain.unlink(missing_ok=True)
            return boot
    return replace(boot, initrd=plain)


def _unpack(source: Path, target: Path, limit: int) -> bool:
    """Is it unpacked? What is in another form, damaged or too large is left to the kernel."""
    import zstandard

    with source.open("rb") as packed, target.open("wb") as file:
        if packed.read(len(_ZSTD)) != _ZSTD:
            return False
        packed.seek(0)
        try:
            for chunk in zstandard.ZstdDecompressor().read_to_iter(packed, write_size=1 << 20):
                file.write(chunk)
                if file.tell() > limit:
                    return False
        except zstandard.ZstdError:
            return False
    return True


def with_variables(boot: Boot, folder: Path, platform: Platform | None = None) -> Boot:
    """The same with firmware that keeps its settings in `folder` from start to start, if there is such."""
    if boot.firmware is None:
        return boot
    architecture = (platform or host_platform()).architecture
    for code, fresh in _CODE_AND_VARIABLES.get(architecture, ()):
        if Path(code).exists() and Path(fresh).exists():
            kept = folder / "efi-variables.fd"
            if not kept.exists():
                with translation(f"cannot write {kept}"):
                    write_atomic(kept, Path(fresh).read_bytes(), 0o600)
            return replace(boot, firmware=Path(code), variables=kept)
    return boot


def efi_firmware(platform: Platform | None = None) -> Path:
    """The EFI firmware for a platform's machines. Raises NotFound if it is not installed."""
    paths, package = _FIRMWARE.get((platform or host_platform()).architecture, ((), ""))
    for firmware in paths:
        if Path(firmware).exists():
            return Path(firmware)
    hint = f"apt-get install {package}" if package else None
    raise NotFound("there is no EFI firmware for qemu", hint=hint)
