"""This file is about CDI specification files (cncf-tags/container-device-interface, SPEC.md).

Keys are those of the format. JSON and YAML are read the same way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

_SUFFIXES = frozenset({".json", ".yaml"})
_LIMIT = 4 << 20
_VENDOR = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_DEVICE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?")


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """What a file says; keys that are not known are ignored, as newer formats may have them."""


class DeviceNode(_Entry, frozen=True):
    """A device file; `host_path` is where its numbers are looked up, if they are not given."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class Hook(_Entry, frozen=True):
    """A program of the host that the runtime calls; `timeout` in seconds."""

    hook_name: str
    path: str
    args: Sequence[str] = ()
    env: Sequence[str] = ()
    timeout: int | None = None


class HostMount(_Entry, frozen=True):
    """A path of the host's in the container."""

    host_path: str
    container_path: str
    options: Sequence[str] = ()
    type: str = ""


class Edits(_Entry, frozen=True):
    """What a device needs of a container."""

    env: Sequence[str] = ()
    device_nodes: Sequence[DeviceNode] = ()
    net_devices: Sequence[Any] = ()
    hooks: Sequence[Hook] = ()
    mounts: Sequence[HostMount] = ()
    intel_rdt: dict[str, Any] | None = None
    additional_gids: Sequence[int] = msgspec.field(default=(), name="additionalGids")


class Device(_Entry, frozen=True):
    """One device by its name within its kind."""

    name: str
    container_edits: Edits = Edits()


class Specification(_Entry, frozen=True):
    """One file: devices of a `kind` (VENDOR/CLASS), and what all of them need."""

    cdi_version: str
    kind: str
    devices: Sequence[Device] = ()
    container_edits: Edits = Edits()


class BadFile(ValueError):
    """A file that is no specification; says why."""


def read_directory(directory: Path) -> Iterator[Specification | BadFile]:
    """The specifications in a directory, by file name; none if there is no such directory. Blocks."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        path = directory / name
        if path.suffix in _SUFFIXES and path.is_file():
            try:
                yield read_file(path)
            except BadFile as error:
                yield error


def read_file(path: Path) -> Specification:
    """One specification. Raises BadFile."""
    try:
        if path.stat().st_size > _LIMIT:
            raise BadFile(f"{path}: larger than {_LIMIT} bytes")
        data = path.read_bytes()
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.yaml.decode
        found: Specification = decode(data, type=Specification)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise BadFile(f"{path}: {error}") from error
    vendor, separator, kind = found.kind.partition("/")
    if not separator or not _VENDOR.fullmatch(vendor) or not _VENDOR.fullmatch(kind):
        raise BadFile(f"{path}: invalid kind {found.kind!r}")
    for device in found.devices:
        if not _DEVICE.fullmatch(device.name):
            raise BadFile(f"{path}: invalid device name {device.name!r}")
    return found
