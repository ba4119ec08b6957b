"""This file is about containerd's snapshots, and layers unpacked onto them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Literal

from moby.core.descriptor import Descriptor
from moby.core.errors import NotFound
from moby.core.snapshots import Differ, Mount, SnapshotInfo, Snapshotter, Usage
from moby.host.containerd.client import Containerd
from moby.host.containerd.protos import diff_pb2, snapshots_pb2, types_pb2

_SERVICE = "snapshots.v1.Snapshots"
_KINDS: dict[int, Literal["view", "active", "committed"]] = {
    snapshots_pb2.VIEW: "view",
    snapshots_pb2.ACTIVE: "active",
    snapshots_pb2.COMMITTED: "committed",
}


class ContainerdSnapshots(Snapshotter):
    """Snapshots that one of containerd's snapshotters keeps."""

    def __init__(self, client: Containerd, name: str = "overlayfs") -> None:
        self._client = client
        self.name = name

    async def prepare(
        self, key: str, parent: str, labels: Mapping[str, str] | None = None
    ) -> Sequence[Mount]:
        """See `Snapshotter.prepare`."""
        return await self._make("Prepare", key, parent, labels)

    async def view(self, key: str, parent: str, labels: Mapping[str, str] | None = None) -> Sequence[Mount]:
        """See `Snapshotter.view`."""
        return await self._make("View", key, parent, labels)

    async def _make(
        self, method: str, key: str, parent: str, labels: Mapping[str, str] | None
    ) -> Sequence[Mount]:
        request = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter=self.name, key=key, parent=parent, labels=labels or {}
        )
        found = await self._client.call(f"{_SERVICE}/{method}", request, snapshots_pb2.MountsResponse)
        return from_wire(found.mounts)

    async def mounts(self, key: str) -> Sequence[Mount]:
        """See `Snapshotter.mounts`."""
        found = await self._client.look(
            f"{_SERVICE}/Mounts", self._request(key), snapshots_pb2.MountsResponse
        )
        return from_wire(found.mounts)

    async def commit(self, name: str, key: str, labels: Mapping[str, str] | None = None) -> None:
        """See `Snapshotter.commit`."""
        request = snapshots_pb2.CommitSnapshotRequest(
            snapshotter=self.name, name=name, key=key, labels=labels or {}
        )
        await self._client.call(f"{_SERVICE}/Commit", request, limit_s=None)

    async def remove(self, key: str) -> None:
        """See `Snapshotter.remove`."""
        try:
            await self._client.call(f"{_SERVICE}/Remove", self._request(key))
        except NotFound:
            return

    async def info(self, key: str) -> SnapshotInfo:
        """See `Snapshotter.info`."""
        found = await self._client.look(
            f"{_SERVICE}/Stat", self._request(key), snapshots_pb2.StatSnapshotResponse
        )
        return _info(found.info)

    async def usage(self, key: str) -> Usage:
        """See `Snapshotter.usage`."""
        found = await self._client.call(
            f"{_SERVICE}/Usage", self._request(key), snapshots_pb2.UsageResponse, limit_s=None
        )
        return Usage(found.size, found.inodes)

    async def walk(self) -> AsyncIterator[SnapshotInfo]:
        """See `Snapshotter.walk`."""
        request = snapshots_pb2.ListSnapshotsRequest(snapshotter=self.name)
        async for answer in self._client.read_stream(
            f"{_SERVICE}/List", request, snapshots_pb2.ListSnapshotsResponse
        ):
            for info in answer.info:
                yield _info(info)

    def _request(self, key: str) -> snapshots_pb2.SnapshotRequest:
        return snapshots_pb2.SnapshotRequest(snapshotter=self.name, key=key)


class ContainerdDiffer(Differ):
    """Layers unpacked and made by containerd itself."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    async def apply(self, layer: Descriptor, mounts: Sequence[Mount]) -> str:
        """See `Differ.apply`."""
        diff = types_pb2.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
        request = diff_pb2.ApplyRequest(diff=diff, mounts=to_wire(mounts))
        found = await self._client.call("diff.v1.Diff/Apply", request, diff_pb2.ApplyResponse, limit_s=None)
        return str(found.applied.digest)

    async def diff(self, lower: Sequence[Mount], upper: Sequence[Mount], media_type: str) -> Descriptor:
        """See `Differ.diff`."""
        request = diff_pb2.DiffRequest(left=to_wire(lower), right=to_wire(upper), media_type=media_type)
        found = await self._client.call("diff.v1.Diff/Diff", request, diff_pb2.DiffResponse, limit_s=None)
        return Descriptor(found.diff.media_type, found.diff.digest, found.diff.size)


def from_wire(mounts: Iterable[Any]) -> tuple[Mount, ...]:
    """Mounts as containerd says them."""
    return tuple(Mount(mount.type, mount.source, tuple(mount.options), mount.target) for mount in mounts)


def to_wire(mounts: Sequence[Mount]) -> list[types_pb2.Mount]:
    """Mounts as containerd takes them."""
    return [
        types_pb2.Mount(type=mount.type, source=mount.source, target=mount.target, options=mount.options)
        for mount in mounts
    ]


def _info(info: snapshots_pb2.Info) -> SnapshotInfo:
    return SnapshotInfo(info.name, info.parent, _KINDS.get(info.kind, "active"), dict(info.labels))
