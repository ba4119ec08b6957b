"""This file is about snapshots that a crash left behind: made for a container that was never written down."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from moby.core.errors import MobyError
from moby.core.snapshots import Snapshotter
from moby.engine.containers.index import Index
from moby.engine.containers.record import timestamp

log = logging.getLogger(__name__)

_ROOT = "containerd.io/gc.root"
_OWNER = "moby/container"


def snapshot_labels(container: str) -> Mapping[str, str]:
    """The labels of a snapshot that a container needs: whose it is, and that containerd has to keep it."""
    return {_ROOT: timestamp(), _OWNER: container}


class Forgotten:
    """Frees what is forgotten; what is younger than this object is being made, and left alone."""

    def __init__(self, index: Index, snapshotter: Snapshotter) -> None:
        self._index = index
        self._snapshotter = snapshotter
        self._begun = datetime.now(UTC)

    async def free(self) -> None:
        """Remove the snapshots of containers that do not exist. Failures are logged: they are met again."""
        try:
            found = [
                info.name
                async for info in self._snapshotter.walk()
                if info.kind != "committed" and self._is_forgotten(info.labels)
            ]
            for name in found:
                await self._snapshotter.remove(name)
                log.info("removed a snapshot that a crash left behind", extra={"snapshot": name})
        except MobyError:
            log.exception("cannot look for snapshots that a crash left behind")

    def _is_forgotten(self, labels: Mapping[str, str]) -> bool:
        owner = labels.get(_OWNER, "")
        if not owner or self._index.get(owner) is not None:
            return False
        try:
            return datetime.fromisoformat(labels.get(_ROOT, "")) < self._begun
        except ValueError:
            return False
