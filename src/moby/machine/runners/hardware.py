"""This file is about what a machine is run with: processors, memory, ports, disks, a network, folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import Platform, host_platform
from moby.machine.native import native

FORMATS = {".img": "raw", ".raw": "raw", ".qcow2": "qcow2", ".vmdk": "vmdk", ".vhd": "vpc"}
_PUBLISH = re.compile(
    r"(?:(?P<address>\d+\.\d+\.\d+\.\d+):)?(?P<host>\d{1,5}):(?P<guest>\d{1,5})(?:/(?P<protocol>tcp|udp))?"
)
_BUSES = ("virtio", "scsi")
_SIZE = re.compile(r"[1-9][0-9]*[KMGT]?")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,30}")
_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# 0 to 2 are the hypervisor, the loopback and the host (vsock(7)).
_FIRST_CID, _LAST_CID = 3, 2**32 - 2


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
    form: str = ""
    read_only: bool = False
    bus: str = "virtio"
    """`virtio`, a disk /dev/vdX, or `scsi`, a disk /dev/sdX."""

    @property
    def format(self) -> str:
        """The file's form in qemu's words."""
        return self.form or FORMATS.get(self.path.suffix, "raw")


@dataclass(frozen=True, slots=True)
class Network:
    """Its network: `user` is qemu's own, `tap` and `bridge` are devices of the host, `none` is no network."""

    kind: str = "user"
    device: str = ""
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A folder of the host that the machine can mount by its tag."""

    path: Path
    tag: str
    kind: str = "virtiofs"
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine has; memory in MiB."""

    memory: int = 1024
    cpus: int = 1
    ports: tuple[Port, ...] = ()
    accel: str = "tcg"
    platform: Platform = field(default_factory=host_platform)
    network: Network = Network()
    shares: tuple[Share, ...] = ()
    vsock: int = 0
    """The machine's number among vsock's, 0 for none."""
    usb: bool = False
    devices: tuple[str, ...] = ()
    """More devices, in qemu's words: `usb-host,vendorid=0x1234,productid=0x5678`."""
    window: bool = False
    """A screen, a keyboard and a mouse, in a window here."""


def parse_port(text: str) -> Port:
    """`[ADDRESS:]HOST:GUEST[/udp]`. Raises InvalidParameter."""
    match = _PUBLISH.fullmatch(text)
    if match is None or not all(0 < int(match[name]) < 65536 for name in ("host", "guest")):
        raise InvalidParameter(f"{text!r} is no port to publish", hint="[ADDRESS:]HOST:GUEST[/udp]")
    address = match["address"] or "127.0.0.1"
    return Port(int(match["host"]), int(match["guest"]), match["protocol"] or "tcp", address)


def parse_disk(text: str, unnamed: Path | None = None) -> Disk:
    """`[file=]FILE[,size=1G][,format=qcow2][,bus=scsi]`; no file: `unnamed`. Raises InvalidParameter."""
    hint = "[file=]FILE[,size=1G][,format=raw|qcow2][,bus=virtio|scsi]"
    known = ("file", "size", "format", "bus")
    first, *words = text.split(",")
    named = first.partition("=")[0] in known
    given = _pairs(text, [first if named else f"file={first}", *words], known, hint)
    path = Path(given["file"]) if given.get("file") else unnamed
    form = given.get("format", "")
    bus = given.get("bus", _BUSES[0])
    if path is None or form not in ("", *FORMATS.values()) or bus not in _BUSES:
        raise InvalidParameter(f"{text!r} is no disk", hint=hint)
    if "size" in given and not _SIZE.fullmatch(given["size"]):
        raise InvalidParameter(f"{text!r} is no disk: {given['size']!r} is no size", hint=hint)
    return Disk(path, given.get("size", ""), form, bus=bus)


def parse_network(text: str) -> Network:
    """`user`, `none`, `tap=DEVICE` or `bridge=DEVICE`, with `,mac=52:54:00:…`. Raises InvalidParameter."""
    hint = "user[,mac=MAC], tap=DEVICE[,mac=MAC], bridge=DEVICE[,mac=MAC] or none"
    first, _, rest = text.partition(",")
    kind, _, device = first.partition("=")
    given = _pairs(text, rest.split(",") if rest else [], ("mac",), hint)
    mac = given.get("mac", "").lower()
    right = bool(_DEVICE.fullmatch(device)) if kind in ("tap", "bridge") else not device
    if kind not in ("user", "tap", "bridge", "none") or not right or (mac and not _MAC.fullmatch(mac)):
        raise InvalidParameter(f"{text!r} is no network", hint=hint)
    return Network(kind, device, mac)


def parse_share(text: str) -> Share:
    """`FOLDER:TAG[,type=9p][,ro]`. Raises InvalidParameter, NotFound."""
    hint = "FOLDER:TAG[,type=virtiofs|9p][,ro]"
    first, *words = text.split(",")
    path, _, tag = first.rpartition(":")
    read_only = "ro" in words
    given = _pairs(text, [word for word in words if word != "ro"], ("type",), hint)
    kind = given.get("type", "virtiofs")
    if not path or not _TAG.fullmatch(tag) or kind not in ("virtiofs", "9p"):
        raise InvalidParameter(f"{text!r} is no folder to share", hint=hint)
    if not Path(path).is_dir():
        raise NotFound(f"there is no folder {path}")
    if read_only and kind == "virtiofs":
        raise InvalidParameter("virtiofs has no read-only folders", hint="type=9p has")
    return Share(Path(path).resolve(), tag, kind, read_only)


def check_vsock(number: int) -> int:
    """Raises InvalidParameter for what is no machine's number among vsock's."""
    if number and not _FIRST_CID <= number <= _LAST_CID:
        raise InvalidParameter(f"{number} is no number for vsock: {_FIRST_CID} or more")
    return number


def _pairs(text: str, words: Sequence[str], known: Sequence[str], hint: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in known or not value or key in found:
            raise InvalidParameter(f"{text!r}: what is {word!r}?", hint=hint)
        found[key] = value
    return found


async def make_disks(disks: Sequence[Disk]) -> None:
    """Make the files of disks that are not there. Raises NotFound for one without a size."""
    for disk in disks:
        if disk.path.exists():
            continue
        if not disk.size:
            raise NotFound(f"there is no disk {disk.path}", hint=f"{disk.path},size=1G makes one")
        await native("qemu-img", "create", "-q", "-f", disk.format, disk.path, disk.size)
