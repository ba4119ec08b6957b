"""This file is about a machine as the card of a Raspberry Pi 3: `NAME-rpi3.img`."""

from __future__ import annotations

import gzip
from fnmatch import fnmatchcase
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.host.threads import finishing
from moby.machine.disks import boot_files, fat_disk
from moby.machine.job import Job, write_chunks, written
from moby.machine.tree import Node

# Where Debian's packages, and the machine's own files, have what the board's own firmware reads.
_FIRMWARE = ("bootcode.bin", "fixup.dat", "start.elf")
_FIRMWARE_FOLDERS = ("boot/firmware", "usr/lib/raspi-firmware")
_BOARDS = "*/bcm2837-rpi-3-*.dtb"
_SETTINGS = b"arm_64bit=1\nenable_uart=1\nkernel=kernel8.img\ninitramfs initrd.img followkernel\n"


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError, NotFound for a machine without the board's firmware or device trees."""
    if job.platform.architecture != "arm64":
        raise InvalidParameter(
            f"machines for {job.platform} do not run on a Raspberry Pi 3", hint="--arch arm64"
        )
    found = {name: _firmware(job, name) for name in _FIRMWARE} | _boards(job)
    found["config.txt"] = Node(content=_SETTINGS)
    found["cmdline.txt"] = Node(content=job.cmdline.encode() + b"\n")
    files = await boot_files(job)
    files["kernel8.img"] = await finishing(_plain, files.pop("kernel"))
    for name, node in found.items():
        files[name] = job.scratch / f"card-{name}"
        await finishing(write_chunks, files[name], node.chunks())
    target = job.folder / f"{job.name}-rpi3.img"
    with written(target) as path:
        await fat_disk(job, path, files)
    return [target]


def _firmware(job: Job, name: str) -> Node:
    for folder in _FIRMWARE_FOLDERS:
        node = job.tree.lookup(f"{folder}/{name}")
        if node is not None and node.kind == "file":
            return node
    raise NotFound(f"the board's firmware {name} is not in the machine", hint="moby/raspi-firmware in init")


def _boards(job: Job) -> dict[str, Node]:
    found = {
        path.rpartition("/")[2]: node
        for path, node in job.tree.sorted()
        if node.kind == "file" and fnmatchcase(path, _BOARDS)
    }
    if not found:
        raise NotFound("no device tree of the board is in the machine", hint="moby/kernel-rpi as the kernel")
    return found


def _plain(kernel: Path) -> Path:
    """The firmware wants the kernel as it is in memory."""
    if kernel.read_bytes()[:2] != b"\x1f\x8b":
        return kernel
    result = kernel.with_name("kernel8")
    with gzip.open(kernel) as source:
        write_chunks(result, iter(lambda: source.read(1 << 20), b""))
    return result
