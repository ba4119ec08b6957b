"""This file is about volumes as they are stored, and as they are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from moby.core.volumes import DriverVolume, VolumeDriver

ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class VolumeRecord(msgspec.Struct, frozen=True):
    """A volume as it is stored; `users` are the containers that refer to it.

    Of those `mounted` are the ones for which a plugin has been asked to mount it: it may run on without us.
    """

    name: str
    driver: str
    created: str
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    options: dict[str, str] = msgspec.field(default_factory=dict)
    users: list[str] = msgspec.field(default_factory=list)
    mounted: list[str] = msgspec.field(default_factory=list)


class StoredVolume(msgspec.Struct, frozen=True):
    """A volume with what its driver says of it."""

    name: str
    driver: str
    mountpoint: Path
    created: str
    scope: str = "local"
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    status: Mapping[str, object] = msgspec.field(default_factory=dict)
    users: Sequence[str] = ()

    @property
    def place(self) -> str:
        """Where it is; empty while only its driver knows."""
        return "" if self.mountpoint == Path() else str(self.mountpoint)

    @property
    def anonymous(self) -> bool:
        """Was it made without a name?"""
        return ANONYMOUS_LABEL in self.labels


def untold(record: VolumeRecord) -> StoredVolume:
    """A volume whose driver says nothing."""
    return StoredVolume(
        record.name,
        record.driver,
        Path(),
        record.created,
        labels=record.labels,
        options=record.options,
        users=tuple(record.users),
    )


def created(volume: DriverVolume) -> str:
    """When it was made, as far as its driver knows."""
    return (volume.created_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def stored(record: VolumeRecord, driver: VolumeDriver, found: DriverVolume) -> StoredVolume:
    """A volume, with what its driver says of it now."""
    return StoredVolume(
        record.name,
        record.driver,
        found.mountpoint,
        record.created,
        driver.scope,
        record.labels,
        record.options,
        found.status,
        tuple(record.users),
    )
