"""Archives in and out of a real containerd."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.filters import Filters
from moby.engine.events import Events
from moby.engine.images.service import ImageService
from moby.engine.images.transfers import ImageTransfers
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.images.stores.containerd import ContainerdImages

pytestmark = pytest.mark.containerd


async def stream(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


def root_tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    return data.getvalue()


@pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs busybox")
async def test_import_save_load_remove(store: ContainerdImages) -> None:
    images = ImageService(store, Events(), list)
    async with (
        Registries(RegistryConfig) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        messages = transfers.import_(stream(root_tar()), repository="bb", tag="1", changes=['CMD ["sh"]'])
        (target,) = [message.status async for message in messages]
        found = await images.inspect("bb:1")
        assert (found.id, found.size > 1_000_000, found.os) == (target, True, "linux")
        archive = b"".join([chunk async for chunk in transfers.save(["bb:1"])])
        await images.remove("bb:1")
        assert [info async for info in store.content.walk()] == []
        assert [info async for info in store.snapshotter.walk()] == []
        loaded = [message.stream async for message in transfers.load(stream(archive))]
        assert loaded == ["Loaded image: bb:1\n"]
        (summary,) = await images.list(filters=Filters(), shared_size=True)
        assert (summary.id, summary.repo_tags) == (target, ["bb:1"])
        assert (await images.history("bb:1"))[0].size > 0
        assert (await images.usage()).images == 1
        report = await images.prune(Filters({"dangling": ["false"]}))
        assert report.space_reclaimed > 1_000_000
        assert await store.list() == []


async def test_bad_archives_leave_nothing(store: ContainerdImages) -> None:
    images = ImageService(store, Events(), list)
    bad = io.BytesIO()
    with tarfile.open(fileobj=bad, mode="w") as tar:
        for name, data in ((f"blobs/sha256/{'0' * 64}", b"x"), ("index.json", b"{}")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    async with (
        Registries(RegistryConfig) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        for data in (bad.getvalue(), os.urandom(5000), b""):
            with pytest.raises((InvalidParameter, NotFound)):
                _ = [message async for message in transfers.load(stream(data))]
        with pytest.raises(MobyError):
            _ = [message async for message in transfers.import_(stream(os.urandom(5000)))]
    deadline = time.monotonic() + 10
    while [info async for info in store.content.walk()] and time.monotonic() < deadline:
        await store.content.delete("sha256:" + "0" * 64)
        time.sleep(0.1)
    assert await store.list() == []
    assert await store.leases.names() == []
    assert [info async for info in store.snapshotter.walk()] == []
