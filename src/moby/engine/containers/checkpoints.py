"""This file is about `docker checkpoint`: what a container's processes are, kept in a directory.

Whoever calls may name a directory of the host for it, as in dockerd.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from moby.core.config import ConfigSource
from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, NotImplemented, System
from moby.core.runtime import Runtime
from moby.core.types.checkpoints import CheckpointCreateRequest, CheckpointSummary
from moby.engine.config import EngineConfig
from moby.engine.containers.container import Container
from moby.engine.containers.names import ALLOWED, is_restricted
from moby.engine.containers.shelf import Shelf
from moby.host.files import remove_tree, translation
from moby.host.threads import blocking

_DISABLED = (
    "This experimental feature is disabled by default. "
    "Start the Docker daemon in experimental mode in order to enable it."
)


class Checkpoints:
    """Takes checkpoints, lists and removes them; `directory` has a directory for each container."""

    def __init__(
        self, shelf: Shelf, runtime: Runtime, config: ConfigSource[EngineConfig], directory: Path
    ) -> None:
        self._shelf = shelf
        self._runtime = runtime
        self._config = config
        self._directory = directory

    async def create(self, name: str, request: CheckpointCreateRequest) -> None:
        """Write a checkpoint; the container goes on unless it is to end.

        It is there whole or not at all. Raises NotImplemented, InvalidParameter, NotFound, Conflict, System.
        """
        self._check_enabled()
        check_checkpoint(request.checkpoint_id)
        container = self._shelf.find(name)
        async with container.lock:
            if not container.record.state.running:
                raise Conflict(f"container {container.id} is not running")
            place = self._root(container, request.checkpoint_dir) / request.checkpoint_id
            await self._take(container, name, place, leave_running=not request.exit)
        self._shelf.publish(container, "checkpoint")

    async def _take(self, container: Container, name: str, place: Path, *, leave_running: bool) -> None:
        # No checkpoint's name begins so.
        unfinished = place.with_name(f".{place.name}")
        with translation(f"cannot checkpoint container {name}"):
            if await blocking(os.path.lexists, place):
                if not place.is_dir():
                    raise System(f"cannot checkpoint container {name}: {place} exists and is not a directory")
                raise System(
                    f"cannot checkpoint container {name}: checkpoint with name {place.name} already exists "
                    f"for container {name}"
                )
            await remove_tree(unfinished)
            await blocking(_make, unfinished)
        try:
            await self._runtime.checkpoint(
                container.id,
                container.record.host_config.runtime,
                str(unfinished),
                leave_running=leave_running,
            )
            with translation(f"cannot checkpoint container {name}"):
                await blocking(unfinished.rename, place)
        except MobyError as error:
            await remove_tree(unfinished)
            kind = type(error) if isinstance(error, NotImplemented) else System
            raise kind(f"Cannot checkpoint container {name}: {error.message}") from error

    async def remove(self, name: str, checkpoint: str, directory: str) -> None:
        """Raises NotImplemented, InvalidParameter, NotFound; System if there is no such checkpoint."""
        self._check_enabled()
        check_checkpoint(checkpoint)
        container = self._shelf.find(name)
        async with container.lock:
            await remove_tree(await blocking(_found, self._root(container, directory), checkpoint, name))

    def to_start_from(self, container: Container, checkpoint: str, directory: str) -> str:
        """Where a container's checkpoint is; nothing without one. Blocks. Raises System."""
        if not checkpoint:
            return ""
        return str(_found(self._root(container, directory), checkpoint, container.record.name))

    def check_start(self, checkpoint: str, directory: str) -> None:
        """Raises InvalidParameter for a start from a checkpoint that cannot be one."""
        if directory and not checkpoint:
            raise InvalidParameter("a checkpoint directory without a checkpoint")
        if checkpoint:
            check_checkpoint(checkpoint)
            if not self._config.current.experimental:
                raise InvalidParameter("checkpoint is only supported in experimental mode")

    def _check_enabled(self) -> None:
        if not self._config.current.experimental:
            raise NotImplemented(_DISABLED)

    def _root(self, container: Container, directory: str) -> Path:
        return Path(directory) if directory else self._directory / container.id / "checkpoints"

    async def list(self, name: str, directory: str) -> Sequence[CheckpointSummary]:
        """By name. Raises NotImplemented, NotFound, InvalidParameter."""
        self._check_enabled()
        container = self._shelf.find(name)
        return await blocking(_listed, self._root(container, directory), directory, name)


def check_checkpoint(name: str) -> None:
    """Raises InvalidParameter for a name that no checkpoint can have."""
    if not is_restricted(name) or name.endswith("."):
        raise InvalidParameter(f'invalid checkpoint ID "{name}", only {ALLOWED} are allowed')


def _make(place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700)


def _found(root: Path, checkpoint: str, name: str) -> Path:
    place = root / checkpoint
    if not place.exists():
        raise System(f"checkpoint {checkpoint} does not exist for container {name}")
    if not place.is_dir():
        raise System(f"{place} exists and is not a directory")
    return place


def _listed(root: Path, named: str, name: str) -> Sequence[CheckpointSummary]:
    if not root.exists():
        if not named:
            return []
        raise NotFound(
            f'checkpoint directory "{root}" does not exist for container {name}: '
            f"stat {root}: no such file or directory"
        )
    if not root.is_dir():
        raise InvalidParameter(f'checkpoint directory "{root}" exists but is not a directory')
    with translation("cannot list checkpoints"), os.scandir(root) as entries:
        found = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return [CheckpointSummary(name=one) for one in sorted(found)]
