"""This file is about mounts as users ask for them (`Mount`) and as containers have them (`MountPoint`)."""

from __future__ import annotations

import msgspec

from moby.core.types.wire import Int64, UInt32, Wire, always


class BindOptions(Wire):
    """Options of a bind mount."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class MountDriver(Wire):
    """Which volume driver makes a volume, and its options."""

    name: str = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)


class VolumeOptions(Wire):
    """Options of a volume mount."""

    no_copy: bool = False
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    subpath: str = ""
    driver_config: MountDriver | None = None


class ImageOptions(Wire):
    """Options of an image mount."""

    subpath: str = ""


class TmpfsOptions(Wire):
    """Options of a tmpfs; `size_bytes` in bytes, `mode` are permission bits."""

    size_bytes: Int64 = 0
    mode: UInt32 = 0
    options: list[list[str]] = msgspec.field(default_factory=list)


class ClusterOptions(Wire):
    """Options of a cluster volume; there are none yet."""


class Mount(Wire):
    """A mount that a user asks for (`--mount`)."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    cluster_options: ClusterOptions | None = None


class MountPoint(Wire):
    """A mount that a container has."""

    type: str = ""
    name: str = ""
    source: str = always("")
    destination: str = always("")
    driver: str = ""
    mode: str = always("")
    rw: bool = always(False, name="RW")
    propagation: str = always("")
