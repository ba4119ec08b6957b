from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from moby.core.snapshots import SnapshotInfo, Snapshotter
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.containers.container import Container
from moby.engine.containers.forgotten import Forgotten, snapshot_labels
from moby.engine.containers.index import Index
from moby.engine.containers.record import Record, timestamp


class Snapshots:
    """Snapshots in a list, for a test."""

    def __init__(self, *infos: SnapshotInfo) -> None:
        self.infos = {info.name: info for info in infos}

    async def walk(self) -> AsyncIterator[SnapshotInfo]:
        for info in list(self.infos.values()):
            yield info

    async def remove(self, key: str) -> None:
        del self.infos[key]


def info(name: str, kind: Any, owner: str = "", age_s: float = 60) -> SnapshotInfo:
    made = timestamp(datetime.now(UTC) - timedelta(seconds=age_s))
    labels = {**snapshot_labels(owner), "containerd.io/gc.root": made} if owner else {}
    return SnapshotInfo(name, "", kind, labels)


async def test_only_what_belongs_to_no_container_is_removed() -> None:
    index = Index()
    record = Record(
        id="c" * 64, name="c", created="", image="", chain="", platform="linux", path="true", args=[],
        config=ContainerConfig(), host_config=HostConfig(),
    )  # fmt: skip
    index.add(Container(record))
    snapshots = Snapshots(
        info("layer", "committed"),
        info("others", "active"),
        info("kept", "active", record.id),
        info("lost", "active", "d" * 64),
        info("lost-view", "view", "d" * 64),
        info("being-made", "active", "e" * 64, age_s=-60),
    )
    await Forgotten(index, cast("Snapshotter", snapshots)).free()
    assert set(snapshots.infos) == {"layer", "others", "kept", "being-made"}
