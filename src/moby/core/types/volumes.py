"""This file is about volumes in the Engine API."""

from __future__ import annotations

from typing import Any

import msgspec

from moby.core.types.wire import Wire, always, always_list


class VolumeUsage(Wire):
    """How many containers refer to a volume, and its bytes; -1 when not counted."""

    ref_count: int = always(-1)
    size: int = always(-1)


class Volume(Wire):
    """A volume; `created_at` in RFC 3339."""

    name: str = always("")
    driver: str = always("")
    mountpoint: str = always("")
    scope: str = always("local")
    labels: dict[str, str] | None = always(None)
    options: dict[str, str] | None = always(None)
    created_at: str = ""
    status: dict[str, Any] = msgspec.field(default_factory=dict)
    usage_data: VolumeUsage | None = None


class VolumeCreateRequest(Wire):
    """A volume to make; without a name it gets one."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    cluster_volume_spec: dict[str, Any] | None = None


class VolumeCopyRequest(Wire):
    """What a copy of a volume is to be called, and labels besides those of the volume."""

    name: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class VolumeListResponse(Wire):
    """Every volume, and what went wrong while asking the drivers."""

    volumes: list[Volume] = always_list()
    warnings: list[str] | None = always(None)


class VolumePruneResponse(Wire):
    """The names of the volumes that were removed, and the bytes that freed."""

    volumes_deleted: list[str] | None = always(None)
    space_reclaimed: int = always(0)
