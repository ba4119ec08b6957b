"""This file is about GRUB as the boot loader: images of it that find the kernel and start it at once."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.host.threads import finishing
from moby.machine.job import Job, write_chunks
from moby.machine.native import native
from moby.machine.streams import tar_entry

FOLDER = Path("/usr/lib/grub")
_PACKAGES = {
    "i386-pc": "grub-pc-bin",
    "x86_64-efi": "grub-efi-amd64-bin",
    "arm64-efi": "grub-efi-arm64-bin",
}
_EFI = {"amd64": ("x86_64-efi", "BOOTX64.EFI"), "arm64": ("arm64-efi", "BOOTAA64.EFI")}
_MODULES = ("boot", "linux", "search_fs_file")
_SECTOR = 512


def configuration(cmdline: str, find: str = "search.file /kernel root") -> str:
    """What GRUB is told: find the file system with the kernel, and boot that."""
    words = " ".join("'" + word.replace("'", "'\\''") + "'" for word in cmdline.split())
    return f"{find}\nlinux /kernel {words}\ninitrd /initrd.img\nboot\n"


def _folder(target: str) -> Path:
    folder = FOLDER / target
    if not folder.is_dir():
        raise NotFound(f"there is no GRUB for {target}", hint=f"apt-get install {_PACKAGES[target]}")
    return folder


async def _image(job: Job, target: str, form: str, file_systems: Sequence[str], *more: str | Path) -> Path:
    """An image of GRUB with its configuration and what it needs to read the kernel."""
    _folder(target)
    settings = job.scratch / "grub.cfg"
    find = ["set root=memdisk"] if more else []
    settings.write_text(configuration(job.cmdline, *find))
    result = job.scratch / f"grub-{form}"
    await native(
        "grub-mkimage",
        "--format", form,
        "--prefix", "/grub",
        "--config", settings,
        "--output", result,
        *more,
        *file_systems,
        *_MODULES,
    )  # fmt: skip
    return result


async def efi_program(job: Job, files: Mapping[str, Path] | None = None) -> tuple[str, Path]:
    """The program that firmware starts: its name under `EFI/BOOT`, and where it is. Raises NotFound.

    With `files`, kernel and RAM disk are a part of it, and it looks for them nowhere else.
    """
    architecture = job.platform.architecture
    if architecture not in _EFI:
        raise InvalidParameter(f"machines for {job.platform} do not start by EFI here")
    target, name = _EFI[architecture]
    if files is None:
        return name, await _image(job, target, target, ["part_gpt", "part_msdos", "fat", "iso9660"])
    archive = job.scratch / "memdisk.tar"
    await finishing(write_chunks, archive, _archive(files, job.moment))
    return name, await _image(job, target, target, ["memdisk", "tar"], "--memdisk", archive)


def _archive(files: Mapping[str, Path], moment: int) -> Iterator[bytes]:
    for name, path in sorted(files.items()):
        with path.open("rb") as file:
            chunks = iter(lambda: file.read(1 << 20), b"")
            yield from tar_entry(name, chunks, path.stat().st_size, moment)
    yield bytes(1024)


async def bios_sectors(job: Job) -> tuple[bytes, bytes]:
    """The boot sector's code, and what stands in the sectors right after it. Raises NotFound."""
    _check_bios(job)
    core = (await _image(job, "i386-pc", "i386-pc", ["biosdisk", "part_msdos", "fat"])).read_bytes()
    core += bytes(-len(core) % _SECTOR)
    boot = bytearray((_folder("i386-pc") / "boot.img").read_bytes())
    # The boot sector loads sector 1. That one holds, at its end, a list of where the others are:
    # first sector, number of sectors, and the segment they go to.
    struct.pack_into("<Q", boot, 0x5C, 1)
    first = bytearray(core[:_SECTOR])
    struct.pack_into("<QHH", first, _SECTOR - 12, 2, len(core) // _SECTOR - 1, 0x820)
    return bytes(boot), bytes(first) + core[_SECTOR:]


async def bios_cd_image(job: Job) -> Path:
    """What a BIOS starts from a CD. Raises NotFound."""
    _check_bios(job)
    return await _image(job, "i386-pc", "i386-pc-eltorito", ["biosdisk", "iso9660"])


def _check_bios(job: Job) -> None:
    if job.platform.architecture != "amd64":
        raise InvalidParameter(f"machines for {job.platform} have no BIOS")
