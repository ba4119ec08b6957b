"""This file is about running a machine in qemu: by KVM where it works, else by emulation."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.platform import Platform, host_platform
from moby.host.process import run
from moby.machine.job import scratch_folder
from moby.machine.native import native, program

PROBE_LIMIT_S = 5.0
_FORMATS = {".img": "raw", ".raw": "raw", ".qcow2": "qcow2", ".vmdk": "vmdk", ".vhd": "vpc"}
_OVMF = (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/ovmf/OVMF.fd"))
_SYSTEMS = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
_PUBLISH = re.compile(
    r"(?:(?P<address>\d+\.\d+\.\d+\.\d+):)?(?P<host>\d{1,5}):(?P<guest>\d{1,5})(?:/(?P<protocol>tcp|udp))?"
)
_SIZE = re.compile(r"[1-9][0-9]*[KMGT]?")
# Sixteen-bit code that writes 0x10 to the port of isa-debug-exit: qemu then exits with (0x10 << 1) | 1.
_PROBE_CODE = bytes.fromhex("baf400b010eef4ebfd")
_PROBE_EXIT = 33


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the machine, and where it is reached here."""

    host: int
    guest: int
    protocol: str = "tcp"
    address: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"hostfwd={self.protocol}:{self.address}:{self.host}-:{self.guest}"


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk in a file, which is made with this size if it is not there."""

    path: Path
    size: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Boot:
    """What to boot: kernel, RAM disk and command line, or a disk, or a CD."""

    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""
    disks: tuple[Disk, ...] = ()
    cd: Path | None = None
    firmware: Path | None = None


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine has; memory in MiB."""

    memory: int = 1024
    cpus: int = 1
    ports: tuple[Port, ...] = ()
    accel: str = "tcg"
    platform: Platform = field(default_factory=host_platform)


def parse_port(text: str) -> Port:
    """`[ADDRESS:]HOST:GUEST[/udp]`. Raises InvalidParameter."""
    match = _PUBLISH.fullmatch(text)
    if match is None or not all(0 < int(match[name]) < 65536 for name in ("host", "guest")):
        raise InvalidParameter(f"{text!r} is no port to publish", hint="[ADDRESS:]HOST:GUEST[/udp]")
    address = match["address"] or "127.0.0.1"
    return Port(int(match["host"]), int(match["guest"]), match["protocol"] or "tcp", address)


def parse_disk(text: str) -> Disk:
    """`FILE[,size=1G]`. Raises InvalidParameter."""
    path, _, rest = text.partition(",size=")
    if not path or (rest and not _SIZE.fullmatch(rest)) or "," in path:
        raise InvalidParameter(f"{text!r} is no disk", hint="FILE[,size=1G]")
    return Disk(Path(path), rest)


def boot_of(path: Path) -> Boot:
    """What `moby build` wrote: the prefix of kernel and RAM disk, or a disk, CD or root. Raises NotFound."""
    if path.suffix == ".iso":
        return Boot(cd=path, firmware=_firmware(path))
    for kind in ("squashfs", "erofs"):
        if path.name.endswith(f"-{kind}.img"):
            prefix = path.with_name(path.name.removesuffix(f"-{kind}.img"))
            return replace(_kernel_boot(prefix, f"{kind}-initrd.img"), disks=(Disk(path, read_only=True),))
    if path.suffix in _FORMATS:
        return Boot(disks=(Disk(path),), firmware=_firmware(path))
    return _kernel_boot(path, "initrd.img")


def _kernel_boot(prefix: Path, disk: str) -> Boot:
    files = [prefix.with_name(f"{prefix.name}-{end}") for end in ("kernel", disk, "cmdline")]
    for path in files:
        if not path.exists():
            raise NotFound(f"there is no {path}", hint="moby build -f kernel+initrd")
    return Boot(files[0], files[1], files[2].read_text().strip())


def _firmware(path: Path) -> Path | None:
    """EFI firmware, for what needs it by its name. Raises NotFound if it is not installed."""
    if not path.stem.endswith("-efi"):
        return None
    for firmware in _OVMF:
        if firmware.exists():
            return firmware
    raise NotFound("there is no EFI firmware for qemu", hint="apt-get install ovmf")


def command(boot: Boot, hardware: Hardware, *, terminal: bool = True) -> list[str]:
    """qemu with all its arguments. Raises NotFound, InvalidParameter."""
    system = _SYSTEMS.get(hardware.platform.architecture)
    if system is None:
        raise InvalidParameter(f"machines for {hardware.platform} are not run here")
    forwards = "".join(f",{port}" for port in hardware.ports)
    machine = "q35" if hardware.platform.architecture == "amd64" else "virt"
    argv = [
        program(system),
        "-machine", f"{machine},accel={hardware.accel}",
        "-cpu", "host" if hardware.accel == "kvm" else "max",
        "-m", str(hardware.memory),
        "-smp", str(hardware.cpus),
        "-nodefaults",
        "-no-reboot",
        "-display", "none",
        "-serial", "mon:stdio" if terminal else "stdio",
        "-netdev", f"user,id=net{forwards}",
        "-device", "virtio-net-pci,netdev=net",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
    if boot.kernel is not None:
        argv += ["-kernel", str(boot.kernel), "-append", boot.cmdline]
    if boot.initrd is not None:
        argv += ["-initrd", str(boot.initrd)]
    if boot.firmware is not None:
        argv += ["-bios", str(boot.firmware)]
    if boot.cd is not None:
        argv += ["-cdrom", str(boot.cd)]
    for disk in boot.disks:
        kind = _FORMATS.get(disk.path.suffix, "raw")
        last = ",readonly=on" if disk.read_only else ""
        argv += ["-drive", f"file={str(disk.path).replace(',', ',,')},format={kind},if=virtio{last}"]
    return argv


async def make_disks(disks: Sequence[Disk]) -> None:
    """Make the files of disks that are not there. Raises NotFound for one without a size."""
    for disk in disks:
        if disk.path.exists():
            continue
        if not disk.size:
            raise NotFound(f"there is no disk {disk.path}", hint=f"{disk.path},size=1G makes one")
        kind = "qcow2" if disk.path.suffix == ".qcow2" else "raw"
        await native("qemu-img", "create", "-q", "-f", kind, disk.path, disk.size)


async def choose_accel(wanted: str, platform: Platform) -> str:
    """`kvm` or `tcg`; `auto` tries. A KVM that is there may still hang: it has to boot something first."""
    if wanted != "auto":
        return wanted
    if platform.architecture != host_platform().architecture or platform.architecture != "amd64":
        return "tcg"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    return "kvm" if await _kvm_boots() else "tcg"


async def _kvm_boots() -> bool:
    with scratch_folder(Path(os.environ.get("TMPDIR") or "/var/tmp")) as scratch:  # noqa: S108
        image = scratch / "probe.img"
        image.write_bytes(_PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        argv = [
            program("qemu-system-x86_64"),
            "-machine", "q35,accel=kvm",
            "-cpu", "host",
            "-m", "32",
            "-nodefaults",
            "-display", "none",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-drive", f"file={image},format=raw,if=ide",
        ]  # fmt: skip
        try:
            return (await run(argv, limit_s=PROBE_LIMIT_S)).code == _PROBE_EXIT
        except MobyError:
            return False
