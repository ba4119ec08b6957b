"""Runs busybox in tasks, with nothing but a containerd."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from moby.core.descriptor import Descriptor
from moby.core.errors import Conflict
from moby.core.runtime import Stdio, TaskRequest
from moby.host.containerd.client import Containerd
from moby.host.containerd.tasks import Shim
from moby.images.stores.containerd import ContainerdImages
from moby.runtime.containerd import ContainerdRuntime

PLAIN = "application/vnd.oci.image.layer.v1.tar"
ROOT = {"containerd.io/gc.root": "1"}
NAMESPACES = ("pid", "ipc", "uts", "mount", "network")


async def chunked(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    """The data, bit by bit."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def spec(name: str, *args: str) -> dict[str, Any]:
    """As small as an OCI runtime spec can be."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": f"/moby-test-{name}",
            "namespaces": [{"type": kind} for kind in NAMESPACES],
        },
    }


class Machine:
    """A runtime, and a root file system for each task."""

    def __init__(self, client: Containerd, images: ContainerdImages, root: Path) -> None:
        self.images = images
        self.root = root
        shims = {name: Shim(binary=shutil.which(name) or name, root=str(root)) for name in ("runc", "crun")}
        shims["absent"] = Shim(binary="no-such-runtime", root=str(root))
        self.runtime = ContainerdRuntime(client, shims, "runc")

    async def unpack(self, layer: bytes, digest: str) -> None:
        """Make the snapshot that every task begins with."""
        async with self.images.leases.hold():
            await self.images.content.write(
                "layer", chunked(layer), size=len(layer), digest=digest, labels=ROOT
            )
            mounts = await self.images.snapshotter.prepare("unpacking", "")
            found = await self.images.differ.apply(Descriptor(PLAIN, digest, len(layer)), mounts)
            assert found == digest
            await self.images.snapshotter.commit("base", "unpacking", ROOT)

    async def request(self, name: str, *args: str, runtime: str = "", **changes: Any) -> TaskRequest:
        """A task on a snapshot of its own."""
        try:
            rootfs = await self.images.snapshotter.prepare(name, "base", ROOT)
        except Conflict:
            rootfs = await self.images.snapshotter.mounts(name)
        return TaskRequest(
            name, spec(name, *args) | changes, rootfs, Stdio(), runtime=runtime, snapshot_key=name
        )

    async def run(self, name: str, *args: str, runtime: str = "") -> int:
        """Make and start a task; its pid."""
        pid = await self.runtime.create(await self.request(name, *args, runtime=runtime))
        await self.runtime.start(name)
        return pid

    async def clear(self) -> None:
        """End every task."""
        for task in await self.runtime.list():
            await self.runtime.delete(task.id)
