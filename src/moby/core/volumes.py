"""This file is about volumes: storage with a name and a life of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from moby.core.errors import NotImplemented


class DriverVolume(msgspec.Struct, frozen=True):
    """A volume as its driver knows it."""

    name: str
    mountpoint: Path
    created_at: datetime | None = None
    status: Mapping[str, object] = msgspec.field(default_factory=dict)


class VolumeDriver(Protocol):
    """Keeps volumes.

    Life: `create` makes a volume (again with the same options: nothing happens); `mount` makes it usable
    for one user, named by `user` (a container's ID), and `unmount` ends that use; a volume may be mounted
    by several users at once and is unmounted for real after the last; `remove` frees it and its data.
    What was created is there after a restart, mounts may not be: the engine mounts again, but for containers
    that ran on meanwhile, of which it only says (`restore`) that they are users still.
    Cancellation: after a cancelled call the volume exists or does not; nothing stays mounted.
    """

    name: str
    scope: Literal["local", "global"]

    async def create(self, name: str, options: Mapping[str, str]) -> DriverVolume:
        """Raises InvalidParameter for an option it does not know."""
        ...

    async def get(self, name: str) -> DriverVolume:
        """Raises NotFound."""
        ...

    async def mount(self, name: str, user: str) -> Path:
        """The directory to bind into the container. Raises NotFound."""
        ...

    async def unmount(self, name: str, user: str) -> None:
        """End a use; no error if there is none."""
        ...

    async def restore(self, name: str, user: str) -> None:
        """A user from before a restart has it mounted still; no error if it is not there."""

    async def remove(self, name: str) -> None:
        """Free the volume. Raises NotFound, and Conflict while it is mounted."""
        ...

    async def rename(self, name: str, new: str) -> None:
        """Give a volume that nobody has mounted another name. Raises Conflict, InvalidParameter.

        NotImplemented for drivers that cannot.
        """
        raise NotImplemented(f"volume driver {self.name} cannot rename volumes")

    async def list(self) -> Sequence[DriverVolume]:
        """Every volume of this driver."""
        ...
